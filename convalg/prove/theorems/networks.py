"""Theorems about the layers of networks: patches, branches, skip connections, merged scales."""

from __future__ import annotations

from functools import partial, reduce
from itertools import product
from operator import add

import numpy as np

from convalg.kernels import flip, kernel
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import global_pool
from convalg.operators.rearrange import reshape
from convalg.operators.shifts import shift
from convalg.operators.tree import kron
from convalg.prove.theorems.chapters import LAYERS
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, p, s, d, h, q, c, C, D, E = sizes("n m K L p s d h q c C D E")


def _patches() -> Sides:
    """The patches as rows of a matrix, and one linear map for all of them."""
    layer = correlation(K * L, kernel(K), stride=K)
    linear = kron(identity(L), correlation(K, kernel(K)))
    return reshape(L, (L, 1)) @ layer, linear @ reshape(K * L, (L, K))


def _patches_across() -> Sides:
    layer = correlation(4, kernel(2), stride=2)
    linear = kron(correlation(2, kernel(2)), identity(2))
    return reshape(2, (1, 2)) @ layer, linear @ reshape(4, (2, 2))


def _larger_kernel() -> Sides:
    """A kernel of odd sizes is a larger kernel, padded with zeros."""
    x = kernel(n, m, name="x")
    small = correlation((n, m), kernel(2 * h + 1, 2 * q + 1), padding=(h, q))
    wide = correlation((n, m), kernel(2 * h + 2 * p + 1, 2 * q + 2 * p + 1), padding=(h + p, q + p))
    return small.by_kernel(x), wide.by_kernel(x) @ pad((2 * h + 1, 2 * q + 1), p)


def _larger_kernel_off_centre() -> Sides:
    x = kernel(n, name="x")
    small = correlation(n, kernel(3), padding=1).by_kernel(x)
    wide = correlation(n, kernel(5), padding=2).by_kernel(x)
    return small, wide @ pad(3, ((0, 2),))


def _asymmetric_branches(*, is_aligned: bool = True) -> Sides:
    """3x3 + 1x3 + 3x1 = one 3x3 layer: the branches are added to its middle row and column."""
    w, v, u = (
        np.asarray(kernel(*shape, name=name))
        for shape, name in (((3, 3), "w"), ((1, 3), "v"), ((3, 1), "u"))
    )
    merged = w.copy()
    merged[1, :] += v[0] if is_aligned else u[:, 0]
    merged[:, 1] += u[:, 0] if is_aligned else v[0]
    rows = correlation((n, m), v, padding=(0, 1))
    columns = correlation((n, m), u, padding=(1, 0))
    branches = correlation((n, m), w, padding=1) + rows + columns
    return branches, correlation((n, m), merged, padding=1)


def _residual(*, is_flipped: bool = True) -> Sides:
    layer = correlation(n, kernel(2 * h + 1), padding=h)
    taps = flip(kernel(2 * h + 1)) if is_flipped else kernel(2 * h + 1)
    return (identity(n) + layer).T, identity(n) + correlation(n, taps, padding=h)


def _unravelled(*, is_whole: bool = True) -> Sides:
    """(I + B)(I + A) = I + A + B + B A."""
    first = correlation(n, kernel(2 * h + 1), padding=h)
    second = correlation(n, kernel(2 * q + 1, name="v"), padding=q)
    blocks = (identity(n) + second) @ (identity(n) + first)
    paths = identity(n) + first + second
    return blocks, paths + second @ first if is_whole else paths


def _channels_of_output() -> Sides:
    """The first C of C + E output channels come from the first C kernels."""
    x = kernel(D, n, name="x")
    both = correlation(n, kernel(C + E, D, K)).by_kernel(x)
    (_, size) = both.out_shape
    first = correlation(n, kernel(C, D, K)).by_kernel(x)
    return (
        kron(crop(C + E, ((0, E),)), identity(size)) @ both,
        first @ kron(crop(C + E, ((0, E),)), identity((D, K))),
    )


def _channels_of_other_output() -> Sides:
    x = kernel(D, n, name="x")
    both = correlation(n, kernel(C + E, D, K)).by_kernel(x)
    (_, size) = both.out_shape
    first = correlation(n, kernel(C, D, K)).by_kernel(x)
    return (
        kron(crop(C + E, ((0, E),)), identity(size)) @ both,
        first @ kron(crop(C + E, ((E, 0),)), identity((D, K))),
    )


