"""Calls of a user function: the kind of array and the form of batch that it takes."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.recognise.inputs import INTEGERS
from convalg.size import size_product

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


@dataclass(frozen=True)
class Feed:
    """How an input is handed over, and between which magnitudes its type holds numbers."""

    convert: Callable[[Array], Any]
    least: float = 0.0
    largest: float = math.inf
    is_numpy: bool = False

    def __call__(self, x: Array) -> Any:
        """The input as the function takes it."""
        return self.convert(x)


@dataclass(frozen=True, eq=False)
class Probe:
    """A function that is asked with fresh arrays, in the form of batch that it takes.

    `form`: "whole" (a batch at once), "single" (sample by sample) or "one" (batches of one).
    `tolerance`: what the rounding of its output can amount to, relative to the largest entry.
    `alone`: the same with one input in each call, where `form` is "whole".
    """

    function: Callable[[Any], Any]
    feed: Feed
    form: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    tolerance: float
    alone: Probe | None = None

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
    # Of different sizes, for functions that scale a batch by its largest number.
    sample = INTEGERS.samples(in_shape, seed=5, count=3)
    sample *= np.array([1, 1 / 8, 1024]).reshape(-1, *(1,) * len(in_shape))
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
            whole = Probe(function, feed, "whole", in_shape, after or (1,), tolerance, found)
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
    pairs = zip(together.reshape(alone.shape), alone, strict=True)
    return all(close(*pair, found.tolerance) for pair in pairs)


def _feeds(function: Any) -> Iterator[Feed]:
    """Kinds of array to try: NumPy's, and PyTorch's where that is in use."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield NUMPY
        return
    if isinstance(function, torch.nn.Module):
        weights = [*function.parameters(), *function.buffers()]
        kinds = [w.dtype for w in weights if w.dtype.is_floating_point][:1]
        yield from (_tensors(torch, kind) for kind in kinds or [torch.float64])
        return
    yield NUMPY
    yield _tensors(torch, torch.float64)
    yield _tensors(torch, torch.float32)


NUMPY = Feed(lambda x: x, is_numpy=True)


def _tensors(torch: Any, kind: Any) -> Feed:
    limits = torch.finfo(kind)
    # Sums and products of numbers between the roots of its limits stay in the type.
    return Feed(
        lambda x: torch.tensor(x, dtype=kind), math.sqrt(limits.tiny), math.sqrt(limits.max)
    )


def close(got: Array, expected: Array, tolerance: float) -> bool:
    """Whether two arrays agree, NaN with NaN, up to a share of their largest entry."""
    return not (~alike(got, expected, tolerance)).any()


def alike(got: Array, expected: Array, tolerance: float) -> Array:
    """Which entries of two arrays agree, as `close` compares them."""
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max(initial=0)))
    with np.errstate(invalid="ignore"):
        near = np.abs(got - expected) <= tolerance * scale
    found: Array = near | (got == expected) | (np.isnan(got) & np.isnan(expected))
    return found
