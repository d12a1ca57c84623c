"""The domain of a claim: the sizes at which both sides exist, as a set and as text.

Every condition is a precondition of a constructor (`size.require`), so that a family exists exactly
in its domain. Sizes at which a coefficient has a pole are excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import islpy
from islpy import dim_type

from convalg.axis import Size, holds
from convalg.errors import UndecidableError
from convalg.operators.families import conditions_of
from convalg.operators.leaves import Convolution, Patches, Selection
from convalg.operators.tree import Operator, leaves
from convalg.presburger import isl_name, parameters, text
from convalg.prove.decisions import coefficients
from convalg.prove.decisions.polynomials import rational
from convalg.prove.decisions.smtlib import Script, negation, solve
from convalg.size import Condition, fails, is_symbolic, substituted, written

if TYPE_CHECKING:
    import sympy

MOST_COMBINATIONS = 64
"""Redundant conditions are left out for at most this many combinations of swept values."""

REDUNDANCY_UNITS = 200_000
"""The resource units of z3 for the question whether a condition is redundant."""

Swept: TypeAlias = "tuple[tuple[sympy.Symbol, tuple[int, ...]], ...]"
"""Symbols for which single values are decided, each with these values."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class Domain:
    """Conditions on symbolic sizes.

    `symbols`: the symbols of sizes, in order. `limits`: conditions whose values must not be
    negative. `poles`: expressions that must not be zero. `notes`: additional sentences of the
    scope, such as that the border folds at most once. `swept`: the symbols that are decided value
    by value, with these values.
    """

    symbols: tuple[sympy.Symbol, ...] = ()
    limits: tuple[Condition, ...] = ()
    poles: tuple[sympy.Expr, ...] = ()
    notes: tuple[str, ...] = ()
    swept: Swept = ()

    @classmethod
    def of(cls, *operators: Operator) -> Domain:
        """Return the domain in which all the given operators exist."""
        limits: dict[Any, Condition] = {}
        entries: list[Any] = []
        for operator in operators:
            for symbol in operator.symbols:
                limits.setdefault(symbol, Condition(symbol, ("{} must not be negative", symbol)))
            for condition in conditions_of(operator):
                limits.setdefault(condition.value, condition)
            entries += coefficients.entries_of(operator)
        rounded = coefficients.rounded_floats(entries)
        notes: tuple[str, ...] = ()
        if rounded:
            simple = rational(rounded[0])
            notes = (f"floats read as simple fractions, such as {rounded[0]} as {simple}",)
        return cls(
            tuple(dict.fromkeys(symbol for o in operators for symbol in o.symbols)),
            tuple(c for c in limits.values() if not holds(c.value >= 0)),
            tuple(coefficients.poles(entries)),
            notes,
        )

    def meet(self, other: Domain) -> Domain:
        """Return the intersection of two domains."""

        def union(first: Iterable[Item], second: Iterable[Item]) -> tuple[Item, ...]:
            return tuple(dict.fromkeys((*first, *second)))

        return Domain(
            union(self.symbols, other.symbols),
            union(self.limits, other.limits),
            union(self.poles, other.poles),
            union(self.notes, other.notes),
            union(self.swept, other.swept),
        )

    @cached_property
    def points(self) -> islpy.Set:
        """The sizes of the domain as an isl parameter set.

        Raises: UndecidableError when a condition is not affine in the sizes.
        """
        points = _points(tuple(_affine(c.value) for c in self.limits), self.symbols)
        for pole in self.poles:
            if pole.free_symbols <= set(self.symbols) and pole.is_polynomial() and _is_affine(pole):
                excluded = islpy.Set(f"{parameters(*self.symbols)}{{ : {text(pole)} = 0 }}")
                points = points.subtract(excluded)
        return points

    def holds_at(self, sizes: Mapping[Any, int]) -> bool:
        """Return whether the given sizes, by symbol, are in the domain."""
        return not any(fails(c.value, sizes) for c in self.limits) and not any(
            substituted(pole, sizes) == 0 for pole in self.poles
        )

    def __str__(self) -> str:
        """Return the domain as text, without redundant conditions and with chains of >=."""
        return _scope_text(self)


