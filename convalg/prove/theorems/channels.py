"""Theorems about channels: groups, depthwise and pointwise layers, channels as an axis."""

from __future__ import annotations

from convalg.axis import Size
from convalg.kernels import SymbolicKernel, kernel
from convalg.operators.convolution import correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop, pad
from convalg.operators.rearrange import reshape
from convalg.operators.sampling import downsample, upsample
from convalg.operators.shifts import flip_axes
from convalg.operators.tree import Operator, kron
from convalg.prove.theorems.chapters import CHANNELS
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, p, s, d, C, D, E, G, c, g = sizes("n m K L p s d C D E G c g")


def _own_channels(read: Size) -> Sides:
    """The outputs of group g, with all inputs and with the inputs of one group only."""
    layer = correlation(n, kernel(G * C, D, K), groups=G)
    rows = kron(crop(G * C, ((g * C, (G - 1 - g) * C),)), identity(n - K + 1))
    own = crop(G * D, ((read * D, (G - 1 - read) * D),))
    return rows @ layer, rows @ layer @ kron(own.T @ own, identity(n))


def _group_as_layer() -> Sides:
    """The outputs of group g as those of a layer with one group, as maps of the kernel."""
    layer = correlation(n, kernel(G * C, D, K), groups=G, stride=s)
    x = kernel(*layer.in_shape, name="x")
    rows = crop(G * C, ((g * C, (G - 1 - g) * C),))
    one = correlation(n, kernel(C, G * D, K, name="u"), stride=s)
    placed = pad(D, ((g * D, (G - 1 - g) * D),))
    return (
        kron(rows, identity(layer.out_shape[1])) @ layer.by_kernel(x),
        one.by_kernel(x) @ kron(rows, kron(placed, identity(K))),
    )


def _first_group() -> Sides:
    """The claim that the second of two groups reads the channels of the first one."""
    layer = correlation(n, kernel(2, 1, K), groups=2)
    rows = kron(crop(2, ((1, 0),)), identity(n - K + 1))
    first = crop(2, ((0, 1),))
    return rows @ layer, rows @ layer @ kron(first.T @ first, identity(n))


def _all_weights() -> Sides:
    x = kernel(2, n, name="x")
    layer = correlation(n, kernel(2, 1, K), groups=2).by_kernel(x)
    one = correlation(n, kernel(1, 2, K, name="u")).by_kernel(x)
    rows = kron(crop(2, ((1, 0),)), identity(n - K + 1))
    return rows @ layer, one @ reshape((2, 1, K), (1, 2, K))


def _on_diagonal(count: Size) -> Operator:
    """Return the operator that writes a vector to the diagonal of a square matrix."""
    return reshape(count * count, (count, count)) @ upsample(count, count + 1, size=count * count)


def _diagonal() -> Sides:
    """A depthwise layer as a layer with one group, as maps of the kernel."""
    options = {"stride": s, "padding": p, "dilation": d}
    x = kernel(C, n, name="x")
    depthwise = correlation(n, kernel(C, 1, K), groups=C, **options).by_kernel(x)
    dense = correlation(n, kernel(C, C, K, name="u"), **options).by_kernel(x)
    return depthwise, dense @ kron(_on_diagonal(C) @ reshape((C, 1), C), identity(K))


def _first_column() -> Sides:
    """The claim that the dense kernel has the depthwise weights for one input channel."""
    x = kernel(2, n, name="x")
    depthwise = correlation(n, kernel(2, 1, K), groups=2).by_kernel(x)
    dense = correlation(n, kernel(2, 2, K, name="u")).by_kernel(x)
    return depthwise, dense @ kron(pad((2, 1), ((0, 0), (0, 1))), identity(K))


