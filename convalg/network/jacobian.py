"""The Jacobian of a network at a point, as a product of operators, with or without branches.

All data that later layers still read are concatenated to one vector. Each layer is then one
operator on this vector: it appends the output of the layer and removes the data that no later
layer reads. In a network without branches, it is the Jacobian of the layer itself.
"""

from __future__ import annotations

import networkx as nx

from convalg.arrays import Array, one_sample
from convalg.maps.chains import embeddings
from convalg.network.graph import INPUT, Graph
from convalg.operators.dense import identity
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Operator, add, compose
from convalg.size import size_product


def jacobian(net: Graph, x: object, wanted: str) -> Operator:
    """Return the Jacobian of a network at one sample; see `Network.jacobian`."""
    return jacobian_between(net, data_at(net, x, wanted), INPUT, wanted)


def data_at(net: Graph, x: object, wanted: str) -> dict[str, Array]:
    """Return the data of one sample at `wanted` and at every node on which it depends."""
    sample = one_sample(x, net.in_shape)
    return {node: value[0] for node, value in net.run(sample[None], wanted, keep=True).items()}


def jacobian_between(net: Graph, data: dict[str, Array], start: str, wanted: str) -> Operator:
    """Return the Jacobian of the data at `wanted` by the data at `start`."""
    needed = (nx.ancestors(net.graph, wanted) | {wanted}) & nx.descendants(net.graph, start)
    order = [node for node, _ in net.layers() if node in needed]
    steps: list[Operator] = []
    live = [start]
    for k, node in enumerate(order):
        rest = order[k + 1 :]
        following = [n for n in live if n != wanted and _is_read(net, n, rest)] + [node]
        steps.append(_step(net, data, live, following, node))
        live = following
    if not steps:
        return identity(net.shapes[start])
    return compose(*reversed(steps))


def _is_read(net: Graph, node: str, layers: list[str]) -> bool:
    """Return whether one of the layers reads the data at a node."""
    return any(successor in layers for successor in net.graph.successors(node))


def _step(
    net: Graph, data: dict[str, Array], live: list[str], following: list[str], node: str
) -> Operator:
    """Return the operator from the vector of data before a layer to the vector after it."""
    before = _cuts(net, live)
    after = [cut.T for cut in _cuts(net, following)]
    sources = net.sources(node)
    layer = net[node]
    if layer.many:
        joins = layer.joins(net.input_shapes(node))
    else:
        joins = [net.map(node).at(data[sources[0]])]
    own = [
        compose(join, before[live.index(source)])
        for join, source in zip(joins, sources, strict=True)
        if source in live
    ]
    terms = [compose(after[-1], add(*own))]
    for k, kept in enumerate(following[:-1]):
        terms.append(compose(after[k], before[live.index(kept)]))
    return add(*terms)


def _cuts(net: Graph, nodes: list[str]) -> list[Operator]:
    """Return the operators that extract the data of each node from the concatenated vector."""
    shapes = [net.shapes[node] for node in nodes]
    if len(nodes) == 1:
        return [identity(shapes[0])]
    flat = embeddings([(size_product(shape),) for shape in shapes])
    return [
        compose(reshape(size_product(shape), shape), part.T)
        for shape, part in zip(shapes, flat, strict=True)
    ]
