"""Parts of theorems that are not equalities of operators: claims about sets, sizes and entries.

The formula of each part is made from the expressions that its proof compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import islpy
from islpy import dim_type

from convalg.axis import Size, output_size
from convalg.faces.latex import expression
from convalg.faces.relation import isl_name, parameters, text, triples
from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.families import replaced
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator
from convalg.prove.decisions import families
from convalg.prove.decisions.domain import Domain, Swept
from convalg.prove.derivations.indices import shape_latex, size_latex
from convalg.prove.equality import DEFAULT_RANGE, domain_of
from convalg.prove.functions.properties import linear
from convalg.prove.theorems.formulas import COMMA, COMMA_QUAD, named_arrays, operator_latex
from convalg.prove.verdict import IDENTITY, ISL, Counterexample, Verdict
from convalg.size import Condition, size_product, sizes, substituted

if TYPE_CHECKING:
    import sympy

AFFINE = "exact identity: an affine expression has its extremes at the ends of the ranges"
SWEPT = tuple(DEFAULT_RANGE)
n, K, p, s, d, o, a = sizes("n K p s d o a")


def _domain(
    symbols: tuple[sympy.Symbol, ...],
    limits: tuple[sympy.Expr, ...],
    swept: tuple[sympy.Symbol, ...],
) -> Domain:
    """Return the domain of `limits` that are at least zero, with `swept` symbols from 1 to 8."""
    return Domain(
        symbols,
        tuple(Condition(limit) for limit in limits),
        swept=tuple((symbol, SWEPT) for symbol in swept),
    )


def _numbers(swept: Swept) -> Iterator[dict[sympy.Symbol, int]]:
    """Yield all combinations of the values of swept symbols."""
    names = [symbol for symbol, _ in swept]
    for chosen in product(*(values for _, values in swept)):
        yield dict(zip(names, chosen, strict=True))


def _named(numbers: Mapping[sympy.Symbol, int]) -> dict[str, int]:
    return {symbol.name: value for symbol, value in numbers.items()}


def _spaces(operator: Operator) -> str:
    return f"{shape_latex(operator.in_shape)} \\to {shape_latex(operator.out_shape)}"


def _declared(operator: Operator) -> list[str]:
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
        return COMMA_QUAD.join([sides, f"{name} \\colon {_spaces(layer)}", *_declared(layer)])

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
        """All sizes, with each stride and dilation from 1 to 8."""
        swept = tuple(v for v in (self.stride, self.dilation) if v in (s, d))
        values = (n, self.taps, self.padding, self.stride, self.dilation)
        seen = {v for value in values for v in getattr(value, "free_symbols", ())}
        symbols = tuple(sorted(seen, key=lambda v: (v.name not in ("n", "K"), v.name)))
        return _domain(symbols, (n - 1, self.taps - 1), swept)

    def decide(self) -> Verdict:
        """Decide whether the two sets of indices j are equal."""
        for numbers in _numbers(self.domain.swept):
            count, taps, padding, step, spread = (
                substituted(value, numbers)
                for value in (self.count, self.taps, self.padding, self.stride, self.dilation)
            )
            declared = parameters(n, count, taps, padding)
            last = f"{step}j + {spread}*({text(taps)} - 1) + 1 <= n + 2*{text(padding)}"
            exists = f"n >= 1 and {text(taps)} >= 1 and {text(padding)} >= 0"
            fits = islpy.Set(f"{declared}{{ [j] : j >= 0 and {last} and {exists} }}")
            claimed = islpy.Set(f"{declared}{{ [j] : 0 <= j < {text(count)} and {exists} }}")
            if not fits.is_equal(claimed):
                apart = fits.subtract(claimed).union(claimed.subtract(fits))
                return self._miscounted(apart, numbers)
        return Verdict("proved", self.claim, str(self.domain), ISL, domain=self.domain)

    def _miscounted(self, apart: islpy.Set, numbers: Mapping[sympy.Symbol, int]) -> Verdict:
        """The verdict with the smallest sizes at which the formula gives a wrong count."""
        symbols = tuple(v for v in self.domain.symbols if v not in numbers)
        _, smallest, _ = families.smallest([apart], symbols)
        chosen = {**smallest, **_named(numbers)}
        taps, padding, step, spread, count = (
            substituted(value, chosen)
            for value in (self.taps, self.padding, self.stride, self.dilation, self.count)
        )
        fitting = output_size(chosen["n"], taps, step, spread, padding, padding)
        counter = Counterexample(chosen, None, None, count, max(fitting, 0))
        return Verdict("refuted", self.claim, str(self.domain), ISL, counter, domain=self.domain)


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

    def decide(self) -> Verdict:
        """Compare the formula with n."""
        for numbers in _numbers(self.domain.swept):
            step = substituted(self.stride, numbers)
            outputs = output_size(n, K, step, 1, self.padding, self.padding)
            remainder = self._reach - step * (self._reach // step)
            claimed = substituted(self.claimed(outputs, remainder), numbers)
            limits = f"n >= 1 and K >= 1 and p >= 0 and {text(self._reach)} >= 0"
            apart = islpy.Set(f"[n, K, p] -> {{ : {text(claimed)} != n and {limits} }}")
            if not apart.is_empty():
                _, smallest, _ = families.smallest([apart], (n, K, p))
                value = substituted(claimed, smallest)
                chosen = {**smallest, **_named(numbers)}
                counter = Counterexample(chosen, None, None, value, smallest["n"])
                scope = str(self.domain)
                return Verdict("refuted", self.claim, scope, ISL, counter, domain=self.domain)
        return Verdict("proved", self.claim, str(self.domain), ISL, domain=self.domain)


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
        power = size_latex(self.exponent(tap, axis.padding))
        total = f"\\sum_{{t = 0}}^{{{size_latex(axis.taps - 1)}}} w_{{t}}\\, z^{{{power}}}"
        left = f"({operator_latex(layer)}\\, (z^{{i}})_{{i}})_{{o}}"
        formula = f"{left} = \\Bigl({total}\\Bigr)\\, z^{{o}}"
        roots = f"z^{{{size_latex(axis.in_size)}}} = 1"
        return COMMA_QUAD.join([formula, roots, _spaces_of(layer), *_declared(layer)])

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists."""
        return Domain.of(self.layer())

    def decide(self) -> Verdict:
        """Compare the triples (o, i, t) with those that satisfy the congruence."""
        layer = self.layer()
        (axis,) = layer.geometry.axes
        (tap,) = sizes("t")
        size, outputs, taps = (text(v) for v in (axis.in_size, axis.out_size, axis.taps))
        raw = f"o + {text(self.exponent(tap, axis.padding))}"
        t = isl_name(tap.name)
        inside = f"0 <= o < {outputs} and 0 <= {t} < {taps}"
        declared = parameters(axis.in_size, axis.out_size, axis.taps, axis.padding)
        wraps = " or ".join(f"i = {raw} {part}" for part in ("", f"+ {size}", f"- {size}"))
        claimed = islpy.Set(
            f"{declared}{{ [o, i, {t}] : {inside} and 0 <= i < {size} and ({wraps}) }}"
        ).intersect_params(self.domain.points)
        own = triples(layer.geometry).intersect_params(self.domain.points)
        pairs = islpy.Map.from_domain(own).move_dims(dim_type.out, 0, dim_type.in_, 1, 1)
        every = islpy.Set(f"{declared}{{ [o, {t}] : {inside} }}")
        every = every.intersect_params(self.domain.points)
        holds = (
            own.is_equal(claimed) and pairs.is_single_valued() and pairs.domain().is_equal(every)
        )
        method = (
            f"{ISL}: every tap of every row reads one sample, at its exponent modulo n, and a "
            f"power of z with z^n = 1 depends only on its exponent modulo n"
        )
        scope = str(self.domain)
        if holds:
            return Verdict("proved", self.claim, scope, method, domain=self.domain)
        reason = "the exponent of a sample differs"
        return Verdict("unknown", self.claim, scope, method, reason=reason, domain=self.domain)