def _separable() -> Sides:
    """Depthwise, then pointwise: one layer with u[e, c, t] = v[e, c] w[c, t]."""
    x = kernel(C, n, name="x")
    depthwise = correlation(n, kernel(C, 1, K), groups=C, stride=s, padding=p)
    pointwise = correlation(depthwise.out_shape[1], kernel(E, C, 1, name="v"))
    one = correlation(n, kernel(E, C, K, name="u"), stride=s, padding=p).by_kernel(x)
    mixing = correlation(C, kernel(E, C, 1, name="v"))
    diagonal = _on_diagonal(C) @ reshape((C, 1), C)
    return pointwise @ depthwise.by_kernel(x), one @ kron(mixing @ diagonal, identity(K))


def _pointwise() -> Sides:
    """A strided and padded 1x1 layer is one matrix for all pixels."""
    layer = correlation(n, kernel(C, D, 1), stride=s, padding=p)
    (count, outputs) = layer.out_shape
    matrix = correlation(1, kernel(C, D, 1))
    moved = downsample(n + 2 * p, s) @ pad(n, p)
    return layer, reshape((C, 1, outputs), (count, outputs)) @ kron(matrix, moved) @ reshape(
        (D, n), (D, 1, n)
    )


def _separable_in_reverse() -> Sides:
    """The claim that the pointwise layer can be applied first."""
    v, w = kernel(2, 2, 1, name="v"), kernel(2, 1, K)
    return (
        correlation(n - K + 1, v) @ correlation(n, w, groups=2),
        correlation(n, w, groups=2) @ correlation(n, v),
    )


def _same_for_all_channels() -> Sides:
    """A pointwise layer, and one kernel that is applied to every channel."""
    mixing, w = kernel(C, D, 1, name="v"), kernel(K)
    layer = correlation(n, w, stride=s, padding=p)
    (outputs,) = layer.out_shape
    return (
        correlation(outputs, mixing) @ kron(identity(D), layer),
        kron(identity(C), layer) @ correlation(n, mixing),
    )


def _commuting_depthwise() -> Sides:
    v, w = kernel(C, 1, L, name="v"), kernel(C, 1, K)
    return (
        correlation(n - K + 1, v, groups=C) @ correlation(n, w, groups=C),
        correlation(n - L + 1, w, groups=C) @ correlation(n, v, groups=C),
    )


def _commuting_channels() -> Sides:
    v, w = kernel(2, 2, 1, name="v"), kernel(2, 2, 1)
    return correlation(n, v) @ correlation(n, w), correlation(n, w) @ correlation(n, v)


def _padded_pointwise() -> Sides:
    """The claim that the padding of a pointwise layer has no effect."""
    layer = correlation(n, kernel(C, D, 1), padding=1)
    matrix = correlation(1, kernel(C, D, 1))
    edge = pad(n, 1, boundary="edge")
    into, out = reshape((D, n), (D, 1, n)), reshape((C, 1, n + 2), (C, n + 2))
    return layer, out @ kron(matrix, edge) @ into


def _strided_groups(first: Size) -> Sides:
    """A grouped layer, and every s-th output of the layer of stride 1 from a first one on."""
    weights = kernel(G * C, D, K)
    dense = correlation(n, weights, groups=G, dilation=d)
    (_, outputs) = dense.out_shape
    strided = correlation(n, weights, groups=G, stride=s, dilation=d)
    return strided, kron(identity(G * C), downsample(outputs, s, offset=first)) @ dense


def _mirrored(axes: tuple[int, ...]) -> Sides:
    """The order of the input and output channels reversed, and axes of the kernel reversed."""
    shape = (G * C, D, K)
    weights = SymbolicKernel("w", shape, (0, 1, 2), (False,) * 3)
    layer = correlation(n, weights, groups=G, stride=s)
    (_, outputs) = layer.out_shape
    return (
        kron(flip_axes(G * C), identity(outputs)) @ layer @ kron(flip_axes(G * D), identity(n)),
        correlation(n, weights.flip(axes), groups=G, stride=s),
    )