def domain_set(limits: Iterable[Size], symbols: Iterable[sympy.Symbol]) -> islpy.Set:
    """Return the sizes at which all limits are non-negative, as an isl set of parameters."""
    return _points(tuple(limits), tuple(symbols))


def scope_of(limits: Iterable[Size], symbols: Iterable[sympy.Symbol]) -> str:
    """Return the conditions `limit >= 0` as the text of a domain.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> scope_of([n - 1, n - K, K - 1], [n, K])
    'all n >= K >= 1'
    """
    return str(Domain(tuple(symbols), tuple(Condition(value) for value in limits)))


def _points(limits: tuple[Size, ...], symbols: tuple[sympy.Symbol, ...]) -> islpy.Set:
    values = (*limits, *symbols)
    every = [f"{text(value)} >= 0" for value in values]
    return islpy.Set(f"{parameters(*values)}{{ : {' and '.join(every) or '0 = 0'} }}")


def _is_affine(value: object) -> bool:
    try:
        text(value)
    except UndecidableError:
        return False
    return True


def _affine(value: Size) -> sympy.Expr:
    """Return a condition `value >= 0` on integers without its floor, divided by its content.

    Rule: floor(a / b) + c >= 0 means a + b c >= 0, and c - floor(a / b) >= 0 means
    b (c + 1) - a - 1 >= 0; 2 n - 3 >= 0 means n - 2 >= 0.
    """
    import sympy

    value = sympy.expand(value)
    floors = [term for term in sympy.Add.make_args(value) if term.has(sympy.floor)]
    if len(floors) == 1:
        factor, floor = floors[0].as_coeff_Mul()
        if isinstance(floor, sympy.floor) and abs(factor) == 1:
            above, below = sympy.together(floor.args[0]).as_numer_denom()
            rest = value - floors[0]
            value = above + below * rest if factor == 1 else below * (rest + 1) - above - 1
            value = sympy.expand(value)
    if not value.is_polynomial() or value.is_number:
        return value
    constant, rest = value.as_coeff_Add()
    factors = [abs(term.as_coeff_Mul()[0]) for term in sympy.Add.make_args(rest)]
    common = sympy.gcd_list(factors)
    return sympy.expand(rest / common) + sympy.floor(constant / common)


@lru_cache(maxsize=256)
def _scope_text(domain: Domain) -> str:
    """Return the text of a domain; cached, since many claims are about the same family."""
    limits: dict[Any, Condition] = {}
    for condition in (*domain.limits, *(Condition(symbol) for symbol in domain.symbols)):
        limits.setdefault(_affine(condition.value), condition)
    kept = _irredundant(list(limits), domain.swept)
    named = [written(limits[value].words) for value in kept if limits[value].words]
    unnamed = [value for value in kept if not limits[value].words]
    notes = dict.fromkeys(limits[value].note for value in kept if limits[value].note)
    if not named and not all(value.is_polynomial() for value in unnamed):
        unnamed = _affine_limits(unnamed, domain.symbols) or unnamed
    parts = [*_chained([_sides(value) for value in unnamed]), *named, *_pole_text(domain)]
    swept = [f"for each {symbol} in {_range_text(values)}" for symbol, values in domain.swept]
    if domain.symbols:
        scope = ", ".join([f"all {', '.join(parts)}", *swept] if parts else swept)
        scope = scope.removeprefix("for ")
    else:
        scope = ", ".join(["this size", *parts])
    return "; ".join([scope, *notes, *domain.notes])


