"""Wrong backward passes, after public reports and homework; `when` says where it can show."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from right import Exhibit, curator, pair
from scipy import signal

WRONG: list[Exhibit] = []
wrong = curator(WRONG, "backward")


def kernel_gradient(x, g, taps, stride=1, padding=0, dilation=1):
    """dL/dw as it should be, for those whose mistake lies in dL/dx."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    found = np.zeros((g.shape[1], x.shape[1], *taps))
    for a, b in np.ndindex(*taps):
        seen = padded[:, :, a * dh :, b * dw :][:, :, ::sh, ::sw]
        seen = seen[:, :, : g.shape[2], : g.shape[3]]
        found[:, :, a, b] = np.einsum("nohw,nchw->oc", g, seen)
    return found


def input_gradient(x, w, g, stride=1, padding=0, dilation=1):
    """dL/dx as it should be, for those whose mistake lies in dL/dw."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    padded = np.zeros((*x.shape[:2], x.shape[2] + 2 * ph, x.shape[3] + 2 * pw))
    for i, j in np.ndindex(*g.shape[2:]):
        patch = padded[:, :, i * sh :, j * sw :][:, :, ::dh, ::dw]
        patch[:, :, : w.shape[2], : w.shape[3]] += np.einsum("no,ocab->ncab", g[:, :, i, j], w)
    return padded[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]


@wrong("adjoint-missing", also=("flipped-kernel",), when=lambda c: max(c.taps) > 1)
def correlated_without_turning_the_kernel(x, w, g, *, padding=0):
    (ph, pw), (kh, kw) = pair(padding), w.shape[2:]
    wide = np.pad(g, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    cut = sliding_window_view(wide, (kh, kw), axis=(2, 3))
    dx = np.einsum("nohwab,ocab->nchw", cut, w)
    dx = dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    return dx, kernel_gradient(x, g, (kh, kw), padding=padding)


@wrong(
    "flipped-kernel",
    when=lambda c: max(c.taps) > 1,
    report="FluxML/NNlib.jl #518, conv_filter_direct! nonzero beta + flipkernel bug",
)
def kernel_gradient_by_convolve2d(x, w, g, *, padding=0):
    ph, pw = pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dkernel = np.zeros(w.shape)
    for n, o, c in np.ndindex(len(x), *w.shape[:2]):
        turned = signal.correlate2d(padded[n, c], g[n, o], "valid")
        dkernel[o, c] += turned[::-1, ::-1]
    return input_gradient(x, w, g, padding=padding), dkernel


@wrong(
    "remainder-lost",
    when=lambda c: max(c.stride) > 1,
    report="f-dangel/backpack #30: right only where nothing is rounded down in the forward pass",
)
def size_from_the_output_alone(x, w, g, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    height, width = (g.shape[2] - 1) * sh + kh, (g.shape[3] - 1) * sw + kw
    dx = np.zeros((*x.shape[:2], height, width))
    for i, j in np.ndindex(*g.shape[2:]):
        spread = np.einsum("no,ocab->ncab", g[:, :, i, j], w)
        dx[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += spread
    dx = dx[:, :, ph : height - ph, pw : width - pw]
    return dx, kernel_gradient(x, g, (kh, kw), stride, padding)


@wrong(
    "remainder-lost",
    also=("stride-misplaced",),
    when=lambda c: max(c.stride) > 1,
    report="tracel-ai/burn #4806, Fix conv x-backward padding_out bug",
)
def remainder_put_in_front(x, w, g, *, stride=1):
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    wide = np.zeros((*g.shape[:2], (g.shape[2] - 1) * sh + 1, (g.shape[3] - 1) * sw + 1))
    wide[:, :, ::sh, ::sw] = g
    rest = [n - m - k + 1 for n, m, k in zip(x.shape[2:], wide.shape[2:], (kh, kw), strict=True)]
    around = ((rest[0] + kh - 1, kh - 1), (rest[1] + kw - 1, kw - 1))
    cut = sliding_window_view(np.pad(wide, ((0, 0), (0, 0), *around)), (kh, kw), axis=(2, 3))
    dx = np.einsum("nohwab,ocab->nchw", cut, w[:, :, ::-1, ::-1])
    return dx, kernel_gradient(x, g, (kh, kw), stride)


@wrong(
    "overlap-overwritten",
    when=lambda c: any(s < k for s, k in zip(c.stride, c.taps, strict=True)),
    report="ghosert/cmd-editor #2058 (of a pooling): what several windows hold must be added up",
)
def col2im_assigns(x, w, g, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    dx = np.zeros((*x.shape[:2], x.shape[2] + 2 * ph, x.shape[3] + 2 * pw))
    columns = np.einsum("nohw,ocab->nchwab", g, w)
    for i in range(g.shape[2]):
        for j in range(g.shape[3]):
            dx[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] = columns[:, :, i, j]
    dx = dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    return dx, kernel_gradient(x, g, (kh, kw), stride, padding)


@wrong(
    "gradient-not-dilated",
    when=lambda c: max(c.stride) > 1,
    report="sasagawa888/deeppipe2 #3: when stride > 1 require dilate",
)
def kernel_gradient_as_with_stride_one(x, w, g, *, stride=1, padding=0):
    (ph, pw), (kh, kw) = pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, g.shape[2:], axis=(2, 3))[:, :, :kh, :kw]
    return input_gradient(x, w, g, stride, padding), np.einsum("ncabhw,nohw->ocab", cut, g)


@wrong(
    "stride-dilation-swapped",
    also=("gradient-not-dilated",),
    when=lambda c: c.stride != c.dilation,
    report="iree-org/iree-turbine #1223, Swapped strides and dilations in ConvWGrad",
)
def kernel_gradient_with_the_options_of_forward(x, w, g, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    numbers = zip((sh, sw), w.shape[2:], (dh, dw), g.shape[2:], strict=True)
    more = [s * k + d * n for s, k, d, n in numbers]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph + more[0]), (pw, pw + more[1])))
    dkernel = np.zeros(w.shape)
    for a, b in np.ndindex(*w.shape[2:]):
        rows = a * sh + dh * np.arange(g.shape[2])
        columns = b * sw + dw * np.arange(g.shape[3])
        seen = padded[:, :, rows[:, None], columns]
        dkernel[:, :, a, b] = np.einsum("nohw,nchw->oc", g, seen)
    return input_gradient(x, w, g, stride, padding, dilation), dkernel


@wrong(
    "stride-misplaced",
    also=("stride-ignored",),
    when=lambda c: max(c.stride) > 1,
    report="Kulbear/deep-learning-coursera #34: stride missing in conv_backward",
)
def stride_missing_in_conv_backward(x, w, g, *, stride=1, padding=0):
    del stride
    (ph, pw), (kh, kw) = pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dx, dkernel = np.zeros(padded.shape), np.zeros(w.shape)
    for i in range(len(x)):
        for h, v, c in np.ndindex(*g.shape[2:], g.shape[1]):
            piece = padded[i, :, h : h + kh, v : v + kw]
            dx[i, :, h : h + kh, v : v + kw] += w[c] * g[i, c, h, v]
            dkernel[c] += piece * g[i, c, h, v]
    return dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]], dkernel


@wrong(
    "batch-not-summed",
    report="mlpack/mlpack #3679: the gradient is the sum across all points in the batch",
)
def one_kernel_gradient_per_sample(x, w, g, *, stride=1, padding=0):
    each = [
        kernel_gradient(x[n : n + 1], g[n : n + 1], w.shape[2:], stride, padding)
        for n in range(len(x))
    ]
    return input_gradient(x, w, g, stride, padding), np.stack(each)


@wrong(
    "batch-not-summed",
    also=("single-sample-only",),
    when=lambda c: c.batch > 1,
    report="cbovar/ConvNetSharp #128, Wrong gradient computation when batch size > 1",
)
def kernel_gradient_of_the_last_sample(x, w, g, *, stride=1, padding=0):
    for sample, error in zip(x, g, strict=True):
        dkernel = kernel_gradient(sample[None], error[None], w.shape[2:], stride, padding)
    return input_gradient(x, w, g, stride, padding), dkernel


@wrong(
    "batch-averaged",
    when=lambda c: c.batch > 1,
    report="nntrainer/nntrainer #323: sum over the batch rather than average",
)
def divided_by_the_size_of_the_batch(x, w, g, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    dkernel = np.tensordot(g, cut, axes=((0, 2, 3), (0, 2, 3))) / len(x)
    return input_gradient(x, w, g, stride, padding), dkernel


@wrong("padding-not-cropped", when=lambda c: max(c.padding) > 0)
def gradient_of_the_padded_image(x, w, g, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dx, dkernel = np.zeros(padded.shape), np.zeros(w.shape)
    for i, j in np.ndindex(*g.shape[2:]):
        rows, columns = slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw)
        dx[:, :, rows, columns] += np.tensordot(g[:, :, i, j], w, axes=1)
        dkernel += np.tensordot(g[:, :, i, j].T, padded[:, :, rows, columns], axes=1)
    return dx, dkernel


@wrong(
    "paddings-swapped",
    when=lambda c: c.padding[0] != c.padding[1],
    report="renmengye/np-conv2d #2, Fix bug computing pad2w: the height was used for the width",
)
def padding_cropped_from_the_other_axis(x, w, g, *, stride=1, padding=0):
    ph, pw = pair(padding)
    bare = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dx = np.pad(input_gradient(bare, w, g, stride), ((0, 0), (0, 0), (0, pw), (0, ph)))
    dx = dx[:, :, pw : pw + x.shape[2], ph : ph + x.shape[3]]
    return dx, kernel_gradient(x, g, w.shape[2:], stride, padding)


@wrong(
    "raises",
    when=lambda c: max(c.dilation) > 1,
    report="pytorch/pytorch #13008, nn.grad raises ValueError when using dilation>1",
)
def size_checked_without_dilation(x, w, g, *, stride=1, padding=0, dilation=1):
    least = [
        (m - 1) * s + k - 2 * p
        for m, s, k, p in zip(g.shape[2:], pair(stride), w.shape[2:], pair(padding), strict=True)
    ]
    most = [n + s - 1 for n, s in zip(least, pair(stride), strict=True)]
    if any(not a <= n <= b for a, n, b in zip(least, x.shape[2:], most, strict=True)):
        raise ValueError(f"requested an input gradient of {x.shape[2:]}, not in {least} to {most}")
    options = stride, padding, dilation
    return input_gradient(x, w, g, *options), kernel_gradient(x, g, w.shape[2:], *options)


@wrong(
    "raises",
    when=lambda c: any(p >= k for p, k in zip(c.padding, c.taps, strict=True)),
    report="ml-explore/mlx #833, Convolution cannot work with all padding sizes",
)
def pads_by_less_than_nothing(x, w, g, *, padding=0):
    (ph, pw), (kh, kw) = pair(padding), w.shape[2:]
    around = ((kh - 1 - ph,) * 2, (kw - 1 - pw,) * 2)
    cut = sliding_window_view(np.pad(g, ((0, 0), (0, 0), *around)), (kh, kw), axis=(2, 3))
    dx = np.einsum("nohwab,ocab->nchw", cut, w[:, :, ::-1, ::-1])
    return dx, kernel_gradient(x, g, (kh, kw), padding=padding)


@wrong("dilation-ignored", when=lambda c: max(c.dilation) > 1)
def kernel_gradient_of_the_taps_next_door(x, w, g, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    cut = cut[:, :, : g.shape[2], : g.shape[3]]
    dkernel = np.einsum("nohw,nchwab->ocab", g, cut)
    return input_gradient(x, w, g, stride, padding, dilation), dkernel


@wrong("groups-ignored", when=lambda c: c.groups > 1)
def kernel_gradient_from_the_first_group(x, w, g, *, stride=1, padding=0, groups=1):
    parts = zip(np.split(x, groups, 1), np.split(w, groups), np.split(g, groups, 1), strict=True)
    dx = np.concatenate([input_gradient(*part, stride, padding) for part in parts], axis=1)
    first = x[:, : x.shape[1] // groups]
    return dx, kernel_gradient(first, g, w.shape[2:], stride, padding)


@wrong("channels-swapped", also=("raises",), when=lambda c: max(c.channels) > 1)
def input_gradient_with_channels_in_place(x, w, g, *, stride=1, padding=0):
    # dL/dx needs w with the two channel axes exchanged; here they stay
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    dx = np.zeros((*x.shape[:2], x.shape[2] + 2 * ph, x.shape[3] + 2 * pw))
    for a, b in np.ndindex(kh, kw):
        spread = np.einsum("nohw,co->nchw", g, w[:, :, a, b])
        dx[:, :, a:, b:][:, :, ::sh, ::sw][:, :, : g.shape[2], : g.shape[3]] += spread
    dx = dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    return dx, kernel_gradient(x, g, (kh, kw), stride, padding)


@wrong("kernel-transposed", when=lambda c: min(c.taps) > 1)
def kernel_gradient_refolded_column_by_column(x, w, g, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    columns = cut.transpose(1, 5, 4, 0, 2, 3).reshape(w[0].size, -1)
    dkernel = g.transpose(1, 0, 2, 3).reshape(len(w), -1) @ columns.T
    return input_gradient(x, w, g, stride, padding), dkernel.reshape(w.shape)


@wrong("mutates-input")
def buffer_of_x_used_for_its_gradient(x, w, g, *, stride=1):
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    dkernel = kernel_gradient(x, g, (kh, kw), stride)
    dx = x
    dx[...] = 0
    for i, j in np.ndindex(*g.shape[2:]):
        patch = dx[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        patch += np.einsum("no,ocab->ncab", g[:, :, i, j], w)
    return dx, dkernel


@wrong("wrong-type")
def kernel_gradient_in_half_precision(x, w, g, *, stride=1, padding=0):
    dkernel = kernel_gradient(x, g, w.shape[2:], stride, padding)
    return input_gradient(x, w, g, stride, padding), dkernel.astype(np.float16)


@wrong("wrong-shape")
def kernel_gradient_first(x, w, g, *, stride=1, padding=0, dilation=1):
    options = stride, padding, dilation
    return kernel_gradient(x, g, w.shape[2:], *options), input_gradient(x, w, g, *options)


KEPT: dict[tuple[int, ...], np.ndarray] = {}


@wrong("nondeterministic")
def gradients_never_set_to_zero(x, w, g, *, stride=1, padding=0):
    KEPT[w.shape] = KEPT.get(w.shape, 0) + kernel_gradient(x, g, w.shape[2:], stride, padding)
    return input_gradient(x, w, g, stride, padding), KEPT[w.shape].copy()
