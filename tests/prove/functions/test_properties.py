"""Functions run on symbols: linear, implements, gradient, and how the run is arranged."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import convalg as ca
from convalg.errors import KindError
from convalg.prove import gradient, implements, linear

Function = Callable[..., Any]
THREE = ca.correlation(4, ca.kernel(3))
CREATORS = ("zeros", "empty", "ones", "full", "zeros_like", "empty_like", "ones_like", "full_like")


# -- fast algorithms ------------------------------------------------------------------------

F23 = (
    [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    [[1, 1, 1, 0], [0, 1, -1, -1]],
)
F43 = (
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
)
"""G, B^T and A^T of Lavin & Gray, Fast Algorithms for Convolutional Neural Networks."""


def winograd(matrices: Any) -> Function:
    g, b, a = (np.array(matrix) for matrix in matrices)
    return lambda x, w: a @ ((g @ w) * (b @ x))


def winograd_2d(matrices: Any) -> Function:
    g, b, a = (np.array(matrix) for matrix in matrices)
    return lambda x, w: a @ ((g @ w @ g.T) * (b @ x @ b.T)) @ a.T


def as_fractions(matrices: Any) -> list[Any]:
    exact = np.frompyfunc(lambda v: Fraction(v).limit_denominator(100), 1, 1)
    return [exact(np.array(matrix)) for matrix in matrices]


def with_one_wrong(matrices: Any, which: int, place: tuple[int, int]) -> list[Any]:
    """The three matrices with half added to one coefficient."""
    changed = [np.array(matrix, dtype=object) for matrix in matrices]
    changed[which][place] = changed[which][place] + Fraction(1, 2)
    return changed


def karatsuba(a: Any, b: Any) -> list[Any]:
    """The product of two polynomials of 2^k terms, by three products of half the length."""
    if len(a) == 1:
        return [a[0] * b[0]]
    half = len(a) // 2
    low, high = karatsuba(a[:half], b[:half]), karatsuba(a[half:], b[half:])
    both = karatsuba(a[:half] + a[half:], b[:half] + b[half:])
    total = [0] * (2 * len(a) - 1)
    for k in range(len(low)):
        total[k] += low[k]
        total[k + half] += both[k] - low[k] - high[k]
        total[k + 2 * half] += high[k]
    return total


def toom_cook_3(a: Any, b: Any, third: float = 1 / 3) -> list[Any]:
    """Three terms by three: values at 0, 1, -1, 2 and infinity, and back."""
    values = np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 2, 4], [0, 0, 1]])
    first, one, minus, two, last = (values @ a) * (values @ b)
    middle = (one + minus) / 2 - first - last
    odd = (one - minus) / 2
    fourth = ((two - first - 4 * middle - 16 * last) / 2 - odd) * third
    return [first, odd - fourth, middle, fourth, last]


FAST = {
    "F(2,3)": (winograd(F23), THREE),
    "F(2,3) with fractions": (winograd(as_fractions(F23)), THREE),
    "F(4,3)": (winograd(F43), ca.correlation(6, ca.kernel(3))),
    "F(4,3) with fractions": (winograd(as_fractions(F43)), ca.correlation(6, ca.kernel(3))),
    "F(2x2,3x3)": (winograd_2d(F23), ca.correlation((4, 4), ca.kernel(3, 3))),
    "Karatsuba, 2 terms": (karatsuba, ca.convolution(2, ca.kernel(2), padding="full")),
    "Karatsuba, 4 terms": (karatsuba, ca.convolution(4, ca.kernel(4), padding="full")),
    "Toom-Cook 3": (toom_cook_3, ca.convolution(3, ca.kernel(3), padding="full")),
}


@pytest.mark.parametrize("name", FAST)
def test_fast_algorithms_are_proved(name: str) -> None:
    f, operator = FAST[name]
    verdict = implements(f, operator)
    assert verdict.status == "proved"
    assert verdict.method.startswith("exact polynomial identity")
    assert verdict.scope == (
        f"inputs of shape {operator.in_shape} and kernels of shape {operator.kernel.shape}"
        "; over exact numbers"
    )


@pytest.mark.parametrize("matrices", [F23, F43], ids=["F(2,3)", "F(4,3)"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_winograd_with_one_coefficient_wrong_is_refuted(matrices: Any, which: int) -> None:
    outputs, taps = len(matrices[2]), 3
    operator = ca.correlation(outputs + taps - 1, ca.kernel(taps))
    for place in np.ndindex(np.shape(matrices[which])):
        f = winograd(with_one_wrong(matrices, which, place))
        check_entry(f, operator)


def check_entry(f: Function, operator: ca.Operator) -> None:
    """Refuted; the entry that is named differs, there and with numbers."""
    verdict = implements(f, operator)
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    assert found.row_index is not None
    claimed, actual = found.replay()
    assert claimed != actual
    x = np.arange(1, 1 + operator.shape[1]).reshape(operator.in_shape) ** 2
    w = 7 ** np.arange(operator.kernel.size).reshape(operator.kernel.shape) + 3
    right = operator.refill(w)(x)
    assert abs(np.array(f(x, w), dtype=float)[found.row_index] - right[found.row_index]) > 1e-6
    assert str(found.row_index[0]) in repr(verdict)


def test_2d_winograd_with_one_coefficient_wrong_is_refuted() -> None:
    operator = ca.correlation((4, 4), ca.kernel(3, 3))
    for which, place in ((0, (1, 2)), (1, (2, 1)), (2, (0, 3))):
        verdict = implements(winograd_2d(with_one_wrong(F23, which, place)), operator)
        assert verdict.status == "refuted"
        assert verdict.counterexample is not None
        assert len(verdict.counterexample.row_index) == 2


@pytest.mark.parametrize("wrong", range(3))
def test_karatsuba_with_one_sign_wrong_is_refuted(wrong: int) -> None:
    def broken(a: Any, b: Any) -> list[Any]:
        low, high, both = a[0] * b[0], a[1] * b[1], (a[0] + a[1]) * (b[0] + b[1])
        signs = [1, 1, 1]
        signs[wrong] = -1
        return [low, signs[0] * both - signs[1] * low - signs[2] * high, high]

    verdict = implements(broken, ca.convolution(2, ca.kernel(2), padding="full"))
    assert verdict.counterexample is not None
    assert verdict.counterexample.row_index == (1,)


def test_toom_cook_with_one_coefficient_wrong_is_refuted() -> None:
    operator = ca.convolution(3, ca.kernel(3), padding="full")
    verdict = implements(lambda a, b: toom_cook_3(a, b, third=1 / 4), operator)
    assert verdict.counterexample is not None
    assert verdict.counterexample.row_index == (1,)
    assert verdict.counterexample.column_index is not None


def test_karatsuba_uses_three_products() -> None:
    """What is proved is the fast algorithm: it multiplies unknowns three times, not four."""
    products = []

    class Counted:
        def __init__(self, value: Any) -> None:
            self.value = value

        def __add__(self, other: Any) -> Any:
            return Counted(self.value + getattr(other, "value", other))

        __radd__ = __add__

        def __sub__(self, other: Any) -> Any:
            return Counted(self.value - other.value)

        def __mul__(self, other: Any) -> Any:
            products.append(1)
            return Counted(self.value * other.value)

    ones = np.array([Counted(1), Counted(2)], dtype=object)
    assert [entry.value for entry in karatsuba(ones, ones)] == [1, 4, 4]
    assert len(products) == 3


# -- homework -------------------------------------------------------------------------------


def by_loops(x: Any, w: Any) -> Any:
    y = np.zeros(len(x) - len(w) + 1)
    for o in range(len(y)):
        for t in range(len(w)):
            y[o] += x[o + t] * w[t]
    return y


def by_empty(x: Any, w: Any) -> Any:
    y = np.empty(len(x) - len(w) + 1, dtype=np.float64)
    for o in range(len(y)):
        y[o] = np.sum(x[o : o + len(w)] * w)
    return y


def by_like(x: Any, w: Any) -> Any:
    y = np.zeros_like(x)
    for o in range(2):
        y[o] = w @ x[o : o + 3]
    return y[:2]


def by_strides(x: Any, w: Any) -> Any:
    step = x.strides[0]
    return as_strided(x, (2, 3), (step, step)) @ w


def by_toeplitz(x: Any, w: Any) -> Any:
    return scipy.linalg.toeplitz([w[0], 0], [*w, 0]) @ x


def by_im2col(x: Any, w: Any) -> Any:
    columns = np.stack([x[t : t + 2] for t in range(3)])
    return w.reshape(1, -1).dot(columns)[0]


HOMEWORK: dict[str, Function] = {
    "loops and np.zeros": by_loops,
    "np.empty": by_empty,
    "np.zeros_like": by_like,
    "stride tricks": by_strides,
    "scipy.linalg.toeplitz": by_toeplitz,
    "im2col": by_im2col,
    "a list": lambda x, w: [sum(x[o + t] * w[t] for t in range(3)) for o in range(2)],
    "a tuple": lambda x, w: tuple(x[o : o + 3] @ w for o in range(2)),
    "np.correlate": lambda x, w: np.correlate(x, w, "valid"),
    "np.convolve": lambda x, w: np.convolve(x, w[::-1], "valid"),
    "windows": lambda x, w: sliding_window_view(x, 3) @ w,
    "einsum": lambda x, w: np.einsum("ot,t->o", sliding_window_view(x, 3), w),
    "einsum, optimised": lambda x, w: np.einsum("i,j,ijo->o", x, w, _selection(), optimize=True),
    "tensordot": lambda x, w: np.tensordot(sliding_window_view(x, 3), w, 1),
    "np.dot": lambda x, w: [np.dot(x[o : o + 3], w) for o in range(2)],
    "np.vdot": lambda x, w: [np.vdot(w, x[o : o + 3]) for o in range(2)],
    "np.inner": lambda x, w: [np.inner(x[o : o + 3], w) for o in range(2)],
    "np.pad and slices": lambda x, w: np.correlate(np.pad(x, 1), w, "valid")[1:3],
    "scipy.signal": lambda x, w: scipy.signal.correlate(x, w, "valid", method="direct"),
    "np.matmul": lambda x, w: np.matmul(sliding_window_view(x, 3), w[:, None])[:, 0],
    "np.outer": lambda x, w: [np.trace(np.outer(x, w)[o : o + 3]) for o in range(2)],
    "np.roll": lambda x, w: sum(w[t] * np.roll(x, -t) for t in range(3))[:2],
}


def _selection() -> Any:
    ones = np.zeros((4, 3, 2), dtype=int)
    for o in range(2):
        for t in range(3):
            ones[o + t, t, o] = 1
    return ones


@pytest.mark.parametrize("name", HOMEWORK)
def test_homework_is_proved(name: str) -> None:
    assert implements(HOMEWORK[name], THREE).status == "proved"


@pytest.mark.parametrize("name", HOMEWORK)
def test_homework_without_the_flip_or_off_by_one_is_refuted(name: str) -> None:
    f = HOMEWORK[name]
    check_entry(lambda x, w: f(x, w[::-1]), THREE)
    check_entry(lambda x, w: f(np.roll(x, 1), w), THREE)
    check_entry(lambda x, w: np.array(f(x, w)) + x[:2] * w[0], THREE)


@pytest.mark.parametrize(
    ("mode", "boundary"),
    [
        ("constant", "zeros"),
        ("wrap", "circular"),
        ("reflect", "reflect"),
        ("symmetric", "symmetric"),
        ("edge", "edge"),
    ],
)
def test_np_pad_is_each_boundary(mode: Any, boundary: Any) -> None:
    layer = ca.correlation(4, ca.kernel(3), padding=2, boundary=boundary)
    own = lambda x, w: np.correlate(np.pad(x, 2, mode=mode), w, "valid")  # noqa: E731
    assert implements(own, layer)
    other = "edge" if mode != "edge" else "constant"
    wrong = lambda x, w: np.correlate(np.pad(x, 2, mode=other), w, "valid")  # noqa: E731
    assert implements(wrong, layer).status == "refuted"


def conv2d(x: Any, w: Any, stride: int = 1, pad: int = 0, dilation: int = 1) -> Any:
    """A layer with channels, in loops."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    outputs, inputs, kh, kw = w.shape
    rows = (x.shape[1] - dilation * (kh - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (kw - 1) - 1) // stride + 1
    y = np.zeros((outputs, rows, columns))
    for k in range(outputs):
        for c in range(inputs):
            for i in range(rows):
                for j in range(columns):
                    for a in range(kh):
                        for b in range(kw):
                            read = x[c, i * stride + a * dilation, j * stride + b * dilation]
                            y[k, i, j] += read * w[k, c, a, b]
    return y


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2}]
)
def test_a_layer_with_channels(options: dict[str, int]) -> None:
    layer = ca.correlation((4, 5), ca.kernel(2, 2, 2, 2), **options)
    own = {("pad" if name == "padding" else name): value for name, value in options.items()}
    assert implements(lambda x, w: conv2d(x, w, **own), layer)
    swapped = implements(lambda x, w: conv2d(x, w.swapaxes(2, 3), **own), layer)
    assert swapped.counterexample is not None
    assert len(swapped.counterexample.row_index) == 3


