"""Theorems about sampling: noble identities, phases, dilations, polyphase and sub-pixel layers."""

from __future__ import annotations

from functools import partial

from convalg.axis import Size
from convalg.kernels import kernel
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop
from convalg.operators.rearrange import reshape
from convalg.operators.sampling import downsample, upsample
from convalg.operators.shifts import shift
from convalg.operators.tree import Operator, add, kron
from convalg.prove.theorems.chapters import STRIDES
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, M, p, q, s, r, d, e, c, k = sizes("n m K L M p q s r d e c k")
VAIDYANATHAN = "Vaidyanathan, Multirate Systems and Filter Banks, 1993"


def _down_twice(outer: Size, inner: Size, both: Size) -> Sides:
    first = downsample(n, inner)
    return downsample(first.out_shape, outer) @ first, downsample(n, both)


def _up_twice() -> Sides:
    first = upsample(n, s)
    return upsample(first.out_shape, r) @ first, upsample(n, r * s)


def _up_then_down() -> Sides:
    inserted = upsample(n, s, size=s * n)
    return downsample(s * n, s) @ inserted, identity(n)


def _mask(size: Size, step: Size) -> Operator:
    """Return U_s D_s: all samples but every s-th one are set to zero."""
    kept = downsample(size, step)
    return upsample(kept.out_shape, step, size=size) @ kept


def _mask_twice() -> Sides:
    return _mask(n, s) @ _mask(n, s), _mask(n, s)


def _mask_is_identity() -> Sides:
    return _mask(n, 2), identity(n)


def _exchanged(down: Size, up: Size) -> Sides:
    """U_b D_a and D_a U_b on an input of a m samples."""
    inserted = upsample(down * m, up, size=down * up * m)
    kept = downsample(down * m, down)
    return (
        upsample(m, up, size=up * m) @ kept,
        downsample(down * up * m, down) @ inserted,
    )


def _shift_down() -> Sides:
    kept = downsample(n, s)
    return kept @ shift(n, s * k), shift(kept.out_shape, k) @ kept


def _shift_up() -> Sides:
    inserted = upsample(n, s)
    return shift(inserted.out_shape, s * k) @ inserted, inserted @ shift(n, k)


def _shift_by_one() -> Sides:
    kept = downsample(n, 2)
    return kept @ shift(n, 1), shift(kept.out_shape, 1) @ kept


def _phase(size: Size, step: Size, first: Size) -> Operator:
    """Return the operator that keeps samples c, c + s, ... of s m samples, for c < s."""
    return upsample(size, step).T @ crop(step * size, ((first, step - 1 - first),))


def _column() -> Sides:
    """Phase c of s m samples, and column c of the array of these samples."""
    column = kron(identity(m), crop(s, ((c, s - 1 - c),)))
    return reshape(m, (m, 1)) @ _phase(m, s, c), column @ reshape(s * m, (m, s))


def _phases(step: int) -> Sides:
    """The sum of U_{s,c} D_{s,c} over the phases c."""
    kept = [downsample(n, step, offset=phase) for phase in range(step)]
    return add(*(each.T @ each for each in kept)), identity(n)


def _one_phase() -> Sides:
    kept = downsample(n, 2)
    return kept.T @ kept, identity(n)


def _dense(first: Size) -> Sides:
    """A strided layer, and every s-th output of the layer of stride 1 from a first one on."""
    strided = correlation(n, kernel(K), stride=s, padding=((q, p),), dilation=d)
    dense = correlation(n, kernel(K), padding=((q, p),), dilation=d)
    return strided, downsample(dense.out_shape, s, offset=first) @ dense


def _dense_2d() -> Sides:
    dense = correlation((n, m), kernel(K, L), padding=p)
    strided = correlation((n, m), kernel(K, L), stride=s, padding=p)
    return strided, downsample(dense.out_shape, s) @ dense


def _noble_down(spread: Size) -> Sides:
    kept = downsample(n, s)
    dense = correlation(n, kernel(K), dilation=spread * d, padding=s * p)
    low = correlation(kept.out_shape, kernel(K), dilation=d, padding=p)
    return low @ kept, downsample(dense.out_shape, s) @ dense


