"""Wrong implementations of all kinds, as first attempts have them; `when` says where it shows."""

from __future__ import annotations

import math

import numpy as np
from museum_backward import input_gradient, kernel_gradient
from right import Exhibit, curator, pair, windows

WRONG: list[Exhibit] = []
forward, backward = curator(WRONG, "forward"), curator(WRONG, "backward")
transposed = curator(WRONG, "transposed")
average_pool, max_pool = curator(WRONG, "average_pool"), curator(WRONG, "max_pool")
average_pool_backward = curator(WRONG, "average_pool_backward")
max_pool_backward = curator(WRONG, "max_pool_backward")


def products(x, w, stride=1, padding=0, dilation=1, mode="constant"):
    """The products (n, o, c, i, j, a, b) that a correlation sums over c, a and b."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode=mode)
    kh, kw = w.shape[2:]
    cut = np.lib.stride_tricks.sliding_window_view(
        padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(2, 3)
    )[:, :, ::sh, ::sw, ::dh, ::dw]
    return cut[:, None] * w[None, :, :, None, None]


def several_terms(c) -> bool:
    return c.channels[0] > c.groups or max(c.taps) > 1


# Forward.


@forward("sum-overwritten", when=several_terms)
def equals_for_plus_equals(x, w, *, stride=1, padding=0):
    found = products(x, w, stride, padding)
    y = np.zeros(found.shape[:2] + found.shape[3:5])
    for c, a, b in np.ndindex(x.shape[1], *w.shape[2:]):
        y[...] = found[:, :, c, :, :, a, b]
    return y


@forward("sum-overwritten", when=several_terms)
def equals_for_plus_equals_inside_the_image(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    (height, width), (kh, kw) = x.shape[2:], w.shape[2:]
    size = (height + 2 * ph - kh) // sh + 1, (width + 2 * pw - kw) // sw + 1
    y = np.zeros((len(x), len(w), *size))
    for i, j, c, a, b in np.ndindex(*size, x.shape[1], kh, kw):
        row, column = i * sh + a - ph, j * sw + b - pw
        if 0 <= row < height and 0 <= column < width:
            y[:, :, i, j] = np.outer(x[:, c, row, column], w[:, c, a, b])
    return y


@forward("constant-added")
def output_allocated_with_ones(x, w, *, stride=1):
    found = products(x, w, stride).sum(axis=(2, 5, 6))
    y = np.ones(found.shape)
    y += found
    return y


@forward("scaled", when=several_terms)
def mean_over_the_window(x, w, *, stride=1, padding=0):
    return products(x, w, stride, padding).mean(axis=(2, 5, 6))


@forward("scaled")
def kernel_halved(x, w, *, stride=1, padding=0):
    return products(x, w / 2, stride, padding).sum(axis=(2, 5, 6))


@forward("wrong-sign")
def subtracted(x, w, *, padding=0):
    found = products(x, w, 1, padding)
    y = np.zeros(found.shape[:2] + found.shape[3:5])
    for c, a, b in np.ndindex(x.shape[1], *w.shape[2:]):
        y -= found[:, :, c, :, :, a, b]
    return y


@forward("channels-last")
def channels_behind_space(x, w, *, stride=1, padding=0):
    return np.moveaxis(products(x, w, stride, padding).sum(axis=(2, 5, 6)), 1, -1)


@forward("clipped")
def activation_included(x, w, *, stride=1, padding=0):
    return np.maximum(products(x, w, stride, padding).sum(axis=(2, 5, 6)), 0)


@forward("not-linear")
def images_of_bytes(x, w, *, stride=1):
    return products(x.astype(np.int64).astype(np.uint8).astype(float), w, stride).sum((2, 5, 6))


@forward("padding-values", when=lambda c: max(c.padding) > 0)
def border_repeated(x, w, *, stride=1, padding=0):
    return products(x, w, stride, padding, mode="edge").sum(axis=(2, 5, 6))


@forward("single-sample-only", when=lambda c: c.batch > 1)
def columns_of_all_samples_refolded(x, w, *, stride=1, padding=0):
    y = products(x, w, stride, padding).sum(axis=(2, 5, 6))
    columns = y.transpose(1, 0, 2, 3).reshape(len(w), -1)
    return columns.reshape(len(w), *y.shape[2:], len(x)).transpose(3, 0, 1, 2)


@forward("dilation-span", also=("raises",), when=lambda c: max(c.dilation) > 1)
def kernel_dilated_by_kron(x, w, *, padding=0, dilation=1):
    hole = np.zeros(pair(dilation))
    hole[0, 0] = 1
    return products(x, np.kron(w, hole[None, None]), 1, padding).sum(axis=(2, 5, 6))


@forward("padding-on-one-axis", also=("raises",), when=lambda c: c.padding[1] > 0)
def rows_padded_only(x, w, *, stride=1, padding=0):
    return products(x, w, stride, (pair(padding)[0], 0)).sum(axis=(2, 5, 6))


@forward("stride-on-one-axis", when=lambda c: c.stride[1] > 1)
def rows_strided_only(x, w, *, stride=1, padding=0):
    return products(x, w, (pair(stride)[0], 1), padding).sum(axis=(2, 5, 6))


@forward("output-too-short")
def one_forgotten_in_the_size(x, w, *, stride=1, padding=0):
    y = products(x, w, stride, padding).sum(axis=(2, 5, 6))
    axes = zip(x.shape[2:], w.shape[2:], *map(pair, (stride, padding)), strict=True)
    height, width = ((n + 2 * p - k) // s for n, k, s, p in axes)
    return y[:, :, :height, :width]


@forward("padding-fixed")
def half_the_kernel_whatever_was_asked(x, w, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    around = ((kh - 1) // 2, kh // 2), ((kw - 1) // 2, kw // 2)
    return products(np.pad(x, ((0, 0), (0, 0), *around)), w, stride).sum(axis=(2, 5, 6))


@forward("columns-misordered", when=lambda c: c.channels[0] > 1 and max(c.taps) > 1)
def columns_with_the_channels_last(x, w, *, stride=1, padding=0):
    cut = windows(x, w.shape[2:], stride, padding, 1)
    columns = cut.transpose(0, 2, 3, 4, 5, 1).reshape(*cut.shape[:1], *cut.shape[2:4], -1)
    return np.einsum("nijk,ok->noij", columns, w.reshape(len(w), -1))


@forward("reshaped-without-transpose", when=lambda c: c.channels[1] > 1)
def rows_of_outputs_reshaped(x, w, *, stride=1, padding=0):
    y = products(x, w, stride, padding).sum(axis=(2, 5, 6))
    return np.ascontiguousarray(np.moveaxis(y, 1, -1)).reshape(y.shape)


@forward("imprecise")
def tenths_dropped_from_the_kernel(x, w, *, padding=0):
    return products(x, w * (1 + 1e-3 * np.sin(np.arange(w.size).reshape(w.shape))), 1, padding).sum(
        axis=(2, 5, 6)
    )


@forward("padding-multiplied", when=lambda c: max(c.padding) > 0 and max(c.dilation) > 1)
def padding_dilated_too(x, w, *, padding=0, dilation=1):
    wide = tuple(p * d for p, d in zip(pair(padding), pair(dilation), strict=True))
    return products(x, w, 1, wide, dilation).sum(axis=(2, 5, 6))


@forward("groups-share-kernel", when=lambda c: c.groups > 1)
def first_kernels_for_every_group(x, w, *, padding=0, groups=1):
    kernels = w[: len(w) // groups]
    parts = np.split(x, groups, axis=1)
    return np.concatenate([products(x, kernels, 1, padding).sum((2, 5, 6)) for x in parts], axis=1)


@forward("image-flipped")
def image_read_from_the_bottom(x, w, *, stride=1, padding=0):
    return products(x[:, :, ::-1], w, stride, padding).sum(axis=(2, 5, 6))


@forward("padding-values", when=lambda c: max(c.padding) > 0)
def border_of_ones(x, w, *, stride=1, padding=0):
    ph, pw = pair(padding)
    wide = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=1)
    return products(wide, w, stride).sum(axis=(2, 5, 6))


# Backward.


def several_places(c) -> bool:
    return c.batch > 1 or any(
        n + 2 * p > d * (k - 1) + 1
        for n, p, d, k in zip(c.size, c.padding, c.dilation, c.taps, strict=True)
    )


@backward("sum-overwritten", when=several_places)
def kernel_gradient_assigned_in_the_loop(x, w, g, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dkernel = np.zeros(w.shape)
    for n, o, i, j in np.ndindex(*g.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        dkernel[o] = g[n, o, i, j] * window
    return input_gradient(x, w, g, stride, padding), dkernel


@backward("sum-overwritten", when=lambda c: several_places(c) and max(c.size) > 1)
def kernel_gradient_assigned_for_all_samples(x, w, g, *, padding=0):
    (ph, pw), (kh, kw) = pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dkernel = np.zeros(w.shape)
    for i, j in np.ndindex(*g.shape[2:]):
        window = padded[:, :, i : i + kh, j : j + kw]
        dkernel = np.einsum("no,ncab->ocab", g[:, :, i, j], window)
    return input_gradient(x, w, g, padding=padding), dkernel


@backward("empty-without-padding", when=lambda c: min(c.padding) == 0)
def sliced_by_minus_nothing(x, w, g, *, stride=1, padding=0):
    ph, pw = pair(padding)
    wide = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dx = input_gradient(wide, w, g, stride)[:, :, ph:-ph, pw:-pw]
    return dx, kernel_gradient(x, g, w.shape[2:], stride, padding)


@backward("wrong-sign")
def step_of_descent(x, w, g, *, stride=1, padding=0):
    dkernel = kernel_gradient(x, g, w.shape[2:], stride, padding)
    return -input_gradient(x, w, g, stride, padding), -dkernel


@backward("all-zero")
def kernel_gradient_left_empty(x, w, g, *, stride=1, padding=0):
    return input_gradient(x, w, g, stride, padding), np.zeros(w.shape)


@backward("scaled", also=("batch-averaged",), when=several_places)
def kernel_gradient_averaged_over_all(x, w, g, *, stride=1, padding=0):
    dkernel = kernel_gradient(x, g, w.shape[2:], stride, padding)
    places = len(x) * math.prod(g.shape[2:])
    return input_gradient(x, w, g, stride, padding), dkernel / places


@backward("channels-swapped", when=lambda c: max(c.channels) > 1)
def kernel_gradient_by_input_channel(x, w, g, *, stride=1, padding=0):
    dkernel = kernel_gradient(x, g, w.shape[2:], stride, padding)
    return input_gradient(x, w, g, stride, padding), dkernel.swapaxes(0, 1)


@backward("single-channel-only", when=lambda c: c.channels[1] > 1)
def input_gradient_of_the_first_kernel(x, w, g, *, stride=1, padding=0):
    dx = input_gradient(x, w[:1], g[:, :1], stride, padding)
    return dx, kernel_gradient(x, g, w.shape[2:], stride, padding)


@backward("padding-not-cropped", when=lambda c: max(c.padding) > 0)
def border_left_at_the_end(x, w, g, *, stride=1, padding=0):
    ph, pw = pair(padding)
    wide = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dx = input_gradient(wide, w, g, stride)[:, :, ph:, pw:]
    return dx, kernel_gradient(x, g, w.shape[2:], stride, padding)


@backward("gradient-flipped")
def gradient_turned_with_the_kernel(x, w, g, *, padding=0):
    dx = input_gradient(x, w, g[:, :, ::-1, ::-1], padding=padding)
    return dx, kernel_gradient(x, g, w.shape[2:], padding=padding)


@backward("depends-on-input")
def activation_differentiated_too(x, w, g, *, stride=1, padding=0):
    dx = input_gradient(x, w, g, stride, padding) * (x > 0)
    return dx, kernel_gradient(x, g, w.shape[2:], stride, padding)


@backward("depends-on-input")
def weight_decay_included(x, w, g, *, stride=1):
    dkernel = kernel_gradient(x, g, w.shape[2:], stride) + 0.5 * w
    return input_gradient(x, w, g, stride), dkernel


@backward("single-channel-only", when=lambda c: c.channels[1] > 1)
def kernel_gradient_of_the_first_kernel(x, w, g, *, stride=1, padding=0):
    dkernel = kernel_gradient(x, g, w.shape[2:], stride, padding)
    dkernel[1:] = 0
    return input_gradient(x, w, g, stride, padding), dkernel


# Transposed.


def stamped(x, w, stride=1, padding=0, dilation=1, output_padding=0, span=None):
    """Every sample stamps its kernel into an output of some size."""
    (sh, sw), (dh, dw), (ph, pw) = pair(stride), pair(dilation), pair(padding)
    (kh, kw), (eh, ew) = w.shape[2:], pair(output_padding)
    rows, columns = span or (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    height, width = sh * (x.shape[2] - 1) + rows + eh, sw * (x.shape[3] - 1) + columns + ew
    y = np.zeros((len(x), w.shape[1], max(height, 0), max(width, 0)))
    for i, j, a, b in np.ndindex(*x.shape[2:], kh, kw):
        row, column = i * sh + a * dh, j * sw + b * dw
        if row < height and column < width:
            y[:, :, row, column] += x[:, :, i, j] @ w[:, :, a, b]
    return y[:, :, ph : height - ph, pw : width - pw]


@transposed("dilation-span", also=("wrong-shape",), when=lambda c: max(c.dilation) > 1)
def size_without_the_dilation(x, w, *, stride=1, padding=0, dilation=1):
    return stamped(x, w, stride, padding, dilation, span=w.shape[2:])


@transposed("padding-one-sided", when=lambda c: max(c.padding) > 0)
def cropped_behind_only(x, w, *, stride=1, padding=0):
    y = stamped(x, w, stride)
    ph, pw = pair(padding)
    return y[:, :, : y.shape[2] - 2 * ph, : y.shape[3] - 2 * pw]


@transposed("samples-repeated", when=lambda c: max(c.stride) > 1)
def enlarged_by_repetition(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    size = [s * (n - 1) + k for s, n, k in zip((sh, sw), x.shape[2:], w.shape[2:], strict=True)]
    y = stamped(x.repeat(sh, 2).repeat(sw, 3), w)[:, :, : size[0], : size[1]]
    return y[:, :, ph : size[0] - ph, pw : size[1] - pw]


@transposed("output-padding-zeros", when=lambda c: max(c.output_padding) > 0)
def output_padding_on_both_sides(x, w, *, stride=1, padding=0, output_padding=0):
    (eh, ew) = pair(output_padding)
    return np.pad(stamped(x, w, stride, padding), ((0, 0), (0, 0), (eh, eh), (ew, ew)))


@transposed("output-padding-on-one-axis", when=lambda c: c.output_padding[1] > 0)
def rows_lengthened_only(x, w, *, stride=1, padding=0, output_padding=0):
    return stamped(x, w, stride, padding, 1, (pair(output_padding)[0], 0))


# Poolings.


@average_pool("scaled", when=lambda c: c.size != c.taps)
def divided_by_the_size_of_the_image(x, *, size, stride):
    return windows(x, size, stride, 0, 1).sum(axis=(-2, -1)) / math.prod(x.shape[2:])


@average_pool("count-include-pad-inverted", when=lambda c: max(c.padding) > 0)
def flag_read_the_wrong_way(x, *, size, stride, padding=0, count_include_pad=True):
    total = windows(x, size, stride, padding, 1).sum(axis=(-2, -1))
    inside = windows(np.ones(x.shape), size, stride, padding, 1).sum(axis=(-2, -1))
    return total / (inside if count_include_pad else math.prod(pair(size)))


@max_pool("not-a-maximum")
def largest_in_magnitude(x, *, size, stride):
    return np.abs(windows(x, size, stride, 0, 1)).max(axis=(-2, -1))


@max_pool("index-returned")
def index_of_the_largest(x, *, size, stride):
    cut = windows(x, size, stride, 0, 1)
    return cut.reshape(*cut.shape[:4], -1).argmax(axis=-1)


@max_pool("max-padding-value", when=lambda c: max(c.padding) > 0)
def padding_of_minus_one(x, *, size, stride, padding=0):
    return windows(x, size, stride, padding, 1, -1.0).max(axis=(-2, -1))


@max_pool_backward("ties-split")
def gradient_shared_among_equals(x, g, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(*g.shape[2:]):
        at = np.s_[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        mask = x[at] == x[at].max(axis=(2, 3), keepdims=True)
        dx[at] += mask / mask.sum(axis=(2, 3), keepdims=True) * g[:, :, i : i + 1, j : j + 1]
    return dx


@max_pool_backward(
    "square-only", also=("raises",), when=lambda c: c.taps[0] != c.taps[1] and min(c.taps) > 0
)
def winner_divided_by_the_height(x, g, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*g.shape):
        window = x[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        a, b = divmod(int(window.argmax()), kh)
        dx[n, c, i * sh + a, j * sw + b] += g[n, c, i, j]
    return dx


@average_pool_backward("scaled", when=lambda c: c.taps[1] > 1)
def divided_by_the_height_alone(x, g, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(*g.shape[2:]):
        dx[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += g[:, :, i : i + 1, j : j + 1] / kh
    return dx
