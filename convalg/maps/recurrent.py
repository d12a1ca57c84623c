"""Recurrent layers: one step applied repeatedly, whose Jacobian is block lower triangular."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arrays import Array, as_kernel, as_numbers, one_sample
from convalg.axis import Axis
from convalg.errors import ArgumentError, ShapeError
from convalg.limits import check_memory
from convalg.maps.activations import ElementwiseMap, relu, sigmoid, tanh
from convalg.operators.dense import dense, identity
from convalg.operators.leaves import Selection, SparseMatrix
from convalg.operators.pooling import concrete_shape
from convalg.operators.shifts import shift
from convalg.operators.tree import Map, Operator, add, compose, kron
from convalg.size import size_product

_BYTES_PER_ENTRY = 16
"""An entry and its column index."""
_BYTES_PER_FACTOR = 55
"""The memory of one factor of a power of W while products are formed."""


@dataclass(frozen=True, eq=False)
class RecurrentCell:
    """One step of a recurrent layer, which acts on each hidden unit separately.

    `step(a, b, state)` returns the next state from a = U x + bias, b = W h + bias, both
    (samples, gates, hidden), and state (samples, states, hidden), whose first row is h.
    `slopes` returns the derivatives of the next state by a and by b, both
    (samples, states, gates, hidden), and directly by the state, (samples, states, states, hidden).
    `products`: the number of multiplications of gates per hidden unit.
    """

    name: str
    gates: int
    states: int
    products: int
    step: Callable[[Array, Array, Array], Array]
    slopes: Callable[[Array, Array, Array], tuple[Array, Array, Array]]
    biases: tuple[str, ...] = ("bias",)
    options: str = ""


@dataclass(frozen=True)
class RecurrentCounts:
    """The costs of a recurrent layer and its weight sharing over time, as exact integers.

    `dense`: entries of the Jacobian, zeros included. `nonzeros`: entries of its block lower
    triangle. `parameters`: weights and biases, each counted once. `unshared`: their number if each
    step had weights of its own. `multiplications`: those of one forward pass, step by step;
    products with an initial hidden state of zero are not counted, those of gates are counted at
    every step. `sharing`: the number of steps that use each entry of a parameter.
    """

    dense: int
    nonzeros: int
    parameters: int
    unshared: int
    multiplications: int
    sharing: dict[str, int]


@dataclass(frozen=True, eq=False, repr=False)
class Recurrent(Map):
    """A cell applied at every step with the same weights; see `rnn`, `lstm` and `gru`."""

    cell: RecurrentCell
    steps: int
    input_weights: Array
    hidden_weights: Array
    input_bias: Array | None
    hidden_bias: Array | None
    initial: Array | None

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.steps, self.input_weights.shape[1]

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.steps, self.hidden_weights.shape[1]

    @property
    def _states_shape(self) -> tuple[int, int, int]:
        """The shape of the states at all steps."""
        return self.steps, self.cell.states, self.hidden_weights.shape[1]

    def _apply(self, x: Array) -> Array:
        return self._run(x)[2][:, 1:, 0]

    def _run(self, x: Array) -> tuple[Array, Array, Array]:
        """Return U x + bias and W h + bias of every step, and the states before and after."""
        gates, hidden = self.cell.gates, self.hidden_weights.shape[1]
        per_gate = (len(x), self.steps, gates, hidden)
        fed = _affine(x, self.input_weights, self.input_bias).reshape(per_gate)
        if self.initial is None:
            state = np.zeros((len(x), *self._states_shape[1:]), fed.dtype)
        else:
            state = np.broadcast_to(self.initial, (len(x), *self._states_shape[1:]))
        carried, states = [], [state]
        for t in range(self.steps):
            by_state = _affine(state[:, 0], self.hidden_weights, self.hidden_bias)
            carried.append(by_state.reshape(len(x), gates, hidden))
            state = self.cell.step(fed[:, t], carried[-1], state)
            states.append(state)
        return fed, np.stack(carried, axis=1), np.stack(states, axis=1)

    def _slopes(self, x: object) -> tuple[Array, Array, Array, Array, Array]:
        """Return one sample, its hidden states before every step, and the cell's slopes there."""
        sample = one_sample(x, self.in_shape)
        fed, carried, states = (array[0] for array in self._run(sample[None]))
        return sample, states[:-1, 0], *self.cell.slopes(fed, carried, states[:-1])

    def at(self, x: object, /) -> Operator:
        """The Jacobian of all hidden states by all inputs: block lower triangular.

        Rule: (I - N)^-1 D, with D the derivative by the input of the same step and N that by the
        previous state.
        """
        sample, _, by_input, by_hidden, by_state = self._slopes(x)
        direct = _through(by_input, self.input_weights)
        times, states, hidden, inputs = direct.shape
        columns = np.arange(sample.size).reshape(times, inputs).repeat(states * hidden, axis=0)
        local = _rows(direct.reshape(-1, inputs), columns, self.in_shape, self._states_shape)
        return compose(*self._carried(by_hidden, by_state), local)

    @property
    def parameters(self) -> dict[str, Array]:
        biases = zip(self.cell.biases, (self.input_bias, self.hidden_bias), strict=False)
        named = {name: bias for name, bias in biases if bias is not None}
        return {
            "input_weights": self.input_weights,
            "hidden_weights": self.hidden_weights,
            **named,
        }

    def by(self, name: str, x: object) -> Operator:
        """The Jacobian of the hidden states by a parameter.

        The effect of the parameter at each step is propagated to the later steps and summed.
        """
        if not isinstance(name, str) or name not in self.parameters:
            return super().by(name, x)
        sample, before, by_input, by_hidden, by_state = self._slopes(x)
        slopes = by_hidden if name.startswith("hidden") else by_input
        first = self.steps - self._uses(name)
        read = {"input_weights": sample, "hidden_weights": before}.get(name)
        if read is None:
            read = np.ones((self.steps, 1), slopes.dtype)
        # In the order of the rows: (steps, states, hidden, gates, 1) times the inputs of a gate.
        slopes = slopes[first:].swapaxes(2, 3)[..., None]
        slopes, read = engine.prepared(1, slopes, read[first:, None, None, None])
        entries = slopes * read
        *lead, hidden, gates, taps = entries.shape
        values = entries.reshape(-1, gates * taps)
        indices = np.arange(gates * hidden * taps).reshape(gates, hidden, taps).swapaxes(0, 1)
        columns = np.tile(indices.reshape(hidden, gates * taps), (math.prod(lead), 1))
        local = _rows(values, columns, self.parameters[name].shape, self._states_shape)
        return compose(*self._carried(by_hidden, by_state), local)

    def _carried(self, by_hidden: Array, by_state: Array) -> list[Operator]:
        """The factors of the derivative of the hidden states by the states: (I - N)^-1, then h."""
        shape = self._states_shape
        steps, states, hidden = shape
        size = states * hidden
        powers = (steps - 1).bit_length()
        check_memory(
            steps * size**2 * max(powers, self.cell.gates) * _BYTES_PER_ENTRY,
            None,
            what=f"the Jacobian over {steps} steps of {size} states",
            instead="take fewer steps, or compute f(x) only",
            fixed=True,
        )
        blocks = _through(by_hidden, self.hidden_weights)
        step = np.zeros((*shape, states, hidden), np.result_type(blocks, by_state))
        step[:, :, :, 0] = blocks
        unit = np.arange(hidden)
        # Advanced indices separated by slices come first: (hidden, steps, states, states).
        step[:, :, unit, :, unit] += by_state.transpose(3, 0, 1, 2)
        chosen = Selection(
            (Axis(steps, steps), Axis(states, 1), Axis(hidden, hidden)), shape, (steps, hidden)
        )
        power, reach, factors = step[1:].reshape(steps - 1, size, size), 1, []
        while reach < steps:
            columns = np.arange((steps - reach) * size).reshape(-1, size).repeat(size, axis=0)
            jump = _rows(power.reshape(-1, size), columns, shape, shape)
            factors.append(add(identity(shape), jump))
            power = _matmul(power[reach:], power[:-reach])
            reach *= 2
        return [chosen, *factors]

    def _uses(self, name: str) -> int:
        """The number of steps at which a parameter has an effect: W has none on a zero state."""
        return self.steps - (name == "hidden_weights" and self.initial is None)

    @property
    def counts(self) -> RecurrentCounts:
        """Dense entries, non-zeros, parameters, multiplications and weight sharing over time.

        >>> import convalg as ca
        >>> ca.rnn(3, [[1]], [[2]], activation="linear").counts.sharing
        {'input_weights': 3, 'hidden_weights': 2}
        """
        (steps, inputs), (_, hidden) = self.in_shape, self.out_shape
        sharing = {name: self._uses(name) for name in self.parameters}
        sizes = {name: value.size for name, value in self.parameters.items()}
        weights = [name for name in sizes if name.endswith("_weights")]
        return RecurrentCounts(
            dense=steps * hidden * steps * inputs,
            nonzeros=steps * (steps + 1) // 2 * hidden * inputs,
            parameters=sum(sizes.values()),
            unshared=sum(sizes[name] * sharing[name] for name in sizes),
            multiplications=sum(sizes[name] * sharing[name] for name in weights)
            + steps * self.cell.products * hidden,
            sharing=sharing,
        )

    def __repr__(self) -> str:
        from convalg.faces.text import array_text

        arrays = [array_text(value) for value in self.parameters.values()]
        return f"{self.cell.name}({self.steps}, {', '.join(arrays)}{self.cell.options})"


