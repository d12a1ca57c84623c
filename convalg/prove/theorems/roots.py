"""Parts of theorems about the discrete Fourier transform, F = (z^(k i)) with z^n = 1.

Powers of z are equal where their exponents are congruent modulo n. The congruences are identities
of integers, which are decided for all n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from convalg.axis import Size
from convalg.faces.latex import expression
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import Formulas
from convalg.prove.decisions.smtlib import Script, conjunction, negation
from convalg.prove.derivations.indices import size_latex
from convalg.prove.theorems.formulas import COMMA_QUAD
from convalg.prove.theorems.parts import Exponentials
from convalg.prove.verdict import Z3, Counterexample, Verdict
from convalg.size import Condition, sizes, substituted

if TYPE_CHECKING:
    import sympy

n, h, k, c, j, i = sizes("n h k c j i")
LARGEST_TRIED = 6
"""The largest size that is tried in the search for a counterexample."""


def _small(symbols: tuple[sympy.Symbol, ...]) -> Iterator[dict[Any, int]]:
    """Yield sizes of at least 1, smallest first."""
    ranges = [range(1, LARGEST_TRIED + 1)] * len(symbols)
    for values in sorted(product(*ranges), key=lambda v: (sum(v), v)):
        yield dict(zip(symbols, values, strict=True))


@dataclass(frozen=True, eq=False)
class SplitTransform:
    """The claim that a Fourier transform of r m samples is computed from r transforms of m samples.

    Rule: row m h + k multiplies sample `position(c, j)` by z to the power of their product, and
    the claim by z^(twiddle + inner) and, where z^(r m / 2) = -1, by (-1)^sign. The samples are
    compared with all samples, and the exponents modulo r m.

    `parts`: the number r of transforms. `size`: the size m of each of them. `twiddle`: a function
    of h, k and c. `inner`: a function of k and j. `sign`: a function of h and c, or None.
    `quotient`: the difference of the exponents divided by r m, a function of h, k, c and j.
    """

    claim: str
    parts: Any
    size: Any
    position: Callable[[Any, Any], Any]
    twiddle: Callable[[Any, Any, Any], Any]
    inner: Callable[[Any, Any], Any]
    quotient: Callable[[Any, Any, Any, Any], Any]
    sign: Callable[[Any, Any], Any] | None = None

    @property
    def formula(self) -> str:
        """The sum over all samples, and the sums over the samples of each part."""
        row = self.size * h + k
        total = f"\\sum_{{i = 0}}^{{{size_latex(self._order - 1)}}} {_power(row * i)}\\, x_{{i}}"
        signs = f"(-1)^{{{size_latex(self.sign(h, c))}}}\\, " if self.sign else ""
        outer = f"\\sum_{{c = 0}}^{{{size_latex(self.parts - 1)}}} {signs}"
        outer += _power(self.twiddle(h, k, c))
        inner = f"\\sum_{{j = 0}}^{{{size_latex(self.size - 1)}}} {_power(self.inner(k, j))}"
        sample = f"x_{{{size_latex(self.position(c, j))}}}"
        root = f"z^{{{size_latex(self._order)}}} = 1"
        if self.sign:
            root = f"z^{{{size_latex(self._order / 2)}}} = -1"
        under = f"0 \\le h < {size_latex(self.parts)},\\ 0 \\le k < {size_latex(self.size)}"
        return COMMA_QUAD.join([f"{total} = {outer}\\, {inner}\\, {sample}", root, under])

    @property
    def _order(self) -> Any:
        return self.parts * self.size

    @cached_property
    def domain(self) -> Domain:
        """All sizes of at least 1."""
        symbols = tuple(v for v in (self.parts, self.size) if hasattr(v, "free_symbols"))
        return Domain(symbols, tuple(Condition(v - 1) for v in symbols))

    def _gap(self, h: Size, k: Size, c: Size, j: Size) -> Any:
        """The exponent of a sample in the transform, minus the claimed one."""
        claimed = self.twiddle(h, k, c) + self.inner(k, j)
        if self.sign:
            claimed += self.sign(h, c) * self._order / 2
        return (self.size * h + k) * self.position(c, j) - claimed

    def _differences(self, script: Script) -> Iterator[str]:
        """Yield the statements that samples are missing or counted twice, or exponents differ."""

        def pair(name: str) -> tuple[sympy.Symbol, sympy.Symbol, list[str]]:
            part, index = script.index(f"part.{name}"), script.index(f"index.{name}")
            inside = [*script.within(part, self.parts), *script.within(index, self.size)]
            return part, index, inside

        part, index, inside = pair("0")
        other, at, also = pair("1")
        position = self.position(part, index)
        yield conjunction([*inside, negation(conjunction(script.within(position, self._order)))])
        same = script.equal(position, self.position(other, at))
        apart = negation(conjunction([script.equal(part, other), script.equal(index, at)]))
        yield conjunction([*inside, *also, same, apart])
        sample = script.index("sample.0")
        turn = sample // self.parts
        found = [
            script.equal(self.position(sample - self.parts * turn, turn), sample),
            *script.within(sample - self.parts * turn, self.parts),
            *script.within(turn, self.size),
        ]
        yield conjunction([*script.within(sample, self._order), negation(conjunction(found))])
        block, row = script.index("block.0"), script.index("row.0")
        gap = self._gap(block, row, part, index)
        multiple = self._order * self.quotient(block, row, part, index)
        yield conjunction(
            [
                *script.within(block, self.parts),
                *script.within(row, self.size),
                *inside,
                negation(script.equal(gap, multiple)),
            ]
        )

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        return nonlinear.statement_formulas(self.domain, self._differences)

    def decide(self) -> Verdict:
        """Decide which samples the parts have, and whether the exponents are congruent."""
        method = f"{Z3}: a power of z with z^n = 1 depends only on its exponent modulo n"
        verdict = Verdict("proved", self.claim, str(self.domain), method, domain=self.domain)
        outcome = nonlinear.decide(self.formulas(), self.domain, BUDGET)
        if outcome.status == "proved":
            return verdict
        counterexample = self._differing()
        if counterexample is not None:
            return replace(verdict, status="refuted", counterexample=counterexample)
        reason = "z3 leaves open whether the samples and their exponents are the same"
        return replace(verdict, status="unknown", reason=reason)

    def _differing(self) -> Counterexample | None:
        """Return the smallest sizes at which an exponent differs for a primitive root z."""
        for chosen in _small(self.domain.symbols):
            parts, size = (int(substituted(v, chosen)) for v in (self.parts, self.size))
            ranges = (range(parts), range(size), range(parts), range(size))
            for indices in product(*ranges):
                gap = int(substituted(self._gap(h, k, c, j), {**chosen, **_at(indices)}))
                if gap % (parts * size):
                    row, part, index = size * indices[0] + indices[1], *indices[2:]
                    sample = int(substituted(self.position(part, index), chosen))
                    named = {symbol.name: value for symbol, value in chosen.items()}
                    claimed, actual = ((row * sample - g) % (parts * size) for g in (gap, 0))
                    return Counterexample(named, (row,), (sample,), claimed, actual)
        return None


def _at(indices: tuple[int, ...]) -> dict[Any, int]:
    return dict(zip((h, k, c, j), indices, strict=True))


def _power(exponent: Size) -> str:
    """Return a power of z as LaTeX, with the exponent as it is, and not expanded."""
    return "" if exponent == 0 else f"z^{{{expression(exponent)}}}"


@dataclass(frozen=True, eq=False)
class Orthogonality:
    """The claim that F^* F = n I for the Fourier transform F of n samples.

    Rule: entry (k, l) is the sum of z^exponent over j. It is n where the exponents are zero. For
    k != l it is a geometric series with a ratio q = z^(l - k), and (q - 1) times the series is
    q^n - 1 = 0; since 0 < |l - k| < n and z is a primitive root, q is not 1.

    `is_primitive`: whether no lower power of z than z^n is 1.
    """

    claim: str
    is_primitive: bool = True

    @property
    def _exponent(self) -> tuple[Any, Any, Any, Any]:
        """The exponent, and the symbols j, k and l."""
        index, row, column = sizes("j k l")
        return index * column - index * row, index, row, column

    @property
    def formula(self) -> str:
        """The entries of F^* F."""
        exponent, index, row, column = self._exponent
        sum_ = f"\\sum_{{{index} = 0}}^{{n - 1}} z^{{{expression(exponent)}}}"
        cases = f"\\begin{{cases}} n & {row} = {column} \\\\ 0 & {row} \\ne {column} \\end{{cases}}"
        left = f"(F^{{*}} F)_{{{row},\\,{column}}}"
        under = f"F = (z^{{j l}})_{{j,\\,l}},\\ 0 \\le {row},\\,{column} < n"
        return COMMA_QUAD.join([f"{left} = {sum_} = {cases}", under, self._root])

    @property
    def _root(self) -> str:
        primitive = ",\\ z^{r} \\ne 1\\ (0 < r < n)" if self.is_primitive else ""
        return f"z^{{n}} = 1{primitive}"

    @cached_property
    def domain(self) -> Domain:
        """All sizes of at least 1."""
        return Domain((n,), (Condition(n - 1),))

    def _differences(self, script: Script) -> Iterator[str]:
        """Yield the statements that the ratio is not a power z^r with 0 < |r| < n, or not 1."""
        exponent, index, *_ = self._exponent
        at = {v: script.index(f"{v.name}.0") for v in (exponent.free_symbols)}
        written = exponent.subs(at, simultaneous=True)
        row, column = (at[v] for v in self._exponent[2:])
        inside = [*script.within(row, n), *script.within(column, n)]
        ratio = written.subs(at[index], at[index] + 1) - written
        small = [script.above(n, ratio), script.above(ratio, -n), negation(script.equal(ratio, 0))]
        apart = negation(script.equal(row, column))
        yield conjunction([*inside, apart, negation(conjunction(small))])
        yield conjunction([script.equal(row, column), negation(script.equal(written, 0))])
        yield negation(script.equal(written.subs(at[index], 0), 0))

    def _exponents(self) -> Formulas:
        """Return the formulas of the claim about exponents, without the geometric series."""
        return nonlinear.statement_formulas(self.domain, self._differences)

    def decide(self) -> Verdict:
        """Decide the claim about exponents, and check the sum of a geometric series."""
        method = f"{Z3} for the exponents, and an exact identity for the geometric series"
        verdict = Verdict("proved", self.claim, str(self.domain), method, domain=self.domain)
        is_series = _is_geometric(*self._exponent[:2])
        if is_series and self.is_primitive:
            outcome = nonlinear.decide(self._exponents(), self.domain, BUDGET)
            if outcome.status == "proved":
                return verdict
        counterexample = self._differing() if is_series else None
        if counterexample is not None:
            return replace(verdict, status="refuted", counterexample=counterexample)
        return replace(verdict, status="unknown", reason="the sum is not a geometric series")

    def _differing(self) -> Counterexample | None:
        """Return the smallest n at which an entry for a root z differs from the claim."""
        exponent, *symbols = self._exponent
        for size in range(1, LARGEST_TRIED + 1):
            # The roots are the powers of a primitive one, and those prime to n are primitive.
            powers = [g for g in range(size) if not self.is_primitive or math.gcd(g, size) == 1]
            for power, row, column in product(powers, range(size), range(size)):
                chosen = dict(zip(symbols, (1, row, column), strict=True))
                ratio = power * int(substituted(exponent, chosen)) % size
                actual, claimed = (0 if ratio else size), (size if row == column else 0)
                if actual != claimed:
                    return Counterexample({"n": size}, (row,), (column,), claimed, actual)
        return None


def _is_geometric(power: sympy.Expr, index: sympy.Symbol) -> bool:
    """Whether a sum of powers is a geometric series, whose sum is (q^n - 1) / (q - 1).

    That sum is an identity by induction on n: it is 0 for n = 0, and increases by q^n.
    """
    import sympy

    is_constant = index not in sympy.expand(power.subs(index, index + 1) - power).free_symbols
    q, last = sympy.symbols("q Q")
    step = (q - 1) * last - ((q * last - 1) - (last - 1))
    return is_constant and sympy.expand(step) == 0


@dataclass(frozen=True, eq=False)
class Parseval(Orthogonality):
    """The claim that inner products of Fourier transforms are n times those of the signals.

    Rule: the coefficient of x_l times the conjugate of y_k on the left is entry (k, l) of F^* F,
    and on the right it is n for k = l, otherwise 0.
    """

    @property
    def formula(self) -> str:
        """Both inner products, and the transform."""
        left = "\\sum_{j = 0}^{n - 1} X_{j}\\, \\overline{Y_{j}}"
        right = "n \\sum_{j = 0}^{n - 1} x_{j}\\, \\overline{y_{j}}"
        transform = "X_{j} = \\sum_{l = 0}^{n - 1} z^{j l}\\, x_{l}"
        other = "Y_{j} = \\sum_{k = 0}^{n - 1} z^{j k}\\, y_{k}"
        return COMMA_QUAD.join([f"{left} = {right}", transform, other, self._root])


@dataclass(frozen=True, eq=False)
class Diagonalised(Exponentials):
    """The claim that a circular layer A has A F = F D, with a diagonal matrix D.

    Rule: column k of F consists of the powers of z^k, whose power n is one too.
    """

    def _power(self, tap: Size, padding: Size) -> Any:
        return k * self.exponent(tap, padding)

    def _equation(self, layer: str, eigenvalue: str) -> str:
        equation = f"({layer}\\, F)_{{o,\\,k}} = {eigenvalue}\\, F_{{o,\\,k}}"
        return COMMA_QUAD.join([equation, "F = (z^{k i})_{i,\\,k}"])


@dataclass(frozen=True, eq=False)
class Transformed(Exponentials):
    """The claim that the Fourier transform of a circular layer is a multiple of that of its input.

    Rule: sample i has tap t in exactly one row o, and i - (o + exponent) is -n, 0 or n; so the sum
    of z^o y[o] over the outputs y is the sum of z^i x[i] times that of w[t] z^(-exponent).
    """

    @property
    def _met(self) -> str:
        return "every tap meets every sample in one row"

    def _power(self, tap: Size, padding: Size) -> Any:
        return -self.exponent(tap, padding)

    def _equation(self, layer: str, eigenvalue: str) -> str:
        total = "\\sum_{i = 0}^{n - 1} z^{i}\\, x_{i}"
        return (
            f"\\sum_{{o = 0}}^{{n - 1}} z^{{o}}\\, ({layer}\\, x)_{{o}} = {eigenvalue}\\, {total}"
        )

    def _not_one(self, script: Script) -> str:
        """Return the statement that a tap does not meet a sample in exactly one row."""
        (axis,) = self.layer().geometry.axes
        sample, tap = script.index("column.0"), script.index("label.0.0.0")
        inside = [*script.within(sample, axis.in_size), *script.within(tap, axis.taps)]
        row = sample - self.exponent(tap, axis.padding)
        present = [
            f"(ite {conjunction(script.within(row + turn, axis.out_size))} 1 0)"
            for turn in (-axis.in_size, 0, axis.in_size)
        ]
        return conjunction([*inside, f"(not (= (+ {' '.join(present)}) 1))"])
