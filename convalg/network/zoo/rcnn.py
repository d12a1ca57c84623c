"""A detector: the head of Fast R-CNN on a feature map of a backbone network."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import networkx as nx

from convalg.errors import KindError, ShapeError
from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import published, row
from convalg.network.zoo.vgg import vgg16


@published()
def rcnn(
    backbone: Network | None = None,
    regions: Sequence[Sequence[int]] | None = None,
    classes: int = 21,
    *,
    at: str | None = None,
    size: int = 7,
    hidden: int = 4096,
) -> Network:
    """Return a backbone network with the head of Fast R-CNN (Girshick 2015).

    The output "scores" has shape `(regions, classes)`. The output "boxes" has shape
    `(regions, 4 * classes)`: four corrections of the region's box for each class.

    Args:
        backbone: the network that computes the feature map; by default VGG-16.
        regions: the regions as (x1, y1, x2, y2) in pixels; by default the whole image.
        classes: the number of classes, including the background.
        at: the name of the node of the feature map; by default the output of the backbone, or
            "relu5_3" of VGG-16.
        size: the number of windows of each region along each axis.
        hidden: the number of outputs of each hidden layer.

    Raises:
        KindError: when backbone is not a network.
        ShapeError: when the node does not have a feature map of two spatial axes.
        ArgumentError: when at is not a node of the backbone, or regions is empty.

    >>> import convalg as ca
    >>> backbone = ca.zoo.vgg16((3, 64, 96), None)
    >>> net = ca.zoo.rcnn(backbone, [(0, 0, 63, 63), (32, 0, 95, 63)], at="relu5_3")
    >>> net.shapes["roi_pool"], net.shapes["scores"], net.shapes["boxes"]
    ((1024, 7, 7), (2, 21), (2, 84))
    """
    if not (backbone is None or isinstance(backbone, Network)):
        raise KindError(f"backbone must be a ca.Network, not {backbone!r}")
    if backbone is None:
        backbone, at = vgg16((3, 224, 224), None), at or "relu5_3"
    net = _up_to(backbone, backbone.output if at is None else backbone.check_node(at))
    if len(net.out_shape) != 3:
        raise ShapeError(
            f"{net.output} must be a feature map with two spatial axes, but its shape is "
            f"{net.out_shape}: pass the name of such a node as at"
        )
    strides = net.receptive_field().stride
    if regions is None:
        regions = [(0, 0, net.in_shape[2] - 1, net.in_shape[1] - 1)]
    boxes = tuple(tuple(region) for region in regions)
    channels = net.out_shape[0]
    layers = {
        "roi_pool": L.RoIPool(size, boxes, 1 / Fraction(strides[0])),
        "rows": L.Reshape((len(boxes), channels * size**2)),
    }
    row(net, net.output, layers)
    for name in ("fc6", "fc7"):
        row(net, net.output, {**_linear(name, hidden), f"{name}.relu": L.ReLU()})
    last = net.output
    row(net, last, _linear("boxes", 4 * classes))
    row(net, last, _linear("scores", classes))
    return net


def _linear(name: str, width: int) -> dict[str, L.Layer]:
    """Return the layers that apply one matrix and one bias to every row."""
    return {f"{name}.weights": L.Project(width), name: L.Shift((width,))}


def _up_to(backbone: Network, node: str) -> Network:
    """Return a new network with the layers on which a node depends."""
    needed = nx.ancestors(backbone.graph, node) | {node}
    net = Network(backbone.in_shape, name=f"R-CNN on {backbone.name}")
    for name, layer in backbone.layers():
        if name in needed:
            net.add(layer, backbone.sources(name), name=name)
    return net
