"""Symbols in place of numbers: scalars that look like np.float64 and hold polynomials.

A function that can distinguish a symbol from a number may take a different branch on symbols than
on numbers. Therefore a symbol has the attributes and the type of a float for the user's own code.
Operations that need the value, the text or the hash of a symbol raise an error, which is recorded
with the run in case the function catches it. For libraries, a symbol is an object of its own type.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import Coefficient, Polynomial, UntraceableError
from convalg.prove.functions.frames import (
    is_outside,
    recorded,
    refusal,
    sees_numbers,
    symbolic_run,
    unwatched,
)
from convalg.size import is_symbolic

DType = np.dtype[Any]
FLOAT, INTEGER = np.dtype(np.float64), np.dtype(np.int64)
DECIDES = "branches on or converts the value of"
ROUNDS = "rounds or takes a remainder of"
READS_TEXT = "uses the text form of"


class SymbolParts:
    """The data of a symbol.

    `polynomial`: the exact value. `size`: a bound of all its intermediate results at each sample,
    computed with absolute values instead of values. `depth`: the number of successive roundings.
    `lost`: the relative error that dtypes with less precision than float64 add. `dtype`: the dtype
    that a number would have in its place. `weak`: whether the number would be a Python number.
    """

    __slots__ = ("depth", "dtype", "lost", "polynomial", "size", "weak")

    def __init__(
        self,
        polynomial: Polynomial,
        size: float | Array,
        depth: int,
        lost: float,
        dtype: DType,
        weak: bool = False,
    ) -> None:
        self.polynomial = polynomial
        self.size = size
        self.depth = depth
        self.lost = lost
        self.dtype = dtype
        self.weak = weak

    def __copy__(self) -> SymbolParts:
        return SymbolParts(self.polynomial, self.size, self.depth, self.lost, self.dtype, self.weak)

    def but(self, **changes: object) -> SymbolParts:
        """Return a copy with some parts changed."""
        made = self.__copy__()
        for name, value in changes.items():
            setattr(made, name, value)
        return made


class Symbol:
    """A polynomial that a user function holds in place of a number."""

    __slots__ = ("_parts",)
    # With this priority SymPy leaves operations to `Symbol` and does not convert it first.
    _op_priority = 100.0

    def __getattribute__(self, name: str) -> Any:
        if sees_numbers(1):
            return _as_a_number(self, name)
        return object.__getattribute__(self, name)

    @unwatched
    def __add__(self, other: object) -> Any:
        return _sum(_read(self), _read(other) if type(other) is Symbol else operand(other))

    @unwatched
    def __radd__(self, other: object) -> Any:
        return _sum(operand(other), parts(self))

    @unwatched
    def __sub__(self, other: object) -> Any:
        right = operand(other)
        return NotImplemented if right is None else _sum(parts(self), _negative(right))

    @unwatched
    def __rsub__(self, other: object) -> Any:
        return _sum(operand(other), _negative(parts(self)))

    @unwatched
    def __mul__(self, other: object) -> Any:
        return _product(_read(self), _read(other) if type(other) is Symbol else operand(other))

    @unwatched
    def __rmul__(self, other: object) -> Any:
        return _product(operand(other), parts(self))

    @unwatched
    def __truediv__(self, other: object) -> Any:
        return _quotient(parts(self), operand(other))

    @unwatched
    def __rtruediv__(self, other: object) -> Any:
        return _quotient(operand(other), parts(self))

    @unwatched
    def __pow__(self, exponent: object, modulus: object = None) -> Any:
        power = operand(exponent)
        if power is None or modulus is not None:
            return NotImplemented
        value = _constant(power, "raises a number to the power of")
        if value.denominator != 1 or value < 0:
            raise refusal(f"takes the power {value} of", self)
        return _power(parts(self), int(value), power)

    def __rpow__(self, base: object) -> Any:
        left = operand(base)
        if left is None:
            return NotImplemented
        value = _constant(parts(self), "raises a number to the power of")
        return _constant(left, DECIDES) ** value

    @unwatched
    def __neg__(self) -> Any:
        return symbol(_negative(parts(self)))

    def __pos__(self) -> Any:
        return symbol(parts(self))

    def conjugate(self) -> Any:
        """Return the symbol itself, since symbols are real."""
        return symbol(parts(self))

    def __eq__(self, other: object) -> Any:
        return _compared(self, other, lambda gap: gap == 0)

    def __ne__(self, other: object) -> Any:
        return _compared(self, other, lambda gap: gap != 0)

    def __lt__(self, other: object) -> Any:
        return _compared(self, other, lambda gap: gap < 0)

    def __le__(self, other: object) -> Any:
        return _compared(self, other, lambda gap: gap <= 0)

    def __gt__(self, other: object) -> Any:
        return _compared(self, other, lambda gap: gap > 0)

    def __ge__(self, other: object) -> Any:
        return _compared(self, other, lambda gap: gap >= 0)

    def __bool__(self) -> bool:
        return bool(_constant(parts(self), DECIDES))

    def __float__(self) -> float:
        return float(_constant(parts(self), DECIDES))

    def __int__(self) -> int:
        return int(_constant(parts(self), DECIDES))

    def __complex__(self) -> complex:
        return complex(_constant(parts(self), DECIDES))

    def __abs__(self) -> Any:
        return float(abs(_constant(parts(self), "takes the absolute value of")))

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(_constant(parts(self), ROUNDS)), digits)

    def __trunc__(self) -> int:
        return math.trunc(_constant(parts(self), ROUNDS))

    def __floor__(self) -> int:
        return math.floor(_constant(parts(self), ROUNDS))

    def __ceil__(self) -> int:
        return math.ceil(_constant(parts(self), ROUNDS))

    def __floordiv__(self, other: object) -> Any:
        return _of_numbers(self, other, lambda left, right: left // right)

    def __rfloordiv__(self, other: object) -> Any:
        return _of_numbers(self, other, lambda right, left: left // right)

    def __mod__(self, other: object) -> Any:
        return _of_numbers(self, other, lambda left, right: left % right)

    def __rmod__(self, other: object) -> Any:
        return _of_numbers(self, other, lambda right, left: left % right)

    def __divmod__(self, other: object) -> Any:
        return _of_numbers(self, other, divmod)

    def __rdivmod__(self, other: object) -> Any:
        return _of_numbers(self, other, lambda right, left: divmod(left, right))

    def __hash__(self) -> int:
        raise refusal("takes the hash of", _text(self))

    def __str__(self) -> str:
        if is_outside(1):
            raise refusal(READS_TEXT, _text(self))
        return _text(self)

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        if is_outside(1):
            raise refusal(READS_TEXT, _text(self))
        return format(_text(self), form)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise refusal("serialises", _text(self))

    def __copy__(self) -> Symbol:
        return symbol(parts(self))

    def __deepcopy__(self, memory: object) -> Symbol:
        return symbol(parts(self))


numbers.Number.register(Symbol)

_slot = Symbol.__dict__["_parts"]
_read, _write = _slot.__get__, _slot.__set__


def symbol(held: SymbolParts) -> Symbol:
    """Return a new symbol with the given parts."""
    made: Symbol = object.__new__(Symbol)
    _write(made, held)
    return made


def parts(value: Symbol) -> SymbolParts:
    """Return the parts of a symbol, which are hidden from the user's code."""
    held: SymbolParts = _read(value)
    return held


