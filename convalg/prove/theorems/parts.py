"""Parts of theorems that are not equalities of operators: claims about sets, sizes and entries.

The formula of each part is made from the expressions that its proof compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from convalg.axis import Size, output_size
from convalg.faces.latex import expression
from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.membership import Index
from convalg.prove.decisions.nonlinear import Contradiction, Formulas
from convalg.prove.decisions.smtlib import Script, conjunction, disjunction, negation
from convalg.prove.derivations.indices import shape_latex, size_latex
from convalg.prove.equality import domain_of
from convalg.prove.functions.properties import linear
from convalg.prove.theorems.formulas import COMMA, COMMA_QUAD, named_arrays, operator_latex
from convalg.prove.verdict import Z3, Counterexample, Verdict
from convalg.size import Condition, sizes, substituted

if TYPE_CHECKING:
    import sympy

n, K, p, s, d, o, a = sizes("n K p s d o a")


def _domain(symbols: tuple[sympy.Symbol, ...], limits: tuple[sympy.Expr, ...]) -> Domain:
    """Return the domain of `limits` that are at least zero."""
    return Domain(symbols, tuple(Condition(limit) for limit in limits))


def decided(
    claim: str,
    domain: Domain,
    formulas: Formulas,
    witness: Callable[[dict[str, int]], Counterexample],
) -> Verdict:
    """Return the verdict of z3 on a statement about sizes, with the smallest counterexample."""
    outcome = nonlinear.decide(formulas, domain, BUDGET)
    scope = str(domain)
    if outcome.status == "proved":
        return Verdict("proved", claim, scope, Z3, domain=domain)
    if outcome.status == "refuted":
        smallest = nonlinear.smallest(formulas, domain, outcome.values, BUDGET) or outcome.values
        counter = witness(_named(smallest))
        return Verdict("refuted", claim, scope, Z3, counter, domain=domain)
    reason = f"z3 leaves open whether {outcome.open}"
    return Verdict("unknown", claim, scope, Z3, reason=reason, domain=domain)


def _named(numbers: Mapping[sympy.Symbol, int]) -> dict[str, int]:
    return {symbol.name: value for symbol, value in numbers.items()}


def spaces(operator: Operator) -> str:
    """Return the spaces between which an operator maps, as LaTeX."""
    return f"{shape_latex(operator.in_shape)} \\to {shape_latex(operator.out_shape)}"


def declared(operator: Operator) -> list[str]:
    """Return the kernels of an operator with their spaces, as LaTeX."""
    arrays = named_arrays([operator]).items()
    return [f"{name} \\in {shape_latex(shape)}" for name, shape in arrays]


@dataclass(frozen=True, eq=False)
class Linearity:
    """The claim that an operator is linear."""

    claim: str
    layer: Callable[[], Any]

    @cached_property
    def formula(self) -> str:
        """The formula A(alpha x + beta y) = alpha A x + beta A y."""
        layer = self.layer()
        name = operator_latex(layer)
        sides = f"{name}\\, (\\alpha x + \\beta y) = \\alpha\\, {name}\\, x + \\beta\\, {name}\\, y"
        return COMMA_QUAD.join([sides, f"{name} \\colon {spaces(layer)}", *declared(layer)])

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the operator exists."""
        layer = self.layer()
        return domain_of(layer, layer)

    def decide(self) -> Verdict:
        """Prove the claim from the sum that defines the operator."""
        verdict = linear(self.layer())
        return replace(verdict, statement=self.claim, scope=str(self.domain), domain=self.domain)


@dataclass(frozen=True, eq=False)
class Decided:
    """A claim of any other kind, for counterexamples: its text and a function for its verdict."""

    claim: str
    verdict: Callable[[], Verdict]

    @property
    def formula(self) -> str:
        """The claim as text in LaTeX."""
        return f"\\text{{{self.claim}}}"

    @property
    def domain(self) -> Domain:
        """No conditions on sizes."""
        return Domain()

    def decide(self) -> Verdict:
        """Decide whether the claim holds."""
        return replace(self.verdict(), statement=self.claim)


