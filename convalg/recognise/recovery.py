"""The matrix and the bias of a function, from unit impulses, and inputs that contradict them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, ShapeError
from convalg.limits import check_memory
from convalg.recognise.distortions import distortion
from convalg.recognise.inputs import INTEGERS, Family, families, named
from convalg.recognise.probe import CHUNK, Feed, Probe, alike, close, probe
from convalg.size import size_product

TRIALS = 12
"""Random integer inputs on which an affine function must be what its impulses say."""

SINGLE = float(np.finfo(np.float32).eps) ** (2 / 3)
"""The relative difference that is allowed for where all numbers returned are those of float32."""

SCALES = (1.0, 2.0**10, 2.0**20, 2.0**-10, 2.0**-20)
"""Sizes of the impulses that a matrix is read from where those of size 1 do not explain f."""

MOST_IMPULSES = 4096
"""Inputs with more samples than this are read with impulses of size 1 only."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a function returned on a family; no images, and the error, where it raised.

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
            found: Array = x @ self.matrix.T + self.bias
        return found

    def differences(self, answer: Answer) -> Array:
        """|f(x) - A x - b| relative to the largest sum of |a x| and |b| of its sample.

        Shapes: as the images; infinite where only one of the two is finite.
        """
        assert answer.images is not None
        with np.errstate(all="ignore"):
            sizes = np.abs(answer.x) @ np.abs(self.matrix).T + np.abs(self.bias)
            scale = np.maximum(sizes.max(axis=1, keepdims=True), np.finfo(float).tiny)
            found: Array = np.abs(answer.images - self(answer.x)) / scale
        return np.where(np.isfinite(found), found, np.inf)


@dataclass(frozen=True, eq=False)
class Recovery:
    """What impulses say of a function: f(x) = A x + b on all inputs tried, or what contradicts it.

    `witness`: empty where it is affine. `repeats`: whether one input has one output. `tolerance`:
    the relative difference that was allowed for. `words`: what is done to A x + b, where the
    witness is not empty and `matrix` and `bias` are still a part of the answer (`is_part`).
    `notes`: what else was seen. `types`: types of arrays on which f returns other numbers than on
    those of float64. `tried`: the inputs, in words.
    """

    probe: Probe
    matrix: Array
    bias: Array
    witness: dict[str, Any]
    tolerance: float
    repeats: bool = True
    words: str = ""
    is_part: bool = False
    notes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tried: str = ""


def recovered(function: Any, in_shape: tuple[int, ...], max_bytes: int | None) -> Recovery:
    """The matrix and the bias from one impulse for each sample of the input.

    Raises: as `probe`; TooLargeError before the impulses are made.
    """
    # Before f is called at all: its output is not known yet, and has one sample at least.
    count = size_product(in_shape)
    _check_memory(count, 1, max_bytes)
    ask = probe(function, in_shape)
    _check_memory(count, size_product(ask.out_shape), max_bytes)
    found = _recovered(ask)
    if found is None:
        # A batch that is not answered as its inputs are one by one is no batch for f.
        assert ask.alone is not None
        found = _recovered(ask.alone)
    assert found is not None
    return found


def _recovered(ask: Probe) -> Recovery | None:
    """What impulses say; None where inputs alone are answered otherwise than in their batch."""
    in_shape, rows = ask.in_shape, size_product(ask.out_shape)
    count = size_product(in_shape)
    trials = INTEGERS.samples(in_shape, seed=0, count=TRIALS)
    images = ask(trials)
    empty = Recovery(ask, np.zeros((rows, count)), np.zeros(rows), {}, ask.tolerance)
    again = _changes(ask, trials, images)
    if again:
        return replace(empty, witness=again, repeats=False)
    found = _impulses(ask, 1.0)
    answers = [
        Answer(INTEGERS, trials.reshape(TRIALS, -1), images.reshape(TRIALS, rows)),
        *(_answer(ask, one) for one in families(ask.feed.least, ask.feed.largest)),
    ]
    again = _changes(ask, trials, images)
    if again:
        return replace(empty, witness=again, repeats=False)
    if ask.alone is not None and not all(_is_alike_alone(ask, one) for one in answers):
        return None
    tried = f"{count} impulses and {sum(len(one.x) for one in answers)} inputs"
    tried += f" ({named([one.family for one in answers[1:] if one.images is not None])})"
    seen = [one for one in answers if one.images is not None]
    tolerance = max(ask.tolerance, SINGLE) if _are_single(seen) else ask.tolerance
    known = replace(empty, matrix=found.matrix, bias=found.bias, tried=tried, tolerance=tolerance)
    largest = max(float(found.differences(one).max()) for one in seen)
    if not largest <= tolerance:
        return _contradicted(known, seen)
    notes = _errors(answers)
    if largest > ask.tolerance:
        notes.append(f"up to a relative difference of {largest:.1g}")
    notes += _not_a_number(known)
    return replace(known, notes=tuple(notes), types=_types(known, answers[:2]))


