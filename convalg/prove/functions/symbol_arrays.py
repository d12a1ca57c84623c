"""Arrays of symbols: an ndarray of objects that looks like an array of floats.

NumPy's functions run on the objects. Operations whose results are not polynomials are refused by
the elements or by the array. An array without symbols behaves like the numbers it represents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import Polynomial, UntraceableError
from convalg.prove.functions.frames import recorded, refusal, sees_numbers, unwatched
from convalg.prove.functions.symbols import (
    FACE,
    FLOAT,
    READS_TEXT,
    DType,
    Symbol,
    exact,
    is_symbol,
    number_in,
    operand,
    parts,
    relabelled,
    symbol,
)
from convalg.size import is_symbolic

OBJECT = np.dtype(object)

POLYNOMIAL = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "true_divide",
        "negative",
        "positive",
        "power",
        "float_power",
        "square",
        "matmul",
        "vecdot",
        "matvec",
        "vecmat",
        "conjugate",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "absolute",
        "fabs",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "sign",
        "remainder",
        "floor_divide",
        "fmod",
        "divmod",
    ]
)
"""Ufuncs whose loops over objects use the operators of the elements, which may be refused."""

HIDDEN = frozenset(
    [
        "data",
        "ctypes",
        "tobytes",
        "tofile",
        "dump",
        "dumps",
        "getfield",
        "byteswap",
        "__array_interface__",
        "__array_struct__",
        "__reduce__",
        "__reduce_ex__",
        "__setstate__",
        "__buffer__",
        "setfield",
        "newbyteorder",
    ]
)
"""Attributes that expose the bytes of an array."""


class SymbolArray(np.ndarray):
    """An array of objects, some of them symbols, that represents numbers of a dtype."""

    __slots__ = ("_stands_for",)
    __array_priority__ = 1000.0

    def __array_finalize__(self, source: object) -> None:
        label = _label_slot.__get__(source) if type(source) is SymbolArray else FLOAT
        _label_slot.__set__(self, label)

    def __getattribute__(self, name: str) -> Any:
        if not sees_numbers(1):
            return np.ndarray.__getattribute__(self, name)
        if name == "__class__":
            return np.ndarray
        if name == "dtype":
            return shown(label_of(self))
        if name in HIDDEN:
            raise refusal("accesses the memory of", described(self))
        if name in ("itemsize", "nbytes", "strides") and label_of(self).itemsize != 8:
            raise refusal("reads the size in bytes of", described(self))
        if not hasattr(np.ndarray, name):
            raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")
        return np.ndarray.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "dtype":
            raise refusal("accesses the memory of", described(self))
        np.ndarray.__setattr__(self, name, value)

    @unwatched
    def __getitem__(self, index: object) -> Any:
        element = _get(self, _indices(index))
        label = _read_label(self)
        if type(element) is Symbol:
            held = parts(element)
            if held.dtype is label and not held.weak:
                return symbol(held)
        return _lent(element, label)

    @unwatched
    def __setitem__(self, index: object, value: object) -> None:
        label = _read_label(self)
        if type(value) is Symbol and label is FLOAT:
            held = parts(value)
            if held.dtype is FLOAT and not held.weak:
                _set(self, _indices(index), value)
                return
        _set(self, _indices(index), stored(value, label))

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: tuple[object, ...], **options: object
    ) -> Any:
        return apply_ufunc(ufunc, method, inputs, options)

    def __str__(self) -> str:
        raise refusal(READS_TEXT, described(self))

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        raise refusal(READS_TEXT, described(self))

    @unwatched
    def astype(  # type: ignore[override]  # the same signature, with two kinds of results
        self, dtype: npt.DTypeLike, *_: object, copy: bool = True, **__: object
    ) -> Any:
        """Convert the array to another dtype, which rounds if its precision is low."""
        requested: DType = np.dtype(dtype)
        if requested.kind in "fO" or _is_marked(requested):
            requested = np.dtype(requested.str)
            converted = array_of(stored(self, requested), requested)
            return converted if copy or requested != label_of(self) else self
        return numbers_of(self, f"takes the {requested.name} value of").astype(requested)

    def view(self, *args: object, **options: object) -> Any:
        """Return a view of the same dtype; other views are refused."""
        if args or options:
            raise refusal("accesses the memory of", described(self))
        return np.ndarray.view(self)

    def round(  # type: ignore[override]  # as above
        self, decimals: int = 0, out: object = None
    ) -> Any:
        """Return the rounded numbers of an array without symbols."""
        return wrapped(numbers_of(self, "rounds or takes a remainder of").round(decimals))

    def mean(  # type: ignore[override]  # as above
        self,
        axis: int | tuple[int, ...] | None = None,
        dtype: npt.DTypeLike | None = None,
        out: object = None,
        *,
        keepdims: Any = False,
    ) -> Any:
        """Return the mean over axes."""
        total = np.add.reduce(self, axis, dtype=dtype, keepdims=keepdims)
        count = self.size // max(np.size(unwrapped(total)) if np.ndim(unwrapped(total)) else 1, 1)
        return into(out, total / count)

    def fill(self, value: object) -> None:
        """Write the same value to all entries."""
        self[...] = value

    def item(self, *args: Any) -> Any:
        """Return one element as a Python number."""
        return _lent(np.ndarray.item(self, *args), FLOAT)

    def tolist(self) -> Any:
        """Return the elements in nested lists."""
        return _listed(unwrapped(self).tolist())

    @property  # type: ignore[misc]  # read-only
    def real(self) -> Any:
        """Return the array itself, since its elements are real."""
        return np.ndarray.view(self)

    @property  # type: ignore[misc]  # as above
    def imag(self) -> Any:
        """Return an array of zeros, since the elements are real."""
        return array_of(np.full(self.shape, 0.0, dtype=object), label_of(self))

    def conj(self) -> Any:
        """Return the array itself, since its elements are real."""
        return np.ndarray.view(self)

    conjugate = conj


_label_slot = SymbolArray.__dict__["_stands_for"]
_read_label = _label_slot.__get__
_get, _set = np.ndarray.__getitem__, np.ndarray.__setitem__


def shown(label: DType) -> DType:
    """Return the dtype for the user's code; an integer dtype is marked, for arrays made with it."""
    if label.kind not in "iu":
        return label
    return np.dtype(label.str, metadata={"symbols": True})


