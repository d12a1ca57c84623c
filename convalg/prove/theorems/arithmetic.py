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
from convalg.prove.theorems.chapters import ADJOINTS, SIZES
from convalg.prove.theorems.parts import K, Length, Positions, d, n, o, p, s
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


def _nothing_left() -> Sides:
    """Relationship 13: s divides i + 2p - k, so that no sample is left over at the end."""
    layer = correlation(s * (o - 1) + K - 2 * p, kernel(K), padding=p, stride=s)
    length, margin = s * (o - 1) + 1, K - 1 - p
    over = correlation(length + 2 * margin, flip(kernel(K)))
    return layer.T, over @ pad(length, margin) @ upsample(o, s)


def _dilated() -> Sides:
    """A dilated kernel is the kernel upsampled with d - 1 zeros: B_d(x) = B(x) U_d."""
    x = kernel(n, name="x")
    dilated = correlation(n, kernel(K), dilation=d, padding=p)
    span = d * (K - 1) + 1
    wide = correlation(n, kernel(span, name="u"), padding=p)
    return dilated.by_kernel(x), wide.by_kernel(x) @ upsample(K, d, size=span)


def _pooling(taps: int) -> Sides:
    return sum_pool(n, taps, stride=s), correlation(n, [1] * taps, stride=s)


def _relation(
    number: int,
    *parts: Part,
    counter: Part | None = None,
    chapter: str,
    sentence: str,
    idea: str,
) -> Theorem:
    return Theorem(
        f"relationship-{number}",
        parts,
        source=f"{GUIDE}, relationship {number}",
        counter=counter,
        chapter=chapter,
        sentence=sentence,
        idea=idea,
    )


def _adjoint_part(claim: str, padding: Size, stride: Size = 1, taps: Size = K) -> Equality:
    return Equality(claim, lambda: adjoint_as_correlation(padding, stride=stride, taps=taps))


COUNT = "the number of outputs"
SIZE = "the size of the adjoint's output"
FLOOR = (n + 2 * p - K) // s + 1

