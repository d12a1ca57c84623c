"""Zero tests of exact entries, which either decide or raise an error.

Rational functions of symbols over the algebraic numbers are decided by their normal form. Other
expressions (sin(1), log(2), the root of a symbol) are zero if an identity simplifies them to 0, and
non-zero if their value at some point is, to guaranteed digits. Otherwise an error is raised.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from convalg.errors import UndecidableError
from convalg.size import is_expression

if TYPE_CHECKING:
    import sympy

Point: TypeAlias = "dict[sympy.Symbol, sympy.Expr]"

DIGITS = 30
"""The number of guaranteed digits of the values that distinguish an expression from zero."""

MOST_OPERATIONS = 2000
"""The largest number of operations of an expression that is simplified."""


def is_zero(value: object) -> bool:
    """Return whether a number or an expression is zero for all values of its symbols.

    Raises: UndecidableError when no procedure decides whether the expression is zero.

    >>> import sympy
    >>> is_zero(sympy.sin(1) ** 2 + sympy.cos(1) ** 2 - 1), is_zero(sympy.sqrt(2) - 1)
    (True, False)
    """
    if not is_expression(value):
        return bool(value == 0)
    return _is_zero(value)


def is_equal(first: Any, second: Any) -> bool:
    """Return whether two numbers or expressions are equal for all values of their symbols.

    Raises: UndecidableError when no procedure decides whether their difference is zero.
    """
    return bool(first == second) or (
        (is_expression(first) or is_expression(second)) and is_zero(first - second)
    )


def first_equal(values: list[Any]) -> list[Any]:
    """Return, for each value, the first value of (0, 1, *values) that equals it.

    Values are returned unchanged if all are numbers or expanded polynomials.

    Raises: UndecidableError when no procedure decides whether two values are equal.

    >>> import sympy
    >>> first_equal([1, sympy.cos(1) ** 2 + sympy.sin(1) ** 2, 2])
    [1, 1, 2]
    """
    if not any(is_expression(value) and not _is_expanded_polynomial(value) for value in values):
        # Equal expanded polynomials have equal expressions.
        return values
    forms: dict[Any, Any] = {}
    seen: list[tuple[Any, Any]] = [(_number(0), 0), (_number(1), 1)]
    for value in values:
        if value not in forms:
            number = _number(value)
            # Equal expressions have nearly equal values at any point, so few pairs are compared.
            alike = (other for near, other in seen if _are_near(number, near))
            forms[value] = next((other for other in alike if is_equal(value, other)), value)
            if forms[value] is value:
                seen.append((number, value))
    return [forms[value] for value in values]


def _is_expanded_polynomial(value: sympy.Expr) -> bool:
    """Return whether an expression is an expanded polynomial with rational coefficients."""
    if value.is_Add or value.is_Mul:
        return all(map(_is_expanded_polynomial, value.args))
    is_power = value.is_Pow and value.exp.is_Integer and value.exp > 0
    return bool(value.is_Rational or value.is_Symbol or (is_power and value.base.is_Symbol))


def _number(value: object) -> sympy.Float | None:
    """Return the value at one point to `DIGITS` digits, or None if it is undefined there."""
    import sympy

    expression = sympy.sympify(value)
    number = expression.subs(_points(expression)[0]).evalf(DIGITS)
    return sympy.Float(number, DIGITS) if number.is_Float or number.is_Rational else None


def _are_near(first: sympy.Float | None, second: sympy.Float | None) -> bool:
    if first is None or second is None:
        return True
    return bool(abs(first - second) <= (abs(first) + abs(second) + 1) / 10**9)


def is_rational_function(value: sympy.Expr) -> bool:
    """Return whether an expression is built from symbols and algebraic numbers by + - * and /."""
    import sympy

    if value.is_Rational or value.is_Symbol or value is sympy.I:
        return True
    if value.is_Add or value.is_Mul:
        return all(map(is_rational_function, value.args))
    if value.is_Pow and value.exp.is_Integer:
        return is_rational_function(value.base)
    return bool(not value.free_symbols and value.is_algebraic and not value.has(sympy.Function))


@lru_cache(maxsize=4096)
def _is_zero(value: sympy.Expr) -> bool:
    import sympy

    exact = value.xreplace({number: sympy.Rational(number) for number in value.atoms(sympy.Float)})
    expanded = sympy.expand(exact)
    if expanded.is_Rational:
        return bool(expanded == 0)
    if is_rational_function(expanded):
        return _numerator_vanishes(expanded)
    if _is_nonzero_somewhere(exact):
        return False
    if expanded.count_ops() <= MOST_OPERATIONS and _is_identically_zero(expanded):
        return True
    raise UndecidableError(
        f"cannot decide whether {value} is zero: it does not simplify to 0, and no computed value "
        f"of it is certainly different from 0; write it as a rational function of symbols with "
        f"algebraic coefficients, or with floats"
    )


def _numerator_vanishes(value: sympy.Expr) -> bool:
    """Return whether all coefficients of the numerator of a rational function are zero."""
    import sympy

    numerator = sympy.numer(sympy.together(value))
    symbols = sorted(numerator.free_symbols, key=sympy.default_sort_key)
    if not symbols:
        return _is_algebraic_zero(sympy.expand(numerator))
    return all(map(_is_algebraic_zero, sympy.Poly(numerator, *symbols).coeffs()))


def _is_algebraic_zero(number: sympy.Expr) -> bool:
    """Return whether an algebraic number is zero, by its value and its minimal polynomial."""
    import sympy

    if number.is_Rational:
        return bool(number == 0)
    if _is_nonzero_somewhere(number):
        return False
    variable = sympy.Dummy("z")
    return bool(sympy.minimal_polynomial(number, variable) == variable)


def _is_nonzero_somewhere(value: sympy.Expr) -> bool:
    """Return whether the expression is certainly non-zero at some point."""
    return any(_is_nonzero_at(value, point) for point in _points(value))


def _is_nonzero_at(value: sympy.Expr, point: Point) -> bool:
    import sympy
    from sympy.core.evalf import PrecisionExhausted

    at = value.subs(point)
    if at.is_Rational:
        return bool(at != 0)
    if at.free_symbols or at.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
        return False
    try:
        # With strict=True all digits are guaranteed, or an error is raised.
        number = at.evalf(DIGITS, maxn=20 * DIGITS, strict=True)
    except (PrecisionExhausted, NotImplementedError, ValueError, TypeError):
        return False
    return bool(number.is_number and abs(number) > 0)


def _points(value: sympy.Expr) -> list[Point]:
    """Return points {symbol: number} that the assumptions of the symbols allow.

    An expression without symbols has the single point {}.
    """
    import sympy

    symbols = sorted(value.free_symbols, key=sympy.default_sort_key)
    if not symbols:
        return [{}]
    points = []
    for k in range(4):
        point = {}
        for number, symbol in enumerate(symbols):
            size = sympy.Integer(2 + 3 * number + 5 * k) ** (1 + number % 2) + k
            if not symbol.is_integer:
                size += sympy.Rational(1, 3 + number)
            is_negative = symbol.is_negative or (k % 2 and symbol.is_negative is None)
            point[symbol] = -size if is_negative and not symbol.is_nonnegative else size
        points.append(point)
    return points


def _is_identically_zero(value: sympy.Expr) -> bool:
    """Return whether SymPy simplifies the expression to 0."""
    import sympy

    for rewritten in (value, value.rewrite(sympy.exp)):
        for simplify in (sympy.trigsimp, sympy.cancel, sympy.simplify):
            try:
                if simplify(sympy.expand(rewritten)) == 0:
                    return True
            except (NotImplementedError, sympy.PolynomialError, ValueError):
                continue
    return False
