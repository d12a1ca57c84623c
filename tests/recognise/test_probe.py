"""Calling a function: its batches, its prints, and what it may not return."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import ArgumentError, KindError, ShapeError


def test_a_module_takes_batches_where_it_takes_both() -> None:
    torch = pytest.importorskip("torch")
    # Of three axes, it would take the first for samples and enlarge the last alone.
    found = ca.identify(torch.nn.Upsample(scale_factor=2), (2, 3, 4))
    assert found.out_shape == (2, 6, 8)


def test_a_batch_that_is_scaled_as_one_is_asked_sample_by_sample() -> None:
    def f(x: Any) -> Any:
        # Per sample it is the identity; in a batch all samples depend on the largest.
        return x if x.ndim == 1 else np.round(x / np.abs(x).max(), 3) * np.abs(x).max()

    assert ca.identify(f, 4).kind == "identity"


def test_what_a_function_prints_and_writes_is_kept() -> None:
    def loud(x: Any) -> Any:
        print("loud")
        x *= 3
        return x

    found = ca.identify(loud, (2, 3))
    assert found.kernel is not None
    assert found.kernel.tolist() == [[3]]


def growing() -> Any:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.zeros(3 if len(calls) < 4 else 4)

    return f


def failing_for_zeros(x: Any) -> Any:
    if not x.any():
        raise ValueError("no zeros please")
    return x


BAD_FUNCTIONS: list[tuple[Any, Any, type[Exception], str]] = [
    (5, 3, KindError, "f must be a function or a matrix of two axes, not 5"),
    (np.sin, None, KindError, "in_shape must be the shape of one input of"),
    (
        lambda x: None,
        3,
        KindError,
        "f must return an array of numbers, not an object of type NoneType",
    ),
    (lambda x: "a", 3, KindError, "f must return an array of real numbers, not of dtype"),
    (lambda x: 1j * x, 3, KindError, "f must return real numbers, not complex128: identify the"),
    (
        lambda x: x[:0],
        3,
        ShapeError,
        "f must return at least one number, not an empty array of shape",
    ),
    (
        lambda x: x.nowhere,
        3,
        KindError,
        "f must accept an array of in_shape (3,), or a batch of one such array, but it raised",
    ),
    (growing(), 3, ShapeError, "f must return arrays of one shape, but it returned"),
    (
        failing_for_zeros,
        3,
        ArgumentError,
        "f must accept all real inputs of shape (1, 3), but it raised",
    ),
    (ca.identity(4), 3, ShapeError, "in_shape must be the input shape (4,) of"),
]


@pytest.mark.parametrize(
    ("f", "shape", "error", "message"), BAD_FUNCTIONS, ids=[row[3] for row in BAD_FUNCTIONS]
)
def test_bad_functions(f: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        ca.identify(f, shape)
