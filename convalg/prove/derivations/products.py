"""Expressions of derivations as sets of products of array entries, and when two of them are equal.

Two expressions are equal for all values of their arrays exactly when each product of entries occurs
equally often in both. The variables of a sum are functions of the free indices and of the indices
of the entries, so that a product occurs once for each term that contains it, and the claim is a
formula of integers without quantifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from convalg.axis import Size
from convalg.errors import UndecidableError
from convalg.prove.decisions.smtlib import Script, conjunction, disjunction, negation
from convalg.prove.derivations.conditions import Condition, Relation, Value, equal, within
from convalg.prove.derivations.indices import Index
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Derivative,
    Entry,
    Expression,
    IndexSum,
    Inner,
    Mix,
    Named,
    Plus,
    ProductSum,
    Times,
    TransposedName,
    Vector,
)

if TYPE_CHECKING:
    import sympy

# Products.


@dataclass(frozen=True)
class EntryProduct:
    """A product of entries, for all values of its variables that satisfy the conditions."""

    scalars: tuple[str, ...] = ()
    factors: tuple[tuple[Array, tuple[Value, ...]], ...] = ()
    variables: tuple[sympy.Symbol, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def __mul__(self, other: EntryProduct) -> EntryProduct:
        return EntryProduct(
            self.scalars + other.scalars,
            self.factors + other.factors,
            self.variables + other.variables,
            self.conditions + other.conditions,
        )

    @property
    def ordered(self) -> list[tuple[Array, tuple[Value, ...]]]:
        """The factors in the order of the names of their arrays."""
        return sorted(self.factors, key=lambda pair: pair[0].name)

    @property
    def key(self) -> Key:
        """The names of the unknown numbers and of the arrays of the product."""
        return tuple(sorted(self.scalars)), tuple(array.name for array, _ in self.ordered)


Key: TypeAlias = "tuple[tuple[str, ...], tuple[str, ...]]"


def products_of(
    expression: Expression, free: Iterable[tuple[str, Size]]
) -> Iterator[tuple[EntryProduct, list[Value]]]:
    """Yield the products of an expression, each with the indices that determine it.

    Args:
        expression: the sum.
        free: its free variables, each with its number of values.
    """
    reader = _ProductReader()
    names: dict[object, Value] = {name: reader.fresh() for name, _ in free}
    lead = EntryProduct(
        variables=tuple(names.values()),
        conditions=tuple(within(names[name], size) for name, size in free),
    )
    for term in reader.terms(expression, names):
        whole = lead * term
        shown = [part for _, indices in whole.ordered for part in indices]
        yield whole, [*names.values(), *shown]


class _ProductReader:
    """Converts expressions to products; each bound variable has a unique symbol."""

    def __init__(self) -> None:
        self._numbers = count()

    def fresh(self) -> sympy.Symbol:
        """Return a new variable."""
        import sympy

        return sympy.Symbol(f"v.{next(self._numbers)}", integer=True)

    def terms(self, expression: Expression, names: Mapping[object, Value]) -> list[EntryProduct]:
        """Return the products of an expression, with a variable for each name."""
        match expression:
            case Entry(vector=vector, index=index):
                indices, needed = [], EntryProduct()
                for part in index:
                    value, condition = self._value(part, names)
                    indices.append(value)
                    needed = needed * condition
                return [needed * term for term in self._entry(vector, tuple(indices))]
            case Times(factors=factors):
                terms = [EntryProduct()]
                for factor in factors:
                    parts = self.terms(factor, names)
                    terms = [a * b for a, b in product(terms, parts)]
                return terms
            case Plus(parts=parts):
                return [
                    EntryProduct(scalars=(scalar,)) * term
                    for scalar, part in parts
                    for term in self.terms(part, names)
                ]
            case IndexSum(variables, body, conditions, ranges):
                inner = dict(names)
                inner.update((name, self.fresh()) for name in variables)
                bounds = tuple(within(inner[name], size) for name, size in ranges)
                lead = EntryProduct(variables=tuple(inner[v] for v in variables), conditions=bounds)
                for left, right in conditions:
                    lead = lead * self._equal(left, right, inner)
                return [lead * term for term in self.terms(body, inner)]
            case Inner(left=left, right=right):
                both = tuple(self.fresh() for _ in left.shape)
                lead = EntryProduct(variables=both)
                pairs = product(self._entry(left, both), self._entry(right, both))
                return [lead * a * b for a, b in pairs]
            case Derivative(of=of, by=by):
                slopes = [self._derived(term, by, names) for term in self.terms(of, names)]
                return [term for term in slopes if term is not None]
        raise AssertionError(expression)

    def _derived(
        self, term: EntryProduct, by: Entry, names: Mapping[object, Value]
    ) -> EntryProduct | None:
        """Return the derivative of a term: without its factor from the array of `by`.

        The index of that factor must be equal to the index of `by`.
        """
        positions = [k for k, (array, _) in enumerate(term.factors) if array == by.vector]
        if not positions:
            return None
        (position,) = positions
        fixed = EntryProduct()
        for part, other in zip(by.index, term.factors[position][1], strict=True):
            value, needed = self._value(part, names)
            fixed = fixed * needed * EntryProduct(conditions=(equal(value, other),))
        rest = (*term.factors[:position], *term.factors[position + 1 :])
        return replace(term, factors=rest) * fixed

    def _value(self, index: Index, names: Mapping[object, Value]) -> tuple[Value, EntryProduct]:
        """Return the value of an index, with the conditions that it needs."""
        needed = EntryProduct()
        named = dict(names)
        for folded in index.folded:
            inner, more = self._value(folded.index, names)
            named[folded] = own = self.fresh()
            condition = folded.border.condition(inner, own)
            needed = needed * more * EntryProduct(variables=(own,), conditions=(condition,))
        return index.value(named), needed

    def _equal(self, left: Index, right: Index, names: Mapping[object, Value]) -> EntryProduct:
        first, needed = self._value(left, names)
        second, more = self._value(right, names)
        return needed * more * EntryProduct(conditions=(equal(first, second),))

    def _entry(self, vector: Vector, indices: tuple[Value, ...]) -> list[EntryProduct]:
        match vector:
            case Array(shape=shape):
                box = tuple(map(within, indices, shape))
                return [EntryProduct(factors=((vector, indices),), conditions=box)]
            case Mix(parts=parts):
                return [
                    EntryProduct(scalars=(scalar,)) * term
                    for scalar, part in parts
                    for term in self._entry(part, indices)
                ]
            case Applied(operator=ProductSum(factors=(first, *rest)), vector=inner):
                below = Applied(ProductSum(tuple(rest)), inner) if rest else inner
                return self._entry(Applied(first, below), indices)
            case Applied(operator=Named() | TransposedName() as operator, vector=inner):
                return self._through(operator, inner, indices)
        raise AssertionError(vector)

    def _through(
        self, operator: Named | TransposedName, inner: Vector, indices: tuple[Value, ...]
    ) -> list[EntryProduct]:
        """Return the entries of one row of an operator times the entries of the vector."""
        named = operator.operator if isinstance(operator, TransposedName) else operator
        others = tuple(self.fresh() for _ in operator.in_shape)
        weights = named.weights
        labels = tuple(self.fresh() for _ in (weights.shape if weights else range(named.taps)))
        row, column = (indices, others) if named is operator else (others, indices)
        factors = ((weights, labels),) if weights else ()
        conditions = tuple(named.entries((*row, *column, *labels)))
        scalars = (named.factor,) if named.factor else ()
        lead = EntryProduct(scalars, factors, others + labels, conditions)
        return [lead * term for term in self._entry(inner, others)]


# The statement that two expressions differ.


class Difference(NamedTuple):
    """A statement that some product occurs more often on one side.

    `point`: the names of the variables for the free indices and for the indices of the entries.
    `is_left`: whether it occurs more often on the left-hand side.
    """

    claim: str
    point: list[str]
    is_left: bool


def differences(
    script: Script, left: Expression, right: Expression, free: Sequence[tuple[str, Size]]
) -> list[Difference]:
    """Return statements, one of which holds exactly where two expressions differ.

    Raises: UndecidableError where a sum contains the same product several times.
    """
    sides: dict[Key, tuple[list[str], list[str], list[str]]] = {}
    for number, expression in enumerate((left, right)):
        for term, shown in products_of(expression, free):
            order = list(sides).index(term.key) if term.key in sides else len(sides)
            point = [script.index(f"index.{order}.{k}") for k in range(len(shown))]
            found = sides.setdefault(term.key, ([], [], [symbol.name for symbol in point]))
            condition = _member(script, term, shown, point)
            if condition != "false":
                found[number].append(condition)
    result = []
    for first, second, point_names in sides.values():
        for is_left, claim in _more_often(first, second):
            result.append(Difference(claim, point_names, is_left))
    return result


def _more_often(left: list[str], right: list[str]) -> Iterator[tuple[bool, str]]:
    """Yield that more conditions hold on the left-hand side, and on the right-hand side."""
    if len(left) <= 1 and len(right) <= 1:
        # Statements with conjunctions are easier for the solver than a sum.
        one, other = (side[0] if side else "false" for side in (left, right))
        pairs = (
            (True, conjunction([one, negation(other)])),
            (False, conjunction([other, negation(one)])),
        )
        yield from ((is_left, claim) for is_left, claim in pairs if claim != "false")
        return
    first, second = map(_counted, (left, right))
    yield True, f"(> {first} {second})"
    yield False, f"(< {first} {second})"


def _counted(conditions: list[str]) -> str:
    parts = [f"(ite {condition} 1 0)" for condition in conditions]
    return "0" if not parts else parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})"


def _member(
    script: Script, term: EntryProduct, shown: Sequence[Value], point: Sequence[Any]
) -> str:
    """Return when a product occurs at a point: its variables are functions of the point.

    Raises: UndecidableError for a variable that the point does not determine.
    """
    coordinates = [Relation(value - at, True) for value, at in zip(shown, point, strict=True)]
    certain = [relation for each in term.conditions if len(each) == 1 for relation in each[0]]
    values, left = _solved(script, [*coordinates, *certain], set(term.variables))
    names = {name for name in term.variables if name not in values}
    if names:
        arrays = ", ".join(array.name for array, _ in term.factors)
        raise UndecidableError(
            f"a sum contains the same product of {arrays} several times, which cannot be decided "
            f"here: use numbers as sizes"
        )
    texts = [relation.text(script, values) for relation in left]
    for alternatives in term.conditions:
        if len(alternatives) > 1:
            parts = (
                conjunction(relation.text(script, values) for relation in each)
                for each in alternatives
            )
            texts.append(disjunction(parts))
    return conjunction(texts)


def _solved(
    script: Script, relations: list[Relation], unknown: set[sympy.Symbol]
) -> tuple[dict[object, sympy.Expr], list[Relation]]:
    """Solve equations for variables; return their values and the relations that are left.

    A factor of 1 or -1 needs no division. An equation c v = r with one variable v is solved by
    v = floor(r / c), and stays as a condition.
    """
    import sympy

    equations = [sympy.expand(relation.value) for relation in relations if relation.is_zero]
    rest = [relation for relation in relations if not relation.is_zero]
    values: dict[object, sympy.Expr] = {}

    def substitute(variable: sympy.Symbol, value: sympy.Expr) -> None:
        for name in values:
            values[name] = sympy.expand(values[name].xreplace({variable: value}))
        values[variable] = value
        for k, equation in enumerate(equations):
            if variable in equation.free_symbols:
                equations[k] = sympy.expand(equation.subs({variable: value}))

    while True:
        if (unit := _unit(equations, unknown)) is not None:
            position, variable, value = unit
            equations.pop(position)
        elif (single := _single(equations, unknown)) is not None:
            variable, above, below = single
            value = script.quotient(above, below)
        else:
            break
        unknown = unknown - {variable}
        substitute(variable, value)
    return values, [*(Relation(equation, True) for equation in equations), *rest]


def _unit(
    equations: list[sympy.Expr], unknown: set[sympy.Symbol]
) -> tuple[int, sympy.Symbol, sympy.Expr] | None:
    """Return an equation in which an unknown has the factor 1 or -1, the unknown and its value."""
    import sympy

    for position, equation in enumerate(equations):
        for term in sympy.Add.make_args(equation):
            variable = term if term in unknown else -term
            if variable in unknown:
                rest = equation - term
                if variable not in rest.free_symbols:
                    return position, variable, sympy.expand(-rest if term == variable else rest)
    return None


def _single(
    equations: list[sympy.Expr], unknown: set[sympy.Symbol]
) -> tuple[sympy.Symbol, sympy.Expr, sympy.Expr] | None:
    """Return the only unknown of an equation c v = r, with r and c."""
    import sympy

    for equation in equations:
        own = equation.free_symbols & unknown
        if len(own) != 1:
            continue
        (variable,) = own
        factor = sympy.expand(equation).coeff(variable)
        rest = sympy.expand(equation - factor * variable)
        if factor != 0 and variable not in rest.free_symbols | factor.free_symbols:
            return variable, -rest, factor
    return None