def _concatenated(*, is_ordered: bool = True) -> Sides:
    """A layer after a concatenation of two inputs: a block row of two layers."""
    u, v = np.asarray(kernel(1, 1, 3, name="u")), np.asarray(kernel(1, 1, 3, name="v"))
    first, second = (kron(crop(2, ((k, 1 - k),)), identity(n)) for k in range(2))
    parts = (u, v) if is_ordered else (v, u)
    return (
        correlation(n, np.concatenate([u, v], axis=1)),
        correlation(n, parts[0]) @ first + correlation(n, parts[1]) @ second,
    )


def _scaled_depthwise() -> Sides:
    x, gain = kernel(C, n, name="x"), kernel(C, 1, 1, name="g")
    layer = correlation(n, kernel(C, 1, K), groups=C, stride=s, dilation=d).by_kernel(x)
    (_, size) = layer.out_shape
    after = correlation(size, gain, groups=C)
    return after @ layer, layer @ kron(correlation(1, gain, groups=C), identity(K))


def _scaled_strided() -> Sides:
    x, gain = kernel(D, n, name="x"), kernel(C, 1, 1, name="g")
    layer = correlation(n, kernel(C, D, K), padding=p, stride=s, dilation=d).by_kernel(x)
    (_, size) = layer.out_shape
    after = correlation(size, gain, groups=C)
    return after @ layer, layer @ kron(correlation(D, gain, groups=C), identity(K))


def _unscaled(*, is_depthwise: bool = False) -> Sides:
    x, gain = kernel(C, n, name="x"), kernel(C, 1, 1, name="g")
    weights, groups = (kernel(C, 1, K), C) if is_depthwise else (kernel(C, C, K), 1)
    layer = correlation(n, weights, groups=groups).by_kernel(x)
    return correlation(layer.out_shape[1], gain, groups=C) @ layer, layer


def _scaled_transposed() -> Sides:
    """The kernel of a transposed layer has its output channels on the second axis."""
    x, gain = kernel(D, n, name="x"), kernel(C, 1, 1, name="g")
    layer = transposed_correlation(n, kernel(D, C, K), stride=s).by_kernel(x)
    (_, size) = layer.out_shape
    after = correlation(size, gain, groups=C)
    return after @ layer, layer @ kron(identity(D), correlation(K, gain, groups=C))


def _scaled_transposed_wrong() -> Sides:
    x, gain = kernel(C, n, name="x"), kernel(C, 1, 1, name="g")
    layer = transposed_correlation(n, kernel(C, C, K), stride=2).by_kernel(x)
    (_, size) = layer.out_shape
    after = correlation(size, gain, groups=C)
    return after @ layer, layer @ kron(correlation(C, gain, groups=C), identity(K))


def _activation_map() -> Sides:
    """Global pooling and a dense layer, or a 1x1 layer and global pooling."""
    weights = kernel(E, C, 1, name="v")
    return (
        correlation(1, weights) @ kron(identity(C), global_pool(n)),
        kron(identity(E), global_pool(n)) @ correlation(n, weights),
    )


def _activation_map_wide() -> Sides:
    return (
        correlation(1, kernel(E, C, 3), padding=1) @ kron(identity(C), global_pool(n)),
        kron(identity(E), global_pool(n)) @ correlation(n, kernel(E, C, 3), padding=1),
    )


def _as_layer() -> Sides:
    """An inner product of the kernel and the input, which can be exchanged."""
    w, x = kernel(n, m), kernel(n, m, name="x")
    return correlation((n, m), w).by_kernel(x), correlation((n, m), x)


def _as_convolution() -> Sides:
    w, x = kernel(n, m), kernel(n, m, name="x")
    return convolution((n, m), w).by_kernel(x), correlation((n, m), x)


def _head(*, is_aligned: bool = True) -> Sides:
    """The kernel of tap c alone: each output attends to one sample, c - h further on."""
    x = kernel(D, n, name="x")
    layer = correlation(n, kernel(C, D, 2 * h + 1), padding=h).by_kernel(x)
    value = correlation(n, kernel(C, D, 1)).by_kernel(x)
    only = kron(identity((C, D)), crop(2 * h + 1, ((c, 2 * h - c),)).T)
    attention = shift(n, h - c if is_aligned else c - h)
    return layer @ only, kron(identity(C), attention) @ value


