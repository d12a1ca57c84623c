"""Claims about operators: equality and adjointness. Claims about functions: `functions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from convalg.errors import ArgumentError, KindError, ShapeError, TooLargeError, UndecidableError
from convalg.operators.families import replaced
from convalg.operators.tree import Operator
from convalg.prove import hints
from convalg.prove.certificates import Claimed
from convalg.prove.comparison import (
    FIRST_TRIED,
    MOST_COMPARED,
    MOST_TRIED,
    compare_small_sizes,
    counterexample,
    entry_bound,
    first_difference,
)
from convalg.prove.decisions import coefficients, families, nonlinear
from convalg.prove.decisions.domain import Domain, Swept, swept_symbols
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.polynomials import UntraceableError
from convalg.prove.verdict import IDENTITY, ISL, Z3, Claim, Counterexample, Verdict
from convalg.size import as_size

if TYPE_CHECKING:
    import sympy

DEFAULT_RANGE = range(1, 9)
"""The values of a symbolic stride or dilation for which a claim is decided if z3 leaves it open."""


Ranges = Mapping[Any, Iterable[int]]


def equal(
    first: Operator, second: Operator, *, ranges: Ranges | None = None, budget: int = BUDGET
) -> Verdict:
    """Decide whether two operators are equal, for all values of their symbolic sizes.

    Two symbols in weights are the same symbol only if their names and assumptions are equal.

    Args:
        first: an operator, or a family with symbolic sizes. A counterexample calls its entry
            `actual`.
        second: an operator with as many input and output axes as `first`. A counterexample calls
            its entry `claimed`.
        ranges: for a symbol that is a stride or dilation (or its name), the values for which the
            claim is decided; all values of at least 1 unless given. The scope lists them.
        budget: the number of operations of isl, and of z3 for one question, that the proof may use;
            when they are used up, the verdict is "unknown".

    Returns:
        A verdict whose scope includes every precondition of the constructors on both sides.

    Raises:
        KindError: unless both arguments are operators.
        ShapeError: when the operators have different numbers of axes.
        ArgumentError: when one name is used for two different symbols of sizes or for two
            different kernels, when `ranges` names a symbol that is not a stride or dilation or
            has no values for a symbol, and when `budget` is not a positive integer.

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
            raise KindError(
                f"equal compares two operators, not {type(operator).__name__}: pass operators, "
                f"such as ca.correlation(...)"
            )
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
    """The claim as text, written when it is first read: printing takes longer than comparing."""

    first: Operator
    second: Operator

    def __call__(self) -> str:
        return f"{self.first!r} = {self.second!r}"


