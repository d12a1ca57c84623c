"""All networks of the zoo: their tables and their branches."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.network.summary import summary

zoo = ca.zoo


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_network_has_a_table_and_no_misalignment(name: str) -> None:
    net = getattr(zoo, name)()
    table = summary(net)
    assert table.parameters == net.parameters
    assert len(table.rows) == len(net)
    assert not net.misalignments
