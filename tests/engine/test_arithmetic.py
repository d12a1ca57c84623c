"""Applying patterns to arrays: number types, exactness, slices, empty batches, NaN."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import NAMED, elementary

import convalg as ca
from convalg.errors import ExactnessError

W = np.array([[1, -2], [3, 4]])
X = np.arange(1, 17).reshape(4, 4)
OPERATORS = {
    "layer": lambda: ca.correlation((4, 4), W),
    "adjoint": lambda: ca.correlation((5, 5), W).T,
    "by kernel": lambda: ca.correlation((6, 6), np.ones((4, 4), dtype=int)).by_kernel(
        np.arange(36).reshape(6, 6)
    ),
    "pad": lambda: ca.pad((4, 4), 1, boundary="edge"),
    "adjoint of a pad": lambda: ca.pad((2, 2), 1, boundary="edge").T,
    "sum pool": lambda: ca.sum_pool((4, 4), 2),
    "dense": lambda: ca.dense(np.arange(32).reshape(2, 16), in_shape=(4, 4)),
    "diagonal": lambda: ca.diagonal(X),
    "scaled": lambda: 3 * ca.flip_axes((4, 4)),
    "sum": lambda: ca.identity((4, 4)) + ca.flip_axes((4, 4)),
    "product": lambda: ca.correlation((3, 3), W) @ ca.correlation((4, 4), W),
    "kron": lambda: ca.correlation(4, [1, 2]).kron(ca.correlation(4, [1, 3])),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_integers_of_every_type_are_exact(name: str, dtype: str) -> None:
    """As large as the type allows, up to what 64 bits hold; never wrapped round."""
    operator = OPERATORS[name]()
    largest = 1 if dtype == "bool" else min(np.iinfo(dtype).max, 2**40)
    x = np.full(operator.in_shape, largest).astype(dtype)
    x.flat[1] = 0
    exact = x.astype(object)
    expected = operator.to_numpy().astype(object) @ exact.ravel()
    found = operator(x)
    assert found.dtype.kind in "iu"
    assert found.ravel().tolist() == expected.tolist()


@pytest.mark.parametrize("kernel", ["bool", "int8", "uint8", "int32", "uint64"])
@pytest.mark.parametrize("sample", ["bool", "int8", "uint8", "int32", "uint64"])
def test_integers_meet_in_64_bits(kernel: str, sample: str) -> None:
    w = np.array([1, 0, 1]).astype(kernel) if kernel == "bool" else np.array([100, 0, 27], kernel)
    x = np.array([1, 0, 1, 1, 1]).astype(sample)
    x = x if sample == "bool" else x * np.array(120, dtype=sample)
    layer = ca.correlation(5, w)
    expected = np.correlate(x.astype(int), w.astype(int), "valid")
    assert layer(x).dtype == np.int64
    assert np.array_equal(layer(x), expected)
    assert layer.T(x[:3]).dtype == np.int64
    assert layer.to_scipy().dtype == np.int64
    assert layer.kernel_gradient(x, x[:3]).dtype == np.int64
    g = x[:3].astype(int)
    assert np.array_equal(layer.kernel_gradient(x, x[:3]), np.correlate(x.astype(int), g, "valid"))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_floats_keep_their_type_as_numpy_would(name: str, dtype: str) -> None:
    operator = OPERATORS[name]()
    x = np.ones(operator.in_shape, dtype=dtype)
    matrix = operator.to_numpy()
    found = operator(x)
    # Products with 64-bit integers are float64 in NumPy; moves of samples keep the type.
    assert found.dtype in (np.dtype(dtype), np.result_type(dtype, matrix.dtype))
    np.testing.assert_allclose(found.ravel(), matrix @ x.ravel(), rtol=1e-3)


@pytest.mark.parametrize(
    ("kernel", "sample", "result"),
    [
        ("float32", "float32", "float32"),
        ("float16", "float16", "float16"),
        ("float32", "float64", "float64"),
        ("float16", "uint8", "float16"),
        ("float32", "uint8", "float32"),
        ("float32", "bool", "float64"),
        ("float32", "complex64", "complex64"),
        ("int64", "float32", "float64"),
        ("int8", "float32", "float32"),
        ("int64", "complex64", "complex128"),
        ("float64", "float32", "float64"),
    ],
)
def test_result_types(kernel: str, sample: str, result: str) -> None:
    """NumPy's rule for arrays; a bool counts as an integer of 64 bits."""
    layer = ca.correlation(5, np.array([1, 2, 3], dtype=kernel))
    x, g = np.ones(5, dtype=sample), np.ones(3, dtype=sample)
    assert layer(x).dtype == result
    assert layer.T(g).dtype == result
    assert layer.by_kernel(np.ones(5, dtype=kernel))(g).dtype == result


