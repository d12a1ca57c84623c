"""Theorems about adjoints of layers: dilated, strided, grouped, circular and transposed ones."""

from __future__ import annotations

from convalg.axis import Size
from convalg.kernels import flip, kernel
from convalg.operators.convolution import correlation, transposed_correlation
from convalg.operators.padding import pad
from convalg.operators.sampling import downsample, upsample
from convalg.operators.shifts import flip_axes
from convalg.prove.theorems.chapters import ADJOINTS
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, p, q, s, d, C, o, a, c = sizes("n m K L p q s d C o a c")
GUIDE = "Dumoulin & Visin, A guide to convolution arithmetic for deep learning"


def _dilated() -> Sides:
    layer = correlation(n, kernel(K), padding=p, dilation=d)
    (outputs,), margin = layer.out_shape, d * (K - 1) - p
    over = correlation(outputs + 2 * margin, flip(kernel(K)), dilation=d)
    return layer.T, over @ pad(outputs, margin)


def _dilation_forgotten() -> Sides:
    layer = correlation(n, kernel(K), dilation=2)
    return layer.T, correlation(layer.out_shape, flip(kernel(K)), padding=K - 1, dilation=2)


def _two_paddings(before: Size, after: Size) -> Sides:
    """A layer with padding q before the input and p after it, and a padding of its adjoint."""
    layer = correlation(n, kernel(K), padding=((q, p),))
    over = correlation(n + K - 1, flip(kernel(K)))
    return layer.T, over @ pad(layer.out_shape, ((before, after),))


def _strided_dilated() -> Sides:
    layer = correlation(n, kernel(K), stride=s, dilation=d, padding=p)
    length, margin = n + 2 * p - d * (K - 1), d * (K - 1) - p
    over = correlation(length + 2 * margin, flip(kernel(K)), dilation=d)
    return layer.T, over @ pad(length, margin) @ upsample(layer.out_shape, s, size=length)


def _strided_dilated_without() -> Sides:
    """The claim that no zeros follow the upsampled gradient, as without output_padding."""
    layer = correlation(n, kernel(2), stride=2, dilation=2)
    (outputs,) = layer.out_shape
    over = correlation(2 * outputs - 1, flip(kernel(2)), dilation=2, padding="full")
    return layer.T, over @ upsample(outputs, 2)


def _upsampled() -> Sides:
    """U_s, the full correlation with the flipped kernel, then q samples cropped in front."""
    layer = transposed_correlation(
        o, kernel(K), stride=s, dilation=d, padding=((q, p),), output_padding=a
    )
    length = s * (o - 1) + 1
    full = correlation(length, flip(kernel(K)), dilation=d, padding="full")
    rows = pad(full.out_shape, ((-q, a - p),))
    return layer, rows @ full @ upsample(o, s)


def _appended() -> Sides:
    """The layer with output_padding has the samples of the one without, and a more at the end."""
    options = {"stride": s, "dilation": d}
    longer = transposed_correlation(o, kernel(K), output_padding=a, **options)
    shorter = transposed_correlation(o, kernel(K), **options)
    return longer, pad(shorter.out_shape, ((0, a),)) @ shorter


def _appended_after_padding() -> Sides:
    layer = transposed_correlation(o, kernel(K), stride=2, padding=1, output_padding=1)
    shorter = transposed_correlation(o, kernel(K), stride=2, padding=1)
    return layer, pad(shorter.out_shape, ((0, 1),)) @ shorter


def _strided_2d() -> Sides:
    layer = correlation((n, m), kernel(K, L), stride=s, padding=p)
    lengths = (n + 2 * p - K + 1, m + 2 * p - L + 1)
    margins = (K - 1 - p, L - 1 - p)
    over = correlation((n + K - 1, m + L - 1), flip(kernel(K, L)))
    return layer.T, over @ pad(lengths, margins) @ upsample(layer.out_shape, s, size=lengths)


def _strided_2d_unflipped() -> Sides:
    layer = correlation((n, m), kernel(2, 2), stride=2)
    inserted = upsample(layer.out_shape, 2, size=(n - 1, m - 1))
    return layer.T, correlation((n - 1, m - 1), kernel(2, 2), padding="full") @ inserted


def _product() -> Sides:
    first, second = correlation(n, kernel(K)), correlation(n - K + 1, kernel(L, name="v"))
    inner = correlation(n - K - L + 2, flip(kernel(L, name="v")), padding="full")
    return (second @ first).T, correlation(n - K + 1, flip(kernel(K)), padding="full") @ inner


def _product_in_the_same_order() -> Sides:
    steps = downsample(n, 2) @ correlation(n, kernel(2), padding=((1, 0),))
    first = upsample(steps.out_shape, 2, size=n)
    return steps.T, first @ correlation(steps.out_shape, flip(kernel(2)), padding=((0, 1),))


