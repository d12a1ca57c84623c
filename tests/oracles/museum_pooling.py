"""Wrong poolings and their gradients, after public reports and homework."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from right import Exhibit, curator, pair, pooled

WRONG: list[Exhibit] = []
wrong_average, wrong_max = curator(WRONG, "average_pool"), curator(WRONG, "max_pool")
wrong_average_backward = curator(WRONG, "average_pool_backward")
wrong_max_backward = curator(WRONG, "max_pool_backward")


def overhangs(c) -> bool:
    """Does a window that ceil_mode adds reach beyond the padded input?"""
    axes = zip(c.size, c.taps, c.stride, c.padding, c.dilation, strict=True)
    return any(pooled(*axis, True) != pooled(*axis, False) for axis in axes) and c.ceil_mode


def overlaps(c) -> bool:
    return any(s < d * (k - 1) + 1 for s, k, d in zip(c.stride, c.taps, c.dilation, strict=True))


@wrong_average(
    "divisor-counts-padding",
    when=lambda c: max(c.padding) > 0 and not c.count_include_pad,
    report="apache/tvm #1144: when calculating average pool, padding will be counted",
)
def mean_of_the_padded_window(x, *, size, stride, padding=0, count_include_pad=True):
    del count_include_pad
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    return sliding_window_view(padded, pair(size), axis=(2, 3))[:, :, ::sh, ::sw].mean(axis=(4, 5))


@wrong_average(
    "divisor-excludes-padding",
    when=lambda c: max(c.padding) > 0 and c.count_include_pad,
    report="google/flax #2451, Adding count_include_pad argument to avg_pool",
)
def mean_of_the_samples_only(x, *, size, stride, padding=0, count_include_pad=True):
    del count_include_pad
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    height = (x.shape[2] + 2 * ph - kh) // sh + 1
    width = (x.shape[3] + 2 * pw - kw) // sw + 1
    y = np.zeros((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * sh - ph, j * sw - pw
            window = x[:, :, max(top, 0) : top + kh, max(left, 0) : left + kw]
            y[:, :, i, j] = window.mean(axis=(2, 3))
    return y


@wrong_average(
    "divisor-counts-overhang",
    when=overhangs,
    report="sonos/tract #2851: AveragePool with ceil_mode counted the overhang in the divisor",
)
def divided_by_the_whole_window(x, *, size, stride, padding=0, ceil_mode=False):
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    height = pooled(x.shape[2], kh, sh, ph, 1, ceil_mode)
    width = pooled(x.shape[3], kw, sw, pw, 1, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph + kh + sh), (pw, pw + kw + sw)))
    y = np.empty((*x.shape[:2], height, width))
    for i, j in np.ndindex(height, width):
        window = padded[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        y[:, :, i, j] = window.sum(axis=(2, 3)) / (kh * kw)
    return y


@wrong_average(
    "stride-ignored",
    when=lambda c: c.stride != c.taps,
    report="deeplearning4j/libnd4j #793, LegacyPooling2d op does not use stride args",
)
def blocks_by_reshape(x, *, size, stride):
    del stride
    kh, kw = pair(size)
    height, width = x.shape[2] // kh, x.shape[3] // kw
    blocks = x[:, :, : height * kh, : width * kw].reshape(*x.shape[:2], height, kh, width, kw)
    return blocks.mean(axis=(3, 5))


@wrong_average(
    "strides-swapped",
    when=lambda c: c.stride[0] != c.stride[1],
    report="Samsung/ONE #2727, Stride height and width values are swapped at base_loader",
)
def stride_width_read_first(x, *, size, stride):
    sw, sh = pair(stride)
    return sliding_window_view(x, pair(size), axis=(2, 3))[:, :, ::sh, ::sw].mean(axis=(4, 5))


@wrong_average("ceil-mode-ignored", when=overhangs)
def floor_whatever_was_asked(x, *, size, stride, padding=0, ceil_mode=False):
    del ceil_mode
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))).astype(float)
    total = np.zeros((*x.shape[:2], padded.shape[2] - kh + 1, padded.shape[3] - kw + 1))
    for a, b in np.ndindex(kh, kw):
        total += padded[:, :, a : a + total.shape[2], b : b + total.shape[3]]
    return total[:, :, ::sh, ::sw] / (kh * kw)


@wrong_average("raises", when=lambda c: any(n % k for n, k in zip(c.size, c.taps, strict=True)))
def input_must_divide(x, *, size):
    kh, kw = pair(size)
    n, c, height, width = x.shape
    return x.reshape(n, c, height // kh, kh, width // kw, kw).mean(axis=(3, 5))


@wrong_average("not-linear")
def mean_rounded_down(x, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    cut = sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return cut.sum(axis=(4, 5)) // (kh * kw)


@wrong_max(
    "max-padding-zero",
    when=lambda c: max(c.padding) > 0,
    report="tenstorrent/tt-metal #28804, Set -inf for pad value for maxpool2d",
)
def zeros_compete(x, *, size, stride, padding=0, dilation=1):
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(pair, (size, stride, padding, dilation))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    cut = sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    return cut.max(axis=(4, 5))


@wrong_max(
    "min-value-start",
    report="uxlfoundation/oneDNN #1677: compares inputs with FLT_MIN, near 0",
)
def running_maximum_from_zero(x, *, size, stride, padding=0):
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    height = (x.shape[2] + 2 * ph - kh) // sh + 1
    width = (x.shape[3] + 2 * pw - kw) // sw + 1
    y = np.zeros((*x.shape[:2], height, width))
    for n, c, i, j in np.ndindex(*y.shape):
        best = 0.0
        for row in range(max(i * sh - ph, 0), min(i * sh - ph + kh, x.shape[2])):
            for column in range(max(j * sw - pw, 0), min(j * sw - pw + kw, x.shape[3])):
                if x[n, c, row, column] > best:
                    best = x[n, c, row, column]
        y[n, c, i, j] = best
    return y


@wrong_max(
    "ceil-mode-ignored",
    when=overhangs,
    report="root-project/root #21776, Fix Pool ceil_mode ignored in ShapeInference and Generate",
)
def last_partial_window_dropped(x, *, size, stride, ceil_mode=False):
    del ceil_mode
    sh, sw = pair(stride)
    return sliding_window_view(x, pair(size), axis=(2, 3))[:, :, ::sh, ::sw].max(axis=(4, 5))


def rounded_up(n, k, s, p):
    return -(-(n + 2 * p - k) // s) + 1


@wrong_max(
    "ceil-mode-extra-window",
    when=lambda c: c.ceil_mode,
    report="pytorch/pytorch #45357, Bug in max_pool2d with ceil_mode under certain conditions",
)
def window_in_the_right_padding_kept(x, *, size, stride, padding=0, ceil_mode=False):
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    around = ((0, 0), (0, 0), (ph, ph + sh * ceil_mode), (pw, pw + sw * ceil_mode))
    padded = np.pad(x.astype(float), around, constant_values=-np.inf)
    cut = sliding_window_view(padded, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    y = cut.max(axis=(4, 5))
    if not ceil_mode:
        return y
    height, width = rounded_up(x.shape[2], kh, sh, ph), rounded_up(x.shape[3], kw, sw, pw)
    return y[:, :, :height, :width]


@wrong_max(
    "dilation-ignored",
    when=lambda c: max(c.dilation) > 1,
    report="sonos/tract #2847: MaxPool and AveragePool ignored the dilations attribute",
)
def window_without_gaps(x, *, size, stride, padding=0, dilation=1):
    del dilation
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    around = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    padded = np.pad(x.astype(float), around, constant_values=-np.inf)
    return sliding_window_view(padded, pair(size), axis=(2, 3))[:, :, ::sh, ::sw].max(axis=(4, 5))


@wrong_max(
    "dilation-ignored",
    when=lambda c: max(c.dilation) > 1,
    report="CanReader/FastNN #4: the dilated output size over non dilated pixels",
)
def gaps_in_the_size_alone(x, *, size, stride, dilation=1):
    (kh, kw), (sh, sw), (dh, dw) = pair(size), pair(stride), pair(dilation)
    height = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    width = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    cut = sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return cut[:, :, :height, :width].max(axis=(4, 5))


@wrong_max("padding-ignored", when=lambda c: max(c.padding) > 0)
def no_border_at_all(x, *, size, stride, padding=0):
    del padding
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    rows = range(0, x.shape[2] - kh + 1, sh)
    columns = range(0, x.shape[3] - kw + 1, sw)
    tiles = [[x[:, :, i : i + kh, j : j + kw].max(axis=(2, 3)) for j in columns] for i in rows]
    return np.array(tiles).transpose(2, 3, 0, 1)


@wrong_max("stride-ignored", when=lambda c: c.stride != c.taps)
def stride_equal_to_the_window(x, *, size, stride, padding=0):
    stride = kh, kw = pair(size)
    ph, pw = pair(padding)
    around = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    padded = np.pad(x.astype(float), around, constant_values=-np.inf)
    cut = sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return cut[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


@wrong_max("single-channel-only", when=lambda c: c.channels[0] > 1)
def greatest_over_the_channels_too(x, *, size, stride):
    sh, sw = pair(stride)
    cut = sliding_window_view(x, pair(size), axis=(2, 3))[:, :, ::sh, ::sw]
    most = cut.max(axis=(1, 4, 5), keepdims=True)[..., 0, 0]
    return np.repeat(most, x.shape[1], axis=1)


@wrong_max("mutates-input")
def shifted_so_that_zeros_lose(x, *, size, stride, padding=0):
    least = x.min()
    x -= least
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, pair(size), axis=(2, 3))[:, :, ::sh, ::sw]
    return cut.max(axis=(4, 5)) + least


@wrong_max_backward(
    "ties-all",
    report="Theano/Theano #5248: gradients go to all inputs which are equal to the maximum",
)
def mask_of_all_that_equal_the_maximum(x, g, *, size, stride, padding=0):
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    around = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    padded = np.pad(x.astype(float), around, constant_values=-np.inf)
    dx = np.zeros(padded.shape)
    for i, j in np.ndindex(*g.shape[2:]):
        rows, columns = slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw)
        window = padded[:, :, rows, columns]
        mask = window == window.max(axis=(2, 3), keepdims=True)
        dx[:, :, rows, columns] += mask * g[:, :, i : i + 1, j : j + 1]
    return dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]


@wrong_max_backward(
    "ties-last",
    report="FluxML/NNlib.jl #205: the other order of loops finds another of equal elements",
)
def at_least_as_great(x, g, *, size, stride, padding=0):
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*g.shape):
        best, winner = -np.inf, (0, 0)
        for row in range(max(i * sh - ph, 0), min(i * sh - ph + kh, x.shape[2])):
            for column in range(max(j * sw - pw, 0), min(j * sw - pw + kw, x.shape[3])):
                if x[n, c, row, column] >= best:
                    best, winner = x[n, c, row, column], (row, column)
        dx[(n, c, *winner)] += g[n, c, i, j]
    return dx


@wrong_max_backward(
    "overlap-overwritten",
    when=overlaps,
    report="jmschrei/tangermeme #95: max_unpool assigns rather than accumulates",
)
def put_where_the_winner_stood(x, g, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*g.shape):
        window = x[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * sh + a, j * sw + b] = g[n, c, i, j]
    return dx


@wrong_max_backward(
    "remainder-lost",
    when=lambda c: any(n % k for n, k in zip(c.size, c.taps, strict=True)),
)
def repeated_and_masked(x, g, *, size):
    kh, kw = pair(size)
    blocks = x[:, :, : g.shape[2] * kh, : g.shape[3] * kw]
    blocks = blocks.reshape(*g.shape[:3], kh, g.shape[3], kw).swapaxes(3, 4)
    first = blocks.reshape(*g.shape, -1).argmax(axis=-1)
    mask = np.eye(kh * kw)[first].reshape(blocks.shape) * g[..., None, None]
    return mask.swapaxes(3, 4).reshape(*x.shape[:2], g.shape[2] * kh, -1)


@wrong_max_backward("nondeterministic", also=("ties-last", "ties-all"))
def lots_drawn_among_equals(x, g, *, size, stride):
    (kh, kw), (sh, sw), draw = pair(size), pair(stride), np.random.default_rng()
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*g.shape):
        window = x[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        a, b = draw.choice(np.argwhere(window == window.max()))
        dx[n, c, i * sh + a, j * sw + b] += g[n, c, i, j]
    return dx


@wrong_average_backward(
    "divisor-counts-overhang",
    when=overhangs,
    report="tracel-ai/burn #5604: avg_pool2d_backward divides by the full kernel volume",
)
def scale_of_the_full_kernel(x, g, *, size, stride, padding=0, ceil_mode=False):
    del ceil_mode  # the size of g has it
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    dx = np.zeros((*x.shape[:2], x.shape[2] + 2 * ph + sh + kh, x.shape[3] + 2 * pw + sw + kw))
    for i, j in np.ndindex(*g.shape[2:]):
        share = g[:, :, i, j] / (kh * kw)
        dx[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += share[:, :, None, None]
    return dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]


@wrong_average_backward("overlap-overwritten", when=overlaps)
def last_window_wins(x, g, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*g.shape):
        dx[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] = g[n, c, i, j] / (kh * kw)
    return dx


@wrong_average_backward("divisor-missing")
def not_divided_at_all(x, g, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    dx = np.zeros(x.shape)
    for a, b in np.ndindex(kh, kw):
        rows = slice(a, a + sh * g.shape[2], sh)
        columns = slice(b, b + sw * g.shape[3], sw)
        dx[:, :, rows, columns] += g
    return dx