def _is_marked(dtype: DType) -> bool:
    """Whether a dtype has the mark that `shown` adds."""
    return dtype.metadata is not None and "symbols" in dtype.metadata


def label_of(array: SymbolArray) -> DType:
    """Return the dtype that an array of symbols represents."""
    label: DType = _label_slot.__get__(array)
    return label


def array_of(values: object, label: DType) -> SymbolArray:
    """Return a new array of symbols and numbers that owns its memory, like an array of floats."""
    source = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    made = np.ndarray.__new__(SymbolArray, source.shape, dtype=object)
    unwrapped(made)[...] = unwrapped(source)
    _label_slot.__set__(made, label)
    return made


def unwrapped(value: object) -> Any:
    """Return an array of symbols as a plain array of objects; anything else unchanged."""
    return np.ndarray.view(value, np.ndarray) if type(value) is SymbolArray else value


def holds_symbols(value: object) -> bool:
    """Return whether a value is a symbol or an array or nested list that contains one."""
    if is_symbol(value):
        return True
    if type(value) is SymbolArray or (isinstance(value, np.ndarray) and value.dtype == OBJECT):
        return any(map(is_symbol, unwrapped(value).flat))
    return isinstance(value, (list, tuple)) and any(map(holds_symbols, value))


def numbers_of(array: SymbolArray, action: str) -> Any:
    """Return the array of numbers that an array without symbols represents.

    Raises: UntraceableError if it contains a symbol; `action` describes the operation.
    """
    label = label_of(array)
    if label == OBJECT and not holds_symbols(array):
        return unwrapped(array).copy()
    for value in unwrapped(array).flat:
        if is_symbol(value) and not set(parts(value).polynomial.terms) <= {()}:
            raise refusal(action, parts(value).polynomial)
    return np.array(list(map(float, unwrapped(array).flat))).astype(label).reshape(array.shape)


def described(array: SymbolArray) -> str:
    """Return the description of an array by one of its symbols, for a message."""
    first = next((v for v in unwrapped(array).flat if is_symbol(v)), None)
    return "an array" if first is None else f"an array that holds {parts(first).polynomial!r}"


