"""Opaque layers: what they read, what they count, and that they cannot be run."""

from __future__ import annotations

import pytest

import convalg as ca

L = ca.layers


def test_every_output_may_read_every_input() -> None:
    net = ca.sequential((2, 5), [L.Opaque("Sort", (3, 4), arrays=(("table", (6, 2)),))])
    assert (net.out_shape, net.parameters) == ((3, 4), 12)
    field = net.receptive_field()
    assert field.mask(1).all()
    assert field.channels(2) == [0, 1]
    assert not field.exact


def test_like_determines_what_is_read() -> None:
    conv = L.Conv(3, 3, padding=1)
    net = ca.sequential((2, 5), [L.Opaque("QConv", (3, 5), like=conv)])
    wanted = ca.sequential((2, 5), [conv])
    field, own = net.receptive_field(), wanted.receptive_field()
    assert [field.positions(u) for u in range(5)] == [own.positions(u) for u in range(5)]
    assert (field.exact, net.counts) == (True, wanted.counts)


@pytest.mark.parametrize(("reason", "end"), [("", "so it cannot be run"), ("why", "run: why")])
def test_running_it_is_refused_with_the_reason(reason: str, end: str) -> None:
    net = ca.sequential((2,), [L.Opaque("Sort", (2,), reason)])
    with pytest.raises(ca.errors.ArgumentError, match=rf"Sort is an opaque layer, .*{end}$"):
        net([1, 2])
