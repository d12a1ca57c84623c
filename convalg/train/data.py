"""Data sets: the embedded digits, files and image folders, and the order and shifts of samples.

Images have the shape (samples, channels, *spatial) and are floats in 0..1; labels number the
classes from 0.
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

from convalg.arguments import a_kind, plural
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
    """Return the images and labels of the embedded handwritten digits.

    Returns:
        The images, float32 values in 0..1 in an array of shape (1797, 1, 8, 8), and the labels,
        int64 values in an array of shape (1797,).

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
        folder: Path of the folder. PNG and JPEG files are recognised by their suffix; other files,
            and names that start with a dot, are ignored.
        size: Height and width in pixels to which each image is resized, as a pair or as one integer
            for both; None keeps the size of the images.

    Returns:
        The images, float32 in 0..1 of shape (N, 1 or 3, height, width); the labels, int64 of shape
        (N,), each the index of the sub-folder in the sorted names; and the names of the classes.

    Raises:
        FileError: when there are no images, an image cannot be read, or an image differs from the
            first in size or number of channels.
        TooLargeError: when the images would exceed the memory limit.
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
        raise KindError(
            f"folder must be the path of a folder with images, not an object of type "
            f"{type(folder).__name__}"
        )
    image_size = (
        None if size is None else as_shape(size if isinstance(size, tuple) else (size, size))
    )
    if image_size is not None and (
        len(image_size) != 2 or any(type(n) is not int for n in image_size)
    ):
        raise ShapeError(
            f"size must be an integer number of pixels or (height, width), not {size!r}"
        )
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
        raise FileError(
            f"cannot list {str(folder)!r} ({reason}): pass the path of a folder that can be read"
        ) from None


def _stacked(paths: list[Path], size: tuple[int, int] | None) -> Array:
    """Return all images in one array, which is allocated when the size of the first is known."""
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
    method = Image.Resampling.BILINEAR
    return np.stack(
        [np.asarray(Image.fromarray(p).resize((width, height), method)) for p in pixels]
    )


def split(
    images: object, labels: object, *, test: float = 0.2, seed: int = 0
) -> tuple[Labelled, Labelled]:
    """Split all samples into a training set and a test set, both shuffled.

    The test set has round(test * samples) samples. If there is one integer label per sample, the
    split is stratified: the share of each class in the test set is exact to within one sample.

    Args:
        images: Array of shape (samples, ...).
        labels: Array of shape (samples, ...).
        test: Share of the test set, between 0 and 1.
        seed: Integer that determines the shuffle.

    Returns:
        The training set and the test set, each a pair of images and labels.

    Raises:
        ArgumentError: when one of the sets would be empty.
        ShapeError: when the numbers of labels and images differ, or there are no images.
        KindError: when `test` is not a number.

    >>> import convalg as ca
    >>> train, test = ca.data.split(*ca.data.digits(), test=0.25)
    >>> len(train[0]), len(test[0])
    (1348, 449)
    """
    images, labels = as_array(images, "images"), as_array(labels, "labels")
    count = _count(images, labels)
    if isinstance(test, bool) or not isinstance(test, Real):
        raise KindError(
            f"test must be a number (the share of the samples that form the test set), not {test!r}"
        )
    share = round(test * count) if math.isfinite(test) else 0
    if not 0 < share < count:
        raise ArgumentError(
            f"test={test} with {plural(count, 'sample')} leaves the test set or the training set "
            f"empty: pass a share that leaves at least one sample in each, or more samples"
        )
    shuffled = order(seed, 0, count)
    in_line = shuffled
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        in_line = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Every (count / share)-th sample of this order is exactly `share` samples, evenly over classes.
    steps = np.arange(count + 1) * share // count
    is_test = np.zeros(count, dtype=bool)
    is_test[in_line[np.diff(steps) > 0]] = True
    train, held = shuffled[~is_test[shuffled]], shuffled[is_test[shuffled]]
    return (images[train], labels[train]), (images[held], labels[held])


