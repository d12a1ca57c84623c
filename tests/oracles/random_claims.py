"""Random claims about families, true and false, from every constructor and option.

Each rule makes two sides that are equal; a mutant changes one side, and whether it is still equal
is left to brute force (`brute`), which uses nothing of the decision procedure.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import sympy

import convalg as ca
from convalg.axis import BOUNDARIES
from convalg.errors import ArgumentError, KindError, ShapeError

n, m, K, L, p, q, s, d, C, D = ca.sizes("n m K L p q s d C D")
o, a = ca.sizes("o a")
Sides = tuple[ca.Operator, ca.Operator]


class Draw:
    """What a rule draws from, with one kernel symbol for each kernel."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = iter("wuvxyzrtgh")

    def of(self, *values: Any) -> Any:
        """One of some values."""
        return self.random.choice(values)

    def size(self, symbol: Any = n) -> Any:
        """A size around a symbol, or a number."""
        return self.of(symbol, symbol, symbol + 1, 2 * symbol, symbol // 2 + 1, 5)

    def taps(self) -> Any:
        """A kernel size."""
        return self.of(K, K, 2, 3, 1, K + 1)

    def kernel(self, taps: Any = None) -> Any:
        """A symbolic kernel of one axis, with a name of its own, or numbers."""
        if taps is None:
            taps = self.taps()
        if isinstance(taps, int) and self.random.random() < 0.4:
            return [self.random.randint(-2, 3) for _ in range(taps)]
        return ca.kernel(taps, name=next(self.names))

    def factor(self) -> Any:
        """A coefficient: a number, a root, or a rational function of a size or another symbol."""
        a = sympy.Symbol("a")
        return self.of(2, sympy.Rational(1, 3), sympy.sqrt(2), K, 1 / K, a, 1 / (a + 1), K - 1)

    def boundary(self) -> Any:
        """A boundary."""
        return self.of(*BOUNDARIES)

    def stride(self) -> Any:
        """A stride."""
        return self.of(1, 2, 3)

    def dilation(self) -> Any:
        """A dilation."""
        return self.of(1, 2)

    def layer(self, size: Any = None, kernel: Any = None, **fixed: Any) -> ca.Operator:
        """A correlation or convolution with any options."""
        make = self.of(ca.correlation, ca.correlation, ca.convolution)
        options: dict[str, Any] = {
            "stride": self.of(1, self.stride()),
            "dilation": self.of(1, self.dilation()),
            "padding": self.of(0, 1, p, ((p, 0),), ((1, 2),), "full", "same"),
            "boundary": self.of("zeros", "zeros", self.boundary()),
        }
        options.update(fixed)
        size = self.size() if size is None else size
        return make(size, self.kernel() if kernel is None else kernel, **options)

    def any(self, size: Any = n) -> ca.Operator:
        """Any operator over one axis."""
        match self.random.randint(0, 9):
            case 0 | 1 | 2:
                return self.layer(size)
            case 3:
                return ca.pad(size, ((self.of(0, 1, p), self.of(0, q, 2)),), boundary="zeros")
            case 4:
                return ca.crop(size, ((self.of(0, 1, p), self.of(0, 1)),))
            case 5:
                return ca.shift(size, self.of(1, -1, p), boundary=self.boundary())
            case 6:
                return ca.downsample(size, self.stride(), offset=self.of(0, 1, p))
            case 7:
                return ca.upsample(size, self.stride())
            case 8:
                pool = self.of(ca.sum_pool, ca.average_pool)
                return pool(size, self.of(2, 3, K), stride=self.of(1, self.stride(), None))
        return ca.flip_axes(size)


class StepDraw(Draw):
    """Draws symbols as strides and dilations."""

    def stride(self) -> Any:
        """A stride that is often a symbol."""
        return self.of(s, s, s, 2, s + 1, 2 * s)

    def dilation(self) -> Any:
        """A dilation that is often a symbol."""
        return self.of(1, d, d, 2, d + 1)


def double_adjoint(draw: Draw) -> Sides:
    """A = A^T^T."""
    operator = draw.any()
    return operator, operator.T.T


def flipped_kernel(draw: Draw) -> Sides:
    """w * x = flip(w) correlated with x."""
    kernel, options = draw.kernel(), {"stride": draw.stride(), "padding": draw.of(0, p, "full")}
    options["dilation"] = draw.dilation()
    flipped = ca.flip(kernel)
    boundary = draw.boundary()
    return (
        ca.convolution(n, kernel, boundary=boundary, **options),
        ca.correlation(n, flipped, boundary=boundary, **options),
    )


def distributive(draw: Draw) -> Sides:
    """(A + c A') B = A B + c A' B."""
    right = draw.any()
    size = right.out_shape[0]
    left, factor = draw.any(size), draw.factor()
    return (left + factor * left) @ right, left @ right + factor * (left @ right)


def product_adjoint(draw: Draw) -> Sides:
    """(A B)^T = B^T A^T."""
    right = draw.any()
    left = draw.any(right.out_shape[0])
    return (left @ right).T, right.T @ left.T


def padding_first(draw: Draw) -> Sides:
    """A padded layer is the padding and then a valid layer."""
    kernel, boundary = draw.kernel(), draw.boundary()
    before, after, stride = draw.of(0, 1, p), draw.of(0, p, 2), draw.stride()
    pairs = ((before, after),)
    left = ca.correlation(n, kernel, padding=pairs, boundary=boundary, stride=stride)
    right = ca.correlation(n + before + after, kernel, stride=stride)
    return left, right @ ca.pad(n, pairs, boundary=boundary)


def dropping(draw: Draw) -> Sides:
    """A strided layer is the dense one, then dropping."""
    kernel, stride, padding = draw.kernel(), draw.stride(), draw.of(0, p)
    dilation = draw.dilation()
    dense = ca.correlation(n, kernel, padding=padding, dilation=dilation)
    strided = ca.correlation(n, kernel, padding=padding, stride=stride, dilation=dilation)
    return strided, ca.downsample(dense.out_shape[0], stride) @ dense


def adjoint_is_correlation(draw: Draw) -> Sides:
    """A^T = the correlation with the flipped kernel, padded by d (k - 1) - p."""
    taps = draw.taps()
    kernel, dilation = draw.kernel(taps), draw.dilation()
    padding = draw.of(0, "full")
    layer = ca.correlation(n, kernel, padding=padding, dilation=dilation)
    other = "full" if padding == 0 else 0
    flipped = ca.flip(kernel)
    return layer.T, ca.correlation(layer.out_shape[0], flipped, padding=other, dilation=dilation)


def transposed_layer(draw: Draw) -> Sides:
    """The adjoint of a strided layer is the transposed one, with its remainder."""
    kernel, taps, stride, padding = ca.kernel(K), K, draw.stride(), draw.of(0, p)
    layer = ca.correlation(n, kernel, stride=stride, padding=padding)
    room = n + 2 * padding - taps
    rest = room - stride * (room // stride)
    return layer.T, ca.transposed_correlation(
        layer.out_shape[0], kernel, stride=stride, padding=padding, output_padding=rest
    )


def coefficients(draw: Draw) -> Sides:
    """c A + c' A = (c + c') A."""
    operator, first, second = draw.any(), draw.factor(), draw.factor()
    return first * operator + second * operator, (first + second) * operator


def average_is_sum(draw: Draw) -> Sides:
    """An average pooling is the sum pooling over its window size."""
    size, stride = draw.of(K, 2, 3), draw.stride()
    share = sympy.Rational(1, size) if isinstance(size, int) else 1 / size
    options = {"stride": stride, "padding": draw.of(0, 1)}
    return ca.average_pool(n, size, **options), share * ca.sum_pool(n, size, **options)


def sum_is_correlation(draw: Draw) -> Sides:
    """A sum pooling is a correlation with ones."""
    size, stride = draw.of(2, 3), draw.stride()
    options = {"stride": stride, "padding": draw.of(0, 1), "dilation": draw.dilation()}
    return ca.sum_pool(n, size, **options), ca.correlation(n, [1] * size, **options)


def pools_commute(draw: Draw) -> Sides:
    """Two poolings of stride 1 commute."""
    first, second = draw.of((K, L), (2, K), (3, 2))
    return (
        ca.sum_pool(n - first + 1, second, stride=1) @ ca.average_pool(n, first, stride=1),
        ca.average_pool(n - second + 1, first, stride=1) @ ca.sum_pool(n, second, stride=1),
    )


def shifts(draw: Draw) -> Sides:
    """Two shifts are one, for a circular border; for zeros on one side."""
    if draw.of(True, False):
        first, second = draw.of(1, p), draw.of(2, q)
        return ca.shift(n, first) @ ca.shift(n, second), ca.shift(n, first + second)
    amount = draw.of(1, p)
    back = ca.shift(n, -amount, boundary="circular")
    return back @ ca.shift(n, amount, boundary="circular"), ca.identity(n)


def crop_of_pad(draw: Draw) -> Sides:
    """Cropping what was padded, under any border."""
    before, after = draw.of(1, p, p + 1), draw.of(0, 2, q)
    padded = ca.pad(n, ((before, after),), boundary=draw.boundary())
    return ca.crop(n + before + after, ((before, after),)) @ padded, ca.identity(n)


def two_axes(draw: Draw) -> Sides:
    """A layer over two axes, flipped on both, and its adjoint."""
    kernel = draw.of(ca.kernel(K, L), ca.kernel(2, 2), ca.kernel(3, L))
    stride, padding = draw.of(draw.stride(), (1, draw.stride())), draw.of(0, p, (1, 0))
    layer = ca.convolution((n, m), kernel, stride=stride, padding=padding)
    return layer, ca.correlation((n, m), ca.flip(kernel, dims=2), stride=stride, padding=padding)


def kronecker(draw: Draw) -> Sides:
    """A Kronecker product is two passes, in either order."""
    left, right = draw.any(n), draw.any(m)
    after = left.kron(ca.identity(right.out_shape)) @ ca.identity(left.in_shape).kron(right)
    return left.kron(right), after


def channels(draw: Draw) -> Sides:
    """The adjoint with channels: flipped, and the channels exchanged."""
    kernel = draw.of(ca.kernel(C, D, K), ca.kernel(2, D, K), ca.kernel(2, 3, 2))
    layer = ca.correlation(n, kernel)
    swapped = ca.flip(kernel.swapaxes(0, 1), dims=1)
    return layer.T, ca.correlation(layer.out_shape[1:], swapped, padding="full")


def groups(draw: Draw) -> Sides:
    """A grouped layer and its double adjoint, with a factor."""
    kernel, count = draw.of(
        (ca.kernel(2 * D, C, K), 2), (ca.kernel(D, C, K), 2), (ca.kernel(C, 1, K), C)
    )
    layer = ca.correlation(n, kernel, groups=count)
    return 2 * layer, layer + layer.T.T


def up_and_down(draw: Draw) -> Sides:
    """Downsampling what was upsampled is the identity; upsampling is its adjoint."""
    factor = draw.of(2, draw.stride())
    up = ca.upsample(n, factor)
    return ca.downsample(up.out_shape[0], factor) @ up, ca.identity(n)


def two_strides(draw: Draw) -> Sides:
    """Downsampling twice is downsampling by the product."""
    first, second = draw.stride(), draw.of(a, 2, draw.stride())
    once = ca.downsample(n, first)
    return ca.downsample(once.out_shape[0], second) @ once, ca.downsample(n, first * second)


def noble(draw: Draw) -> Sides:
    """A layer after downsampling is the dilated layer before it."""
    kernel, factor = draw.kernel(), draw.stride()
    down = ca.downsample(n, factor)
    dilated = ca.correlation(n, kernel, dilation=factor)
    small = ca.correlation(down.out_shape[0], kernel)
    return ca.downsample(dilated.out_shape[0], factor) @ dilated, small @ down


def noble_upsampling(draw: Draw) -> Sides:
    """Upsampling after a layer is the dilated layer after upsampling."""
    kernel, factor = draw.kernel(), draw.stride()
    layer = ca.correlation(n, kernel)
    wide = ca.upsample(n, factor)
    dilated = ca.correlation(wide.out_shape[0], kernel, dilation=factor)
    return ca.upsample(layer.out_shape[0], factor) @ layer, dilated @ wide


def two_layers(draw: Draw) -> Sides:
    """The strides of two layers as one downsampling: the second kernel is dilated by the first."""
    first, second = draw.stride(), draw.of(1, a, 2)
    v, w = ca.kernel(draw.of(L, 2), name="v"), ca.kernel(draw.of(K, 1, 3))
    below = ca.correlation(n, w, stride=first)
    dense = ca.correlation(n, w)
    wide = ca.correlation(dense.out_shape[0], v, dilation=first)
    return (
        ca.correlation(below.out_shape[0], v, stride=second) @ below,
        ca.downsample(wide.out_shape[0], first * second) @ wide @ dense,
    )


def by_kernel(draw: Draw) -> Sides:
    """dL/dw of a strided layer is the correlation with a dilated gradient."""
    stride, padding, outputs = draw.stride(), draw.of(0, p), draw.of(o, o, 3)
    size = stride * (outputs - 1) + K - 2 * padding
    x = ca.kernel(size, name="x")
    layer = ca.correlation(size, ca.kernel(K), stride=stride, padding=padding)
    gradient = ca.correlation(size, ca.kernel(outputs, name="g"), padding=padding, dilation=stride)
    return layer.by_kernel(x).T, gradient.by_kernel(x)


def dilated_kernel(draw: Draw) -> Sides:
    """A dilated kernel is the kernel with zeros inserted."""
    dilation, padding, x = draw.dilation(), draw.of(0, 1, p), ca.kernel(n, name="x")
    dilated = ca.correlation(n, ca.kernel(K), dilation=dilation, padding=padding)
    span = dilation * (K - 1) + 1
    wide = ca.correlation(n, ca.kernel(span, name="u"), padding=padding)
    return dilated.by_kernel(x), wide.by_kernel(x) @ ca.upsample(K, dilation, size=span)


def moved(draw: Draw) -> Sides:
    """A strided layer is equivariant to a shift by its stride, away from the border."""
    stride = draw.stride()
    layer = ca.correlation(n, draw.kernel(), stride=stride)
    inner = ca.crop(layer.out_shape[0], ((1, 0),))
    return inner @ layer @ ca.shift(n, stride), inner @ ca.shift(layer.out_shape[0], 1) @ layer


def strided_channels(draw: Draw) -> Sides:
    """Channels, groups of channels and a stride: the dense layer, then dropping."""
    kernel, count = draw.of(
        (ca.kernel(C, D, K), 1),
        (ca.kernel(2 * C, D, K), 2),
        (ca.kernel(C, 1, K), C),
        (ca.kernel(q * C, D, 2), q),
    )
    dense = ca.correlation(n, kernel, groups=count)
    stride = draw.stride()
    strided = ca.correlation(n, kernel, groups=count, stride=stride)
    down = ca.downsample(dense.out_shape[1:], stride, channels=dense.out_shape[0])
    return strided, down @ dense


RULES: tuple[Callable[[Draw], Sides], ...] = (
    double_adjoint,
    flipped_kernel,
    distributive,
    product_adjoint,
    padding_first,
    dropping,
    adjoint_is_correlation,
    transposed_layer,
    coefficients,
    average_is_sum,
    sum_is_correlation,
    pools_commute,
    shifts,
    crop_of_pad,
    two_axes,
    kronecker,
    channels,
    groups,
    up_and_down,
    two_strides,
    noble,
    noble_upsampling,
    two_layers,
    by_kernel,
    dilated_kernel,
    moved,
    strided_channels,
)


def mutant(side: ca.Operator, draw: Draw) -> ca.Operator:
    """The operator with something changed at one end; often, not always, another operator."""
    outputs, lead = side.out_shape, len(side.out_shape)
    match draw.random.randint(0, 5):
        case 0:
            return draw.of(2, K, sympy.Rational(1, 2), sympy.sqrt(2)) * side
        case 1:
            return ca.flip_axes(outputs) @ side
        case 2:
            return ca.shift(outputs, (1,) * lead) @ side
        case 3:
            return side @ ca.shift(side.in_shape, (1,) * len(side.in_shape), boundary="circular")
        case 4:
            return side + side
    return (
        ca.crop((outputs[0] + 1, *outputs[1:]), ((0, 1), *((0, 0),) * (lead - 1)))
        @ ca.pad(outputs, ((1, 0), *((0, 0),) * (lead - 1)))
        @ side
    )


def claim(seed: int, kind: type[Draw] = Draw) -> tuple[str, Sides] | None:
    """A claim and the name of its rule; None where the drawn options make no operator."""
    draw = kind(seed)
    rule = draw.of(*RULES)
    try:
        first, second = rule(draw)
        if draw.random.random() < 0.5:
            second = mutant(second, draw)
    except (ArgumentError, KindError, ShapeError):
        return None
    same_axes = len(first.in_shape) == len(second.in_shape)
    return (rule.__name__, (first, second)) if same_axes else None
