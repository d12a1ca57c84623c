"""Running a user function on symbols: its outputs as exact polynomials in its inputs.

A homework with loops, or a fast algorithm in NumPy, runs as it is: its arrays hold symbols instead
of numbers. Such a trace counts only where it is shown to be what runs on numbers:

- the same instructions of the user's own code, on every sample of numbers and every dtype;
- nothing refused, also where the function caught the refusal, and the same exceptions;
- pure: runs on new symbols and on numbers, in turn, agree, and nothing is kept between calls;
- the same values: the polynomials, evaluated exactly at wide samples, within rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import KindError
from convalg.kernels import kernel
from convalg.prove.decisions.polynomials import Polynomial, UntraceableError
from convalg.prove.functions import samples as numbers_tried
from convalg.prove.functions.instructions import (
    Codes,
    Observed,
    difference,
    global_randomness,
    observe,
    observe_each,
)
from convalg.prove.functions.outputs import Pick, Picked, one_output
from convalg.prove.functions.samples import Bounds, NumberSample
from convalg.prove.functions.state import fingerprint
from convalg.prove.functions.symbol_arrays import SymbolArray, array_of, polynomial_of
from convalg.prove.functions.symbols import FLOAT, SymbolParts, is_one, parts, symbol

Function = Callable[..., Any]

MANY_INSTRUCTIONS = 300_000
"""From here on a run is slow, and fewer samples are tried."""

FEW_INSTRUCTIONS = 2_000
"""Up to here every run on numbers is followed."""

OTHERWISE = "on numbers the function returns something else than on symbols"


@dataclass(frozen=True, eq=False)
class Trace:
    """What a function returns for all inputs: arrays of polynomials, by the names of the outputs.

    `notes`: what the scope has to say, such as the dtypes that it rounds to.
    """

    outputs: dict[str, Array]
    notes: tuple[str, ...] = ()


def unknowns(shape: tuple[int, ...], name: str) -> Array:
    """An array of new unknowns, each a polynomial, shown as `ca.kernel` names symbols."""
    symbols = kernel(*shape, name=name)
    return np.frompyfunc(lambda made: Polynomial.unknown(made.name), 1, 1)(np.asarray(symbols))


def symbols_of(held: Any, size: Array | None = None, dtype: np.dtype[Any] = FLOAT) -> SymbolArray:
    """The array of symbols that a function gets, from an array of polynomials."""
    found = np.empty(held.shape, dtype=object)
    for place in np.ndindex(held.shape):
        bound = 1.0 if size is None else size[place]
        found[place] = symbol(SymbolParts(held[place], bound, 0, 0.0, dtype))
    return array_of(found, dtype)


def traced(f: Function, *arrays: Array) -> Any:
    """What f returns on symbols, from one run that is not compared with numbers.

    Raises: UntraceableError when f does with a symbol what no polynomial can follow.
    """
    seen = observe(f, [symbols_of(array) for array in arrays], Codes(), symbolic=True)
    reason = _reason(seen)
    if reason:
        raise UntraceableError(reason)
    if seen.error is not None:
        raise seen.error
    return seen.result


def polynomials(values: Any) -> Array:
    """An array of polynomials from what f returned.

    Raises: UntraceableError when it is not an array of numbers and symbols.
    """
    (array,) = one_output(None)(values).arrays.values()
    return np.frompyfunc(polynomial_of, 1, 1)(array) if array.size else array


def trace(f: Function, inputs: list[Array], pick: Pick) -> Trace:
    """What f returns for all inputs, shown to be what it returns on numbers.

    `inputs`: an array of unknowns for each argument. `pick`: which of the values returned.

    Raises: UntraceableError with the reason where that cannot be shown.
    """
    return _Tracing(f, inputs, pick).run()


def _renewed(held: Any) -> Array:
    """An array of new unknowns in the place of others."""
    found = np.empty(held.shape, dtype=object)
    for place in np.ndindex(held.shape):
        found[place] = Polynomial.unknown("u")
    return found


class ImpureError(UntraceableError):
    """A function whose result depends on more than its arguments: numbers tell nothing either."""


class BudgetError(UntraceableError):
    """A function that executes too many instructions."""


class _Tracing:
    """The runs that one trace rests on."""

    def __init__(self, f: Function, inputs: list[Array], pick: Pick) -> None:
        self.f, self.inputs, self.pick = f, inputs, pick
        self.shapes = [array.shape for array in inputs]
        self.codes = Codes()
        self.bounds: dict[str, Bounds] = {}
        self.samples = numbers_tried.samples(self.shapes)
        self.sizes = [numbers_tried.sizes(self.samples, k) for k in range(len(inputs))]

    def run(self) -> Trace:
        """Run on symbols and numbers in turn, and compare."""
        f, first = self.f, self.samples[0]
        # Tables of indices and the like may be kept from the first call on.
        earliest = self.on_numbers(first)  # Followed: it finds the modules of the function.
        drawn = global_randomness()
        symbols = self.on_symbols(self.inputs)
        reason = _reason(symbols)
        if reason:
            raise (BudgetError if symbols.spent else UntraceableError)(reason)
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
            raise ImpureError("the function has memory: what it holds is not the same after a call")
        notes = self._compare(symbols, numbers)
        outputs = {name: _polynomials(array) for name, array in symbols.result.arrays.items()}
        if any(_is_unwritten(p) for array in outputs.values() for p in array.ravel()):
            raise UntraceableError("the function returns memory that it did not write")
        return Trace(outputs, notes)

    def on_symbols(
        self,
        inputs: list[Array],
        dtype: np.dtype[Any] = FLOAT,
        bounded: bool = True,
        **options: Any,
    ) -> Observed:
        """One run on symbols that stand for arrays of a dtype; options are those of `observe`.

        `bounded`: whether to keep bounds of the intermediate results, to compare numbers with.
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
            **options,
        )

    def on_numbers(self, sample: NumberSample, effects: bool = False, **options: Any) -> Observed:
        """One run on numbers; options are those of `observe`."""
        return observe(
            self.f,
            sample.copies(),
            self.codes,
            symbolic=False,
            collect=self.pick,
            effects=effects,
            **options,
        )

    def _explain(self, error: BaseException, numbers: Observed) -> None:
        """Raise what the function raised on symbols: its own error, where numbers raise it too."""
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
            if seen.spent:
                raise BudgetError(_SPENT)

    def _need_same_way(self, symbols: Observed, numbers: Observed, sample: NumberSample) -> None:
        """Raises: UntraceableError where numbers take another way through the function."""
        if numbers.error is not None:
            raise UntraceableError(
                f"the function raises {type(numbers.error).__name__} on arrays of {sample.dtype}: "
                f"{numbers.error}"
            )
        place = difference(symbols, numbers)
        if place is not None:
            raise UntraceableError(
                f"the function runs other code on symbols than on arrays of {sample.dtype} (line "
                f"{symbols.line(max(place - 1, 0))})"
            )
        caught = sorted(name for name, _ in symbols.raised - numbers.raised)
        if caught:
            raise UntraceableError(
                f"{caught[0]} is raised on symbols, and not on arrays of {sample.dtype}"
            )

    def _need_agreement(
        self,
        symbols: Observed,
        again: Observed,
        fresh: list[Array],
        numbers: Observed,
        repeated: Observed,
    ) -> None:
        """Raises: UntraceableError where two runs on equal inputs differ."""
        reason = _reason(again)
        if reason or again.error or repeated.error or repeated.spent:
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
        """Compare all samples; returns what the scope has to say."""
        notes = [symbols.result.note] if symbols.result.note else []
        lowered = [name for name in symbols.run.lowered if np.dtype(name).kind == "f"]
        notes += [f"writes into {name}" for name in sorted(lowered)]
        self.bounds = {
            name: Bounds(held, self.inputs, self.samples, symbols.run.lowered)
            for name, held in symbols.result.arrays.items()
        }
        few = symbols.executed > MANY_INSTRUCTIONS
        tried = self.samples[: 4 if few else None]
        all_runs = [numbers, *self._on_others(symbols, tried[1:])]
        for place, (sample, seen) in enumerate(zip(tried, all_runs, strict=True)):
            self._need_pure(symbols, [seen])
            note = self._compare_one(symbols, seen, place, sample)
            if note and note not in notes:
                notes.append(note)
        return tuple(notes)

    def _on_others(self, symbols: Observed, tried: list[NumberSample]) -> list[Observed]:
        """Runs on samples after the first one.

        All are followed where the function is short. Else those are that can take another way
        without asking a symbol for its value: the first of each dtype, and wide floats.
        """
        short = symbols.executed <= FEW_INSTRUCTIONS
        first = {sample.dtype: sample for sample in reversed(tried)}
        inputs = ((sample.copies(), short or first[sample.dtype] is sample) for sample in tried)
        modules = list(symbols.modules.values())
        return observe_each(self.f, inputs, self.codes, self.pick, modules)

    def _compare_one(
        self, symbols: Observed, seen: Observed, place: int, sample: NumberSample
    ) -> str:
        """Compare one sample with the trace; a dtype of its own may need a trace of its own."""
        own = sample.dtype != FLOAT
        if own and seen.error is not None:
            # What is refused is never a wrong number.
            return self._refused(symbols, seen, sample)
        if not seen.steps and symbols.steps and seen.error is None:
            pass  # Not followed: the values tell.
        elif own and difference(symbols, seen) is not None:
            own_trace = self._own_trace(symbols, sample)
            self._need_same_way(own_trace, seen, sample)
        else:
            self._need_same_way(symbols, seen, sample)
        if not sample.compared:
            return ""
        where = _differs(symbols, seen, self.bounds, place)
        if where is None:
            return ""
        if sample.dtype.kind in "iu" and self._own_trace(symbols, sample).run.lowered:
            return "arrays of floats: arrays of integers are truncated"
        raise UntraceableError(f"{OTHERWISE} (arrays of {sample.dtype}, {where})")

    def _refused(self, symbols: Observed, seen: Observed, sample: NumberSample) -> str:
        if sample.dtype.kind == "f" and sample.dtype.itemsize > 2:
            self._need_same_way(symbols, seen, sample)
        if sample.dtype == np.int64:
            return f"arrays of floats: arrays of integers raise {type(seen.error).__name__}"
        return ""

    def _own_trace(self, symbols: Observed, sample: NumberSample) -> Observed:
        """The run on symbols that stand for a sample's dtype; it has to return the same."""
        seen = self.on_symbols(self.inputs, sample.dtype)
        reason = _reason(seen) or (seen.error and str(seen.error))
        if reason:
            raise UntraceableError(f"on arrays of {sample.dtype} the function differs: {reason}")
        if not _same_polynomials(symbols.result, seen.result, {}):
            raise UntraceableError(f"the function returns something else on {sample.dtype}")
        return seen