def _is_alike_alone(ask: Probe, answer: Answer) -> bool:
    """Whether the inputs of a family give the same one by one as they did in their batch."""
    assert ask.alone is not None
    images, error = _returned(ask.alone, answer.x.reshape(-1, *ask.in_shape))
    if images is None or answer.images is None:
        return error == answer.error
    scale = np.abs(answer.images).max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        near = np.abs(images - answer.images) <= ask.tolerance * scale
    same = near | (images == answer.images) | (np.isnan(images) & np.isnan(answer.images))
    return bool(same.all())


def _are_single(seen: list[Answer]) -> bool:
    """Whether every number returned is one of float32, as of a function that computes in it."""
    with np.errstate(all="ignore"):
        return all(
            np.array_equal(one.images, one.images.astype(np.float32), equal_nan=True)
            for one in seen
            if one.images is not None
        )


def _errors(answers: list[Answer]) -> list[str]:
    """One note for each error that f raised, with the families on which it did."""
    errors = dict.fromkeys(one.error for one in answers if one.error)
    return [
        f"on {named([one.family for one in answers if one.error == error])} f raises {error}"
        for error in errors
    ]


def _check_memory(count: int, rows: int, max_bytes: int | None) -> None:
    check_memory(
        count * (count + 2 * rows) * 8,
        max_bytes,
        what=f"the {rows} x {count} matrix from {count} impulses",
        instead="identify a smaller layer of the same form",
    )


def _impulses(ask: Probe, scale: float) -> AffineFunction:
    """The matrix from impulses of one size, and the bias f(0)."""
    count, rows = size_product(ask.in_shape), size_product(ask.out_shape)
    bias = ask(np.zeros((1, *ask.in_shape))).reshape(rows)
    units = scale * np.eye(count).reshape(count, *ask.in_shape)
    with np.errstate(all="ignore"):
        matrix = ((ask(units).reshape(count, rows) - bias) / scale).T
    return AffineFunction(matrix, bias)


def _answer(ask: Probe, family: Family) -> Answer:
    """What f returns on a family, or what it raises there."""
    x = family.samples(ask.in_shape, seed=1)
    images, error = _returned(ask, x)
    return Answer(family, x.reshape(len(x), -1), images, error)


def _returned(ask: Probe, x: Array) -> tuple[Array | None, str]:
    """The images (count, outputs) of some inputs, or the error that f raises."""
    try:
        return ask(x).reshape(len(x), -1), ""
    except ShapeError:
        raise
    except ArgumentError as error:
        cause = error.__cause__
        return None, f"{type(cause).__name__} ({cause})"


# What else a function may look at.