def linear_recurrence(steps: int, input_weights: object, hidden_weights: object) -> Operator:
    """The recurrence h_t = W h_(t-1) + U x_t from h_0 = 0: an RNN that is a linear operator.

    It is block Toeplitz and block lower triangular: block (t, s) is W^(t-s) U. Its adjoint is
    back-propagation through time. It maps (steps, I) to (steps, H).

    Rule: (I - N)^-1 = (I + N)(I + N^2)(I + N^4)..., with N^k the shift by k steps, times W^k.

    Args:
        steps: the number of steps.
        input_weights: U, of shape (H, I).
        hidden_weights: W, of shape (H, H).

    Raises:
        ArgumentError: for fewer than one step.
        ShapeError: when the shapes of the weights do not agree.
        TooLargeError: for too many steps.

    >>> import convalg as ca
    >>> ca.linear_recurrence(3, [[1]], [[2]]).to_numpy().tolist()
    [[1, 0, 0], [2, 1, 0], [4, 2, 1]]
    """
    count, inputs, hiddens = _checked("linear_recurrence", 1, steps, input_weights, hidden_weights)
    check_memory(
        count * _BYTES_PER_FACTOR,
        None,
        what=f"the product of the factors of {count} steps",
        instead="take fewer steps",
        fixed=True,
    )
    step, shape = dense(hiddens), (count, hiddens.shape[1])
    factors, power, reach = [], step, 1
    while reach < count:
        factors.append(add(identity(shape), kron(shift(count, reach), power)))
        power, reach = compose(power, power), 2 * reach
    return compose(*factors, kron(identity(count), dense(inputs)))


