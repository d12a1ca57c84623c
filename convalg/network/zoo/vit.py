"""The first layer of the vision transformer."""

from __future__ import annotations

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import published, row
from convalg.size import size_product


@published()
def vit_patches(in_shape: object = (3, 224, 224), width: int = 768, *, patch: int = 16) -> Network:
    """Return the patch embedding of ViT-B/16 (Dosovitskiy et al. 2021, equation 1).

    One matrix is applied to every patch, which is a convolution with a stride equal to its kernel
    size. The output has shape `(patches, width)`; position embeddings are not included.

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        width: the number of entries of the embedding of a patch.
        patch: the number of pixels of a patch along each axis.

    Raises:
        ShapeError: when the image is smaller than a patch.

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