def is_symbol(value: object) -> TypeGuard[Symbol]:
    """Return whether a value is a symbol."""
    return type(value) is Symbol


def relabelled(value: object, dtype: DType, stores: bool = False) -> Any:
    """Return a symbol or a number as an element of an array of a dtype.

    `stores`: whether the value is written into such an array and rounded.
    """
    if not is_symbol(value):
        return number_in(value, dtype)
    held = parts(value)
    if held.dtype is dtype and not held.weak and (dtype is FLOAT or not stores):
        return symbol(held)
    lost = held.lost
    if stores and dtype.kind == "f" and dtype.itemsize < FLOAT.itemsize:
        lost += _lowered(dtype, held.size)
    if stores and dtype.kind in "iu" and held.dtype.kind == "f":
        _lowered(dtype, held.size)
    return symbol(held.but(dtype=dtype, lost=lost, weak=False))


def _lowered(dtype: DType, size: float | Array) -> float:
    """Return the rounding error of a write into an array of low precision, and record the write."""
    run = symbolic_run()
    if run is not None:
        largest = run.lowered.get(dtype.name, 0.0)
        run.lowered[dtype.name] = np.maximum(largest, size)
    return _rounding(dtype)


def number_in(value: object, dtype: DType) -> Any:
    """Return a number as an array of a dtype stores it."""
    if dtype.kind not in "fiu" or isinstance(value, Polynomial) or is_symbolic(value):
        return value
    if isinstance(value, (str, bytes)):
        raise recorded(UntraceableError(f"the text {value!r} is not a number"))
    if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real):
        raise recorded(
            UntraceableError(f"the complex number {value!r} cannot be stored as a float")
        )
    stored = dtype.type(value)
    return stored.item() if dtype == FLOAT or dtype.kind != "f" else stored


