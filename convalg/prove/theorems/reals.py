"""Parts of theorems about real numbers and maxima: activations and max pooling.

Statements about the entries of an array are decided by z3 for all real numbers, and statements
about the samples of a window by their indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

from convalg.axis import Size
from convalg.errors import UndecidableError
from convalg.faces.latex import expression
from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.pooling import sum_pool
from convalg.operators.tree import Operator
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import UNITS
from convalg.prove.decisions.smtlib import solve
from convalg.prove.derivations.indices import size_latex
from convalg.prove.equality import decide, domain_of
from convalg.prove.theorems.formulas import COMMA_QUAD, equation_latex
from convalg.prove.verdict import Counterexample, Verdict
from convalg.size import Condition, sizes

if TYPE_CHECKING:
    import sympy

n, K, s = sizes("n K s")
REALS = "real arithmetic (z3)"
TRIED = (0, 1, -1, 2, -2)
"""The numbers that are tried in the search for a counterexample, in this order."""

Numbers = tuple["sympy.Expr", ...]


def real(name: str) -> sympy.Symbol:
    """Return the symbol of a real number."""
    import sympy

    return sympy.Symbol(name, real=True)


def relu(x: sympy.Expr) -> Any:
    """Return max(0, x) as an expression."""
    import sympy

    return sympy.Max(0, x)


def _term(value: sympy.Expr) -> str:
    """Return an expression of sums, products, maxima and absolute values as SMT-LIB.

    Raises: UndecidableError for other expressions.
    """
    import sympy

    match value:
        case sympy.Symbol():
            return str(value.name)
        case sympy.Rational(p=above, q=below):
            number = f"{above}.0" if above >= 0 else f"(- {-above}.0)"
            return number if below == 1 else f"(/ {number} {below}.0)"
        case sympy.Add() | sympy.Mul():
            sign = "+" if value.is_Add else "*"
            return f"({sign} {' '.join(sorted(map(_term, value.args)))})"
        case sympy.Max():
            return reduce(
                lambda one, other: f"(ite (>= {one} {other}) {one} {other})",
                map(_term, sorted(value.args, key=str)),
            )
        case sympy.Abs():
            inner = _term(value.args[0])
            return f"(ite (>= {inner} 0.0) {inner} (- {inner}))"
        case sympy.Pow() if value.exp.is_Integer and value.exp > 0:
            return f"(* {' '.join([_term(value.base)] * int(value.exp))})"
    raise UndecidableError(
        f"{value} is not a combination of numbers, sums, products, maxima and absolute values"
    )


def _holds(claim: str, given: Numbers, symbols: Numbers) -> bool:
    """Return whether z3 finds no real numbers at which `given` are not negative and a claim fails.

    The result is also False where z3 reaches its budget.
    """
    lines = [
        "(set-logic QF_NRA)",
        *(f"(declare-const {_term(symbol)} Real)" for symbol in symbols),
        *(f"(assert (>= {_term(value)} 0.0))" for value in given),
        f"(assert (not {claim}))",
    ]
    return solve("\n".join(lines), UNITS * BUDGET).answer == "unsat"


def _tried(given: Numbers, symbols: Numbers) -> Iterator[dict[Any, int]]:
    """Yield integers for some symbols, near zero first, for which `given` are not negative."""
    order = sorted(product(TRIED, repeat=len(symbols)), key=lambda v: sum(map(abs, v)))
    for values in order:
        chosen = dict(zip(symbols, values, strict=True))
        if all(value.subs(chosen) >= 0 for value in given):
            yield chosen


def _named(chosen: Mapping[sympy.Expr, int]) -> dict[str, int]:
    return {symbol.name: value for symbol, value in chosen.items()}


@dataclass(frozen=True, eq=False)
class RealEquation:
    """The claim that an equation holds for all real numbers, and so for each entry of an array.

    `sides`: the two sides, with the symbols of `real`. `given`: expressions that are not negative.
    `arrays`: the names of the symbols that are entries of an array; the others are numbers.
    """

    claim: str
    sides: Callable[[], tuple[Any, Any]]
    given: Callable[[], Numbers] = tuple
    arrays: str = "x"

    @cached_property
    def formula(self) -> str:
        """The equation, with the arrays and the conditions on the numbers in it."""
        left, right = map(expression, self.sides())
        arrays = [f"{name} \\in \\mathbf{{R}}^{{n}}" for name in self.arrays.split()]
        given = [f"{expression(value)} \\ge 0" for value in self.given()]
        return COMMA_QUAD.join([f"{left} = {right}", *arrays, *given])

    @property
    def domain(self) -> Domain:
        """All numbers of entries."""
        return Domain((n,), (Condition(n - 1),))

    def decide(self) -> Verdict:
        """Decide whether the equation holds for all real numbers."""
        sides, given = self.sides(), self.given()
        symbols = _symbols((*sides, *given))
        verdict = Verdict("proved", self.claim, str(self.domain), REALS, domain=self.domain)
        equation = f"(= {_term(sides[0])} {_term(sides[1])})"
        for chosen in _tried(given, symbols):
            actual, claimed = (side.subs(chosen) for side in sides)
            if actual != claimed:
                counterexample = Counterexample(
                    {"n": 1, **_named(chosen)}, None, None, claimed, actual
                )
                return replace(verdict, status="refuted", counterexample=counterexample)
        if _holds(equation, given, symbols):
            return verdict
        return replace(verdict, status="unknown", reason="z3 leaves the equation open")


def _symbols(values: Numbers) -> Numbers:
    return tuple(sorted(set().union(*(value.free_symbols for value in values)), key=str))


@dataclass(frozen=True, eq=False)
class MonotoneMaximum:
    """The claim that a function of numbers commutes with max pooling.

    Rule: let M be the maximum of a window. One sample is M, and the others are at most M; so the
    maximum of the values f(x) is f(M) if x <= M leads to f(x) <= f(M).

    `given`: as in `RealEquation`.
    """

    claim: str
    function: Callable[[Any], Any]
    given: Callable[[], Numbers] = tuple

    @cached_property
    def formula(self) -> str:
        """The maximum of the values, and the value of the maximum."""
        import sympy

        sample = real("x")
        index = "x_{o s + t}"
        maximum = "\\max_{0 \\le t < K}"
        value, outer = (
            sympy.latex(self.function(sample), symbol_names={sample: name})
            for name in (index, f"\\Bigl({maximum} {index}\\Bigr)")
        )
        given = [f"{expression(bound)} \\ge 0" for bound in self.given()]
        pool = f"x \\in \\mathbf{{R}}^{{n}},\\ 0 \\le o < {size_latex(self._pool.out_shape[0])}"
        return COMMA_QUAD.join([f"{maximum} \\bigl({value}\\bigr) = {outer}", pool, *given])

    @property
    def _pool(self) -> Operator:
        return sum_pool(n, K, stride=s)

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which there is a window."""
        return Domain.of(self._pool)

    def decide(self) -> Verdict:
        """Decide whether the function is monotone."""
        sample, most = real("x"), real("y")
        values, given = (self.function(sample), self.function(most)), (most - sample, *self.given())
        symbols = _symbols((*values, *given))
        method = f"{REALS}: the function is monotone"
        verdict = Verdict("proved", self.claim, str(self.domain), method, domain=self.domain)
        order = f"(<= {_term(values[0])} {_term(values[1])})"
        for chosen in _tried(given, symbols):
            actual, claimed = (value.subs(chosen) for value in values)
            if actual > claimed:
                # A window with these two samples.
                named = {"n": 2, "K": 2, "s": 1, **_named(chosen)}
                counterexample = Counterexample(named, None, None, claimed, actual)
                return replace(verdict, status="refuted", counterexample=counterexample)
        if _holds(order, given, symbols):
            return verdict
        return replace(verdict, status="unknown", reason="z3 leaves open whether it is monotone")


