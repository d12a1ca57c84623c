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
    """DCGAN's generator (Radford, Metz & Chintala 2016, figure 1), from noise to 64 x 64.

    Kernels have 4 taps and the width is 64, as in PyTorch's example; in the figure they are 5 and
    128.

    Args:
        in_shape: the shape of the noise.
        channels: the channels of the image.
        width: the channels of the last hidden layer.

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
    """DCGAN's discriminator (Radford, Metz & Chintala 2016, section 3); see `dcgan_generator`.

    Args:
        in_shape: the shape of the image.
        width: the channels of the first layer.

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
    """A convolutional variational autoencoder (Burgess et al. 2018, appendix A.1).

    The node "code" has the means and then the log variances, "sample" the sample with the noise
    of `net.set_weights("sample", noise=...)`, and the output is the logits of the pixels.

    Args:
        in_shape: the shape of the image; spatial sizes are multiples of 16.
        latent: the size of the sample.
        width: the channels of the convolutions.
        hidden: the width of the dense layers.

    Raises:
        ShapeError: for a spatial size that is symbolic or not a multiple of 16.

    >>> import convalg as ca
    >>> net = ca.zoo.vae()
    >>> net.shapes["code"], net.shapes["sample"], net.out_shape
    ((20,), (10,), (1, 64, 64))
    """
    net = Network(in_shape, name="VAE")
    for n in net.in_shape[1:]:
        if is_symbolic(n) or n % 16:
            raise ShapeError(f"spatial sizes must be multiples of 16 (4 strides of 2), not {n}")
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
