"""What simplifies to one convolution, and what must not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import Case, convolution, correlation, diagonal, layer, move, transposed
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers

import convalg as ca
from convalg.operators.leaves import Adjoint, Convolution, Selection, single_layer
from convalg.operators.tree import Compose, Kron, Sum

W = np.arange(1, 10).reshape(3, 3)
DEEP = np.arange(2 * 3 * 9).reshape(2, 3, 3, 3) % 11 - 5


def identity(shape: tuple[int, ...]) -> Case:
    return move(ca.identity(shape), shape, lambda x: x)


def pad(shape: tuple[int, ...], width: int, **options: str) -> Case:
    mode = {"circular": "wrap", "reflect": "reflect", "edge": "edge", "symmetric": "symmetric"}
    named = mode.get(options.get("boundary", ""), "constant")
    return move(ca.pad(shape, width, **options), shape, lambda x: np.pad(x, width, mode=named))


def flip(shape: tuple[int, ...]) -> Case:
    return move(ca.flip_axes(shape), shape, np.flip)


def upsample(n: int, factor: int) -> Case:
    return move(
        ca.upsample(n, factor),
        n,
        lambda x: np.kron(x, [1] + [0] * (factor - 1))[: factor * (n - 1) + 1],
    )


MERGED: dict[str, Callable[[], Case]] = {
    "adjoint of valid": lambda: correlation(6, [1, 2, 3]).T,
    "adjoint of a padded, dilated layer": lambda: (
        correlation((5, 5), W[:2], padding=1, dilation=2).T
    ),
    "adjoint of a convolution": lambda: convolution((4, 4), W, padding="full").T,
    "adjoint of channels": lambda: correlation((4, 4), DEEP, padding=1).T,
    "adjoint of groups": lambda: (
        correlation(4, [[[1, 2]], [[3, 4]], [[5, 6]], [[7, 8]]], groups=2).T
    ),
    "adjoint of circular": lambda: correlation(5, [1, 2, 3], padding="same", boundary="circular").T,
    "two valid layers": lambda: correlation(4, [1, 2]) @ correlation(6, [1, 2, 3]),
    "two full layers": lambda: (
        convolution(8, [1, 2], padding="full") @ convolution(6, [1, 2, 3], padding="full")
    ),
    "valid after full": lambda: correlation(8, [1, 2]) @ correlation(6, [1, 2, 3], padding=2),
    "dilations 2 and 3": lambda: (
        correlation(6, [1, 2], dilation=3) @ correlation(8, [1, 5], dilation=2)
    ),
    "three layers": lambda: (
        correlation(4, [1, 1]) @ correlation(5, [1, 2]) @ correlation(6, [1, 3])
    ),
    "two strided layers": lambda: (
        correlation(5, [1, 2], stride=2) @ correlation(11, [1, 2, 3], stride=2)
    ),
    "pad, then valid": lambda: correlation((6, 6), W) @ pad((4, 4), 1),
    "pad round, then valid": lambda: correlation((6, 6), W) @ pad((4, 4), 1, boundary="circular"),
    "reflect, then valid": lambda: correlation((6, 6), W) @ pad((4, 4), 1, boundary="reflect"),
    "repeat the edge, then valid": lambda: (
        correlation(6, [1, 2, 3]) @ pad((4,), 1, boundary="edge")
    ),
    "mirror, then valid": lambda: correlation(6, [1, 2, 3]) @ pad((4,), 1, boundary="symmetric"),
    "crop after a layer": lambda: (
        move(ca.crop(8, ((1, 2),)), 8, lambda x: x[1:-2]) @ correlation(6, [1, 2, 3], padding=2)
    ),
    "layer, then downsample": lambda: (
        move(ca.downsample((5, 5), 2), (5, 5), lambda x: x[::2, ::2])
        @ correlation((5, 5), W, padding=1)
    ),
    "downsample with an offset": lambda: (
        move(ca.downsample(6, 2, offset=1), 6, lambda x: x[1::2])
        @ correlation(6, [1, 2, 3], padding=1)
    ),
    "3x3 and 1x1 and identity": lambda: (
        correlation((4, 4), W, padding=1) + correlation((4, 4), [[5]]) + identity((4, 4))
    ),
    "identity first": lambda: identity((4,)) + correlation(4, [1, 2, 3], padding=1),
    "difference of two sizes": lambda: (
        correlation(6, [1, 2, 3], padding=1) - correlation(6, [1, 2, 3, 4, 5], padding=2)
    ),
    "sum of channels": lambda: (
        correlation((3, 3), DEEP, padding=1) + correlation((3, 3), DEEP[:, :, 1:2, 1:2])
    ),
    "layer and a shift": lambda: (
        correlation(5, [1, 2, 3], padding=1)
        + 4 * move(ca.shift(5, 2), 5, lambda x: np.pad(x, (2, 0))[:5])
    ),
    "layer without its input": lambda: correlation(5, [1, 2, 3], padding=1) - identity((5,)),
    "1x1 after 3x3, channels": lambda: (
        correlation((4, 4), np.arange(8).reshape(4, 2, 1, 1)) @ correlation((4, 4), DEEP, padding=1)
    ),
    "depthwise, then pointwise": lambda: (
        correlation((3, 3), [[[[1]], [[2]]], [[[3]], [[4]]]])
        @ correlation((4, 4), np.arange(8).reshape(2, 1, 2, 2), groups=2)
    ),
    "two depthwise layers": lambda: (
        correlation(4, [[[1, 2]], [[3, 4]]], groups=2)
        @ correlation(5, [[[5, 6]], [[7, 8]]], groups=2)
    ),
    "scaled": lambda: 3 * correlation(5, [1, 2, 3]),
    "scaled twice inside": lambda: -2 * (correlation(4, [1, 2]) @ (5 * correlation(5, [1, 2]))),
    "scaled adjoint": lambda: 2 * correlation(5, [1, 2, 3]).T,
    "two circular layers": lambda: (
        correlation(6, [1, 2, 3], padding="same", boundary="circular")
        @ correlation(6, [4, 5], padding="same", boundary="circular")
    ),
    "circular and its adjoint": lambda: (
        correlation(6, [1, 2, 3], padding="same", boundary="circular").T
        @ correlation(6, [1, 2, 3], padding="same", boundary="circular")
    ),
    "circular, as wide as the input": lambda: (
        correlation(3, [1, 2, 3], padding="same", boundary="circular")
        @ correlation(3, [1, 5, 2], padding="same", boundary="circular")
    ),
    "A_full^T A_full": lambda: (
        convolution(6, [1, 2, 3], padding="full").T @ convolution(6, [1, 2, 3], padding="full")
    ),
    "Kronecker of two layers": lambda: correlation(5, [1, 2, 3], stride=2, padding=1).kron(
        correlation(4, [1, -1])
    ),
    "Kronecker with an adjoint": lambda: correlation(5, [1, 2]).T.kron(correlation(3, [1, 4]).T),
    "flips on both sides": lambda: flip((3, 3)) @ correlation((5, 5), W) @ flip((5, 5)),
    "flips around an uneven padding": lambda: (
        flip((6,)) @ correlation(5, [1, 2, 3], padding=((2, 1),)) @ flip((5,))
    ),
    "separable": lambda: correlation((3, 5), [[1, 2, 1]]) @ correlation((5, 5), [[1], [0], [-1]]),
}

TRANSPOSED: dict[str, Callable[[], Case]] = {
    "adjoint of a strided layer": lambda: correlation(7, [1, 2, 3], stride=2).T,
    "upsample, then a layer": lambda: correlation(7, [1, 2, 3], padding=2) @ upsample(4, 2),
    "upsample, then an adjoint": lambda: correlation(9, [1, 2, 3]).T @ upsample(4, 2),
    "transposed, then a layer": lambda: correlation(9, [1, 2]) @ transposed(4, [1, 2, 3], stride=2),
    "transposed, then a crop": lambda: (
        move(ca.crop(9, 1), 9, lambda x: x[1:-1]) @ transposed(4, [1, 2, 3], stride=2)
    ),
    "a layer of stride 3 in adjoint channels": lambda: (
        transposed((2, 2), DEEP, stride=3)
        @ correlation((2, 2), np.arange(6).reshape(2, 3, 1, 1) - 2)
    ),
}

APART: dict[str, Callable[[], Case]] = {
    # What a crop leaves unread would be a padding below zero.
    "crop after a layer": lambda: (
        move(ca.crop(6, ((2, 1),)), 6, lambda x: x[2:-1]) @ correlation(6, [1, 2, 3], padding=1)
    ),
    "crop before a layer": lambda: (
        correlation(4, [1, 2]) @ move(ca.crop(7, ((2, 1),)), 7, lambda x: x[2:-1])
    ),
    "same after same": lambda: (
        correlation(6, [1, 2, 3], padding="same") @ correlation(6, [1, 2, 3], padding="same")
    ),
    "full after valid": lambda: (
        convolution(4, [1, 2, 3], padding="full") @ correlation(6, [1, 2, 3])
    ),
    "reflect after reflect": lambda: (
        correlation(6, [1, 2, 3], padding=1, boundary="reflect")
        @ correlation(6, [1, 2, 4], padding=1, boundary="reflect")
    ),
    "circular after zeros": lambda: (
        correlation(6, [1, 2, 3], padding=1, boundary="circular")
        @ correlation(6, [1, 2, 3], padding=1)
    ),
    "zeros and circular added": lambda: (
        correlation(6, [1, 2, 3], padding=1, boundary="circular")
        + correlation(6, [4, 5, 6], padding=1)
    ),
    "strides 1 and 2 added": lambda: (
        correlation(4, [1], stride=2, padding=0) + correlation(4, [1, 1, 1])
    ),
    "downsample, then upsample": lambda: (
        upsample(3, 2) @ move(ca.downsample(5, 2), 5, lambda x: x[::2])
    ),
    "flip on one side": lambda: flip((3,)) @ correlation(5, [1, 2, 3]),
    "a mask between": lambda: (
        correlation(4, [1, 2]) @ diagonal([1, 0, 1, 1]) @ correlation(5, [1, 2])
    ),
    "adjoint of the edge": lambda: correlation(4, [1, 2, 3], padding=1, boundary="edge").T,
}


@pytest.mark.parametrize("name", MERGED)
def test_is_one_convolution(name: str) -> None:
    case = MERGED[name]()
    simple = case.operator.simplify()
    assert isinstance(simple, Convolution), simple
    assert np.array_equal(simple.to_numpy(), case.matrix)
    assert all(axis.dilation > 0 and axis.stride > 0 for axis in simple.geometry.axes)


@pytest.mark.parametrize("name", TRANSPOSED)
def test_is_one_transposed_convolution(name: str) -> None:
    case = TRANSPOSED[name]()
    simple = case.operator.simplify()
    assert isinstance(simple, Adjoint), simple
    assert isinstance(simple.operator, Convolution)
    assert np.array_equal(simple.to_numpy(), case.matrix)


@pytest.mark.parametrize("name", APART)
def test_stays_apart(name: str) -> None:
    case = APART[name]()
    simple = case.operator.simplify()
    one = isinstance(simple, Adjoint) and isinstance(simple.operator, Convolution)
    assert not isinstance(simple, Convolution), simple
    assert not one or simple.operator.geometry.axes[0].boundary != "zeros", simple
    assert np.array_equal(simple.to_numpy(), case.matrix)


def test_moves_become_one_move() -> None:
    crop_of_pad = ca.crop(7, 2) @ ca.pad(3, 2)
    assert repr(crop_of_pad.simplify()) == "identity(3)"
    assert repr((ca.flip_axes(4) @ ca.flip_axes(4)).simplify()) == "identity(4)"
    assert repr((ca.downsample(6, 3) @ ca.downsample(12, 2)).simplify()) == "downsample(12, 6)"
    assert repr(ca.pad(2, 1).kron(ca.pad(3, 2)).simplify()) == "pad((2, 3), (1, 2))"
    lossy = ca.pad(3, 2) @ ca.crop(7, 2)
    assert np.array_equal(lossy.simplify().to_numpy(), np.diag([0, 0, 1, 1, 1, 0, 0]))


def test_adjoint_is_the_flipped_kernel_fully_padded() -> None:
    """Relationship 8 of the guide to convolution arithmetic, for a symbolic kernel."""
    layer = ca.correlation((5, 5), ca.kernel(3, 3)).T.simplify()
    other = ca.correlation((3, 3), ca.flip(ca.kernel(3, 3)), padding="full")
    assert repr(layer) == repr(other)
    assert np.array_equal(layer.kernel, other.kernel)
    assert layer.to_sympy() == other.to_sympy()


def test_composition_convolves_the_kernels() -> None:
    first, second = [1, 2, 3], [4, 5]
    joint = ca.convolution(8, second, padding="full") @ ca.convolution(6, first, padding="full")
    assert joint.simplify().kernel[::-1].tolist() == np.convolve(first, second).tolist()


def test_groups_stay_groups() -> None:
    depthwise = ca.correlation(5, [[[1, 2]], [[3, 4]], [[5, 6]]], groups=3)
    twice = (ca.correlation(4, [[[1, 1]], [[1, 2]], [[1, 3]]], groups=3) @ depthwise).simplify()
    assert twice.geometry.groups == 3
    assert twice.kernel.tolist() == [[[1, 3, 2]], [[3, 10, 8]], [[5, 21, 18]]]
    assert depthwise.T.simplify().geometry.groups == 3


def test_full_adjoint_times_full_is_the_autocorrelation() -> None:
    full = ca.convolution(6, [1, 2, 3], padding="full")
    assert (full.T @ full).simplify().kernel.tolist() == [3, 8, 14, 8, 3]


def test_simplify_leaves_the_operator_itself_alone() -> None:
    sum_of_two = ca.correlation(4, [1, 2, 3], padding=1) + ca.correlation(4, [5])
    before = sum_of_two.to_numpy()
    sum_of_two.simplify()
    assert isinstance(sum_of_two, Sum)
    assert np.array_equal(sum_of_two.to_numpy(), before)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "bool", "float32"])
def test_merged_kernels_do_not_overflow_small_types(dtype: str) -> None:
    kernel = np.ones(2, dtype=bool) if dtype == "bool" else np.array([100, 27], dtype=dtype)
    layer = ca.correlation(6, kernel)
    after = ca.correlation(5, kernel)
    for expression in (3 * layer, layer + layer, after @ layer, layer.T @ layer, layer.T):
        plain = expression.to_numpy().astype(float)
        assert np.array_equal(expression.simplify().to_numpy().astype(float), plain)


@pytest.mark.parametrize("name", ["scaled", "sum", "product", "kron"])
def test_merged_kernels_that_leave_64_bits_stay_exact_or_apart(name: str) -> None:
    """Nothing wraps round: the exact matrix is the same with and without simplify()."""
    large = ca.correlation(3, [2**62])
    expression = {
        "scaled": 4 * large,
        "sum": large + large,
        "product": large @ large,
        "kron": large.kron(large),
    }[name]
    try:
        simple = expression.simplify()
    except OverflowError:
        return
    assert simple.to_sympy() == expression.to_sympy()


@given(layers(boundaries=("zeros",)))
def test_adjoint_of_every_stride_1_layer_is_a_layer(drawn: Drawn) -> None:
    case = layer(drawn)
    leaf = case.operator.T if drawn.kind == "transposed_correlation" else case.operator
    simple = leaf.T.simplify()
    axes = leaf.geometry.axes
    # A padding above d (k - 1) crops the adjoint's input, which no call of a layer does.
    crops = any(axis.before >= axis.span or axis.after >= axis.span for axis in axes)
    if all(axis.stride == 1 for axis in axes) and not crops:
        assert isinstance(simple, Convolution)
    else:
        assert isinstance(simple, Adjoint)
    assert np.array_equal(simple.to_numpy(), leaf.to_numpy().T)


@given(layers(kinds=("correlation", "convolution")))
def test_pad_then_valid_is_one_layer(drawn: Drawn) -> None:
    """A padded layer is the unpadded one after ca.pad, whatever the boundary."""
    operator = drawn.operator
    geometry = operator.geometry
    shape = (drawn.shape,) if isinstance(drawn.shape, int) else drawn.shape
    pairs = tuple((axis.before, axis.after) for axis in geometry.axes)
    boundary = drawn.options["boundary"]
    if boundary == "reflect" and any(max(pair) >= n for pair, n in zip(pairs, shape, strict=True)):
        return
    padded = ca.pad(shape, pairs, boundary=boundary, channels=geometry.in_channels)
    make = getattr(ca, drawn.kind)
    spatial = padded.out_shape[-len(shape) :]
    rest = {k: v for k, v in drawn.options.items() if k not in ("padding", "boundary")}
    product = make(spatial, drawn.kernel, **rest) @ padded
    simple = product.simplify()
    assert isinstance(simple, Convolution)
    assert np.array_equal(simple.to_numpy(), operator.to_numpy())


def test_nodes_are_what_the_cases_say() -> None:
    """The trees above are not merged before simplify() is called."""
    assert isinstance(MERGED["two valid layers"]().operator, Compose)
    assert isinstance(MERGED["3x3 and 1x1 and identity"]().operator, Sum)
    assert isinstance(MERGED["Kronecker of two layers"]().operator, Kron)
    assert isinstance(ca.pad(3, 1).T, Selection)


def test_whole_numbers_and_floats_merge_to_floats() -> None:
    both = ca.correlation(6, [1, -2, 1]) @ ca.correlation(8, [0.25, 0.5, 0.25])
    merged = both.simplify()
    assert merged.kernel.dtype == np.float64
    np.testing.assert_allclose(merged.to_numpy(), both.to_numpy())


# -- gains of channels ----------------------------------------------------------------------


@st.composite
def layers_with_gains(draw: st.DrawFn) -> tuple[ca.Operator, ca.Operator, bool]:
    """A layer or its adjoint, a diagonal with one factor per channel, and on which side it is."""
    groups, outputs, inputs = (draw(st.integers(1, 3)) for _ in range(3))
    weights = np.array(
        draw(st.lists(st.integers(-3, 3), min_size=90, max_size=90)), dtype=np.int64
    )[: groups * outputs * inputs * 2].reshape(groups * outputs, inputs, 2)
    options = {"stride": draw(st.integers(1, 2)), "dilation": draw(st.integers(1, 2))}
    padding = draw(st.integers(0, 1))
    layer: ca.Operator = ca.correlation(5, weights, groups=groups, padding=padding, **options)
    layer = layer.T if draw(st.booleans()) else layer
    is_after = draw(st.booleans())
    shape = layer.out_shape if is_after else layer.in_shape
    gains = draw(st.lists(st.integers(-3, 3), min_size=shape[0], max_size=shape[0]))
    values = np.broadcast_to(np.array(gains)[:, None], shape)
    return layer, ca.diagonal(values), is_after


@given(drawn=layers_with_gains())
def test_a_factor_per_channel_is_folded_into_the_layer(
    drawn: tuple[ca.Operator, ca.Operator, bool],
) -> None:
    layer, gains, is_after = drawn
    both = gains @ layer if is_after else layer @ gains
    merged = both.simplify()
    assert single_layer(merged) is not None
    assert np.array_equal(merged.to_numpy(), both.to_numpy())


def test_gains_of_a_grouped_transposed_layer() -> None:
    gains = ca.diagonal(np.repeat([2, 3], 8).reshape(2, 8))
    layer = ca.transposed_correlation(3, [[[1, 2]], [[3, 4]]], stride=3, groups=2)
    assert (gains @ layer).simplify().kernel.tolist() == [[[2, 4]], [[9, 12]]]


def test_batch_norm_is_folded_into_the_layer_before_it() -> None:
    layer = ca.correlation(4, [[[1, 2]], [[3, 4]]])
    norm = ca.batch_norm(layer.out_shape, [1, 2], [3, 0], scale=[4, 5], epsilon=1)
    merged = (norm.at(np.zeros(layer.out_shape)) @ layer).simplify()
    assert repr(merged) == "correlation(4, [[[2.0, 4.0]], [[15.0, 20.0]]])"


def test_other_diagonals_stay_apart() -> None:
    """A factor per sample is not a factor per channel; two diagonals are one."""
    layer = ca.correlation(3, [[[1]], [[2]]])
    mask = ca.diagonal([[1, 0, 1], [1, 1, 0]])
    assert isinstance((mask @ layer).simplify(), Compose)
    assert repr((mask @ mask).simplify()) == "diagonal([[1, 0, 1], [1, 1, 0]])"
    plain = ca.diagonal([2, 2, 2]) @ ca.correlation(4, [1, 3])
    assert repr(plain.simplify()) == "correlation(4, [2, 6])"