_MEMORY = (
    "the function returns another result when it is called again: it has memory, or draws random "
    "numbers"
)
_SPENT = "budget spent: the function executes too many instructions; try a smaller size"


def _reason(seen: Observed) -> str:
    """Why a run on symbols is not a trace, or ""."""
    if seen.spent:
        return _SPENT
    if isinstance(seen.error, UntraceableError) and not seen.run.refused:
        return str(seen.error)
    if not seen.run.refused:
        return ""
    went_on = not isinstance(seen.error, UntraceableError)
    return seen.run.refused[0] + (", and goes on without it" if went_on else "")


def _kept(found: Picked) -> Picked:
    """The parts of the symbols that were returned, before anything else changes their arrays."""
    return Picked({name: _parts_of(array) for name, array in found.arrays.items()}, found.note)


def _parts_of(array: Any) -> Array:
    found = np.empty(array.shape, dtype=object)
    for place in np.ndindex(array.shape):
        value = array[place]
        if is_one(value):
            found[place] = parts(value)
        else:
            made = polynomial_of(value)
            size = float(sum(abs(v) for v in made.terms.values()))
            found[place] = SymbolParts(made, size, 1, 0.0, FLOAT)
    return found


def _polynomials(held: Any) -> Array:
    found = np.empty(held.shape, dtype=object)
    for place in np.ndindex(held.shape):
        found[place] = held[place].polynomial
    return found


