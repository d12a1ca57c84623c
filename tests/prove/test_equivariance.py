"""Equivariance: which shifts of the input shift the output, and the hints where they do not."""

from __future__ import annotations

from typing import Any

import brute
import pytest

import convalg as ca
from convalg.errors import KindError, ShapeError
from convalg.operators.leaves import Convolution
from convalg.prove import equivariant

n, m, K, L, p, s, C, D = ca.sizes("n m K L p s C D")


A = ca.correlation(n, ca.kernel(K))


@pytest.mark.parametrize(
    ("layer", "shift", "options"),
    [
        (A, 1, {"interior": True}),
        (A, -2, {"interior": True}),
        (ca.correlation(n, ca.kernel(K), padding=p), 1, {"interior": True}),
        (ca.correlation(n, ca.kernel(3), padding=1, boundary="circular"), p, {}),
        (ca.correlation(n, ca.kernel(3), padding=1, boundary="circular"), -1, {}),
        (ca.correlation(n, ca.kernel(K), stride=2), 2, {"out_shift": 1, "interior": True}),
        (ca.correlation(n, ca.kernel(K), stride=3), 6, {"out_shift": 2, "interior": True}),
        (ca.correlation((n, m), ca.kernel(K, L)), (1, -2), {"interior": True}),
        (ca.correlation((n, m), ca.kernel(C, D, K, L)), (0, 1), {"interior": True}),
        (ca.correlation(n, ca.kernel(K), dilation=2), 1, {"interior": True}),
        (ca.correlation(9, ca.kernel(3)), 1, {"interior": True}),
        (ca.correlation(n, ca.kernel(1)), 3, {}),
    ],
)
def test_equivariant(layer: Any, shift: Any, options: dict[str, Any]) -> None:
    assert equivariant(layer, shift, **options)


def moved(layer: Convolution, shift: int, out_shift: int) -> brute.Sides:
    """A S and S' A over zeros."""
    after = ca.shift(layer.out_shape, out_shift)
    return layer @ ca.shift(layer.in_shape, shift), after @ layer


@pytest.mark.parametrize(
    ("layer", "shift", "hint"),
    [
        (A, 1, "it holds away from the border: use interior=True"),
        (ca.correlation(n, ca.kernel(K), stride=2), 1, "with a stride of 2, only shifts by multip"),
        (ca.correlation(n, ca.kernel(K), stride=3), 2, "with a stride of 3, only shifts by multip"),
        (ca.correlation(n, ca.kernel(K), stride=2), 2, "the output moves by 1: use out_shift=1"),
        (ca.correlation(n, [1, 1], stride=2), 1, "with a stride of 2, only shifts by multiples"),
    ],
)
def test_not_equivariant(layer: Convolution, shift: int, hint: str) -> None:
    verdict = equivariant(layer, shift)
    assert verdict.status == "refuted"
    assert verdict.hint.startswith(hint)
    brute.check_refuted(moved(layer, shift, shift), verdict)


def test_a_border_that_is_not_circular_breaks_it() -> None:
    for boundary in ("zeros", "edge", "symmetric"):
        layer = ca.correlation(n, ca.kernel(3), padding=1, boundary=boundary)
        assert equivariant(layer, 1).status == "refuted"


def test_no_hint_where_the_interior_fails_too() -> None:
    layer = ca.correlation(n, ca.kernel(K), stride=2)
    assert equivariant(layer, 2, out_shift=2).hint == ""
    assert not equivariant(layer, 2, out_shift=2, interior=True)


def test_pooling_is_equivariant_up_to_its_stride() -> None:
    verdict = equivariant(ca.average_pool(n, 2), 2, out_shift=1, interior=True)
    assert verdict
    assert verdict.scope == "all n >= 6"
    assert equivariant(ca.sum_pool(n, 2), 1).hint.startswith("with a stride of 2, only shifts")
    assert equivariant(ca.average_pool((n, 8), 2, channels=3), 2, out_shift=1, interior=True)
    border = ca.average_pool((8, 8), 3, stride=1, padding=1, count_include_pad=False)
    assert equivariant(border, 1).hint == "it holds away from the border: use interior=True"
    assert equivariant(border, 1, interior=True)


def test_equivariant_takes_one_layer() -> None:
    for other in (ca.reshape(n, (1, n)), A.T, A @ ca.identity(n) @ ca.flip_axes(n), 5):
        with pytest.raises(
            KindError,
            match="equivariant is decided for a single correlation, convolution or pooling",
        ):
            equivariant(other, 1)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"shift must be one integer or 1 of them \(one per axis"):
        equivariant(A, (1, 2))
    with pytest.raises(KindError, match=r"shift must be an integer, not 1.5"):
        equivariant(A, 1.5)


def test_no_output_away_from_the_border_is_unknown() -> None:
    verdict = equivariant(ca.correlation(3, ca.kernel(3)), 1, interior=True)
    assert verdict.status == "unknown"
    assert "no output is that far from the border" in verdict.reason
