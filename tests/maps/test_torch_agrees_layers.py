"""Pooling: the same numbers as PyTorch in float64, forward and gradients.

Small integers keep every sum exact, so equality is exact wherever a layer only picks or adds
samples. Means are exact fractions here and are compared as floats.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import integers
from torch_maps import (
    CHANNELS,
    ROUNDED,
    SMOOTH,
    Forward,
    Window,
    agree,
    loose,
    pair,
    same,
    tensor,
    torch,
    windows,
)

import convalg as ca

functional = torch.nn.functional

FEW = 1
"""Entries from -1 to 1 only: most windows hold their largest sample several times."""


def of(name: str, dims: int) -> Forward:
    """PyTorch's function for as many spatial axes."""
    return getattr(functional, f"{name}{dims}d")


def accepted(window: Window) -> bool:
    """Whether PyTorch averages it: in three dimensions not where a window needs the padding."""
    return window.dims < 3 or all(np.greater_equal(window.shape, window.taps))


def occupied(window: Window) -> bool:
    """Whether every window holds a sample of the input.

    A dilated window can hold none: PyTorch then gives minus infinity and an index outside of the
    input, convalg minus infinity and the index -1.
    """
    total = window.layer(ca.sum_pool)
    return bool(total(np.ones(total.in_shape, dtype=np.int64)).all())


# --- maxima ---


@settings(max_examples=200)
@given(windows(), st.sampled_from((FEW, 9)), st.data())
def test_max_pool(window: Window, size: int, data: st.DataObject) -> None:
    """Values, indices and gradients, also among ties and with negative samples at the padding."""
    assume(occupied(window))
    layer = window.layer(ca.max_pool)
    x, g = pair(data, layer, size)
    if size == 9:
        # No sample is positive, so that a padding of zeros would win.
        x = x - 9
    pool = of("max_pool", window.dims)
    places = []

    def forward(inputs: Any) -> Any:
        found = pool(
            inputs,
            window.size,
            window.stride,
            window.padding,
            window.dilation,
            ceil_mode=window.ceil_mode,
            return_indices=True,
        )
        places.append(found[1])
        return found[0]

    agree(layer, x, g, forward, plain=window.plain)
    same(layer.indices(x), places[0], 0)


@settings(max_examples=60)
@given(windows(), st.data())
def test_min_pool(window: Window, data: st.DataObject) -> None:
    """PyTorch has none: the largest of the negated samples, negated."""
    assume(occupied(window))
    layer = window.layer(ca.min_pool)
    x, g = pair(data, layer, FEW)
    pool = of("max_pool", window.dims)

    def forward(inputs: Any) -> Any:
        options = {"ceil_mode": window.ceil_mode, "dilation": window.dilation}
        return -pool(-inputs, window.size, window.stride, window.padding, **options)

    agree(layer, x, g, forward, plain=window.plain)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_pool_of_nan(dims: int) -> None:
    """A NaN wins over all numbers, and gets the gradient.

    One NaN only: of several in a window PyTorch names the last one, convalg the first.
    """
    shape, size = (1,) * (dims - 1) + (5,), (1,) * (dims - 1) + (3,)
    x = np.array([[1, np.nan, 7, np.inf, -np.inf]]).reshape(1, *shape)
    layer = ca.max_pool(shape, size, stride=1)
    inputs, g = tensor(x[:, None]), np.arange(1.0, 4).reshape(1, *layer.out_shape)
    outputs, places = of("max_pool", dims)(inputs, size, 1, return_indices=True)
    (to_input,) = torch.autograd.grad(outputs, inputs, torch.tensor(g[:, None]))
    assert np.array_equal(layer(x), outputs.detach().numpy()[:, 0], equal_nan=True)
    same(layer.indices(x), places, 0)
    same(layer.gradient(x, g), to_input, 0)


@st.composite
def adaptive(draw: st.DrawFn) -> tuple[tuple[int, ...], Any, int | None]:
    """Input and output sizes of any ratio, dividing or not, larger or smaller."""
    axes = draw(st.sampled_from((1, 2, 2, 3)))
    most = {1: 9, 2: 6, 3: 3}[axes]
    shape = draw(st.tuples(*[st.integers(1, most)] * axes))
    wanted = draw(st.tuples(*[st.integers(1, most)] * axes))
    return shape, loose(draw, wanted), draw(st.sampled_from(CHANNELS))


