"""Padding, patches, interpolation, maps and networks of them: the same numbers as PyTorch.

Forward and gradients in float64; equality is exact wherever integers stay integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Drawn, integers, layers

import convalg as ca

torch = pytest.importorskip("torch")

from torch_layers import CONV, PAD_MODES, TRANSPOSED, padded, per_axis, sides  # noqa: E402
from torch_maps import (  # noqa: E402
    CHANNELS,
    ROUNDED,
    SMOOTH,
    Window,
    agree,
    pair,
    tensor,
    windows,
)

functional = torch.nn.functional

# Quarters are exact floats; large inputs overflow an exponential that is taken carelessly.
QUARTER, LARGE = 0.25, 500
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
DEEP = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple)


def smooth_pair(data: st.DataObject, layer: ca.Map) -> tuple[np.ndarray, np.ndarray]:
    """A batch of inputs in quarters, and of gradients to the outputs."""
    x, g = pair(data, layer, 8)
    return x * QUARTER, g


# --- operators that move or weigh samples ---


@st.composite
def paddings(draw: st.DrawFn, boundary: str) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """Sizes, and (before, after) of either sign that PyTorch's mode takes."""
    shape, pairs = [], []
    for _ in range(draw(st.integers(1, 3))):
        n = draw(st.integers(1, 5))
        most = {"zeros": 3, "edge": 3, "reflect": n - 1, "circular": n}[boundary]
        before, after = (draw(st.integers(-2, min(most, 3))) for _ in range(2))
        assume(n + before + after >= 1 and n + min(before, after) >= 1)
        shape.append(n)
        pairs.append((before, after))
    return tuple(shape), pairs


@pytest.mark.parametrize("boundary", PAD_MODES)
@settings(max_examples=50)
@given(st.data())
def test_padding(boundary: Any, data: st.DataObject) -> None:
    """F.pad in every mode; a negative amount crops.

    Where one end of an axis is cropped and the other wraps round, PyTorch crops first, convalg
    reads the whole input: the one case that is left out.
    """
    shape, pairs = data.draw(paddings(boundary), label="geometry")
    assume(boundary != "circular" or all(before * after >= 0 for before, after in pairs))
    channels = data.draw(st.sampled_from(CHANNELS), label="channels")
    layer = ca.pad(shape, tuple(pairs), boundary=boundary, channels=channels)
    agree(layer, *pair(data, layer), lambda t: padded(t, pairs, boundary), plain=channels is None)


@settings(max_examples=50)
@given(DEEP, st.data())
def test_slices_and_axes(shape: tuple[int, ...], data: st.DataObject) -> None:
    """downsample as a slice, permute, and flatten."""
    factors = data.draw(st.tuples(*[st.integers(1, 3)] * len(shape)), label="factors")
    offsets = data.draw(st.tuples(*[st.integers(0, n - 1) for n in shape]), label="offsets")
    axes = data.draw(st.permutations(range(len(shape))), label="axes")
    cut = (slice(None), *(slice(o, None, s) for o, s in zip(offsets, factors, strict=True)))
    moved = (0, *(axis + 1 for axis in axes))
    cases: list[tuple[ca.Operator, Callable[[Any], Any]]] = [
        (ca.downsample(shape, factors, offset=offsets), lambda t: t[cut]),
        (ca.permute(shape, axes), lambda t: t.permute(moved)),
        (ca.flatten(shape), lambda t: t.flatten(1)),
    ]
    for layer, forward in cases:
        agree(layer, *pair(data, layer), forward)


@settings(max_examples=100)
@given(windows(dims=(1, 2, 2), wide=True, ceil=False), st.booleans(), st.data())
def test_unfold_and_fold(window: Window, folded: bool, data: st.DataObject) -> None:
    """F.unfold and F.fold, which have two axes: one axis goes as a column."""
    stride = 1 if window.stride is None else window.stride
    options = {"stride": stride, "padding": window.padding, "dilation": window.dilation}
    make = ca.fold if folded else ca.unfold
    layer = make(window.shape, window.size, channels=window.channels, **options)
    x, g = pair(data, layer)
    rest, zeros = (1,) * (2 - window.dims), (0,) * (2 - window.dims)
    wide = {name: (*per_axis(v, window.dims), *rest) for name, v in options.items()}
    wide["padding"] = (*per_axis(window.padding, window.dims), *zeros)
    plane = (window.channels or 1, *window.shape, *rest)

    def forward(inputs: Any) -> Any:
        if folded:
            return functional.fold(inputs, plane[1:], (*window.taps, *rest), **wide)
        return functional.unfold(inputs.reshape(-1, *plane), (*window.taps, *rest), **wide)

    agree(layer, x, g, forward)


