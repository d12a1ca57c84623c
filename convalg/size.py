"""Sizes: integers, or symbols with the conditions under which an operator exists.

Every constructor states each precondition once, by `require`: it is checked where sizes are
numbers, and kept as a `Condition` where they are symbols.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from convalg.arguments import shown
from convalg.axis import Size, holds
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.limits import LARGEST_INTEGER

if TYPE_CHECKING:
    import sympy


Message: TypeAlias = "tuple[Any, ...]"
Numbers: TypeAlias = "Mapping[str | sympy.Symbol, int]"
"""A number for each symbol, or for each name of a symbol of `ca.sizes`."""


@dataclass(frozen=True)
class Condition:
    """A precondition on symbolic sizes: `value` must not be negative.

    Attributes:
        value: The expression that must be at least 0.
        message: The error message of the constructor when it is negative: a template and the values
            that fill it. It is formatted only when it is read, because SymPy prints slowly.
        words: A template and values for the condition as a sentence, where an inequality would be
            hard to read; () to print the inequality.
        note: Text printed after the condition, or "".
    """

    value: sympy.Expr
    message: Message = ()
    words: Message = ()
    note: str = ""

    @property
    def text(self) -> str:
        """The error message, formatted."""
        return written(self.message)


def written(message: Message) -> str:
    """Return a message formatted from its template and its values; "" for an empty message."""
    return message[0].format(*message[1:]) if message else ""


def require(
    value: Size,
    message: Message,
    conditions: list[Condition] | None,
    *,
    error: type[Exception] = ArgumentError,
    words: Message = (),
) -> None:
    """Require that `value` is not negative: check a number, or record a symbolic condition.

    A condition that depends on symbols is appended to `conditions`, from which the domain of a
    family and the errors raised by `A.at(...)` are derived.

    Raises: `error` with the message when the value is negative for all values of the symbols.
    """
    if isinstance(value, int):
        if value < 0:
            raise error(written(message))
        return
    if holds(value < 0):
        raise error(written(message))
    if conditions is not None and is_symbolic(value) and not holds(value >= 0):
        conditions.append(Condition(value, message, words))


def check_conditions(conditions: Iterable[Condition], numbers: Numbers) -> None:
    """Raise ArgumentError with the message of the first condition that fails at some sizes."""
    for condition in conditions:
        if fails(condition.value, numbers):
            given = ", ".join(f"{name}={value}" for name, value in numbers.items())
            raise ArgumentError(f"this operator does not exist at {given}: {condition.text}")


def fails(value: Size, numbers: Numbers) -> bool:
    """Return whether a size is negative, or not defined, at some numbers.

    >>> n, s = sizes("n s")
    >>> fails(n // s - 2, {n: 5, s: 3}), fails(n // s, {n: 5, s: 0}), fails(n // s, {n: 5})
    (True, True, False)
    """
    result = substituted(value, numbers)
    if is_symbolic(result) and result.is_number and result.is_finite is not True:
        return True  # A division by zero.
    return holds(result < 0)


def conditions_at(conditions: Iterable[Condition], numbers: Numbers) -> tuple[Condition, ...]:
    """Return the conditions that still contain symbols after a substitution of sizes."""
    moved = (replace(c, value=substituted(c.value, numbers)) for c in conditions)
    return tuple(c for c in moved if is_symbolic(c.value) and not holds(c.value >= 0))


def size_product(shape: Iterable[Size]) -> Any:
    """Return the number of elements, as a Python int that cannot overflow (or an expression)."""
    return math.prod(shape)


def is_symbolic(value: object) -> TypeGuard[sympy.Basic]:
    """Return whether a value is a SymPy object, without importing SymPy."""
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(value, sympy.Basic)


def is_expression(value: object) -> TypeGuard[sympy.Expr]:
    """Return whether a value is a SymPy expression; SymPy sets and truth values are not."""
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(value, sympy.Expr)


def size_text(value: object) -> str:
    """Return a size as text, with positive symbols first and numbers last.

    >>> n, K = sizes("n K")
    >>> size_text(n - K + 1)
    'n - K + 1'
    """
    if not is_symbolic(value) or not value.is_Add:
        return str(value)
    terms = sorted(
        value.args,
        key=lambda t: (t.is_number, t.could_extract_minus_sign(), sorted(map(str, t.free_symbols))),
    )
    text = str(terms[0])
    for term in terms[1:]:
        negative = term.could_extract_minus_sign()
        text += f" {'-' if negative else '+'} {-term if negative else term}"
    return text


def sizes(names: str) -> tuple[sympy.Symbol, ...]:
    """Return symbols for sizes, to use as sizes, strides, dilations and paddings of operators.

    An operator with symbols is a family, which contains one operator for each choice of numbers;
    `A.at(n=5)` returns one of them.

    Args:
        names: Names of the symbols, separated by spaces or commas, such as "n K".

    Returns:
        A tuple of SymPy symbols for integers of at least 0, one per name.

    Raises:
        ArgumentError: when a name is not an ASCII identifier or occurs twice, or there is none.
        KindError: when `names` is not a string.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> n + K
    K + n
    """
    import sympy

    if not isinstance(names, str):
        raise KindError(f"names must be a string such as 'n K p', not {shown(names)}")
    labels = names.replace(",", " ").split()
    for label in labels:
        if not (label.isidentifier() and label.isascii()):
            raise ArgumentError(
                f"names must be ASCII identifiers such as 'n' or 'K1', separated by spaces or "
                f"commas, but one is {label!r}"
            )
    if not labels or len(set(labels)) < len(labels):
        raise ArgumentError(f"names must contain at least one name and none twice, not {names!r}")
    return tuple(sympy.Symbol(label, integer=True, nonnegative=True) for label in labels)


def substituted(value: object, numbers: Numbers) -> Any:
    """Return a size or a factor with symbols replaced by numbers.

    The result is a Python number if no symbol is left. The keys of `numbers` are symbols, or names
    of symbols of `ca.sizes`; weights with such a name are not replaced.
    """
    if not is_symbolic(value):
        return value
    chosen = {}
    for symbol in value.free_symbols:
        if symbol in numbers:
            chosen[symbol] = int(numbers[symbol])
        elif symbol.name in numbers and symbol.is_integer:
            chosen[symbol] = int(numbers[symbol.name])
    if value.is_Symbol:
        return chosen.get(value, value)
    if chosen and len(chosen) == len(value.free_symbols):
        number = _computed(value, chosen)
        if number is not None:
            return number
    try:
        result: Any = value.subs(chosen) if chosen else value
    except ValueError:
        # SymPy does not compare an undefined argument of a maximum.
        import sympy

        return sympy.nan
    if not result.is_Rational:
        return result
    return int(result) if result.is_Integer else Fraction(int(result.p), int(result.q))


def _computed(value: sympy.Expr, numbers: Mapping[sympy.Symbol, int]) -> int | Fraction | None:
    """Return the value of an expression at numbers, or None where it is not defined or rational.

    This takes a small part of the time of `subs`.
    """
    try:
        number = Fraction(_arithmetic(value, numbers))
    except (ZeroDivisionError, _OtherFunctionError):
        return None
    return int(number) if number.denominator == 1 else number


class _OtherFunctionError(Exception):
    """An expression contains a function that is not made of rational arithmetic."""


def _arithmetic(value: sympy.Basic, numbers: Mapping[sympy.Symbol, int]) -> int | Fraction:
    """Return the value of a rational expression. Raises: _OtherFunctionError, ZeroDivisionError."""
    import sympy

    match value:
        case sympy.Symbol():
            return numbers[value]
        case sympy.Integer():
            return int(value)
        case sympy.Rational():
            return Fraction(int(value.p), int(value.q))
        case sympy.Pow() if value.exp.is_Integer and abs(value.exp) < 100:
            return Fraction(_arithmetic(value.base, numbers)) ** int(value.exp)
    rule = _ARITHMETIC.get(type(value).__name__)
    if rule is None:
        raise _OtherFunctionError
    return rule(*(_arithmetic(part, numbers) for part in value.args))


_ARITHMETIC: dict[str, Callable[..., int | Fraction]] = {
    "Add": lambda *parts: sum(parts),
    "Max": max,
    "Min": min,
    "Mod": lambda above, below: above - below * math.floor(Fraction(above) / below),
    "Mul": lambda *parts: math.prod(parts),
    "floor": math.floor,
}


def as_size(
    value: Any, name: str, *, least: int | None = 1, conditions: list[Condition] | None = None
) -> Size:
    """Return one size as a Python int, or a symbolic size unchanged.

    The lower bound of a symbolic size is appended to `conditions`.

    Raises: KindError when the value is not an integer, ArgumentError when it is below `least`.
    """
    if type(value) is int:
        number = value
    elif is_expression(value) and not value.is_number:
        if not _is_integer(value) or value.has(*_undefined()):
            raise KindError(
                f"{name} must be an integer, but {value} can have other values: create its symbols "
                f"with ca.sizes"
            )
        if least is not None:
            require(
                value - least, ("{} must be at least {}, not {}", name, least, value), conditions
            )
        return value
    else:
        number = _index(value, name)
    if least is not None and number < least:
        raise ArgumentError(f"{name} must be at least {least}, not {shown(number)}")
    if abs(number) > LARGEST_INTEGER:
        raise ArgumentError(f"{name} must be a 64-bit integer, not {shown(number)}")
    return number


def _index(value: Any, name: str) -> int:
    """Return an integer of any kind as a Python int. Raises: KindError when it is none."""
    try:
        if isinstance(value, bool) or (is_symbolic(value) and not is_expression(value)):
            raise TypeError
        number = operator.index(value) if not is_symbolic(value) else int(value)
        if number != value:
            raise TypeError
    except (TypeError, ValueError):
        raise KindError(
            f"{name} must be an integer, not {value!r} ({type(value).__name__})"
        ) from None
    return number


def as_integer(value: object, name: str, *, least: int | None = 1) -> int:
    """Return one size as a Python int; symbols are not allowed.

    Raises: KindError when the value is a symbol or not an integer, ArgumentError when it is below
    `least`.
    """
    number = as_size(value, name, least=least)
    if not isinstance(number, int):
        raise KindError(f"{name} must be an integer, not the symbolic {value}: pass a number")
    return number


def _undefined() -> tuple[sympy.Expr, ...]:
    """Return SymPy's values of a division by zero."""
    import sympy

    return sympy.zoo, sympy.nan, sympy.oo, -sympy.oo


def _is_integer(value: sympy.Expr) -> bool:
    """Return whether a symbolic expression is an integer wherever it is defined."""
    import sympy

    if value.is_integer is not None:
        return bool(value.is_integer)
    # SymPy does not decide whether floor(n / s) is an integer, because s could be zero.
    rounded = value.has(sympy.floor, sympy.Max, sympy.Min)
    return rounded and all(symbol.is_integer for symbol in value.free_symbols)


def as_shape(
    shape: object,
    name: str = "shape",
    *,
    least: int = 1,
    conditions: list[Condition] | None = None,
) -> tuple[Size, ...]:
    """Return a shape as a tuple of sizes; an int is a shape of one axis.

    Raises: KindError, ArgumentError or ShapeError, which name the axis at fault.
    """
    if not is_sequence(shape):
        return (as_size(shape, name, least=least, conditions=conditions),)
    sizes = tuple(
        as_size(v, f"{name}[{k}]", least=least, conditions=conditions) for k, v in enumerate(shape)
    )
    if not sizes:
        raise ShapeError(f"{name} must have at least one axis, not {shape!r}")
    return sizes


def per_axis(
    value: object,
    name: str,
    dims: int,
    *,
    least: int | None = 1,
    conditions: list[Condition] | None = None,
) -> tuple[Any, ...]:
    """Return a tuple of one size per axis, from one size for all axes or a sequence of one each.

    Raises: ShapeError when the sequence does not have one entry per axis.
    """
    if not is_sequence(value):
        return (as_size(value, name, least=least, conditions=conditions),) * dims
    if len(value) != dims:
        raise ShapeError(
            f"{name} must be one integer or {dims} of them (one per axis), not {value!r}"
        )
    return tuple(
        as_size(v, f"{name}[{k}]", least=least, conditions=conditions) for k, v in enumerate(value)
    )


def padding_pairs(
    padding: object,
    dims: int,
    *,
    least: int | None = 0,
    name: str = "padding",
    conditions: list[Condition] | None = None,
) -> tuple[tuple[Any, Any], ...]:
    """Return the pair (before, after) of each axis, from an int, one int per axis, or such pairs.

    Raises: ShapeError for anything else, ArgumentError for a number below `least`.
    """
    if not is_sequence(padding):
        number = as_size(padding, name, least=least, conditions=conditions)
        return ((number, number),) * dims
    if len(padding) != dims:
        raise ShapeError(
            f"{name} must be one integer, or one integer or pair (before, after) for each of "
            f"{dims} axes, not {padding!r}"
        )
    pairs = []
    for k, entry in enumerate(padding):
        if not is_sequence(entry):
            entry = (entry, entry)
        if len(entry) != 2:
            raise ShapeError(f"{name}[{k}] must be one integer or (before, after), not {entry!r}")
        before, after = (
            as_size(v, f"{name}[{k}]", least=least, conditions=conditions) for v in entry
        )
        pairs.append((before, after))
    return tuple(pairs)


def larger(first: Size, second: Size) -> Any:
    """Return the maximum of two sizes of at least 1: an int for two ints, else an expression."""
    if not (is_symbolic(first) or is_symbolic(second)):
        return max(first, second)
    if first == 1 or second == 1:
        return second if first == 1 else first
    import sympy

    return sympy.Max(first, second)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is a sequence: a tuple, a list or an array of one axis."""
    # A symbolic kernel has axes too, but no length.
    return isinstance(value, (tuple, list)) or (
        hasattr(value, "__len__") and getattr(value, "ndim", 0) == 1
    )


def require_numbers(values: Sequence[object], name: str) -> None:
    """Raise SymbolicError when one of the values is symbolic."""
    if any(is_symbolic(value) for value in values):
        raise SymbolicError(f"{name} must be given in numbers, not symbols: {tuple(values)}")
