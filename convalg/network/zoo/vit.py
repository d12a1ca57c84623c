"""The first layer of the vision transformer."""

from __future__ import annotations

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import published, row
from convalg.size import size_product


@published()
def vit_patches(in_shape: object = (3, 224, 224), width: int = 768, *, patch: int = 16) -> Network:
    """The patch embedding of ViT-B/16 (Dosovitskiy et al. 2021, equation 1), without positions.

    One matrix for all patches is a convolution whose stride equals its kernel size; the output has
    a row for each patch.

    Args:
        in_shape: the shape of the input.
        width: the length of the embedding of a patch.
        patch: the size of a patch along each axis.

    >>> import convalg as ca
    >>> net = ca.zoo.vit_patches()
    >>> net.parameters, net.out_shape
    (590592, (196, 768))
    """
    net = Network(in_shape, name="ViT patches")
    net.add(L.Conv(width, patch, stride=patch), name="patches")
    count = size_product(net.out_shape[1:])
    row(
        net,
        net.output,
        {"columns": L.Reshape((width, count)), "tokens": L.Permute((1, 0))},
    )
    return net