def _spaces_of(layer: Operator) -> str:
    return f"{operator_latex(layer)} \\colon {_spaces(layer)}"


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
        return COMMA_QUAD.join([formula, _spaces_of(operator), *_declared(operator)])

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

    def decide(self) -> Verdict:
        """Compare the entries with the triples (row, column, weight), for each swept value."""
        indices = sizes(self.row)
        names = [isl_name(index.name) for index in indices]
        unknown = Verdict("unknown", self.claim, str(self.domain), ISL, domain=self.domain)
        for numbers in _numbers(self.domain.swept):
            operator = replaced(self.operator(), numbers)
            own = Domain.of(operator).points
            given = (*self.column(*indices), *self._weight(indices)[1])
            values = [text(substituted(value, numbers)) for value in given]
            others = [f"c{k}" for k in range(len(values))]
            shapes = operator.out_shape, operator.in_shape
            ranges = [
                f"0 <= {name} < {text(size)}"
                for name, size in zip([*names, *others], [*shapes[0], *shapes[1]], strict=False)
            ]
            equal = [f"{name} = {value}" for name, value in zip(others, values, strict=True)]
            rest = islpy.Set(
                f"{parameters(*shapes[0], *shapes[1])}{{ [{', '.join([*names, *others])}] : "
                f"{' and '.join([*ranges, *equal])} }}"
            ).intersect_params(own)
            factor = substituted(self.factor, numbers)
            for term in families.terms(operator, own):
                points = term.points.intersect_params(own)
                if bool(term.kernels) != bool(self.weight) or not points.is_subset(rest):
                    return replace(unknown, reason="an entry differs from the formula")
                if term.coefficient.to_sympy() != factor:
                    return replace(
                        unknown,
                        reason=f"an entry has the coefficient {term.coefficient.to_sympy()}",
                    )
                rest = rest.subtract(points)
            if not rest.is_empty():
                return replace(unknown, reason="an entry is missing")
        return Verdict("proved", self.claim, str(self.domain), ISL, domain=self.domain)


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

    def decide(self) -> Verdict:
        """Compare the triples (k, i, j) with the outcomes of each event."""
        layer = self.layer()
        (row,) = sizes("k")
        (size,), (taps,) = layer.in_shape, layer.kernel.shape
        mark = "+" if self.sign > 0 else "-"
        event = f"{text(self.value(row))} = i {mark} j"
        outcomes = islpy.Set(
            f"{parameters(size, taps)}{{ [{isl_name(row.name)}, i, j] : 0 <= i < {text(size)} and "
            f"0 <= j < {text(taps)} and {event} }}"
        ).intersect_params(self.domain.points)
        own = triples(layer.geometry).intersect_params(self.domain.points)
        scope = str(self.domain)
        if own.is_equal(outcomes):
            return Verdict("proved", self.claim, scope, ISL, domain=self.domain)
        reason = "the triples of the layer differ from the outcomes"
        return Verdict("unknown", self.claim, scope, ISL, reason=reason, domain=self.domain)


