"""The claims about operators that can be decided; those about functions are in `functions`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count, islice, product
from typing import Any

import numpy as np

from convalg.arguments import a_kind
from convalg.axis import Axis, Boundary
from convalg.errors import ArgumentError, KindError, ShapeError, TooLargeError, UndecidableError
from convalg.faces.exact import exact_row, exact_rows
from convalg.faces.support import nonzero_bound
from convalg.geometry import Geometry
from convalg.operators.families import replaced
from convalg.operators.leaves import Convolution, Diagonal, Selection
from convalg.operators.make import pad
from convalg.operators.make import shift as shift_operator
from convalg.operators.tree import Compose, Operator, Scaled, compose
from convalg.prove import hints
from convalg.prove.decisions import coefficients, families
from convalg.prove.decisions.domain import Domain, Swept, swept_symbols
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.polynomials import Polynomial, UntraceableError
from convalg.prove.verdict import IDENTITY, ISL, Claim, Counterexample, Verdict
from convalg.size import as_size, per_axis

DEFAULT_RANGE = range(1, 9)
"""Values that a symbolic stride or dilation runs through."""

Ranges = Mapping[Any, Iterable[int]]


def equal(
    first: Operator, second: Operator, *, ranges: Ranges | None = None, budget: int = BUDGET
) -> Verdict:
    """Whether two operators are the same, for all sizes where sizes are symbols.

    Args:
        first: an operator, or a family with symbolic sizes; its entry is the `actual` one of a
            counterexample.
        second: an operator with as many axes; its entry is the `claimed` one.
        ranges: the values to run through for each symbol that is a stride or dilation (1 to 8
            unless given); the scope says which.
        budget: operations of isl that the decision may take; "unknown" when they are spent.

    Returns: a verdict whose scope holds every precondition of the constructors on both sides.

    Raises: KindError unless both are operators, ShapeError when they have different numbers of
        axes, ArgumentError when a size was made twice with different assumptions or a kernel's
        name has two meanings. Symbols in weights are told apart by name and assumptions.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> A = ca.correlation(n, ca.kernel(K))
    >>> ca.prove.equal(A.T, ca.correlation(A.out_shape, ca.flip(A.kernel), padding="full"))
    Proved for all n >= K >= 1
    >>> ca.prove.equal(A.T, ca.correlation(A.out_shape, A.kernel, padding="full"))
    Refuted: n = 2, K = 2; row 0; column 0; claimed w1, actual w0 (hint: flip the kernel)
    """
    for operator in (first, second):
        if not isinstance(operator, Operator):
            raise KindError(f"equal compares two operators, not {type(operator).__name__}")
    counts = [(len(o.out_shape), len(o.in_shape)) for o in (first, second)]
    if counts[0] != counts[1]:
        raise ShapeError(
            f"these operators have different numbers of axes: one maps {first.in_shape} to "
            f"{first.out_shape}, the other {second.in_shape} to {second.out_shape}"
        )
    claim = _Equality(first, second)
    verdict = decide(first, second, claim=claim, ranges=ranges, budget=budget)
    if verdict.status == "refuted":
        return replace(verdict, hint=hints.repair(first, second, _proves))
    return verdict


@dataclass(frozen=True)
class _Equality:
    """The claim in words, written when it is read: printing takes longer than comparing."""

    first: Operator
    second: Operator

    def __call__(self) -> str:
        return f"{self.first!r} = {self.second!r}"


def adjoint(
    first: Operator, second: Operator, *, ranges: Ranges | None = None, budget: int = BUDGET
) -> Verdict:
    """Whether the second operator is the adjoint of the first: <A x, y> = <x, B y> for all x, y.

    Args, Returns and Raises: as for `equal`.

    >>> import convalg as ca
    >>> n = ca.sizes("n")[0]
    >>> bool(adjoint(ca.downsample(2 * n, 2), ca.upsample(n, 2, size=2 * n)))
    True
    """
    if not isinstance(first, Operator):
        raise KindError(f"adjoint compares two operators, not {type(first).__name__}")
    return equal(first.T, second, ranges=ranges, budget=budget)


def _proves(first: Operator, second: Operator, claim: Claim) -> bool:
    return bool(decide(first, second, claim=claim, searching=False))


def decide(
    first: Operator,
    second: Operator,
    *,
    claim: Claim,
    ranges: Ranges | None = None,
    budget: int = BUDGET,
    searching: bool = True,
) -> Verdict:
    """Equality of two operators with as many axes, without hints.

    Where no procedure decides, small sizes are compared with `searching`: a difference refutes,
    agreement stays unknown.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise ArgumentError(f"budget must be a number of operations, at least 1, not {budget!r}")
    domain = domain_of(first, second, ranges=ranges)
    try:
        coefficients.check_canonical(
            [*coefficients.entries_of(first), *coefficients.entries_of(second)]
        )
    except UndecidableError as error:
        return Verdict("unknown", claim, str(domain), "none", reason=str(error), domain=domain)
    if first.is_concrete and second.is_concrete:
        return _decide_numbers(first, second, claim, domain)
    named: dict[str, Any] = {}
    for letter in domain.letters:
        if named.setdefault(letter.name, letter) != letter:
            raise ArgumentError(
                f"the symbol {letter.name} was made twice with different assumptions: make it "
                f"once, with ca.sizes"
            )
    families.kernels_of([first, second])
    with_words = replace(_decided(first, second, claim, domain, budget), words=claim, domain=domain)
    if with_words.status == "unknown" and with_words.scope != NOWHERE and searching:
        return _searched(first, second, domain, with_words)
    return with_words