@settings(max_examples=50)
@given(st.tuples(*[st.integers(1, 3)] * 4), st.data())
def test_pixel_shuffle(sizes: tuple[int, int, int, int], data: st.DataObject) -> None:
    *shape, factor, inner = sizes
    layer = ca.pixel_shuffle(tuple(shape), factor, channels=inner * factor**2)
    agree(layer, *pair(data, layer), lambda t: functional.pixel_shuffle(t, factor))
    large = tuple(n * factor for n in shape)
    layer = ca.pixel_unshuffle(large, factor, channels=inner)
    agree(layer, *pair(data, layer), lambda t: functional.pixel_unshuffle(t, factor))


# PyTorch's mode and align_corners, and the words of `resize` for them.
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
MODES = {
    ("nearest", None): {"coordinates": "asymmetric", "rounding": "floor"},
    ("nearest-exact", None): {"coordinates": "half_pixel", "rounding": "round_prefer_ceil"},
    ("linear", False): {"mode": "linear", "coordinates": "half_pixel"},
    ("linear", True): {"mode": "linear", "coordinates": "align_corners"},
}
SCALES = (0.3, 0.4, 0.5, 0.75, 1.0, 1.25, 1.5, 1.7, 2.0, 2.5, 3.0)


@pytest.mark.parametrize(("mode", "corners"), MODES)
@settings(max_examples=80)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), st.data())
def test_interpolate(
    mode: str, corners: bool | None, shape: tuple[int, ...], data: st.DataObject
) -> None:
    """By size and by scale, up and down; PyTorch computes its places in floats."""
    dims = len(shape)
    words: dict[str, Any] = dict(MODES[mode, corners])
    channels = data.draw(st.sampled_from(CHANNELS), label="channels")
    most = {1: 12, 2: 8, 3: 4}[dims]
    if data.draw(st.booleans(), label="by size"):
        size = data.draw(st.tuples(*[st.integers(1, most)] * dims), label="size")
        target: dict[str, Any] = {"size": size}
        layer = ca.resize(shape, size, channels=channels, **words)
    else:
        scale = data.draw(st.tuples(*[st.sampled_from(SCALES)] * dims), label="scale")
        sizes = [math.floor(n * s) for n, s in zip(shape, scale, strict=True)]
        assume(min(sizes) >= 1)
        # PyTorch copies an axis that keeps its size, whatever the scale.
        kept = [m == n and s != 1 for n, m, s in zip(shape, sizes, scale, strict=True)]
        assume(mode != "linear" or corners or not any(kept))
        target = {"scale_factor": scale}
        layer = ca.resize(shape, scale=scale, channels=channels, **words)
    named = LINEAR[dims] if mode == "linear" else mode
    x, g = pair(data, layer)

    target |= {"mode": named, "align_corners": corners}
    move = functional.interpolate
    agree(layer, x, g, lambda t: move(t, **target), plain=channels is None, tolerance=ROUNDED)


@settings(max_examples=50)
@given(DEEP, st.sampled_from((0, 0.25, 0.5, 0.75)), st.integers(0, 2**31), st.data())
def test_dropout(shape: tuple[int, ...], rate: float, seed: int, data: st.DataObject) -> None:
    """The mask that PyTorch draws from a seed, given to convalg."""

    def drop(inputs: Any) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return functional.dropout(inputs, rate, training=True)

    mask = (drop(torch.ones(shape, dtype=torch.float64)) > 0).numpy().astype(int)
    layer = ca.dropout(mask, rate)
    x, g = pair(data, layer)
    agree(layer, x, g, lambda t: torch.stack([drop(one) for one in t]), tolerance=ROUNDED)


# --- an operator with its bias ---


def with_bias(data: st.DataObject, operator: ca.Operator, deep: bool) -> tuple[ca.Map, Any]:
    """`affine` with one number, one for each channel or all; and what adds it to a tensor."""
    shapes = [(), operator.out_shape]
    if deep:
        shapes.append(operator.out_shape[:1])
    bias = data.draw(st.sampled_from(shapes).flatmap(integers), label="bias")
    whole = bias.shape == operator.out_shape or not bias.ndim
    rest = () if whole else (1,) * (len(operator.out_shape) - 1)
    return ca.affine(operator, bias), lambda b: b.reshape((*b.shape, *rest))


