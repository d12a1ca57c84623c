"""The three matrices of a layer side by side: entries, colours and wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from read_figures import LAYERS, squares, texts

import convalg as ca
from convalg.draw import palette
from convalg.errors import KindError, ShapeError, TooLargeError


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["1-D", "strided", "channels", "groups"])
def test_the_faces_of_a_layer_share_their_colours(name: str, turned: bool) -> None:
    layer = LAYERS[name].T if turned else LAYERS[name]
    x = 1 + np.arange(layer.shape[1]).reshape(layer.in_shape)
    plain, adjoint, by_kernel = ca.draw.faces(layer, x=x).axes
    assert texts(adjoint) == {(c, r): text for (r, c), text in texts(plain).items()}
    exact = layer.by_kernel(x).to_numpy()
    assert {place: int(text) for place, text in texts(by_kernel).items()} == {
        place: exact[place] for place in map(tuple, np.argwhere(exact).tolist())
    }
    weights = palette.weight_colours(layer.kernel.shape).round(6)
    assert all(colour == tuple(weights[label]) for (_, label), colour in squares(by_kernel).items())
    assert squares(plain) == squares(ca.draw.matrix(layer).axes[0])


def test_samples_without_numbers_have_letters() -> None:
    by_kernel = ca.draw.faces(ca.correlation((2, 3), ca.kernel(2, 2))).axes[2]
    assert texts(by_kernel)[1, 2] == "x1,1"
    edge = ca.draw.faces(ca.correlation(3, ca.kernel(3), padding=1, boundary="reflect")).axes[2]
    assert texts(edge)[0, 0] == "x1"


@pytest.mark.parametrize(
    ("operator", "x", "error", "words"),
    [
        (ca.identity(3), None, KindError, "draw.faces takes a layer of ca.correlation"),
        (LAYERS["1-D"], [1, 2], ShapeError, r"x must be one input of shape \(8,\), not of shape"),
        (
            ca.correlation(62, [1], padding=0),
            None,
            TooLargeError,
            "the faces of a 62 x 62 matrix with 1 weights are too large",
        ),
    ],
)
def test_faces_that_cannot_be_drawn(
    operator: Any, x: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ca.draw.faces(operator, x=x)
