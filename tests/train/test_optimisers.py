"""Optimisers and schedules against PyTorch, and what they refuse."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.train.optimisers import (
    OPTIMISERS,
    SGD,
    Adam,
    AdamW,
    Optimiser,
    clip_factor,
    optimiser_named,
)

torch = pytest.importorskip("torch")

SHAPES = {"conv/kernel": (3, 2, 3, 3), "conv/bias": (3,), "dense/weights": (4, 5)}
LENET = ((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84))

SAME_AS_TORCH: list[tuple[Optimiser, Callable[[Any], Any]]] = [
    (SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    (SGD(0.1, weight_decay=0.3), lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.3)),
    (SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    (
        SGD(0.01, 0.8, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.8, nesterov=True, weight_decay=0.1),
    ),
    (Adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    (
        Adam(0.01, (0.7, 0.99), 1e-3, weight_decay=0.2),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.7, 0.99), eps=1e-3, weight_decay=0.2),
    ),
    (Adam(0.01, (0, 0.5)), lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.0, 0.5))),
    (AdamW(), lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01)),
    (AdamW(0.1, weight_decay=0.5), lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5)),
]


def drawn(seed: int = 0, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def gradients_of(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of a function with a minimum, as training has, of very different steepness."""
    return {
        name: np.linspace(0.01, 2, parameter.size).reshape(parameter.shape) * np.sin(parameter)
        for name, parameter in parameters.items()
    }


def torch_copy(parameters: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}


def torch_step(rule: Any, theirs: dict[str, Any], clip: float | None = None) -> None:
    values = {name: tensor.detach().numpy() for name, tensor in theirs.items()}
    for name, gradient in gradients_of(values).items():
        theirs[name].grad = torch.tensor(gradient)
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(theirs.values(), clip)
    rule.step()


