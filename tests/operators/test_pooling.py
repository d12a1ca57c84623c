"""Pooling against its definition: windows, divisors, winners, in one to three axes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import naive_maps as naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import integers

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError


@st.composite
def poolings(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...], dict[str, Any], dict[str, Any]]:
    """A batch-free input, a window, options as they are called and as the definition has them."""
    dims = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 6 if dims < 3 else 4)) for _ in range(dims))
    size = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(dims))
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
    }
    for k in range(dims):
        count = naive.outputs(shape[k], size[k], stride[k], padding[k], dilation[k], False)
        ceiled = naive.outputs(
            shape[k], size[k], stride[k], padding[k], dilation[k], options["ceil_mode"]
        )
        assume(min(count, ceiled) >= 1)
    channels = draw(st.integers(1, 2))
    x = draw(integers((channels, *shape)))
    return x, size, options, {**options, "channels": channels}


@settings(max_examples=150)
@given(poolings())
def test_sums_and_averages(drawn: Any) -> None:
    x, size, options, call = drawn
    shape = x.shape[1:]
    found = ca.sum_pool(shape, size, **call)(x)
    assert np.array_equal(found, naive.pooled(x, size, options, lambda v, _: sum(v)))
    included = naive.pooled(x, size, options, lambda v, n: Fraction(int(sum(v)), n or 1))
    if all(n for _, _, n in naive.windows(shape, size, options)):
        assert np.array_equal(ca.average_pool(shape, size, **call)(x), included)
    over = ca.average_pool(shape, size, divisor_override=7, **call)(x)
    assert np.array_equal(
        over, naive.pooled(x, size, options, lambda v, _: Fraction(int(sum(v)), 7))
    )
    if all(inside for _, inside, _ in naive.windows(shape, size, options)):
        alone = ca.average_pool(shape, size, count_include_pad=False, **call)
        right = naive.pooled(x, size, options, lambda v, _: Fraction(int(sum(v)), len(v)))
        assert np.array_equal(alone(x), right)
        assert np.allclose(alone(x.astype(float)), right.astype(float))
        assert np.allclose(alone.to_scipy() @ x.ravel(), right.astype(float).ravel())


@settings(max_examples=150)
@given(poolings(), st.data())
def test_winners(drawn: Any, data: st.DataObject) -> None:
    """Values, places and the first of ties, from few values so that ties abound."""
    x, size, options, call = drawn
    shape = x.shape[1:]
    x = np.sign(x)
    places = list(naive.windows(shape, size, options))
    pool = ca.max_pool(shape, size, **call)
    if not all(inside for _, inside, _ in places):
        with pytest.raises(ArgumentError, match="has only padding in its"):
            pool(x)
        empty = ~np.isfinite(pool(x.astype(float)))
        assert np.array_equal(empty[0].ravel(), [not inside for _, inside, _ in places])
        return
    assert np.array_equal(pool(x), naive.pooled(x, size, options, lambda v, _: max(v)))
    lowest = ca.min_pool(shape, size, **call)
    assert np.array_equal(lowest(x), naive.pooled(x, size, options, lambda v, _: min(v)))
    winners = [[naive.first_winner(image, inside) for _, inside, _ in places] for image in x]
    assert np.array_equal(pool.indices(x).reshape(len(x), -1), winners)
    jacobian = pool.at(x)
    assert np.array_equal(jacobian(x), pool(x))
    g = data.draw(integers(pool.out_shape))
    back = np.zeros_like(x).reshape(len(x), -1)
    for channel, row in enumerate(winners):
        np.add.at(back[channel], row, g[channel].ravel())
    assert np.array_equal(pool.gradient(x, g), back.reshape(x.shape))
    unpool = ca.max_unpool(pool.indices(x), shape, channels=len(x))
    spread = unpool(g).reshape(len(x), -1)
    for channel, row in enumerate(winners):
        for place, value in dict(zip(row, g[channel].ravel(), strict=True)).items():
            assert spread[channel, place] == value


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 2), st.data())
def test_adaptive_pools(n: int, m: int, channels: int, data: st.DataObject) -> None:
    x = data.draw(integers((channels, n, 4)))
    sizes = (m, 3)
    totals = ca.adaptive_pool((n, 4), sizes, reduce="sum", channels=channels)(x)
    assert np.array_equal(totals, naive.adaptive(x, sizes, sum))
    means = ca.adaptive_pool((n, 4), sizes, channels=channels)(x)
    right = naive.adaptive(x, sizes, lambda v: Fraction(int(sum(v)), len(v)))
    assert np.array_equal(means, right)
    largest = ca.adaptive_max_pool((n, 4), sizes, channels=channels)
    assert np.array_equal(largest(x), naive.adaptive(x, sizes, max))


def test_global_pools_are_windows_of_everything() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(ca.global_pool((3, 4), channels=2)(x), x.mean(axis=(1, 2), keepdims=True))
    assert np.array_equal(
        ca.global_pool((3, 4), reduce="sum", channels=2)(x), x.sum(axis=(1, 2), keepdims=True)
    )
    assert ca.global_max_pool((3, 4), channels=2)(x).ravel().tolist() == [11, 23]


@settings(max_examples=60)
@given(poolings(), st.integers(1, 4), st.booleans())
def test_norms_of_windows(drawn: Any, p: int, absolute: bool) -> None:
    x, size, options, call = drawn
    if not absolute and p > 1:
        x = np.abs(x)
    pool = ca.lp_pool(x.shape[1:], size, p, absolute=absolute, **call)
    sums = naive.pooled(
        x, size, options, lambda v, _: sum(abs(k) ** p if absolute else k**p for k in v)
    )
    assert np.allclose(np.asarray(pool(x), dtype=float) ** p, sums.astype(float))
    # The derivative along x itself is the value: the norm is homogeneous of degree one.
    assert np.allclose(
        np.asarray(pool.at(x)(x), dtype=float), np.asarray(pool(x), dtype=float), atol=1e-9
    )


def test_nan_and_infinity() -> None:
    pool = ca.max_pool(4, 2)
    assert np.isnan(pool([1.0, np.nan, 2.0, 3.0])).tolist() == [True, False]
    assert pool.indices([1.0, np.nan, 2.0, 3.0]).tolist() == [1, 3]
    assert pool([-np.inf, -np.inf, 0.0, -np.inf]).tolist() == [-np.inf, 0.0]
    assert pool.indices([-np.inf, -np.inf, 0.0, -np.inf]).tolist() == [0, 2]


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "float16", "float32", "float64"])
def test_types(kind: str) -> None:
    x = np.array([100, 3, 7, 120], dtype=kind)
    assert ca.max_pool(4, 2)(x).tolist() == [100, 120]
    assert ca.max_pool(4, 2)(x).dtype == kind
    assert ca.sum_pool(4, 2)(x).tolist() == [103, 127]
    # Squares of small integers do not wrap.
    assert np.allclose(
        np.asarray(ca.lp_pool(4, 2)(x), dtype=float),
        np.hypot(x[::2], x[1::2].astype(float)),
        rtol=1e-2,
    )


def test_ceil_mode_leaves_out_windows_in_the_padding() -> None:
    assert ca.sum_pool(4, 2, stride=3, padding=((0, 1),), ceil_mode=True).out_shape == (2,)
    assert ca.sum_pool(3, 2, stride=3, padding=((0, 1),), ceil_mode=True).out_shape == (1,)
    with pytest.raises(ConvalgError):
        ca.sum_pool(1, 4)


def test_identities_between_layers() -> None:
    """Exact, at one size each."""
    assert ca.prove.equal(ca.resize((3, 2), scale=2), ca.sum_pool((6, 4), 2).T)
    assert ca.prove.equal(ca.global_pool((3, 2)), ca.average_pool((3, 2), (3, 2)))
    assert ca.prove.equal(ca.adaptive_pool((6, 4), (3, 2)), ca.average_pool((6, 4), 2))
    outside = ca.average_pool(4, 3, stride=1, padding=1, count_include_pad=False)
    refuted = ca.prove.equal(outside, ca.average_pool(4, 3, stride=1, padding=1))
    assert refuted.counterexample is not None
    assert refuted.counterexample.row == 0
    assert not ca.prove.linear(ca.max_pool(4, 2))
