"""The number types of results for arrays of other libraries."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import convalg as ca

strict = pytest.importorskip("array_api_strict")


CPU, OTHER = strict.Device("CPU_DEVICE"), strict.Device("device1")


def host(x: Any) -> np.ndarray:
    return np.asarray(x.to_device(CPU))


def product(x: np.ndarray) -> np.ndarray:
    return ca.correlation(4, [1, -2])(x)


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64", "complex128"])
def test_floating_point_keeps_its_type(kind: str) -> None:
    x = np.array([0.5, 2, -1, 3]) * (1 + 2j if kind.startswith("complex") else 1)
    for kernel in ([1, -2], [1.0, -2.0], [Fraction(1), Fraction(-2)]):
        y = ca.correlation(4, kernel)(strict.asarray(x, dtype=getattr(strict, kind)))
        assert y.dtype == getattr(strict, kind)
        np.testing.assert_array_equal(host(y), product(x))
    y = (Fraction(1, 2) * ca.diagonal([0.25] * 4))(strict.asarray(x, dtype=getattr(strict, kind)))
    np.testing.assert_array_equal(host(y), x / 8)


@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "int32", "uint64"])
def test_whole_numbers_are_widened(kind: str) -> None:
    x = np.array([1, 0, 100, 127]).astype(kind)
    y = ca.correlation(4, [100, -(2**40)])(strict.asarray(x))
    assert y.dtype == strict.int64
    np.testing.assert_array_equal(host(y), ca.correlation(4, [100, -(2**40)])(x))


def test_whole_numbers_up_to_the_last_bit() -> None:
    x = strict.asarray([2**61, -(2**61), 1, 0])
    assert host(ca.correlation(4, [1, 1])(x)).tolist() == [0, 1 - 2**61, 1]
    with pytest.raises(ca.errors.ExactnessError, match="integers up to 2"):
        ca.correlation(4, [1, 2])(x)
    exact = ca.diagonal(np.array([2**62, 1], dtype=object))
    assert host(exact(strict.asarray([1, -1]))).tolist() == [2**62, -1]
