"""U-Net: an encoder and a decoder that are joined at each resolution."""

from __future__ import annotations

from typing import Literal

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import checked_choice, published, row
from convalg.size import as_integer


@published(depth=as_integer)
def unet(
    in_shape: object = (1, 572, 572),
    classes: int = 2,
    *,
    width: int = 64,
    depth: int = 4,
    padding: Literal["valid", "same"] = "valid",
) -> Network:
    """Return U-Net (Ronneberger, Fischer & Brox 2015, figure 1), for segmentation.

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of output channels.
        width: the number of channels at full resolution, 64 in the paper.
        depth: the number of poolings, 4 in the paper.
        padding: "valid" for the paper, in which the output is smaller than the image and feature
            maps of the encoder are cropped; "same" for an output of the size of the image, which
            must then be a multiple of 2^depth.

    Raises:
        ArgumentError: for an unknown padding, or a number less than 1.
        ShapeError: when the sizes of the image do not fit the poolings.

    >>> import convalg as ca
    >>> ca.zoo.unet().parameters, ca.zoo.unet().out_shape
    (31030658, (2, 388, 388))
    """
    checked_choice(padding, "padding", ("valid", "same"))
    net = Network(in_shape, name="U-Net")
    skips = []
    for k in range(1, depth + 1):
        last = _twice(net, f"down{k}", width * 2 ** (k - 1), padding)
        if k == depth:
            last = net.add(L.Dropout(), last, name=f"down{k}.dropout")
        skips.append(last)
        net.add(L.MaxPool(2, stride=2), last, name=f"pool{k}")
    _twice(net, "bottom", width * 2**depth, padding)
    net.add(L.Dropout(), name="bottom.dropout")
    for k in range(depth, 0, -1):
        channels = width * 2 ** (k - 1)
        up = net.add(L.ConvTranspose(channels, 2, stride=2), name=f"up{k}.conv")
        skip = _cropped(net, skips[k - 1], up, f"up{k}.crop")
        net.add(L.Concat(), [skip, up], name=f"up{k}.concat")
        _twice(net, f"up{k}", channels, padding)
    net.add(L.Conv(classes, 1), name="output")
    return net


def _twice(net: Network, name: str, channels: int, padding: str) -> str:
    layers: dict[str, L.Layer] = {}
    for k in (1, 2):
        layers[f"{name}.conv{k}"] = L.Conv(channels, 3, padding=int(padding == "same"))
        layers[f"{name}.relu{k}"] = L.ReLU()
    return row(net, net.output, layers)


def _cropped(net: Network, source: str, like: str, name: str) -> str:
    """Append a crop of the middle of a node to the size of another node."""
    pairs = []
    for have, want in zip(net.shapes[source][1:], net.shapes[like][1:], strict=True):
        extra = have - want
        pairs.append((-(extra // 2), -(extra - extra // 2)))
    if not any(before or after for before, after in pairs):
        return source
    return net.add(L.Pad(tuple(pairs)), source, name=name)
