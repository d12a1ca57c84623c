"""Inception v3 as in TensorFlow and torchvision."""

from __future__ import annotations

from typing import Any

from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.network.zoo.blocks import conv_bn_relu, pooled_head, published

# The name, channels, kernel size, stride and padding of a convolution of a branch.
Step = tuple[str, int, Any, int, Any]


@published()
def inception_v3(
    in_shape: object = (3, 299, 299), classes: int | None = 1000, *, auxiliary: bool = False
) -> Network:
    """Return Inception v3 (Szegedy et al. 2016, "Rethinking the Inception architecture").

    Args:
        in_shape: the shape of one input sample, `(channels, height, width)`.
        classes: the number of classes, which is the number of outputs; None omits the classifier.
        auxiliary: whether to add the auxiliary classifier for training, whose output is the node
            "AuxLogits.fc".

    Raises:
        ShapeError: when the input is too small or does not have two spatial axes.

    >>> import convalg as ca
    >>> ca.zoo.inception_v3().parameters, ca.zoo.inception_v3(auxiliary=True).parameters
    (23834568, 27161264)
    """
    net = Network(in_shape, name="Inception v3")
    _branch(net, net.output, "Conv2d_", [("1a_3x3", 32, 3, 2, 0), ("2a_3x3", 32, 3, 1, 0)])
    _branch(net, net.output, "Conv2d_", [("2b_3x3", 64, 3, 1, 1)])
    net.add(L.MaxPool(3, stride=2), name="maxpool1")
    _branch(net, net.output, "Conv2d_", [("3b_1x1", 80, 1, 1, 0), ("4a_3x3", 192, 3, 1, 0)])
    net.add(L.MaxPool(3, stride=2), name="maxpool2")
    for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        _module_a(net, name, pooled)
    _module_b(net, "Mixed_6a")
    for name, inner in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        _module_c(net, name, inner)
    if auxiliary and classes is not None:
        last = net.output
        _auxiliary(net, last, classes)
        net.output = last
    _module_d(net, "Mixed_7a")
    for name in ("Mixed_7b", "Mixed_7c"):
        _module_e(net, name)
    if classes is not None:
        pooled_head(net, net.output, classes, dropout=0.5)
    return net


def _branch(net: Network, source: str, prefix: str, steps: list[Step]) -> str:
    for name, channels, size, stride, padding in steps:
        options = {"stride": stride, "padding": padding}
        source = conv_bn_relu(net, source, f"{prefix}{name}", channels, size, **options)
    return source


def _pooled(net: Network, source: str, name: str, channels: int) -> str:
    pool = net.add(L.AvgPool(3, stride=1, padding=1), source, name=f"{name}.pool")
    return _branch(net, pool, f"{name}.", [("branch_pool", channels, 1, 1, 0)])


def _module_a(net: Network, name: str, pooled: int) -> None:
    """Append a module of figure 5 of the paper, which has a 5 x 5 convolution in one branch."""
    source, prefix = net.output, f"{name}."
    five = [("branch5x5_1", 48, 1, 1, 0), ("branch5x5_2", 64, 5, 1, 2)]
    three = [(f"branch3x3dbl_{k}", 96, 3, 1, 1) for k in (2, 3)]
    parts = [
        _branch(net, source, prefix, [("branch1x1", 64, 1, 1, 0)]),
        _branch(net, source, prefix, five),
        _branch(net, source, prefix, [("branch3x3dbl_1", 64, 1, 1, 0), *three]),
        _pooled(net, source, name, pooled),
    ]
    net.add(L.Concat(), parts, name=name)


