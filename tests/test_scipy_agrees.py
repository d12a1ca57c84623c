"""The same numbers as NumPy and SciPy, exactly, for drawn sizes in each of their modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.sparse.linalg
from hypothesis import given
from hypothesis import strategies as st
from strategies import integers

import convalg as ca
from convalg.axis import BOUNDARIES

# What NumPy and SciPy call "same" gives the odd sample to the front.
MODES = {"full": "full", "valid": "valid", "same": "same_lower"}


@st.composite
def pairs(draw: st.DrawFn, dims: int, spare: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """An input and a kernel that is not larger."""
    taps = draw(st.tuples(*[st.integers(1, 4 if dims == 1 else 3)] * dims))
    sizes = tuple(k + draw(st.integers(0, spare)) for k in taps)
    return draw(integers(sizes)), draw(integers(taps))


@pytest.mark.parametrize("mode", MODES)
@given(pairs(1))
def test_numpy_convolve(mode: str, pair: Any) -> None:
    x, w = pair
    layer = ca.convolution(len(x), w, padding=MODES[mode])
    assert np.array_equal(layer(x), np.convolve(x, w, mode))


@pytest.mark.parametrize("mode", MODES)
@given(pairs(1))
def test_numpy_correlate(mode: str, pair: Any) -> None:
    x, w = pair
    layer = ca.correlation(len(x), w, padding=MODES[mode])
    assert np.array_equal(layer(x), np.correlate(x, w, mode))


@pytest.mark.parametrize("mode", MODES)
@given(st.integers(1, 3).flatmap(lambda dims: pairs(dims, spare=3)))
def test_scipy_signal(mode: str, pair: Any) -> None:
    x, w = pair
    forwards = ca.correlation(x.shape, w, padding=MODES[mode])
    flipped = ca.convolution(x.shape, w, padding=MODES[mode])
    found = scipy.signal.correlate(x, w, mode, method="direct")
    assert np.array_equal(forwards(x), found)
    assert np.array_equal(flipped(x), scipy.signal.convolve(x, w, mode, method="direct"))
    assert np.allclose(flipped(x), scipy.signal.fftconvolve(x.astype(float), w, mode))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("boundary", "name"), [("zeros", "fill"), ("circular", "wrap"), ("symmetric", "symm")]
)
@given(pairs(2, spare=3))
def test_scipy_signal_2d(boundary: str, name: str, mode: str, pair: Any) -> None:
    x, w = pair
    # Unlike correlate, correlate2d gives the odd sample to the end: its "same" is ours.
    forwards = ca.correlation(x.shape, w, padding=mode, boundary=boundary)
    assert np.array_equal(forwards(x), scipy.signal.correlate2d(x, w, mode, boundary=name))
    flipped = ca.convolution(x.shape, w, padding=MODES[mode], boundary=boundary)
    assert np.array_equal(flipped(x), scipy.signal.convolve2d(x, w, mode, boundary=name))


NDIMAGE = {
    "zeros": "constant",
    "circular": "wrap",
    "symmetric": "reflect",
    "reflect": "mirror",
    "edge": "nearest",
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
@given(st.integers(1, 3).flatmap(lambda dims: pairs(dims, spare=2)))
def test_scipy_ndimage(boundary: str, pair: Any) -> None:
    """ndimage centres a kernel on sample k // 2, and a flipped one on (k - 1) // 2."""
    x, w = pair
    forwards = ca.correlation(x.shape, w, padding="same_lower", boundary=boundary)
    found = scipy.ndimage.correlate(x, w, mode=NDIMAGE[boundary])
    assert np.array_equal(forwards(x), found)
    flipped = ca.convolution(x.shape, w, padding="same", boundary=boundary)
    assert np.array_equal(flipped(x), scipy.ndimage.convolve(x, w, mode=NDIMAGE[boundary]))


@pytest.mark.parametrize("boundary", ["circular", "symmetric", "edge"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_kernels_much_wider_than_the_input(boundary: str, n: int) -> None:
    """The signal is continued as often as the kernel needs it."""
    x, w = np.arange(1, n + 1), np.arange(1, 10)
    layer = ca.correlation(n, w, padding="same", boundary=boundary)
    assert np.array_equal(layer(x), scipy.ndimage.correlate(x, w, mode=NDIMAGE[boundary]))


PADS = {
    "zeros": "constant",
    "circular": "wrap",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "edge": "edge",
}


@st.composite
def padded(draw: st.DrawFn, narrow: bool) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    """An input and (before, after) for each axis; narrow ones are below the size."""
    dims = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(1, 4)) for _ in range(dims))
    widths = [st.integers(0, n - 1 if narrow else 5) for n in sizes]
    amounts = tuple((draw(width), draw(width)) for width in widths)
    return draw(integers(sizes)), amounts


