"""Training beside PyTorch: the same weights and batches give the same losses, step for step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.train import data

torch = pytest.importorskip("torch")
L = ca.layers
Array = np.ndarray


def plain() -> tuple[ca.Network, Any]:
    nn = torch.nn
    net = ca.sequential(
        (1, 10, 10),
        [
            L.Conv(4, 5, padding=2),
            L.ReLU(),
            L.MaxPool(2),
            L.Conv(6, 3),
            L.MaxPool(2, stride=1),
            L.ReLU(),
            L.Flatten(),
            L.Dense(12),
            L.Tanh(),
            L.Dense(5),
        ],
    )
    module = nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3),
        nn.MaxPool2d(2, stride=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 12),
        nn.Tanh(),
        nn.Linear(12, 5),
    )
    return net, module


class Residual(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.first, self.norm = nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.second = nn.Conv1d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.down, self.up = nn.AvgPool1d(2), nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1)
        self.last = nn.Linear(9 * 12, 3)

    def forward(self, x: Any) -> Any:
        a = torch.nn.functional.leaky_relu(self.norm(self.first(x)), 0.1)
        b = torch.sigmoid(self.second(a)) + a
        c = torch.cat([b, self.up(self.down(b)), a[:, :2]], dim=1)
        return self.last(c.flatten(1))


def residual() -> tuple[ca.Network, Any]:
    net = ca.Network((2, 12))
    net.add(L.Conv(4, 3, padding=1))
    net.add(L.BatchNorm())
    a = net.add(L.LeakyReLU(0.1))
    net.add(L.Conv(4, 3, padding=2, dilation=2, groups=2))
    b = net.add(L.Add(), [net.add(L.Sigmoid()), a])
    net.add(L.AvgPool(2), b)
    up = net.add(L.ConvTranspose(3, 4, stride=2, padding=1))
    cut = net.add(L.Slice(0, 0, 2), a)
    net.add(L.Concat(), [b, up, cut])
    net.add(L.Dense(3))
    return net, Residual()


def same_weights(net: ca.Network, module: Any) -> None:
    """Give the network the module's arrays, in their order."""
    module.double()
    arrays = [p.detach().numpy() for p in module.parameters()]
    net.initialise(0, dtype=np.float64)
    for node, layer in net.layers():
        for name in layer.weights(*net.input_shapes(node)):
            net.set_weights(node, **{name: arrays.pop(0)})
    assert not arrays


def their_losses(
    module: Any, optimiser: Any, images: Array, labels: Array, batch: int, epochs: int
) -> list[float]:
    criterion, found = torch.nn.CrossEntropyLoss(), []
    module.train()
    for epoch in range(epochs):
        order = data.order(7, epoch, len(images))
        for start in range(0, len(images), batch):
            chosen = order[start : start + batch]
            optimiser.zero_grad()
            loss = criterion(
                module(torch.from_numpy(images[chosen])), torch.from_numpy(labels[chosen])
            )
            loss.backward()
            optimiser.step()
            found.append(loss.item())
    return found


RULES: list[tuple[Any, Callable[[Any], Any]]] = [
    (ca.train.SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    (ca.train.SGD(0.05, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
    (ca.train.Adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
]


@pytest.mark.parametrize("engine", ["sparse", "blas"])
@pytest.mark.parametrize(("rule", "theirs"), RULES, ids=["sgd", "momentum", "adam"])
@pytest.mark.parametrize("make", [plain, residual])
def test_a_hundred_losses_are_pytorchs(
    make: Callable[[], tuple[ca.Network, Any]],
    rule: Any,
    theirs: Callable[[Any], Any],
    engine: Any,
) -> None:
    torch.manual_seed(3)
    net, module = make()
    same_weights(net, module)
    random = np.random.default_rng(4)
    images = random.standard_normal((200, *net.in_shape))
    labels = random.integers(0, net.out_shape[0], 200)
    # The last batch of an epoch is a smaller one.
    wanted = their_losses(module, theirs(module.parameters()), images, labels, 24, 12)[:100]
    found: list[float] = []
    sums = 0.0

    def listen(progress: ca.train.Progress) -> None:
        nonlocal sums
        seen = min(progress.step * 24, 200)
        before = (progress.step - 1) * 24
        total = progress.loss * seen
        found.append((total - (sums if progress.step > 1 else 0.0)) / (seen - before))
        sums = total

    ca.fit(
        net,
        images,
        labels,
        epochs=12,
        batch_size=24,
        optimizer=rule,
        engine=engine,
        seed=7,
        progress=listen,
    )
    np.testing.assert_allclose(found[:100], wanted, rtol=1e-9)
    for node, name, tensor in (
        ("batchnorm1", "mean", "running_mean"),
        ("batchnorm1", "variance", "running_var"),
    ):
        if node in net:
            theirs_now = getattr(module.norm, tensor).numpy()
            np.testing.assert_allclose(net.weights[node][name], theirs_now, rtol=1e-7)