def _one_output() -> Sides:
    """Output channel c of a layer, as a map of its kernel."""
    x = kernel(D, n, name="x")
    layer = correlation(n, kernel(C, D, K), stride=s, padding=p)
    single = correlation(n, kernel(1, D, K, name="u"), stride=s, padding=p)
    own = crop(C, ((c, C - 1 - c),))
    return (
        kron(own, identity(layer.out_shape[1])) @ layer.by_kernel(x),
        single.by_kernel(x) @ kron(own, identity((D, K))),
    )


def _last_output() -> Sides:
    x = kernel(D, n, name="x")
    layer = correlation(n, kernel(2, D, K))
    single = correlation(n, kernel(1, D, K, name="u"))
    return (
        kron(crop(2, ((0, 1),)), identity(layer.out_shape[1])) @ layer.by_kernel(x),
        single.by_kernel(x) @ kron(crop(2, ((1, 0),)), identity((D, K))),
    )


def _channels_as_axis() -> Sides:
    """One output channel as a two-dimensional layer over the axes (channel, sample)."""
    x = kernel(D, n, name="x")
    layer = correlation(n, kernel(1, D, K), stride=s, padding=p, dilation=d)
    image = correlation((D, n), kernel(D, K), stride=(1, s), padding=(0, p), dilation=(1, d))
    return layer.by_kernel(x), image.by_kernel(x) @ reshape((1, D, K), (D, K))


def _channels_as_flipped_axis() -> Sides:
    x = kernel(D, n, name="x")
    layer = correlation(n, kernel(1, D, K)).by_kernel(x)
    image = correlation((D, n), kernel(D, K)).by_kernel(x)
    return layer, image @ kron(flip_axes(D), identity(K)) @ reshape((1, D, K), (D, K))


