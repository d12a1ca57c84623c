"""Fully convolutional networks for segmentation, on VGG-16."""

from __future__ import annotations

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import ceil_pool, checked_choice, published, row
from convalg.network.zoo.vgg import DEPTHS

MARGIN = 100
"""The padding of the first convolution, so large that the output covers the image."""

# The position of the image in the upsampled output, by stride, as in the authors' models.
OFFSETS = {32: 19, 16: 27, 8: 31}


@published()
def fcn(
    in_shape: object = (3, 500, 500),
    classes: int = 21,
    *,
    stride: int = 8,
    width: int = 64,
    hidden: int = 4096,
) -> Network:
    """Return FCN-8s, FCN-16s or FCN-32s on VGG-16 (Long, Shelhamer & Darrell 2015).

    The output has the spatial sizes of the image and one channel of scores for each class.

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of output channels.
        stride: the stride of the finest feature map that is used: 8, 16 or 32.
        width: the number of channels of the first convolutions, 64 in the paper.
        hidden: the number of channels of fc6 and fc7, 4096 in the paper.

    Raises:
        ArgumentError: for an unknown stride, or a number less than 1.

    >>> import convalg as ca
    >>> net = ca.zoo.fcn(stride=32)
    >>> net.out_shape, net.receptive_field("fc7").size
    ((21, 500, 500), (404, 404))
    """
    checked_choice(stride, "stride", tuple(OFFSETS))
    net = Network(in_shape, name=f"FCN-{stride}s")
    for block, count in enumerate(DEPTHS[16], 1):
        for k in range(1, count + 1):
            padding = MARGIN if (block, k) == (1, 1) else 1
            conv = L.Conv(width * min(2 ** (block - 1), 8), 3, padding=padding)
            row(net, net.output, {f"conv{block}_{k}": conv, f"relu{block}_{k}": L.ReLU()})
        net.add(ceil_pool(net, 2), name=f"pool{block}")
    layers = {
        "fc6": L.Conv(hidden, 7),
        "relu6": L.ReLU(),
        "drop6": L.Dropout(),
        "fc7": L.Conv(hidden, 1),
        "relu7": L.ReLU(),
        "drop7": L.Dropout(),
        "score_fr": L.Conv(classes, 1),
    }
    row(net, net.output, layers)
    factor = 32
    # The offset is the position of the first entry of the pooling in the upsampled scores.
    for pool, offset in (("pool4", 5), ("pool3", 9)):
        if factor > stride:
            _joined(net, pool, offset, classes)
            factor //= 2
    net.add(_upsampling(classes, factor), name="upscore")
    _cropped(net, net.output, "input", OFFSETS[stride], "score")
    return net


def _upsampling(classes: int, factor: int) -> L.ConvTranspose:
    return L.ConvTranspose(classes, 2 * factor, stride=factor, bias=False)


def _joined(net: Network, pool: str, offset: int, classes: int) -> None:
    """Append the sum of the upsampled scores and the scores of an earlier pooling."""
    up = net.add(_upsampling(classes, 2), name=f"upscore_{pool}")
    side = net.add(L.Conv(classes, 1), pool, name=f"score_{pool}")
    side = _cropped(net, side, up, offset, f"score_{pool}c")
    net.add(L.Add(), [up, side], name=f"fuse_{pool}")


def _cropped(net: Network, source: str, like: str, offset: int, name: str) -> str:
    """Append a crop of a node to the size of another node, starting at an offset."""
    pairs = [
        (-offset, want + offset - have)
        for have, want in zip(net.shapes[source][1:], net.shapes[like][1:], strict=True)
    ]
    return net.add(L.Pad(tuple(pairs)), source, name=name)
