"""MobileNets: networks of depthwise and 1 x 1 convolutions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from convalg.network import layers as L  # noqa: N812
from convalg.network.layers.checks import positive
from convalg.network.network import Network
from convalg.network.zoo.blocks import pooled_head, published, row

# The channels and the stride of each separable convolution: table 1 of version 1. For the last one,
# the table has a stride of 2, which contradicts its sizes.
SEPARABLE = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
SEPARABLE += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
# The expansion, channels, units and stride of each stage: table 2 of version 2.
INVERTED = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
INVERTED += [(6, 160, 3, 2), (6, 320, 1, 1)]


@published(width=positive)
def mobilenet_v1(
    in_shape: object = (3, 224, 224), classes: int | None = 1000, *, width: float | Fraction = 1
) -> Network:
    """Return MobileNet v1 (Howard et al. 2017, table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        width: the factor by which the number of channels of every layer is multiplied, above 0.

    >>> import convalg as ca
    >>> ca.zoo.mobilenet_v1().parameters
    4231976
    """
    factor = Fraction(width)
    net = Network(in_shape, name="MobileNet v1")
    _conv(net, "conv1", int(32 * factor), 3, L.ReLU(), stride=2)
    for k, (channels, stride) in enumerate(SEPARABLE, 1):
        before = net.out_shape[0]
        options = {"stride": stride, "groups": before}
        _conv(net, f"block{k}.depthwise", before, 3, L.ReLU(), **options)
        _conv(net, f"block{k}.pointwise", int(channels * factor), 1, L.ReLU())
    if classes is not None:
        pooled_head(net, net.output, classes)
    return net


@published(width=positive)
def mobilenet_v2(
    in_shape: object = (3, 224, 224), classes: int | None = 1000, *, width: float | Fraction = 1
) -> Network:
    """Return MobileNet v2 (Sandler et al. 2018, table 2).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        width: the factor by which the number of channels of every layer is multiplied, above 0.

    >>> import convalg as ca
    >>> ca.zoo.mobilenet_v2().parameters
    3504872
    """
    factor = Fraction(width)
    net = Network(in_shape, name="MobileNet v2")
    relu6 = L.Pointwise("clip", (0.0, 6.0))
    _conv(net, "conv1", _rounded(32 * factor), 3, relu6, stride=2)
    number = 0
    for expansion, channels, units, stride in INVERTED:
        for k in range(units):
            number += 1
            step = stride if k == 0 else 1
            _inverted(net, f"block{number}", expansion, _rounded(channels * factor), step, relu6)
    _conv(net, "conv2", _rounded(1280 * max(factor, Fraction(1))), 1, relu6)
    if classes is not None:
        pooled_head(net, net.output, classes, dropout=0.2)
    return net


def _conv(
    net: Network, name: str, channels: int, size: int, activation: L.Layer | None, **options: Any
) -> str:
    """Append a convolution, a batch norm, and the activation unless it is None."""
    conv = L.Conv(channels, size, padding=size // 2, bias=False, **options)
    last = row(net, net.output, {f"{name}.conv": conv, f"{name}.bn": L.BatchNorm()})
    return last if activation is None else net.add(activation, name=f"{name}.relu")


def _inverted(
    net: Network, name: str, expansion: int, channels: int, stride: int, relu6: L.Layer
) -> None:
    """Append an inverted residual: a narrow linear input and output, and a wide middle."""
    source = net.output
    before = net.shapes[source][0]
    inner = expansion * before
    if expansion > 1:
        _conv(net, f"{name}.expand", inner, 1, relu6)
    _conv(net, f"{name}.depthwise", inner, 3, relu6, stride=stride, groups=inner)
    last = _conv(net, f"{name}.project", channels, 1, None)
    if stride == 1 and before == channels:
        net.add(L.Add(), [source, last], name=f"{name}.add")


def _rounded(channels: Fraction, divisor: int = 8) -> int:
    """Return the nearest multiple of 8 that is at most 10% smaller, as in the authors' code."""
    near = max(divisor, int(channels + Fraction(divisor, 2)) // divisor * divisor)
    return near + divisor if near < Fraction(9, 10) * channels else near
