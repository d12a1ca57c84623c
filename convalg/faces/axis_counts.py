"""The counts of one axis of a family, as expressions in its sizes.

An axis with zero padding has out k triples without those whose index is in the padding. The triples
with an index in front of the input number T(p) - T(p - s out), where

    T(x) = sum over t < k of max(0, ceil((x - d t) / s));

those after the input are the same with the padding after it, since reversing the axis exchanges
both ends. T(x) is a sum of arithmetic series, one for each residue of the taps or of the outputs,
if d / s or s / d has a numeric denominator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convalg.axis import Axis, Size, holds
from convalg.errors import UndecidableError
from convalg.presburger import is_implied

if TYPE_CHECKING:
    import sympy

MOST_RESIDUES = 16
"""The number of arithmetic series that one closed form may be split into."""


def axis_triples(axis: Axis) -> Any:
    """Return the number of pairs of an output and a tap that read an input.

    Raises: UndecidableError for zero padding with a stride and a dilation that are unrelated
    symbols, and a symbolic number of taps.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> axis_triples(Axis(n, n - K + 1, K))
    K*(-K + n + 1)
    """
    import sympy

    axis = _forward(axis)
    every = axis.out_size * axis.taps
    if axis.boundary != "zeros":
        return every
    reach = axis.stride * axis.out_size
    ends = [end for end in (axis.before, axis.after) if not is_nonpositive(axis, end)]
    if not ends:
        return every
    general = every - sum(_taps_before(axis, end) - _taps_before(axis, end - reach) for end in ends)
    # Where no tap of an end is in the padding of every output, and no window is in the padding.
    simple = every - sum(_taps_before(axis, end, is_short=True) for end in ends)
    window = abs(axis.dilation) * axis.taps
    gaps = [(end, limit) for end in ends for limit in (reach, window)]
    short = [end <= limit for end, limit in gaps if not is_nonpositive(axis, end - limit)]
    expanded = sympy.expand(simple)
    return sympy.Piecewise((expanded, sympy.And(*short)), (general, True)) if short else expanded


def axis_nonzeros(axis: Axis) -> Any:
    """Return the number of pairs of an output and an input that it reads by some tap.

    Two taps of an output read the same input only where the border is folded back. Of a window of k
    taps, a of which are in front of the input, a symmetric border reads min(a, k - a) inputs twice,
    a reflected one min(a, k - 1 - a), and an edge reads the first input min(a, k - 1) times more
    than once. A circular border of n samples reads at most n / gcd(n, d) different ones.

    Raises: UndecidableError for a folded border with a dilation, except a numeric one of a circular
    border; and as `axis_triples`.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> axis_nonzeros(Axis(n, n, K, boundary="circular"))
    n*Min(K, n)
    """
    import sympy

    axis = _forward(axis)
    every = axis.out_size * axis.taps
    if axis.boundary == "zeros" or axis.taps == 1:
        return axis_triples(axis)
    d, k = abs(axis.dilation), axis.taps
    if axis.boundary == "circular":
        return axis.out_size * smaller(axis, k, _period(axis.in_size, d))
    if d != 1:
        raise UndecidableError(
            f"the non-zeros of a layer with the boundary {axis.boundary!r} and dilation {d} have "
            f"no closed form: use numbers for all sizes with A.at(), or dilation 1"
        )
    if axis.boundary == "edge":
        ramps = {0: 1, k - 1: -1}
        twice = sum(f * _ramp(axis, e - g) for e in _ends(axis) for g, f in ramps.items())
        return sympy.expand(every - twice)
    taps = k - int(axis.boundary == "reflect")
    twice = sum(
        sign * _ramp(axis, end - gap)
        for end in _ends(axis)
        for gap, sign in ((0, 1), (taps // 2, -1), (taps - taps // 2, -1), (taps, 1))
    )
    return sympy.expand(every - twice)


def _ends(axis: Axis) -> tuple[Size, Size]:
    return axis.before, axis.after


def _forward(axis: Axis) -> Axis:
    """Return the axis with a positive stride; a negative one is a reversal of the outputs."""
    s = axis.stride
    if not (isinstance(s, int) and s < 0):
        return axis
    return Axis(
        axis.in_size,
        axis.out_size,
        axis.taps,
        -s,
        axis.dilation,
        axis.padding - s * (axis.out_size - 1),
        axis.boundary,
    )


def _period(n: Size, d: Size) -> Any:
    """Return n / gcd(n, d), the number of different multiples of d modulo n."""
    import sympy

    if d == 1:
        return n
    if isinstance(d, int):
        parts = sorted(sympy.divisors(d), reverse=True)
        cases = [(sympy.sympify(n) / g, sympy.Eq(sympy.Mod(n, g), 0)) for g in parts[:-1]]
        return sympy.Piecewise(*cases, (n, True))
    raise UndecidableError(
        f"the non-zeros of a layer with a circular boundary and the symbolic dilation {d} depend "
        f"on the greatest common divisor of {d} and {n}: use a number for the dilation"
    )


def _ramp(axis: Axis, start: Size) -> Any:
    """Return the sum over the outputs o of max(0, start - s o)."""
    if is_nonpositive(axis, start):
        return 0
    beyond = start - axis.stride * axis.out_size
    return _series(axis, start) - (0 if is_nonpositive(axis, beyond) else _series(axis, beyond))


def _series(axis: Axis, start: Size) -> Any:
    """Return the sum over all o >= 0 of max(0, start - s o)."""
    import sympy

    s, terms = axis.stride, _positive_part(axis, start, sympy.ceiling(start / axis.stride))
    return terms * start - s * terms * (terms - 1) / 2


def _positive_part(axis: Axis, start: Size, value: Size) -> Any:
    """Return the maximum of 0 and a value, which is at least 0 where `start` is.

    The maximum is not divided and rounded afterwards: SymPy 1.14 takes an even maximum for a
    multiple of 6.
    """
    import sympy

    return value if is_nonpositive(axis, -start) else sympy.Max(0, value)


def smaller(axis: Axis, first: Size, second: Size) -> Any:
    """Return the minimum of two sizes, as one of them where that is clear."""
    import sympy

    if is_nonpositive(axis, first - second):
        return first
    return second if is_nonpositive(axis, second - first) else sympy.Min(first, second)


def is_nonpositive(axis: Axis, value: Size) -> bool:
    """Return whether a size is at most 0 for all sizes at which the axis exists; False if unclear.

    An axis of a product has the conditions of all factors.
    """
    limits = (*(limit for limit, *_ in axis.limits()), axis.stride - 1, abs(axis.dilation) - 1)
    return is_at_most_zero((*limits, *getattr(axis, "premises", ())), value)


def is_at_most_zero(premises: tuple[Size, ...], value: Size) -> bool:
    """Return whether a size is at most 0 where no premise is negative; False if unclear.

    Rule: s floor(a / s) <= a, and -s floor(a / s) <= s - 1 - a for integers a. Exactly,
    floor(a / s) + c <= 0 means a < s (1 - c), and c - floor(a / s) <= 0 means a >= s c.
    """
    import sympy

    if isinstance(value, int):
        return value <= 0
    exact = _without_floor(value)
    if exact is not None and is_at_most_zero(premises, exact):
        return True
    positive = {
        size: sympy.Dummy(integer=True, nonnegative=True) + 1
        for size in (premise + 1 for premise in premises)
        if getattr(size, "is_Symbol", False)
    }
    bound: sympy.Expr | None = sympy.S.Zero
    for term in sympy.Add.make_args(sympy.expand(value)):
        floors = [factor for factor in sympy.Mul.make_args(term) if isinstance(factor, sympy.floor)]
        if len(floors) != 1:
            bound += term
            continue
        factor, fraction = term / floors[0], floors[0].args[0]
        below = sympy.together(fraction).as_numer_denom()[1]
        sign = factor.subs(positive)
        if not (holds(sign >= 0) or holds(sign <= 0)):
            bound = None
            break
        bound += factor * (fraction if holds(sign >= 0) else fraction - (below - 1) / below)
    if bound is not None and holds(sympy.expand(sympy.expand(bound).subs(positive)) <= 0):
        return True
    return is_implied(-value, premises)


def _without_floor(value: sympy.Expr) -> sympy.Expr | None:
    """Return a size that is at most 0 where `value` is, without its one floor; None for others."""
    import sympy

    value = sympy.expand(value)
    floors = [term for term in sympy.Add.make_args(value) if term.has(sympy.floor, sympy.ceiling)]
    if len(floors) != 1:
        return None
    (term,), rest = floors, value - floors[0]
    sign, rounded = term.as_coeff_Mul()
    if isinstance(rounded, sympy.ceiling):
        # ceil(a / s) = -floor(-a / s)
        sign, rounded = -sign, sympy.floor(-rounded.args[0], evaluate=False)
    if abs(sign) != 1 or not isinstance(rounded, sympy.floor):
        return None
    above, below = sympy.together(rounded.args[0]).as_numer_denom()
    exact = above + 1 - below * (1 - rest) if sign == 1 else below * rest - above
    return sympy.expand(exact)


def _taps_before(axis: Axis, start: Size, *, is_short: bool = False) -> Any:
    """Return T(x), the sum over the taps t of max(0, ceil((x - d t) / s)), for x = `start`.

    `is_short`: whether x is at most d k.
    """
    import sympy

    if is_nonpositive(axis, start):
        return 0
    s, d, k = axis.stride, abs(axis.dilation), axis.taps
    ratio = sympy.sympify(d) / s
    if d == 1 and not ratio.is_integer:
        beyond = 0 if is_short else _ceilings(axis, start - k)
        return _ceilings(axis, start) - beyond
    classes = 1 if ratio.is_integer else _denominator(ratio)
    if classes <= MOST_RESIDUES:
        total = 0
        for r in range(classes):
            # The taps t = r + classes q with d t < x.
            terms = sympy.ceiling((start - d * r) / (d * classes))
            if not is_short:
                terms = smaller(axis, sympy.ceiling((k - r) / sympy.Integer(classes)), terms)
            terms = _positive_part(axis, start, terms)
            total += _arithmetic_series(start - d * r, s, ratio * classes, terms)
        return total
    if _denominator(1 / ratio) <= MOST_RESIDUES:
        # The pairs (o, t) with s o + d t < x, counted by outputs instead of by taps.
        beyond = 0 if is_short else _outputs_before(axis, start - d * k)
        return _outputs_before(axis, start) - beyond
    if isinstance(k, int):
        return sum(sympy.Max(0, sympy.ceiling((start - d * t) / s)) for t in range(k))
    raise UndecidableError(
        f"the counts of a layer with stride {s}, dilation {d} and {k} taps have no closed form: "
        f"use a number for the taps, for the stride or for the dilation"
    )


def _denominator(ratio: sympy.Expr) -> Any:
    """Return the denominator of a ratio of sizes, or a number above the limit if it is symbolic."""
    import sympy

    below = sympy.together(ratio).as_numer_denom()[1]
    return int(below) if below.is_Integer else MOST_RESIDUES + 1


def _arithmetic_series(x: Size, s: Size, steps: Size, count: Size) -> Any:
    """Return the sum of ceil(x / s) - steps q over q = 0, ..., count - 1."""
    import sympy

    return sympy.ceiling(x / s) * count - steps * count * (count - 1) / 2


def _outputs_before(axis: Axis, start: Size) -> Any:
    """Return the sum over all o >= 0 of max(0, ceil((start - s o) / d))."""
    import sympy

    if is_nonpositive(axis, start):
        return 0
    s, d = axis.stride, abs(axis.dilation)
    ratio = sympy.sympify(s) / d
    classes, total = _denominator(ratio), 0
    for r in range(classes):
        terms = _positive_part(axis, start, sympy.ceiling((start - s * r) / (s * classes)))
        total += _arithmetic_series(start - s * r, d, ratio * classes, terms)
    return total


def _ceilings(axis: Axis, last: Size) -> Any:
    """Return the sum of ceil(j / s) over j = 1, ..., last."""
    import sympy

    if is_nonpositive(axis, last):
        return 0
    s, q = axis.stride, _positive_part(axis, last, sympy.floor(last / axis.stride))
    return s * q * (q + 1) / 2 + (_positive_part(axis, last, last) - s * q) * (q + 1)
