"""Counts of operators against counts by hand."""

from __future__ import annotations

import convalg as ca

LAYER = ca.correlation(5, [1, 2, 3])


def test_counts_of_nodes() -> None:
    layer = ca.correlation(6, [1, 2, 3])
    counts = (ca.correlation(4, [4, 5]) @ layer).counts
    assert (counts.parameters, counts.multiplications, counts.nonzeros) == (5, 6 + 12, 12)
    assert counts.sharing is None
    assert (layer + layer).counts.parameters == 3
    assert (layer.T @ layer).counts.parameters == 3
    assert (3 * layer).counts.multiplications == 12 + 4
    # Right on each of 5 columns, then left on each of 3 rows: 5 * 6 + 3 * 9.
    assert ca.correlation(5, [1, 2, 3]).kron(ca.correlation(4, [1, 2])).counts.multiplications == 57
    assert ca.pad(3, 1).counts.multiplications == 0
    assert ca.pad(3, 1).counts.parameters == 0
    assert ca.dense([[1, 0], [0, 0]]).counts.nonzeros == 4
    mask = ca.diagonal([1, 0])
    assert (mask.counts.nonzeros, (mask @ ca.flip_axes(2)).counts.nonzeros) == (2, 2)


def test_counts_print_in_one_line() -> None:
    assert repr(LAYER.counts) == (
        "Counts(dense=15, nonzeros=9, parameters=3, multiplications=9, each weight used 3 times)"
    )
    padded = ca.correlation(3, [1, 2, 3], padding=1).counts
    assert repr(padded).endswith("each weight used 2 to 3 times)")
    assert "used" not in repr(ca.identity(3).counts)
