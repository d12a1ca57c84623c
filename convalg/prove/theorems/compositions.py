"""Theorems about products of layers: merged kernels, exchanged layers, reversals, separability."""

from __future__ import annotations

from convalg.axis import Size
from convalg.kernels import flip, kernel
from convalg.operators.convolution import convolution, correlation
from convalg.operators.dense import identity
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import sum_pool
from convalg.operators.rearrange import reshape
from convalg.operators.sampling import downsample
from convalg.operators.shifts import flip_axes
from convalg.operators.tree import Operator, kron
from convalg.prove.theorems.chapters import COMPOSITION
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K, L, p, q, s, r, d, e, o, c = sizes("n m K L p q s r d e o c")
VAIDYANATHAN = "Vaidyanathan, Multirate Systems and Filter Banks, 1993"


def _merged(first: Operator, second: Operator, one: Operator, kernels: Operator) -> Sides:
    """The second layer after the first, and one layer whose kernel is a function of the first's."""
    x = kernel(*first.in_shape, name="x")
    return second @ first.by_kernel(x), one.by_kernel(x) @ kernels


def _strides(inner: Size, outer: Size, spread: Size) -> Sides:
    first = correlation(n, kernel(K), stride=inner)
    second = correlation(first.out_shape, kernel(L, name="v"), stride=outer)
    merged = convolution(K, kernel(L, name="v"), dilation=spread, padding="full")
    one = correlation(n, kernel(*merged.out_shape, name="u"), stride=inner * outer)
    return _merged(first, second, one, merged)


def _dilations(inner: Size, multiple: Size, spread: Size) -> Sides:
    first = correlation(n, kernel(K), dilation=inner)
    second = correlation(first.out_shape, kernel(L, name="v"), dilation=inner * multiple)
    merged = convolution(K, kernel(L, name="v"), dilation=spread, padding="full")
    one = correlation(n, kernel(*merged.out_shape, name="u"), dilation=inner)
    return _merged(first, second, one, merged)


def _full() -> Sides:
    first = correlation(n, kernel(K), padding="full")
    second = correlation(first.out_shape, kernel(L, name="v"), padding="full")
    one = correlation(n, kernel(K + L - 1, name="u"), padding="full")
    return _merged(first, second, one, convolution(K, kernel(L, name="v"), padding="full"))


def _padded_twice() -> Sides:
    """A layer with padding p and a layer with padding q as one with padding p + q."""
    first = correlation(n, kernel(K), padding=p)
    second = correlation(first.out_shape, kernel(L, name="v"), padding=q)
    one = correlation(n, kernel(K + L - 1, name="u"), padding=p + q)
    return _merged(first, second, one, convolution(K, kernel(L, name="v"), padding="full"))


def _padded_first() -> Sides:
    first = correlation(n, kernel(K), padding=p)
    second = correlation(first.out_shape, kernel(L, name="v"))
    one = correlation(n, kernel(K + L - 1, name="u"), padding=p)
    return _merged(first, second, one, convolution(K, kernel(L, name="v"), padding="full"))


def _circular() -> Sides:
    inner, outer = ((p, K - 1 - p),), ((q, L - 1 - q),)
    first = correlation(n, kernel(K), padding=inner, boundary="circular")
    second = correlation(n, kernel(L, name="v"), padding=outer, boundary="circular")
    both = ((p + q, K + L - 2 - p - q),)
    one = correlation(n, kernel(K + L - 1, name="u"), padding=both, boundary="circular")
    return _merged(first, second, one, convolution(K, kernel(L, name="v"), padding="full"))


def _commuting_dilations() -> Sides:
    v, w = kernel(L, name="v"), kernel(K)
    return (
        correlation(n - d * (K - 1), v, dilation=e) @ correlation(n, w, dilation=d),
        correlation(n - e * (L - 1), w, dilation=d) @ correlation(n, v, dilation=e),
    )


def _commuting_strides() -> Sides:
    v, w = kernel(2, name="v"), kernel(2)
    first, second = correlation(n, w, stride=2), correlation(n, v)
    return (
        correlation(first.out_shape, v) @ first,
        correlation(second.out_shape, w, stride=2) @ second,
    )


