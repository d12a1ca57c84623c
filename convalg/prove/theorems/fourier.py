"""Theorems about borders: padding rules, circular and causal layers, and the Fourier transform."""

from __future__ import annotations

from functools import partial, reduce
from operator import add

import numpy as np

from convalg.axis import BOUNDARIES, Boundary
from convalg.conventions import Padding
from convalg.kernels import flip, kernel
from convalg.operators.convolution import correlation
from convalg.operators.leaves import Convolution
from convalg.operators.padding import crop, pad
from convalg.operators.shifts import shift
from convalg.prove.theorems.chapters import BORDERS
from convalg.prove.theorems.parts import Exponentials
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, p, d, q, h = sizes("n m K p d q h")
FOLDED: tuple[Boundary, ...] = ("circular", "reflect", "symmetric", "edge")


def _padded(boundary: Boundary) -> Sides:
    layer = correlation(n, kernel(K), padding=p, boundary=boundary)
    return layer, correlation(n + 2 * p, kernel(K)) @ pad(n, p, boundary=boundary)


def _same_size() -> Padding:
    """Return the padding that starts with p and leads to as many outputs as inputs."""
    return ((p, K - 1 - p),)


def _circular() -> Convolution:
    return correlation(n, kernel(K), padding=_same_size(), boundary="circular")


def _commutes_with_shift() -> Sides:
    layer, step = _circular(), shift(n, 1, boundary="circular")
    return layer @ step, step @ layer


def _zeros_commute() -> Sides:
    layer, step = correlation(n, kernel(3), padding=1), shift(n, 1, boundary="circular")
    return layer @ step, step @ layer


def _sum_of_shifts(taps: int) -> Sides:
    weights = np.asarray(kernel(taps))
    layer = correlation(n, weights, padding=((0, taps - 1),), boundary="circular")
    shifts = [w * shift(n, -t, boundary="circular") for t, w in enumerate(weights)]
    return layer, reduce(add, shifts)


def _sum_of_plain_shifts() -> Sides:
    weights = np.asarray(kernel(2))
    layer = correlation(n, weights, padding=((0, 1),), boundary="circular")
    return layer, weights[0] * shift(n, 0) + weights[1] * shift(n, -1)


def _valid_from_circular() -> Sides:
    circular = correlation(n, kernel(K), padding=((0, K - 1),), boundary="circular")
    return correlation(n, kernel(K)), crop(n, ((0, K - 1),)) @ circular


def _full_from_circular() -> Sides:
    circular = correlation(n + K - 1, kernel(K), padding=((K - 1, 0),), boundary="circular")
    return correlation(n, kernel(K), padding="full"), circular @ pad(n, ((0, K - 1),))


def _wrapped_around() -> Sides:
    """One zero too few: the first and the last output of the full layer are added up."""
    circular = correlation(n + 1, kernel(3), padding=((2, 0),), boundary="circular")
    full = correlation(n, kernel(3), padding="full")
    return crop(n + 2, ((0, 1),)) @ full, circular @ pad(n, ((0, 1),))


def _folded_adjoint(boundary: Boundary) -> Sides:
    """A = A_0 P, so that A^T = P^T A_0^T, and A_0^T is the full layer with the flipped kernel."""
    layer = correlation(n, kernel(K), padding=p, boundary=boundary)
    unpadded = correlation(layer.out_shape, flip(kernel(K)), padding="full")
    return layer.T, pad(n, p, boundary=boundary).T @ unpadded


def _gradient_folded() -> Sides:
    layer = correlation(n, kernel(2 * h + 1), padding=h, boundary="symmetric")
    flipped = flip(kernel(2 * h + 1))
    return layer.T, correlation(n, flipped, padding=h, boundary="symmetric")


def _inside(boundary: Boundary) -> Sides:
    layer = correlation(n, kernel(K), padding=p, boundary=boundary)
    return crop(layer.out_shape[0], p) @ layer, correlation(n, kernel(K))


def _borders_agree() -> Sides:
    zeros = correlation(n, kernel(K), padding=p)
    return zeros, correlation(n, kernel(K), padding=p, boundary="edge")


def _padded_twice(boundary: Boundary) -> Sides:
    twice = pad(n + 2 * p, q, boundary=boundary) @ pad(n, p, boundary=boundary)
    return twice, pad(n, p + q, boundary=boundary)


def _reflect_from_symmetric() -> Sides:
    """The p samples in front and the n samples after the copy of the border sample."""
    symmetric = pad(n, ((p + 1, 0),), boundary="symmetric")
    front = pad(p, ((0, n),)) @ crop(n + p + 1, ((0, n + 1),))
    rest = pad(n, ((p, 0),)) @ crop(n + p + 1, ((p + 1, 0),))
    return pad(n, ((p, 0),), boundary="reflect"), front @ symmetric + rest @ symmetric


def _reflect_is_symmetric() -> Sides:
    return pad(n, p, boundary="reflect"), pad(n, p, boundary="symmetric")


