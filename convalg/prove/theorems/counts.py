"""Parts of theorems about counts: parameters, multiplications, non-zeros, receptive fields.

The formula of each part is made from the expressions that its proof compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from convalg.axis import Size
from convalg.faces.latex import expression
from convalg.operators.leaves import Convolution
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.nonlinear import Contradiction, Formulas
from convalg.prove.decisions.smtlib import Script, conjunction, disjunction, negation
from convalg.prove.derivations.indices import shape_latex, size_latex
from convalg.prove.theorems.formulas import COMMA_QUAD, operator_latex
from convalg.prove.theorems.parts import decided, declared, spaces
from convalg.prove.verdict import IDENTITY, Counterexample, Verdict
from convalg.size import Condition, size_product, sizes, substituted

if TYPE_CHECKING:
    import sympy

AFFINE = "exact identity: an affine expression has its extremes at the ends of the ranges"
COMMA_SPACE = ",\\ "
LARGEST_TRIED = 5
"""The largest size that is tried in the search for a counterexample."""

Layers = Callable[[], tuple[Convolution, ...]]


@dataclass(frozen=True, eq=False)
class Parameters:
    """The claim about the number of parameters of some layers.

    `biases`: whether each output channel has a bias.
    """

    claim: str
    layers: Layers
    count: Any
    biases: bool = True

    @cached_property
    def formula(self) -> str:
        """The arrays of parameters, and the formula for their number."""
        terms = []
        for layer in self.layers():
            arrays = declared(layer)
            if self.biases:
                arrays.append(f"b \\in {shape_latex(layer.out_shape[:1])}")
            spaces_of = COMMA_SPACE.join(arrays)
            terms.append(f"\\#\\{{{spaces_of}\\}}")
        return f"{' + '.join(terms)} = {count_latex(self.count)}"

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layers exist."""
        return Domain.of(*self.layers())

    @property
    def _total(self) -> Any:
        total = 0
        for layer in self.layers():
            total += size_product(layer.kernel.shape) + (layer.out_shape[0] if self.biases else 0)
        return total

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        return identities(self.domain, [(self._total, self.count)])

    def decide(self) -> Verdict:
        """Compare two polynomials in the sizes."""
        return same(self.claim, [(self._total, self.count)], self.domain, IDENTITY)


