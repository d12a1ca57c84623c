"""Wrong forward passes, after public reports and homework; `when` says where it can show."""

from __future__ import annotations

import os

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from right import Exhibit, curator, pair
from scipy import signal

WRONG: list[Exhibit] = []
wrong = curator(WRONG, "forward")

# Not run in passing: they do what their code says (see test_museum_is_honest.py).
DANGEROUS: list[Exhibit] = []
dangerous = curator(DANGEROUS, "forward")


@wrong(
    "flipped-kernel",
    when=lambda c: max(c.taps) > 1,
    report="FluxML/NNlib.jl #208, Conv missing negative: the filter is fully reversed",
)
def loops_over_a_reversed_kernel(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    height, width = (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1
    y = np.zeros((x.shape[0], w.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            for a in range(kh):
                for b in range(kw):
                    pixel = x[:, :, i * sh + a, j * sw + b]
                    y[:, :, i, j] += pixel @ w[:, :, kh - 1 - a, kw - 1 - b].T
    return y


@wrong(
    "flipped-kernel",
    when=lambda c: max(c.taps) > 1,
    report="hi-abhi/tensorflow-value-iteration-networks #2: Theano flips the filter",
)
def convolve2d_taken_for_correlation(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = []
    for image in x:
        for kernel in w:
            planes = [
                signal.convolve2d(plane, taps, "valid")
                for plane, taps in zip(image, kernel, strict=True)
            ]
            y.append(sum(planes)[::sh, ::sw])
    return np.reshape(y, (len(x), len(w), *y[0].shape))


@wrong(
    "flipped-kernel",
    when=lambda c: max(c.taps) > 1,
    report="pyro-ppl/pyro #2093, review: should the spectrum of the kernel be conjugated?",
)
def spectra_without_the_conjugate(x, w, *, padding=0, dilation=1):
    (ph, pw), (dh, dw) = pair(padding), pair(dilation)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = [(k - 1) * d for k, d in zip(w.shape[2:], (dh, dw), strict=True)]
    kernel = np.zeros((*w.shape[:2], reach[0] + 1, reach[1] + 1))
    kernel[:, :, ::dh, ::dw] = w
    size = x.shape[2:]
    product = np.fft.fft2(x)[:, None] * np.fft.fft2(kernel, s=size)[None]
    return np.fft.ifft2(product.sum(axis=2)).real[:, :, reach[0] :, reach[1] :]


@wrong("flipped-one-axis", when=lambda c: c.taps[1] > 1)
def flipped_from_left_to_right(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w[..., ::-1])


@wrong("flipped-one-axis", when=lambda c: c.taps[0] > 1)
def flipud_before_convolve2d(x, w, *, padding=0):
    # w[..., ::-1, ::-1] was meant; what convolve2d turns round is turned back on one axis only
    ph, pw = pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    return np.array(
        [
            [
                sum(signal.convolve2d(p, k[:, ::-1], "valid") for p, k in zip(i, o, strict=True))
                for o in w
            ]
            for i in x
        ]
    )


@wrong(
    "kernel-transposed",
    when=lambda c: min(c.taps) > 1,
    report="mlpack/mlpack #3376, Fix convolution for non-square kernels",
)
def columns_run_down_the_window(x, w, *, stride=1, padding=0):
    # im2col lists the window column by column, the kernel is unrolled row by row
    (sh, sw), (ph, pw), (kh, kw) = pair(stride), pair(padding), w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    height, width = (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1
    columns = np.empty((x.shape[0], x.shape[1], kw, kh, height, width))
    for b in range(kw):
        for a in range(kh):
            columns[:, :, b, a] = x[:, :, a : a + sh * height : sh, b : b + sw * width : sw]
    columns = columns.reshape(x.shape[0], -1, height * width)
    return (w.reshape(len(w), -1) @ columns).reshape(x.shape[0], -1, height, width)


@wrong("kernel-transposed", when=lambda c: max(c.taps) > 1)
def kernel_width_first(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), (kw, kh) = pair(stride), pair(padding), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocji->nohw", cut, w)


@wrong(
    "image-transposed",
    report="deeplearning4j/deeplearning4j #959: rows and columns are mixed up",
)
def images_as_width_by_height(x, w):
    n, _, width, height = x.shape
    y = np.zeros((n, len(w), height - w.shape[2] + 1, width - w.shape[3] + 1))
    for i, j in np.ndindex(*y.shape[2:]):
        patch = x[:, :, j : j + w.shape[3], i : i + w.shape[2]]
        y[:, :, i, j] = np.einsum("ncba,ocab->no", patch, w)
    return y


@wrong("channels-swapped", also=("raises",), when=lambda c: max(c.channels) > 1)
def kernel_input_channel_first(x, w, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = dh * (w.shape[2] - 1) + 1, dw * (w.shape[3] - 1) + 1
    cut = sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    return np.einsum("nchwij,coij->nohw", cut, w)


@wrong(
    "stride-ignored",
    when=lambda c: max(c.stride) > 1,
    report="tf-encrypted/tf-encrypted #384: of the strides [1, 2, 2, 1] the first was taken",
)
def first_of_four_strides(x, w, *, stride=1, padding=0):
    strides = [1, *pair(stride), 1]
    step, (ph, pw) = strides[0], pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    rows = range(0, x.shape[2] - w.shape[2] + 1, step)
    columns = range(0, x.shape[3] - w.shape[3] + 1, step)
    patches = [[x[:, :, i:, j:][:, :, : w.shape[2], : w.shape[3]] for j in columns] for i in rows]
    return np.einsum("hwncij,ocij->nohw", np.array(patches), w)


@wrong(
    "stride-misplaced",
    also=("stride-ignored",),
    when=lambda c: max(c.stride) > 1,
    report="enggen/Deep-Learning-Coursera #7, stride not multiplied",
)
def windows_not_moved_by_the_stride(x, w, *, stride=1, padding=0):
    stride, padding = pair(stride), pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    shape = [(x.shape[2 + k] - w.shape[2 + k]) // stride[k] + 1 for k in range(2)]
    y = np.zeros((x.shape[0], w.shape[0], *shape))
    for n, f, h, v in np.ndindex(*y.shape):
        vertical, horizontal = h, v
        piece = x[n, :, vertical : vertical + w.shape[2], horizontal : horizontal + w.shape[3]]
        y[n, f, h, v] = np.sum(piece * w[f])
    return y


@wrong("stride-misplaced", when=lambda c: max(c.stride) > 1)
def image_subsampled_before_the_product(x, w, *, stride=1, padding=0, groups=1):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))[:, :, ::sh, ::sw]
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    cut = cut.reshape(len(x), groups, -1, *cut.shape[2:])
    y = np.einsum("ngchwij,gocij->ngohw", cut, w.reshape(groups, -1, *w.shape[1:]))
    return y.reshape(len(x), len(w), *y.shape[3:])


@wrong("stride-misplaced", when=lambda c: max(c.stride) > 1)
def sampled_from_the_middle_of_a_step(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    full = np.einsum("nchwij,ocij->nohw", sliding_window_view(padded, w.shape[2:], (2, 3)), w)
    return full[:, :, sh // 2 :: sh, sw // 2 :: sw]


@wrong(
    "strides-swapped",
    when=lambda c: c.stride[0] != c.stride[1],
    report="mlpack/mlpack #4050, Inconsistent usage of strideWidth and strideHeight",
)
def stride_width_on_the_rows(x, w, *, stride=1, padding=0):
    (stride_width, stride_height), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    cut = cut[:, :, ::stride_height, ::stride_width]
    return np.tensordot(cut, w, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


@wrong(
    "stride-dilation-swapped",
    when=lambda c: c.stride != c.dilation,
    report="iree-org/iree-turbine #1223, Swapped strides and dilations",
)
def dilation_before_stride(x, w, *, stride=1, padding=0, dilation=1):
    def convolve(x, w, dilation, stride):
        size, taps = x.shape[2:], w.shape[2:]
        shape = [
            max((n - d * (k - 1) - 1) // s + 1, 0)
            for n, k, d, s in zip(size, taps, dilation, stride, strict=True)
        ]
        strides = x.strides
        steps = [a * s for a, s in zip(strides[2:], stride, strict=True)]
        gaps = [a * d for a, d in zip(strides[2:], dilation, strict=True)]
        cut = as_strided(x, (*x.shape[:2], *shape, *taps), (*strides[:2], *steps, *gaps))
        return np.einsum("nchwij,ocij->nohw", cut, w)

    around = [(p, p) for p in pair(padding)]
    return convolve(np.pad(x, [(0, 0), (0, 0), *around]), w, pair(stride), pair(dilation))


@wrong(
    "dilation-ignored",
    when=lambda c: any(d > 1 and k > 1 for d, k in zip(c.dilation, c.taps, strict=True)),
    report="fastmachinelearning/hls4ml #1508, dilation_rate is silently ignored",
)
def dilation_never_read(x, w, *, stride=1, padding=0, dilation=1):
    del dilation
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong(
    "dilation-span",
    when=lambda c: max(c.dilation) > 1,
    report="oneapi-src/SYCLomatic #1833, wrong dilation size in the output dimension",
)
def kernel_taken_to_span_d_times_k(x, w, *, stride=1, padding=0, dilation=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    kh, kw = w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    height = max((x.shape[2] - dh * kh) // sh + 1, 0)
    width = max((x.shape[3] - dw * kw) // sw + 1, 0)
    y = np.zeros((x.shape[0], w.shape[0], height, width))
    for i, j in np.ndindex(height, width):
        rows, columns = i * sh + dh * np.arange(kh), j * sw + dw * np.arange(kw)
        y[:, :, i, j] = np.einsum("ncij,ocij->no", x[:, :, rows[:, None], columns], w)
    return y


@wrong("padding-ignored", when=lambda c: max(c.padding) > 0)
def valid_whatever_was_asked(x, w, *, stride=1, padding=0):
    sh, sw = pair(stride)
    cut = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong(
    "padding-one-sided",
    when=lambda c: max(c.padding) > 0,
    report="tensorflow/tensorflow #7969, Bottom-right precedence of padding",
)
def all_padding_at_the_bottom_right(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 2 * ph), (0, 2 * pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong("padding-one-sided", when=lambda c: max(c.padding) > 0)
def padding_in_front_only(x, w, *, padding=0):
    ph, pw = pair(padding)
    padded = np.zeros((*x.shape[:2], x.shape[2] + ph, x.shape[3] + pw))
    padded[:, :, ph:, pw:] = x
    height, width = padded.shape[2] - w.shape[2] + 1, padded.shape[3] - w.shape[3] + 1
    y = 0
    for a, b in np.ndindex(*w.shape[2:]):
        piece = padded[:, :, a : a + height, b : b + width]
        y = y + np.einsum("nchw,oc->nohw", piece, w[:, :, a, b])
    return y


@wrong(
    "paddings-swapped",
    when=lambda c: c.padding[0] != c.padding[1],
    report="autogluon/autogluon #438: pad_width and pad_height are misplaced",
)
def padding_in_the_order_of_torch_pad(x, w, *, stride=1, padding=0):
    # torch.nn.functional.pad starts at the last axis, numpy.pad at the first
    (left, top), (sh, sw) = pair(padding), pair(stride)
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong(
    "groups-ignored",
    when=lambda c: c.groups > 1,
    report="yonghenglh6/DepthwiseConvolution #14, About group number error",
)
def every_output_sees_the_first_group(x, w, *, stride=1, padding=0, groups=1):
    (sh, sw), (ph, pw), channels = pair(stride), pair(padding), x.shape[1] // groups
    padded = np.pad(x[:, :channels], ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong(
    "groups-interleaved",
    when=lambda c: c.groups > 1,
    report="Theano/Theano #6297, Grouped Convolution Bug: the doubling is interleaved",
)
def output_channel_modulo_groups(x, w, *, stride=1, padding=0, groups=1):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    each = x.shape[1] // groups
    maps = []
    for o in range(len(w)):
        group = o % groups
        seen = cut[:, group * each : (group + 1) * each]
        maps.append(np.einsum("nchwij,cij->nhw", seen, w[o]))
    return np.stack(maps, axis=1)


@wrong(
    "square-only",
    when=lambda c: c.size[0] != c.size[1],
    report="BVLC/caffe #284, Non-square inputs - tested and supported?",
)
def one_side_for_both(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw), side = pair(stride), pair(padding), x.shape[-1]
    n, c = x.shape[:2]
    canvas = np.zeros((n, c, side + 2 * ph, side + 2 * pw))
    rows = min(side, x.shape[2])
    canvas[:, :, ph : ph + rows, pw : pw + side] = x[:, :, :rows]
    cut = sliding_window_view(canvas, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong("square-only", also=("raises",), when=lambda c: c.size[0] != c.size[1])
def refuses_what_is_not_square(x, w, *, stride=1):
    if x.shape[2] != x.shape[3]:
        raise ValueError(f"the image must be square, got {x.shape[2:]}")
    sh, sw = pair(stride)
    cut = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong(
    "square-only",
    when=lambda c: c.taps[0] != c.taps[1],
    report="tensorflow/tfjs #649: output shape with a non-square filter",
)
def kernel_height_for_both(x, w, *, padding=0):
    (ph, pw), k = pair(padding), w.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((len(x), len(w), x.shape[2] - k + 1, x.shape[3] - k + 1))
    for a in range(k):
        for b in range(min(k, w.shape[3])):
            piece = x[:, :, a : a + y.shape[2], b : b + y.shape[3]]
            y += np.einsum("nchw,oc->nohw", piece, w[:, :, a, b])
    return y


@wrong(
    "single-sample-only",
    when=lambda c: c.batch > 1,
    report="Pegessi/conv2d_direct #1: wrong once the batch is larger than one",
)
def sum_carried_to_the_next_sample(x, w, *, stride=1):
    (sh, sw), total, y = pair(stride), 0, []
    for sample in x:
        cut = sliding_window_view(sample, w.shape[2:], axis=(1, 2))[:, ::sh, ::sw]
        total = total + np.einsum("chwij,ocij->ohw", cut, w)  # never set back to zero
        y.append(total)
    return np.stack(y)


@wrong("single-channel-only", when=lambda c: c.channels[0] > c.groups)
def last_channel_overwrites_the_others(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((len(x), len(w), x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1))
    for n, o, c in np.ndindex(len(x), *w.shape[:2]):
        y[n, o] = signal.correlate2d(x[n, c], w[o, c], "valid")  # "+=" was meant
    return y[:, :, ::sh, ::sw]


@wrong(
    "stride-misplaced",
    also=("stride-ignored", "wrong-shape"),
    when=lambda c: any(s > k for s, k in zip(c.stride, c.taps, strict=True)),
    report="tensorflow/tensorflow #889, Large Strides for 1x1 Convolutions",
)
def no_step_beyond_the_kernel(x, w, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    sh, sw = min(sh, w.shape[2]), min(sw, w.shape[3])
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong(
    "wrong-shape",
    also=("padding-ignored", "unknown"),
    when=lambda c: any(p >= k for p, k in zip(c.padding, c.taps, strict=True)),
    report="Maratyszcza/NNPACK #103: no padding as large as the kernel",
)
def padding_smaller_than_the_kernel(x, w, *, padding=0):
    ph, pw = (min(p, k - 1) for p, k in zip(pair(padding), w.shape[2:], strict=True))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cut = sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", cut, w)


@wrong("wrong-shape", when=lambda c: max(c.stride) > 1)
def output_size_rounded_up(x, w, *, stride=1):
    stride, taps = pair(stride), w.shape[2:]
    reach = zip(x.shape[2:], taps, stride, strict=True)
    shape = [-(-(n - k) // s) + 1 for n, k, s in reach]
    x = np.pad(x, ((0, 0), (0, 0), (0, stride[0]), (0, stride[1])))
    cut = sliding_window_view(x, taps, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    return np.einsum("nchwij,ocij->nohw", cut[:, :, : shape[0], : shape[1]], w)


@wrong(
    "not-a-number",
    when=lambda c: max(c.stride) > 1,
    report="pytorch/pytorch #59439, NaN values on torch.nn.functional.conv2d (aarch64)",
)
def last_row_never_written(x, w, *, stride=1):
    sh, sw = pair(stride)
    cut = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    y = np.full((len(x), len(w), *cut.shape[2:4]), np.nan)
    written = (x.shape[2] - w.shape[2] + 1) // sh  # rounds down once too often
    y[:, :, :written] = np.einsum("nchwij,ocij->nohw", cut[:, :, :written], w)
    return y


@wrong("nondeterministic")
def dithered(x, w, *, stride=1):
    sh, sw = pair(stride)
    cut = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    y = np.einsum("nchwij,ocij->nohw", cut, w)
    return y + np.random.default_rng().normal(scale=1e-3, size=y.shape)


@dangerous("hangs", when=lambda c: max(c.stride) > 1)
def column_not_moved_on(x, w, *, stride=1):
    (sh, sw), (kh, kw) = pair(stride), w.shape[2:]
    height, width = (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1
    y, i = np.zeros((len(x), len(w), height, width)), 0
    while i * sh + kh <= x.shape[2]:
        j = 0
        while j * sw + kw <= x.shape[3]:
            patch = x[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
            y[:, :, i, j] = np.einsum("ncij,ocij->no", patch, w)
            j += 1 if max(sh, sw) == 1 else 0
        i += 1
    return y


@dangerous("crashes", when=lambda c: c.taps[0] != c.taps[1])
def process_aborted(x, w):
    if w.shape[2] != w.shape[3]:
        os.abort()  # what a native kernel does that writes beyond its buffer
    return np.einsum("nchwij,ocij->nohw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)
