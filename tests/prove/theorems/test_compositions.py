"""Products of layers at numbers, against NumPy's own convolution of the kernels."""

from __future__ import annotations

import brute
import numbered
import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems import compositions
from convalg.prove.theorems.theorem import Equality

CLAIMS = numbered.claims(compositions.THEOREMS)


@pytest.mark.parametrize("case", CLAIMS, ids=numbered.named)
def test_both_sides_return_the_same_numbers(case: tuple[str, Equality]) -> None:
    numbered.check_applied(case[1])


def spread(taps: list[int], step: int) -> list[int]:
    """The taps with step - 1 zeros between them."""
    wide = np.zeros(step * (len(taps) - 1) + 1, dtype=int)
    wide[::step] = taps
    return wide.tolist()


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_strided_layers_merge_to_the_kernel_that_numpy_convolves(inner: int, outer: int) -> None:
    w, v, x = [2, -3, 5], [7, 1], np.arange(24) ** 2 % 17
    first = ca.correlation(24, w, stride=inner)
    second = ca.correlation(first.out_shape, v, stride=outer)
    merged = np.convolve(w, spread(v, inner)).tolist()
    assert second(first(x)).tolist() == ca.correlation(24, merged, stride=inner * outer)(x).tolist()
    (claim,) = ca.theorems["composition-strides"].claims()
    letters = {"n": 24, "K": 3, "L": 2, "s": inner, "r": outer}
    kernels = claim.sides()[1].factors[-1]  # type: ignore[attr-defined]  # a product
    u = numbered.valued(brute.at(kernels, letters)(np.array(w, dtype=object)))
    own = np.convolve(w, spread(numbered.kernel(2, name="v").tolist(), inner))
    assert u.tolist() == own.tolist()


def test_an_exchange_of_input_and_kernel_reverses_a_correlation_but_not_a_convolution() -> None:
    x, w = [1, 2, 3, 4], [5, 6]
    one = ca.correlation(4, w, padding="full")(x)
    other = ca.correlation(2, x, padding="full")(w)
    assert one.tolist() == other[::-1].tolist() == np.correlate(x, w, "full").tolist()
    one = ca.convolution(4, w, padding="full")(x)
    assert one.tolist() == ca.convolution(2, x, padding="full")(w).tolist()


def test_a_delta_shifts() -> None:
    assert ca.correlation(4, [0, 0, 1], padding=1)([1, 2, 3, 4]).tolist() == [2, 3, 4, 0]
    assert ca.convolution(4, [0, 0, 1], padding=1)([1, 2, 3, 4]).tolist() == [0, 1, 2, 3]
