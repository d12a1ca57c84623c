"""Pooling by nested loops: values, divisors, winners, Jacobians, unpooling, types, proofs."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import naive_layers as naive
import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st
from layer_strategies import (
    batches,
    calls,
    channels,
    check_adjoint,
    check_slope,
    distinct,
    lead,
    slopes,
    windows,
)
from strategies import integers

import convalg as ca
from convalg.errors import ArgumentError, ExactnessError, ShapeError

GREATER = {"max_pool": operator.gt, "min_pool": operator.lt}


@given(windows(), channels, batches, st.data())
def test_sum_pool_adds_its_window(
    window: naive.Window, count: int | None, batch: Any, data: st.DataObject
) -> None:
    pool = ca.sum_pool(window.shape, window.size, channels=count, **data.draw(calls(window)))
    x = data.draw(integers((*batch, *lead(count), *window.shape)))
    right = naive.by_channel(
        x, len(window.shape), lambda image: window.pooled(image, lambda values, _: sum(values))
    )
    assert pool.out_shape == (*lead(count), *window.out_shape)
    assert np.array_equal(pool(x), right)
    if not batch:
        check_adjoint(pool, data.draw(integers(pool.out_shape)), x)
        assert np.array_equal(pool.to_numpy() @ x.ravel(), right.ravel())


@given(windows(), channels, st.sampled_from([True, False, 3]), st.data())
def test_average_pool_divides_by_what_counts(
    window: naive.Window, count: int | None, mode: Any, data: st.DataObject
) -> None:
    """With the padding, without it, and by one divisor for all."""
    options = data.draw(calls(window))
    override = mode if not isinstance(mode, bool) else None
    options |= {"divisor_override": override} if override else {"count_include_pad": mode}
    counts = {
        output: override or (counted if mode else sum(t is not None for t in taps))
        for output, taps, counted in window.places()
    }
    if not all(counts.values()):
        with pytest.raises(ArgumentError, match="without a sample to average"):
            ca.average_pool(window.shape, window.size, channels=count, **options)
        return
    pool = ca.average_pool(window.shape, window.size, channels=count, **options)
    x = data.draw(integers(pool.in_shape))
    total = naive.by_channel(
        x, len(window.shape), lambda image: window.pooled(image, lambda values, _: sum(values))
    )
    divisors = np.array([counts[o] for o in np.ndindex(*window.out_shape)])
    right = total * np.array([Fraction(1, d) for d in divisors]).reshape(window.out_shape)
    found = pool(x)
    assert np.array_equal(found, right)
    assert not any(isinstance(value, float) for value in found.ravel())
    check_adjoint(pool, data.draw(integers(pool.out_shape)), x)
    np.testing.assert_allclose(pool(x.astype(float)), right.astype(float), atol=1e-14)


@given(st.sampled_from(["max_pool", "min_pool"]), windows(full=True), channels, batches, st.data())
def test_the_first_of_the_best_wins(
    kind: str, window: naive.Window, count: int | None, batch: Any, data: st.DataObject
) -> None:
    """Of two values only, so that nearly every window has ties."""
    pool = getattr(ca, kind)(window.shape, window.size, channels=count, **data.draw(calls(window)))
    x = data.draw(integers((*batch, *lead(count), *window.shape), size=1))
    dims = len(window.shape)
    places = naive.by_channel(x, dims, lambda image: window.winners(image, GREATER[kind]))
    best = max if kind == "max_pool" else min
    values = naive.by_channel(x, dims, lambda image: window.pooled(image, lambda v, _: best(v)))
    assert np.array_equal(pool.indices(x), places)
    assert np.array_equal(pool(x), values)
    assert pool(x).dtype == x.dtype
    g = data.draw(integers((*batch, *pool.out_shape)))
    back = np.zeros_like(x).reshape(-1, int(np.prod(window.shape)))
    lines = zip(places.reshape(len(back), -1), g.reshape(len(back), -1), strict=True)
    for image, (where, upstream) in zip(back, lines, strict=True):
        for place, value in zip(where, upstream, strict=True):
            image[place] += value
    assert np.array_equal(pool.gradient(x, g), back.reshape(x.shape))


@given(st.sampled_from(["max_pool", "min_pool"]), windows(full=True), channels, st.data())
def test_a_small_step_moves_the_winners_only(
    kind: str, window: naive.Window, count: int | None, data: st.DataObject
) -> None:
    pool = getattr(ca, kind)(window.shape, window.size, channels=count, **data.draw(calls(window)))
    x, step = data.draw(distinct(pool.in_shape)), data.draw(integers(pool.in_shape))
    check_slope(pool, x, step)
    jacobian = pool.at(x)
    check_adjoint(jacobian, data.draw(integers(pool.out_shape)), step)
    # A selection: one entry, a one, in each row.
    assert jacobian.to_scipy().data.tolist() == [1] * jacobian.shape[0]
    assert np.array_equal(jacobian.to_scipy().sum(axis=1), [1] * jacobian.shape[0])


@given(windows(), channels, st.data())
def test_windows_in_the_padding_alone(
    window: naive.Window, count: int | None, data: st.DataObject
) -> None:
    """Infinity for floats, no gradient, and a refusal for integers, which have none."""
    empty = np.array([not window.inside()[o] for o in np.ndindex(*window.out_shape)])
    assume(empty.any())
    options = data.draw(calls(window))
    for kind, limit in (("max_pool", -np.inf), ("min_pool", np.inf)):
        pool = getattr(ca, kind)(window.shape, window.size, channels=count, **options)
        x = data.draw(integers(pool.in_shape)).astype(float)
        found = pool(x).reshape(-1, empty.size)
        assert (found[:, empty] == limit).all()
        assert np.isfinite(found[:, ~empty]).all()
        assert (pool.indices(x).reshape(-1, empty.size)[:, empty] == -1).all()
        rows = pool.at(x).to_numpy().reshape(len(found), empty.size, -1)
        assert not rows[:, empty].any()
        with pytest.raises(ArgumentError, match="has only padding in its window and its value"):
            pool(x.astype(int))


@given(st.data(), channels)
def test_adaptive_pools_cut_the_input_into_parts(data: st.DataObject, count: int | None) -> None:
    dims = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 7 if dims < 3 else 4)) for _ in range(dims))
    sizes = tuple(data.draw(st.integers(1, 8 if dims < 3 else 4)) for _ in range(dims))
    x = data.draw(integers((*lead(count), *shape), size=2))

    def each(rule: Any) -> np.ndarray:
        return naive.by_channel(
            x,
            dims,
            lambda image: naive.adaptive(image, sizes, lambda places: rule(image, places)),
        )

    total = ca.adaptive_pool(shape, sizes, reduce="sum", channels=count)
    assert np.array_equal(total(x), each(lambda image, places: sum(image[p] for p in places)))
    means = ca.adaptive_pool(shape, sizes, channels=count)
    right = each(lambda image, places: naive.mean([image[p] for p in places], len(places)))
    assert np.array_equal(means(x), right)
    check_adjoint(means, data.draw(integers(means.out_shape)), x)
    largest = ca.adaptive_max_pool(shape, sizes, channels=count)
    assert np.array_equal(largest(x), each(lambda image, places: max(image[p] for p in places)))
    first = each(lambda image, places: naive.flat(max(places, key=lambda p: image[p]), image.shape))
    assert np.array_equal(largest.indices(x), first)
    apart = data.draw(distinct(x.shape))
    check_slope(largest, apart, data.draw(integers(x.shape)))


@given(windows(full=True), channels, st.integers(1, 4), st.booleans(), st.data())
def test_lp_pool_is_the_root_of_the_sum_of_powers(
    window: naive.Window, count: int | None, p: int, absolute: bool, data: st.DataObject
) -> None:
    options = data.draw(calls(window))
    pool = ca.lp_pool(window.shape, window.size, p, absolute=absolute, channels=count, **options)
    x = data.draw(integers(pool.in_shape))
    if not absolute and p % 2 and p > 1:
        x = np.abs(x)

    def power(value: int) -> int:
        return abs(value) ** p if absolute else value**p

    sums = naive.by_channel(
        x, len(window.shape), lambda image: window.pooled(image, lambda v, _: sum(map(power, v)))
    )
    exact = pool(x.astype(object))
    assert all(sympy.sympify(y) ** p == s for y, s in zip(exact.ravel(), sums.ravel(), strict=True))
    np.testing.assert_allclose(pool(x).astype(float) ** p, sums.astype(float), rtol=1e-12)
    if p == 1:
        assert pool(x).dtype.kind == "i"
        assert np.array_equal(pool(x), sums)
    v, g = data.draw(integers(pool.in_shape)), data.draw(integers(pool.out_shape))
    if p == 1:
        check_adjoint(pool.at(x), g, v)
    # Homogeneous of degree one: J(x) x = f(x), also where a window is all zeros.
    np.testing.assert_allclose(pool.at(x)(x).astype(float), pool(x).astype(float), atol=1e-12)


@given(st.integers(1, 4), st.booleans(), st.integers(1, 2), st.data())
def test_lp_pool_has_the_slope_of_differences(
    p: int, absolute: bool, dims: int, data: st.DataObject
) -> None:
    x = data.draw(distinct((4,) * dims)) / 7
    x = x if absolute or p % 2 == 0 else np.abs(x)
    pool = ca.lp_pool((4,) * dims, 2, p, stride=1, absolute=absolute)
    np.testing.assert_allclose(pool.at(x).to_numpy(), slopes(pool, x), atol=1e-6)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool_at_symbols_is_sympys_derivative(p: int) -> None:
    letters = np.array(sympy.symbols("a b c", positive=True), dtype=object)
    pool = ca.lp_pool(3, 2, p, stride=1)
    jacobian = pool.at(letters).to_sympy()
    for row, y in enumerate(pool(letters)):
        for column, letter in enumerate(letters):
            assert sympy.simplify(sympy.diff(y, letter) - jacobian[row, column]) == 0


@given(windows(full=True), channels, st.data())
def test_unpooling_puts_values_back(
    window: naive.Window, count: int | None, data: st.DataObject
) -> None:
    """Zero elsewhere; of several values for one place the last is kept."""
    pool = ca.max_pool(window.shape, window.size, channels=count, **data.draw(calls(window)))
    x = data.draw(integers(pool.in_shape, size=1))
    indices = pool.indices(x)
    unpool = ca.max_unpool(indices, window.shape, channels=count)
    g = data.draw(integers(pool.out_shape))
    right = np.zeros((count or 1, int(np.prod(window.shape))), dtype=int)
    lines = (values.reshape(len(right), -1) for values in (indices, g))
    for image, where, values in zip(right, *lines, strict=True):
        for place, value in zip(where, values, strict=True):
            image[place] = value
    assert np.array_equal(unpool(g), right.reshape(x.shape))
    check_adjoint(unpool, x, g)
    # What is not zero is where it was.
    apart = data.draw(distinct(pool.in_shape))
    back = ca.max_unpool(pool.indices(apart), window.shape, channels=count)(pool(apart))
    assert set(back[back != 0].tolist()) <= set(apart.ravel().tolist())
    assert np.array_equal(back[back != 0], apart[back != 0])


KINDS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint64", "int64"]
FLOATS = ["float16", "float32", "float64"]


def extremes(kind: str) -> np.ndarray:
    """Four samples of a type, its smallest and largest among them."""
    if kind == "bool":
        return np.array([True, False, True, True])
    if kind.startswith("float"):
        return np.array([-3, 2.5, 100, 7], dtype=kind)
    # Sums of four still fit 64 bits.
    limits = np.iinfo(kind)
    low, high = max(limits.min, -(2**60)), min(limits.max, 2**60)
    return np.array([low, 1, high, high], dtype=kind)


@pytest.mark.parametrize("kind", [*KINDS, *FLOATS])
def test_no_type_wraps(kind: str) -> None:
    x = extremes(kind)
    exact = [Fraction(float(v)) if kind in FLOATS else int(v) for v in x]
    assert ca.max_pool(4, 2)(x).tolist() == [max(exact[:2]), max(exact[2:])]
    assert ca.min_pool(4, 2)(x).tolist() == [min(exact[:2]), min(exact[2:])]
    assert ca.adaptive_max_pool(4, 3)(x).tolist() == [max(exact[k : k + 2]) for k in range(3)]
    assert ca.sum_pool(4, 2)(x).tolist() == [sum(exact[:2]), sum(exact[2:])]
    assert ca.average_pool(4, 2)(x).tolist() == [sum(exact[:2]) / Fraction(2), sum(exact[2:]) / 2]
    assert ca.lp_pool(4, 2, 1)(x).tolist() == [sum(map(abs, exact[k : k + 2])) for k in (0, 2)]
    for p in (2, 3):
        found = np.asarray(ca.lp_pool(4, 2, p)(x), dtype=float)
        right = [float(sum(abs(v) ** p for v in exact[k : k + 2])) ** (1 / p) for k in (0, 2)]
        np.testing.assert_allclose(found, right, rtol=1e-3 if kind == "float16" else 1e-6)


@pytest.mark.parametrize("kind", FLOATS)
def test_the_type_of_floats_is_kept(kind: str) -> None:
    """But half floats where the divisor changes: whole factors would overflow them."""
    x = np.array([1, 2, 3, 4], dtype=kind)
    for layer in (
        ca.sum_pool(4, 2),
        ca.average_pool(4, 2),
        ca.global_pool(4),
        ca.adaptive_pool(4, 3, reduce="sum"),
        ca.max_pool(4, 2),
        ca.adaptive_max_pool(4, 3),
        ca.lp_pool(4, 2),
        ca.lp_pool(4, 2, 1),
        ca.max_unpool([0, 2, 4, 6], 8),
    ):
        assert layer(x).dtype == kind, layer
    border = ca.average_pool(4, 3, stride=1, padding=1, count_include_pad=False)
    wider = "float32" if kind == "float16" else kind
    assert border(x).dtype == wider
    assert border(x).tolist() == [1.5, 2, 3, 3.5]
    assert ca.adaptive_pool(5, 3)(np.append(x, x[:1])).dtype == wider
    assert border(np.array([6e4, 0, 0, 6e4], kind))[0] == pytest.approx(3e4, rel=1e-3)


def test_powers_do_not_overflow_where_the_norm_does_not() -> None:
    """300^2 is beyond half floats, 1e30^2 beyond single ones."""
    assert ca.lp_pool(2, 2)(np.array([300, 400], dtype=np.float16)).tolist() == [500]
    assert ca.lp_pool(2, 2)(np.array([3e30, 4e30], dtype=np.float32)) == pytest.approx([5e30])


def test_unsigned_and_least_integers_are_not_wrapped() -> None:
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        ca.lp_pool(2, 2, 1)(np.array([2**64 - 1, 1], dtype=np.uint64))
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        ca.lp_pool(1, 1, 1)(np.array([-(2**63)]))
    assert ca.lp_pool(1, 1, 1)([-(2**63) + 1]).tolist() == [2**63 - 1]
    assert ca.max_pool(2, 2)(np.array([2**64 - 1, 1], dtype=np.uint64)).tolist() == [2**64 - 1]
    assert ca.max_unpool(np.array([3, 0], dtype=np.uint64), 4)([5, 6]).tolist() == [6, 0, 0, 5]


@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "int16", "int64", "uint64"])
@pytest.mark.parametrize("edge", [False, True])
def test_means_of_many_whole_numbers_are_fractions_each(kind: str, edge: bool) -> None:
    """Equal sums share one fraction where there are more of them than of different ones."""
    high = 2 if kind == "bool" else min(int(np.iinfo(kind).max), 2**60)
    low = 0 if kind == "bool" else max(int(np.iinfo(kind).min), -(2**60))
    start = high - 5 if edge else low
    x = np.random.default_rng(0).integers(start, high, (2, 200), dtype=np.int64).astype(kind)
    for pool, size in ((ca.average_pool(200, 2), 2), (Fraction(1, 3) * ca.identity(200), 1)):
        share = Fraction(1, 2) if size == 2 else Fraction(1, 3)
        sums = x.astype(object).reshape(2, -1, size).sum(axis=2) if size == 2 else x.astype(object)
        found = pool(x)
        assert found.tolist() == [[share * int(v) for v in row] for row in sums]
        assert {type(v) for v in found.ravel()} == {Fraction}


@pytest.mark.parametrize(
    "pool",
    [
        ca.average_pool((4, 4), 2),
        ca.average_pool((4, 4), 3, stride=1, channels=2),
        ca.global_pool((30, 30)),
        ca.adaptive_pool((5, 4), 3),
        ca.average_pool((4, 4), 3, padding=1, count_include_pad=False),
    ],
    ids=repr,
)
def test_means_of_large_half_floats_are_half_floats(pool: ca.Operator) -> None:
    """Where their sum is none."""
    x = np.full((3, *pool.in_shape), 60_000, dtype=np.float16)
    plain = pool(np.ones_like(x))
    found = pool(x)
    assert found.dtype == plain.dtype
    np.testing.assert_allclose(found, 60_000.0 * plain.astype(float), rtol=1e-3)


def test_half_floats_are_summed_in_more_than_half() -> None:
    """A mean of ones is one, however many there are."""
    x = np.ones((2, 64, 64), dtype=np.float16)
    assert ca.global_pool((64, 64), channels=2)(x).ravel().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("n", "k", "stride", "pad", "outputs"),
    [
        (4, 2, 2, 0, 2),
        (5, 2, 2, 0, 3),
        (2, 3, 2, 0, 1),
        (1, 2, 3, (0, 1), 1),
        (3, 2, 3, (0, 1), 1),
        (4, 2, 3, (0, 1), 2),
        (6, 3, 4, 1, 2),
    ],
)
def test_ceil_mode_one_below_exact_one_above(
    n: int, k: int, stride: int, pad: Any, outputs: int
) -> None:
    padding = pad if isinstance(pad, int) else (pad,)
    for make in (ca.sum_pool, ca.max_pool):
        layer = make(n, k, stride=stride, padding=padding, ceil_mode=True)
        assert layer.out_shape == (outputs,)


def test_a_window_far_beyond_the_input_is_refused_with_ceil_mode_too() -> None:
    with pytest.raises(ShapeError, match="larger than the padded input of 1"):
        ca.max_pool(1, 4, stride=2, ceil_mode=True)


@given(st.data(), channels)
def test_global_pools_read_everything(data: st.DataObject, count: int | None) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    x = data.draw(integers((*lead(count), *shape)))
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    total = x.sum(axis=axes, keepdims=True)
    assert np.array_equal(ca.global_pool(shape, reduce="sum", channels=count)(x), total)
    means = np.vectorize(lambda s: Fraction(int(s), int(np.prod(shape))), otypes=[object])(total)
    assert np.array_equal(ca.global_pool(shape, channels=count)(x), means)
    largest = ca.global_max_pool(shape, channels=count)
    assert np.array_equal(largest(x), x.max(axis=axes, keepdims=True))


SHAPES = [((3,), (3,)), ((2, 3), (2, 3)), ((4, 2), (1, 2)), ((2, 2, 2), (2, 1, 2))]


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_proofs_about_pooling(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    large = tuple(n * k for n, k in zip(shape, size, strict=True))
    pool = ca.sum_pool(large, size)
    assert ca.prove.adjoint(pool, ca.resize(shape, scale=size))
    assert ca.prove.equal(ca.adaptive_pool(large, shape), ca.average_pool(large, size))
    assert ca.prove.equal(ca.global_pool(shape), ca.average_pool(shape, shape))
    assert ca.prove.linear(ca.average_pool(large, size))
    assert ca.prove.equal(int(np.prod(size)) * ca.average_pool(large, size), pool)
    overridden = ca.average_pool(large, size, divisor_override=1)
    assert ca.prove.equal(overridden, pool)


def test_the_padding_counts_at_the_border_only() -> None:
    include = ca.average_pool(6, 3, stride=1, padding=1)
    exclude = ca.average_pool(6, 3, stride=1, padding=1, count_include_pad=False)
    verdict = ca.prove.equal(exclude, include)
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.row == 0
    inner = ca.crop(6, 1)
    assert ca.prove.equal(inner @ exclude, inner @ include)


def test_maxima_are_not_linear() -> None:
    for layer in (ca.max_pool(4, 2), ca.min_pool(3, 3), ca.global_max_pool((2, 2))):
        verdict = ca.prove.linear(layer)
        assert verdict.status == "refuted"
        assert verdict.counterexample is not None
    # A window of one sample chooses nothing.
    assert ca.prove.equal(ca.max_pool(3, 1).at([1, -2, 3]), ca.identity(3))


def test_pooling_commutes_with_shifts_by_its_stride() -> None:
    pool = ca.sum_pool(8, 2)
    assert ca.prove.equivariant(pool, 2, out_shift=1)
    assert not ca.prove.equivariant(pool, 1, out_shift=1)
    assert ca.prove.equivariant(ca.sum_pool(6, 3, stride=1), 1, interior=True)


@given(windows(), channels, st.data())
def test_reprs_are_calls_on_one_line(
    window: naive.Window, count: int | None, data: st.DataObject
) -> None:
    """What is shown makes the same layer."""
    options = data.draw(calls(window))
    x = data.draw(integers((*lead(count), *window.shape))).astype(float)
    for kind in ("sum_pool", "max_pool", "min_pool"):
        layer = getattr(ca, kind)(window.shape, window.size, channels=count, **options)
        text = repr(layer)
        assert "\n" not in text
        assert len(text) < 200
        if kind != "sum_pool":
            again = eval(f"ca.{text}", {"ca": ca})
            assert np.array_equal(again(x), layer(x))


def test_options_may_be_numpy_arrays() -> None:
    two = np.array([2, 2])
    for make in (ca.sum_pool, ca.average_pool, ca.max_pool, ca.min_pool, ca.lp_pool):
        layer = make((5, 5), two, stride=two, padding=np.array([1, 1]), dilation=np.array([1, 1]))
        assert layer.out_shape == (3, 3)
        assert "array" not in repr(layer)
    assert "int64" not in repr(ca.max_pool(np.int64(5), np.int32(2), stride=np.int64(1)))
