"""The labelled pattern: triples, merged entries, index types, values by label."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given
from strategies import Drawn, layers

import convalg as ca
from convalg.conventions import correlation_geometry
from convalg.pattern import pattern
from convalg.pattern.pattern import Pattern, column_block, index_type

GUIDE_ROWS = [[1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0]]


def test_triples_of_the_guide() -> None:
    """k = 3 on 4x4 is 4x16, its rows the first one moved by 0, 1, 4 and 5 places.

    Source: Dumoulin & Visin, A guide to convolution arithmetic, section 4.1.
    """
    layer = ca.correlation((4, 4), np.arange(1, 10).reshape(3, 3))
    rows = [np.roll(GUIDE_ROWS[0], offset).tolist() for offset in (0, 1, 4, 5)]
    assert layer.to_numpy().tolist() == rows
    assert len(layer.pattern) == 36
    assert layer.pattern.triples()[:3].tolist() == [[0, 0, 0], [0, 1, 1], [0, 2, 2]]


def test_index_type_grows_when_it_must() -> None:
    largest = 2**31 - 1
    assert index_type(largest) is np.int32
    assert index_type(largest + 1) is np.int64
    assert index_type(0, largest, 5) is np.int32
    assert index_type(1, largest + 1, 5) is np.int64


def test_indices_have_64_bits_where_32_are_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wide path gives the same matrix; the limit is lowered so that it is reached."""
    kernel = np.arange(12).reshape(2, 1, 2, 3)
    narrow = ca.correlation((5, 4), kernel, padding=1).to_scipy()
    monkeypatch.setattr(pattern, "index_type", lambda *bounds: np.int64)
    wide = ca.correlation((5, 4), kernel, padding=1).to_scipy()
    assert narrow.indices.dtype == narrow.indptr.dtype == np.int32
    assert wide.indices.dtype == wide.indptr.dtype == np.int64
    assert np.array_equal(wide.toarray(), narrow.toarray())


def test_a_wide_input_makes_wide_indices() -> None:
    """A few taps far out in an input of more than 2^31 samples."""
    layer = ca.correlation(2**31 + 10, [1, 2], dilation=2**31 + 8)
    sparse = layer.to_scipy()
    assert sparse.shape == (2, 2**31 + 10)
    assert sparse.indices.dtype == np.int64
    assert sparse.indices.tolist() == [0, 2**31 + 8, 1, 2**31 + 9]


@pytest.mark.parametrize("boundary", ["circular", "reflect", "symmetric", "edge"])
def test_taps_folded_onto_one_sample_are_one_entry(boundary: str) -> None:
    w = 10 ** np.arange(5)
    layer = ca.correlation(3, w, padding=2, boundary=boundary)
    oracle = naive.correlation(3, (5,), padding=2, boundary=boundary)
    sparse = layer.to_scipy()
    assert np.array_equal(sparse.toarray(), oracle.matrix(w))
    assert sparse.nnz == layer.pattern.nonzeros == len(oracle.support())
    assert layer.pattern.products == len(oracle.terms) == 15
    assert layer.pattern.nonzeros < layer.pattern.products
    assert column_block(layer.geometry).starts is not None


def test_taps_that_do_not_meet_are_not_merged() -> None:
    layer = ca.correlation(5, [1, 2, 3], padding=1, boundary="circular")
    assert column_block(layer.geometry).starts is None
    assert layer.pattern.nonzeros == layer.pattern.products == 15


@given(layers(kinds=("correlation", "convolution")))
def test_structure_does_not_depend_on_the_weights(drawn: Drawn) -> None:
    """A kernel of zeros stores as many entries, in the same places."""
    zeros = drawn.operator.refill(np.zeros_like(drawn.weights)).to_scipy()
    ones = drawn.operator.refill(np.ones_like(drawn.weights)).to_scipy()
    assert np.array_equal(zeros.indices, ones.indices)
    assert np.array_equal(zeros.indptr, ones.indptr)
    assert (ones.data > 0).all()
    assert not zeros.data.any()


@given(layers(kinds=("correlation", "convolution")))
def test_bytes_are_counted_before_they_are_taken(drawn: Drawn) -> None:
    sparse = drawn.operator.to_scipy(dtype=np.float64)
    taken = sparse.data.nbytes + sparse.indices.nbytes + sparse.indptr.nbytes
    assert drawn.operator.pattern.csr_bytes(8) == taken


# Non-zeros per axis; a layer: their product times C_in C_out / groups.
def test_counts_in_closed_form() -> None:
    for n, k in itertools.product(range(3, 8), (1, 2, 3)):
        assert Pattern(correlation_geometry(n, (k,), padding="full")).nonzeros == n * k
        assert Pattern(correlation_geometry(n, (k,))).nonzeros == (n - k + 1) * k
    for n, k, d in itertools.product(range(4, 8), (1, 3), (1, 2)):
        same = correlation_geometry(n, (k,), padding="same", dilation=d)
        assert Pattern(same).nonzeros == n * k - d * (k * k - 1) // 4
    large = Pattern(correlation_geometry((28, 28), (5, 5)))
    assert (large.nonzeros, large.parameters) == (14400, 25)
    grouped = ca.correlation((6, 6), np.ones((8, 2, 3, 3)), padding=1, groups=2)
    assert grouped.counts.multiplications == 4096
    transposed = ca.transposed_correlation((8, 8), np.ones((4, 6, 4, 4)), stride=2, padding=1)
    assert transposed.counts.multiplications == 21600


def test_counts_of_a_large_layer_take_no_memory() -> None:
    """VGG-16's second layer at 224 x 224: counted, not expanded."""
    layer = ca.correlation((224, 224), np.ones((64, 64, 3, 3)), padding=1)
    assert layer.counts.dense == (64 * 224 * 224) ** 2
    assert layer.counts.nonzeros == 64 * 64 * (3 * 224 - 2) ** 2
    assert layer.counts.sharing.max() == 224 * 224
    assert layer.counts.sharing.min() == 223 * 223


def test_patterns_print_in_one_line() -> None:
    found = repr(ca.correlation(5, [1, 2, 3]).pattern)
    assert found == "<pattern 3 x 5, 9 triples, 3 labels>"