@dataclass(frozen=True, eq=False)
class Multiplications:
    """The claim about the number of multiplications of some layers without padding.

    Rule: every output is a sum with one product for each weight of its output channel.
    """

    claim: str
    layers: Layers
    count: Any

    @cached_property
    def formula(self) -> str:
        """The layers with their spaces, and the formula for their multiplications."""
        layers = self.layers()
        total = " + ".join(f"\\operatorname{{mul}}({operator_latex(layer)})" for layer in layers)
        details = [f"{operator_latex(layer)} \\colon {spaces(layer)}" for layer in layers]
        arrays = [array for layer in layers for array in declared(layer)]
        return COMMA_QUAD.join([f"{total} = {count_latex(self.count)}", *details, *arrays])

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layers exist."""
        return Domain.of(*self.layers())

    @property
    def _total(self) -> Any:
        total = 0
        for layer in self.layers():
            axes = layer.geometry.axes
            assert all(axis.before == 0 and axis.boundary == "zeros" for axis in axes)
            channels = len(layer.kernel.shape) > len(axes)
            weights = layer.kernel.shape[1:] if channels else layer.kernel.shape
            total += size_product(layer.out_shape) * size_product(weights)
        return total

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""
        return identities(self.domain, [(self._total, self.count)])

    def decide(self) -> Verdict:
        """Compare two polynomials in the sizes."""
        return same(self.claim, [(self._total, self.count)], self.domain, IDENTITY)


@dataclass(frozen=True, eq=False)
class NonZeros:
    """The claim about the number of non-zeros of a layer with one channel on one axis.

    Rule: the entries are the pairs (o, t) for which tap t of output o reads a sample. They are
    compared with the pairs of `runs`, whose lengths are added up.

    `runs`: for some taps one after the other, (the tap after the last of them, the first output
    that uses tap t, the number of outputs that use it), the last two as functions of t. `limits`:
    sizes that must not be negative.
    """

    claim: str
    layer: Callable[[], Convolution]
    runs: tuple[tuple[Any, Callable[[Any], Any], Callable[[Any], Any]], ...]
    count: Any
    limits: tuple[Any, ...] = ()

    @cached_property
    def formula(self) -> str:
        """The number of pairs (o, t) that read a sample."""
        layer = self.layer()
        (axis,) = layer.geometry.axes
        o, t = sizes("o t")
        read = f"0 \\le {expression(axis.raw(o, t))} < {size_latex(axis.in_size)}"
        under = f"0 \\le o < {size_latex(axis.out_size)},\\ 0 \\le t < {size_latex(axis.taps)}"
        name = operator_latex(layer)
        left = f"\\operatorname{{nnz}}({name}) = \\#\\{{(o, t) \\mid {read},\\ {under}\\}}"
        return COMMA_QUAD.join(
            [f"{left} = {count_latex(self.count)}", f"{name} \\colon {spaces(layer)}"]
        )

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the layer exists, with the limits of the claim."""
        domain = Domain.of(self.layer())
        more = tuple(Condition(limit, ("{} must not be negative", limit)) for limit in self.limits)
        return replace(domain, limits=(*domain.limits, *more))

    def _differences(self, script: Script) -> Iterator[str]:
        """Yield the statements that a pair is in only one of the two sets, or that runs overlap."""
        (axis,) = self.layer().geometry.axes
        o, t = script.index("output.0"), script.index("tap.0")
        entry = conjunction(
            [
                *script.within(o, axis.out_size),
                *script.within(t, axis.taps),
                *script.within(axis.raw(o, t), axis.in_size),
            ]
        )
        claimed = []
        ends = [0, *(end for end, _, _ in self.runs)]
        for (low, high), (_, start, length) in zip(pairwise(ends), self.runs, strict=True):
            taps = [script.at_least(t, low), script.above(high, t)]
            claimed.append(conjunction([*taps, *script.within(o - start(t), length(t))]))
            yield negation(script.at_least(high, low))
            yield conjunction([*taps, negation(script.at_least(length(t), 0))])
        yield conjunction([entry, negation(disjunction(claimed))])
        yield conjunction([disjunction(claimed), negation(entry)])

    def _sums(self) -> list[tuple[Any, Any, Any, Any]]:
        """Return, for each run, its first tap, its end, its length at t and its sum up to t.

        The sum up to t is the sum of the lengths at the taps before t as a polynomial in t.
        """
        import sympy

        t, u = sizes("t u")
        ends = [0, *(end for end, _, _ in self.runs)]
        return [
            (low, high, length(t), sympy.summation(length(u), (u, low, t - 1)))
            for (low, high), (_, _, length) in zip(pairwise(ends), self.runs, strict=True)
        ]

    @property
    def _total(self) -> Any:
        """The sum of the lengths of all runs."""
        (t,) = sizes("t")
        return sum(upto.subs(t, high) for _, high, _, upto in self._sums())

    def _miscounts(self, script: Script) -> Iterator[Contradiction]:
        """Yield the statements that the sum of the lengths is not the count.

        A sum S(t) of the lengths at the taps before t is defined by S(low) = 0 and
        S(t + 1) = S(t) + length(t).
        """
        (t,) = sizes("t")
        for number, (low, _, length, upto) in enumerate(self._sums()):
            steps = [
                (f"the sum of run {number} is 0 at its first tap", upto.subs(t, low), 0),
                (
                    f"each tap of run {number} adds its length to the sum",
                    upto.subs(t, t + 1),
                    upto + length,
                ),
            ]
            for sentence, left, right in steps:
                yield Contradiction(sentence, _different(script, left, right))
        yield Contradiction(
            "the sum of all runs is the count", _different(script, self._total, self.count)
        )

    def formulas(self) -> Formulas:
        """Return the formulas of the claim: the two sets of pairs, then the sum of the lengths."""
        return nonlinear.statement_formulas(
            self.domain, lambda script: [*self._differences(script), *self._miscounts(script)]
        )

    def decide(self) -> Verdict:
        """Compare the two sets of pairs, then the sum of the lengths with the count."""
        formulas = nonlinear.statement_formulas(self.domain, self._differences)
        verdict = decided(self.claim, self.domain, formulas, self._miscounted)
        if not verdict:
            return verdict
        method = f"{verdict.method}; then the sum of the lengths as an exact identity"
        return same(self.claim, [(self._total, self.count)], self.domain, method)

    def _miscounted(self, chosen: dict[str, int]) -> Counterexample:
        """Return the counterexample at given sizes."""
        layer = self.layer()
        names = {symbol.name for symbol in layer.symbols}
        concrete = layer.at(**{name: size for name, size in chosen.items() if name in names})
        count = substituted(self.count, chosen)
        return Counterexample(chosen, None, None, count, concrete.counts.nonzeros)