def test_one_argument_takes_the_weights_of_the_operator() -> None:
    assert implements(lambda x: [x[0] + 2 * x[1], x[1] + 2 * x[2]], ca.correlation(3, [1, 2]))
    assert implements(lambda x: (x[:-1] + x[1:]) / 3, ca.correlation(3, [1 / 3, 1 / 3]))
    assert implements(lambda x: x[::2] + x[1::2], ca.sum_pool(4, 2))
    found = implements(lambda x: [x[0] + x[1], x[1] + 2 * x[2]], ca.correlation(3, [1, 2]))
    assert found.counterexample is not None
    assert (found.counterexample.row_index, found.counterexample.column_index) == ((0,), (1,))


# -- what cannot be run on symbols ----------------------------------------------------------


def test_a_function_that_branches_on_values_is_unknown_with_a_reason() -> None:
    def branching(x: Any, w: Any) -> Any:
        return np.correlate(x, w, "valid") if x[0] > 0 else 1 * np.correlate(x, w, "valid")

    verdict = implements(branching, THREE)
    assert verdict.status == "unknown"
    assert not verdict
    assert "branches on or converts the value of x0" in verdict.reason
    assert re.search(r"equal on all \d+ inputs tried, which is not a proof", verdict.reason)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, w: np.array([float(x[o : o + 3] @ w) for o in range(2)]),
        lambda x, w: by_loops(list(map(float, x)), w),
    ],
)
def test_a_conversion_to_floats_is_unknown(f: Function) -> None:
    assert implements(f, THREE).status == "unknown"


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.where(x == 0, 5, x),
        lambda x: x + 1 if x[0] == 0 else x,
        lambda x: x if not np.array_equal(x, [0, 0, 0]) else x + 1,
        lambda x: x + (x[0] in (0, 7)),
    ],
)
def test_a_comparison_with_a_number_is_no_proof(f: Function) -> None:
    """f(0) is not 0, so f is not linear, although it is for almost all x."""
    assert not linear(f, 3)