def _exchanged(*, is_reversed: bool) -> Sides:
    """The input and the kernel of a full correlation exchanged, as maps of the kernel."""
    x = kernel(n, name="x")
    layer = correlation(n, kernel(K), padding="full").by_kernel(x)
    other = correlation(K, x, padding="full")
    return layer, flip_axes(n + K - 1) @ other if is_reversed else other


def _delta(*, is_flipped: bool = False) -> Sides:
    """A kernel with a single weight at tap c, as a map of this weight."""
    x = kernel(n, name="x")
    layer = convolution if is_flipped else correlation
    wide = layer(n, kernel(K), padding=((p, q),)).by_kernel(x)
    moved = pad(n, ((p - c, q - (K - 1 - c)),))
    return wide @ crop(K, ((c, K - 1 - c),)).T, moved @ correlation(n, kernel(1)).by_kernel(x)


def _between_reversals(padding: tuple[Size, Size]) -> Sides:
    """A layer whose windows end at the last sample, and its options between two reversals."""
    size = s * (o - 1) + d * (K - 1) + 1 - p - q
    layer = correlation(size, kernel(K), stride=s, dilation=d, padding=((p, q),))
    other = correlation(size, flip(kernel(K)), stride=s, dilation=d, padding=(padding,))
    return flip_axes(o) @ layer @ flip_axes(size), other


def _between_reversals_with_remainder() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    other = correlation(n, flip(kernel(K)), stride=2)
    return flip_axes(layer.out_shape) @ layer @ flip_axes(n), other


def _separable() -> Sides:
    """The kernel u v^T with two strides, both as maps of v for one image x."""
    x, u, v = kernel(n, m, name="x"), kernel(K, name="u"), kernel(1, L, name="v")
    column = kron(convolution(1, u, padding="full"), identity(L))
    together = correlation((n, m), kernel(K, L), stride=(s, r)).by_kernel(x) @ column
    rows = correlation((n, m), v, stride=(1, r))
    (_, width) = rows.out_shape
    return together, kron(correlation(n, u, stride=s), identity(width)) @ rows.by_kernel(x)


def _kron_strides() -> Sides:
    u, v = kernel(K, name="u"), kernel(L, name="v")
    both = kron(correlation(n, u, stride=s), correlation(m, v, stride=r))
    dense = kron(correlation(n, u), correlation(m, v))
    return both, downsample(dense.out_shape, (s, r)) @ dense


def _not_separable() -> Sides:
    """The claim that the strides of the two passes can be exchanged."""
    u, v = kernel(K, name="u"), kernel(L, name="v")
    dense = kron(correlation(n, u), correlation(m, v))
    both = kron(correlation(n, u, stride=2), correlation(m, v))
    return both, downsample(dense.out_shape, (1, 2)) @ dense


def _row_kernel() -> Sides:
    """A layer with the kernel (1, K), and the layer of an image with a single row."""
    image = correlation((n, m), kernel(1, K), stride=(1, s), padding=(0, p))
    row = correlation((1, m), kernel(1, K), stride=(1, s), padding=(0, p))
    (_, width) = image.out_shape
    rows = kron(identity(n), row) @ reshape((n, m), (n, 1, m))
    return image, reshape((n, 1, width), (n, width)) @ rows


def _column_kernel() -> Sides:
    """A layer with the kernel (K, 1), and the layer of an image with a single column."""
    image = correlation((n, m), kernel(K, 1), stride=(s, 1), padding=(p, 0))
    column = correlation((n, 1), kernel(K, 1), stride=(s, 1), padding=(p, 0))
    (height, _) = image.out_shape
    columns = kron(column, identity(m)) @ reshape((n, m), (n, 1, m))
    return image, reshape((height, 1, m), (height, m)) @ columns


def _other_axis() -> Sides:
    image = correlation((n, n), kernel(1, 2), padding=((0, 0), (0, 1)))
    columns = correlation((n, n), kernel(2, 1), padding=((0, 1), (0, 0)))
    x = kernel(n, n, name="x")
    return image.by_kernel(x), columns.by_kernel(x) @ reshape((1, 2), (2, 1))