def domain_of(first: Operator, second: Operator, *, ranges: Ranges | None = None) -> Domain:
    """The sizes for which two operators are compared, with the values that are run through."""
    domain = Domain.of(first, second)
    if first.is_concrete and second.is_concrete:
        return domain
    swept = swept_symbols(first) | swept_symbols(second)
    return replace(domain, swept=_swept(sorted(swept, key=str), ranges or {}))


def _swept(symbols: list[Any], ranges: Ranges) -> Swept:
    """The values of each symbol that is a stride or dilation."""
    given = {str(letter): values for letter, values in ranges.items()}
    unused = sorted(set(given) - {letter.name for letter in symbols})
    if unused:
        raise ArgumentError(
            f"ranges names {', '.join(unused)}, which is not a stride or dilation here; those are "
            f"{', '.join(map(str, symbols)) or 'numbers'}"
        )
    chosen = []
    for letter in symbols:
        values = sorted({as_size(v, letter.name) for v in given.get(letter.name, DEFAULT_RANGE)})
        if not values:
            raise ArgumentError(f"ranges[{letter.name!r}] is empty: give at least one value")
        chosen.append((letter, tuple(values)))
    return tuple(chosen)


def _decided(
    first: Operator, second: Operator, claim: Claim, domain: Domain, budget: int
) -> Verdict:
    """Equality by isl, for each value of strides and dilations that are symbols."""
    try:
        with families.limited(budget):
            if not domain.swept:
                return _decide_family(first, second, claim, domain)
            return _sweep(first, second, claim, domain)
    except (UndecidableError, UntraceableError) as error:
        return Verdict("unknown", claim, "all sizes", "none", reason=str(error))


def _sweep(first: Operator, second: Operator, claim: Claim, domain: Domain) -> Verdict:
    """The claim for each value of the symbols that are strides or dilations.

    Raises: UndecidableError where the claim at some value is not decided.
    """
    refuted: list[tuple[Any, Counterexample]] = []
    decided = 0
    scope = str(domain)
    for chosen in product(*(values for _, values in domain.swept)):
        numbers = {letter: value for (letter, _), value in zip(domain.swept, chosen, strict=True)}
        try:
            sides = [replaced(side, numbers) for side in (first, second)]
        except ArgumentError:
            continue  # Nothing exists with these numbers.
        own = Domain.of(*sides)
        if own.letters:
            verdict = _decide_family(sides[0], sides[1], claim, own, scope=scope)
        else:
            verdict = _decide_numbers(sides[0], sides[1], claim, own)
        if verdict.scope == NOWHERE:
            continue
        decided += 1
        if verdict.counterexample is not None:
            sizes = {
                **verdict.counterexample.sizes,
                **{letter.name: value for letter, value in numbers.items()},
            }
            ordered = {s.name: sizes.get(s.name, 0) for s in domain.letters}
            rank = (sum(ordered.values()), tuple(ordered.values()))
            refuted.append((rank, replace(verdict.counterexample, sizes=ordered)))
    if not decided:
        return _nowhere(claim)
    if refuted:
        found = min(refuted, key=lambda pair: pair[0])[1]
        return Verdict("refuted", claim, scope, ISL, found)
    return Verdict("proved", claim, scope, ISL)


