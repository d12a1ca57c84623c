"""The structure of families: at every small size, against loops over the entries of the matrix."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import sympy

import convalg as ca
from convalg.errors import ArgumentError
from convalg.operators.tree import Operator
from convalg.prove.structures import classify

n, m, K, L, p, s, d = ca.sizes("n m K L p s d")
w = ca.kernel(K)

FAMILIES: dict[str, tuple[Operator, str]] = {
    "valid": (ca.correlation(n, w), "Toeplitz"),
    "padded": (ca.correlation(n, w, padding=p), "Toeplitz"),
    "same": (ca.correlation(n, w, padding="same"), "Toeplitz"),
    "strided": (ca.correlation(n, w, stride=s, padding=p), "strided Toeplitz"),
    "strided and dilated": (ca.correlation(n, w, stride=s, dilation=d), "strided Toeplitz"),
    "transposed": (ca.transposed_correlation(n, w, stride=s), "transposed strided Toeplitz"),
    "circular": (ca.correlation(n, w, padding="same", boundary="circular"), "circulant"),
    "reflected": (ca.correlation(n, w, padding=p, boundary="reflect"), "none"),
    "every second output": (
        ca.downsample(n - K + 1, 2) @ ca.correlation(n, w),
        "strided Toeplitz",
    ),
    "a sum": (ca.identity(n) + ca.shift(n, 1), "Toeplitz"),
    "identity": (ca.identity(n), "identity"),
    "flip": (ca.flip_axes(n), "permutation"),
    "circular shift": (ca.shift(n, 1, boundary="circular"), "permutation"),
    "shift": (ca.shift(n, 1), "selection"),
    "downsampled": (ca.downsample(n, s), "selection"),
    "mean": (ca.global_pool(n), "Toeplitz"),
}
FOUND = {name: classify(family) for name, (family, _) in FAMILIES.items()}


def matrix_of(member: Operator) -> list[list[Any]]:
    return sympy.Matrix(member.to_sympy()).expand().tolist()


def holds(kind: str, a: list[list[Any]], stride: int) -> bool:
    """Whether a matrix is of a kind, by a loop over its entries."""
    rows, columns = range(len(a)), range(len(a[0]))
    every = list(product(rows, columns))

    def moves(down: int, right: int) -> bool:
        return all(
            a[o + down][i + right] == a[o][i]
            for o, i in every
            if o + down < len(a) and i + right < len(a[0])
        )

    match kind.partition(" with ")[0]:
        case "Toeplitz":
            return moves(1, 1)
        case "strided Toeplitz":
            return moves(1, stride)
        case "transposed strided Toeplitz":
            return moves(stride, 1)
        case "circulant":
            size = len(a)
            return all(a[(o + 1) % size][(i + 1) % size] == a[o][i] for o, i in every)
        case "identity":
            return all(a[o][i] == int(o == i) for o, i in every)
        case "diagonal":
            return all(a[o][i] == 0 for o, i in every if o != i)
        case "selection":
            return all(
                sorted(row, key=str) in ([0] * len(row), [*[0] * (len(row) - 1), 1]) for row in a
            )
        case "permutation":
            ones = [row.index(1) for row in a if 1 in row]
            return holds("selection", a, 1) and sorted(ones) == list(rows)
    raise AssertionError(kind)


def members(family: Operator, most: int) -> list[tuple[dict[str, int], Operator]]:
    """The members whose sizes have at most a sum."""
    names = [symbol.name for symbol in family.symbols]
    found = []
    for values in product(range(most + 1), repeat=len(names)):
        sizes = dict(zip(names, values, strict=True))
        if sum(values) <= most:
            try:
                found.append((sizes, family.at(**sizes)))
            except ArgumentError:
                continue
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_kinds_hold_at_small_sizes_and_fail_at_no_smaller_ones(name: str) -> None:
    family, strongest = FAMILIES[name]
    found = FOUND[name]
    assert found.kind == strongest
    assert found.unknown == ()
    small = members(family, 8)
    assert len(small) >= 3
    for sizes, member in small:
        a = matrix_of(member)
        stride = sizes.get("s", 2)
        for kind in found.kinds:
            assert kind == "none" or holds(kind, a, stride), (kind, sizes)
        for witness in found.witness:
            if sum(sizes.values()) < sum(witness.sizes.values()):
                assert holds(witness.kind, a, stride), (witness, sizes)


@pytest.mark.parametrize("name", FAMILIES)
def test_witnesses_are_entries_of_the_matrix(name: str) -> None:
    family, _ = FAMILIES[name]
    for witness in FOUND[name].witness:
        assert witness.kind not in FOUND[name].kinds
        a = matrix_of(family.at(**witness.sizes))
        row, column = witness.at
        assert a[row][column] == witness.value
        if witness.other is not None:
            row, column = witness.other
            assert a[row][column] == witness.other_value
        assert not holds(witness.kind, a, witness.sizes.get("s", 2))


def test_formulas_and_scopes() -> None:
    found = FOUND["strided"]
    claims = {v.claim: v for v in found.verdicts}
    verdict = claims["A[o + 1, i + s] = A[o, i]"]
    assert verdict
    assert verdict.scope == "all n + 2p >= K + s, K >= 1, s >= 1, n >= s + 1, p >= 0"
    assert claims["A[o + 1, i + 1] = A[o, i]"].status == "refuted"
    assert found.strides == (s,)
    text = found.explain()
    assert "A[o + 1, i + s] = A[o, i]: proved for all" in text
    assert "It is not Toeplitz for all sizes: at n = 2, K = 1, p = 1, s = 2, entry" in text


AXES: list[tuple[Operator, str]] = [
    (
        ca.correlation((n, m), ca.kernel(K, L), padding=1),
        "doubly block Toeplitz: (n - K + 3) x n blocks of (m - L + 3) x m",
    ),
    (
        ca.correlation((n, m), ca.kernel(K, L), stride=(s, 1)),
        "block strided Toeplitz with Toeplitz blocks: (floor((-K + n)/s) + 1) x n blocks of "
        "(m - L + 1) x m, stride s x 1",
    ),
    (
        ca.correlation((n, m), ca.kernel(2, 3, K, L)),
        "channel blocks, each doubly block Toeplitz: 2 x 3 blocks of (n - K + 1) x n blocks of "
        "(m - L + 1) x m",
    ),
]


@pytest.mark.parametrize(("family", "words"), AXES, ids=lambda value: str(value)[:40])
def test_several_axes(family: Operator, words: str) -> None:
    found = classify(family)
    assert str(found) == words
    kinds = ca.classify(
        family.at(**{v.name: 5 if v in (n, m) else 2 for v in family.symbols})
    ).kinds
    assert found.kind in kinds


def test_a_kind_that_is_not_decided_is_unknown() -> None:
    """The pattern has entries that are not on the diagonal, which cancel."""
    found = classify(ca.shift(n, 1) - ca.shift(n, 1))
    assert found.unknown == ("diagonal",)
    assert "Toeplitz" in found.kinds
    (verdict,) = (v for v in found.verdicts if v.status == "unknown")
    assert "the entries of the pattern of" in verdict.reason
    assert found.explain().endswith("It is not decided whether it is diagonal.")


def test_each_stride_is_asked_for() -> None:
    found = classify(ca.correlation(n, w, stride=s).T @ ca.correlation(n, w, stride=s))
    kinds = [witness.kind for witness in found.witness]
    assert "strided Toeplitz with stride s" in kinds
    assert "transposed strided Toeplitz with stride s**2" in kinds


def test_numbers_are_classified_by_their_entries() -> None:
    assert classify([[1, 2], [2, 1]]).kind == "circulant"
    assert classify(ca.correlation(5, [1, 2])).verdicts == ()


def test_shapes_of_a_family_are_its_own() -> None:
    with pytest.raises(ArgumentError, match="a family is classified exactly and by its own shapes"):
        classify(ca.identity(n), in_shape=4)
