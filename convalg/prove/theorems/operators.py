"""Theorems about single layers and their products: flips, modes, adjoints, composition."""

from __future__ import annotations

from convalg.axis import Size
from convalg.kernels import flip, kernel
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop, pad
from convalg.operators.rearrange import reshape
from convalg.operators.sampling import downsample, upsample
from convalg.operators.tree import Operator, kron
from convalg.prove.functions.properties import linear
from convalg.prove.theorems.chapters import (
    ADJOINTS,
    COMPOSITION,
    FOUNDATIONS,
    GRADIENTS,
    STRIDES,
)
from convalg.prove.theorems.parts import Decided, Length, Linearity
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.prove.verdict import Verdict
from convalg.size import sizes

n, m, K, L, M, p, s, C, D = sizes("n m K L M p s C D")
o, a, q, h = sizes("o a q h")


def _adjoint_1d() -> Sides:
    layer = correlation(n, kernel(K), padding=p)
    size = layer.out_shape[0]
    # The padding K - 1 - p is an operator, so that p > K - 1 is covered too: then it crops.
    return layer.T, correlation(n + K - 1, flip(kernel(K))) @ pad(size, K - 1 - p)


def _adjoint_2d() -> Sides:
    layer = correlation((n, m), kernel(K, L))
    return layer.T, correlation(layer.out_shape, flip(kernel(K, L)), padding="full")


def _adjoint_channels() -> Sides:
    layer = correlation((n, m), kernel(C, D, K, L))
    flipped = flip(kernel(C, D, K, L)).swapaxes(0, 1)
    return layer.T, correlation(layer.out_shape[1:], flipped, padding="full")


def _adjoint_2d_one_axis() -> Sides:
    layer = correlation((n, m), kernel(K, L))
    flipped = flip(kernel(K, L), dims=1)
    return layer.T, correlation(layer.out_shape, flipped, padding="full")


def _modes(padding: str) -> Sides:
    """Rows of the full matrix: "valid" drops K - 1 at each end, "same" drops K - 1 in total."""
    full = correlation(n, kernel(K), padding="full")
    before = 0 if padding == "valid" else (K - 1) // 2
    after = 0 if padding == "valid" else K - 1 - (K - 1) // 2
    rows = crop(n + K - 1, ((K - 1 - before, K - 1 - after),))
    return correlation(n, kernel(K), padding=padding), rows @ full


def _modes_2d() -> Sides:
    full = correlation((n, m), kernel(K, L), padding="full")
    rows = crop((n + K - 1, m + L - 1), (K - 1, L - 1))
    return correlation((n, m), kernel(K, L)), rows @ full


def _strided() -> Sides:
    dense = correlation(n, kernel(K), padding=p)
    return correlation(n, kernel(K), padding=p, stride=s), downsample(n + 2 * p - K + 1, s) @ dense


def _strided_adjoint() -> Sides:
    layer = correlation(n, kernel(K), padding=p, stride=s)
    dense = correlation(n, kernel(K), padding=p)
    inserted = upsample(layer.out_shape[0], s, size=n + 2 * p - K + 1)
    return layer.T, dense.T @ inserted


def _kernel_gradient() -> Sides:
    """dL/dw[t] = sum over o of g[o] x[o + t - p]: x correlated with g."""
    layer = correlation(n, kernel(K), padding=p)
    x, (outputs,) = kernel(n, name="x"), layer.out_shape
    gradient = correlation(n, kernel(outputs, name="g"), padding=p)
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def _kernel_gradient_stride() -> Sides:
    """dL/dw[t] = sum over o of g[o] x[s o + t - p]: g is dilated by s.

    If the stride leaves a remainder of a, the correlation has a more outputs than the kernel has
    taps; they are cropped.
    """
    layer = _strided_layer()
    (size,) = layer.in_shape
    x = kernel(size, name="x")
    gradient = correlation(size, kernel(o, name="g"), padding=p, dilation=s)
    return layer.by_kernel(x).T, crop(K + a, ((0, a),)) @ gradient.by_kernel(x)


