"""Stand-ins while a user function runs on symbols: arrays that it creates can hold symbols.

np.zeros(3) is an array of floats, into which no symbol can be written. While a function runs on
symbols, the functions that create arrays of floats give arrays of symbols instead, to the user's
code in this thread only: by their names in NumPy, and by the names that the user's modules import
them under. `type` and `print` are replaced in the user's modules as well.
"""

from __future__ import annotations

import builtins
import functools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from threading import RLock
from types import FunctionType
from typing import Any

import numpy as np

from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.functions.frames import active, sees_numbers, symbolic_run
from convalg.prove.functions.symbol_arrays import (
    OBJECT,
    SymbolArray,
    array_of,
    holds_symbols,
    label_of,
    plain,
    shown,
    stored,
    wrapped,
)
from convalg.prove.functions.symbols import FLOAT, SymbolParts, is_one, parts, symbol

_PATCHING = RLock()
_PLACED: list[tuple[Any, str, Any, Any]] = []
_DEPTH = 0

FILLED = ("zeros", "ones", "full", "empty")
LIKE = ("zeros_like", "ones_like", "full_like", "empty_like")
CONVERTING = ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "require")
FLOATING = (
    "eye",
    "identity",
    "arange",
    "linspace",
    "logspace",
    "geomspace",
    "tri",
    "copy",
    "fromiter",
    "fromfunction",
    "loadtxt",
    "genfromtxt",
    "tile",
    "repeat",
    "diag",
    "diagflat",
    "concatenate",
    "stack",
    "meshgrid",
)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Put the stand-ins into NumPy, for runs on symbols; other code gets the originals."""
    global _DEPTH
    with _PATCHING:
        _DEPTH += 1
        if _DEPTH == 1:
            placed = [*_table(), *_multilinear_table()]
            for module, name, _, replacement in placed:
                setattr(module, name, replacement)
            _PLACED[:] = placed
    try:
        yield
    finally:
        with _PATCHING:
            _DEPTH -= 1
            if _DEPTH == 0:
                for module, name, original, _ in _PLACED:
                    setattr(module, name, original)


class Swaps:
    """What was replaced in the modules, closures and defaults of a user's code; to be undone."""

    def __init__(self) -> None:
        self._globals: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._cells: list[tuple[Any, Any]] = []
        self._seen: set[int] = set()

    def module(self, names: dict[str, Any], symbolic: bool) -> None:
        """Replace what a module imported by name; for numbers, `type` and `print` only."""
        if id(names) in self._globals:
            return
        changed: dict[str, Any] = {}
        if symbolic:
            known = _by_identity(len(_PLACED))
            changed = {name: value for name, value in names.items() if id(value) in known}
            names.update((name, known[id(value)]) for name, value in changed.items())
        for name, replacement in _BUILTINS.items():
            if name not in names:
                changed[name] = _ABSENT
                names[name] = replacement
        self._globals[id(names)] = names, changed

    def function(self, f: Any) -> None:
        """Replace what a function and those in its closure hold by name."""
        f = getattr(f, "__func__", f)
        if not isinstance(f, FunctionType) or id(f) in self._seen:
            return
        self._seen.add(id(f))
        for cell in f.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # Not assigned yet.
                continue
            replacement = _replacement(value)
            if replacement is not None:
                self._cells.append((cell, value))
                cell.cell_contents = replacement
            else:
                self.function(value)

    def undo(self) -> None:
        """Put everything back that is still replaced."""
        for names, changed in self._globals.values():
            for name, value in changed.items():
                if names.get(name) is not _replacement(value, name):
                    continue
                if value is _ABSENT:
                    del names[name]
                else:
                    names[name] = value
        for cell, value in self._cells:
            cell.cell_contents = value


_ABSENT = object()


def _replacement(value: Any, name: str = "") -> Any:
    if value is _ABSENT:
        return _BUILTINS[name]
    return _by_identity(len(_PLACED)).get(id(value))


@functools.cache
def _by_identity(placed: int) -> dict[int, Any]:
    found = {id(original): replacement for _, _, original, replacement in _PLACED[:placed]}
    return {**found, **{id(getattr(builtins, name)): made for name, made in _BUILTINS.items()}}


