"""Data sets: one that is always there, files, image folders, and how samples are ordered and moved.

Images are (samples, channels, *spatial), as floats in 0..1; labels count the classes from 0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from importlib import resources
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convalg.arguments import a_kind
from convalg.arrays import as_array
from convalg.errors import ArgumentError, FileError, KindError, ShapeError
from convalg.images import read_image
from convalg.limits import check_memory, check_room
from convalg.size import as_integer, as_shape
from convalg.train.idx import read_idx

__all__ = [
    "check_data",
    "digits",
    "order",
    "read_idx",
    "read_images",
    "shifted",
    "split",
]

Array = np.ndarray
Labelled = tuple[Array, Array]

CREDIT = "Optical Recognition of Handwritten Digits, by E. Alpaydin and C. Kaynak (UCI, CC BY 4.0)"

_BLACK = 16
_SUFFIXES = (".png", ".jpg", ".jpeg")
_CHUNK = 1024


def digits() -> Labelled:
    """The embedded handwritten digits: images (1797, 1, 8, 8) float32 in 0..1, labels int64.

    Source: the test set of Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak
    (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.

    >>> images, labels = digits()
    >>> images.shape, labels[:10].tolist()
    ((1797, 1, 8, 8), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    with resources.files("convalg").joinpath("assets", "digits.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        images, labels = stored["images"], stored["labels"]
    return images[:, None].astype(np.float32) / _BLACK, labels.astype(np.int64)


def read_images(
    folder: str | os.PathLike[str], *, size: int | tuple[int, int] | None = None
) -> tuple[Array, Array, list[str]]:
    """The images of a folder that has one sub-folder per class: images, labels, names of classes.

    Shapes: images (N, 1 or 3, height, width) float32 in 0..1; labels (N,) int64, the place of the
    sub-folder in the sorted names. `size`, one number or (height, width), resizes each image.
    Rule: PNG and JPEG files by their suffix; other files, and names that start with a dot, are
    passed over.

    Raises: FileError when there is none, one is broken, or one has another size or number of
    channels than the first; TooLargeError before memory runs out.

    >>> import tempfile, pathlib
    >>> from convalg.images import photograph
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "tac"):
    ...         pathlib.Path(folder, name).mkdir()
    ...         picture = Image.fromarray(photograph()[0])
    ...         picture.save(pathlib.Path(folder, name, "1.png"))
    ...     images, labels, names = read_images(folder, size=16)
    >>> images.shape, labels.tolist(), names
    ((2, 1, 16, 16), [0, 1], ['cat', 'tac'])
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise KindError(f"images are read from a folder's path, not a {type(folder).__name__}")
    wanted = None if size is None else as_shape(size if isinstance(size, tuple) else (size, size))
    if wanted is not None and (len(wanted) != 2 or any(type(n) is not int for n in wanted)):
        raise ShapeError(f"size must be one number of pixels or (height, width), not {size!r}")
    classes = [place for place in _listed(Path(folder)) if os.path.isdir(place)]
    files = [
        (label, place)
        for label, inner in enumerate(classes)
        for place in _listed(inner)
        if place.suffix.lower() in _SUFFIXES
    ]
    if not files:
        raise FileError(
            f"{str(folder)!r} has no PNG or JPEG files in sub-folders: give a folder with one "
            f"sub-folder per class"
        )
    names = [place.name for place in classes]
    images = _stacked([place for _, place in files], wanted)
    return images, np.array([label for label, _ in files], dtype=np.int64), names


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(place for place in folder.iterdir() if not place.name.startswith("."))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot list {str(folder)!r} ({reason}): give a folder") from None


def _stacked(places: list[Path], size: tuple[int, int] | None) -> Array:
    """All images in one array, whose memory is asked for once the first is known."""
    images = np.empty(0, dtype=np.float32)
    for k, place in enumerate(places):
        pixels = read_image(place)
        if size is not None:
            pixels = _resized(pixels, size)
        if k == 0:
            check_memory(
                4 * len(places) * pixels.size,
                None,
                what=f"{len(places):,} images",
                instead="give a smaller size=",
                fixed=True,
            )
            images = np.empty((len(places), *pixels.shape), dtype=np.float32)
        if pixels.shape != images.shape[1:]:
            raise FileError(
                f"{str(place)!r} has channels, height and width {pixels.shape}, but "
                f"{str(places[0])!r} has {images.shape[1:]}: give size= for another height and "
                f"width, and images that are all grey or all coloured"
            )
        images[k] = pixels
    images /= 255
    return images


def _resized(pixels: Array, size: tuple[int, int]) -> Array:
    from PIL import Image

    height, width = size
    way = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(p).resize((width, height), way)) for p in pixels])


def split(
    images: Any, labels: Any, *, test: float = 0.2, seed: int = 0
) -> tuple[Labelled, Labelled]:
    """A training set and a test set: (images, labels) twice, shuffled, of all samples.

    Rule: round(test * samples) samples are the test set, drawn by `seed`. Where the labels are
    integers, one for each sample, every class gives its share of them, to within one sample.

    Raises: ArgumentError when one of the sets would be empty; ShapeError when there are not as
    many labels as images.

    >>> (images, labels), (test_images, test_labels) = split(*digits(), test=0.25)
    >>> len(images), len(test_images)
    (1348, 449)
    """
    images, labels = as_array(images, "images"), as_array(labels, "labels")
    count = _count(images, labels)
    if isinstance(test, bool) or not isinstance(test, Real):
        raise KindError(f"test must be a number, the share of the test set, not {test!r}")
    share = round(test * count) if math.isfinite(test) else 0
    if not 0 < share < count:
        raise ArgumentError(
            f"test={test} of {count} samples leaves nothing to test or to train on: "
            f"give a share between 0 and 1"
        )
    shuffled = order(seed, 0, count)
    in_line = shuffled
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        in_line = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Every so many along the line: exactly `share` of them, evenly over the classes.
    steps = np.arange(count + 1) * share // count
    is_test = np.zeros(count, dtype=bool)
    is_test[in_line[np.diff(steps) > 0]] = True
    train, held = shuffled[~is_test[shuffled]], shuffled[is_test[shuffled]]
    return (images[train], labels[train]), (images[held], labels[held])


def order(seed: int, epoch: int, count: int) -> Array:
    """The order of the samples in one epoch, a permutation of 0 .. count - 1.

    Rule: it depends on the arguments alone, so that a run that was resumed sees the same batches.

    Raises: KindError and ArgumentError unless they are integers of at least 0; TooLargeError
    before memory runs out.

    >>> sorted(order(0, 3, 5).tolist()), order(0, 3, 5).tolist() == order(0, 3, 5).tolist()
    ([0, 1, 2, 3, 4], True)
    """
    numbers = [
        as_integer(value, name, least=0)
        for value, name in ((seed, "seed"), (epoch, "epoch"), (count, "count"))
    ]
    check_memory(
        numbers[2] * 8,
        None,
        what=f"the order of {numbers[2]:,} samples",
        instead="train on a part of the samples at a time",
        fixed=True,
    )
    sequence = np.random.SeedSequence(numbers[0], spawn_key=(numbers[1],))
    return np.random.default_rng(sequence).permutation(numbers[2])


def shifted(images: Array, random: np.random.Generator, by: int = 1, *, dims: int = 2) -> Array:
    """Each image moved by up to `by` pixels along each of its `dims` spatial axes, zeros coming in.

    Shapes: images (*batch, channels, *spatial), and the result the same.
    Rule: for each sample and axis one of -by .. by, all as likely; the image is `shift` of it.

    Raises: ShapeError unless there are axes for a channel and `dims` more; KindError unless the
    images are real numbers and `random` a generator of NumPy; ArgumentError for a negative `by`;
    TooLargeError where the images with their border would not fit.

    >>> moved = shifted(np.ones((1, 1, 3, 3)), np.random.default_rng(1))
    >>> int(moved.sum()) in (4, 6, 9)
    True
    """
    images = _as_array(images)
    a_kind(random, np.random.Generator, "random must be a generator, as np.random.default_rng(0)")
    by, dims = as_integer(by, "by", least=0), as_integer(dims, "dims")
    if images.ndim < dims + 1:
        raise ShapeError(
            f"images must have a channel axis before {dims} spatial ones, not shape {images.shape}"
        )
    spatial = images.shape[images.ndim - dims :]
    flat = images.reshape(-1, *images.shape[images.ndim - dims - 1 :])
    # The moves are drawn before anything else: they depend on the number of samples alone.
    moves = random.integers(-by, by, size=(dims, len(flat)), endpoint=True)
    bordered = (*flat.shape[:2], *(n + 2 * by for n in spatial))
    check_room(math.prod(bordered), images.itemsize, f"a border of {by} pixels round the images")
    padded = np.zeros(bordered, dtype=images.dtype)
    inner: tuple[Any, ...] = (..., *(slice(by, by + n) for n in spatial))
    padded[inner] = flat
    windows = sliding_window_view(padded, spatial, axis=tuple(range(2, 2 + dims)))
    places: tuple[Any, ...] = (np.arange(len(flat)), slice(None), *(by - move for move in moves))
    return windows[places].reshape(images.shape)


def check_data(images: Any, labels: Any, in_shape: tuple[int, ...]) -> Array:
    """The images as an array that a network of this input shape can take.

    The labels are counted; what they may be is the loss's to say.

    Raises: KindError unless the images are real numbers; ShapeError unless they are
    (samples, *in_shape), at least one, with as many labels; ArgumentError for the first that is
    not finite.

    >>> check_data([[[0.5, 1.0]]], [1], (1, 2)).shape
    (1, 1, 2)
    """
    array = _as_array(images)
    in_shape = tuple(as_integer(size, "in_shape") for size in as_shape(in_shape, "in_shape"))
    if array.shape[1:] != in_shape:
        hint = (
            f", such as images[:, None] for {in_shape[0]} channel" if in_shape[:1] == (1,) else ""
        )
        raise ShapeError(
            f"images must have shape (samples, {', '.join(map(str, in_shape))}), the network's "
            f"input, not {array.shape}{hint}"
        )
    _count(array, as_array(labels, "labels"))
    for place in _wild(array):
        raise ArgumentError(
            f"images{list(place)} is {array[place]}: every pixel must be a finite number"
        )
    return array


def _as_array(images: Any) -> Array:
    array = as_array(images, "images")
    if array.dtype.kind not in "biuf":
        raise KindError(f"images must be real numbers, not {array.dtype}")
    return array


def _count(images: Array, labels: Array) -> int:
    """How many samples there are. Raises: ShapeError unless there are as many labels."""
    if not images.ndim or not images.size:
        raise ShapeError(f"there must be at least one image, not an array of shape {images.shape}")
    if labels.shape[:1] != images.shape[:1]:
        raise ShapeError(
            f"there are {len(images):,} images, but labels of shape {labels.shape}: "
            f"each image needs one"
        )
    return len(images)


def _wild(array: Array) -> Iterator[tuple[int, ...]]:
    """The places that are not finite, looked for by pieces: a mask of all would take memory."""
    if array.dtype.kind != "f":
        return
    for start in range(0, len(array), _CHUNK):
        wrong = ~np.isfinite(array[start : start + _CHUNK])
        if wrong.any():
            for place in np.argwhere(wrong).tolist():
                yield (start + place[0], *place[1:])
