"""Arrays of symbols: an ndarray of objects that looks like an array of floats.

NumPy's functions run on the objects. What does not keep polynomials polynomials is refused, by
the elements or here; arrays without a symbol run as the arrays of numbers that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from convalg.prove.decisions.polynomials import Polynomial, UntraceableError
from convalg.prove.functions.frames import recorded, refusal, sees_numbers, unwatched
from convalg.prove.functions.symbols import (
    FACE,
    FLOAT,
    READS_TEXT,
    Symbol,
    exact,
    is_one,
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
"""Ufuncs whose loops for objects use the operators of the elements, which decide."""

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
"""What shows the bytes of an array."""


class SymbolArray(np.ndarray):
    """An array of objects, some of them symbols, that stands for one of numbers of a dtype."""

    __slots__ = ("_stands_for",)
    __array_priority__ = 1000.0

    def __array_finalize__(self, source: Any) -> None:
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
            raise refusal("reads the bytes of", described(self))
        if name in ("itemsize", "nbytes", "strides") and label_of(self).itemsize != 8:
            raise refusal("measures the bytes of", described(self))
        if not hasattr(np.ndarray, name):
            raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")
        return np.ndarray.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "dtype":
            raise refusal("reads the bytes of", described(self))
        np.ndarray.__setattr__(self, name, value)

    @unwatched
    def __getitem__(self, index: Any) -> Any:
        found = _get(self, _indices(index))
        label = _read_label(self)
        if type(found) is Symbol:
            # The usual case, in a few steps.
            held = parts(found)
            if held.dtype is label and not held.weak:
                return symbol(held)
        return _lent(found, label)

    @unwatched
    def __setitem__(self, index: Any, value: Any) -> None:
        label = _read_label(self)
        if type(value) is Symbol and label is FLOAT:
            held = parts(value)
            if held.dtype is FLOAT and not held.weak:
                _set(self, _indices(index), value)
                return
        _set(self, _indices(index), stored(value, label))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, options)

    def __str__(self) -> str:
        raise refusal(READS_TEXT, described(self))

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        raise refusal(READS_TEXT, described(self))

    @unwatched
    def astype(  # type: ignore[override]  # of one signature, and results of two kinds
        self, dtype: Any, *_: Any, copy: bool = True, **__: Any
    ) -> Any:
        """The array as one of another dtype, which rounds where that is of low precision."""
        wanted = np.dtype(dtype)
        marked = (wanted.metadata or {}).get("symbols")
        if wanted.kind in "fO" or marked:
            wanted = np.dtype(wanted.str)
            found = array_of(stored(self, wanted), wanted)
            return found if copy or wanted != label_of(self) else self
        return numbers_of(self, f"converts to {wanted.name}").astype(wanted)

    def view(self, *args: Any, **options: Any) -> Any:
        """A view of the same dtype; the bytes are not shown."""
        if args or options:
            raise refusal("reads the bytes of", described(self))
        return np.ndarray.view(self)

    def round(  # type: ignore[override]  # as above
        self, decimals: int = 0, out: Any = None
    ) -> Any:
        """The rounded numbers, of an array without a symbol."""
        return wrapped(numbers_of(self, "rounds or takes a remainder of").round(decimals))

    def mean(  # type: ignore[override]  # as above
        self, axis: Any = None, dtype: Any = None, out: Any = None, *, keepdims: Any = False
    ) -> Any:
        """The mean over axes."""
        total = np.add.reduce(self, axis, dtype=dtype, keepdims=keepdims)
        count = self.size // max(np.size(plain(total)) if np.ndim(plain(total)) else 1, 1)
        return into(out, total / count)

    def fill(self, value: Any) -> None:
        """Write one value everywhere."""
        self[...] = value

    def item(self, *args: Any) -> Any:
        """One element, as Python's own number."""
        return _lent(np.ndarray.item(self, *args), FLOAT)

    def tolist(self) -> Any:
        """The elements in nested lists."""
        return _listed(plain(self).tolist())

    @property  # type: ignore[misc]  # nobody writes it
    def real(self) -> Any:
        """The array itself: its elements are real."""
        return np.ndarray.view(self)

    @property  # type: ignore[misc]  # as above
    def imag(self) -> Any:
        """Zeros: the elements are real."""
        return array_of(np.full(self.shape, 0.0, dtype=object), label_of(self))

    def conj(self) -> Any:
        """The array itself: its elements are real."""
        return np.ndarray.view(self)

    conjugate = conj


_label_slot = SymbolArray.__dict__["_stands_for"]
_read_label = _label_slot.__get__
_get, _set = np.ndarray.__getitem__, np.ndarray.__setitem__