@settings(max_examples=80)
@given(adaptive(), st.data())
def test_adaptive_max_pool(
    sizes: tuple[tuple[int, ...], Any, int | None], data: st.DataObject
) -> None:
    shape, wanted, channels = sizes
    layer = ca.adaptive_max_pool(shape, wanted, channels=channels)
    x, g = pair(data, layer, FEW)
    places = []

    def forward(inputs: Any) -> Any:
        pool = of("adaptive_max_pool", len(shape))
        found = pool(inputs, wanted, return_indices=True)
        places.append(found[1])
        return found[0]

    agree(layer, x, g, forward, plain=channels is None)
    same(layer.indices(x), places[0], 0)


@settings(max_examples=80)
@given(adaptive(), st.sampled_from(("average", "sum", "largest")), st.data())
def test_global_pools(
    sizes: tuple[tuple[int, ...], Any, int | None], reduce: Any, data: st.DataObject
) -> None:
    shape, _, channels = sizes
    dims = tuple(range(-len(shape), 0))
    if reduce == "largest":
        layer: ca.Map = ca.global_max_pool(shape, channels=channels)
    else:
        layer = ca.global_pool(shape, reduce=reduce, channels=channels)
    x, g = pair(data, layer, FEW)

    def forward(inputs: Any) -> Any:
        if reduce == "average":
            return inputs.mean(dims, keepdim=True)
        if reduce == "sum":
            return inputs.sum(dims, keepdim=True)
        # torch.amax shares the gradient out among equal samples; the pooling picks one.
        return of("adaptive_max_pool", len(shape))(inputs, 1)

    agree(layer, x, g, forward, plain=channels is None, tolerance=ROUNDED)


@settings(max_examples=100)
@given(windows(dilated=False), st.data())
def test_max_unpool(window: Window, data: st.DataObject) -> None:
    """From the indices of a pooling, with overlaps: all that goes to one place is equal then.

    Which of several unequal values stays is left open by PyTorch (a race of its threads), and
    its gradient goes to all of them: only distinct indices are asked for one.
    """
    pool = window.layer(ca.max_pool)
    x, _ = pair(data, pool, FEW)
    for sample in x:
        places = pool.indices(sample)
        layer = ca.max_unpool(places, window.shape, channels=window.channels)
        held = data.draw(integers(window.shape), label="values by place")
        values = np.take(held.ravel(), places)
        g = data.draw(integers(layer.out_shape), label="g")
        lead = (1, 1) if window.plain else (1,)
        inputs = tensor(values.reshape(*lead, *values.shape))
        where = torch.tensor(places.reshape(*lead, *places.shape))
        outputs = of("max_unpool", window.dims)(
            inputs, where, window.size, window.stride, window.padding, output_size=window.shape
        )
        same(layer(values), outputs, 0)
        if layer.to_scipy().nnz == places.size:
            upstream = tensor(g).detach().reshape(outputs.shape)
            (expected,) = torch.autograd.grad(outputs, inputs, upstream)
            same(layer.gradient(values, g), expected, 0)


# --- sums and means ---


@settings(max_examples=150)
@given(windows(dilated=False), st.booleans(), st.none() | st.integers(1, 7), st.data())
def test_average_pool(
    window: Window, count_include_pad: bool, divisor: int | None, data: st.DataObject
) -> None:
    """Exact fractions, each within one rounding of PyTorch's mean."""
    assume(accepted(window))
    options: dict[str, Any] = {"count_include_pad": count_include_pad}
    if window.dims > 1:
        options["divisor_override"] = divisor
    layer = window.layer(ca.average_pool, **options)
    x, g = pair(data, layer)
    options["ceil_mode"] = window.ceil_mode

    def forward(inputs: Any) -> Any:
        pool = of("avg_pool", window.dims)
        return pool(inputs, window.size, window.stride, window.padding, **options)

    agree(layer, x, g, forward, plain=window.plain, tolerance=ROUNDED)
    assert all(isinstance(value, int | Fraction | np.integer) for value in layer(x).ravel())


