"""Sums over index sets: the expressions of derivations.

An expression is a sum of products of array entries, such as the sum over t of w[t] x[2 o + t - 1].
`latex` prints it, and `Reader.points` returns the set of all its products for isl, as points
[free indices, indices of each array]. Two expressions are equal for all values of the arrays
exactly when these sets are equal. Entries outside an array are zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, product
from typing import Any, TypeAlias

import islpy

from convalg.axis import Size
from convalg.errors import UndecidableError
from convalg.faces.relation import text
from convalg.prove.derivations.indices import Index

# Vectors: arrays, and operators applied to vectors.


@dataclass(frozen=True)
class Array:
    """An array of unknowns, with the name that is used in formulas."""

    name: str
    shape: tuple[Size, ...]

    def latex(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True, eq=False)
class Named:
    """An operator with a name: its entries [row, column, label] are labelled with `weights`.

    Without weights (padding, upsampling) all entries are one.
    """

    name: str
    out_shape: tuple[Size, ...]
    in_shape: tuple[Size, ...]
    entries: islpy.Set
    weights: Array | None = None

    def latex(self) -> str:
        """Return the name."""
        return self.name

    @property
    def T(self) -> TransposedName:  # noqa: N802
        """The transposed operator."""
        return TransposedName(self)


@dataclass(frozen=True, eq=False)
class TransposedName:
    """The transpose of a named operator."""

    operator: Named

    @property
    def out_shape(self) -> tuple[Size, ...]:
        """The shape of its output."""
        return self.operator.in_shape

    @property
    def in_shape(self) -> tuple[Size, ...]:
        """The shape of its input."""
        return self.operator.out_shape

    def latex(self) -> str:
        """Return the name with the superscript T."""
        name = self.operator.latex()
        # LaTeX needs braces around a name with a prime before another superscript.
        return f"{{{name}}}^{{\\mathsf T}}" if name.endswith("'") else f"{name}^{{\\mathsf T}}"


@dataclass(frozen=True, eq=False)
class ProductSum:
    """A product of operators; the last one is applied first."""

    factors: tuple[Named | TransposedName, ...]

    @property
    def out_shape(self) -> tuple[Size, ...]:
        """The shape of its output."""
        return self.factors[0].out_shape

    @property
    def in_shape(self) -> tuple[Size, ...]:
        """The shape of its input."""
        return self.factors[-1].in_shape

    def latex(self) -> str:
        """Return the factors next to each other."""
        return "\\, ".join(factor.latex() for factor in self.factors)


OperatorTerm: TypeAlias = "Named | TransposedName | ProductSum"


@dataclass(frozen=True, eq=False)
class Applied:
    """An operator applied to a vector."""

    operator: OperatorTerm
    vector: Vector

    @property
    def shape(self) -> tuple[Size, ...]:
        """The shape of the result."""
        return self.operator.out_shape

    def latex(self) -> str:
        """Return A x, or A (a x + b z)."""
        inner = self.vector.latex()
        return f"{self.operator.latex()} {f'({inner})' if isinstance(self.vector, Mix) else inner}"


@dataclass(frozen=True, eq=False)
class Mix:
    """A sum of multiples of vectors, with unknown numbers as factors."""

    parts: tuple[tuple[str, Vector], ...]

    @property
    def shape(self) -> tuple[Size, ...]:
        """The shape of each part."""
        return self.parts[0][1].shape

    def latex(self) -> str:
        """Return the sum of the parts with their factors."""
        return " + ".join(f"{factor} {vector.latex()}" for factor, vector in self.parts)


Vector: TypeAlias = "Array | Applied | Mix"


# Expressions.


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of a vector."""

    vector: Vector
    index: tuple[Index, ...]

    def latex(self) -> str:
        """Return the vector with the index as subscript."""
        index = ", ".join(part.latex() for part in self.index)
        name = self.vector.latex()
        return f"{name if isinstance(self.vector, Array) else f'({name})'}_{{{index}}}"


@dataclass(frozen=True, eq=False)
class Times:
    """A product of expressions."""

    factors: tuple[Expression, ...]

    def latex(self) -> str:
        """Return the factors next to each other; sums before the last factor are in parentheses."""
        factors = []
        for number, factor in enumerate(self.factors):
            last = number == len(self.factors) - 1
            closed = isinstance(factor, Plus) or (isinstance(factor, IndexSum) and not last)
            factors.append(f"({factor.latex()})" if closed else factor.latex())
        return "\\, ".join(factors)


@dataclass(frozen=True, eq=False)
class Plus:
    """A sum of multiples of expressions, with unknown numbers as factors."""

    parts: tuple[tuple[str, Expression], ...]

    def latex(self) -> str:
        """Return the sum of the parts with their factors."""
        return " + ".join(f"{factor} {part.latex()}" for factor, part in self.parts)