@dataclass(frozen=True, eq=False)
class Parameters:
    """The claim about the number of parameters: weights, and one bias per output channel."""

    claim: str
    layer: Callable[[], Convolution]
    count: Any

    @cached_property
    def formula(self) -> str:
        """The number of weights and biases, and the formula for it."""
        layer = self.layer()
        biases = f"b \\in {shape_latex(layer.out_shape[:1])}"
        spaces = ",\\ ".join([*_declared(layer), biases])
        return f"\\#\\{{{spaces}\\}} = {expression(self.count)}"

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists."""
        return Domain.of(self.layer())

    def decide(self) -> Verdict:
        """Compare two polynomials in the sizes."""
        layer = self.layer()
        return _same(
            self.claim,
            [(size_product(layer.kernel.shape) + layer.out_shape[0], self.count)],
            self.domain,
            IDENTITY,
        )


@dataclass(frozen=True, eq=False)
class TwoLayers:
    """The claim about the receptive field of two layers: its first index and its width.

    Rule: tap a of the first layer below tap b of the second reads raw_1(raw_2(u, b), a), which is
    affine in a and b with non-negative factors: its minimum is at the first taps, its maximum at
    the last.
    """

    claim: str
    layers: Callable[[], tuple[Convolution, Convolution]]
    start: Callable[[Any], Any]
    width: Any

    @cached_property
    def _index(self) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
        """The index that is read, its variables (u, a, b), and the numbers of taps."""
        first, second = (layer.geometry.axes[0] for layer in self.layers())
        u, tap, outer = sizes("u a b")
        return first.raw(second.raw(u, outer), tap), (u, tap, outer), (first.taps, second.taps)

    @property
    def formula(self) -> str:
        """The smallest index, and the number of indices from it to the largest."""
        index, (u, *_), taps = self._index
        under = f"0 \\le a < {size_latex(taps[0])},\\ 0 \\le b < {size_latex(taps[1])}"
        read = f"i(a, b) = {expression(index)}"
        first = f"\\min i = {expression(self.start(u))}"
        wide = f"\\max i - \\min i + 1 = {expression(self.width)}"
        return COMMA_QUAD.join([first, wide, read, under])

    @cached_property
    def domain(self) -> Domain:
        """All kernel sizes, strides and paddings; the size of the input does not matter."""
        index, own, taps = self._index
        seen = {*index.free_symbols, *taps} - set(own)
        symbols = tuple(sorted(seen, key=lambda v: v.name))
        strides = [layer.geometry.axes[0].stride for layer in self.layers()]
        return _domain(symbols, tuple(size - 1 for size in (*taps, *strides)), ())

    def decide(self) -> Verdict:
        """Compare the values at the ends of the ranges."""
        import sympy

        index, (u, tap, outer), (first, second) = self._index
        unknown = Verdict("unknown", self.claim, str(self.domain), AFFINE, domain=self.domain)
        read = sympy.Poly(index, tap, outer)
        factors = [read.coeff_monomial(tap), read.coeff_monomial(outer)]
        if read.total_degree() > 1 or not all(factor.is_nonnegative for factor in factors):
            return replace(unknown, reason="the index is not affine with non-negative factors")
        least = index.subs({tap: 0, outer: 0})
        greatest = index.subs({tap: first - 1, outer: second - 1})
        pairs = [(least, self.start(u)), (greatest - least + 1, self.width)]
        return _same(self.claim, pairs, self.domain, AFFINE)


def _same(claim: str, pairs: list[tuple[Size, Size]], domain: Domain, method: str) -> Verdict:
    """Decide whether polynomials in the sizes are equal; search counterexamples up to size 4."""
    import sympy

    for actual, claimed in pairs:
        gap = sympy.expand(actual - claimed)
        if gap == 0:
            continue
        symbols = sympy.sympify(actual).free_symbols | sympy.sympify(claimed).free_symbols
        ordered = sorted(symbols, key=lambda v: v.name)
        ranges = [range(int(bool(symbol.is_positive)), 5) for symbol in ordered]
        for values in sorted(product(*ranges), key=lambda v: (sum(v), v)):
            chosen = dict(zip(ordered, values, strict=True))
            if gap.subs(chosen) != 0:
                both = [int(substituted(side, chosen)) for side in (claimed, actual)]
                counterexample = Counterexample(_named(chosen), None, None, both[0], both[1])
                return Verdict("refuted", claim, str(domain), method, counterexample, domain=domain)
        return Verdict(
            "unknown",
            claim,
            str(domain),
            method,
            reason=f"the difference {gap} is not identically zero",
        )
    return Verdict("proved", claim, str(domain), method, domain=domain)
