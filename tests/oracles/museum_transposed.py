"""Wrong transposed layers, after public reports and homework; `when` says where it can show."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from right import Exhibit, curator, pair
from scipy import signal

WRONG: list[Exhibit] = []
wrong = curator(WRONG, "transposed")


def stretched(x, stride):
    """The input with stride - 1 zeros between neighbours."""
    sh, sw = stride
    wide = np.zeros((*x.shape[:2], (x.shape[2] - 1) * sh + 1, (x.shape[3] - 1) * sw + 1))
    wide[:, :, ::sh, ::sw] = x
    return wide


@wrong("output-padding-ignored", when=lambda c: max(c.output_padding) > 0)
def output_padding_never_read(x, w, *, stride=1, padding=0, output_padding=0):
    del output_padding
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    height, width = (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw
    y = np.zeros((len(x), w.shape[1], height, width))
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.einsum("nc,coab->noab", x[:, :, i, j], w)
        y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return y[:, :, ph : height - ph, pw : width - pw]


@wrong(
    "output-padding-zeros",
    when=lambda c: max(c.output_padding) > 0,
    report="llvm/torch-mlir #2026: the case with output padding was padding zeros",
)
def zeros_appended(x, w, *, stride=1, padding=0, output_padding=0):
    (sh, sw), (ph, pw), (oh, ow), (kh, kw) = (
        *map(pair, (stride, padding, output_padding)),
        w.shape[2:],
    )
    around = ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1))
    cut = sliding_window_view(np.pad(stretched(x, (sh, sw)), around), (kh, kw), axis=(2, 3))
    y = np.einsum("nchwab,coab->nohw", cut, w[:, :, ::-1, ::-1])
    y = y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]
    return np.pad(y, ((0, 0), (0, 0), (0, oh), (0, ow)))


@wrong("output-padding-wrong-side", when=lambda c: max(c.output_padding) > 0)
def output_padding_in_front(x, w, *, stride=1, padding=0, output_padding=0):
    (sh, sw), (ph, pw), (oh, ow) = map(pair, (stride, padding, output_padding))
    kh, kw = w.shape[2:]
    height, width = (x.shape[2] - 1) * sh + kh + oh, (x.shape[3] - 1) * sw + kw + ow
    y = np.zeros((len(x), w.shape[1], height, width))
    for a in range(kh):
        for b in range(kw):
            piece = np.einsum("nchw,co->nohw", x, w[:, :, a, b])
            rows = slice(oh + a, oh + a + sh * x.shape[2], sh)
            columns = slice(ow + b, ow + b + sw * x.shape[3], sw)
            y[:, :, rows, columns] += piece
    return y[:, :, ph : height - ph, pw : width - pw]


@wrong(
    "wrong-shape",
    also=("output-padding-zeros", "unknown"),
    when=lambda c: any(o > 0 and s > 1 for o, s in zip(c.output_padding, c.stride, strict=True)),
    report="apple/coreai-torch #57: output_padding lowered by padding the input",
)
def one_more_sample_for_output_padding(x, w, *, stride=1, output_padding=0):
    (sh, sw), (oh, ow), (kh, kw) = pair(stride), pair(output_padding), w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (0, oh), (0, ow)))
    wide = stretched(x, (sh, sw))
    around = ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1))
    cut = sliding_window_view(np.pad(wide, around), (kh, kw), axis=(2, 3))
    return np.einsum("nchwab,coab->nohw", cut, w[:, :, ::-1, ::-1])


@wrong(
    "padding-pads-input",
    when=lambda c: max(c.padding) > 0,
    report="Samsung/TICO #420, Incorrect ConvTranspose2D padding (forward padding vs. output crop)",
)
def input_padded_instead(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for n, c, i, j in np.ndindex(*x.shape):
        y[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += x[n, c, i, j] * w[c]
    return y


@wrong(
    "padding-ignored",
    when=lambda c: max(c.padding) > 0,
)
def nothing_cropped(x, w, *, stride=1, padding=0):
    del padding
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.tensordot(x[:, :, i, j], w, axes=1)
        y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return y


@wrong(
    "paddings-swapped",
    when=lambda c: c.padding[0] != c.padding[1],
    report="tensorflow/tensorflow #24151, TFLite: transpose_conv: fix padding height/width",
)
def cropped_by_the_width_first(x, w, *, stride=1, padding=0):
    (sh, sw), (pw, ph), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.tensordot(x[:, :, i, j], w, axes=1)
        y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]


@wrong(
    "flipped-kernel",
    when=lambda c: max(c.taps) > 1,
    report="tenstorrent/tt-metal #15995: who mirrors the kernel, the layer or its caller?",
)
def zeros_inserted_but_kernel_not_turned(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    around = ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1))
    wide = np.pad(stretched(x, (sh, sw)), around)
    y = np.einsum("nchwab,coab->nohw", sliding_window_view(wide, (kh, kw), axis=(2, 3)), w)
    return y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]


@wrong(
    "channels-swapped",
    also=("raises",),
    when=lambda c: max(c.channels) > 1,
    report="apache/tvm #616, fix weight layout in conv2d_transpose",
)
def weights_as_in_the_forward_layer(x, w, *, stride=1):
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    y = np.zeros((len(x), len(w), (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for a, b in np.ndindex(kh, kw):
        piece = np.einsum("nchw,oc->nohw", x, w[:, :, a, b])
        y[:, :, a : a + sh * x.shape[2] : sh, b : b + sw * x.shape[3] : sw] += piece
    return y


@wrong("stride-ignored", when=lambda c: max(c.stride) > 1)
def full_convolution(x, w, *, stride=1, padding=0):
    del stride
    ph, pw = pair(padding)
    y = [
        sum(signal.convolve2d(image[c], w[c, o]) for c in range(len(w)))
        for image in x
        for o in range(w.shape[1])
    ]
    y = np.reshape(y, (len(x), w.shape[1], *y[0].shape))
    return y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]


@wrong(
    "strides-swapped",
    when=lambda c: c.stride[0] != c.stride[1],
    report="mlpack/mlpack #4050: found while testing TransposedConvolution with unequal strides",
)
def stride_width_stretches_the_rows(x, w, *, stride=1):
    (stride_width, stride_height), (kh, kw) = pair(stride), w.shape[2:]
    around = ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1))
    wide = np.pad(stretched(x, (stride_height, stride_width)), around)
    cut = sliding_window_view(wide, (kh, kw), axis=(2, 3))
    return np.einsum("nchwab,coab->nohw", cut, w[..., ::-1, ::-1])


@wrong(
    "dilation-ignored",
    when=lambda c: max(c.dilation) > 1 and max(c.taps) > 1,
    report="tensorflow/tensorflow #29841, Conv3DTranspose ignores dilation_rate parameter",
)
def taps_side_by_side(x, w, *, stride=1, dilation=1):
    del dilation
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.einsum("nc,coab->noab", x[:, :, i, j], w)
        y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return y


@wrong("groups-ignored", when=lambda c: c.groups > 1)
def every_group_written_over_all_channels(x, w, *, stride=1, groups=1):
    # all inputs go to the few outputs of one group, and are then repeated
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.einsum("nc,coab->noab", x[:, :, i, j], w)
        y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return np.tile(y, (1, groups, 1, 1))


@wrong(
    "groups-interleaved",
    when=lambda c: c.groups > 1 and c.channels[1] > c.groups,
    report="uxlfoundation/oneDNN #352: wrong layout when using deconvolution-direct, group != 1",
)
def groups_laid_crosswise(x, w, *, stride=1, groups=1):
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    height, width = (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw
    y = np.zeros((len(x), w.shape[1], groups, height, width))
    parts = zip(np.split(x, groups, axis=1), np.split(w, groups), strict=True)
    for g, (xs, ws) in enumerate(parts):
        for i, j in np.ndindex(*x.shape[2:]):
            stamp = np.einsum("nc,coab->noab", xs[:, :, i, j], ws)
            y[:, :, g, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return y.reshape(len(x), -1, height, width)


@wrong(
    "overlap-overwritten", when=lambda c: any(s < k for s, k in zip(c.stride, c.taps, strict=True))
)
def last_stamp_stays(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    height, width = (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw
    y = np.zeros((len(x), w.shape[1], height, width))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            stamp = np.tensordot(x[:, :, i, j], w, axes=1)
            y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] = stamp
    return y[:, :, ph : height - ph, pw : width - pw]


@wrong("adjoint-missing", when=lambda c: max(*c.taps, *c.stride) > 1 or max(c.padding) > 0)
def an_ordinary_correlation(x, w, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = map(pair, (stride, padding, dilation))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = dh * (w.shape[2] - 1) + 1, dw * (w.shape[3] - 1) + 1
    cut = sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    return np.einsum("nchwij,coij->nohw", cut, w)


@wrong(
    "raises",
    when=lambda c: c.groups > 1,
    report="Oneflow-Inc/oneflow #5239: not support group convtranspose2d now",
)
def groups_not_yet_supported(x, w, *, stride=1, groups=1):
    if groups != 1:
        raise NotImplementedError(f"group convtranspose2d with {groups} groups")
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for a, b in np.ndindex(kh, kw):
        piece = np.einsum("nchw,co->nohw", x, w[:, :, a, b])
        y[:, :, a : a + sh * x.shape[2] : sh, b : b + sw * x.shape[3] : sw] += piece
    return y


@wrong("mutates-input", when=lambda c: max(c.taps) > 1)
def kernel_turned_in_place(x, w, *, stride=1):
    w[...] = w[:, :, ::-1, ::-1].copy()
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    around = ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1))
    wide = np.pad(stretched(x, (sh, sw)), around)
    return np.einsum("nchwab,coab->nohw", sliding_window_view(wide, (kh, kw), axis=(2, 3)), w)


@wrong("wrong-type")
def nested_lists(x, w, *, stride=1):
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw))
    for i, j in np.ndindex(*x.shape[2:]):
        stamp = np.einsum("nc,coab->noab", x[:, :, i, j], w)
        y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += stamp
    return y.tolist()