def operand(other: object) -> SymbolParts | None:
    """Return the parts of an operand, or None if it is not a number.

    Raises: UntraceableError for a number that is not real and finite.
    """
    if type(other) is Symbol:
        return parts(other)
    if type(other) is int or type(other) is bool:
        return SymbolParts(Polynomial({(): int(other)}), float(abs(other)), 0, 0.0, INTEGER, True)
    try:
        return _constant_parts(other)
    except UntraceableError as error:
        raise recorded(error) from None
    except OverflowError:
        raise recorded(UntraceableError(f"the number {other!r} is too large")) from None


def _constant_parts(other: object) -> SymbolParts | None:
    if isinstance(other, Polynomial) or is_symbolic(other):
        made = Polynomial.of(other)
        return SymbolParts(made, size_of(made), 1, 0.0, FLOAT, True)
    if not isinstance(other, (numbers.Number, Decimal)):
        return None
    value = exact(other)
    dtype = other.dtype if isinstance(other, np.generic) else FLOAT
    # The simplest fraction near a float differs from it by the rounding of its dtype.
    apart = not isinstance(other, (int, np.integer, np.bool_)) and value != other
    lost = _rounding(dtype) if apart else 0.0
    weak = not isinstance(other, np.generic)
    made = Polynomial({(): value})
    return SymbolParts(made, abs(float(value)), int(apart), lost, dtype, weak)


def size_of(polynomial: Polynomial) -> float:
    """Return the sum of the absolute values of the coefficients.

    >>> size_of(2 - 3 * Polynomial.generator("x"))
    5.0
    """
    sizes: list[Any] = [abs(coefficient) for coefficient in polynomial.terms.values()]
    return float(sum(sizes))


def exact(value: object) -> Coefficient:
    """Return a number as an exact rational: a float as the simplest fraction that rounds to it.

    Decimals and long doubles are converted exactly.

    Raises: UntraceableError for text, and for a number that is not real and finite.
    """
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (Decimal, np.longdouble)):
        try:
            return Fraction(*value.as_integer_ratio())
        except (ValueError, OverflowError):
            raise UntraceableError(f"expected a finite real number, not {value!r}") from None
    if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real):
        if value.imag != 0:
            raise UntraceableError(f"{value!r} is complex, not real")
        return exact(value.real)
    held = Polynomial.of(value)
    return held.terms.get((), 0)


def _merged(left: SymbolParts, right: SymbolParts) -> DType:
    """Return the dtype of a result; Python floats do not change the dtype of NumPy floats."""
    if left.dtype is right.dtype:
        return left.dtype
    if left.weak != right.weak:
        weak, strong = (left, right) if left.weak else (right, left)
        if strong.dtype.kind == "f" or weak.dtype.kind != "f":
            return strong.dtype
    return np.promote_types(left.dtype, right.dtype)


def _sum(left: SymbolParts | None, right: SymbolParts | None) -> Any:
    if left is None or right is None:
        return NotImplemented
    one, other = left.polynomial, right.polynomial
    try:
        made = one + other
        _spend(len(one.terms) + len(other.terms))
    except UntraceableError as error:
        raise recorded(error) from None
    dtype = left.dtype if left.dtype is right.dtype else _merged(left, right)
    lost = left.lost if left.lost > right.lost else right.lost
    if dtype is not FLOAT:
        lost += _rounding(dtype)
    depth = (left.depth if left.depth > right.depth else right.depth) + 1
    return symbol(SymbolParts(made, left.size + right.size, depth, lost, dtype))


def _product(left: SymbolParts | None, right: SymbolParts | None) -> Any:
    if left is None or right is None:
        return NotImplemented
    one, other = left.polynomial, right.polynomial
    try:
        _spend(len(one.terms) * len(other.terms))
        made = one * other
    except UntraceableError as error:
        raise recorded(error) from None
    dtype = left.dtype if left.dtype is right.dtype else _merged(left, right)
    lost = left.lost + right.lost
    if dtype is not FLOAT:
        lost += _rounding(dtype)
    depth = left.depth + right.depth + 1
    return symbol(SymbolParts(made, left.size * right.size, depth, lost, dtype))


def _quotient(left: SymbolParts | None, right: SymbolParts | None) -> Any:
    if left is None or right is None:
        return NotImplemented
    value = _constant(right, "divides by")
    if value == 0:
        raise recorded(UntraceableError("the function divides a symbol by 0"))
    inverse = Polynomial({(): 1 / Fraction(value)})
    size = 1 / right.size if right.size else math.inf
    # Dividing integers gives floats.
    dtype = FLOAT if _merged(left, right).kind != "f" else right.dtype
    by = right.but(polynomial=inverse, size=size, depth=right.depth + 1, dtype=dtype)
    return _product(left, by)


