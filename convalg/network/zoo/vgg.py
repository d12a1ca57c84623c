"""The VGG networks: stacks of 3 x 3 convolutions between poolings."""

from __future__ import annotations

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import dense_head, published, row

# The number of convolutions in each of the five blocks: columns A, B, D and E of table 1.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@published()
def vgg11(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    batch_norm: bool = False,
    width: int = 64,
    hidden: int = 4096,
) -> Network:
    """Return VGG with 11 layers of weights (Simonyan & Zisserman 2015, table 1, column A).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        batch_norm: whether a batch norm follows each convolution.
        width: the number of channels of the first block, 64 in the paper.
        hidden: the number of outputs of each hidden dense layer, 4096 in the paper.

    >>> import convalg as ca
    >>> ca.zoo.vgg11().parameters
    132863336
    """
    return _vgg(11, in_shape, classes, batch_norm, width, hidden)


@published()
def vgg13(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    batch_norm: bool = False,
    width: int = 64,
    hidden: int = 4096,
) -> Network:
    """Return VGG with 13 layers of weights (Simonyan & Zisserman 2015, table 1, column B).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        batch_norm: whether a batch norm follows each convolution.
        width: the number of channels of the first block, 64 in the paper.
        hidden: the number of outputs of each hidden dense layer, 4096 in the paper.

    >>> import convalg as ca
    >>> ca.zoo.vgg13().parameters
    133047848
    """
    return _vgg(13, in_shape, classes, batch_norm, width, hidden)


@published()
def vgg16(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    batch_norm: bool = False,
    width: int = 64,
    hidden: int = 4096,
) -> Network:
    """Return VGG with 16 layers of weights (Simonyan & Zisserman 2015, table 1, column D).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        batch_norm: whether a batch norm follows each convolution.
        width: the number of channels of the first block, 64 in the paper.
        hidden: the number of outputs of each hidden dense layer, 4096 in the paper.

    >>> import convalg as ca
    >>> net = ca.zoo.vgg16()
    >>> net.parameters, net.receptive_field("pool5").size
    (138357544, (212, 212))
    """
    return _vgg(16, in_shape, classes, batch_norm, width, hidden)


@published()
def vgg19(
    in_shape: object = (3, 224, 224),
    classes: int | None = 1000,
    *,
    batch_norm: bool = False,
    width: int = 64,
    hidden: int = 4096,
) -> Network:
    """Return VGG with 19 layers of weights (Simonyan & Zisserman 2015, table 1, column E).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        batch_norm: whether a batch norm follows each convolution.
        width: the number of channels of the first block, 64 in the paper.
        hidden: the number of outputs of each hidden dense layer, 4096 in the paper.

    >>> import convalg as ca
    >>> ca.zoo.vgg19().parameters
    143667240
    """
    return _vgg(19, in_shape, classes, batch_norm, width, hidden)


def _vgg(
    depth: int, in_shape: object, classes: int | None, batch_norm: bool, width: int, hidden: int
) -> Network:
    net = Network(in_shape, name=f"VGG-{depth}")
    for block, count in enumerate(DEPTHS[depth], 1):
        block_width = width * min(2 ** (block - 1), 8)
        for k in range(1, count + 1):
            norm = {f"bn{block}_{k}": L.BatchNorm()} if batch_norm else {}
            conv = {f"conv{block}_{k}": L.Conv(block_width, 3, padding=1)}
            row(net, net.output, {**conv, **norm, f"relu{block}_{k}": L.ReLU()})
        net.add(L.MaxPool(2, stride=2), name=f"pool{block}")
    if classes is not None:
        dense_head(net, net.output, hidden, classes)
    return net