def agree(ours: dict[str, np.ndarray], theirs: dict[str, Any]) -> None:
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name].detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("ours", "theirs"), SAME_AS_TORCH, ids=range(len(SAME_AS_TORCH)))
@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_hundred_steps_are_those_of_torch(
    ours: Optimiser, theirs: Callable[[Any], Any], clip: float | None
) -> None:
    rule = type(ours)(**{**vars(ours), "clip": clip})
    parameters = drawn()
    copies = torch_copy(parameters)
    other = theirs(list(copies.values()))
    state = rule.start(parameters)
    for step in range(100):
        rule.update(parameters, gradients_of(parameters), state, step)
        torch_step(other, copies, clip)
        agree(parameters, copies)
    assert any((parameters[name] != start).any() for name, start in drawn().items())


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_arrays_are_moved_in_place_and_keep_their_precision(name: str) -> None:
    rule = optimiser_named(name)
    parameters = drawn(dtype=np.float32)
    gradients = {name: g.astype(np.float32) for name, g in gradients_of(parameters).items()}
    before = {name: gradient.copy() for name, gradient in gradients.items()}
    state = rule.start(parameters)
    held = {**parameters, **state}
    for step in range(3):
        rule.update(parameters, gradients, state, step)
    assert all({**parameters, **state}[name] is array for name, array in held.items())
    assert {array.dtype for array in held.values()} == {np.dtype(np.float32)}
    assert all((gradients[name] == gradient).all() for name, gradient in before.items())
    assert all((parameters[name] != start).all() for name, start in drawn(0, np.float32).items())


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_clipping_leaves_the_gradients(name: str) -> None:
    rule = type(optimiser_named(name))(**{**vars(optimiser_named(name)), "clip": 1e-3})
    parameters = drawn()
    gradients = gradients_of(parameters)
    before = {name: gradient.copy() for name, gradient in gradients.items()}
    rule.update(parameters, gradients, rule.start(parameters), 0)
    assert all((gradients[name] == gradient).all() for name, gradient in before.items())


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_a_parameter_without_a_gradient_is_left(name: str) -> None:
    rule = optimiser_named(name)
    parameters, start = drawn(), drawn()
    gradients = gradients_of(parameters)
    del gradients["conv/bias"]
    state = rule.start(parameters)
    rule.update(parameters, gradients, state, 0)
    left = {name for name in parameters if (parameters[name] == start[name]).all()}
    assert left == {"conv/bias"}
    assert all(not array.any() for name, array in state.items() if name.startswith("conv/bias/"))


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_views_that_are_not_contiguous_are_moved(name: str) -> None:
    rule = optimiser_named(name)
    whole = np.arange(24.0).reshape(4, 6)
    strided, plain = {"w": whole[::2, ::3]}, {"w": whole[::2, ::3].copy()}
    for parameters in (strided, plain):
        state = rule.start(parameters)
        for step in range(3):
            rule.update(parameters, {"w": np.ones((2, 2))}, state, step)
    assert (whole[::2, ::3] == plain["w"]).all()
    assert (whole[1::2] == np.arange(24.0).reshape(4, 6)[1::2]).all()


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_clipping_is_that_of_torch(values: list[float], largest: float) -> None:
    tensor = torch.zeros(len(values), dtype=torch.float64)
    tensor.grad = torch.tensor(values, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([tensor], largest)
    factor = clip_factor({"w": np.array(values)}, largest)
    np.testing.assert_allclose(
        np.array(values) * factor, tensor.grad.numpy(), rtol=1e-12, atol=1e-300
    )


def test_clipping_reaches_gradients_whose_square_overflows() -> None:
    gradient = np.array([3e30, 4e30], dtype=np.float32)
    assert clip_factor({"w": gradient}, 1.0) == pytest.approx(2e-31)


def test_a_gradient_that_is_no_number_is_not_clipped_away() -> None:
    assert math.isnan(clip_factor({"w": np.array([np.nan, 1.0])}, 1.0))


def test_a_step_of_a_small_network_takes_microseconds() -> None:
    rule = SGD()
    parameters = {str(k): np.zeros(shape, np.float32) for k, shape in enumerate(LENET)}
    times = []
    for step in range(200):
        start = time.perf_counter()
        rule.update(parameters, parameters, {}, step)
        times.append(time.perf_counter() - start)
    # About 40 us; ten times that would show in an epoch.
    assert min(times) < 400e-6


def test_names() -> None:
    assert optimiser_named("sgd") == SGD(0.1, 0.0)
    assert optimiser_named("momentum") == SGD(0.1, 0.9)
    assert optimiser_named("nesterov") == SGD(0.1, 0.9, nesterov=True)
    assert optimiser_named("adam") == Adam(0.001, (0.9, 0.999), 1e-8)
    assert optimiser_named("adamw") == AdamW(0.001, weight_decay=0.01)
    own = SGD(0.3)
    assert optimiser_named(own) is own


PARAMETERS = {"w": np.zeros(3)}
READ_ONLY = np.zeros(3)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: SGD(-1), ArgumentError, "learning_rate must be finite and at least 0, not -1"),
        (lambda: SGD(math.nan), ArgumentError, "learning_rate must be finite"),
        (lambda: SGD(math.inf), ArgumentError, "learning_rate must be finite"),
        (lambda: SGD("fast"), KindError, "learning_rate must be a number, not 'fast'"),
        (lambda: SGD(True), KindError, "learning_rate must be a number, not True"),
        (lambda: SGD(0.1, 1.0), ArgumentError, "momentum must be finite and at least 0 and below"),
        (lambda: SGD(0.1, nesterov=True), ArgumentError, "nesterov=True needs a momentum above 0"),
        (lambda: SGD(0.1, 0.9, nesterov=1), KindError, "nesterov must be True or False, not 1"),
        (lambda: SGD(weight_decay=-0.1), ArgumentError, "weight_decay must be finite and at least"),
        (lambda: SGD(clip=0), ArgumentError, "clip must be finite and above 0, not 0"),
        (lambda: SGD(schedule=3), KindError, "must be a function from the progress to a factor"),
        (lambda: Adam(betas=0.9), ArgumentError, "betas must be two numbers, such as (0.9, 0.999)"),
        (lambda: Adam(betas=(0.9, 1)), ArgumentError, "betas[1] must be finite and at least 0"),
        (lambda: Adam(epsilon=-1), ArgumentError, "epsilon must be finite and at least 0, not -1"),
        (
            lambda: SGD(schedule=lambda progress: -progress).rate(3),
            ArgumentError,
            "factor of at least 0, but returned -3.0 at step 3",
        ),
        (
            lambda: SGD().start({"w": np.arange(3)}),
            KindError,
            "the parameter 'w' must be an array of floats to be trained, not int64",
        ),
        (lambda: SGD().start({"w": [1.0]}), KindError, "to be trained, not list"),
        (
            lambda: SGD().start({"w": READ_ONLY}),
            KindError,
            "the parameter 'w' is a read-only array",
        ),
        (
            lambda: SGD().update(PARAMETERS, {"v": np.zeros(3)}, {}, 0),
            ArgumentError,
            "gradients has the key 'v', which is not a parameter: use the names w",
        ),
        (
            lambda: SGD().update(PARAMETERS, {"w": np.zeros(1)}, {}, 0),
            ShapeError,
            "the gradient of the parameter 'w' must have its shape (3,), not (1,)",
        ),
        (
            lambda: Adam().update(PARAMETERS, {"w": np.zeros(3)}, {"w/mean": np.zeros(3)}, 0),
            ArgumentError,
            "the state lacks mean, square of the parameter 'w': create the state with start",
        ),
        (
            lambda: optimiser_named("lion"),
            ArgumentError,
            "optimizer must be one of sgd, momentum, nesterov, adam, adamw, not 'lion'",
        ),
        (lambda: optimiser_named(0.1), KindError, "optimizer must be an Optimiser or one of"),
    ],
)
def test_bad_input_is_refused_in_words(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert not PARAMETERS["w"].any()
