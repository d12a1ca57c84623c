"""AlexNet as published in 2012 and as in torchvision."""

from __future__ import annotations

from typing import Literal

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import checked_choice, dense_head, published, row


@published()
def alexnet(
    in_shape: object = None,
    classes: int | None = 1000,
    *,
    variant: Literal["2012", "torchvision"] = "2012",
    groups: int = 2,
    hidden: int = 4096,
) -> Network:
    """Return AlexNet (Krizhevsky, Sutskever & Hinton 2012).

    It has groups of channels, local response normalisation and overlapping poolings.

    Args:
        in_shape: the shape of one input sample; by default (3, 227, 227), which the layers of the
            paper require although its text states 224, or (3, 224, 224) for "torchvision".
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        variant: "2012" for the paper, or "torchvision" for the version of Krizhevsky 2014, "One
            weird trick", without normalisation and groups.
        groups: the number of groups of the second, fourth and fifth convolution of "2012".
        hidden: the number of outputs of each hidden dense layer.

    Raises:
        ArgumentError: for an unknown variant, or a number less than 1.
        ShapeError: when the input is too small.

    >>> import convalg as ca
    >>> ca.zoo.alexnet().parameters, ca.zoo.alexnet(variant="torchvision").parameters
    (60965224, 61100840)
    """
    checked_choice(variant, "variant", ("2012", "torchvision"))
    side = 227 if variant == "2012" else 224
    net = Network((3, side, side) if in_shape is None else in_shape, name="AlexNet")
    if variant == "2012":
        _of_2012(net, groups)
    else:
        _of_torchvision(net)
    if classes is None:
        return net
    if variant == "2012":
        dense_head(net, net.output, hidden, classes)
        return net
    row(
        net,
        net.output,
        {
            "avgpool": L.AdaptiveAvgPool(6),
            "drop6": L.Dropout(),
            "fc6": L.Dense(hidden),
            "relu6": L.ReLU(),
            "drop7": L.Dropout(),
            "fc7": L.Dense(hidden),
            "relu7": L.ReLU(),
            "fc8": L.Dense(classes),
        },
    )
    return net


def _of_2012(net: Network, groups: int) -> None:
    # The paper scales a sum of 5 squares, and LRN their mean, so alpha is 5 times the paper's 1e-4.
    norm = L.LRN(5, alpha=5e-4, beta=0.75, k=2.0)
    row(
        net,
        net.output,
        {
            "conv1": L.Conv(96, 11, stride=4),
            "relu1": L.ReLU(),
            "norm1": norm,
            "pool1": L.MaxPool(3, stride=2),
            "conv2": L.Conv(256, 5, padding=2, groups=groups),
            "relu2": L.ReLU(),
            "norm2": norm,
            "pool2": L.MaxPool(3, stride=2),
            "conv3": L.Conv(384, 3, padding=1),
            "relu3": L.ReLU(),
            "conv4": L.Conv(384, 3, padding=1, groups=groups),
            "relu4": L.ReLU(),
            "conv5": L.Conv(256, 3, padding=1, groups=groups),
            "relu5": L.ReLU(),
            "pool5": L.MaxPool(3, stride=2),
        },
    )


def _of_torchvision(net: Network) -> None:
    row(
        net,
        net.output,
        {
            "conv1": L.Conv(64, 11, stride=4, padding=2),
            "relu1": L.ReLU(),
            "pool1": L.MaxPool(3, stride=2),
            "conv2": L.Conv(192, 5, padding=2),
            "relu2": L.ReLU(),
            "pool2": L.MaxPool(3, stride=2),
            "conv3": L.Conv(384, 3, padding=1),
            "relu3": L.ReLU(),
            "conv4": L.Conv(256, 3, padding=1),
            "relu4": L.ReLU(),
            "conv5": L.Conv(256, 3, padding=1),
            "relu5": L.ReLU(),
            "pool5": L.MaxPool(3, stride=2),
        },
    )
