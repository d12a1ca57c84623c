"""Theorems about counts: parameters, non-zeros and multiplications."""

from __future__ import annotations

from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.leaves import Convolution
from convalg.prove.theorems.chapters import COUNTING
from convalg.prove.theorems.counts import Multiplications, NonZeros, Parameters
from convalg.prove.theorems.theorem import Theorem
from convalg.size import sizes

n, m, K, L, s, d, h, C, D, E, G = sizes("n m K L s d h C D E G")


def _plain() -> tuple[Convolution, ...]:
    return (correlation((n, m), kernel(C, D, K, L)),)


def _grouped() -> tuple[Convolution, ...]:
    """Return a layer with G groups from G D to G C channels."""
    return (correlation((n, m), kernel(G * C, D, K, L), groups=G),)


def _separable() -> tuple[Convolution, ...]:
    """Return a depthwise layer and a pointwise layer from D to C channels."""
    depthwise = correlation((n, m), kernel(D, 1, K, L), groups=D)
    return depthwise, correlation(depthwise.out_shape[1:], kernel(C, D, 1, 1, name="v"))


def _stacked() -> tuple[Convolution, ...]:
    """Return three 3x3 layers of C channels in sequence, which keep the size."""
    return tuple(correlation((n, m), kernel(C, C, 3, 3, name=name), padding=1) for name in "wvu")


def _one_large() -> tuple[Convolution, ...]:
    return (correlation((n, m), kernel(C, C, 7, 7), padding=3),)


def _bottleneck() -> tuple[Convolution, ...]:
    """Return layers of 1x1, 3x3 and 1x1 taps that go from D to E channels and back."""
    return (
        correlation((n, m), kernel(E, D, 1, 1)),
        correlation((n, m), kernel(E, E, 3, 3, name="v"), padding=1),
        correlation((n, m), kernel(D, E, 1, 1, name="u")),
    )


def _asymmetric() -> tuple[Convolution, ...]:
    """Return a layer along the first axis and one along the second, of C channels."""
    first = correlation((n, m), kernel(C, C, K, 1))
    return first, correlation(first.out_shape[1:], kernel(C, C, 1, L, name="v"))


def _passes() -> tuple[Convolution, ...]:
    """Return a pass along the rows and one along the columns of an image with one channel."""
    rows = correlation((n, m), kernel(1, L, name="v"))
    return rows, correlation(rows.out_shape, kernel(K, 1))


VALID = (n - d * (K - 1) - 1) // s + 1

