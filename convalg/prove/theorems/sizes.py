"""Theorems about sizes: all paddings and modes, output_padding, and several strides in a row.

Each claim is about integers only: a set of positions and its number, or two formulas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from convalg.axis import Size, floored, output_size, span
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import Formulas
from convalg.prove.decisions.smtlib import Script, conjunction, negation
from convalg.prove.derivations.indices import affine, size_latex
from convalg.prove.theorems.chapters import SIZES
from convalg.prove.theorems.formulas import COMMA_QUAD
from convalg.prove.theorems.theorem import Theorem
from convalg.prove.verdict import Counterexample, Verdict
from convalg.size import Condition, larger, sizes, substituted

if TYPE_CHECKING:
    import sympy

n, K, L, p, q, s, r, d, o, a, h, R, J = sizes("n K L p q s r d o a h R J")
METHOD = "integer arithmetic (z3): two formulas or two sets of positions compared"


def _domain(values: tuple[Size, ...], limits: tuple[Size, ...]) -> Domain:
    """Return the domain of the symbols of some values in which `limits` are not negative."""
    seen = {symbol for value in values for symbol in getattr(value, "free_symbols", ())}
    symbols = tuple(sorted(seen, key=lambda v: (v.name not in ("n", "K"), v.name)))
    return Domain(symbols, tuple(Condition(limit) for limit in limits if limit not in symbols))


class _Decided:
    """A claim about sizes that z3 decides."""

    claim: str

    @property
    def domain(self) -> Domain:
        """The sizes for which the claim is decided."""
        raise NotImplementedError

    def formulas(self) -> Formulas:
        raise NotImplementedError

    def _numbers(self, chosen: Mapping[sympy.Symbol, int]) -> tuple[int, int]:
        """Return the claimed and the actual number at some sizes."""
        raise NotImplementedError

    def decide(self) -> Verdict:
        """Decide whether the claim holds, with the smallest counterexample."""
        formulas, domain = self.formulas(), self.domain
        outcome = nonlinear.decide(formulas, domain, BUDGET)
        verdict = Verdict("proved", self.claim, str(domain), METHOD, domain=domain)
        if outcome.status == "proved":
            return verdict
        if outcome.status == "refuted":
            least = nonlinear.smallest(formulas, domain, outcome.values, BUDGET) or outcome.values
            named = {symbol.name: value for symbol, value in least.items()}
            example = Counterexample(named, None, None, *self._numbers(least))
            return replace(verdict, status="refuted", counterexample=example)
        reason = f"z3 leaves open whether {outcome.open}"
        return replace(verdict, status="unknown", reason=reason)


@dataclass(frozen=True, eq=False)
class CountedWindows(_Decided):
    """The claim that a formula counts the positions of a kernel in the padded input.

    Rule: window j is inside if j >= 0 and s j + d (K - 1) + 1 <= size + before + after; the set of
    these j is compared with 0 <= j < count.
    """

    claim: str
    count: Any
    size: Any = n
    taps: Any = K
    before: Any = 0
    after: Any = 0
    stride: Any = 1
    dilation: Any = 1

    @property
    def _padded(self) -> Any:
        return self.size + self.before + self.after

    @property
    def formula(self) -> str:
        """The number, and the two sets that are compared."""
        last = affine([(self.stride, "j")], span(self.taps, self.dilation))
        inside = f"{last} \\le {size_latex(self._padded)}"
        sets = f"0 \\le j < o \\iff j \\ge 0,\\ {inside}"
        return COMMA_QUAD.join([f"o = {size_latex(self.count)}", sets])

    @cached_property
    def domain(self) -> Domain:
        """All sizes, strides, dilations and paddings."""
        values = (self.size, self.taps, self.stride, self.dilation, self._padded, self.count)
        steps = tuple(v - 1 for v in (self.stride, self.dilation) if v != 1)
        return _domain(values, (n - 1, self.taps - 1, *steps))

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""

        def differences(script: Script) -> Iterator[str]:
            j = script.index("position.0")
            last = self.stride * j + span(self.taps, self.dilation)
            fits = conjunction([script.at_least(j, 0), script.at_least(self._padded, last)])
            claimed = conjunction(script.within(j, self.count))
            yield conjunction([fits, negation(claimed)])
            yield conjunction([claimed, negation(fits)])

        return nonlinear.statement_formulas(self.domain, differences)

    def _numbers(self, chosen: Mapping[sympy.Symbol, int]) -> tuple[int, int]:
        padded, taps, step, spread, count = (
            int(substituted(value, chosen))
            for value in (self._padded, self.taps, self.stride, self.dilation, self.count)
        )
        return max(count, 0), max(output_size(padded, taps, step, spread, 0, 0), 0)


@dataclass(frozen=True, eq=False)
class EqualSizes(_Decided):
    """The claim that two formulas have the same value.

    `given`: formulas for some of the symbols in them. `limits`: values that are not negative.
    """

    claim: str
    left: Any
    right: Any
    given: Mapping[Any, Any] = field(default_factory=dict)
    limits: tuple[Any, ...] = ()

    @property
    def formula(self) -> str:
        """The equation, and the formulas of the symbols in it."""
        equation = f"{_written(self.left)} = {_written(self.right)}"
        given = [f"{symbol} = {_written(value)}" for symbol, value in self.given.items()]
        return COMMA_QUAD.join([equation, *given])

    @property
    def _sides(self) -> tuple[Any, Any]:
        import sympy

        left, right = (sympy.sympify(side) for side in (self.left, self.right))
        return left.xreplace(dict(self.given)), right.xreplace(dict(self.given))

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which the limits hold."""
        values = (*self._sides, *self.given.values(), *self.limits)
        domain = _domain(values, self.limits)
        return replace(domain, symbols=tuple(v for v in domain.symbols if v not in self.given))

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""

        def differences(script: Script) -> list[str]:
            return [negation(script.equal(*self._sides))]

        return nonlinear.statement_formulas(self.domain, differences)

    def _numbers(self, chosen: Mapping[sympy.Symbol, int]) -> tuple[int, int]:
        left, right = (int(substituted(side, chosen)) for side in self._sides)
        return right, left