def adjoint(
    first: Operator, second: Operator, *, ranges: Ranges | None = None, budget: int = BUDGET
) -> Verdict:
    """Decide whether the second operator is the adjoint of the first.

    The claim is <A x, y> = <x, B y> for all x and y.

    Args:
        first: the operator A, or a family with symbolic sizes.
        second: the operator B that is claimed to be the adjoint of A.
        ranges: the values of symbolic strides and dilations, as in `ca.prove.equal`.
        budget: the number of isl operations that the proof may use, as in `ca.prove.equal`.

    Returns:
        The verdict of `ca.prove.equal` on A^T and B.

    Raises:
        KindError: unless both arguments are operators.
        ShapeError: when the input and output of B do not have as many axes as those of A^T.
        ArgumentError: as in `ca.prove.equal`.

    >>> import convalg as ca
    >>> n = ca.sizes("n")[0]
    >>> bool(ca.prove.adjoint(ca.downsample(2 * n, 2), ca.upsample(n, 2, size=2 * n)))
    True
    """
    if not isinstance(first, Operator):
        raise KindError(
            f"adjoint compares two operators, not {type(first).__name__}: pass operators, "
            f"such as ca.correlation(...)"
        )
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
    """Decide the equality of two operators with the same numbers of axes, without hints.

    Where no decision procedure applies and `searching` is true, small sizes are compared: a
    difference refutes the claim, and agreement leaves it unknown.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise ArgumentError(f"budget must be a positive integer (isl operations), not {budget!r}")
    domain = domain_of(first, second, ranges=ranges)
    try:
        coefficients.check_canonical(
            [*coefficients.entries_of(first), *coefficients.entries_of(second)]
        )
    except UndecidableError as error:
        return Verdict("unknown", claim, str(domain), "none", reason=str(error), domain=domain)
    if first.is_concrete and second.is_concrete:
        verdict = _decide_numbers(first, second, claim, domain)
        return replace(verdict, evidence=(Claimed(claim, first, second, domain),))
    named: dict[str, Any] = {}
    for symbol in domain.symbols:
        if named.setdefault(symbol.name, symbol) != symbol:
            raise ArgumentError(
                f"the symbol {symbol.name} was created twice with different assumptions: create it "
                f"once, with ca.sizes"
            )
    families.kernels_of([first, second])
    verdict = _decided(first, second, claim, domain, budget, searching)
    domain = verdict.domain or domain
    evidence = (Claimed(claim, first, second, domain),)
    verdict = replace(verdict, statement=claim, domain=domain, evidence=evidence)
    if verdict.status == "unknown" and verdict.scope != NO_SIZES and searching:
        return _searched(first, second, domain, verdict)
    return verdict


def domain_of(first: Operator, second: Operator, *, ranges: Ranges | None = None) -> Domain:
    """Return the sizes at which two operators are compared, with the values of `ranges`."""
    domain = Domain.of(first, second)
    if first.is_concrete and second.is_concrete:
        return domain
    return replace(domain, swept=_swept(_steps(first, second), ranges or {}))


def _steps(first: Operator, second: Operator) -> list[sympy.Symbol]:
    """Return the symbols of strides and dilations, sorted."""
    return sorted(swept_symbols(first) | swept_symbols(second), key=str)


def _swept(symbols: list[sympy.Symbol], ranges: Ranges) -> Swept:
    """Return each symbol of a stride or dilation that has values in `ranges`, with these values."""
    given = {str(symbol): values for symbol, values in ranges.items()}
    unused = sorted(set(given) - {symbol.name for symbol in symbols})
    if unused:
        raise ArgumentError(
            f"ranges has values for {', '.join(unused)}, but the symbolic strides and dilations "
            f"here are: {', '.join(map(str, symbols)) or 'none'}"
        )
    chosen = []
    for symbol in symbols:
        if symbol.name in given:
            values = sorted({as_size(v, symbol.name) for v in given[symbol.name]})
            if not values:
                raise ArgumentError(f"ranges[{symbol.name!r}] is empty: give at least one value")
            chosen.append((symbol, tuple(values)))
    return tuple(chosen)


def _decided(
    first: Operator,
    second: Operator,
    claim: Claim,
    domain: Domain,
    budget: int,
    searching: bool,
) -> Verdict:
    """Decide equality with isl if strides and dilations have values, otherwise with z3.

    Where z3 leaves the claim open, the symbolic strides and dilations are swept. Without
    `searching`, a claim that z3 refutes has no counterexample.
    """
    free = [symbol for symbol in _steps(first, second) if symbol not in dict(domain.swept)]
    if not free:
        verdict = _by_isl(first, second, claim, domain, budget)
        other = verdict if verdict.status != "unknown" or verdict.scope == NO_SIZES else None
        return other or _by_z3(first, second, claim, domain, budget, searching) or verdict
    decided = _by_z3(first, second, claim, domain, budget, searching)
    if decided is not None:
        return decided
    narrow = swept_domain(domain, free)
    return replace(_by_isl(first, second, claim, narrow, budget), domain=narrow)


def swept_domain(domain: Domain, symbols: Iterable[sympy.Symbol]) -> Domain:
    """Return a domain in which some symbols have the values of `DEFAULT_RANGE` only."""
    values = tuple((symbol, tuple(DEFAULT_RANGE)) for symbol in symbols)
    return replace(domain, swept=tuple(sorted((*domain.swept, *values), key=str)))


def _by_isl(
    first: Operator, second: Operator, claim: Claim, domain: Domain, budget: int
) -> Verdict:
    """Decide equality with isl, for each value of the symbolic strides and dilations."""
    try:
        with families.limited(budget):
            if not domain.swept:
                return _decide_family(first, second, claim, domain)
            return _sweep(first, second, claim, domain)
    except (UndecidableError, UntraceableError) as error:
        return Verdict("unknown", claim, "all sizes", "none", reason=str(error))


def _by_z3(
    first: Operator,
    second: Operator,
    claim: Claim,
    domain: Domain,
    budget: int,
    searching: bool,
) -> Verdict | None:
    """Decide equality with z3, or return None where the claim is left open."""
    try:
        formulas = nonlinear.formulas(first, second, domain)
    except (UndecidableError, UntraceableError):
        return _for_any_windows(first, second, claim, domain, budget)
    outcome = nonlinear.decide(formulas, domain, budget)
    match outcome.status:
        case "proved":
            return Verdict("proved", claim, str(domain), Z3)
        case "empty":
            return _no_sizes(claim)
        case "refuted" if searching:
            return _refuted(first, second, claim, domain, formulas, outcome.values, budget)
        case "refuted":
            return Verdict("refuted", claim, str(domain), Z3)
    return None


def _for_any_windows(
    first: Operator, second: Operator, claim: Claim, domain: Domain, budget: int
) -> Verdict | None:
    """Prove equality for arbitrary weights in the windows with z3, or return None."""
    try:
        formulas = nonlinear.proof_formulas(first, second, domain)
    except (UndecidableError, UntraceableError):
        return None
    outcome = nonlinear.decide(formulas, domain, budget)
    if outcome.status != "proved":
        return None
    method = f"{Z3}, for arbitrary weights in the windows"
    return Verdict("proved", claim, str(domain), method)


def _refuted(
    first: Operator,
    second: Operator,
    claim: Claim,
    domain: Domain,
    formulas: nonlinear.Formulas,
    start: dict[sympy.Symbol, int],
    budget: int,
) -> Verdict | None:
    """Return the refutation of a claim that fails at some sizes, with the smallest ones.

    The result is None where the matrices at these sizes are too large for the first entry that
    differs to be found.
    """
    method = Z3
    try:
        search = compare_small_sizes(first, second, domain, FIRST_TRIED)
        named, point = search.sizes, search.point
        if point is None:
            sizes = nonlinear.smallest(formulas, domain, start, budget)
            if sizes is None:
                sizes, method = start, f"{Z3}; smaller sizes than these were not excluded"
            named = {symbol.name: value for symbol, value in sizes.items()}
            sides = [replaced(side, sizes) for side in (first, second)]
            if entry_bound(*sides) > MOST_COMPARED:
                return None
            point = first_difference(*sides)
    except (UndecidableError, UntraceableError, TooLargeError):
        return None
    if point is None:
        return None
    witness = counterexample(first, second, domain, named, point)
    return Verdict("refuted", claim, str(domain), method, witness)


def _sweep(first: Operator, second: Operator, claim: Claim, domain: Domain) -> Verdict:
    """Decide the claim for each value of the symbolic strides and dilations.

    Raises: UndecidableError where the claim is not decided for some value.
    """
    refuted: list[tuple[Any, Counterexample]] = []
    decided = 0
    scope = str(domain)
    for chosen in product(*(values for _, values in domain.swept)):
        numbers = {symbol: value for (symbol, _), value in zip(domain.swept, chosen, strict=True)}
        try:
            sides = [replaced(side, numbers) for side in (first, second)]
        except ArgumentError:
            continue  # No operator exists with these numbers.
        own = Domain.of(*sides)
        # In the order of the whole claim, so that the same counterexample is the smallest.
        own = replace(own, symbols=tuple(v for v in domain.symbols if v in own.symbols))
        if own.symbols:
            verdict = _decide_family(sides[0], sides[1], claim, own, scope=scope)
        else:
            verdict = _decide_numbers(sides[0], sides[1], claim, own)
        if verdict.scope == NO_SIZES:
            continue
        decided += 1
        if verdict.counterexample is not None:
            sizes = {
                **verdict.counterexample.sizes,
                **{symbol.name: value for symbol, value in numbers.items()},
            }
            ordered = {s.name: sizes.get(s.name, 0) for s in domain.symbols}
            rank = (sum(ordered.values()), tuple(ordered.values()))
            refuted.append((rank, replace(verdict.counterexample, sizes=ordered)))
    if not decided:
        return _no_sizes(claim)
    if refuted:
        smallest = min(refuted, key=lambda pair: pair[0])[1]
        return Verdict("refuted", claim, scope, ISL, smallest)
    return Verdict("proved", claim, scope, ISL)


def _decide_family(
    first: Operator, second: Operator, claim: Claim, domain: Domain, *, scope: str = ""
) -> Verdict:
    """Decide the equality of the parametric sets of entries with isl.

    `scope`: the domain as text, where the caller has it already.

    Raises: UndecidableError where the question is not one of Presburger arithmetic.
    """
    if domain.points.is_empty():
        return _no_sizes(claim)
    shapes = families.shapes_differ(first, second, domain)
    apart = [] if shapes is None else [shapes]
    try:
        apart += families.difference(first, second, domain)
    except UndecidableError:
        # A claim that holds for arbitrary weights holds for the ones in a sum over a window.
        if apart or families.difference(families.freed(first), families.freed(second), domain):
            raise
        return Verdict(
            "proved", claim, scope or str(domain), f"{ISL}, for arbitrary weights in the windows"
        )
    if not apart:
        return Verdict("proved", claim, scope or str(domain), ISL)
    _, sizes, point = families.smallest(apart, domain.symbols)
    witness = counterexample(first, second, domain, sizes, point)
    return Verdict("refuted", claim, scope or str(domain), ISL, witness)


NO_SIZES = "no sizes"
FEW_ENTRIES = 5_000
"""The number of entries that are compared faster one by one than as sets."""


def _no_sizes(claim: Claim) -> Verdict:
    reason = "there are no sizes at which both operators exist"
    return Verdict("unknown", claim, NO_SIZES, ISL, reason=reason)


def _searched(first: Operator, second: Operator, domain: Domain, verdict: Verdict) -> Verdict:
    """Compare both sides of an undecided claim at small sizes, smallest first."""
    try:
        search = compare_small_sizes(first, second, domain, MOST_TRIED)
    except (UndecidableError, UntraceableError, TooLargeError):
        return verdict
    if search.point is not None:
        return replace(
            verdict,
            status="refuted",
            scope=str(domain),
            method="exact comparison at small sizes, smallest first",
            counterexample=counterexample(first, second, domain, search.sizes, search.point),
            reason="",
        )
    if not search.tried:
        return verdict
    last = ", ".join(f"{name} = {value}" for name, value in search.sizes.items())
    agreement = f"both sides agree at the {search.tried} smallest sizes tried, up to {last}"
    return replace(verdict, reason=f"{verdict.reason}; {agreement}, which is not a proof")


def _decide_numbers(first: Operator, second: Operator, claim: Claim, domain: Domain) -> Verdict:
    """Decide equality by the sets of entries of large matrices, otherwise entry by entry."""
    scope = str(domain)
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        witness = counterexample(first, second, domain, {}, ())
        return Verdict("refuted", claim, scope, IDENTITY, witness, domain=domain)
    total = entry_bound(first, second)
    if total > FEW_ENTRIES:
        verdict = _by_isl(first, second, claim, domain, BUDGET)
        if verdict.status != "unknown":
            return replace(verdict, domain=domain)
    try:
        if total > MOST_COMPARED:
            raise UndecidableError(
                f"budget exceeded: the two matrices have up to {total} entries, more than "
                f"{MOST_COMPARED}: compare the family with symbolic sizes"
            )
        point = first_difference(first, second)
    except (UndecidableError, UntraceableError, TooLargeError) as error:
        return Verdict("unknown", claim, scope, IDENTITY, reason=str(error), domain=domain)
    if point is None:
        return Verdict("proved", claim, scope, IDENTITY, domain=domain)
    witness = counterexample(first, second, domain, {}, point)
    return Verdict("refuted", claim, scope, IDENTITY, witness, domain=domain)