def test_complex_values_are_not_conjugated() -> None:
    """The adjoint is the transpose, and the kernel is real."""
    layer = ca.correlation(3, [1, 2])
    assert layer([1j, 1, 0]).tolist() == [2 + 1j, 1]
    assert layer.T([1j, 1]).tolist() == [1j, 1 + 2j, 2]


def test_objects_stay_what_they_are() -> None:
    layer = ca.correlation(4, [1, 2])
    large = [2**70, 1, Fraction(1, 3), -(2**80)]
    found = layer(np.array(large, dtype=object))
    assert found.tolist() == [2**70 + 2, 1 + Fraction(2, 3), Fraction(1, 3) - 2**81]
    big = ca.correlation(3, np.array([2**70, 1], dtype=object))
    assert big([1, 0, 1]).tolist() == [2**70, 1]
    assert big.T([1, 1]).tolist() == [2**70, 2**70 + 1, 1]


# Just inside and just outside of 64 bits.
@pytest.mark.parametrize(
    ("operator", "size"),
    [
        (lambda: ca.correlation(3, [1, 1]), 2),
        (lambda: ca.correlation(3, [1, 1]).T, 2),
        (lambda: ca.correlation(3, np.array([[[1]], [[1]], [[1]]])).T, 3),
        (lambda: ca.correlation(3, np.array([[[1], [1], [1]]])), 3),
        (lambda: ca.dense([[1, 1, 1]]), 3),
        (lambda: ca.diagonal([5, 1]), 5),
        (lambda: 7 * ca.identity(2), 7),
        (lambda: ca.identity(2) + ca.identity(2), 2),
        (lambda: ca.sum_pool(4, 4), 4),
        (lambda: ca.pad(2, 2, boundary="edge").T, 3),
    ],
)
def test_sums_that_could_leave_64_bits_are_refused(operator: Any, size: int) -> None:
    made = operator()
    largest = np.iinfo(np.int64).max // size
    x = np.full(made.in_shape, largest)
    expected = made.to_numpy().astype(object) @ x.astype(object).ravel()
    assert made(x).ravel().tolist() == expected.tolist()
    with pytest.raises(
        ExactnessError, match=r"which does not fit in a signed 64-bit integer: pass x\.astype"
    ):
        made(x + 1)
    more = (x + 1).astype(object)
    exact = made.to_numpy().astype(object) @ more.ravel()
    assert made(more).ravel().tolist() == exact.tolist()


def test_kernel_gradients_that_could_leave_64_bits_are_refused() -> None:
    layer = ca.correlation(3, [1, 1])
    largest = np.iinfo(np.int64).max // 2
    fits = layer.kernel_gradient([1, 1, 1], [largest, largest])
    assert fits.tolist() == [2 * largest, 2 * largest]
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        layer.kernel_gradient([1, 1, 1], [largest + 1, largest + 1])
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        layer.kernel_gradient([[1, 1, 1]] * 2, [[largest, largest]] * 2)


@pytest.mark.parametrize("value", [np.iinfo(np.int64).min, -(2**62) - 1])
def test_the_most_negative_integers_are_refused_too(value: int) -> None:
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        ca.correlation(2, [1, 1])(np.array([value, value]))


LARGE = 2**62
OVERFLOWS = {
    "scaled": lambda: 4 * ca.correlation(3, [LARGE]),
    "sum": lambda: ca.correlation(3, [LARGE]) + ca.correlation(3, [LARGE]),
    "product": lambda: ca.correlation(3, [LARGE]) @ ca.correlation(3, [2]),
    "kron": lambda: ca.correlation(3, [LARGE]).kron(ca.correlation(3, [LARGE])),
    "folded": lambda: ca.correlation(2, [LARGE] * 3, padding=1, boundary="edge"),
    "unsigned": lambda: ca.correlation(3, np.array([2**63], dtype=np.uint64)),
    "by kernel": lambda: ca.correlation(3, [1]).by_kernel(np.array([2**63] * 3, dtype=np.uint64)),
}


@pytest.mark.parametrize("name", OVERFLOWS)
def test_matrices_never_wrap_round(name: str) -> None:
    """A matrix whose entries leave 64 bits is refused, or exact; never silently another."""
    operator = OVERFLOWS[name]()
    exact = np.array(operator.to_sympy().tolist(), dtype=object)
    for face in (operator.to_numpy, lambda: operator.to_scipy().toarray()):
        try:
            found = face()
        except OverflowError:
            continue
        assert [int(v) for v in found.ravel()] == [int(v) for v in exact.ravel()]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (300, np.int8),
        (-1, np.uint8),
        (0.5, np.int64),
        (Fraction(1, 2), np.int64),
        (2**40, np.int32),
    ],
)
def test_a_type_that_cannot_hold_the_entries_is_refused(value: Any, dtype: Any) -> None:
    """Nothing is silently truncated."""
    layer = ca.correlation(3, np.array([value]))
    with pytest.raises((ValueError, TypeError, OverflowError), match=r"hold|exact|cast|fit"):
        layer.to_scipy(dtype=dtype)


