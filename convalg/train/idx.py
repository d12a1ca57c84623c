"""IDX, the file format of MNIST: an array after a header of sizes, optionally gzipped."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convalg.errors import FileError, KindError
from convalg.files import opened
from convalg.limits import check_memory

Array = np.ndarray
Labelled = tuple[Array, Array]

# The third byte of the header, and the big-endian type that it denotes.
_CODES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32
# Deflate expands one byte to at most 1032, which bounds the array that a small file can contain.
_MOST_PER_BYTE = 1032
_CHUNK = 2**20
_BROKEN = (OSError, EOFError, zlib.error)

_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def read_idx(path: str | os.PathLike[str]) -> Any:
    """Read the four MNIST files of a folder, or the array of one IDX file.

    Args:
        path: Path of a folder or of one file. The files of a folder must have the names of the
            original files, such as train-images-idx3-ubyte, in upper or lower case, with a dot or a
            hyphen before "idx", with or without the suffix .gz.

    Returns:
        For a folder, the training set and the test set, each a pair of images and labels: images
        are float32 in 0..1 of shape (N, 1, height, width), labels are int64 of shape (N,). For a
        file, its array in native byte order.

    Raises:
        FileError: when a file is missing, is not an IDX file, is truncated or too long, or when the
            numbers of images and labels differ.
        TooLargeError: when an array would exceed the memory limit.
        KindError: when `path` is not a path.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, "The IDX file format".

    >>> import convalg as ca
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     ca.data.read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise KindError(
            f"path must be the path of an IDX file or of a folder, not an object of type "
            f"{type(path).__name__}"
        )
    file = Path(path)
    return _read_folder(file) if os.path.isdir(file) else _read_file(file)


def _read_folder(folder: Path) -> tuple[Labelled, Labelled]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise FileError(f"cannot list {str(folder)!r}: {error.strerror}") from None
    files = [_part_file(folder, part, names) for part in _PARTS]
    train, test = _image_set(*files[:2]), _image_set(*files[2:])
    return train, test


def _part_file(folder: Path, part: str, names: list[str]) -> Path:
    """Return the path of one of the four files of MNIST, of the uncompressed file if both exist."""
    kind = "idx3" if "images" in part else "idx1"
    for ending in ("-ubyte", "-ubyte.gz"):
        for name in names:
            if name.lower() in (f"{part}-{kind}{ending}", f"{part}.{kind}{ending}"):
                return folder / name
    raise FileError(
        f"{str(folder)!r} has no {part}-{kind}-ubyte, gzipped or not: pass the folder with the "
        f"four files of MNIST"
    )


def _image_set(image_file: Path, label_file: Path) -> Labelled:
    images, labels = _read_file(image_file), _read_file(label_file)
    for file, array, axes in ((image_file, images, 3), (label_file, labels, 1)):
        if array.ndim != axes or array.dtype != np.uint8:
            raise FileError(
                f"{str(file)!r} must contain uint8 on {axes} axes, as in MNIST, not "
                f"{array.dtype} of shape {array.shape}"
            )
    if len(images) != len(labels):
        raise FileError(
            f"{str(image_file)!r} has {len(images):,} images, but {str(label_file)!r} has "
            f"{len(labels):,} labels: they are not from the same data set"
        )
    pixels = images[:, None].astype(np.float32)
    pixels /= 255
    return pixels, labels.astype(np.int64)


def _read_file(path: Path) -> Array:
    """Read the array of one IDX file, gzipped or not."""
    try:
        with opened(path, "an IDX file") as (file, status):
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _array(file, status.st_size, path)
            # GzipFile checks the checksum and the length in the trailer.
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _array(unpacked, status.st_size * _MOST_PER_BYTE, path)  # type: ignore[arg-type]  # GzipFile reads like a file
    except FileError:
        raise
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot read {str(path)!r} ({reason}): pass an IDX file") from None


def _array(file: BinaryIO, largest: int, path: Path) -> Array:
    """Read an array whose header and data have at most `largest` bytes, and validate the header."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _CODES:
        raise FileError(f"{str(path)!r} is not an IDX file: it starts with {start!r}")
    dtype, axes = np.dtype(_CODES[start[2]]), start[3]
    if not 1 <= axes <= _MOST_AXES:
        raise FileError(
            f"{str(path)!r} has {axes} axes in its header, not 1 to {_MOST_AXES}: pass an IDX file"
        )
    header = file.read(4 * axes)
    sizes = tuple(np.frombuffer(header[: len(header) // 4 * 4], dtype=">u4").tolist())
    promised = math.prod(sizes) * dtype.itemsize
    if len(header) < 4 * axes or 4 + len(header) + promised > largest:
        raise FileError(
            f"{str(path)!r} is truncated: its header states the sizes {sizes} of {dtype.name}"
        )
    if not promised:
        raise FileError(f"{str(path)!r} is empty: its sizes are {sizes}")
    check_memory(promised, None, what=str(path), instead="pass a smaller file", fixed=True)
    data = _read(file, promised + 1)
    if len(data) != promised:
        kind = "truncated" if len(data) < promised else "longer than its header states"
        raise FileError(
            f"{str(path)!r} is {kind}: its sizes {sizes} of {dtype.name} take {promised:,} bytes"
        )
    return np.frombuffer(data, dtype).reshape(sizes).astype(dtype.newbyteorder("="), copy=False)


def _read(file: BinaryIO, count: int) -> bytearray:
    """Read up to `count` bytes; memory grows only with the bytes read."""
    data = bytearray()
    while len(data) < count and (piece := file.read(min(_CHUNK, count - len(data)))):
        data += piece
    return data