def _composed() -> Sides:
    """Two layers are equal to one whose kernel is the full convolution of both kernels."""
    x = kernel(n, name="x")
    first = correlation(n, kernel(K))
    second = correlation(n - K + 1, kernel(L, name="v"))
    one = correlation(n, kernel(K + L - 1, name="u"))
    return second @ first.by_kernel(x), one.by_kernel(x) @ convolution(
        K, kernel(L, name="v"), padding="full"
    )


def _commuting() -> Sides:
    v, w = kernel(L, name="v"), kernel(K)
    return (
        correlation(n - K + 1, v) @ correlation(n, w),
        correlation(n - L + 1, w) @ correlation(n, v),
    )


def _commuting_same() -> Sides:
    v, w = kernel(L, name="v"), kernel(K)
    return (
        correlation(n, v, padding="same") @ correlation(n, w, padding="same"),
        correlation(n, w, padding="same") @ correlation(n, v, padding="same"),
    )


def _commuting_circular() -> Sides:
    v, w = kernel(2 * q + 1, name="v"), kernel(2 * h + 1)
    first = correlation(n, v, padding=q, boundary="circular")
    second = correlation(n, w, padding=h, boundary="circular")
    return first @ second, second @ first


def _associative() -> Sides:
    """u * (v * w) = (u * v) * w, both as maps of v."""
    u, w = kernel(M, name="u"), kernel(K)
    return (
        convolution(L + K - 1, u, padding="full") @ convolution(L, w, padding="full"),
        convolution(L + M - 1, w, padding="full") @ convolution(L, u, padding="full"),
    )


def _symmetric_convolution() -> Sides:
    """v * w = w * v: the same map of v."""
    v = kernel(L, name="v")
    left = convolution(K, v, padding="full").by_kernel(kernel(K))
    return left, convolution(L, kernel(K), padding="full")


def _separable() -> Sides:
    """The kernel u v^T as a Kronecker product, both as maps of v for one image x."""
    x, u, v = kernel(n, m, name="x"), kernel(K, name="u"), kernel(1, L, name="v")
    column = kron(convolution(1, u, padding="full"), identity(L))
    together = correlation((n, m), kernel(K, L)).by_kernel(x) @ column
    rows = correlation((n, m), v).by_kernel(x)
    return together, kron(correlation(n, u), identity(m - L + 1)) @ rows


def _two_passes() -> Sides:
    u, v = kernel(K, name="u"), kernel(L, name="v")
    both = kron(correlation(n, u), correlation(m, v))
    return both, kron(correlation(n, u), identity(m - L + 1)) @ kron(identity(n), correlation(m, v))


def _toeplitz_1d() -> Sides:
    layer = correlation(n, kernel(K), padding=p)
    (rows,) = layer.out_shape
    return (
        crop(rows, ((1, 0),)) @ layer @ crop(n, ((1, 0),)).T,
        crop(rows, ((0, 1),)) @ layer @ crop(n, ((0, 1),)).T,
    )


def _toeplitz_2d(axis: int) -> Sides:
    layer = correlation((n, m), kernel(K, L))
    first, last = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
    first[axis], last[axis] = (1, 0), (0, 1)
    return (
        crop(layer.out_shape, first) @ layer @ crop((n, m), first).T,
        crop(layer.out_shape, last) @ layer @ crop((n, m), last).T,
    )


def _toeplitz_strided() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    (rows,) = layer.out_shape
    return (
        crop(rows, ((1, 0),)) @ layer @ crop(n, ((1, 0),)).T,
        crop(rows, ((0, 1),)) @ layer @ crop(n, ((0, 1),)).T,
    )


def _channels_kept() -> Sides:
    layer = correlation(n, kernel(C, C, K))
    return layer.T, correlation(layer.out_shape[1:], flip(kernel(C, C, K), dims=1), padding="full")


def _gradient_not_dilated() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    x, (outputs,) = kernel(n, name="x"), layer.out_shape
    gradient = correlation(n, kernel(outputs, name="g"))
    rows = crop(gradient.out_shape[0], ((0, gradient.out_shape[0] - K),))
    return layer.by_kernel(x).T, rows @ gradient.by_kernel(x)