def _decide_family(
    first: Operator, second: Operator, claim: Claim, domain: Domain, *, scope: str = ""
) -> Verdict:
    """Equality of the parametric sets of entries, by isl.

    `scope`: the domain in words, where it is printed already.

    Raises: UndecidableError where that is no question of Presburger arithmetic.
    """
    if domain.points.is_empty():
        return _nowhere(claim)
    shapes = families.shapes_differ(first, second, domain)
    apart = [] if shapes is None else [shapes]
    try:
        apart += families.difference(first, second, domain)
    except UndecidableError:
        # The ones of a sum over a window of symbolic size may be any weights.
        if apart or families.difference(families.freed(first), families.freed(second), domain):
            raise
        return Verdict(
            "proved", claim, scope or str(domain), f"{ISL}, for any weights in the windows"
        )
    if not apart:
        return Verdict("proved", claim, scope or str(domain), ISL)
    _, sizes, point = families.smallest(apart, domain.letters)
    found = counterexample(first, second, domain, sizes, point)
    return Verdict("refuted", claim, scope or str(domain), ISL, found)


NOWHERE = "no sizes"


def _nowhere(claim: Claim) -> Verdict:
    reason = "there are no sizes at which both exist"
    return Verdict("unknown", claim, NOWHERE, ISL, reason=reason)


MOST_LOOKED_AT, MOST_TRIED = 3000, 400
"""Sizes that are looked at, and those in the domain that are compared one by one, where nothing
decides for all."""
MOST_ENTRIES = 20_000
"""Entries of all matrices that are compared one by one there."""


def _searched(first: Operator, second: Operator, domain: Domain, verdict: Verdict) -> Verdict:
    """An undecided claim compared at small sizes, the smallest first."""
    entries, tried = 0, 0
    largest: dict[str, int] = {}
    try:
        for sizes in islice(_small_sizes(domain), MOST_LOOKED_AT):
            if tried == MOST_TRIED:
                break
            if not domain.holds_at(sizes):
                continue
            sides = [replaced(side, sizes) for side in (first, second)]
            entries += sum(nonzero_bound(side) + side.shape[0] for side in sides)
            if entries > MOST_ENTRIES:
                break
            tried += 1
            largest = {letter.name: value for letter, value in sizes.items()}
            point = _first_difference(*sides)
            if point is not None:
                found = counterexample(first, second, domain, largest, point)
                return replace(
                    verdict,
                    status="refuted",
                    scope=str(domain),
                    method="exact comparison at small sizes, the smallest first",
                    counterexample=found,
                    reason="",
                )
    except (UndecidableError, UntraceableError, TooLargeError):
        return verdict
    if not tried:
        return verdict
    last = ", ".join(f"{name} = {value}" for name, value in largest.items())
    words = f"{verdict.reason}; equal at the {tried} smallest sizes tried, up to {last}"
    return replace(verdict, reason=f"{words}, which proves nothing")


def _small_sizes(domain: Domain) -> Iterator[dict[Any, int]]:
    """All sizes by their sum, then in the order of the symbols."""
    swept = dict(domain.swept)
    letters = domain.letters

    def shared(total: int, number: int) -> Iterator[tuple[int, ...]]:
        letter = letters[number]
        if number == len(letters) - 1:
            if letter not in swept or total in swept[letter]:
                yield (total,)
            return
        for value in range(total + 1):
            if letter not in swept or value in swept[letter]:
                for rest in shared(total - value, number + 1):
                    yield (value, *rest)

    # Every value that is swept lies below the last total; others could go on for ever.
    for total in count():
        for values in shared(total, 0):
            yield dict(zip(letters, values, strict=True))


def _first_difference(first: Operator, second: Operator) -> tuple[int, ...] | None:
    """The index (row, column) of the first entries that differ, () for shapes, None for none."""
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        return ()
    pairs = zip(exact_rows(first, Polynomial.of), exact_rows(second, Polynomial.of), strict=True)
    for row, (left, right) in enumerate(pairs):
        for column in sorted(left.keys() | right.keys()):
            gap = Polynomial.of(left.get(column, 0)) - Polynomial.of(right.get(column, 0))
            if not coefficients.is_zero(gap):
                index = (
                    *np.unravel_index(row, first.out_shape),
                    *np.unravel_index(column, first.in_shape),
                )
                return tuple(int(k) for k in index)
    return None