THEOREMS = (
    Theorem(
        "group-channels",
        (
            Equality(
                "the outputs of group g do not change if the channels of all other groups are zero",
                lambda: _own_channels(g),
            ),
        ),
        counter=Equality(
            "the second of two groups reads the channels of the first one", _first_group
        ),
        chapter=CHANNELS,
        sentence="The output channels of a group depend only on the input channels of the same "
        "group, so that the matrix of a grouped layer is block diagonal.",
        idea="Output channel g C + b reads the input channels g D to g D + D - 1 and no others.",
    ),
    Theorem(
        "groups",
        (
            Equality(
                "the outputs of group g are those of a layer with one group, whose kernel has the "
                "weights of this group at its own channels and zeros elsewhere",
                _group_as_layer,
            ),
        ),
        counter=Equality(
            "the outputs of a group depend on the weights of both groups", _all_weights
        ),
        chapter=CHANNELS,
        sentence="Each group of a grouped layer is an ordinary layer, whose kernel is zero at the "
        "input channels of all other groups.",
        idea="The weight w[g C + b, c, t] is the weight of output channel b at input channel "
        "g D + c in the ordinary layer.",
    ),
    Theorem(
        "depthwise",
        (
            Equality(
                "a depthwise layer is a layer with one group, whose kernel is diagonal in the "
                "channels",
                _diagonal,
                "w",
            ),
        ),
        source="Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017",
        counter=Equality(
            "the weights of a depthwise layer are in the first column of the dense kernel",
            _first_column,
            "w",
        ),
        chapter=CHANNELS,
        sentence="A depthwise layer is an ordinary layer whose kernel is a diagonal matrix of "
        "channels at every tap.",
        idea="Entry c of a vector is at index c (C + 1) of the diagonal matrix in row-major order, "
        "so that the diagonal is an upsampling by C + 1.",
    ),
    Theorem(
        "depthwise-separable",
        (
            Equality(
                "a depthwise layer, then a pointwise one, are one layer with the kernel "
                "v[e, c] w[c, t]",
                _separable,
                "w",
            ),
        ),
        source="Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017",
        counter=Equality(
            "the pointwise layer can be applied before the depthwise one", _separable_in_reverse
        ),
        chapter=CHANNELS,
        sentence="A depthwise layer followed by a pointwise layer is one ordinary layer, whose "
        "kernel is the product v[e, c] w[c, t] of the two kernels.",
        idea="The depthwise layer is an ordinary layer with a diagonal kernel, and the pointwise "
        "layer multiplies this kernel by its matrix.",
    ),
    Theorem(
        "pointwise",
        (
            Equality(
                "a pointwise layer multiplies the channels of every pixel that is kept or padded "
                "by the same matrix",
                _pointwise,
            ),
        ),
        counter=Equality(
            "the padding of a pointwise layer repeats the outputs at the border", _padded_pointwise
        ),
        chapter=CHANNELS,
        sentence="A pointwise layer is the Kronecker product of one matrix between the channels "
        "and the sampling of the pixels by its stride and padding.",
        idea="With a single tap, output o reads the channels of pixel s o - p and of no other "
        "pixel.",
    ),
    Theorem(
        "pointwise-spatial",
        (
            Equality(
                "a pointwise layer commutes with a layer that is the same for all channels",
                _same_for_all_channels,
            ),
        ),
        counter=Equality(
            "a pointwise layer commutes with a depthwise layer", _separable_in_reverse
        ),
        chapter=CHANNELS,
        sentence="Mixing the channels and filtering every channel with the same kernel can be "
        "exchanged, even if the filter is strided and padded.",
        idea="The pointwise matrix acts on the index of the channel only, and the layer on that "
        "of the pixel only.",
    ),
    Theorem(
        "commutativity-depthwise",
        (Equality("valid depthwise layers commute", _commuting_depthwise),),
        counter=Equality("pointwise layers with two channels commute", _commuting_channels),
        chapter=CHANNELS,
        sentence="Two valid depthwise layers of stride 1 can be exchanged, but in general not two "
        "layers that mix channels.",
        idea="Each channel is a product of two layers with one channel, which commute; matrices of "
        "channels do not.",
    ),
    Theorem(
        "stride-groups",
        (
            Equality(
                "a strided grouped layer is the layer of stride 1, then downsampling of each "
                "channel",
                lambda: _strided_groups(0),
            ),
        ),
        counter=Equality("downsampling starts with output 1", lambda: _strided_groups(1)),
        chapter=CHANNELS,
        sentence="A strided layer with groups computes every s-th output of the layer of stride 1 "
        "in each channel.",
        idea="The stride concerns the index of the pixel only, and the groups the index of the "
        "channel only.",
    ),
    Theorem(
        "channel-reversal",
        (
            Equality(
                "reversing the order of the input and output channels reverses both channel axes "
                "of the kernel",
                lambda: _mirrored((0, 1)),
            ),
        ),
        counter=Equality(
            "only the output channels of the kernel are reversed", lambda: _mirrored((0,))
        ),
        chapter=CHANNELS,
        sentence="Reversing the order of the input channels and of the output channels of a "
        "grouped layer reverses both channel axes of its kernel, and the groups stay groups.",
        idea="Output channel G C - 1 - b is in group G - 1 - g if b is in group g, and so are its "
        "input channels.",
    ),
    Theorem(
        "output-channel",
        (
            Equality(
                "output channel c is a layer with one output channel, whose kernel is w[c]",
                _one_output,
            ),
        ),
        counter=Equality("output channel 0 has the kernel w[1]", _last_output),
        chapter=CHANNELS,
        sentence="Each output channel of a layer is a layer of its own, with its own part of the "
        "kernel.",
        idea="Output channel c is a sum of products with the weights w[c, b, t] only.",
    ),
    Theorem(
        "channels-as-axis",
        (
            Equality(
                "a layer with one output channel is a two-dimensional layer whose kernel covers "
                "all channels",
                _channels_as_axis,
                "w",
            ),
        ),
        counter=Equality(
            "the kernel is flipped along the channels", _channels_as_flipped_axis, "w"
        ),
        chapter=CHANNELS,
        sentence="A layer with one output channel is a layer without channels on an array with one "
        "more axis, whose kernel is as long as this axis.",
        idea="A valid correlation with D taps on an axis of D channels has one position, at which "
        "it sums over all of them.",
    ),
)
