"""Numeric trials of functions that cannot be traced; they may refute a claim, but not prove it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import UntraceableError
from convalg.prove.functions import samples
from convalg.prove.functions.frames import Function
from convalg.prove.functions.instructions import MOST_INSTRUCTIONS, Codes, observe
from convalg.prove.functions.outputs import Pick
from convalg.prove.functions.trace import BudgetError, ImpureError
from convalg.prove.verdict import Counterexample, Verdict

TRIES = 40
# The rounding error allowed between a function and exact numbers, by the dtype that it returns.
TOLERANCE = {np.dtype(np.float16): 5e-2, np.dtype(np.float32): 1e-3}
USUAL = 1e-8


class Trials:
    """Runs of a function on numbers, which share one budget of instructions."""

    def __init__(self, f: Function, pick: Pick, error: UntraceableError | None = None) -> None:
        self.f, self.pick, self.error = f, pick, error
        self.tolerance = USUAL
        self.codes = Codes()
        self.executed = 0
        self.runs = 0

    def run(self, arrays: list[Array]) -> dict[str, Array]:
        """Return the outputs for some arrays, as arrays of objects.

        Raises: UntraceableError when the budget is exceeded, or when the function raises an error.
        """
        if isinstance(self.error, (ImpureError, BudgetError)):
            raise self.error
        seen = observe(
            self.f,
            [array.copy() for array in arrays],
            self.codes,
            symbolic=False,
            collect=self.pick,
            effects=False,
        )
        self.executed += seen.executed
        self.runs += 1
        if seen.over_budget or self.executed > MOST_INSTRUCTIONS:
            raise UntraceableError(
                f"budget exceeded after {self.runs} inputs: the function executes too many "
                f"instructions: try a smaller size"
            )
        if isinstance(seen.error, UntraceableError):
            raise seen.error
        if seen.error is not None:
            raise UntraceableError(
                f"for numeric inputs, the function raises {type(seen.error).__name__}: {seen.error}"
            ) from seen.error
        outputs: dict[str, Array] = seen.result.arrays
        return outputs

    def floats(self, arrays: list[Array]) -> dict[str, Array]:
        """Return the outputs for some arrays as floats.

        Raises: UntraceableError where they are not real numbers; see `run`.
        """
        outputs = self.run(arrays)
        kinds = {getattr(v, "dtype", None) for a in outputs.values() for v in a.ravel()[:1]}
        self.tolerance = max((TOLERANCE.get(kind, USUAL) for kind in kinds), default=USUAL)
        return {name: _floats(name, array) for name, array in outputs.items()}

    def inputs(self, shapes: list[tuple[int, ...]]) -> Iterator[list[Array]]:
        """Yield small integers, then samples of a wide range, then arrays of integers."""
        random = np.random.default_rng(0)
        for _ in range(TRIES):
            yield [random.integers(-4, 5, shape).astype(float) for shape in shapes]
        wide = samples.samples(shapes)
        for kind in (np.float64, np.int64):
            for sample in wide:
                # The largest half-precision number is 65504.
                most = 1e30 if self.tolerance == USUAL else 1e3
                if sample.dtype == kind and _moderate(sample, most):
                    yield sample.copies()

    def pairs(
        self, small: Iterable[tuple[Array, Array]], shape: tuple[int, ...]
    ) -> Iterator[tuple[Array, Array]]:
        """Yield pairs of small integers, then of samples of a wide range."""
        for number, (left, right) in enumerate(small):
            if number >= TRIES * 2:
                break
            yield left.astype(float), right.astype(float)
        wide = [
            sample.arrays[0]
            for sample in samples.samples([shape])
            if sample.dtype == np.float64
            and _moderate(sample, 1e30 if self.tolerance == USUAL else 1e3)
        ]
        for left, right in pairwise(wide):
            yield left, right
        for values in wide:
            yield values, values

    def refuted(
        self,
        claim: str,
        scope: str,
        method: str,
        witness: Counterexample,
        inputs: list[list[Array]],
    ) -> Verdict:
        """Return "refuted" if the function gives the same results again, else "unknown"."""
        for arrays in inputs:
            first, second = self.run(arrays), self.run(arrays)
            same = first.keys() == second.keys() and all(
                differ_at_all(first[name], second[name]) is False for name in first
            )
            if not same:
                reason = "the function returns a different result when it is called again"
                return Verdict("unknown", claim, scope, method, reason=reason)
        return Verdict("refuted", claim, scope, method, witness)


def _moderate(sample: samples.NumberSample, most: float = 1e30) -> bool:
    """Whether products of a few numbers of a sample stay within the range of floats."""
    return all(np.all(np.abs(array.astype(float)) < most) for array in sample.arrays)


def _floats(name: str, array: Array) -> Array:
    for value in array.ravel():
        if isinstance(value, (str, bytes)) or getattr(value, "imag", 0) != 0:
            raise UntraceableError(
                f"for numeric inputs, the function returns {value!r}, which is not a real number"
            )
    try:
        return np.array([float(getattr(v, "real", v)) for v in array.ravel()]).reshape(array.shape)
    except (TypeError, ValueError):
        raise UntraceableError(
            f"{name} is not an array of numbers: for numeric inputs, the function returns "
            f"{array.tolist()!r:.80}"
        ) from None


def differ(left: Array, right: Array, tolerance: float = USUAL) -> bool:
    """Return whether two arrays of floats differ by more than rounding errors."""
    if left.shape != right.shape:
        return True
    sizes = np.abs(np.concatenate([left.ravel(), right.ravel()]))
    scale = max(1.0, float(np.max(sizes[np.isfinite(sizes)], initial=0)))
    return not bool(np.allclose(left, right, rtol=0, atol=tolerance * scale, equal_nan=True))


def differ_at_all(left: Array, right: Array) -> bool:
    """Return whether two arrays of objects differ; NaN is equal to NaN."""
    return left.shape != right.shape or any(
        not (a == b or (a != a and b != b))
        for a, b in zip(left.ravel(), right.ravel(), strict=True)
    )


def first_gap(left: Array, right: Array) -> tuple[tuple[int, ...] | None, Any, Any]:
    """Return the index at which two arrays differ most, with both values.

    For arrays of different shapes: None and the two shapes as text.
    """
    if left.shape != right.shape:
        return None, f"shape {left.shape}", f"shape {right.shape}"
    gap = np.nan_to_num(np.abs(left - right), nan=np.inf)
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(gap)), left.shape))
    return index, left[index].item(), right[index].item()
