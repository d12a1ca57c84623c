"""Wrong computations of layers, against results that are worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convalg.check.mistakes import computations
from convalg.check.problem import Problem

Compute = Callable[[Problem], np.ndarray]


def line(values: Any) -> np.ndarray:
    """One sample of one channel."""
    return np.array(values, dtype=float).reshape(1, 1, -1)


def posed(x: Any, w: Any, g: Any = None, **options: Any) -> Problem:
    """A problem of one axis."""
    given: dict[str, Any] = {"stride": 1, "dilation": 1, "output_padding": 0, **options}
    padding = given.pop("padding", (0, 0))
    return Problem(
        line(x),
        line(w),
        None if g is None else line(g),
        padding=(padding,),
        **{name: (value,) for name, value in given.items()},
    )


# x = (1, 2, 3, 4) and w = (1, 10): y[o] = x[o] + 10 x[o + 1].
LAYER: list[tuple[Compute, Problem, list[float]]] = [
    # With dilation 2, y = (31, 42), but a span of 4 leaves one window.
    (computations.short_span, posed([1, 2, 3, 4], [1, 10], dilation=2), [31]),
    (computations.transposed_instead, posed([1, 2], [1, 10]), [1, 12, 20]),
    # Stride 2 on 5 samples reaches 4 of them: dx = (g0, 10 g0, g1, 10 g1, 0).
    (computations.remainder_lost, posed([0] * 5, [1, 10], [1, 2], stride=2), [1, 10, 2, 20]),
    # Padded by one on both sides, dx = (10 g0 + g1, 10 g1 + g2), and g0, 10 g2 at the ends.
    (computations.uncropped, posed([0, 0], [1, 10], [1, 2, 3], padding=(1, 1)), [1, 12, 23, 30]),
    (computations.uncropped_after, posed([0, 0], [1, 10], [1, 2, 3], padding=(1, 1)), [12, 23, 30]),
    (computations.uncropped_before, posed([0, 0], [1, 10], [1, 2, 3], padding=(1, 1)), [1, 12, 23]),
    (computations.forward_of_gradient, posed([0] * 4, [1, 10], [1, 2, 3]), [21, 32]),
    (
        computations.unflipped_forward_of_gradient,
        posed([0] * 4, [1, 10], [1, 2, 3]),
        [10, 21, 32, 3],
    ),
    (computations.lattice_input_gradient, posed([0] * 4, [1, 10], [1, 2]), [1, 12, 20, 0]),
    (computations.lattice_kernel_gradient, posed([1, 2, 3, 4], [0, 0], [1, 2]), [5, 8]),
    # 5 samples, stride 2 and two windows: 3 taps fit, the last of which is not in the kernel.
    (
        computations.remainder_kept,
        posed([1, 2, 3, 4, 5], [0, 0], [1, 1], stride=2),
        [4, 6, 8],
    ),
]
# x = (1, 2) and w = (1, 10) with stride 2: the shortest output is (1, 10, 2, 20).
EXTRA = posed([1, 2], [1, 10], stride=2, output_padding=1)
TRANSPOSED: list[tuple[Compute, Problem, list[float]]] = [
    (computations.zeros_after, EXTRA, [1, 10, 2, 20, 0]),
    (computations.zeros_before, EXTRA, [0, 1, 10, 2, 20]),
    (computations.zeros_around, EXTRA, [0, 1, 10, 2, 20, 0]),
    (computations.extra_before, EXTRA, [0, 1, 10, 2, 20]),
    (
        computations.extra_before,
        posed([1, 2], [1, 10], stride=2, output_padding=1, padding=(1, 1)),
        [1, 10, 2],
    ),
    (computations.padded_input, posed([1, 2], [1, 10], padding=(1, 0)), [0, 1, 12, 20]),
    (computations.dilated_with_padding, posed([1, 2], [1, 10], padding=(1, 1)), [1, 12, 20]),
    (computations.plain_layer, posed([1, 2, 3], [1, 10]), [21, 32]),
    (computations.overdilated, posed([1, 2], [1, 10]), [1, 10, 2, 20]),
    (computations.repeated_samples, posed([1, 2], [1, 10], stride=2), [1, 11, 12, 22]),
    (computations.size_of_undilated, posed([1, 2], [1, 10], dilation=2), [1, 2, 10]),
]


@pytest.mark.parametrize(
    ("compute", "p", "expected"),
    [*LAYER, *TRANSPOSED],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_results_are_those_worked_out_by_hand(
    compute: Compute, p: Problem, expected: list[float]
) -> None:
    assert compute(p).ravel().tolist() == expected


def test_gradients_of_single_samples_are_those_of_the_sample() -> None:
    x = np.array([[1.0, 2, 3], [4, 5, 6]]).reshape(2, 1, 3)
    g = np.array([[1.0, 0], [0, 1]]).reshape(2, 1, 2)
    p = Problem(x, np.zeros((1, 1, 2)), g, stride=(1,), padding=((0, 0),), dilation=(1,))
    assert computations.per_sample(p).reshape(2, 2).tolist() == [[1, 2], [5, 6]]
    assert computations.first_sample(p).ravel().tolist() == [1, 2]
    assert computations.last_sample(p).ravel().tolist() == [5, 6]


def test_without_groups_the_kernel_gradient_has_every_pair_of_channels() -> None:
    x = np.array([[1.0], [10]]).reshape(1, 2, 1)
    g = np.array([[2.0], [3]]).reshape(1, 2, 1)
    w = np.zeros((2, 1, 1))
    p = Problem(x, w, g, stride=(1,), padding=((0, 0),), dilation=(1,), groups=2)
    assert computations.ungrouped_kernel_gradient(p)[..., 0].tolist() == [[2, 20], [3, 30]]
