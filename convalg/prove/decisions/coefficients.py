"""Coefficients in one canonical form: rational functions of symbols over algebraic numbers.

Two such coefficients are equal exactly when the numerator of their difference is the zero
polynomial, which SymPy's polynomials decide. Coefficients without such a form, such as sin(1), the
root of a symbol, or a symbol that does not commute, are rejected: whether their difference is zero
cannot be decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.errors import UndecidableError
from convalg.operators.tree import Operator, Scaled, leaves
from convalg.prove.decisions.polynomials import Polynomial, is_read_as_written
from convalg.size import is_symbolic

if TYPE_CHECKING:
    import sympy

MOST_RADICALS = 3
"""The number of radicals that a coefficient may contain; with more, the decision takes too long."""


def entries_of(operator: Operator) -> list[Any]:
    """Return the distinct factors and weights of an operator that are floats or Python objects.

    The weights of a symbolic kernel (`ca.kernel`) are independent symbols and are left out.
    """
    entries: dict[int, Any] = {}
    stack = [operator]
    while stack:
        node = stack.pop()
        stack.extend(node.children)
        if isinstance(node, Scaled):
            entries[id(node.factor)] = node.factor
    for leaf in leaves(operator):
        values = getattr(leaf, "weights", getattr(leaf, "values", None))
        if isinstance(values, np.ndarray) and values.dtype.kind in "Of":
            entries.update((id(value), value) for value in values.ravel().tolist())
    return list(entries.values())


def check_canonical(entries: Iterable[object]) -> None:
    """Raise UndecidableError for a coefficient that has no canonical form."""
    for value in entries:
        if is_symbolic(value) and not _is_canonical(value):
            raise UndecidableError(
                f"the coefficient {value} has no canonical form (only rational functions of "
                f"commuting symbols and algebraic numbers have one), so that equality cannot be "
                f"decided"
            )


@lru_cache(maxsize=4096)
def _is_canonical(value: sympy.Expr) -> bool:
    import sympy

    match value:
        case sympy.Symbol():
            return bool(value.is_commutative)
        case sympy.Rational() | sympy.Float():
            return True
        case sympy.Add() | sympy.Mul():
            return all(map(_is_canonical, value.args))
        case sympy.Pow() if value.exp.is_Integer:
            return _is_canonical(value.base)
        case sympy.Pow() if value.exp.is_Rational:
            # A root is an algebraic number only if there is no symbol under it.
            return bool(value.is_number and value.is_real and _is_canonical(value.base))
        case sympy.floor() | sympy.Max() | sympy.Min():
            # With integer symbols this is a size, and sets of sizes decide its equality.
            return all(symbol.is_integer for symbol in value.free_symbols)
    return bool(value.is_number and value.is_real and value.is_algebraic)


def is_zero(value: Polynomial) -> bool:
    """Return whether a polynomial with canonical coefficients is zero wherever it is defined.

    Raises: UndecidableError if the coefficients contain too many radicals for a decision.

    >>> import sympy
    >>> is_zero(Polynomial.of(sympy.sqrt(2)) ** 2 - 2)
    True
    >>> K = sympy.Symbol("K")
    >>> is_zero(Polynomial.of(1 / K) + Polynomial.of((K - 1) / K) - 1)
    True
    """
    if not value.terms or all(g.source is None or g.source.is_Symbol for g in value.generators):
        return not value.terms
    return bool(numerator(value) == 0)


def numerator(value: Polynomial) -> sympy.Expr:
    """Return the numerator over a common denominator in expanded canonical form: 0 if it vanishes.

    Raises: UndecidableError if the coefficients contain too many radicals for a decision.
    """
    import sympy

    above, _ = sympy.fraction(sympy.together(value.to_sympy()))
    above = sympy.expand(above)
    radicals = {p for p in above.atoms(sympy.Pow) if not p.exp.is_Integer} | {
        a for a in above.atoms() if a.is_number and not a.is_Rational and a.is_algebraic
    }
    if not radicals:
        return above
    if len(radicals) > MOST_RADICALS:
        raise UndecidableError(
            f"a coefficient with {len(radicals)} different radicals, more than {MOST_RADICALS}, "
            f"takes too long to bring into a canonical form: use numbers or fewer radicals"
        )
    symbols = sorted(above.free_symbols, key=lambda s: (s.name, str(s.assumptions0)))
    if not symbols:
        # The minimal polynomial of an algebraic number is x only for zero.
        x = sympy.Dummy("x")
        return above if sympy.minimal_polynomial(above, x) != x else sympy.S.Zero
    return sympy.Poly(above, *symbols, extension=True).as_expr()


def poles(entries: Iterable[object]) -> list[sympy.Expr]:
    """Return the factors of the denominators of coefficients, which must not be zero.

    >>> import sympy
    >>> K = sympy.Symbol("K")
    >>> poles([1 / (K - 1), 3 / K**2, K])
    [K - 1, K]
    """
    distinct: dict[sympy.Expr, None] = {}
    for value in entries:
        if is_symbolic(value):
            distinct.update(dict.fromkeys(_poles(value)))
    return list(distinct)


@lru_cache(maxsize=1024)
def _poles(value: sympy.Expr) -> tuple[sympy.Expr, ...]:
    import sympy

    bases = [
        power.base for power in value.atoms(sympy.Pow) if power.exp.is_number and power.exp < 0
    ]
    distinct: dict[sympy.Expr, None] = {}
    for base in bases:
        below = sympy.fraction(sympy.together(base))[0]
        if below.free_symbols:
            distinct.update((factor, None) for factor, _ in sympy.factor_list(below)[1])
    return tuple(factor for factor in distinct if factor.free_symbols)


def factors(value: sympy.Expr, sizes: frozenset[sympy.Symbol]) -> list[list[sympy.Expr]]:
    """Return conditions on sizes: a numerator vanishes where every listed product vanishes.

    The numerator is a polynomial in the symbols that are not sizes. It vanishes where all its
    coefficients, which are expressions in the sizes, vanish. Each coefficient is returned as the
    list of its factors.

    >>> import sympy
    >>> n, a = sympy.symbols("n a")
    >>> factors(sympy.expand((n - 1) * (n - 2) * a + n), frozenset([n]))
    [[n - 2, n - 1], [n]]
    """
    import sympy

    own = sorted(value.free_symbols - sizes, key=lambda s: (s.name, str(s.assumptions0)))
    parts = sympy.Poly(value, *own).coeffs() if own else [value]
    products = []
    for part in parts:
        if not part.free_symbols:
            return [[]] if part != 0 else []
        if part.has(sympy.floor, sympy.Max, sympy.Min) or not part.is_polynomial():
            products.append([part])
            continue
        products.append([factor for factor, _ in sympy.factor_list(part)[1]])
    return products


def rounded_floats(entries: Iterable[object]) -> list[float | np.floating[Any]]:
    """Return the floats that are not exactly the simplest fraction that rounds to them."""
    floats = (value for value in entries if isinstance(value, (float, np.floating)))
    return [value for value in floats if not is_read_as_written(value)]