def _flat_toeplitz() -> Sides:
    """A claim from a textbook: the whole matrix of a 2-D layer would be Toeplitz."""
    layer = reshape((2, 2), 4) @ correlation((3, 3), kernel(2, 2)) @ reshape(9, (3, 3))
    return (
        crop(4, ((1, 0),)) @ layer @ crop(9, ((1, 0),)).T,
        crop(4, ((0, 1),)) @ layer @ crop(9, ((0, 1),)).T,
    )


def _many_channels() -> Operator:
    return correlation((n, m), kernel(C, D, K, L), stride=s, padding=p)


def _affine() -> Verdict:
    layer = correlation(3, [1, 2])
    return linear(lambda x: layer(x) + 1, 3)


def _strided_layer() -> Operator:
    """Return the layer with o outputs and s (o - 1) + K - 2p + a inputs, where a < s."""
    return transposed_correlation(o, kernel(K), stride=s, padding=p, output_padding=a).T


def _transposed() -> Sides:
    """The adjoint: s - 1 zeros between samples, a zeros at the end, then padding K - 1 - p."""
    length, margin = s * (o - 1) + 1 + a, K - 1 - p
    over = correlation(length + 2 * margin, flip(kernel(K)))
    return _strided_layer().T, over @ pad(length, margin) @ upsample(o, s, size=length)


def _transposed_size(outputs: Size, remainder: Size) -> Size:
    return s * (outputs - 1) + K - 2 * p + remainder


def _transposed_without() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    return layer.T, transposed_correlation(layer.out_shape[0], kernel(K), stride=2)


def _no_flip() -> Sides:
    return convolution(n, kernel(K), padding=p), correlation(n, kernel(K), padding=p)


def _flipped() -> Sides:
    return convolution(n, kernel(K), padding=p), correlation(n, flip(kernel(K)), padding=p)


def _flipped_2d() -> Sides:
    left = convolution((n, m), kernel(K, L), padding=p)
    return left, correlation((n, m), flip(kernel(K, L)), padding=p)


def _full_by_padding() -> Sides:
    padded = correlation(n + 2 * K - 2, kernel(K)) @ pad(n, K - 1)
    return correlation(n, kernel(K), padding="full"), padded


def _unflipped_adjoint() -> Sides:
    layer = correlation(n, kernel(K))
    return layer.T, correlation(layer.out_shape[0], kernel(K), padding="full")


GUIDE = "Dumoulin & Visin, A guide to convolution arithmetic for deep learning"