def _depthwise() -> Sides:
    layer = correlation(n, kernel(C, 1, K), groups=C, stride=s, padding=p)
    length = n + 2 * p - K + 1
    over = correlation(n + K - 1, flip(kernel(C, 1, K), dims=1), groups=C)
    margin = pad(length, K - 1 - p, channels=C)
    return layer.T, over @ margin @ upsample(layer.out_shape[1], s, size=length, channels=C)


def _channels_exchanged() -> Sides:
    layer = correlation(n, kernel(2, 2, K))
    flipped = flip(kernel(2, 2, K), dims=1)
    return layer.T, correlation(layer.out_shape[1:], flipped, padding="full")


def _circular(before: Size, after: Size) -> Sides:
    layer = correlation(n, kernel(K), padding=((q, K - 1 - q),), boundary="circular")
    flipped = flip(kernel(K))
    return layer.T, correlation(n, flipped, padding=((before, after),), boundary="circular")


def _offset() -> Sides:
    kept = downsample(n, s, offset=c)
    (outputs,) = kept.out_shape
    return kept.T, pad(s * (outputs - 1) + 1, ((c, n - c - s * (outputs - 1) - 1),)) @ upsample(
        outputs, s
    )


def _offset_forgotten() -> Sides:
    kept = downsample(n, 2, offset=1)
    return kept.T, upsample(kept.out_shape, 2, size=n)


def _reversed() -> Sides:
    layer = correlation(n, kernel(K), padding=p, dilation=d)
    (outputs,), margin = layer.out_shape, d * (K - 1) - p
    over = correlation(outputs + 2 * margin, kernel(K), dilation=d)
    return flip_axes(n) @ layer.T @ flip_axes(outputs), over @ pad(outputs, margin)


def _persymmetric() -> Sides:
    layer = correlation(n, kernel(K), padding=((q, K - 1 - q),))
    return flip_axes(n) @ layer.T @ flip_axes(n), layer


def _symmetric() -> Sides:
    layer = correlation(n, kernel(3), padding=1)
    return layer.T, layer