def check_affine(drawn: Drawn, data: st.DataObject, forward: Any) -> None:
    """The layer of `drawn` with a bias, with gradients to both parameters."""
    kernel = drawn.weights
    deep = kernel.ndim - len(per_axis(drawn.shape, 1)) == 2
    layer, spread = with_bias(data, drawn.operator, deep)

    def biased(inputs: Any, weights: Any, bias: Any) -> Any:
        if deep:
            return forward(inputs, weights) + spread(bias)
        return forward(inputs[:, None], weights[None, None])[:, 0] + spread(bias)

    agree(layer, *pair(data, layer), biased, parameters=dict(layer.parameters))


@settings(max_examples=80)
@given(layers(kinds=("correlation",), words=()), st.data())
def test_affine_convolutions(drawn: Drawn, data: st.DataObject) -> None:
    options = drawn.options
    sizes = per_axis(drawn.shape, 1)
    pairs = sides(options["padding"], len(sizes))
    boundary = options["boundary"]
    assume(boundary in PAD_MODES)
    assume(boundary != "circular" or all(map(lambda p, n: max(p) <= n, pairs, sizes)))
    common = {name: options[name] for name in ("stride", "dilation", "groups") if name in options}

    def forward(inputs: Any, weights: Any) -> Any:
        return CONV[len(sizes)](padded(inputs, pairs, boundary), weights, **common)

    check_affine(drawn, data, forward)


@settings(max_examples=60)
@given(layers(kinds=("transposed_correlation",), words=()), st.data())
def test_affine_transposed_convolutions(drawn: Drawn, data: st.DataObject) -> None:
    options = drawn.options
    dims = len(per_axis(drawn.shape, 1))
    pairs = sides(options["padding"], dims)
    assume(all(before == after for before, after in pairs))
    names = ("stride", "dilation", "groups", "output_padding")
    common = {name: options[name] for name in names if name in options}

    def forward(inputs: Any, weights: Any) -> Any:
        widths = tuple(before for before, _ in pairs)
        return TRANSPOSED[dims](inputs, weights, padding=widths, **common)

    check_affine(drawn, data, forward)


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 4), st.data())
def test_affine_dense(shape: tuple[int, ...], outputs: int, data: st.DataObject) -> None:
    """F.linear of the flattened input."""
    kernel = data.draw(integers((outputs, math.prod(shape))), label="weights")
    layer, _ = with_bias(data, ca.dense(kernel, shape), deep=False)

    def forward(inputs: Any, weights: Any, bias: Any) -> Any:
        return functional.linear(inputs.flatten(1), weights) + bias

    agree(layer, *pair(data, layer), forward, parameters=dict(layer.parameters))


# --- activations and normalisations ---


@settings(max_examples=60)
@given(SHAPES, st.sampled_from((0, 1, 2, -1, 0.25)), st.data())
def test_piecewise_linear_activations(
    shape: tuple[int, ...], slope: float, data: st.DataObject
) -> None:
    """relu and leaky_relu, exactly; also at 0, where both take the slope from the left."""
    layer: ca.Map = ca.relu(shape)
    agree(layer, *pair(data, layer, 2), functional.relu)
    layer = ca.leaky_relu(shape, slope)
    agree(layer, *pair(data, layer, 2), lambda t: functional.leaky_relu(t, slope))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "leaky_relu"])
@settings(max_examples=30)
@given(SHAPES, st.sampled_from((1, LARGE)), st.data())
def test_smooth_activations(
    name: str, shape: tuple[int, ...], factor: int, data: st.DataObject
) -> None:
    """With the usual slope of leaky_relu, and far out where an exponential overflows."""
    layer = getattr(ca, name)(shape)
    x, g = smooth_pair(data, layer)
    function = getattr(functional if name == "leaky_relu" else torch, name)
    agree(layer, x * factor, g, function, tolerance=SMOOTH)


@settings(max_examples=60)
@given(SHAPES, st.sampled_from((1, LARGE)), st.data())
def test_softmax(shape: tuple[int, ...], factor: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1), label="axis")
    layer = ca.softmax(shape, axis)
    x, g = smooth_pair(data, layer)
    place = axis % len(shape) + 1
    agree(layer, x * factor, g, lambda t: functional.softmax(t, place), tolerance=SMOOTH)


def statistics(data: st.DataObject, channels: int, name: str) -> np.ndarray:
    """One number in quarters for each channel."""
    return data.draw(integers((channels,), 9), label=name) * QUARTER


EPSILON = st.sampled_from((1e-5, 1e-3, 0.5))