def counterexample(
    first: Operator,
    second: Operator,
    domain: Domain,
    sizes: dict[str, int],
    point: tuple[int, ...],
) -> Counterexample:
    """Where two operators differ at some sizes: at an entry, or by their shapes (point ())."""
    numbers = {letter: sizes[letter.name] for letter in domain.letters if letter.name in sizes}
    sides = [replaced(side, numbers) for side in (second, first)]
    if any(a.in_shape != b.in_shape or a.out_shape != b.out_shape for a, b in [sides]):
        shapes = [f"shape {s.in_shape} to {s.out_shape}" for s in sides]
        return Counterexample(sizes, None, None, shapes[0], shapes[1], {}, _Shapes(*sides))
    rows = len(first.out_shape)
    row, column = point[:rows], point[rows : rows + len(first.in_shape)]
    replay = _Entries(sides[0], sides[1], row, column)
    claimed, actual = replay.entries()
    return Counterexample(
        sizes,
        row,
        column,
        claimed.to_sympy(),
        actual.to_sympy(),
        evaluate=replay,
        shapes=(sides[0].out_shape, sides[0].in_shape),
    )


@dataclass(frozen=True)
class _Entries:
    """Replays a counterexample: one entry of both sides, evaluated afresh."""

    claimed: Operator
    actual: Operator
    row: tuple[int, ...]
    column: tuple[int, ...]

    def entries(self) -> tuple[Polynomial, Polynomial]:
        """Both entries as polynomials in the weights."""
        return (
            entry(self.claimed, self.row, self.column),
            entry(self.actual, self.row, self.column),
        )

    def __call__(self) -> tuple[Any, Any]:
        """Both entries as numbers, with a different prime for each weight."""
        return prime_values(*self.entries())


@dataclass(frozen=True)
class _Shapes:
    """Replays a counterexample: the shapes of both sides."""

    claimed: Operator
    actual: Operator

    def __call__(self) -> tuple[Any, Any]:
        """Both pairs (in_shape, out_shape)."""
        claimed, actual = self.claimed, self.actual
        return (claimed.in_shape, claimed.out_shape), (actual.in_shape, actual.out_shape)


def entry(operator: Operator, row: tuple[int, ...], column: tuple[int, ...]) -> Polynomial:
    """One entry of the matrix as a polynomial in the weights."""
    place = _flat(row, operator.out_shape)
    return Polynomial.of(
        exact_row(operator, place, Polynomial.of).get(_flat(column, operator.in_shape), 0)
    )