@functools.cache
def _table() -> list[tuple[Any, str, Any, Any]]:
    """(module, name, original, replacement) of everything that is replaced."""
    makers: list[tuple[tuple[str, ...], Callable[[Any], Any]]] = [
        (FILLED, _filled),
        (LIKE, _like),
        (CONVERTING, _converting),
        (FLOATING, _floating),
    ]
    found = [
        (np, name, getattr(np, name), make(getattr(np, name)))
        for names, make in makers
        for name in names
    ]
    tricks = np.lib.stride_tricks
    for name in ("as_strided", "sliding_window_view"):
        original = getattr(tricks, name)
        found.append((tricks, name, original, _windows(original)))
    return found


MULTILINEAR: dict[str, dict[str, int]] = {
    "numpy": {"gradient": 1},
    "scipy.signal": {"correlate": 2, "convolve": 2, "correlate2d": 2, "convolve2d": 2},
}
"""Functions that are linear in each of their first arguments, in loops that take only floats.

scipy.ndimage leaves out weights below 2.2e-16, so it is not linear in them and not listed.
"""


def _multilinear_table() -> list[tuple[Any, str, Any, Any]]:
    """As `_table`, of multilinear functions in the modules that somebody has loaded."""
    return [
        entry
        for module in MULTILINEAR
        if module in sys.modules
        for entry in _multilinear_in(module)
    ]


@functools.cache
def _multilinear_in(module: str) -> list[tuple[Any, str, Any, Any]]:
    loaded = sys.modules[module]
    return [
        (loaded, name, getattr(loaded, name), _multilinear(getattr(loaded, name), count))
        for name, count in MULTILINEAR[module].items()
    ]


def _multilinear(original: Any, count: int) -> Any:
    """The function on symbols: its values at unit arrays, times the entries."""

    def create(*args: Any, **options: Any) -> Any:
        held = [k for k, value in enumerate(args[:count]) if holds_symbols(value)]
        given = [plain(value) for value in args]
        if not held:
            numbers = [
                value.astype(float) if type(args[k]) is SymbolArray else value
                for k, value in enumerate(given)
            ]
            return wrapped(original(*numbers, **options))
        arrays = [np.asarray(given[k], dtype=object) for k in held]
        total: Any = None
        for places in product(*(list(np.ndindex(array.shape)) for array in arrays)):
            factors = [array[place] for array, place in zip(arrays, places, strict=True)]
            for k, array, place in zip(held, arrays, places, strict=True):
                given[k] = np.zeros(array.shape)
                given[k][place] = 1.0
            values = np.asarray(original(*given, **options))
            term = np.where(values == 0, 0, values).astype(object) * math.prod(factors)
            total = term if total is None else total + term
        return wrapped(total)

    return _standing_in(original, create)


def _standing_in(original: Any, make: Callable[..., Any]) -> Any:
    """make for the user's code in a run on symbols, the original for everyone else."""

    @functools.wraps(original)
    def create(*args: Any, **options: Any) -> Any:
        if not sees_numbers(1):
            return original(*args, **options)
        return make(*args, **options)

    return create


def _filled(original: Any) -> Any:
    def create(*args: Any, **options: Any) -> Any:
        if holds_symbols(args[1:2]) or is_one(options.get("fill_value")):
            wanted = options.pop("dtype", args[2] if len(args) > 2 else None)
            value = options.pop("fill_value", args[1] if len(args) > 1 else None)
            label = parts(value).dtype if wanted is None and is_one(value) else np.dtype(wanted)
            found = array_of(original(args[0], 0, object), label)
            found[...] = value
            return found
        found = original(*args, **options)
        if original.__name__ == "empty" and found.dtype.kind == "f":
            return _unwritten(found.shape, found.dtype)
        return wrapped(found, OBJECT if found.dtype == OBJECT else FLOAT)

    return _standing_in(original, create)


