"""Fast algorithms at numbers: NumPy computes the same outputs."""

from __future__ import annotations

from typing import Any

import numbered
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.prove.theorems.counts import Multiplications
from convalg.prove.theorems.fast import F23, F43, THEOREMS, _tiled
from convalg.prove.theorems.theorem import Equality

CASES = numbered.claims(THEOREMS)
INTEGERS = st.integers(-9, 9)


@pytest.mark.parametrize("case", CASES, ids=numbered.named)
def test_both_sides_map_an_input_to_the_same_output(case: tuple[str, Equality]) -> None:
    name, claim = case
    if name.startswith("winograd"):
        # The transformed weights are fractions of integers that are multiples of 24.
        return
    numbered.check_applied(claim)


@pytest.mark.parametrize("algorithm", [F23, F43])
@given(data=st.data())
def test_a_tile_is_a_correlation(algorithm: Any, data: st.DataObject) -> None:
    """The formula of Lavin & Gray, without any operator."""
    outputs, tile = algorithm.outputs.shape
    x = np.array(data.draw(st.lists(INTEGERS, min_size=tile, max_size=tile)), dtype=object)
    w = np.array(data.draw(st.lists(INTEGERS, min_size=3, max_size=3)), dtype=object)
    found = algorithm.outputs @ ((algorithm.taps @ w) * (algorithm.inputs @ x))
    assert found.tolist() == [sum(w[t] * x[o + t] for t in range(3)) for o in range(outputs)]


@pytest.mark.parametrize("algorithm", [F23, F43])
def test_a_wrong_number_in_a_transform_is_refuted(algorithm: Any) -> None:
    for field in algorithm._fields:
        for at in zip(*np.nonzero(getattr(algorithm, field)), strict=True):
            wrong = getattr(algorithm, field).copy()
            wrong[at] += 1
            first, second = (side.at(m=1) for side in _tiled(algorithm._replace(**{field: wrong})))
            assert ca.prove.equal(first, second).status == "refuted"


def test_a_layer_needs_more_multiplications_than_its_tiles() -> None:
    for name, (products, direct) in {"winograd-2-3": (4, 6), "winograd-4-3": (6, 12)}.items():
        counts = [part for part in ca.theorems[name].parts if isinstance(part, Multiplications)]
        (m,) = ca.sizes("m")
        assert [part.count for part in counts] == [products * m, direct * m]
        for part, each in zip(counts, (products, direct), strict=True):
            (layer,) = part.layers()
            assert layer.at(m=5).counts.multiplications == 5 * each


@given(st.lists(INTEGERS, min_size=2, max_size=8).filter(lambda v: len(v) % 2 == 0), st.randoms())
def test_three_convolutions_of_halves_are_a_convolution(signal: list[int], random: Any) -> None:
    kernel = [random.randint(-9, 9) for _ in signal]
    half = len(signal) // 2
    (claim,) = ca.theorems["karatsuba"].claims()
    symbols = {
        symbol: value
        for name, part in (("u", kernel[:half]), ("v", kernel[half:]))
        for symbol, value in zip(ca.kernel(half, name=name), part, strict=True)
    }
    for side in claim.sides():
        matrix = np.array(side.at(K=half).to_sympy().subs(symbols).tolist(), dtype=object)
        assert (matrix @ signal).tolist() == np.convolve(signal, kernel).tolist()
