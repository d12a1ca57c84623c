"""One axis: sizes both ways, padding words, borders as affine pieces, columns."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import (
    BOUNDARIES,
    Axis,
    output_size,
    same_padding,
    transposed_size,
)

SMALL = list(itertools.product(range(1, 8), range(1, 5), range(1, 4), range(1, 4)))


@pytest.mark.parametrize("pads", [(0, 0), (1, 1), (2, 0), (0, 3)])
def test_output_size_counts_the_windows(pads: tuple[int, int]) -> None:
    for n, k, s, d in SMALL:
        found = output_size(n, k, s, d, *pads)
        assert max(found, 0) == naive.fitting(n, *pads, k, s, d)


# The relationships of Dumoulin & Visin, "A guide to convolution arithmetic for deep learning".
@pytest.mark.parametrize(
    ("o", "arguments"),
    [
        (2, (4, 3, 1, 1, 0, 0)),  # figure 2.1
        (6, (5, 4, 1, 1, 2, 2)),  # figure 2.2
        (5, (5, 3, 1, 1, 1, 1)),  # figure 2.3, half padding
        (7, (5, 3, 1, 1, 2, 2)),  # figure 2.4, full padding
        (2, (5, 3, 2, 1, 0, 0)),  # figure 2.5
        (3, (5, 3, 2, 1, 1, 1)),  # figure 2.6
        (3, (6, 3, 2, 1, 1, 1)),  # figure 2.7, the same output from one more input
        (3, (7, 3, 1, 2, 0, 0)),  # figure 5.1, dilated
    ],
)
def test_output_sizes_of_the_guide(o: int, arguments: tuple[int, ...]) -> None:
    assert output_size(*arguments) == o


@pytest.mark.parametrize(
    ("o", "arguments"),
    [
        (4, (2, 3, 1, 1, 0, 0)),  # figure 4.1
        (5, (6, 4, 1, 1, 2, 2)),  # figure 4.2
        (5, (5, 3, 1, 1, 1, 1)),  # figure 4.3
        (5, (7, 3, 1, 1, 2, 2)),  # figure 4.4
        (5, (2, 3, 2, 1, 0, 0)),  # figure 4.5
        (5, (3, 3, 2, 1, 1, 1)),  # figure 4.6
    ],
)
def test_transposed_sizes_of_the_guide(o: int, arguments: tuple[int, ...]) -> None:
    assert transposed_size(*arguments) == o


def test_transposed_size_undoes_output_size() -> None:
    """It is the shortest input of the layer; the next stride - 1 give the same output."""
    for i, k, s, d in SMALL:
        shortest = transposed_size(i, k, s, d, 1, 0)
        for extra in range(s):
            assert output_size(shortest + extra, k, s, d, 1, 0) == i
        assert output_size(shortest - 1, k, s, d, 1, 0) == i - 1


def test_same_padding_gives_one_output_per_stride() -> None:
    for n, k, s, d in SMALL:
        before, after = same_padding(n, k, s, d)
        assert (before, after) == naive.sides("same", 0, n, k, s, d)
        assert same_padding(n, k, s, d, lower=True) == (after, before)
        assert after - before in (0, 1)
        assert output_size(n, k, s, d, before, after) == -(-n // s)


# TensorFlow's formula, as its documentation writes it.
def test_same_padding_is_that_of_tensorflow() -> None:
    for n, k, s, d in SMALL:
        span = (k - 1) * d + 1
        total = max(span - s, 0) if n % s == 0 else max(span - n % s, 0)
        assert sum(same_padding(n, k, s, d)) == total


def test_sizes_of_families() -> None:
    n, k, p = sympy.symbols("n k p", integer=True, positive=True)
    assert sympy.expand(output_size(n, k, 1, 1, p, p) - (n - k + 2 * p + 1)) == 0
    assert sympy.expand(transposed_size(n, k, 2, 1, p, p) - (2 * n - 2 + k - 2 * p)) == 0
    assert output_size(n, k, 1, 1, k - 1, k - 1).equals(n + k - 1)
    assert sum(same_padding(n, k, 1, 1)).equals(k - 1)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_columns_continue_the_signal(boundary: str, n: int) -> None:
    """Up to three periods beyond each end."""
    reach = n - 1 if boundary == "reflect" else 3 * n
    axis = Axis(n, n + 2 * reach, padding=reach, boundary=boundary)
    raw = range(-reach, n + reach)
    expected = [naive.inside(index, n, boundary) for index in raw]
    assert axis.columns()[:, 0].tolist() == [-1 if i is None else i for i in expected]


@given(
    st.sampled_from(BOUNDARIES),
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(-3, 3)),
    st.integers(0, 5),
)
def test_pieces_cover_what_the_axis_reads_once(
    boundary: str, sizes: tuple[int, int, int, int], padding: int
) -> None:
    """Each raw index falls into one piece, that of the sample it reads, or into none."""
    n, taps, stride, dilation = sizes
    assume(boundary != "reflect" or n > 1)  # One sample has no neighbour to reflect.
    axis = Axis(n, 4, taps, stride, dilation or 1, padding, boundary)
    pieces = axis.pieces()
    for output, tap in np.ndindex(4, taps):
        raw = axis.raw(output, tap)
        reads = [
            piece.sign * raw + piece.constant
            for piece in pieces
            if (piece.low is None or piece.low <= raw) and (piece.high is None or raw <= piece.high)
        ]
        wanted = naive.inside(raw, n, boundary)
        assert reads == ([] if wanted is None else [wanted])
        assert axis.columns()[output, tap] == (-1 if wanted is None else wanted)


def test_before_and_after_say_how_far_the_axis_reaches() -> None:
    assert (Axis(5, 3, 3).before, Axis(5, 3, 3).after) == (0, 0)
    assert (Axis(5, 5, 3, padding=1).before, Axis(5, 5, 3, padding=1).after) == (1, 1)
    flipped = Axis(5, 7, 3, dilation=-1)
    assert (flipped.before, flipped.after) == (2, 2)
    cropped = Axis(5, 3, padding=-1)
    assert (cropped.before, cropped.after) == (-1, -1)
    strided = Axis(6, 2, 3, stride=2)
    assert strided.after == -1
    assert Axis(9, 1, 3, dilation=-2).span == Axis(9, 1, 3, dilation=2).span == 5


def test_columns_are_cached_and_cannot_be_written() -> None:
    columns = Axis(5, 3, 3).columns()
    assert columns is Axis(5, 3, 3).columns()
    with pytest.raises(ValueError, match="read-only"):
        columns[0, 0] = 7


def test_letters_are_not_numbers() -> None:
    n = sympy.Symbol("n", integer=True, positive=True)
    assert Axis(5, 3, 3).is_concrete
    assert not Axis(n, n - 2, 3).is_concrete
    assert Axis(n, n - 2, 3).span == 3
    assert Axis(n, n - 2, 3).after == 0
    assert Axis(n, n, 3, padding=1, boundary="edge").raw(0, 0) == -1
    assert [piece.high for piece in Axis(n, n, 3, padding=1).pieces()] == [n - 1]


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2)), min_size=2, max_size=4
    ),
    st.integers(40, 90),
)
def test_sizes_behind_several_layers_round_once(
    layers: list[tuple[int, int, int]], number: int
) -> None:
    import sympy

    letter = sympy.Symbol("n", integer=True, positive=True)
    size, counted = letter, number
    for taps, stride, padding in layers:
        size = output_size(size, taps, stride, 1, padding, padding)
        counted = output_size(counted, taps, stride, 1, padding, padding)
    assert size.subs(letter, number) == counted
    assert len(size.atoms(sympy.floor)) <= 1


def test_the_sizes_of_an_axis_as_integers() -> None:
    axis = Axis(in_size=7, out_size=3, taps=3, stride=2, dilation=-2, padding=1)
    numbers = axis.numbers
    for name in vars(numbers):
        value = getattr(numbers, name)
        assert type(value) is int
        assert value == getattr(axis, name)


def test_an_axis_with_symbols_has_no_integers() -> None:
    (n,) = ca.sizes("n")
    with pytest.raises(ca.errors.SymbolicError, match="must be numbers here, not symbols"):
        _ = Axis(in_size=n, out_size=n).numbers
