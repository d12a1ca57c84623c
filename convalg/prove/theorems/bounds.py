"""Parts of theorems about the matrix of a layer: sums of rows and columns, rank, contributions.

The layers have one channel and pad with zeros, so that tap t of output o reads the sample of
`Axis.raw`, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.axis import Axis
from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.leaves import Convolution
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import Formulas
from convalg.prove.decisions.smtlib import Script, conjunction, disjunction, negation
from convalg.prove.derivations.indices import size_latex
from convalg.prove.theorems.formulas import COMMA_QUAD, operator_latex
from convalg.prove.theorems.parts import decided, declared, spaces
from convalg.prove.verdict import Z3, Counterexample, Verdict
from convalg.size import Condition, sizes, substituted

if TYPE_CHECKING:
    pass

m, s, a, c = sizes("m s a c")
LARGEST_TRIED = 4
"""The largest size that is tried in the search for a counterexample."""


def _small(layer: Convolution, domain: Domain) -> Iterator[tuple[dict[str, int], Any]]:
    """Yield sizes of a domain, smallest first, and the layer at these sizes."""
    ranges = [range(LARGEST_TRIED + 1)] * len(domain.symbols)
    for values in sorted(product(*ranges), key=lambda v: (sum(v), v)):
        chosen = dict(zip(domain.symbols, values, strict=True))
        if domain.holds_at(chosen):
            named = {symbol.name: value for symbol, value in chosen.items()}
            yield named, layer.at(**named)


@dataclass(frozen=True, eq=False)
class RowAndColumnSums:
    """The claim that each row and each column of |A| sums to at most the sum of all |w|.

    Rule: tap t of output o reads at most one sample, so that a weight is at most once in a row. It
    is at most once in a column if two outputs whose tap t reads the same sample are equal.
    """

    claim: str
    layer: Callable[[], Convolution]

    @cached_property
    def formula(self) -> str:
        """The largest sums of rows and of columns, which are norms of the matrix."""
        layer = self.layer()
        name, arrays = operator_latex(layer), declared(layer)
        norms = (
            f"\\lVert {name} \\rVert_{{{p}}} \\le \\sum_{{t}} |w_{{t}}|" for p in ("\\infty", 1)
        )
        return COMMA_QUAD.join([*norms, f"{name} \\colon {spaces(layer)}", *arrays])

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists."""
        return Domain.of(self.layer())

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        axes = self.layer().geometry.axes

        def differences(script: Script) -> Iterator[str]:
            for k, axis in enumerate(axes):
                one, other, tap = (script.index(f"{v}.{k}") for v in ("row", "other", "tap"))
                inside = [*script.within(one, axis.out_size), *script.within(other, axis.out_size)]
                same = script.equal(axis.raw(one, tap), axis.raw(other, tap))
                taps = script.within(tap, axis.taps)
                yield conjunction([*inside, *taps, same, negation(script.equal(one, other))])

        return nonlinear.statement_formulas(self.domain, differences)

    def decide(self) -> Verdict:
        """Decide whether a weight can be twice in a column, for layers that pad with zeros."""
        verdict = Verdict("proved", self.claim, str(self.domain), Z3, domain=self.domain)
        layer = self.layer()
        if all(axis.boundary == "zeros" for axis in layer.geometry.axes):
            outcome = nonlinear.decide(self.formulas(), self.domain, BUDGET)
            if outcome.status == "proved":
                return verdict
        for named, concrete in _small(layer, self.domain):
            rows, columns, _ = concrete.pattern.triples().T
            taps = concrete.kernel.size
            # With ones as weights, the sum of a column is its number of entries.
            most = max(np.bincount(v).max(initial=0) for v in (rows, columns))
            if most > taps:
                counterexample = Counterexample(named, None, None, taps, int(most))
                return replace(verdict, status="refuted", counterexample=counterexample)
        return replace(verdict, status="unknown", reason="z3 leaves the columns open")


