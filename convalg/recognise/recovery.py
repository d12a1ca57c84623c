"""Recover the matrix and the bias of a function from unit impulses, or a counterexample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, ShapeError
from convalg.limits import check_memory
from convalg.recognise.distortions import distortion
from convalg.recognise.inputs import INTEGERS, Family, families, listed
from convalg.recognise.probe import (
    CHUNK,
    Feed,
    Function,
    Probe,
    alike,
    close,
    probe,
    rounding_bound,
)
from convalg.size import size_product

TRIALS = 12
"""Number of random integer inputs on which a function must agree with its impulses."""

SINGLE = rounding_bound(float(np.finfo(np.float32).eps))
"""Relative difference that is allowed if all returned numbers are float32 values."""

SCALES = (1.0, 2.0**10, 2.0**20, 2.0**-10, 2.0**-20)
"""Sizes of the impulses that are tried if impulses of size 1 do not explain f."""

MOST_IMPULSES = 4096
"""Most samples of an input for which impulses of other sizes than 1 are tried."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The outputs of a function on a family of inputs, or None and the error that it raised.

    Shapes: x (count, samples of the input), images (count, samples of the output).
    """

    family: Family
    x: Array
    images: Array | None
    error: str = ""

    @property
    def returned(self) -> Array:
        """The outputs. Raises: ValueError if the function raised an error."""
        if self.images is None:
            raise ValueError(f"f returned no outputs, but raised {self.error}")
        return self.images


@dataclass(frozen=True, eq=False)
class AffineFunction:
    """The function A x + b. Shapes: matrix (outputs, inputs), bias (outputs,)."""

    matrix: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Return A x + b, shape (count, outputs), for x of shape (count, inputs)."""
        with np.errstate(all="ignore"):
            y: Array = x @ self.matrix.T + self.bias
        return y

    def differences(self, answer: Answer) -> Array:
        """Return |f(x) - A x - b|, relative to the largest |A| |x| + |b| of the same input.

        Shape: (count, outputs), as the images; infinite where f(x) or A x + b is not finite.
        """
        with np.errstate(all="ignore"):
            sizes = np.abs(answer.x) @ np.abs(self.matrix).T + np.abs(self.bias)
            scale = np.maximum(sizes.max(axis=1, keepdims=True), np.finfo(float).tiny)
            relative: Array = np.abs(answer.returned - self(answer.x)) / scale
        return np.where(np.isfinite(relative), relative, np.inf)


@dataclass(frozen=True, eq=False)
class Recovery:
    """The recovered f(x) = A x + b, which holds on all inputs tried, or a counterexample.

    `function`: the function f. `witness`: the counterexample, empty if f is affine. `tolerance`:
    the relative difference that was allowed. `repeats`: whether the same input always has the same
    output. `effect`: the distortion of A x + b, if it was recovered despite the counterexample.
    `is_part`: whether A x + b is then a part of the answer. `notes`: other observations. `types`:
    the types of arrays on which f returns other numbers than on float64 arrays. `tried`: a
    description of the inputs.
    """

    function: Probe
    matrix: Array
    bias: Array
    witness: dict[str, Any]
    tolerance: float
    repeats: bool = True
    effect: str = ""
    is_part: bool = False
    notes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tried: str = ""


def recovered(function: Function, in_shape: tuple[int, ...], max_bytes: int | None) -> Recovery:
    """Recover the matrix and the bias of a function from one impulse for each input sample.

    Raises: the errors of `probe`; TooLargeError before the impulses are created.
    """
    # The output of f has at least one sample, so some requests can be refused before f is called.
    count = size_product(in_shape)
    _check_memory(count, 1, max_bytes)
    probed = probe(function, in_shape)
    _check_memory(count, size_product(probed.out_shape), max_bytes)
    try:
        return _recovered(probed)
    except _DependsOnBatchError as error:
        return _recovered(error.alone)


class _DependsOnBatchError(Exception):
    """Raised when f does not treat the inputs of a batch independently.

    `alone`: the same function, called with one input at a time.
    """

    def __init__(self, alone: Probe) -> None:
        super().__init__()
        self.alone = alone


