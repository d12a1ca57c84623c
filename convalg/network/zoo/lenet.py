"""LeNet-5, and the multi-layer perceptron with which its paper compares it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from convalg.network import layers as L  # noqa: N812
from convalg.network.layers.checks import count, tuple_of
from convalg.network.network import Network
from convalg.network.zoo.blocks import checked_choice, published, row

# For each feature map of C3, the feature maps of S2 that it reads: table I of the paper.
TABLE = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


@published()
def lenet5(
    in_shape: object = (1, 32, 32),
    classes: int | None = 10,
    *,
    output: Literal["radial", "dense"] = "radial",
) -> Network:
    """Return LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998) with its connection table.

    Layers are named as in the paper. The outputs are squared distances to points that the authors
    chose by hand; set them with `net.set_weights("output", points=...)`.

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        output: "radial" for the distances of the paper, or "dense" for a trained dense layer.

    Raises:
        ArgumentError: for an unknown output.
        ShapeError: when the input is too small.

    >>> import convalg as ca
    >>> net = ca.zoo.lenet5()
    >>> net.parameters, net.receptive_field("C5").size
    (60000, (32, 32))
    """
    checked_choice(output, "output", ("radial", "dense"))
    # f(a) = 1.7159 tanh(2 a / 3), appendix A.
    squash = L.Pointwise("scaled_tanh", (1.7159, 2 / 3))
    net = Network(in_shape, name="LeNet-5")
    last = row(
        net,
        net.output,
        {
            "C1": L.Conv(6, 5),
            "f1": squash,
            "S2": L.Subsample(2),
            "f2": squash,
            "C3": L.TableConv(TABLE, 5),
            "f3": squash,
            "S4": L.Subsample(2),
            "f4": squash,
            "C5": L.Conv(120, 5),
            "f5": squash,
        },
    )
    if classes is not None:
        end = L.Radial(classes) if output == "radial" else L.Dense(classes)
        row(net, last, {"F6": L.Dense(84), "f6": squash, "output": end})
    return net


@published(hidden=tuple_of(count))
def mlp(
    in_shape: object = (1, 28, 28), classes: int = 10, *, hidden: Sequence[int] = (300, 100)
) -> Network:
    """Return a multi-layer perceptron: 784-300-100-10 (LeCun et al. 1998, section III.C.5), ReLU.

    Args:
        in_shape: the shape of one input sample, which is flattened.
        classes: the number of classes, which is the number of outputs.
        hidden: the number of outputs of each hidden layer.

    >>> import convalg as ca
    >>> ca.zoo.mlp().parameters
    266610
    """
    net = Network(in_shape, name="MLP")
    for k, width in enumerate(hidden, 1):
        row(net, net.output, {f"fc{k}": L.Dense(width), f"relu{k}": L.ReLU()})
    net.add(L.Dense(classes), name=f"fc{len(hidden) + 1}")
    return net