def stored(value: object, label: DType) -> Any:
    """Return a value or an array of values as an array of a dtype stores it."""
    if is_symbol(value):
        return relabelled(value, label, stores=True)
    if isinstance(value, (list, tuple)):
        value = np.array(value, dtype=None if not holds_symbols(value) else object)
    if isinstance(value, np.ndarray):
        if value.dtype != OBJECT and label.kind == "f" and value.dtype.kind in "biuf":
            value = value.astype(label)
        entries = np.empty(value.shape, dtype=object)
        flat = entries.reshape(-1)
        for position, entry in enumerate(unwrapped(value).flat):
            flat[position] = (
                relabelled(entry, label, stores=True) if is_symbol(entry) else _number(entry, label)
            )
        return entries if entries.ndim else entries[()]
    return _number(value, label)


def _number(value: object, label: DType) -> Any:
    if isinstance(value, Polynomial) or is_symbolic(value):
        return value
    return number_in(value, label)


def wrapped(result: object, label: DType = FLOAT) -> Any:
    """Return a result of NumPy with arrays of objects and floats as arrays of symbols."""
    if is_symbol(result):
        return relabelled(result, label) if label != OBJECT else result
    if isinstance(result, np.ndarray) and type(result) in (np.ndarray, SymbolArray):
        if result.dtype == OBJECT:
            view = np.ndarray.view(result, SymbolArray)
            _label_slot.__set__(view, label)
            return view
        if result.dtype.kind == "f" or _is_marked(result.dtype):
            own = np.dtype(result.dtype.str)
            return array_of(stored(result, own), own)
    if isinstance(result, (list, tuple)) and type(result) in (list, tuple):
        return type(result)(wrapped(part, label) for part in result)
    return result


def _lent(value: object, label: DType) -> Any:
    """Return an element as a new scalar, as indexing an array of numbers does."""
    if is_symbol(value):
        return symbol(parts(value)) if label == OBJECT else relabelled(value, label)
    if isinstance(value, (np.ndarray, Polynomial)) or is_symbolic(value) or label.kind != "f":
        return value
    number: Any = value
    return label.type(number) if label is not FLOAT else np.float64(number)


def _listed(value: object) -> Any:
    if isinstance(value, list):
        return [_listed(part) for part in value]
    return symbol(parts(value)) if is_symbol(value) else value


def _indices(index: object) -> Any:
    """Return the index; arrays of symbols are refused, as NumPy refuses arrays of floats."""
    if type(index) is SymbolArray:
        raise recorded(UntraceableError(f"{described(index)} cannot be used as an index"))
    return index


def apply_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[object, ...], options: dict[str, Any]
) -> Any:
    """Apply a ufunc to arrays that hold symbols; ufuncs made from a user's function are traced.

    Raises: UntraceableError when the results are not polynomials.
    """
    apply = _ufunc if _is_made(ufunc) else _ufunc_unwatched
    return apply(ufunc, method, inputs, options)


def _is_made(ufunc: np.ufunc) -> bool:
    """Whether a ufunc was made by np.frompyfunc."""
    return set(ufunc.types[0]) - set("->") == {"O"}


def _ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[object, ...], options: dict[str, Any]
) -> Any:
    out = options.pop("out", None)
    requested = options.pop("dtype", None)
    label = _label_of_result(ufunc, inputs, requested)
    if not any(map(holds_symbols, inputs)) and method != "at":
        given = [without_symbols(value) for value in inputs]
        if requested is not None:
            options["dtype"] = requested
        return into(out, wrapped(getattr(ufunc, method)(*given, **options), label))
    if ufunc.__name__ not in POLYNOMIAL and not _is_made(ufunc):
        raise refusal(f"applies {ufunc.__name__} to", first_symbol(inputs))
    if requested is not None and np.dtype(requested).kind not in "fO":
        raise refusal(f"takes the {np.dtype(requested).name} value of", first_symbol(inputs))
    for name in ("casting", "order", "subok", "signature"):
        options.pop(name, None)
    if method == "at":
        return _at(ufunc, *inputs)
    given = [as_objects(value) for value in inputs]
    result = getattr(ufunc, method)(*given, **options)
    if requested is not None and label.kind == "f":
        result = stored(result, label)
    if ufunc.__name__ == "absolute":
        label = FLOAT
    return into(out, wrapped(result, label))


_ufunc_unwatched = unwatched(_ufunc)


def _at(ufunc: np.ufunc, target: object, index: Any, *values: object) -> None:
    """Apply ufunc.at: the operation at each index in turn, including repeated ones."""
    if type(target) is not SymbolArray:
        raise refusal("updates a numeric array with", first_symbol(values))
    ufunc.at(unwrapped(target), index, *map(as_objects, values))
    unwrapped(target)[...] = stored(target, label_of(target))


