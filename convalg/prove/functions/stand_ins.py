"""Stand-ins for NumPy functions while a user function runs on symbols.

np.zeros(3) is an array of floats, into which symbols cannot be written. While a function runs on
symbols, NumPy functions that create arrays of floats return arrays of symbols, but only to the
user's code in this thread. They are replaced in NumPy and under the names by which the user's
modules import them. `type` and `print` are replaced in the user's modules as well.
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

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.functions.frames import Function, active, sees_numbers, symbolic_run
from convalg.prove.functions.symbol_arrays import (
    OBJECT,
    SymbolArray,
    array_of,
    holds_symbols,
    label_of,
    shown,
    stored,
    unwrapped,
    wrapped,
)
from convalg.prove.functions.symbols import FLOAT, DType, SymbolParts, is_symbol, parts, symbol

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
    """Install the stand-ins in NumPy for a run on symbols; other code gets the originals."""
    global _DEPTH
    with _PATCHING:
        _DEPTH += 1
        if _DEPTH == 1:
            patches = [*_table(), *_multilinear_table()]
            for module, name, _, replacement in patches:
                setattr(module, name, replacement)
            _PLACED[:] = patches
    try:
        yield
    finally:
        with _PATCHING:
            _DEPTH -= 1
            if _DEPTH == 0:
                for module, name, original, _ in _PLACED:
                    setattr(module, name, original)


class Swaps:
    """The replacements in the modules and closures of a user's code, which can be undone."""

    def __init__(self) -> None:
        self._globals: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._cells: list[tuple[Any, Any]] = []
        self._seen: set[int] = set()

    def module(self, names: dict[str, object], symbolic: bool) -> None:
        """Replace the functions that a module imported; for numbers only `type` and `print`."""
        if id(names) in self._globals:
            return
        changed: dict[str, Any] = {}
        if symbolic:
            replacements = _by_identity(len(_PLACED))
            changed = {name: value for name, value in names.items() if id(value) in replacements}
            names.update((name, replacements[id(value)]) for name, value in changed.items())
        for name, replacement in _BUILTINS.items():
            if name not in names:
                changed[name] = _ABSENT
                names[name] = replacement
        self._globals[id(names)] = names, changed

    def function(self, f: object) -> None:
        """Replace the functions in the closure of a function and of the functions in it."""
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
        """Restore everything that is still replaced."""
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


def _replacement(value: object, name: str = "") -> Any:
    if value is _ABSENT:
        return _BUILTINS[name]
    return _by_identity(len(_PLACED)).get(id(value))


@functools.cache
def _by_identity(count: int) -> dict[int, Any]:
    replacements = {id(original): replacement for _, _, original, replacement in _PLACED[:count]}
    return {
        **replacements,
        **{id(getattr(builtins, name)): made for name, made in _BUILTINS.items()},
    }


@functools.cache
def _table() -> list[tuple[Any, str, Any, Any]]:
    """Return (module, name, original, replacement) for each function that is replaced."""
    makers: list[tuple[tuple[str, ...], Callable[[Any], Any]]] = [
        (FILLED, _filled),
        (LIKE, _like),
        (CONVERTING, _converting),
        (FLOATING, _floating),
    ]
    patches = [
        (np, name, getattr(np, name), make(getattr(np, name)))
        for names, make in makers
        for name in names
    ]
    tricks = np.lib.stride_tricks
    for name in ("as_strided", "sliding_window_view"):
        original = getattr(tricks, name)
        patches.append((tricks, name, original, _windows(original)))
    return patches


MULTILINEAR: dict[str, dict[str, int]] = {
    "numpy": {"gradient": 1},
    "scipy.signal": {"correlate": 2, "convolve": 2, "correlate2d": 2, "convolve2d": 2},
}
"""The number of first arguments in which a function is linear, for functions of floats only.

The functions of scipy.ndimage ignore weights below 2.2e-16, so they are not linear and not listed.
"""


def _multilinear_table() -> list[tuple[Any, str, Any, Any]]:
    """Return the rows of `_table` for the multilinear functions of the loaded modules."""
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


def _multilinear(original: Function, count: int) -> Any:
    """Return the function for symbols: a sum of its values at unit arrays times the entries."""

    def create(*args: object, **options: object) -> Any:
        held = [k for k, value in enumerate(args[:count]) if holds_symbols(value)]
        given = [unwrapped(value) for value in args]
        if not held:
            numbers = [
                value.astype(float) if type(args[k]) is SymbolArray else value
                for k, value in enumerate(given)
            ]
            return wrapped(original(*numbers, **options))
        arrays = [np.asarray(given[k], dtype=object) for k in held]
        total: Any = None
        for indices in product(*(list(np.ndindex(array.shape)) for array in arrays)):
            factors = [array[index] for array, index in zip(arrays, indices, strict=True)]
            for k, array, index in zip(held, arrays, indices, strict=True):
                given[k] = np.zeros(array.shape)
                given[k][index] = 1.0
            values = np.asarray(original(*given, **options))
            term = np.where(values == 0, 0, values).astype(object) * math.prod(factors)
            total = term if total is None else total + term
        return wrapped(total)

    return _standing_in(original, create)