THEOREMS = (
    Theorem(
        "linearity",
        (Linearity("a correlation is linear", _many_channels),),
        counter=Decided("a layer with a bias is linear", _affine),
        chapter=FOUNDATIONS,
        sentence="A correlation layer is linear in its input, for every stride and padding.",
        idea=(
            "Each output is a sum of samples multiplied by weights, and such a sum is linear in "
            "the samples."
        ),
    ),
    Theorem(
        "flip",
        (
            Equality("convolution is correlation with the flipped kernel", _flipped),
            Equality("in two dimensions the kernel is flipped on both axes", _flipped_2d),
        ),
        counter=Equality("convolution and correlation are equal without the flip", _no_flip),
        chapter=FOUNDATIONS,
        sentence=(
            "Convolution is correlation with the flipped kernel, in one and in two dimensions."
        ),
        idea="Substitute K - 1 - t for the tap t in the sum of one of them.",
    ),
    Theorem(
        "modes",
        (
            Equality(
                "a valid layer is rows K - 1 to n - 1 of the full layer", lambda: _modes("valid")
            ),
            Equality("a same-padded layer is n rows of the full layer", lambda: _modes("same")),
            Equality("in two dimensions too, a valid layer is a part of the full layer", _modes_2d),
        ),
        chapter=FOUNDATIONS,
        sentence=(
            "The outputs of a valid layer and those of a same-padded layer are consecutive "
            "outputs of the full layer."
        ),
        idea=(
            "The three layers place the same kernel at different positions, and the positions of "
            "the full layer include all others."
        ),
    ),
    Theorem(
        "full",
        (
            Equality(
                "a full layer is the valid layer after padding by K - 1 zeros on both sides",
                _full_by_padding,
            ),
        ),
        chapter=FOUNDATIONS,
        sentence=(
            "Full correlation is valid correlation after padding with K - 1 zeros at both ends."
        ),
        idea=(
            "A tap that reads outside of the signal contributes zero, as does a tap that reads a "
            "padded zero."
        ),
    ),
    Theorem(
        "stride",
        (Equality("a strided layer is the layer of stride 1, then downsampling", _strided),),
        chapter=STRIDES,
        sentence="A strided layer is the layer of stride 1, of which every s-th output is kept.",
        idea=(
            "Output o of the strided layer reads the samples that output s o of the layer of "
            "stride 1 reads."
        ),
    ),
    Theorem(
        "adjoint-1d",
        (Equality("the adjoint is the correlation with the flipped kernel", _adjoint_1d),),
        source=f"{GUIDE}, relationship 9",
        counter=Equality(
            "the adjoint is the correlation with the unflipped kernel", _unflipped_adjoint
        ),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a correlation with padding p is the correlation with the flipped "
            "kernel and padding K - 1 - p."
        ),
        idea=(
            "Sample i is read by output o with weight t = i - o + p. Sum over o instead of i, and"
            " the taps run backwards."
        ),
    ),
    Theorem(
        "adjoint-2d",
        (Equality("the kernel is rotated by 180 degrees", _adjoint_2d),),
        source=f"{GUIDE}, relationship 8",
        counter=Equality("flipping the kernel on one axis is enough", _adjoint_2d_one_axis),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a valid correlation in two dimensions is the full correlation with "
            "the kernel rotated by 180 degrees."
        ),
        idea="Apply the argument in one dimension to each of the two axes.",
    ),
    Theorem(
        "adjoint-channels",
        (
            Equality(
                "the kernel is flipped, and its input and output channels are exchanged",
                _adjoint_channels,
            ),
        ),
        counter=Equality("flipping the kernel is enough", _channels_kept),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a valid layer with channels is the full layer with the flipped "
            "kernel, whose input and output channels are exchanged."
        ),
        idea=(
            "The weight from channel c to channel e of the layer leads from e to c in the "
            "adjoint; along the taps, the kernel is flipped as in one channel."
        ),
    ),
    Theorem(
        "adjoint-stride",
        (
            Equality(
                "the adjoint inserts zeros into the gradient, then applies the adjoint of stride 1",
                _strided_adjoint,
            ),
        ),
        chapter=ADJOINTS,
        sentence=(
            "The adjoint of a strided layer inserts s - 1 zeros between the samples and then "
            "applies the adjoint of the layer of stride 1."
        ),
        idea=(
            "A strided layer is a layer of stride 1 and then downsampling. The adjoint of "
            "downsampling inserts zeros, and adjoints are applied in reverse order."
        ),
    ),
    Theorem(
        "transposed-output-padding",
        (
            Length("output_padding is the remainder", _transposed_size, p, s),
            Equality(
                "the adjoint inserts zeros, appends a more, then applies the flipped kernel",
                _transposed,
            ),
        ),
        source="Dumoulin & Visin, relationship 14; PyTorch's ConvTranspose2d",
        counter=Equality("the adjoint needs no output_padding", _transposed_without),
        chapter=ADJOINTS,
        sentence=(
            "A transposed layer inserts s - 1 zeros between the samples, appends as many zeros as"
            " output_padding gives and correlates with the flipped kernel, and output_padding is "
            "the remainder that the stride leaves."
        ),
        idea=(
            "Sizes that differ only in the remainder lead to the same number of outputs, so the "
            "remainder has to be given to invert the size."
        ),
    ),
    Theorem(
        "kernel-gradient",
        (
            Equality(
                "the kernel gradient is the input correlated with the output gradient",
                _kernel_gradient,
                "g",
            ),
        ),
        chapter=GRADIENTS,
        sentence=(
            "The gradient of a loss with respect to the kernel is the correlation of the input "
            "with the output gradient."
        ),
        idea=(
            "The derivative of output o with respect to weight t is the sample x[o + t - p]; "
            "multiply it by g[o] and sum over o."
        ),
    ),
    Theorem(
        "kernel-gradient-stride",
        (Equality("the output gradient is dilated by s", _kernel_gradient_stride, "g"),),
        counter=Equality(
            "the output gradient is not dilated at a stride of 2", _gradient_not_dilated
        ),
        chapter=GRADIENTS,
        sentence=(
            "The kernel gradient of a strided layer is the correlation of the input with the "
            "output gradient dilated by the stride."
        ),
        idea=(
            "The derivative of output o with respect to weight t is the sample x[s o + t - p], so"
            " g[o] is read at distance s from g[o + 1]."
        ),
    ),
    Theorem(
        "composition",
        (Equality("two valid layers are one layer with K + L - 1 taps", _composed, "w"),),
        chapter=COMPOSITION,
        sentence=(
            "Two valid correlations in sequence are one correlation, whose kernel is the full "
            "convolution of the two kernels."
        ),
        idea=(
            "Tap a of the first layer and tap b of the second read the sample o + a + b, and a + "
            "b = t is the index of a convolution."
        ),
    ),
    Theorem(
        "commutativity",
        (
            Equality("valid layers commute", _commuting),
            Equality("circular layers with odd kernels commute", _commuting_circular),
            Equality("v * w = w * v", _symmetric_convolution, "v"),
        ),
        counter=Equality("same-padded layers commute", _commuting_same),
        chapter=COMPOSITION,
        sentence=(
            "Valid correlations commute, circular correlations with odd kernels commute, and the "
            "convolution of two sequences is symmetric in them."
        ),
        idea="Both orders sum over the same pairs of taps, because a + b = b + a.",
    ),
    Theorem(
        "associativity",
        (Equality("u * (v * w) = (u * v) * w", _associative, "v"),),
        chapter=COMPOSITION,
        sentence="Full convolution is associative.",
        idea="Both orders sum over all triples of taps with the same total index.",
    ),
    Theorem(
        "separable",
        (
            Equality(
                "a layer with an outer product as kernel is a row pass, then a column pass",
                _separable,
                "v",
            ),
            Equality(
                "the Kronecker product of two layers is a row pass, then a column pass", _two_passes
            ),
        ),
        chapter=COMPOSITION,
        sentence=(
            "A layer whose kernel is an outer product is a pass along the rows followed by a pass"
            " along the columns."
        ),
        idea=(
            "In the sum over both taps, factor the weight of the first axis out of the sum over "
            "the second."
        ),
    ),
    Theorem(
        "toeplitz",
        (Equality("each diagonal of the matrix is constant", _toeplitz_1d),),
        counter=Equality("the matrix of a layer of stride 2 is Toeplitz", _toeplitz_strided),
        chapter=FOUNDATIONS,
        sentence=(
            "The matrix of a layer of stride 1 is a Toeplitz matrix: each of its diagonals is "
            "constant."
        ),
        idea=(
            "The entry in row o and column i is the weight i - o + p, which depends only on i - o."
        ),
    ),
    Theorem(
        "doubly-block-toeplitz",
        (
            Equality("blocks repeat along block diagonals", lambda: _toeplitz_2d(0)),
            Equality("each block is Toeplitz", lambda: _toeplitz_2d(1)),
        ),
        counter=Equality("the whole matrix is Toeplitz", _flat_toeplitz),
        chapter=FOUNDATIONS,
        sentence=(
            "The matrix of a layer in two dimensions is block Toeplitz, and each of its blocks is"
            " Toeplitz."
        ),
        idea=(
            "The entry depends only on the differences between the row index and the column index"
            " on each axis."
        ),
    ),
)
