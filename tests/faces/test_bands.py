"""The supports of products as bands: as many entries as a product of Boolean matrices has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError
from convalg.operators.tree import Operator
from convalg.presburger import same_size
from convalg.size import substituted

n, m, K, L, p, q, s, C, D = ca.sizes("n m K L p q s C D")
w, v = ca.kernel(K), ca.kernel(L, name="v")
padded = ca.correlation(n, w, padding=p)
valid = ca.correlation(n, w)
strided = ca.correlation(n, ca.kernel(3), stride=2, padding=1)
image = ca.correlation((n, m), ca.kernel(C, D, K, 2), padding=1)

PRODUCTS: dict[str, Operator] = {
    "every s-th output": ca.downsample(valid.out_shape, s) @ valid,
    "every s-th output of a padded layer": ca.downsample(padded.out_shape, s) @ padded,
    "cropped outputs": ca.crop(padded.out_shape, p) @ padded,
    "a layer of a padded input": ca.correlation(n + 2 * p, w) @ ca.pad(n, p),
    "two layers": ca.correlation(n - K + 1, v) @ valid,
    "two padded layers": ca.correlation(padded.out_shape, v, padding=q) @ padded,
    "two full layers": ca.correlation(n + K - 1, v, padding="full")
    @ ca.correlation(n, w, padding="full"),
    "two strided layers": ca.correlation(strided.out_shape, ca.kernel(3), stride=2, padding=1)
    @ strided,
    "a shift before a layer": ca.correlation(n, ca.kernel(3)) @ ca.shift(n, 2),
    "a dilated layer after a plain one": ca.correlation(n - 2, ca.kernel(L), dilation=3)
    @ ca.correlation(n, ca.kernel(3)),
    "a plain layer after a dilated one": ca.correlation(n - 2 * K + 2, ca.kernel(2))
    @ ca.correlation(n, w, dilation=2),
    "a flip after a layer": ca.flip_axes(n) @ ca.correlation(n, w, padding="same"),
    "a flip before a layer": ca.correlation(n, w, padding=((p, 0),)) @ ca.flip_axes(n),
    "upsampling before a layer": ca.correlation(s * (n - 1) + 1, w) @ ca.upsample(n, s),
    "a cropped transposed layer": ca.crop(s * (n - 1) + K, 1)
    @ ca.transposed_correlation(n, w, stride=s),
    "a layer and its adjoint": padded.T @ padded,
    "channels": ca.downsample(image.out_shape[1:], 2, channels=C) @ image,
    "groups": ca.correlation(n - K + 1, ca.kernel(6, 3, 1), groups=2)
    @ ca.correlation(n, ca.kernel(6, 1, K), groups=6),
    "a Kronecker product": ca.correlation(n, w, padding=1).kron(
        ca.downsample(m + 1, 2) @ ca.correlation(m, [1, 2], padding=1)
    ),
    "a diagonal": ca.diagonal([1, 2, 3]).kron(ca.identity(n))
    @ ca.diagonal([1, 2, 3]).kron(ca.correlation(n, w, padding="same")),
    "pooling": ca.sum_pool(n, 2) @ ca.correlation(n, w, padding="same"),
    "three layers": ca.downsample(n, 3)
    @ ca.correlation(n, ca.kernel(3), padding=1)
    @ ca.correlation(n, ca.kernel(5, name="v"), padding=2),
    "a separate sum": ca.identity(n) + ca.shift(n, 1),
    "a nested sum": ca.identity(n) + ca.correlation(n, w, padding="same"),
}
NONZEROS: dict[str, object] = {}


def nonzeros(name: str) -> object:
    """The closed form, computed once."""
    if name not in NONZEROS:
        NONZEROS[name] = PRODUCTS[name].counts.nonzeros
    return NONZEROS[name]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(PRODUCTS)), st.lists(st.integers(1, 7), min_size=9, max_size=9))
def test_entries_of_products(name: str, values: list[int]) -> None:
    """Against the matrix at these sizes; paddings may be wider than windows, and also 0."""
    numbers = dict(zip((n, m, K, L, p, q, s, C, D), values, strict=True))
    numbers |= {
        p: numbers[p] - 1,
        q: numbers[q] - 1,
        C: -(-numbers[C] // 3),
        D: -(-numbers[D] // 3),
    }
    family = PRODUCTS[name]
    try:
        member = family.at(**{symbol.name: numbers[symbol] for symbol in family.symbols})
    except ArgumentError:
        return
    assert substituted(nonzeros(name), numbers) == member.counts.nonzeros


CLOSED = [
    ("two layers", (K + L - 1) * (n - K - L + 2)),
    ("two full layers", n * (K + L - 1)),
    ("cropped outputs", K * (n - K + 1)),
    ("every s-th output", K * ((n - K) // s + 1)),
    ("a separate sum", 2 * n - 1),
]


@pytest.mark.parametrize(("name", "wanted"), CLOSED, ids=str)
def test_closed_forms(name: str, wanted: object) -> None:
    assert same_size(nonzeros(name), wanted)
