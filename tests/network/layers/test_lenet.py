"""Layers of single architectures: tables, sub-sampling, radial units, regions, samples."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

import islpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.network.layers.scale import Standardise

L = ca.layers
Array = np.ndarray


def integers(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).integers(-4, 5, size=shape)


def filled(layer: Any, in_shape: tuple[int, ...], seed: int = 0) -> ca.Network:
    """The layer alone in a network, with small whole numbers for weights."""
    net = ca.sequential(in_shape, [layer])
    arrays = {**layer.weights(in_shape), **layer.buffers(in_shape)}
    for k, (name, shape) in enumerate(arrays.items()):
        net.set_weights(net.output, **{name: integers(seed + k, *shape)})
    return net


tables = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True).map(tuple),
    min_size=1,
    max_size=4,
).map(tuple)


@given(table=tables, size=st.integers(1, 3), stride=st.integers(1, 2), padding=st.integers(0, 1))
def test_a_table_is_a_kernel_with_zeros(
    table: tuple[tuple[int, ...], ...], size: int, stride: int, padding: int
) -> None:
    layer = L.TableConv(table, size, stride=stride, padding=padding)
    net = filled(layer, (3, 5, 6))
    arrays = net.weights[net.output]
    kernel = np.zeros((len(table), 3, size, size), dtype=int)
    planes = iter(arrays["kernel"])
    for o, row in enumerate(table):
        for c in row:
            kernel[o, c] = next(planes)
    whole = ca.affine(
        ca.correlation((5, 6), kernel, stride=stride, padding=padding), arrays["bias"]
    )
    x = integers(9, 3, 5, 6)
    assert (net(x) == whole(x)).all()
    g = integers(8, *net.out_shape)
    found = net.map(net.output).parameter_gradients(x, g)
    wanted = whole.parameter_gradients(x, g)
    pairs = [(o, c) for o, row in enumerate(table) for c in row]
    assert (found["kernel"] == [wanted["kernel"][pair] for pair in pairs]).all()
    assert (found["bias"] == wanted["bias"]).all()
    assert net.counts.parameters == arrays["kernel"].size + len(table)
    dense = ca.correlation((5, 6), np.where(kernel == 0, 0, 1), stride=stride, padding=padding)
    if (arrays["kernel"] != 0).all():
        assert net.counts.nonzeros == dense.to_scipy().count_nonzero()


@given(size=st.integers(1, 3), stride=st.integers(1, 3))
def test_subsampling_is_a_sum_with_a_weight(size: int, stride: int) -> None:
    net = filled(L.Subsample(size, stride), (2, 6, 7))
    arrays = net.weights[net.output]
    x = integers(5, 2, 6, 7)
    sums = ca.sum_pool((6, 7), size, stride=stride, channels=2)(x)
    spread = (slice(None), None, None)
    assert (net(x) == sums * arrays["scale"][spread] + arrays["bias"][spread]).all()
    g = integers(6, *net.out_shape)
    found = net.map(net.output).parameter_gradients(x, g)
    assert (found["scale"] == (sums * g).sum(axis=(1, 2))).all()
    assert (found["bias"] == g.sum(axis=(1, 2))).all()
    assert net.counts.nonzeros == sums.size * size**2


def test_radial_units_are_squared_distances() -> None:
    net = filled(L.Radial(3), (4,))
    points, x = net.weights[net.output]["points"], integers(3, 5, 4)
    assert (net(x) == [[((p - one) ** 2).sum() for p in points] for one in x]).all()
    assert (net.jacobian(x[0]).to_numpy() == 2 * (x[0] - points)).all()


regions = st.tuples(*[st.integers(0, 13)] * 4).map(
    lambda r: (min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3]))
)


def pooled(x: Array, region: tuple[int, ...], size: int, scale: Fraction) -> Array:
    """Fast R-CNN's rule, window by window."""
    x1, y1, x2, y2 = (floor(Fraction(k) * scale + Fraction(1, 2)) for k in region)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    y = np.zeros((len(x), size, size), dtype=x.dtype)
    for a in range(size):
        for b in range(size):
            rows = slice(
                y1 + floor(Fraction(a * height, size)), y1 + ceil(Fraction((a + 1) * height, size))
            )
            columns = slice(
                x1 + floor(Fraction(b * width, size)), x1 + ceil(Fraction((b + 1) * width, size))
            )
            window = x[:, rows, columns]
            # Rounding may put a window behind the border.
            y[:, a, b] = window.max(axis=(1, 2)) if window.size else 0
    return y


@given(chosen=st.lists(regions, min_size=1, max_size=3), size=st.integers(1, 4))
def test_regions_are_pooled_window_by_window(chosen: list[Any], size: int) -> None:
    scale = Fraction(1, 2)
    net = ca.sequential((2, 7, 7), [L.RoIPool(size, tuple(chosen), scale)])
    x = np.random.default_rng(0).permutation(98).reshape(2, 7, 7)
    wanted = np.concatenate([pooled(x, region, size, scale) for region in chosen])
    assert (net(x) == wanted).all()
    # At a sample it is a selection: one sample for each unit.
    matrix = net.jacobian(x).to_scipy()
    assert (matrix.sum(axis=1) <= 1).all()
    assert (matrix @ x.ravel() == wanted.ravel()).all()


