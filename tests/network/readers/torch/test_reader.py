"""Networks made of PyTorch modules: outputs, gradients and counts as PyTorch's."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.network import layers as net_layers
from convalg.network.layers.opaque import Opaque
from convalg.network.readers.torch.reader import from_torch

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
Array = np.ndarray
# Otherwise the exporter folds batch norms into convolutions.
TRAINING = torch.onnx.TrainingMode.PRESERVE
TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


class Calls(nn.Module):
    """A module that calls a function of its input, and of a convolution's output."""

    def __init__(self, function: Callable[..., Any], layer: Any = None) -> None:
        super().__init__()
        self.function, self.layer = function, layer or nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.function(self.layer(x), x)


def settled(module: Any) -> Any:
    """A module whose parameters and running statistics are no defaults."""
    torch.manual_seed(3)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) - 0.3 * (tensor.ndim > 1))
    return module.eval()


def inputs(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(5).standard_normal(shape).astype(np.float32))


def outputs(module: Any, x: Any) -> Array:
    with torch.no_grad():
        return module(x.clone()).numpy()


def opaque(net: Any) -> dict[str, str]:
    return {k: f"{v.operator}: {v.reason}" for k, v in net.layers() if isinstance(v, Opaque)}


IMAGE = (4, 9, 8)
SERIES = (4, 9)
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


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(True))
        self.branch = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        x = functional.relu(self.branch(x) + x)
        return self.last(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def test_gradients_are_those_of_pytorch() -> None:
    module = settled(Residual())
    net = from_torch(module, (3, 16, 12))
    x = inputs(1, 3, 16, 12).requires_grad_()
    g = inputs(1, 10)
    module(x).backward(g)
    found = net.jacobian(x.detach().numpy()[0]).T(g.numpy()[0])
    np.testing.assert_allclose(found, x.grad.numpy()[0], **TOLERANCE)


def test_weights_are_copies_in_float32() -> None:
    module = settled(nn.Sequential(nn.Conv2d(1, 2, 3)))
    net = from_torch(module, (1, 4, 4))
    (node,) = list(net)[1:]
    before = net.weights[node]["kernel"].copy()
    with torch.no_grad():
        module[0].weight.zero_()
    assert net.weights[node]["kernel"].dtype == np.float32
    np.testing.assert_array_equal(net.weights[node]["kernel"], before)
    assert net(np.ones((1, 4, 4), np.float32)).dtype == np.float32


def test_the_module_is_left_as_it_was() -> None:
    module = Residual().train()
    module.branch.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    from_torch(module, (3, 16, 12))
    assert module.training
    assert module.stem.training
    assert not module.branch.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_brain_floats_become_float32() -> None:
    module = settled(nn.Conv2d(1, 2, 3)).to(torch.bfloat16)
    net = from_torch(module, (1, 4, 4))
    assert net.weights[net.output]["kernel"].dtype == np.float32


@pytest.mark.filterwarnings("ignore")
def test_an_exported_file_is_the_same_network(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from convalg.network.readers.onnx.reader import read_onnx

    module = settled(nn.Sequential(Residual(), nn.Unflatten(1, (2, 5)), nn.Flatten()))
    x, path = inputs(2, 3, 16, 12), tmp_path / "exported.onnx"
    axes = {"x": {0: "batch"}}
    options = {"input_names": ["x"], "dynamic_axes": axes, "do_constant_folding": False}
    torch.onnx.export(module, (x,), path, dynamo=False, training=TRAINING, **options)
    net, read = from_torch(module[:1], (3, 16, 12)), read_onnx(path)
    np.testing.assert_allclose(read(x.numpy()), outputs(module, x), **TOLERANCE)
    assert read.graph.graph["left_out"] == []
    assert read.parameters == net.parameters
    assert read.counts == net.counts
    assert read.receptive_field().size == net.receptive_field().size


# What has no layer.


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


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(9, 7, batch_first=True)
        self.last = nn.Linear(7, 3)

    def forward(self, x: Any) -> Any:
        y, state = self.cell(x)
        return self.last(y) + state[0].sum()


def test_several_opaque_outputs() -> None:
    net = from_torch(Recurrent(), SERIES)
    assert net.out_shape == (4, 3)
    assert net.receptive_field().mask().all()


def test_several_outputs_of_the_module() -> None:
    net = from_torch(Calls(lambda y, x: {"a": y.relu(), "b": y.tanh()}), IMAGE)
    first, second = net.graph.graph["outputs"]
    assert net.output == first
    assert isinstance(net[second], net_layers.Tanh)


# Errors.


class Branches(nn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


BAD: list[tuple[Any, Any, type[Exception], str]] = [
    (5, IMAGE, ca.errors.KindError, "must be a torch.nn.Module, not 5"),
    (
        nn.Sequential(nn.ReLU(), Branches()),
        IMAGE,
        ca.errors.ArgumentError,
        "torch.fx cannot trace 1 of Sequential",
    ),
    (
        Branches(),
        IMAGE,
        ca.errors.ArgumentError,
        "torch.fx cannot trace the outermost forward of Branches",
    ),
    (nn.Conv2d(3, 4, 3), IMAGE, ca.errors.ShapeError, "cannot be run for one sample of shape"),
    (nn.Conv2d(4, 4, 20), IMAGE, ca.errors.ShapeError, "cannot be run for one sample of shape"),
    (nn.ReLU(), (0, 4), ca.errors.ArgumentError, "in_shape"),
    (
        nn.ReLU(),
        ca.sizes("n m"),
        ca.errors.ArgumentError,
        "must have integer sizes, since the module is run, not",
    ),
]


@pytest.mark.parametrize(("module", "shape", "error", "message"), BAD)
def test_bad_input(module: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_torch(module, shape)


def test_without_the_torch_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"of PyTorch need the torch package .* pip install"):
        from_torch(None, IMAGE)


@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.AvgPool3d])
def test_an_average_with_another_divisor_is_opaque(pool: Any) -> None:
    shape = (1, 4, 4, 4)[: 3 if pool is nn.AvgPool2d else 4]
    net = from_torch(pool(2, divisor_override=3), shape)
    assert "divides by 3" in next(iter(opaque(net).values()))


# Parameters.


class Loose(nn.Module):
    """Parameters that no layer holds: numbers, vectors, reshaped and transposed ones, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.randn(4, 1, 1))
        self.gain = nn.Parameter(torch.ones(4))
        self.matrix = nn.Parameter(torch.randn(8, 3))
        self.inner = nn.Conv2d(4, 4, 1)
        self.register_buffer("places", torch.randn(4, 9, 8))

    def forward(self, x: Any) -> Any:
        y = self.inner(x) * self.number + self.shift + self.places - self.shift
        return functional.linear(y * self.gain.view(4, 1, 1), self.matrix.t())


class Attending(nn.Module):
    """Several outputs of an opaque part, and a weight that it shares with a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, 8)
        self.last.weight = self.heads.out_proj.weight

    def forward(self, x: Any) -> Any:
        found, _ = self.heads(x, x, x)
        return self.last(found)


