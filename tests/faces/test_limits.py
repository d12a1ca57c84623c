"""Axes that no index table holds are refused by every numerical question, before it allocates."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, TooLargeError

QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "norm": ca.norm,
    "norm_bounds": ca.norm_bounds,
    "spectrum": ca.spectrum,
    "coverage": ca.coverage,
    "classify": ca.classify,
    "identify": ca.identify,
    "rank": ca.rank,
    "null_space": ca.null_space,
}
LARGE: dict[str, tuple[Callable[[], ca.Operator], type[ConvalgError]]] = {
    "stride": (lambda: ca.correlation(5, [1, 2, 3], stride=2**63), ArgumentError),
    "dilation": (lambda: ca.correlation(5, [1, 2], dilation=2**62, padding=2**62), ArgumentError),
    "transposed stride": (
        lambda: ca.transposed_correlation(3, [1, 2], stride=2**63),
        ArgumentError,
    ),
    "nearly 64 bits": (
        lambda: ca.correlation(5, [1, 2, 3], dilation=2**60, padding=2**61),
        ArgumentError,
    ),
    "padding": (lambda: ca.correlation(5, [1, 2, 3], padding=10**10), TooLargeError),
    "size": (lambda: ca.correlation(10**10, [1, 2, 3]), TooLargeError),
    "circular size": (
        lambda: ca.correlation(10**10, [1, 2], padding=((0, 1),), boundary="circular"),
        TooLargeError,
    ),
    "image": (lambda: ca.correlation((10**5, 10**5), np.ones((3, 3))), TooLargeError),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", LARGE)
def test_large_axes_are_refused_before_the_work(name: str, question: str) -> None:
    make, error = LARGE[name]
    start = time.perf_counter()
    with pytest.raises(error) as caught:
        QUESTIONS[question](make())
    assert time.perf_counter() - start < 5
    if name == "nearly 64 bits":
        assert "computes with 64-bit indices" in str(caught.value)
    assert re.search("64.bit|over the limit", str(caught.value))


def test_just_below_the_limit_of_memory_is_answered() -> None:
    assert ca.coverage(ca.correlation(10**4, [1, 2, 3], padding=10**4)).even
    assert ca.norm(ca.correlation(5, [3, 4], stride=2**60)) == pytest.approx(5)
