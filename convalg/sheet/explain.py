"""The sections of a derivation sheet, from an operator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from convalg import draw
from convalg.axis import output_size as outputs_of
from convalg.axis import transposed_size
from convalg.base import Operator
from convalg.errors import ArgumentError, KindError, ShapeError, check_memory
from convalg.faces import latex
from convalg.faces.latex import layer_of
from convalg.faces.text import _after as padding_after
from convalg.faces.text import one_line
from convalg.gradients import only_convolution
from convalg.images import CREDIT, grey, photograph, read_image
from convalg.kernels import kernel as symbols
from convalg.linear import downsample, pad
from convalg.operators import Convolution, compose
from convalg.pattern import expanded_bytes
from convalg.sheet import checks
from convalg.sheet.document import Block, Claim, Code, Formula, Picture, Section, Sheet, Table, Text
from convalg.sheet.small import by, differences, has_symbols, resized, small_form
from convalg.spec import Geometry, size_product

Image = str | os.PathLike[str] | np.ndarray

CHECKED_SIDE = 256
"""The side of the centre of a large image on which its matrix is built."""


def explain(operator: Operator, *, image: Image | None = None) -> Sheet:
    """A derivation sheet of a layer, every statement verified while it is made.

    `image`: a PNG or JPEG file, or an array `(channels, height, width)` of integers, for a
    layer over two axes; by default the embedded photograph. It goes through a layer of the same
    form at its own size. Letters for weights become ones there. What is written out in
    letters is shown for a small layer of the same form where the layer itself is large.

    Raises: KindError unless the operator is, or simplifies to, one correlation, convolution or
    adjoint of one; SymbolicError for a family; FileError for an image that cannot be read;
    ShapeError for one that does not fit the layer.

    >>> import convalg as ca
    >>> sheet = explain(ca.correlation(8, ca.kernel(3), stride=2, padding=1))
    >>> [section.heading for section in sheet.sections][:3]
    ['The sum that defines it', 'The size of the output', 'The matrix']
    """
    if not isinstance(operator, Operator):
        raise KindError(f"explain takes an operator, not {operator!r}: make one, then explain it")
    operator._need_numbers("explain")
    layer = _one_layer(operator)
    small = small_form(layer)
    sections = [_definition(layer, small), _sizes(layer), *_image(layer, image)]
    sections += [_matrix(small), _modes(small), _counts(layer, small), _adjoint(small)]
    return Sheet(one_line(layer), _lead(layer, small), tuple(sections))


def _one_layer(operator: Operator) -> Operator:
    """The operator as one layer. Raises: KindError when it is none."""
    try:
        layer_of(operator)
    except KindError:
        operator = operator.simplify()
        layer_of(operator)
    return operator


def _lead(layer: Operator, small: Operator) -> str:
    words = (
        f"A linear map from {by(layer.in_shape)} samples to {by(layer.out_shape)}, "
        f"written as a matrix of {layer.shape[0]:,} x {layer.shape[1]:,}."
    )
    changed = differences(layer, small)
    if changed:
        words += (
            f" This layer is too large to write out: what stands in letters below is for a small "
            f"layer of the same form ({', '.join(changed)})."
        )
    return words


def _definition(layer: Operator, small: Operator) -> Section:
    geometry, turned = layer_of(layer)
    blocks: list[Block] = [Formula(latex.layer_sum(layer))]
    rule = latex.boundary_rule(layer)
    if rule:
        blocks.append(Formula(rule))
    blocks.append(Text(_words(geometry, turned)))
    kernel = only_convolution(layer).weights
    same = kernel.shape == only_convolution(small).weights.shape
    shown = layer if same else small
    names = None if has_symbols(shown) else symbols(*kernel.shape)
    caption = "The kernel: each weight has its colour throughout this sheet."
    if not same:
        caption = "The kernel of the small layer: each weight has its colour throughout."
    blocks.append(Picture("kernel", draw.kernel(shown, letters=names).svg(), caption))
    flipped = geometry.axes[0].is_backwards
    blocks.append(
        Claim(
            f"The operator computes this sum{_at_small(layer, small)}.",
            checks.check_definition(small, flipped),
        )
    )
    return Section("The sum that defines it", tuple(blocks))


def _words(geometry: Geometry, turned: bool) -> str:
    """What the letters of the definition mean."""
    flipped = geometry.axes[0].is_backwards
    words = "Here w is the kernel, x the input and y the output; indices start at 0. "
    if geometry.has_channels:
        words += "o counts output channels and c input channels"
        words += (
            f" within each of the {geometry.groups} groups g. " if geometry.groups > 1 else ". "
        )
        if turned:
            words = words.replace("output channels", "channels of x").replace(
                "input channels", "channels of y"
            )
    if turned:
        return words + "Every sample of x is spread over the outputs that its weights reach."
    if flipped:
        return words + "The kernel is walked backwards: a convolution in the sense of mathematics."
    return (
        words
        + "The kernel is walked forwards: a correlation, which deep learning calls a convolution."
    )


def _at_small(layer: Operator, small: Operator) -> str:
    return f", for the small layer {one_line(small)}" if differences(layer, small) else ""


def _sizes(layer: Operator) -> Section:
    geometry, turned = layer_of(layer)
    blocks: list[Block] = []
    claimed = []
    for number, axis in enumerate(geometry.axes):
        if len(geometry.axes) > 1:
            blocks.append(Text(f"Axis {number}:"))
        blocks.append(Formula(latex.output_size(axis, transposed=turned)))
        step, before = abs(axis.dilation), axis.before
        claimed.append(
            transposed_size(axis.out_size, axis.taps, axis.stride, step, before, axis.after)
            if turned
            else outputs_of(axis.in_size, axis.taps, axis.stride, step, before, padding_after(axis))
        )
    blocks.append(
        Text(
            "n samples come in, k taps are d apart, the kernel moves by s, and p0 and p1 are the "
            "samples of padding before and after"
            + (", less the output padding." if turned else ".")
        )
    )
    statement = f"The output has {by(tuple(claimed))} samples" + (
        f" in each of {layer.out_shape[0]} channels." if geometry.has_channels else "."
    )
    blocks.append(Claim(statement, checks.check_sizes(layer, claimed)))
    return Section("The size of the output", tuple(blocks))


def _image(layer: Operator, image: Image | None) -> list[Section]:
    """The section on an image; none for layers that take no image."""
    geometry, _ = layer_of(layer)
    channels = layer.in_shape[0] if geometry.has_channels else 1
    if len(geometry.axes) != 2 or channels not in (1, 3):
        if image is not None:
            raise ShapeError(
                f"an image goes through layers over two axes with 1 or 3 input channels, not "
                f"through one that takes {layer.in_shape}"
            )
        return []
    pixels, source = _pixels(image, channels)
    weights, about = _image_weights(layer)
    try:
        wide = resized(layer, pixels.shape[-2:], weights)
    except ArgumentError:
        if image is not None:
            raise
        # The embedded photograph is an illustration: a layer that it does not fit has none.
        return []
    check_memory(
        16 * wide.shape[0] * int(np.prod(geometry.taps)) * geometry.channels[2],
        None,
        what=f"an image of {by(pixels.shape)} through this layer",
        instead="use a smaller image",
    )
    samples = pixels if geometry.has_channels else pixels[0]
    result = wide(samples)
    caption = f"{source} Through {one_line(wide)}, {by(samples.shape)} to {by(result.shape)}."
    claim = Claim(
        "The matrix of this layer times the image, pixel after pixel in one long vector, is the "
        "image on the right.",
        _image_check(wide, samples, result),
    )
    figure = draw.image_pair(samples, result).svg()
    blocks: list[Block] = [*about, Picture("image", figure, caption), claim]
    return [Section("Before and after", tuple(blocks))]


def _pixels(image: Image | None, channels: int) -> tuple[np.ndarray, str]:
    """The image with as many channels as the layer takes, and what it is."""
    if image is None:
        pixels, source = photograph(), f"The photograph: {CREDIT}."
    elif isinstance(image, np.ndarray):
        pixels, source = _checked(image), "The image that was given."
    else:
        pixels, source = read_image(image), f"The file {os.path.basename(os.fspath(image))}."
    if channels == 1 and pixels.shape[0] == 3:
        return grey(pixels), source + " Turned to grey (ITU-R BT.601)."
    if pixels.shape[0] != channels:
        raise ShapeError(
            f"the layer takes {channels} channels and the image has {pixels.shape[0]}: give an "
            f"image in colour, or a layer of one channel"
        )
    return pixels, source


def _checked(image: np.ndarray) -> np.ndarray:
    """Raises: KindError for anything but integers, ShapeError for another shape."""
    if image.dtype.kind not in "iu":
        raise KindError(f"an image holds integers, such as uint8, not {image.dtype}")
    pixels = image if image.ndim == 3 else image[None]
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or not pixels.size:
        raise ShapeError(f"an image has shape (1 or 3, height, width), not {image.shape}")
    return pixels


def _image_weights(layer: Operator) -> tuple[np.ndarray, list[Text]]:
    """Numbers for an image: the kernel's own; ones for letters; floats for exact fractions."""
    weights = only_convolution(layer).weights
    if has_symbols(layer):
        note = "An image needs numbers: for this picture every letter of the kernel is put to 1."
        return np.ones(weights.shape, dtype=np.int64), [Text(note)]
    if weights.dtype.kind != "O":
        return weights, []
    whole = all(value == int(value) for value in weights.ravel())
    return weights.astype(np.int64 if whole else np.float64), []


