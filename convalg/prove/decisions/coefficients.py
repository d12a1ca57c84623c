"""Coefficients in one canonical form: rational functions of symbols over algebraic numbers.

Two such coefficients are equal exactly when the numerator of their difference is the zero
polynomial, which SymPy's polynomials decide. What has no such form, as sin(1), sqrt(x) of a
symbol or a symbol that does not commute, is refused: a difference would then decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from convalg.errors import UndecidableError
from convalg.operators.tree import Operator, Scaled, leaves
from convalg.prove.decisions.polynomials import Polynomial, is_read_as_written
from convalg.size import is_symbolic

MOST_RADICALS = 3
"""Independent roots in one coefficient; the field that holds more is slow to find."""


def entries_of(operator: Operator) -> list[Any]:
    """Every factor and weight of an operator that is not a machine number, each once.

    Weights of a symbolic kernel (`ca.kernel`) are symbols of their own and are left out.
    """
    found: dict[int, Any] = {}
    stack = [operator]
    while stack:
        node = stack.pop()
        stack.extend(node.children)
        if isinstance(node, Scaled):
            found[id(node.factor)] = node.factor
    for leaf in leaves(operator):
        values = getattr(leaf, "weights", getattr(leaf, "values", None))
        if isinstance(values, np.ndarray) and values.dtype.kind in "Of":
            found.update((id(value), value) for value in values.ravel().tolist())
    return list(found.values())


def check_canonical(entries: Iterable[Any]) -> None:
    """Raises: UndecidableError for a coefficient that has no canonical form."""
    for value in entries:
        if is_symbolic(value) and not _is_canonical(value):
            raise UndecidableError(
                f"the coefficient {value} has no canonical form (rational functions of commuting "
                f"symbols and algebraic numbers have one), so a difference decides nothing"
            )


@lru_cache(maxsize=4096)
def _is_canonical(value: Any) -> bool:
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
            # A root is an algebraic number where nothing under it is a symbol.
            return bool(value.is_number and value.is_real and _is_canonical(value.base))
        case sympy.floor() | sympy.Max() | sympy.Min():
            # Of sizes: a size itself, which the sets of sizes decide.
            return all(symbol.is_integer for symbol in value.free_symbols)
    return bool(value.is_number and value.is_real and value.is_algebraic)


def is_zero(value: Polynomial) -> bool:
    """Whether a sum of products of canonical coefficients is zero wherever it has a value.

    Raises: UndecidableError where there are too many roots to tell.

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


def numerator(value: Polynomial) -> Any:
    """The numerator over a common denominator, expanded in a canonical form: 0 where it vanishes.

    Raises: UndecidableError where there are too many roots to tell.
    """
    import sympy

    above, _ = sympy.fraction(sympy.together(value.to_sympy()))
    above = sympy.expand(above)
    roots = {p for p in above.atoms(sympy.Pow) if not p.exp.is_Integer} | {
        a for a in above.atoms() if a.is_number and not a.is_Rational and a.is_algebraic
    }
    if not roots:
        return above
    if len(roots) > MOST_RADICALS:
        raise UndecidableError(
            f"a coefficient with {len(roots)} different roots, more than {MOST_RADICALS}, takes "
            f"too long to put in a canonical form: use numbers or fewer roots"
        )
    symbols = sorted(above.free_symbols, key=lambda s: (s.name, str(s.assumptions0)))
    if not symbols:
        # The minimal polynomial of an algebraic number is x only for zero.
        x = sympy.Dummy("x")
        return above if sympy.minimal_polynomial(above, x) != x else sympy.S.Zero
    return sympy.Poly(above, *symbols, extension=True).as_expr()


def poles(entries: Iterable[Any]) -> list[Any]:
    """The factors of the denominators of coefficients: where one vanishes, no value exists.

    >>> import sympy
    >>> K = sympy.Symbol("K")
    >>> poles([1 / (K - 1), 3 / K**2, K])
    [K - 1, K]
    """
    found: dict[Any, None] = {}
    for value in entries:
        if is_symbolic(value) and value.free_symbols:
            found.update(dict.fromkeys(_poles(value)))
    return list(found)


@lru_cache(maxsize=1024)
def _poles(value: Any) -> tuple[Any, ...]:
    import sympy

    bases = [
        power.base for power in value.atoms(sympy.Pow) if power.exp.is_number and power.exp < 0
    ]
    found: dict[Any, None] = {}
    for base in bases:
        below = sympy.fraction(sympy.together(base))[0]
        if below.free_symbols:
            found.update((factor, None) for factor, _ in sympy.factor_list(below)[1])
    return tuple(factor for factor in found if factor.free_symbols)


def factors(value: Any, sizes: frozenset[Any]) -> list[list[Any]]:
    """A numerator as conditions on sizes: it vanishes where every product listed vanishes.

    Every monomial in the symbols that are not sizes has a coefficient in the sizes, and all of
    those must vanish; each is listed as its factors.

    >>> import sympy
    >>> n, a = sympy.symbols("n a")
    >>> factors(sympy.expand((n - 1) * (n - 2) * a + n), frozenset([n]))
    [[n - 2, n - 1], [n]]
    """
    import sympy

    own = sorted(value.free_symbols - sizes, key=lambda s: (s.name, str(s.assumptions0)))
    parts = sympy.Poly(value, *own).coeffs() if own else [value]
    found = []
    for part in parts:
        if not part.free_symbols:
            return [[]] if part != 0 else []
        if part.has(sympy.floor, sympy.Max, sympy.Min) or not part.is_polynomial():
            found.append([part])
            continue
        found.append([factor for factor, _ in sympy.factor_list(part)[1]])
    return found


def rounded_floats(entries: Iterable[Any]) -> list[float]:
    """Floats that are read as another number: as the simplest fraction that rounds to them."""
    return [value for value in entries if not is_read_as_written(value)]