@dataclass(frozen=True, eq=False)
class IndexSum:
    """The sum of a body over all integer `variables` that satisfy the conditions."""

    variables: tuple[str, ...]
    body: Expression
    conditions: tuple[tuple[Index, Index], ...] = ()

    def latex(self) -> str:
        """Return the summation sign with its variables and conditions, then the body."""
        if not self.variables:
            return self.body.latex()
        under = ", ".join(self.variables)
        if self.conditions:
            under += ":\\, " + ",\\, ".join(
                f"{a.latex()} = {b.latex()}" for a, b in self.conditions
            )
        return f"\\sum_{{{under}}} {self.body.latex()}"


@dataclass(frozen=True, eq=False)
class Inner:
    """The inner product of two vectors."""

    left: Vector
    right: Vector

    def latex(self) -> str:
        """Return both vectors in angle brackets."""
        return f"\\langle {self.left.latex()}, {self.right.latex()} \\rangle"


@dataclass(frozen=True, eq=False)
class Derivative:
    """The partial derivative with respect to one entry of an array."""

    of: Expression
    by: Entry

    def latex(self) -> str:
        """Return the derivative as a fraction in front of the expression."""
        return f"\\frac{{\\partial}}{{\\partial {self.by.latex()}}} {self.of.latex()}"


Expression: TypeAlias = "Entry | Times | Plus | IndexSum | Inner | Derivative"


# Reading expressions as sets of products.

Key: TypeAlias = "tuple[tuple[str, ...], tuple[str, ...]]"
"""The names of the unknown numbers and of the arrays of a product."""


@dataclass(frozen=True, eq=False)
class _Term:
    """A product of entries, for all values of its variables that satisfy the conditions."""

    scalars: tuple[str, ...] = ()
    factors: tuple[tuple[Array, tuple[str, ...]], ...] = ()
    variables: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    members: tuple[tuple[tuple[str, ...], islpy.Set], ...] = ()
    """Pairs of a point and a set of operator entries that must contain it."""

    def __mul__(self, other: _Term) -> _Term:
        return _Term(
            self.scalars + other.scalars,
            self.factors + other.factors,
            self.variables + other.variables,
            self.conditions + other.conditions,
            self.members + other.members,
        )


