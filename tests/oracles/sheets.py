"""The sheets of some layers, for tests that look at them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy

import convalg as ca
from convalg.operators.tree import Operator
from convalg.sheet import Sheet


class Sheets(dict[str, Sheet]):
    """The sheet of each layer, made where a test asks for it: one worker runs a part of them."""

    def __init__(self, layers: dict[str, ca.Operator]) -> None:
        super().__init__()
        self.layers = layers

    def __missing__(self, name: str) -> Sheet:
        self[name] = ca.explain(self.layers[name])
        return self[name]


LAYERS: dict[str, Operator] = {
    "sobel": ca.correlation((6, 6), ca.kernels.sobel_x),
    "1-D": ca.correlation(12, ca.kernel(4), stride=2, padding="same", dilation=2),
    "3-D": ca.correlation((4, 4, 4), ca.kernel(2, 2, 2)),
    "4-D": ca.correlation((3, 3, 3, 3), ca.kernel(2, 2, 2, 2)),
    "convolution": ca.convolution((6, 5), ca.kernel(3, 2), padding="full"),
    "reflect": ca.correlation((6, 6), ca.kernel(3, 3), stride=2, padding=1, boundary="reflect"),
    "circular": ca.convolution((5, 5), ca.kernel(3, 3), padding=1, boundary="circular"),
    "edge": ca.correlation(6, [1, 2, 3], padding=2, boundary="edge"),
    "symmetric": ca.correlation(6, [1, 2, 3], padding=2, boundary="symmetric"),
    "floats": ca.correlation((6, 6), np.full((3, 3), 1 / 9)),
    "single floats": ca.correlation((6, 6), np.full((3, 3), 1 / 9, dtype=np.float32)),
    "fractions": ca.correlation((6, 6), [[Fraction(1, 3), Fraction(2, 3)]]),
    "depthwise": ca.correlation((6, 6), ca.kernel(3, 1, 3, 3), groups=3, padding=1),
    "groups": ca.correlation((4, 4), ca.kernel(4, 3, 2, 2), groups=2),
    "large": ca.correlation((224, 224), np.ones((64, 3, 11, 11)), stride=4, padding=2),
    "patches": ca.correlation((224, 224), np.ones((8, 3, 16, 16), dtype=int), stride=16),
    "atrous": ca.correlation((64, 64), ca.kernel(4, 4, 3, 3), dilation=12, padding=12),
    "transposed": ca.transposed_correlation(
        (3, 3), ca.kernel(1, 2, 3, 3), stride=2, padding=1, output_padding=1
    ),
    "adjoint": ca.convolution((5, 5), ca.kernel(3, 3), padding=1).T,
    "adjoint of reflect": ca.correlation(6, ca.kernel(3), padding=2, boundary="reflect").T,
    "expression": ca.correlation(8, ca.kernel(3)) @ ca.pad(6, 1),
    "one tap": ca.correlation((5, 5), [[2]], stride=2),
}

HOSTILE = "<script>alert(1)</script>\"'`$\\evil{}|*_^~%&#\N{GREEK SMALL LETTER ALPHA}"

FORMS: dict[str, ca.Operator] = {
    "default": ca.correlation((5, 5), ca.kernels.sobel_x, padding=1),
    "strided": ca.convolution(9, ca.kernel(3), stride=2, padding=1),
    "fractions": ca.correlation(6, [Fraction(1, 3), Fraction(2, 3)], boundary="reflect", padding=1),
    "channels": ca.correlation((4, 4), ca.kernel(2, 1, 2, 2), groups=2),
    "transposed": ca.transposed_correlation((3, 3), ca.kernel(1, 1, 2, 2), stride=2),
    "large": ca.correlation((224, 224), np.ones((8, 3, 7, 7)), stride=2, padding=3),
    "hostile": ca.correlation(4, [sympy.Symbol(f"{HOSTILE}{k}") for k in range(2)], padding=1),
}

SHEETS, FORM_SHEETS = Sheets(LAYERS), Sheets(FORMS)