def _flat(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    place = 0
    for k, size in zip(index, shape, strict=True):
        place = place * size + k
    return place


def prime_values(*values: Polynomial) -> tuple[Any, ...]:
    """Polynomials at a different prime for each symbol, in order of name.

    Larger primes are taken while polynomials that differ have one value.
    """
    import sympy

    symbols: set[Any] = set()
    for value in values:
        symbols.update(*(g.to_sympy().free_symbols for g in value.generators))
    ordered = sorted(symbols, key=lambda s: (s.name, str(s.assumptions0)))
    found: tuple[Any, ...] = ()
    for first in range(1, 100, 7):
        primes = {symbol: sympy.prime(first + k) for k, symbol in enumerate(ordered)}
        found = tuple(_number(value.to_sympy().subs(primes)) for value in values)
        if len(set(found)) == len(found) or not symbols:
            break
    return found


def _number(value: Any) -> Any:
    """A SymPy number as Python's own, where it is rational."""
    if value.is_Integer:
        return int(value)
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value


def _decide_numbers(first: Operator, second: Operator, claim: Claim, domain: Domain) -> Verdict:
    """Equality entry by entry, as polynomials in the weights."""
    scope = str(domain)
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        found = counterexample(first, second, domain, {}, ())
        return Verdict("refuted", claim, scope, IDENTITY, found, domain=domain)
    try:
        total = sum(nonzero_bound(side) + side.shape[0] for side in (first, second))
        if total > MOST_COMPARED:
            raise UndecidableError(
                f"budget spent: the two matrices have up to {total} entries, more than the "
                f"{MOST_COMPARED} that are compared one by one; compare the family with symbols "
                f"for its sizes"
            )
        point = _first_difference(first, second)
    except (UndecidableError, UntraceableError, TooLargeError) as error:
        return Verdict("unknown", claim, scope, IDENTITY, reason=str(error), domain=domain)
    if point is None:
        return Verdict("proved", claim, scope, IDENTITY, domain=domain)
    found = counterexample(first, second, domain, {}, point)
    return Verdict("refuted", claim, scope, IDENTITY, found, domain=domain)


MOST_COMPARED = 20_000_000
"""Entries of two matrices that are compared one by one."""


def equivariant(
    operator: Operator,
    shift: Any,
    *,
    out_shift: Any = None,
    interior: bool = False,
    ranges: Ranges | None = None,
    budget: int = BUDGET,
) -> Verdict:
    """Whether shifting the input shifts the output: A S = S' A.

    `shift`: samples that the input moves by, an int (or letter) or one per spatial axis;
    `out_shift`: that of the output, the same unless given. What moves in is zeros, or the other
    end where the operator's boundary is circular. With `interior`, only outputs further than
    the shift and the padding from the border are compared.

    Raises: KindError unless the operator is one layer or pooling, else as `equal`. The first
    axis of a pooling is taken as channels when it moves nothing along it.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> A = ca.correlation(n, ca.kernel(K))
    >>> equivariant(A, 1, interior=True).status, equivariant(A, 1).counterexample.sizes
    ('proved', {'n': 2, 'K': 2})
    """
    a_kind(interior, bool, "interior must be True or False")
    layer = _one_layer(operator)
    axes = layer.axes
    dims = len(axes)
    moved = per_axis(shift, "shift", dims, least=None)
    arrived = moved if out_shift is None else per_axis(out_shift, "out_shift", dims, least=None)
    circular = all(axis.boundary == "circular" for axis in axes)
    before = _shift(layer.in_spatial, moved, circular, layer.in_channels)
    after = _shift(layer.out_spatial, arrived, circular, layer.out_channels)
    left, right = compose(operator, before), compose(after, operator)
    claim = f"{operator!r} commutes with the shift by {shift}"
    if interior:
        margins = [
            (abs(step) + axis.before, abs(step) + axis.before)
            for step, axis in zip(arrived, axes, strict=True)
        ]
        try:
            inner = pad(
                layer.out_spatial,
                tuple((-a, -b) for a, b in margins),
                channels=layer.out_channels,
            )
        except ArgumentError as error:
            reason = f"no output is that far from the border: {error}"
            return Verdict("unknown", claim, NOWHERE, IDENTITY, reason=reason)
        left, right = compose(inner, left), compose(inner, right)
    verdict = decide(left, right, claim=claim, ranges=ranges, budget=budget)
    if verdict.status != "refuted":
        return verdict
    hint = _equivariance_hint(operator, shift, out_shift, interior)
    return replace(verdict, hint=hint)


def _one_layer(operator: Any) -> Geometry:
    """The geometry of a layer, of a pooling, or of one with a factor."""
    match operator:
        case Convolution(geometry=geometry):
            return geometry
        case Scaled(operator=inner) | Compose(factors=(Diagonal(), inner)):
            return _one_layer(inner)
        case Selection(axes=(first, *rest)) if not _is_reshape(operator):
            if rest and first == Axis(first.in_size, first.in_size):
                return Geometry(tuple(rest), first.in_size, first.in_size, first.in_size)
            return operator.geometry
    raise KindError(
        f"equivariant takes one correlation, convolution or pooling, not {operator!r}: simplify() "
        f"it first"
    )


def _is_reshape(operator: Selection) -> bool:
    own = operator.geometry
    return (own.in_shape, own.out_shape) != (operator.in_shape, operator.out_shape)


def _shift(shape: Any, steps: Any, circular: bool, channels: Any) -> Operator:
    boundary: Boundary = "circular" if circular else "zeros"
    return shift_operator(shape, steps, boundary=boundary, channels=channels)


def _equivariance_hint(operator: Operator, shift: Any, out_shift: Any, interior: bool) -> str:
    """A confirmed way to mend the claim, or nothing."""
    strides = {axis.stride for axis in _one_layer(operator).axes}
    if out_shift is None and isinstance(shift, int) and len(strides) == 1:
        (stride,) = strides
        if isinstance(stride, int) and stride > 1:
            if shift % stride:
                return (
                    f"a stride of {stride} keeps only shifts by multiples of {stride}; "
                    f"{shift} is none"
                )
            if equivariant(operator, shift, out_shift=shift // stride, interior=True):
                return f"the output moves by {shift // stride}: out_shift={shift // stride}"
    if not interior and equivariant(operator, shift, out_shift=out_shift, interior=True):
        return "it holds away from the border: interior=True"
    return ""
