"""Recognise distortions of A x + b: rounding, clipping, dead zones, integer overflow.

A distortion is inferred from pairs (number expected, number returned), and accepted only if it maps
every expected number to the number returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array

STEPS = sorted(
    {*(10.0**k for k in range(-9, 4)), *(5 * 10.0**k for k in range(-9, 3))}
    | {2.0**k for k in range(-20, 11)},
    reverse=True,
)
"""Candidate rounding steps, the largest first."""

NEAR = 1e-6
"""Largest distance of a rounded number from a multiple of the step, in steps."""

SEEN = 3
"""Least number of returned values that must support a step or a bound."""


@dataclass(frozen=True)
class Distortion:
    """A function of each number, and a label that continues the phrase "f(x) is A x + b".

    `jumps`: its discontinuities as (distance, offset), which are at offset + k * distance for
    integers k. At a jump, the rounding of a sum decides the result. A distance of 0 means none.
    """

    label: str
    apply: Callable[[Array], Array]
    jumps: tuple[float, float] = (0.0, 0.0)


ROUNDINGS: tuple[tuple[str, Callable[[Array], Array], float], ...] = (
    ("rounded to", np.rint, 0.5),
    ("rounded down to", np.floor, 0.0),
    ("rounded up to", np.ceil, 0.0),
    ("truncated towards zero to", np.trunc, 0.0),
)
"""Rounding modes: the label, the function, and the offset of jumps in steps. Ties are open."""


def distortion(expected: Array, returned: Array, tolerance: float) -> Distortion | None:
    """Return the simplest distortion that maps all expected to the returned numbers, or None.

    Shapes: both (count,). `tolerance` is relative to each number.
    """
    kept = np.isfinite(expected)
    expected, returned = expected[kept], returned[kept]
    if np.isfinite(returned).sum() < SEEN or np.isnan(returned).any():
        return None
    for core in _cores(expected, returned, tolerance):
        candidate = _within_bounds(core, expected, returned, tolerance)
        if candidate is not None:
            return candidate
    return None


def _cores(expected: Array, returned: Array, tolerance: float) -> Iterator[Distortion]:
    """Yield the distortions possible before clipping, the simplest first."""
    yield Distortion("", lambda v: v)
    yield from _dead_zones(expected, returned, tolerance)
    finite = returned[np.isfinite(returned)]
    low, high = finite.min(), finite.max()
    inside = np.unique(finite[(finite > low) & (finite < high)])
    for step in _steps(inside):
        yield from (_rounded(step, *rounding) for rounding in ROUNDINGS)
        break
    for bits in (8, 16, 32):
        for signed in (True, False):
            yield _wrapped(bits, signed)
    yield Distortion("rounded to float16", lambda v: v.astype(np.float16).astype(float))


def _rounded(step: float, text: str, mode: Callable[[Array], Array], middle: float) -> Distortion:
    """Return the distortion that rounds to multiples of a step."""
    return Distortion(
        f"{text} multiples of {step:.6g}",
        lambda v: step * mode(v / step),
        (step, middle * step),
    )


def _steps(returned: Array) -> Iterator[float]:
    """Yield the steps of which all returned numbers are multiples."""
    sizes = np.abs(returned[returned != 0])
    if len(sizes) < SEEN:
        return
    own = [float(sizes.min()) / k for k in range(1, 5)]
    for step in sorted({*STEPS, *own}, reverse=True):
        counts = returned / step
        # A float beyond 2**52 steps is always an integer number of steps, which is no evidence.
        small = np.abs(counts) < 2**40
        if small.sum() < SEEN or step > 2 * sizes.min():
            continue
        if (np.abs(counts - np.rint(counts))[small] <= NEAR).all():
            yield step


def _dead_zones(expected: Array, returned: Array, tolerance: float) -> Iterator[Distortion]:
    """Yield the distortion that replaces numbers below a threshold by zero, if one is possible."""
    gone = (returned == 0) & (expected != 0)
    kept = returned != 0
    if gone.sum() < SEEN or not kept.any():
        return
    largest = float(np.abs(expected[gone]).max())
    smallest = float(np.abs(expected[kept]).min())
    if largest < smallest:
        between = math.sqrt(largest * smallest)
        yield Distortion(
            f"with numbers up to {largest:.3g} replaced by 0 (numbers from {smallest:.3g} on are "
            f"unchanged)",
            lambda v: np.where(np.abs(v) > between, v, 0.0),
        )


def _wrapped(bits: int, signed: bool) -> Distortion:
    """Return the distortion by the overflow of an integer type."""
    size = 2.0**bits
    low = -size / 2 if signed else 0.0
    kind = f"{'' if signed else 'u'}int{bits}"
    return Distortion(
        f"truncated to integers and wrapped as {kind}",
        lambda v: (np.trunc(v) - low) % size + low,
    )


def _within_bounds(
    core: Distortion, expected: Array, returned: Array, tolerance: float
) -> Distortion | None:
    """Return a distortion with clipping to the bounds of the returned numbers that it exceeds.

    None if that does not map the expected to the returned numbers.
    """
    with np.errstate(all="ignore"):
        cored = core.apply(expected)
    finite = returned[np.isfinite(returned)]
    low, high = float(finite.min()), float(finite.max())
    slack = tolerance * max(abs(low), abs(high), np.finfo(float).tiny)
    has_low = bool((cored < low - slack).sum() >= SEEN) and low == returned.min()
    has_high = bool((cored > high + slack).sum() >= SEEN) and high == returned.max()
    if not (core.label or has_low or has_high):
        return None
    least, most = low if has_low else -math.inf, high if has_high else math.inf

    def apply(v: Array) -> Array:
        clipped: Array = np.clip(core.apply(v), least, most)
        return clipped

    with np.errstate(all="ignore"):
        result = apply(expected)
        near = np.abs(result - returned) <= tolerance * np.abs(returned) + np.finfo(float).tiny
        beside = np.abs(result - returned) <= core.jumps[0] * (1 + NEAR)
    near = (near & np.isfinite(returned)) | (result == returned)
    jumps = _jumps(core, expected)
    # Most numbers must be away from the jumps, or the test would accept any function.
    if not (near | (jumps & beside)).all() or jumps.mean() > 0.5:
        return None
    text = _with_bounds(core.label, low, high, has_low, has_high)
    return Distortion(text, apply, core.jumps)


def _jumps(core: Distortion, expected: Array) -> Array:
    """Return a mask of the numbers so close to a jump that rounding decides the result."""
    distance, offset = core.jumps
    if not distance:
        return np.zeros(expected.shape, dtype=bool)
    counts = (expected - offset) / distance
    near: Array = np.abs(counts - np.rint(counts)) <= np.maximum(NEAR, 1e-9 * np.abs(counts))
    return near


def _with_bounds(text: str, low: float, high: float, has_low: bool, has_high: bool) -> str:
    """Return a label with the bounds of the clipping added."""
    bounds = {
        (True, True): f"clipped to [{low:.6g}, {high:.6g}]",
        (True, False): f"clipped below at {low:.6g}",
        (False, True): f"clipped above at {high:.6g}",
        (False, False): "",
    }[has_low, has_high]
    return ", and ".join(part for part in (text, bounds) if part)
