"""Rules for modules and functions of PyTorch: outputs as PyTorch computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch_modules import IMAGE, SERIES, TOLERANCE, Calls, inputs, opaque, outputs, settled

import convalg as ca
from convalg.network import layers as net_layers
from convalg.network.readers.torch.reader import from_torch

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

MODULES: list[tuple[Callable[[], Any], tuple[int, ...]]] = [
    (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), IMAGE),
    (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False, padding="same"), IMAGE),
    (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), IMAGE),
    (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), IMAGE),
    (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"), IMAGE),
    (lambda: nn.Conv1d(4, 2, 3), SERIES),
    (lambda: nn.Conv3d(2, 2, 2), (2, 3, 4, 5)),
    (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), IMAGE),
    (lambda: nn.BatchNorm2d(4), IMAGE),
    (lambda: nn.BatchNorm1d(4, affine=False), SERIES),
    (lambda: nn.LocalResponseNorm(3, alpha=0.1), IMAGE),
    (lambda: nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), IMAGE),
    (lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False), IMAGE),
    (lambda: nn.AvgPool1d(2), SERIES),
    (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    (lambda: nn.AdaptiveAvgPool2d((4, None)), IMAGE),
    (lambda: nn.AdaptiveMaxPool2d(1), IMAGE),
    (lambda: nn.Upsample(scale_factor=2), IMAGE),
    (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    (lambda: nn.Upsample(size=(5, 13), mode="bilinear", align_corners=True), IMAGE),
    (lambda: nn.Upsample(size=(5, 13), mode="bilinear"), IMAGE),
    (lambda: nn.Upsample(size=(5, 13)), IMAGE),
    (lambda: nn.Upsample(size=(5, 13), mode="nearest-exact"), IMAGE),
    (lambda: nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    (lambda: nn.ReflectionPad2d((1, 2, 0, 3)), IMAGE),
    (lambda: nn.ReplicationPad2d(1), IMAGE),
    (lambda: nn.CircularPad2d((1, 0, 2, 0)), IMAGE),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(288, 5)), IMAGE),
    (lambda: nn.Linear(9, 5), SERIES),
    (lambda: nn.Linear(9, 5, bias=False), SERIES),
    (lambda: nn.Softmax(dim=1), IMAGE),
    (lambda: nn.Softmax(dim=-1), IMAGE),
    *[
        ((lambda kind=kind: kind()), IMAGE)
        for kind in (
            nn.ReLU,
            nn.ReLU6,
            nn.LeakyReLU,
            nn.SiLU,
            nn.Hardswish,
            nn.Hardsigmoid,
            nn.Hardtanh,
            nn.Sigmoid,
            nn.Tanh,
            nn.ELU,
            nn.GELU,
            nn.PReLU,
            nn.Dropout,
            nn.Dropout2d,
            nn.Identity,
        )
    ],
]


@pytest.mark.parametrize(("make", "shape"), MODULES)
def test_modules_are_those_of_pytorch(make: Callable[[], Any], shape: tuple[int, ...]) -> None:
    module = settled(make())
    net = from_torch(module, shape)
    assert opaque(net) == {}
    x = inputs(3, *shape)
    np.testing.assert_allclose(net(x.numpy()), outputs(module, x), **TOLERANCE)
    assert net.parameters == sum(p.numel() for p in module.parameters())


CALLS: dict[str, Callable[..., Any]] = {
    "relu": lambda y, x: functional.relu(y),
    "method": lambda y, x: y.relu() + x.sigmoid(),
    "residual": lambda y, x: y + x,
    "difference": lambda y, x: y - x,
    "numbers": lambda y, x: (2 * y + 1) / 4 - 3,
    "product": lambda y, x: y * torch.sigmoid(x),
    "gate": lambda y, x: y * functional.adaptive_avg_pool2d(x, 1),
    "cat": lambda y, x: torch.cat([y, x, y], 1),
    "flatten": lambda y, x: torch.flatten(y, 1),
    "view": lambda y, x: y.view(y.size(0), -1),
    "reshape": lambda y, x: y.reshape(y.shape[0], 2, -1, y.shape[3]),
    "max pool": lambda y, x: functional.max_pool2d(y, 2, padding=1),
    "avg pool": lambda y, x: functional.avg_pool2d(y, (3, 2), stride=2),
    "mean": lambda y, x: y.mean([2, 3]),
    "mean kept": lambda y, x: torch.mean(y, dim=(-1, -2), keepdim=True),
    "interpolate": lambda y, x: functional.interpolate(y, scale_factor=2.0, mode="bilinear"),
    "interpolate by less": lambda y, x: functional.interpolate(
        y, scale_factor=1.3, mode="bilinear"
    ),
    "interpolate to": lambda y, x: functional.interpolate(y, size=x.shape[2:]),
    "pad": lambda y, x: functional.pad(y, (1, 2)),
    "pad reflect": lambda y, x: functional.pad(y, (1, 2, 0, 1), mode="reflect"),
    "chunk": lambda y, x: y.chunk(2, 1)[1] * y.chunk(2, 1)[0],
    "split": lambda y, x: torch.split(y, 3, dim=1)[1],
    "slices": lambda y, x: y[:, 1:3, ::2],
    "permute": lambda y, x: y.permute(0, 2, 3, 1),
    "transpose": lambda y, x: y.transpose(1, -1).contiguous(),
    "squeeze": lambda y, x: y.mean((2, 3), keepdim=True).squeeze(3).unsqueeze(1),
    "softmax": lambda y, x: functional.softmax(y, dim=1),
    "clamp": lambda y, x: y.clamp(min=0.1).clamp(max=0.3),
    "dropout": lambda y, x: functional.dropout(y, 0.5, False),
    "leaky": lambda y, x: functional.leaky_relu(y, 0.3),
    "convolved": lambda y, x: functional.conv2d(y, torch.ones(2, 4, 3, 3), stride=2),
    "projected": lambda y, x: functional.linear(y.flatten(1), torch.ones(2, 288), torch.ones(2)),
    "in place": lambda y, x: functional.relu(y, inplace=True) + y,
    "method in place": lambda y, x: y.add_(x) * y,
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_are_those_of_pytorch(name: str) -> None:
    module = settled(Calls(CALLS[name]))
    net = from_torch(module, IMAGE)
    assert opaque(net) == {}
    x = inputs(2, *IMAGE)
    if name == "in place":
        # Written over, the convolution's output is the rectified one.
        assert isinstance(net[net.sources(net.output)[1]], net_layers.ReLU)
    # A call with one sample, since a batch may be written into the shapes.
    np.testing.assert_allclose(net(x[:1].numpy()), outputs(module, x[:1]), **TOLERANCE)


OPAQUE: list[tuple[Callable[[], Any], tuple[int, ...], str]] = [
    (lambda: nn.GroupNorm(2, 4), IMAGE, "GroupNorm: this module has no layer"),
    (lambda: Calls(lambda y, x: y.cumsum(2)), IMAGE, "cumsum: this function has no layer"),
    (lambda: Calls(lambda y, x: y @ x.transpose(2, 3)), IMAGE, "matmul: this function has no"),
    (
        lambda: Calls(lambda y, x: functional.conv2d(x, y.view(8, 4, 3, 3))),
        IMAGE,
        "conv2d: its weights are computed",
    ),
    (lambda: nn.PReLU(4), IMAGE, "PReLU: it has a slope for each channel"),
    (lambda: nn.GELU("tanh"), IMAGE, "GELU: it is the approximate GELU"),
    (lambda: nn.ConstantPad2d(1, 5.0), IMAGE, "ConstantPad2d: it pads with 5.0"),
    (lambda: Calls(lambda y, x: y[:, 0]), IMAGE, "getitem: it is indexed by"),
    (
        lambda: Calls(lambda y, x: torch.cat([y, x], 2)),
        IMAGE,
        "cat: it concatenates along axis 2, not along the channels",
    ),
    (lambda: Calls(lambda y, x: y.mean(1)), IMAGE, "mean: it is the mean over axes 1"),
    (lambda: Calls(lambda y, x: y.permute(1, 0, 2, 3)), IMAGE, "permute: its order"),
    (lambda: nn.BatchNorm2d(4, track_running_stats=False), IMAGE, "BatchNorm2d: it has no running"),
]


@pytest.mark.parametrize(("make", "shape", "reason"), OPAQUE)
def test_what_has_no_layer_is_opaque(
    make: Callable[[], Any], shape: tuple[int, ...], reason: str
) -> None:
    module = make().eval()
    net = from_torch(module, shape)
    assert any(text.startswith(reason) for text in opaque(net).values()), opaque(net)
    x = inputs(1, *shape)
    full = tuple(outputs(module, x).shape)
    assert net.out_shape in (full, full[1:])
    assert net.receptive_field().reach.kind == "whole"
    with pytest.raises(ca.errors.ArgumentError, match="is an opaque layer, of which only"):
        net(x.numpy())


@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.AvgPool3d])
def test_an_average_with_another_divisor_is_opaque(pool: Any) -> None:
    shape = (1, 4, 4, 4)[: 3 if pool is nn.AvgPool2d else 4]
    net = from_torch(pool(2, divisor_override=3), shape)
    assert "divides by 3" in next(iter(opaque(net).values()))
