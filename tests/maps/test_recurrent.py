"""Recurrent layers against their definition as loops, SymPy's derivatives and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import integers

import convalg as ca
from convalg.errors import (
    ArgumentError,
    ConvalgError,
    ExactnessError,
    KindError,
    ShapeError,
    SymbolicError,
    TooLargeError,
)
from convalg.maps.recurrent import Recurrent, gru, linear_recurrence, lstm, rnn

MAKERS: dict[str, Callable[..., Recurrent]] = {"rnn": rnn, "lstm": lstm, "gru": gru}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
SIZES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))


def loop(x: Any, u: Any, w: Any, b: Any, first: Any, relu: bool = False) -> tuple[Any, int]:
    """h_t = f(U x_t + W h_(t-1) + b), one product at a time, and how many products that took."""
    (steps, inputs), hidden = np.shape(x), len(w)
    h, found, products = first, [], 0
    for t in range(steps):
        new = []
        for j in range(hidden):
            total = 0 if b is None else b[j]
            for i in range(inputs):
                total, products = total + u[j][i] * x[t][i], products + 1
            for k in range(hidden):
                if h is not None:
                    total, products = total + w[j][k] * h[k], products + 1
            new.append(max(total, 0) if relu else total)
        h = new
        found.append(h)
    return np.array(found), products


def triangle(steps: int, u: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The blocks W^(t-s) U, by repeated multiplication."""
    (hidden, inputs), kind = u.shape, np.result_type(u, w)
    dense = np.zeros((steps, hidden, steps, inputs), dtype=kind)
    for s in range(steps):
        block = u
        for t in range(s, steps):
            dense[t, :, s] = block
            block = w.dot(block)
    return dense.reshape(steps * hidden, steps * inputs)


@dataclass(frozen=True)
class Whole:
    """A recurrence of small integers; printed by Hypothesis when a test fails."""

    steps: int
    u: np.ndarray
    w: np.ndarray
    b: np.ndarray | None
    first: np.ndarray | None
    x: np.ndarray
    g: np.ndarray

    def rnn(self, activation: Any) -> Recurrent:
        options = {"activation": activation, "initial": self.first}
        return rnn(self.steps, self.u, self.w, self.b, **options)


@st.composite
def wholes(draw: st.DrawFn) -> Whole:
    steps, inputs, hidden = draw(SIZES)
    return Whole(
        steps,
        draw(integers((hidden, inputs))),
        draw(integers((hidden, hidden), 2)),
        draw(st.none() | integers((hidden,))),
        draw(st.none() | integers((hidden,))),
        draw(integers((steps, inputs))),
        draw(integers((steps, hidden))),
    )


# The linear recurrence.


@given(wholes())
def test_a_linear_recurrence_is_its_loop_and_its_block_triangle(drawn: Whole) -> None:
    operator = linear_recurrence(drawn.steps, drawn.u, drawn.w)
    expected = triangle(drawn.steps, drawn.u, drawn.w)
    assert np.array_equal(operator.to_numpy(), expected)
    assert np.array_equal(operator.to_scipy().toarray(), expected)
    assert operator.to_sympy().tolist() == expected.tolist()
    assert np.array_equal(operator.T.to_numpy(), expected.T)
    y, _ = loop(drawn.x, drawn.u, drawn.w, None, None)
    assert np.array_equal(operator(drawn.x), y)


@given(wholes())
def test_the_adjoint_is_back_propagation_through_time(drawn: Whole) -> None:
    found, back = [], np.zeros(len(drawn.w), dtype=int)
    for t in reversed(range(drawn.steps)):
        back = drawn.g[t] + drawn.w.T @ back
        found.append(drawn.u.T @ back)
    operator = linear_recurrence(drawn.steps, drawn.u, drawn.w)
    assert np.array_equal(operator.T(drawn.g), found[::-1])


