"""Detect simple faults: a result that is a multiple of the correct result, or off by a constant.

Simple faults are checked before known mistakes, since they need no comparison with any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from convalg.arrays import Array
from convalg.check.candidate import TOLERANCE, Candidate
from convalg.check.problem import Problem, with_array
from convalg.check.report import Diagnosis, number_text
from convalg.check.run import CheckRun
from convalg.check.sweep import Config, problem

SHOWING = 3
"""Least number of results with several entries that must agree with a varying factor."""
BELOW_KNOWN, LAST = 0.985, 0.9
"""Confidences below the one of a matching known mistake, and below the one of a condition."""
NEARLY = 0.01
"""Largest error of half precision, relative to the largest number; mistakes are larger."""
LOOKED_AT = 4
"""Number of configurations on which a function is tested for linearity."""
ROUNDING = 10 * TOLERANCE
"""Largest error of sums in single precision, relative to the largest number."""


def simple_fault(part: str, wrong: list[CheckRun], right: list[CheckRun]) -> Diagnosis | None:
    """Return the diagnosis of a simple fault in one part of the results, or None."""
    pairs = [(run.outcome.parts[part], run.expected[part]) for run in wrong]
    if not pairs:
        return None
    if all(map(_is_cut_to_nothing, wrong, [part] * len(wrong))):
        message = (
            "the result is empty when the padding is 0, since x[p:-p] is empty for p = 0: use "
            "x[p : p + n]"
        )
        return Diagnosis("empty-without-padding", message, 1.0)
    if any(got.shape != expected.shape for got, expected in pairs):
        return None
    return (
        _factor(pairs, wrong, right, part)
        or _offset(pairs, right)
        or _clipped(pairs, wrong[0].problem)
        or _imprecise(pairs)
    )


def _is_cut_to_nothing(run: CheckRun, part: str) -> bool:
    """Whether a result is empty along some axes without padding and along no other axis."""
    got, expected = run.outcome.parts[part], run.expected[part]
    if got.ndim != expected.ndim or got.size or not expected.size:
        return False
    empty = [n == 0 for n in got.shape[2:]]
    return any(empty) and all(
        not any(pair) for pair, none in zip(run.problem.padding, empty, strict=True) if none
    )


def _factor(
    pairs: list[tuple[Array, Array]], wrong: list[CheckRun], right: list[CheckRun], part: str
) -> Diagnosis | None:
    """Return the diagnosis of a factor by which all results are multiplied, or None."""
    factors = []
    for got, expected in pairs:
        if not expected.any() or not np.isfinite(got).all():
            return None
        index = np.unravel_index(int(np.abs(expected).argmax()), expected.shape)
        factor = float(got[index] / expected[index])
        if not _close(got, factor * expected):
            return None
        factors.append(factor)
    several = sum(np.count_nonzero(expected) > 1 for _, expected in pairs)
    telling = [run.problem for run in right if run.expected[part].any()]
    first = factors[0]
    if np.allclose(factors, first) and (several or len(pairs) >= SHOWING):
        share = len(wrong) / (len(wrong) + len(telling))
        if len({run.config.size for run in wrong}) == 1:
            # If all runs are of one kernel size, a factor that depends on it looks constant too.
            share *= BELOW_KNOWN
        if first == 0:
            return Diagnosis("all-zero", "every entry is zero", share)
        if math.isclose(first, -1):
            return Diagnosis("wrong-sign", "every entry has the wrong sign", share)
        return Diagnosis("scaled", f"every entry is {_times(first)} the correct entry", share)
    if several < SHOWING:
        return None
    for name, number in QUANTITIES.items():
        if any(number(p) != 1 for p in telling):
            continue
        numbers = [number(run.problem) for run in wrong]
        if np.allclose(np.multiply(factors, numbers), 1):
            return Diagnosis("scaled", f"the result is divided by {name}", BELOW_KNOWN)
        if np.allclose(factors, numbers):
            return Diagnosis("scaled", f"the result is multiplied by {name}", BELOW_KNOWN)
    message = (
        f"every entry is a multiple of the correct entry, by a factor that changes from call to "
        f"call ({_times(first)} the correct entry in the smallest case)"
    )
    return Diagnosis("scaled", message, LAST)


def _times(factor: float) -> str:
    """Return a factor as text before "the correct entry", such as "1/3 of" or "2 times"."""
    inverse = 1 / factor if factor else 0.0
    if abs(factor) < 1 and math.isclose(inverse, round(inverse), rel_tol=1e-6):
        return f"1/{round(inverse)} of" if inverse > 0 else f"-1/{-round(inverse)} of"
    return f"{number_text(round(factor, 9))} times"


def _taps(p: Problem) -> int:
    """Return the number of taps of the kernel or the window."""
    return math.prod(p.size if p.w is None else p.w.shape[2:])


def _positions(p: Problem) -> int:
    """Return the number of spatial positions of g, or 1 without g."""
    return 1 if p.g is None else math.prod(p.g.shape[2:])


QUANTITIES: dict[str, Callable[[Problem], int]] = {
    "the batch size": lambda p: len(p.x),
    "the number of taps": _taps,
    "the number of taps and input channels": lambda p: p.x.shape[1] * _taps(p),
    "the number of taps and channels of a group": lambda p: (
        _taps(p) * (1 if p.w is None else p.w.shape[1])
    ),
    "the number of input channels": lambda p: p.x.shape[1],
    "the number of channels of a group": lambda p: 1 if p.w is None else p.w.shape[1],
    "the number of output channels": lambda p: 1 if p.w is None else len(p.w),
    "the number of groups": lambda p: p.groups,
    "the number of samples of x": lambda p: p.x.size,
    "the number of entries of g": lambda p: 1 if p.g is None else p.g.size,
    "the number of spatial positions of g": _positions,
    "the batch size and the number of spatial positions of g": lambda p: len(p.x) * _positions(p),
    "the stride (of all axes together)": lambda p: math.prod(p.stride),
    "the dilation (of all axes together)": lambda p: math.prod(p.dilation or (1,)),
}
"""The quantities of a call by which a sum may be divided, by their names."""


def _offset(pairs: list[tuple[Array, Array]], right: list[CheckRun]) -> Diagnosis | None:
    """Return the diagnosis of a constant added to all results or to each channel, or None."""
    if not all(np.isfinite(got).all() and got.size for got, _ in pairs):
        return None
    differences = [got - expected for got, expected in pairs]
    first = float(differences[0].ravel()[0])
    # No constant is added to a correct result.
    share = len(pairs) / (len(pairs) + len(right))
    if all(_close(got, expected + first) for got, expected in pairs):
        message = f"{number_text(round(first, 9))} is added to every entry"
        return Diagnosis("constant-added", message, share)
    for message, parts in (
        ("the same number is added to every entry", [d.reshape(1, -1) for d in differences]),
        (
            "a number is added to each channel, or missing from it (a bias)",
            list(map(_by_channel, differences)),
        ),
    ):
        uniform = all(_close(d, np.broadcast_to(d[:, :1], d.shape)) for d in parts)
        if uniform and sum(d.shape[1] > 1 for d in parts) >= SHOWING:
            return Diagnosis("constant-added", message, min(share, LAST))
    return None


def _clipped(pairs: list[tuple[Array, Array]], p: Problem) -> Diagnosis | None:
    """Return the diagnosis of results that are clipped from below or above, or None."""
    limits = np.concatenate([got[~_alike(got, expected)] for got, expected in pairs])
    if not len(limits) or not (limits == limits[0]).all():
        return None
    limit = float(limits[0])
    if not any(_alike(got, expected).any() for got, expected in pairs):
        return None
    for side, clip in (("below", np.maximum), ("above", np.minimum)):
        if all(_close(got, clip(expected, limit)) for got, expected in pairs):
            message = (
                f"entries {side} {number_text(limit)} become {number_text(limit)} (an "
                f"activation, or an initial value)"
            )
            # A maximum that starts from 0 is a known mistake, which has a higher confidence.
            return Diagnosis("clipped", message, BELOW_KNOWN if p.w is None else 1.0)
    return None


def _imprecise(pairs: list[tuple[Array, Array]]) -> Diagnosis | None:
    """Return the diagnosis of a loss of precision if all entries are nearly correct, or None."""
    losses = [
        float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1.0))
        for got, expected in pairs
    ]
    if not max(losses) <= NEARLY:
        return None
    message = (
        f"nearly correct, with errors of up to {max(losses):.1g} of the largest entry: a sum in "
        f"half precision, or rounded intermediate results"
    )
    return Diagnosis("imprecise", message, 1.0)


def _alike(got: Array, expected: Array) -> Array:
    """Mark the entries that are equal up to rounding."""
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    with np.errstate(invalid="ignore"):
        alike: Array = np.abs(got - expected) <= TOLERANCE * scale
    return alike


def _by_channel(array: Array) -> Array:
    """Return the entries as one row for each channel."""
    return array.swapaxes(0, 1).reshape(array.shape[1], -1)


def _close(got: Array, expected: Array) -> bool:
    """Whether all entries are equal up to rounding."""
    return bool(_alike(got, expected).all())


def nonlinearity(tested: Candidate, configs: list[Config], part: str) -> str:
    """Describe two inputs whose results violate linearity; empty if none are found.

    A convolution or an average pooling is linear in x, and a gradient is linear in g. A max
    pooling is not linear, so it is not tested.
    """
    if tested.kind.name == "max_pool":
        return ""
    source = "g" if "g" in tested.kind.arrays else "x"
    for config in configs[:LOOKED_AT]:
        p = problem(tested.kind, config)
        array = getattr(p, source)
        zero = _part_for(tested, config, p, part, source, np.zeros_like(array))
        for first, second in ((array, -array), (array, np.roll(array, 1) + 1)):
            text = _unequal(tested, config, p, part, source, first, second, zero)
            if text:
                return text
    return ""


FREE_OF = {
    ("backward", "dx"): "x",
    ("backward", "dw"): "w",
    ("transposed_backward", "dx"): "x",
    ("transposed_backward", "dw"): "w",
    ("average_pool_backward", "dx"): "x",
}
"""The array on which a gradient of a linear map must not depend, by the check and the part."""


def dependence(tested: Candidate, configs: list[Config], part: str) -> str:
    """Describe a gradient that changes with an array on which it must not depend; else empty."""
    name = FREE_OF.get((tested.kind.name, part))
    if name is None:
        return ""
    for config in configs[:LOOKED_AT]:
        p = problem(tested.kind, config)
        array = getattr(p, name)
        one = _part_for(tested, config, p, part, name, array)
        other = _part_for(tested, config, p, part, name, 1.0 - array)
        if one is None or other is None or one.shape != other.shape:
            continue
        wrong = np.argwhere(~_alike(one, other))
        if len(wrong):
            index = tuple(int(k) for k in wrong[0])
            return (
                f"it changes with {name}, but it must not depend on {name}: {part}{list(index)} is "
                f"{number_text(one[index])} or {number_text(other[index])} for two values of {name}"
            )
    return ""


def _unequal(
    tested: Candidate,
    config: Config,
    p: Problem,
    part: str,
    source: str,
    first: Array,
    second: Array,
    zero: Array | None,
) -> str:
    """Describe an entry at which f(a + b) + f(0) is not f(a) + f(b); empty if none is found."""
    inputs = (first + second, first, second)
    both, one, other = (_part_for(tested, config, p, part, source, given) for given in inputs)
    if both is None or one is None or other is None or zero is None:
        return ""
    if len({array.shape for array in (both, one, other, zero)}) > 1:
        return ""
    left, right = both + zero, one + other
    scale = max(1.0, *(float(np.abs(array).max(initial=0)) for array in (both, one, other)))
    wrong = np.argwhere(~(np.abs(left - right) <= ROUNDING * scale))
    if not len(wrong):
        return ""
    index = tuple(int(k) for k in wrong[0])
    a, b, ab = (number_text(array[index]) for array in (one, other, both))
    start = f" (and {number_text(zero[index])} for zeros)" if zero[index] else ""
    return (
        f"not linear in {source}: at {part}{list(index)}, with {source} of shape "
        f"{first.shape}, two inputs give {a} and {b}, but their sum gives {ab}{start}"
    )


def _part_for(
    tested: Candidate, config: Config, p: Problem, part: str, source: str, array: Array
) -> Array | None:
    """Return one part of the result for another array, or None if the result is not finite."""
    outcome = tested(config, with_array(p, source, array))
    result = outcome.parts.get(part)
    return result if result is not None and np.isfinite(result).all() else None
