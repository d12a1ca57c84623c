"""Residual networks, as published and with the strides of torchvision."""

from __future__ import annotations

from typing import Literal

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import ceil_pool, checked_choice, pooled_head, published, row

Variant = Literal["v1", "v1.5"]

# The number of units in each of the four stages: table 1.
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DEPTHS[152] = (3, 8, 36, 3)
EXPANSION = 4
"""The number of output channels of a bottleneck, divided by the number of inner channels."""


@published()
def resnet18(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    variant: Variant = "v1",
    width: int = 64,
    version: Variant | None = None,
) -> Network:
    """Return ResNet with 18 layers of weights (He, Zhang, Ren & Sun 2016, table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "v1" or "v1.5"; see `resnet50`.
        width: the number of channels of the first convolution, 64 in the paper.
        version: an older name of `variant`.

    >>> import convalg as ca
    >>> net = ca.zoo.resnet18()
    >>> net.parameters, net.receptive_field("layer4.1.relu").size
    (11689512, (435, 435))
    """
    return _resnet(18, in_shape, classes, variant, version, width)


@published()
def resnet34(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    variant: Variant = "v1",
    width: int = 64,
    version: Variant | None = None,
) -> Network:
    """Return ResNet with 34 layers of weights (He, Zhang, Ren & Sun 2016, table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "v1" or "v1.5"; see `resnet50`.
        width: the number of channels of the first convolution, 64 in the paper.
        version: an older name of `variant`.

    >>> import convalg as ca
    >>> ca.zoo.resnet34().parameters
    21797672
    """
    return _resnet(34, in_shape, classes, variant, version, width)


@published()
def resnet50(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    variant: Variant = "v1",
    width: int = 64,
    version: Variant | None = None,
) -> Network:
    """Return ResNet with 50 layers of weights (He, Zhang, Ren & Sun 2016, table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "v1" for the model of the authors, in which the first 1 x 1 convolution of a unit
            has the stride and the first pooling is padded only at the end; "v1.5" for the model of
            torchvision, in which the 3 x 3 convolution has the stride and the pooling is padded at
            both ends.
        width: the number of channels of the first convolution, 64 in the paper.
        version: an older name of `variant`.

    Raises:
        ArgumentError: for an unknown variant, or a number less than 1.

    >>> import convalg as ca
    >>> ca.zoo.resnet50(variant="v1").receptive_field("layer4.2.relu").size
    (483, 483)
    >>> ca.zoo.resnet50(variant="v1.5").receptive_field("layer4.2.relu").size
    (427, 427)
    """
    return _resnet(50, in_shape, classes, variant, version, width)


@published()
def resnet101(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    variant: Variant = "v1",
    width: int = 64,
    version: Variant | None = None,
) -> Network:
    """Return ResNet with 101 layers of weights (He, Zhang, Ren & Sun 2016, table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "v1" or "v1.5"; see `resnet50`.
        width: the number of channels of the first convolution, 64 in the paper.
        version: an older name of `variant`.

    >>> import convalg as ca
    >>> ca.zoo.resnet101().receptive_field("layer4.2.relu").size
    (1027, 1027)
    """
    return _resnet(101, in_shape, classes, variant, version, width)


@published()
def resnet152(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    variant: Variant = "v1",
    width: int = 64,
    version: Variant | None = None,
) -> Network:
    """Return ResNet with 152 layers of weights (He, Zhang, Ren & Sun 2016, table 1).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "v1" or "v1.5"; see `resnet50`.
        width: the number of channels of the first convolution, 64 in the paper.
        version: an older name of `variant`.

    >>> import convalg as ca
    >>> ca.zoo.resnet152().parameters
    60192808
    """
    return _resnet(152, in_shape, classes, variant, version, width)


def _resnet(
    depth: int,
    in_shape: object,
    classes: int | None,
    variant: Variant,
    version: Variant | None,
    width: int,
) -> Network:
    if version is None:
        checked_choice(variant, "variant", ("v1", "v1.5"))
    else:
        checked_choice(version, "version", ("v1", "v1.5"))
        variant = version
    net = Network(in_shape, name=f"ResNet-{depth}")
    first = variant == "v1"
    row(
        net,
        net.output,
        {
            "conv1": L.Conv(width, 7, stride=2, padding=3, bias=False),
            "bn1": L.BatchNorm(),
            "relu": L.ReLU(),
            "maxpool": ceil_pool(net, 3) if first else L.MaxPool(3, stride=2, padding=1),
        },
    )
    for stage, count in enumerate(DEPTHS[depth], 1):
        channels = width * 2 ** (stage - 1)
        for k in range(count):
            stride = 2 if stage > 1 and k == 0 else 1
            convs = [(channels, 3, stride), (channels, 3, 1)]
            if depth >= 50:
                strides = (stride, 1) if first else (1, stride)
                convs = [(channels, 1, strides[0]), (channels, 3, strides[1])]
                convs.append((EXPANSION * channels, 1, 1))
            _unit(net, f"layer{stage}.{k}", convs, stride)
    if classes is not None:
        pooled_head(net, net.output, classes)
    return net


def _unit(net: Network, name: str, convs: list[tuple[int, int, int]], stride: int) -> None:
    """Append a residual unit: the sum of its input and of convolutions (channels, size, stride)."""
    source = last = net.output
    for k, (channels, size, step) in enumerate(convs, 1):
        conv = L.Conv(channels, size, stride=step, padding=size // 2, bias=False)
        last = row(net, last, {f"{name}.conv{k}": conv, f"{name}.bn{k}": L.BatchNorm()})
        if k < len(convs):
            last = net.add(L.ReLU(), last, name=f"{name}.relu{k}")
    skip = source
    if net.shapes[source] != net.shapes[last]:
        project = L.Conv(convs[-1][0], 1, stride=stride, bias=False)
        skip = row(
            net, source, {f"{name}.downsample.0": project, f"{name}.downsample.1": L.BatchNorm()}
        )
    net.add(L.Add(), [last, skip], name=f"{name}.add")
    net.add(L.ReLU(), name=f"{name}.relu")
