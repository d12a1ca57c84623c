"""Running a user function on symbols: its outputs as exact polynomials in its inputs.

A function with loops, or a fast algorithm in NumPy, runs unchanged: its arrays hold symbols instead
of numbers. A trace is accepted only if it is shown to represent the runs on numbers:

- the user's own code executes the same instructions, for every sample of numbers and every dtype;
- symbols refuse no operation, not even within `try`, and the same exceptions are raised;
- the function is pure: alternating runs on new symbols and on numbers agree, and no state is kept
  between calls;
- the values agree: the polynomials, evaluated exactly at a wide range of samples, equal the numbers
  within rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import KindError
from convalg.kernels import kernel
from convalg.prove.decisions.polynomials import Generator, Polynomial, UntraceableError
from convalg.prove.functions import samples as numbers_tried
from convalg.prove.functions.frames import Function
from convalg.prove.functions.instructions import (
    Codes,
    Observed,
    difference,
    global_randomness,
    observe,
    observe_each,
)
from convalg.prove.functions.outputs import Pick, Picked
from convalg.prove.functions.samples import Bounds, NumberSample
from convalg.prove.functions.state import fingerprint
from convalg.prove.functions.symbol_arrays import SymbolArray, array_of, polynomial_of
from convalg.prove.functions.symbols import (
    FLOAT,
    DType,
    SymbolParts,
    is_symbol,
    parts,
    size_of,
    symbol,
)

MANY_INSTRUCTIONS = 300_000
"""For runs with more instructions than this, fewer samples are tried."""

FEW_INSTRUCTIONS = 2_000
"""With at most this many instructions, every run on numbers is traced."""

OTHERWISE = "the function returns different values on numbers than on symbols"


@dataclass(frozen=True, eq=False)
class Trace:
    """The outputs of a function for all inputs: arrays of polynomials by output name.

    `notes`: additions to the scope, such as the dtypes that the function rounds to.
    """

    outputs: dict[str, Array]
    notes: tuple[str, ...] = ()


def unknowns(shape: tuple[int, ...], name: str) -> Array:
    """Return an array of new unknowns, each a polynomial, with the names of `ca.kernel`."""
    symbols = kernel(*shape, name=name)
    unknown = np.frompyfunc(lambda symbol: Polynomial.unknown(symbol.name), 1, 1)
    array: Array = unknown(np.asarray(symbols))
    return array


def symbols_of(held: Array, size: Array | None = None, dtype: DType = FLOAT) -> SymbolArray:
    """Return the array of symbols for an array of polynomials, as an argument of a function."""
    symbols = np.empty(held.shape, dtype=object)
    for index, polynomial in np.ndenumerate(held):
        bound = 1.0 if size is None else size[index]
        symbols[index] = symbol(SymbolParts(polynomial, bound, 0, 0.0, dtype))
    return array_of(symbols, dtype)


def traced(f: Function, *arrays: Array) -> Any:
    """Return the result of one run of f on symbols, which is not compared with numbers.

    Raises: UntraceableError when f applies an operation whose result is not a polynomial.
    """
    seen = observe(f, [symbols_of(array) for array in arrays], Codes(), symbolic=True)
    reason = _reason(seen)
    if reason:
        raise UntraceableError(reason)
    if seen.error is not None:
        raise seen.error
    return seen.result


def trace(f: Function, inputs: list[Array], pick: Pick) -> Trace:
    """Return the outputs of f for all inputs, checked against its outputs on numbers.

    `inputs`: an array of unknowns for each argument. `pick`: selects the outputs to compare.

    Raises: UntraceableError with the reason if the trace cannot be shown to be valid.
    """
    return _Tracing(f, inputs, pick).run()


def _renewed(held: Array) -> Array:
    """Return an array of new unknowns of the same shape."""
    renewed = np.empty(held.shape, dtype=object)
    for index in np.ndindex(held.shape):
        renewed[index] = Polynomial.unknown("u")
    return renewed


class ImpureError(UntraceableError):
    """The result depends on more than the arguments: trials on numbers cannot refute a claim."""


class BudgetError(UntraceableError):
    """The function executes too many instructions."""


class _Tracing:
    """The runs that one trace is based on."""

    def __init__(self, f: Function, inputs: list[Array], pick: Pick) -> None:
        self.f, self.inputs, self.pick = f, inputs, pick
        self.shapes = [array.shape for array in inputs]
        self.codes = Codes()
        self.bounds: dict[str, Bounds] = {}
        self.samples = numbers_tried.samples(self.shapes)
        self.sizes = [numbers_tried.sizes(self.samples, k) for k in range(len(inputs))]

    def run(self) -> Trace:
        """Run alternately on symbols and numbers, and compare."""
        f, first = self.f, self.samples[0]
        # The first call may fill caches; tracing it finds the modules that the function uses.
        earliest = self.on_numbers(first)
        drawn = global_randomness()
        symbols = self.on_symbols(self.inputs)
        reason = _reason(symbols)
        if reason:
            raise (BudgetError if symbols.over_budget else UntraceableError)(reason)
        numbers = self.on_numbers(first, effects=True)
        if symbols.error is not None:
            self._explain(symbols.error, numbers)
        modules, names = list(symbols.modules.values()), symbols.names | numbers.names
        before = fingerprint(f, modules, names)
        fresh = [_renewed(array) for array in self.inputs]
        again = self.on_symbols(fresh, bounded=False, follow=False, modules=modules)
        repeated = self.on_numbers(first, effects=True, follow=False, modules=modules)
        after = fingerprint(f, modules, names)
        if global_randomness() != drawn:
            numbers.run.effects.append("draws random numbers")
        self._need_pure(symbols, [symbols, numbers, again, repeated])
        if numbers.error is None:
            self._need_agreement(symbols, again, fresh, numbers, repeated)
            if earliest.error is not None or not _same_numbers(earliest.result, numbers.result):
                raise ImpureError(_MEMORY)
        self._need_same_way(symbols, numbers, first)
        if before != after:
            raise ImpureError(
                "the function keeps state: the data that it holds changed after a call"
            )
        notes = self._compare(symbols, numbers)
        outputs = {name: _polynomials(array) for name, array in symbols.result.arrays.items()}
        if any(_is_unwritten(p) for array in outputs.values() for p in array.ravel()):
            raise UntraceableError("the function returns uninitialised memory")
        return Trace(outputs, notes)

    def on_symbols(
        self,
        inputs: list[Array],
        dtype: DType = FLOAT,
        bounded: bool = True,
        follow: bool = True,
        modules: Iterable[dict[str, object]] = (),
    ) -> Observed:
        """Run on symbols that represent arrays of a dtype.

        `bounded`: whether to compute bounds of intermediate results, for the comparison with
        numbers. `follow`, `modules`: as in `observe`.
        """
        given = [
            symbols_of(array, size if bounded else None, dtype)
            for array, size in zip(inputs, self.sizes, strict=True)
        ]
        return observe(
            self.f,
            given,
            self.codes,
            symbolic=True,
            collect=lambda result: _kept(self.pick(result)),
            follow=follow,
            modules=modules,
        )

    def on_numbers(
        self,
        sample: NumberSample,
        effects: bool = False,
        follow: bool = True,
        modules: Iterable[dict[str, object]] = (),
    ) -> Observed:
        """Run on a sample of numbers; `effects`, `follow` and `modules` are as in `observe`."""
        return observe(
            self.f,
            sample.copies(),
            self.codes,
            symbolic=False,
            collect=self.pick,
            effects=effects,
            follow=follow,
            modules=modules,
        )

    def _explain(self, error: BaseException, numbers: Observed) -> None:
        """Raise the error of the function itself if numbers raise it too, else UntraceableError."""
        if numbers.error is not None and not isinstance(numbers.error, UntraceableError):
            works_on_objects = (
                observe(
                    self.f,
                    [array.astype(object) for array in self.samples[2].copies()],
                    self.codes,
                    symbolic=False,
                    collect=self.pick,
                ).error
                is None
            )
            if not works_on_objects:
                raise numbers.error
        raise UntraceableError(
            f"the function cannot run on symbols: {type(error).__name__}: {error}"
        )

    def _need_pure(self, symbols: Observed, runs: list[Observed]) -> None:
        for seen in runs:
            if seen.run.effects:
                raise ImpureError(
                    f"the function {seen.run.effects[0]}: its result may depend on more than its "
                    f"input"
                )
            if seen.over_budget:
                raise BudgetError(_OVER_BUDGET)

    def _need_same_way(self, symbols: Observed, numbers: Observed, sample: NumberSample) -> None:
        """Raise UntraceableError if the run on numbers executed different code."""
        if numbers.error is not None:
            raise UntraceableError(
                f"the function raises {type(numbers.error).__name__} on arrays of {sample.dtype}: "
                f"{numbers.error}"
            )
        position = difference(symbols, numbers)
        if position is not None:
            raise UntraceableError(
                f"the function executes different code on symbols than on arrays of {sample.dtype} "
                f"(line {symbols.line(max(position - 1, 0))})"
            )
        caught = sorted(name for name, _ in symbols.raised - numbers.raised)
        if caught:
            raise UntraceableError(
                f"{caught[0]} is raised on symbols, but not on arrays of {sample.dtype}"
            )

    def _need_agreement(
        self,
        symbols: Observed,
        again: Observed,
        fresh: list[Array],
        numbers: Observed,
        repeated: Observed,
    ) -> None:
        """Raise UntraceableError if two runs on equal inputs differ."""
        reason = _reason(again)
        if reason or again.error or repeated.error or repeated.over_budget:
            raise ImpureError(f"{_MEMORY} ({reason or again.error or repeated.error})")
        names = {
            new: old
            for array, other in zip(fresh, self.inputs, strict=True)
            for a, b in zip(array.ravel(), other.ravel(), strict=True)
            for new, old in zip(a.generators, b.generators, strict=True)
        }
        same = _same_polynomials(symbols.result, again.result, names) and _same_numbers(
            numbers.result, repeated.result
        )
        if not same:
            raise ImpureError(_MEMORY)

    def _compare(self, symbols: Observed, numbers: Observed) -> tuple[str, ...]:
        """Compare all samples; return the notes for the scope."""
        notes = [symbols.result.note] if symbols.result.note else []
        lowered = [name for name in symbols.run.lowered if np.dtype(name).kind == "f"]
        notes += [f"writes into arrays of {name}" for name in sorted(lowered)]
        self.bounds = {
            name: Bounds(held, self.inputs, self.samples, symbols.run.lowered)
            for name, held in symbols.result.arrays.items()
        }
        few = symbols.executed > MANY_INSTRUCTIONS
        tried = self.samples[: 4 if few else None]
        all_runs = [numbers, *self._on_others(symbols, tried[1:])]
        for number, (sample, seen) in enumerate(zip(tried, all_runs, strict=True)):
            self._need_pure(symbols, [seen])
            note = self._compare_one(symbols, seen, number, sample)
            if note and note not in notes:
                notes.append(note)
        return tuple(notes)

    def _on_others(self, symbols: Observed, tried: list[NumberSample]) -> list[Observed]:
        """Run on the samples after the first one.

        All runs of a short function are traced. If the function is longer, only those runs are
        traced that may execute different code without using the value of a symbol: the first run
        of each dtype.
        """
        short = symbols.executed <= FEW_INSTRUCTIONS
        first = {sample.dtype: sample for sample in reversed(tried)}
        inputs = ((sample.copies(), short or first[sample.dtype] is sample) for sample in tried)
        modules = list(symbols.modules.values())
        return observe_each(self.f, inputs, self.codes, self.pick, modules)

    def _compare_one(
        self, symbols: Observed, seen: Observed, number: int, sample: NumberSample
    ) -> str:
        """Compare the run on a sample with the trace.

        A dtype other than float64 may need its own trace.
        """
        own = sample.dtype != FLOAT
        if own and seen.error is not None:
            # A function that raises an error does not return a wrong number.
            return self._refused(symbols, seen, sample)
        if not seen.steps and symbols.steps and seen.error is None:
            pass  # Not traced: only the values are compared.
        elif own and difference(symbols, seen) is not None:
            own_trace = self._own_trace(symbols, sample)
            self._need_same_way(own_trace, seen, sample)
        else:
            self._need_same_way(symbols, seen, sample)
        if not sample.compared:
            return ""
        where = _differs(symbols, seen, self.bounds, number)
        if where is None:
            return ""
        if sample.dtype.kind in "iu" and self._own_trace(symbols, sample).run.lowered:
            return "only arrays of floats: arrays of integers are truncated"
        raise UntraceableError(f"{OTHERWISE} (arrays of {sample.dtype}, {where})")

    def _refused(self, symbols: Observed, seen: Observed, sample: NumberSample) -> str:
        if sample.dtype.kind == "f" and sample.dtype.itemsize > 2:
            self._need_same_way(symbols, seen, sample)
        if sample.dtype == np.int64:
            return f"only arrays of floats: arrays of integers raise {type(seen.error).__name__}"
        return ""

    def _own_trace(self, symbols: Observed, sample: NumberSample) -> Observed:
        """Return the run on symbols of the dtype of a sample.

        Raises: UntraceableError if its result is not the same as for float64.
        """
        seen = self.on_symbols(self.inputs, sample.dtype)
        reason = _reason(seen) or (seen.error and str(seen.error))
        if reason:
            raise UntraceableError(
                f"for arrays of {sample.dtype} the function cannot be traced: {reason}"
            )
        if not _same_polynomials(symbols.result, seen.result, {}):
            raise UntraceableError(
                f"the function returns different values for arrays of {sample.dtype}"
            )
        return seen


_MEMORY = (
    "the function returns a different result when it is called again: it keeps state or draws "
    "random numbers"
)
_OVER_BUDGET = "budget exceeded: the function executes too many instructions: try a smaller size"


def _reason(seen: Observed) -> str:
    """Return the reason why a run on symbols is not a valid trace, or ""."""
    if seen.over_budget:
        return _OVER_BUDGET
    if isinstance(seen.error, UntraceableError) and not seen.run.refused:
        return str(seen.error)
    if not seen.run.refused:
        return ""
    went_on = not isinstance(seen.error, UntraceableError)
    return seen.run.refused[0] + (", and continues after the error" if went_on else "")


def _kept(picked: Picked) -> Picked:
    """Copy the parts of the returned symbols before anything else changes their arrays."""
    return Picked({name: _parts_of(array) for name, array in picked.arrays.items()}, picked.note)


def _parts_of(array: Array) -> Array:
    held = np.empty(array.shape, dtype=object)
    for index, value in np.ndenumerate(array):
        if is_symbol(value):
            held[index] = parts(value)
        else:
            made = polynomial_of(value)
            held[index] = SymbolParts(made, size_of(made), 1, 0.0, FLOAT)
    return held


def _polynomials(held: Array) -> Array:
    polynomials = np.empty(held.shape, dtype=object)
    for index, entry in np.ndenumerate(held):
        polynomials[index] = entry.polynomial
    return polynomials


def _is_unwritten(polynomial: Polynomial) -> bool:
    return any(g[0] == "(unwritten)" and g[1] for g in polynomial.generators)


def _same_polynomials(left: Picked, right: Picked, names: Mapping[Generator, Generator]) -> bool:
    """Whether two runs on symbols returned the same polynomials.

    `names`: the unknown of the first run for each unknown of the second.
    """
    if left.arrays.keys() != right.arrays.keys():
        return False
    for name, array in left.arrays.items():
        other = right.arrays[name]
        if array.shape != other.shape:
            return False
        for a, b in zip(array.ravel(), other.ravel(), strict=True):
            terms = {
                tuple(sorted(names.get(g, g) for g in monomial)): value
                for monomial, value in b.polynomial.terms.items()
            }
            if terms != a.polynomial.terms and not _is_unwritten(a.polynomial):
                return False
    return True


def _same_numbers(left: Picked, right: Picked) -> bool:
    return left.arrays.keys() == right.arrays.keys() and all(
        left.arrays[name].shape == right.arrays[name].shape
        and all(
            _identical(a, b)
            for a, b in zip(left.arrays[name].ravel(), right.arrays[name].ravel(), strict=True)
        )
        for name in left.arrays
    )


def _identical(left: object, right: object) -> bool:
    return bool(left == right) or (left != left and right != right)


def _differs(
    symbols: Observed,
    seen: Observed,
    bounds: dict[str, Bounds],
    number: int,
) -> str | None:
    """Return where numbers differ from the trace by more than rounding, as text, or None."""
    if symbols.result.arrays.keys() != seen.result.arrays.keys():
        return "different outputs"
    for name, held in symbols.result.arrays.items():
        array = seen.result.arrays[name]
        if array.shape != held.shape:
            return f"{name} of shape {array.shape} instead of {held.shape}"
        if not bounds[name].fits[number]:
            continue
        index = bounds[name].first_difference(array, number)
        if index is not None:
            return f"{name} at {index}"
    return None


def arity(f: Function, allowed: tuple[int, ...], signature: str) -> int:
    """Return the number of positional arguments of f, which must be one of those allowed.

    Raises: KindError for an object that cannot be called with an allowed number of arguments.
    """
    if not callable(f):
        raise KindError(f"expected a function {signature}, not {f!r}")
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return allowed[0]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in positional)
    for count in allowed:
        if needed == count or (needed < count <= len(positional) and needed == 0):
            return count
    if any(p.kind == p.VAR_POSITIONAL for p in parameters) and needed <= allowed[0]:
        return allowed[0]
    raise KindError(f"expected a function {signature}, but this function needs {needed} arguments")
