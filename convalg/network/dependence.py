"""The exact sets of input entries on which outputs of a network depend.

A set is a union of products; a product has one array of indices for every axis, channels first. A
layer maps a product of outputs to products of inputs. Tracing an output back to the image therefore
needs neither a matrix nor a mask, and channels of different branches stay separate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import networkx as nx
import numpy as np

from convalg.arrays import Array
from convalg.errors import TooLargeError
from convalg.limits import check_memory
from convalg.network.graph import INPUT, Graph
from convalg.network.layers.base import Indices, Layer, Shape, all_indices, check_indices
from convalg.network.layers.shape import Concat

MOST_PRODUCTS = 4096
"""The largest number of products in a set."""
MOST_COMPARED = 256
"""The largest number of products among which products contained in others are removed."""


def inputs_read(net: Graph, node: str, units: Indices) -> list[Indices]:
    """Return the entries of the network's input on which entries of a node depend."""
    pending: dict[str, list[Indices]] = {node: [units]}
    for name in reversed(ordered(net, node)):
        here = united(pending.pop(name, []), name)
        if name == INPUT:
            return here
        layer, shapes = net[name], net.input_shapes(name)
        for port, source in enumerate(net.sources(name)):
            back = [part for each in here for part in layer.reads(each, shapes, port)]
            pending.setdefault(source, []).extend(back)
    return []


def outputs_reading(net: Graph, node: str, pixel: Sequence[int]) -> list[Indices]:
    """Return the entries of a node that depend on any channel of a pixel.

    Every layer on the path to the node must have links.
    """
    start: Indices = (all_indices(int(net.in_shape[0])), *(np.array([k]) for k in pixel))
    dependent: dict[str, list[Indices]] = {INPUT: united([start], INPUT)}
    for name in ordered(net, node):
        if name == INPUT:
            continue
        layer, shapes, parts = net[name], net.input_shapes(name), list[Indices]()
        for port, source in enumerate(net.sources(name)):
            through = _forward(layer, shapes, port)
            parts += [through(each) for each in dependent[source]]
        dependent[name] = united(parts, name)
    return dependent[node]


def _forward(layer: Layer, shapes: tuple[Shape, ...], port: int) -> Callable[..., Indices]:
    """Return the function that maps a product of input entries to the outputs that read it."""
    shape = shapes[port]
    if isinstance(layer, Concat):
        offset = sum(int(one[0]) for one in shapes[:port])
        return lambda units: (units[0] + offset, *units[1:])
    if layer.many:
        return lambda units: units
    links, own = layer.links(shape) or (), layer.channels(shape)

    def through(units: Indices) -> Indices:
        channels = units[0] if own is None else np.flatnonzero(own[:, units[0]].any(axis=1))
        spatial = (link.readers(u) for link, u in zip(links, units[1:], strict=True))
        return (channels, *spatial)

    return through


def ordered(net: Graph, node: str) -> list[str]:
    """Return a node and all nodes on which it depends, in data-flow order."""
    needed = nx.ancestors(net.graph, node) | {node}
    return [name for name in net if name in needed]


def united(parts: list[Indices], node: str) -> list[Indices]:
    """Return a union of products in simpler form: merged, without empty and contained products.

    Raises: TooLargeError for more than MOST_PRODUCTS products.
    """
    products = [part for part in parts if all(map(len, part))]
    for axis in range(len(products[0]) if len(products) > 1 else 0):
        products = _merged(products, axis)
    if len(products) > MOST_PRODUCTS:
        raise TooLargeError(
            f"the set of entries of {node} that are read may be a union of up to {MOST_PRODUCTS} "
            f"products, not {len(products)}: pass an earlier node to receptive_field"
        )
    if not 1 < len(products) <= MOST_COMPARED:
        return products
    products.sort(key=lambda part: -np.prod([len(k) for k in part], dtype=float))
    kept: list[Indices] = []
    for part in products:
        if not any(_inside(part, other) for other in kept):
            kept.append(part)
    return kept


def _merged(parts: list[Indices], axis: int) -> list[Indices]:
    """Merge products that differ only along one axis."""
    alike: dict[tuple[bytes, ...], list[Indices]] = {}
    for part in parts:
        key = tuple(k.tobytes() for a, k in enumerate(part) if a != axis)
        alike.setdefault(key, []).append(part)
    return [
        (
            *group[0][:axis],
            np.unique(np.concatenate([p[axis] for p in group])),
            *group[0][axis + 1 :],
        )
        if len(group) > 1
        else group[0]
        for group in alike.values()
    ]


def _inside(part: Indices, other: Indices) -> bool:
    """Return whether a product is contained in another one."""
    return all(
        len(a) <= len(b) and np.isin(a, b, assume_unique=True).all()
        for a, b in zip(part, other, strict=True)
    )


def positions(parts: list[Indices], dims: int) -> tuple[list[int], ...]:
    """Return the projection of a set onto each spatial axis, as a sorted list of positions."""
    if not parts:
        return ([],) * dims
    projections = []
    for axis in range(dims):
        read = np.unique(np.concatenate([part[1 + axis] for part in parts]))
        check_indices(len(read), f"{len(read)} positions")
        projections.append(read.tolist())
    return tuple(projections)


def mask(parts: list[Indices], sizes: tuple[int, ...]) -> Array:
    """Return a boolean array of the spatial shape: True if a channel of the pixel is in the set."""
    needed = int(np.prod(sizes, dtype=object)) if sizes else 1
    what = f"a mask of {' x '.join(map(str, sizes))} pixels"
    check_memory(needed, None, what=what, instead="use positions(u) or box(u)", fixed=True)
    pixels = np.zeros(sizes, dtype=bool)
    for part in parts:
        pixels[np.ix_(*part[1:])] = True
    return pixels
