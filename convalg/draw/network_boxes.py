"""A network as boxes to draw: elementwise layers are joined, repeated blocks are drawn once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import networkx as nx

from convalg.network.graph import INPUT
from convalg.network.layers.activations import ElementwiseLayer
from convalg.network.layers.base import Layer
from convalg.network.layers.pointwise import Pointwise
from convalg.network.network import Network
from convalg.size import size_product, size_text

MOST_SINGLE = 44
"""Most boxes for which repeated blocks are drawn separately."""
LONGEST_NAME, LONGEST_CALL, LONGEST_VALUE = 26, 34, 22


@dataclass(frozen=True)
class LayerBox:
    """Consecutive layers of a network: lines of text, and the boxes that are their inputs."""

    name: str
    layer: Layer | None
    lines: tuple[str, ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Boxes that represent `times` consecutive equal blocks."""

    boxes: tuple[LayerBox, ...]
    times: int = 1


def groups(net: Network) -> list[Group]:
    """Return the boxes of a network in groups that end at boxes which all data pass.

    An elementwise layer is part of the preceding box; in a network of more than 44 boxes,
    consecutive equal blocks are one group.
    """
    boxes = _boxes(net)
    parts = [Group(tuple(part)) for part in _between_necks(boxes)]
    return _folded(parts) if len(boxes) > MOST_SINGLE else parts


def _boxes(net: Network) -> list[LayerBox]:
    """Return one box for each layer, with the elementwise layers that only it feeds."""
    home = {INPUT: INPUT}
    layers: dict[str, list[str]] = {INPUT: []}
    for node, layer in net.layers():
        sources = net.sources(node)
        first = home[sources[0]]
        joins = (
            isinstance(layer, ElementwiseLayer | Pointwise)
            and sources[0] != INPUT
            and net.graph.out_degree(sources[0]) == 1
        )
        home[node] = first if joins else node
        layers.setdefault(home[node], []).append(node)
    boxes = []
    for name, inside in layers.items():
        if name == INPUT:
            boxes.append(LayerBox(INPUT, None, (_shape_text(net.in_shape),)))
            continue
        fed = dict.fromkeys(home[source] for source in net.sources(name))
        boxes.append(LayerBox(name, net[name], _lines(net, inside), tuple(fed)))
    return boxes


def _lines(net: Network, nodes: Sequence[str]) -> tuple[str, ...]:
    """Return the call of the first layer, the other layers, the shape and the parameters."""
    first, *others = nodes
    lines = [layer_text(net[first])]
    if others:
        lines.append(_shortened(" ".join(f"+ {_kind(net[node])}" for node in others), LONGEST_CALL))
    count = sum(
        size_product(shape)
        for node in nodes
        for shape in net[node].weights(*net.input_shapes(node)).values()
    )
    shape = _shape_text(net.shapes[nodes[-1]])
    numbers = f" · {count:,}" if isinstance(count, int) and count else ""
    return (*lines, f"{shape}{numbers}")


def _kind(layer: Layer) -> str:
    return layer.function if isinstance(layer, Pointwise) else type(layer).__name__


def layer_text(layer: Layer) -> str:
    """Return the call that creates a layer, shortened to one line.

    >>> import convalg as ca
    >>> layer_text(ca.layers.Conv(64, 7, stride=2, padding=3, bias=False))
    'Conv(64, 7, stride=2, padding=3)'
    """
    shown = []
    for entry in fields(layer):
        value = getattr(layer, entry.name)
        if value == entry.default or entry.name == "bias":
            continue
        name = "" if entry.name in ("out_channels", "kernel_size") else f"{entry.name}="
        text = repr(value)
        shown.append(f"{name}{text if len(text) <= LONGEST_VALUE else '…'}")
    while shown and len(f"{_kind(layer)}({', '.join(shown)})") > LONGEST_CALL:
        shown = [*shown[:-2], "…"] if shown[-1] == "…" else [*shown[:-1], "…"]
    return f"{_kind(layer)}({', '.join(shown)})" if shown else _kind(layer)


def _shape_text(shape: Sequence[object]) -> str:
    return " x ".join(size_text(size) for size in shape)


def _shortened(text: str, longest: int) -> str:
    """Return a text without its middle if it is too long."""
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def box_title(name: str) -> str:
    """Return the name of a box, shortened to fit."""
    return _shortened(name, LONGEST_NAME)


def _between_necks(boxes: list[LayerBox]) -> list[list[LayerBox]]:
    """Split the boxes into parts, each ending with a box that all data pass."""
    position = {box.name: k for k, box in enumerate(boxes)}
    reach = list(range(len(boxes)))
    for k, box in enumerate(boxes):
        for source in box.sources:
            reach[position[source]] = max(reach[position[source]], k)
    parts: list[list[LayerBox]] = [[]]
    furthest = 0
    for k, box in enumerate(boxes):
        parts[-1].append(box)
        is_neck = furthest <= k
        # A box that feeds nothing is an output, at which the graph cannot be split.
        furthest = max(furthest, reach[k])
        if is_neck and (reach[k] > k or k == len(boxes) - 1):
            parts.append([])
    return [part for part in parts if part]


def _folded(parts: list[Group]) -> list[Group]:
    """Merge consecutive equal groups."""
    folded: list[Group] = []
    looks: list[object] = []
    renamed: dict[str, str] = {}
    for part in parts:
        look = _look(part)
        if folded and look == looks[-1]:
            renamed[part.boxes[-1].name] = folded[-1].boxes[-1].name
            folded[-1] = replace(folded[-1], times=folded[-1].times + 1)
            continue
        boxes = tuple(
            replace(box, sources=tuple(renamed.get(name, name) for name in box.sources))
            for box in part.boxes
        )
        folded.append(Group(boxes))
        looks.append(look)
    return folded


def _look(part: Group) -> object:
    """Return a key that is equal for groups that differ only in names."""
    position = {box.name: k for k, box in enumerate(part.boxes)}
    return tuple(
        (repr(box.layer), box.lines, tuple(position.get(name, -1) for name in box.sources))
        for box in part.boxes
    )


def as_graph(parts: Sequence[Group]) -> nx.DiGraph:
    """Return the boxes of groups as a graph, with edges in the direction of the data."""
    graph: nx.DiGraph = nx.DiGraph()
    for part in parts:
        for box in part.boxes:
            graph.add_node(box.name)
            graph.add_edges_from((source, box.name) for source in box.sources)
    return graph