THEOREMS = (
    Theorem(
        "parameters",
        (
            Parameters(
                "the number of weights and biases of a layer with one group",
                _plain,
                (K * L * D + 1) * C,
            ),
        ),
        counter=Parameters(
            "each input channel of each output channel has a bias", _plain, (K * L + 1) * D * C
        ),
        chapter=COUNTING,
        sentence=(
            "A layer in two dimensions with D input channels, C output channels, a kernel of K by "
            "L taps and a bias has (K L D + 1) C parameters."
        ),
        idea="Each output channel has one weight per tap and input channel, and one bias.",
    ),
    Theorem(
        "parameters-groups",
        (
            Parameters(
                "the number of weights and biases of a layer with G groups",
                _grouped,
                (K * L * D + 1) * G * C,
            ),
        ),
        counter=Parameters(
            "groups do not change the number of weights", _grouped, (K * L * G * D + 1) * G * C
        ),
        chapter=COUNTING,
        sentence=(
            "A layer with G groups from G D to G C channels, a kernel of K by L taps and a bias "
            "has (K L D + 1) G C parameters."
        ),
        idea="Each output channel reads only the D input channels of its own group.",
    ),
    Theorem(
        "depthwise-parameters",
        (
            Parameters(
                "the number of weights of a depthwise and a pointwise layer",
                _separable,
                D * (K * L + C),
                biases=False,
            ),
        ),
        source="Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017",
        counter=Parameters(
            "a depthwise and a pointwise layer have as many weights as a layer with one group",
            _separable,
            K * L * D * C,
            biases=False,
        ),
        chapter=COUNTING,
        sentence=(
            "A depthwise layer with K by L taps and a pointwise layer from D to C channels have "
            "D (K L + C) weights together."
        ),
        idea="The depthwise kernels have K L weights for each of D channels, the pointwise D C.",
    ),
    Theorem(
        "depthwise-cost",
        (
            Multiplications(
                "the multiplications of a depthwise and a pointwise layer",
                _separable,
                (n - K + 1) * (m - L + 1) * D * (K * L + C),
            ),
        ),
        source="Howard et al., MobileNets, 2017",
        counter=Multiplications(
            "they need as many multiplications as a layer with one group",
            _separable,
            (n - K + 1) * (m - L + 1) * D * K * L * C,
        ),
        chapter=COUNTING,
        sentence=(
            "A valid depthwise layer with K by L taps and a pointwise layer from D to C channels "
            "need D (K L + C) multiplications for each position of the kernel."
        ),
        idea="At each position, every weight of the two layers is used exactly once.",
    ),
    Theorem(
        "separable-cost",
        (
            Multiplications(
                "the multiplications of a row pass and a column pass",
                _passes,
                (m - L + 1) * (n * L + (n - K + 1) * K),
            ),
        ),
        counter=Multiplications(
            "two passes need K L multiplications for each output",
            _passes,
            (m - L + 1) * (n - K + 1) * K * L,
        ),
        chapter=COUNTING,
        sentence=(
            "A valid layer with a separable kernel of K by L taps needs (m - L + 1) (n L + "
            "(n - K + 1) K) multiplications in two passes over an image of n by m pixels."
        ),
        idea="The first pass has n (m - L + 1) outputs with L weights each, the second fewer rows.",
    ),
    Theorem(
        "stacked-kernels",
        (
            Parameters("three 3x3 layers have 27 C^2 weights", _stacked, 27 * C**2, biases=False),
            Parameters("one 7x7 layer has 49 C^2 weights", _one_large, 49 * C**2, biases=False),
        ),
        source=(
            "Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
            "Recognition, 2015"
        ),
        counter=Parameters(
            "three 3x3 layers have 49 C^2 weights", _stacked, 49 * C**2, biases=False
        ),
        chapter=COUNTING,
        sentence=(
            "Three 3x3 layers of C channels have 27 C^2 weights, and one 7x7 layer, with the same "
            "receptive field, has 49 C^2."
        ),
        idea="Each layer has one weight per tap and pair of channels: 3 times 9, or 49.",
    ),
    Theorem(
        "asymmetric-kernels",
        (
            Parameters(
                "the number of weights of a K x 1 and a 1 x L layer",
                _asymmetric,
                (K + L) * C**2,
                biases=False,
            ),
        ),
        source="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016",
        counter=Parameters(
            "a K x 1 and a 1 x L layer have as many weights as a K x L layer",
            _asymmetric,
            K * L * C**2,
            biases=False,
        ),
        chapter=COUNTING,
        sentence=(
            "A layer with K by 1 taps and a layer with 1 by L taps, both of C channels, have "
            "(K + L) C^2 weights together."
        ),
        idea="Each pair of channels has K weights in the first layer and L in the second.",
    ),
    Theorem(
        "bottleneck",
        (
            Parameters(
                "the number of weights of a bottleneck block",
                _bottleneck,
                2 * D * E + 9 * E**2,
                biases=False,
            ),
        ),
        source="He et al., Deep Residual Learning for Image Recognition, 2016",
        counter=Parameters(
            "a bottleneck block has as many weights as a 3x3 layer of D channels",
            _bottleneck,
            9 * D**2,
            biases=False,
        ),
        chapter=COUNTING,
        sentence=(
            "A bottleneck of 1x1, 3x3 and 1x1 layers from D to E channels and back has "
            "2 D E + 9 E^2 weights."
        ),
        idea="The two 1x1 layers have D E weights each, and the 3x3 layer has 9 E^2.",
    ),
    Theorem(
        "non-zeros-valid",
        (
            NonZeros(
                "each weight of a valid layer is in every row",
                lambda: correlation(n, kernel(K), stride=s, dilation=d),
                ((K, lambda t: 0, lambda t: VALID),),
                K * VALID,
            ),
        ),
        counter=NonZeros(
            "each weight of a valid layer is in every column",
            lambda: correlation(n, kernel(K), stride=s, dilation=d),
            ((K, lambda t: 0, lambda t: n),),
            K * n,
        ),
        chapter=COUNTING,
        sentence=(
            "The matrix of a valid layer contains each of its K weights once in every row, at any "
            "stride and dilation, and has no other non-zeros."
        ),
        idea="At each position, a valid kernel is inside the signal with all of its taps.",
    ),
    Theorem(
        "non-zeros-full",
        (
            NonZeros(
                "each weight of a full layer is in every column",
                lambda: correlation(n, kernel(K), padding="full"),
                ((K, lambda t: K - 1 - t, lambda t: n),),
                n * K,
            ),
        ),
        counter=NonZeros(
            "each weight of a full layer is in every row",
            lambda: correlation(n, kernel(K), padding="full"),
            ((K, lambda t: 0, lambda t: n + K - 1),),
            (n + K - 1) * K,
        ),
        chapter=COUNTING,
        sentence="The matrix of a full layer of n samples and K taps has n K non-zeros.",
        idea="Each sample meets each tap at exactly one position: the columns are full.",
    ),
    Theorem(
        "non-zeros-same",
        (
            NonZeros(
                "tap t of a same-padded layer is in n - |h - t| rows",
                lambda: correlation(n, kernel(2 * h + 1), padding=h),
                (
                    (h, lambda t: h - t, lambda t: n - h + t),
                    (2 * h + 1, lambda t: 0, lambda t: n + h - t),
                ),
                n * (2 * h + 1) - h * (h + 1),
                limits=(n - h,),
            ),
        ),
        counter=NonZeros(
            "the count also holds where the padding is larger than the signal",
            lambda: correlation(n, kernel(2 * h + 1), padding=h),
            (
                (h, lambda t: h - t, lambda t: n - h + t),
                (2 * h + 1, lambda t: 0, lambda t: n + h - t),
            ),
            n * (2 * h + 1) - h * (h + 1),
        ),
        chapter=COUNTING,
        sentence=(
            "The matrix of a same-padded layer with 2h + 1 taps and at least h samples has "
            "n (2h + 1) - h (h + 1) non-zeros."
        ),
        idea="Of n (2h + 1) reads, 1 + 2 + ... + h are in the padding at each end.",
    ),
    Theorem(
        "non-zeros-causal",
        (
            NonZeros(
                "tap t of a causal layer is in n - (K - 1 - t) rows",
                lambda: correlation(n, kernel(K), padding="causal"),
                ((K, lambda t: K - 1 - t, lambda t: n - (K - 1 - t)),),
                n * K - K * (K - 1) / 2,
                limits=(n - K + 1,),
            ),
        ),
        counter=NonZeros(
            "the count also holds for a kernel that is longer than the signal",
            lambda: correlation(n, kernel(K), padding="causal"),
            ((K, lambda t: K - 1 - t, lambda t: n - (K - 1 - t)),),
            n * K - K * (K - 1) / 2,
        ),
        chapter=COUNTING,
        sentence=(
            "The matrix of a causal layer with K taps and at least K - 1 samples has "
            "n K - K (K - 1) / 2 non-zeros."
        ),
        idea="Of n K reads, 0 + 1 + ... + (K - 1) are in front of the signal.",
    ),
)
