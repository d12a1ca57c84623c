"""The matrix behind a black box, from unit impulses, and how to ask somebody's function."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.base import Array
from convalg.errors import ArgumentError, KindError, ShapeError, check_memory
from convalg.spec import size_product

TRIALS = 12
"""Random inputs on which an affine function must be what its impulses say."""

CHUNK = 2**21
"""Numbers given to a function in one call."""

REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a function raises for an argument that it does not take."""

Feed = Callable[[Array], Any]


@dataclass(frozen=True, eq=False)
class Probe:
    """A function that is asked with fresh arrays, in the form of batch that it takes.

    `form`: "whole" (a batch at once), "single" (sample by sample) or "one" (batches of one).
    `tolerance`: what the rounding of its output can amount to, relative to the largest entry.
    """

    function: Callable[[Any], Any]
    feed: Feed
    form: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    tolerance: float

    def __call__(self, x: Array) -> Array:
        """Its outputs `(samples, *out_shape)` for x `(samples, *in_shape)`.

        Raises: ArgumentError where it raises, ShapeError where the shape of its output changes.
        """
        step = max(1, CHUNK // size_product(self.in_shape))
        parts = [self._some(x[k : k + step]) for k in range(0, len(x), step)]
        return np.concatenate(parts)

    def _some(self, x: Array) -> Array:
        match self.form:
            case "whole":
                parts = [self._ask(x)]
            case "one":
                parts = [self._ask(sample[None]) for sample in x]
            case _:
                parts = [self._ask(sample)[None] for sample in x]
        wanted = (len(x) // len(parts), *self.out_shape)
        for part in parts:
            if part.size != size_product(wanted):
                raise ShapeError(
                    f"f must return one shape for all inputs, but it returned {part.shape} where "
                    f"{wanted} was expected from its first answer"
                )
        return np.concatenate([part.reshape(wanted) for part in parts])

    def _ask(self, x: Array) -> Array:
        try:
            answer = asked(self.function, self.feed, x)
        except REFUSALS as error:
            raise ArgumentError(
                f"f raised {type(error).__name__} ({error}) on an input of shape {x.shape}, which "
                f"it had taken with other values: give a function of all real inputs"
            ) from error
        return as_output(answer)[0]


def asked(function: Callable[[Any], Any], feed: Feed, x: Array) -> Any:
    """What a function returns for a copy of x; what it prints and warns of is kept quiet."""
    heard = io.StringIO()
    with (
        contextlib.redirect_stdout(heard),
        contextlib.redirect_stderr(heard),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        return function(feed(x.copy()))


def as_output(answer: Any) -> tuple[Array, float]:
    """An answer as floats, a copy of its own, and the rounding that its type allows.

    Raises: KindError for what is not an array of real numbers, ShapeError for an empty one.
    """
    if hasattr(answer, "detach"):
        answer = answer.detach()
    try:
        found = np.asarray(answer)
        if found.dtype.kind == "O":
            found = np.array([float(v) for v in found.ravel()]).reshape(found.shape)
    except REFUSALS as error:
        raise KindError(
            f"f must return an array of numbers, and a {type(answer).__name__} is none: {error}"
        ) from None
    if found.dtype.kind == "c":
        raise KindError(
            f"f returns {found.dtype}, and layers are real: identify lambda x: f(x).real, and "
            f"f(x).imag"
        )
    if found.dtype.kind not in "biuf":
        raise KindError(f"f must return an array of real numbers, not of {found.dtype}")
    if not found.size:
        raise ShapeError(f"f must return at least one number, not an empty array {found.shape}")
    rounding = float(np.finfo(found.dtype).eps) if found.dtype.kind == "f" else 0.0
    return np.array(found, dtype=float), rounding


def probe(function: Any, in_shape: tuple[int, ...]) -> Probe:
    """The function, with the kind of array and the form of batch found that it takes.

    Raises: KindError when it takes none of them, or returns no real numbers.
    """
    sample = _samples(3, in_shape, seed=5)
    refusal = None
    for feed in _feeds(function):
        for form, x in _forms(function, sample):
            try:
                answer = asked(function, feed, x)
            except REFUSALS as error:
                refusal = refusal or error
                continue
            value, rounding = as_output(answer)
            has_batch = form == "one" and value.shape[:1] == (1,)
            after = value.shape[1:] if has_batch else value.shape
            tolerance = max(rounding, float(np.finfo(float).eps)) ** (2 / 3)
            found = Probe(function, feed, form, in_shape, after or (1,), tolerance)
            whole = Probe(function, feed, "whole", in_shape, after or (1,), tolerance)
            return whole if _takes_batches(found, whole, sample) else found
    raise KindError(
        f"f takes no array of shape {in_shape}, nor a batch of one: it raised "
        f"{type(refusal).__name__} ({refusal}); give the shape of one input as in_shape"
    ) from refusal


def _forms(function: Any, sample: Array) -> list[tuple[str, Array]]:
    """One sample alone, and a batch of one; a module of PyTorch takes batches first."""
    forms = [("single", sample[0]), ("one", sample[:1])]
    torch = sys.modules.get("torch")
    is_module = torch is not None and isinstance(function, torch.nn.Module)
    return forms[::-1] if is_module else forms


def _takes_batches(found: Probe, whole: Probe, samples: Array) -> bool:
    """Whether a batch comes out as its samples do one by one."""
    try:
        together = as_output(asked(whole.function, whole.feed, samples))[0]
    except (*REFUSALS, KindError, ShapeError):
        return False
    if together.shape[:1] != (3,) or together.size != 3 * size_product(found.out_shape):
        return False
    alone = found(samples)
    return close(together.reshape(alone.shape), alone, found.tolerance)


def _feeds(function: Any) -> Iterator[Feed]:
    """Kinds of array to try: NumPy's, and PyTorch's where that is in use."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield _as_is
        return
    if isinstance(function, torch.nn.Module):
        weights = [*function.parameters(), *function.buffers()]
        kinds = [w.dtype for w in weights if w.dtype.is_floating_point][:1]
        yield from (_tensors(torch, kind) for kind in kinds or [torch.float64])
        return
    yield _as_is
    yield _tensors(torch, torch.float64)
    yield _tensors(torch, torch.float32)


def _as_is(x: Array) -> Array:
    return x


def _tensors(torch: Any, kind: Any) -> Feed:
    return lambda x: torch.tensor(x, dtype=kind)


def _samples(count: int, shape: tuple[int, ...], seed: int) -> Array:
    """Inputs of small whole numbers."""
    random = np.random.default_rng(seed)
    return random.integers(-9, 10, (count, *shape)).astype(float)


def close(got: Array, expected: Array, tolerance: float) -> bool:
    """Whether two arrays agree, NaN with NaN, up to a share of their largest entry."""
    return not (~_alike(got, expected, tolerance)).any()


def _alike(got: Array, expected: Array, tolerance: float) -> Array:
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max(initial=0)))
    with np.errstate(invalid="ignore"):
        near = np.abs(got - expected) <= tolerance * scale
    alike: Array = near | (got == expected) | (np.isnan(got) & np.isnan(expected))
    return alike


@dataclass(frozen=True, eq=False)
class Recovered:
    """What impulses say of a function: f(x) = A x + b, or inputs that contradict it.

    `witness`: empty where it is affine. `repeats`: whether one input has one output.
    """

    probe: Probe
    matrix: Array
    bias: Array
    witness: dict[str, Any]
    repeats: bool = True


def recovered(function: Any, in_shape: tuple[int, ...], max_bytes: int | None) -> Recovered:
    """The matrix and the bias from one impulse for each sample of the input.

    Raises: as `probe`; TooLargeError before the impulses are made.
    """
    ask = probe(function, in_shape)
    count, rows = size_product(in_shape), size_product(ask.out_shape)
    check_memory(
        count * (count + 2 * rows) * 8,
        max_bytes,
        what=f"the {rows} x {count} matrix from {count} impulses",
        instead="identify a smaller layer of the same form",
    )
    nothing = np.zeros((rows, count)), np.zeros(rows)
    trials = _samples(TRIALS, in_shape, seed=0)
    images = ask(trials)
    again = _changes(ask, trials, images)
    if again:
        return Recovered(ask, *nothing, again, repeats=False)
    bias = ask(np.zeros((1, *in_shape))).reshape(rows)
    columns = ask(np.eye(count).reshape(count, *in_shape)).reshape(count, rows)
    # What is not finite is looked at below.
    with np.errstate(invalid="ignore"):
        matrix = (columns - bias).T
        straight = trials.reshape(TRIALS, -1) @ matrix.T + bias
    if np.isfinite(matrix).all() and close(images.reshape(TRIALS, rows), straight, ask.tolerance):
        return Recovered(ask, matrix, bias, {})
    witness = _witness(ask, trials, bias)
    if not witness:
        return Recovered(ask, matrix, bias, {})
    again = _changes(ask, trials, images)
    return Recovered(ask, *nothing, again or witness, repeats=not again)


def _changes(ask: Probe, x: Array, images: Array) -> dict[str, Any]:
    """An input whose output is not the same when it is asked again; empty where there is none."""
    for _ in range(3):
        second = ask(x)
        wrong = np.argwhere(~_alike(second, images, ask.tolerance))
        if len(wrong):
            k, *place = (int(index) for index in wrong[0])
            return {
                "x": x[k].tolist(),
                "at": tuple(place),
                "f(x)": float(images[(k, *place)]),
                "f(x) again": float(second[(k, *place)]),
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
    for x, y in _pairs(units, trials):
        step = max(1, CHUNK // max(count, 1))
        for k in range(0, len(x), step):
            found = _contradiction(ask, x[k : k + step], y[k : k + step], zero)
            if found:
                return found
    # Nothing contradicts it: rounding had added up over many samples.
    return {}


def _pairs(units: Array, trials: Array) -> Iterator[tuple[Array, Array]]:
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
    first, second, total = ask(x), ask(y), ask(x + y)
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
    wrong = np.argwhere(~_alike(left, right, ask.tolerance))
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