@settings(max_examples=100)
@given(windows(wide=True, ceil=False), st.data())
def test_sum_pool(window: Window, data: st.DataObject) -> None:
    """A correlation with ones, channel by channel."""
    layer = window.layer(ca.sum_pool)
    x, g = pair(data, layer)
    groups = window.channels or 1
    ones = torch.ones((groups, 1, *window.taps), dtype=torch.float64)

    def forward(inputs: Any) -> Any:
        stride = window.taps if window.stride is None else window.stride
        conv = of("conv", window.dims)
        return conv(inputs, ones, None, stride, window.padding, window.dilation, groups)

    agree(layer, x, g, forward, plain=window.plain)


@settings(max_examples=60)
@given(windows(dims=(2, 2, 3), dilated=False), st.data())
def test_sum_pool_in_ceil_mode(window: Window, data: st.DataObject) -> None:
    """avg_pool with a divisor of 1."""
    assume(accepted(window))
    layer = window.layer(ca.sum_pool)
    x, g = pair(data, layer)

    def forward(inputs: Any) -> Any:
        options = {"ceil_mode": window.ceil_mode, "divisor_override": 1}
        pool = of("avg_pool", window.dims)
        return pool(inputs, window.size, window.stride, window.padding, **options)

    agree(layer, x, g, forward, plain=window.plain)


@settings(max_examples=80)
@given(adaptive(), st.data())
def test_adaptive_average_pool(
    sizes: tuple[tuple[int, ...], Any, int | None], data: st.DataObject
) -> None:
    shape, wanted, channels = sizes
    layer = ca.adaptive_pool(shape, wanted, channels=channels)
    x, g = pair(data, layer)

    def forward(inputs: Any) -> Any:
        return of("adaptive_avg_pool", len(shape))(inputs, wanted)

    agree(layer, x, g, forward, plain=channels is None, tolerance=ROUNDED)


@settings(max_examples=100)
@given(windows(dilated=False, padded=False), st.integers(1, 4), st.data())
def test_lp_pool(window: Window, p: int, data: st.DataObject) -> None:
    """absolute=False is PyTorch's sum of x^p; the norm itself is PyTorch's layer on |x|.

    Where a window is all zeros both take the gradient as zero.

    In ceil_mode PyTorch takes the mean over the part of a window that lies inside times the
    whole window, where convalg (and ONNX) sum what is inside: that factor is put in here.
    """
    absolute = data.draw(st.booleans(), label="absolute")
    layer = window.layer(ca.lp_pool, p, without=("padding", "dilation"), absolute=absolute)
    x, g = pair(data, layer)
    if p % 2 and not absolute:
        # A negative sum has no root.
        x = np.abs(x) + 1
    inside = window.layer(ca.sum_pool)(np.ones(layer.in_shape))
    part = torch.tensor(inside / math.prod(window.taps)) ** (1 / p)
    size, stride = window.size, window.stride
    if window.dims == 1:
        size, stride = window.taps[0], stride[0] if isinstance(stride, tuple) else stride

    def forward(inputs: Any) -> Any:
        pool = of("lp_pool", window.dims)
        inputs = inputs.abs() if absolute else inputs
        return pool(inputs, p, size, stride, window.ceil_mode) * part

    agree(layer, x, g, forward, plain=window.plain, tolerance=SMOOTH)


@pytest.mark.parametrize("p", [1, 3])
def test_lp_pool_of_negative_samples(p: int) -> None:
    """With odd p negative samples cancel, and a negative sum has no root (but for p = 1)."""
    x = np.array([[3.0, -4.0, 5.0, -1.0]])
    found = ca.lp_pool(4, 2, p, absolute=False)(x)
    expected = functional.lp_pool1d(tensor(x[:, None]), p, 2).detach().numpy()[:, 0]
    np.testing.assert_allclose(found, expected, rtol=SMOOTH)
    assert np.isnan(found).any() == (p == 3)