@dataclass
class Reader:
    """Converts expressions to sets of products; each bound variable has a unique name."""

    declared: str
    """The declaration of the symbolic sizes in the syntax of isl."""
    domain: islpy.Set
    numbers: Iterator[int] = field(default_factory=count)

    def points(self, expression: Expression, free: Sequence[tuple[str, Size]]) -> Points:
        """Return the products of an expression, for free variables with `0 <= variable < size`.

        Raises: UndecidableError where a sum contains the same product several times.
        """
        names = {name: self._fresh() for name, _ in free}
        box = tuple(f"0 <= {names[name]} < {text(size)}" for name, size in free)
        lead = _Term(variables=tuple(names.values()), conditions=box)
        sets: dict[Key, list[islpy.Set]] = {}
        for term in self._terms(expression, names):
            key, points = self._set(lead * term, tuple(names.values()))
            if not points.is_empty():
                sets.setdefault(key, []).append(points)
        return sets

    def _set(self, term: _Term, free: tuple[str, ...]) -> tuple[Key, islpy.Set]:
        factors = sorted(term.factors, key=lambda pair: pair[0].name)
        space = ", ".join(term.variables)
        conditions = " and ".join(term.conditions) or "true"
        values = islpy.Set(f"{self.declared}{{ [{space}] : {conditions} }}")
        for point, members in term.members:
            at = islpy.Map(f"{self.declared}{{ [{space}] -> [{', '.join(point)}] }}")
            values = values.intersect(at.intersect_range(members).domain())
        values = values.intersect_params(self.domain)
        shown_point = [*free, *(part for _, index in factors for part in index)]
        shown = islpy.Map(f"{self.declared}{{ [{space}] -> [{', '.join(shown_point)}] }}")
        shown = shown.intersect_domain(values)
        if not shown.is_injective():
            names = ", ".join(array.name for array, _ in factors)
            raise UndecidableError(
                f"a sum contains the same product of {names} several times, which cannot be "
                f"decided here: use numbers as sizes"
            )
        key = (tuple(sorted(term.scalars)), tuple(array.name for array, _ in factors))
        return key, shown.range()

    def _fresh(self) -> str:
        return f"v{next(self.numbers)}"

    def _terms(self, expression: Expression, names: dict[str, str]) -> list[_Term]:
        match expression:
            case Entry(vector=vector, index=index):
                indices, needed = [], _Term()
                for part in index:
                    index_text, condition = self._isl_index(part, names)
                    indices.append(index_text)
                    needed = needed * condition
                return [needed * term for term in self._entry(vector, tuple(indices))]
            case Times(factors=factors):
                products = [_Term()]
                for factor in factors:
                    parts = self._terms(factor, names)
                    products = [a * b for a, b in product(products, parts)]
                return products
            case Plus(parts=parts):
                return [
                    _Term(scalars=(scalar,)) * term
                    for scalar, part in parts
                    for term in self._terms(part, names)
                ]
            case IndexSum(variables=variables, body=body, conditions=conditions):
                inner = {**names, **{name: self._fresh() for name in variables}}
                lead = _Term(variables=tuple(inner[name] for name in variables))
                for left, right in conditions:
                    lead = lead * self._equal(left, right, inner)
                return [lead * term for term in self._terms(body, inner)]
            case Inner(left=left, right=right):
                both = tuple(self._fresh() for _ in left.shape)
                lead = _Term(variables=both)
                pairs = product(self._entry(left, both), self._entry(right, both))
                return [lead * a * b for a, b in pairs]
            case Derivative(of=of, by=by):
                slopes = [self._derived(term, by, names) for term in self._terms(of, names)]
                return [term for term in slopes if term is not None]
        raise AssertionError(expression)

    def _derived(self, term: _Term, by: Entry, names: dict[str, str]) -> _Term | None:
        """Return the derivative of a term: without its factor from the array of `by`.

        The index of that factor must be equal to the index of `by`.
        """
        positions = [k for k, (array, _) in enumerate(term.factors) if array == by.vector]
        if not positions:
            return None
        (position,) = positions
        own = term.factors[position][1]
        fixed = _Term()
        for part, other in zip(by.index, own, strict=True):
            fixed = fixed * self._equal(part, Index(((1, other),)), {**names, other: other})
        rest = (*term.factors[:position], *term.factors[position + 1 :])
        return replace(term, factors=rest) * fixed

    def _isl_index(self, index: Index, names: dict[str, str]) -> tuple[str, _Term]:
        """Return an index as an isl expression, with the conditions that it needs."""
        needed = _Term()
        named: dict[Any, str] = dict(names)
        for folded in index.folded:
            inner, more = self._isl_index(folded.index, names)
            named[folded] = own = self._fresh()
            condition = folded.border.condition(inner, own)
            needed = needed * more * _Term(variables=(own,), conditions=(condition,))
        return index.isl(named), needed

    def _equal(self, left: Index, right: Index, names: dict[str, str]) -> _Term:
        first, needed = self._isl_index(left, names)
        second, more = self._isl_index(right, names)
        return needed * more * _Term(conditions=(f"{first} = {second}",))

    def _entry(self, vector: Vector, indices: tuple[str, ...]) -> list[_Term]:
        match vector:
            case Array(shape=shape):
                box = tuple(
                    f"0 <= {index} < {text(size)}"
                    for index, size in zip(indices, shape, strict=True)
                )
                return [_Term(factors=((vector, indices),), conditions=box)]
            case Mix(parts=parts):
                return [
                    _Term(scalars=(scalar,)) * term
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
        self, operator: Named | TransposedName, inner: Vector, indices: tuple[str, ...]
    ) -> list[_Term]:
        """Return the entries of one row of an operator times the entries of the vector."""
        named = operator.operator if isinstance(operator, TransposedName) else operator
        others = tuple(self._fresh() for _ in operator.in_shape)
        weights = named.weights
        labels = tuple(self._fresh() for _ in weights.shape) if weights else ()
        row, column = (others, indices) if named is not operator else (indices, others)
        point = (*row, *column, *labels)
        factors = ((weights, labels),) if weights else ()
        lead = _Term((), factors, others + labels, (), ((point, named.entries),))
        return [lead * term for term in self._entry(inner, others)]


Points: TypeAlias = "dict[Key, list[islpy.Set]]"


def difference(left: Points, right: Points) -> list[tuple[Key, islpy.Set, int]]:
    """Return where two expressions differ: (key, non-empty points, left minus right)."""
    gaps = []
    for key in dict.fromkeys([*left, *right]):
        pieces: list[tuple[int, islpy.Set]] = []
        for sign, side in ((1, left), (-1, right)):
            for points in side.get(key, []):
                pieces = _added(pieces, sign, points)
        gaps += [(key, points, value) for value, points in pieces if value]
    return gaps


def _added(
    pieces: list[tuple[int, islpy.Set]], value: int, points: islpy.Set
) -> list[tuple[int, islpy.Set]]:
    """Add a multiple of a set of points to disjoint pieces; the result is disjoint too."""
    result = []
    for own, other in pieces:
        common, apart = other.intersect(points), other.subtract(points)
        result += [(own + value, common), (own, apart)]
        points = points.subtract(other)
    result.append((value, points))
    return [(own, part) for own, part in result if not part.is_empty()]