def _recovered(probed: Probe) -> Recovery:
    """Recover A x + b.

    Raises: _DependsOnBatchError if single inputs have other outputs than in their batch.
    """
    in_shape, rows = probed.in_shape, size_product(probed.out_shape)
    count = size_product(in_shape)
    trials = INTEGERS.samples(in_shape, seed=0, count=TRIALS)
    images = probed(trials)
    empty = Recovery(probed, np.zeros((rows, count)), np.zeros(rows), {}, probed.tolerance)
    again = _changes(probed, trials, images)
    if again:
        return replace(empty, witness=again, repeats=False)
    affine = _impulses(probed, 1.0)
    answers = [
        Answer(INTEGERS, trials.reshape(TRIALS, -1), images.reshape(TRIALS, rows)),
        *(_answer(probed, one) for one in families(probed.feed.least, probed.feed.largest)),
    ]
    again = _changes(probed, trials, images)
    if again:
        return replace(empty, witness=again, repeats=False)
    alone = probed.alone
    if alone is not None and not all(_is_alike_alone(probed, alone, one) for one in answers):
        raise _DependsOnBatchError(alone)
    tried = f"{count} impulses and {sum(len(one.x) for one in answers)} inputs"
    tried += f" ({listed([one.family for one in answers[1:] if one.images is not None])})"
    seen = [one for one in answers if one.images is not None]
    tolerance = max(probed.tolerance, SINGLE) if _are_single(seen) else probed.tolerance
    recovery = replace(
        empty, matrix=affine.matrix, bias=affine.bias, tried=tried, tolerance=tolerance
    )
    largest = max(float(affine.differences(one).max()) for one in seen)
    if not largest <= tolerance:
        return _contradicted(recovery, seen)
    notes = _errors(answers)
    if largest > probed.tolerance:
        notes.append(f"up to a relative difference of {largest:.1g}")
    notes += _not_a_number(recovery)
    return replace(recovery, notes=tuple(notes), types=_types(recovery, answers[:2]))


def _is_alike_alone(probed: Probe, alone: Probe, answer: Answer) -> bool:
    """Whether the inputs of a family have the same outputs one by one as in their batch."""
    images, error = _returned(alone, answer.x.reshape(-1, *probed.in_shape))
    if images is None or answer.images is None:
        return error == answer.error
    scale = np.abs(answer.images).max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        near = np.abs(images - answer.images) <= probed.tolerance * scale
    same = near | (images == answer.images) | (np.isnan(images) & np.isnan(answer.images))
    return bool(same.all())


def _are_single(seen: list[Answer]) -> bool:
    """Whether all returned numbers are float32 values, as if f computes in float32."""
    with np.errstate(all="ignore"):
        return all(
            np.array_equal(one.images, one.images.astype(np.float32), equal_nan=True)
            for one in seen
            if one.images is not None
        )


def _errors(answers: list[Answer]) -> list[str]:
    """Return a note for each error that f raised, with the families that caused it."""
    errors = dict.fromkeys(one.error for one in answers if one.error)
    return [
        f"on {listed([one.family for one in answers if one.error == error])} f raises {error}"
        for error in errors
    ]


def _check_memory(count: int, rows: int, max_bytes: int | None) -> None:
    """Raise TooLargeError if the impulses and their outputs need too much memory."""
    check_memory(
        count * (count + 2 * rows) * 8,
        max_bytes,
        what=f"the {rows} x {count} matrix from {count} impulses",
        instead="identify a smaller layer of the same form",
    )


def _impulses(probed: Probe, scale: float) -> AffineFunction:
    """Return the matrix from impulses of one size, and the bias f(0)."""
    count, rows = size_product(probed.in_shape), size_product(probed.out_shape)
    bias = probed(np.zeros((1, *probed.in_shape))).reshape(rows)
    units = scale * np.eye(count).reshape(count, *probed.in_shape)
    with np.errstate(all="ignore"):
        matrix = ((probed(units).reshape(count, rows) - bias) / scale).T
    return AffineFunction(matrix, bias)


def _answer(probed: Probe, family: Family) -> Answer:
    """Return the outputs of f on a family, or the error that it raised."""
    x = family.samples(probed.in_shape, seed=1)
    images, error = _returned(probed, x)
    return Answer(family, x.reshape(len(x), -1), images, error)


def _returned(probed: Probe, x: Array) -> tuple[Array | None, str]:
    """Return the outputs (count, outputs) for some inputs, or None and the error that f raised."""
    try:
        return probed(x).reshape(len(x), -1), ""
    except ShapeError:
        raise
    except ArgumentError as error:
        cause = error.__cause__
        return None, f"{type(cause).__name__} ({cause})"


# NaN, types and repeated calls.


