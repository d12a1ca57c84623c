"""Shuffles, patches and interpolation against their definitions."""

from __future__ import annotations

from fractions import Fraction

import naive_maps as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import integers

import convalg as ca


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_permutations_are_numpys(shape: list[int], random: object) -> None:
    order = list(range(len(shape)))
    random.shuffle(order)  # type: ignore[attr-defined]
    x = np.arange(np.prod(shape)).reshape(shape)
    operator = ca.permute(shape, order)
    assert np.array_equal(operator(x), x.transpose(order))
    assert np.array_equal((operator.T @ operator)(x), x)


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.booleans())
def test_pixel_shuffles(inner: int, height: int, width: int, factor: int, first: bool) -> None:
    """PixelShuffle and DepthToSpace: y[c, h r + a, w r + b] = x[channel(c, a, b), h, w]."""
    r, channels = factor, inner * factor**2
    x = np.arange(channels * height * width).reshape(channels, height, width)
    order = "CRD" if first else "DCR"
    found = ca.pixel_shuffle((height, width), r, channels=channels, order=order)  # type: ignore[arg-type]
    y = found(x)
    for c, h, w, a, b in np.ndindex(inner, height, width, r, r):
        source = (c * r + a) * r + b if first else (a * r + b) * inner + c
        assert y[c, h * r + a, w * r + b] == x[source, h, w]
    back = ca.pixel_unshuffle((height * r, width * r), r, channels=inner, order=order)  # type: ignore[arg-type]
    assert np.array_equal(back(y), x)


@given(st.data())
def test_unfold_reads_what_windows_read(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(2, 5)), data.draw(st.integers(2, 5)))
    size = (data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2)))
    stride, padding = data.draw(st.integers(1, 2)), data.draw(st.integers(0, 1))
    x = data.draw(integers((2, *shape)))
    operator = ca.unfold(shape, size, stride=stride, padding=padding, channels=2)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    columns = []
    for i in range(0, padded.shape[1] - size[0] + 1, stride):
        for j in range(0, padded.shape[2] - size[1] + 1, stride):
            columns.append(padded[:, i : i + size[0], j : j + size[1]].ravel())
    assert np.array_equal(operator(x), np.stack(columns, axis=1))
    kernel = data.draw(integers((3, 2, *size)))
    layer = ca.correlation(shape, kernel, stride=stride, padding=padding)
    assert np.array_equal(kernel.reshape(3, -1) @ operator(x), layer(x).reshape(3, -1))
    fold = ca.fold(shape, size, stride=stride, padding=padding, channels=2)
    g = data.draw(integers(operator.out_shape))
    assert np.sum(g * operator(x)) == np.sum(fold(g) * x)
    assert ca.prove.equal(fold, operator.T)


PLACES = {
    "half_pixel": lambda o, n, m: Fraction(2 * o + 1, 2) * Fraction(n, m) - Fraction(1, 2),
    "asymmetric": lambda o, n, m: Fraction(o * n, m),
    "align_corners": lambda o, n, m: Fraction(o * (n - 1), m - 1) if m > 1 else Fraction(0),
    "pytorch_half_pixel": lambda o, n, m: (
        Fraction(2 * o + 1, 2) * Fraction(n, m) - Fraction(1, 2) if m > 1 else Fraction(0)
    ),
}


@given(st.integers(1, 7), st.integers(1, 9), st.sampled_from(sorted(PLACES)), st.data())
def test_linear_interpolation(n: int, m: int, coordinates: str, data: st.DataObject) -> None:
    x = data.draw(integers((n,)))
    operator = ca.resize(n, m, mode="linear", coordinates=coordinates)  # type: ignore[arg-type]
    right = naive.interpolated(x, m, lambda o: PLACES[coordinates](o, n, m))
    assert list(operator(x)) == right
    assert np.allclose(operator(x.astype(float)), np.array(right, dtype=float))
    # Two axes are one after the other.
    y = data.draw(integers((n, 3)))
    both = ca.resize((n, 3), (m, 5), mode="linear", coordinates=coordinates)(y)  # type: ignore[arg-type]
    rows = np.array(
        [naive.interpolated(y[:, k], m, lambda o: PLACES[coordinates](o, n, m)) for k in range(3)]
    ).T
    for row in range(m):
        line = [Fraction(v) for v in rows[row]]
        for o in range(5):
            at = min(max(PLACES[coordinates](o, 3, 5), Fraction(0)), Fraction(2))
            low = int(at)
            high = min(low + 1, 2)
            assert both[row, o] == (1 - (at - low)) * line[low] + (at - low) * line[high]


@given(st.integers(1, 7), st.integers(1, 9))
def test_nearest_is_pytorchs_floor(n: int, m: int) -> None:
    x = np.arange(n) + 1
    found = ca.resize(n, m, coordinates="asymmetric", rounding="floor")(x)
    assert found.tolist() == [x[min(o * n // m, n - 1)] for o in range(m)]


@pytest.mark.parametrize(
    ("rounding", "found"),
    [
        ("floor", [1, 1, 2, 2]),
        ("ceil", [1, 2, 2, 2]),
        ("round_prefer_floor", [1, 1, 2, 2]),
        ("round_prefer_ceil", [1, 2, 2, 2]),
    ],
)
def test_roundings(rounding: str, found: list[int]) -> None:
    """Places 0, 1/2, 1, 3/2 of a signal of two."""
    operator = ca.resize(2, 4, coordinates="asymmetric", rounding=rounding)  # type: ignore[arg-type]
    assert operator([1, 2]).tolist() == found


def test_scales_are_read_as_people_mean_them() -> None:
    assert ca.resize(10, scale=0.6).out_shape == (6,)
    assert ca.resize(6, scale=1 / 3).out_shape == (2,)
    assert ca.resize(3, 2, scale=Fraction(3, 4)).out_shape == (2,)


def test_dropout_keeps_the_mean() -> None:
    x = np.array([1.0, 2.0, 4.0])
    assert ca.dropout([1, 0, 1], 0.5)(x).tolist() == [2.0, 0.0, 8.0]
    assert ca.dropout([True, False, True])([1, 2, 4]).tolist() == [1, 0, 4]
    assert ca.prove.equal(ca.dropout([1, 0, 1]).T, ca.dropout([1, 0, 1]))