@given(SIZES)
def test_a_linear_recurrence_of_symbols(sizes: tuple[int, int, int]) -> None:
    steps, inputs, hidden = min(sizes[0], 4), *sizes[1:]
    u, w = ca.kernel(hidden, inputs, name="u"), ca.kernel(hidden, hidden)
    operator = linear_recurrence(steps, u, w)
    difference = operator.to_sympy() - sympy.Matrix(triangle(steps, u, w))
    assert difference.expand().is_zero_matrix
    counts = operator.counts
    assert counts.parameters == u.size + (w.size if steps > 1 else 0)
    assert counts.dense == steps * hidden * steps * inputs
    assert counts.nonzeros == steps * (steps + 1) // 2 * hidden * inputs


def test_fractions_stay_fractions() -> None:
    half = Fraction(1, 2)
    operator = linear_recurrence(4, [[1]], [[half]])
    assert operator.to_numpy()[:, 0].tolist() == [1, half, half**2, half**3]
    layer = rnn(2, [[half]], [[3]], [Fraction(1, 3)], activation="relu")
    assert layer([[1], [half]]).tolist() == [[Fraction(5, 6)], [Fraction(37, 12)]]
    assert layer.at([[1], [half]]).to_numpy().tolist() == [[half, 0], [3 * half, half]]


@pytest.mark.parametrize("steps", [127, 128, 129, 300])
def test_hundreds_of_steps(steps: int) -> None:
    random = np.random.default_rng(steps)
    # A signed permutation: its powers neither grow nor vanish.
    w = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]])
    u, x = random.integers(-4, 5, (3, 2)), random.integers(-4, 5, (steps, 2))
    operator = linear_recurrence(steps, u, w)
    y, _ = loop(x, u, w, None, None)
    assert np.array_equal(operator(x), y)
    assert np.array_equal(operator.to_scipy().toarray(), triangle(steps, u, w))
    layer = rnn(steps, u, w, activation="linear")
    assert np.array_equal(layer(x), y)
    assert np.array_equal(layer.at(x).to_scipy().toarray(), triangle(steps, u, w))


# The exact RNNs.


@given(wholes())
def test_the_linear_rnn_is_the_linear_recurrence(drawn: Whole) -> None:
    layer = drawn.rnn("linear")
    jacobian = layer.at(drawn.x).to_numpy()
    expected = linear_recurrence(drawn.steps, drawn.u, drawn.w).to_numpy()
    assert jacobian.dtype == np.int64
    assert np.array_equal(jacobian, expected)
    assert np.array_equal(layer(drawn.x), loop(drawn.x, drawn.u, drawn.w, drawn.b, drawn.first)[0])


@given(wholes())
def test_the_relu_rnn_by_exact_differences(drawn: Whole) -> None:
    layer = drawn.rnn("relu")
    y, _ = loop(drawn.x, drawn.u, drawn.w, drawn.b, drawn.first, relu=True)
    assert np.array_equal(layer(drawn.x), y)
    before = np.vstack([np.zeros_like(y[:1]) if drawn.first is None else drawn.first[None], y[:-1]])
    bias = 0 if drawn.b is None else drawn.b
    assume((drawn.x @ drawn.u.T + before @ drawn.w.T + bias).all())
    # Whole numbers are at least 1 away from the kink, so this far nothing crosses it.
    small = Fraction(1, 10**9)
    columns = []
    for place in np.ndindex(drawn.x.shape):
        moved = drawn.x.astype(object)
        moved[place] += small
        after, _ = loop(moved, drawn.u, drawn.w, drawn.b, drawn.first, relu=True)
        columns.append(((after - y) / small).ravel())
    assert layer.at(drawn.x).to_numpy().tolist() == np.array(columns).T.tolist()


@given(wholes(), st.sampled_from(["linear", "relu"]))
def test_transposes_and_batches_are_exact(drawn: Whole, activation: str) -> None:
    layer = drawn.rnn(activation)
    operators = [layer.at(drawn.x), *(layer.by(name, drawn.x) for name in layer.parameters)]
    for operator in operators:
        dense = operator.to_numpy()
        assert np.array_equal(operator.T.to_numpy(), dense.T)
        assert np.array_equal(operator.T(drawn.g).ravel(), dense.T @ drawn.g.ravel())
    batch = np.stack([drawn.x, -drawn.x, drawn.x + 1])
    assert np.array_equal(layer(batch), [layer(one) for one in batch])
    assert layer(batch[:0]).shape == (0, *layer.out_shape)