@pytest.mark.parametrize("boundary", BOUNDARIES)
@given(st.data())
def test_numpy_pad(boundary: str, data: st.DataObject) -> None:
    x, amounts = data.draw(padded(narrow=boundary == "reflect"))
    found = ca.pad(x.shape, amounts, boundary=boundary)(x)
    assert np.array_equal(found, np.pad(x, amounts, mode=PADS[boundary]))
    stack = np.stack([x, 2 * x, x - 1])
    deep = ca.pad(x.shape, amounts, boundary=boundary, channels=3)(stack)
    assert np.array_equal(deep, np.pad(stack, ((0, 0), *amounts), mode=PADS[boundary]))


@given(padded(narrow=False), st.data())
def test_numpy_moves(pair: Any, data: st.DataObject) -> None:
    """roll, flip and slices."""
    x, _ = pair
    axes = tuple(range(x.ndim))
    offsets = tuple(data.draw(st.integers(-5, 5)) for _ in axes)
    turned = ca.shift(x.shape, offsets, boundary="circular")
    assert np.array_equal(turned(x), np.roll(x, offsets, axis=axes))
    chosen = tuple(sorted(data.draw(st.sets(st.sampled_from(axes), min_size=1))))
    assert np.array_equal(ca.flip_axes(x.shape, chosen)(x), np.flip(x, chosen))
    assert np.array_equal(ca.flip_axes(x.shape)(x), np.flip(x))
    factor = data.draw(st.integers(1, 3))
    first = tuple(data.draw(st.integers(0, n - 1)) for n in x.shape)
    kept = tuple(slice(offset, None, factor) for offset in first)
    assert np.array_equal(ca.downsample(x.shape, factor, offset=first)(x), x[kept])
    cut = tuple(
        (a, data.draw(st.integers(0, n - 1 - a))) for n, a in zip(x.shape, first, strict=True)
    )
    inner = tuple(slice(a, n - b) for n, (a, b) in zip(x.shape, cut, strict=True))
    assert np.array_equal(ca.crop(x.shape, cut)(x), x[inner])


@pytest.mark.parametrize("mode", MODES)
@given(pairs(1))
def test_scipy_convolution_matrix(mode: str, pair: Any) -> None:
    x, w = pair
    matrix = scipy.linalg.convolution_matrix(w, len(x), mode)
    assert np.array_equal(ca.convolution(len(x), w, padding=MODES[mode]).to_numpy(), matrix)


@given(pairs(1))
def test_scipy_toeplitz(pair: Any) -> None:
    """A valid correlation is Toeplitz: the kernel is its first row."""
    x, w = pair
    rows, zeros = len(x) - len(w) + 1, np.zeros(len(x) - len(w), dtype=int)
    matrix = scipy.linalg.toeplitz([w[0]] + [0] * (rows - 1), [*w, *zeros])
    assert np.array_equal(ca.correlation(len(x), w).to_numpy(), matrix)


@given(st.integers(1, 7).flatmap(lambda n: integers((n,))))
def test_scipy_circulant(w: np.ndarray) -> None:
    layer = ca.convolution(len(w), w, padding=((len(w) - 1, 0),), boundary="circular")
    assert np.array_equal(layer.to_numpy(), scipy.linalg.circulant(w))


@given(pairs(2, spare=2))
def test_blocks_are_toeplitz(pair: Any) -> None:
    """A 2-D layer is the sum of w[a, b] kron(S_a, S_b) with one-hot Toeplitz matrices S."""
    x, w = pair
    total = 0
    for (a, b), value in np.ndenumerate(w):
        rows = np.eye(x.shape[0] - w.shape[0] + 1, x.shape[0], a, dtype=int)
        columns = np.eye(x.shape[1] - w.shape[1] + 1, x.shape[1], b, dtype=int)
        total = total + value * np.kron(rows, columns)
    assert np.array_equal(ca.correlation(x.shape, w).to_numpy(), total)


def test_scipy_solvers_take_the_lazy_operator() -> None:
    layer = ca.correlation(6, [1.0, 4.0, 1.0], padding=1)
    right = np.arange(6.0)
    found, failed = scipy.sparse.linalg.cg(layer.to_linear_operator(), right, rtol=1e-12)
    assert failed == 0
    np.testing.assert_allclose(layer(found), right, atol=1e-9)
