"""Generative networks: generator and discriminator of DCGAN, and a variational autoencoder."""

from __future__ import annotations

import math

from convalg.errors import ShapeError
from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import published, row
from convalg.size import is_symbolic


@published()
def dcgan_generator(
    in_shape: object = (100, 1, 1), channels: int = 3, *, width: int = 64
) -> Network:
    """Return the generator of DCGAN (Radford, Metz & Chintala 2016, figure 1).

    It maps noise to an image of 64 x 64 pixels. The kernels have 4 x 4 taps and the width is 64, as
    in the example of PyTorch; in the figure they are 5 x 5 and 128.

    Args:
        in_shape: the shape of the noise, `(channels, 1, 1)`.
        channels: the number of channels of the image.
        width: the number of channels of the last hidden layer.

    >>> import convalg as ca
    >>> net = ca.zoo.dcgan_generator()
    >>> net.parameters, net.out_shape
    (3576704, (3, 64, 64))
    """
    net = Network(in_shape, name="DCGAN generator")
    for k, factor in enumerate((8, 4, 2, 1), 1):
        steps = {"stride": 1, "padding": 0} if k == 1 else {"stride": 2, "padding": 1}
        conv = L.ConvTranspose(factor * width, 4, bias=False, **steps)
        row(net, net.output, {f"conv{k}": conv, f"bn{k}": L.BatchNorm(), f"relu{k}": L.ReLU()})
    last = L.ConvTranspose(channels, 4, stride=2, padding=1, bias=False)
    row(net, net.output, {"conv5": last, "tanh": L.Tanh()})
    return net


@published()
def dcgan_discriminator(in_shape: object = (3, 64, 64), *, width: int = 64) -> Network:
    """Return the discriminator of DCGAN (Radford, Metz & Chintala 2016, section 3).

    Its output is the probability that an image is real. Kernels and width are those of the example
    of PyTorch; see `dcgan_generator`.

    Args:
        in_shape: the shape of the image, `(channels, height, width)`.
        width: the number of channels of the first layer.

    Raises:
        ShapeError: when the image is too small.

    >>> import convalg as ca
    >>> net = ca.zoo.dcgan_discriminator()
    >>> net.parameters, net.out_shape
    (2765568, (1, 1, 1))
    """
    net = Network(in_shape, name="DCGAN discriminator")
    for k, factor in enumerate((1, 2, 4, 8), 1):
        norm = {f"bn{k}": L.BatchNorm()} if k > 1 else {}
        conv = L.Conv(factor * width, 4, stride=2, padding=1, bias=False)
        row(net, net.output, {f"conv{k}": conv, **norm, f"relu{k}": L.LeakyReLU(0.2)})
    row(net, net.output, {"conv5": L.Conv(1, 4, bias=False), "sigmoid": L.Sigmoid()})
    return net


@published()
def vae(
    in_shape: object = (1, 64, 64), latent: int = 10, *, width: int = 32, hidden: int = 256
) -> Network:
    """Return a convolutional variational autoencoder (Burgess et al. 2018, appendix A.1).

    The node "code" has the means followed by the logarithms of the variances, and the node "sample"
    the sample for the noise that `net.set_weights("sample", noise=...)` sets. The outputs are the
    logits of the pixels.

    Args:
        in_shape: the shape of the image; spatial sizes must be multiples of 16.
        latent: the number of entries of the sample.
        width: the number of channels of the convolutions.
        hidden: the number of outputs of each hidden dense layer.

    Raises:
        ShapeError: when a spatial size is symbolic or not a multiple of 16.

    >>> import convalg as ca
    >>> net = ca.zoo.vae()
    >>> net.shapes["code"], net.shapes["sample"], net.out_shape
    ((20,), (10,), (1, 64, 64))
    """
    net = Network(in_shape, name="VAE")
    for n in net.in_shape[1:]:
        if is_symbolic(n) or n % 16:
            raise ShapeError(f"the spatial sizes of in_shape must be multiples of 16, not {n}")
    for k in range(1, 5):
        conv = L.Conv(width, 4, stride=2, padding=1)
        row(net, net.output, {f"conv{k}": conv, f"relu{k}": L.ReLU()})
    inner = net.out_shape
    layers = {
        "fc1": L.Dense(hidden),
        "relu5": L.ReLU(),
        "fc2": L.Dense(hidden),
        "relu6": L.ReLU(),
        "code": L.Dense(2 * latent),
        "sample": L.Sample(),
        "fc3": L.Dense(hidden),
        "relu7": L.ReLU(),
        "fc4": L.Dense(hidden),
        "relu8": L.ReLU(),
        "fc5": L.Dense(math.prod(inner)),
        "relu9": L.ReLU(),
        "image": L.Reshape(inner),
    }
    row(net, net.output, layers)
    for k in range(5, 8):
        up = L.ConvTranspose(width, 4, stride=2, padding=1)
        row(net, net.output, {f"conv{k}": up, f"relu{k + 5}": L.ReLU()})
    net.add(L.ConvTranspose(net.in_shape[0], 4, stride=2, padding=1), name="output")
    return net