THEOREMS = (
    _relation(
        1,
        Positions(COUNT, n - K + 1),
        counter=Positions(COUNT, n - K),
        chapter=SIZES,
        sentence="A valid layer of stride 1 has n - K + 1 outputs.",
        idea="The kernel starts at the samples 0, 1, and so on up to n - K.",
    ),
    _relation(
        2,
        Positions(COUNT, n - K + 2 * p + 1, padding=p),
        counter=Positions(COUNT, n - K + p + 1, padding=p),
        chapter=SIZES,
        sentence="A layer of stride 1 with padding p has n - K + 2p + 1 outputs.",
        idea="The padded input has n + 2p samples; count the positions of the kernel in it.",
    ),
    _relation(
        3,
        Positions(COUNT, n, taps=2 * h + 1, padding=h),
        counter=Positions(COUNT, n, taps=2 * h + 2, padding=h),
        chapter=SIZES,
        sentence="An odd kernel with 2h + 1 taps and padding h keeps the size of the input.",
        idea="The padding adds 2h samples, and the kernel takes 2h away.",
    ),
    _relation(
        4,
        Positions(COUNT, n + K - 1, padding=K - 1),
        chapter=SIZES,
        sentence="Padding by K - 1 at both ends leads to n + K - 1 outputs.",
        idea=(
            "These are the positions at which the kernel overlaps the input in at least one sample."
        ),
    ),
    _relation(
        5,
        Positions(COUNT, (n - K) // s + 1, stride=s),
        chapter=SIZES,
        sentence="A valid layer of stride s has floor((n - K) / s) + 1 outputs.",
        idea="The kernel starts at multiples of s that are at most n - K.",
    ),
    _relation(
        6,
        Positions(COUNT, FLOOR, padding=p, stride=s),
        counter=Positions(COUNT, FLOOR + 1, padding=p, stride=s),
        chapter=SIZES,
        sentence="A layer of stride s with padding p has floor((n + 2p - K) / s) + 1 outputs.",
        idea=(
            "In the padded input, the kernel starts at multiples of s that are at most n + 2p - K."
        ),
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
        chapter=SIZES,
        sentence=(
            "Pooling over windows of K samples with stride s has floor((n - K) / s) + 1 outputs, "
            "and sum pooling over 2, 3 or 4 samples is the correlation with ones."
        ),
        idea="The windows of pooling are the positions of a kernel of the same size and stride.",
    ),
    _relation(
        8,
        Length(SIZE, lambda i, a: i + K - 1),
        _adjoint_part("the adjoint pads by k - 1 and flips the kernel", 0),
        counter=Equality("the adjoint of a padded layer also pads by k - 1", _padding_forgotten),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a valid layer of stride 1 is the correlation with the flipped kernel "
            "and padding K - 1, and its output has o + K - 1 samples."
        ),
        idea=(
            "The first sample is read by one output only, so the flipped kernel starts K - 1 "
            "before the first output."
        ),
    ),
    _relation(
        9,
        Length(SIZE, lambda i, a: i + K - 1 - 2 * p, p),
        _adjoint_part("the adjoint pads by k - p - 1 and flips the kernel", p),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a layer with padding p pads by K - p - 1 before it applies the "
            "flipped kernel, and its output has o + K - 1 - 2p samples."
        ),
        idea="Each sample of padding of the layer is a sample less of padding for its adjoint.",
    ),
    _relation(
        10,
        _adjoint_part("the adjoint has the same padding and the flipped kernel", h, taps=2 * h + 1),
        counter=Equality("the adjoint has the same padding for an even kernel too", _even_kernel),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a layer with 2h + 1 taps and padding h is the correlation with the "
            "flipped kernel and the same padding."
        ),
        idea="K - p - 1 is 2h - h = h.",
    ),
    _relation(
        11,
        Length(SIZE, lambda i, a: i - (K - 1), K - 1),
        _adjoint_part("the adjoint flips the kernel and does not pad", K - 1),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a layer with padding K - 1 is the valid correlation with the flipped "
            "kernel, and its output has o - (K - 1) samples."
        ),
        idea="The padding K - p - 1 of the adjoint is zero.",
    ),
    _relation(
        12,
        Length(SIZE, lambda i, a: s * (i - 1) + K + a, 0, s),
        _adjoint_part("the adjoint inserts s - 1 zeros and pads by k - 1", 0, s),
        counter=Length(f"{SIZE} without a", lambda i, a: s * (i - 1) + K, 0, s),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a valid layer of stride s inserts s - 1 zeros between the samples, "
            "and its output has s (o - 1) + K + a samples, where a is the remainder that the "
            "stride leaves."
        ),
        idea=(
            "The adjoint of downsampling inserts zeros; what follows is the adjoint of the layer "
            "of stride 1."
        ),
    ),
    _relation(
        13,
        Equality(
            "where nothing is left, the adjoint inserts s - 1 zeros and pads by k - p - 1",
            _nothing_left,
        ),
        counter=Equality("the adjoint needs no zeros for the remainder a", _remainder_lost),
        chapter=ADJOINTS,
        sentence=(
            "If the stride s of a layer with padding p leaves no remainder, its adjoint inserts "
            "s - 1 zeros between the samples, pads by K - p - 1 and applies the flipped kernel, "
            "and its output has s (o - 1) + K - 2p samples."
        ),
        idea=(
            "Between zero insertion and the flipped kernel, the adjoint of stride 1 pads by K - p"
            " - 1."
        ),
    ),
    _relation(
        14,
        Length(SIZE, lambda i, a: s * (i - 1) + a + K - 2 * p, p, s),
        _adjoint_part("the adjoint appends a zeros after the last sample", p, s),
        counter=Length(f"{SIZE} without a", lambda i, a: s * (i - 1) + K - 2 * p, p, s),
        chapter=ADJOINTS,
        sentence=(
            "If the stride s of a layer with padding p leaves a remainder of a samples, its "
            "adjoint also appends a zeros before it pads by K - p - 1, and its output has "
            "s (o - 1) + a + K - 2p samples."
        ),
        idea=(
            "The last a samples are read by no output of the layer or by the last ones only, and "
            "the zeros give the adjoint the size of the input."
        ),
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
        chapter=SIZES,
        sentence=(
            "A kernel of dilation d is the kernel with d - 1 zeros inserted between its taps, and"
            " its layer has floor((n + 2p - K - (K - 1) (d - 1)) / s) + 1 outputs."
        ),
        idea=(
            "The taps are d samples apart, so the dilated kernel spans K + (K - 1) (d - 1) samples."
        ),
    ),
)