def _power(base: SymbolParts, exponent: int, power: SymbolParts) -> Any:
    try:
        longest = max(map(len, base.polynomial.terms), default=0)
        _spend(len(base.polynomial.terms) ** min(exponent, 64) + longest * exponent)
        made = base.polynomial**exponent
    except UntraceableError as error:
        raise recorded(error) from None
    dtype = _merged(base, power)
    depth = (base.depth + 1) * max(exponent, 1)
    lost = (base.lost + _rounding(dtype)) * max(exponent, 1)
    return symbol(SymbolParts(made, base.size**exponent, depth, lost, dtype))


def _negative(held: SymbolParts) -> SymbolParts:
    return held.but(polynomial=-held.polynomial, weak=False)


def _rounding(dtype: DType) -> float:
    if dtype is not FLOAT and dtype.kind == "f" and dtype.itemsize < FLOAT.itemsize:
        return float(np.finfo(dtype).eps)
    return 0.0


def _spend(products: int) -> None:
    run = symbolic_run()
    if run is not None:
        run.spend(products)


def _constant(held: SymbolParts, action: str) -> Fraction:
    """Return the value of a constant symbol.

    Raises: UntraceableError for any other symbol; `action` describes the operation.
    """
    if set(held.polynomial.terms) <= {()}:
        return Fraction(held.polynomial.terms.get((), 0))
    raise refusal(action, held.polynomial)


def _compared(left: Symbol, other: object, holds: Callable[[Fraction], bool]) -> Any:
    right = operand(other)
    if right is None:
        return NotImplemented
    gap = parts(left).polynomial - right.polynomial
    return holds(_constant(parts(left).but(polynomial=gap), DECIDES))


def _of_numbers(left: Symbol, other: object, apply: Callable[[float, float], object]) -> Any:
    """Apply an operation whose result is not a polynomial to constants."""
    right = operand(other)
    if right is None:
        return NotImplemented
    return apply(float(_constant(parts(left), ROUNDS)), float(_constant(right, ROUNDS)))


def _text(value: Symbol) -> str:
    return repr(parts(value).polynomial)


def _as_a_number(value: Symbol, name: str) -> Any:
    """Return an attribute of a symbol for the user's code: that of an np.float64.

    Raises: AttributeError for an attribute that np.float64 does not have either.
    """
    held = parts(value)
    kind = held.dtype.type
    if name in FACE:
        return FACE[name](value)
    if name in _OWN:
        return object.__getattribute__(value, name)
    if name == "__class__":
        return kind
    # NumPy looks these attributes up to find out whether an object is an array.
    if name.startswith("__array") or not hasattr(kind, name):
        raise AttributeError(f"'{kind.__name__}' object has no attribute {name!r}")
    raise refusal(f"uses the attribute {name!r} of", _text(value))


def _same(value: Symbol, *_: object, **__: object) -> Symbol:
    return symbol(parts(value))


def _cast(value: Symbol, dtype: npt.DTypeLike) -> Any:
    """Return the result of `astype` for a symbol."""
    requested: DType = np.dtype(dtype)
    if requested.kind == "f":
        return relabelled(value, requested, stores=True)
    if requested.kind == "O":
        return symbol(parts(value))
    return requested.type(float(_constant(parts(value), f"takes the {requested.name} value of")))


FACE: dict[str, Callable[[Symbol], Any]] = {
    "dtype": lambda value: parts(value).dtype,
    "shape": lambda value: (),
    "strides": lambda value: (),
    "ndim": lambda value: 0,
    "size": lambda value: 1,
    "itemsize": lambda value: parts(value).dtype.itemsize,
    "nbytes": lambda value: parts(value).dtype.itemsize,
    "T": _same,
    "real": _same,
    "imag": lambda value: parts(value).dtype.type(0),
    **{
        name: lambda value: lambda *a, **k: _same(value)
        for name in [
            "conj",
            "conjugate",
            "item",
            "copy",
            "sum",
            "prod",
            "mean",
            "max",
            "min",
            "squeeze",
            "transpose",
            "tolist",
            "cumsum",
        ]
    },
    "astype": lambda value: lambda dtype, **_: _cast(value, dtype),
    "dot": lambda value: lambda other: value * other,
}
"""The attributes of a float that a symbol has too, as functions of the symbol.

The module of arrays of symbols adds the attributes that return arrays.
"""
_OWN = {
    name
    for name in vars(Symbol)
    if name.startswith("__") and hasattr(np.float64, name) and not name.startswith("__array")
} - {"__getattribute__", "__reduce_ex__", "__class__", "__slots__", "__module__", "__doc__"}