THEOREMS = (
    Theorem(
        "adjoint-dilation",
        (
            Equality(
                "the adjoint of a dilated layer has the same dilation, the flipped kernel and the "
                "padding d (K - 1) - p",
                _dilated,
            ),
        ),
        counter=Equality(
            "the adjoint of a layer with dilation 2 is padded by K - 1", _dilation_forgotten
        ),
        chapter=ADJOINTS,
        sentence="The adjoint of a dilated layer with padding p is the correlation with the "
        "flipped kernel and the same dilation, padded by d(K - 1) - p samples.",
        idea="Output o reads sample i with weight t exactly if i = o + d t - p, which is "
        "o = i + d (K - 1 - t) - (d (K - 1) - p).",
    ),
    Theorem(
        "adjoint-asymmetric-padding",
        (
            Equality(
                "the padding q before and p after becomes K - 1 - q before and K - 1 - p after",
                lambda: _two_paddings(K - 1 - q, K - 1 - p),
            ),
        ),
        counter=Equality(
            "the two sides of the padding are exchanged",
            lambda: _two_paddings(K - 1 - p, K - 1 - q),
        ),
        chapter=ADJOINTS,
        sentence="If a layer is padded with q zeros before its input and p after it, its adjoint "
        "is the correlation with the flipped kernel, padded by K - 1 - q before and K - 1 - p "
        "after.",
        idea="Output o reads sample i with weight t exactly if o = i + (K - 1 - t) - (K - 1 - q), "
        "so that the padding before depends on q only; reversing all axes gives the same for p.",
    ),
    Theorem(
        "adjoint-stride-dilation",
        (
            Equality(
                "the adjoint inserts s - 1 zeros between the samples, appends the remainder, pads "
                "by d (K - 1) - p and applies the flipped kernel with the same dilation",
                _strided_dilated,
            ),
        ),
        source=f"{GUIDE}, relationship 14",
        counter=Equality(
            "the adjoint of a layer of stride 2 and dilation 2 appends no zeros",
            _strided_dilated_without,
        ),
        chapter=ADJOINTS,
        sentence="The adjoint of a strided and dilated layer inserts s - 1 zeros between the "
        "samples of the gradient, appends as many zeros as the stride leaves samples unread, and "
        "correlates the padded result with the flipped kernel of the same dilation.",
        idea="The layer is downsampling after the layer of stride 1; its adjoint upsamples to "
        "n + 2p - d (K - 1) samples and then applies the adjoint of stride 1.",
    ),
    Theorem(
        "transposed-as-correlation",
        (
            Equality(
                "a transposed layer is upsampling, the full correlation with the flipped kernel, "
                "and cropping by the padding",
                _upsampled,
            ),
        ),
        source=f"{GUIDE}, chapter 4",
        counter=Equality(
            "output_padding appends zeros to the output also if there is padding",
            _appended_after_padding,
        ),
        chapter=ADJOINTS,
        sentence="A transposed layer inserts s - 1 zeros between its samples, correlates the "
        "result in full mode with the flipped kernel, and crops the padding at both ends, but "
        "output_padding samples fewer at the end.",
        idea="Sample i adds w[t] x[i] to output s i + d t - q, which is sample i of the upsampled "
        "input at tap K - 1 - t of the flipped kernel.",
    ),
    Theorem(
        "output-padding-rows",
        (
            Equality(
                "without padding, output_padding appends a zeros to the output of a transposed "
                "layer",
                _appended,
            ),
        ),
        source=f"{GUIDE}, section 4.6",
        counter=Equality(
            "output_padding appends zeros to the output of a padded layer too",
            _appended_after_padding,
        ),
        chapter=ADJOINTS,
        sentence="Without padding, the output_padding of a transposed layer only appends zeros to "
        "its output.",
        idea="The last tap of the last sample is at index s (o - 1) + d (K - 1), so that nothing "
        "is added to the samples after it.",
    ),
    Theorem(
        "adjoint-2d-stride",
        (
            Equality(
                "the adjoint upsamples on both axes, pads by K - 1 - p and L - 1 - p, and "
                "correlates with the kernel rotated by 180 degrees",
                _strided_2d,
            ),
        ),
        source=f"{GUIDE}, relationship 13",
        counter=Equality(
            "the adjoint of a strided layer does not flip the kernel", _strided_2d_unflipped
        ),
        chapter=ADJOINTS,
        sentence="The adjoint of a strided two-dimensional layer inserts zeros between the rows "
        "and between the columns of the gradient, pads it, and correlates it with the kernel "
        "rotated by 180 degrees.",
        idea="A layer with a stride is downsampling after the layer of stride 1; its adjoint is "
        "the adjoint of the layer of stride 1 after upsampling.",
    ),
    Theorem(
        "adjoint-product",
        (
            Equality(
                "the adjoint of two layers applies the adjoint of the second one first", _product
            ),
        ),
        counter=Equality(
            "the adjoints of a layer and of downsampling are applied in the same order",
            _product_in_the_same_order,
        ),
        chapter=ADJOINTS,
        sentence="The adjoint of two layers in a row is the full correlation with the flipped "
        "second kernel, followed by the full correlation with the flipped first kernel.",
        idea="The adjoint of a product is the product of the adjoints in reverse order, which is "
        "what back-propagation computes.",
    ),
    Theorem(
        "adjoint-depthwise",
        (
            Equality(
                "the adjoint of a strided depthwise layer upsamples each channel and applies the "
                "depthwise layer with the flipped kernels",
                _depthwise,
            ),
        ),
        counter=Equality(
            "the adjoint of a layer with two channels does not exchange the channels of the kernel",
            _channels_exchanged,
        ),
        chapter=ADJOINTS,
        sentence="The adjoint of a depthwise layer is a depthwise layer with flipped kernels, "
        "which is applied to the upsampled channels; no channels are exchanged.",
        idea="Each channel has its own layer, and the adjoint of a block-diagonal matrix is block "
        "diagonal.",
    ),
    Theorem(
        "adjoint-circular",
        (
            Equality(
                "the adjoint of a circular layer is circular, with the flipped kernel and the "
                "paddings of the two sides exchanged",
                lambda: _circular(K - 1 - q, q),
            ),
        ),
        counter=Equality("the paddings of the two sides are kept", lambda: _circular(q, K - 1 - q)),
        chapter=ADJOINTS,
        sentence="The adjoint of a circular layer with as many outputs as inputs is the circular "
        "layer with the flipped kernel and with the paddings before and after exchanged.",
        idea="The adjoint of a circulant matrix is circulant: weight t moves from offset t - q to "
        "offset q - t.",
    ),
    Theorem(
        "adjoint-downsampling",
        (
            Equality(
                "the adjoint of downsampling from sample c on inserts zeros between the samples, "
                "c zeros before them and the remaining zeros after them",
                _offset,
            ),
        ),
        counter=Equality(
            "the adjoint of downsampling from sample 1 on starts with sample 0", _offset_forgotten
        ),
        chapter=ADJOINTS,
        sentence="The adjoint of downsampling with an offset c is upsampling with zeros, preceded "
        "by c zeros and followed by as many zeros as are needed for the size of the input.",
        idea="Sample o of the output is sample s o + c of the input, and no other sample is kept.",
    ),
    Theorem(
        "adjoint-reversal",
        (
            Equality(
                "between two reversals, the adjoint is the correlation with the unflipped kernel, "
                "padded by d (K - 1) - p",
                _reversed,
            ),
            Equality(
                "between two reversals, the adjoint of a layer that keeps the size is the layer "
                "itself",
                _persymmetric,
            ),
        ),
        source="Golub & Van Loan, Matrix Computations",
        counter=Equality("a same-padded layer with three taps is self-adjoint", _symmetric),
        chapter=ADJOINTS,
        sentence="Reversing the input and the output of the adjoint replaces the flipped kernel "
        "by the kernel itself, so that the matrix of a layer that keeps the size of its input is "
        "symmetric about its anti-diagonal.",
        idea="A Toeplitz matrix depends on o - i only, and the reversals turn i - o into o - i.",
    ),
)