def _irredundant(values: list[sympy.Expr], swept: Swept) -> list[sympy.Expr]:
    """Return the limits that do not follow from the others, for all swept values."""
    combinations = list(_combinations(swept))
    if len(combinations) > MOST_COMBINATIONS:
        return values
    kept = list(values)
    # Conditions that are hard to read are dropped first: K >= 1 is kept, and K d >= d follows.
    for value in sorted(values, key=_is_linear):
        rest = [other for other in kept if other != value]
        if all(_follows(value, rest, numbers) for numbers in combinations):
            kept = rest
    return kept


def _is_linear(value: sympy.Expr) -> bool:
    """Whether a condition is a sum of multiples of symbols."""
    from sympy import Add, Pow

    return bool(value.is_polynomial()) and all(
        len(term.free_symbols) <= 1 and not term.has(Pow) for term in Add.make_args(value)
    )


def _combinations(swept: Swept) -> Iterator[dict[sympy.Symbol, int]]:
    names = [symbol for symbol, _ in swept]
    for chosen in product(*(values for _, values in swept)):
        yield dict(zip(names, chosen, strict=True))


def _follows(value: Size, rest: list[sympy.Expr], numbers: Mapping[sympy.Symbol, int]) -> bool:
    """Whether `value >= 0` follows from `rest` being non-negative; False if it is not decided."""
    given = (substituted(v, numbers) for v in rest)
    symbolic = tuple(v for v in given if (is_symbolic(v) and v.free_symbols) or not holds(v >= 0))
    return _implied(substituted(value, numbers), symbolic)


@lru_cache(maxsize=1024)
def _implied(claim: Size, given: tuple[Size, ...]) -> bool:
    """`_follows` after substitution; cached, since most swept values imply the same conditions."""
    try:
        space = parameters(claim, *given)
        others = " and ".join(f"{text(v)} >= 0" for v in given) or "0 = 0"
        premises = islpy.Set(f"{space}{{ : {others} }}")
        return bool(premises.is_subset(islpy.Set(f"{space}{{ : {text(claim)} >= 0 }}")))
    except UndecidableError:
        return _implied_by_z3(claim, given)


def _implied_by_z3(claim: Size, given: tuple[Size, ...]) -> bool:
    """`_implied` for products of symbols."""
    gaps = (claim - value for value in given)
    if any(holds(gap >= 0) for gap in gaps if not getattr(gap, "free_symbols", ())):
        return True
    try:
        script = Script()
        negated = script.at_least(-1, claim)
        needed = [script.at_least(divisor, 1) for divisor in script.divisors]
        quotients = dict(script.divisors)
        premises = []
        for value in given:
            condition = script.at_least(value, 0)
            # A quotient by a number that is not positive is not defined: it implies everything.
            if script.divisors == quotients:
                premises.append(condition)
            else:
                script.divisors = dict(quotients)
        texts = [script.written([], [*premises, negated])] + [
            script.written([], [*premises, negation(positive)], is_defined=False)
            for positive in needed
        ]
    except UndecidableError:
        return False
    return all(solve(text, REDUNDANCY_UNITS).answer == "unsat" for text in texts)


def _affine_limits(values: list[sympy.Expr], symbols: tuple[sympy.Symbol, ...]) -> list[sympy.Expr]:
    """Return affine limits of the domain if it is a single polyhedron, else an empty list."""
    if not all(map(_is_affine, values)):
        return []
    parts = domain_set(values, ()).coalesce().get_basic_sets()
    if len(parts) != 1 or parts[0].dim(dim_type.div):
        return []
    named = {isl_name(symbol.name): symbol for symbol in symbols}
    limits = []
    for constraint in parts[0].remove_redundancies().get_constraints():
        value = constraint.get_constant_val().to_python()
        for k in range(constraint.dim(dim_type.param)):
            symbol = named[str(constraint.get_dim_name(dim_type.param, k))]
            value += constraint.get_coefficient_val(dim_type.param, k).to_python() * symbol
        limits += [value, -value] if constraint.is_equality() else [value]
    return limits


