"""Checks of published networks: gradients against differences, and torchvision's models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca


def check_slope(net: ca.Network, count: int) -> None:
    """Check the number of outputs, and the Jacobian against a central difference."""
    net.initialise(seed=2, dtype=np.float64)
    random = np.random.default_rng(3)
    for node, arrays in net.weights.items():
        if "points" in arrays or "noise" in arrays:
            key = next(iter(arrays))
            net.set_weights(node, **{key: random.standard_normal(arrays[key].shape)})
    x, direction = random.standard_normal((2, *net.in_shape))
    y = net(x)
    assert y.size == count
    assert np.isfinite(y).all()
    step = 1e-8
    slope = (net(x + step * direction) - net(x - step * direction)) / (2 * step)
    # Maxima and ReLUs have kinks, which so small a step seldom crosses.
    np.testing.assert_allclose(net.jacobian(x)(direction), slope, rtol=1e-3, atol=1e-5)


def torchvision_models() -> Any:
    """Return torchvision.models, also if its operators were compiled for another PyTorch."""
    torch = pytest.importorskip("torch")
    try:
        import torchvision
    except ImportError:
        pytest.skip("torchvision is not installed")
    except RuntimeError:
        # The operators that it describes on import, which no classifier uses.
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        import torchvision
    return torchvision.models


def check_torchvision(
    name: str,
    options: dict[str, Any],
    theirs: str,
    arguments: dict[str, Any],
    in_shape: tuple[int, ...],
    *,
    part: str | None = None,
) -> None:
    """Check parameters, counts, fields and outputs with the weights of torchvision's model.

    Args:
        name: the function of the zoo.
        options: its arguments.
        theirs: the function of torchvision.
        arguments: its arguments.
        in_shape: the shape of one sample.
        part: the part of torchvision's model to compare with; by default the whole model.
    """
    models = torchvision_models()
    import torch

    if name in ("googlenet", "inception_v3"):
        arguments = {**arguments, "init_weights": False, "transform_input": False}
    torch.manual_seed(0)
    module = getattr(models, theirs)(weights=None, **arguments).eval()
    module = module if part is None else getattr(module, part)
    read = ca.from_torch(module, in_shape)
    net = getattr(ca.zoo, name)(in_shape, **options)
    assert net.parameters == read.parameters
    assert net.counts == read.counts
    mine, other = (
        [node for node, layer in n.layers() if layer.weights(*n.input_shapes(node))]
        for n in (net, read)
    )
    for node, source in zip(mine, other, strict=True):
        net.set_weights(node, **read.weights[source])
        here, there = net.receptive_field(node), read.receptive_field(source)
        assert (here.size, here.stride, here.padding) == (there.size, there.stride, there.padding)
    x = torch.rand((2, *in_shape))
    with torch.no_grad():
        wanted = module(x).numpy()
    np.testing.assert_allclose(net(x.numpy()), wanted, rtol=1e-3, atol=1e-4 * abs(wanted).max())