def _not_a_number(recovery: Recovery) -> list[str]:
    """Return a note if a NaN does not reach all outputs that read it, else an empty list."""
    probed = recovery.function
    read = np.flatnonzero(recovery.matrix.any(axis=0))
    if not len(read):
        return []
    column = int(read[len(read) // 2])
    x = np.ones((1, size_product(probed.in_shape)))
    x[0, column] = np.nan
    images, error = _returned(probed, x.reshape(1, *probed.in_shape))
    if images is None:
        return [f"on NaN f raises {error}"]
    reached = images[0][recovery.matrix[:, column] != 0]
    if np.isnan(reached).all():
        return []
    other = float(reached[~np.isnan(reached)][0])
    return [f"a NaN in x does not reach every output that reads it: one is {other:g}"]


def _types(recovery: Recovery, answers: list[Answer]) -> tuple[str, ...]:
    """Return the types of arrays on which f returns other numbers than on float64 arrays."""
    probed = recovery.function
    if not probed.feed.is_numpy:
        return ()
    types: list[str] = []
    for kind, some in (("float32", answers), ("int64", answers[:1])):
        typed = replace(probed, feed=Feed(methodcaller("astype", kind)))
        for one in some:
            if one.images is None:
                continue
            images, _ = _returned(typed, one.x.reshape(-1, *probed.in_shape))
            # A function may accept float64 only.
            if images is not None and not close(
                images, one.images, max(recovery.tolerance, SINGLE)
            ):
                types.append(kind)
    return tuple(dict.fromkeys(types))


def _changes(probed: Probe, x: Array, images: Array) -> dict[str, Any]:
    """Return an input whose output differs when f is called again; empty if none does."""
    for _ in range(3):
        second = probed(x)
        wrong = np.argwhere(~alike(second, images, probed.tolerance))
        if len(wrong):
            k, *position = (int(index) for index in wrong[0])
            return {
                "x": x[k].tolist(),
                "at": tuple(position),
                "f(x)": float(images[(k, *position)]),
                "f(x) again": float(second[(k, *position)]),
            }
    return {}


# Contradictions to A x + b.


def _contradicted(recovery: Recovery, seen: list[Answer]) -> Recovery:
    """Return a recovery with a counterexample, and the distortion of A x + b if it is recovered."""
    probed = recovery.function
    effect, part, is_part = _read(recovery, seen)
    witness = _witness(probed, seen[0].x.reshape(-1, *probed.in_shape), recovery.bias)
    if not witness:
        witness = _difference(recovery, seen)
    return replace(
        recovery,
        witness=witness,
        effect=effect,
        matrix=part.matrix,
        bias=part.bias,
        is_part=is_part,
        tolerance=max(recovery.tolerance, SINGLE),
    )


def _read(recovery: Recovery, seen: list[Answer]) -> tuple[str, AffineFunction, bool]:
    """Return the distortion of A x + b or of x, or the inputs on which A x + b fails, in words.

    It is found by impulses of several sizes. The other values are A x + b, and whether the words
    describe it.
    """
    probed = recovery.function
    own = AffineFunction(recovery.matrix, recovery.bias)
    candidates = list(_candidates(probed, own))
    for one in candidates:
        candidate = distortion(*_pairs(one, seen), probed.tolerance)
        if candidate is not None:
            return f"f(x) is A x + b {candidate.label}", one, True
    for one in candidates:
        text = _before(recovery, one, seen)
        if text:
            return text, one, True
    if not candidates:
        return "", own, False
    counts = [sum(_agrees(recovery, one, answer) for answer in seen[1:]) for one in candidates]
    best = int(np.argmax(counts))
    if not counts[best]:
        return "", own, False
    chosen = candidates[best]
    agreeing = [a.family for a in seen[1:] if _agrees(recovery, chosen, a)]
    others = [a.family for a in seen[1:] if not _agrees(recovery, chosen, a)]
    if not others:
        return "", own, False
    shows = ", ".join(dict.fromkeys(one.reveals for one in others[:3]))
    text = f"f(x) is A x + b on {listed(agreeing)}, but not on {listed(others)}"
    return f"{text} (inputs that reveal {shows})", chosen, True


def _candidates(probed: Probe, own: AffineFunction) -> Iterator[AffineFunction]:
    """Yield A x + b from impulses of several sizes, and from impulses of both signs."""
    count = len(own.matrix[0])
    for scale in SCALES if count <= MOST_IMPULSES else SCALES[:1]:
        if not probed.feed.least <= scale <= probed.feed.largest:
            continue
        try:
            up = own if scale == 1 else _impulses(probed, scale)
            down = _impulses(probed, -scale)
        except ArgumentError:
            continue
        with np.errstate(all="ignore"):
            both = up.matrix + down.matrix
        # Large impulses determine the first digits of a rounded function; the others are rounding.
        tidy = np.round(up.matrix, 5) if scale > 1 else up.matrix
        for matrix in (up.matrix, both, tidy):
            if np.isfinite(matrix).all() and np.isfinite(own.bias).all() and matrix.any():
                yield AffineFunction(matrix, own.bias)


def _pairs(one: AffineFunction, seen: list[Answer]) -> tuple[Array, Array]:
    """Return the expected and the returned numbers of all answers, two arrays of shape (count,)."""
    expected = [one(answer.x).ravel() for answer in seen]
    returned = [answer.returned.ravel() for answer in seen]
    return np.concatenate(expected), np.concatenate(returned)


def _before(recovery: Recovery, one: AffineFunction, seen: list[Answer]) -> str:
    """Return the distortion of x before A is applied in words; empty if none explains f.

    It is found from one input sample with many values.
    """
    probed = recovery.function
    largest = np.abs(one.matrix).argmax()
    output, column = (int(k) for k in np.unravel_index(largest, one.matrix.shape))
    factor = one.matrix[output, column]
    if not factor:
        return ""
    numbers = np.unique(np.concatenate([answer.x[:, column] for answer in seen]))
    x = np.zeros((len(numbers), one.matrix.shape[1]))
    x[:, column] = numbers
    try:
        images = probed(x.reshape(-1, *probed.in_shape)).reshape(len(x), -1)
    except ArgumentError:
        return ""
    with np.errstate(all="ignore"):
        returned = (images[:, output] - one.bias[output]) / factor
    change = distortion(numbers, returned, max(probed.tolerance, 1e-9))
    if change is None:
        return ""
    for answer in seen:
        with np.errstate(all="ignore"):
            changed = replace(answer, x=change.apply(answer.x))
        if not _agrees(recovery, one, changed):
            return ""
    return f"f(x) is A z + b with z = x {change.label}"


def _agrees(recovery: Recovery, one: AffineFunction, answer: Answer) -> bool:
    """Whether A x + b agrees with the outputs of f on a family."""
    return bool(one.differences(answer).max() <= recovery.tolerance)


def _difference(recovery: Recovery, seen: list[Answer]) -> dict[str, Any]:
    """Return the input that differs most from the impulses in the first family that differs."""
    own, probed = AffineFunction(recovery.matrix, recovery.bias), recovery.function
    for answer in seen:
        differences = own.differences(answer)
        if differences.max() <= recovery.tolerance:
            continue
        k, output = (int(v) for v in np.unravel_index(differences.argmax(), differences.shape))
        return {
            "x": answer.x[k].reshape(probed.in_shape).tolist(),
            "at": tuple(int(i) for i in np.unravel_index(output, probed.out_shape)),
            "f(x)": float(answer.returned[k, output]),
            "f(0) + sum of x[k] (f(unit k) - f(0))": float(own(answer.x[k : k + 1])[0, output]),
        }
    return {}


def _witness(probed: Probe, trials: Array, bias: Array) -> dict[str, Any]:
    """Return two inputs with f(x + y) + f(0) != f(x) + f(y), or an input with non-finite output.

    Empty if none is found. Rule: if f(x) - f(0) is not the sum of its impulses, additivity fails
    either when the samples of x are added one by one, or when a multiple of an impulse is added up
    from its parts.
    """
    shape = probed.in_shape
    zero = bias.reshape(probed.out_shape)
    count = size_product(shape)
    units = np.eye(count).reshape(count, *shape)
    for x, y in _chains(units, trials):
        step = max(1, CHUNK // max(count, 1))
        for k in range(0, len(x), step):
            contradiction = _contradiction(probed, x[k : k + step], y[k : k + step], zero)
            if contradiction:
                return contradiction
    return {}


def _chains(units: Array, trials: Array) -> Iterator[tuple[Array, Array]]:
    """Yield batches of pairs (x, y), the simplest first."""
    yield units, -units
    for factor in range(1, 9):
        yield units, factor * units
        yield -units, -factor * units
    yield trials, np.roll(trials, 1, axis=0)
    for x in trials:
        parts = units * x.reshape(-1)[(slice(None), *(None,) * x.ndim)]
        sums = np.cumsum(parts, axis=0)
        yield sums[:-1], parts[1:]


def _contradiction(probed: Probe, x: Array, y: Array, zero: Array) -> dict[str, Any]:
    """Return the first pair of x and y that contradicts additivity; empty if none does."""
    if not len(x):
        return {}
    try:
        first, second, total = probed(x), probed(y), probed(x + y)
    except ArgumentError:
        # f refuses these inputs, but other inputs may contradict additivity.
        return {}
    for samples, images in ((np.zeros_like(x), zero[None]), (x, first), (y, second)):
        wild = np.argwhere(~np.isfinite(images))
        if len(wild):
            k, *position = (int(index) for index in wild[0])
            return {
                "x": samples[k].tolist(),
                "at": tuple(position),
                "f(x)": float(images[(k, *position)]),
            }
    left, right = total + zero, first + second
    wrong = np.argwhere(~alike(left, right, probed.tolerance))
    if not len(wrong):
        return {}
    k, *position = (int(index) for index in wrong[0])
    return {
        "x": x[k].tolist(),
        "y": y[k].tolist(),
        "at": tuple(position),
        "f(x + y) + f(0)": float(left[(k, *position)]),
        "f(x) + f(y)": float(right[(k, *position)]),
    }
