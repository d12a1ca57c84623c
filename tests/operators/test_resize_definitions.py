"""Shuffles, patches and interpolation by nested loops, exactly, in one to three axes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import naive_layers as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_strategies import batches, calls, channels, check_adjoint, lead, windows
from strategies import integers

import convalg as ca
from convalg.errors import ShapeError, TooLargeError
from convalg.operators.windows import COORDINATES, ROUNDINGS

sizes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@given(sizes, batches, st.data())
def test_permute_and_flatten(shape: tuple[int, ...], batch: Any, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    move = ca.permute(shape, order)
    x = data.draw(integers((*batch, *shape)))
    found = move(x)
    for place in np.ndindex(*move.out_shape):
        origin = tuple(place[order.index(k)] for k in range(len(shape)))
        assert np.array_equal(found[(..., *place)], x[(..., *origin)])
    assert move.T.out_shape == shape
    assert np.array_equal(move.T(found), x)
    assert ca.prove.equal(move.T @ move, ca.identity(shape))
    flat = ca.flatten(shape)
    assert np.array_equal(flat(x), x.reshape(*batch, -1))
    assert np.array_equal(flat.to_numpy(), np.eye(math.prod(shape)))


@given(st.data(), st.sampled_from(["CRD", "DCR"]))
def test_pixel_shuffles_and_back(data: st.DataObject, order: Any) -> None:
    shape = data.draw(sizes)
    alike = data.draw(st.booleans())
    one = data.draw(st.integers(1, 2))
    factors = tuple(one if alike else data.draw(st.integers(1, 3)) for _ in shape)
    inner = data.draw(st.integers(1, 2))
    count = inner * math.prod(factors)
    factor: Any = one if alike else factors
    shuffle = ca.pixel_shuffle(shape, factor, channels=count, order=order)
    x = np.arange(count * math.prod(shape)).reshape(count, *shape)
    y = shuffle(x)
    assert np.array_equal(y, naive.shuffled(x, factors, order))
    large = tuple(n * r for n, r in zip(shape, factors, strict=True))
    back = ca.pixel_unshuffle(large, factor, channels=inner, order=order)
    assert (back.in_shape, back.out_shape) == (shuffle.out_shape, shuffle.in_shape)
    assert np.array_equal(back(y), x)
    assert np.array_equal(back.to_numpy(), shuffle.to_numpy().T)


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@pytest.mark.parametrize(("shape", "factor", "count"), [(2, 3, 6), ((2, 1), 2, 8), ((1, 2), 1, 2)])
def test_pixel_shuffle_is_a_permutation(shape: Any, factor: int, count: int, order: Any) -> None:
    shuffle = ca.pixel_shuffle(shape, factor, channels=count, order=order)
    assert ca.prove.equal(shuffle.T @ shuffle, ca.identity(shape, channels=count))
    assert ca.prove.equal(shuffle @ shuffle.T, ca.identity(shuffle.out_shape))
    matrix = shuffle.to_numpy()
    assert np.array_equal(np.sort(matrix.argmax(axis=1)), np.arange(len(matrix)))


def test_the_two_orders_of_channels_differ_where_there_are_several_inside() -> None:
    options = [ca.pixel_shuffle(1, 2, channels=4, order=order) for order in ("CRD", "DCR")]
    verdict = ca.prove.equal(*options)
    assert verdict.status == "refuted"
    alone = [ca.pixel_shuffle(1, 2, channels=2, order=order) for order in ("CRD", "DCR")]
    assert ca.prove.equal(*alone)


@given(windows(ceil=False), channels, batches, st.data())
def test_unfold_and_fold(
    window: naive.Window, count: int | None, batch: Any, data: st.DataObject
) -> None:
    options = data.draw(calls(window, ceil=False))
    # The stride of patches is one by default, not the size.
    options["stride"] = window.stride if options["stride"] is None else options["stride"]
    unfold = ca.unfold(window.shape, window.size, channels=count, **options)
    taps, places = math.prod(window.size), math.prod(window.out_shape)
    assert unfold.out_shape == ((count or 1) * taps, places)
    x = data.draw(integers((*batch, *lead(count), *window.shape)))
    each = naive.by_channel(x, len(window.shape), window.unfolded)
    assert np.array_equal(unfold(x), each.reshape(*batch, *unfold.out_shape))
    fold = ca.fold(window.shape, window.size, channels=count, **options)
    g = data.draw(integers((*batch, *unfold.out_shape)))
    back = [window.folded(columns) for columns in g.reshape(-1, taps, places)]
    assert np.array_equal(fold(g), np.array(back).reshape(x.shape))
    if not batch:
        check_adjoint(unfold, g, x)
        assert np.array_equal(fold.to_numpy(), unfold.to_numpy().T)


PATCHES: list[dict[str, Any]] = [
    {"shape": 5, "size": 2},
    {"shape": (4, 3), "size": 2, "stride": (2, 1), "padding": 1, "channels": 2},
    {"shape": (3, 3), "size": (1, 2), "dilation": 2, "padding": ((1, 0), (0, 1))},
    {"shape": (2, 2, 2), "size": 2, "padding": 1, "stride": 2},
]


@pytest.mark.parametrize("call", PATCHES, ids=str)
def test_fold_is_proved_the_adjoint_of_unfold(call: dict[str, Any]) -> None:
    unfold, fold = ca.unfold(**call), ca.fold(**call)
    assert ca.prove.adjoint(unfold, fold)
    assert ca.prove.equal(unfold.T, fold)
    assert ca.prove.linear(unfold)
    assert unfold.counts.nonzeros == fold.counts.nonzeros == np.count_nonzero(unfold.to_numpy())
    # Folding what was unfolded counts how often each sample is read.
    overlap = (fold @ unfold).to_numpy()
    assert np.array_equal(overlap, np.diag(unfold.to_numpy().sum(axis=0)))


@given(st.data(), st.sampled_from([1, 2, 3]))
def test_a_layer_is_its_weights_times_the_patches(data: st.DataObject, outputs: int) -> None:
    window = data.draw(windows(ceil=False))
    count = data.draw(st.integers(1, 2))
    options = {"stride": window.stride, "padding": window.padding, "dilation": window.dilation}
    kernel = data.draw(integers((outputs, count, *window.size)))
    layer = ca.correlation(window.shape, kernel, **options)
    unfold = ca.unfold(window.shape, window.size, channels=count, **options)
    x = data.draw(integers(layer.in_shape))
    found = kernel.reshape(outputs, -1) @ unfold(x)
    assert np.array_equal(found, layer(x).reshape(outputs, -1))


@given(
    st.data(),
    st.sampled_from(["nearest", "linear"]),
    st.sampled_from(COORDINATES),
    st.sampled_from(ROUNDINGS),
    st.sampled_from([None, 2]),
)
def test_resize_by_size_scale_or_both(
    data: st.DataObject, mode: Any, coordinates: Any, rounding: Any, count: int | None
) -> None:
    dims = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 6 if dims == 1 else 4)) for _ in range(dims))
    fractions = st.builds(Fraction, st.integers(1, 9), st.integers(1, 4))
    by = data.draw(st.sampled_from(["size", "scale", "both"]))
    scales = tuple(data.draw(fractions) for _ in shape)
    wanted = tuple(data.draw(st.integers(1, 7)) for _ in shape)
    call: dict[str, Any] = {}
    if by == "size":
        call["size"] = wanted
        scales = tuple(Fraction(m, n) for m, n in zip(wanted, shape, strict=True))
    if by == "scale":
        # At least one sample has to be left.
        scales = tuple(max(r, Fraction(1, n)) for r, n in zip(scales, shape, strict=True))
        wanted = tuple(math.floor(n * r) for n, r in zip(shape, scales, strict=True))
        call["scale"] = scales
    if by == "both":
        call |= {"size": wanted, "scale": scales}
    operator = ca.resize(
        shape, **call, mode=mode, coordinates=coordinates, rounding=rounding, channels=count
    )
    assert operator.out_shape == (*lead(count), *wanted)
    x = data.draw(integers(operator.in_shape))
    right = x
    for axis, (n, m, scale) in enumerate(zip(shape, wanted, scales, strict=True)):
        matrix = naive.line_weights(n, m, scale, mode, coordinates, rounding)
        right = naive.along(matrix, right, axis + len(lead(count)))
    found = operator(x)
    assert np.array_equal(found, right)
    assert not any(isinstance(value, float) for value in found.ravel())
    check_adjoint(operator, data.draw(integers(operator.out_shape)), x)
    np.testing.assert_allclose(operator(x.astype(float)), right.astype(float), atol=1e-13)


@pytest.mark.parametrize(("shape", "scale"), [(3, 2), ((2, 3), (2, 3)), ((2, 1, 2), 2)])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "half_pixel_symmetric"])
def test_enlarging_to_the_nearest_is_the_adjoint_of_summing(
    shape: Any, scale: Any, coordinates: Any
) -> None:
    nearest = ca.resize(shape, scale=scale, coordinates=coordinates, rounding="floor")
    if coordinates != "asymmetric":
        nearest = ca.resize(shape, scale=scale, coordinates=coordinates)
    large = nearest.out_shape
    assert ca.prove.equal(nearest, ca.sum_pool(large, scale).T)
    assert ca.prove.equal(ca.average_pool(large, scale) @ nearest, ca.identity(shape))


def test_proofs_about_interpolation() -> None:
    assert ca.prove.equal(ca.resize(4, scale=1, mode="linear"), ca.identity(4))
    assert ca.prove.equal(ca.resize((3, 2), (3, 2)), ca.identity((3, 2)))
    halved = ca.resize(8, 4, mode="linear")
    assert ca.prove.equal(halved, ca.average_pool(8, 2))
    assert ca.prove.equal(ca.resize(5, 5, coordinates="align_corners"), ca.identity(5))
    # Interpolation on corners keeps the ends; a constant stays what it is.
    ends = ca.resize(4, 9, mode="linear", coordinates="align_corners")([3, 1, 4, 7])
    assert [ends[0], ends[-1]] == [3, 7]
    assert not ca.prove.equal(ca.resize(4, 8, mode="linear"), ca.resize(4, 8))
    # The nearest sample of a small grid is the same either way, the weights are not.
    corners: Any = {"coordinates": "align_corners"}
    assert ca.prove.equal(ca.resize(3, 6), ca.resize(3, 6, **corners))
    verdict = ca.prove.equal(
        ca.resize(3, 6, mode="linear"), ca.resize(3, 6, mode="linear", **corners)
    )
    assert verdict.status == "refuted"


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(COORDINATES))
def test_interpolation_keeps_constants(n: int, m: int, coordinates: Any) -> None:
    for mode in ("nearest", "linear"):
        operator = ca.resize(n, m, mode=mode, coordinates=coordinates)  # type: ignore[arg-type]
        assert operator([7] * n).tolist() == [7] * m
        assert (operator.to_numpy() >= 0).all()


@pytest.mark.parametrize("scale", [0.1, 0.7, 1.1, 2.5, 1 / 3, 2 / 3, np.float32(1.5)])
def test_a_scale_of_float_is_the_fraction_meant(scale: Any) -> None:
    """floor(n * scale) as people count it: 0.7 of 10 is 7, not 6."""
    simple = Fraction(float(scale)).limit_denominator(30)
    for n in (10, 30, 90):
        assert ca.resize(n, scale=scale).out_shape == (math.floor(n * simple),)


@pytest.mark.parametrize("kind", ["int8", "uint8", "uint64", "bool", "float16", "float32"])
def test_types_of_samples(kind: str) -> None:
    """Whole numbers stay exact, floats keep their type where only samples move."""
    x = np.array([[1, 0], [1, 1]] if kind == "bool" else [[100, 120], [3, 127]], dtype=kind)
    whole = x.astype(int)
    assert ca.permute((2, 2), (1, 0))(x).tolist() == whole.T.tolist()
    assert ca.flatten((2, 2))(x).tolist() == whole.ravel().tolist()
    assert ca.resize((2, 2), scale=2)(x).sum() == 4 * whole.sum()
    assert ca.fold(3, 2)(x).tolist() == [whole[0, 0], whole[0, 1] + whole[1, 0], whole[1, 1]]
    middle = ca.resize(2, 3, mode="linear", coordinates="align_corners")(x[0])
    assert middle[1] == Fraction(int(whole[0].sum()), 2)
    assert ca.unfold((2, 2), 2)(x).ravel().tolist() == whole.ravel().tolist()
    if kind.startswith("float"):
        for layer in (ca.permute((2, 2), (1, 0)), ca.resize((2, 2), scale=2), ca.unfold((2, 2), 1)):
            assert layer(x).dtype == kind


def test_sizes_and_scales_may_be_numpy_arrays() -> None:
    plain = ca.resize((2, 3), scale=(1.5, 2.0), mode="linear")
    assert ca.prove.equal(ca.resize((2, 3), scale=np.array([1.5, 2.0]), mode="linear"), plain)
    size = ca.resize((2, 3), (3, 6), mode="linear")
    assert ca.prove.equal(ca.resize((2, 3), np.array([3, 6]), mode="linear"), size)
    with pytest.raises(ShapeError, match="scale must be one number or 2 of them"):
        ca.resize((2, 3), scale=np.array([2.0]))
    assert [part.out_shape for part in ca.embeddings(np.array([[1, 2], [3, 2]]))] == [(4, 2)] * 2


@given(integers((2, 3)), st.sampled_from([0, Fraction(1, 2), Fraction(2, 3)]))
def test_dropout_scales_what_it_keeps(x: np.ndarray, rate: Any) -> None:
    mask = (x % 2).astype(int)
    layer = ca.dropout(mask, rate)
    right = [
        Fraction(int(v) * int(m)) / (1 - Fraction(rate))
        for v, m in zip(x.flat, mask.flat, strict=True)
    ]
    assert layer(x).ravel().tolist() == right
    assert ca.prove.equal(layer.T, layer)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rate", [0, 0.5, Fraction(1, 2)])
def test_dropout_keeps_the_type_of_floats(kind: str, rate: Any) -> None:
    x = np.array([3, 4], dtype=kind)
    layer = ca.dropout([1, 0], rate)
    assert layer(x).dtype == layer.gradient(x, x).dtype == kind
    assert layer(x).tolist() == [6 if rate else 3, 0]
    # A mask of one byte, and numbers beyond it.
    assert ca.dropout([1, 0])(np.array([127, 1], np.int8) * 2).dtype == np.int64
    assert ca.dropout([1, 1])([2**40, -(2**40)]).tolist() == [2**40, -(2**40)]


def test_patches_overlap_where_pooling_windows_do_not() -> None:
    assert ca.unfold(5, 2).out_shape == ca.unfold(5, 2, stride=1).out_shape == (2, 4)
    assert ca.sum_pool(5, 2).out_shape == ca.sum_pool(5, 2, stride=None).out_shape == (2,)


def test_dropout_takes_the_numbers_of_numpy() -> None:
    assert ca.dropout([1, 0], np.float32(0.5))([4.0, 4.0]).tolist() == [8, 0]
    assert ca.dropout([1, 0], np.int64(0))([4, 4]).tolist() == [4, 0]
    assert ca.dropout(np.array([1, 0], dtype=np.uint8))([300, 4]).tolist() == [300, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: ca.resize(3, 10**12),
        lambda: ca.resize((3, 3), (3, 10**16), mode="linear"),
        lambda: ca.resize(10**9, scale=3, coordinates="align_corners"),
        lambda: ca.adaptive_pool(10**12, 7),
        lambda: ca.adaptive_max_pool((3, 10**12), 2),
    ],
)
def test_sizes_that_cannot_be_listed_are_refused_at_once(call: Any) -> None:
    with pytest.raises(
        TooLargeError, match=r"samples needs .* over the limit .* use fewer samples"
    ):
        call()


def test_reprs_are_one_short_line() -> None:
    for layer in (
        ca.permute((2, 3), (1, 0)),
        ca.pixel_shuffle((2, 2), 2, channels=8, order="DCR"),
        ca.pixel_unshuffle((4, 4), 2, channels=2),
        ca.unfold((40, 40), 3, stride=2, padding=1, channels=3),
        ca.fold((40, 40), 3, channels=3),
        ca.resize((30, 40), (60, 50), mode="linear", channels=3),
        ca.adaptive_pool((31, 41), 7, channels=3),
        ca.adaptive_max_pool((31, 41), 7),
        ca.max_unpool(np.arange(1600).reshape(40, 40), (40, 40)),
        ca.dropout(np.ones((30, 30), dtype=int), 0.5),
    ):
        assert "\n" not in repr(layer)
        assert len(repr(layer)) < 250
    assert repr(ca.unfold(5, 2)) == "unfold(5, 2)"
    assert repr(ca.fold((5, 4), (2, 1), padding=1)) == "unfold((5, 4), (2, 1), padding=1).T"
    assert repr(ca.pixel_shuffle(2, 2, channels=4)) == "pixel_shuffle(2, 2, channels=4)"
