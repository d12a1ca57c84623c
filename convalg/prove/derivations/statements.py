"""Statements of derivations: the formula and the check are made from the same two sides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from convalg.axis import Axis, Size, floored
from convalg.errors import UndecidableError
from convalg.operators.tree import Operator
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import UNITS
from convalg.prove.decisions.smtlib import Script, conjunction, negation, solve
from convalg.prove.derivations.indices import Border, Index, shape_latex, size_latex, variable
from convalg.prove.derivations.products import differences
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Entry,
    Expression,
    Named,
    OperatorTerm,
    Vector,
)
from convalg.prove.verdict import Counterexample, Verdict

if TYPE_CHECKING:
    import sympy

Abbreviations: TypeAlias = "tuple[tuple[sympy.Symbol, Size], ...]"
"""Symbols that abbreviate a size, each with that size."""

Z3_INDICES = "integer arithmetic (z3): both sides compared for all indices, without quantifiers"


@dataclass(frozen=True, eq=False)
class FailingCase:
    """A statement in SMT-LIB that holds where a claim fails.

    `claimed`, `actual`: the two values there. `names`: the names of the coordinates of the point,
    as text. `variables`: their names in the script.
    """

    claim: str
    claimed: object
    actual: object
    names: str = ""
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Claims:
    """The formulas of a claim, and the statements of its failures."""

    formulas: nonlinear.Formulas
    failures: list[FailingCase]


@dataclass(frozen=True, eq=False)
class Setting:
    """The sizes that the statements of a derivation are about.

    `where`: the domain of the operators. `named`: symbols that abbreviate a size, each with that
    size.
    """

    where: Domain
    named: Abbreviations = ()

    @staticmethod
    def of(*operators: Operator, named: Abbreviations = ()) -> Setting:
        """Return the setting of operators: the sizes at which they all exist."""
        return Setting(Domain.of(*operators), named)

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the sizes."""
        return self.where.symbols

    @cached_property
    def scope(self) -> str:
        """The sizes at which the operators exist, as text."""
        return str(self.where)

    def abbreviations(self, *sizes: Size) -> tuple[str, ...]:
        """Return the definitions of the abbreviations in some sizes, as LaTeX."""
        used = {symbol for size in sizes for symbol in getattr(size, "free_symbols", ())}
        pairs = [(symbol, value) for symbol, value in self.named if symbol in used]
        return tuple(f"{size_latex(symbol)} = {size_latex(value)}" for symbol, value in pairs)

    def claims(self, failures: Callable[[Script], Iterable[FailingCase]]) -> Claims:
        """Return the formulas of a claim, from the statements of which one holds where it fails."""
        script, limits = nonlinear.limited(self.where)
        limits += [script.equal(symbol, value) for symbol, value in self.named]
        listed = [failure for failure in failures(script) if failure.claim != "false"]
        sentence = "no sizes and indices contradict the step in this way"
        entries = [nonlinear.Contradiction(sentence, failure.claim) for failure in listed]
        return Claims(nonlinear.Formulas(script, limits, "false", entries), listed)

    def verdict(self, claim: str, claims: Claims) -> Verdict:
        """Return the verdict of z3 on a claim, with the smallest sizes at which it fails."""
        formulas, domain = claims.formulas, self.where
        answer = nonlinear.decide(formulas, domain, BUDGET)
        if answer.status == "proved":
            return Verdict("proved", claim, self.scope, Z3_INDICES, domain=domain)
        if answer.status == "refuted":
            sizes = nonlinear.smallest(formulas, domain, answer.values, BUDGET) or answer.values
            witness = self._witness(claims, sizes)
            if witness is None:
                return self.unknown(claim, "z3 does not find where it fails at its smallest sizes")
            return Verdict("refuted", claim, self.scope, Z3_INDICES, witness, domain=domain)
        reason = "its domain is empty"
        if answer.status == "unknown":
            reason = f"z3 leaves open whether {answer.open}"
        return self.unknown(claim, reason)

    def _witness(self, claims: Claims, sizes: dict[sympy.Symbol, int]) -> Counterexample | None:
        """Return the first point at which a claim fails at given sizes, or None."""
        script = claims.formulas.script
        fixed = [script.equal(symbol, value) for symbol, value in sizes.items()]
        shown = {symbol.name: value for symbol, value in sizes.items()}
        for failure in claims.failures:
            text = script.written([], [*claims.formulas.domain, *fixed, failure.claim])
            solution = solve(text, UNITS * BUDGET)
            if solution.answer == "sat":
                point = [solution.values.get(name, 0) for name in failure.variables]
                inputs: dict[str, Any] = {failure.names: point} if point else {}
                return Counterexample(shown, None, None, failure.claimed, failure.actual, inputs)
        return None

    def unknown(self, claim: str, reason: str) -> Verdict:
        """Return the verdict "unknown" with a reason."""
        return Verdict("unknown", claim, self.scope, Z3_INDICES, reason=reason, domain=self.where)