def rnn(
    steps: int,
    input_weights: object,
    hidden_weights: object,
    bias: object = None,
    *,
    activation: Literal["tanh", "relu", "linear"] = "tanh",
    initial: object = None,
) -> Recurrent:
    """The hidden states of an RNN at all steps: a map, h_t = f(U x_t + W h_(t-1) + b).

    It maps (steps, I) to (steps, H). The Jacobian at x is block lower triangular: step t depends on
    the inputs up to step t. With activation="linear" and no bias it equals `linear_recurrence`,
    and `counts` gives its weight sharing over time. Integers and fractions stay exact with "relu"
    and "linear".

    Args:
        steps: the number of steps.
        input_weights: U, of shape (H, I).
        hidden_weights: W, of shape (H, H).
        bias: b, of shape (H,): the sum of PyTorch's two biases.
        activation: f, one of "tanh", "relu", "linear".
        initial: h before the first step, of shape (H,); zero by default.

    Raises:
        ArgumentError: for fewer than one step, or another activation.
        ShapeError: when the shapes of the weights do not agree.

    >>> import convalg as ca
    >>> layer = ca.rnn(3, [[1]], [[2]], activation="relu")
    >>> layer([[1], [-3], [5]]).tolist(), layer.at([[1], [-3], [5]]).to_numpy().tolist()
    ([[1], [0], [5]], [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    """
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise ArgumentError(
            f"activation must be one of {', '.join(_ACTIVATIONS)}, not {activation!r}"
        )
    cell = _simple(_ACTIVATIONS[activation])
    return _recurrent(cell, steps, input_weights, hidden_weights, bias, None, initial)


def lstm(
    steps: int,
    input_weights: object,
    hidden_weights: object,
    bias: object = None,
    *,
    initial: object = None,
) -> Recurrent:
    """The hidden states of an LSTM at all steps: a map. Integers give floats.

    It maps (steps, I) to (steps, H).

    Rule: c_t = f c_(t-1) + i g, h_t = o tanh(c_t), with i, f, o = sigmoid, g = tanh of
    U x_t + W h_(t-1) + b.

    Args:
        steps: the number of steps.
        input_weights: U, of shape (4 H, I), the gates in the order i, f, g, o.
        hidden_weights: W, of shape (4 H, H).
        bias: b, of shape (4 H,): the sum of PyTorch's two biases.
        initial: h and c before the first step, of shape (2, H); zero by default.

    Raises:
        ArgumentError: for fewer than one step.
        ShapeError: when the shapes of the weights do not agree.

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.

    >>> import convalg as ca
    >>> zeros = [[0], [0], [0], [0]]
    >>> ca.lstm(2, zeros, zeros, initial=[[0], [1]])([[1], [1]]).shape
    (2, 1)
    """
    return _recurrent(_LSTM, steps, input_weights, hidden_weights, bias, None, initial)


