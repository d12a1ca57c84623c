"""`identify` names what is behind a matrix or a function: layers drawn at random, and the others.

Whatever it names has exactly the matrix that was given, found by nested loops or by NumPy,
SciPy and PyTorch; witnesses are held against the matrix or replayed on the function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
import sympy
from cases import move
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Drawn, integers, layers

import convalg as ca
from convalg.recognise.identification import Identification
from convalg.recognise.identify import identify

LAYERS = {"correlation", "sum pooling", "average pooling"}


def has_matrix(found: Identification, matrix: Any) -> bool:
    """Whether the operator found has this matrix, entry by entry."""
    return isinstance(found.operator, ca.Operator) and bool(
        (found.operator.to_numpy() == np.asarray(matrix)).all()
    )


def matrix_of(f: Callable[[Any], Any], shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a linear function, one impulse after the other."""
    basis = np.eye(math.prod(shape)).reshape(-1, *shape)
    return np.stack([np.asarray(f(x), dtype=float).ravel() for x in basis], axis=1)


def are_shifts(first: np.ndarray, second: np.ndarray, axis: int, step: int) -> bool:
    """Whether some stride moves one row onto another that is `step` outputs behind on an axis."""
    n = first.shape[axis]
    for stride in range(1, n):
        offset = stride * step
        if offset >= n:
            break
        kept = np.take(first, range(n - offset), axis)
        moved = np.take(second, range(offset, n), axis)
        if np.array_equal(kept, moved):
            return True
    return False


def is_genuine(found: Identification, matrix: np.ndarray) -> bool:
    """Whether the two rows of a witness are no shifts of one another, or not of one another's
    entries."""
    places = found.witness["rows"]
    flat = [int(np.ravel_multi_index(place, found.out_shape)) for place in places]
    if "of one row" not in found.words:
        return len(set(flat)) == 2
    shape = found.in_shape
    if len(shape) != len(found.out_shape):
        places, shape = [(k,) for k in flat], (matrix.shape[1],)
    differ = [k for k, (a, b) in enumerate(zip(*places, strict=True)) if a != b]
    rows = [matrix[k].reshape(shape) for k in flat]
    step = places[1][differ[0]] - places[0][differ[0]]
    return len(differ) == 1 and not are_shifts(*rows, differ[0], step)


# Layers at random.