@settings(max_examples=60)
@given(DEEP, EPSILON, st.data())
def test_batch_norm(shape: tuple[int, ...], epsilon: float, data: st.DataObject) -> None:
    """In use; spatial axes may be missing."""
    mean, variance = (statistics(data, shape[0], name) for name in ("mean", "variance"))
    variance = np.abs(variance)
    parameters = {name: statistics(data, shape[0], name) for name in ("scale", "offset")}
    layer = ca.batch_norm(shape, mean, variance, epsilon=epsilon, **parameters)
    fixed = torch.tensor(mean), torch.tensor(variance)

    def forward(inputs: Any, scale: Any, offset: Any) -> Any:
        return functional.batch_norm(inputs, *fixed, scale, offset, eps=epsilon)

    x, g = smooth_pair(data, layer)
    agree(layer, x, g, forward, tolerance=SMOOTH, parameters=parameters)


@settings(max_examples=80)
@given(DEEP, st.integers(1, 3), EPSILON, st.data())
def test_batch_norm_training(
    shape: tuple[int, ...], samples: int, epsilon: float, data: st.DataObject
) -> None:
    """Two batches, each with its own statistics; a channel may be constant."""
    # PyTorch refuses to take the variance of a single number.
    assume(samples * math.prod(shape[1:]) > 1)
    parameters = {name: statistics(data, shape[0], name) for name in ("scale", "offset")}
    layer = ca.batch_norm_training((samples, *shape), epsilon=epsilon, **parameters)

    def forward(inputs: Any, *given: Any) -> Any:
        norm = functional.batch_norm
        return torch.stack([norm(x, None, None, *given, True, eps=epsilon) for x in inputs])

    x, g = smooth_pair(data, layer)
    agree(layer, x, g, forward, tolerance=SMOOTH, parameters=parameters)


@settings(max_examples=80)
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 7),
    st.integers(1, 6),
    st.sampled_from(({}, {"alpha": 0.5, "beta": 0.75, "k": 2.0}, {"alpha": 2.0, "beta": 1.5})),
    st.data(),
)
def test_local_response_norm(
    spatial: list[int], channels: int, size: int, options: dict[str, Any], data: st.DataObject
) -> None:
    """Windows of odd and even size, also wider than the channels."""
    layer = ca.local_response_norm((channels, *spatial), size, **options)
    norm = functional.local_response_norm
    agree(layer, *smooth_pair(data, layer), lambda t: norm(t, size, **options), tolerance=SMOOTH)


# --- networks ---


@st.composite
def planes(draw: st.DrawFn) -> tuple[int, tuple[int, ...]]:
    """Channels and spatial sizes of the input of a small network."""
    dims = draw(st.sampled_from((1, 2, 2)))
    return draw(st.integers(1, 3)), draw(st.tuples(*[st.integers(3, 6)] * dims))


