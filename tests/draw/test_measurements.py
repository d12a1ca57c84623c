"""Singular values, coverage and effective fields, read back from their figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

import convalg as ca
from convalg.draw import palette
from convalg.errors import KindError, ShapeError

WEIGHTS = np.array([[1.0, 2.0, 1.0], [0.0, 3.0, 0.0], [-1.0, 0.0, 2.0]])


@pytest.mark.parametrize("count", [3, 100])
def test_the_curve_has_the_singular_values(count: int) -> None:
    layer = ca.correlation(count, [1.0, 2.0], padding="same")
    wanted = np.linalg.svd(layer.to_numpy().astype(float), compute_uv=False)
    axes = ca.draw.spectrum(layer).axes[0]
    (line,) = axes.lines
    assert np.asarray(line.get_ydata()) == pytest.approx(wanted)
    assert np.asarray(line.get_xdata()).tolist() == list(range(1, count + 1))
    assert axes.get_title(loc="left").startswith(f"{count} singular values from {wanted[0]:.6g}")
    ready = ca.draw.spectrum(ca.spectrum(layer)).axes[0]
    assert ready.get_title(loc="left") == axes.get_title(loc="left")


def test_a_matrix_of_zeros_has_a_spectrum() -> None:
    title = ca.draw.spectrum(ca.diagonal([0, 0])).axes[0].get_title(loc="left")
    assert title == "2 singular values from 0 to 0 (dense)"


def test_small_coverage_has_numbers_and_large_coverage_shades() -> None:
    layer = ca.transposed_correlation((3, 4), WEIGHTS, stride=2)
    axes = ca.draw.coverage(layer).axes[0]
    counts = ca.coverage(layer).counts
    words = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert words == {place: str(counts[place]) for place in np.ndindex(*counts.shape)}
    large = ca.transposed_correlation((12, 12), WEIGHTS, stride=2)
    axes = ca.draw.coverage(large).axes[0]
    (image,) = axes.images
    shades = np.asarray(image.get_array())
    counts = ca.coverage(large).counts
    assert shades == pytest.approx(palette.strong_colours(0.75 * counts / counts.max()))
    assert not axes.texts


def test_coverage_of_a_line_and_of_channels() -> None:
    assert ca.draw.coverage(ca.transposed_correlation(5, [1, 1, 1], stride=2)).axes
    layer = ca.transposed_correlation((2, 2), np.ones((1, 2, 2, 2)), stride=2)
    figure = ca.draw.coverage(layer)
    assert figure.axes[0].get_title(loc="left") == (
        "even: outputs written 1 time\nthe stride 2 divides the 2 taps"
    )
    solid = ca.transposed_correlation((2, 2, 2), np.ones((1, 1, 2, 2, 2)), stride=2)
    with pytest.raises(ShapeError, match="shows one or two spatial axes, not outputs of"):
        ca.draw.coverage(solid)


def shades(axes: Axes) -> np.ndarray:
    (image,) = axes.images
    return np.asarray(image.get_array())


def test_the_exact_effective_field() -> None:
    net = ca.sequential((1, 16, 16), [ca.layers.Conv(1, 3), ca.layers.Conv(1, 3)])
    figure = ca.draw.effective_field(net)
    row = np.array([1, 2, 3, 2, 1]) / 3
    assert shades(figure.axes[0]) == pytest.approx(palette.strong_colours(np.outer(row, row)))
    assert figure.axes[0].get_title(loc="left").startswith("conv2: 5 x 5 pixels, ")


def test_the_effective_field_at_an_input() -> None:
    net = ca.sequential((1, 20, 12), [ca.layers.Conv(1, 3, bias=False), ca.layers.ReLU()])
    net.set_weights("conv1", kernel=np.abs(WEIGHTS)[None, None] + 1)
    figure = ca.draw.effective_field(net, x=np.ones((1, 20, 12)))
    # Output 9, 5 of 18 x 10 reads rows 9 to 11 and columns 5 to 7, and 2 more are shown around.
    wanted = np.pad(np.abs(WEIGHTS) + 1, 2) / 4
    assert shades(figure.axes[0]) == pytest.approx(palette.strong_colours(wanted))
    (edge,) = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    assert (edge.get_xy(), edge.get_width(), edge.get_height()) == ((2, 2), 3, 3)


def test_the_effective_field_of_a_line() -> None:
    net = ca.sequential((1, 16), [ca.layers.Conv(1, 3), ca.layers.Conv(1, 3)])
    assert shades(ca.draw.effective_field(net, "conv1").axes[0]).shape == (1, 3, 3)


SOLID = ca.sequential((1, 8, 8, 8), [ca.layers.Conv(1, 3)])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ca.draw.spectrum(np.eye(2)), KindError, "draw.spectrum takes an operator, not nd"),
        (
            lambda: ca.draw.effective_field(ca.layers.ReLU()),
            KindError,
            "draw.effective_field takes a ca.Network, not ReLU",
        ),
        (
            lambda: ca.draw.effective_field(SOLID),
            ShapeError,
            "draw.effective_field shows one or two spatial axes, not 3",
        ),
    ],
)
def test_what_cannot_be_measured(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
