"""Data sets: an embedded one, files and image folders, and the order and shifts of samples.

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
    """Return the embedded handwritten digits: images (1797, 1, 8, 8) float32 in 0..1, int64 labels.

    Source: the test set of Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak
    (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.

    >>> import convalg as ca
    >>> images, labels = ca.data.digits()
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
    """Read the images of a folder that has one sub-folder per class.

    Args:
        folder: the folder. PNG and JPEG files are recognised by their suffix; other files, and
            names that start with a dot, are ignored.
        size: one number or (height, width), to which each image is resized.

    Returns:
        Images (N, 1 or 3, height, width) float32 in 0..1; labels (N,) int64, the index of the
        sub-folder in the sorted names; and the names of the classes.

    Raises:
        FileError: when there are no images, one is broken, or one differs from the first in size
            or number of channels.
        TooLargeError: before memory runs out.
        KindError, ShapeError: for a folder that is not a path, or an invalid size.

    >>> import convalg as ca
    >>> import tempfile, pathlib
    >>> from convalg.images import photograph
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "tac"):
    ...         pathlib.Path(folder, name).mkdir()
    ...         picture = Image.fromarray(photograph()[0])
    ...         picture.save(pathlib.Path(folder, name, "1.png"))
    ...     images, labels, names = ca.data.read_images(folder, size=16)
    >>> images.shape, labels.tolist(), names
    ((2, 1, 16, 16), [0, 1], ['cat', 'tac'])
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise KindError(f"images are read from a folder's path, not a {type(folder).__name__}")
    image_size = (
        None if size is None else as_shape(size if isinstance(size, tuple) else (size, size))
    )
    if image_size is not None and (
        len(image_size) != 2 or any(type(n) is not int for n in image_size)
    ):
        raise ShapeError(f"size must be one number of pixels or (height, width), not {size!r}")
    classes = [path for path in _entries(Path(folder)) if os.path.isdir(path)]
    files = [
        (label, path)
        for label, inner in enumerate(classes)
        for path in _entries(inner)
        if path.suffix.lower() in _SUFFIXES
    ]
    if not files:
        raise FileError(
            f"{str(folder)!r} has no PNG or JPEG files in sub-folders: pass a folder with one "
            f"sub-folder per class"
        )
    names = [path.name for path in classes]
    images = _stacked([path for _, path in files], image_size)
    return images, np.array([label for label, _ in files], dtype=np.int64), names


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot list {str(folder)!r} ({reason}): pass a folder") from None


def _stacked(paths: list[Path], size: tuple[int, int] | None) -> Array:
    """Return all images in one array, allocated when the size of the first is known."""
    images = np.empty(0, dtype=np.float32)
    for k, path in enumerate(paths):
        pixels = read_image(path)
        if size is not None:
            pixels = _resized(pixels, size)
        if k == 0:
            check_memory(
                4 * len(paths) * pixels.size,
                None,
                what=f"{len(paths):,} images",
                instead="pass a smaller size=",
                fixed=True,
            )
            images = np.empty((len(paths), *pixels.shape), dtype=np.float32)
        if pixels.shape != images.shape[1:]:
            raise FileError(
                f"{str(path)!r} has channels, height and width {pixels.shape}, but "
                f"{str(paths[0])!r} has {images.shape[1:]}: pass size= for one height and "
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
    images: object, labels: object, *, test: float = 0.2, seed: int = 0
) -> tuple[Labelled, Labelled]:
    """Split all samples into a shuffled training set and test set, (images, labels) each.

    The test set has round(test * samples) samples, drawn by `seed`. If the labels are integers, one
    per sample, the split is stratified: each class contributes its share, to within one sample.

    Args:
        images: an array (samples, ...).
        labels: an array (samples, ...).
        test: the share of the test set, between 0 and 1.
        seed: the seed of the shuffle.

    Raises:
        ArgumentError: when one of the sets would be empty.
        ShapeError: when the numbers of labels and images differ.
        KindError: when `test` is not a number.

    >>> import convalg as ca
    >>> train, test = ca.data.split(*ca.data.digits(), test=0.25)
    >>> len(train[0]), len(test[0])
    (1348, 449)
    """
    images, labels = as_array(images, "images"), as_array(labels, "labels")
    count = _count(images, labels)
    if isinstance(test, bool) or not isinstance(test, Real):
        raise KindError(f"test must be a number, the share of the test set, not {test!r}")
    share = round(test * count) if math.isfinite(test) else 0
    if not 0 < share < count:
        raise ArgumentError(
            f"test={test} of {count} samples leaves no samples for testing or for training: "
            f"pass a share between 0 and 1"
        )
    shuffled = order(seed, 0, count)
    in_line = shuffled
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        in_line = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Samples at regular intervals of this order: exactly `share`, evenly over the classes.
    steps = np.arange(count + 1) * share // count
    is_test = np.zeros(count, dtype=bool)
    is_test[in_line[np.diff(steps) > 0]] = True
    train, held = shuffled[~is_test[shuffled]], shuffled[is_test[shuffled]]
    return (images[train], labels[train]), (images[held], labels[held])


def order(seed: int, epoch: int, count: int) -> Array:
    """Return the order of the samples in one epoch, a permutation of 0 .. count - 1.

    It depends on the arguments alone, so that a resumed run has the same batches.

    Args:
        seed, epoch, count: integers of at least 0.

    Raises:
        KindError, ArgumentError: unless they are integers of at least 0.
        TooLargeError: before memory runs out.

    >>> import convalg as ca
    >>> sorted(ca.data.order(0, 3, 5).tolist())
    [0, 1, 2, 3, 4]
    >>> bool((ca.data.order(0, 3, 5) == ca.data.order(0, 3, 5)).all())
    True
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
    """Shift each image randomly by up to `by` pixels along each spatial axis, filling with zeros.

    For each sample and axis the shift is one of -by .. by with equal probability; the result is
    `shift` of the image.

    Args:
        images: an array (*batch, channels, *spatial); the result has the same shape.
        random: a NumPy generator.
        by: the largest shift.
        dims: the number of spatial axes.

    Raises:
        ShapeError: unless there is a channel axis and `dims` spatial ones.
        KindError: unless the images are real numbers and `random` is a NumPy generator.
        ArgumentError: for a negative `by`.
        TooLargeError: when the padded images would not fit in memory.

    >>> import convalg as ca
    >>> import numpy as np
    >>> moved = ca.data.shifted(np.ones((1, 1, 3, 3)), np.random.default_rng(1))
    >>> int(moved.sum()) in (4, 6, 9)
    True
    """
    images = _as_array(images)
    a_kind(random, np.random.Generator, "random must be a generator, as np.random.default_rng(0)")
    by, dims = as_integer(by, "by", least=0), as_integer(dims, "dims")
    if images.ndim < dims + 1:
        raise ShapeError(
            f"images must have a channel axis followed by {dims} spatial ones, not shape "
            f"{images.shape}"
        )
    spatial = images.shape[images.ndim - dims :]
    flat = images.reshape(-1, *images.shape[images.ndim - dims - 1 :])
    # The shifts are drawn first, so that they depend on the number of samples alone.
    moves = random.integers(-by, by, size=(dims, len(flat)), endpoint=True)
    bordered = (*flat.shape[:2], *(n + 2 * by for n in spatial))
    check_room(math.prod(bordered), images.itemsize, f"a border of {by} pixels around the images")
    padded = np.zeros(bordered, dtype=images.dtype)
    inner: tuple[Any, ...] = (..., *(slice(by, by + n) for n in spatial))
    padded[inner] = flat
    windows = sliding_window_view(padded, spatial, axis=tuple(range(2, 2 + dims)))
    index: tuple[Any, ...] = (np.arange(len(flat)), slice(None), *(by - move for move in moves))
    return windows[index].reshape(images.shape)


def check_data(images: object, labels: object, in_shape: tuple[int, ...]) -> Array:
    """Return the images as an array, validated as input of a network of this input shape.

    The labels are only counted; the loss validates them.

    Raises:
        KindError: unless the images are real numbers.
        ShapeError: unless they are (samples, *in_shape), at least one, with as many labels.
        ArgumentError: for the first pixel that is not finite.

    >>> import convalg as ca
    >>> ca.data.check_data([[[0.5, 1.0]]], [1], (1, 2)).shape
    (1, 1, 2)
    """
    array = _as_array(images)
    in_shape = tuple(as_integer(size, "in_shape") for size in as_shape(in_shape, "in_shape"))
    if array.shape[1:] != in_shape:
        hint = (
            f", such as images[:, None] for {in_shape[0]} channel" if in_shape[:1] == (1,) else ""
        )
        raise ShapeError(
            f"images must have shape (samples, {', '.join(map(str, in_shape))}) for the input of "
            f"the network, not {array.shape}{hint}"
        )
    _count(array, as_array(labels, "labels"))
    for index in _not_finite(array):
        raise ArgumentError(
            f"images{list(index)} is {array[index]}: every pixel must be a finite number"
        )
    return array


def _as_array(images: object) -> Array:
    array = as_array(images, "images")
    if array.dtype.kind not in "biuf":
        raise KindError(f"images must be real numbers, not {array.dtype}")
    return array


def _count(images: Array, labels: Array) -> int:
    """Return the number of samples. Raises: ShapeError unless there are as many labels."""
    if not images.ndim or not images.size:
        raise ShapeError(f"there must be at least one image, not an array of shape {images.shape}")
    if labels.shape[:1] != images.shape[:1]:
        raise ShapeError(
            f"there are {len(images):,} images, but labels of shape {labels.shape}: "
            f"each image needs one label"
        )
    return len(images)


def _not_finite(array: Array) -> Iterator[tuple[int, ...]]:
    """Yield the indices of non-finite entries, in chunks to save the memory of a full mask."""
    if array.dtype.kind != "f":
        return
    for start in range(0, len(array), _CHUNK):
        wrong = ~np.isfinite(array[start : start + _CHUNK])
        if wrong.any():
            for index in np.argwhere(wrong).tolist():
                yield (start + index[0], *index[1:])
