"""Sums over index sets: the expressions of derivations.

An expression is a sum of products of array entries, such as the sum over t of w[t] x[2 o + t - 1].
`latex` prints it, and `products` decides when two of them are equal. Entries outside an array are
zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from convalg.axis import Size
from convalg.prove.derivations.conditions import Entries
from convalg.prove.derivations.indices import Index, size_latex

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

    Without weights (padding, upsampling, pooling) all entries are `factor`, which is one unless
    given; then the label consists of `taps` indices.
    """

    name: str
    out_shape: tuple[Size, ...]
    in_shape: tuple[Size, ...]
    entries: Entries
    weights: Array | None = None
    taps: int = 0
    factor: str = ""

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
    """The sum of a body over all integer `variables` that satisfy the conditions.

    `ranges`: variables, each with its number of values, which start at 0.
    """

    variables: tuple[str, ...]
    body: Expression
    conditions: tuple[tuple[Index, Index], ...] = ()
    ranges: tuple[tuple[str, Size], ...] = ()

    def latex(self) -> str:
        """Return the summation sign with its variables and conditions, then the body."""
        body = self.body.latex()
        body = f"({body})" if isinstance(self.body, Plus) else body
        if not self.variables:
            return body
        under = ", ".join(self.variables)
        shown = [f"{a.latex()} = {b.latex()}" for a, b in self.conditions]
        shown += [f"0 \\le {name} < {size_latex(size)}" for name, size in self.ranges]
        if shown:
            under += ":\\, " + ",\\, ".join(shown)
        return f"\\sum_{{{under}}} {body}"


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
