"""The layout of the boxes and arrows of a network: nothing overlaps, nothing is missing."""

from __future__ import annotations

from itertools import combinations

import pytest

import convalg as ca
from convalg.draw.network_boxes import groups
from convalg.draw.network_layout import NetworkLayout, plan

NETWORKS = {
    name: getattr(ca.zoo, name)
    for name in ("lenet5", "vgg16", "googlenet", "resnet18", "resnet152", "unet", "fcn", "rcnn")
}


PLANS = {name: plan(groups(make())) for name, make in NETWORKS.items()}


@pytest.mark.parametrize("name", PLANS)
def test_boxes_stand_apart_and_inside(name: str) -> None:
    found = PLANS[name]
    for spot in found.spots:
        assert spot.x >= -1e-6
        assert spot.x + spot.width <= found.width + 1e-6
        assert spot.y >= -1e-6
        assert spot.y + spot.height <= found.height + 1e-6
    for a, b in combinations(found.spots, 2):
        beside = a.x + a.width < b.x or b.x + b.width < a.x
        assert beside or a.y + a.height < b.y or b.y + b.height < a.y


@pytest.mark.parametrize("name", PLANS)
def test_arrows_join_boxes_and_pass_beside_the_others(name: str) -> None:
    found = PLANS[name]
    for points in found.arrows:
        start, end = (
            [
                s
                for s in found.spots
                if s.x < x < s.x + s.width and min(abs(s.y - y), abs(s.y + s.height - y)) < 1e-6
            ]
            for x, y in (points[0], points[-1])
        )
        assert start
        assert end
        for x, y in points[1:-1]:
            assert not [
                s for s in found.spots if s.x < x < s.x + s.width and s.y < y < s.y + s.height
            ]


def arrows(found: NetworkLayout) -> int:
    return len(found.arrows) + len(found.sideways)


@pytest.mark.parametrize(
    "name", ["lenet5", "vgg16", "googlenet", "resnet18", "unet", "fcn", "rcnn"]
)
def test_every_layer_and_every_edge_is_there(name: str) -> None:
    net = NETWORKS[name]()
    parts = groups(net)
    assert [part.times for part in parts] == [1] * len(parts)
    boxes = [box for part in parts for box in part.boxes]
    shown = sum(" ".join(box.lines).count("+ ") + 1 for box in boxes if "…" not in box.lines[1:2])
    assert shown == len(net) + 1
    assert arrows(PLANS[name]) == sum(len(box.sources) for box in boxes)
    totals = sum(
        int(box.lines[-1].split(" · ")[1].replace(",", ""))
        for box in boxes
        if " · " in box.lines[-1]
    )
    assert totals == net.parameters


def test_no_column_is_begun_for_a_few_boxes() -> None:
    net = ca.Network((2, 9, 9))
    # All that follows is one block that nothing breaks.
    start = net.add(ca.layers.Conv(2, 1))
    for _ in range(40):
        net.add(ca.layers.Conv(2, 3, padding=1))
    net.add(ca.layers.Add(), [net.output, start])
    net.add(ca.layers.Flatten())
    assert len({round(spot.x, 3) for spot in plan(groups(net)).spots if spot.box is not None}) == 1


def test_several_outputs_are_drawn() -> None:
    net = ca.Network((1, 8))
    first = net.add(ca.layers.Conv(1, 3))
    net.add(ca.layers.Conv(1, 2), first, name="aside")
    net.add(ca.layers.Conv(1, 1), first)
    found = plan(groups(net))
    assert {spot.name for spot in found.spots} == {"input", "conv1", "aside", "conv2"}
    assert len(found.arrows) == 3
    assert ca.draw.network(ca.Network((1, 4))).axes


def test_the_sides_of_a_unet() -> None:
    found = PLANS["unet"]
    spots = {spot.name: spot for spot in found.spots}
    for level in range(1, 5):
        crop, join = spots[f"up{level}.crop"], spots[f"up{level}.concat"]
        assert crop.y + crop.height / 2 == pytest.approx(join.y + join.height / 2)
        assert crop.x < join.x
    assert len(found.sideways) == 5