SHARED = nn.Linear(8, 8)
ROWS = (5, 8)
COUNTED: list[tuple[Callable[[], Any], tuple[int, ...]]] = [
    (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4)), IMAGE),
    (lambda: nn.GroupNorm(2, 4, affine=False), IMAGE),
    (lambda: nn.LayerNorm([4, 9, 8]), IMAGE),
    (lambda: nn.RMSNorm(8), ROWS),
    (lambda: nn.InstanceNorm2d(4, affine=True), IMAGE),
    (lambda: nn.BatchNorm2d(4), IMAGE),
    (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    (lambda: nn.BatchNorm2d(4, track_running_stats=False), IMAGE),
    (lambda: nn.PReLU(), IMAGE),
    (lambda: nn.PReLU(4), IMAGE),
    (lambda: nn.Embedding(10, 4), (5,)),
    (lambda: nn.EmbeddingBag(10, 4), (5,)),
    (lambda: nn.LSTM(8, 4, batch_first=True), ROWS),
    (lambda: nn.GRU(8, 4, 2, bidirectional=True), ROWS),
    (lambda: nn.RNN(8, 4), ROWS),
    (lambda: nn.LSTMCell(8, 4), (8,)),
    (lambda: nn.GRUCell(8, 4), (8,)),
    (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), ROWS),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)), IMAGE),
    (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 4)), (8,)),
    (lambda: nn.Sequential(SHARED, nn.ReLU(), SHARED), (8,)),
    (Loose, IMAGE),
    (Attending, ROWS),
]


@pytest.mark.parametrize(("make", "shape"), COUNTED)
def test_each_parameter_counts_once(make: Callable[[], Any], shape: tuple[int, ...]) -> None:
    module = make()
    net, count = from_torch(module, shape), sum(p.numel() for p in module.parameters())
    assert net.parameters == net.counts.parameters == net.summary().parameters == count
    assert sum(row.parameters for row in net.summary().rows) == count
    assert net.graph.graph["left_out"] == []


def test_the_audit_of_group_norm() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4))
    assert from_torch(module, (3, 8, 8)).parameters == 120


def test_parameters_that_are_not_used_are_named() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Linear(8, 2), nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.used(x)

    net = from_torch(Spare(), (8,))
    assert net.parameters == 18
    assert net.graph.graph["left_out"] == [
        "2 parameters that no layer uses: spare.weight, spare.bias"
    ]


# Outputs.


@pytest.mark.parametrize(
    "call",
    [
        lambda y, x: torch.ones(2),
        lambda y, x: x.shape[0] * torch.ones(3),
        lambda y, x: x.shape,
        lambda y, x: 5,
    ],
)
def test_an_output_that_is_a_constant_is_refused(call: Callable[..., Any]) -> None:
    with pytest.raises(ca.errors.ArgumentError, match="does not depend on the entries of the inp"):
        from_torch(Calls(call), IMAGE)


def test_several_outputs_must_be_named() -> None:
    net = from_torch(Calls(lambda y, x: (y.relu(), y.tanh())), IMAGE)
    x = inputs(1, *IMAGE)[0].numpy()
    for run in (net, net.jacobian):
        with pytest.raises(ca.errors.ArgumentError, match="and the network has the nodes relu, t"):
            run(x)
    assert net(x, "tanh").shape == net.shapes["tanh"]
    assert "relu, tanh" in repr(net)
    whole = from_torch(nn.LSTM(8, 4, batch_first=True), ROWS)
    assert len(whole.graph.graph["outputs"]) == 3
