"""The counts of families: at every small size they are those of the operator with numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import sympy

import convalg as ca
from convalg.errors import ArgumentError, UndecidableError
from convalg.operators.tree import Operator

n, m, K, L, p, q, s, d, C, D = ca.sizes("n m K L p q s d C D")
w = ca.kernel(K)

FAMILIES: dict[str, Operator] = {
    "valid": ca.correlation(n, w),
    "full": ca.correlation(n, w, padding="full"),
    "same": ca.correlation(n, w, padding="same"),
    "same, odd and dilated": ca.correlation(n, ca.kernel(2 * K + 1), padding=d * K, dilation=d),
    "padded": ca.correlation(n, w, padding=p),
    "padded on one side": ca.convolution(n, w, padding=((p, 0),), dilation=d),
    "padded by two amounts": ca.correlation(n, w, padding=((p, q),)),
    "strided": ca.correlation(n, w, stride=s),
    "strided and padded": ca.correlation(n, w, stride=s, padding=p),
    "dilated": ca.correlation(n, w, dilation=d, padding=p),
    "dilated by the stride": ca.correlation(n, w, stride=s, padding=p, dilation=s),
    "dilated by twice the stride": ca.correlation(n, w, stride=s, padding=p, dilation=2 * s),
    "three taps": ca.correlation(n, ca.kernel(3), stride=s, padding=1, dilation=d),
    "two axes with channels": ca.correlation((n, m), ca.kernel(C, D, K, 2), padding=1),
    "groups": ca.correlation(n, ca.kernel(2 * C, D, K), groups=2, padding=1),
    "transposed": ca.transposed_correlation(n, w, stride=s, output_padding=s - 1),
    "patches": ca.correlation(n, w, stride=s).by_kernel(ca.kernel(n, name="x")),
    "downsampled": ca.downsample(n, s, offset=p),
    "upsampled": ca.upsample(n, s),
    "sums": ca.sum_pool(n, K, stride=s, padding=1),
    "a mean": ca.average_pool(n, K),
    "a global mean": ca.global_pool(n),
    "a factor": 3 * ca.correlation(n, w, padding=1),
    "a Kronecker product": ca.correlation(n, w, padding=1).kron(ca.downsample(m, 2)),
    "a matrix": ca.dense([[1, 2], [0, 3]]).kron(ca.diagonal([1, 2]).kron(ca.identity(n))),
}


def members(family: Operator) -> Any:
    """Every member at small sizes, with the sizes."""
    names = [symbol.name for symbol in family.symbols]
    most = {1: 8, 2: 5, 3: 4}.get(len(names), 3)
    for values in product(range(most), repeat=len(names)):
        sizes = dict(zip(names, values, strict=True))
        try:
            yield sizes, family.at(**sizes)
        except ArgumentError:
            continue


def at(value: Any, sizes: dict[str, int]) -> Any:
    """A count at numbers."""
    return value if isinstance(value, int) else value.subs(sizes)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_counts_of_each_member(name: str) -> None:
    family = FAMILIES[name]
    counts = family.counts
    compared = 0
    for sizes, member in members(family):
        numbers = {
            symbol: sizes[symbol.name]
            for value in (counts.dense, counts.nonzeros, counts.parameters, counts.multiplications)
            for symbol in getattr(value, "free_symbols", ())
        }
        expected = member.counts
        for field in ("dense", "nonzeros", "parameters", "multiplications"):
            value = at(getattr(counts, field), numbers)
            assert value == getattr(expected, field), (field, sizes)
        compared += 1
    assert compared >= 3


CLOSED: dict[str, tuple[Operator, Any]] = {
    "valid": (ca.correlation(n, w), K * (n - K + 1)),
    "full": (ca.correlation(n, w, padding="full"), n * K),
    "valid with a stride": (ca.correlation(n, w, stride=s), K * ((n - K) // s + 1)),
    "two axes": (ca.correlation((n, m), ca.kernel(K, L)), K * L * (n - K + 1) * (m - L + 1)),
    "downsampled": (ca.downsample(n, s), -(-n // s)),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_of_lectures(name: str) -> None:
    family, wanted = CLOSED[name]
    assert sympy.simplify(family.counts.nonzeros - wanted) == 0


def test_same_padding_of_odd_kernels() -> None:
    """n k - d (k^2 - 1) / 4 for k = 2 K + 1 taps, where n >= d (k - 1) / 2."""
    counts = ca.correlation(n, ca.kernel(2 * K + 1), padding=d * K, dilation=d).counts
    (value, where), _ = counts.nonzeros.args
    k = 2 * K + 1
    assert sympy.expand(value - (n * k - d * (k**2 - 1) / 4)) == 0
    assert where == (n >= K * d)


REFUSED: dict[str, tuple[Operator, str]] = {
    "gaps": (ca.correlation(n - K + 1, ca.kernel(L), dilation=2) @ ca.correlation(n, w), "gaps"),
    "an adjoint of a stride": (
        ca.correlation(n, w, stride=s) @ ca.correlation(n, w, stride=s).T,
        "both a stride and the adjoint of one",
    ),
    "the padding of a dilated layer": (
        ca.correlation(n, ca.kernel(3), padding=2, dilation=2)
        @ ca.correlation(n, ca.kernel(3), padding=1),
        "a dilated layer reads the padding",
    ),
    "groups": (
        ca.correlation(n, ca.kernel(6, 3, 1), groups=2)
        @ ca.correlation(n, ca.kernel(6, 2, 1), groups=3),
        "2 and 3 groups of channels",
    ),
    "a reshape": (
        ca.reshape((2, 3), (6,)).kron(ca.identity(n)) @ ca.identity((2, 3)).kron(ca.identity(n)),
        "Selection is not a product of one relation per axis",
    ),
    "a dense axis": (
        ca.dense([[1, 2], [3, 4]]).kron(ca.identity(n)) @ ca.shift(2, 1).kron(ca.identity(n)),
        "an axis of channels is also an axis of samples",
    ),
    "a sum in a product": (
        ca.shift(n, 1) @ (ca.identity(n) + ca.shift(n, 1)),
        "Sum is not a product of one relation per axis",
    ),
    "a folded border in a product": (
        ca.correlation(n, ca.kernel(2)) @ ca.shift(n, 1, boundary="circular"),
        "a product with the boundary 'circular'",
    ),
    "terms that overlap": (
        ca.correlation(n, ca.kernel(2), padding="same")
        + ca.correlation(n, ca.kernel(2), padding="same_lower"),
        "whose patterns overlap",
    ),
    "a reflected border with a dilation": (
        ca.correlation(n, w, padding=p, dilation=2, boundary="reflect"),
        "a layer with the boundary 'reflect' and dilation 2",
    ),
    "a circular border with a symbolic dilation": (
        ca.correlation(n, w, padding=p, dilation=d, boundary="circular"),
        "depend on the greatest common divisor",
    ),
    "two steps": (ca.correlation(n, w, padding=p, stride=s, dilation=d), "have no closed form"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_families_without_closed_forms(name: str) -> None:
    family, words = REFUSED[name]
    with pytest.raises(UndecidableError, match=words):
        _ = family.counts
