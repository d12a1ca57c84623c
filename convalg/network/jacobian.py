"""The Jacobian of a network at a point: a product of operators, also where branches meet.

Between two layers the data that later layers read are concatenated in one vector; a layer is the
operator that appends its output to that vector and removes what no later layer reads. Without
branches, this is the Jacobian of the layer itself.
"""

from __future__ import annotations

from typing import Any

import networkx as nx

from convalg.arrays import one_sample
from convalg.maps.chains import embeddings
from convalg.network.graph import INPUT, Graph
from convalg.operators.dense import identity
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Operator, add, compose
from convalg.size import size_product


def jacobian(net: Graph, x: object, wanted: str) -> Operator:
    """See `Network.jacobian`."""
    return jacobian_between(net, data_at(net, x, wanted), INPUT, wanted)


def data_at(net: Graph, x: object, wanted: str) -> dict[str, Any]:
    """Return the data of one sample at every node that `wanted` depends on."""
    sample = one_sample(x, net.in_shape)
    return {node: value[0] for node, value in net.run(sample[None], wanted, keep=True).items()}


def jacobian_between(net: Graph, data: dict[str, Any], start: str, wanted: str) -> Operator:
    """Return the Jacobian of a node by the data of another node."""
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
    return any(successor in layers for successor in net.graph.successors(node))


def _step(
    net: Graph, data: dict[str, Any], live: list[str], following: list[str], node: str
) -> Operator:
    """Return the operator from the live data before a layer to the live data after it."""
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