# -- what a function may do -----------------------------------------------------------------


def test_a_function_that_changes_its_input_is_judged_by_what_it_returns() -> None:
    def careless(x: Any, w: Any) -> Any:
        y = np.correlate(x, w, "valid")
        x[:] = 0
        w[0] = 7
        return y

    def wrong(x: Any, w: Any) -> Any:
        x[0] = 0
        return np.correlate(x, w, "valid")

    assert implements(careless, THREE)
    check_entry(wrong, THREE)


@pytest.mark.parametrize("error", [RuntimeError, ValueError, IndexError, ZeroDivisionError])
def test_the_exceptions_of_a_function_are_its_own(error: type[Exception]) -> None:
    def failing(x: Any, w: Any) -> Any:
        np.zeros(3)
        raise error("my size is 5")

    with pytest.raises(error, match="my size is 5"):
        implements(failing, THREE)
    with pytest.raises(error, match="my size is 5"):
        linear(lambda x: failing(x, x), 3)


@pytest.mark.parametrize("stop", [None, ValueError, KeyboardInterrupt])
def test_numpy_and_trace_functions_are_left_as_they_were(stop: type[BaseException] | None) -> None:
    before = {name: getattr(np, name) for name in CREATORS}
    watch, names = sys.gettrace(), dict(globals())

    def stopping(x: Any, w: Any) -> Any:
        if stop is not None:
            raise stop("enough")
        return np.correlate(x, w, "valid")

    if stop is None:
        assert implements(stopping, THREE)
    else:
        with pytest.raises(stop, match="enough"):
            implements(stopping, THREE)
    assert {name: getattr(np, name) for name in CREATORS} == before
    assert np.zeros(2).dtype == np.float64
    assert sys.gettrace() is watch
    assert globals() == names


