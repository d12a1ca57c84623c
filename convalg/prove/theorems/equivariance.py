"""Theorems about equivariance: how the output of a layer moves when its input moves."""

from __future__ import annotations

from functools import partial
from typing import Literal

from convalg.axis import Size
from convalg.kernels import flip, kernel
from convalg.operators.convolution import correlation, transposed_correlation
from convalg.operators.leaves import Convolution
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import average_pool, global_pool, sum_pool
from convalg.operators.sampling import downsample
from convalg.operators.shifts import flip_axes, shift
from convalg.operators.tree import Operator
from convalg.prove.equivariance import equivariant
from convalg.prove.theorems.chapters import EQUIVARIANCE
from convalg.prove.theorems.parts import Decided
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.prove.verdict import Verdict
from convalg.size import sizes

n, m, K, L, p, s, d, q, h, k = sizes("n m K L p s d q h k")


def _equivariant(layer: Operator, moved: Size, arrived: Size, margin: object) -> Sides:
    """A S = S' A on the outputs that are left after a margin is cropped."""
    (outputs,), (inputs,) = layer.out_shape, layer.in_shape
    inner = crop(outputs, margin)
    return inner @ layer @ shift(inputs, moved), inner @ shift(outputs, arrived) @ layer


def _interior(sign: int) -> Sides:
    return _equivariant(correlation(n, kernel(K), padding=p), sign * q, sign * q, p + q)


def _circular() -> Convolution:
    padding = ((p, K - 1 - p),)
    return correlation(n, kernel(K), padding=padding, boundary="circular")


def _by_circular(sign: int) -> Sides:
    layer, steps = _circular(), shift(n, sign * q, boundary="circular")
    return layer @ steps, steps @ layer


def _broken_by_padding() -> Verdict:
    return equivariant(correlation(n, kernel(K), padding="same"), 1)


def _by_stride() -> Sides:
    layer = correlation(n, kernel(K), stride=s, dilation=d)
    return _equivariant(layer, s * k, k, ((k, 0),))


def _broken_by_stride() -> Verdict:
    return equivariant(correlation(n, kernel(K), stride=2), 1)


def _dilated() -> Sides:
    layer = correlation(n, kernel(K), padding=p, dilation=d)
    return _equivariant(layer, q, q, p + q)


def _dilated_like_strided() -> Sides:
    return _equivariant(correlation(n, kernel(K), dilation=2), 2, 1, ((2, 0),))


def _pooled(kind: Literal["sum", "average"]) -> Sides:
    pool = (sum_pool if kind == "sum" else average_pool)(n, K, stride=s)
    return _equivariant(pool, s * k, k, ((k, 0),))


def _pooling_shifted() -> Sides:
    return _equivariant(sum_pool(n, K), K, 1, 1)


def _pooling_moves() -> Verdict:
    """Pooling over two samples is not equivariant to a shift by one."""
    return equivariant(sum_pool(n, 2), 1)


def _pooling_maps_one_to_one() -> Sides:
    return _equivariant(sum_pool(n, 2), 1, 1, ((1, 0),))


def _transposed() -> Sides:
    """k zeros in front of the input become s k zeros in front of the output."""
    layer = transposed_correlation(n, kernel(K), stride=s, dilation=d)
    longer = transposed_correlation(n + k, kernel(K), stride=s, dilation=d)
    return longer @ pad(n, ((k, 0),)), pad(layer.out_shape[0], ((s * k, 0),)) @ layer


def _transposed_padded() -> Sides:
    layer = transposed_correlation(n, kernel(K), stride=2, padding=1)
    longer = transposed_correlation(n + 1, kernel(K), stride=2, padding=1)
    return longer @ pad(n, ((1, 0),)), pad(layer.out_shape[0], ((2, 0),)) @ layer


def _invariant() -> Sides:
    total, layer = global_pool(n), _circular()
    return total @ layer @ shift(n, q, boundary="circular"), total @ layer


def _invariant_with_zeros() -> Sides:
    total, layer = global_pool(n), correlation(n, kernel(K), padding="same")
    return total @ layer @ shift(n, 1, boundary="circular"), total @ layer


def _reversed(*, is_flipped: bool = True) -> Sides:
    layer = correlation(n, kernel(K), padding=p, dilation=d)
    mirrored = flip(kernel(K)) if is_flipped else kernel(K)
    other = correlation(n, mirrored, padding=p, dilation=d)
    return flip_axes(layer.out_shape[0]) @ layer, other @ flip_axes(n)


def _rotated() -> Sides:
    layer = correlation((n, m), kernel(K, L))
    other = correlation((n, m), flip(kernel(K, L)))
    return flip_axes(layer.out_shape) @ layer, other @ flip_axes((n, m))


def _phase() -> Sides:
    """Shifts that are not multiples of the stride read another phase of the layer of stride 1."""
    strided = correlation(n, kernel(K), stride=s)
    dense = correlation(n + k, kernel(K))
    phase = downsample(dense.out_shape[0], s, offset=k)
    return strided, phase @ dense @ pad(n, ((k, 0),))


def _phase_forgotten() -> Sides:
    strided = correlation(n, kernel(K), stride=2)
    dense = correlation(n + 1, kernel(K))
    phase = downsample(dense.out_shape[0], 2)
    rows = crop(phase.out_shape[0], ((0, phase.out_shape[0] - strided.out_shape[0]),))
    return strided, rows @ phase @ dense @ pad(n, ((1, 0),))