def _not_a_number(known: Recovery) -> list[str]:
    """A note where a NaN does not reach the outputs that read it."""
    ask = known.probe
    read = np.flatnonzero(known.matrix.any(axis=0))
    if not len(read):
        return []
    place = int(read[len(read) // 2])
    x = np.ones((1, size_product(ask.in_shape)))
    x[0, place] = np.nan
    images, error = _returned(ask, x.reshape(1, *ask.in_shape))
    if images is None:
        return [f"on NaN f raises {error}"]
    reached = images[0][known.matrix[:, place] != 0]
    if np.isnan(reached).all():
        return []
    other = float(reached[~np.isnan(reached)][0])
    return [f"a NaN in x does not reach every output that reads it: one is {other:g}"]


def _types(known: Recovery, answers: list[Answer]) -> tuple[str, ...]:
    """The types of arrays on which f returns other numbers than on those of float64."""
    ask = known.probe
    if not ask.feed.is_numpy:
        return ()
    found: list[str] = []
    for kind, some in (("float32", answers), ("int64", answers[:1])):
        typed = replace(ask, feed=Feed(lambda x, kind=kind: x.astype(kind)))  # type: ignore[misc]  # a default argument binds kind
        for one in some:
            if one.images is None:
                continue
            images, _ = _returned(typed, one.x.reshape(-1, *ask.in_shape))
            # A function may take float64 only.
            if images is not None and not close(images, one.images, max(known.tolerance, SINGLE)):
                found.append(kind)
    return tuple(dict.fromkeys(found))


def _changes(ask: Probe, x: Array, images: Array) -> dict[str, Any]:
    """An input whose output is not the same when f is called again; empty where there is none."""
    for _ in range(3):
        second = ask(x)
        wrong = np.argwhere(~alike(second, images, ask.tolerance))
        if len(wrong):
            k, *place = (int(index) for index in wrong[0])
            return {
                "x": x[k].tolist(),
                "at": tuple(place),
                "f(x)": float(images[(k, *place)]),
                "f(x) again": float(second[(k, *place)]),
            }
    return {}


# What contradicts A x + b.


def _contradicted(known: Recovery, seen: list[Answer]) -> Recovery:
    """The witness, and what is done to A x + b where that can be read."""
    ask = known.probe
    words, part, is_part = _read(known, seen)
    witness = _witness(ask, seen[0].x.reshape(-1, *ask.in_shape), known.bias)
    if not witness:
        witness = _difference(known, seen)
    return replace(
        known,
        witness=witness,
        words=words,
        matrix=part.matrix,
        bias=part.bias,
        is_part=is_part,
        tolerance=max(known.tolerance, SINGLE),
    )


def _read(known: Recovery, seen: list[Answer]) -> tuple[str, AffineFunction, bool]:
    """What is done to A x + b (or to x), by impulses of several sizes; or where it fails."""
    ask = known.probe
    own = AffineFunction(known.matrix, known.bias)
    candidates = list(_candidates(ask, own))
    for one in candidates:
        found = distortion(*_pairs(one, seen), ask.tolerance)
        if found is not None:
            return f"f(x) is A x + b {found.words}", one, True
    for one in candidates:
        words = _before(known, one, seen)
        if words:
            return words, one, True
    if not candidates:
        return "", own, False
    counts = [sum(_agrees(known, one, answer) for answer in seen[1:]) for one in candidates]
    best = int(np.argmax(counts))
    if not counts[best]:
        return "", own, False
    chosen = candidates[best]
    agreeing = [a.family for a in seen[1:] if _agrees(known, chosen, a)]
    others = [a.family for a in seen[1:] if not _agrees(known, chosen, a)]
    if not others:
        return "", own, False
    shows = ", ".join(dict.fromkeys(one.reveals for one in others[:3]))
    words = f"f(x) is A x + b on {named(agreeing)}, and not on {named(others)}"
    return f"{words} (inputs that reveal {shows})", chosen, True


def _candidates(ask: Probe, own: AffineFunction) -> Iterator[AffineFunction]:
    """A x + b by impulses of several sizes, and by those of both signs."""
    count = len(own.matrix[0])
    for scale in SCALES if count <= MOST_IMPULSES else SCALES[:1]:
        if not ask.feed.least <= scale <= ask.feed.largest:
            continue
        try:
            up = own if scale == 1 else _impulses(ask, scale)
            down = _impulses(ask, -scale)
        except ArgumentError:
            continue
        with np.errstate(all="ignore"):
            both = up.matrix + down.matrix
        # Large impulses read a rounded function to a few digits, and the rest is its rounding.
        tidy = np.round(up.matrix, 5) if scale > 1 else up.matrix
        for matrix in (up.matrix, both, tidy):
            if np.isfinite(matrix).all() and np.isfinite(own.bias).all() and matrix.any():
                yield AffineFunction(matrix, own.bias)


def _pairs(one: AffineFunction, seen: list[Answer]) -> tuple[Array, Array]:
    """The numbers expected and those returned, over all families."""
    expected = [one(answer.x).ravel() for answer in seen]
    returned = [answer.images.ravel() for answer in seen if answer.images is not None]
    return np.concatenate(expected), np.concatenate(returned)


def _before(known: Recovery, one: AffineFunction, seen: list[Answer]) -> str:
    """What is done to x before A is applied, from the answers to one sample of many sizes."""
    ask = known.probe
    largest = np.abs(one.matrix).argmax()
    output, place = (int(k) for k in np.unravel_index(largest, one.matrix.shape))
    factor = one.matrix[output, place]
    if not factor:
        return ""
    numbers = np.unique(np.concatenate([answer.x[:, place] for answer in seen]))
    x = np.zeros((len(numbers), one.matrix.shape[1]))
    x[:, place] = numbers
    try:
        images = ask(x.reshape(-1, *ask.in_shape)).reshape(len(x), -1)
    except ArgumentError:
        return ""
    with np.errstate(all="ignore"):
        returned = (images[:, output] - one.bias[output]) / factor
    found = distortion(numbers, returned, max(ask.tolerance, 1e-9))
    if found is None:
        return ""
    for answer in seen:
        with np.errstate(all="ignore"):
            changed = replace(answer, x=found.apply(answer.x))
        if not _agrees(known, one, changed):
            return ""
    return f"f(x) is A z + b with z = x {found.words}"


def _agrees(known: Recovery, one: AffineFunction, answer: Answer) -> bool:
    return bool(one.differences(answer).max() <= known.tolerance)


def _difference(known: Recovery, seen: list[Answer]) -> dict[str, Any]:
    """The input on which f is farthest from what its impulses say, on the first family."""
    own, ask = AffineFunction(known.matrix, known.bias), known.probe
    for answer in seen:
        differences = own.differences(answer)
        if differences.max() <= known.tolerance:
            continue
        assert answer.images is not None
        k, output = (int(v) for v in np.unravel_index(differences.argmax(), differences.shape))
        return {
            "x": answer.x[k].reshape(ask.in_shape).tolist(),
            "at": tuple(int(i) for i in np.unravel_index(output, ask.out_shape)),
            "f(x)": float(answer.images[k, output]),
            "f(0) + sum of x[k] (f(unit k) - f(0))": float(own(answer.x[k : k + 1])[0, output]),
        }
    return {}


def _witness(ask: Probe, trials: Array, bias: Array) -> dict[str, Any]:
    """Two inputs with f(x + y) + f(0) other than f(x) + f(y), or one whose output is not finite.

    Rule: where f(x) - f(0) is not the sum of its impulses, one of these fails: to add the
    samples of x one after the other, or to make a multiple of an impulse out of its parts.
    """
    shape = ask.in_shape
    zero = bias.reshape(ask.out_shape)
    count = size_product(shape)
    units = np.eye(count).reshape(count, *shape)
    for x, y in _chains(units, trials):
        step = max(1, CHUNK // max(count, 1))
        for k in range(0, len(x), step):
            found = _contradiction(ask, x[k : k + step], y[k : k + step], zero)
            if found:
                return found
    return {}


def _chains(units: Array, trials: Array) -> Iterator[tuple[Array, Array]]:
    """Batches of pairs (x, y), the simplest first."""
    yield units, -units
    for factor in range(1, 9):
        yield units, factor * units
        yield -units, -factor * units
    yield trials, np.roll(trials, 1, axis=0)
    for x in trials:
        parts = units * x.reshape(-1)[(slice(None), *(None,) * x.ndim)]
        sums = np.cumsum(parts, axis=0)
        yield sums[:-1], parts[1:]


def _contradiction(ask: Probe, x: Array, y: Array, zero: Array) -> dict[str, Any]:
    if not len(x):
        return {}
    try:
        first, second, total = ask(x), ask(y), ask(x + y)
    except ArgumentError:
        # f does not take these inputs; others may contradict it.
        return {}
    for samples, images in ((np.zeros_like(x), zero[None]), (x, first), (y, second)):
        wild = np.argwhere(~np.isfinite(images))
        if len(wild):
            k, *place = (int(index) for index in wild[0])
            return {
                "x": samples[k].tolist(),
                "at": tuple(place),
                "f(x)": float(images[(k, *place)]),
            }
    left, right = total + zero, first + second
    wrong = np.argwhere(~alike(left, right, ask.tolerance))
    if not len(wrong):
        return {}
    k, *place = (int(index) for index in wrong[0])
    return {
        "x": x[k].tolist(),
        "y": y[k].tolist(),
        "at": tuple(place),
        "f(x + y) + f(0)": float(left[(k, *place)]),
        "f(x) + f(y)": float(right[(k, *place)]),
    }
