"""Parts about roots of unity: right at numbers, and wrong ones are not proved."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems.roots import Orthogonality, Parseval, SplitTransform, Transformed
from convalg.size import substituted

m, r = ca.sizes("m r")


def _step() -> SplitTransform:
    part = ca.theorems["fft-step"].parts[0]
    assert isinstance(part, SplitTransform)
    return part


@pytest.mark.parametrize(("parts", "size"), [(2, 4), (3, 2), (4, 3), (1, 5), (5, 1)])
def test_the_parts_of_a_transform_add_up_to_numpys(parts: int, size: int) -> None:
    part = _step()
    x = np.arange(1, parts * size + 1) ** 2 % 17
    z = np.exp(-2j * np.pi / (parts * size))
    numbers = {"r": parts, "m": size}

    def at(value: Any) -> int:
        return int(substituted(value, numbers))

    for h, k in product(range(parts), range(size)):
        total = sum(
            z ** at(part.twiddle(h, k, c) + part.inner(k, j)) * x[at(part.position(c, j))]
            for c, j in product(range(parts), range(size))
        )
        assert np.isclose(total, np.fft.fft(x)[size * h + k])


@pytest.mark.parametrize(
    "change",
    [
        {"position": lambda c, j: c * m + j},
        {"position": lambda c, j: r * j},
        {"inner": lambda k, j: k * j},
        {"twiddle": lambda h, k, c: k * c},
        {"twiddle": lambda h, k, c: -(m * h + k) * c},
    ],
)
def test_a_wrong_step_is_refuted(change: dict[str, Any]) -> None:
    verdict = replace(_step(), **change).decide()
    assert verdict.status in {"refuted", "unknown"}
    if verdict.counterexample is not None:
        assert verdict.counterexample.claimed != verdict.counterexample.actual
    assert verdict.status == "refuted" or "position" in change


def test_samples_that_are_left_out_are_noticed() -> None:
    """Exponents that agree are not enough: sample 0 would be counted r m times."""
    verdict = replace(
        _step(),
        position=lambda c, j: 0 * c,
        twiddle=lambda h, k, c: 0 * c,
        inner=lambda k, j: 0 * k,
        quotient=lambda h, k, c, j: 0 * h,
    ).decide()
    assert verdict.status == "unknown"


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_the_transform_is_orthogonal(size: int) -> None:
    rows = np.arange(size)
    matrix = np.exp(-2j * np.pi * np.outer(rows, rows) / size)
    assert np.allclose(matrix.conj().T @ matrix, size * np.eye(size))
    x, y = np.arange(size) ** 2 % 5, rows % 3
    assert np.isclose(np.fft.fft(x) @ np.fft.fft(y).conj(), size * (x @ y))


@pytest.mark.parametrize("kind", [Orthogonality, Parseval])
def test_every_root_is_not_enough(kind: type[Orthogonality]) -> None:
    assert kind("right").decide()
    verdict = kind("wrong", is_primitive=False).decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 2}
    assert verdict.counterexample.replay() == (0, 2)


class _Wrong(Orthogonality):
    """F F instead of F^* F."""

    @property
    def _exponent(self) -> tuple[Any, Any, Any, Any]:
        j, k, l = ca.sizes("j k l")  # noqa: E741
        return j * k + j * l, j, k, l


class _Squared(Orthogonality):
    """No geometric series."""

    @property
    def _exponent(self) -> tuple[Any, Any, Any, Any]:
        j, k, l = ca.sizes("j k l")  # noqa: E741
        return j**2 * (k - l), j, k, l


def test_other_exponents_are_not_proved() -> None:
    verdict = _Wrong("F F = n I").decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 3}
    assert _Squared("squares").decide().status == "unknown"


def test_the_transform_of_the_other_direction_is_not_proved() -> None:
    part = ca.theorems["convolution-theorem"].parts[0]
    assert isinstance(part, Transformed)
    assert part.decide()
    assert not replace(part, exponent=lambda t, p: p - t).decide()