def gru(
    steps: int,
    input_weights: object,
    hidden_weights: object,
    input_bias: object = None,
    hidden_bias: object = None,
    *,
    initial: object = None,
) -> Recurrent:
    """The hidden states of a GRU at all steps: a map. Integers give floats.

    It maps (steps, I) to (steps, H).

    Rule: with a = U x_t + input_bias and b = W h_(t-1) + hidden_bias, r, z = sigmoid(a + b),
    n = tanh(a + r b), h_t = (1 - z) n + z h_(t-1). The reset gate is applied after W, as in
    PyTorch.

    Args:
        steps: the number of steps.
        input_weights: U, of shape (3 H, I), the gates in the order r, z, n.
        hidden_weights: W, of shape (3 H, H).
        input_bias, hidden_bias: the biases, of shape (3 H,).
        initial: h before the first step, of shape (H,); zero by default.

    Raises:
        ArgumentError: for fewer than one step.
        ShapeError: when the shapes of the weights do not agree.

    Source: Cho et al. 2014, in the form of cuDNN.

    >>> import convalg as ca
    >>> ca.gru(1, [[0], [0], [0]], [[0], [0], [0]], initial=[6])([[1]]).tolist()
    [[3.0]]
    """
    biases = (input_bias, hidden_bias)
    return _recurrent(_GRU, steps, input_weights, hidden_weights, *biases, initial)


def _recurrent(
    cell: RecurrentCell,
    steps: object,
    input_weights: object,
    hidden_weights: object,
    input_bias: object,
    hidden_bias: object,
    initial: object,
) -> Recurrent:
    count, inputs, hiddens = _checked(cell.name, cell.gates, steps, input_weights, hidden_weights)
    rows, hidden = hiddens.shape
    names = (*cell.biases, "hidden_bias")
    biases = [
        None if given is None else _of_shape(given, name, (rows,))
        for given, name in zip((input_bias, hidden_bias), names, strict=False)
    ]
    state = (hidden,) if cell.states == 1 else (cell.states, hidden)
    start = None if initial is None else _of_shape(initial, "initial", state)
    return Recurrent(cell, count, inputs, hiddens, biases[0], biases[1], start)


def _checked(
    name: str, gates: int, steps: object, input_weights: object, hidden_weights: object
) -> tuple[int, Array, Array]:
    """Return the number of steps and the weights. Raises: ShapeError where they do not agree."""
    (count, *more) = concrete_shape(steps, "steps")
    if more:
        raise ShapeError(f"steps must be one number, not {steps!r}")
    inputs = as_numbers(input_weights, "input_weights")
    hiddens = as_numbers(hidden_weights, "hidden_weights")
    if inputs.ndim != 2 or not inputs.size:
        raise ShapeError(
            f"input_weights must be a matrix ({gates} * hidden, inputs), not an array of shape "
            f"{inputs.shape}"
        )
    hidden, left = divmod(len(inputs), gates)
    if left:
        raise ShapeError(
            f"input_weights has {len(inputs)} rows, which is not a multiple of the {gates} gates "
            f"of {name}"
        )
    if hiddens.shape != (len(inputs), hidden):
        raise ShapeError(
            f"hidden_weights must have shape {(len(inputs), hidden)} for input_weights of "
            f"shape {inputs.shape}, not {hiddens.shape}"
        )
    return count, as_kernel(inputs, "input_weights"), as_kernel(hiddens, "hidden_weights")


def _of_shape(values: object, name: str, shape: tuple[int, ...]) -> Array:
    array = as_numbers(values, name)
    if array.shape != shape:
        raise ShapeError(f"{name} must be an array of shape {shape}, not {array.shape}")
    return as_kernel(array, name)


def _rows(values: Array, columns: Array, in_shape: Any, out_shape: Any) -> Operator:
    """Return the sparse matrix with the given last rows; the rows before them are empty.

    Shapes: values and columns (rows, entries of a row), the columns ascending in each row.
    """
    count, width = values.shape
    empty = size_product(out_shape) - count
    indptr = np.concatenate([np.zeros(empty, np.int64), np.arange(count + 1) * width])
    for array in (arrays := (indptr, columns.ravel(), values.ravel())):
        array.setflags(write=False)
    return SparseMatrix(*arrays, in_shape, out_shape)


