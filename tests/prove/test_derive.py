"""The derivation of linearity, and what can be derived at all."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.errors import KindError

n, K, s = ca.sizes("n K s")


@pytest.mark.parametrize("kind", ["linearity", "adjoint", "output_size", "kernel_gradient"])
def test_the_title_names_the_operator_and_the_kind(kind: str) -> None:
    layer = ca.correlation(n, ca.kernel(K), stride=s)
    title = getattr(ca.derive, kind)(layer).title
    assert title.endswith("of correlation(n, kernel(K), stride=s)")


def test_only_a_network_has_nodes() -> None:
    with pytest.raises(KindError, match="does not have a node 'x': only a network has"):
        ca.derive.receptive_field(ca.correlation(4, [1, 2]), "x")