class Statement(ABC):
    """A formula and its check."""

    @abstractmethod
    def pieces(self) -> list[str]:
        """Return the parts of the formula as LaTeX; each may be on a separate line."""

    @abstractmethod
    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield statements, of which one holds exactly where the formula does not."""

    def decide(self, setting: Setting) -> Verdict:
        """Decide whether the statement holds for all sizes of the setting."""
        claim = formula_of(self)
        try:
            return setting.verdict(claim, setting.claims(self.failures))
        except UndecidableError as error:
            return setting.unknown(claim, str(error))


def formula_of(statement: Statement) -> str:
    """Return the formula of a statement on one line."""
    return ",\\quad ".join(statement.pieces())


Ranges: TypeAlias = "tuple[tuple[str, Size], ...]"
"""Variables, each with its number of values, which start at 0."""


@dataclass(frozen=True, eq=False)
class Equation(Statement):
    """Two expressions that are equal for all arrays and all values of the free variables."""

    left: Expression
    right: Expression
    free: Ranges = ()

    def pieces(self) -> list[str]:
        """Return the formula left = right."""
        return [f"{self.left.latex()} = {self.right.latex()}"]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that some product occurs more often on one side."""
        names = ", ".join([*(name for name, _ in self.free), "indices"])
        for claim, point, is_left in differences(script, self.left, self.right, self.free):
            counts = ("less often", "more often") if is_left else ("more often", "less often")
            yield FailingCase(claim, *counts, names, tuple(point))


@dataclass(frozen=True, eq=False)
class Definition(Statement):
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

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that a printed shape differs from the actual one, or the sum from the entries."""
        weights = self.operator.weights
        printed = [self.operator.in_shape, self.operator.out_shape]
        printed += [weights.shape] if weights else []
        for shown, own in zip(printed, self.shapes, strict=True):
            yield from unequal_shapes(script, shown, own)
        yield from self.equation.failures(script)


@dataclass(frozen=True, eq=False)
class VectorEquation(Statement):
    """Two vectors that are equal for all arrays."""

    left: Vector
    right: Vector

    def pieces(self) -> list[str]:
        """Return the formula left = right."""
        return [f"{self.left.latex()} = {self.right.latex()}"]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that the shapes or some entries differ."""
        yield from unequal_shapes(script, self.left.shape, self.right.shape)
        row = tuple(f"(r{k})" for k in range(len(self.left.shape)))
        index = tuple(map(variable, row))
        left, right = (Entry(side, index) for side in (self.left, self.right))
        free = tuple(zip(row, self.left.shape, strict=True))
        yield from Equation(left, right, free).failures(script)


@dataclass(frozen=True, eq=False)
class OperatorEquation(Statement):
    """Two products of operators that are equal."""

    left: OperatorTerm
    right: OperatorTerm

    def pieces(self) -> list[str]:
        """Return the formula left = right."""
        return [f"{self.left.latex()} = {self.right.latex()}"]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that the shapes or some entries differ: both sides applied to one unknown array."""
        yield from unequal_shapes(script, self.left.in_shape, self.right.in_shape)
        # No array of a derivation has this name.
        v = Array("(v)", self.left.in_shape)
        yield from VectorEquation(Applied(self.left, v), Applied(self.right, v)).failures(script)


@dataclass(frozen=True, eq=False)
class Rounded:
    """The size floor(above / below) + 1 in the usual notation."""

    above: Size
    below: Size

    @property
    def value(self) -> Size:
        """The size."""
        return floored(self.above, self.below) + 1

    def latex(self) -> str:
        """Return the size with its fraction as it is, not simplified."""
        if self.below == 1:
            return f"{size_latex(self.above)} + 1"
        fraction = f"\\frac{{{size_latex(self.above)}}}{{{size_latex(self.below)}}}"
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
class SizeOf(Statement):
    """A size of the given operator, and formulas for it."""

    name: str
    actual: Size
    sides: tuple[Side, ...]

    def pieces(self) -> list[str]:
        """Return the formula: name = formula = formula."""
        formulas = dict.fromkeys(map(_latex, self.sides))
        return [" = ".join([self.name, *formulas])]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that a formula differs from the size."""
        for side in self.sides:
            yield from _unequal(script, _value(side), self.actual)


