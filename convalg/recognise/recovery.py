"""Recover the matrix and the bias of a function from unit impulses, or a counterexample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, ShapeError
from convalg.limits import check_memory
from convalg.recognise.distortions import distortion
from convalg.recognise.inputs import INTEGERS, Family, families, listed
from convalg.recognise.probe import CHUNK, Feed, Probe, alike, close, probe
from convalg.size import size_product

TRIALS = 12
"""The number of random integer inputs on which a function must agree with its impulses."""

SINGLE = float(np.finfo(np.float32).eps) ** (2 / 3)
"""The relative difference allowed if all returned numbers are float32 values."""

SCALES = (1.0, 2.0**10, 2.0**20, 2.0**-10, 2.0**-20)
"""The sizes of impulses tried if those of size 1 do not explain f."""

MOST_IMPULSES = 4096
"""Inputs with more samples than this are probed with impulses of size 1 only."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The outputs of a function on a family; None and the error if it raised.

    Shapes: x (count, samples of the input), images (count, samples of the output).
    """

    family: Family
    x: Array
    images: Array | None
    error: str = ""


@dataclass(frozen=True, eq=False)
class AffineFunction:
    """A x + b. Shapes: matrix (outputs, inputs), bias (outputs,)."""

    matrix: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """A x + b for x (count, inputs)."""
        with np.errstate(all="ignore"):
            y: Array = x @ self.matrix.T + self.bias
        return y

    def differences(self, answer: Answer) -> Array:
        """|f(x) - A x - b| relative to the largest sum of |a x| and |b| of its sample.

        Shapes: those of the images; infinite if only one of the two is finite.
        """
        assert answer.images is not None
        with np.errstate(all="ignore"):
            sizes = np.abs(answer.x) @ np.abs(self.matrix).T + np.abs(self.bias)
            scale = np.maximum(sizes.max(axis=1, keepdims=True), np.finfo(float).tiny)
            relative: Array = np.abs(answer.images - self(answer.x)) / scale
        return np.where(np.isfinite(relative), relative, np.inf)


@dataclass(frozen=True, eq=False)
class Recovery:
    """The result of probing a function: f(x) = A x + b on all inputs tried, or a counterexample.

    `witness`: the counterexample, empty if f is affine. `repeats`: whether the same input always
    gives the same output. `tolerance`: the relative difference that was allowed. `effect`: the
    distortion of A x + b, if there is a witness but `matrix` and `bias` are still a part of the
    answer (`is_part`). `notes`: other observations. `types`: types of arrays on which f returns
    other numbers than on float64 arrays. `tried`: a description of the inputs.
    """

    probe: Probe
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


def recovered(function: object, in_shape: tuple[int, ...], max_bytes: int | None) -> Recovery:
    """Recover the matrix and the bias from one impulse for each sample of the input.

    Raises: as `probe`; TooLargeError before the impulses are created.
    """
    # Before the first call of f, whose output has at least one sample.
    count = size_product(in_shape)
    _check_memory(count, 1, max_bytes)
    probed = probe(function, in_shape)
    _check_memory(count, size_product(probed.out_shape), max_bytes)
    recovery = _recovered(probed)
    if recovery is None:
        # f does not treat the inputs of a batch independently: call it with one input at a time.
        assert probed.alone is not None
        recovery = _recovered(probed.alone)
    assert recovery is not None
    return recovery


def _recovered(probed: Probe) -> Recovery | None:
    """Recover A x + b; None if single inputs give other outputs than in their batch."""
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
    if probed.alone is not None and not all(_is_alike_alone(probed, one) for one in answers):
        return None
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


def _is_alike_alone(probed: Probe, answer: Answer) -> bool:
    """Whether the inputs of a family give the same outputs one by one as in their batch."""
    assert probed.alone is not None
    images, error = _returned(probed.alone, answer.x.reshape(-1, *probed.in_shape))
    if images is None or answer.images is None:
        return error == answer.error
    scale = np.abs(answer.images).max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        near = np.abs(images - answer.images) <= probed.tolerance * scale
    same = near | (images == answer.images) | (np.isnan(images) & np.isnan(answer.images))
    return bool(same.all())


def _are_single(seen: list[Answer]) -> bool:
    """Whether all returned numbers are float32 values, as for a function that computes in it."""
    with np.errstate(all="ignore"):
        return all(
            np.array_equal(one.images, one.images.astype(np.float32), equal_nan=True)
            for one in seen
            if one.images is not None
        )


def _errors(answers: list[Answer]) -> list[str]:
    """One note for each error that f raised, with the families that caused it."""
    errors = dict.fromkeys(one.error for one in answers if one.error)
    return [
        f"on {listed([one.family for one in answers if one.error == error])} f raises {error}"
        for error in errors
    ]


def _check_memory(count: int, rows: int, max_bytes: int | None) -> None:
    check_memory(
        count * (count + 2 * rows) * 8,
        max_bytes,
        what=f"the {rows} x {count} matrix from {count} impulses",
        instead="identify a smaller layer of the same form",
    )


def _impulses(probed: Probe, scale: float) -> AffineFunction:
    """The matrix from impulses of one size, and the bias f(0)."""
    count, rows = size_product(probed.in_shape), size_product(probed.out_shape)
    bias = probed(np.zeros((1, *probed.in_shape))).reshape(rows)
    units = scale * np.eye(count).reshape(count, *probed.in_shape)
    with np.errstate(all="ignore"):
        matrix = ((probed(units).reshape(count, rows) - bias) / scale).T
    return AffineFunction(matrix, bias)


def _answer(probed: Probe, family: Family) -> Answer:
    """Call f on a family."""
    x = family.samples(probed.in_shape, seed=1)
    images, error = _returned(probed, x)
    return Answer(family, x.reshape(len(x), -1), images, error)


def _returned(probed: Probe, x: Array) -> tuple[Array | None, str]:
    """The outputs (count, outputs) for some inputs, or the error that f raises."""
    try:
        return probed(x).reshape(len(x), -1), ""
    except ShapeError:
        raise
    except ArgumentError as error:
        cause = error.__cause__
        return None, f"{type(cause).__name__} ({cause})"


# NaN, types and repeated calls.


def _not_a_number(recovery: Recovery) -> list[str]:
    """A note if a NaN does not reach all outputs that read it."""
    probed = recovery.probe
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
    """The types of arrays on which f returns other numbers than on float64 arrays."""
    probed = recovery.probe
    if not probed.feed.is_numpy:
        return ()
    types: list[str] = []
    for kind, some in (("float32", answers), ("int64", answers[:1])):
        typed = replace(probed, feed=Feed(lambda x, kind=kind: x.astype(kind)))  # type: ignore[misc]  # a default argument binds kind
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
    """An input whose output differs when f is called again; empty if there is none."""
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
    """Add the counterexample, and the distortion of A x + b if it can be recovered."""
    probed = recovery.probe
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
    """Find by impulses of several sizes the distortion of A x + b or x, or where A x + b fails."""
    probed = recovery.probe
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
    """Yield A x + b from impulses of several sizes, and from those of both signs."""
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
        # Large impulses give a rounded function to a few digits; the other digits are its rounding.
        tidy = np.round(up.matrix, 5) if scale > 1 else up.matrix
        for matrix in (up.matrix, both, tidy):
            if np.isfinite(matrix).all() and np.isfinite(own.bias).all() and matrix.any():
                yield AffineFunction(matrix, own.bias)


def _pairs(one: AffineFunction, seen: list[Answer]) -> tuple[Array, Array]:
    """The numbers expected and the numbers returned, over all families."""
    expected = [one(answer.x).ravel() for answer in seen]
    returned = [answer.images.ravel() for answer in seen if answer.images is not None]
    return np.concatenate(expected), np.concatenate(returned)


def _before(recovery: Recovery, one: AffineFunction, seen: list[Answer]) -> str:
    """The distortion of x before A is applied, from one sample with many values."""
    probed = recovery.probe
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
    return bool(one.differences(answer).max() <= recovery.tolerance)


def _difference(recovery: Recovery, seen: list[Answer]) -> dict[str, Any]:
    """The input of the first contradicting family on which f differs most from its impulses."""
    own, probed = AffineFunction(recovery.matrix, recovery.bias), recovery.probe
    for answer in seen:
        differences = own.differences(answer)
        if differences.max() <= recovery.tolerance:
            continue
        assert answer.images is not None
        k, output = (int(v) for v in np.unravel_index(differences.argmax(), differences.shape))
        return {
            "x": answer.x[k].reshape(probed.in_shape).tolist(),
            "at": tuple(int(i) for i in np.unravel_index(output, probed.out_shape)),
            "f(x)": float(answer.images[k, output]),
            "f(0) + sum of x[k] (f(unit k) - f(0))": float(own(answer.x[k : k + 1])[0, output]),
        }
    return {}


def _witness(probed: Probe, trials: Array, bias: Array) -> dict[str, Any]:
    """Two inputs with f(x + y) + f(0) != f(x) + f(y), or one whose output is not finite.

    Rule: if f(x) - f(0) is not the sum of its impulses, additivity fails either when the samples of
    x are added one by one, or when a multiple of an impulse is added up from its parts.
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
    if not len(x):
        return {}
    try:
        first, second, total = probed(x), probed(y), probed(x + y)
    except ArgumentError:
        # f refuses these inputs; others may contradict it.
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
