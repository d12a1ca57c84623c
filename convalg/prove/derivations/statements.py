"""Statements of derivations: the formula and the check are made from the same two sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import islpy

from convalg.axis import Axis, Size
from convalg.errors import UndecidableError
from convalg.faces.relation import parameters, text
from convalg.operators.tree import Operator
from convalg.prove.decisions import families
from convalg.prove.decisions.domain import Domain
from convalg.prove.derivations.indices import Border, Index, shape_latex, size_latex, variable
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Entry,
    Expression,
    Named,
    OperatorTerm,
    Reader,
    Vector,
    difference,
)
from convalg.prove.verdict import Counterexample, Verdict

if TYPE_CHECKING:
    import sympy

Abbreviations: TypeAlias = "tuple[tuple[sympy.Symbol, Size], ...]"
"""Symbols that abbreviate a size, each with that size."""

PRODUCTS = "Presburger arithmetic (isl): the products of both sides compared as sets"
SETS = "Presburger arithmetic (isl): both sides compared as sets of integers"


@dataclass(frozen=True, eq=False)
class Setting:
    """The sizes that the statements of a derivation are about.

    `where`: the domain of the operators. `named`: symbols that abbreviate a size, each with that
    size.
    """

    symbols: tuple[sympy.Symbol, ...]
    where: Domain
    named: Abbreviations = ()

    @staticmethod
    def of(operator: Operator, named: Abbreviations = ()) -> Setting:
        """Return the setting of an operator: the sizes at which it exists."""
        return Setting(operator.symbols, Domain.of(operator), named)

    @cached_property
    def domain(self) -> islpy.Set:
        """The sizes at which the operators exist, with the values of the abbreviations."""
        domain = self.where.points
        for symbol, value in self.named:
            equal = f"{text(symbol)} = {text(value)}"
            domain = domain.intersect(islpy.Set(f"{parameters(symbol, value)}{{ : {equal} }}"))
        return domain

    @cached_property
    def scope(self) -> str:
        """The sizes at which the operators exist, as text."""
        return str(self.where)

    @property
    def declared(self) -> str:
        """The declaration of the symbolic sizes and abbreviations in the syntax of isl."""
        return parameters(*self.symbols, *(symbol for symbol, _ in self.named))

    def abbreviations(self, *sizes: Size) -> tuple[str, ...]:
        """Return the definitions of the abbreviations in some sizes, as LaTeX."""
        used = {symbol for size in sizes for symbol in getattr(size, "free_symbols", ())}
        pairs = [(symbol, value) for symbol, value in self.named if symbol in used]
        return tuple(f"{size_latex(symbol)} = {size_latex(value)}" for symbol, value in pairs)

    def verdict(
        self,
        claim: str,
        apart: Sequence[tuple[islpy.Set, object, object]],
        method: str,
        names: str = "",
    ) -> Verdict:
        """Return "proved" if no points differ, else "refuted" with the smallest point that differs.

        `apart`: sets of points that differ, each with the values of the right-hand and left-hand
        sides at these points. `names`: the names of the coordinates of a point, as text.
        """
        left = [(points, right, own) for points, right, own in apart if not points.is_empty()]
        if not left:
            return Verdict("proved", claim, self.scope, method)
        number, sizes, point = families.smallest([points for points, _, _ in left], self.symbols)
        inputs: dict[str, Any] = {names: list(point)} if names and point else {}
        _, right, own = left[number]
        counterexample = Counterexample(sizes, None, None, right, own, inputs)
        return Verdict("refuted", claim, self.scope, method, counterexample)

    def unknown(self, claim: str, reason: str, method: str) -> Verdict:
        """Return the verdict "unknown" with a reason."""
        return Verdict("unknown", claim, self.scope, method, reason=reason)


class Statement(Protocol):
    """A formula and its check."""

    def pieces(self) -> list[str]:
        """Return the parts of the formula as LaTeX; each may be on a separate line."""

    def decide(self, setting: Setting) -> Verdict:
        """Decide whether the statement holds for all sizes of the setting."""


def formula_of(statement: Statement) -> str:
    """Return the formula of a statement on one line."""
    return ",\\quad ".join(statement.pieces())


Ranges: TypeAlias = "tuple[tuple[str, Size], ...]"
"""Variables, each with its number of values, which start at 0."""


@dataclass(frozen=True, eq=False)
class Equation:
    """Two expressions that are equal for all arrays and all values of the free variables."""

    left: Expression
    right: Expression
    free: Ranges = ()

    def pieces(self) -> list[str]:
        """Return the formula left = right."""
        return [f"{self.left.latex()} = {self.right.latex()}"]

    def decide(self, setting: Setting) -> Verdict:
        """Compare the products on both sides as sets."""
        (claim,) = self.pieces()
        reader = Reader(setting.declared, setting.domain)
        try:
            left = reader.points(self.left, self.free)
            right = reader.points(self.right, self.free)
        except UndecidableError as error:
            return setting.unknown(claim, str(error), PRODUCTS)
        apart = [
            (points, 0 if value > 0 else -value, value if value > 0 else 0)
            for _, points, value in difference(left, right)
        ]
        names = ", ".join([*(name for name, _ in self.free), "indices"])
        return setting.verdict(claim, apart, PRODUCTS, names)


@dataclass(frozen=True, eq=False)
class Definition:
    """The definition of an operator by its spaces and the sum for each of its outputs.

    The check is that `equation` holds for the actual entries of the operator, and that the printed
    shapes are equal to `shapes`: the actual shapes of the input, the output and the weights.
    """

    operator: Named
    equation: Equation
    shapes: tuple[tuple[Size, ...], ...]
    borders: tuple[tuple[Border, Axis], ...] = ()
    given: tuple[str, ...] = ()
    """Abbreviations of the setting, as LaTeX."""

    def pieces(self) -> list[str]:
        """Return the spaces, the sum, and the boundary rules in the sum."""
        named, weights = self.operator, self.operator.weights
        source, target = shape_latex(named.in_shape), shape_latex(named.out_shape)
        pieces = [f"{named.latex()} \\colon {source} \\to {target}"]
        if weights:
            pieces.append(f"{weights.latex()} \\in {shape_latex(weights.shape)}")
        rules = dict.fromkeys(border.latex() for border, _ in self.borders)
        return [*pieces, *self.equation.pieces(), *rules, *self.given]

    def decide(self, setting: Setting) -> Verdict:
        """Compare the printed shapes with the actual ones, and the sum with the entries."""
        claim = formula_of(self)
        weights = self.operator.weights
        printed = [self.operator.in_shape, self.operator.out_shape]
        printed += [weights.shape] if weights else []
        for shown, own in zip(printed, self.shapes, strict=True):
            verdict = same_sizes(setting, zip(shown, own, strict=True), claim)
            if not verdict:
                return verdict
        for _, axis in self.borders:
            if not _folds_once(axis, setting):
                reason = (
                    "the boundary rule folds more than once, which a sum with symbolic sizes "
                    "cannot express"
                )
                return setting.unknown(claim, reason, PRODUCTS)
        return replace(self.equation.decide(setting), statement=claim)


def _folds_once(axis: Axis, setting: Setting) -> bool:
    """Whether all reads are within one input size of the border; always true for numbers."""
    if axis.is_concrete:
        return True
    n = text(axis.in_size)
    raw = axis.formula("v0", "v1", text)
    wide = int(axis.boundary == "reflect")
    far = islpy.Set(
        f"{setting.declared}{{ [v0, v1] : 0 <= v0 < {text(axis.out_size)} and 0 <= v1 < "
        f"{text(axis.taps)} and ({raw} < {wide} - {n} or {raw} > 2*{n} - 1 - {wide}) }}"
    )
    return axis.boundary == "edge" or far.intersect_params(setting.domain).is_empty()


@dataclass(frozen=True, eq=False)
class VectorEquation:
    """Two vectors that are equal for all arrays."""

    left: Vector
    right: Vector

    def pieces(self) -> list[str]:
        """Return the formula left = right."""
        return [f"{self.left.latex()} = {self.right.latex()}"]

    def decide(self, setting: Setting) -> Verdict:
        """Compare the shapes and all entries."""
        (claim,) = self.pieces()
        shapes = self.left.shape, self.right.shape
        if len(shapes[0]) != len(shapes[1]):
            return setting.unknown(claim, f"shapes {shapes[0]} and {shapes[1]} differ", PRODUCTS)
        verdict = same_sizes(setting, zip(*shapes, strict=True), claim)
        if not verdict:
            return verdict
        row = tuple(f"(r{k})" for k in range(len(shapes[0])))
        index = tuple(map(variable, row))
        left, right = (Entry(side, index) for side in (self.left, self.right))
        free = tuple(zip(row, shapes[0], strict=True))
        verdict = Equation(left, right, free).decide(setting)
        return replace(verdict, statement=claim)


@dataclass(frozen=True, eq=False)
class OperatorEquation:
    """Two products of operators that are equal."""

    left: OperatorTerm
    right: OperatorTerm

    def pieces(self) -> list[str]:
        """Return the formula left = right."""
        return [f"{self.left.latex()} = {self.right.latex()}"]

    def decide(self, setting: Setting) -> Verdict:
        """Compare all entries: both sides applied to one unknown array."""
        (claim,) = self.pieces()
        shapes = self.left.in_shape, self.right.in_shape
        if len(shapes[0]) != len(shapes[1]):
            return setting.unknown(claim, f"shapes {shapes[0]} and {shapes[1]} differ", PRODUCTS)
        verdict = same_sizes(setting, zip(*shapes, strict=True), claim)
        if not verdict:
            return verdict
        # No array of a derivation has this name.
        v = Array("(v)", self.left.in_shape)
        verdict = VectorEquation(Applied(self.left, v), Applied(self.right, v)).decide(setting)
        return replace(verdict, statement=claim)


@dataclass(frozen=True, eq=False)
class Rounded:
    """The size floor(above / below) + 1 in the usual notation."""

    above: Size
    below: int

    @property
    def value(self) -> Size:
        """The size."""
        return self.above // self.below + 1

    def latex(self) -> str:
        """Return the size with its fraction as it is, not simplified."""
        if self.below == 1:
            return f"{size_latex(self.above)} + 1"
        fraction = f"\\frac{{{size_latex(self.above)}}}{{{self.below}}}"
        return f"\\left\\lfloor {fraction} \\right\\rfloor + 1"


@dataclass(frozen=True, eq=False)
class Written:
    """A sum of terms `sign factor (base - less)` in the usual notation."""

    terms: tuple[tuple[int, Size, Size, int], ...]

    @property
    def value(self) -> Size:
        """The size."""
        total: Size = 0
        for sign, factor, base, less in self.terms:
            total = total + sign * factor * (base - less)
        return total

    def latex(self) -> str:
        """Return the sum with its terms as they are, not simplified."""
        formula = ""
        for sign, factor, base, less in self.terms:
            size = size_latex(base)
            bare = less == 0 and not size_latex(base).startswith("-")
            inner = size if bare and " " not in size else f"({size}{f' - {less}' if less else ''})"
            term = inner if factor == 1 else f"{size_latex(factor)} \\cdot {inner}"
            mark = "-" if sign < 0 else "+"
            formula += f" {mark} {term}" if formula else f"{'-' if sign < 0 else ''}{term}"
        return formula


Side: TypeAlias = "Size | Rounded | Written"


def _value(side: Side) -> Size:
    return side.value if isinstance(side, (Rounded, Written)) else side


def _latex(side: Side) -> str:
    return side.latex() if isinstance(side, (Rounded, Written)) else size_latex(side)


@dataclass(frozen=True, eq=False)
class SizeOf:
    """A size of the given operator, and formulas for it."""

    name: str
    actual: Size
    sides: tuple[Side, ...]

    def pieces(self) -> list[str]:
        """Return the formula: name = formula = formula."""
        formulas = dict.fromkeys(map(_latex, self.sides))
        return [" = ".join([self.name, *formulas])]

    def decide(self, setting: Setting) -> Verdict:
        """Compare each formula with the size, for all values of their symbols."""
        pairs = [(_value(side), self.actual) for side in self.sides]
        return same_sizes(setting, pairs, formula_of(self))


def same_sizes(setting: Setting, pairs: Iterable[tuple[Size, Size]], claim: str) -> Verdict:
    """Decide whether the two sizes of each pair are equal."""
    apart = []
    for first, second in pairs:
        points = islpy.Set(f"{setting.declared}{{ [0] : {text(first)} != {text(second)} }}")
        apart.append((points.intersect_params(setting.domain), str(second), str(first)))
    return setting.verdict(claim, apart, SETS)


@dataclass(frozen=True, eq=False)
class Compared:
    """A condition `left <= right` on indices and sizes."""

    left: Index
    right: Index
    divisor: int = 1
    """The denominator of the right-hand side."""
    strict: bool = False

    def latex(self) -> str:
        """Return both sides with the relation sign between them."""
        right = self.right.latex()
        if self.divisor != 1:
            right = f"\\frac{{{right}}}{{{self.divisor}}}"
        sign = "<" if self.strict else "\\le"
        return f"{self.left.latex()} {sign} {right}"

    def isl(self, names: dict[str, str]) -> str:
        """Return the condition in the syntax of isl; `names` has an isl variable for each name."""
        left, right = self.left.isl(names), self.right.isl(names)
        return f"{self.divisor}*{left} {'<' if self.strict else '<='} {right}"


@dataclass(frozen=True, eq=False)
class Equivalent:
    """The claim that two conditions on an index hold for the same non-negative values of it."""

    index: str
    left: Compared
    right: Compared

    def pieces(self) -> list[str]:
        """Return the formula: left if and only if right."""
        formula = f"{self.left.latex()} \\iff {self.right.latex()}"
        return [formula, f"{self.index} \\ge 0"]

    def decide(self, setting: Setting) -> Verdict:
        """Decide whether the two sets of values are equal."""
        names = {self.index: "v0"}
        sets = [
            islpy.Set(f"{setting.declared}{{ [v0] : v0 >= 0 and {side.isl(names)} }}")
            for side in (self.left, self.right)
        ]
        left, right = (points.intersect_params(setting.domain) for points in sets)
        apart = [(left.subtract(right), False, True), (right.subtract(left), True, False)]
        return setting.verdict(formula_of(self), apart, SETS, self.index)


@dataclass(frozen=True, eq=False)
class Extreme:
    """The least or greatest value of an index expression over the ranges of some variables."""

    kind: str
    """"min" or "max"."""
    over: Ranges
    index: Index
    value: Index
    free: Ranges = ()

    def pieces(self) -> list[str]:
        """Return the formula: the minimum or maximum over the ranges = the value."""
        under = ",\\, ".join(f"0 \\le {name} < {size_latex(size)}" for name, size in self.over)
        return [f"\\{self.kind}_{{{under}}} ({self.index.latex()}) = {self.value.latex()}"]

    def decide(self, setting: Setting) -> Verdict:
        """Check that no value of the expression is beyond the extreme, and that it is reached."""
        claim = formula_of(self)
        free, over = [name for name, _ in self.free], [name for name, _ in self.over]
        names = {name: f"v{k}" for k, name in enumerate([*free, *over])}
        at, more = ([names[name] for name in group] for group in (free, over))
        inside, value = self.index.isl(names), self.value.isl(names)
        box = [f"0 <= {names[name]} < {text(size)}" for name, size in self.over]
        sizes = [f"0 <= {names[name]} < {text(size)}" for name, size in self.free]
        sign = "<" if self.kind == "min" else ">"
        head = f"{setting.declared}{{ [{', '.join(at) or '0'}] : "
        every = " and ".join(sizes) or "true"
        reached = f"exists ({', '.join(more)}: {' and '.join([*box, f'{inside} = {value}'])})"
        beyond = f"exists ({', '.join(more)}: {' and '.join([*box, f'{inside} {sign} {value}'])})"
        missed, passed = (
            islpy.Set(f"{head}{every} and {condition} }}").intersect_params(setting.domain)
            for condition in (f"not ({reached})", beyond)
        )
        shown = self.value.latex()
        apart = [(missed, shown, "not reached"), (passed, shown, "exceeded")]
        return setting.verdict(claim, apart, SETS, ", ".join(free))


@dataclass(frozen=True, eq=False)
class Together:
    """Several statements on one line."""

    parts: tuple[Statement, ...]
    given: tuple[str, ...] = ()
    """Abbreviations of the setting, as LaTeX."""

    def pieces(self) -> list[str]:
        """Return the pieces of all parts."""
        return [*(piece for part in self.parts for piece in part.pieces()), *self.given]

    def decide(self, setting: Setting) -> Verdict:
        """Return the first verdict that is not "proved", or one for all parts."""
        verdicts = [part.decide(setting) for part in self.parts]
        worst = next((verdict for verdict in verdicts if not verdict), verdicts[0])
        return replace(worst, statement=formula_of(self))
