"""Recurrent layers: a cell applied at every step; the Jacobian is block lower triangular."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arrays import Array, as_kernel, as_numbers, one_sample
from convalg.axis import Axis, Size
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
"""The memory of one stored entry with its column index."""
_BYTES_PER_FACTOR = 55
"""The memory per step while the factors of `linear_recurrence` are multiplied."""


@dataclass(frozen=True, eq=False)
class RecurrentCell:
    """One step of a recurrent layer, which acts on each hidden unit separately.

    Attributes:
        name: The name of the public function, such as "lstm".
        gates: The number of gates.
        states: The number of states per hidden unit; the first one is h.
        products: The number of multiplications of gates and states per hidden unit and step.
        step: `step(a, b, state)` returns the next state, (samples, states, hidden), from
            a = U x + bias and b = W h + bias, both (samples, gates, hidden), and the state.
        slopes: `slopes(a, b, state)` returns the derivatives of the next state: by a and by b,
            both (samples, states, gates, hidden), and by the state where it is used directly,
            (samples, states, states, hidden).
        biases: Names of the biases as parameters.
        options: Text of further arguments of the call, for `repr`.
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

    Attributes:
        dense: Entries of the Jacobian, zeros included.
        nonzeros: Entries of the block lower triangle of the Jacobian.
        parameters: Weights and biases, each counted once.
        unshared: Weights and biases of a layer with separate ones at each step.
        multiplications: Multiplications of one forward pass. Products with an initial hidden state
            of zero are not counted; products of gates are counted at every step.
        sharing: Number of steps that use each entry of a parameter, by the parameter's name.
    """

    dense: int
    nonzeros: int
    parameters: int
    unshared: int
    multiplications: int
    sharing: dict[str, int]


@dataclass(frozen=True, eq=False, repr=False)
class Recurrent(Map):
    """A cell applied at every step with the same weights; see `rnn`, `lstm` and `gru`.

    Attributes:
        cell: The step.
        steps: The number of steps.
        input_weights: U, of shape (gates * H, I).
        hidden_weights: W, of shape (gates * H, H).
        input_bias, hidden_bias: The biases, of shape (gates * H,), or None.
        initial: The states before the first step, or None for zeros.
    """

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
        """Return U x + bias and W h + bias at every step, and the states before and after each."""
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
        """Return x as one sample, h before every step, and the slopes of the cell at every step."""
        sample = one_sample(x, self.in_shape)
        fed, carried, states = (array[0] for array in self._run(sample[None]))
        return sample, states[:-1, 0], *self.cell.slopes(fed, carried, states[:-1])

    def at(self, x: object, /) -> Operator:
        """Return the Jacobian of all hidden states by all inputs, which is block lower triangular.

        Rule: (I - N)^-1 D, with D the derivative of each state by the input of its step and N the
        derivative by the previous state.
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
        """Return the Jacobian of all hidden states by a parameter at one sample x.

        The effects of the parameter at all steps are propagated to the later steps and summed.
        """
        if not isinstance(name, str) or name not in self.parameters:
            return super().by(name, x)
        sample, before, by_input, by_hidden, by_state = self._slopes(x)
        slopes = by_hidden if name.startswith("hidden") else by_input
        first = self.steps - self._uses(name)
        read = {"input_weights": sample, "hidden_weights": before}.get(name)
        if read is None:
            read = np.ones((self.steps, 1), slopes.dtype)
        # Axes in the order of the rows, (steps, states, hidden, gates, 1), times (..., inputs).
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
        """Return the factors whose product is the selection of h times (I - N)^-1."""
        shape = self._states_shape
        steps, states, hidden = shape
        size = states * hidden
        powers = (steps - 1).bit_length()
        check_memory(
            steps * size**2 * max(powers, self.cell.gates) * _BYTES_PER_ENTRY,
            None,
            what=f"the Jacobian over {steps} steps of {size} states",
            instead="use fewer steps, or compute only f(x)",
            fixed=True,
        )
        blocks = _through(by_hidden, self.hidden_weights)
        step = np.zeros((*shape, states, hidden), np.result_type(blocks, by_state))
        step[:, :, :, 0] = blocks
        unit = np.arange(hidden)
        # NumPy moves the axis of separated index arrays to the front: (hidden, steps, ...).
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
        """Return the number of steps at which a parameter has an effect: W has none on zeros."""
        return self.steps - (name == "hidden_weights" and self.initial is None)

    @property
    def counts(self) -> RecurrentCounts:
        """The costs of the layer: entries, parameters, multiplications, and weight sharing.

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
    """Return the linear RNN h_t = W h_(t-1) + U x_t with h_0 = 0, as an operator.

    Its matrix is block Toeplitz and block lower triangular: block (t, s) is W^(t-s) U for t >= s.
    Its adjoint is back-propagation through time. The operator is (I - N)^-1 times U at every step,
    where N^k multiplies by W^k and shifts by k steps, and
    (I - N)^-1 = (I + N)(I + N^2)(I + N^4)...

    Args:
        steps: Number of steps, at least 1.
        input_weights: U, of shape (H, I) for H hidden units and I inputs.
        hidden_weights: W, of shape (H, H).

    Returns:
        An operator from (steps, I) to (steps, H).

    Raises:
        ArgumentError: when `steps` is below 1, or a weight is not finite.
        ShapeError: when the shapes of the arrays do not agree.
        KindError: when an argument is of the wrong type.
        SymbolicError: when `steps` is symbolic.
        TooLargeError: when there are too many steps.

    >>> import convalg as ca
    >>> ca.linear_recurrence(3, [[1]], [[2]]).to_numpy().tolist()
    [[1, 0, 0], [2, 1, 0], [4, 2, 1]]
    """
    count, inputs, hiddens = _checked("linear_recurrence", 1, steps, input_weights, hidden_weights)
    check_memory(
        count * _BYTES_PER_FACTOR,
        None,
        what=f"the product of the factors of {count} steps",
        instead="use fewer steps",
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
    """Return the recurrent layer h_t = f(U x_t + W h_(t-1) + b), whose output is h at all steps.

    The Jacobian at x is block lower triangular: step t depends on the inputs up to step t. With
    activation="linear", no bias and no initial state, the layer equals `linear_recurrence`.
    `f.counts` contains its costs and its weight sharing over time. Integers and fractions stay
    exact with "relu" and "linear".

    Args:
        steps: Number of steps, at least 1.
        input_weights: U, of shape (H, I) for H hidden units and I inputs.
        hidden_weights: W, of shape (H, H).
        bias: b, of shape (H,), or None for no bias. It is the sum of the two biases of PyTorch.
        activation: The function f: "tanh", "relu" or "linear".
        initial: h before the first step, of shape (H,), or None for zeros.

    Returns:
        A map from (steps, I) to (steps, H).

    Raises:
        ArgumentError: when `steps` is below 1, `activation` is not one of the allowed values, or a
            number is not finite.
        ShapeError: when the shapes of the arrays do not agree.
        KindError: when an argument is of the wrong type.
        SymbolicError: when `steps` is symbolic.

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
    """Return the long short-term memory layer, whose output is the hidden state h at all steps.

    c_t = f c_(t-1) + i g and h_t = o tanh(c_t). The gates are computed from the four parts of
    U x_t + W h_(t-1) + b: i, f and o by the sigmoid, g by tanh. Integers are converted to floats.

    Args:
        steps: Number of steps, at least 1.
        input_weights: U, of shape (4 H, I) for H hidden units and I inputs; the rows of the gates
            are in the order i, f, g, o.
        hidden_weights: W, of shape (4 H, H), in the same order.
        bias: b, of shape (4 H,), or None for no bias. It is the sum of the two biases of PyTorch.
        initial: h and c before the first step, of shape (2, H), or None for zeros.

    Returns:
        A map from (steps, I) to (steps, H).

    Raises:
        ArgumentError: when `steps` is below 1, or a weight is not finite.
        ShapeError: when the shapes of the arrays do not agree.
        KindError: when an argument is of the wrong type.
        SymbolicError: when `steps` is symbolic.

    Source:
        Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.

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
    """Return the gated recurrent unit layer, whose output is the hidden state h at all steps.

    With a = U x_t + input_bias and b = W h_(t-1) + hidden_bias, each split into the parts of the
    gates: r and z are sigmoid(a + b), n = tanh(a + r b), and h_t = (1 - z) n + z h_(t-1). The reset
    gate r is applied after W, as in PyTorch. Integers are converted to floats.

    Args:
        steps: Number of steps, at least 1.
        input_weights: U, of shape (3 H, I) for H hidden units and I inputs; the rows of the gates
            are in the order r, z, n.
        hidden_weights: W, of shape (3 H, H), in the same order.
        input_bias: Bias added to U x_t, of shape (3 H,), or None for no bias.
        hidden_bias: Bias added to W h_(t-1), of shape (3 H,), or None for no bias.
        initial: h before the first step, of shape (H,), or None for zeros.

    Returns:
        A map from (steps, I) to (steps, H).

    Raises:
        ArgumentError: when `steps` is below 1, or a weight is not finite.
        ShapeError: when the shapes of the arrays do not agree.
        KindError: when an argument is of the wrong type.
        SymbolicError: when `steps` is symbolic.

    Source:
        Cho et al. 2014, in the form of cuDNN.

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
    """Return the checked steps and weights. Raises: ShapeError when the shapes do not agree."""
    (count, *more) = concrete_shape(steps, "steps")
    if more:
        raise ShapeError(f"steps must be one integer, not {steps!r}")
    inputs = as_numbers(input_weights, "input_weights")
    hiddens = as_numbers(hidden_weights, "hidden_weights")
    if inputs.ndim != 2 or not inputs.size:
        raise ShapeError(
            f"input_weights must be a non-empty matrix of shape ({gates} * hidden, inputs), not an "
            f"array of shape {inputs.shape}"
        )
    hidden, left = divmod(len(inputs), gates)
    if left:
        raise ShapeError(
            f"input_weights of {name} must have a multiple of {gates} rows, one block per gate, "
            f"not {len(inputs)}"
        )
    if hiddens.shape != (len(inputs), hidden):
        raise ShapeError(
            f"hidden_weights must have shape {(len(inputs), hidden)}, not {hiddens.shape}, for "
            f"input_weights of shape {inputs.shape}"
        )
    return count, as_kernel(inputs, "input_weights"), as_kernel(hiddens, "hidden_weights")


