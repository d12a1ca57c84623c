"""Remarks on the geometry of networks, each where it belongs and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

import convalg as ca
from convalg.errors import ArgumentError
from convalg.network import layers
from convalg.network.analysis import analyse

CASES = {
    "plain": ([layers.Conv(2, 3, padding=1), layers.MaxPool(2)], []),
    "skipping": ([layers.Conv(2, 1, stride=2)], ["stride-over-kernel"]),
    "one-sided": ([layers.Conv(2, 2, padding=((0, 1), (0, 1)))], ["one-sided-padding"]),
    "checkerboard": ([layers.ConvTranspose(2, 3, stride=2)], ["checkerboard"]),
    "even": ([layers.ConvTranspose(2, 4, stride=2)], []),
    "dilated-even": ([layers.ConvTranspose(2, 4, stride=2, dilation=3)], ["holes"]),
    "dilated-uneven": ([layers.ConvTranspose(2, 4, stride=2, dilation=2)], ["checkerboard"]),
    "gridded": ([layers.Conv(2, 3, dilation=2)], ["holes"]),
    "deep": ([layers.Conv(2, 5, padding=2)] * 6, ["beyond-image"]),
}


@pytest.mark.parametrize(("stack", "codes"), CASES.values(), ids=CASES)
def test_remarks(stack: list[layers.Layer], codes: list[str]) -> None:
    found = analyse(ca.sequential((1, 20, 20), stack))
    assert [remark.code for remark in found.remarks] == codes


def test_the_numbers_of_a_checkerboard() -> None:
    """The remark counts what coverage counts: how often each output is written."""
    (remark,) = analyse(ca.sequential((1, 9), [layers.ConvTranspose(1, 3, stride=2)])).remarks
    assert "2, 1 times in turn" in remark.message
    written = ca.transposed_correlation(9, [1, 1, 1], stride=2)([1] * 9)
    assert written[2:6].tolist() == [2, 1, 2, 1]


def test_misaligned_branches_are_remarked() -> None:
    net = ca.Network((1, 16))
    left = net.add(layers.Conv(1, 3, padding=1), "input")
    right = net.add(layers.Conv(1, 2, padding=((0, 1),)), "input")
    net.add(layers.Add(), [left, right])
    assert "misaligned" in [remark.code for remark in analyse(net).remarks]


def test_names_cannot_break_markdown_or_json() -> None:
    net = ca.Network((1, 8, 8), name="a|b<script>")
    net.add(layers.Conv(1, 1, stride=2), name="x|`<b>\n\x1b[31m")
    found = analyse(net)
    text = found.markdown()
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "\x1b" not in text
    assert json.loads(json.dumps(found.to_dict()))["layers"][0]["node"] == "x|`<b>\n\x1b[31m"


def test_the_figure_shows_every_field_that_grows() -> None:
    net = ca.sequential((1, 32, 32), [layers.Conv(2, 3), layers.ReLU(), layers.Conv(2, 3)])
    figure = ca.draw.receptive_field(net)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["conv1", "conv2"]
    with pytest.raises(ArgumentError, match="axis must be 0 to 1, not 2"):
        ca.draw.receptive_field(net, 2)
    (n,) = ca.sizes("n")
    with pytest.raises(ArgumentError, match="needs integers as sizes"):
        ca.draw.receptive_field(ca.sequential((1, n), [layers.Conv(2, 3)]))


class Walks:
    """Counts the layers that are gone through, as work that does not depend on a machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in ("layers", "sources", "input_shapes", "cost"):
            monkeypatch.setattr(ca.Network, name, self._counted(getattr(ca.Network, name)))

    def _counted(self, method: Any) -> Any:
        def call(net: ca.Network, *given: Any) -> Any:
            self.count += len(net) if method.__name__ == "layers" else 1
            return method(net, *given)

        return call


@pytest.mark.parametrize("layer", [layers.ReLU(), layers.Conv(1, 1), layers.Conv(1, 3, padding=1)])
def test_the_work_grows_with_the_number_of_layers(
    layer: layers.Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for depth in (250, 1000):
        net = ca.sequential((1, 12), [layer] * depth)
        walks = Walks(monkeypatch)
        analyse(net)
        counts.append(walks.count)
        monkeypatch.undo()
    assert counts[1] <= 4.5 * counts[0]


def test_bounds_are_called_at_most_everywhere() -> None:
    net = ca.sequential((1, 20), [layers.Conv(1, 3), layers.Upsample(2), layers.Conv(1, 3)])
    assert "at most 4" in repr(net.receptive_field())
    found = analyse(net)
    assert "at most 4" in found.markdown()
    assert "at most 4" in str(found.summary)
    assert "at most 4" in found.summary._repr_html_()
    last = found.to_dict()["layers"][-1]
    assert (
        last["field"],
        last["field_is_bound"],
        found.to_dict()["layers"][0]["field_is_bound"],
    ) == (
        [4],
        True,
        False,
    )
    figure = ca.draw.receptive_field(net)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "at most 4" in texts
    assert any("can read at most" in text.get_text() for text in (*texts_of(figure),))


def texts_of(figure: Any) -> list[Any]:
    return [*figure.texts, *(one for axes in figure.axes for one in (axes.title, axes._left_title))]
