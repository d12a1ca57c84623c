"""The data of a window: its cells, its taps, and that they add up to the output."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import integers, layers

import convalg as ca
from convalg.draw.scene import INPUT, INSERTED, PADDING, scene

SMALL = {
    "plain": ca.correlation((5, 5), ca.kernel(3, 3), padding=1),
    "line": ca.correlation(8, ca.kernel(3), stride=2),
    "dilated": ca.convolution((6, 7), ca.kernel(2, 2), stride=2, padding=1, dilation=2),
    "cropped": ca.correlation((7, 5), ca.kernel(2, 2)) @ ca.identity((7, 5)),
    "circular": ca.correlation(6, ca.kernel(3), padding=1, boundary="circular"),
    "channels": ca.correlation((4, 4), ca.kernel(2, 3, 2, 2)),
    "transposed": ca.transposed_correlation((3, 3), ca.kernel(3, 3), stride=2, padding=1),
}


@given(layers(dims=(1, 1, 2, 2)), st.data())
def test_weights_times_cells_add_up_to_the_output(drawn: Any, data: st.DataObject) -> None:
    layer = drawn.operator
    turned = isinstance(layer, ca.Operator) and not hasattr(layer, "weights")
    axes = (layer.T if turned else layer).geometry.axes
    assume(not (turned and any(a.boundary != "zeros" for a in axes)))
    x = data.draw(integers(layer.in_shape))
    output = data.draw(st.sampled_from(list(np.ndindex(*layer.out_shape))))
    found = scene(layer, output, x)
    assume(not found.left_out)
    # The texts are the whole numbers of the layer and of x.
    total = sum(
        int(tap.text) * int(found.inputs[tap.board].texts[tap.position]) for tap in found.taps
    )
    assert total == layer(x)[output]
    assert found.formula.endswith(f" = {total}")
    assert found.output.texts[found.target] == str(total)


def test_zeros_are_inserted_and_padded_where_they_belong() -> None:
    (board,) = scene(SMALL["transposed"], (1, 2), None).inputs
    lines = [[INPUT, INSERTED] * 2 + [INPUT], [INSERTED] * 5] * 3
    inner = [[PADDING, *line, PADDING] for line in lines[:5]]
    outer = [[PADDING] * 7]
    assert board.kinds.tolist() == outer + inner + outer
    assert board.columns == ("", "0", "", "1", "", "2", "")
    (board,) = scene(SMALL["circular"], (0,), None).inputs
    assert board.kinds.tolist() == [[PADDING, *[INPUT] * 6, PADDING]]
    assert board.texts.tolist() == [["x5", *[""] * 6, "x0"]]
