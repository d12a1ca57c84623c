"""Receptive fields against brute force: which pixels move an output, and published figures."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.network import layers


def slim_alexnet() -> ca.Network:
    """TF-Slim's alexnet_v2 up to pool5."""
    net = ca.Network((3, 224, 224))
    net.add(layers.Conv(64, 11, stride=4), name="conv1")
    net.add(layers.MaxPool(3, stride=2), name="pool1")
    net.add(layers.Conv(192, 5, padding=2), name="conv2")
    net.add(layers.MaxPool(3, stride=2), name="pool2")
    net.add(layers.Conv(384, 3, padding=1), name="conv3")
    net.add(layers.Conv(384, 3, padding=1), name="conv4")
    net.add(layers.Conv(256, 3, padding=1), name="conv5")
    net.add(layers.MaxPool(3, stride=2), name="pool5")
    return net


# Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
@pytest.mark.parametrize(
    ("node", "size", "stride", "padding"),
    [
        ("conv1", 11, 4, 0),
        ("pool1", 19, 8, 0),
        ("conv2", 51, 8, 16),
        ("conv3", 99, 16, 32),
        ("conv4", 131, 16, 48),
        ("conv5", 163, 16, 64),
        ("pool5", 195, 32, 64),
    ],
)
def test_published_fields(node: str, size: int, stride: int, padding: int) -> None:
    field = slim_alexnet().receptive_field(node)
    assert (field.size, field.stride, field.padding) == (
        (size,) * 2,
        (stride,) * 2,
        (padding,) * 2,
    )


def test_the_field_of_alexnet_in_letters() -> None:
    (u,) = ca.sizes("u")
    field = slim_alexnet().receptive_field()
    assert str(field.reach.spans[0]) == "[-64 + 32u, 130 + 32u]"
    assert field.box(u)[0] == (32 * u - 64, 32 * u + 130)
    assert field.center(0) == (33, 33)


def test_branches_that_look_elsewhere() -> None:
    net = ca.Network((1, 16))
    left = net.add(layers.Conv(1, 3, padding=1), "input")
    right = net.add(layers.Conv(1, 2, padding=((0, 1),)), "input")
    net.add(layers.Add(), [left, right])
    (found,) = net.misalignments
    assert (found.node, found.of, found.difference) == ("add1", "centres", (0.5,))
    assert found.paths == (("input", "conv1"), ("input", "conv2"))
    assert "whose centres differ by" in str(found)