def _unequal(script: Script, first: Size, second: Size) -> Iterator[FailingCase]:
    if first != second:
        yield FailingCase(negation(script.equal(first, second)), str(second), str(first))


def unequal_shapes(
    script: Script, first: tuple[Size, ...], second: tuple[Size, ...]
) -> Iterator[FailingCase]:
    """Yield that two shapes differ.

    Raises: UndecidableError for shapes of different lengths.
    """
    if len(first) != len(second):
        raise UndecidableError(f"the shapes {first} and {second} have different lengths")
    for one, other in zip(first, second, strict=True):
        yield from _unequal(script, one, other)


def are_same(setting: Setting, first: Size, second: Size) -> bool:
    """Whether two sizes are proved to be equal."""
    return bool(SizeOf("", first, (second,)).decide(setting))


@dataclass(frozen=True, eq=False)
class Compared:
    """A condition `left <= right` on indices and sizes."""

    left: Index
    right: Index
    divisor: Size = 1
    """The denominator of the right-hand side, at least 1."""
    strict: bool = False

    def latex(self) -> str:
        """Return both sides with the relation sign between them."""
        right = self.right.latex()
        if self.divisor != 1:
            right = f"\\frac{{{right}}}{{{size_latex(self.divisor)}}}"
        sign = "<" if self.strict else "\\le"
        return f"{self.left.latex()} {sign} {right}"

    def text(self, script: Script, names: Mapping[object, Size]) -> str:
        """Return the condition in SMT-LIB; `names` has a variable for each name."""
        left, right = self.left.value(names), self.right.value(names)
        compare = script.above if self.strict else script.at_least
        return compare(right, self.divisor * left)


@dataclass(frozen=True, eq=False)
class Equivalent(Statement):
    """The claim that two conditions on an index hold for the same non-negative values of it."""

    index: str
    left: Compared
    right: Compared

    def pieces(self) -> list[str]:
        """Return the formula: left if and only if right."""
        formula = f"{self.left.latex()} \\iff {self.right.latex()}"
        return [formula, f"{self.index} \\ge 0"]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that a value satisfies only one of the two conditions."""
        j = script.index("index.0")
        left, right = (side.text(script, {self.index: j}) for side in (self.left, self.right))
        for one, other, values in ((left, right, (False, True)), (right, left, (True, False))):
            claim = conjunction([script.at_least(j, 0), one, negation(other)])
            yield FailingCase(claim, *values, self.index, (j.name,))


@dataclass(frozen=True, eq=False)
class Extreme(Statement):
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

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that the extreme is not the value at a corner of the ranges, or is exceeded."""
        ranges = [*self.free, *self.over]
        symbols = [script.index(f"index.{k}") for k in range(len(ranges))]
        names: dict[object, Size] = {}
        names.update((name, symbol) for (name, _), symbol in zip(ranges, symbols, strict=True))
        free, over = (
            [c for name, size in group for c in script.within(names[name], size)]
            for group in (self.free, self.over)
        )
        inside, value = self.index.value(names), self.value.value(names)
        corner = dict(names)
        corner.update((name, self._end(name, size)) for name, size in self.over)
        some = conjunction(script.above(size, 0) for _, size in self.over)
        reached = conjunction([some, script.equal(self.index.value(corner), value)])
        shown, point = self.value.latex(), tuple(s.name for s in symbols[: len(self.free)])
        where = ", ".join(name for name, _ in self.free)
        pair = (value, inside) if self.kind == "min" else (inside, value)
        missed = conjunction([*free, negation(reached)])
        beyond = conjunction([*free, *over, script.above(*pair)])
        yield FailingCase(missed, shown, "not reached", where, point)
        yield FailingCase(beyond, shown, "exceeded", where, point)

    def _end(self, name: str, size: Size) -> Size:
        """Return the end of the range of a variable at which the expression is extreme."""
        (factor,) = (factor for factor, atom in self.index.terms if atom == name)
        is_negative = factor < 0 if isinstance(factor, int) else factor.could_extract_minus_sign()
        return size - 1 if is_negative == (self.kind == "min") else 0


@dataclass(frozen=True, eq=False)
class Together(Statement):
    """Several statements on one line."""

    parts: tuple[Statement, ...]
    given: tuple[str, ...] = ()
    """Abbreviations of the setting, as LaTeX."""

    def pieces(self) -> list[str]:
        """Return the pieces of all parts."""
        return [*(piece for part in self.parts for piece in part.pieces()), *self.given]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield the failures of all parts."""
        for part in self.parts:
            yield from part.failures(script)