def into(out: object, result: object) -> Any:
    """Write a result into the argument `out` of a ufunc, if it is given, and return it."""
    if out is None:
        return result
    targets = out if isinstance(out, tuple) else (out,)
    results = result if isinstance(result, tuple) else (result,)
    for target, value in zip(targets, results, strict=True):
        if target is not None:
            # An array of numbers would convert each symbol, which raises an error.
            target[...] = value
    return out[0] if isinstance(out, tuple) and len(out) == 1 else out


def as_objects(value: object) -> Any:
    """Return an operand for the loops over objects; elements of low precision keep their dtype."""
    if is_symbol(value):
        return _box(value)
    if isinstance(value, np.generic):
        held = operand(value)
        return value if held is None else _box(symbol(held))
    value = unwrapped(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != FLOAT:
        return _boxed(value)
    return value


def _box(value: object) -> Any:
    box = np.empty((), dtype=object)
    box[()] = value
    return box


def _boxed(value: Array) -> Any:
    """Return an array of NumPy scalars, which keep their dtype."""
    boxes = np.empty(value.shape, dtype=object)
    for index in np.ndindex(value.shape):
        boxes[index] = value[index]
    return boxes


def without_symbols(value: object) -> Any:
    """Return an argument with an array of symbols as the numbers that it represents."""
    return numbers_of(value, "needs the value of") if type(value) is SymbolArray else value


def first_symbol(values: Iterable[object]) -> str:
    """Return the first symbol among operands as text, for a message."""
    for value in values:
        if is_symbol(value):
            return repr(parts(value).polynomial)
        if isinstance(value, np.ndarray):
            for entry in unwrapped(value).flat:
                if is_symbol(entry):
                    return repr(parts(entry).polynomial)
        if isinstance(value, (list, tuple)) and holds_symbols(value):
            return first_symbol(value)
    return "an array"


def _label_of_result(ufunc: np.ufunc, inputs: Iterable[object], requested: npt.DTypeLike) -> DType:
    """Return the dtype that the result of a ufunc would have on numbers."""
    if requested is not None:
        return np.dtype(requested)
    label = merged(inputs)
    if ufunc.__name__ in ("divide", "true_divide", "float_power") and label.kind in "biu":
        return FLOAT
    return label


def merged(values: Iterable[object]) -> DType:
    """Return the common dtype of operands; Python numbers do not change the dtype of arrays."""
    kinds: list[Any] = []
    weak_float = False
    for value in values:
        if type(value) is SymbolArray:
            kinds.append(label_of(value))
        elif is_symbol(value):
            kinds.append(parts(value).dtype)
        elif isinstance(value, (np.ndarray, np.generic)):
            symbols = value.dtype == OBJECT and holds_symbols(value)
            kinds.append(FLOAT if symbols else value.dtype)
        elif isinstance(value, (list, tuple)):
            kinds.append(merged(value) if holds_symbols(value) else FLOAT)
        elif isinstance(value, float):
            weak_float = True
    numeric = [kind for kind in kinds if kind.kind in "biufO"]
    if not numeric:
        return FLOAT
    label = np.result_type(*numeric)
    return FLOAT if weak_float and label.kind in "biu" else label


def polynomial_of(value: object) -> Polynomial:
    """Return a number or a symbol as a polynomial.

    Raises: UntraceableError for any other value.
    """
    if is_symbol(value):
        return parts(value).polynomial
    if isinstance(value, Polynomial) or is_symbolic(value):
        return Polynomial.of(value)
    if isinstance(value, (str, bytes)) or value is None:
        raise UntraceableError(f"{value!r} is not a number")
    return Polynomial({(): exact(value)})


def _symbol_ufunc(
    self: Symbol, ufunc: np.ufunc, method: str, *inputs: tuple[object, ...], **options: object
) -> Any:
    return apply_ufunc(ufunc, method, inputs, options)


def _as_array(value: Symbol) -> Callable[..., Any]:
    return lambda *_, **__: array_of([symbol(parts(value))], parts(value).dtype)


# The module of scalars cannot import this one, so methods that return arrays are attached here.
Symbol.__array_ufunc__ = _symbol_ufunc  # type: ignore[attr-defined]  # attached
FACE.update(ravel=_as_array, flatten=_as_array)