def _noble_up(spread: Size) -> Sides:
    low = correlation(n, kernel(K), dilation=d, padding=p)
    inserted = upsample(n, s)
    high = correlation(inserted.out_shape, kernel(K), dilation=spread * d, padding=s * p)
    return upsample(low.out_shape, s) @ low, high @ inserted


def _noble_without_dilation() -> Sides:
    """The claim that layers commute with downsampling."""
    kept = downsample(2 * n, 2)
    dense = correlation(2 * n, kernel(K), padding=((0, K - 1),))
    low = correlation(n, kernel(K), padding=((0, K - 1),))
    return low @ kept, downsample(2 * n, 2) @ dense


def _noble_up_without_dilation() -> Sides:
    low = correlation(n, kernel(K), padding=((0, K - 1),))
    inserted = upsample(n, 2)
    high = correlation(inserted.out_shape, kernel(K), padding=((0, K - 1),))
    return upsample(n, 2) @ low, high @ inserted


def _dilated_phase() -> Sides:
    """Phase c < d of a dilated layer is a layer of dilation 1 on phase c of the input."""
    layer = correlation(d * m, kernel(K), dilation=d)
    return _phase(m - K + 1, d, c) @ layer, correlation(m, kernel(K)) @ _phase(m, d, c)


def _dilated_other_phase() -> Sides:
    layer = correlation(2 * m, kernel(K), dilation=2)
    kept = downsample(2 * m, 2, offset=1)
    return downsample(layer.out_shape, 2) @ layer, correlation(m, kernel(K)) @ kept


def _polyphase_taps(kept: Size) -> Sides:
    """The taps c, c + s, ... of a strided layer with s M taps, on s m samples."""
    x = kernel(s * m, name="x")
    layer = correlation(s * m, kernel(s * M), stride=s).by_kernel(x)
    dense = correlation(s * m, kernel(M, name="u"), dilation=s).by_kernel(x)
    return layer @ _phase(M, s, c).T, _phase(m - M + 1, s, kept) @ dense


def _polyphase(step: int) -> Sides:
    """A strided layer with s M taps as a sum over its phases, as a map of its kernel."""
    x = kernel(step * m, name="x")
    layer = correlation(step * m, kernel(step * M), stride=step).by_kernel(x)
    dense = correlation(step * m, kernel(M, name="u"), dilation=step).by_kernel(x)
    terms = []
    for phase in range(step):
        rows = downsample(step * (m - M + 1), step, offset=phase)
        terms.append(rows @ dense @ downsample(step * M, step, offset=phase))
    return layer, add(*terms)


def _polyphase_one() -> Sides:
    x = kernel(2 * m, name="x")
    layer = correlation(2 * m, kernel(2 * M), stride=2).by_kernel(x)
    dense = correlation(2 * m, kernel(M, name="u"), dilation=2).by_kernel(x)
    return layer, downsample(2 * (m - M + 1), 2) @ dense @ downsample(2 * M, 2)


def _sub_pixel(*, is_flipped: bool) -> Sides:
    """Phase c of a transposed layer with r M taps is a layer with the taps c, c + r, ..."""
    x = kernel(n, name="x")
    layer = transposed_correlation(n, kernel(r * M), stride=r).by_kernel(x)
    small = convolution if is_flipped else correlation
    low = small(n, kernel(M, name="u"), padding="full").by_kernel(x)
    return _phase(n + M - 1, r, c) @ layer, low @ _phase(M, r, c)


