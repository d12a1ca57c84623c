"""Layer objects with weights and options of their own, as `ca.check.layer` takes them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convalg import check
from convalg.errors import ConvalgError

torch = pytest.importorskip("torch")
nn = torch.nn

LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Conv1d", {"kernel_size": 3}, (2, 8)),
    ("Conv1d", {"kernel_size": 1, "bias": False}, (2, 3)),
    ("Conv2d", {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}, (2, 7, 5)),
    ("Conv2d", {"kernel_size": 3, "dilation": 2, "stride": 2, "padding": 2}, (2, 7, 6)),
    ("Conv2d", {"kernel_size": 3, "groups": 2, "stride": 3}, (4, 8, 5)),
    ("Conv2d", {"kernel_size": 2, "groups": 4}, (4, 3, 3)),
    ("Conv2d", {"kernel_size": 3, "padding": "same"}, (2, 5, 4)),
    ("Conv2d", {"kernel_size": (2, 4), "padding": "same"}, (2, 5, 6)),
    ("Conv2d", {"kernel_size": (4, 2), "padding": "same", "dilation": (1, 3)}, (2, 7, 6)),
    ("Conv2d", {"kernel_size": 3, "padding": "valid", "stride": 2}, (2, 5, 4)),
    ("Conv3d", {"kernel_size": (1, 2, 3), "padding": (0, 1, 1)}, (2, 2, 3, 4)),
    ("ConvTranspose1d", {"kernel_size": 4, "stride": 3, "output_padding": 2}, (2, 5)),
    ("ConvTranspose2d", {"kernel_size": (3, 2), "stride": 2, "padding": 1}, (2, 4, 3)),
    (
        "ConvTranspose2d",
        {"kernel_size": 3, "stride": (2, 3), "output_padding": (1, 2), "padding": (1, 0)},
        (4, 3, 3),
    ),
    ("ConvTranspose2d", {"kernel_size": 3, "groups": 2, "dilation": 2}, (4, 3, 2)),
    ("ConvTranspose3d", {"kernel_size": 2, "stride": 2}, (2, 2, 1, 2)),
    ("AvgPool1d", {"kernel_size": 3, "stride": 2, "padding": 1}, (2, 8)),
    ("AvgPool2d", {"kernel_size": 2}, (2, 5, 4)),
    ("AvgPool2d", {"kernel_size": (2, 3), "stride": (2, 2), "padding": (1, 1)}, (1, 5, 6)),
    ("AvgPool2d", {"kernel_size": 3, "padding": 1, "count_include_pad": False}, (2, 5, 4)),
    ("AvgPool2d", {"kernel_size": 3, "stride": 2, "ceil_mode": True}, (2, 6, 8)),
    (
        "AvgPool2d",
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        (1, 6, 8),
    ),
    (
        "AvgPool2d",
        {
            "kernel_size": 3,
            "stride": 2,
            "padding": 1,
            "ceil_mode": True,
            "count_include_pad": False,
        },
        (1, 6, 4),
    ),
    ("AvgPool3d", {"kernel_size": 2, "stride": 1}, (2, 2, 3, 2)),
    ("MaxPool1d", {"kernel_size": 3, "stride": 2}, (2, 7)),
    ("MaxPool2d", {"kernel_size": 2}, (2, 5, 4)),
    ("MaxPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, (2, 6, 5)),
    ("MaxPool2d", {"kernel_size": 2, "dilation": (2, 3), "stride": 1}, (2, 6, 5)),
    ("MaxPool3d", {"kernel_size": 2, "stride": 1, "padding": 1}, (1, 2, 3, 2)),
]


def made(name: str, options: dict[str, Any], channels: int) -> Any:
    if "Pool" in name:
        return getattr(nn, name)(**options)
    torch.manual_seed(0)
    return getattr(nn, name)(channels, 2 * channels, **options)


def title(value: Any) -> str:
    return str(value).replace("'", "")


@pytest.mark.parametrize(("name", "options", "shape"), LAYERS, ids=title)
def test_layers_of_torch_are_right(
    name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    module = made(name, options, shape[0])
    forward, backward = check.layer(module, shape)
    for report in (forward, backward):
        assert report.passed, report.explain()
        assert report.cases == 3
        assert report.name.startswith(name)
    parts = "dx" if "Pool" in name else "dx, dw"
    assert (forward.name, backward.name) == (f"{name} (y)", f"{name} ({parts})")


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("padding", [1, (2, 1), "same"])
@pytest.mark.parametrize("bias", [True, False])
def test_padding_modes(mode: str, padding: Any, bias: bool) -> None:
    torch.manual_seed(1)
    module = nn.Conv2d(2, 3, (3, 2), padding=padding, padding_mode=mode, bias=bias)
    for report in check.layer(module, (2, 5, 4)):
        assert report.passed, report.explain()


@pytest.mark.parametrize("dims", [1, 3])
def test_padding_modes_in_other_dimensions(dims: int) -> None:
    module = getattr(nn, f"Conv{dims}d")(1, 2, 3, padding=1, padding_mode="circular")
    for report in check.layer(module, (1, *range(3, 3 + dims))):
        assert report.passed, report.explain()


def test_the_layer_itself_is_left_alone() -> None:
    module = nn.Conv2d(2, 2, 3).train()
    module.weight.grad = None
    before = module.weight.detach().clone()
    check.layer(module, (2, 4, 4))
    assert module.training
    assert module.weight.dtype == torch.float32
    assert module.weight.grad is None
    assert torch.equal(module.weight, before)


def test_weights_that_are_frozen_are_checked_too() -> None:
    module = nn.Conv2d(2, 2, 3)
    module.weight.requires_grad_(False)
    forward, backward = check.layer(module, (2, 4, 4))
    assert forward.passed
    assert backward.passed


# Layers with a mistake of their own.


class Flipped(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        return self._conv_forward(x, self.weight.flip(2, 3), self.bias)


class WithoutPadding(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride)


class Unbiased(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        return self._conv_forward(x, self.weight, None)


class FirstSample(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        return super().forward(x[:1].expand(x.shape))


class Summed(nn.AvgPool2d):
    def forward(self, x: Any) -> Any:
        return super().forward(x) * self.kernel_size**2


class FloorMaxPool(nn.MaxPool2d):
    def forward(self, x: Any) -> Any:
        return nn.functional.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class ShortTransposed(nn.ConvTranspose2d):
    def forward(self, x: Any) -> Any:
        return nn.functional.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding)


class Raising(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        raise NotImplementedError("not on this machine")


class NotANumber(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        return super().forward(x) * float("nan")


class InHalf(nn.Conv2d):
    def forward(self, x: Any) -> Any:
        return super().forward(x).to(torch.float16)


class Untaught(nn.Conv2d):
    """Right forward, with no gradient at all."""

    def forward(self, x: Any) -> Any:
        return super().forward(x).detach()


BUGS: list[tuple[Any, tuple[int, ...], str]] = [
    (Flipped(2, 3, 3), (2, 5, 4), "flipped-kernel"),
    (WithoutPadding(2, 3, 3, padding=1), (2, 5, 4), "padding-ignored"),
    (FirstSample(2, 3, 3), (2, 5, 4), "single-sample-only"),
    (Summed(2), (2, 4, 4), "divisor-missing"),
    (FloorMaxPool(2, ceil_mode=True), (2, 5, 5), "ceil-mode-ignored"),
    (ShortTransposed(2, 2, 3, 2, output_padding=1), (2, 3, 3), "output-padding-ignored"),
    (Unbiased(2, 3, 3), (2, 5, 4), "constant-added"),
    (Raising(2, 3, 3), (2, 5, 4), "raises"),
    (NotANumber(2, 3, 3), (2, 5, 4), "not-a-number"),
]


@pytest.mark.parametrize(("module", "shape", "code"), BUGS, ids=lambda v: type(v).__name__)
def test_a_layer_with_a_mistake_is_named(module: Any, shape: tuple[int, ...], code: str) -> None:
    forward, _ = check.layer(module, shape)
    assert not forward
    assert forward.diagnosis[0].code == code, forward.explain()
    assert forward.smallest is not None
    assert forward.explain()
    assert forward.to_dict()["diagnosis"][0]["code"] == code


def test_a_wrong_gradient_is_told_apart_from_a_right_layer() -> None:
    class Backwards(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return nn.functional.conv2d(x, w)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            dw = nn.grad.conv2d_weight(x, w.shape, g) / len(x)
            return nn.grad.conv2d_input(x.shape, w, g), dw

    class Layer(nn.Conv2d):
        def forward(self, x: Any) -> Any:
            return Backwards.apply(x, self.weight)

    forward, backward = check.layer(Layer(2, 3, 2, bias=False), (2, 4, 5))
    assert forward.passed
    assert backward.diagnosis[0].code == "batch-averaged"
    assert backward.diagnosis[0].message.startswith("dw: ")


def test_no_gradient_is_a_finding() -> None:
    forward, backward = check.layer(Untaught(2, 3, 3), (2, 5, 4))
    assert forward.passed
    assert backward.diagnosis[0].code == "raises"


def test_half_precision_is_another_type() -> None:
    forward, _ = check.layer(InHalf(2, 3, 3, bias=False), (2, 5, 4))
    assert forward.diagnosis[0].code in ("wrong-type", "unknown")


def test_it_is_the_same_each_time() -> None:
    reports = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        reports.append(check.layer(Flipped(2, 3, 3), (2, 5, 4))[0].smallest)
    first, second = reports
    assert first is not None
    assert second is not None
    assert np.array_equal(first.problem.x, second.problem.x)


# Bad input.


def fake(**options: Any) -> Any:
    return type("FakeMaxPool", (SimpleNamespace,), {})(kernel_size=2, **options)


BAD: list[tuple[Any, Any, str, str]] = [
    (
        nn.Linear(2, 2),
        (2,),
        "KindError",
        "module must be a convolution or pooling with kernel_size",
    ),
    (
        nn.LPPool2d(2, 2),
        (1, 4, 4),
        "KindError",
        "module must be a convolution or an average or max",
    ),
    (nn.Conv2d, (1, 4, 4), "KindError", "a convolution or pooling with kernel_size"),
    (nn.Conv2d(1, 1, 3), (4,), "ShapeError", "in_shape must be (channels, *spatial), not (4,)"),
    (
        nn.Conv2d(1, 1, 3),
        (1, 4),
        "ShapeError",
        "has 1 spatial axis, but the kernel_size of the layer",
    ),
    (
        nn.Conv2d(1, 1, 3),
        (2, 4, 4),
        "ShapeError",
        "has 2 channels, but in_channels of the layer is 1",
    ),
    (
        nn.Conv2d(1, 1, 3),
        (1, 2, 4),
        "ShapeError",
        "in_shape must have spatial sizes for which the layer has an output, not (2, 4)",
    ),
    (
        nn.ConvTranspose2d(1, 1, 1, padding=1),
        (1, 2, 4),
        "ShapeError",
        "the layer has an output, not (2, 4)",
    ),
    (
        nn.MaxPool2d(3),
        (1, 2, 4),
        "ShapeError",
        "in_shape must have spatial sizes for which the layer has an output, not (2, 4)",
    ),
    (nn.Conv2d(1, 1, 3), (1, 0, 4), "ArgumentError", "in_shape[1] must be at least 1, not 0"),
    (nn.Conv2d(1, 1, 3), "144", "KindError", "in_shape"),
    (nn.Conv2d(1, 1, 3), None, "KindError", "in_shape"),
    (
        nn.AvgPool2d(2, divisor_override=3),
        (1, 4, 4),
        "KindError",
        "divisor_override must be None, not 3: averages with another divisor",
    ),
    (
        fake(padding="around", stride=1),
        (1, 4, 4),
        "ArgumentError",
        "padding must be integers, 'valid' or 'same', not 'around'",
    ),
]


@pytest.mark.parametrize(("module", "shape", "error", "words"), BAD, ids=title)
def test_bad_input_is_refused_in_words(module: Any, shape: Any, error: str, words: str) -> None:
    with pytest.raises(ConvalgError) as caught:
        check.layer(module, shape)
    assert type(caught.value).__name__ == error
    assert words in str(caught.value)