def conv(data: st.DataObject, shape: tuple[int, ...], before: int, after: int, taps: int) -> ca.Map:
    """A correlation that keeps the size, with a bias for each channel."""
    kernel = data.draw(integers((after, before, *(taps,) * len(shape)), 2), label="kernel")
    bias = data.draw(integers((after,), 2), label="bias")
    return ca.affine(ca.correlation(shape, kernel, padding=taps // 2), bias)


def keeping(inputs: Any, weights: Any, bias: Any) -> Any:
    """PyTorch's layer for `conv`."""
    return CONV[weights.ndim - 2](inputs, weights, bias, padding=weights.shape[-1] // 2)


@settings(max_examples=60)
@given(planes(), st.data())
def test_classifier(plane: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    """affine, relu, max_pool, flatten, affine: every number exact, ties and all."""
    channels, shape = plane
    pool = ca.max_pool(shape, 2, channels=2)
    flat = ca.flatten(pool.out_shape)
    weights = data.draw(integers((3, *flat.out_shape), 2), label="weights")
    head = ca.affine(ca.dense(weights), data.draw(integers((3,), 2), label="bias"))
    net = head @ flat @ pool @ ca.relu(pool.in_shape) @ conv(data, shape, channels, 2, 3)
    assert list(net.parameters) == ["0.kernel", "0.bias", "4.weights", "4.bias"]

    def forward(inputs: Any, kernel: Any, first: Any, weights: Any, second: Any) -> Any:
        hidden = torch.relu(keeping(inputs, kernel, first))
        pooled = getattr(functional, f"max_pool{len(shape)}d")(hidden, 2)
        return functional.linear(pooled.flatten(1), weights, second)

    agree(net, *pair(data, net), forward, parameters=dict(net.parameters))


@settings(max_examples=40)
@given(planes(), st.data())
def test_smooth_classifier(plane: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    """affine, batch_norm, tanh, average over all, affine, softmax."""
    channels, shape = plane
    scale, offset = (statistics(data, 2, name) for name in ("scale", "offset"))
    norm = ca.batch_norm((2, *shape), [0.5, -1], [4, 9], scale=scale, offset=offset)
    mean = ca.global_pool(shape, channels=2)
    head = ca.affine(ca.dense([[1, -2], [3, 1], [0, 2]], mean.out_shape), [1, 0, -1])
    body = ca.tanh(norm.out_shape) @ norm @ conv(data, shape, channels, 2, 3)
    net = ca.softmax(3) @ head @ mean @ body
    fixed = tensor([0.5, -1]).detach(), tensor([4, 9]).detach()

    def forward(inputs: Any, *given: Any) -> Any:
        kernel, bias, scale, offset, weights, second = given
        hidden = keeping(inputs, kernel, bias)
        hidden = torch.tanh(functional.batch_norm(hidden, *fixed, scale, offset))
        scores = functional.linear(hidden.flatten(2).mean(2), weights, second)
        return torch.softmax(scores, 1)

    x, g = smooth_pair(data, net)
    agree(net, x, g, forward, tolerance=SMOOTH, parameters=dict(net.parameters))


@settings(max_examples=50)
@given(planes(), st.data())
def test_residual_block(plane: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    """relu(x + conv(relu(conv(x)))): two paths to every parameter but the last."""
    channels, shape = plane
    first, second = conv(data, shape, channels, 2, 3), conv(data, shape, 2, channels, 1)
    body = second @ ca.relu((2, *shape)) @ first
    net = ca.relu(body.out_shape) @ (ca.identity(shape, channels=channels) + body)

    def forward(inputs: Any, *given: Any) -> Any:
        hidden = torch.relu(keeping(inputs, *given[:2]))
        return torch.relu(inputs + keeping(hidden, *given[2:]))

    agree(net, *pair(data, net), forward, parameters=dict(net.parameters))


@settings(max_examples=50)
@given(planes(), st.data())
def test_dense_blocks(plane: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    """Each block puts its output behind its input (DenseNet); two of them."""
    channels, shape = plane
    net: ca.Map = ca.identity(shape, channels=channels)
    for growth in (2, 1):
        grown = ca.relu((growth, *shape)) @ conv(data, shape, channels, growth, 3)
        net = ca.concat([ca.identity(shape, channels=channels), grown]) @ net
        channels += growth

    def forward(inputs: Any, *given: Any) -> Any:
        for kernel, bias in (given[:2], given[2:]):
            inputs = torch.cat([inputs, torch.relu(keeping(inputs, kernel, bias))], 1)
        return inputs

    agree(net, *pair(data, net), forward, parameters=dict(net.parameters))


@settings(max_examples=50)
@given(planes(), st.data())
def test_inception_block(plane: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    """Branches of one input side by side: kernels of 1 and 3 taps, and a pooling."""
    channels, shape = plane
    pool = ca.max_pool(shape, 3, stride=1, padding=1, channels=channels)
    parts = [conv(data, shape, channels, 2, 1), conv(data, shape, channels, 1, 3), pool]
    net = ca.concat(parts)

    def forward(inputs: Any, *given: Any) -> Any:
        pooled = getattr(functional, f"max_pool{len(shape)}d")(inputs, 3, 1, 1)
        return torch.cat([keeping(inputs, *given[:2]), keeping(inputs, *given[2:]), pooled], 1)

    agree(net, *pair(data, net), forward, parameters=dict(net.parameters))


@settings(max_examples=40)
@given(DEEP, st.data())
def test_concatenation(shape: tuple[int, ...], data: st.DataObject) -> None:
    """`embeddings` against torch.cat, and its gradient to each part."""
    axis = data.draw(st.integers(0, len(shape) - 1), label="axis")
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=3), label="lengths")
    parts = [(*shape[:axis], n, *shape[axis + 1 :]) for n in lengths]
    found = ca.embeddings(parts, axis)
    values = [data.draw(integers(part), label="x") for part in parts]
    inputs = [tensor(value) for value in values]
    outputs = torch.cat(inputs, axis)
    g = data.draw(integers(tuple(outputs.shape)), label="g")
    expected = torch.autograd.grad(outputs, inputs, tensor(g).detach())
    total = sum(one(value) for one, value in zip(found, values, strict=True))
    assert np.array_equal(total, outputs.detach().numpy())
    for one, to_part in zip(found, expected, strict=True):
        assert np.array_equal(one.T(g), to_part.numpy())