def test_a_proof_within_a_proof() -> None:
    def nested(x: Any, w: Any) -> Any:
        assert implements(by_loops, THREE)
        return by_loops(x, w)

    assert implements(nested, THREE)
    assert np.zeros(2).dtype == np.float64


@pytest.mark.parametrize(
    "f", [lambda: 1, lambda x, w, z: x, lambda *, x: x, 3, None], ids=["0", "3", "named", "3", "-"]
)
def test_wrong_arity_is_refused(f: Any) -> None:
    with pytest.raises(KindError, match=r"expected a function f\(x\) or f\(x, w\)"):
        implements(f, THREE)


def test_other_arguments_may_have_defaults() -> None:
    assert implements(lambda x, w, stride=1: by_loops(x, w)[::stride], THREE)
    assert implements(lambda *arrays: by_loops(*arrays), THREE)
    assert linear(lambda x, scale=2: scale * x, 3)


@pytest.mark.parametrize("operator", [ca.correlation(ca.sizes("n")[0], [1, 2]), 5, by_loops])
def test_a_function_is_compared_at_one_size(operator: Any) -> None:
    with pytest.raises(KindError, match="implements compares a function with an operator of fixed"):
        implements(by_loops, operator)
    with pytest.raises(KindError, match="gradient compares a function with an operator of fixed"):
        gradient(lambda g: g, operator)