THEOREMS = (
    Theorem(
        "equivariance",
        (
            Equality(
                "away from the border, a layer commutes with shifts to higher indices",
                partial(_interior, 1),
            ),
            Equality(
                "away from the border, a layer commutes with shifts to lower indices",
                partial(_interior, -1),
            ),
            Equality(
                "a circular layer commutes with shifts to higher indices", partial(_by_circular, 1)
            ),
            Equality(
                "a circular layer commutes with shifts to lower indices", partial(_by_circular, -1)
            ),
        ),
        counter=Decided(
            "a same-padded layer commutes with the shift by 1 at the border too", _broken_by_padding
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "A layer of stride 1 commutes with shifts away from the border, and a circular layer "
            "commutes with all cyclic shifts."
        ),
        idea="The weight of sample i in output o depends on i - o only, which a shift preserves.",
    ),
    Theorem(
        "stride-equivariance",
        (
            Equality(
                "apart from the first k outputs, a shift by s k samples is a shift by k outputs",
                _by_stride,
            ),
        ),
        counter=Decided("a layer of stride 2 is equivariant to a shift by 1", _broken_by_stride),
        chapter=EQUIVARIANCE,
        sentence=(
            "A shift of the input of a valid layer by k times its stride shifts its output by k, "
            "apart from the first k outputs."
        ),
        idea="Output o reads the samples s o + d t, and s (o - k) + d t = s o + d t - s k.",
    ),
    Theorem(
        "stride-phase",
        (
            Equality(
                "after a delay by k, a strided layer is every s-th output of the dense layer from "
                "output k on",
                _phase,
            ),
        ),
        counter=Equality(
            "after a delay by 1, a layer of stride 2 is every second output of the dense layer "
            "from output 0 on",
            _phase_forgotten,
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "A strided layer is every s-th output of the layer of stride 1 applied to the input "
            "delayed by k samples, starting with output k."
        ),
        idea="Delaying the input by k delays the layer of stride 1 by k, whatever the stride.",
    ),
    Theorem(
        "dilation-equivariance",
        (
            Equality(
                "away from the border, a dilated layer commutes with all shifts, not only with "
                "multiples of its dilation",
                _dilated,
            ),
        ),
        counter=Equality(
            "a layer of dilation 2 maps a shift by 2 to a shift by 1", _dilated_like_strided
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "Away from the border, a dilated layer commutes with shifts by any number of samples."
        ),
        idea="Output o reads the samples o + d t - p, and a shift of both by q changes nothing.",
    ),
    Theorem(
        "pooling-equivariance",
        (
            Equality(
                "away from the border, sum pooling is equivariant to shifts by its window",
                _pooling_shifted,
            ),
        ),
        counter=Decided(
            "sum pooling over two samples is equivariant to a shift by 1", _pooling_moves
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "Away from the border, sum pooling over adjacent windows of K samples maps a shift by "
            "K samples to a shift by one output."
        ),
        idea="The windows are K samples apart, so that a shift by K maps each window to the next.",
    ),
    Theorem(
        "pooling-shift",
        (
            Equality("sum pooling with any window and stride", partial(_pooled, "sum")),
            Equality("average pooling with any window and stride", partial(_pooled, "average")),
        ),
        counter=Equality(
            "sum pooling over windows of two samples maps a shift by 1 to a shift by 1",
            _pooling_maps_one_to_one,
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "A shift of the input of a sum or average pooling by k times its stride shifts its "
            "output by k, apart from the first k outputs."
        ),
        idea="Window o starts at sample s o, so that a shift by s k maps it to window o + k.",
    ),
    Theorem(
        "transposed-equivariance",
        (
            Equality(
                "k zeros in front of the input become s k zeros in front of the output", _transposed
            ),
        ),
        counter=Equality(
            "with stride 2 and padding 1, a zero in front of the input becomes two zeros in front "
            "of the output",
            _transposed_padded,
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "A delay of the input of a transposed layer without padding by k samples delays its "
            "output by k times the stride."
        ),
        idea="Sample i is added to the outputs s i + d t, and i + k to those s k later.",
    ),
    Theorem(
        "global-pooling-invariance",
        (
            Equality(
                "the mean of the outputs of a circular layer does not change in a cyclic shift",
                _invariant,
            ),
        ),
        counter=Equality(
            "the mean of the outputs of a zero-padded layer does not change in a cyclic shift",
            _invariant_with_zeros,
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "Global average pooling after a circular layer is invariant to cyclic shifts of the "
            "input."
        ),
        idea=(
            "The layer turns the shift of its input into a shift of its output, and the mean of "
            "the outputs does not depend on their order."
        ),
    ),
    Theorem(
        "reversal-equivariance",
        (
            Equality("a layer on one axis, at any dilation", _reversed),
            Equality("a layer on two axes is rotated by 180 degrees", _rotated),
        ),
        counter=Equality(
            "a layer commutes with the reversal of the signal",
            partial(_reversed, is_flipped=False),
        ),
        chapter=EQUIVARIANCE,
        sentence=(
            "Reversing the output of a layer of stride 1 is the same as applying the layer with "
            "the flipped kernel to the reversed input."
        ),
        idea="Output o' = o_max - o reads the samples i_max - i, and the taps run backwards.",
    ),
)
