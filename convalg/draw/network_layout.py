"""The layout of the boxes and arrows of a network: in columns, or on the two sides of a U."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import networkx as nx

from convalg.draw.graph_layout import Layering, layering
from convalg.draw.network_boxes import Group, LayerBox, as_graph, box_title
from convalg.draw.skip_layout import SkipLayout, hourglass

LINE = 0.112  # inches between lines of text
LETTER, BOLD = 0.0515, 0.059  # inches, the mean width of a letter
PITCH = 0.2  # inches between rows
NARROWEST = 1.1
BETWEEN = 0.5  # inches between columns
MARGIN, TIMES = 0.06, 0.4  # inches around a framed block, and for its number of repetitions
TALLEST = 9.6  # inches of one column, if it can be split
PAGE, LEAST = 0.75, 0.3
"""Height over width of a figure of several columns; least share of the height of a column."""

Point = tuple[float, float]


@dataclass(frozen=True)
class BoxPosition:
    """The position of a box in inches from the top left; `box` is None for a repeated box."""

    name: str
    box: LayerBox | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """The frame around a repeated block, in inches from the top left."""

    left: float
    top: float
    right: float
    bottom: float
    times: int


@dataclass
class NetworkLayout:
    """Boxes, arrows, and the frames of repeated blocks.

    An arrow is a list of points, connected by curves with vertical tangents; `sideways` arrows
    leave to the right.
    """

    width: float = 0.0
    height: float = 0.0
    spots: list[BoxPosition] = field(default_factory=list)
    arrows: list[list[Point]] = field(default_factory=list)
    sideways: list[tuple[Point, Point]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


def plan(parts: Sequence[Group]) -> NetworkLayout:
    """Return the layout of a figure of a network."""
    boxes = {box.name: box for part in parts for box in part.boxes}
    wide = max(_width(box) for box in boxes.values())
    folded = any(part.times > 1 for part in parts)
    shape = None if folded else hourglass(as_graph(parts))
    return _sides(boxes, shape, wide) if shape else _columns(parts, boxes, wide)


def _width(box: LayerBox) -> float:
    text_width = max(BOLD * len(box_title(box.name)), LETTER * max(map(len, box.lines)))
    return max(text_width + 0.2, NARROWEST)


def _height(box: LayerBox | None) -> float:
    return LINE * (1 + len(box.lines) if box else 1) + 0.09


# Columns.


def _columns(parts: Sequence[Group], boxes: dict[str, LayerBox], wide: float) -> NetworkLayout:
    layout = NetworkLayout()
    for column in _split(parts, boxes, wide):
        graph = as_graph(column)
        layers = layering(graph, dict.fromkeys(graph, wide))
        own = {box.name: box for part in column for box in part.boxes}
        if layout.spots:
            layout.width += BETWEEN
        spots, tops = _column_positions(layers, own, layout.width, wide)
        right = layout.width + layers.width
        for part in column:
            arrows = [
                _arrow(layers.route(name, box.name), spots[name], spots[box.name], tops, layout)
                for box in part.boxes
                for name in box.sources
            ]
            layout.arrows += arrows
            if part.times > 1:
                frame = _frame(part, spots, arrows)
                layout.frames.append(frame)
                right = max(right, frame.right + TIMES)
        layout.spots += spots.values()
        layout.width = right
        layout.height = max(layout.height, max(s.y + s.height for s in spots.values()))
    return layout


def _frame(part: Group, spots: dict[str, BoxPosition], arrows: list[list[Point]]) -> Frame:
    """Return the frame around the boxes of a group and the arrows that pass them."""
    inside = [spots[box.name] for box in part.boxes]
    passing = [x for points in arrows for x, _ in points]
    return Frame(
        min([s.x for s in inside] + passing) - MARGIN,
        min(s.y for s in inside) - MARGIN,
        max([s.x + s.width for s in inside] + passing) + MARGIN,
        max(s.y + s.height for s in inside) + MARGIN,
        part.times,
    )


def _split(parts: Sequence[Group], boxes: dict[str, LayerBox], wide: float) -> list[list[Group]]:
    """Split the groups into columns of similar height, without very short columns."""
    heights = [_group_height(part, boxes) for part in parts]
    left = sum(heights)
    # A figure of several columns has the aspect ratio of a page.
    many = max(round(left / max(TALLEST, math.sqrt(PAGE * (wide + BETWEEN) * left))), 1)
    columns: list[list[Group]] = [[]]
    height, target = 0.0, left / many
    for part, more in zip(parts, heights, strict=True):
        short = min(height, left) < LEAST * target
        if not short and len(columns) < many and height + more / 2 > target:
            columns.append([])
            height, target = 0.0, left / (many - len(columns) + 1)
        columns[-1].append(part)
        height += more
        left -= more
    return columns


def _group_height(part: Group, boxes: dict[str, LayerBox]) -> float:
    """Return the height of a group in a column, in inches."""
    own = {box.name for box in part.boxes}
    graph = as_graph([part]).subgraph(own)
    return sum(
        max(_height(boxes[name]) for name in row) + PITCH
        for row in nx.topological_generations(graph)
    )


def _column_positions(
    layers: Layering, boxes: dict[str, LayerBox], left: float, wide: float
) -> tuple[dict[str, BoxPosition], list[Point]]:
    """Return the positions of the boxes of a column, and the top and bottom of each row."""
    tops: list[Point] = []
    spots: dict[str, BoxPosition] = {}
    y = 0.0
    for items in layers.rows:
        names = [item for item in items if isinstance(item, str)]
        high = max(_height(boxes.get(name)) for name in names)
        for name in names:
            box = boxes.get(name)
            width = wide if box else LETTER * len(box_title(name)) + 0.2
            x = left + layers.middles[name] - width / 2
            spots[name] = BoxPosition(name, box, x, y, width, _height(box))
        tops.append((y, y + high))
        y += high + PITCH
    return spots, tops


def _arrow(
    route: list[tuple[int, float]],
    start: BoxPosition,
    end: BoxPosition,
    tops: list[Point],
    layout: NetworkLayout,
) -> list[Point]:
    """Return the arrow from the bottom of a box to the top of another, vertical at passed rows."""
    points = [(start.x + start.width / 2, start.y + start.height)]
    for (upper, _), (lower, middle) in pairwise(route):
        x, y = points[-1]
        # The tallest box of a row ends at the bottom of the row, up to rounding.
        if tops[upper][1] - y > 1e-9:
            points.append((x, tops[upper][1]))
        points.append((layout.width + middle, tops[lower][0]))
    points[-1] = (end.x + end.width / 2, end.y)
    return points


# The two sides of a U.


def _sides(boxes: dict[str, LayerBox], shape: SkipLayout, wide: float) -> NetworkLayout:
    graph = as_graph([Group(tuple(boxes.values()))])
    layout = NetworkLayout()
    count = max(shape.rows.values()) + 1
    high = [
        max((_height(boxes[n]) for n, row in shape.rows.items() if row == k), default=0.0)
        for k in range(count)
    ]
    tops: list[Point] = []
    y = 0.0
    for each in high:
        tops.append((y, y + each))
        y += each + PITCH
    spots: dict[str, BoxPosition] = {}
    for side, upwards in ((shape.down, False), (shape.up, True)):
        part = graph.subgraph(side)
        part = part.reverse() if upwards else part
        layers = layering(part, dict.fromkeys(part, wide), shape.rows)
        for name in side:
            top, bottom = tops[shape.rows[name]]
            height = _height(boxes[name])
            x = layout.width + layers.middles[name] - wide / 2
            middle = (top + bottom - height) / 2
            spots[name] = BoxPosition(name, boxes[name], x, middle, wide, height)
        for source, target in part.edges:
            route = layers.route(source, target)
            points = _arrow(route, spots[source], spots[target], tops, layout)
            layout.arrows.append(points[::-1] if upwards else points)
        layout.width += layers.width + (0 if upwards else 2 * BETWEEN)
    for source, target in shape.across:
        start, end = spots[source], spots[target]
        layout.sideways.append(_across(start, end, shape.rows[source] == shape.rows[target]))
    layout.spots = list(spots.values())
    layout.height = y - PITCH
    return layout


def _across(start: BoxPosition, end: BoxPosition, level: bool) -> tuple[Point, Point]:
    right = (start.x + start.width, start.y + start.height / 2)
    if level:
        return right, (end.x, end.y + end.height / 2)
    return right, (end.x + end.width / 2, end.y + end.height)
