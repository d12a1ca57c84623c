"""The section of a sheet that filters an image."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

from convalg import draw
from convalg.errors import ArgumentError, ExactnessError, KindError, ShapeError, TooLargeError
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line
from convalg.images import CREDIT, grey, photograph, read_image
from convalg.limits import check_memory
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Operator
from convalg.pattern.pattern import Pattern
from convalg.sheet import verify_layer
from convalg.sheet.blocks import Block, Claim, Picture, Section, Text
from convalg.sheet.claims import by
from convalg.sheet.miniature import has_symbols, resized
from convalg.sheet.numeric_example import number_kernel
from convalg.size import size_product

Image = str | os.PathLike[str] | np.ndarray

CHECKED_SIDE = 256
"""The side of the central part of a large image for which the matrix is built."""


def image_sections(layer: Operator, image: Image | None) -> list[Section]:
    """Return the section on an image, or no section for layers that do not take images."""
    geometry, _ = layer_of(layer)
    channels = layer.in_shape[0] if geometry.has_channels else 1
    if len(geometry.axes) != 2 or channels not in (1, 3):
        if image is not None:
            raise ShapeError(
                f"image= needs a layer over two axes with 1 or 3 input channels, not one with "
                f"inputs of shape {layer.in_shape}: leave image= out"
            )
        return []
    pixels, source = _pixels(image, channels)
    weights, about = _image_weights(layer)
    samples = pixels if geometry.has_channels else pixels[0]
    try:
        wide = resized(layer, pixels.shape[-2:], weights)
        result = _applied(wide, samples)
    except (ArgumentError, ExactnessError, TooLargeError):
        if image is not None:
            raise
        # The embedded photograph is only an illustration; leave it out where it does not fit.
        return []
    caption = (
        f"{source} It is filtered by {one_line(wide)}, from {by(samples.shape)} to "
        f"{by(result.shape)}."
    )
    picture = Picture("image", ((caption, partial(draw.image_pair, samples, result)),))
    blocks: list[Block] = [*about, picture, _image_claim(wide, samples, result)]
    return [Section("On a real image", tuple(blocks))]


def _applied(wide: Operator, samples: np.ndarray) -> np.ndarray:
    """Apply the layer to the image; raise TooLargeError before exceeding the memory limit."""
    geometry, _ = layer_of(wide)
    positions = size_product(geometry.out_spatial)
    weights = size_product(geometry.taps) * geometry.channels[2] + geometry.channels[1]
    check_memory(
        # For each tap the engine stores the sample and its index, 8 bytes each.
        16 * positions * weights * geometry.groups,
        None,
        what=f"filtering an image of {by(samples.shape)} with this layer",
        instead="use a smaller image",
    )
    return wide(samples)


def _pixels(image: Image | None, channels: int) -> tuple[np.ndarray, str]:
    """The image with as many channels as the layer has inputs, and the source for its caption."""
    if image is None:
        pixels, source = photograph(), f"The photograph: {CREDIT}."
    elif isinstance(image, np.ndarray):
        pixels, source = _checked(image), "The given image."
    else:
        pixels, source = read_image(image), f"The file {os.path.basename(os.fspath(image))}."
    if channels == 1 and pixels.shape[0] == 3:
        return grey(pixels), source + " It is converted to grey (ITU-R BT.601)."
    if pixels.shape[0] != channels:
        raise ShapeError(
            f"the layer has {channels} input channels but the image has {pixels.shape[0]}: use a "
            f"colour image or a layer with one input channel"
        )
    return pixels, source


def _checked(image: np.ndarray) -> np.ndarray:
    """Return an image array as (channels, height, width); raise if its type or shape is wrong."""
    if image.dtype != np.uint8:
        raise KindError(
            f"an image array must be uint8, not {image.dtype}: convert it to uint8 values in 0..255"
        )
    pixels = image if image.ndim == 3 else image[None]
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or not pixels.size:
        raise ShapeError(
            f"an image array must have shape (height, width) or (1 or 3, height, width), not "
            f"{image.shape}"
        )
    return pixels


def _image_weights(layer: Operator) -> tuple[np.ndarray, list[Text]]:
    """Numerical weights for an image: small integers for symbols, floats for fractions."""
    weights = only_convolution(layer).weights
    if has_symbols(layer):
        note = (
            "An image needs numerical weights, so the symbols of the kernel are replaced by small "
            "integers in this figure. They are the weights of the numerical example below if its "
            "kernel has the same shape."
        )
        return number_kernel(weights.shape).astype(np.int64), [Text(note)]
    if weights.dtype.kind == "O":
        # Integers below 2**53 have the same value as float64.
        integral = all(value == int(value) and abs(value) < 2**53 for value in weights.ravel())
        return weights.astype(np.int64 if integral else np.float64), []
    return weights.astype(np.float64) if weights.dtype.kind == "f" else weights, []


def _image_claim(wide: Operator, samples: np.ndarray, result: np.ndarray) -> Claim:
    """Check the whole image if its matrix is small enough, else only the centre of the image."""
    geometry, _ = layer_of(wide)
    if Pattern(geometry).csr_bytes(8) <= verify_layer.MOST_BYTES:
        scope = f"on 1 image of {by(samples.shape)}"
        return verify_layer.image(wide, samples, result, scope)
    height, width = (min(n, CHECKED_SIDE) for n in samples.shape[-2:])
    top, left = ((n - m) // 2 for n, m in zip(samples.shape[-2:], (height, width), strict=True))
    part = samples[..., top : top + height, left : left + width]
    centre = resized(wide, (height, width), only_convolution(wide).weights)
    scope = f"on the centre of 1 image, {height} x {width}"
    return verify_layer.image(centre, part, centre(part), scope)
