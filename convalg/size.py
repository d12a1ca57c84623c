"""Sizes: integers, or symbols with the conditions under which an operator exists.

Every constructor states each precondition once, by `require`: it is checked where sizes are
numbers, and kept as a `Condition` where they are symbols.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from convalg.arguments import shown
from convalg.axis import Size, holds
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.limits import LARGEST_INTEGER

if TYPE_CHECKING:
    import sympy


Message: TypeAlias = "tuple[Any, ...]"


@dataclass(frozen=True)
class Condition:
    """A precondition with symbolic sizes: `value` must not be negative.

    `message`: the constructor's error where it is negative, as a template and the values that fill
    it, formatted only when it is read, since SymPy prints slowly. `words`: how a scope prints the
    condition where an inequality would be hard to read, or (). `note`: what a scope adds, or "".
    """

    value: sympy.Expr
    message: Message = ()
    words: Message = ()
    note: str = ""

    @property
    def text(self) -> str:
        """The formatted message."""
        return written(self.message)


def written(message: Message) -> str:
    """Return a message from its template and the values that fill it."""
    return message[0].format(*message[1:]) if message else ""


def require(
    value: Any,
    message: Message,
    conditions: list[Condition] | None,
    *,
    error: type[Exception] = ArgumentError,
    words: Message = (),
) -> None:
    """Require that `value` is not negative: checked for numbers, recorded for symbols.

    `conditions`: a condition that depends on symbols is appended here; the domain of a family and
    the errors of `A.at(...)` come from this list.

    Raises: `error` with the message where the value is negative for all values of the symbols.
    """
    if isinstance(value, int):
        if value < 0:
            raise error(written(message))
        return
    if holds(value < 0):
        raise error(written(message))
    if conditions is not None and is_symbolic(value) and not holds(value >= 0):
        conditions.append(Condition(value, message, words))


def check_conditions(conditions: Iterable[Condition], numbers: Mapping[Any, int]) -> None:
    """Raise ArgumentError with the message of the first condition that fails at some sizes."""
    for condition in conditions:
        if holds(substituted(condition.value, numbers) < 0):
            given = ", ".join(f"{name}={value}" for name, value in numbers.items())
            raise ArgumentError(f"this operator does not exist at {given}: {condition.text}")


def conditions_at(
    conditions: Iterable[Condition], numbers: Mapping[Any, int]
) -> tuple[Condition, ...]:
    """Return the conditions that still contain symbols after a substitution of sizes."""
    moved = (replace(c, value=substituted(c.value, numbers)) for c in conditions)
    return tuple(c for c in moved if is_symbolic(c.value) and not holds(c.value >= 0))


def size_product(shape: Sequence[Size]) -> Any:
    """Return the number of elements, as a Python int that cannot overflow (or an expression)."""
    return math.prod(shape)


def is_symbolic(value: object) -> bool:
    """Return whether a value is a SymPy object, without importing SymPy."""
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(value, sympy.Basic)


def is_expression(value: object) -> bool:
    """Return whether a value is a SymPy expression, not a set or a truth value."""
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(value, sympy.Expr)


def size_text(value: Any) -> str:
    """Return a size as text in the usual order: positive symbols first, numbers last.

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
    """Return symbols for integers, to use where an operator takes a size.

    A symbol is at least 1 where it is a size and at least 0 where it is a padding.

    Args:
        names: Names of the symbols, separated by spaces or commas.

    Raises:
        ArgumentError: for a name that is not an identifier, or is given twice.
        KindError: when `names` is not a string.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> n + K
    K + n
    """
    import sympy

    if not isinstance(names, str):
        raise KindError(f"names must be a string such as 'n K p', not {names!r}")
    labels = names.replace(",", " ").split()
    for label in labels:
        if not (label.isidentifier() and label.isascii()):
            raise ArgumentError(f"{label!r} cannot be the name of a size: use letters and digits")
    if not labels or len(set(labels)) < len(labels):
        raise ArgumentError(f"names must be one or more different names, not {names!r}")
    return tuple(sympy.Symbol(label, integer=True, nonnegative=True) for label in labels)


