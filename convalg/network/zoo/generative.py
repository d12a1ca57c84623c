"""Networks that make images: DCGAN's two halves, and a convolutional autoencoder."""

from __future__ import annotations

import math
from typing import Any

from convalg.errors import ShapeError
from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import published, row
from convalg.size import is_symbolic


@published()
def dcgan_generator(in_shape: Any = (100, 1, 1), channels: int = 3, *, width: int = 64) -> Network:
    """DCGAN's generator (Radford, Metz & Chintala 2016, figure 1), from noise to 64 x 64.

    Kernels of 4 taps and a width of 64, as in PyTorch's example; the figure has 5 and 128.

    >>> net = dcgan_generator()
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
def dcgan_discriminator(in_shape: Any = (3, 64, 64), *, width: int = 64) -> Network:
    """DCGAN's discriminator (Radford, Metz & Chintala 2016, section 3); see `dcgan_generator`.

    >>> net = dcgan_discriminator()
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
    in_shape: Any = (1, 64, 64), latent: int = 10, *, width: int = 32, hidden: int = 256
) -> Network:
    """A convolutional variational autoencoder (Burgess et al. 2018, appendix A.1).

    The node "code" has the means and then log variances, "sample" the sample, with the noise that
    `net.set_weights("sample", noise=...)` sets, and the output the logits of the pixels.

    Shapes: as many times as 4 strides of 2 allow: sizes that 16 divides.

    >>> net = vae()
    >>> net.shapes["code"], net.shapes["sample"], net.out_shape
    ((20,), (10,), (1, 64, 64))
    """
    net = Network(in_shape, name="VAE")
    for n in net.in_shape[1:]:
        if is_symbolic(n) or n % 16:
            raise ShapeError(f"sizes must be multiples of 16, for 4 strides of 2, not {n}")
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
