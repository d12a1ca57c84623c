"""The equality of families whose strides, dilations and channels are symbols, decided by z3.

Two families are equal exactly when no point (row, column, labels) has different coefficients in
them. That is a formula of integers without quantifiers (`membership`), written in SMT-LIB in
parts, the obligations. The claim is proved when z3 gives the expected answer to each of them.

This is a semi-decision: z3 answers most of these formulas, and no procedure answers all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations, product
from math import factorial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from convalg.errors import UndecidableError
from convalg.kernels import SymbolicKernel
from convalg.operators.tree import Operator
from convalg.prove.decisions import coefficients, families
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import kernels_of
from convalg.prove.decisions.membership import (
    MOST_TERMS,
    Factor,
    FormulaTerm,
    Index,
    Labels,
    terms,
)
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.decisions.smtlib import (
    Answer,
    Script,
    conjunction,
    disjunction,
    negation,
    solve,
)
from convalg.size import size_product

if TYPE_CHECKING:
    import sympy

Totals: TypeAlias = "dict[tuple[int, str], Polynomial]"
"""The coefficient that each side, 1 or -1, adds at the points that satisfy a condition."""
Groups: TypeAlias = "dict[tuple[str, ...], Totals]"
"""The totals of each product of kernels, by their sorted names."""
Points: TypeAlias = "Callable[[Script, Index, Index, Index], Iterable[str]]"
"""Conditions on the indices of a row, a column and a weight."""
MOST_ROOTS = 6
"""The number of conditions on a point with irrational coefficients."""
UNITS = 4
"""The resource units of z3 that count as one operation of a budget."""


class Contradiction(NamedTuple):
    """A statement that holds where a claim fails.

    `sentence`: the meaning of "unsat", that it holds nowhere. `formula`: the statement.
    """

    sentence: str
    formula: str


@dataclass(frozen=True)
class Obligation:
    """A formula with the answer that a proof needs.

    Attributes:
        name: the name of the file, without its suffix.
        sentence: the meaning of the expected answer.
        expected: "unsat" where the formula states a failure of the claim, "sat" where it states
            that there are sizes.
        text: the formula as an SMT-LIB script.
    """

    name: str
    sentence: str
    expected: Answer
    text: str


@dataclass(frozen=True, eq=False)
class Formulas:
    """The formulas of the claim that two families are equal.

    Attributes:
        script: the variables and definitions of all formulas.
        domain: the conditions under which both families exist.
        shapes: the statement that the shapes differ.
        entries: the other statements that the claim fails, such as that the coefficients of a point
            differ.
    """

    script: Script
    domain: list[str]
    shapes: str
    entries: list[Contradiction]

    @property
    def differences(self) -> str:
        """The statement that the families differ."""
        return disjunction([self.shapes, *(one.formula for one in self.entries)])

    def obligations(self, comments: Sequence[str] = ()) -> Iterator[Obligation]:
        """Yield the obligations of a proof, each with comments at the top of its script."""

        def written(
            name: str, sentence: str, expected: Answer, claim: str, *, is_defined: bool = True
        ) -> Obligation:
            lines = [*comments, f"obligation: {sentence}", f"expected: {expected}"]
            text = self.script.written(lines, [*self.domain, claim], is_defined=is_defined)
            return Obligation(name, sentence, expected, text)

        yield written("sizes", "there are sizes in the domain", "sat", "true")
        divisors = disjunction(self.script.at_least(0, v) for v in self.script.divisors)
        if divisors != "false":
            sentence = "every divisor of a quotient is positive"
            # Without the definitions, which nothing satisfies where a divisor is not positive.
            yield written("divisors", sentence, "unsat", divisors, is_defined=False)
        if self.shapes != "false":
            yield written("shapes", "both sides have the same shape", "unsat", self.shapes)
        for number, (sentence, claim) in enumerate(self.entries):
            yield written(f"entries-{number}", sentence, "unsat", claim)


def formulas(first: Operator, second: Operator, domain: Domain) -> Formulas:
    """Return the formulas of the claim that two families are equal in a domain.

    Raises: UndecidableError where a middle index of a product is not determined by the ends, or
    there are too many terms.
    """
    kernels = kernels_of([first, second])
    script, limits = limited(domain)
    pairs = zip(
        (*first.out_shape, *first.in_shape), (*second.out_shape, *second.in_shape), strict=True
    )
    shapes = disjunction(negation(script.equal(a, b)) for a, b in pairs if a != b)
    groups: Groups = {}
    for sign, operator in ((1, first), (-1, second)):
        _add_terms(groups, script, operator, sign, kernels)
    return Formulas(script, limits, shapes, _entries(groups, script, domain))


def proof_formulas(first: Operator, second: Operator, domain: Domain) -> Formulas:
    """Return formulas whose obligations prove that two families are equal in a domain.

    Where window sums of symbolic size occur several times, they have unknown weights in the
    formulas instead of ones: a claim that holds for all weights holds for ones.

    Raises: UndecidableError as `formulas`.
    """
    try:
        return formulas(first, second, domain)
    except UndecidableError:
        if families.freed(first) is first and families.freed(second) is second:
            raise
        return formulas(families.freed(first), families.freed(second), domain)


def point_formulas(operator: Operator, domain: Domain, value: object, where: Points) -> Formulas:
    """Return the formulas of the claim that the entries of an operator are given by conditions.

    Args:
        operator: a family with at most one kernel.
        domain: the sizes that are considered.
        value: the coefficient of each entry.
        where: returns the conditions under which there is an entry, for the indices of its row, its
            column and its weight, which is [] without a kernel.

    Raises: UndecidableError as `formulas`.
    """
    kernels = kernels_of([operator])
    script, limits = limited(domain)
    groups: Groups = {}
    _add_terms(groups, script, operator, 1, kernels)
    row, column = _indices(script, operator)
    (label,) = _labels_of(script, kernels) or [[]]
    point = conjunction(where(script, row, column, label))
    groups.setdefault(tuple(kernels), {})[-1, point] = -Polynomial.of(value)
    return Formulas(script, limits, "false", _entries(groups, script, domain))


def statement_formulas(
    domain: Domain, counter: Callable[[Script], Iterable[str | Contradiction]]
) -> Formulas:
    """Return the formulas of a claim about sizes, from the statements of which one fails it."""
    script, limits = limited(domain)
    sentence = "no sizes and indices contradict the claim in this way"
    statements = [
        Contradiction(sentence, claim) if isinstance(claim, str) else claim
        for claim in counter(script)
    ]
    return Formulas(script, limits, "false", statements)


def limited(domain: Domain) -> tuple[Script, list[str]]:
    """Return a new script, and the conditions of a domain in it."""
    script = Script()
    for symbol in domain.symbols:
        script.text(symbol)
    values = [*(condition.value for condition in domain.limits), *domain.symbols]
    limits = [script.at_least(value, 0) for value in values]
    for pole in domain.poles:
        if pole.free_symbols <= set(domain.symbols):
            limits.append(negation(script.equal(pole, 0)))
    for symbol, chosen in domain.swept:
        limits.append(disjunction(script.equal(symbol, value) for value in chosen))
    return script, limits


def _indices(script: Script, operator: Operator) -> tuple[Index, Index]:
    """Return the symbols of the indices of a row and of a column."""
    row: Index = [script.index(f"row.{k}") for k in range(len(operator.out_shape))]
    return row, [script.index(f"column.{k}") for k in range(len(operator.in_shape))]


def _add_terms(
    groups: Groups,
    script: Script,
    operator: Operator,
    sign: int,
    kernels: dict[str, SymbolicKernel],
) -> None:
    """Add the coefficients of an operator to the totals of each product of kernels."""
    row, column = _indices(script, operator)
    for term in terms(operator):
        names = tuple(sorted(kernel.name for _, kernel in term.named))
        if (orders := _orders(names)) > MOST_TERMS:
            raise UndecidableError(
                f"budget exceeded: one kernel occurs so often in a product that its weights have "
                f"{orders} orders, more than {MOST_TERMS}: use numbers for some sizes"
            )
        share = Polynomial.of(sign) / orders * term.coefficient
        totals = groups.setdefault(names, {})
        for labels in _labelled(script, term, kernels):
            point = conjunction(term.factor.member(script, row, column, labels))
            totals[sign, point] = totals.get((sign, point), Polynomial({})) + share


def _entries(groups: Groups, script: Script, domain: Domain) -> list[Contradiction]:
    sizes = frozenset(domain.symbols)
    statements = []
    for names, totals in groups.items():
        weights = f" of each product of weights of {', '.join(names)}" if names else ""
        sentence = f"the coefficient{weights} is the same in each entry of both sides"
        statements += [Contradiction(sentence, claim) for claim in _differ(script, totals, sizes)]
    return statements


def _orders(names: tuple[str, ...]) -> int:
    """Return the number of orders of the labels of kernels that occur several times."""
    return int(size_product([factorial(len(list(run))) for _, run in groupby(names)]))


def _labels_of(
    script: Script, kernels: dict[str, SymbolicKernel], occurrence: int = 0
) -> list[Index]:
    """Return the symbols of the index of a weight of each kernel, in the order of the names."""
    return [
        [script.index(f"label.{number}.{occurrence}.{axis}") for axis in range(kernels[name].ndim)]
        for number, name in enumerate(sorted(kernels))
    ]


def _labelled(
    script: Script, term: FormulaTerm, kernels: dict[str, SymbolicKernel]
) -> Iterator[Labels]:
    """Yield the labels of a term; for a kernel that occurs several times, in each order."""
    by_name: dict[str, list[Factor]] = {}
    for factor, kernel in term.named:
        by_name.setdefault(kernel.name, []).append(factor)
    order = sorted(kernels)
    each = [list(permutations(by_name[name])) for name in sorted(by_name)]
    for chosen in product(*each):
        labels: Labels = {}
        for factors, name in zip(chosen, sorted(by_name), strict=True):
            for occurrence, factor in enumerate(factors):
                every = _labels_of(script, kernels, occurrence)
                labels[id(factor)] = every[order.index(name)]
        yield labels


def _differ(script: Script, totals: Totals, sizes: frozenset[sympy.Symbol]) -> Iterator[str]:
    """Yield statements, one of which holds where the coefficients of a point do not cancel."""
    kept = [(p, value) for (_, p), value in totals.items() if value.terms and p != "false"]
    if not kept:
        return
    try:
        columns = _integer_coefficients([value for _, value in kept], sizes)
    except UndecidableError:
        if len(kept) > MOST_ROOTS or any(symbols_of(value) & sizes for _, value in kept):
            raise
        yield from _where_not_zero(kept)
        return
    for column in columns:
        parts = [(point, v) for (point, _), v in zip(kept, column, strict=True) if v != 0]
        if len(parts) == 2 and parts[0][1] == -parts[1][1] and parts[0][1].is_number:
            # Two statements with conjunctions are easier for the solver than a sum.
            (one, _), (other, _) = parts
            yield conjunction([one, negation(other)])
            yield conjunction([other, negation(one)])
            continue
        summands = [f"(ite {point} {script.text(value)} 0)" for point, value in parts]
        total = summands[0] if len(summands) == 1 else f"(+ {' '.join(summands)})"
        yield f"(> {total} 0)"
        yield f"(< {total} 0)"


def _where_not_zero(kept: list[tuple[str, Polynomial]]) -> Iterator[str]:
    """Yield, for each choice of conditions that do not cancel, that exactly they hold."""
    for chosen in product((False, True), repeat=len(kept)):
        total = Polynomial({})
        for holds, (_, value) in zip(chosen, kept, strict=True):
            total = total + value if holds else total
        if not coefficients.is_zero(total):
            pairs = zip(chosen, kept, strict=True)
            yield conjunction(point if holds else negation(point) for holds, (point, _) in pairs)


def symbols_of(value: Polynomial) -> set[sympy.Symbol]:
    """Return the symbols of a coefficient."""
    return set().union(*(generator.to_sympy().free_symbols for generator in value.generators))


def _integer_coefficients(
    values: list[Polynomial], sizes: frozenset[sympy.Symbol]
) -> list[list[sympy.Expr]]:
    """Return rows of polynomials in the sizes, one entry per value.

    A combination of the values with integers is zero exactly where it is zero for each row.

    Raises: UndecidableError for coefficients that are not fractions of polynomials.
    """
    import sympy
    from sympy.polys.polyerrors import BasePolynomialError

    expressions = [value.to_sympy() for value in values]
    symbols: set[sympy.Symbol] = set().union(*(value.free_symbols for value in expressions))
    own = sorted(symbols - sizes, key=lambda s: (s.name, str(s.assumptions0)))
    fractions = [sympy.fraction(sympy.together(value)) for value in expressions]
    common = sympy.lcm_list([below for _, below in fractions])
    rows: dict[Any, list[sympy.Expr]] = {}
    for k, (above, below) in enumerate(fractions):
        value = sympy.expand(above * sympy.cancel(common / below))
        try:
            polynomial = sympy.Poly(value, *(own or [sympy.Dummy()]), *sizes, domain="QQ")
        except BasePolynomialError:
            raise UndecidableError(
                f"the coefficient {value} is not a fraction of polynomials over the rational "
                f"numbers, so that z3 cannot decide it"
            ) from None
        parts = (
            sympy.Poly(polynomial.as_expr(), *own).terms() if own else [((), polynomial.as_expr())]
        )
        for monomial, part in parts:
            rows.setdefault(monomial, [sympy.S.Zero] * len(values))[k] = part
    cleared = []
    for row in rows.values():
        factor = sympy.ilcm(1, *(sympy.fraction(sympy.together(part))[1] for part in row))
        cleared.append([sympy.expand(part * factor) for part in row])
    return cleared


class FormulaAnswer(NamedTuple):
    """The answer to the claim that two families are equal.

    `status`: "proved", "refuted", "unknown", or "empty" without any sizes. `values`: sizes
    at which it fails, by the symbols, for "refuted". `open`: the obligation that z3 left open.
    """

    status: str
    values: dict[sympy.Symbol, int]
    open: str = ""


def decide(claim: Formulas, domain: Domain, budget: int) -> FormulaAnswer:
    """Solve the obligations of a claim, and return what their answers mean for it."""
    left_open = ""
    for obligation in claim.obligations():
        solution = solve(obligation.text, UNITS * budget)
        if solution.answer == obligation.expected:
            continue
        if obligation.expected == "sat" and solution.answer == "unsat":
            return FormulaAnswer("empty", {})
        if solution.answer == "unknown" or obligation.name == "divisors":
            left_open = left_open or obligation.sentence
            if obligation.name == "divisors":
                break
            continue
        return FormulaAnswer("refuted", _sizes(claim, domain, solution.values))
    return FormulaAnswer("unknown", {}, left_open) if left_open else FormulaAnswer("proved", {})


def _sizes(claim: Formulas, domain: Domain, values: dict[str, int]) -> dict[sympy.Symbol, int]:
    """Return the sizes in the values of all variables; the solver leaves out irrelevant ones."""
    return {symbol: values.get(claim.script.text(symbol), 0) for symbol in domain.symbols}


def smallest(
    claim: Formulas, domain: Domain, start: dict[sympy.Symbol, int], budget: int
) -> dict[sympy.Symbol, int] | None:
    """Return the smallest sizes at which two families differ, or None if z3 does not decide it.

    Args:
        claim: the formulas of both families.
        domain: the sizes that are considered.
        start: sizes at which the families differ.
        budget: as in `ca.prove.equal`, for each question to z3.

    Returns:
        The sizes with the smallest sum, of these the first in the order of the symbols.
    """
    import sympy

    script, sizes = claim.script, start
    fixed = [*claim.domain, claim.differences]
    for value in (sympy.Add(*domain.symbols), *domain.symbols):
        while (current := int(value.subs(sizes))) > 0:
            smaller = script.at_least(current - 1, value)
            solution = solve(script.written([], [*fixed, smaller]), UNITS * budget)
            if solution.answer == "unknown":
                return None
            if solution.answer == "unsat":
                break
            sizes = _sizes(claim, domain, solution.values)
        fixed.append(script.equal(value, int(value.subs(sizes))))
    return sizes
