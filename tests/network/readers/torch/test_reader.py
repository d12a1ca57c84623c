"""Networks made of PyTorch modules: outputs, gradients and counts as PyTorch's."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_modules import IMAGE, SERIES, TOLERANCE, Calls, inputs, outputs, settled

import convalg as ca
from convalg.network import layers as net_layers
from convalg.network.readers.torch.reader import from_torch

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
# Otherwise the exporter folds batch norms into convolutions.
TRAINING = torch.onnx.TrainingMode.PRESERVE


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
        "torch.fx cannot trace the top-level forward method of Branches",
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