def _nine_heads() -> Sides:
    """One head for each tap of a 3x3 kernel."""
    x = kernel(D, n, m, name="x")
    layer = correlation((n, m), kernel(C, D, 3, 3), padding=1).by_kernel(x)
    value = correlation((n, m), kernel(C, D, 1, 1)).by_kernel(x)
    heads = []
    for a, b in product(range(3), repeat=2):
        attention = kron(identity(C), shift((n, m), (1 - a, 1 - b)))
        weights = crop((3, 3), ((a, 2 - a), (b, 2 - b)))
        heads.append(attention @ value @ kron(identity((C, D)), weights))
    return layer, reduce(add, heads)


REPVGG = "Ding et al., RepVGG: Making VGG-style ConvNets Great Again, 2021"
ACNET = "Ding et al., ACNet: Strengthening the Kernel Skeletons, 2019"
RESNET = "He et al., Deep Residual Learning for Image Recognition, 2016"

THEOREMS = (
    Theorem(
        "patch-embedding",
        (
            Equality(
                "a layer whose stride is its kernel size is one linear map of each patch", _patches
            ),
        ),
        source="Dosovitskiy et al., An Image is Worth 16x16 Words, 2021",
        counter=Equality(
            "the patches are the columns of the reshaped signal, not its rows", _patches_across
        ),
        chapter=LAYERS,
        sentence=(
            "A layer whose stride is the size of its kernel divides the signal into patches and "
            "applies the same linear map to each of them."
        ),
        idea="Output o reads the samples K o to K o + K - 1: row o of the reshaped signal.",
    ),
    Theorem(
        "kernel-embedding",
        (
            Equality(
                "an odd kernel is a larger odd kernel with p zeros on all sides", _larger_kernel
            ),
        ),
        source=REPVGG,
        counter=Equality("three taps are the first three of five taps", _larger_kernel_off_centre),
        chapter=LAYERS,
        sentence=(
            "A same-padded layer with a kernel of odd sizes is one with a larger kernel of odd "
            "sizes, which has zeros around the smaller one, so that branches of different sizes "
            "merge."
        ),
        idea="Padding of the kernel by p moves its centre by p, as more padding of the input does.",
    ),
    Theorem(
        "asymmetric-branches",
        (Equality("the sum of a 3x3, a 1x3 and a 3x1 layer is a 3x3 layer", _asymmetric_branches),),
        source=ACNET,
        counter=Equality(
            "the 1x3 kernel is added to the middle column, and the 3x1 kernel to the middle row",
            partial(_asymmetric_branches, is_aligned=False),
        ),
        chapter=LAYERS,
        sentence=(
            "The sum of same-padded layers with 3x3, 1x3 and 3x1 kernels is one 3x3 layer, whose "
            "kernel has the other two added to its middle row and its middle column."
        ),
        idea="Layers of the same size add up if their kernels do, centre on centre.",
    ),
    Theorem(
        "residual-adjoint",
        (Equality("the adjoint of a residual block is one with the flipped kernel", _residual),),
        source=RESNET,
        counter=Equality(
            "the adjoint of a residual block is the block itself",
            partial(_residual, is_flipped=False),
        ),
        chapter=LAYERS,
        sentence=(
            "The adjoint of the identity plus a same-padded layer with an odd kernel is the "
            "identity plus the layer with the flipped kernel."
        ),
        idea="Adjoints of sums are sums of adjoints, and the identity is its own adjoint.",
    ),
    Theorem(
        "residual-paths",
        (Equality("two linear residual blocks are the sum of four paths", _unravelled),),
        source=(
            "Veit et al., Residual Networks Behave Like Ensembles of Relatively Shallow Networks, "
            "2016"
        ),
        counter=Equality(
            "two linear residual blocks are the sum of the paths with at most one layer",
            partial(_unravelled, is_whole=False),
        ),
        chapter=LAYERS,
        sentence=(
            "Two residual blocks with linear layers are the sum of four paths: the identity, each "
            "of the two layers alone, and both in sequence."
        ),
        idea="Multiply out the product of I + B and I + A.",
    ),
    Theorem(
        "concatenation",
        (
            Equality(
                "a layer of two concatenated inputs is the sum of one layer for each input",
                _concatenated,
            ),
        ),
        source="Huang et al., Densely Connected Convolutional Networks, 2017",
        counter=Equality(
            "the order of the inputs does not matter", partial(_concatenated, is_ordered=False)
        ),
        chapter=LAYERS,
        sentence=(
            "A layer with 3 taps after the concatenation of two channels is the sum of one layer "
            "for each channel, each with its own part of the kernel."
        ),
        idea="The sum over the input channels is split where one input ends.",
    ),
    Theorem(
        "output-channels",
        (
            Equality(
                "the first C of C + E output channels are the layer with the first C kernels",
                _channels_of_output,
            ),
        ),
        counter=Equality(
            "the first C output channels are the layer with the last C kernels",
            _channels_of_other_output,
        ),
        chapter=LAYERS,
        sentence=(
            "The first C output channels of a layer are the layer with the first C kernels, so "
            "that layers of the same input merge into one."
        ),
        idea="Each output channel depends on its own kernel only.",
    ),
    Theorem(
        "scale-strided",
        (
            Equality(
                "the gain of a channel scales the kernel of that channel, at any stride",
                _scaled_strided,
            ),
        ),
        counter=Equality("the gain of a channel does not change the kernel", _unscaled),
        chapter=LAYERS,
        sentence=(
            "To scale the output channels of a layer with any stride, dilation and padding is to "
            "scale its kernel by output channel."
        ),
        idea="Each output is linear in the weights of its channel, wherever it reads its samples.",
    ),
    Theorem(
        "scale-depthwise",
        (
            Equality(
                "the gain of a channel scales the kernel of that channel in a depthwise layer",
                _scaled_depthwise,
            ),
        ),
        counter=Equality(
            "in a depthwise layer, the gain of a channel does not change the kernel",
            partial(_unscaled, is_depthwise=True),
        ),
        chapter=LAYERS,
        sentence=(
            "To scale the output channels of a depthwise layer is to scale its kernel by channel."
        ),
        idea="Each channel has a kernel of its own, and its outputs are linear in it.",
    ),
    Theorem(
        "scale-transposed",
        (
            Equality(
                "the gain of a channel scales the second axis of the kernel of a transposed layer",
                _scaled_transposed,
            ),
        ),
        counter=Equality(
            "the gain of a channel scales the first axis of the kernel of a transposed layer",
            _scaled_transposed_wrong,
        ),
        chapter=LAYERS,
        sentence=(
            "To scale the output channels of a transposed layer is to scale its kernel along its "
            "second axis, which is the one of the output channels."
        ),
        idea="The kernel of a transposed layer has its input channels first.",
    ),
    Theorem(
        "class-activation",
        (Equality("a 1x1 layer commutes with global average pooling", _activation_map),),
        source="Zhou et al., Learning Deep Features for Discriminative Localization, 2016",
        counter=Equality(
            "a layer with 3 taps commutes with global average pooling", _activation_map_wide
        ),
        chapter=LAYERS,
        sentence=(
            "A linear classifier after global average pooling is the global average of the class "
            "activation maps, which a layer with one tap computes."
        ),
        idea="Both are sums over channels and samples, and the two sums can be exchanged.",
    ),
    Theorem(
        "inner-product",
        (
            Equality(
                "a layer whose kernel is as large as its input is symmetric in both", _as_layer
            ),
        ),
        counter=Equality(
            "a convolution with a kernel as large as its input is the correlation with it",
            _as_convolution,
        ),
        chapter=LAYERS,
        sentence=(
            "A valid correlation with a kernel of the size of its input is their inner product, so "
            "that kernel and input can be exchanged."
        ),
        idea="The kernel has one position, at which tap t reads sample t.",
    ),
    Theorem(
        "attention-convolution",
        (
            Equality(
                "a head that attends to the sample at the offset of tap c computes this tap", _head
            ),
            Equality("nine heads compute a 3x3 layer", _nine_heads),
        ),
        source=(
            "Cordonnier, Loukas & Jaggi, On the Relationship between Self-Attention and "
            "Convolutional Layers, 2020"
        ),
        counter=Equality(
            "the head attends to the sample at the opposite offset",
            partial(_head, is_aligned=False),
        ),
        chapter=LAYERS,
        sentence=(
            "A same-padded layer is a multi-head attention with one head for each tap, which "
            "attends only to the sample at the offset of this tap and whose value matrix is the "
            "weights of this tap."
        ),
        idea=(
            "The attention matrix of such a head is a shift, so that output o of head t is the "
            "value of sample o + t - h, or zero outside the signal; the layer is the sum of its "
            "taps."
        ),
    ),
)