def _affine(x: Array, weights: Array, bias: Array | None) -> Array:
    y = _matmul(x, weights.T)
    return y if bias is None else engine.total([y, np.broadcast_to(bias, y.shape)])


def _matmul(left: Array, right: Array) -> Array:
    left, right = engine.prepared(left.shape[-1], left, right)
    return left @ right


def _through(slopes: Array, weights: Array) -> Array:
    """The derivative of the next state by the input of the weights.

    Shapes: result (steps, states, hidden, columns).
    """
    *_, gates, hidden = slopes.shape
    per_gate = weights.reshape(gates, hidden, -1)
    slopes, per_gate = engine.prepared(gates, slopes, per_gate)
    return (slopes[..., None] * per_gate).sum(axis=2)


_SIGMOID, _TANH = sigmoid(1), tanh(1)
_ACTIVATIONS = {
    "tanh": _TANH,
    "relu": relu(1),
    "linear": ElementwiseMap((1,), np.array, np.ones_like, "linear"),
}


def _simple(activation: ElementwiseMap) -> RecurrentCell:
    """The cell h = f(a + b)."""
    step, slopes = partial(_simple_step, activation), partial(_simple_slopes, activation)
    name = activation.label.partition("(")[0]
    options = "" if activation is _TANH else f", activation={name!r}"
    return RecurrentCell("rnn", 1, 1, 0, step, slopes, options=options)


def _simple_step(activation: ElementwiseMap, a: Array, b: Array, state: Array) -> Array:
    return activation.function(engine.total([a, b]))


def _simple_slopes(
    activation: ElementwiseMap, a: Array, b: Array, state: Array
) -> tuple[Array, Array, Array]:
    slope = activation.slope(engine.total([a, b]))[:, None]
    return slope, slope, np.zeros_like(slope)


def _lstm_gates(a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    i, f, g, o = engine.total([a, b]).swapaxes(0, 1)
    return _SIGMOID.function(i), _SIGMOID.function(f), _TANH.function(g), _SIGMOID.function(o)


def _lstm_step(a: Array, b: Array, state: Array) -> Array:
    i, f, g, o = _lstm_gates(a, b)
    c = f * state[:, 1] + i * g
    return np.stack([o * _TANH.function(c), c], axis=1)


def _lstm_slopes(a: Array, b: Array, state: Array) -> tuple[Array, Array, Array]:
    i, f, g, o = _lstm_gates(a, b)
    di, df, dg, do = engine.total([a, b]).swapaxes(0, 1)
    di, df, do = (_SIGMOID.slope(gate) for gate in (di, df, do))
    c = f * state[:, 1] + i * g
    none = np.zeros_like(c)
    c_by_gates = np.stack([di * g, df * state[:, 1], i * _TANH.slope(dg), none], axis=1)
    gain = o * _TANH.slope(c)
    h_by_gates = gain[:, None] * c_by_gates
    h_by_gates[:, 3] = do * _TANH.function(c)
    by_gates = np.stack([h_by_gates, c_by_gates], axis=1)
    by_state = np.stack([np.stack([none, gain * f], 1), np.stack([none, f], 1)], axis=1)
    return by_gates, by_gates, by_state


def _gru_gates(a: Array, b: Array) -> tuple[Array, Array, Array]:
    r, z = _SIGMOID.function(engine.total([a, b])[:, :2]).swapaxes(0, 1)
    return r, z, a[:, 2] + r * b[:, 2]


def _gru_step(a: Array, b: Array, state: Array) -> Array:
    _, z, n = _gru_gates(a, b)
    return ((1 - z) * _TANH.function(n) + z * state[:, 0])[:, None]


def _gru_slopes(a: Array, b: Array, state: Array) -> tuple[Array, Array, Array]:
    r, z, n = _gru_gates(a, b)
    by_n = (1 - z) * _TANH.slope(n)
    dr, dz = _SIGMOID.slope(engine.total([a, b])[:, :2]).swapaxes(0, 1)
    by_r, by_z = by_n * b[:, 2] * dr, (state[:, 0] - _TANH.function(n)) * dz
    by_input, by_hidden = (np.stack([by_r, by_z, last], 1)[:, None] for last in (by_n, by_n * r))
    return by_input, by_hidden, z[:, None, None]


_LSTM = RecurrentCell("lstm", 4, 2, 3, _lstm_step, _lstm_slopes)
_GRU = RecurrentCell("gru", 3, 1, 3, _gru_step, _gru_slopes, ("input_bias", "hidden_bias"))