def _written(value: Size) -> str:
    """Return a formula as LaTeX; a remainder is written with mod."""
    import sympy

    if isinstance(value, sympy.Mod):
        above, below = value.args
        return f"({size_latex(above)}) \\bmod {size_latex(below)}"
    return size_latex(value)


REACH = d * (K - 1)
"""The distance from the first to the last tap."""
INDUCTION = (n - 1, R - 1, J - 1, K - 1, s - 1, d - 1)
"""Conditions on the sizes of some layers and of one more layer."""
UNREAD = n + p + q - REACH - 1
"""The samples after the first window."""


def _ceiling(above: Size, below: Size) -> Any:
    return -floored(-above, below)


def _remainder() -> Any:
    import sympy

    return sympy.Mod(UNREAD, s, evaluate=False)


SAME = larger((_ceiling(n, s) - 1) * s + REACH + 1 - n, 0)
"""The total padding of the mode "same"."""
COUNT = "the number of outputs"
STEPS = (n - 1, K - 1, s - 1, d - 1)

ARAUJO = "Araujo, Norris, Sim, Computing Receptive Fields, Distill 2019"

THEOREMS = (
    Theorem(
        "size-padding",
        (
            CountedWindows(
                COUNT,
                floored(UNREAD, s) + 1,
                before=q,
                after=p,
                stride=s,
                dilation=d,
            ),
        ),
        source="Dumoulin & Visin, A guide to convolution arithmetic for deep learning",
        counter=CountedWindows(
            f"{COUNT}, with the padding before the input on both sides",
            floored(n + 2 * q - REACH - 1, s) + 1,
            before=q,
            after=p,
            stride=s,
            dilation=d,
        ),
        chapter=SIZES,
        sentence="For a layer with padding q before its input and p after it, the number of "
        "outputs is one more than the number of strides that fit between the end of the first "
        "window and the end of the padded input.",
        idea="The last window that is inside starts at the largest multiple of s that is at most "
        "n + q + p - d (K - 1) - 1.",
    ),
    Theorem(
        "size-full",
        (
            CountedWindows(COUNT, n + REACH, before=REACH, after=REACH, dilation=d),
            CountedWindows(
                f"{COUNT} with a stride",
                _ceiling(n + K - 1, s),
                before=K - 1,
                after=K - 1,
                stride=s,
            ),
        ),
        counter=CountedWindows(
            f"{COUNT} without the dilation", n + K - 1, before=REACH, after=REACH, dilation=d
        ),
        chapter=SIZES,
        sentence="At stride 1, a full layer has n + d(K - 1) outputs, one for each position at "
        "which the span of its kernel overlaps the input.",
        idea="The padding adds 2 d (K - 1) samples, of which a window covers d (K - 1) besides its "
        "first one.",
    ),
    Theorem(
        "size-causal",
        (CountedWindows(COUNT, _ceiling(n, s), before=REACH, stride=s, dilation=d),),
        source="van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016",
        counter=CountedWindows(
            f"{COUNT} with padding K - 1 at any dilation",
            _ceiling(n, s),
            before=K - 1,
            stride=s,
            dilation=d,
        ),
        chapter=SIZES,
        sentence="A causal layer, which is padded by d(K - 1) samples before its input only, has "
        "as many outputs as inputs, or the number of inputs divided by the stride and rounded up.",
        idea="Window j ends at sample s j, so that there is one for each multiple of s below n.",
    ),
    Theorem(
        "size-same",
        (
            CountedWindows(
                COUNT,
                _ceiling(n, s),
                before=SAME // 2,
                after=SAME - SAME // 2,
                stride=s,
                dilation=d,
            ),
        ),
        counter=CountedWindows(
            f"{COUNT}, rounded down",
            floored(n, s),
            before=SAME // 2,
            after=SAME - SAME // 2,
            stride=s,
            dilation=d,
        ),
        chapter=SIZES,
        sentence="With same padding, a layer has n / s outputs, rounded up, for every kernel size "
        "and every dilation.",
        idea="The padding is just enough for the last of these windows, unless the kernel is so "
        "short that no padding is needed.",
    ),
    Theorem(
        "size-odd-kernel",
        (
            CountedWindows(
                COUNT,
                _ceiling(n, s),
                taps=2 * h + 1,
                before=d * h,
                after=d * h,
                stride=s,
                dilation=d,
            ),
        ),
        source="Dumoulin & Visin, A guide to convolution arithmetic for deep learning",
        counter=CountedWindows(
            f"{COUNT} of an even kernel",
            _ceiling(n, s),
            taps=2 * h + 2,
            before=d * h,
            after=d * h,
            stride=s,
            dilation=d,
        ),
        chapter=SIZES,
        sentence="A layer with an odd kernel of 2h + 1 taps and padding d h on both sides has n / "
        "s outputs, rounded up.",
        idea="The window of output j is centred at sample s j, and both ends are inside the padded "
        "input exactly if its centre is inside the input.",
    ),
    Theorem(
        "size-ceil-mode",
        (
            CountedWindows(
                "the number of windows, rounded up",
                _ceiling(n + 2 * p - REACH - 1, s) + 1,
                before=p,
                after=p + s - 1,
                stride=s,
                dilation=d,
            ),
        ),
        counter=CountedWindows(
            "the number of windows with s more samples of padding",
            _ceiling(n + 2 * p - REACH - 1, s) + 1,
            before=p,
            after=p + s,
            stride=s,
            dilation=d,
        ),
        chapter=SIZES,
        sentence="Rounding the number of windows up instead of down counts the windows of an input "
        "that has s - 1 more samples of padding at its end.",
        idea="Dividing m by s and rounding up is dividing m + s - 1 by s and rounding down.",
    ),
    Theorem(
        "size-transposed",
        (
            EqualSizes(
                "the size of the input from the number of outputs and the remainder",
                n,
                s * (o - 1) + REACH + 1 - q - p + a,
                {o: floored(UNREAD, s) + 1, a: _remainder()},
                (*STEPS, UNREAD),
            ),
        ),
        source="Dumoulin & Visin, A guide to convolution arithmetic for deep learning, "
        "relationship 14",
        counter=EqualSizes(
            "the size of the input from the number of outputs alone",
            n,
            s * (o - 1) + REACH + 1 - q - p,
            {o: floored(UNREAD, s) + 1},
            (*STEPS, UNREAD),
        ),
        chapter=SIZES,
        sentence="A transposed layer returns to the size n of the input of the layer if its "
        "output_padding is the remainder that the stride leaves.",
        idea="Division with remainder: n + q + p - d (K - 1) - 1 = s (o - 1) + a.",
    ),
    Theorem(
        "size-output-padding",
        (
            EqualSizes(
                "the layer has the number of outputs from which n was computed",
                floored(UNREAD, s) + 1,
                o,
                {n: s * (o - 1) + REACH + 1 - q - p + a},
                (o - 1, K - 1, s - 1, d - 1, s - 1 - a),
            ),
            EqualSizes(
                "the stride leaves the output_padding as its remainder",
                _remainder(),
                a,
                {n: s * (o - 1) + REACH + 1 - q - p + a},
                (o - 1, K - 1, s - 1, d - 1, s - 1 - a),
            ),
        ),
        source="Dumoulin & Visin, A guide to convolution arithmetic for deep learning, section 4.6",
        counter=EqualSizes(
            "an output_padding equal to the stride is allowed too",
            floored(UNREAD, s) + 1,
            o,
            {n: s * (o - 1) + REACH + 1 - q - p + a},
            (o - 1, K - 1, s - 1, d - 1, s - a),
        ),
        chapter=SIZES,
        sentence="The output sizes of a transposed layer with output_padding from 0 to s - 1 are "
        "exactly the s input sizes for which the strided layer has the same number of outputs.",
        idea="Together with the formula for n, every pair of o and a with a < s belongs to exactly "
        "one n, since division with remainder is unique.",
    ),
    Theorem(
        "size-multiple",
        (
            CountedWindows(
                "the number of outputs for s n samples",
                n,
                size=s * n,
                taps=s + 2 * p,
                before=p,
                after=p,
                stride=s,
            ),
            EqualSizes(
                "the size of the output of the transposed layer",
                s * (n - 1) + K - 2 * p,
                s * n,
                {K: s + 2 * p},
                (n - 1, s - 1),
            ),
        ),
        counter=CountedWindows(
            "the number of outputs of a kernel with one more tap",
            n,
            size=s * n,
            taps=s + 2 * p + 1,
            before=p,
            after=p,
            stride=s,
        ),
        chapter=SIZES,
        sentence="A layer of stride s with s + 2p taps and padding p divides a multiple of s by s, "
        "and its transposed layer multiplies every size by s.",
        idea="The n windows cover s (n - 1) + s + 2p = s n + 2p samples, which is the size of the "
        "padded input.",
    ),
    Theorem(
        "size-strides",
        (
            EqualSizes(
                "rounding up twice",
                _ceiling(_ceiling(n, s), r),
                _ceiling(n, r * s),
                limits=(n - 1, s - 1, r - 1),
            ),
            EqualSizes(
                "rounding down twice",
                floored(floored(n, s), r),
                floored(n, r * s),
                limits=(n - 1, s - 1, r - 1),
            ),
        ),
        source="Graham, Knuth & Patashnik, Concrete Mathematics, section 3.2",
        counter=EqualSizes(
            "rounding down, then up, is rounding up once",
            _ceiling(floored(n, s), r),
            _ceiling(n, r * s),
            limits=(n - 1, s - 1, r - 1),
        ),
        chapter=SIZES,
        sentence="Dividing a size by two strides in a row and rounding each time in the same "
        "direction is dividing by their product and rounding once.",
        idea="An integer is at most n / (r s) exactly if r times it is at most n / s, and this "
        "holds exactly if r times it is at most n / s rounded down.",
    ),
    Theorem(
        "size-composition",
        (
            EqualSizes(
                "the number of outputs of two layers, and of the layer merged from them",
                floored(floored(n - K, s) + 1 - L, r) + 1,
                floored(n - K - s * (L - 1), r * s) + 1,
                limits=(n - 1, K - 1, L - 1, s - 1, r - 1, n - K - s * (L - 1)),
            ),
        ),
        counter=EqualSizes(
            "the number of outputs of a layer with K + L - 1 taps",
            floored(floored(n - K, s) + 1 - L, r) + 1,
            floored(n - K - (L - 1), r * s) + 1,
            limits=(n - 1, K - 1, L - 1, s - 1, r - 1, n - K - s * (L - 1)),
        ),
        chapter=SIZES,
        sentence="Two valid layers of strides s and r have as many outputs as one layer of stride "
        "r s with K + s(L - 1) taps.",
        idea="The second kernel covers s (L - 1) + K samples of the input of the first layer, and "
        "rounding down twice is rounding down once.",
    ),
    Theorem(
        "size-induction",
        (
            EqualSizes(
                "the number of outputs of one more layer, and of one layer for all",
                floored(floored(n + 2 * q - R, J) + 2 * p - REACH, s) + 1,
                floored(n + 2 * (q + p * J) - (R + REACH * J), J * s) + 1,
                limits=INDUCTION,
            ),
        ),
        source=ARAUJO,
        counter=EqualSizes(
            "the padding of the last layer counts once",
            floored(floored(n + 2 * q - R, J) + 2 * p - REACH, s) + 1,
            floored(n + 2 * (q + p) - (R + REACH * J), J * s) + 1,
            limits=INDUCTION,
        ),
        chapter=SIZES,
        sentence="If some layers have as many outputs as one layer with R taps, stride J and "
        "padding q, then with one more layer they have as many as one layer with R + d (K - 1) J "
        "taps, stride J s and padding q + J p.",
        idea="A sample of the input of the last layer is J samples of the input, and rounding down "
        "twice is rounding down once.",
    ),
)
