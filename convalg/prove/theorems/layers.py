"""Theorems about network layers: pooling, counting, merging, receptive fields."""

from __future__ import annotations

from functools import partial

import numpy as np

from convalg.kernels import kernel
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import identity
from convalg.operators.leaves import Convolution
from convalg.operators.padding import pad
from convalg.operators.sampling import downsample
from convalg.operators.tree import kron
from convalg.prove.theorems.chapters import (
    FOUNDATIONS,
    LAYERS,
    STRIDES,
)
from convalg.prove.theorems.parts import Outcomes
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, M, p, s, C, D, E = sizes("n m K L M p s C D E")
q, r, h = sizes("q r h")


def _variables_added() -> Convolution:
    return convolution(n, kernel(K, name="g"), padding="full")


def _variables_subtracted() -> Convolution:
    return correlation(n, kernel(K, name="g"), padding="full")


def _sub_pixel(step: int) -> Sides:
    """A transposed layer of stride r as r interleaved layers at low resolution.

    Phase c of the output is the correlation of the input with taps c, c + r, c + 2r, ...,
    flipped; the kernel has r M taps.
    """
    x = kernel(n, name="x")
    transposed = transposed_correlation(n, kernel(step * M), stride=step).by_kernel(x)
    length = step * (n - 1) + step * M
    terms = []
    for phase in range(step):
        small = convolution(n, kernel(M, name="u"), padding="full").by_kernel(x)
        interleave = downsample(length, step, offset=phase).T
        terms.append(interleave @ small @ downsample(step * M, step, offset=phase))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return transposed, total


def _merged_branches() -> Sides:
    """3x3 + 1x1 + identity = one 3x3 layer; the other two are added at its centre."""
    w, v = np.asarray(kernel(3, 3)), np.asarray(kernel(1, 1, name="v"))
    merged = w.copy()
    merged[1, 1] = w[1, 1] + v[0, 0] + 1
    branches = correlation((n, m), w, padding=1) + correlation((n, m), v) + identity((n, m))
    return branches, correlation((n, m), merged, padding=1)


def _one_by_one_inside() -> Sides:
    """A 1x1 kernel is a kernel of odd sizes, padded with zeros: B_1(x) = B_K(x) P_h."""
    x = kernel(n, m, name="x")
    small = correlation((n, m), kernel(1, 1, name="v")).by_kernel(x)
    wide = correlation((n, m), kernel(2 * h + 1, 2 * q + 1), padding=(h, q)).by_kernel(x)
    return small, wide @ pad((1, 1), (h, q))


def _batch_norm() -> Sides:
    """A gain per channel after a layer is the layer with its kernel scaled by channel."""
    x, gain = kernel(D, n, m, name="x"), kernel(C, 1, 1, name="g")
    layer = correlation((n, m), kernel(C, D, K, L)).by_kernel(x)
    after = kron(correlation(n - K + 1, gain, groups=C), identity(m - L + 1))
    return after @ layer, layer @ kron(correlation(D, gain, groups=C), identity((K, L)))


def _one_by_one_after() -> Sides:
    """A 1x1 layer after another mixes its kernels: u[e, c] = sum over o of v[e, o] w[o, c]."""
    x, mixing = kernel(D, n, m, name="x"), kernel(E, C, 1, name="v")
    first = correlation((n, m), kernel(C, D, K, L)).by_kernel(x)
    merged = correlation((n, m), kernel(E, D, K, L, name="u")).by_kernel(x)
    after = kron(correlation(n - K + 1, mixing), identity(m - L + 1))
    return after @ first, merged @ kron(correlation(D, mixing), identity((K, L)))


def _merged_without_identity() -> Sides:
    w = kernel(3, 3)
    branches = correlation((n, m), w, padding=1) + identity((n, m))
    return branches, correlation((n, m), w, padding=1)


THEOREMS = (
    Theorem(
        "sum-of-random-variables",
        (Outcomes("the distribution of X + Y", _variables_added, 1, lambda k: k),),
        chapter=FOUNDATIONS,
        sentence=(
            "The distribution of the sum of two independent random variables is the full "
            "convolution of their distributions."
        ),
        idea="P(X + Y = k) is the sum of P(X = i) P(Y = j) over all i + j = k.",
    ),
    Theorem(
        "difference-of-random-variables",
        (
            # Row k is X - Y = k - (K - 1): the difference runs from -(K - 1) to n - 1.
            Outcomes("the distribution of X - Y", _variables_subtracted, -1, lambda k: k - (K - 1)),
        ),
        chapter=FOUNDATIONS,
        sentence=(
            "The distribution of the difference of two independent random variables is the full "
            "correlation of their distributions."
        ),
        idea="P(X - Y = k) is the sum of P(X = i) P(Y = j) over all i - j = k.",
    ),
    Theorem(
        "sub-pixel",
        tuple(
            Equality(
                f"a transposed layer of stride {r} is {r} interleaved layers",
                partial(_sub_pixel, r),
                "w",
            )
            for r in (2, 3, 4)
        ),
        source="Shi et al., Is the deconvolution layer the same as a convolutional layer?",
        chapter=STRIDES,
        sentence=(
            "A transposed layer of stride 2, 3 or 4 interleaves the outputs of as many "
            "convolutions at the low resolution, one per phase of its kernel."
        ),
        idea=(
            "Output r i + c receives only the taps c, c + r, c + 2 r, and so on; these taps are "
            "the kernel of phase c."
        ),
    ),
    Theorem(
        "merged-branches",
        (
            Equality(
                "the sum of a 3x3 layer, a 1x1 layer and the identity is a 3x3 layer",
                _merged_branches,
            ),
            Equality(
                "a 1x1 kernel is a kernel of odd sizes, padded with zeros", _one_by_one_inside, "v"
            ),
        ),
        source="Ding et al., RepVGG",
        counter=Equality(
            "the identity branch does not change the kernel", _merged_without_identity
        ),
        chapter=LAYERS,
        sentence=(
            "The sum of a 3x3 layer, a 1x1 layer and the identity is one 3x3 layer, because a 1x1"
            " kernel is an odd kernel padded with zeros."
        ),
        idea=(
            "Layers of the same size add up if their kernels do; the 1x1 weight and the one of "
            "the identity are added at the centre."
        ),
    ),
    Theorem(
        "batch-norm",
        (Equality("the gain of a channel scales the kernel of that channel", _batch_norm, "w"),),
        chapter=LAYERS,
        sentence=(
            "To scale the output channels of a layer, as batch normalisation does, is to scale "
            "its kernel by output channel."
        ),
        idea="Each output of a channel is linear in the weights of that channel.",
    ),
    Theorem(
        "one-by-one",
        (
            Equality(
                "a 1x1 layer mixes the output channels of the kernel before it",
                _one_by_one_after,
                "w",
            ),
        ),
        chapter=LAYERS,
        sentence=(
            "A 1x1 layer after a layer is one layer, whose kernel mixes the output channels of "
            "the kernel before it."
        ),
        idea=(
            "Exchange the sum over the channels between the layers with the sum over taps and "
            "input channels."
        ),
    ),
)