def _of_shape(values: object, name: str, shape: tuple[int, ...]) -> Array:
    array = as_numbers(values, name)
    if array.shape != shape:
        raise ShapeError(f"{name} must be an array of shape {shape}, not {array.shape}")
    return as_kernel(array, name)


def _rows(
    values: Array, columns: Array, in_shape: tuple[Size, ...], out_shape: tuple[Size, ...]
) -> Operator:
    """Return the sparse matrix whose last rows are given and whose other rows are empty.

    Shapes: values and columns (rows, entries of a row), with ascending columns in each row.
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
    """Return the derivative of the next state by the vector that the weights multiply.

    Shapes: result (steps, states, hidden, columns).
    """
    *_, gates, hidden = slopes.shape
    per_gate = weights.reshape(gates, hidden, -1)
    slopes, per_gate = engine.prepared(gates, slopes, per_gate)
    total: Array = (slopes[..., None] * per_gate).sum(axis=2)
    return total


_SIGMOID, _TANH = sigmoid(1), tanh(1)
_ACTIVATIONS = {
    "tanh": _TANH,
    "relu": relu(1),
    "linear": ElementwiseMap((1,), np.array, np.ones_like, "linear"),
}


def _simple(activation: ElementwiseMap) -> RecurrentCell:
    """Return the cell h = f(a + b) with the activation f."""
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
    h: Array = (1 - z) * _TANH.function(n) + z * state[:, 0]
    return h[:, None]


def _gru_slopes(a: Array, b: Array, state: Array) -> tuple[Array, Array, Array]:
    r, z, n = _gru_gates(a, b)
    by_n = (1 - z) * _TANH.slope(n)
    dr, dz = _SIGMOID.slope(engine.total([a, b])[:, :2]).swapaxes(0, 1)
    by_r, by_z = by_n * b[:, 2] * dr, (state[:, 0] - _TANH.function(n)) * dz
    by_input, by_hidden = (np.stack([by_r, by_z, last], 1)[:, None] for last in (by_n, by_n * r))
    return by_input, by_hidden, z[:, None, None]


_LSTM = RecurrentCell("lstm", 4, 2, 3, _lstm_step, _lstm_slopes)
_GRU = RecurrentCell("gru", 3, 1, 3, _gru_step, _gru_slopes, ("input_bias", "hidden_bias"))
