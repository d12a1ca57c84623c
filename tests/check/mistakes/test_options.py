"""Changes of a problem: what each variant does to its arrays, options and result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.check.mistakes import options
from convalg.check.problem import Problem

X = np.arange(2.0 * 2 * 3 * 4).reshape(2, 2, 3, 4)
W = np.arange(1.0, 1 + 2 * 2 * 2 * 3).reshape(2, 2, 2, 3)
P = Problem(
    X,
    W,
    size=(2, 3),
    stride=(1, 2),
    padding=((1, 0), (2, 1)),
    dilation=(1, 3),
    output_padding=(0, 1),
)


def finished(p: Problem, y: np.ndarray) -> np.ndarray:
    """A result after the steps of a change."""
    for step in p.after:
        y = step(y)
    return y


@pytest.mark.parametrize(
    ("change", "name", "values"),
    [
        (options.option("stride", 1), "stride", [(1, 1)]),
        (options.swapped("stride"), "stride", [(2, 1), (1, 1), (2, 2)]),
        (options.on_one_axis("dilation", 1), "dilation", [(1, 1), (1, 3)]),
        (options.side_by_side, "stride", [(2, 3)]),
        (options.sizes_swapped, "size", [(3, 2), (2, 2), (3, 3)]),
        (options.dilation_wrong, "dilation", [(2, 4), (1, 2)]),
        (options.stride_dilation, "stride", [(1, 3), (1, 2), (1, 3)]),
        (options.stride_dilation, "dilation", [(1, 2), (1, 2), (1, 3)]),
        (options.padding(lambda a, b: (0, a + b)), "padding", [((0, 1), (0, 3))]),
        (options.padding_multiplied, "padding", [((1, 0), (6, 3)), ((1, 0), (4, 2))]),
        (
            options.padding_swapped,
            "padding",
            [((2, 1), (1, 0)), ((1, 0), (1, 0)), ((2, 1), (2, 1))],
        ),
        (
            options.padding_fixed,
            "padding",
            [((0, 1), (3, 3)), ((1, 0), (3, 3)), ((1, 1), (1, 1)), ((1, 1), (6, 6))],
        ),
        (options.size_rounded_up, "padding", [((1, 0), (2, 2))]),
        (options.one_axis, "stride", [(1, 1), (2, 2)]),
        (options.one_axis, "padding", [((1, 0), (1, 0)), ((2, 1), (2, 1))]),
        (options.include(False), "count_include_pad", [False]),
        (options.include_inverted, "count_include_pad", [False]),
        (options.ceil, "ceil_mode", [True]),
        (options.floor, "ceil_mode", [False]),
    ],
)
def test_options_have_the_values_of_each_variant(
    change: options.Change, name: str, values: list[Any]
) -> None:
    assert [getattr(p, name) for p in change(P)] == values


def test_kernels_are_flipped_and_transposed() -> None:
    (flipped,) = options.flipped(P)
    assert np.array_equal(flipped.kernel, W[:, :, ::-1, ::-1])
    rows, columns = options.flipped_on_one(P)
    assert np.array_equal(rows.kernel, W[:, :, ::-1])
    assert np.array_equal(columns.kernel, W[..., ::-1])
    first, *_ = options.kernel_transposed(P)
    assert np.array_equal(first.kernel, W.transpose(0, 1, 3, 2))
    first, *_ = options.channels_swapped(P)
    assert np.array_equal(first.kernel, W.transpose(1, 0, 2, 3))


@given(st.sampled_from([options.columns_misordered, options.kernel_transposed]))
def test_a_kernel_that_is_read_in_another_order_keeps_its_entries(change: options.Change) -> None:
    variants = list(change(P))
    assert variants
    for p in variants:
        assert sorted(p.kernel.ravel()) == sorted(W.ravel())
        assert not np.array_equal(p.kernel, W)


def test_last_taps_and_positions_are_kept_alone() -> None:
    tap, of_one_channel, row, column = options.last_tap(P)
    assert np.array_equal(np.argwhere(tap.kernel.any(axis=(0, 1))), [[1, 2]])
    assert np.array_equal(np.argwhere(of_one_channel.kernel[0]), [[1, 1, 2]])
    assert np.array_equal(row.kernel[:, :, 1], W[:, :, 1])
    assert not row.kernel[:, :, 0].any()
    assert not column.kernel[..., :2].any()


def test_results_lose_their_last_row_and_column() -> None:
    y = np.arange(2.0 * 1 * 3 * 4).reshape(2, 1, 3, 4)
    both, where_even, row, column = (finished(p, y) for p in options.too_short(P))
    assert np.array_equal(both, y[:, :, :-1, :-1])
    # (3 + 1 - 2) is a multiple of 1, and (4 + 3 - 7) of 2.
    assert np.array_equal(where_even, y[:, :, :-1, :-1])
    assert np.array_equal(row, y[:, :, :-1])
    assert np.array_equal(column, y[..., :-1])


def test_samples_of_a_batch_are_added() -> None:
    y = np.array([[1.0], [10]]).reshape(2, 1, 1, 1)
    results = [finished(p, y).ravel().tolist() for p in options.samples_added(P)]
    assert results == [[11, 11], [11], [1, 11]]


@given(st.permutations(range(6)))
def test_a_reshape_without_a_transpose_keeps_the_entries(numbers: list[int]) -> None:
    y = np.array(numbers, dtype=float).reshape(1, 2, 1, 3)
    for p in options.reshaped(P):
        result = finished(p, y)
        assert result.shape == y.shape
        assert sorted(result.ravel()) == sorted(y.ravel())


def test_groups_share_interleave_and_ignore_their_channels() -> None:
    grouped = Problem(X, W[:, :1], stride=(1, 1), padding=((0, 0),) * 2, groups=2)
    first, last = options.kernel_shared(grouped)
    assert np.array_equal(first.kernel, W[[0, 0], :1])
    assert np.array_equal(last.kernel, W[[1, 1], :1])
    repeated, leading, trailing = options.groups_ignored(grouped)
    assert np.array_equal(repeated.kernel, W[:, [0, 0]])
    assert not leading.kernel[:, 1].any()
    assert not trailing.kernel[:, 0].any()
    assert {p.groups for p in options.groups_ignored(grouped)} == {1}
    four = Problem(np.arange(4.0).reshape(1, 4, 1), np.ones((4, 2, 1)), groups=2)
    assert [0, 2, 1, 3] in [p.x.ravel().tolist() for p in options.groups_interleaved(four)]
    assert list(options.groups_interleaved(P)) == []