THEOREMS = (
    Theorem(
        "sampling-products",
        (
            Equality(
                "downsampling by s, then by r, is downsampling by r s",
                lambda: _down_twice(r, s, r * s),
            ),
            Equality("upsampling by s, then by r, is upsampling by r s", _up_twice),
        ),
        source=VAIDYANATHAN,
        counter=Equality(
            "downsampling twice by 2 is downsampling by 3", lambda: _down_twice(2, 2, 3)
        ),
        chapter=STRIDES,
        sentence="Downsampling twice is downsampling by the product of the two factors, and so is "
        "upsampling twice.",
        idea="Sample o of the result is sample r s o of the input; the sizes agree since rounding "
        "up n / s and then dividing by r and rounding up is rounding up n / (r s).",
    ),
    Theorem(
        "sampling-inverse",
        (
            Equality("downsampling undoes upsampling by the same factor", _up_then_down),
            Equality(
                "downsampling and then upsampling is a projection: twice is the same as once",
                _mask_twice,
            ),
        ),
        source=VAIDYANATHAN,
        counter=Equality("upsampling undoes downsampling", _mask_is_identity),
        chapter=STRIDES,
        sentence="Downsampling after upsampling by the same factor is the identity, and in the "
        "other order the two are a projection that sets all samples but every s-th one to zero.",
        idea="Upsampling writes sample i to index s i, which downsampling reads again.",
    ),
    Theorem(
        "sampling-exchange",
        (
            *(
                Equality(
                    f"downsampling by {up} e + 1 and upsampling by {up} can be exchanged",
                    partial(_exchanged, up * e + 1, up),
                )
                for up in (2, 3, 4)
            ),
        ),
        source=VAIDYANATHAN,
        counter=Equality(
            "downsampling by 2 and upsampling by 2 can be exchanged", lambda: _exchanged(2, 2)
        ),
        chapter=STRIDES,
        sentence="Downsampling by a and upsampling by 2, 3 or 4 can be exchanged if a leaves the "
        "remainder 1 when it is divided by this factor, which is one case of two factors without "
        "a common divisor.",
        idea="Both orders keep output o only if b divides a o, which it does exactly if it divides "
        "o, since a and b have no common divisor.",
    ),
    Theorem(
        "sampling-shifts",
        (
            Equality("downsampling maps a shift by s k to a shift by k", _shift_down),
            Equality(
                "upsampling maps a shift by k to a shift by s k, at the border too", _shift_up
            ),
        ),
        source=VAIDYANATHAN,
        counter=Equality("downsampling by 2 maps a shift by 1 to a shift by 1", _shift_by_one),
        chapter=STRIDES,
        sentence="Shifting by a multiple s k of the factor before downsampling is shifting by k "
        "after it, and shifting by k before upsampling is shifting by s k after it.",
        idea="Output o reads sample s o - s k = s (o - k).",
    ),
    Theorem(
        "phases",
        (
            Equality("phase c is column c of the array of m rows and s columns", _column),
            *(
                Equality(
                    f"the {step} phases of a signal, each upsampled to its own indices, sum to the "
                    f"signal",
                    partial(_phases, step),
                )
                for step in (2, 3, 4)
            ),
        ),
        source=VAIDYANATHAN,
        counter=Equality("one of two phases is the whole signal", _one_phase),
        chapter=STRIDES,
        sentence="The s phases of s m samples are the columns of an array of m rows that contains "
        "the samples in row-major order, and 2, 3 or 4 phases, each written back to its own "
        "indices, sum to the signal.",
        idea="Every index has exactly one remainder modulo s.",
    ),
    Theorem(
        "stride-downsampling",
        (
            Equality(
                "a padded, dilated and strided layer is the layer of stride 1, then downsampling",
                lambda: _dense(0),
            ),
            Equality(
                "a strided two-dimensional layer is the layer of stride 1, then downsampling on "
                "both axes",
                _dense_2d,
            ),
        ),
        counter=Equality(
            "a strided layer starts with output 1 of the layer of stride 1", lambda: _dense(1)
        ),
        chapter=STRIDES,
        sentence="A strided layer computes every s-th output of the layer of stride 1 on each "
        "axis, whatever its padding and its dilation are.",
        idea="Output o of the strided layer reads from index s o - p on, as output s o of the "
        "layer of stride 1 does.",
    ),
    Theorem(
        "noble-downsampling",
        (
            Equality(
                "a layer after downsampling by s is the layer with s times its dilation and "
                "padding, then downsampling",
                lambda: _noble_down(s),
            ),
        ),
        source=f"{VAIDYANATHAN}, noble identities",
        counter=Equality(
            "a layer commutes with downsampling by 2 without any dilation",
            _noble_without_dilation,
        ),
        chapter=STRIDES,
        sentence="A layer can be moved in front of downsampling by s if its dilation and its "
        "padding are multiplied by s.",
        idea="Both sides read sample s (o + d t - p) with weight t.",
    ),
    Theorem(
        "noble-upsampling",
        (
            Equality(
                "a layer before upsampling by s is upsampling, then the layer with s times its "
                "dilation and padding",
                lambda: _noble_up(s),
            ),
        ),
        source=f"{VAIDYANATHAN}, noble identities",
        counter=Equality(
            "a layer commutes with upsampling by 2 without any dilation",
            _noble_up_without_dilation,
        ),
        chapter=STRIDES,
        sentence="A layer can be moved after upsampling by s if its dilation and its padding are "
        "multiplied by s.",
        idea="Between the samples, all indices that the dilated kernel reads are zero; at a "
        "sample, they are those that the layer reads, multiplied by s.",
    ),
    Theorem(
        "dilation-phases",
        (
            Equality(
                "phase c of the output of a layer of dilation d is the layer of dilation 1 on "
                "phase c of the input",
                _dilated_phase,
            ),
        ),
        source="Yu & Koltun, Multi-Scale Context Aggregation by Dilated Convolutions, 2016",
        counter=Equality(
            "phase 0 of the output depends on phase 1 of the input", _dilated_other_phase
        ),
        chapter=STRIDES,
        sentence="A layer of dilation d applies the same kernel without dilation to each of the d "
        "phases of its input separately.",
        idea="Output d o + c reads the samples d (o + t) + c, which are samples o + t of phase c.",
    ),
    Theorem(
        "polyphase-taps",
        (
            Equality(
                "the taps c, c + s, ... of a strided layer are a layer of dilation s, of which "
                "phase c is kept",
                lambda: _polyphase_taps(c),
            ),
        ),
        source=f"{VAIDYANATHAN}, polyphase representation",
        counter=Equality(
            "the taps c, c + s, ... belong to phase 0 of this layer", lambda: _polyphase_taps(0)
        ),
        chapter=STRIDES,
        sentence="The taps of a strided layer with the same remainder c by the stride are a layer "
        "whose dilation is the stride, and of which only phase c is kept.",
        idea="Tap s b + c of output o reads sample s o + s b + c, which tap b of the dilated layer "
        "reads for its output s o + c.",
    ),
    Theorem(
        "polyphase",
        tuple(
            Equality(
                f"a layer of stride {step} is a sum over its {step} phases",
                partial(_polyphase, step),
                "w",
            )
            for step in (2, 3)
        ),
        source=f"{VAIDYANATHAN}, polyphase representation",
        counter=Equality("one of two phases is the whole layer", _polyphase_one, "w"),
        chapter=STRIDES,
        sentence="A layer of stride 2 or 3, whose kernel has a multiple of that many taps, is the "
        "sum of 2 or 3 layers of stride 1, one for each phase of the input and of the kernel.",
        idea="Tap s b + c of output o reads sample s (o + b) + c, which is sample o + b of phase "
        "c.",
    ),
    Theorem(
        "sub-pixel-phase",
        (
            Equality(
                "phase c of the output of a transposed layer of stride r is the full convolution "
                "of the input with the taps c, c + r, ...",
                lambda: _sub_pixel(is_flipped=True),
            ),
        ),
        source="Shi et al., Is the deconvolution layer the same as a convolutional layer?",
        counter=Equality(
            "each phase is a correlation with these taps", lambda: _sub_pixel(is_flipped=False)
        ),
        chapter=STRIDES,
        sentence="Each of the r phases of the output of a transposed layer of stride r with r M "
        "taps is a layer of stride 1 on the small input, with every r-th tap of the kernel.",
        idea="Output r o + c receives w[r b + c] x[o - b] for each b, and nothing from other taps.",
    ),
)