@pytest.mark.parametrize("name", [*OPERATORS, *NAMED, *elementary()])
def test_empty_batches(name: str) -> None:
    if name in OPERATORS:
        operator = OPERATORS[name]()
    else:
        operator = (NAMED[name]() if name in NAMED else elementary()[name]).operator
    for side, batch in product((operator, operator.T), [(0,), (0, 3), (2, 0)]):
        for dtype in (np.int64, np.float64, object):
            y = side(np.zeros((*batch, *side.in_shape), dtype=dtype))
            assert y.shape == (*batch, *side.out_shape)


def test_the_gradient_over_an_empty_batch_is_zero() -> None:
    layer = ca.correlation(5, [1, 2, 3])
    found = layer.kernel_gradient(np.zeros((0, 5)), np.zeros((0, 3)))
    assert found.tolist() == [0, 0, 0]


def test_inputs_and_kernels_are_not_written() -> None:
    x, w = np.ones((4, 4)), np.ones((2, 2))
    layer = ca.correlation((4, 4), w)
    w[:] = 7
    assert layer.kernel.tolist() == [[1, 1], [1, 1]]
    for operator in (
        layer,
        ca.identity((4, 4)),
        ca.diagonal(np.ones((4, 4))),
        ca.reshape((4, 4), 16),
    ):
        y = operator(x)
        y[...] = 5
        assert (x == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        layer.kernel[0, 0] = 3


def test_inputs_of_any_memory_order() -> None:
    """Transposed, reversed and strided views, and lists."""
    layer = ca.correlation((4, 4), W)
    expected = layer(X)
    assert np.array_equal(layer(np.asfortranarray(X)), expected)
    assert np.array_equal(layer(X[::-1, ::-1][::-1, ::-1]), expected)
    wide = np.zeros((8, 8), dtype=int)
    wide[::2, ::2] = X
    assert np.array_equal(layer(wide[::2, ::2]), expected)
    assert np.array_equal(layer(X.tolist()), expected)
    assert np.array_equal(layer(X.astype(">i4")), expected)


def test_nan_spreads_to_the_outputs_that_read_it_and_no_further() -> None:
    x = np.ones((1, 2, 6, 6))
    x[0, 0, 0, 0] = np.nan
    layer = ca.correlation((6, 6), np.ones((2, 1, 3, 3)), padding=1, groups=2)
    found = np.isnan(layer(x))
    expected = np.zeros((1, 2, 6, 6), dtype=bool)
    expected[0, 0, :2, :2] = True
    assert np.array_equal(found, expected)


def test_nan_that_no_tap_reads_does_not_matter() -> None:
    """Holes of a dilation, samples dropped by a stride, and what a crop cuts off."""
    x = np.array([1, np.nan, 2, np.nan, 3])
    assert ca.correlation(5, [1.0, 1.0, 1.0], dilation=2)(x).tolist() == [6]
    assert ca.correlation(5, [1.0], stride=2)(x).tolist() == [1, 2, 3]
    assert ca.downsample(5, 2)(x).tolist() == [1, 2, 3]
    assert ca.crop(5, ((2, 2),))(x).tolist() == [2]
    cut = ca.transposed_correlation(3, [1.0, 1.0, 1.0], padding=2)
    assert cut([np.nan, 1.0, np.nan]).shape == (1,)
    assert ca.crop(5, ((2, 2),)).T([1.0]).tolist() == [0, 0, 1, 0, 0]


def test_an_infinity_is_not_turned_into_nan_by_padding() -> None:
    layer = ca.correlation(3, [1.0, 1.0, 1.0], padding=1)
    assert layer([np.inf, 1.0, 2.0]).tolist() == [np.inf, np.inf, 3.0]
    assert layer.T([np.inf, 1.0, 2.0]).tolist() == [np.inf, np.inf, 3.0]


def test_whole_weights_do_not_widen_a_type() -> None:
    for kind in ("float16", "float32", "float64"):
        x = np.arange(4, dtype=kind).reshape(2, 2)
        assert ca.permute((2, 2), (1, 0))(x).dtype == kind
        assert ca.resize((2, 2), scale=2)(x).dtype == kind
        assert ca.unfold((2, 2), 2).T(ca.unfold((2, 2), 2)(x)).dtype == kind


def test_a_matrix_takes_an_empty_batch() -> None:
    assert ca.unfold(4, 2)(np.zeros((0, 4))).shape == (0, 2, 3)