def _module_b(net: Network, name: str) -> None:
    """Append the first module that halves the spatial sizes, of figure 10."""
    source, prefix = net.output, f"{name}."
    double = [("branch3x3dbl_1", 64, 1, 1, 0), ("branch3x3dbl_2", 96, 3, 1, 1)]
    parts = [
        _branch(net, source, prefix, [("branch3x3", 384, 3, 2, 0)]),
        _branch(net, source, prefix, [*double, ("branch3x3dbl_3", 96, 3, 2, 0)]),
        net.add(L.MaxPool(3, stride=2), source, name=f"{name}.pool"),
    ]
    net.add(L.Concat(), parts, name=name)


def _module_c(net: Network, name: str, inner: int) -> None:
    """Append a module of figure 6, with 1 x 7 and 7 x 1 instead of 7 x 7 convolutions."""
    source, prefix = net.output, f"{name}."
    wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    once = [("branch7x7_2", inner, *wide), ("branch7x7_3", 192, *tall)]
    twice = [
        ("branch7x7dbl_2", inner, *tall),
        ("branch7x7dbl_3", inner, *wide),
        ("branch7x7dbl_4", inner, *tall),
        ("branch7x7dbl_5", 192, *wide),
    ]
    parts = [
        _branch(net, source, prefix, [("branch1x1", 192, 1, 1, 0)]),
        _branch(net, source, prefix, [("branch7x7_1", inner, 1, 1, 0), *once]),
        _branch(net, source, prefix, [("branch7x7dbl_1", inner, 1, 1, 0), *twice]),
        _pooled(net, source, name, 192),
    ]
    net.add(L.Concat(), parts, name=name)


def _module_d(net: Network, name: str) -> None:
    """Append the second module that halves the spatial sizes."""
    source, prefix = net.output, f"{name}."
    seven: list[Step] = [
        ("branch7x7x3_1", 192, 1, 1, 0),
        ("branch7x7x3_2", 192, (1, 7), 1, (0, 3)),
        ("branch7x7x3_3", 192, (7, 1), 1, (3, 0)),
        ("branch7x7x3_4", 192, 3, 2, 0),
    ]
    three = [("branch3x3_1", 192, 1, 1, 0), ("branch3x3_2", 320, 3, 2, 0)]
    parts = [
        _branch(net, source, prefix, three),
        _branch(net, source, prefix, seven),
        net.add(L.MaxPool(3, stride=2), source, name=f"{name}.pool"),
    ]
    net.add(L.Concat(), parts, name=name)


def _module_e(net: Network, name: str) -> None:
    """Append a module of figure 7, with parallel 1 x 3 and 3 x 1 convolutions."""
    source, prefix = net.output, f"{name}."
    first = _branch(net, source, prefix, [("branch1x1", 320, 1, 1, 0)])
    single = _branch(net, source, prefix, [("branch3x3_1", 384, 1, 1, 0)])
    single = _forked(net, single, f"{name}.branch3x3", "2")
    double = [("branch3x3dbl_1", 448, 1, 1, 0), ("branch3x3dbl_2", 384, 3, 1, 1)]
    last = _forked(net, _branch(net, source, prefix, double), f"{name}.branch3x3dbl", "3")
    pooled = _pooled(net, source, name, 192)
    net.add(L.Concat(), [first, single, last, pooled], name=name)


def _forked(net: Network, source: str, prefix: str, step: str) -> str:
    wide = _branch(net, source, prefix, [(f"_{step}a", 384, (1, 3), 1, (0, 1))])
    tall = _branch(net, source, prefix, [(f"_{step}b", 384, (3, 1), 1, (1, 0))])
    return net.add(L.Concat(), [wide, tall], name=prefix)


def _auxiliary(net: Network, source: str, classes: int) -> None:
    name = "AuxLogits"
    last = net.add(L.AvgPool(5, stride=3), source, name=f"{name}.pool")
    last = _branch(net, last, f"{name}.", [("conv0", 128, 1, 1, 0), ("conv1", 768, 5, 1, 0)])
    last = net.add(L.GlobalAvgPool(), last, name=f"{name}.avgpool")
    net.add(L.Dense(classes), last, name=f"{name}.fc")
