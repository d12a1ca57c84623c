"""Theorems about pooling: sums and means of windows."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Literal

from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import average_pool, global_pool, sum_pool
from convalg.operators.sampling import downsample, upsample
from convalg.operators.tree import Operator, kron
from convalg.prove.theorems.chapters import POOLING
from convalg.prove.theorems.parts import OneEntryRows
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, p, s, r = sizes("n m K L p s r")
UP_TO_4 = {K: range(1, 5), L: range(1, 5)}
UP_TO_8 = {K: range(1, 9), L: range(1, 9)}
Kind = Literal["sum", "average"]
POOLS: dict[Kind, Callable[..., Operator]] = {"sum": sum_pool, "average": average_pool}


def _winners() -> Operator:
    """The adjoint of the sum of m times x over windows of K samples, one window per row.

    If m is one at the maximum of each window and zero elsewhere, this is max pooling at x.
    """
    return correlation(K, kernel(n, 1, K, name="m"), groups=n).T


def _average_kernel(taps: int) -> Sides:
    """Average pooling is the correlation with equal weights."""
    weights = [Fraction(1, taps)] * taps
    return average_pool(n, taps, stride=s), correlation(n, weights, stride=s)


def _unnormalised() -> Sides:
    return average_pool(n, 2, stride=s), correlation(n, [1, 1], stride=s)


def _downsampled(kind: Kind) -> Sides:
    dense = POOLS[kind](n, K, stride=1)
    return POOLS[kind](n, K, stride=s), downsample(n - K + 1, s) @ dense


def _downsampled_from_one() -> Sides:
    dense = sum_pool(n, K, stride=1)
    pooled = sum_pool(n, K, stride=2)
    (windows,), (rows,) = pooled.out_shape, dense.out_shape
    every = downsample(rows + 1, 2, offset=1)
    kept = crop(every.out_shape[0], ((0, every.out_shape[0] - windows),))
    return pooled, kept @ every @ pad(rows, ((0, 1),)) @ dense


def _composed(kind: Kind) -> Sides:
    first = POOLS[kind](n, K)
    return POOLS[kind](first.out_shape, L) @ first, POOLS[kind](n, K * L)


def _composed_with_stride() -> Sides:
    """Windows that overlap: samples in several windows count several times."""
    first = sum_pool(n, 2, stride=1)
    return sum_pool(n - 1, 2, stride=1) @ first, sum_pool(n, 3, stride=1)


def _mean_of_means() -> Sides:
    return global_pool(L) @ average_pool(K * L, K), global_pool(K * L)


def _mean_without_the_rest() -> Sides:
    """The last of 2 n + 1 samples is in no window."""
    return global_pool(n) @ average_pool(2 * n + 1, 2), global_pool(2 * n + 1)


def _running_sum() -> Sides:
    """Neighbouring windows differ in one sample at each end."""
    (windows,) = (pool := sum_pool(n, K, stride=1)).out_shape
    difference = crop(windows, ((1, 0),)) + -1 * crop(windows, ((0, 1),))
    return difference @ pool, crop(n, ((K, 0),)) + -1 * crop(n, ((0, K),))


def _running_sum_wrong() -> Sides:
    (windows,) = (pool := sum_pool(n, K, stride=1)).out_shape
    difference = crop(windows, ((1, 0),)) + -1 * crop(windows, ((0, 1),))
    return difference @ pool, crop(n, ((K, 0),))


def _separable(kind: Kind) -> Sides:
    pool = POOLS[kind]((n, m), (K, L), stride=(s, r))
    return pool, kron(POOLS[kind](n, K, stride=s), POOLS[kind](m, L, stride=r))


def _separable_wrong() -> Sides:
    pool = average_pool((n, m), (K, L))
    return pool, kron(average_pool(n, K), sum_pool(m, L))


def _commuting() -> Sides:
    return (
        sum_pool(n - K + 1, L, stride=1) @ sum_pool(n, K, stride=1),
        sum_pool(n - L + 1, K, stride=1) @ sum_pool(n, L, stride=1),
    )


def _commuting_touching() -> Sides:
    first, second = sum_pool(n, 2), sum_pool(n, 3, stride=1)
    return sum_pool(first.out_shape, 3, stride=1) @ first, sum_pool(second.out_shape, 2) @ second


def _with_layer() -> Sides:
    pooled = average_pool(n, K, stride=1)
    layer = correlation(n, kernel(L))
    return (
        correlation(pooled.out_shape, kernel(L)) @ pooled,
        average_pool(layer.out_shape, K, stride=1) @ layer,
    )


def _adjoint_as_transposed(taps: int) -> Sides:
    """The adjoint inserts zeros between the gradients, then repeats each of them."""
    pool = sum_pool(n, taps, stride=s)
    (windows,) = pool.out_shape
    dense = n - taps + 1
    return pool.T, correlation(dense, [1] * taps, padding="full") @ upsample(windows, s, size=dense)


def _adjoint_unpadded() -> Sides:
    pool = sum_pool(n, 2, stride=2)
    (windows,) = pool.out_shape
    full = correlation(2 * windows - 1, [1, 1], padding="full")
    return pool.T, full @ upsample(windows, 2)


def _back_and_forth(taps: int) -> Sides:
    """Pooling after its adjoint: each window sums its own gradient K times."""
    pool = sum_pool(taps * n, taps)
    return pool @ pool.T, taps * identity(n)


def _back_and_forth_overlapping() -> Sides:
    pool = sum_pool(n + 1, 2, stride=1)
    return pool @ pool.T, 2 * identity(n)


def _upsampled_then_pooled(taps: int) -> Sides:
    """Average pooling of nearest-neighbour upsampling."""
    nearest = correlation(taps * (n - 1) + 1, [1] * taps, padding="full") @ upsample(n, taps)
    return average_pool(taps * n, taps) @ nearest, identity(n)


def _upsampled_then_shifted() -> Sides:
    nearest = correlation(2 * n - 1, [1, 1], padding="full") @ upsample(n, 2)
    pool = average_pool(2 * n, 2, padding=((1, 1),))
    return crop(n + 1, ((0, 1),)) @ pool @ nearest, identity(n)


def _stacked(taps: int) -> Sides:
    """Pooling over 2 samples, taps - 1 times: binomial weights."""
    weights = [1]
    blurred: Operator = identity(n)
    for k in range(taps - 1):
        blurred = sum_pool(n - k, 2, stride=1) @ blurred
        weights = [a + b for a, b in zip([*weights, 0], [0, *weights], strict=True)]
    return blurred, correlation(n, weights)


def _stacked_equal() -> Sides:
    twice = sum_pool(n - 1, 2, stride=1) @ sum_pool(n, 2, stride=1)
    return twice, correlation(n, [1, 1, 1])


THEOREMS = (
    Theorem(
        "average-pooling-adjoint",
        (
            OneEntryRows(
                "each sample of a window receives 1/K of the gradient of the window",
                lambda: average_pool(n, K).T,
                "i",
                lambda i: (i // K,),
                1 / K,
            ),
        ),
        chapter=POOLING,
        sentence=(
            "The adjoint of average pooling over adjacent windows of K samples gives each sample "
            "1/K of the gradient of its window."
        ),
        idea="Sample i is in window floor(i / K) only, and its weight there is 1/K.",
    ),
    Theorem(
        "max-pooling-adjoint",
        (
            OneEntryRows(
                "with m one at the maximum of each window, that sample receives the whole gradient",
                _winners,
                "o t",
                lambda o, t: (o, 0),
                weight=lambda o, t: (o, 0, t),
            ),
        ),
        chapter=POOLING,
        sentence=(
            "With a mask that is one at the maximum of each window, the adjoint of max pooling "
            "passes the whole gradient of a window to its maximum."
        ),
        idea=(
            "Max pooling at x is the sum of mask times sample over each window; the transpose "
            "multiplies the gradient of the window by the mask."
        ),
    ),
    Theorem(
        "average-pooling",
        tuple(
            Equality(
                f"the mean of {taps} samples is a correlation with equal weights",
                partial(_average_kernel, taps),
            )
            for taps in (2, 3, 4)
        ),
        counter=Equality("the mean of 2 samples is a correlation with ones", _unnormalised),
        chapter=POOLING,
        sentence=(
            "Average pooling over 2, 3 or 4 samples with any stride is the correlation with equal "
            "weights that add up to one."
        ),
        idea="The mean of K samples is their sum with the weights 1/K.",
    ),
    Theorem(
        "pooling-stride",
        (
            Equality("sum pooling", partial(_downsampled, "sum")),
            Equality("average pooling", partial(_downsampled, "average")),
        ),
        counter=Equality(
            "pooling of stride 2 is every second output of the pooling of stride 1, from output 1 "
            "on",
            _downsampled_from_one,
        ),
        chapter=POOLING,
        sentence=(
            "Sum or average pooling over any window with stride s is the pooling of stride 1, of "
            "which every s-th output is kept."
        ),
        idea="Window o starts at sample s o, as window s o of the pooling of stride 1 does.",
    ),
    Theorem(
        "pooling-composition",
        (
            Equality("sum pooling", partial(_composed, "sum"), ranges=UP_TO_4),
            Equality("average pooling", partial(_composed, "average"), ranges=UP_TO_4),
        ),
        counter=Equality(
            "pooling twice over 2 samples with stride 1 is pooling over 3 samples",
            _composed_with_stride,
        ),
        chapter=POOLING,
        sentence=(
            "Sum or average pooling over adjacent windows of K samples and then over adjacent "
            "windows of L outputs, with K and L up to 4, is the pooling over adjacent windows of "
            "K L samples."
        ),
        idea="Sample i is in window floor(floor(i / K) / L), which is floor(i / (K L)).",
    ),
    Theorem(
        "mean-of-means",
        (Equality("global pooling after average pooling", _mean_of_means, ranges=UP_TO_8),),
        counter=Equality(
            "average pooling over windows of two keeps the mean for every number of samples",
            _mean_without_the_rest,
        ),
        chapter=POOLING,
        sentence=(
            "If up to 8 adjacent windows of up to 8 samples cover the signal exactly, the mean of "
            "their means is the mean of the signal."
        ),
        idea="Every sample is in exactly one window and has the weight 1/K times 1/L.",
    ),
    Theorem(
        "running-sum",
        (Equality("two samples are enough to update a window", _running_sum),),
        counter=Equality("the next window is larger by the sample that enters", _running_sum_wrong),
        chapter=POOLING,
        sentence=(
            "The sums of neighbouring windows of K samples differ by the sample that enters minus "
            "the sample that leaves, so that a running sum needs two additions for any K."
        ),
        idea="Windows o and o + 1 share all samples but x[o] and x[o + K].",
    ),
    Theorem(
        "pooling-separable",
        (
            Equality("sum pooling", partial(_separable, "sum")),
            Equality("average pooling", partial(_separable, "average")),
        ),
        counter=Equality(
            "average pooling is average pooling along one axis and sum pooling along the other",
            _separable_wrong,
        ),
        chapter=POOLING,
        sentence=(
            "Sum or average pooling in two dimensions is the Kronecker product of the poolings "
            "along its axes, with any windows and strides."
        ),
        idea="The sum over a rectangle is a sum of sums over its rows.",
    ),
    Theorem(
        "pooling-commutes",
        (
            Equality("two poolings", _commuting),
            Equality("a pooling and a layer", _with_layer),
        ),
        counter=Equality(
            "pooling over adjacent windows commutes with pooling of stride 1 over 3 samples",
            _commuting_touching,
        ),
        chapter=POOLING,
        sentence="Poolings of stride 1 commute with each other and with valid layers of stride 1.",
        idea="Both orders sum the samples o + a + b over all a and b, and a + b = b + a.",
    ),
    Theorem(
        "pooling-adjoint-stride",
        tuple(
            Equality(
                f"the adjoint of sum pooling over {taps} samples is a transposed layer",
                partial(_adjoint_as_transposed, taps),
            )
            for taps in (2, 3, 4)
        ),
        counter=Equality(
            "the adjoint needs no zeros for samples after the last window", _adjoint_unpadded
        ),
        chapter=POOLING,
        sentence=(
            "The adjoint of sum pooling over 2, 3 or 4 samples with stride s inserts s - 1 zeros "
            "between the gradients and applies the full correlation with ones."
        ),
        idea="Sum pooling is a strided correlation with ones, and ones do not change when flipped.",
    ),
    Theorem(
        "pooling-of-adjoint",
        tuple(
            Equality(
                f"sum pooling over {taps} samples after its adjoint is {taps} times the identity",
                partial(_back_and_forth, taps),
            )
            for taps in (2, 3, 4)
        ),
        counter=Equality(
            "sum pooling over 2 samples with stride 1 after its adjoint is twice the identity",
            _back_and_forth_overlapping,
        ),
        chapter=POOLING,
        sentence=(
            "Sum pooling over adjacent windows of 2, 3 or 4 samples after its adjoint multiplies "
            "by the size of the window."
        ),
        idea="The adjoint repeats each value K times, and the pooling adds these K copies.",
    ),
    Theorem(
        "nearest-upsampling",
        tuple(
            Equality(
                f"average pooling over {taps} samples undoes nearest-neighbour upsampling",
                partial(_upsampled_then_pooled, taps),
            )
            for taps in (2, 3, 4)
        ),
        counter=Equality(
            "average pooling over 2 samples undoes the upsampling with other windows too",
            _upsampled_then_shifted,
        ),
        chapter=POOLING,
        sentence=(
            "Average pooling over adjacent windows of 2, 3 or 4 samples undoes nearest-neighbour "
            "upsampling, which inserts zeros and applies the full correlation with ones."
        ),
        idea="Each window contains the copies of one sample only, and their mean is that sample.",
    ),
    Theorem(
        "binomial-pooling",
        tuple(
            Equality(
                f"pooling over 2 samples {taps - 1} times has binomial weights",
                partial(_stacked, taps),
            )
            for taps in (3, 4, 5)
        ),
        counter=Equality("pooling over 2 samples twice has equal weights", _stacked_equal),
        chapter=POOLING,
        sentence=(
            "Sum pooling over 2 samples with stride 1, applied 2, 3 or 4 times, is the correlation "
            "with the binomial coefficients."
        ),
        idea="The polynomial of the kernel (1, 1) is 1 + z, and its powers are binomial.",
    ),
)