class AnyPooling(Protocol):
    """A pooling of a signal of some size."""

    def __call__(self, size: Size, /, *, stride: Size = K) -> Operator:
        """Return the pooling over K samples."""


def _summed(size: Size, /, *, stride: Size = K) -> Operator:
    return sum_pool(size, K, stride=stride)


def _labelled(size: Size, /, *, stride: Size = K) -> Operator:
    """Return the sum of a window whose samples have different weights, so that none is lost."""
    return correlation(size, kernel(K), stride=stride)


@dataclass(frozen=True, eq=False)
class SameWindows:
    """The claim that two products of selections of samples and one max pooling are equal.

    Rule: if each window contains the same samples on both sides, then the maxima are equal. The
    pooling is replaced by a layer with K different weights, and the two operators are compared.

    `sides`: the two operators for a given pooling.
    """

    claim: str
    sides: Callable[[AnyPooling], tuple[Operator, Operator]]

    @cached_property
    def formula(self) -> str:
        """Both sides, with the maximum for the sum of a window."""
        first, second = self.sides(_summed)
        return equation_latex(first, second).replace("{sum}", "{max}")

    @cached_property
    def _compared(self) -> tuple[Operator, Operator]:
        return self.sides(_labelled)

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which both sides exist."""
        return domain_of(*self._compared)

    def decide(self) -> Verdict:
        """Compare the samples of each window on both sides."""
        verdict = decide(*self._compared, claim=self.claim)
        method = f"{verdict.method}: the samples of each window are compared"
        return replace(verdict, method=method, evidence=())
