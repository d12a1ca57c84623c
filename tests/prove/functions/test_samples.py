"""Comparing numbers with polynomials in floats first decides as exact arithmetic does."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.functions import samples
from convalg.prove.functions.samples import Bounds
from convalg.prove.functions.symbols import FLOAT, SymbolParts

COUNT = 3
DRAWN = samples.samples([(COUNT,)])
UNKNOWNS = np.array([Polynomial.unknown(f"x{k}") for k in range(COUNT)], dtype=object)
COEFFICIENTS = st.fractions(-9, 9, max_denominator=12) | st.sampled_from(
    [Fraction(1, 3), Fraction(10**30), Fraction(1, 10**30), Fraction(2) ** 900]
)
MONOMIALS = st.lists(st.integers(0, COUNT - 1), max_size=4)
# By how many bounds a number is off.
OFF = st.sampled_from([0.0, 0.5, 0.999999, 1.000001, -0.999999, -1.000001, 2.0, -1e6])


def exact(polynomial: Polynomial, place: int) -> Fraction:
    values = [Fraction(v) for v in DRAWN[place].arrays[0].tolist()]
    own = {next(iter(u.generators)): v for u, v in zip(UNKNOWNS, values, strict=True)}
    return Fraction(polynomial.at(own))


@settings(max_examples=60)
@given(
    terms=st.lists(st.tuples(COEFFICIENTS, MONOMIALS), max_size=5),
    depth=st.integers(0, 40),
    place=st.integers(0, len(DRAWN) - 1),
    off=OFF,
    as_type=st.sampled_from([float, np.float32, np.float64]),
)
def test_a_number_is_within_its_bound_or_not(
    terms: list[tuple[Fraction, list[int]]], depth: int, place: int, off: float, as_type: Any
) -> None:
    polynomial = Polynomial({})
    for coefficient, factors in terms:
        term = Polynomial({(): coefficient})
        for k in factors:
            term = term * UNKNOWNS[k]
        polynomial = polynomial + term
    with np.errstate(all="ignore"):
        size = np.array([float(min(abs(exact(polynomial, k)), 10**300)) for k in range(len(DRAWN))])
    held = np.empty(1, dtype=object)
    held[0] = SymbolParts(polynomial, size, depth, 0.0, FLOAT)
    bounds = Bounds(held, [UNKNOWNS], DRAWN, {})
    bound, wanted = Fraction(float(bounds.bounds[0, place])), exact(polynomial, place)
    try:
        with np.errstate(all="ignore"):
            number = as_type(float(wanted + Fraction(off) * bound))
    except OverflowError:
        return
    if not np.isfinite(number):
        return
    within = abs(Fraction(float(number)) - wanted) <= bound
    found = bounds.first_difference(np.array([number], dtype=object), place)
    assert (found is None) == within


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, "1", None, 1 + 1j])
def test_what_is_no_number_differs(number: Any) -> None:
    held = np.empty(1, dtype=object)
    held[0] = SymbolParts(Polynomial({(): 1}), 1.0, 0, 0.0, FLOAT)
    bounds = Bounds(held, [UNKNOWNS], DRAWN, {})
    numbers = np.empty(1, dtype=object)
    numbers[0] = number
    assert bounds.first_difference(numbers, 0) == (0,)
    numbers[0] = 1
    assert bounds.first_difference(numbers, 0) is None


def test_samples_that_are_kept_are_not_changed_by_a_function() -> None:
    before = [array.copy() for sample in DRAWN for array in sample.arrays]
    for sample in samples.samples([(COUNT,)]):
        for array in sample.copies():
            array[...] = 0
    after = [array for sample in samples.samples([(COUNT,)]) for array in sample.arrays]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