def _repeated_by(amount: int) -> Sides:
    return pad(n, amount, boundary="symmetric"), pad(n, amount, boundary="edge")


def _causal_prefix() -> Sides:
    """The first n of n + m outputs read only the first n of n + m samples."""
    shorter = correlation(n, kernel(K), padding="causal", dilation=d)
    longer = correlation(n + m, kernel(K), padding="causal", dilation=d)
    first = crop(n + m, ((0, m),))
    return first @ longer, shorter @ first


def _centred_prefix() -> Sides:
    shorter = correlation(n, kernel(3), padding=1)
    longer = correlation(n + m, kernel(3), padding=1)
    first = crop(n + m, ((0, m),))
    return first @ longer, shorter @ first


def _causal_from_full() -> Sides:
    full = correlation(n, kernel(K), padding="full")
    return correlation(n, kernel(K), padding="causal"), crop(n + K - 1, ((0, K - 1),)) @ full


def _wrong_end_cropped() -> Sides:
    full = correlation(n, kernel(K), padding="full")
    return correlation(n, kernel(K), padding="causal"), crop(n + K - 1, ((K - 1, 0),)) @ full


def _masked() -> Sides:
    """A centred kernel whose h taps to the right of the centre are zero."""
    x = kernel(n, name="x")
    causal = correlation(n, kernel(h + 1), padding="causal").by_kernel(x)
    centred = correlation(n, kernel(2 * h + 1), padding=h).by_kernel(x)
    return causal, centred @ pad(h + 1, ((0, h),))


def _masked_on_the_left() -> Sides:
    x = kernel(n, name="x")
    causal = correlation(n, kernel(h + 1), padding="causal").by_kernel(x)
    centred = correlation(n, kernel(2 * h + 1), padding=h).by_kernel(x)
    return causal, centred @ pad(h + 1, ((h, 0),))


def _causal_by_shift(*, is_delayed: bool = True) -> Sides:
    """A causal layer with 2 h + 1 taps is the centred layer of its input delayed by h."""
    w = kernel(2 * h + 1)
    front, end = ((h, 0),), ((0, h),)
    before, after = (front, end) if is_delayed else (end, front)
    centred = correlation(n + h, w, padding=h)
    return correlation(n, w, padding="causal"), crop(n + h, after) @ centred @ pad(n, before)


GRAY = "Gray, Toeplitz and Circulant Matrices: A Review, 2006"

