"""Shifts and flips, compared with numpy.roll, numpy.pad and numpy.flip."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

X = np.arange(1, 41).reshape(2, 4, 5)
OFFSETS = st.tuples(st.integers(-7, 7), st.integers(-7, 7))


@given(offsets=OFFSETS)
def test_a_circular_shift_is_a_roll(offsets: tuple[int, int]) -> None:
    moved = ca.shift((4, 5), offsets, boundary="circular", channels=2)
    assert moved(X).tolist() == np.roll(X, offsets, axis=(1, 2)).tolist()


@given(offsets=OFFSETS)
def test_a_shift_moves_zeros_or_edges_in(offsets: tuple[int, int]) -> None:
    wide = [(0, 0), (7, 7), (7, 7)]
    window = tuple(slice(7 - k, 7 - k + n) for k, n in zip(offsets, (4, 5), strict=True))
    zeros, edges = np.pad(X, wide), np.pad(X, wide, mode="edge")
    moved = ca.shift((4, 5), offsets, channels=2)
    assert moved(X).tolist() == zeros[:, *window].tolist()
    moved = ca.shift((4, 5), offsets, boundary="edge", channels=2)
    assert moved(X).tolist() == edges[:, *window].tolist()


@given(axes=st.sets(st.integers(0, 1), min_size=1), counted_from_the_end=st.booleans())
def test_a_flip_reverses_the_chosen_axes(axes: set[int], counted_from_the_end: bool) -> None:
    chosen = tuple(k - 2 if counted_from_the_end else k for k in axes)
    flipped = ca.flip_axes((4, 5), chosen, channels=2)
    expected = np.flip(X, axis=tuple(k + 1 for k in axes))
    assert flipped(X).tolist() == expected.tolist()
    assert (flipped @ flipped)(X).tolist() == X.tolist()