@dataclass(frozen=True, eq=False)
class Rank:
    """The claim about the rank of a layer whose kernel is not zero.

    Rule: let tap a be the first one whose weight is not zero. The rows `row(j, a)` and the columns
    `column(j, a)` for j below the rank are a triangular matrix with this weight on its diagonal.
    There are not more rows, or not more columns, than that.
    """

    claim: str
    layer: Callable[[], Convolution]
    rank: Any
    row: Callable[[Any, Any], Any]
    column: Callable[[Any, Any], Any]

    @cached_property
    def formula(self) -> str:
        """The rank, and the dimension of the null space."""
        layer = self.layer()
        name = operator_latex(layer)
        null = (layer.in_shape[0] - self.rank).expand()
        rank = f"\\operatorname{{rank}} {name} = {size_latex(self.rank)}"
        kernel_size = f"\\dim \\ker {name} = {size_latex(null)}"
        mapped = f"{name} \\colon {spaces(layer)}"
        return COMMA_QUAD.join([rank, kernel_size, "w \\ne 0", mapped, *declared(layer)])

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists."""
        return Domain.of(self.layer())

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        (axis,) = self.layer().geometry.axes

        def differences(script: Script) -> Iterator[str]:
            first, tap = script.index("first.0"), script.index("tap.0")
            one, other = script.index("row.0"), script.index("column.0")
            inside = [
                *script.within(first, axis.taps),
                *script.within(tap, axis.taps),
                script.at_least(tap, first),
                *script.within(one, self.rank),
                *script.within(other, self.rank),
            ]
            row, column = self.row(one, first), self.column(one, first)
            exist = [*script.within(row, axis.out_size), *script.within(column, axis.in_size)]
            yield conjunction([*inside, negation(conjunction(exist))])
            yield conjunction([*inside, negation(script.equal(axis.raw(row, first), column))])
            read = script.equal(axis.raw(row, tap), self.column(other, first))
            # The entries on the diagonal are of tap `first`, the others on one side of it.
            diagonal = [script.equal(one, other), negation(script.equal(tap, first))]
            yield conjunction([*inside, read, *diagonal])
            # Later taps of a correlation read later samples, those of a convolution earlier ones.
            pair = (other, one) if axis.is_backwards else (one, other)
            yield conjunction([*inside, read, script.above(*pair)])
            sizes_of = (axis.out_size, axis.in_size)
            yield negation(disjunction(script.equal(self.rank, size) for size in sizes_of))

        return nonlinear.statement_formulas(self.domain, differences)

    def decide(self) -> Verdict:
        """Decide whether the entries are those of a triangular matrix."""
        verdict = Verdict("proved", self.claim, str(self.domain), Z3, domain=self.domain)
        layer = self.layer()
        (axis,) = layer.geometry.axes
        if axis.boundary == "zeros":
            outcome = nonlinear.decide(self.formulas(), self.domain, BUDGET)
            if outcome.status == "proved":
                return verdict
        counterexample = self._deficient(layer)
        if counterexample is not None:
            return replace(verdict, status="refuted", counterexample=counterexample)
        return replace(verdict, status="unknown", reason="the entries are not triangular")

    def _deficient(self, layer: Convolution) -> Counterexample | None:
        """Return the smallest sizes at which a kernel with a single one has another rank."""
        for named, concrete in _small(layer, self.domain):
            claimed = int(substituted(self.rank, named))
            rows, columns, labels = concrete.pattern.triples().T
            for tap in range(concrete.kernel.size):
                # A row has at most one entry for a tap, and a column too where nothing folds.
                actual = min(len(np.unique(v[labels == tap])) for v in (rows, columns))
                if actual != claimed:
                    return Counterexample(named, None, None, claimed, actual)
        return None


@dataclass(frozen=True, eq=False)
class Contributions:
    """The claim about the number of products that are summed in an output of a transposed layer.

    The outputs are those away from the border, i = s a + c with `first` <= c < `end`. Rule: the
    products are the pairs (o, t) with s o + t = i. For each o there is at most one t, and these o
    are compared with those for which 0 <= a - o < count.

    `taps`: the number of taps. `limits`: sizes that must not be negative.
    """

    claim: str
    taps: Any
    count: Any
    first: Any = 0
    end: Any = s
    limits: tuple[Any, ...] = ()

    @property
    def _axis(self) -> Axis:
        """The axis of the layer of which the transposed layer, with m inputs, is the adjoint."""
        layer = correlation(s * (m - 1) + self.taps, kernel(self.taps), stride=s)
        (axis,) = layer.geometry.axes
        return axis

    @property
    def formula(self) -> str:
        """The pairs of an input and a tap that contribute to output i, and their number."""
        o, t = sizes("o t")
        taps = size_latex(self.taps)
        pairs = f"{size_latex(self._axis.raw(o, t))} = i,\\ 0 \\le o < m,\\ 0 \\le t < {taps}"
        left = f"\\#\\{{(o, t) \\mid {pairs}\\}} = {size_latex(self.count)}"
        phases = f"{size_latex(self.first)} \\le c < {size_latex(self.end)}"
        index = f"i = {size_latex(s * a + c)},\\ {phases}"
        inner = f"{size_latex(self.taps - 1)} \\le i < {size_latex(s * m)}"
        return COMMA_QUAD.join([left, index, inner])

    @cached_property
    def domain(self) -> Domain:
        """All sizes and strides."""
        values = (s * m, self.taps, *self.limits)
        seen = {symbol for value in values for symbol in value.free_symbols}
        symbols = tuple(sorted(seen, key=lambda symbol: symbol.name))
        limits = (m - 1, s - 1, self.taps - 1, *self.limits)
        return Domain(symbols, tuple(Condition(v) for v in limits))

    def _differences(self, script: Script) -> Iterator[str]:
        """Yield the statements that an input is in only one of the two sets."""
        axis = self._axis
        turns, phase = script.index("turns.0"), script.index("phase.0")
        o, t = script.index("input.0"), script.index("tap.0")
        output = s * turns + phase
        inner = [
            script.at_least(phase, self.first),
            script.above(self.end, phase),
            script.at_least(output, self.taps - 1),
            script.above(s * m, output),
        ]
        at = [script.equal(axis.raw(o, t), output)]
        pair = [*at, *script.within(o, m), *script.within(t, self.taps)]
        claimed = script.within(turns - o, self.count)
        yield conjunction([*inner, *pair, negation(conjunction(claimed))])
        yield conjunction([*inner, *at, *claimed, negation(conjunction(pair))])

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        return nonlinear.statement_formulas(self.domain, self._differences)

    def decide(self) -> Verdict:
        """Decide whether the two sets of inputs are equal."""
        return decided(self.claim, self.domain, self.formulas(), self._miscounted)

    def _miscounted(self, chosen: dict[str, int]) -> Counterexample:
        """Return the counterexample at given sizes: the first output with another number."""
        taps, count, first, end = (
            int(substituted(value, chosen))
            for value in (self.taps, self.count, self.first, self.end)
        )
        step, inputs = chosen["s"], chosen["m"]
        for output in range(taps - 1, step * inputs):
            actual = sum(0 <= output - step * o < taps for o in range(inputs))
            if first <= output % step < end and actual != count:
                return Counterexample(chosen, (output,), None, count, actual)
        return Counterexample(chosen, None, None, count, count)
