"""NumPy's functions on arrays of symbols: they are applied to the objects or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.prove.functions.frames import Function, refusal, unwatched
from convalg.prove.functions.symbol_arrays import (
    SymbolArray,
    as_objects,
    first_symbol,
    holds_symbols,
    label_of,
    merged,
    stored,
    unwrapped,
    without_symbols,
    wrapped,
)
from convalg.prove.functions.symbols import FLOAT, READS_TEXT, Symbol, is_symbol, parts


def apply_function(function: Function, args: tuple[object, ...], options: dict[str, object]) -> Any:
    """Return the result of a NumPy function on arrays of symbols.

    Raises: UntraceableError when the result is not a polynomial.
    """
    if function in _SPECIAL:
        return _SPECIAL[function](*args, **options)
    apply = _function if function.__name__ in _CALLING_BACK else _function_unwatched
    return apply(function, args, options)


def _function(function: Function, args: tuple[object, ...], options: dict[str, object]) -> Any:
    if function.__name__ in _TEXT:
        raise refusal(READS_TEXT, first_symbol(args))
    given = [*args, *options.values()]
    requested: Any = options.get("dtype")
    if not any(map(_deep, given)):
        numbers = _mapped((args, options), without_symbols)
        return wrapped(function(*numbers[0], **numbers[1]), merged(_arrays(given)))
    label = merged(_arrays(given))
    if function.__name__ in ("mean", "average", "trapezoid") and label.kind in "biu":
        label = FLOAT
    if requested is not None:
        label = np.dtype(requested)
        if label.kind not in "fO":
            raise refusal(f"takes the {label.name} value of", first_symbol(given))
        options = {name: value for name, value in options.items() if name != "dtype"}
    numbers = _mapped((args, options), as_objects)
    result = function(*numbers[0], **numbers[1])
    if requested is not None:
        result = stored(result, label)
    return wrapped(result, label)


_function_unwatched = unwatched(_function)


def _deep(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_deep, value.values()))
    return holds_symbols(value)


def _arrays(values: Iterable[object]) -> list[Any]:
    """Return the arrays and scalars among arguments, including those in lists."""
    arrays: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            arrays += _arrays(value)
        elif is_symbol(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "fO"):
            # Arrays of integers and booleans are indices and masks, which do not change the dtype.
            arrays.append(value)
    return arrays


def _mapped(value: object, change: Callable[[object], object]) -> Any:
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_mapped(part, change) for part in value)
    if type(value) is dict:
        return {name: _mapped(part, change) for name, part in value.items()}
    return change(value)


def _apply_along_axis(
    function: Function, axis: int, array: Array, *args: object, **options: object
) -> Any:
    """np.apply_along_axis with a callback that receives arrays of symbols."""
    moved = np.moveaxis(array, axis, -1)
    results = [function(moved[index], *args, **options) for index in np.ndindex(moved.shape[:-1])]
    shape = np.shape(unwrapped(results[0]))
    stacked = np.empty((len(results), *shape), dtype=object)
    for index, result in enumerate(results):
        stacked[index] = unwrapped(result)
    result = stacked.reshape(*moved.shape[:-1], *shape)
    return wrapped(np.moveaxis(result, -1, axis) if len(shape) == 1 else result)


_CALLING_BACK = {"apply_over_axes", "piecewise", "fromfunction"}
_TEXT = {"array_repr", "array_str", "array2string", "save", "savetxt", "savez", "array_equiv"}

_SPECIAL: dict[Any, Callable[..., Any]] = {
    np.result_type: lambda *args: np.result_type(*map(_dtype_of, args)),
    np.can_cast: lambda source, to, casting="safe": np.can_cast(_dtype_of(source), to, casting),
    np.min_scalar_type: lambda value: _dtype_of(value),
    np.common_type: lambda *args: np.result_type(np.float16, *map(_dtype_of, args)).type,
    np.iscomplexobj: lambda value: False,
    np.isrealobj: lambda value: True,
    np.mean: lambda value, *args, **options: _as_symbols(value).mean(*args, **options),
    np.real: lambda value: value.real,
    np.imag: lambda value: value.imag,
    np.isreal: lambda value: np.ones(np.shape(unwrapped(value)), dtype=bool),
    np.iscomplex: lambda value: np.zeros(np.shape(unwrapped(value)), dtype=bool),
    np.real_if_close: lambda value, tol=100: value,
    np.apply_along_axis: _apply_along_axis,
}
"""NumPy functions that depend on dtypes or call a user function, with their replacements."""


def _as_symbols(value: object) -> Any:
    """Return an array or nested lists as an array of symbols."""
    if isinstance(value, SymbolArray):
        return value
    return wrapped(np.array(_mapped(value, unwrapped), dtype=object), merged([value]))


def _dtype_of(value: object) -> Any:
    if type(value) is SymbolArray:
        return label_of(value)
    return parts(value).dtype if is_symbol(value) else value


def _dispatched(
    self: object,
    function: Function,
    types: object,
    args: tuple[object, ...],
    options: dict[str, object],
) -> Any:
    return apply_function(function, args, options)


# The module of arrays cannot import this one, so the functions are attached here.
SymbolArray.__array_function__ = _dispatched  # type: ignore[assignment,method-assign]  # attached
Symbol.__array_function__ = _dispatched  # type: ignore[attr-defined]  # attached
