"""What is wrong at a glance: an answer that is a multiple of the right one, or off by a constant.

These need no known mistake to be tried, so they come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.check.candidate import TOLERANCE, Candidate, Outcome
from convalg.check.problem import Problem
from convalg.check.report import Diagnosis, number_words
from convalg.check.run import CheckRun
from convalg.check.sweep import Config, problem

SHOWING = 3
"""So many answers of several entries must agree before a number that changes is believed."""
BEHIND_KNOWN, LAST = 0.985, 0.9
"""Confidence where a known mistake that fits goes first, and where a condition does too."""
NEARLY = 0.01
"""What half precision loses, relative to the largest number; whole numbers are off by more."""
LOOKED_AT = 4
"""Configurations on which a function is asked whether it is linear."""
ROUNDING = 10 * TOLERANCE
"""Relative to the largest number: what adding up in single precision may lose."""


def plainly(part: str, wrong: list[CheckRun], right: list[CheckRun]) -> Diagnosis | None:
    """The plain thing that is wrong with a part of the answers, where there is one."""
    pairs = [(run.outcome.parts[part], run.expected[part]) for run in wrong]
    if not pairs:
        return None
    if all(map(_is_cut_to_nothing, wrong, [part] * len(wrong))):
        message = (
            "the answer is empty where the padding is 0: x[p:-p] has nothing for p = 0; write "
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
    """Whether an answer is empty on axes without padding, and only on those."""
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
    """The number by which all answers are multiplied."""
    factors = []
    for got, expected in pairs:
        if not expected.any() or not np.isfinite(got).all():
            return None
        place = np.unravel_index(int(np.abs(expected).argmax()), expected.shape)
        factor = float(got[place] / expected[place])
        if not _close(got, factor * expected):
            return None
        factors.append(factor)
    several = sum(np.count_nonzero(expected) > 1 for _, expected in pairs)
    telling = [run.problem for run in right if run.expected[part].any()]
    first = factors[0]
    if np.allclose(factors, first) and (several or len(pairs) >= SHOWING):
        share = len(wrong) / (len(wrong) + len(telling))
        if len({run.config.size for run in wrong}) == 1:
            # A number of the one layer that there is looks constant too.
            share *= BEHIND_KNOWN
        if first == 0:
            return Diagnosis("all-zero", "every entry is zero", share)
        if math.isclose(first, -1):
            return Diagnosis("wrong-sign", "every entry has the wrong sign", share)
        return Diagnosis("scaled", f"every entry is {_times(first)} the right one", share)
    if several < SHOWING:
        return None
    for name, number in QUANTITIES.items():
        if any(number(p) != 1 for p in telling):
            continue
        numbers = [number(run.problem) for run in wrong]
        if np.allclose(np.multiply(factors, numbers), 1):
            return Diagnosis("scaled", f"the answer is divided by {name}", BEHIND_KNOWN)
        if np.allclose(factors, numbers):
            return Diagnosis("scaled", f"the answer is multiplied by {name}", BEHIND_KNOWN)
    message = (
        f"every entry is a multiple of the right one, by a number that changes from call to "
        f"call ({_times(first)} the right one in the smallest case)"
    )
    return Diagnosis("scaled", message, LAST)


def _times(factor: float) -> str:
    inverse = 1 / factor if factor else 0.0
    if abs(factor) < 1 and math.isclose(inverse, round(inverse), rel_tol=1e-6):
        return f"1/{round(inverse)} of" if inverse > 0 else f"-1/{-round(inverse)} of"
    return f"{number_words(round(factor, 9))} times"


def _taps(p: Problem) -> int:
    return math.prod(p.size if p.w is None else p.w.shape[2:])


def _places(p: Problem) -> int:
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
    "the number of places of g": _places,
    "the batch size and the number of places of g": lambda p: len(p.x) * _places(p),
    "the stride (of all axes)": lambda p: math.prod(p.stride),
    "the dilation (of all axes)": lambda p: math.prod(p.dilation or (1,)),
}
"""Numbers of a call that a sum may be divided by."""


def _offset(pairs: list[tuple[Array, Array]], right: list[CheckRun]) -> Diagnosis | None:
    """The number that is added to all answers, or to each channel of them."""
    if not all(np.isfinite(got).all() and got.size for got, _ in pairs):
        return None
    differences = [got - expected for got, expected in pairs]
    first = float(differences[0].ravel()[0])
    # Right answers have nothing added.
    share = len(pairs) / (len(pairs) + len(right))
    if all(_close(got, expected + first) for got, expected in pairs):
        message = f"{number_words(round(first, 9))} is added to every entry"
        return Diagnosis("constant-added", message, share)
    for words, parts in (
        ("one number is added to every entry", [d.reshape(1, -1) for d in differences]),
        (
            "a number is added to each channel, or missing from it (a bias)",
            list(map(_by_channel, differences)),
        ),
    ):
        uniform = all(_close(d, np.broadcast_to(d[:, :1], d.shape)) for d in parts)
        if uniform and sum(d.shape[1] > 1 for d in parts) >= SHOWING:
            return Diagnosis("constant-added", words, min(share, LAST))
    return None


def _clipped(pairs: list[tuple[Array, Array]], p: Problem) -> Diagnosis | None:
    """The number below or above which no entry lies."""
    limits = np.concatenate([got[~_alike(got, expected)] for got, expected in pairs])
    if not len(limits) or not (limits == limits[0]).all():
        return None
    limit = float(limits[0])
    if not any(_alike(got, expected).any() for got, expected in pairs):
        return None
    for words, clip in (("below", np.maximum), ("above", np.minimum)):
        if all(_close(got, clip(expected, limit)) for got, expected in pairs):
            message = (
                f"entries {words} {number_words(limit)} become {number_words(limit)} (an "
                f"activation, or a start value)"
            )
            # A maximum that starts from 0 has a name.
            return Diagnosis("clipped", message, BEHIND_KNOWN if p.w is None else 1.0)
    return None


def _imprecise(pairs: list[tuple[Array, Array]]) -> Diagnosis | None:
    """A loss of precision: all entries nearly right."""
    losses = [
        float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1.0))
        for got, expected in pairs
    ]
    if not max(losses) <= NEARLY:
        return None
    message = (
        f"nearly right, with up to {max(losses):.1g} of the largest entry lost: a sum in half "
        f"precision, or numbers rounded on the way"
    )
    return Diagnosis("imprecise", message, 1.0)


def _alike(got: Array, expected: Array) -> Array:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    with np.errstate(invalid="ignore"):
        alike: Array = np.abs(got - expected) <= TOLERANCE * scale
    return alike


def _by_channel(array: Array) -> Array:
    return array.swapaxes(0, 1).reshape(array.shape[1], -1)


def _close(got: Array, expected: Array) -> bool:
    return bool(_alike(got, expected).all())


def nonlinearity(tested: Candidate, configs: list[Config], part: str) -> str:
    """Words for two inputs whose answers do not add up, or nothing where they do.

    What a layer or gradient is linear in is x, or g; a max pooling is linear in neither.
    """
    if tested.kind.name == "max_pool":
        return ""
    source = "g" if "g" in tested.kind.arrays else "x"
    for config in configs[:LOOKED_AT]:
        p = problem(tested.kind, config)
        array = getattr(p, source)
        zero = _asked(tested, config, p, part, source, np.zeros_like(array))
        for first, second in ((array, -array), (array, np.roll(array, 1) + 1)):
            words = _unequal(tested, config, p, part, source, first, second, zero)
            if words:
                return words
    return ""


FREE_OF = {
    ("backward", "dx"): "x",
    ("backward", "dw"): "w",
    ("transposed_backward", "dx"): "x",
    ("transposed_backward", "dw"): "w",
    ("average_pool_backward", "dx"): "x",
}
"""The array that a gradient of something linear does not depend on."""


def dependence(tested: Candidate, configs: list[Config], part: str) -> str:
    """Words for a gradient that changes with an array that it has nothing to do with."""
    name = FREE_OF.get((tested.kind.name, part))
    if name is None:
        return ""
    for config in configs[:LOOKED_AT]:
        p = problem(tested.kind, config)
        array = getattr(p, name)
        one = _asked(tested, config, p, part, name, array)
        other = _asked(tested, config, p, part, name, 1.0 - array)
        if one is None or other is None or one.shape != other.shape:
            continue
        wrong = np.argwhere(~_alike(one, other))
        if len(wrong):
            place = tuple(int(k) for k in wrong[0])
            return (
                f"it changes with {name}, and has nothing to do with it: {part}{list(place)} is "
                f"{number_words(one[place])} or {number_words(other[place])} for different {name}"
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
    """Where f(a + b) + f(0) is not f(a) + f(b)."""
    inputs = (first + second, first, second)
    both, one, other = (_asked(tested, config, p, part, source, given) for given in inputs)
    if both is None or one is None or other is None or zero is None:
        return ""
    if len({array.shape for array in (both, one, other, zero)}) > 1:
        return ""
    left, right = both + zero, one + other
    scale = max(1.0, *(float(np.abs(array).max(initial=0)) for array in (both, one, other)))
    wrong = np.argwhere(~(np.abs(left - right) <= ROUNDING * scale))
    if not len(wrong):
        return ""
    place = tuple(int(k) for k in wrong[0])
    a, b, ab = (number_words(array[place]) for array in (one, other, both))
    start = f" (and {number_words(zero[place])} for zeros)" if zero[place] else ""
    return (
        f"not linear in {source}: at {part}{list(place)}, with {source} of shape "
        f"{first.shape}, two inputs give {a} and {b}, and the sum of the inputs {ab}{start}"
    )


def _asked(
    tested: Candidate, config: Config, p: Problem, part: str, source: str, array: Array
) -> Array | None:
    changes: dict[str, Any] = {source: array}
    outcome: Outcome = tested(config, replace(p, **changes))
    found = outcome.parts.get(part)
    return found if found is not None and np.isfinite(found).all() else None