@given(wholes(), st.sampled_from(["linear", "relu"]))
def test_objects_give_the_same_integers(drawn: Whole, activation: str) -> None:
    layer = drawn.rnn(activation)
    exact = drawn.x.astype(object)
    assert layer(exact).dtype == object
    assert layer(exact).tolist() == layer(drawn.x).tolist()
    assert layer.at(exact).to_numpy().tolist() == layer.at(drawn.x).to_numpy().tolist()


def test_integers_beyond_64_bits_are_refused_and_objects_are_not() -> None:
    layer = rnn(70, [[1]], [[2]], activation="linear")
    x = np.ones((70, 1), dtype=int)
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        layer(x)
    assert layer(x.astype(object))[-1].tolist() == [2**70 - 1]


# Structure.


@pytest.mark.parametrize("name", MAKERS)
@given(sizes=SIZES, seed=st.integers(0, 99))
@settings(max_examples=30)
def test_no_step_sees_a_later_one(name: str, sizes: tuple[int, int, int], seed: int) -> None:
    steps, inputs, hidden = sizes
    layer, _, x = drawn_layer(name, sizes, seed, True, False)
    stored = layer.at(x).to_scipy().tocoo()
    assert (stored.coords[0] // hidden >= stored.coords[1] // inputs).all()
    counts = layer.counts
    assert counts.nonzeros == layer.at(x).counts.nonzeros == stored.nnz
    assert counts.dense == np.prod(layer.at(x).shape) == (steps * hidden) * (steps * inputs)


@given(SIZES, st.integers(0, 99))
def test_gradients_vanish_where_the_hidden_weights_shrink(
    sizes: tuple[int, int, int], seed: int
) -> None:
    """The block (t, s) is at most |W|^(t-s) |U|, since no slope of tanh is over 1."""
    steps, inputs, hidden = sizes
    random = np.random.default_rng(seed)
    u, w = random.normal(size=(hidden, inputs)), random.normal(size=(hidden, hidden))
    w /= 2 * np.linalg.norm(w, 2)
    jacobian = rnn(steps, u, w).at(random.normal(size=(steps, inputs))).to_numpy()
    blocks = jacobian.reshape(steps, hidden, steps, inputs)
    for t in range(steps):
        for s in range(t + 1):
            bound = 0.5 ** (t - s) * np.linalg.norm(u, 2)
            assert np.linalg.norm(blocks[t, :, s], 2) <= bound * (1 + 1e-12)


# Counts.


@given(wholes())
def test_counts_are_those_of_the_unrolled_net(drawn: Whole) -> None:
    """With weights of its own at each step, the net uses as many symbols as `unshared` says."""
    (hidden, inputs), steps = drawn.u.shape, min(drawn.steps, 3)
    x = np.ones((steps, inputs), dtype=int)
    first = None if drawn.first is None else np.ones(hidden, dtype=int)
    bias = None if drawn.b is None else ca.kernel(hidden, name="b")
    h, used = first, {"input_weights": set(), "hidden_weights": set(), "bias": set()}
    for t in range(steps):
        own = {
            "input_weights": ca.kernel(hidden, inputs, name=f"u{t}_"),
            "hidden_weights": ca.kernel(hidden, hidden, name=f"w{t}_"),
            "bias": None if bias is None else ca.kernel(hidden, name=f"b{t}_"),
        }
        (h,), _ = loop(x[t : t + 1], *own.values(), h)
        seen = set().union(*(sympy.sympify(value).free_symbols for value in h))
        for name, symbols in own.items():
            used[name] |= seen & set() if symbols is None else seen & set(symbols.ravel())
    layer = rnn(steps, drawn.u, drawn.w, drawn.b, activation="linear", initial=first)
    counts, parameters = layer.counts, layer.parameters
    assert counts.unshared == sum(map(len, used.values()))
    assert counts.parameters == sum(value.size for value in parameters.values())
    assert counts.sharing == {
        name: len(used[name]) / value.size for name, value in parameters.items()
    }
    assert counts.multiplications == loop(x, drawn.u, drawn.w, drawn.b, first)[1]


@pytest.mark.parametrize(
    ("name", "given_state", "sharing", "multiplications"),
    [
        # Per step: gates * hidden * (inputs + hidden) for the weights and 3 * hidden in the gates.
        ("lstm", False, {"input_weights": 5, "hidden_weights": 4, "bias": 5}, 120 + 64 + 30),
        ("lstm", True, {"input_weights": 5, "hidden_weights": 5, "bias": 5}, 120 + 80 + 30),
        (
            "gru",
            False,
            {"input_weights": 5, "hidden_weights": 4, "input_bias": 5, "hidden_bias": 5},
            90 + 48 + 30,
        ),
    ],
)
def test_counts_of_gates(
    name: str, given_state: bool, sharing: dict[str, int], multiplications: int
) -> None:
    layer, _, _ = drawn_layer(name, (5, 3, 2), 0, True, given_state)
    counts = layer.counts
    assert counts.sharing == sharing
    assert counts.multiplications == multiplications
    sizes = {key: value.size for key, value in layer.parameters.items()}
    assert counts.unshared == sum(sizes[key] * times for key, times in sharing.items())
    assert counts.parameters == sum(sizes.values())


# Against PyTorch, and against derivatives of symbols.


def drawn_layer(
    name: str, sizes: tuple[int, int, int], seed: int, bias: bool, state: bool, **options: Any
) -> tuple[Recurrent, list[np.ndarray], np.ndarray]:
    """A layer of random floats, the parameters in PyTorch's order, and one input."""
    steps, inputs, hidden = sizes
    random, rows = np.random.default_rng(seed), GATES[name] * hidden
    weights = [random.normal(size=(rows, inputs)), random.normal(size=(rows, hidden))]
    biases = [random.normal(size=rows), random.normal(size=rows)] if bias else []
    first = random.normal(size=(2, hidden) if name == "lstm" else hidden) if state else None
    given = biases if name == "gru" else [sum(biases)] if bias else []
    layer = MAKERS[name](steps, *weights, *given, initial=first, **options)
    return layer, [*weights, *biases], random.normal(size=(steps, inputs))


@pytest.mark.parametrize(
    ("name", "options"), [("rnn", {}), ("rnn", {"activation": "relu"}), ("lstm", {}), ("gru", {})]
)
@given(sizes=SIZES, seed=st.integers(0, 10**6), bias=st.booleans(), state=st.booleans())
@settings(max_examples=60)
def test_pytorch_agrees(
    name: str,
    options: dict[str, str],
    sizes: tuple[int, int, int],
    seed: int,
    bias: bool,
    state: bool,
) -> None:
    """Forward, Jacobian and gradients of all parameters, in double precision."""
    torch = pytest.importorskip("torch")
    steps, inputs, hidden = sizes
    layer, weights, x = drawn_layer(name, sizes, seed, bias, state, **options)
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name]
    extra = {"nonlinearity": options["activation"]} if options else {}
    module = kind(inputs, hidden, bias=bias, batch_first=True, dtype=torch.float64, **extra)
    for parameter, values in zip(module.parameters(), weights, strict=True):
        parameter.data = torch.tensor(values)

    def forward(samples: Any) -> Any:
        if layer.initial is None:
            return module(samples)[0]
        parts = torch.tensor(layer.initial).reshape(-1, 1, 1, hidden)
        parts = parts.expand(-1, 1, len(samples), hidden).contiguous()
        return module(samples, tuple(parts) if name == "lstm" else parts[0])[0]

    batch = np.stack([x, -x])
    samples = torch.tensor(batch, requires_grad=True)
    outputs = forward(samples)
    np.testing.assert_allclose(layer(batch), outputs.detach().numpy(), rtol=0, atol=1e-10)

    jacobian = torch.autograd.functional.jacobian(lambda one: forward(one[None])[0], samples[0])
    expected = jacobian.numpy().reshape(steps * hidden, steps * inputs)
    np.testing.assert_allclose(layer.at(x).to_numpy(), expected, rtol=1e-10, atol=1e-10)

    upstream = np.random.default_rng(seed + 1).normal(size=outputs.shape)
    outputs.backward(torch.tensor(upstream))
    found = layer.gradient(batch, upstream)
    np.testing.assert_allclose(found, samples.grad.numpy(), rtol=1e-10, atol=1e-10)
    # PyTorch's two biases are added up, but in a GRU, so their gradients are alike.
    gradients = layer.parameter_gradients(batch, upstream)
    for got, parameter in zip(gradients.values(), module.parameters(), strict=False):
        np.testing.assert_allclose(got, parameter.grad.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MAKERS)
