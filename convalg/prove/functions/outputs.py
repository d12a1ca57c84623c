"""Selecting the arrays that a claim is about from the result of a user function.

A homework solution returns an array, a list of rows, (out, cache), (dx, dw, db) or a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import UntraceableError
from convalg.prove.functions.symbol_arrays import SymbolArray, unwrapped
from convalg.prove.functions.symbols import is_symbol

Shape = tuple[int, ...]

NAMES: dict[str, tuple[str, ...]] = {
    "y": ("y", "out", "output", "result"),
    "dx": ("dx", "d_x", "grad_x", "grad_input", "dinput"),
    "dw": ("dw", "d_w", "grad_w", "grad_weight", "dkernel", "dweight"),
    "db": ("db", "d_b", "grad_b", "grad_bias", "dbias"),
}
"""The names that an output may have in a dictionary, in lower case."""


@dataclass(frozen=True, eq=False)
class Picked:
    """Selected outputs by name, as arrays of objects, and a note on those that were ignored."""

    arrays: dict[str, Array]
    note: str = ""


Pick = Callable[[Any], Picked]


def one_output(shape: Shape | None) -> Pick:
    """Return a function that selects the output y of a forward pass: out in (out, cache)."""

    def pick(result: object) -> Picked:
        if isinstance(result, dict):
            return Picked({"y": _entry(result, "y")}, _others(len(result) - 1))
        if isinstance(result, (tuple, list)):
            array = _array_or_none(result)
            bundled = bool(result) and _is_array(result[0])
            if array is not None and (shape is None or array.shape == shape or not bundled):
                return Picked({"y": array})
            if bundled:
                return Picked({"y": as_array(result[0])}, _others(len(result) - 1))
        return Picked({"y": as_array(result)})

    return pick


def gradients(shapes: dict[str, Shape]) -> Pick:
    """Return a function that selects dx and, if they are returned, dw and db.

    `shapes`: the expected shape of each output that may be returned, by name.
    """

    def pick(result: object) -> Picked:
        names = list(shapes)
        if isinstance(result, dict):
            arrays = {
                name: _entry(result, name) for name in names if _key(result, name) is not None
            }
            if "dx" not in arrays:
                arrays["dx"] = _entry(result, "dx")
            return Picked({name: arrays[name] for name in names if name in arrays})
        if isinstance(result, (tuple, list)) and _is_bundle(result, shapes):
            return Picked(
                {
                    name: as_array(part)
                    for name, part in zip(names, result, strict=False)
                    if part is not None
                }
            )
        return Picked({"dx": as_array(result)})

    return pick


def _is_bundle(result: list[object] | tuple[object, ...], shapes: dict[str, Shape]) -> bool:
    if not 1 <= len(result) <= 4 or not result:
        return False
    if _is_array(result[0]) and np.shape(unwrapped(result[0])) == shapes["dx"]:
        return True
    array = _array_or_none(result)
    if array is not None and array.shape == shapes["dx"]:
        return False
    return 2 <= len(result) <= max(len(shapes), 2) and (
        isinstance(result, tuple) or any(map(_is_array, result))
    )


def as_array(value: object) -> Array:
    """Return a copy of a value as an array of objects.

    Raises: UntraceableError where it is not an array of numbers.
    """
    if is_symbol(value):
        scalar = np.empty((), dtype=object)
        scalar[()] = value
        return scalar
    if isinstance(value, (str, bytes, dict, set)) or value is None:
        raise UntraceableError(f"the function must return an array of numbers, not {value!r:.60}")
    try:
        return np.array(_nested(value), dtype=object)
    except (TypeError, ValueError) as error:
        raise UntraceableError(f"the function must return an array of numbers: {error}") from None


def _nested(value: object) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        raise UntraceableError(
            f"the function must return a plain array, not an array of type {type(value).__name__}"
        )
    if type(value) is SymbolArray:
        return unwrapped(value).copy()
    if isinstance(value, np.ndarray):
        return _exact_objects(value)
    if type(value) in (float, int, np.float64):
        return value
    if isinstance(value, (list, tuple)):
        return [_nested(part) for part in value]
    return value


def _exact_objects(value: Array) -> Array:
    """Return an array of NumPy scalars, which keep their dtypes, unlike Python numbers."""
    objects = np.empty(value.shape, dtype=object)
    flat = objects.reshape(-1)
    for position, entry in enumerate(value.flat):
        flat[position] = entry
    return objects


def _array_or_none(result: object) -> Array | None:
    """Return nested values as an array, or None if they are not an array of numbers."""
    try:
        array = as_array(result)
    except UntraceableError:
        return None
    if any(
        isinstance(entry, (list, tuple, dict, str, np.ndarray)) or entry is None
        for entry in array.ravel()
    ):
        return None
    return array


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0


def _key(result: Mapping[object, object], name: str) -> Any:
    keys = [key for key in result if isinstance(key, str) and key.lower() in NAMES[name]]
    return keys[0] if keys else None


def _entry(result: Mapping[object, object], name: str) -> Array:
    key = _key(result, name)
    if key is None and len(result) == 1:
        (key,) = result
    if key is None:
        raise UntraceableError(
            f"the function returned a dictionary with the keys {', '.join(map(str, result))[:60]}: "
            f"return the result under one of the keys {', '.join(NAMES[name])}"
        )
    return as_array(result[key])


def _others(count: int) -> str:
    if count <= 0:
        return ""
    return f"only the first of the {count + 1} returned values is compared"