def _parallel() -> Sides:
    """The sum of two layers with the two kernels of an array, and the layer of their sum."""
    x = kernel(n, name="x")
    layer = correlation(n, kernel(K), stride=s, padding=p, dilation=d).by_kernel(x)
    first, second = (reshape((1, K), K) @ crop((2, K), ((row, 1 - row), (0, 0))) for row in (0, 1))
    total = reshape((1, K), K) @ sum_pool((2, K), (2, 1))
    return layer @ first + layer @ second, layer @ total


def _parallel_dilations() -> Sides:
    x = kernel(n, name="x")
    layer = correlation(n, kernel(2), padding=((0, 1),)).by_kernel(x)
    other = correlation(n, kernel(2), padding=((0, 2),), dilation=2).by_kernel(x)
    first, second = (reshape((1, 2), 2) @ crop((2, 2), ((row, 1 - row), (0, 0))) for row in (0, 1))
    total = reshape((1, 2), 2) @ sum_pool((2, 2), (2, 1))
    return layer @ first + other @ second, layer @ total


THEOREMS = (
    Theorem(
        "composition-strides",
        (
            Equality(
                "a layer of stride s, then one of stride r, are one layer of stride r s, whose "
                "kernel is the first one convolved with the second one dilated by s",
                lambda: _strides(s, r, s),
                "w",
            ),
        ),
        source=VAIDYANATHAN,
        counter=Equality(
            "after a layer of stride 2, the second kernel is not dilated",
            lambda: _strides(2, 1, 1),
            "w",
        ),
        chapter=COMPOSITION,
        sentence="Two strided layers in a row are one layer whose stride is the product of the two "
        "strides, and whose kernel is the first kernel convolved with the second one dilated by "
        "the first stride.",
        idea="The second layer reads sample s (r o + b), and the first one adds its tap a to it: "
        "together they read sample r s o + (a + s b).",
    ),
    Theorem(
        "composition-dilations",
        (
            Equality(
                "a layer of dilation d, then one of dilation d e, are one layer of dilation d, "
                "whose kernel is the first one convolved with the second one dilated by e",
                lambda: _dilations(d, e, e),
                "w",
            ),
        ),
        counter=Equality(
            "the second kernel keeps its dilation in the merged kernel",
            lambda: _dilations(2, 1, 2),
            "w",
        ),
        chapter=COMPOSITION,
        sentence="Two dilated layers in a row, the dilation of the second being e times that of "
        "the first, are one layer with the dilation of the first, whose kernel is the first "
        "kernel convolved with the second one dilated by e.",
        idea="Tap a of the first layer below tap b of the second reads sample "
        "o + d a + d e b = o + d (a + e b).",
    ),
    Theorem(
        "composition-full",
        (
            Equality("two full layers are one full layer with K + L - 1 taps", _full, "w"),
            Equality(
                "a padding of the first layer is the padding of the merged layer",
                _padded_first,
                "w",
            ),
        ),
        counter=Equality("the paddings of two layers are added", _padded_twice, "w"),
        chapter=COMPOSITION,
        sentence="Two full layers are one full layer, and padding before the first of two layers "
        "is padding of the merged layer, but padding between the layers cannot be merged in "
        "general.",
        idea="A full layer has no further outputs that are not zero, so that nothing is lost; a "
        "padding between the layers replaces outputs of the first layer by zeros.",
    ),
    Theorem(
        "composition-circular",
        (
            Equality(
                "two circular layers are one circular layer with K + L - 1 taps", _circular, "w"
            ),
        ),
        source="Gray, Toeplitz and Circulant Matrices: A Review",
        counter=Equality("two zero-padded layers are one, too", _padded_twice, "w"),
        chapter=COMPOSITION,
        sentence="Two circular layers in a row are one circular layer, whose kernel is the full "
        "convolution of the two kernels.",
        idea="Indices are taken modulo n, so that the offsets of two taps are added without any "
        "border.",
    ),
    Theorem(
        "commutativity-dilations",
        (Equality("valid layers with any two dilations commute", _commuting_dilations),),
        counter=Equality("a layer of stride 2 and one of stride 1 commute", _commuting_strides),
        chapter=COMPOSITION,
        sentence="Two valid layers of stride 1 can be exchanged, whatever their dilations are.",
        idea="Both orders read sample o + d a + e b with the weight w[a] v[b].",
    ),
    Theorem(
        "exchanged-arguments",
        (
            Equality(
                "exchanging the input and the kernel of a full correlation reverses its output",
                lambda: _exchanged(is_reversed=True),
                "w",
            ),
        ),
        counter=Equality(
            "the output stays the same when the input and the kernel of a correlation are "
            "exchanged",
            lambda: _exchanged(is_reversed=False),
            "w",
        ),
        chapter=COMPOSITION,
        sentence="Correlation is not commutative: when the input and the kernel of a full "
        "correlation are exchanged, the output is reversed.",
        idea="Output o sums x[i] w[t] over i - t = o - (K - 1), and exchanging the roles of i and "
        "t changes the sign of the lag.",
    ),
    Theorem(
        "delta-kernel",
        (
            Equality(
                "a kernel whose only weight is at tap c pads or crops by p - c before and by "
                "q - (K - 1 - c) after, and multiplies by this weight",
                _delta,
            ),
        ),
        counter=Equality(
            "the same is true of a convolution",
            lambda: _delta(is_flipped=True),
        ),
        chapter=COMPOSITION,
        sentence="A correlation whose kernel is zero except at tap c shifts its input by p - c "
        "samples to higher indices and multiplies it by the weight at this tap.",
        idea="Output o is w[c] x[o + c - p].",
    ),
    Theorem(
        "reversal",
        (
            Equality(
                "between two reversals, the kernel is flipped and the two sides of the padding "
                "are exchanged, if the last window ends at the last sample",
                lambda: _between_reversals((q, p)),
            ),
        ),
        counter=Equality(
            "a layer of stride 2 is reversed in this way for every size of the input",
            _between_reversals_with_remainder,
        ),
        chapter=COMPOSITION,
        sentence="Reversing the input and the output of a layer flips its kernel and exchanges the "
        "padding before and after, provided that the stride leaves no samples unread at the end.",
        idea="Replacing o by its mirror image and t by K - 1 - t in i = s o + d t - p gives the "
        "mirror image of i.",
    ),
    Theorem(
        "separable-strides",
        (
            Equality(
                "a layer of strides (s, r) with an outer product as kernel is a row pass of "
                "stride r, then a column pass of stride s",
                _separable,
                "v",
            ),
            Equality(
                "the Kronecker product of two strided layers is that of the layers of stride 1, "
                "then downsampling on both axes",
                _kron_strides,
            ),
        ),
        counter=Equality("the strides of the two axes can be exchanged", _not_separable),
        chapter=COMPOSITION,
        sentence="A strided two-dimensional layer whose kernel is an outer product is a pass over "
        "the rows and then a pass over the columns, each with the stride of its own axis.",
        idea="The index formula has one equation per axis, so that the matrix is a Kronecker "
        "product of one matrix per axis.",
    ),
    Theorem(
        "kernel-of-one-row",
        (
            Equality(
                "a layer whose kernel is a row applies the layer of a single row to each row",
                _row_kernel,
            ),
            Equality(
                "a layer whose kernel is a column applies the layer of a single column to each "
                "column",
                _column_kernel,
            ),
        ),
        counter=Equality("a row kernel and a column kernel with the same weights", _other_axis),
        chapter=COMPOSITION,
        sentence="A two-dimensional layer whose kernel has a single row is the same "
        "one-dimensional layer on every row, and the Kronecker product of an identity and the "
        "matrix of this layer.",
        idea="On an axis with one tap and stride 1, output o reads index o only.",
    ),
    Theorem(
        "parallel-layers",
        (
            Equality(
                "two layers with the same options and the same input are one layer with the sum of "
                "their kernels",
                _parallel,
            ),
        ),
        source="Ding et al., RepVGG",
        counter=Equality(
            "two layers with different dilations are one layer with the sum of their kernels",
            _parallel_dilations,
        ),
        chapter=COMPOSITION,
        sentence="The sum of two layers that have the same input and the same options is one "
        "layer, whose kernel is the sum of the two kernels.",
        idea="The output is linear in the kernel as well as in the input.",
    ),
)