def substituted(value: Any, numbers: Mapping[Any, int]) -> Any:
    """Return a size (or factor) with symbols replaced by numbers; a Python number if none is left.

    `numbers`: a number for each symbol, or for each name of a symbol of `ca.sizes`. Other symbols
    with such a name, which are weights, are kept.
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
    result = value.subs(chosen) if chosen else value
    if not result.is_Rational:
        return result
    return int(result) if result.is_Integer else Fraction(int(result.p), int(result.q))


def as_size(
    value: Any, name: str, *, least: int | None = 1, conditions: list[Condition] | None = None
) -> Size:
    """Return one size as a Python int (or a symbolic size, whose bound is added to `conditions`).

    Raises: KindError when it is not an integer, ArgumentError when it is below `least`.
    """
    if type(value) is int:
        number = value
    elif is_expression(value) and not value.is_number:
        if not _is_integer(value):
            raise KindError(
                f"{name} must be an integer, and {value} need not be an integer: make symbols "
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
        raise ArgumentError(f"{name} must be an integer of 64 bits, not {shown(number)}")
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
    """Return an integer where symbols are not allowed.

    Raises: as `as_size`, and KindError for a symbol.
    """
    number = as_size(value, name, least=least)
    if not isinstance(number, int):
        raise KindError(f"{name} must be a number here, not {value}")
    return number


def _is_integer(value: Any) -> bool:
    """Return whether a symbolic expression is an integer wherever it has a value."""
    import sympy

    if value.is_integer is not None:
        return bool(value.is_integer)
    # SymPy leaves open whether floor(n / s) is an integer, since s might be zero.
    rounded = value.has(sympy.floor, sympy.Max, sympy.Min)
    return rounded and all(symbol.is_integer for symbol in value.free_symbols)


def as_shape(
    shape: Any,
    name: str = "shape",
    *,
    least: int = 1,
    conditions: list[Condition] | None = None,
) -> tuple[Size, ...]:
    """Return a shape as a tuple; an int is a shape of one axis.

    Raises: KindError, ArgumentError or ShapeError naming the axis at fault.
    """
    if not is_sequence(shape):
        return (as_size(shape, name, least=least, conditions=conditions),)
    sizes = tuple(
        as_size(v, f"{name}[{k}]", least=least, conditions=conditions) for k, v in enumerate(shape)
    )
    if not sizes:
        raise ShapeError(f"{name} needs at least one axis, but it is empty: {shape!r}")
    return sizes


def per_axis(
    value: Any,
    name: str,
    dims: int,
    *,
    least: int | None = 1,
    conditions: list[Condition] | None = None,
) -> tuple[Any, ...]:
    """Return one number per axis, from one number for all or from a sequence.

    Raises: ShapeError when the length of the sequence is not the number of axes.
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
    padding: Any,
    dims: int,
    *,
    least: int | None = 0,
    name: str = "padding",
    conditions: list[Condition] | None = None,
) -> tuple[tuple[Any, Any], ...]:
    """Return (before, after) for each axis from an int, one int per axis, or pairs.

    Raises: ShapeError for another structure, ArgumentError for a number below `least`.
    """
    if not is_sequence(padding):
        number = as_size(padding, name, least=least, conditions=conditions)
        return ((number, number),) * dims
    if len(padding) != dims:
        raise ShapeError(
            f"{name} must be an integer, one per axis, or (before, after) pairs for "
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


def larger(first: Any, second: Any) -> Any:
    """Return the larger of two sizes, as a number if both are numbers."""
    if not (is_symbolic(first) or is_symbolic(second)):
        return max(first, second)
    import sympy

    return sympy.Max(first, second)


def is_sequence(value: object) -> bool:
    """Return whether a value is a sequence: a tuple, a list or an array of one axis."""
    return isinstance(value, (tuple, list)) or (
        hasattr(value, "ndim") and getattr(value, "ndim", 0) == 1
    )


def require_numbers(values: Sequence[Any], name: str) -> None:
    """Raise SymbolicError where a number is symbolic."""
    if any(is_symbolic(value) for value in values):
        raise SymbolicError(f"{name} needs numbers here, not symbols: {tuple(values)}")
