"""Parts about sums, ranks and contributions: against matrices, and wrong ones are refuted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.prove.theorems.bounds import Contributions, Rank, RowAndColumnSums

n, K, p, q, s, d, r = ca.sizes("n K p q s d r")


def _rank() -> Rank:
    part = ca.theorems["full-rank-valid"].parts[0]
    assert isinstance(part, Rank)
    return part


@pytest.mark.parametrize(
    "change",
    [
        {"rank": (n - d * (K - 1) - 1) // s},
        {"rank": n},
        {"column": lambda j, a: s * j},
        {"column": lambda j, a: j + d * a},
        {"row": lambda j, a: j + 1},
    ],
)
def test_a_wrong_rank_or_part_is_not_proved(change: dict[str, Any]) -> None:
    assert _rank().decide()
    verdict = replace(_rank(), **change).decide()
    assert verdict.status == ("refuted" if "rank" in change else "unknown")


def test_a_circular_layer_need_not_have_full_rank() -> None:
    """Its taps with one weight each have, so that no counterexample is found either."""
    circular = replace(
        _rank(),
        layer=lambda: ca.correlation(n, ca.kernel(K), padding=((0, K - 1),), boundary="circular"),
        rank=n,
        column=lambda j, a: j + a,
    )
    assert circular.decide().status == "unknown"
    assert (
        np.linalg.matrix_rank(
            ca.correlation(4, [1, -1], padding=((0, 1),), boundary="circular").to_numpy()
        )
        == 3
    )


def test_the_counterexample_of_a_rank_is_one() -> None:
    verdict = ca.theorems["full-rank-full"].outside()
    assert verdict is not None
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 1}
    weights = sympy.Matrix(ca.convolution(1, [1, 0, 0], padding=1).to_numpy().tolist())
    assert (weights.rank(), verdict.counterexample.actual) == (0, 0)


def test_edge_padding_repeats_a_weight_in_a_column() -> None:
    verdict = RowAndColumnSums(
        "edge", lambda: ca.correlation(n, ca.kernel(K), padding=p, boundary="edge")
    ).decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    sizes = verdict.counterexample.sizes
    assert sizes == {"n": 1, "K": 1, "p": 1}
    matrix = ca.correlation(1, [1], padding=1, boundary="edge").to_numpy()
    assert matrix.sum(axis=0).max() == verdict.counterexample.actual == 3


def test_sums_that_no_small_size_breaks_stay_unknown() -> None:
    part = RowAndColumnSums(
        "circular",
        lambda: ca.correlation(n, ca.kernel(3), padding=1, boundary="circular"),
    )
    assert part.decide().status == "unknown"


@pytest.mark.parametrize(("stride", "taps"), [(2, 4), (2, 3), (3, 3), (3, 4), (3, 8), (1, 3)])
def test_the_contributions_are_those_of_a_transposed_layer(stride: int, taps: int) -> None:
    inputs = 9
    layer = ca.transposed_correlation(inputs, [1] * taps, stride=stride)
    numbers = layer(np.ones(inputs, dtype=int))[taps - 1 : stride * inputs]
    whole, rest = divmod(taps, stride)
    phases = np.arange(taps - 1, stride * inputs) % stride
    assert numbers.tolist() == np.where(phases < rest, whole + 1, whole).tolist()
    assert (len(set(numbers.tolist())) == 1) == (rest == 0)


@pytest.mark.parametrize(
    "change", [{"count": q + 1}, {"taps": q * s + 1}, {"count": q + 1, "end": 1}]
)
def test_a_wrong_number_of_contributions_is_refuted(change: dict[str, Any]) -> None:
    part = ca.theorems["checkerboard"].parts[0]
    assert isinstance(part, Contributions)
    verdict = replace(part, **change).decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    claimed, actual = verdict.counterexample.replay()
    assert claimed != actual
