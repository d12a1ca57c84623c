"""Right implementations in many styles, none of which a checker may accuse.

`Exhibit` is what the museums of wrong ones are made of as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from scipy import signal, sparse


@dataclass(frozen=True)
class Exhibit:
    """An implementation, the mistake that it makes, and where the mistake shows.

    `expected` is the code of the first diagnosis ("" where nothing is wrong), `also` holds further
    codes where the mistake can be read in two ways. `when` says of a case whether the mistake can
    show there: elsewhere the exhibit is right.
    """

    name: str
    kind: str
    function: Callable[..., Any]
    expected: str = ""
    also: tuple[str, ...] = ()
    report: str = ""
    when: Callable[[Any], bool] = lambda case: True


def curator(museum: list[Exhibit], kind: str) -> Callable[..., Any]:
    """A decorator that hangs a function in a museum."""

    def wrong(expected: str = "", **about: Any) -> Callable[..., Any]:
        def hang(function: Callable[..., Any]) -> Callable[..., Any]:
            name = function.__name__.replace("_", " ")
            museum.append(Exhibit(name, kind, function, expected, **about))
            return function

        return hang

    return wrong


def pair(value: Any) -> tuple[int, int]:
    """One number for each of two axes."""
    return (value, value) if isinstance(value, int) else tuple(value)


RIGHT: list[Exhibit] = []
forward, backward = curator(RIGHT, "forward"), curator(RIGHT, "backward")
transposed = curator(RIGHT, "transposed")
average_pool, max_pool = curator(RIGHT, "average_pool"), curator(RIGHT, "max_pool")
average_pool_backward = curator(RIGHT, "average_pool_backward")
max_pool_backward = curator(RIGHT, "max_pool_backward")


def outputs(x, w, stride, padding, dilation):
    rows = zip(x.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows]


def windows(x, size, stride, padding, dilation, value=0.0):
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(pair, (size, stride, padding, dilation))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)
    seen = sliding_window_view(padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(2, 3))
    return seen[:, :, ::sh, ::sw, ::dh, ::dw]


@forward()
def seven_nested_loops(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    height, width = outputs(x, w, (sh, sw), (ph, pw), (dh, dw))
    each = w.shape[0] // groups
    y = np.zeros((x.shape[0], w.shape[0], height, width))
    for n, o, i, j in np.ndindex(*y.shape):
        for c, a, b in np.ndindex(*w.shape[1:]):
            row, column = i * sh + a * dh - ph, j * sw + b * dw - pw
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                y[n, o, i, j] += x[n, o // each * w.shape[1] + c, row, column] * w[o, c, a, b]
    return y


@forward()
def im2col_and_one_product_per_group(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    cut = windows(x, w.shape[2:], stride, padding, dilation)
    n, _, height, width = cut.shape[:4]
    columns = cut.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, groups, -1)
    kernel = w.reshape(groups, w.shape[0] // groups, -1)
    parts = [columns[:, g] @ kernel[g].T for g in range(groups)]
    return np.hstack(parts).reshape(n, height, width, -1).transpose(0, 3, 1, 2)


@forward()
def windows_and_einsum(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    cut = windows(x, w.shape[2:], stride, padding, dilation)
    cut = cut.reshape(x.shape[0], groups, -1, *cut.shape[2:])
    kernel = w.reshape(groups, -1, *w.shape[1:])
    y = np.einsum("ngchwij,gocij->ngohw", cut, kernel)
    return y.reshape(x.shape[0], w.shape[0], *y.shape[3:])


@forward()
def strides_and_tensordot(x, w, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    height, width = outputs(x, w, (sh, sw), (ph, pw), (dh, dw))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    a, b, c, d = padded.strides
    shape = (*x.shape[:2], height, width, *w.shape[2:])
    cut = as_strided(padded, shape, (a, b, c * sh, d * sw, c * dh, d * dw), writeable=False)
    return np.tensordot(cut, w, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


@forward()
def one_product_per_tap(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    stride, padding, dilation = pair(stride), pair(padding), pair(dilation)
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    height, width = outputs(x, w, stride, padding, dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    split = padded.reshape(x.shape[0], groups, -1, *padded.shape[2:])
    kernel = w.reshape(groups, -1, *w.shape[1:])
    y = 0
    for i, j in product(*map(range, w.shape[2:])):
        tap = split[..., i * dh :, j * dw :][..., ::sh, ::sw][..., :height, :width]
        y = y + np.einsum("ngchw,goc->ngohw", tap, kernel[..., i, j])
    return y.reshape(x.shape[0], -1, height, width)


@forward()
def product_of_spectra(x, w, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    height, width = outputs(x, w, (sh, sw), (ph, pw), (dh, dw))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    kernel = np.zeros((*w.shape[:2], (w.shape[2] - 1) * dh + 1, (w.shape[3] - 1) * dw + 1))
    kernel[:, :, ::dh, ::dw] = w
    size = padded.shape[2:]
    spectrum = np.einsum(
        "nchw,ochw->nohw", np.fft.rfft2(padded), np.conj(np.fft.rfft2(kernel, s=size))
    )
    return np.fft.irfft2(spectrum, s=size)[:, :, ::sh, ::sw][:, :, :height, :width]


@forward()
def correlate2d_channel_by_channel(x, w, *, stride=1, padding=0, groups=1):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    each_out, each_in = w.shape[0] // groups, w.shape[1]
    y = [
        [
            sum(
                signal.correlate2d(image[o // each_out * each_in + c], w[o, c], mode="valid")
                for c in range(each_in)
            )[::sh, ::sw]
            for o in range(w.shape[0])
        ]
        for image in padded
    ]
    return np.array(y)


@forward()
def fftconvolve_with_flipped_kernel(x, w, *, padding=0):
    ph, pw = pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))).astype(float)
    flipped = w[:, ::-1, ::-1, ::-1].astype(float)
    return np.concatenate(
        [signal.fftconvolve(padded, kernel[None], mode="valid") for kernel in flipped], axis=1
    )


@forward()
def single_precision(x, w, *, stride=1, padding=0, dilation=1):
    cut = windows(x.astype(np.float32), w.shape[2:], stride, padding, dilation)
    return np.einsum("nchwij,ocij->nohw", cut, w.astype(np.float32))


@forward()
def nothing_but_arrays(x, w):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], 1, 0, 1), w)


@forward()
def stride_alone(x, w, *, stride):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride, 0, 1), w)


@forward()
def plain_arguments(x, w, stride=1, padding=0):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride, padding, 1), w)


@forward()
def ints_only(x, w, *, stride=1, padding=0, dilation=1):
    for option in (stride, padding, dilation):
        if not isinstance(option, int):
            raise TypeError(f"stride, padding and dilation must be ints, got {option!r}")
    cut = windows(x, w.shape[2:], stride, padding, dilation)
    return np.einsum("nchwij,ocij->nohw", cut, w)


@forward()
def any_keywords(x, w, **options):
    groups = options.get("groups", 1)
    wanted = [options.get(name, 1 - (name == "padding")) for name in ("stride", "padding")]
    cut = windows(x, w.shape[2:], *wanted, options.get("dilation", 1))
    parts = [
        np.einsum("nchwij,ocij->nohw", xs, ws)
        for xs, ws in zip(np.split(cut, groups, axis=1), np.split(w, groups), strict=True)
    ]
    return np.concatenate(parts, axis=1)


@forward()
def columns_first_in_memory(x, w, *, stride=1, padding=0):
    y = np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride, padding, 1), w)
    return np.asfortranarray(y)


@forward()
def view_of_a_larger_buffer(x, w, *, stride=1):
    y = np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride, 0, 1), w)
    buffer = np.full([2 * n + 3 for n in y.shape], -7, dtype=y.dtype)
    inner = buffer[tuple(slice(1, 1 + 2 * n, 2) for n in y.shape)]
    inner[...] = y
    return inner


@forward()
def talks_while_it_works(x, w, *, stride=1):
    print(f"input {x.shape}, kernel {w.shape}, stride {stride}")
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride, 0, 1), w)


@forward()
def sparse_matrix(x, w, *, stride=1, padding=0, dilation=1):
    (ph, pw), size = pair(padding), x.shape[1:]
    where = np.arange(np.prod(size)).reshape(1, *size)
    cut = windows(where, w.shape[2:], stride, (ph, pw), dilation, value=-1)[0]
    rows, columns, values = [], [], []
    for o, c, i, j in np.ndindex(*w.shape):
        source = cut[c, :, :, i, j].ravel()
        row = o * source.size + np.arange(source.size)
        rows.append(row[source >= 0])
        columns.append(source[source >= 0])
        values.append(np.full((source >= 0).sum(), w[o, c, i, j]))
    shape = (w.shape[0] * cut.shape[1] * cut.shape[2], where.size)
    places = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.csr_matrix((np.concatenate(values), places), shape=shape)
    return (matrix @ x.reshape(len(x), -1).T).T.reshape(len(x), w.shape[0], *cut.shape[1:3])


class Module:
    """As a framework has it: options in the constructor, arrays in the call."""

    __name__ = "module with a call method"

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __call__(self, x, w, *, stride=1, padding=0, dilation=1):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        return windows_and_einsum(x, w, groups=self.groups, **options)


forward()(Module(groups=1))
RIGHT.append(Exhibit("partial function", "forward", partial(one_product_per_tap, dilation=1)))


@backward()
def every_product_scattered(x, w, g, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    dx, dkernel = np.zeros(x.shape), np.zeros(w.shape)
    each = w.shape[0] // groups
    for n, o, i, j in np.ndindex(*g.shape):
        for c, a, b in np.ndindex(*w.shape[1:]):
            row, column = i * sh + a * dh - ph, j * sw + b * dw - pw
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                source = n, o // each * w.shape[1] + c, row, column
                dx[source] += w[o, c, a, b] * g[n, o, i, j]
                dkernel[o, c, a, b] += x[source] * g[n, o, i, j]
    return dx, dkernel


@backward()
def slices_tap_by_tap(x, w, g, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))).astype(float)
    dx, dkernel = np.zeros_like(padded), np.zeros(w.shape)
    height, width = g.shape[2:]
    for i, j in np.ndindex(*w.shape[2:]):
        rows = slice(i * dh, i * dh + sh * (height - 1) + 1, sh)
        columns = slice(j * dw, j * dw + sw * (width - 1) + 1, sw)
        dx[:, :, rows, columns] += np.einsum("nohw,oc->nchw", g, w[:, :, i, j])
        dkernel[:, :, i, j] = np.einsum("nohw,nchw->oc", g, padded[:, :, rows, columns])
    return dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]], dkernel


@backward()
def col2im_with_add_at(x, w, g, *, stride=1, padding=0):
    ph, pw = pair(padding)
    where = np.arange(x[0].size).reshape(1, *x.shape[1:])
    cut = windows(where, w.shape[2:], stride, (ph, pw), 1, value=-1)[0]
    dx = np.zeros((len(x), x[0].size + 1))  # the last column collects what falls on the padding
    for n in range(len(x)):
        np.add.at(dx[n], cut, np.einsum("ohw,ocij->chwij", g[n], w))
    dkernel = np.einsum("nohw,nchwij->ocij", g, windows(x, w.shape[2:], stride, (ph, pw), 1))
    return dx[:, :-1].reshape(x.shape), dkernel


@transposed()
def scattered(x, w, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    options = zip(*map(pair, (stride, padding, output_padding, dilation)), strict=True)
    (sh, ph, oh, dh), (sw, pw, ow, dw) = options
    kh, kw = w.shape[2:]
    height = (x.shape[2] - 1) * sh + dh * (kh - 1) + 1 + oh
    width = (x.shape[3] - 1) * sw + dw * (kw - 1) + 1 + ow
    full = np.zeros((x.shape[0], groups, w.shape[1], height, width))
    xs = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    ws = w.reshape(groups, -1, *w.shape[1:])
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.einsum("ngc,gcoab->ngoab", xs[..., i, j], ws)
        rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
        columns = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
        full[..., rows, columns] += stamp
    y = full.reshape(x.shape[0], -1, height, width)
    return y[:, :, ph : height - ph, pw : width - pw]


@transposed()
def zeros_inserted_then_correlated(x, w, *, stride=1, padding=0, output_padding=0, dilation=1):
    options = zip(*map(pair, (stride, padding, output_padding, dilation)), strict=True)
    (sh, ph, oh, dh), (sw, pw, ow, dw) = options
    kh, kw = w.shape[2:]
    wide = np.zeros((*x.shape[:2], (x.shape[2] - 1) * sh + 1, (x.shape[3] - 1) * sw + 1))
    wide[:, :, ::sh, ::sw] = x
    around = ((0, 0), (0, 0), (dh * (kh - 1),) * 2, (dw * (kw - 1),) * 2)
    behind = ((0, 0), (0, 0), (0, oh), (0, ow))
    cut = windows(np.pad(np.pad(wide, around), behind), (kh, kw), 1, 0, (dh, dw))
    y = np.einsum("nchwij,coij->nohw", cut, w[:, :, ::-1, ::-1])
    return y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]


@transposed()
def without_output_padding(x, w, *, stride=1, padding=0):
    return scattered(x, w, stride=stride, padding=padding)


def pooled(n, k, s, p, d, ceil_mode):
    reach = n + 2 * p - d * (k - 1) - 1
    count = (reach + (s - 1) * ceil_mode) // s + 1
    return count - 1 if ceil_mode and (count - 1) * s >= n + p else count


@average_pool()
def mean_by_loops(x, *, size, stride, padding=0, ceil_mode=False, count_include_pad=True):
    axes = list(zip(x.shape[2:], *map(pair, (size, stride, padding)), strict=True))
    shape = [pooled(n, k, s, p, 1, ceil_mode) for n, k, s, p in axes]
    y = np.zeros((*x.shape[:2], *shape))
    for place in np.ndindex(*shape):
        starts = [o * s - p for o, (_, _, s, p) in zip(place, axes, strict=True)]
        ends = [min(i + k, n + p) for i, (n, k, _, p) in zip(starts, axes, strict=True)]
        inside = [
            slice(max(i, 0), min(e, n)) for i, e, n in zip(starts, ends, x.shape[2:], strict=True)
        ]
        counted = [
            e - i if count_include_pad else cut.stop - cut.start
            for i, e, cut in zip(starts, ends, inside, strict=True)
        ]
        y[(..., *place)] = x[(..., *inside)].sum(axis=(2, 3)) / np.prod(counted)
    return y


@average_pool()
def summed_area_table(x, *, size, stride, padding=0):
    (kh, kw), (sh, sw), (ph, pw) = pair(size), pair(stride), pair(padding)
    table = np.pad(x, ((0, 0), (0, 0), (ph + 1, ph), (pw + 1, pw))).cumsum(2).cumsum(3)
    sums = table[..., kh:, kw:] - table[..., :-kh, kw:]
    sums = sums - table[..., kh:, :-kw] + table[..., :-kh, :-kw]
    return sums[..., ::sh, ::sw] / (kh * kw)


@max_pool()
def greatest_of_windows(x, *, size, stride, padding=0, dilation=1, ceil_mode=False):
    options = [pair(option) for option in (size, stride, padding, dilation)]
    shape = [pooled(n, *rest, ceil_mode) for n, *rest in zip(x.shape[2:], *options, strict=True)]
    behind = [(0, s) for s in options[1]]
    around = [(p, p) for p in options[2]]
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), *around), constant_values=-np.inf)
    padded = np.pad(padded, ((0, 0), (0, 0), *behind), constant_values=-np.inf)
    cut = windows(padded, options[0], options[1], 0, options[3])
    return cut[:, :, : shape[0], : shape[1]].max(axis=(4, 5))


@max_pool()
def reduceat_in_blocks(x, *, size):
    (kh, kw), (height, width) = pair(size), x.shape[2:]
    whole = x[:, :, : height // kh * kh, : width // kw * kw]
    return whole.reshape(*x.shape[:2], height // kh, kh, width // kw, kw).max(axis=(3, 5))


@max_pool_backward()
def to_the_first_winner(x, g, *, size, stride, padding=0, dilation=1, ceil_mode=False):
    options = [pair(option) for option in (size, stride, padding, dilation)]
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = options
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*g.shape):
        best, winner = -np.inf, None
        for a, b in np.ndindex(kh, kw):
            row, column = i * sh + a * dh - ph, j * sw + b * dw - pw
            inside = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
            if inside and x[n, c, row, column] > best:
                best, winner = x[n, c, row, column], (row, column)
        if winner is not None:
            dx[(n, c, *winner)] += g[n, c, i, j]
    return dx


@average_pool_backward()
def spread_evenly(x, g, *, size, stride, padding=0, ceil_mode=False, count_include_pad=True):
    axes = list(zip(x.shape[2:], *map(pair, (size, stride, padding)), strict=True))
    factors = []
    for (n, k, s, p), count in zip(axes, g.shape[2:], strict=True):
        factor = np.zeros((n, count))
        for o in range(count):
            first, last = o * s - p, min(o * s - p + k, n + p)
            cut = slice(max(first, 0), min(last, n))
            factor[cut, o] = 1 / (last - first if count_include_pad else cut.stop - cut.start)
        factors.append(factor)
    return np.einsum("ih,jw,nchw->ncij", *factors, g)


def with_torch(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    import torch

    arrays = [torch.from_numpy(np.ascontiguousarray(each, dtype=float)) for each in (x, w)]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return torch.nn.functional.conv2d(*arrays, **options).numpy()


def with_autograd(x, w, g, *, stride=1, padding=0, dilation=1, groups=1):
    import torch

    leaves = [torch.tensor(np.asarray(each, dtype=float), requires_grad=True) for each in (x, w)]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    torch.nn.functional.conv2d(*leaves, **options).backward(torch.tensor(np.asarray(g, float)))
    return tuple(leaf.grad.numpy() for leaf in leaves)


# Other algorithms.


def winograd(x, w, padding):
    """F(2 x 2, 3 x 3) in exact fractions, tile by tile."""
    half = Fraction(1, 2)
    before = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=object)
    taps = np.array([[1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]], dtype=object)
    after = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], dtype=object)
    (ph, pw) = pair(padding)
    height, width = x.shape[2] + 2 * ph - 2, x.shape[3] + 2 * pw - 2
    around = ((0, 0), (0, 0), (ph, ph + height % 2), (pw, pw + width % 2))
    padded = np.pad(x.astype(int).astype(object), around)
    kernels = taps @ w.astype(int).astype(object) @ taps.T
    y = np.zeros((len(x), len(w), height + height % 2, width + width % 2))
    for i, j in product(range(0, height, 2), range(0, width, 2)):
        tiles = before @ padded[:, :, i : i + 4, j : j + 4] @ before.T
        tile = after @ (tiles[:, None] * kernels[None]).sum(axis=2) @ after.T
        y[:, :, i : i + 2, j : j + 2] = tile.astype(float)
    return y[:, :, :height, :width]


@forward()
def winograd_where_it_can(x, w, *, stride=1, padding=0):
    if w.shape[2:] == (3, 3) and pair(stride) == (1, 1):
        return winograd(x, w, padding)
    return windows_and_einsum(x, w, stride=stride, padding=padding)


@forward()
def correlate_over_channels_and_space(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))).astype(float)
    planes = [[signal.correlate(image, kernel, "valid")[0] for kernel in w] for image in padded]
    return np.array(planes)[:, :, ::sh, ::sw]


@forward()
def one_hot_matrices_by_axis(x, w, *, stride=1, padding=0, dilation=1):
    options = zip(*map(pair, (stride, padding, dilation)), strict=True)
    reads = []
    for n, k, (s, p, d) in zip(x.shape[2:], w.shape[2:], options, strict=True):
        places = s * np.arange((n + 2 * p - d * (k - 1) - 1) // s + 1) - p
        table = places[None, :, None] + d * np.arange(k)[:, None, None]
        reads.append((table == np.arange(n)).astype(float))
    return np.einsum("aih,bjw,ocab,nchw->noij", *reads, w, x, optimize=True)


@forward()
def polyphase_components(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph + sh), (pw, pw + sw)))
    height, width = outputs(x, w, (sh, sw), (ph, pw), (1, 1))
    y = np.zeros((len(x), len(w), height, width))
    for a, b in product(range(min(sh, kh)), range(min(sw, kw))):
        phase, kernel = padded[:, :, a::sh, b::sw], w[:, :, a::sh, b::sw]
        cut = windows(phase, kernel.shape[2:], 1, 0, 1)[:, :, :height, :width]
        y += np.einsum("nchwab,ocab->nohw", cut, kernel)
    return y


@transposed()
def transpose_of_a_dense_matrix(x, w, *, stride=1, padding=0, output_padding=0):
    options = zip(*map(pair, (stride, padding, output_padding)), strict=True)
    size = [
        s * (n - 1) + k - 2 * p + extra
        for n, k, (s, p, extra) in zip(x.shape[2:], w.shape[2:], options, strict=True)
    ]
    shape = (w.shape[1], *size)
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    matrix = windows_and_einsum(units, w, stride=stride, padding=padding)
    return (x.reshape(len(x), -1) @ matrix.reshape(len(units), -1).T).reshape(-1, *shape)


@average_pool()
def quotient_of_two_filters(x, *, size, stride, padding=0, count_include_pad=True):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    around, ones = ((0, 0), (0, 0), (ph, ph), (pw, pw)), np.ones((1, 1, *pair(size)))
    total = signal.convolve(np.pad(x, around).astype(float), ones, "valid", "direct")
    inside = np.pad(np.ones(x.shape), around, constant_values=float(count_include_pad))
    return (total / signal.convolve(inside, ones, "valid", "direct"))[:, :, ::sh, ::sw]


@max_pool()
def border_repeated_by_half_a_window(x, *, size, stride, padding=0):
    (ph, pw) = pair(padding)
    # A window holds the border's own sample wherever it holds a copy of it.
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode="edge")
    return windows(padded, size, stride, 0, 1).max(axis=(-2, -1))


@max_pool()
def rows_then_columns_by_doubling(x, *, size, stride):
    (kh, kw), (sh, sw) = pair(size), pair(stride)
    for axis, k in ((2, kh), (3, kw)):
        x, reach = np.moveaxis(x, axis, -1), 1
        while reach < k:
            step = min(reach, k - reach)
            x, reach = np.maximum(x[..., :-step], x[..., step:]), reach + step
        x = np.moveaxis(x, -1, axis)
    return x[:, :, ::sh, ::sw].copy()


def with_unfold(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    import torch

    options = {"stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation)}
    columns = torch.nn.functional.unfold(torch.tensor(x).double(), w.shape[2:], **options)
    size = outputs(x, w, *(options[name] for name in ("stride", "padding", "dilation")))
    columns = columns.reshape(len(x), groups, -1, columns.shape[-1])
    kernels = torch.tensor(w).double().reshape(groups, len(w) // groups, -1)
    found = torch.einsum("gok,ngkl->ngol", kernels, columns)
    return found.reshape(len(x), len(w), *size).numpy()


def with_torch_grad(x, w, g, *, stride=1, padding=0, dilation=1, groups=1):
    import torch

    options = {"stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation)}
    images, kernels, upstream = (torch.tensor(a).double() for a in (x, w, g))
    options = {**options, "groups": groups}
    dx = torch.nn.grad.conv2d_input(images.shape, kernels, upstream, **options)
    dkernel = torch.nn.grad.conv2d_weight(images, kernels.shape, upstream, **options)
    return dx.numpy(), dkernel.numpy()


if find_spec("torch"):
    forward()(with_torch)
    forward()(with_unfold)
    backward()(with_autograd)
    backward()(with_torch_grad)