def _standing_in(original: Function, make: Function) -> Any:
    """Return a function: `make` for the user's code in a run on symbols, else the original."""

    @functools.wraps(original)
    def create(*args: object, **options: object) -> Any:
        if not sees_numbers(1):
            return original(*args, **options)
        return make(*args, **options)

    return create


def _filled(original: Function) -> Any:
    def create(*args: object, **options: object) -> Any:
        if holds_symbols(args[1:2]) or is_symbol(options.get("fill_value")):
            requested: Any = options.pop("dtype", args[2] if len(args) > 2 else None)
            value = options.pop("fill_value", args[1] if len(args) > 1 else None)
            label = (
                parts(value).dtype
                if requested is None and is_symbol(value)
                else np.dtype(requested)
            )
            array = array_of(original(args[0], 0, object), label)
            array[...] = value
            return array
        array = original(*args, **options)
        if original.__name__ == "empty" and array.dtype.kind == "f":
            return _unwritten(array.shape, array.dtype)
        return wrapped(array, OBJECT if array.dtype == OBJECT else FLOAT)

    return _standing_in(original, create)


def _unwritten(shape: tuple[int, ...], dtype: DType) -> SymbolArray:
    """Return uninitialised memory: its values are arbitrary, so each entry is a new unknown."""
    memory = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        held = SymbolParts(Polynomial.unknown("(unwritten)"), 1.0, 0, 0.0, dtype)
        memory[index] = symbol(held)
    return array_of(memory, dtype)


def _like(original: Function) -> Any:
    base = original.__name__.removesuffix("_like")

    def create(source: object, *args: object, **options: object) -> Any:
        if type(source) is not SymbolArray and not holds_symbols(source):
            array = original(source, *args, **options)
            return (
                _unwritten(array.shape, array.dtype) if _is_floats(array, base) else wrapped(array)
            )
        values = source if isinstance(source, np.ndarray) else np.array(source, dtype=object)
        first = 1 if base == "full" else 0
        requested: Any = options.get("dtype", args[first] if len(args) > first else None)
        own = label_of(values) if type(values) is SymbolArray else FLOAT
        label = own if requested is None else np.dtype(requested)
        shape: Any = options.get("shape")
        shape = values.shape if shape is None else shape
        if base == "full":
            value = options.get("fill_value", args[0] if args else None)
            array = array_of(np.zeros(shape, dtype=object), label)
            array[...] = value
            return array if label.kind in "fO" else array.astype(label)
        maker = getattr(np, base)
        # Calls from this module must reach the original and not its stand-in.
        made = getattr(maker, "__wrapped__", maker)(
            shape, dtype=shown(label) if requested is None else requested
        )
        return _unwritten(made.shape, label) if _is_floats(made, base) else wrapped(made)

    return _standing_in(original, create)


def _is_floats(array: Array, base: str) -> bool:
    return base == "empty" and array.dtype.kind == "f"


def _converting(original: Function) -> Any:
    def create(value: object, *args: object, **options: object) -> Any:
        given = dict(options)
        requested: Any = given.pop("dtype", args[0] if args else None)
        others = args[1:]
        if not (type(value) is SymbolArray or holds_symbols(value)):
            array = original(value, *args, **options)
            return wrapped(array, OBJECT if array.dtype == OBJECT else FLOAT)
        if type(value) is SymbolArray:
            label = label_of(value) if requested is None else np.dtype(requested)
            if label == label_of(value) and original.__name__ not in ("array", "require"):
                return value
        else:
            from convalg.prove.functions.symbol_arrays import merged

            label = merged([value]) if requested is None else np.dtype(requested)
        if label.kind not in "fO":
            return wrapped(original(value)).astype(label)
        made = original(_plainly(value), None, *others, **given)
        if requested is not None:
            made = stored(made, label)
        same = type(value) is SymbolArray and np.shares_memory(made, unwrapped(value))
        return wrapped(made, label) if same else array_of(made, label)

    return _standing_in(original, create)


def _plainly(value: object) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plainly, value)) if type(value) in (list, tuple) else list(value)
    return unwrapped(value)


def _floating(original: Function) -> Any:
    return _standing_in(original, lambda *args, **options: wrapped(original(*args, **options)))


def _windows(original: Function) -> Any:
    def create(value: object, *args: object, **options: object) -> Any:
        options.pop("subok", None)
        label = label_of(value) if type(value) is SymbolArray else FLOAT
        return wrapped(original(unwrapped(value), *args, **options), label)

    return _standing_in(original, create)


class _Type(type):
    """The metaclass of the stand-in for `type`, for which symbols have the types of numbers."""

    def __call__(cls, *args: object, **options: object) -> Any:
        if cls is not TypeOf or len(args) != 1:
            return type(*args, **options)
        value = args[0]
        if symbolic_run() is not None:
            if is_symbol(value):
                return parts(value).dtype.type
            if type(value) is SymbolArray:
                return np.ndarray
        return type(value)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, type)

    def __eq__(cls, other: object) -> bool:
        return other is type or other is cls

    def __hash__(cls) -> int:
        return hash(type)


class TypeOf(metaclass=_Type):
    """The stand-in for `type` in the user's modules."""


def _print(*values: object, **options: Any) -> None:
    """The stand-in for `print`, which prints only into files while a function is run."""
    if active() is None or options.get("file") is not None:
        builtins.print(*values, **options)


_BUILTINS: dict[str, Any] = {"type": TypeOf, "print": _print}