def _unwritten(shape: tuple[int, ...], dtype: np.dtype[Any]) -> SymbolArray:
    """Memory that was never written holds anything, so it is an unknown of its own."""
    found = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        held = SymbolParts(Polynomial.unknown("(unwritten)"), 1.0, 0, 0.0, dtype)
        found[place] = symbol(held)
    return array_of(found, dtype)


def _like(original: Any) -> Any:
    base = original.__name__.removesuffix("_like")

    def create(source: Any, *args: Any, **options: Any) -> Any:
        if type(source) is not SymbolArray and not holds_symbols(source):
            found = original(source, *args, **options)
            return (
                _unwritten(found.shape, found.dtype) if _is_floats(found, base) else wrapped(found)
            )
        values = source if isinstance(source, np.ndarray) else np.array(source, dtype=object)
        first = 1 if base == "full" else 0
        wanted = options.get("dtype", args[first] if len(args) > first else None)
        own = label_of(values) if type(values) is SymbolArray else FLOAT
        label = own if wanted is None else np.dtype(wanted)
        shape = options.get("shape")
        shape = values.shape if shape is None else shape
        if base == "full":
            value = options.get("fill_value", args[0] if args else None)
            found = array_of(np.zeros(shape, dtype=object), label)
            found[...] = value
            return found if label.kind in "fO" else found.astype(label)
        maker = getattr(np, base)
        # From here NumPy's own functions are called.
        made = getattr(maker, "__wrapped__", maker)(
            shape, dtype=shown(label) if wanted is None else wanted
        )
        return _unwritten(made.shape, label) if _is_floats(made, base) else wrapped(made)

    return _standing_in(original, create)


def _is_floats(array: Any, base: str) -> bool:
    return base == "empty" and array.dtype.kind == "f"


def _converting(original: Any) -> Any:
    def create(value: Any, *args: Any, **options: Any) -> Any:
        given = dict(options)
        wanted = given.pop("dtype", args[0] if args else None)
        others = args[1:]
        if not (type(value) is SymbolArray or holds_symbols(value)):
            found = original(value, *args, **options)
            return wrapped(found, OBJECT if found.dtype == OBJECT else FLOAT)
        if type(value) is SymbolArray:
            label = label_of(value) if wanted is None else np.dtype(wanted)
            if label == label_of(value) and original.__name__ not in ("array", "require"):
                return value
        else:
            from convalg.prove.functions.symbol_arrays import merged

            label = merged([value]) if wanted is None else np.dtype(wanted)
        if label.kind not in "fO":
            return wrapped(original(value)).astype(label)
        made = original(_plainly(value), None, *others, **given)
        if wanted is not None:
            made = stored(made, label)
        same = type(value) is SymbolArray and np.shares_memory(made, plain(value))
        return wrapped(made, label) if same else array_of(made, label)

    return _standing_in(original, create)


def _plainly(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plainly, value)) if type(value) in (list, tuple) else list(value)
    return plain(value)


def _floating(original: Any) -> Any:
    return _standing_in(original, lambda *args, **options: wrapped(original(*args, **options)))


def _windows(original: Any) -> Any:
    def create(value: Any, *args: Any, **options: Any) -> Any:
        options.pop("subok", None)
        label = label_of(value) if type(value) is SymbolArray else FLOAT
        return wrapped(original(plain(value), *args, **options), label)

    return _standing_in(original, create)


class _Type(type):
    """The class of the stand-in for `type`: symbols have the types of numbers."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if cls is not TypeOf or len(args) != 1:
            return type(*args, **options)
        value = args[0]
        if symbolic_run() is not None:
            if is_one(value):
                return parts(value).dtype.type
            if type(value) is SymbolArray:
                return np.ndarray
        return type(value)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, type)

    def __eq__(cls, other: object) -> bool:
        return other is type or other is cls

    def __hash__(cls) -> int:
        return hash(type)


class TypeOf(metaclass=_Type):
    """The stand-in for `type` in the user's modules."""


def _print(*values: Any, **options: Any) -> None:
    """The stand-in for `print`: nothing is printed while a function is tried, but into files."""
    if active() is None or options.get("file") is not None:
        builtins.print(*values, **options)


_BUILTINS: dict[str, Any] = {"type": TypeOf, "print": _print}
