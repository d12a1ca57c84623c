"""Theorems about gradients by kernels and biases: dilated, strided, in channels, transposed."""

from __future__ import annotations

from convalg.axis import Size
from convalg.kernels import kernel
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import sum_pool
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Operator, kron
from convalg.prove.theorems.chapters import GRADIENTS
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, p, q, s, d, C, D, o, a = sizes("n m K L p q s d C D o a")


def _first(taps: Size, operator: Operator) -> Operator:
    """Return the operator with only its first outputs, as many as there are taps."""
    (size,) = operator.out_shape
    return crop(size, ((0, size - taps),)) @ operator


def _dilated(stride: Size, dilation: Size) -> Sides:
    """The gradient by the kernel, and the input correlated with the output gradient.

    The layer has o outputs and s (o - 1) + d (K - 1) + 1 - 2 p + a inputs.
    """
    layer = transposed_correlation(
        o, kernel(K), stride=s, dilation=d, padding=p, output_padding=a
    ).T
    (size,) = layer.in_shape
    x = kernel(size, name="x")
    gradient = correlation(size, kernel(o, name="g"), padding=p, stride=stride, dilation=dilation)
    return layer.by_kernel(x).T, crop(K + a // d, ((0, a // d),)) @ gradient.by_kernel(x)


def _not_exchanged() -> Sides:
    layer = correlation(n, kernel(K), dilation=2)
    x, (outputs,) = kernel(n, name="x"), layer.out_shape
    gradient = correlation(n, kernel(outputs, name="g"), dilation=2)
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def _image() -> Sides:
    layer = correlation((n, m), kernel(K, L), padding=(p, q))
    x = kernel(n, m, name="x")
    gradient = correlation((n, m), kernel(*layer.out_shape, name="g"), padding=(p, q))
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def _image_strided() -> Sides:
    layer = correlation((n, m), kernel(K, L), stride=s, padding=p)
    x = kernel(n, m, name="x")
    gradient = correlation((n, m), kernel(*layer.out_shape, name="g"), dilation=s, padding=p)
    rows, columns = gradient.out_shape
    kept = crop((rows, columns), ((0, rows - K), (0, columns - L)))
    return layer.by_kernel(x).T, kept @ gradient.by_kernel(x)


def _image_flipped() -> Sides:
    layer = convolution((n, m), kernel(K, L))
    x = kernel(n, m, name="x")
    gradient = correlation((n, m), kernel(*layer.out_shape, name="g"))
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def _channels() -> Sides:
    """Each output channel correlates its gradient with every input channel."""
    layer = correlation(n, kernel(C, D, K), padding=p)
    x, (_, outputs) = kernel(D, n, name="x"), layer.out_shape
    each = correlation((D, n), kernel(1, outputs, name="g"), padding=(0, p)).by_kernel(x)
    return layer.by_kernel(x).T, kron(identity(C), each @ reshape(outputs, (1, outputs)))


def _depthwise() -> Sides:
    """The gradient of a depthwise layer is a depthwise correlation with the output gradient."""
    layer = correlation(n, kernel(C, 1, K), groups=C, padding=p)
    x, (_, outputs) = kernel(C, n, name="x"), layer.out_shape
    gradient = correlation(n, kernel(C, 1, outputs, name="g"), groups=C, padding=p)
    return (
        layer.by_kernel(x).T,
        reshape((C, K), (C, 1, K)) @ gradient.by_kernel(x) @ reshape((C, outputs), (C, 1, outputs)),
    )


def _transposed() -> Sides:
    """dL/dw[t] = sum over i of x[i] g[s i + d t - p]: g correlated with x dilated by s."""
    layer = transposed_correlation(o, kernel(K), stride=s, dilation=d, padding=p)
    x = kernel(o, name="x")
    over = correlation(layer.out_shape, x, stride=d, dilation=s, padding=p)
    return layer.by_kernel(x).T, over


def _transposed_unexchanged() -> Sides:
    layer = transposed_correlation(o, kernel(K), stride=2)
    x = kernel(o, name="x")
    return layer.by_kernel(x).T, _first(K, correlation(layer.out_shape, x))


def _circular(before: Size, after: Size) -> Sides:
    layer = correlation(n, kernel(K), padding=((p, K - 1 - p),), boundary="circular")
    x = kernel(n, name="x")
    gradient = correlation(n, kernel(n, name="g"), padding=((before, after),), boundary="circular")
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def _zero_padded() -> Sides:
    layer = correlation(n, kernel(K), padding=((p, K - 1 - p),), boundary="circular")
    x = kernel(n, name="x")
    gradient = correlation(n, kernel(n, name="g"), padding=((p, K - 1 - p),))
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def _bias() -> Sides:
    """The bias b, repeated for all pixels, and the sum of the gradient over all pixels."""
    repeated = pad((1, 1), ((0, n - 1), (0, m - 1)), boundary="edge")
    return (
        kron(identity(C), repeated @ reshape(1, (1, 1))).T,
        kron(identity(C), reshape((1, 1), 1) @ sum_pool((n, m), (n, m))),
    )


def _bias_of_one() -> Sides:
    repeated = pad(1, ((0, n - 1),), boundary="edge")
    return repeated.T, pad(1, ((0, n - 1),)).T


def _inner(cropping: tuple[Size, Size]) -> Sides:
    """The gradient of a kernel with 2 q more taps, and the gradient of the taps inside it."""
    x = kernel(n, name="x")
    wide = correlation(n, kernel(K + 2 * q), padding=p + q).by_kernel(x)
    small = correlation(n, kernel(K, name="u"), padding=p).by_kernel(x)
    return crop(K + 2 * q, (cropping,)) @ wide.T, small.T


def _channels_of_convolution() -> Sides:
    layer = convolution(n, kernel(C, D, K))
    x, (_, outputs) = kernel(D, n, name="x"), layer.out_shape
    each = correlation((D, n), kernel(1, outputs, name="g")).by_kernel(x)
    return layer.by_kernel(x).T, kron(identity(C), each @ reshape(outputs, (1, outputs)))


THEOREMS = (
    Theorem(
        "kernel-gradient-dilation",
        (
            Equality(
                "the input is correlated with the output gradient, whose dilation is the stride of "
                "the layer and whose stride is the dilation of the layer",
                lambda: _dilated(d, s),
                "g",
            ),
        ),
        counter=Equality("the output gradient has the dilation of the layer", _not_exchanged, "g"),
        chapter=GRADIENTS,
        sentence="The kernel gradient of a layer with stride s and dilation d is the input "
        "correlated with the output gradient, with stride d and dilation s.",
        idea="The gradient of weight t is the sum of g[o] x[s o + d t - p] over o, and in this sum "
        "t and o have exchanged their roles.",
    ),
    Theorem(
        "kernel-gradient-2d",
        (
            Equality(
                "the kernel gradient is the image correlated with the output gradient, with the "
                "padding of the layer",
                _image,
                "g",
            ),
            Equality(
                "at stride s the output gradient is dilated by s on both axes", _image_strided, "g"
            ),
        ),
        counter=Equality(
            "the kernel gradient of a convolution is not flipped", _image_flipped, "g"
        ),
        chapter=GRADIENTS,
        sentence="The kernel gradient of a two-dimensional layer is the image correlated with the "
        "output gradient, which is dilated by the stride of the layer.",
        idea="Each axis has its own index formula, so that the one-dimensional result holds on "
        "both axes at once.",
    ),
    Theorem(
        "kernel-gradient-channels",
        (
            Equality(
                "for each output channel, all input channels are correlated with the gradient of "
                "this channel",
                _channels,
                "g",
            ),
        ),
        counter=Equality(
            "the kernel gradient of a convolution with channels is not flipped",
            _channels_of_convolution,
            "g",
        ),
        chapter=GRADIENTS,
        sentence="The gradient of the kernel between an input channel and an output channel is the "
        "input channel correlated with the gradient of the output channel.",
        idea="The weight w[c, b, t] occurs only in the products w[c, b, t] x[b, o + t - p] of "
        "output channel c.",
    ),
    Theorem(
        "kernel-gradient-depthwise",
        (
            Equality(
                "the kernel gradient of a depthwise layer is a depthwise correlation of the input "
                "with the output gradient",
                _depthwise,
                "g",
            ),
        ),
        chapter=GRADIENTS,
        sentence="The kernel gradient of a depthwise layer is the depthwise correlation of its "
        "input, with the output gradients as kernels.",
        idea="The channels do not meet, so that each of them is a layer with one channel.",
    ),
    Theorem(
        "kernel-gradient-transposed",
        (
            Equality(
                "the kernel gradient of a transposed layer is the output gradient correlated with "
                "the input, which is dilated by the stride",
                _transposed,
                "g",
            ),
        ),
        counter=Equality("the input is not dilated at a stride of 2", _transposed_unexchanged, "g"),
        chapter=GRADIENTS,
        sentence="The kernel gradient of a transposed layer is the gradient of its output "
        "correlated with its input as the kernel, with stride and dilation exchanged.",
        idea="Sample i adds w[t] x[i] to output s i + d t - p, so that the gradient of w[t] is the "
        "sum of x[i] g[s i + d t - p] over i.",
    ),
    Theorem(
        "kernel-gradient-circular",
        (
            Equality(
                "the kernel gradient of a circular layer is the circular correlation of the input "
                "with the output gradient",
                lambda: _circular(p, K - 1 - p),
                "g",
            ),
        ),
        counter=Equality(
            "the input is padded with zeros for the gradient of a circular layer",
            _zero_padded,
            "g",
        ),
        chapter=GRADIENTS,
        sentence="The kernel gradient of a circular layer is the circular correlation of its input "
        "with the output gradient, with the same padding.",
        idea="The gradient of weight t is the sum of g[o] x[o + t - p] over o, with indices "
        "modulo n.",
    ),
    Theorem(
        "kernel-gradient-inner",
        (
            Equality(
                "the inner K of K + 2q weights have the gradients of a kernel with K taps",
                lambda: _inner((q, q)),
                "g",
            ),
        ),
        counter=Equality(
            "the last K of K + 2q weights have these gradients", lambda: _inner((2 * q, 0)), "g"
        ),
        chapter=GRADIENTS,
        sentence="If a kernel is enlarged by q taps on each side, and the padding by q samples, "
        "the gradients of its inner taps do not change.",
        idea="Tap t + q of the large kernel reads the samples o + (t + q) - (p + q), which tap t "
        "of the small kernel reads.",
    ),
    Theorem(
        "bias-gradient",
        (
            Equality(
                "the gradient of the bias of a channel is the sum of the output gradient over all "
                "pixels of this channel",
                _bias,
                "g",
            ),
        ),
        counter=Equality(
            "the gradient of a bias is the output gradient at the first sample", _bias_of_one, "g"
        ),
        chapter=GRADIENTS,
        sentence="The gradient of a bias is the sum of the output gradient over all pixels of its "
        "channel.",
        idea="Adding a bias repeats one number for all pixels, and the adjoint of repeating is "
        "summing.",
    ),
)
