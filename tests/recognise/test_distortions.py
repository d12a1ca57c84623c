"""Rounding, clipping and other distortions of a linear function are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blurred import blurred

import convalg as ca

DISTORTIONS: dict[str, tuple[Any, Any, str, str]] = {
    "round": (np.round, 4, "A x + b rounded to multiples of 1", "identity"),
    "round to digits": (lambda x: np.round(x, 3), 4, "rounded to multiples of 0.001", "identity"),
    "floor": (np.floor, 4, "rounded down to multiples of 1", "identity"),
    "trunc": (np.trunc, 4, "truncated towards zero to multiples of 1", "identity"),
    "steps": (lambda x: 0.7 * np.rint(x / 0.7), 4, "rounded to multiples of 0.7", "identity"),
    "clip": (lambda x: np.clip(x, -100, 100), 4, "A x + b clipped to [-100, 100]", "identity"),
    "bytes": (lambda x: np.clip(np.rint(x), 0, 255), 4, "and clipped to [0, 255]", "identity"),
    "relu": (lambda x: np.maximum(x, 0), 4, "A x + b clipped below at 0", "identity"),
    "relu6": (lambda x: np.clip(x, 0, 6), 4, "A x + b clipped to [0, 6]", "identity"),
    "dead zone": (
        lambda x: np.where(abs(x) < 1e-3, 0, x),
        4,
        "replaced by 0 (numbers from",
        "identity",
    ),
    "float16": (lambda x: x.astype(np.float16), 4, "rounded to float16", "identity"),
    "a byte layer": (
        lambda x: np.clip(np.rint(blurred(x)), -128, 127),
        (4, 5),
        "rounded to multiples of 1, and clipped to [-128, 127]",
        "correlation",
    ),
    "overflow of int8": (
        lambda x: blurred(x).astype(np.int64).astype(np.int8),
        (4, 5),
        "wrapped as int8",
        "correlation",
    ),
    "rounded inputs": (
        lambda x: blurred(np.round(x, 1)),
        (4, 5),
        "A z + b with z = x rounded to multiples of 0.1",
        "correlation",
    ),
    "clipped inputs": (
        lambda x: blurred(np.clip(x, -1, 1)),
        (4, 5),
        "z = x clipped to [-1, 1]",
        "correlation",
    ),
    "rounded mean": (
        lambda x: np.round((x[::2] + x[1::2]) / 2),
        8,
        "rounded to multiples of 1",
        "average pooling",
    ),
    "a threshold": (
        lambda x: x if abs(x).max() < 5e4 else 0 * x,
        4,
        "but not on equal samples, one sample alone, numbers of mixed sizes, numbers of the sizes",
        "identity",
    ),
}


@pytest.mark.parametrize("name", DISTORTIONS)
def test_rounding_and_clipping_are_named(name: str) -> None:
    distorted, shape, words, part = DISTORTIONS[name]
    found = ca.identify(distorted, shape)

    def f(x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.asarray(distorted(x), dtype=float)

    assert found.kind == "not linear"
    assert words in found.words
    assert found.linear is not None
    assert found.linear.kind == part
    x = np.array(found.witness["x"], dtype=float)
    at = found.witness["at"]
    if "y" in found.witness:
        y = np.array(found.witness["y"], dtype=float)
        assert found.witness["f(x + y) + f(0)"] == pytest.approx((f(x + y) + f(0 * x))[at])
        assert (f(x + y) + f(0 * x))[at] != (f(x) + f(y))[at]
    else:
        # The entry of A x + b, from f on unit impulses alone.
        units = np.eye(x.size).reshape(-1, *x.shape)
        entries = [f(unit)[at] - f(0 * x)[at] for unit in units]
        linear = f(0 * x)[at] + np.dot(entries, x.ravel())
        assert found.witness["f(x)"] == pytest.approx(float(f(x)[at]))
        assert found.witness["f(x)"] != pytest.approx(linear, rel=1e-9, abs=0)