def test_derivatives_of_symbols(name: str) -> None:
    """Symbols and fractions stay exact, and SymPy differentiates what the layer gives."""
    gates = GATES[name]
    u, w, b = (
        np.array([sympy.Rational((-1) ** k, k + shift) for k in range(gates)])
        for shift in (2, 3, 5)
    )
    layer = MAKERS[name](2, u[:, None], w[:, None], b)
    x = ca.kernel(2, 1, name="x")
    symbols = x.ravel().tolist()
    expected = sympy.Matrix(layer(x).ravel().tolist()).jacobian(symbols)
    difference = layer.at(x).to_sympy() - expected
    assert expected[1, 0].free_symbols == set(symbols)
    with mpmath.workdps(30):
        value = sympy.lambdify(symbols, difference, "mpmath", cse=True)
        assert max(map(abs, value(mpmath.mpf(2) / 3, mpmath.mpf(-1) / 4))) < 1e-25


@given(wholes())
@settings(max_examples=40)
def test_parameters_of_a_linear_rnn_by_symbols(drawn: Whole) -> None:
    """The derivative is a polynomial in the weights: exact integers on both sides."""
    steps, (hidden, inputs) = min(drawn.steps, 3), drawn.u.shape
    x = drawn.x[:steps]
    named = {
        "input_weights": (ca.kernel(hidden, inputs, name="u"), drawn.u),
        "hidden_weights": (ca.kernel(hidden, hidden), drawn.w),
        "bias": (ca.kernel(hidden, name="b"), np.ones(hidden, int)),
    }
    outputs, _ = loop(x, *(symbols for symbols, _ in named.values()), drawn.first)
    numbers = {s: v for pair in named.values() for s, v in zip(*map(np.ravel, pair), strict=True)}
    layer = rnn(steps, *(v for _, v in named.values()), activation="linear", initial=drawn.first)
    for name, (symbols, _) in named.items():
        derivative = sympy.Matrix(outputs.ravel().tolist()).jacobian(symbols.ravel().tolist())
        assert layer.by(name, x).to_numpy().tolist() == derivative.subs(numbers).tolist()


