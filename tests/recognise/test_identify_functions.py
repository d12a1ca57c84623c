"""`identify` on functions: layers of all libraries, what is no layer, and what cannot be asked."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.signal
import sympy
from hypothesis import given, settings
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, KindError, ShapeError, TooLargeError
from convalg.recognise.identification import Identification
from convalg.recognise.offsets import constants


@settings(max_examples=150)
@given(layers(boundaries=("zeros", "circular")))
def test_what_is_found_has_the_same_matrix(drawn: Drawn) -> None:
    operator = drawn.operator
    found = ca.identify(operator)
    if found.operator is not None:
        assert found.operator.in_shape == operator.in_shape
        assert np.array_equal(found.operator.to_numpy(), operator.to_numpy())  # type: ignore[attr-defined]
    else:
        assert found.kind in ("zero", "identity", "permutation", "permutation of channels") or (
            found.kind == "not shift-invariant"
        )


WEIGHTS = np.random.default_rng(0).integers(1, 9, (4, 2, 3, 2))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_layer_with_all_options(groups: int) -> None:
    kernel = WEIGHTS[:, : 2 // groups]
    options: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    layer = ca.correlation((7, 6), kernel, groups=groups, **options)
    found = ca.identify(lambda x: layer(x), (2, 7, 6))
    assert found.kind == "correlation"
    assert np.array_equal(found.kernel, kernel)
    assert (found.stride, found.dilation, found.groups) == ((2, 1), (1, 2), groups)
    assert found.padding == ((1, 1), (0, 0))


def test_transposed_layers() -> None:
    kernel = np.arange(1, 19).reshape(2, 1, 3, 3)
    layer = ca.transposed_correlation((4, 4), kernel, stride=2, padding=1, output_padding=1)
    found = ca.identify(lambda x: layer(x), (2, 4, 4))
    assert found.kind == "transposed correlation"
    assert (found.stride, found.output_padding) == ((2, 2), (1, 1))
    assert np.array_equal(found.kernel, kernel)


@pytest.mark.parametrize("boundary", ["circular", "reflect", "symmetric", "edge"])
def test_boundaries(boundary: Any) -> None:
    kernel = np.arange(1, 26).reshape(5, 5)
    layer = ca.correlation((9, 8), kernel, padding=2, boundary=boundary)
    found = ca.identify(layer)
    assert (found.kind, found.boundary) == ("correlation", boundary)
    assert np.array_equal(found.kernel, kernel)


def test_flips_are_told() -> None:
    kernel = np.array([[1, 2], [3, 4]])
    flipped = ca.identify(
        lambda x: scipy.signal.convolve2d(x, kernel, mode="valid"), (4, 5), kernel=kernel
    )
    assert flipped.flip is True
    plain = ca.identify(
        lambda x: scipy.signal.correlate2d(x, kernel, mode="valid"), (4, 5), kernel=kernel
    )
    assert plain.flip is False


KINDS = [
    (lambda x: x[..., ::-1], (5,), "reversal of axes"),
    (lambda x: x.swapaxes(-1, -2), (3, 4), "permutation of axes"),
    (lambda x: x[..., [2, 0, 1], :, :], (3, 4, 4), "permutation of channels"),
    (lambda x: x, (3, 4), "identity"),
    (lambda x: 0 * x, (3,), "zero"),
    (lambda x: 2 * x + 1, (3,), "affine"),
    (lambda x: np.maximum(x, 0), (3,), "not linear"),
    (lambda x: np.arange(4) * x, (4,), "diagonal"),
    (lambda x: np.array([[1, 2, 3], [4, 5, 6], [9, 8, 1]]) @ x, (3,), "not shift-invariant"),
    (lambda x: ca.max_pool((7, 7), 3, stride=2, channels=2)(x), (2, 7, 7), "max pooling"),
    (lambda x: ca.min_pool((6, 6), 2, channels=2)(x), (2, 6, 6), "min pooling"),
    (lambda x: ca.average_pool((6, 6), 2, channels=2)(x), (2, 6, 6), "average pooling"),
    (lambda x: ca.sum_pool((6, 6), 2, channels=2)(x), (2, 6, 6), "sum pooling"),
]


@pytest.mark.parametrize(("f", "shape", "kind"), KINDS, ids=[kind for _, _, kind in KINDS])
def test_kinds(f: Any, shape: tuple[int, ...], kind: str) -> None:
    found = ca.identify(f, shape)
    assert found.kind == kind
    assert found.explain().startswith(kind)
    if kind == "not linear":
        x, y = np.array(found.witness["x"]), np.array(found.witness["y"])
        at = found.witness["at"]
        assert (f(x + y) + f(0 * x))[at] != (f(x) + f(y))[at]


def test_the_linear_part_of_an_affine_function() -> None:
    layer = ca.affine(ca.correlation(6, [1, 2, 3]), [5, 5, 5, 6])
    found = ca.identify(lambda x: layer(x), 6)
    assert found.bias is not None
    assert found.bias.tolist() == [5, 5, 5, 6]
    assert found.linear is not None
    assert found.linear.kernel is not None
    assert found.linear.kernel.tolist() == [1, 2, 3]


def test_matrices_of_all_kinds() -> None:
    layer = ca.correlation((4, 4), [[1, 2], [3, 4]], padding=1)
    for matrix in (layer.to_scipy(), layer.to_numpy(), layer.to_sympy()):
        found = ca.identify(matrix, (4, 4))
        assert found.kind == "correlation"
        assert np.array_equal(found.kernel, [[1, 2], [3, 4]])
    letters = ca.identify(ca.correlation(5, ca.kernel(3)).to_sympy())
    assert list(map(str, letters.kernel)) == ["w0", "w1", "w2"]  # type: ignore[arg-type]
    pair = ca.identify(ca.correlation((4, 4), [[1, 2]]).to_scipy(), ((4, 4), (4, 3)))
    assert pair.kind == "correlation"


# Small inputs: the plainest geometry.


@pytest.mark.parametrize("boundary", ["circular", "reflect", "symmetric", "edge"])
@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_the_plainest_geometry_of_tiny_inputs(boundary: Any, size: int) -> None:
    layer = ca.correlation(size, [1, 2, 4], padding=1, boundary=boundary)
    found = ca.identify(layer)
    assert found.kernel is not None
    assert found.kernel.tolist() == [1, 2, 4]
    assert (found.stride, found.padding, found.dilation) == ((1,), ((1, 1),), (1,))


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 5)])
def test_padding_is_not_taken_for_a_transposed_layer(mode: Any, shape: tuple[int, ...]) -> None:
    found = ca.identify(lambda x: np.pad(x, 1, mode=mode), shape)
    assert (found.kind, found.padding) == ("correlation", ((1, 1), (1, 1)))
    assert found.kernel is not None
    assert found.kernel.tolist() == [[1]]


def test_equal_weights_are_channels_and_not_a_third_axis() -> None:
    layer = ca.correlation((6, 6), np.ones((3, 3, 3, 3), int), padding=1)
    found = ca.identify(layer)
    assert (found.kind, found.padding) == ("correlation", ((1, 1), (1, 1)))
    assert np.array_equal(found.kernel, np.ones((3, 3, 3, 3)))


# Poolings, with their borders.


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
def test_average_poolings(padding: int, count_include_pad: bool, ceil_mode: bool) -> None:
    torch = pytest.importorskip("torch")
    pool = torch.nn.AvgPool2d(3, 2, padding, ceil_mode, count_include_pad)
    found = ca.identify(pool, (2, 6, 6))
    assert (found.kind, found.size, found.stride) == ("average pooling", (3, 3), (2, 2))
    assert f"padding {((padding, padding),) * 2}" in repr(found)
    x = np.random.default_rng(0).integers(-9, 10, (2, 6, 6)).astype(float)
    assert found.operator is not None
    expected = pool(torch.tensor(x)).numpy()
    assert np.allclose(found.operator(x), expected)


def test_max_poolings_say_their_padding() -> None:
    torch = pytest.importorskip("torch")
    pool = torch.nn.MaxPool2d(3, 2, 1)
    found = ca.identify(pool, (2, 7, 7))
    assert repr(found) == (
        "<max pooling on the inputs tried: "
        "windows of (3, 3), stride (2, 2), padding ((1, 1), (1, 1))>"
    )
    adaptive = ca.identify(torch.nn.AdaptiveMaxPool2d(4), (2, 10, 10))
    assert adaptive.words == "adaptive, (10, 10) to (4, 4)"


@pytest.mark.parametrize("pool", ["MaxPool2d", "AvgPool2d"])
def test_a_single_row_of_windows_leaves_the_stride_open(pool: str) -> None:
    torch = pytest.importorskip("torch")
    layer = getattr(torch.nn, pool)(3, 3)
    found = ca.identify(layer, (2, 4, 7))
    assert found.kind == {"MaxPool2d": "max pooling", "AvgPool2d": "average pooling"}[pool]
    assert (found.size, found.padding) == ((3, 3), ((0, 0), (0, 0)))


def test_a_module_takes_batches_where_it_takes_both() -> None:
    torch = pytest.importorskip("torch")
    # Of three axes, it would take the first for samples and enlarge the last alone.
    found = ca.identify(torch.nn.Upsample(scale_factor=2), (2, 3, 4))
    assert found.out_shape == (2, 6, 8)


@pytest.mark.parametrize("place", range(5))
def test_one_sample_alone_is_no_circle(place: int) -> None:
    found = ca.identify(lambda x: x[place : place + 1], 5)
    assert (found.kind, found.boundary) == ("correlation", "zeros")


RESAMPLINGS = [
    (ca.pixel_shuffle((3, 3), 2, channels=4), "pixel shuffle"),
    (ca.pixel_unshuffle((4, 6), 2, channels=2), "pixel unshuffle"),
    (ca.resize((4, 4), (8, 8), mode="linear", channels=2), "linear resampling"),
    (ca.resize((4, 4), (7, 5), mode="linear"), "linear resampling"),
    (ca.resize((5, 5), (3, 7), mode="nearest"), "nearest resampling"),
    (ca.adaptive_pool((7, 8), (3, 3), channels=2), "average pooling"),
]


@pytest.mark.parametrize(("operator", "kind"), RESAMPLINGS, ids=repr)
def test_resamplings(operator: Any, kind: str) -> None:
    found = ca.identify(lambda x: operator(x), operator.in_shape)
    assert found.kind == kind
    x = np.arange(2.0, 2 + np.prod(operator.in_shape)).reshape(operator.in_shape)
    assert found.operator is not None
    assert np.allclose(found.operator(x), operator(x))


# What is done besides A x + b.

BLUR = np.array([[1, 2], [3, 4]])


def blurred(x: Any) -> Any:
    return scipy.signal.correlate2d(x, BLUR, mode="valid")


DISTORTIONS: dict[str, tuple[Any, Any, str, str]] = {
    "round": (np.round, 4, "A x + b rounded to multiples of 1", "identity"),
    "round to digits": (lambda x: np.round(x, 3), 4, "rounded to multiples of 0.001", "identity"),
    "floor": (np.floor, 4, "rounded down to multiples of 1", "identity"),
    "trunc": (np.trunc, 4, "truncated towards zero to multiples of 1", "identity"),
    "steps": (lambda x: 0.7 * np.rint(x / 0.7), 4, "rounded to multiples of 0.7", "identity"),
    "clip": (lambda x: np.clip(x, -100, 100), 4, "A x + b clipped to [-100, 100]", "identity"),
    "bytes": (lambda x: np.clip(np.rint(x), 0, 255), 4, "and clipped to [0, 255]", "identity"),
    "relu": (lambda x: np.maximum(x, 0), 4, "A x + b clipped below at 0", "identity"),
    "relu6": (lambda x: np.clip(x, 0, 6), 4, "A x + b clipped to [0, 6]", "identity"),
    "dead zone": (
        lambda x: np.where(abs(x) < 1e-3, 0, x),
        4,
        "replaced by 0 (numbers from",
        "identity",
    ),
    "float16": (lambda x: x.astype(np.float16), 4, "rounded to float16", "identity"),
    "a byte layer": (
        lambda x: np.clip(np.rint(blurred(x)), -128, 127),
        (4, 5),
        "rounded to multiples of 1, and clipped to [-128, 127]",
        "correlation",
    ),
    "overflow of int8": (
        lambda x: blurred(x).astype(np.int64).astype(np.int8),
        (4, 5),
        "wrapped as int8",
        "correlation",
    ),
    "rounded inputs": (
        lambda x: blurred(np.round(x, 1)),
        (4, 5),
        "A z + b with z = x rounded to multiples of 0.1",
        "correlation",
    ),
    "clipped inputs": (
        lambda x: blurred(np.clip(x, -1, 1)),
        (4, 5),
        "z = x clipped to [-1, 1]",
        "correlation",
    ),
    "rounded mean": (
        lambda x: np.round((x[::2] + x[1::2]) / 2),
        8,
        "rounded to multiples of 1",
        "average pooling",
    ),
    "a threshold": (
        lambda x: x if abs(x).max() < 5e4 else 0 * x,
        4,
        "but not on equal samples, one sample alone, numbers of mixed sizes, numbers of the sizes",
        "identity",
    ),
}


@pytest.mark.parametrize("name", DISTORTIONS)
def test_rounding_and_clipping_are_named(name: str) -> None:
    distorted, shape, words, part = DISTORTIONS[name]
    found = ca.identify(distorted, shape)

    def f(x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.asarray(distorted(x), dtype=float)

    assert found.kind == "not linear"
    assert words in found.words
    assert found.linear is not None
    assert found.linear.kind == part
    x = np.array(found.witness["x"], dtype=float)
    at = found.witness["at"]
    if "y" in found.witness:
        y = np.array(found.witness["y"], dtype=float)
        assert found.witness["f(x + y) + f(0)"] == pytest.approx((f(x + y) + f(0 * x))[at])
        assert (f(x + y) + f(0 * x))[at] != (f(x) + f(y))[at]
    else:
        # The entry of A x + b, from f on unit impulses alone.
        units = np.eye(x.size).reshape(-1, *x.shape)
        entries = [f(unit)[at] - f(0 * x)[at] for unit in units]
        linear = f(0 * x)[at] + np.dot(entries, x.ravel())
        assert found.witness["f(x)"] == pytest.approx(float(f(x)[at]))
        assert found.witness["f(x)"] != pytest.approx(linear, rel=1e-9, abs=0)


def test_what_was_only_tried_says_so() -> None:
    found = ca.identify(lambda x: x, 4)
    assert repr(found) == "<identity on the inputs tried: every output is its input>"
    assert found.sampled
    assert "tried, not proved" in found.explain()
    assert "fractions between -1 and 1" in found.basis
    assert "numbers of the sizes 1e-09, 1e-08, ..., 1e+09" in found.basis
    exact = ca.identify(np.eye(4))
    assert repr(exact) == "<identity: every output is its input>"
    assert not exact.sampled


def test_a_linear_operator_of_scipy_is_only_called() -> None:
    found = ca.identify(ca.correlation(4, [1, 2]).to_linear_operator(), 4)
    assert found.sampled
    assert found.basis.startswith("f of every unit vector: its linearity is assumed, not tested")


def test_the_dilation_of_windows_is_said() -> None:
    found = ca.identify(lambda x: (x[:-4] + x[4:]) / 2, 9)
    assert (found.kind, found.size, found.dilation) == ("average pooling", (2,), (4,))
    assert "dilation (4,)" in found.words
    pool = ca.max_pool(9, 2, stride=1, dilation=3)
    assert "dilation (3,)" in ca.identify(lambda x: pool(x), 9).words


PADDINGS = [
    (50, -200, 50, -200),
    (0, -200, 0, -200),
    (50, 0, 50, 0),
    (-1.5, 0.25, -1.5, 0.25),
    (1e6, 1e-3, 1e6, 1e-3),
]


@pytest.mark.parametrize(("value", "offset", "padding_value", "added"), PADDINGS)
def test_the_padding_value_and_the_offset(
    value: float, offset: float, padding_value: float, added: float
) -> None:
    def f(x: Any) -> Any:
        return blurred(np.pad(x, 1, constant_values=value)) + offset

    found = ca.identify(f, (4, 5))
    assert found.kind == "affine"
    assert found.padding_value == pytest.approx(padding_value)
    assert found.offset == pytest.approx(added, rel=1e-6)
    assert "the padding value" in repr(found)
    assert found.linear is not None
    assert found.linear.padding == ((1, 1), (1, 1))
    x = np.arange(20.0).reshape(4, 5)
    assert found.operator is not None
    assert np.allclose(found.operator(x), f(x))


def test_offsets_of_channels_and_offsets_that_are_not_known_apart() -> None:
    layer = ca.correlation((4, 4), np.arange(1, 17).reshape(2, 2, 2, 2), padding=1)
    biased = ca.affine(layer, np.broadcast_to(np.array([[[3]], [[-4]]]), layer.out_shape))
    found = ca.identify(lambda x: biased(x), layer.in_shape)
    assert found.offset is not None
    assert found.offset.tolist() == [3, -4]
    assert found.padding_value == 0
    plain = ca.identify(lambda x: x - 7, 5)
    assert (plain.padding_value, plain.offset) == (None, -7)
    # Of two samples, every output reads as much of the padding as the other.
    layer = ca.correlation(2, [1, 2, 1], padding=1)
    both = Identification("correlation", (2,), (2,), layer, kernel=np.array([1, 2, 1]))
    found = constants(both, layer.to_numpy(), np.array([7.0, 7.0]), 1e-11)
    assert (found.padding_value, found.offset) == (None, None)
    assert "cannot be separated" in found.label
    assert ca.identify(lambda x: x + np.arange(4), 4).offset is None


# Memory, types, NaN.


def remembering(calls: int) -> Any:
    """The identity for some calls, and something else after them."""
    count = [0]

    def f(x: Any) -> Any:
        count[0] += 1
        return x if count[0] < calls else x + 1

    return f


def constant_after_one() -> Any:
    seen: dict[Any, Any] = {}
    return lambda x: seen.setdefault(x.shape, x.copy())


def drifting() -> Any:
    total = [0.0]

    def f(x: Any) -> Any:
        total[0] += 1e-6
        return x + total[0]

    return f


@pytest.mark.parametrize("f", [remembering(10), remembering(40), drifting()])
def test_memory_is_not_the_same_answer_twice(f: Any) -> None:
    assert ca.identify(f, 4).kind == "not deterministic"


def test_a_function_that_remembers_by_shape_is_not_the_identity() -> None:
    assert ca.identify(constant_after_one(), 4).kind != "identity"


def test_a_batch_that_is_scaled_as_one_is_asked_sample_by_sample() -> None:
    def f(x: Any) -> Any:
        # Per sample it is the identity; in a batch all samples depend on the largest.
        return x if x.ndim == 1 else np.round(x / np.abs(x).max(), 3) * np.abs(x).max()

    assert ca.identify(f, 4).kind == "identity"


def test_the_type_of_the_input() -> None:
    single = ca.identify(lambda x: x if x.dtype == float else np.round(x / 2) * 2, 4)
    assert single.kind == "depends on the dtype"
    assert "float32" in single.words
    assert single.linear is not None
    assert single.linear.kind == "identity"
    integers = ca.identify(lambda x: x if x.dtype.kind == "f" else 2 * x, 4)
    assert integers.words.endswith("on arrays of int64 f returns other numbers than on float64")


def test_what_is_raised_and_what_replaces_nan_is_said() -> None:
    assert "a NaN in x does not reach every output" in ca.identify(np.nan_to_num, 4).words

    def bounded(x: Any) -> Any:
        if abs(x).max() > 1e5:
            raise ValueError("too large")
        return x

    words = ca.identify(bounded, 4).words
    assert "numbers of the sizes 100000, 1e+06, ..., 1e+09 f raises ValueError (too large)" in words


def test_single_precision_is_a_relative_difference() -> None:
    weights = (BLUR / 7).astype(np.float32)

    def f(x: Any) -> Any:
        single = x.astype(np.float32)
        return scipy.signal.correlate2d(single, weights, mode="valid").astype(float)

    found = ca.identify(f, (4, 5))
    assert found.kind == "correlation"
    assert "up to a relative difference of" in found.words


# What cannot be a layer.


def test_chance_is_told_with_a_witness() -> None:
    random = np.random.default_rng(0)
    found = ca.identify(lambda x: x + random.random(), (3,))
    assert found.kind == "not deterministic"
    assert found.witness["f(x)"] != found.witness["f(x) again"]


def test_an_output_that_is_not_finite_is_a_witness() -> None:
    found = ca.identify(lambda x: 1 / x, (3,))
    assert (found.kind, found.words) == ("not linear", "f(x) is not finite")


def test_what_a_function_prints_and_writes_is_kept() -> None:
    def loud(x: Any) -> Any:
        print("loud")
        x *= 3
        return x

    found = ca.identify(loud, (2, 3))
    assert found.kernel is not None
    assert found.kernel.tolist() == [[3]]


def growing() -> Any:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.zeros(3 if len(calls) < 4 else 4)

    return f


def failing_for_zeros(x: Any) -> Any:
    if not x.any():
        raise ValueError("no zeros please")
    return x


BAD_FUNCTIONS: list[tuple[Any, Any, type[Exception], str]] = [
    (5, 3, KindError, "f must be a function or a matrix of two axes, not 5"),
    (np.sin, None, KindError, "in_shape must be the shape of one input of"),
    (lambda x: None, 3, KindError, "f must return an array of numbers, not a NoneType"),
    (lambda x: "a", 3, KindError, "f must return an array of real numbers, not of dtype"),
    (lambda x: 1j * x, 3, KindError, "f must return real numbers, not complex128: identify lambda"),
    (
        lambda x: x[:0],
        3,
        ShapeError,
        "f must return at least one number, not an empty array of shape",
    ),
    (
        lambda x: x.nowhere,
        3,
        KindError,
        "f must accept an array of in_shape (3,), or a batch of one such array, but it raised",
    ),
    (growing(), 3, ShapeError, "f must return arrays of one shape, but it returned"),
    (
        failing_for_zeros,
        3,
        ArgumentError,
        "f must accept all real inputs of shape (1, 3), but it raised",
    ),
    (ca.identity(4), 3, ShapeError, "in_shape must be the input shape (4,) of"),
]


@pytest.mark.parametrize(
    ("f", "shape", "error", "message"), BAD_FUNCTIONS, ids=[row[3] for row in BAD_FUNCTIONS]
)
def test_bad_functions(f: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        ca.identify(f, shape)


BAD_MATRICES: list[tuple[Any, Any, type[Exception], str]] = [
    (np.eye(4), 3, ShapeError, "in_shape (3,) has 3 entries, but the matrix has 4 columns"),
    (np.eye(4), ((4,), (3,)), ShapeError, "out_shape (3,) has 3 entries, but the matrix has 4"),
    (np.eye(4), ((4,), (4,), 1), ShapeError, "must be a shape, or the pair (in_shape, out_shape)"),
    (np.eye(4) * 1j, 4, KindError, "matrix must be real, not complex128: identify its real part"),
    (np.zeros((0, 3)), None, ConvalgError, "matrix must have two axes and at least one entry"),
    (np.eye(4) * np.nan, 4, ConvalgError, "matrix"),
    (np.eye(4), (sympy.Symbol("n"),), ConvalgError, "in_shape"),
]


@pytest.mark.parametrize(
    ("matrix", "shape", "error", "message"), BAD_MATRICES, ids=[row[3] for row in BAD_MATRICES]
)
def test_bad_matrices(matrix: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        ca.identify(matrix, shape)


def test_symbolic_sizes_must_be_numbers() -> None:
    n = sympy.Symbol("n", positive=True, integer=True)
    with pytest.raises(KindError, match=r"in_shape\[0\] must be a number, not the symbolic size n"):
        ca.identify(ca.correlation(n, [1, 2, 3]))


def test_large_ones_are_refused_before_the_impulses() -> None:
    with pytest.raises(TooLargeError, match="matrix from 10000 impulses"):
        ca.identify(lambda x: x, (100, 100), max_bytes=10**6)
    with pytest.raises(TooLargeError, match="identify a smaller layer"):
        ca.identify(ca.identity(10**4).to_scipy(), max_bytes=10**6)
