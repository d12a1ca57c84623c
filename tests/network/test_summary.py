"""The table of a network: its totals and how it prints itself."""

from __future__ import annotations

from hypothesis import given
from random_networks import networks

import convalg as ca
from convalg.network import layers


def test_the_summary_prints_itself() -> None:
    net = ca.sequential((1, 28, 28), [layers.Conv(6, 5), layers.AvgPool(2), layers.Dense(10)])
    text = str(net.summary())
    assert "24 x 24" in text
    assert f"{net.parameters:,}" in text
    assert net.summary().to_dict()["parameters"] == net.parameters


@given(networks())
def test_the_table_adds_up(net: ca.Network) -> None:
    table, total = net.summary(), net.counts
    assert table.parameters == total.parameters == net.parameters
    assert (table.nonzeros, table.multiplications) == (total.nonzeros, total.padded)
