"""The fifteen relationships of convolution arithmetic, as sizes and as operators.

Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning. The guide
writes i, k, s, p, d, o for one axis; here n = i and K = k. Its relationships 8 to 14 assume
p <= k - 1 without stating it. They hold for larger p too if a negative padding crops, as it does
here, where the padding is an operator.
"""

from __future__ import annotations

from functools import partial

from convalg.axis import Size
from convalg.kernels import flip, kernel
from convalg.operators.convolution import correlation
from convalg.operators.padding import pad
from convalg.operators.pooling import sum_pool
from convalg.operators.sampling import upsample
from convalg.prove.theorems.parts import K, Length, Positions, d, n, p, s
from convalg.prove.theorems.theorem import Equality, Part, Sides, Theorem
from convalg.size import sizes

(h,) = sizes("h")
GUIDE = "Dumoulin & Visin, A guide to convolution arithmetic for deep learning"


def adjoint_as_correlation(padding: Size, *, stride: Size = 1, taps: Size = K) -> Sides:
    """Return both sides of the adjoint as a correlation.

    A^T is the correlation with flip w after inserting s - 1 zeros, appending a zeros and padding by
    k - 1 - p.

    The upsampled input has s (i' - 1) + 1 + a = i + 2 p - k + 1 samples.
    """
    layer = correlation(n, kernel(taps), padding=padding, stride=stride)
    outputs = layer.out_shape[0]
    length = n + 2 * padding - taps + 1
    upsampled = upsample(outputs, stride, size=length)
    margin = taps - 1 - padding
    padded = pad(length, margin) if margin != 0 else None
    over = correlation(length + 2 * margin, flip(kernel(taps)))
    return layer.T, over @ padded @ upsampled if padded is not None else over @ upsampled


def _even_kernel() -> Sides:
    """Relationship 10 for an even k: the adjoint would have the same padding floor(k / 2)."""
    layer = correlation(n, kernel(2 * h + 2), padding=h + 1)
    return layer.T, correlation(layer.out_shape[0], flip(kernel(2 * h + 2)), padding=h + 1)


def _padding_forgotten() -> Sides:
    """Relationship 8 for a padded layer: the adjoint would still be padded by k - 1."""
    layer = correlation(n, kernel(K), padding=p)
    return layer.T, correlation(layer.out_shape[0], flip(kernel(K)), padding=K - 1)


def _remainder_lost() -> Sides:
    """Relationship 13 where s does not divide i + 2p - k: no zeros after the upsampled input."""
    layer = correlation(n, kernel(K), padding=p, stride=2)
    outputs = layer.out_shape[0]
    length = 2 * (outputs - 1) + 1
    margin = K - 1 - p
    over = correlation(length + 2 * margin, flip(kernel(K)))
    return layer.T, over @ pad(length, margin) @ upsample(outputs, 2)


def _dilated() -> Sides:
    """A dilated kernel is the kernel upsampled with d - 1 zeros: B_d(x) = B(x) U_d."""
    x = kernel(n, name="x")
    dilated = correlation(n, kernel(K), dilation=d, padding=p)
    span = d * (K - 1) + 1
    wide = correlation(n, kernel(span, name="u"), padding=p)
    return dilated.by_kernel(x), wide.by_kernel(x) @ upsample(K, d, size=span)


def _pooling(taps: int) -> Sides:
    return sum_pool(n, taps, stride=s), correlation(n, [1] * taps, stride=s)


def _relation(number: int, *parts: Part, counter: Part | None = None) -> Theorem:
    return Theorem(
        f"relationship-{number}", parts, source=f"{GUIDE}, relationship {number}", counter=counter
    )


def _adjoint_part(claim: str, padding: Size, stride: Size = 1, taps: Size = K) -> Equality:
    return Equality(claim, lambda: adjoint_as_correlation(padding, stride=stride, taps=taps))


COUNT = "the number of outputs"
SIZE = "the size of the adjoint's output"
FLOOR = (n + 2 * p - K) // s + 1

THEOREMS = (
    _relation(1, Positions(COUNT, n - K + 1), counter=Positions(COUNT, n - K)),
    _relation(
        2,
        Positions(COUNT, n - K + 2 * p + 1, padding=p),
        counter=Positions(COUNT, n - K + p + 1, padding=p),
    ),
    _relation(
        3,
        Positions(COUNT, n, taps=2 * h + 1, padding=h),
        counter=Positions(COUNT, n, taps=2 * h + 2, padding=h),
    ),
    _relation(4, Positions(COUNT, n + K - 1, padding=K - 1)),
    _relation(5, Positions(COUNT, (n - K) // s + 1, stride=s)),
    _relation(
        6,
        Positions(COUNT, FLOOR, padding=p, stride=s),
        counter=Positions(COUNT, FLOOR + 1, padding=p, stride=s),
    ),
    _relation(
        7,
        Positions("the number of windows", (n - K) // s + 1, stride=s),
        *(
            Equality(
                f"sum pooling over {taps} samples is a correlation with ones",
                partial(_pooling, taps),
            )
            for taps in (2, 3, 4)
        ),
    ),
    _relation(
        8,
        Length(SIZE, lambda i, a: i + K - 1),
        _adjoint_part("the adjoint pads by k - 1 and flips the kernel", 0),
        counter=Equality("the adjoint of a padded layer also pads by k - 1", _padding_forgotten),
    ),
    _relation(
        9,
        Length(SIZE, lambda i, a: i + K - 1 - 2 * p, p),
        _adjoint_part("the adjoint pads by k - p - 1 and flips the kernel", p),
    ),
    _relation(
        10,
        _adjoint_part("the adjoint has the same padding and the flipped kernel", h, taps=2 * h + 1),
        counter=Equality("the adjoint has the same padding for an even kernel too", _even_kernel),
    ),
    _relation(
        11,
        Length(SIZE, lambda i, a: i - (K - 1), K - 1),
        _adjoint_part("the adjoint flips the kernel and does not pad", K - 1),
    ),
    _relation(
        12,
        Length(SIZE, lambda i, a: s * (i - 1) + K + a, 0, s),
        _adjoint_part("the adjoint inserts s - 1 zeros and pads by k - 1", 0, s),
        counter=Length(f"{SIZE} without a", lambda i, a: s * (i - 1) + K, 0, s),
    ),
    _relation(
        13,
        Length(SIZE, lambda i, a: s * (i - 1) + K - 2 * p + a, p, s),
        _adjoint_part("the adjoint inserts s - 1 zeros and pads by k - p - 1", p, s),
        counter=Equality("the adjoint needs no zeros for the remainder a", _remainder_lost),
    ),
    _relation(
        14,
        Length(SIZE, lambda i, a: s * (i - 1) + a + K - 2 * p, p, s),
        _adjoint_part("the adjoint appends a zeros after the last sample", p, s),
        counter=Length(f"{SIZE} without a", lambda i, a: s * (i - 1) + K - 2 * p, p, s),
    ),
    _relation(
        15,
        Positions(
            COUNT,
            (n + 2 * p - K - (K - 1) * (d - 1)) // s + 1,
            padding=p,
            stride=s,
            dilation=d,
        ),
        Equality("a dilated kernel is the kernel with d - 1 zeros inserted", _dilated, "w"),
    ),
)