def _pole_text(domain: Domain) -> list[str]:
    """Return inequations for the poles that can occur at sizes of the domain."""
    import sympy

    sizes = set(domain.symbols)
    limits = {condition.value for condition in domain.limits}
    inequations = []
    for pole in domain.poles:
        symbols = pole.free_symbols
        if pole.is_Symbol and pole - 1 in limits:
            continue
        if symbols <= {symbol for symbol, _ in domain.swept} and all(
            substituted(pole, numbers) != 0 for numbers in _combinations(domain.swept)
        ):
            continue
        if len(symbols) == 1 and pole.is_polynomial() and sympy.degree(pole, *symbols) == 1:
            (symbol,) = symbols
            slope, constant = sympy.Poly(pole, symbol).all_coeffs()
            root = -constant / slope
            if (symbol.is_integer and not root.is_integer) or (
                symbol.is_nonnegative and root.is_negative
            ):
                continue
            sides = f"{symbol} != {root}"
        else:
            left, right = _sides(pole)
            sides = f"{left} != {right}"
        if symbols <= sizes and _is_affine(pole) and not domain.swept:
            poles = f"{parameters(*domain.symbols)}{{ : {text(pole)} = 0 }}"
            affine = [_affine(c.value) for c in domain.limits]
            if all(map(_is_affine, affine)):
                inside = _points(tuple(affine), domain.symbols)
                if inside.intersect(islpy.Set(poles)).is_empty():
                    continue
        inequations.append(sides)
    return inequations


def _sides(value: sympy.Expr) -> tuple[str, str]:
    """Return both sides of `left >= right` as text without leading minus signs."""
    left: list[Any] = []
    right: list[Any] = []
    for term in value.as_ordered_terms():
        (right if term.could_extract_minus_sign() else left).append(term)
    return _sum_text(left), _sum_text([-term for term in right])


def _sum_text(terms: list[sympy.Expr]) -> str:
    ordered = sorted(terms, key=lambda t: (t.is_number, sorted(map(str, t.free_symbols))))
    return " + ".join(map(_term_text, ordered)) or "0"


def _term_text(term: sympy.Expr) -> str:
    factor, rest = term.as_coeff_Mul()
    if rest.is_Symbol and factor.is_Integer and factor != 1:
        return f"{factor}{rest}"
    return str(term.replace(lambda part: part.is_Function, _one_fraction))


def _one_fraction(part: object) -> Any:
    """Return a floor as a symbol whose name has a single fraction: floor((n - K)/s)."""
    import sympy

    if not isinstance(part, sympy.floor):
        return part
    above, below = sympy.together(part.args[0]).as_numer_denom()
    top = f"({above})" if above.is_Add else str(above)
    bottom = str(below) if below.is_Symbol or below.is_Integer else f"({below})"
    return sympy.Symbol(f"floor({top}/{bottom})", integer=True)


def _chained(pairs: list[tuple[str, str]]) -> list[str]:
    """Join inequalities: n >= K and K >= 1 become n >= K >= 1."""
    chains = []
    rest = list(pairs)
    while rest:
        chain = next((p for p in rest if all(p[0] != right for _, right in rest)), rest[0])
        rest.remove(chain)
        parts = list(chain)
        while follow := next((p for p in rest if p[0] == parts[-1]), None):
            rest.remove(follow)
            parts.append(follow[1])
        chains.append(" >= ".join(parts))
    return chains


def _range_text(values: tuple[int, ...]) -> str:
    if values == tuple(range(values[0], values[-1] + 1)):
        return f"{values[0]}..{values[-1]}"
    return str(list(values))


def swept_symbols(operator: Operator) -> set[sympy.Symbol]:
    """Return the symbols in strides and dilations: their products with indices are not affine."""
    symbols: set[sympy.Symbol] = set()
    for leaf in leaves(operator):
        if isinstance(leaf, (Convolution, Patches, Selection)):
            for axis in leaf.geometry.axes:
                for value in (axis.stride, axis.dilation):
                    symbols |= getattr(value, "free_symbols", set())
    return symbols