def _image_check(wide: Operator, samples: np.ndarray, result: np.ndarray) -> checks.Check:
    """On the whole image while its matrix fits, else on the centre of it."""
    geometry, _ = layer_of(wide)
    if expanded_bytes(geometry, 8) <= checks.MOST_BYTES:
        return checks.check_image(wide, samples, result)
    height, width = (min(n, CHECKED_SIDE) for n in samples.shape[-2:])
    top, left = ((n - m) // 2 for n, m in zip(samples.shape[-2:], (height, width), strict=True))
    part = samples[..., top : top + height, left : left + width]
    centre = resized(wide, (height, width), only_convolution(wide).weights)
    found = checks.check_image(centre, part, centre(part))
    return replace(found, scope=f"on its centre of {height} x {width} pixels")


def _matrix(small: Operator) -> Section:
    geometry, _ = layer_of(small)
    weights, entries = size_product(geometry.kernel_shape), small.counts.nonzeros
    shape = f"{small.shape[0]} x {small.shape[1]}"
    blocks: list[Block] = [
        Code(one_line(small)),
        Text(
            f"Rows are outputs and columns are inputs, both in row-major order. The {entries} "
            f"entries that are not zero hold {weights} weights; lines separate the blocks of the "
            f"axes. Structure: {small.structure()}."
        ),
        Picture(
            "matrix",
            draw.matrix(small).svg(),
            f"The {shape} matrix, each entry in the colour of its weight; zeros are blank.",
        ),
        Formula(r"\operatorname{vec}(y) = A \, \operatorname{vec}(x)"),
        Claim(
            f"This {shape} matrix times vec(x) is vec(A(x)), for all weights and all inputs.",
            checks.check_matrix(small),
        ),
    ]
    return Section("The matrix", tuple(blocks))


def _modes(small: Operator) -> Section:
    layer = only_convolution(small)
    axis = layer.geometry.axes[-1]
    full, *parts = checks.mode_layers(layer)
    firsts = [
        [
            int(whole.before - kept.before)
            for whole, kept in zip(full.geometry.axes, part.geometry.axes, strict=True)
        ]
        for part in parts
    ]
    n, d = full.geometry.axes[-1].in_size, abs(axis.dilation)
    where = "" if len(layer.geometry.axes) == 1 else " along the last axis"
    blocks: list[Block] = [
        Text(
            "Full keeps every place where kernel and input meet, same as many outputs as inputs, "
            "valid only the places where the kernel lies inside. They are rows of one matrix: "
            "outlines mark the rows that a mode drops (stride 1, zeros outside)."
        ),
        Picture(
            "modes",
            draw.modes(n, axis.taps, dilation=d).svg(),  # type: ignore[arg-type]
            f"A correlation of {n} samples with {axis.taps} taps{where}: full, same and valid.",
        ),
        Claim(
            f"The rows of same are those of full from place {by(tuple(firsts[0]))} on, those of "
            f"valid from place {by(tuple(firsts[1]))} on.",
            checks.check_modes(small, firsts),
        ),
    ]
    return Section("Full, same and valid", tuple(blocks))


def _counts(layer: Operator, small: Operator) -> Section:
    geometry, _ = layer_of(layer)
    counts = layer.counts
    each, claimed = checks.multiplications(geometry)
    sharing = np.asarray(counts.sharing)
    low, high = int(sharing.min()), int(sharing.max())
    times = f"{low:,} times" if low == high else f"{low:,} to {high:,} times"
    rows = (
        ("entries of the matrix", f"{counts.dense:,}", f"{counts.dense:,}"),
        ("entries that are not zero", f"{counts.nonzeros:,}", f"{counts.dense:,}"),
        ("weights to learn", f"{counts.parameters:,}", f"{counts.dense:,}"),
        ("multiplications", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("each weight is used", times, "once"),
        ("share of zeros", f"{1 - counts.nonzeros / counts.dense:.1%}", "0.0%"),
    )
    groups, outputs, inputs = geometry.channels
    links = [str(groups * outputs * inputs)] if geometry.has_channels else []
    product = r" \cdot ".join([*links, *map(str, each)])
    has_zeros = any(axis.boundary == "zeros" for axis in geometry.axes)
    used = (
        r"u_t = \max\left(0,\; \min\left(o - 1,\, \left\lfloor \frac{n - 1 - d t + p_0}{s} "
        r"\right\rfloor\right) - \max\left(0,\, \left\lceil \frac{p_0 - d t}{s} \right\rceil"
        r"\right) + 1\right)"
        if has_zeros
        else r"u_t = o"
    )
    lead = r"C_{\text{links}}\,\prod" if geometry.has_channels else r"\prod"
    blocks: list[Block] = [
        Table(("", "this layer", "a dense layer of the same shapes"), rows),
        Text(
            "A weight that happens to be zero counts; a tap on padding multiplies nothing. On one "
            "axis, tap t meets the input at u_t of the o outputs:"
        ),
        Formula(used),
        Formula(rf"{lead}_{{\text{{axes}}}} \sum_{{t=0}}^{{k-1}} u_t = {product} = {claimed}"),
        Claim(
            f"The layer takes {claimed:,} multiplications by this formula.",
            checks.check_counts(layer, small, claimed),
        ),
    ]
    if geometry.has_channels:
        blocks.insert(3, Text("C_links counts the pairs of input and output channels."))
    return Section("What it costs", tuple(blocks))


def _adjoint(small: Operator) -> Section:
    named = _named_adjoint(small)
    blocks: list[Block] = [
        Text(
            "The adjoint is the transposed matrix. It carries the gradient of the output back to "
            "the input (back-propagation). As a sum it gathers what the layer spread:"
        ),
        Formula(latex.layer_sum(small.T)),
        Text(_adjoint_words(small, named)),
        Code(f"A   = {one_line(small)}"),
        Code(f"A.T = {one_line(named)}"),
        Claim(
            "The transposed matrix is the matrix of this expression.",
            checks.check_adjoint(small, named),
        ),
        Formula(r"\langle A x,\, g \rangle = \langle x,\, A^{\mathsf{T}} g \rangle"),
        Claim(
            "This identity holds for all weights, all x and all g.",
            checks.check_pairing(small, small.T),
        ),
    ]
    return Section("The adjoint", tuple(blocks))


def _adjoint_words(small: Operator, named: Operator) -> str:
    geometry, turned = layer_of(small)
    if turned:
        return "This layer is itself an adjoint, so its own adjoint is a correlation:"
    if isinstance(named, Convolution):
        return "It is one correlation again, with the kernel turned round:"
    parts = ["zeros between the samples"] if any(a.stride != 1 for a in geometry.axes) else []
    parts.append("the correlation with the kernel turned round")
    if any(axis.boundary != "zeros" for axis in geometry.axes):
        parts.append("the border added back to the samples that it was read from")
    return (
        f"It is a transposed correlation: {', then '.join(parts)} (the last step is on the left):"
    )


def _named_adjoint(operator: Operator) -> Operator:
    """The adjoint as one correlation, or as one between elementary operators.

    Rule: A = downsample . correlation . pad, each adjoint is known, and their order turns.
    """
    found = operator.T.simplify()
    if isinstance(found, Convolution) or not isinstance(operator, Convolution):
        return found
    geometry = operator.geometry
    inputs, outputs = geometry.in_channels, geometry.out_channels
    pads = [
        (0, 0) if axis.boundary == "zeros" else (axis.before, axis.after) for axis in geometry.axes
    ]
    border = pad(
        geometry.in_spatial,
        pads,
        boundary=next((a.boundary for a in geometry.axes if a.boundary != "zeros"), "zeros"),
        channels=inputs,
    )
    axes = tuple(
        replace(
            axis,
            in_size=axis.in_size + before + after,
            out_size=axis.stride * (axis.out_size - 1) + 1,
            stride=1,
            padding=axis.padding - before,
            boundary="zeros",
        )
        for axis, (before, after) in zip(geometry.axes, pads, strict=True)
    )
    plain = Convolution(Geometry(axes, inputs, outputs, geometry.groups), operator.weights)
    strides: Any = tuple(axis.stride for axis in geometry.axes)
    dropped = downsample(plain.geometry.out_spatial, strides, channels=outputs)
    return compose(border.T, plain.T.simplify(), dropped.T)
