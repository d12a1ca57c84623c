"""Sizes as text for isl, a library for Presburger arithmetic, and comparisons of sizes by isl.

isl decides every statement about sizes that are affine in their symbols and may contain floors of
divisions by integers, maxima and minima.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from convalg.errors import UndecidableError

if TYPE_CHECKING:
    import islpy
    import sympy


def text(value: int | sympy.Expr) -> str:
    """Return a size in the syntax of isl.

    Raises: UndecidableError when the size is not affine in its symbols, such as n * m.

    >>> import sympy
    >>> text((sympy.Symbol("n", integer=True) - 3) // 2 + 1)
    '(1 + floor((-3 + n)/2))'
    """
    if isinstance(value, int):
        return str(value)
    import sympy

    match value:
        case sympy.Integer():
            return str(value)
        case sympy.Symbol(name=name) if value.is_integer:
            return isl_name(name)
        case sympy.Add():
            return f"({' + '.join(text(term) for term in reversed(value.as_ordered_terms()))})"
        case sympy.Mul():
            factor, rest = value.as_coeff_Mul()
            if factor.is_integer and factor != 1:
                return f"{factor}*{text(rest)}"
        case sympy.floor():
            above, below = sympy.together(value.args[0]).as_numer_denom()
            if below.is_integer and below.is_number:
                return f"floor({text(sympy.expand(above))}/{below})"
        case sympy.Max() | sympy.Min():
            function = "max" if isinstance(value, sympy.Max) else "min"
            first, *others = map(text, value.args)
            for other in others:
                first = f"{function}({first}, {other})"
            return first
    raise UndecidableError(
        f"{value} is not affine in its symbols, so that isl cannot decide it: replace some of its "
        f"symbols by numbers: {', '.join(sorted(map(str, value.free_symbols)))}"
    )


# Names that are not available: keywords of isl, and the indices in the relations of this package.
_TAKEN = re.compile(
    r"([a-z]\d+|[giju]|and|or|not|implies|exists|mod|min|max|floor|floord|ceil|ceild|rat|infty|NaN"
    r"|true|false)_*"
)


def isl_name(name: str) -> str:
    """Return the name of a symbol for isl, with an underscore added if the name is not available.

    >>> isl_name("n"), isl_name("o0"), isl_name("o0_")
    ('n', 'o0_', 'o0__')
    """
    return f"{name}_" if _TAKEN.fullmatch(name) else name


def parameters(*values: object) -> str:
    """Return the declaration of the symbols of some sizes for isl.

    The result is "" when the sizes do not have symbols.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> parameters(n - K, 2 * n, 3), parameters(3)
    ('[K, n] -> ', '')
    """
    symbols = {s.name for value in values for s in getattr(value, "free_symbols", ())}
    names = sorted(map(isl_name, symbols))
    return f"[{', '.join(names)}] -> " if names else ""


def same_size(first: object, second: object) -> bool:
    """Return whether two sizes are equal for all values 0, 1, 2, ... of their symbols.

    Equal sizes may be written differently, for example with a ceiling or with a floor.

    >>> import convalg as ca
    >>> n, = ca.sizes("n")
    >>> same_size((n - 1) // 2 + 1, -(-n // 2)), same_size(n // 2, (n + 1) // 2)
    (True, False)
    """
    return bool(first == second) or (
        (hasattr(first, "free_symbols") or hasattr(second, "free_symbols"))
        and _same_symbolic(first, second)
    )


def same_shape(first: Iterable[object], second: Iterable[object]) -> bool:
    """Return whether two shapes have as many axes and the same size on each; see `same_size`."""
    left, right = tuple(first), tuple(second)
    return left == right or (len(left) == len(right) and all(map(same_size, left, right)))


def is_implied(value: object, premises: Iterable[object]) -> bool:
    """Return whether `value >= 0` follows from non-negative premises and symbols; False if unclear.

    Premises that are not affine are not used.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> is_implied(n - 1, [n - K, K - 1]), is_implied(n - 2, [n - K, K - 1])
    (True, False)
    """
    return _is_implied(value, tuple(premises))


@lru_cache(maxsize=4096)
def _is_implied(value: object, premises: tuple[object, ...]) -> bool:
    import islpy
    import sympy

    try:
        claim = text(sympy.sympify(value))
    except UndecidableError:
        return False
    premises = (*premises, *sorted(sympy.sympify(value).free_symbols, key=str))
    false = islpy.Set(f"{parameters(value)}{{ : {claim} < 0 }}")
    return bool(false.is_disjoint(parameter_set(premises)))


def parameter_set(premises: Iterable[object]) -> islpy.Set:
    """Return the set of the sizes at which no premise is negative.

    Premises that are not affine are not used, so that the set may be larger.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> parameter_set([n - K, K - 1, n * K - 5])
    Set("[K, n] -> {  : K > 0 and n >= K }")
    """
    import islpy
    import sympy

    lines, kept = [], []
    for premise in premises:
        try:
            lines.append(f"{text(sympy.sympify(premise))} >= 0")
        except UndecidableError:
            continue
        kept.append(premise)
    return islpy.Set(f"{parameters(*kept)}{{ : {' and '.join(lines) or '0 = 0'} }}")


@lru_cache(maxsize=1024)
def _same_symbolic(first: object, second: object) -> bool:
    import islpy
    import sympy

    gap = sympy.expand(sympy.sympify(first) - sympy.sympify(second))
    if gap.is_number:
        return bool(gap == 0)
    try:
        apart = f"{text(first)} != {text(second)}"
        # A symbol that cancels in the gap is still a part of both texts.
        symbols = sympy.sympify(first).free_symbols | sympy.sympify(second).free_symbols
        bounds = [f"{isl_name(s.name)} >= 0" for s in symbols]
        body = " and ".join([apart, *bounds])
        return bool(islpy.Set(f"{parameters(first, second)}{{ : {body} }}").is_empty())
    except UndecidableError:
        return bool(sympy.expand(_floors_only(gap)) == 0)


def _floors_only(value: sympy.Expr) -> sympy.Expr:
    """Return a size with each ceiling, which has the form -floor(-n / s), replaced by a floor.

    Rule: floor(a / b) = -floor((-a - 1) / b) - 1 for integers a and b >= 1.
    """
    import sympy

    def as_floor(inner: sympy.Expr) -> sympy.Expr:
        above, below = sympy.together(inner).as_numer_denom()
        above = sympy.expand(above)
        rest = above.as_coeff_Add()[1]
        if not rest.could_extract_minus_sign() or not below.is_integer:
            return sympy.floor(inner)
        return -sympy.floor((-above - 1) / below) - 1

    return value.replace(sympy.floor, as_floor)