def order(seed: int, epoch: int, count: int) -> Array:
    """Return the order of the samples in one epoch, an int64 permutation of 0 .. count - 1.

    The order depends on the arguments alone, so that a resumed run has the same batches.

    Args:
        seed: Seed of the run, an integer of at least 0.
        epoch: Index of the epoch, an integer of at least 0.
        count: Number of samples, an integer of at least 0.

    Raises:
        KindError: when an argument is not an integer.
        ArgumentError: when an argument is negative.
        TooLargeError: when the permutation would exceed the memory limit.

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
    permutation: Array = np.random.default_rng(sequence).permutation(numbers[2])
    return permutation


def shifted(images: Array, random: np.random.Generator, by: int = 1, *, dims: int = 2) -> Array:
    """Shift each image randomly by up to `by` pixels along each spatial axis, filling with zeros.

    For each image and axis, the shift is one of -by .. by with equal probability; all channels of
    an image are shifted equally.

    Args:
        images: Array of shape (*batch, channels, *spatial).
        random: NumPy generator, such as `np.random.default_rng(0)`.
        by: Largest shift in pixels.
        dims: Number of spatial axes.

    Returns:
        The shifted images, in the shape and type of `images`.

    Raises:
        ShapeError: when `images` does not have a channel axis and `dims` spatial axes.
        KindError: when the images are not real numbers, or `random` is not a NumPy generator.
        ArgumentError: when `by` is negative.
        TooLargeError: when the padded images would exceed the memory limit.

    >>> import convalg as ca
    >>> import numpy as np
    >>> moved = ca.data.shifted(np.ones((1, 1, 3, 3)), np.random.default_rng(1))
    >>> int(moved.sum()) in (4, 6, 9)
    True
    """
    images = _as_array(images)
    a_kind(
        random, np.random.Generator, "random must be a generator, such as np.random.default_rng(0)"
    )
    by, dims = as_integer(by, "by", least=0), as_integer(dims, "dims")
    if images.ndim < dims + 1:
        raise ShapeError(
            f"images must have a channel axis followed by {dims} spatial axes, not the shape "
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
    moved: Array = windows[index]
    return moved.reshape(images.shape)


def check_data(images: object, labels: object, in_shape: tuple[int, ...]) -> Array:
    """Return the images as an array, validated as the input of a network.

    Only the number of labels is checked; the loss validates their values.

    Args:
        images: Real numbers of shape (samples, *in_shape).
        labels: One entry for each sample on the first axis.
        in_shape: Input shape of the network, (channels, *spatial).

    Raises:
        KindError: when the images are not real numbers.
        ShapeError: when the images have another shape, there are none, or the number of labels
            differs from the number of images.
        ArgumentError: when a pixel is not finite; the message states the index of the first one.

    >>> import convalg as ca
    >>> ca.data.check_data([[[0.5, 1.0]]], [1], (1, 2)).shape
    (1, 1, 2)
    """
    array = _as_array(images)
    in_shape = tuple(as_integer(size, "in_shape") for size in as_shape(in_shape, "in_shape"))
    if array.shape[1:] != in_shape:
        hint = ": images[:, None] adds the axis of one channel" if in_shape[:1] == (1,) else ""
        raise ShapeError(
            f"images must have shape (samples, {', '.join(map(str, in_shape))}) to fit "
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
    """Return the number of samples, or raise ShapeError if the number of labels differs."""
    if not images.ndim or not images.size:
        raise ShapeError(
            f"images must contain at least one image, but have the shape {images.shape}"
        )
    if labels.shape[:1] != images.shape[:1]:
        raise ShapeError(
            f"labels must have one entry for each of the {len(images):,} images on their first "
            f"axis, not the shape {labels.shape}"
        )
    return len(images)


def _not_finite(array: Array) -> Iterator[tuple[int, ...]]:
    """Yield the indices of non-finite entries, chunk by chunk to save the memory of a full mask."""
    if array.dtype.kind != "f":
        return
    for start in range(0, len(array), _CHUNK):
        wrong = ~np.isfinite(array[start : start + _CHUNK])
        if wrong.any():
            for index in np.argwhere(wrong).tolist():
                yield (start + index[0], *index[1:])