# -- linear ---------------------------------------------------------------------------------

LINEAR: dict[str, Function] = {
    "differences": lambda x: x[1:] - x[:-1],
    "cumsum": np.cumsum,
    "mean": np.mean,
    "flip": np.flip,
    "nothing": np.zeros_like,
    "the number 0": lambda x: 0,
    "a scalar": lambda x: x[0],
    "a solve": lambda x: np.linalg.inv(np.diag([1, 2, 4])) @ x,
    "a layer": ca.correlation(3, [1, 2]),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_functions_are_proved(name: str) -> None:
    verdict = linear(LINEAR[name], 3)
    assert verdict.status == "proved"
    exact = "" if name == "a layer" else "; over exact numbers"
    assert verdict.scope == f"inputs of shape (3,){exact}"


NONLINEAR: dict[str, Function] = {
    "a bias": lambda x: x + 1,
    "a square": lambda x: x**2,
    "a product": lambda x: x[:-1] * x[1:],
    "a cube": lambda x: x**3 - x,
    "ReLU": lambda x: np.maximum(x, 0),
    "abs": abs,
    "sort": np.sort,
    "max": lambda x: x.max(),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "a mask": lambda x: np.where(x > 0, x, 0),
    "normalised": lambda x: x / (1 + np.abs(x).sum()),
}


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_functions_are_refuted_by_a_witness(name: str) -> None:
    f = NONLINEAR[name]
    found = linear(f, 3).counterexample
    assert found is not None
    x = np.array(found.inputs["x"], dtype=float)
    if "y" in found.inputs:
        y = np.array(found.inputs["y"], dtype=float)
        sums, whole = np.asarray(f(x) + f(y)), np.asarray(f(x + y))
    else:
        assert not x.any()
        sums, whole = np.zeros_like(f(x)), np.asarray(f(x))
    assert sums[found.row_index] == pytest.approx(float(found.claimed))
    assert whole[found.row_index] == pytest.approx(float(found.actual))
    assert float(found.claimed) != pytest.approx(float(found.actual))


def test_a_bias_falls_at_zero_and_relu_needs_two_inputs() -> None:
    bias = linear(NONLINEAR["a bias"], 2).counterexample
    assert bias is not None
    assert (bias.inputs, bias.row_index, bias.claimed, bias.actual) == ({"x": [0, 0]}, (0,), 0, 1)
    relu = linear(NONLINEAR["ReLU"], 2).counterexample
    assert relu is not None
    assert relu.inputs == {"x": [1, 0], "y": [-1, 0]}


def test_operators_are_linear_at_all_sizes() -> None:
    n, k = ca.sizes("n K")
    verdict = linear(ca.correlation(n, ca.kernel(k), stride=2))
    assert verdict.status == "proved"
    assert verdict.scope == "all n >= K >= 1"
    assert linear(ca.correlation(4, [1.5, 2])).scope == "inputs of shape (4,)"


def test_linear_needs_a_shape_and_a_function() -> None:
    with pytest.raises(KindError, match="linear needs the shape of the input of"):
        linear(np.flip)
    with pytest.raises(KindError, match=r"expected a function f\(x\), not 3"):
        linear(3, 3)


# -- gradient -------------------------------------------------------------------------------

STRIDED = ca.correlation(8, ca.kernel(3), stride=2, padding=1)


def backward(x: Any, w: Any, g: Any) -> tuple[Any, Any]:
    """The transposed loops of a layer of stride 2 and padding 1."""
    dx, dw = np.zeros(8), np.zeros(3)
    for o in range(4):
        for t in range(3):
            i = 2 * o + t - 1
            if 0 <= i < 8:
                dx[i] += w[t] * g[o]
                dw[t] += x[i] * g[o]
    return dx, dw


def test_backward_passes_are_proved() -> None:
    assert STRIDED.out_shape == (4,)
    assert gradient(backward, STRIDED)
    assert gradient(lambda x, w, g: backward(x, w, g)[0], STRIDED)
    numbers = ca.correlation(8, [1, 2, 3], stride=2, padding=1)
    assert gradient(lambda x, g: backward(x, np.array([1, 2, 3]), g), numbers)
    assert gradient(lambda g: backward(np.zeros(8), np.array([1, 2, 3]), g)[0], numbers)
    assert gradient(lambda g: np.repeat(g, 2), ca.sum_pool(4, 2))
    assert gradient(lambda w, x, g: (np.convolve(g, x, "full"), np.correlate(w, g)), THREE)


def _no_flip(x: Any, w: Any, g: Any) -> Any:
    return backward(x, w[::-1], g)


def _rows_lost(x: Any, w: Any, g: Any) -> Any:
    """The remainder: the last sample is left out."""
    dx, dw = backward(x, w, g)
    dx[7] = 0
    return dx, dw


def _not_dilated(x: Any, w: Any, g: Any) -> Any:
    padded = np.pad(x, 1)
    return backward(x, w, g)[0], np.correlate(padded[:6], g, "valid")


def _shifted(x: Any, w: Any, g: Any) -> Any:
    dx, dw = backward(x, w, g)
    return np.roll(dx, 1), dw


@pytest.mark.parametrize(
    ("wrong", "output"),
    [(_no_flip, "dx"), (_rows_lost, "dx"), (_not_dilated, "dw"), (_shifted, "dx")],
)
def test_wrong_backward_passes_are_refuted(wrong: Function, output: str) -> None:
    verdict = gradient(wrong, STRIDED)
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    assert found.inputs["output"] == output
    claimed, actual = found.replay()
    assert claimed != actual


def test_the_remainder_is_found_where_it_is_lost() -> None:
    found = gradient(_rows_lost, STRIDED).counterexample
    assert found is not None
    assert found.row_index == (7,)
    assert found.claimed == 0


def test_wrong_shapes_and_orders_of_gradients_are_refuted() -> None:
    swapped = gradient(lambda x, w, g: backward(x, w, g)[::-1], STRIDED)
    assert swapped.counterexample is not None
    assert swapped.counterexample.claimed == "dx of shape (3,)"
    batch = gradient(lambda x, w, g: backward(x, w, g)[0][None], STRIDED)
    assert batch.counterexample is not None
    assert batch.counterexample.claimed == "dx of shape (1, 8)"


def test_gradients_of_other_arguments_are_refused() -> None:
    with pytest.raises(KindError, match=r"a function backward\(x, w, g\), backward\(x, g\) or"):
        gradient(lambda a, b, c, d: a, STRIDED)
    with pytest.raises(KindError, match="needs 3 arguments"):
        gradient(lambda x, w, g: g, ca.sum_pool(4, 2))


def test_weights_named_as_the_unknowns_are_other_symbols() -> None:
    layer = ca.correlation(3, ca.kernel(2, name="x"))
    assert ca.prove.linear(layer).status == "proved"
    assert ca.prove.linear(ca.diagonal(ca.kernel(2, name="x"))).status == "proved"
    one = ca.correlation(1, ca.kernel(1, name="x"))
    # The square of the input, where the weight has the input's name.
    assert not ca.prove.implements(lambda x: x * x, one)
    assert not ca.prove.gradient(lambda g: g * g, ca.correlation(1, ca.kernel(1, name="g")))