@dataclass(frozen=True, eq=False)
class FieldOfLayers:
    """The claim about the receptive field of layers in sequence: its first index and its width.

    Rule: the index that the first layer reads is affine in the taps of all layers, with
    non-negative factors: its minimum is at the first taps, its maximum at the last.
    """

    claim: str
    layers: Layers
    start: Callable[[Any], Any]
    width: Any

    @cached_property
    def _index(self) -> tuple[Any, Any, dict[Any, Any]]:
        """The index that is read by output u, the symbol u, and the number of taps of each tap."""
        axes = [layer.geometry.axes[0] for layer in self.layers()]
        (u,) = sizes("u")
        taps = sizes(" ".join(f"t{k + 1}" for k in range(len(axes))))
        index: Any = u
        for axis, tap in zip(reversed(axes), reversed(taps), strict=True):
            index = axis.raw(index, tap)
        counts = {tap: axis.taps for axis, tap in zip(axes, taps, strict=True)}
        return index, u, counts

    @property
    def formula(self) -> str:
        """The smallest index, and the number of indices from it to the largest."""
        index, u, taps = self._index
        under = COMMA_SPACE.join(
            f"0 \\le {tap} < {size_latex(count)}" for tap, count in taps.items()
        )
        read = f"i({', '.join(map(str, taps))}) = {expression(index)}"
        first = f"\\min i = {expression(self.start(u))}"
        wide = f"\\max i - \\min i + 1 = {expression(self.width)}"
        return COMMA_QUAD.join([first, wide, read, under])

    @cached_property
    def domain(self) -> Domain:
        """All sizes, strides, dilations and paddings; the size of the input does not matter."""
        index, u, taps = self._index
        symbols = set(index.free_symbols)
        for count in taps.values():
            symbols |= getattr(count, "free_symbols", set())
        ordered = tuple(sorted(symbols - {u, *taps}, key=lambda symbol: symbol.name))
        axes = [layer.geometry.axes[0] for layer in self.layers()]
        steps = [value for axis in axes for value in (axis.taps, axis.stride, axis.dilation)]
        limits = [step - 1 for step in steps if getattr(step, "free_symbols", None)]
        return Domain(ordered, tuple(map(Condition, dict.fromkeys(limits))))

    def formulas(self) -> Formulas:
        """Return the formulas of the claim: no index is outside, and both ends are read."""
        index, u, taps = self._index

        def counter(script: Script) -> Iterator[str]:
            named = {symbol: script.index(f"{symbol.name}.0") for symbol in (u, *taps)}
            read = index.subs(named, simultaneous=True)
            least, last = self.start(named[u]), self.start(named[u]) + self.width - 1
            ranges = [
                condition
                for tap, count in taps.items()
                for condition in script.within(named[tap], count)
            ]
            inside = [script.at_least(read, least), script.at_least(last, read)]
            yield conjunction([*ranges, negation(conjunction(inside))])
            for chosen, end in ((0, least), (1, last)):
                ends = {named[tap]: chosen * (count - 1) for tap, count in taps.items()}
                sides = script.as_written(read.subs(ends)), script.as_written(end)
                yield f"(not (= {sides[0]} {sides[1]}))"

        return nonlinear.statement_formulas(self.domain, counter)

    def decide(self) -> Verdict:
        """Compare the values at the ends of the ranges."""
        import sympy

        index, u, taps = self._index
        unknown = Verdict("unknown", self.claim, str(self.domain), AFFINE, domain=self.domain)
        read = sympy.Poly(index, *taps)
        if read.total_degree() > 1 or not all(read.coeff_monomial(t).is_nonnegative for t in taps):
            return replace(unknown, reason="the index is not affine with non-negative factors")
        least = index.subs(dict.fromkeys(taps, 0))
        greatest = index.subs({tap: count - 1 for tap, count in taps.items()})
        pairs = [(least, self.start(u)), (greatest - least + 1, self.width)]
        return same(self.claim, pairs, self.domain, AFFINE)


