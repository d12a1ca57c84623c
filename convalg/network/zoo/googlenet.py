"""GoogLeNet as published in 2014 and as in torchvision."""

from __future__ import annotations

from typing import Any, Literal

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import (
    ceil_pool,
    checked_choice,
    conv_bn_relu,
    pooled_head,
    published,
    row,
)

Variant = Literal["2014", "torchvision"]

# The channels of 1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce, 5 x 5 and pool proj: table 1.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@published()
def googlenet(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    variant: Variant = "2014",
    auxiliary: bool = False,
) -> Network:
    """Return GoogLeNet (Szegedy et al. 2015, "Going deeper with convolutions", table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "2014" for the paper, or "torchvision" for a version with batch norm, and with
            3 x 3 instead of 5 x 5 convolutions.
        auxiliary: whether to add the two auxiliary classifiers for training, whose outputs are the
            nodes "aux1.fc2" and "aux2.fc2".

    Raises:
        ArgumentError: for an unknown variant.
        ShapeError: when the input is too small.

    >>> import convalg as ca
    >>> ca.zoo.googlenet().parameters, ca.zoo.googlenet(variant="torchvision").parameters
    (6998552, 6624904)
    """
    checked_choice(variant, "variant", ("2014", "torchvision"))
    net = Network(in_shape, name="GoogLeNet")
    published = variant == "2014"
    _stem(net, variant)
    for name in MODULES:
        last = _module(net, net.output, name, variant)
        if name == "3b":
            net.add(ceil_pool(net, 3), last, name="maxpool3")
        if name == "4e":
            net.add(ceil_pool(net, 3 if published else 2), last, name="maxpool4")
        if auxiliary and classes is not None and name in ("4a", "4d"):
            _auxiliary(net, last, "aux1" if name == "4a" else "aux2", classes, variant)
            net.output = last
    if classes is not None:
        pooled_head(net, net.output, classes, dropout=0.4 if published else 0.2)
    return net


def _conv(
    net: Network, source: str, name: str, variant: Variant, channels: int, size: int, **options: Any
) -> str:
    if variant == "torchvision":
        return conv_bn_relu(net, source, name, channels, size, **options)
    layers = {f"{name}.conv": L.Conv(channels, size, **options), f"{name}.relu": L.ReLU()}
    return row(net, source, layers)


def _stem(net: Network, variant: Variant) -> None:
    """Append the layers before the first module, which reduce each size to an eighth."""
    last = _conv(net, net.output, "conv1", variant, 64, 7, stride=2, padding=3)
    last = net.add(ceil_pool(net, 3), last, name="maxpool1")
    if variant == "2014":
        last = net.add(L.LRN(5), last, name="norm1")
    last = _conv(net, last, "conv2", variant, 64, 1)
    last = _conv(net, last, "conv3", variant, 192, 3, padding=1)
    if variant == "2014":
        last = net.add(L.LRN(5), last, name="norm2")
    net.add(ceil_pool(net, 3), last, name="maxpool2")


def _module(net: Network, source: str, module: str, variant: Variant) -> str:
    """Append an inception module: four parallel branches and their concatenation."""
    one, before_three, three, before_five, five, pooled = MODULES[module]
    name = f"inception{module}"
    size = 5 if variant == "2014" else 3
    first = _conv(net, source, f"{name}.branch1", variant, one, 1)
    second = _conv(net, source, f"{name}.branch2.0", variant, before_three, 1)
    second = _conv(net, second, f"{name}.branch2.1", variant, three, 3, padding=1)
    third = _conv(net, source, f"{name}.branch3.0", variant, before_five, 1)
    third = _conv(net, third, f"{name}.branch3.1", variant, five, size, padding=size // 2)
    pool = net.add(L.MaxPool(3, stride=1, padding=1), source, name=f"{name}.branch4.0")
    fourth = _conv(net, pool, f"{name}.branch4.1", variant, pooled, 1)
    return net.add(L.Concat(), [first, second, third, fourth], name=name)


def _auxiliary(net: Network, source: str, name: str, classes: int, variant: Variant) -> None:
    pool = L.AvgPool(5, stride=3) if variant == "2014" else L.AdaptiveAvgPool(4)
    last = net.add(pool, source, name=f"{name}.pool")
    last = _conv(net, last, f"{name}.conv", variant, 128, 1)
    row(
        net,
        last,
        {
            f"{name}.fc1": L.Dense(1024),
            f"{name}.relu": L.ReLU(),
            f"{name}.dropout": L.Dropout(0.7),
            f"{name}.fc2": L.Dense(classes),
        },
    )
