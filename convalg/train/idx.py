"""IDX, the file format of MNIST: arrays behind a header of sizes, gzipped or not."""

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

# The third byte of the header, and the big-endian numbers that it stands for.
_CODES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32
# Deflate turns one byte into no more than 1032, so that a small file cannot promise much.
_MOST_PER_BYTE = 1032
_CHUNK = 2**20
_BROKEN = (OSError, EOFError, zlib.error)

_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def read_idx(path: str | os.PathLike[str]) -> Any:
    """MNIST's four files in a folder as (images, labels) twice, training then test; a file's array.

    Shapes: from a folder, images (N, 1, height, width) float32 in 0..1 and labels (N,) int64; from
    a file, any array as it is stored, in the machine's byte order.
    Rule: the names are those of the files at their source, such as train-images-idx3-ubyte, in
    either case, a dot or a hyphen before "idx", with or without .gz.

    Raises: FileError when a file is missing, no IDX file, truncated or longer than it says, or the
    numbers of images and labels differ; TooLargeError before memory runs out; KindError when
    `path` is no path.
    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, "The IDX file format".

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = place.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(place)
    array([7, 2, 1], dtype=uint8)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise KindError(f"IDX files are read from a path, not from a {type(path).__name__}")
    place = Path(path)
    return _read_folder(place) if os.path.isdir(place) else _read_file(place)


def _read_folder(folder: Path) -> tuple[Labelled, Labelled]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise FileError(f"cannot list {str(folder)!r}: {error.strerror}") from None
    places = [_found(folder, part, names) for part in _PARTS]
    train, test = _labelled(*places[:2]), _labelled(*places[2:])
    return train, test


def _found(folder: Path, part: str, names: list[str]) -> Path:
    """The file of one part in a folder, one that is not compressed before one that is."""
    kind = "idx3" if "images" in part else "idx1"
    for ending in ("-ubyte", "-ubyte.gz"):
        for name in names:
            if name.lower() in (f"{part}-{kind}{ending}", f"{part}.{kind}{ending}"):
                return folder / name
    raise FileError(
        f"{str(folder)!r} has no {part}-{kind}-ubyte, gzipped or not: give the folder that holds "
        f"the four files of MNIST"
    )


def _labelled(image_file: Path, label_file: Path) -> Labelled:
    images, labels = _read_file(image_file), _read_file(label_file)
    for place, array, axes in ((image_file, images, 3), (label_file, labels, 1)):
        if array.ndim != axes or array.dtype != np.uint8:
            raise FileError(
                f"{str(place)!r} holds {array.dtype} of shape {array.shape}: "
                f"MNIST's has bytes on {axes} axes"
            )
    if len(images) != len(labels):
        raise FileError(
            f"{str(image_file)!r} holds {len(images):,} images and {str(label_file)!r} "
            f"{len(labels):,} labels: they are not of one data set"
        )
    pixels = images[:, None].astype(np.float32)
    pixels /= 255
    return pixels, labels.astype(np.int64)


def _read_file(place: Path) -> Array:
    """The array of one file."""
    try:
        with opened(place, "an IDX file") as (file, found):
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _array(file, found.st_size, place)
            # The module of Python checks the sum and the length in the trailer.
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _array(unpacked, found.st_size * _MOST_PER_BYTE, place)  # type: ignore[arg-type]  # GzipFile reads like a file
    except FileError:
        raise
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot read {str(place)!r} ({reason}): give an IDX file") from None


def _array(file: BinaryIO, largest: int, place: Path) -> Array:
    """The array in a file that can hold `largest` bytes; nothing is taken on trust."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _CODES:
        raise FileError(f"{str(place)!r} is no IDX file: it starts with {start!r}")
    dtype, axes = np.dtype(_CODES[start[2]]), start[3]
    if not 1 <= axes <= _MOST_AXES:
        raise FileError(f"{str(place)!r} says it has {axes} axes: an IDX file has 1..{_MOST_AXES}")
    header = file.read(4 * axes)
    sizes = tuple(np.frombuffer(header[: len(header) // 4 * 4], dtype=">u4").tolist())
    promised = math.prod(sizes) * dtype.itemsize
    if len(header) < 4 * axes or 4 + len(header) + promised > largest:
        raise FileError(
            f"{str(place)!r} is truncated: its header asks for sizes {sizes} of {dtype.name}"
        )
    if not promised:
        raise FileError(f"{str(place)!r} is empty: its sizes are {sizes}")
    check_memory(promised, None, what=str(place), instead="give a smaller file", fixed=True)
    data = _read(file, promised + 1)
    if len(data) != promised:
        kind = "truncated" if len(data) < promised else "longer than it says"
        raise FileError(
            f"{str(place)!r} is {kind}: its sizes {sizes} of {dtype.name} take {promised:,} bytes"
        )
    return np.frombuffer(data, dtype).reshape(sizes).astype(dtype.newbyteorder("="), copy=False)


def _read(file: BinaryIO, count: int) -> bytearray:
    """So many bytes, or those that there are: memory grows with what has come."""
    data = bytearray()
    while len(data) < count and (piece := file.read(min(_CHUNK, count - len(data)))):
        data += piece
    return data
