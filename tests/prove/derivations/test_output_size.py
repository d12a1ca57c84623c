"""Derivations of output sizes."""

from __future__ import annotations

import convalg as ca

n, K, p = ca.sizes("n K p")


def test_d3_the_size_of_a_transposed_layer_is_its_own() -> None:
    layer = ca.transposed_correlation(n, ca.kernel(K), stride=2, padding=p, output_padding=1)
    found = ca.derive.output_size(layer)
    assert found.verify()
    assert found.steps[-1].formula == (
        r"o = 2 \cdot (n - 1) + (K - 1) + 1 - p - p + 1 = 2 n + K - 2 p - 1"
    )


def test_d4_same_with_a_stride_gives_the_size_of_tensorflow() -> None:
    found = ca.derive.output_size(ca.correlation(n, ca.kernel(3), stride=2, padding="same"))
    assert found.verify()
    assert found.steps[-1].formula.endswith(r"= \left\lceil \frac{n}{2} \right\rceil")