THEOREMS = (
    Theorem(
        "padding",
        tuple(
            Equality(f"a padded layer ({b}) is the valid layer after padding", partial(_padded, b))
            for b in BOUNDARIES
        ),
        chapter=BORDERS,
        sentence=(
            "For every boundary rule, a padded layer pads its input by that rule and then applies "
            "the valid layer."
        ),
        idea="Both sides read position o + t of the padded signal with weight t.",
    ),
    Theorem(
        "boundary-interior",
        tuple(
            Equality(
                f"without p outputs at each end, a padded layer ({b}) is the valid layer",
                partial(_inside, b),
            )
            for b in BOUNDARIES
        ),
        counter=Equality("zero padding and edge padding lead to the same layer", _borders_agree),
        chapter=BORDERS,
        sentence=(
            "All boundary rules agree away from the border: without the p outputs at each end, a "
            "layer with padding p is the valid layer."
        ),
        idea="Output o + p reads the samples o to o + K - 1, all of which are inside the signal.",
    ),
    Theorem(
        "padding-twice",
        tuple(
            Equality(f"two paddings ({b}) add up", partial(_padded_twice, b))
            for b in ("zeros", "edge")
        ),
        counter=Equality("two reflect paddings add up", partial(_padded_twice, "reflect")),
        chapter=BORDERS,
        sentence="Padding by p and then by q, with zeros or with the edge, is padding by p + q.",
        idea="The outermost sample after the first padding is zero or the edge, as before it.",
    ),
    Theorem(
        "reflect-symmetric",
        (
            Equality(
                "reflect padding is symmetric padding without the copy of the border sample",
                _reflect_from_symmetric,
            ),
        ),
        counter=Equality("reflect and symmetric padding are equal", _reflect_is_symmetric),
        chapter=BORDERS,
        sentence=(
            "Reflect padding by p samples is symmetric padding by p + 1 samples, from which the "
            "copy of the border sample is removed."
        ),
        idea=(
            "Symmetric padding reads x[p], ..., x[0], x[0], x[1], ...; reflect padding reads x[p], "
            "..., x[1], x[0], x[1], ...."
        ),
    ),
    Theorem(
        "symmetric-edge",
        (
            Equality(
                "symmetric padding by one sample is edge padding by one sample",
                partial(_repeated_by, 1),
            ),
        ),
        counter=Equality(
            "symmetric padding by two samples is edge padding by two samples",
            partial(_repeated_by, 2),
        ),
        chapter=BORDERS,
        sentence="Symmetric padding and edge padding by one sample are the same.",
        idea="Both repeat the border sample once.",
    ),
    Theorem(
        "boundary-adjoint",
        tuple(
            Equality(
                f"the adjoint of a layer with {b} padding folds the full layer with the flipped "
                f"kernel back into the signal",
                partial(_folded_adjoint, b),
            )
            for b in FOLDED
        ),
        counter=Equality(
            "the adjoint of a layer with symmetric padding pads symmetrically", _gradient_folded
        ),
        chapter=BORDERS,
        sentence=(
            "With circular, reflect, symmetric or edge padding, the adjoint of a layer applies the "
            "full layer with the flipped kernel and then adds the border to the samples that it "
            "was copied from."
        ),
        idea="The layer is the valid layer after a padding; transpose both, in reverse order.",
    ),
    Theorem(
        "circular-dft",
        (
            Exponentials(
                "the columns of the DFT matrix are eigenvectors", _circular, lambda t, p: t - p
            ),
            Equality("a circular layer commutes with the cyclic shift", _commutes_with_shift),
        ),
        source=GRAY,
        counter=Equality("a zero-padded layer commutes with the cyclic shift too", _zeros_commute),
        chapter=BORDERS,
        sentence=(
            "The columns of the DFT matrix are eigenvectors of every circular layer, and the layer "
            "commutes with the cyclic shift."
        ),
        idea=(
            "Shifting a complex exponential multiplies it by a constant, and a circular layer is a "
            "sum of cyclic shifts."
        ),
    ),
    Theorem(
        "circulant",
        tuple(
            Equality(
                f"a circular layer with {taps} taps is a weighted sum of cyclic shifts",
                partial(_sum_of_shifts, taps),
            )
            for taps in (2, 3, 4)
        ),
        source=GRAY,
        counter=Equality(
            "a circular layer is a weighted sum of shifts that fill in zeros", _sum_of_plain_shifts
        ),
        chapter=BORDERS,
        sentence=(
            "The matrix of a circular layer with 2, 3 or 4 taps is circulant: it is the sum of the "
            "cyclic shifts, weighted by the kernel."
        ),
        idea="Tap t of output o reads sample o + t modulo n, which is a cyclic shift by -t.",
    ),
    Theorem(
        "circulant-embedding",
        (
            Equality(
                "a valid layer is a circular layer without its last K - 1 outputs",
                _valid_from_circular,
            ),
            Equality(
                "a full layer is a circular layer after K - 1 zeros are appended",
                _full_from_circular,
            ),
        ),
        source=GRAY,
        counter=Equality(
            "for a full layer with 3 taps, it is enough to append one zero", _wrapped_around
        ),
        chapter=BORDERS,
        sentence=(
            "A valid layer is a circular layer without its last K - 1 outputs, and a full layer is "
            "a circular layer after K - 1 zeros are appended to its input."
        ),
        idea="The outputs that wrap around are removed, or the samples that they add are zero.",
    ),
    Theorem(
        "causal",
        (Equality("a causal layer reads no later sample, at any dilation", _causal_prefix),),
        source="van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016",
        counter=Equality("a centred layer with 3 taps reads no later sample", _centred_prefix),
        chapter=BORDERS,
        sentence=(
            "The first n outputs of a causal layer of any dilation depend on the first n samples "
            "only, and are the outputs of the layer on these samples."
        ),
        idea="Output o reads samples from o - d (K - 1) to o, and none after o.",
    ),
    Theorem(
        "causal-full",
        (Equality("a causal layer is the full layer without its end", _causal_from_full),),
        counter=Equality(
            "a causal layer is the full layer without its first K - 1 outputs", _wrong_end_cropped
        ),
        chapter=BORDERS,
        sentence="A causal layer is the full layer without its last K - 1 outputs.",
        idea="Both put K - 1 zeros in front; the full layer also appends as many.",
    ),
    Theorem(
        "causal-shift",
        (
            Equality(
                "a causal layer with an odd kernel is the centred layer of the delayed input",
                _causal_by_shift,
            ),
        ),
        source="van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016",
        counter=Equality(
            "a causal layer with an odd kernel is the centred layer of the advanced input",
            partial(_causal_by_shift, is_delayed=False),
        ),
        chapter=BORDERS,
        sentence=(
            "A causal layer with 2h + 1 taps is the centred layer applied to the input delayed by "
            "h samples."
        ),
        idea="A delay by h moves the reach of the kernel from o - h, ..., o + h to o - 2h, ..., o.",
    ),
    Theorem(
        "causal-mask",
        (
            Equality(
                "a causal layer is the centred layer whose kernel is masked to the right", _masked
            ),
        ),
        source="van den Oord et al., Pixel Recurrent Neural Networks, 2016",
        counter=Equality(
            "a causal layer is the centred layer whose kernel is masked to the left",
            _masked_on_the_left,
        ),
        chapter=BORDERS,
        sentence=(
            "A causal layer with h + 1 taps is the centred layer with 2h + 1 taps, of which those "
            "to the right of the centre are zero."
        ),
        idea="The taps that would read later samples have the weight zero.",
    ),
)