@dataclass(frozen=True, eq=False)
class Positions:
    """The claim that a formula counts the positions of a kernel in the padded input.

    Rule: output j exists when j >= 0 and s j + d (k - 1) + 1 <= n + 2 p; the set of these j is
    compared with 0 <= j < count.
    """

    claim: str
    count: Any
    taps: Any = K
    padding: Any = 0
    stride: Any = 1
    dilation: Any = 1

    @property
    def formula(self) -> str:
        """The two sets that are compared, and the count."""
        reach = self.dilation * (self.taps - 1) + 1
        last = f"{_multiple(self.stride)}j + {size_latex(reach)} \\le {size_latex(self._padded)}"
        sets = f"0 \\le j < o \\iff j \\ge 0,\\ {last}"
        return COMMA_QUAD.join([f"o = {size_latex(self.count)}", sets])

    @property
    def _padded(self) -> Any:
        return n + 2 * self.padding

    @cached_property
    def domain(self) -> Domain:
        """All sizes, strides and dilations."""
        values = (n, self.taps, self.padding, self.stride, self.dilation)
        seen = {v for value in values for v in getattr(value, "free_symbols", ())}
        symbols = tuple(sorted(seen, key=lambda v: (v.name not in ("n", "K"), v.name)))
        steps = tuple(v - 1 for v in (self.stride, self.dilation) if v != 1)
        return _domain(symbols, (n - 1, self.taps - 1, *steps))

    def _differences(self, script: Script) -> Iterator[str]:
        """Yield the statements that an index is in only one of the two sets."""
        j = script.index("position.0")
        last = self.stride * j + self.dilation * (self.taps - 1) + 1
        fits = conjunction([script.at_least(j, 0), script.at_least(self._padded, last)])
        claimed = conjunction(script.within(j, self.count))
        yield conjunction([fits, negation(claimed)])
        yield conjunction([claimed, negation(fits)])

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        return nonlinear.statement_formulas(self.domain, self._differences)

    def decide(self) -> Verdict:
        """Decide whether the two sets of indices j are equal."""
        return decided(self.claim, self.domain, self.formulas(), self._miscounted)

    def _miscounted(self, chosen: dict[str, int]) -> Counterexample:
        """Return the counterexample at given sizes."""
        taps, padding, step, spread, count = (
            substituted(value, chosen)
            for value in (self.taps, self.padding, self.stride, self.dilation, self.count)
        )
        fitting = output_size(chosen["n"], taps, step, spread, padding, padding)
        return Counterexample(chosen, None, None, count, max(fitting, 0))


def _multiple(factor: object) -> str:
    return "" if factor == 1 else f"{size_latex(factor)} "


