"""Theorems about receptive fields: the samples that an output of several layers reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from convalg.axis import Size
from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.leaves import Convolution
from convalg.operators.sampling import downsample
from convalg.prove.theorems.chapters import FIELDS
from convalg.prove.theorems.counts import FieldOfLayers
from convalg.prove.theorems.parts import Decided
from convalg.prove.theorems.theorem import Theorem
from convalg.prove.verdict import IDENTITY, Counterexample, Verdict
from convalg.size import sizes

n, K, L, M, p, q, s, r, d, e, R, J = sizes("n K L M p q s r d e R J")
NAMES = "wvuabc"
ARAUJO = "Araujo, Norris, Sim, Computing Receptive Fields, Distill 2019"


class _Options(NamedTuple):
    """One layer of a sequence."""

    taps: Size
    stride: Size = 1
    dilation: Size = 1
    padding: Size = 0


def _in_sequence(*steps: _Options) -> tuple[Convolution, ...]:
    """Return the layers of a sequence, each applied to the output of the one before it."""
    size: Size = n
    layers = []
    for name, step in zip(NAMES, steps, strict=False):
        layer = correlation(
            size,
            kernel(step.taps, name=name),
            stride=step.stride,
            dilation=step.dilation,
            padding=step.padding,
        )
        layers.append(layer)
        (size,) = layer.out_shape
    return tuple(layers)


def _two() -> tuple[Convolution, ...]:
    return _in_sequence(_Options(K, s, d, p), _Options(L, r, e, q))


def _three() -> tuple[Convolution, ...]:
    return _in_sequence(_Options(K, s), _Options(L, r), _Options(M))


def _grown() -> tuple[Convolution, ...]:
    """Return layers of field R and strides J as if they were one, and one more layer."""
    return _in_sequence(_Options(R, J, padding=q), _Options(K, s, d, p))


def _equal_layers(count: int) -> tuple[Convolution, ...]:
    return _in_sequence(*(_Options(K) for _ in range(count)))


def _doubled(count: int) -> tuple[Convolution, ...]:
    """Return layers with the dilations 1, 2, 4, and so on."""
    return _in_sequence(*(_Options(K, dilation=2**k) for k in range(count)))


def _halved(count: int) -> tuple[Convolution, ...]:
    return _in_sequence(*(_Options(K, stride=2) for _ in range(count)))


def _multiple(factor: int) -> Callable[[Size], Size]:
    """Return the function that multiplies the index of an output."""
    return lambda u: factor * u


def _holes() -> Verdict:
    """A layer of stride 2 with one tap, then one with 3 taps: only 3 of 5 samples are read."""
    layer = (correlation(5, kernel(3)) @ downsample(10, 2)).simplify()
    filled = correlation(10, kernel(5), stride=2)
    claim = "the receptive field contains every sample between its ends"
    reads = [c for r, c, _ in layer.pattern.triples().tolist() if r == 0]
    hull = [c for r, c, _ in filled.pattern.triples().tolist() if r == 0]
    if reads == hull:
        return Verdict("proved", claim, "this size", IDENTITY)
    counterexample = Counterexample({"K": 3, "s": 2}, (0,), (1,), hull, reads)
    return Verdict("refuted", claim, "this size", IDENTITY, counterexample)


THEOREMS = (
    Theorem(
        "receptive-field",
        (
            FieldOfLayers(
                "two layers: the first input and the width of the field, ignoring borders",
                _two,
                lambda u: s * r * u - p - s * q,
                1 + d * (K - 1) + s * e * (L - 1),
            ),
        ),
        source=ARAUJO,
        counter=Decided("the receptive field contains every sample between its ends", _holes),
        chapter=FIELDS,
        sentence=(
            "Output u of two layers in sequence, with strides s and r, dilations d and e and "
            "paddings p and q, reads from sample s r u - p - s q on, and its receptive field is "
            "1 + d (K - 1) + s e (L - 1) samples wide."
        ),
        idea=(
            "Insert the index that the second layer reads into that of the first: it is affine in "
            "both taps, so that its extremes are at the first and the last taps."
        ),
    ),
    Theorem(
        "field-induction",
        (
            FieldOfLayers(
                "one more layer starts J p samples earlier and is d (K - 1) J samples wider",
                _grown,
                lambda u: J * s * u - q - J * p,
                R + d * (K - 1) * J,
            ),
        ),
        source=ARAUJO,
        counter=FieldOfLayers(
            "one more layer widens the field by d (K - 1)",
            _grown,
            lambda u: J * s * u - q - J * p,
            R + d * (K - 1),
        ),
        chapter=FIELDS,
        sentence=(
            "If output u of some layers reads R samples from J u - q on, a further layer with K "
            "taps, stride s, dilation d and padding p reads R + d (K - 1) J samples from "
            "J s u - q - J p on."
        ),
        idea="Neighbouring outputs of the layers before it start J samples apart.",
    ),
    Theorem(
        "field-of-three-layers",
        (
            FieldOfLayers(
                "three layers: the strides of the layers below multiply the width of a kernel",
                _three,
                lambda u: s * r * u,
                1 + (K - 1) + s * (L - 1) + s * r * (M - 1),
            ),
        ),
        source=ARAUJO,
        counter=FieldOfLayers(
            "the widths of the kernels add up at any stride",
            _three,
            lambda u: s * r * u,
            1 + (K - 1) + (L - 1) + (M - 1),
        ),
        chapter=FIELDS,
        sentence=(
            "The receptive field of three layers with K, L and M taps, the first two of strides s "
            "and r, is 1 + (K - 1) + s (L - 1) + s r (M - 1) samples wide."
        ),
        idea="Each layer adds its taps but one, times the product of all strides before it.",
    ),
    Theorem(
        "stacked-layers",
        tuple(
            FieldOfLayers(
                f"{count} layers of stride 1 see {count} (K - 1) + 1 samples",
                partial(_equal_layers, count),
                lambda u: u,
                count * (K - 1) + 1,
            )
            for count in (2, 3, 4, 5)
        ),
        source=(
            "Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
            "Recognition, 2015"
        ),
        counter=FieldOfLayers(
            "three layers see 3 K samples", partial(_equal_layers, 3), lambda u: u, 3 * K
        ),
        chapter=FIELDS,
        sentence=(
            "The receptive field of 2, 3, 4 or 5 layers of stride 1 with K taps each is as many "
            "times K - 1, plus one, samples wide; three layers with 3 taps see 7 samples."
        ),
        idea="Each layer adds K - 1 samples to the one that an output starts from.",
    ),
    Theorem(
        "dilated-stack",
        tuple(
            FieldOfLayers(
                f"with dilations 1 to {2 ** (count - 1)}, the field is {2**count - 1} (K - 1) + 1 "
                f"samples wide",
                partial(_doubled, count),
                lambda u: u,
                (2**count - 1) * (K - 1) + 1,
            )
            for count in (2, 3, 4, 5)
        ),
        source="Yu & Koltun, Multi-Scale Context Aggregation by Dilated Convolutions, 2016",
        counter=FieldOfLayers(
            "with dilations 1, 2 and 4, the field is as wide as without dilation",
            partial(_doubled, 3),
            lambda u: u,
            3 * (K - 1) + 1,
        ),
        chapter=FIELDS,
        sentence=(
            "If the dilation doubles from layer to layer, the receptive field grows exponentially: "
            "2, 3, 4 or 5 layers with K taps see 3, 7, 15 or 31 times K - 1, plus one, samples."
        ),
        idea="The layers add K - 1 times 1, 2, 4, and so on; these powers of two add up.",
    ),
    Theorem(
        "strided-stack",
        tuple(
            FieldOfLayers(
                f"{count} layers of stride 2 see {2**count - 1} (K - 1) + 1 samples",
                partial(_halved, count),
                _multiple(2**count),
                (2**count - 1) * (K - 1) + 1,
            )
            for count in (2, 3, 4, 5)
        ),
        source=ARAUJO,
        counter=FieldOfLayers(
            "in three layers of stride 2, neighbouring outputs start 6 samples apart",
            partial(_halved, 3),
            lambda u: 6 * u,
            7 * (K - 1) + 1,
        ),
        chapter=FIELDS,
        sentence=(
            "In a stack of 2, 3, 4 or 5 layers of stride 2 with K taps, output u reads from sample "
            "4 u, 8 u, 16 u or 32 u on, and sees 3, 7, 15 or 31 times K - 1, plus one, samples."
        ),
        idea="Strides multiply, so that each layer adds twice as many samples as the one before.",
    ),
)