def shown(label: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype as the user's code sees it; one of integers is marked, for arrays made from it."""
    if label.kind not in "iu":
        return label
    return np.dtype(label.str, metadata={"symbols": True})  # typeshed


def label_of(array: SymbolArray) -> np.dtype[Any]:
    """The dtype that an array of symbols stands for."""
    label: np.dtype[Any] = _label_slot.__get__(array)
    return label


def array_of(values: Any, label: np.dtype[Any]) -> SymbolArray:
    """A new array of symbols and numbers that owns its memory, as an array of floats would."""
    source = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    made = np.ndarray.__new__(SymbolArray, source.shape, dtype=object)
    plain(made)[...] = plain(source)
    _label_slot.__set__(made, label)
    return made


def plain(value: Any) -> Any:
    """An array of symbols as the array of objects that it is; anything else as it is."""
    return np.ndarray.view(value, np.ndarray) if type(value) is SymbolArray else value


def holds_symbols(value: Any) -> bool:
    """Whether there is a symbol in a value, or in the lists and arrays that it consists of."""
    if is_one(value):
        return True
    if type(value) is SymbolArray or (isinstance(value, np.ndarray) and value.dtype == OBJECT):
        return any(map(is_one, plain(value).flat))
    return isinstance(value, (list, tuple)) and any(map(holds_symbols, value))


def numbers_of(array: SymbolArray, asks: str) -> Any:
    """The array of numbers that an array without a symbol stands for.

    Raises: UntraceableError where it holds a symbol.
    """
    label = label_of(array)
    if label == OBJECT and not holds_symbols(array):
        return plain(array).copy()
    for value in plain(array).flat:
        if is_one(value) and not set(parts(value).polynomial.terms) <= {()}:
            raise refusal(asks, parts(value).polynomial)
    return np.array(list(map(float, plain(array).flat))).astype(label).reshape(array.shape)


def described(array: SymbolArray) -> str:
    """One of the symbols of an array, for a message."""
    first = next((v for v in plain(array).flat if is_one(v)), None)
    return "an array" if first is None else f"an array that holds {parts(first).polynomial!r}"


def stored(value: Any, label: np.dtype[Any]) -> Any:
    """What an array of that dtype keeps of a value or of an array of values."""
    if is_one(value):
        return relabelled(value, label, stores=True)
    if isinstance(value, (list, tuple)):
        value = np.array(value, dtype=None if not holds_symbols(value) else object)
    if isinstance(value, np.ndarray):
        if value.dtype != OBJECT and label.kind == "f" and value.dtype.kind in "biuf":
            value = value.astype(label)
        found = np.empty(value.shape, dtype=object)
        flat = found.reshape(-1)
        for place, entry in enumerate(plain(value).flat):
            flat[place] = (
                relabelled(entry, label, stores=True) if is_one(entry) else _number(entry, label)
            )
        return found if found.ndim else found[()]
    return _number(value, label)


def _number(value: Any, label: np.dtype[Any]) -> Any:
    if isinstance(value, Polynomial) or is_symbolic(value):
        return value
    return number_in(value, label)


def wrapped(result: Any, label: np.dtype[Any] = FLOAT) -> Any:
    """A result of NumPy: arrays of objects and floats become arrays that take symbols."""
    if is_one(result):
        return relabelled(result, label) if label != OBJECT else result
    if isinstance(result, np.ndarray) and type(result) in (np.ndarray, SymbolArray):
        if result.dtype == OBJECT:
            view = np.ndarray.view(result, SymbolArray)
            _label_slot.__set__(view, label)
            return view
        marked = (result.dtype.metadata or {}).get("symbols")
        if result.dtype.kind == "f" or marked:
            own = np.dtype(result.dtype.str)
            return array_of(stored(result, own), own)
    if type(result) in (list, tuple):
        return type(result)(wrapped(part, label) for part in result)
    return result


def _lent(value: Any, label: np.dtype[Any]) -> Any:
    """What indexing gives: a new scalar each time, as of an array of numbers."""
    if is_one(value):
        return symbol(parts(value)) if label == OBJECT else relabelled(value, label)
    if isinstance(value, (np.ndarray, Polynomial)) or is_symbolic(value) or label.kind != "f":
        return value
    return label.type(value) if label is not FLOAT else np.float64(value)


def _listed(value: Any) -> Any:
    if isinstance(value, list):
        return [_listed(part) for part in value]
    return symbol(parts(value)) if is_one(value) else value


def _indices(index: Any) -> Any:
    """An index without arrays of symbols: NumPy takes floats for none, and neither does this."""
    if type(index) is SymbolArray:
        raise recorded(UntraceableError(f"{described(index)} is not an index"))
    return index


def apply_ufunc(ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
    """A ufunc on arrays that hold symbols; those made of a function of the user's are watched.

    Raises: UntraceableError when the result is not one of polynomials.
    """
    apply = _ufunc if _is_made(ufunc) else _ufunc_unwatched
    return apply(ufunc, method, inputs, options)


def _is_made(ufunc: Any) -> bool:
    """Whether np.frompyfunc made a ufunc."""
    return set(ufunc.types[0]) - set("->") == {"O"}


def _ufunc(ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
    out = options.pop("out", None)
    wanted = options.pop("dtype", None)
    label = _label_of_result(ufunc, inputs, wanted)
    if not any(map(holds_symbols, inputs)) and method != "at":
        given = [without_symbols(value) for value in inputs]
        if wanted is not None:
            options["dtype"] = wanted
        return into(out, wrapped(getattr(ufunc, method)(*given, **options), label))
    if ufunc.__name__ not in POLYNOMIAL and not _is_made(ufunc):
        raise refusal(f"takes {ufunc.__name__} of", first_symbol(inputs))
    if wanted is not None and np.dtype(wanted).kind not in "fO":
        raise refusal(f"converts to {np.dtype(wanted).name}", first_symbol(inputs))
    for name in ("casting", "order", "subok", "signature"):
        options.pop(name, None)
    if method == "at":
        return _at(ufunc, *inputs)
    given = [as_objects(value) for value in inputs]
    result = getattr(ufunc, method)(*given, **options)
    if wanted is not None and label.kind == "f":
        result = stored(result, label)
    if ufunc.__name__ == "absolute":
        label = FLOAT
    return into(out, wrapped(result, label))


_ufunc_unwatched = unwatched(_ufunc)


def _at(ufunc: Any, target: Any, index: Any, *values: Any) -> None:
    """ufunc.at: the operation at each index in turn, also where one comes twice."""
    if type(target) is not SymbolArray:
        raise refusal("writes into an array of numbers", first_symbol(values))
    ufunc.at(plain(target), index, *map(as_objects, values))
    plain(target)[...] = stored(target, label_of(target))


def into(out: Any, result: Any) -> Any:
    """A result written where `out` says."""
    if out is None:
        return result
    targets = out if isinstance(out, tuple) else (out,)
    results = result if isinstance(result, tuple) else (result,)
    for target, value in zip(targets, results, strict=True):
        if target is not None:
            # An array of numbers converts each symbol, which is refused.
            target[...] = value
    return out[0] if isinstance(out, tuple) and len(out) == 1 else out


def as_objects(value: Any) -> Any:
    """An operand for the loops over objects, exact where its dtype is of low precision."""
    if is_one(value):
        return _box(value)
    if isinstance(value, np.generic):
        held = operand(value)
        return value if held is None else _box(symbol(held))
    value = plain(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != FLOAT:
        return _boxed(value)
    return value


def _box(value: Any) -> Any:
    found = np.empty((), dtype=object)
    found[()] = value
    return found


def _boxed(value: Any) -> Any:
    """An array of NumPy's own scalars, which carry their dtype."""
    found = np.empty(value.shape, dtype=object)
    for place in np.ndindex(value.shape):
        found[place] = value[place]
    return found


def without_symbols(value: Any) -> Any:
    """An argument as the numbers that it stands for."""
    return numbers_of(value, "uses") if type(value) is SymbolArray else value


def first_symbol(values: Iterable[Any]) -> str:
    """One symbol among operands, for a message."""
    for value in values:
        if is_one(value):
            return repr(parts(value).polynomial)
        if isinstance(value, np.ndarray):
            for entry in plain(value).flat:
                if is_one(entry):
                    return repr(parts(entry).polynomial)
        if isinstance(value, (list, tuple)) and holds_symbols(value):
            return first_symbol(value)
    return "an array"


def _label_of_result(ufunc: Any, inputs: Any, wanted: Any) -> np.dtype[Any]:
    """The dtype that the result on numbers would have."""
    if wanted is not None:
        return np.dtype(wanted)
    found = merged(inputs)
    if ufunc.__name__ in ("divide", "true_divide", "float_power") and found.kind in "biu":
        return FLOAT
    return found


def merged(values: Iterable[Any]) -> np.dtype[Any]:
    """The dtype of operands together; Python's own numbers and lists of symbols count as weak."""
    kinds: list[Any] = []
    weak_float = False
    for value in values:
        if type(value) is SymbolArray:
            kinds.append(label_of(value))
        elif is_one(value):
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
    found = np.result_type(*numeric)
    return FLOAT if weak_float and found.kind in "biu" else found


def polynomial_of(value: Any) -> Polynomial:
    """A number or a symbol as a polynomial.

    Raises: UntraceableError for what is neither.
    """
    if is_one(value):
        return parts(value).polynomial
    if isinstance(value, Polynomial) or is_symbolic(value):
        return Polynomial.of(value)
    if isinstance(value, (str, bytes)) or value is None:
        raise UntraceableError(f"{value!r} is not a number")
    return Polynomial({(): exact(value)})


def _symbol_ufunc(self: Symbol, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    return apply_ufunc(ufunc, method, inputs, options)


def _as_array(value: Symbol) -> Callable[..., Any]:
    return lambda *_, **__: array_of([symbol(parts(value))], parts(value).dtype)


# What a scalar does with arrays is attached from here, above it.
Symbol.__array_ufunc__ = _symbol_ufunc  # type: ignore[attr-defined]  # attached
FACE.update(ravel=_as_array, flatten=_as_array)