@dataclass(frozen=True, eq=False)
class Length:
    """The claim that n is a function of o = floor((n + 2 p - K) / s) + 1 and a.

    a is the remainder (n + 2 p - K) mod s. `claimed`: the function of o and a.
    """

    claim: str
    claimed: Callable[[Any, Any], Any]
    padding: Any = 0
    stride: Any = 1

    @property
    def _reach(self) -> Any:
        return n + 2 * self.padding - K

    @property
    def formula(self) -> str:
        """The formula for the size of the input, with its o and a."""
        value = self.claimed(o, a)
        outputs = output_size(n, K, self.stride, 1, self.padding, self.padding)
        parts = [f"n = {size_latex(value)}", f"o = {size_latex(outputs)}"]
        if a in value.free_symbols:
            reach, step = size_latex(self._reach), size_latex(self.stride)
            parts.append(f"a = ({reach}) \\bmod {step}")
        return COMMA_QUAD.join(parts)

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer has an output."""
        layer = correlation(n, kernel(K), padding=self.padding, stride=self.stride)
        return domain_of(layer, layer)

    @property
    def _value(self) -> Any:
        """The formula with o and a in terms of n."""
        outputs = output_size(n, K, self.stride, 1, self.padding, self.padding)
        remainder = self._reach - self.stride * (self._reach // self.stride)
        return self.claimed(outputs, remainder)

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        return nonlinear.statement_formulas(
            self.domain, lambda script: [negation(script.equal(self._value, n))]
        )

    def decide(self) -> Verdict:
        """Compare the formula with n."""
        value = self._value

        def witness(chosen: dict[str, int]) -> Counterexample:
            return Counterexample(chosen, None, None, substituted(value, chosen), chosen["n"])

        return decided(self.claim, self.domain, self.formulas(), witness)


@dataclass(frozen=True, eq=False)
class Exponentials:
    """The claim that a circular layer of stride 1 maps (z^i) with z^n = 1 to a multiple of it.

    Rule: tap t of row o reads exactly one sample i, and i - (o + exponent) is -n, 0 or n; so
    the sum of w[t] z^i over t is z^o times the sum of w[t] z^exponent.
    """

    claim: str
    layer: Callable[[], Convolution]
    exponent: Callable[[Any, Any], Any]
    """The exponent for tap t and padding p."""

    @cached_property
    def formula(self) -> str:
        """The exponentials as eigenvectors, with their eigenvalue."""
        layer = self.layer()
        (axis,) = layer.geometry.axes
        (tap,) = sizes("t")
        power = size_latex(self._power(tap, axis.padding))
        total = f"\\sum_{{t = 0}}^{{{size_latex(axis.taps - 1)}}} w_{{t}}\\, z^{{{power}}}"
        formula = self._equation(operator_latex(layer), f"\\Bigl({total}\\Bigr)")
        roots = f"z^{{{size_latex(axis.in_size)}}} = 1"
        return COMMA_QUAD.join([formula, roots, _spaces_of(layer), *declared(layer)])

    @property
    def _met(self) -> str:
        return "every tap of every row reads one sample"

    def _power(self, tap: Size, padding: Size) -> Any:
        """Return the exponent of z for a tap in the eigenvalue."""
        return self.exponent(tap, padding)

    def _equation(self, layer: str, eigenvalue: str) -> str:
        return f"({layer}\\, (z^{{i}})_{{i}})_{{o}} = {eigenvalue}\\, z^{{o}}"

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists."""
        return Domain.of(self.layer())

    def formulas(self) -> Formulas:
        """Return the formulas of the claim: which samples are read, and that it is one per tap."""
        layer = self.layer()
        (axis,) = layer.geometry.axes

        def where(script: Script, row: Index, column: Index, label: Index) -> Iterator[str]:
            yield from script.within(row[0], axis.out_size)
            yield from script.within(label[0], axis.taps)
            yield from script.within(column[0], axis.in_size)
            raw = row[0] + self.exponent(label[0], axis.padding)
            samples = [raw - axis.in_size, raw, raw + axis.in_size]
            yield disjunction(script.equal(column[0], sample) for sample in samples)

        formulas = nonlinear.point_formulas(layer, self.domain, 1, where)
        several = self._not_one(formulas.script)
        once = Contradiction(self._met, several)
        return replace(formulas, entries=[*formulas.entries, once])

    def _not_one(self, script: Script) -> str:
        """Return the statement that a tap of an output does not read exactly one sample."""
        (axis,) = self.layer().geometry.axes
        output, tap = script.index("row.0"), script.index("label.0.0.0")
        inside = [*script.within(output, axis.out_size), *script.within(tap, axis.taps)]
        raw = output + self.exponent(tap, axis.padding)
        present = [
            f"(ite {conjunction(script.within(raw + turn, axis.in_size))} 1 0)"
            for turn in (-axis.in_size, 0, axis.in_size)
        ]
        return conjunction([*inside, f"(not (= (+ {' '.join(present)}) 1))"])

    def decide(self) -> Verdict:
        """Compare the triples (o, i, t) with those that satisfy the congruence."""
        method = (
            f"{Z3}: {self._met}, at its exponent modulo n, and a power of z with z^n = 1 depends "
            f"only on its exponent modulo n"
        )
        scope = str(self.domain)
        if nonlinear.decide(self.formulas(), self.domain, BUDGET).status == "proved":
            return Verdict("proved", self.claim, scope, method, domain=self.domain)
        reason = "the exponent of a sample differs"
        return Verdict("unknown", self.claim, scope, method, reason=reason, domain=self.domain)


def _spaces_of(layer: Operator) -> str:
    return f"{operator_latex(layer)} \\colon {spaces(layer)}"