def test_a_sample_is_the_mean_and_noise() -> None:
    net = ca.sequential((4,), [L.Sample()])
    net.set_weights(net.output, noise=[2.0, -1.0])
    x = np.array([1.0, 2.0, 0.0, np.log(9.0)])
    np.testing.assert_allclose(net(x), [3, -1])
    jacobian = net.jacobian(x).to_numpy()
    np.testing.assert_allclose(jacobian, [[1, 0, 1, 0], [0, 1, 0, -1.5]], atol=1e-12)


BAD: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: filled(L.TableConv(((0, 3),), 2), (3, 5)),
        "must contain at least one input channel from 0 to 2, each",
    ),
    (
        lambda: filled(L.TableConv(((0, 0),), 2), (3, 5)),
        "must contain at least one input channel from 0 to 2, each",
    ),
    (
        lambda: filled(L.TableConv(((),), 2), (3, 5)),
        "must contain at least one input channel from 0 to 2, each",
    ),
    (lambda: filled(L.Radial(3), (3, 5)), "the input of a Radial must be a vector"),
    (lambda: filled(L.Sample(), (3,)), "must have an even number of channels, half of them"),
    (
        lambda: ca.sequential((2, 3), [Standardise(4)]),
        "an input of shape \\(2, 3\\) cannot be divided into 4 equal rows",
    ),
    (
        lambda: filled(L.RoIPool(2, ((0, 0, 3),)), (1, 4, 4)),
        "a region must have 4 numbers, the first positions on 2 axes",
    ),
]


@pytest.mark.parametrize(("call", "words"), BAD)
def test_bad_input(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


def test_a_slice_needs_its_end() -> None:
    with pytest.raises(ca.errors.ArgumentError, match="must satisfy 0 <= start < stop <= 4 and"):
        L.Slice(1, 1, None).out_shape((2, 4))


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: L.Dropout(2), "the rate of a Dropout must be from 0 to 1, not 2"),
    (lambda: L.Dropout(-1), "the rate of a Dropout must be from 0 to 1, not -1"),
    (lambda: L.BatchNorm(-1), "the epsilon of a BatchNorm must be at least 0, not -1"),
    (lambda: L.LRN(0), "size must be"),
    (lambda: L.Upsample(2, "cubic"), "mode must be one of nearest, linear, not"),  # type: ignore[arg-type]
    (lambda: ca.sequential((3, 8, 8), L.Conv(3, 3)), "layers must be a list of layers"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_layers_that_mean_nothing(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


def test_adaptive_windows_of_letters() -> None:
    """Equal parts are windows in letters; others differ by what is left over."""
    (n,) = ca.sizes("n")
    for size, parts, field in ((n, 1, n), (6 * n, 3, 2 * n), (4 * n, n, 4)):
        layer = L.AdaptiveAvgPool(parts)
        assert ca.sequential((1, size), [layer]).receptive_field().size == (field,)
    for size, parts in ((n, 3), (n + 1, n), (5, n)):
        net = ca.sequential((1, size), [L.AdaptiveAvgPool(parts)])
        with pytest.raises(ca.errors.SymbolicError, match="so the windows have different sizes"):
            net.receptive_field()


@given(n=st.integers(1, 12), m=st.integers(1, 12))
def test_adaptive_windows_are_read_exactly(n: int, m: int) -> None:
    net = ca.sequential((1, n), [L.AdaptiveAvgPool(m), L.Conv(1, 2, padding=1)])
    net.set_weights("conv1", kernel=[[[1, 1]]], bias=[0])
    matrix = net.jacobian(np.zeros((1, n))).to_numpy()
    field = net.receptive_field()
    for output, row in enumerate(matrix):
        assert field.positions(output)[0] == np.flatnonzero(row).tolist()
        assert field.mask(output).tolist() == (row != 0).tolist()
        ((low, high),) = field.box(output)
        assert low <= min(field.positions(output)[0]) <= max(field.positions(output)[0]) <= high
    for pixel, column in enumerate(matrix.T):
        assert field.readers(pixel)[0] == np.flatnonzero(column).tolist()


@pytest.mark.parametrize(("size", "out"), [(8, 5), (5, 3), (7, 4), (6, 4), (9, 9), (11, 7)])
def test_the_relation_of_unequal_windows_is_what_they_read(size: int, out: int) -> None:
    """Not their hull: 8 samples to 5 have windows of 2 and of 3."""
    layers = [ca.layers.Conv(1, 3, padding=1), ca.layers.AdaptiveAvgPool(out)]
    for net in (ca.sequential((1, size), layers[1:]), ca.sequential((1, size), layers)):
        field = net.receptive_field()
        read = {(u, c) for u in range(out) for c in field.positions(u)[0]}
        assert pairs(field.relation()) == read


def pairs(relation: Any) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    relation.wrap().foreach_point(
        lambda point: found.add(
            tuple(  # type: ignore[arg-type]
                int(point.get_coordinate_val(islpy.dim_type.set, k).to_str()) for k in range(2)
            )
        )
    )
    return found


def test_a_table_of_channels_that_would_not_fit_is_refused() -> None:
    with pytest.raises(ca.errors.TooLargeError, match="a table of 1000000 by 2000000 channels"):
        ca.layers.Product().channels((2 * 10**6, 1))
