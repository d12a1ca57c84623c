"""Claims about operators: equal with numbers, adjoint, equivariant."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import brute
import numpy as np
import pytest
import random_claims
import sympy

import convalg as ca
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.prove import adjoint, equal, equality

n, m, K, L, p, s, C, D = ca.sizes("n m K L p s C D")
A = ca.correlation(n, ca.kernel(K))
IDENTITY = "exact polynomial identity, entry by entry"


# -- concrete operators ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ca.correlation(5, ca.kernel(3)), ca.convolution(5, ca.flip(ca.kernel(3)))),
        (
            ca.correlation((4, 5), ca.kernel(2, 3)).T,
            ca.convolution((3, 3), ca.kernel(2, 3), padding="full"),
        ),
        (ca.correlation(4, [0.1, 0.2]), Fraction(1, 10) * ca.correlation(4, [1, 2])),
        (
            ca.correlation(4, [sympy.Symbol("a") ** 2 - 1]),
            ca.correlation(4, [(sympy.Symbol("a") - 1) * (sympy.Symbol("a") + 1)]),
        ),
        (ca.reshape((2, 3), 6) @ ca.reshape(6, (2, 3)), ca.identity(6)),
        (ca.dense([[1, 2], [3, 4]]).T, ca.dense([[1, 3], [2, 4]])),
        (ca.average_pool(4, 2), ca.correlation(4, [0.5, 0.5], stride=2)),
    ],
    ids=str,
)
def test_equal_at_this_size(first: ca.Operator, second: ca.Operator) -> None:
    verdict = equal(first, second)
    assert (verdict.status, verdict.method) == ("proved", IDENTITY)
    assert verdict.scope.split(";")[0] == "this size"


@pytest.mark.parametrize(
    ("first", "second", "row", "column"),
    [
        (ca.correlation(5, [1, 2, 3]), ca.correlation(5, [1, 2, 4]), (0,), (2,)),
        (ca.identity((2, 2)), ca.flip_axes((2, 2), axes=(1,)), (0, 0), (0, 0)),
        (ca.correlation(5, ca.kernel(2)), 2 * ca.correlation(5, ca.kernel(2)), (0,), (0,)),
        (
            ca.correlation(3, [1, 1], padding=1),
            ca.correlation(3, [1, 1], padding=1, boundary="edge"),
            (0,),
            (0,),
        ),
    ],
    ids=str,
)
def test_the_first_entry_that_differs(
    first: ca.Operator, second: ca.Operator, row: tuple[int, ...], column: tuple[int, ...]
) -> None:
    verdict = equal(first, second)
    brute.check_refuted((first, second), verdict)
    assert verdict.counterexample is not None
    assert (verdict.counterexample.row_index, verdict.counterexample.column_index) == (row, column)
    assert verdict.counterexample.sizes == {}


def test_shapes_of_numbers_differ() -> None:
    verdict = equal(ca.correlation(5, ca.kernel(3)), ca.correlation(5, ca.kernel(3), padding=1))
    assert verdict.counterexample is not None
    assert verdict.counterexample.claimed == "shape (5,) to (5,)"
    assert verdict.counterexample.actual == "shape (5,) to (3,)"


def test_weights_that_are_no_polynomials_are_not_refuted() -> None:
    a = sympy.Symbol("a")
    first = ca.correlation(3, [sympy.sin(a) ** 2 + sympy.cos(a) ** 2])
    verdict = equal(first, ca.correlation(3, [1]))
    assert verdict.status == "unknown"
    assert "sin(a)**2 + cos(a)**2 has no canonical form" in verdict.reason
    assert equal(first, first).status == "unknown"


def test_floats_that_are_not_quite_equal_differ() -> None:
    assert not equal(ca.correlation(3, [0.1 + 0.2]), ca.correlation(3, [0.3]))


def test_large_integers_stay_exact() -> None:
    first = ca.correlation(3, np.array([2**70], dtype=object))
    assert equal(first, 2**35 * (2**35 * ca.identity(3)))
    assert not equal(first, ca.correlation(3, np.array([2**70 + 1], dtype=object)))


def test_one_side_a_family_and_the_other_not() -> None:
    verdict = equal(A.at(n=5), ca.correlation(5, ca.kernel(3, name="v")))
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"K": 1}


@pytest.mark.parametrize("other", [5, None, "A", lambda x: x, [[1]]])
def test_equal_compares_operators(other: Any) -> None:
    with pytest.raises(KindError, match="equal compares two operators, not"):
        equal(A, other)
    with pytest.raises(KindError, match="equal compares two operators, not"):
        equal(other, A)


# -- adjoint --------------------------------------------------------------------------------


def test_adjoints_at_all_sizes() -> None:
    full = ca.convolution(n - K + 1, ca.kernel(K), padding="full")
    assert adjoint(A, full).scope == "all n >= K >= 1"
    assert adjoint(full, A)
    assert adjoint(ca.downsample(2 * n, 2), ca.upsample(n, 2, size=2 * n))
    assert adjoint(ca.pad(n, p), ca.crop(n + 2 * p, p))
    assert adjoint(ca.shift(n, 2), ca.shift(n, -2))
    verdict = adjoint(A, ca.correlation(n - K + 1, ca.kernel(K), padding="full"))
    assert verdict.hint == "flip the kernel"


def test_adjoints_of_borders() -> None:
    """Padding by reflection is no crop when transposed: what it repeats is added up."""
    fold = ca.pad(n, 1, boundary="reflect")
    assert adjoint(fold, fold.T)
    assert adjoint(fold, ca.crop(n + 2, 1)).status == "refuted"
    circular = ca.correlation(n, ca.kernel(3), padding=1, boundary="circular")
    turned = ca.convolution(n, ca.kernel(3), padding=1, boundary="circular")
    assert adjoint(circular, turned)


def test_adjoint_at_numbers() -> None:
    assert adjoint(ca.correlation(4, [1, 2]), ca.convolution(3, [1, 2], padding="full"))
    assert not adjoint(ca.correlation(4, [1, 2]), ca.correlation(3, [1, 2], padding="full"))


def test_adjoint_of_letter_strides() -> None:
    verdict = adjoint(ca.downsample(n, s), ca.downsample(n, s).T, ranges={"s": range(1, 4)})
    assert verdict.scope == "all n >= 1, for each s in 1..3"


def test_adjoint_refuses_what_is_none() -> None:
    with pytest.raises(KindError, match="adjoint compares two operators, not int"):
        adjoint(5, A)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="different numbers of axes"):
        adjoint(A, ca.identity((n, m)))


# -- symbols and domains --------------------------------------------------------------------


def test_a_letter_made_twice_is_refused() -> None:
    other = sympy.Symbol("n", integer=True, positive=True)
    with pytest.raises(ArgumentError, match="was created twice with different assumptions"):
        equal(ca.identity(other), ca.identity(ca.sizes("n")[0]))


def test_a_domain_without_floors() -> None:
    n, k = ca.sizes("n K")
    layer = ca.correlation(n, ca.kernel(k), padding="same", stride=2)
    assert equal(layer, layer).scope == "all n >= 1, K >= 1"


def test_ranges_take_letters_too() -> None:
    n, s = ca.sizes("n s")
    layer = ca.correlation(n, ca.kernel(3), stride=s)
    assert equal(layer, layer, ranges={s: [1, 2]}).scope.endswith("each s in 1..2")


def test_a_claim_prints_the_padding_it_is_about() -> None:
    n = ca.sizes("n")[0]
    layer = ca.correlation(n, ca.kernel(3), stride=2, padding=((1, 2),))
    assert "padding=((1, 2),)" in repr(layer)
    assert "padding=1" in repr(ca.correlation(n, ca.kernel(3), stride=2, padding=1))


def test_sets_and_entries_give_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large matrices are compared as sets of entries, small ones entry by entry."""
    statuses = Counter[str]()
    for seed in range(400, 520):
        claim = random_claims.claim(seed)
        if claim is None:
            continue
        sizes = {symbol: 3 for side in claim[1] for symbol in brute.symbols_of((side, side))}
        sides = [brute.exists(side, sizes) for side in claim[1]]
        if sides[0] is None or sides[1] is None:
            continue
        verdicts = []
        for few in (0, 10**9):
            monkeypatch.setattr(equality, "FEW_ENTRIES", few)
            verdicts.append(equality.decide(*sides, claim="at numbers"))
        assert verdicts[0].status == verdicts[1].status
        assert str(verdicts[0].counterexample) == str(verdicts[1].counterexample)
        statuses[verdicts[0].status] += 1
    assert statuses["proved"] > 20
    assert statuses["refuted"] > 20
