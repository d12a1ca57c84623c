"""What a user function returned, as the arrays that a claim is about.

A homework returns an array, a list of rows, (out, cache), (dx, dw, db) or a dictionary of those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import UntraceableError
from convalg.prove.functions.symbol_arrays import SymbolArray, plain
from convalg.prove.functions.symbols import is_one

Shape = tuple[int, ...]

NAMES: dict[str, tuple[str, ...]] = {
    "y": ("y", "out", "output", "result"),
    "dx": ("dx", "d_x", "grad_x", "grad_input", "dinput"),
    "dw": ("dw", "d_w", "grad_w", "grad_weight", "dkernel", "dweight"),
    "db": ("db", "d_b", "grad_b", "grad_bias", "dbias"),
}
"""Names in a dictionary that an output goes by, in lower case."""


@dataclass(frozen=True, eq=False)
class Picked:
    """The outputs by name, as arrays of objects, and what the scope says about the others."""

    arrays: dict[str, Array]
    note: str = ""


Pick = Callable[[Any], Picked]


def one_output(shape: Shape | None) -> Pick:
    """Pick the one array y of a forward pass; of (out, cache) it is the first."""

    def pick(result: Any) -> Picked:
        if isinstance(result, dict):
            return Picked({"y": _entry(result, "y")}, _others(len(result) - 1))
        if isinstance(result, (tuple, list)):
            whole = _array_or_none(result)
            bundled = bool(result) and _is_array(result[0])
            if whole is not None and (shape is None or whole.shape == shape or not bundled):
                return Picked({"y": whole})
            if bundled:
                return Picked({"y": as_array(result[0])}, _others(len(result) - 1))
        return Picked({"y": as_array(result)})

    return pick


def gradients(shapes: dict[str, Shape]) -> Pick:
    """Pick dx, and dw and db where they are returned, of those that have a shape here."""

    def pick(result: Any) -> Picked:
        names = list(shapes)
        if isinstance(result, dict):
            found = {name: _entry(result, name) for name in names if _key(result, name) is not None}
            if "dx" not in found:
                found["dx"] = _entry(result, "dx")
            return Picked({name: found[name] for name in names if name in found})
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


def _is_bundle(result: Any, shapes: dict[str, Shape]) -> bool:
    if not 1 <= len(result) <= 4 or not result:
        return False
    if _is_array(result[0]) and np.shape(plain(result[0])) == shapes["dx"]:
        return True
    whole = _array_or_none(result)
    if whole is not None and whole.shape == shapes["dx"]:
        return False
    return 2 <= len(result) <= max(len(shapes), 2) and (
        isinstance(result, tuple) or any(map(_is_array, result))
    )


def as_array(value: Any) -> Array:
    """A copy of a value as an array of objects.

    Raises: UntraceableError where it is not an array of numbers.
    """
    if is_one(value):
        found = np.empty((), dtype=object)
        found[()] = value
        return found
    if isinstance(value, (str, bytes, dict, set)) or value is None:
        raise UntraceableError(f"the function returned no array of numbers, but {value!r:.60}")
    try:
        return np.array(_nested(value), dtype=object)
    except (TypeError, ValueError) as error:
        raise UntraceableError(f"the function returned no array: {error}") from None


def _nested(value: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        raise UntraceableError(f"the function returned no array: {type(value).__name__}")
    if type(value) is SymbolArray:
        return plain(value).copy()
    if isinstance(value, np.ndarray):
        return _exact_objects(value)
    if type(value) in (float, int, np.float64):
        return value
    if isinstance(value, (list, tuple)):
        return [_nested(part) for part in value]
    return value


def _exact_objects(value: Array) -> Array:
    """An array of NumPy's scalars: Python's own would lose float32, longdouble and complex."""
    found = np.empty(value.shape, dtype=object)
    flat = found.reshape(-1)
    for place, entry in enumerate(value.flat):
        flat[place] = entry
    return found


def _array_or_none(result: Any) -> Array | None:
    """The array that nested values make, None where they do not make one of numbers."""
    try:
        found = as_array(result)
    except UntraceableError:
        return None
    if any(
        isinstance(entry, (list, tuple, dict, str, np.ndarray)) or entry is None
        for entry in found.ravel()
    ):
        return None
    return found


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0


def _key(result: dict[Any, Any], name: str) -> Any:
    keys = [key for key in result if isinstance(key, str) and key.lower() in NAMES[name]]
    return keys[0] if keys else None


def _entry(result: dict[Any, Any], name: str) -> Array:
    key = _key(result, name)
    if key is None and len(result) == 1:
        (key,) = result
    if key is None:
        raise UntraceableError(
            f"the function returned a dictionary of {', '.join(map(str, result))[:60]}, and none "
            f"of {', '.join(NAMES[name])}"
        )
    return as_array(result[key])


def _others(count: int) -> str:
    if count <= 0:
        return ""
    return f"of the {count + 1} values returned only the first is compared"