def distinct(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of which no two are alike, nor opposite, nor one: no structure by chance."""
    count = math.prod(shape)
    order = draw(st.permutations(range(2, count + 2)))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=count, max_size=count))
    return np.multiply(order, signs).reshape(shape)


@st.composite
def roomy(draw: st.DrawFn, **options: Any) -> Drawn:
    """layer layer with so large an input that every tap is read by several outputs."""
    drawn = draw(layers(words=(), **options))
    weights = distinct(draw, drawn.weights.shape)
    sizes = (drawn.shape,) if isinstance(drawn.shape, int) else drawn.shape
    axes = drawn.operator.T if drawn.kind.startswith("transposed") else drawn.operator
    spans = [axis.span + 2 * axis.stride for axis in axes.geometry.axes]
    if drawn.kind.startswith("transposed"):
        spans = [4] * len(sizes)
    larger = tuple(n + more for n, more in zip(sizes, spans, strict=True))
    return replace(drawn, shape=larger, kernel=weights.tolist())


def per_axis(value: Any, dims: int) -> tuple[Any, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def pairs(value: Any, dims: int) -> list[tuple[int, int]]:
    return [(p, p) if isinstance(p, int) else p for p in per_axis(value, dims)]


@given(roomy(kinds=("correlation", "convolution"), boundaries=("zeros", "circular")))
@settings(max_examples=60, deadline=None)
def test_geometry_of_a_correlation(drawn: Drawn) -> None:
    _check_correlation(drawn)


@given(roomy(kinds=("correlation", "convolution"), boundaries=("reflect", "symmetric", "edge")))
@settings(max_examples=40, deadline=None)
def test_geometry_of_a_correlation_with_a_folded_border(drawn: Drawn) -> None:
    _check_correlation(drawn)


def _check_correlation(drawn: Drawn) -> None:
    operator, weights = drawn.operator, drawn.weights
    axes = operator.geometry.axes
    dims = len(axes)
    matrix = drawn.oracle.matrix(weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    assert found.kind == "correlation"
    assert has_matrix(found, matrix)
    if _reads_otherwise(drawn, dims):
        return
    taps = weights.shape[weights.ndim - dims :]
    flipped = drawn.kind == "convolution"
    turned = np.flip(weights, tuple(range(weights.ndim - dims, weights.ndim)))
    assert found.kernel is not None
    assert found.kernel.tolist() == (turned if flipped else weights).tolist()
    assert found.stride == tuple(axis.stride for axis in axes)
    assert found.groups == drawn.options.get("groups", 1)
    for k, axis in enumerate(axes):
        # One tap has no dilation.
        assert found.dilation[k] == (abs(axis.dilation) if taps[k] > 1 else 1)
        assert found.padding[k][0] == axis.before
        drawn_pair = pairs(drawn.options["padding"], dims)[k]
        if axis.stride == 1 or drawn_pair[0] == drawn_pair[1]:
            assert found.padding[k] == drawn_pair
    reached = [max(axis.before, axis.after) for axis in axes]
    wanted = {drawn.options["boundary"]} if max(reached) > 0 else {"zeros"}
    if max(reached) <= 1 and wanted & {"symmetric", "edge"}:
        # One sample beyond the border is the same for both.
        wanted = {"symmetric", "edge"}
    assert found.boundary in wanted


def _reads_otherwise(drawn: Drawn, dims: int) -> bool:
    """Whether channels of signals are an image as well, or a volume channels of images."""
    weights = drawn.weights
    if weights.ndim == dims:
        return dims == 3 and weights.shape[0] == 1
    return dims == 1 and 1 in (weights.shape[0], drawn.operator.in_shape[0])


@given(roomy(kinds=("transposed_correlation",)))
@settings(max_examples=50, deadline=None)
def test_geometry_of_a_transposed_correlation(drawn: Drawn) -> None:
    operator, weights = drawn.operator, drawn.weights
    axes = operator.T.geometry.axes
    dims = len(axes)
    matrix = drawn.oracle.matrix(weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    assert found.kind in {"correlation", "transposed correlation"}
    assert has_matrix(found, matrix)
    strided = all(axis.stride > 1 for axis in axes)
    if not strided or weights.ndim == dims == 3 or (weights.ndim == dims + 2 and dims == 1):
        return
    assert found.kind == "transposed correlation"
    assert found.kernel is not None
    assert found.kernel.tolist() == weights.tolist()
    assert found.stride == tuple(axis.stride for axis in axes)
    extra = per_axis(drawn.options.get("output_padding", 0), dims)
    for k, (before, behind) in enumerate(pairs(drawn.options["padding"], dims)):
        assert found.dilation[k] == (axes[k].dilation if axes[k].taps > 1 else 1)
        assert found.padding[k][0] == before
        # Only their difference shows in the size of the output.
        assert found.padding[k][1] - found.output_padding[k] == behind - extra[k]


@given(layers())
@settings(max_examples=150, deadline=None)
def test_any_layer_has_the_matrix_that_is_named(drawn: Drawn) -> None:
    operator = drawn.operator
    matrix = drawn.oracle.matrix(drawn.weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    assert found.in_shape == operator.in_shape
    assert found.out_shape == operator.out_shape
    if found.kind == "not shift-invariant":
        # Tiny layers in which no tap is read twice show no shift.
        assert is_genuine(found, matrix)
        assert len(matrix) <= 12 * operator.out_shape[0]
        return
    assert has_matrix(found, matrix)
    assert found.kind != "zero" or not matrix.any()


@given(roomy(kinds=("correlation", "convolution")), st.data())
@settings(max_examples=60, deadline=None)
def test_a_kernel_given_is_recognised_with_its_zeros(drawn: Drawn, data: st.DataObject) -> None:
    operator = drawn.operator
    dims = len(operator.geometry.axes)
    assume(not _reads_otherwise(drawn, dims))
    weights = data.draw(integers(drawn.weights.shape)).reshape(drawn.weights.shape)
    lead = weights.shape[: weights.ndim - dims]
    for channel in np.ndindex(*lead):
        weights[channel][(0,) * dims] = 7
    matrix = drawn.oracle.matrix(weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape), kernel=weights)
    assert has_matrix(found, matrix)
    if found.kind != "correlation" or found.kernel is None or found.kernel.ndim != weights.ndim:
        return
    turned = np.flip(weights, tuple(range(weights.ndim - dims, weights.ndim)))
    palindrome = np.array_equal(weights, turned)
    assert found.flip == (drawn.kind == "convolution" and not palindrome)
    assert found.kernel.tolist() == (turned if found.flip else weights).tolist()


@pytest.mark.parametrize(
    ("name", "flip"), [("sobel_x", False), ("sobel_y", False), ("laplace", False)]
)
def test_named_filters_are_not_taken_apart(name: str, flip: bool) -> None:
    kernel = getattr(ca.kernels, name)
    found = identify(ca.correlation((6, 7), kernel, padding=1), kernel=kernel)
    assert found.flip is flip
    assert found.kernel.tolist() == np.asarray(kernel).tolist()
    assert (found.dilation, found.padding) == ((1, 1), ((1, 1), (1, 1)))


def test_another_kernel_is_neither() -> None:
    found = identify(ca.correlation(8, [1, 2, 3]), kernel=[1, 2, 4])
    assert found.flip is None
    assert found.kernel.tolist() == [1, 2, 3]


def test_borders_that_differ_by_axis() -> None:
    weights = np.arange(1, 10).reshape(3, 3)

    def f(x: np.ndarray) -> np.ndarray:
        wide = np.pad(np.pad(x, ((0, 0), (1, 1)), mode="wrap"), ((1, 1), (0, 0)))
        return scipy.signal.correlate2d(wide, weights, mode="valid")

    found = identify(f, (5, 6))
    assert (found.kind, found.boundary) == ("correlation", ("zeros", "circular"))
    assert has_matrix(found, matrix_of(f, (5, 6)))


def test_the_adjoint_of_a_layer_with_a_folded_border() -> None:
    back = ca.correlation(9, [1, 2, 4], stride=2, padding=1, boundary="reflect").T
    found = identify(back)
    assert found.kind == "adjoint of a correlation"
    assert (found.kernel.tolist(), found.boundary) == ([1, 2, 4], "reflect")
    assert has_matrix(found, back.to_numpy())


# Small ones.

DEGENERATE = {
    "one sample": (ca.correlation(1, [3]), "correlation"),
    "one sample of channels": (ca.correlation((1, 1), [[[[2]], [[3]]]]), "correlation"),
    "one output": (ca.correlation((3, 4), np.arange(2, 14).reshape(3, 4)), "correlation"),
    "as large as the input": (ca.correlation(4, [5, 0, 2, 3], padding=2), "correlation"),
    "zero": (0 * ca.correlation(5, [1, 2]), "zero"),
    "zero between sizes": (ca.dense(np.zeros((2, 6), int), (2, 3), out_shape=(2, 1)), "zero"),
    "one to many": (ca.correlation(1, [1, 2, 3], padding="full"), "correlation"),
    "crop": (ca.crop(6, ((1, 2),)), "correlation"),
    "shift back": (ca.shift(6, -2), "correlation"),
    "pad": (ca.pad((2, 3), 1), "correlation"),
    "downsample": (ca.downsample(9, 3), "correlation"),
    "upsample": (ca.upsample(4, 3), "transposed correlation"),
    "nothing is read twice": (ca.diagonal([2, 3, 4]), "diagonal"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_layers(name: str) -> None:
    operator, kind = DEGENERATE[name]
    found = identify(operator)
    assert found.kind == kind
    assert has_matrix(found, operator.to_numpy())


# Matrices.

BLUR = np.array([[1, 2], [3, 5]])


@pytest.mark.parametrize(
    "form",
    [
        lambda layer: layer.to_numpy(),
        lambda layer: layer.to_numpy().astype(np.uint8),
        lambda layer: layer.to_numpy().tolist(),
        lambda layer: layer.to_scipy(),
        lambda layer: scipy.sparse.coo_array(layer.to_scipy()),
        lambda layer: layer.to_linear_operator(),
        lambda layer: layer.to_sympy(),
        lambda layer: layer.to_numpy().astype(object),
        lambda layer: layer.to_numpy().astype(np.float32),
    ],
)
@pytest.mark.parametrize("shape", [(4, 5), ((4, 5), (3, 4)), [[4, 5], [3, 4]]])
def test_matrices_of_all_libraries(form: Callable[[Any], Any], shape: Any) -> None:
    layer = ca.correlation((4, 5), BLUR)
    found = identify(form(layer), shape)
    assert (found.kind, found.out_shape, found.kernel.tolist()) == (
        "correlation",
        (3, 4),
        BLUR.tolist(),
    )


def test_without_shapes_a_matrix_is_a_signal() -> None:
    assert identify(ca.correlation(7, [1, 2, 3]).to_numpy()).kernel.tolist() == [1, 2, 3]
    image = identify(ca.correlation((4, 5), BLUR).to_numpy())
    assert image.kind == "not shift-invariant"
    assert "pass in_shape if it has channels" in image.words


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_output_shape_of_a_layer_with_channels_is_found(stride: int, padding: int) -> None:
    weights = np.arange(1, 4 * 3 * 9 + 1).reshape(4, 3, 3, 3)
    layer = ca.correlation((8, 8), weights, stride=stride, padding=padding)
    found = identify(layer.to_scipy(), (3, 8, 8))
    assert (found.out_shape, found.stride) == (layer.out_shape, (stride, stride))
    assert has_matrix(found, layer.to_numpy())


@given(layers(dims=(1, 2), words=("same", "valid")))
@settings(max_examples=30, deadline=None)
def test_symbols_stay_symbols(drawn: Drawn) -> None:
    operator = drawn.operator.refill(ca.kernel(*drawn.weights.shape))
    matrix = operator.to_sympy()
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    if found.kind == "not shift-invariant":
        assert len(set(map(tuple, found.witness["rows"]))) == 2
        return
    different = found.operator.to_sympy() - matrix
    assert different.expand() == sympy.zeros(*matrix.shape)


def test_exact_entries_stay_exact() -> None:
    for kernel in (
        [Fraction(1, 3), Fraction(2, 7)],
        [2**80, 3],
        [sympy.sqrt(2), sympy.Symbol("a")],
    ):
        layer = ca.correlation(5, kernel, padding=1)
        found = identify(layer.to_numpy(), 5)
        assert found.kernel.tolist() == kernel
        assert found.basis == "every entry of the matrix"
    almost = ca.correlation(5, [2**53, 2**53 + 1]).to_numpy()
    almost[0, 0] += 1
    assert identify(almost, 5).kind == "not shift-invariant"


@pytest.mark.parametrize("entry", [2**31, 2**31 - 1, Fraction(1, 2**31 - 1), 2**62])
def test_entries_that_computations_take_modulo_a_prime(entry: Any) -> None:
    kind = object if isinstance(entry, Fraction) else np.int64
    diagonal = np.zeros((3, 3), dtype=kind) + np.eye(3, dtype=int) * entry
    found = identify(diagonal, 3)
    assert (found.kind, found.kernel.tolist()) == ("correlation", [entry])
    equal = np.full((3, 3), entry, dtype=kind)
    assert identify(equal, 3).kind == "correlation"
    assert has_matrix(identify(equal, 3), equal)


def test_entries_written_in_two_ways_are_equal() -> None:
    one = sympy.sin(1) ** 2 + sympy.cos(1) ** 2
    assert identify(sympy.Matrix([[one, 0], [0, 1]]), 2).kind == "identity"
    assert identify(sympy.Matrix([[one - 1, 0], [0, 0]]), 2).kind == "zero"
    a, b = sympy.symbols("a b")
    found = identify(sympy.Matrix([[a + b, 1], [0, (a**2 - b**2) / (a - b)]]), 2)
    assert found.kind == "correlation"


def test_entries_of_floats_agree_up_to_their_rounding() -> None:
    random = np.random.default_rng(4)
    layer = ca.correlation((6, 6), random.standard_normal((3, 3)), padding=1)
    noise = 1 + 1e-14 * random.standard_normal(layer.shape)
    found = identify(layer.to_numpy() * noise, (6, 6))
    assert found.kind == "correlation"
    assert ", which differ by up to" in found.basis
    assert "up to a rounding" in identify(layer.to_numpy() * (1 + 100 * (noise - 1)), (6, 6)).basis
    rough = layer.to_numpy() * (1 + 1e8 * (noise - 1))
    assert identify(rough, (6, 6)).kind == "not shift-invariant"


# Not shift-invariant.


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_dense_matrix_comes_with_two_rows(data: st.DataObject) -> None:
    inputs = data.draw(st.sampled_from([(4,), (3, 3), (2, 3), (2, 2, 3)]))
    outputs = data.draw(st.sampled_from([(4,), (5,), (3, 3), (2, 2, 3)]))
    count = math.prod(outputs) * math.prod(inputs)
    order = data.draw(st.randoms(use_true_random=False)).sample(range(1, 2 * count), count)
    matrix = np.array(order).reshape(math.prod(outputs), -1)
    found = identify(matrix, (inputs, outputs))
    if found.operator is not None:
        # Every output of a layer with channels may read all of the input.
        assert has_matrix(found, matrix)
        assert all(k == n for k, n in zip(found.kernel.shape[::-1], inputs[::-1], strict=False))
        return
    assert found.kind == "not shift-invariant"
    assert is_genuine(found, matrix)
    for place in found.witness["rows"]:
        row = matrix[int(np.ravel_multi_index(place, outputs))]
        assert found.witness[f"row {place}"].startswith(f"{row[0]} x{[0] * len(inputs)}")


def test_irregular_steps() -> None:
    matrix = np.eye(8, dtype=int)[[0, 1, 3, 6]]
    found = identify(matrix, 8)
    assert found.kind == "not shift-invariant"
    assert "no shift along one axis relates all rows" in found.words
    assert len(set(found.witness["rows"])) == 2


# Moves of samples.


def shuffled(x: np.ndarray) -> np.ndarray:
    return x[[2, 0, 1]]


MOVES: dict[str, tuple[Callable[[np.ndarray], Any], tuple[int, ...], str]] = {
    "identity": (lambda x: x, (3, 4), "identity"),
    "flatten": (lambda x: x.reshape(-1), (3, 4), "reshape"),
    "transpose": (lambda x: x.transpose(2, 0, 1), (2, 3, 4), "permutation of axes"),
    "flip": (lambda x: np.flip(x, (0, 1)), (3, 4), "reversal of axes"),
    "flip one": (lambda x: x[..., ::-1], (2, 3, 4), "reversal of axes"),
    "channels": (shuffled, (3, 2, 4), "permutation of channels"),
    "roll": (lambda x: np.roll(x, (1, -2), (0, 1)), (4, 5), "circular shift"),
    "any": (lambda x: x[[0, 3, 1, 2, 4]], (5,), "permutation"),
    "nearest": (lambda x: x.repeat(2, 0).repeat(3, 1), (3, 3), "transposed correlation"),
    "nearest, other sizes": (
        lambda x: x[np.arange(4) * 3 // 4],
        (3,),
        "nearest resampling",
    ),
    "wraps with a stride": (lambda x: x[np.arange(5) * 2 % 5], (5,), "correlation"),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_of_samples(name: str) -> None:
    f, shape, kind = MOVES[name]
    found = identify(f, shape)
    assert found.kind == kind
    assert has_matrix(found, matrix_of(f, shape))


def test_nearest_upsampling_says_so() -> None:
    found = identify(lambda x: x.repeat(2, 0).repeat(2, 1), (3, 3))
    assert (found.kernel == 1).all()
    assert "nearest upsampling by (2, 2)" in found.words


@pytest.mark.parametrize("order", [(4, 1, 0, 5, 2, 3), (3, 0, 4, 1, 5, 2, 6), (2, 0, 3, 1)])
def test_a_permutation_is_no_layer_with_more_taps_than_samples(order: tuple[int, ...]) -> None:
    found = identify(np.eye(len(order), dtype=int)[list(order)])
    assert found.kind == "permutation" or found.kernel.size <= len(order)


@given(st.permutations(range(12)))
@settings(max_examples=30, deadline=None)
def test_any_permutation_is_one(order: list[int]) -> None:
    case = move(ca.identity(12), 12, lambda x: x[order])
    found = identify(case.matrix, ((3, 4), (3, 4)))
    assert has_matrix(found, case.matrix)
    assert found.kind != "not shift-invariant"