@dataclass(frozen=True, eq=False)
class OneEntryRows:
    """The claim that each row of an operator has one non-zero entry, in the column of a formula.

    `row`: the names of the indices of a row. `column`: the indices of the column as a function of
    the indices of the row; if there is no such column, the row is zero. `factor`: the value of the
    entry. `weight`: for an entry that is a weight, the indices of the weight in the kernel as a
    function of the indices of the row; otherwise None.
    """

    claim: str
    operator: Callable[[], Operator]
    row: str
    column: Callable[..., tuple[Any, ...]]
    factor: Any = 1
    weight: Callable[..., tuple[Any, ...]] | None = None

    @cached_property
    def formula(self) -> str:
        """The formula (A g)_row = factor g_column."""
        operator, indices = self.operator(), sizes(self.row)
        left = f"({operator_latex(operator)}\\, g)_{{{self.row.replace(' ', COMMA)}}}"
        (factor, _), index = self._weight(indices), _index_latex(self.column(*indices))
        formula = f"{left} = {factor}\\, g_{{{index}}}"
        return COMMA_QUAD.join([formula, _spaces_of(operator), *declared(operator)])

    def _weight(self, indices: tuple[sympy.Symbol, ...]) -> tuple[str, tuple[Size, ...]]:
        """Return the factor as LaTeX, and the indices of the weight in it."""
        if self.weight is None:
            return expression(self.factor), ()
        index = self.weight(*indices)
        (name,) = named_arrays([self.operator()])
        return f"{name}_{{{_index_latex(index)}}}", index

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the operator exists, with the values of strides and dilations."""
        operator = self.operator()
        return domain_of(operator, operator)

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        operator = self.operator()

        def where(script: Script, row: Index, column: Index, label: Index) -> Iterator[str]:
            for index, size in zip(row, operator.out_shape, strict=True):
                yield from script.within(index, size)
            wanted = self.column(*row)
            for index, target, size in zip(column, wanted, operator.in_shape, strict=True):
                yield script.equal(index, target)
                yield from script.within(target, size)
            weight = self.weight(*row) if self.weight else ()
            for index, target in zip(label, weight, strict=True):
                yield script.equal(index, target)

        return nonlinear.point_formulas(operator, self.domain, self.factor, where)

    def decide(self) -> Verdict:
        """Compare the entries of each row with the formula."""
        scope = str(self.domain)
        outcome = nonlinear.decide(self.formulas(), self.domain, BUDGET)
        if outcome.status == "proved":
            return Verdict("proved", self.claim, scope, Z3, domain=self.domain)
        reason = f"z3 leaves open whether {outcome.open}"
        if outcome.status == "refuted":
            sizes = ", ".join(f"{name} = {value}" for name, value in _named(outcome.values).items())
            reason = f"an entry differs from the formula at {sizes}"
        return Verdict("unknown", self.claim, scope, Z3, reason=reason, domain=self.domain)


def _index_latex(index: tuple[Size, ...]) -> str:
    return COMMA.join(map(size_latex, index))


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The claim that a layer computes the distribution of a sum or difference X + Y or X - Y.

    X has the probabilities f, and Y has those of the kernel. Rule: P(X + Y = k) is the sum of
    f_i g_j over i + j = k; these pairs are compared with the triples of the layer.
    """

    claim: str
    layer: Callable[[], Convolution]
    sign: int
    value: Callable[[Any], Any]
    """The value of X + Y or X - Y in row k."""

    @cached_property
    def formula(self) -> str:
        """The formula P(X + Y = value) = (A f)_k."""
        layer = self.layer()
        (row,) = sizes("k")
        event = f"X {'+' if self.sign > 0 else '-'} Y = {size_latex(self.value(row))}"
        left = f"P({event}) = ({operator_latex(layer)}\\, f)_{{k}}"
        (size,), (taps,) = layer.in_shape, layer.kernel.shape
        (name,) = named_arrays([layer])
        given = [
            f"P(X = i) = f_{{i}},\\ 0 \\le i < {size_latex(size)}",
            f"P(Y = j) = {name}_{{j}},\\ 0 \\le j < {size_latex(taps)}",
        ]
        return COMMA_QUAD.join([left, *given, "X, Y \\text{ independent}"])

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists."""
        return Domain.of(self.layer())

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        layer = self.layer()

        def where(script: Script, row: Index, column: Index, label: Index) -> Iterator[str]:
            yield from script.within(column[0], layer.in_shape[0])
            yield from script.within(label[0], layer.kernel.shape[0])
            yield script.equal(self.value(row[0]), column[0] + self.sign * label[0])

        return nonlinear.point_formulas(layer, self.domain, 1, where)

    def decide(self) -> Verdict:
        """Compare the triples (k, i, j) with the outcomes of each event."""
        scope = str(self.domain)
        if nonlinear.decide(self.formulas(), self.domain, BUDGET).status == "proved":
            return Verdict("proved", self.claim, scope, Z3, domain=self.domain)
        reason = "the triples of the layer differ from the outcomes"
        return Verdict("unknown", self.claim, scope, Z3, reason=reason, domain=self.domain)
