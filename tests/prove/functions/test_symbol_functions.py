"""NumPy functions on symbols: their polynomials have the values of the functions on numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.functions.symbol_arrays import polynomial_of
from convalg.prove.functions.trace import traced, unknowns

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "mean": lambda x, y: np.mean(x, axis=0),
    "average": lambda x, y: np.average(x, axis=1),
    "tensordot": lambda x, y: np.tensordot(x, y, axes=([0, 1], [0, 1])),
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "concatenate": lambda x, y: np.concatenate([x, y], axis=1),
    "roll": lambda x, y: np.roll(x, 1, axis=0) + np.flip(y),
    "pad": lambda x, y: np.pad(x, 1, mode="reflect"),
    "where": lambda x, y: np.where([[True], [False]], x, y),
    "cumsum": lambda x, y: np.cumsum(x, axis=1),
    "outer": lambda x, y: np.outer(x, y),
    "kron": lambda x, y: np.kron(x, y),
    "convolve": lambda x, y: np.convolve(x[0], y[1]),
    "apply_along_axis": lambda x, y: np.apply_along_axis(lambda row: row[::-1] * 2, 1, x),
    "real and imag": lambda x, y: np.real(x) + np.imag(y),
    "common_type": lambda x, y: x.astype(np.common_type(x, y)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_on_symbols_has_the_values_on_numbers(name: str) -> None:
    f = FUNCTIONS[name]
    inputs = unknowns((2, 3), "x"), unknowns((2, 3), "y")
    numbers = np.arange(-2, 4).reshape(2, 3), np.array([[5, -1, 3], [2, 0, 7]])
    values = {
        next(iter(unknown.generators)): int(number)
        for array, drawn in zip(inputs, numbers, strict=True)
        for unknown, number in zip(array.ravel(), drawn.ravel(), strict=True)
    }
    found = traced(f, *inputs)
    wanted = f(*(array.astype(float) for array in numbers))
    assert np.shape(found) == np.shape(wanted)
    exact = [float(polynomial_of(entry).at(values)) for entry in np.ravel(found).tolist()]
    assert np.allclose(exact, np.ravel(wanted))


def test_questions_about_dtypes_are_answered_as_for_floats() -> None:
    asked: list[Any] = []

    def asks(x: Any) -> Any:
        asked.append(
            (np.result_type(x, np.float32), np.can_cast(x, np.float32), np.iscomplexobj(x))
        )
        asked.append((np.isrealobj(x), np.min_scalar_type(x), np.isreal(x).tolist()))
        return x

    traced(asks, unknowns((2,), "x"))
    first = list(asked)
    asked.clear()
    asks(np.zeros(2))
    assert first[0] == asked[0]
    assert first[1][0] == asked[1][0]
    assert first[1][2] == asked[1][2]


def test_a_function_that_needs_values_is_not_proved() -> None:
    for f in (np.sort, np.linalg.norm, np.sign, lambda x: np.array2string(x) and x):
        assert ca.prove.implements(f, ca.identity(3)).status != "proved"