def test_single_precision_stays_single() -> None:
    for name in MAKERS:
        layer, _, x = drawn_layer(name, (3, 2, 2), 0, True, True)
        parts = [value.astype(np.float32) for value in layer.parameters.values()]
        single = MAKERS[name](3, *parts, initial=layer.initial.astype(np.float32))
        x = x.astype(np.float32)
        assert single(x).dtype == single.at(x)(x).dtype == np.float32
        np.testing.assert_allclose(single(x), layer(x), rtol=1e-4, atol=1e-5)


def test_names() -> None:
    assert repr(rnn(2, [[1]], [[2]])) == "rnn(2, [[1]], [[2]])"
    assert repr(rnn(2, [[1]], [[2]], [3], activation="relu")) == (
        "rnn(2, [[1]], [[2]], [3], activation='relu')"
    )
    assert repr(lstm(2, np.zeros((8, 3)), np.zeros((8, 2)))) == (
        "lstm(2, <8x3 float64>, <8x2 float64>)"
    )


# Bad input.

U, W = [[1]], [[2]]
NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rnn(0, U, W), ArgumentError, "steps must be at least 1, not 0"),
        (lambda: linear_recurrence(-1, U, W), ArgumentError, "steps must be at least 1, not -1"),
        (lambda: rnn(1.5, U, W), KindError, "steps must be an integer, not 1.5"),
        (lambda: rnn((2, 3), U, W), ShapeError, r"steps must be one integer, not \(2, 3"),
        (lambda: rnn(ca.sizes("n")[0], U, W), SymbolicError, "steps must be given in numbers"),
        (
            lambda: rnn(2, [1], W),
            ShapeError,
            r"input_weights must be a non-empty matrix of shape \(1 \* hidden, inputs\), not an",
        ),
        (
            lambda: lstm(2, np.zeros((4, 0)), W),
            ShapeError,
            r"4 \* hidden, inputs\), not an array of shape",
        ),
        (
            lambda: rnn(2, 3, W),
            ShapeError,
            r"input_weights must be a non-empty matrix .* shape \(\)",
        ),
        (
            lambda: lstm(2, np.ones((6, 2)), np.ones((6, 2))),
            ShapeError,
            "input_weights of lstm must have a multiple of 4 rows, one block per gate, not 6",
        ),
        (
            lambda: gru(2, np.ones((4, 1)), W),
            ShapeError,
            "input_weights of gru must have a multiple of 3 rows, .* not 4",
        ),
        (
            lambda: gru(2, np.ones((6, 1)), np.ones((6, 3))),
            ShapeError,
            r"hidden_weights must have shape \(6, 2\), not \(6, 3\), for .*\(6, 1\)",
        ),
        (
            lambda: linear_recurrence(2, [[1], [2]], W),
            ShapeError,
            r"hidden_weights must have shape \(2, 2\)",
        ),
        (
            lambda: rnn(2, U, W, [1, 2]),
            ShapeError,
            r"bias must be an array of shape \(1,\), not \(2,\)",
        ),
        (lambda: rnn(2, U, W, 3), ShapeError, r"bias must be an array of shape \(1,\), not \(\)"),
        (
            lambda: gru(2, np.ones((3, 1)), np.ones((3, 1)), None, [1]),
            ShapeError,
            r"hidden_bias must be an array of shape \(3,\)",
        ),
        (
            lambda: rnn(2, U, W, initial=[[1]]),
            ShapeError,
            r"initial must be an array of shape \(1,\), not \(1, 1\)",
        ),
        (
            lambda: lstm(2, np.ones((4, 1)), np.ones((4, 1)), initial=[1]),
            ShapeError,
            r"initial must be an array of shape \(2, 1\), not \(1,\)",
        ),
        (
            lambda: rnn(2, U, W, activation="gelu"),  # type: ignore[arg-type]
            ArgumentError,
            "activation must be one of tanh, relu, linear, not 'gelu'",
        ),
        (lambda: rnn(2, [[NAN]], W), ArgumentError, "input_weights must be finite and real"),
        (lambda: rnn(2, U, [[NAN]]), ArgumentError, "hidden_weights must be finite and real"),
        (lambda: rnn(2, U, W, [NAN]), ArgumentError, "bias must be finite and real"),
        (lambda: rnn(2, U, W, initial=[NAN]), ArgumentError, "initial must be finite and real"),
        (lambda: rnn(2, [["a"]], W), KindError, "input_weights must hold numbers"),
        (lambda: rnn(2, U, [[1j]]), KindError, "hidden_weights must be real"),
        (lambda: rnn(2, U, W)([1, 2]), ShapeError, r"x must have shape \(\*batch, 2, 1\)"),
        (lambda: rnn(2, U, W).at([[[1], [2]]]), ShapeError, "x must be one sample of shape"),
        (lambda: rnn(2, U, W).by("bias", [[1], [2]]), ArgumentError, "has no parameter 'bias'"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_jacobian_that_would_not_fit_is_refused() -> None:
    layer = rnn(3000, np.zeros((200, 1)), np.zeros((200, 200)))
    with pytest.raises(TooLargeError, match="the Jacobian over 3000 steps of 200 states needs"):
        layer.at(np.zeros((3000, 1)))