def count_latex(value: Size) -> str:
    """Return a count as LaTeX, with its products as they are, and not expanded.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> print(count_latex((n - K + 1) * K), count_latex(n * K - K * (K - 1) / 2), sep=";  ")
    K (n - K + 1);  n K - \\frac{K (K - 1)}{2}
    """
    import sympy

    count = sympy.sympify(value)
    if count.is_Mul and count.could_extract_minus_sign():
        return f"-{count_latex(-count)}"
    terms = sympy.Add.make_args(count)
    if len(terms) > 1:
        if not any(sympy.expand(term).is_Add for term in terms):
            return size_latex(count)
        text = ""
        for term in sorted(terms, key=lambda term: bool(term.could_extract_minus_sign())):
            is_negative = term.could_extract_minus_sign()
            sign = "-" if is_negative else "+"
            text += f" {sign} " if text else ("-" if is_negative else "")
            text += count_latex(-term if is_negative else term)
        return text
    factor, rest = count.as_coeff_Mul()
    factors = sorted(sympy.Mul.make_args(rest), key=lambda f: (f.is_Add, str(f).swapcase()))
    texts = [f"({count_latex(f)})" if f.is_Add else size_latex(f) for f in factors if f != 1]
    above = " ".join(texts if factor.p == 1 and texts else [str(factor.p), *texts])
    return above if factor.q == 1 else f"\\frac{{{above}}}{{{factor.q}}}"


def _different(script: Script, first: Size, second: Size) -> str:
    """Return the statement that two polynomials with rational coefficients differ.

    Both are multiplied by the denominators of their coefficients.
    """
    import sympy

    sides = [sympy.expand(side) for side in (first, second)]
    common = sympy.ilcm(*(sympy.fraction(sympy.together(side))[1] for side in sides), 1)
    left, right = (script.as_written(sympy.expand(common * side)) for side in sides)
    return f"(not (= {left} {right}))"


def identities(domain: Domain, pairs: list[tuple[Size, Size]]) -> Formulas:
    """Return the formulas of the claim that pairs of polynomials are equal."""

    def counter(script: Script) -> Iterator[str]:
        for first, second in pairs:
            yield f"(not (= {script.as_written(first)} {script.as_written(second)}))"

    return nonlinear.statement_formulas(domain, counter)


def same(claim: str, pairs: list[tuple[Size, Size]], domain: Domain, method: str) -> Verdict:
    """Decide whether polynomials, (actual, claimed), are equal for all sizes in a domain.

    Small sizes in the domain are searched for a counterexample, smallest first.
    """
    import sympy

    for actual, claimed in pairs:
        gap = sympy.expand(actual - claimed)
        if gap == 0:
            continue
        for chosen in _small_sizes(gap, domain):
            if substituted(gap, chosen) != 0:
                both = [int(substituted(side, chosen)) for side in (claimed, actual)]
                named = {symbol.name: value for symbol, value in chosen.items()}
                counterexample = Counterexample(named, None, None, both[0], both[1])
                return Verdict("refuted", claim, str(domain), method, counterexample, domain=domain)
        reason = f"the difference {gap} is not identically zero"
        return Verdict("unknown", claim, str(domain), method, reason=reason, domain=domain)
    return Verdict("proved", claim, str(domain), method, domain=domain)


def _small_sizes(gap: sympy.Expr, domain: Domain) -> Iterator[dict[Any, int]]:
    """Yield sizes in a domain and values of other symbols, smallest first."""
    own = [*domain.symbols, *sorted(gap.free_symbols - set(domain.symbols), key=str)]
    ranges = [range(int(bool(symbol.is_positive)), LARGEST_TRIED) for symbol in own]
    for values in sorted(product(*ranges), key=lambda v: (sum(v), v)):
        chosen = dict(zip(own, values, strict=True))
        if domain.holds_at({symbol: chosen[symbol] for symbol in domain.symbols}):
            yield chosen