def _is_unwritten(polynomial: Polynomial) -> bool:
    return any(g[0] == "(unwritten)" and g[1] for g in polynomial.generators)


def _same_polynomials(left: Picked, right: Picked, names: dict[Any, Any]) -> bool:
    """Whether two runs on symbols returned the same; `names` leads from one's unknowns on."""
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


def _identical(left: Any, right: Any) -> bool:
    return bool(left == right) or (left != left and right != right)


def _differs(
    symbols: Observed,
    seen: Observed,
    bounds: dict[str, Bounds],
    place: int,
) -> str | None:
    """Where numbers differ from the trace by more than rounding, in words; None where nowhere."""
    if symbols.result.arrays.keys() != seen.result.arrays.keys():
        return "other outputs"
    for name, held in symbols.result.arrays.items():
        found = seen.result.arrays[name]
        if found.shape != held.shape:
            return f"{name} of shape {found.shape} instead of {held.shape}"
        if not bounds[name].fits[place]:
            continue
        index = bounds[name].first_difference(found, place)
        if index is not None:
            return f"{name} at {index}"
    return None


def arity(f: Function, allowed: tuple[int, ...], signature: str) -> int:
    """How many positional arguments f takes, one of those allowed.

    Raises: KindError for something that cannot be called, or called like that.
    """
    if not callable(f):
        raise KindError(f"a function {signature} is wanted, not {f!r}")
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
    raise KindError(f"a function {signature} is wanted, but this one needs {needed} arguments")
