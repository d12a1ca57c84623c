"""Call a user function with the type of array and the form of batch that it accepts."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.recognise.inputs import INTEGERS
from convalg.size import size_product

Function = Callable[[Any], object]

CHUNK = 2**21
"""Most numbers that are passed to a function in one call."""

REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The exceptions by which a function may refuse an argument."""


@dataclass(frozen=True)
class Feed:
    """The conversion of an input to the type that a function accepts.

    `least`, `largest`: the range of magnitudes of that type. `is_numpy`: whether the type is a
    NumPy array of float64.
    """

    convert: Callable[[Array], Any]
    least: float = 0.0
    largest: float = math.inf
    is_numpy: bool = False

    def __call__(self, x: Array) -> Any:
        """Convert the input to the type that the function accepts."""
        return self.convert(x)


@dataclass(frozen=True, eq=False)
class Probe:
    """A user function, called with fresh arrays in the form of batch that it accepts.

    `form`: "batch" (all samples in one call), "single" (one sample in each call) or "one" (a batch
    of one sample in each call). `tolerance`: a bound on the rounding of the output, relative to its
    largest entry. `alone`: the same function with one sample in each call, if `form` is "batch".
    """

    function: Function
    feed: Feed
    form: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    tolerance: float
    alone: Probe | None = None

    def __call__(self, x: Array) -> Array:
        """Return the outputs `(samples, *out_shape)` for x `(samples, *in_shape)`.

        Raises: ArgumentError if the function raises, ShapeError if its output shape changes.
        """
        step = max(1, CHUNK // size_product(self.in_shape))
        parts = [self._some(x[k : k + step]) for k in range(0, len(x), step)]
        return np.concatenate(parts)

    def _some(self, x: Array) -> Array:
        """Return the outputs for inputs that are few enough for one call."""
        match self.form:
            case "batch":
                parts = [self._call(x)]
            case "one":
                parts = [self._call(sample[None]) for sample in x]
            case _:
                parts = [self._call(sample)[None] for sample in x]
        expected = (len(x) // len(parts), *self.out_shape)
        for part in parts:
            if part.size != size_product(expected):
                raise ShapeError(
                    f"f must return arrays of one shape, but it returned {part.shape} for some "
                    f"inputs and {expected} for others"
                )
        return np.concatenate([part.reshape(expected) for part in parts])

    def _call(self, x: Array) -> Array:
        """Return the output of one call."""
        try:
            answer = call(self.function, self.feed, x)
        except REFUSALS as error:
            raise ArgumentError(
                f"f must accept all real inputs of shape {x.shape}, but it raised "
                f"{type(error).__name__} ({error}) for some of them"
            ) from error
        return as_output(answer)[0]


def call(function: Function, feed: Feed, x: Array) -> object:
    """Return the result of a function for a copy of x, without its output and warnings."""
    output = io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        return function(feed(x.copy()))


def as_output(answer: object) -> tuple[Array, float]:
    """Return the output of a function as a new array of floats, and the rounding of its type.

    Raises: KindError for anything but an array of real numbers, ShapeError for an empty one.
    """
    if hasattr(answer, "detach"):
        answer = answer.detach()
    try:
        array = np.asarray(answer)
        if array.dtype.kind == "O":
            array = np.array([float(v) for v in array.ravel()]).reshape(array.shape)
    except REFUSALS as error:
        raise KindError(
            f"f must return an array of numbers, not an object of type "
            f"{type(answer).__name__} ({error})"
        ) from None
    if array.dtype.kind == "c":
        raise KindError(
            f"f must return real numbers, not {array.dtype}: identify the real and the imaginary "
            f"part separately, as lambda x: f(x).real and lambda x: f(x).imag"
        )
    if array.dtype.kind not in "biuf":
        raise KindError(f"f must return an array of real numbers, not of dtype {array.dtype}")
    if not array.size:
        raise ShapeError(
            f"f must return at least one number, not an empty array of shape {array.shape}"
        )
    rounding = float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
    return np.array(array, dtype=float), rounding


def probe(function: Function, in_shape: tuple[int, ...]) -> Probe:
    """Return a function with the type of array and the form of batch that it accepts.

    Raises: KindError if it accepts no type and form, or does not return real numbers.
    """
    # Samples of different sizes expose functions that scale a batch by its largest number.
    sample = INTEGERS.samples(in_shape, seed=5, count=3)
    sample *= np.array([1, 1 / 8, 1024]).reshape(-1, *(1,) * len(in_shape))
    refusal = None
    for feed in _feeds(function):
        for form, x in _forms(function, sample):
            try:
                answer = call(function, feed, x)
            except REFUSALS as error:
                refusal = refusal or error
                continue
            value, rounding = as_output(answer)
            has_batch = form == "one" and value.shape[:1] == (1,)
            after = value.shape[1:] if has_batch else value.shape
            tolerance = rounding_bound(max(rounding, float(np.finfo(float).eps)))
            single = Probe(function, feed, form, in_shape, after or (1,), tolerance)
            batched = Probe(function, feed, "batch", in_shape, after or (1,), tolerance, single)
            return batched if _takes_batches(single, batched, sample) else single
    raise KindError(
        f"f must accept an array of in_shape {in_shape}, or a batch of one such array, but it "
        f"raised {type(refusal).__name__} ({refusal}): pass the shape of one input as in_shape"
    ) from refusal


def _forms(function: object, sample: Array) -> list[tuple[str, Array]]:
    """Return the forms "single" and "one" with an input each; for a PyTorch module, "one" first."""
    forms = [("single", sample[0]), ("one", sample[:1])]
    torch = sys.modules.get("torch")
    is_module = torch is not None and isinstance(function, torch.nn.Module)
    return forms[::-1] if is_module else forms


def _takes_batches(single: Probe, batched: Probe, samples: Array) -> bool:
    """Whether a batch has the same outputs as its samples one by one."""
    try:
        together = as_output(call(batched.function, batched.feed, samples))[0]
    except (*REFUSALS, KindError, ShapeError):
        return False
    if together.shape[:1] != (3,) or together.size != 3 * size_product(single.out_shape):
        return False
    alone = single(samples)
    pairs = zip(together.reshape(alone.shape), alone, strict=True)
    return all(close(*pair, single.tolerance) for pair in pairs)


def _feeds(function: object) -> Iterator[Feed]:
    """Yield the types of array to try: NumPy arrays, and PyTorch tensors if PyTorch is loaded."""
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
"""The conversion to NumPy arrays, which changes nothing."""


def _tensors(torch: ModuleType, kind: object) -> Feed:
    """Return the conversion to PyTorch tensors of a dtype."""
    limits = torch.finfo(kind)
    # Products of numbers between the square roots of the limits stay in range.
    return Feed(
        lambda x: torch.tensor(x, dtype=kind), math.sqrt(limits.tiny), math.sqrt(limits.max)
    )


def rounding_bound(eps: float) -> float:
    """Return the relative difference that is allowed after arithmetic in a type of that epsilon."""
    bound: float = eps ** (2 / 3)
    return bound


def close(got: Array, expected: Array, tolerance: float) -> bool:
    """Whether two arrays are equal up to a fraction of the largest entry, NaN equal to NaN."""
    return not (~alike(got, expected, tolerance)).any()


def alike(got: Array, expected: Array, tolerance: float) -> Array:
    """Mark the entries that are equal in the sense of `close`."""
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max(initial=0)))
    with np.errstate(invalid="ignore"):
        near = np.abs(got - expected) <= tolerance * scale
    result: Array = near | (got == expected) | (np.isnan(got) & np.isnan(expected))
    return result
