"""Constants of an ONNX model: checked when the model is read, loaded when they are first used."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, FileError
from convalg.escape import terminal
from convalg.files import opened
from convalg.limits import format_bytes
from convalg.network.readers.onnx.wire import DOUBLES, FLOATS, RAW, Skeleton

FLOAT16, BFLOAT16, STRING = 10, 16, 8
STORED: dict[int, str] = {
    1: "<f4",
    2: "|u1",
    3: "|i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "|b1",
    FLOAT16: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
    BFLOAT16: "<u2",
}
"""The NumPy types in which ONNX's element types are stored. Source: onnx.proto, DataType."""
LISTS: dict[int, str] = {
    1: "float_data",
    7: "int64_data",
    11: "double_data",
    12: "uint64_data",
    13: "uint64_data",
}
"""The field of the typed list of an element type; int32_data for all others."""
LARGEST = 2**40
"""The largest tensor, in bytes."""
MOST_AXES = 32
EXTERNAL = 1
MOST_STEPS = 200
"""The largest number of nested functions that compute an array when it is loaded."""


class Constant:
    """An array of a model, which is loaded once, when it is first used."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, load: Callable[[], Array]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._load = load
        self._array: Array | None = None
        self.origin: Any = self
        """The array from which it was computed entry by entry: shared weights count once."""
        self.absent = ""
        """Why its numbers are not available, where only the shape is known."""
        self.steps = 0
        """The number of nested functions that compute it."""

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    def array(self) -> Array:
        """Return the numbers, read-only."""
        if self.absent:
            raise ArgumentError(
                f"the numbers of an array of shape {self.shape} are not available: {self.absent}"
            )
        if self._array is None:
            array = np.asarray(self._load())
            array.setflags(write=False)
            self._array = array
        return self._array

    def moved(self, shape: tuple[int, ...], function: Callable[[Array], Array]) -> Constant:
        """Return a function of the array, with a given shape, without loading it."""
        if self.steps >= MOST_STEPS:
            raise FileError(
                f"an array of shape {self.shape} is computed in over {MOST_STEPS} steps, more than "
                f"any weight of a network: fold the constants with another tool first"
            )
        made = Constant(shape, self.dtype, lambda: function(self.array()))
        made.absent, made.steps = self.absent, self.steps + 1
        made.origin = self.origin if made.size == self.size else made
        return made


def absent(shape: tuple[int, ...], dtype: object, reason: str) -> Constant:
    """Return an array of which only the shape is known."""
    made = Constant(shape, dtype, lambda: np.empty(0))
    made.absent = reason
    return made


def stored(value: object) -> Constant:
    """Return a constant from numbers in memory."""
    array = np.asarray(value)
    return Constant(array.shape, array.dtype, lambda: array)


class LazyArrays(MutableMapping[str, Array]):
    """The arrays of a layer by name, each computed when it is first used."""

    def __init__(self, makers: dict[str, Callable[[], Array]]) -> None:
        self._makers: dict[str, Callable[[], Array] | Array] = dict(makers)

    def __getitem__(self, name: str) -> Array:
        array = self._makers[name]
        if not isinstance(array, np.ndarray):
            array = self._makers[name] = np.asarray(array())
        return array

    def __setitem__(self, name: str, value: Array) -> None:
        self._makers[name] = value

    def __delitem__(self, name: str) -> None:
        del self._makers[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def constant(tensor: Any, skeleton: Skeleton) -> Constant | None:
    """Convert a TensorProto to a constant.

    The result is None for strings, and has only a shape for types that NumPy does not have.

    Raises: FileError when its sizes do not match the stored bytes, or for data outside the folder.
    """
    shape = tuple(int(n) for n in tensor.dims)
    name = shown(tensor.name)
    if any(n < 0 for n in shape):
        raise FileError(f"tensor {name} has the shape {shape}, and sizes cannot be negative")
    if len(shape) > MOST_AXES:
        raise FileError(f"tensor {name} has {len(shape)} axes, more than the {MOST_AXES} of NumPy")
    if tensor.data_type == STRING:
        return None
    if tensor.data_type not in STORED:
        return absent(shape, "f4", f"element type {tensor.data_type} is not supported")
    kind = np.dtype(STORED[tensor.data_type])
    needed = math.prod(shape) * kind.itemsize
    if needed > LARGEST:
        raise FileError(
            f"tensor {name} of shape {shape} would take {format_bytes(needed)}, over the limit of "
            f"{format_bytes(LARGEST)}"
        )
    read = _reader(tensor, skeleton, kind, needed, name)
    final = np.dtype("f4") if tensor.data_type in (FLOAT16, BFLOAT16) else kind

    def load() -> Array:
        flat = read()
        if tensor.data_type == BFLOAT16:
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.astype(final).reshape(shape)

    return Constant(shape, final, load)


def _reader(
    tensor: Any, skeleton: Skeleton, kind: np.dtype[Any], needed: int, name: str
) -> Callable[[], Array]:
    """Return the function that reads the stored numbers, after a check of their number."""
    if tensor.data_location == EXTERNAL:
        return _external(tensor, skeleton, kind, needed, name)
    payload = skeleton.payloads.get(tensor.doc_string)
    if payload is None:
        return _inline(tensor, kind, needed, name)
    fields = {1: (RAW, FLOATS), 11: (RAW, DOUBLES)}.get(tensor.data_type, (RAW,))
    for field in fields:
        chunks = payload.chunks.get(field, [])
        if sum(count for _, count in chunks) == needed and chunks:
            return lambda: np.frombuffer(b"".join(skeleton.read(*c) for c in chunks), dtype=kind)
    size = sum(count for chunks in payload.chunks.values() for _, count in chunks)
    raise _size_error(tensor, name, needed, size)


def _inline(tensor: Any, kind: np.dtype[Any], needed: int, name: str) -> Callable[[], Array]:
    """Return the function for the numbers of a short tensor, which the onnx package has read."""
    if tensor.raw_data or not needed:
        raw = bytes(tensor.raw_data)
        if len(raw) != needed:
            raise _size_error(tensor, name, needed, len(raw))
        return lambda: np.frombuffer(raw, dtype=kind)
    values = getattr(tensor, LISTS.get(tensor.data_type, "int32_data"))
    if len(values) * kind.itemsize != needed:
        raise _size_error(tensor, name, needed, len(values) * kind.itemsize)
    if tensor.data_type in (1, 11):
        return lambda: np.array(values, dtype=kind)
    bits = 8 * kind.itemsize
    wide = np.array(values, dtype=object) % 2**bits
    return lambda: wide.astype(f"u{kind.itemsize}").view(kind)


def _size_error(tensor: Any, name: str, needed: int, size: int) -> FileError:
    return FileError(
        f"tensor {name} of shape {tuple(tensor.dims)} needs {needed} bytes, and the file has "
        f"{size} for it"
    )


def _external(
    tensor: Any, skeleton: Skeleton, kind: np.dtype[Any], needed: int, name: str
) -> Callable[[], Array]:
    """Return the function for numbers in another file, which must be in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    folder = Path(os.path.realpath(skeleton.path.parent))
    try:
        path = Path(os.path.realpath(folder / location))
        offset, count = (
            int(entries.get(key) or default) for key, default in (("offset", 0), ("length", needed))
        )
    except ValueError as error:
        raise FileError(
            f"tensor {name} has external data at an invalid location: {error}"
        ) from None
    if not location or path == folder or folder not in path.parents:
        raise FileError(
            f"tensor {name} has its data at {shown(location)}, outside the folder of the model, "
            f"where no data are read: move the file into that folder"
        )
    if offset < 0 or count != needed:
        raise FileError(
            f"tensor {name} needs {needed} bytes, and its external data give {count} from "
            f"offset {offset}"
        )

    def read() -> Array:
        with opened(path, "the file of a model's weights") as (file, status):
            if offset + count > status.st_size:
                raise FileError(
                    f"tensor {name} ends at byte {offset + count} of {path}, which has "
                    f"{status.st_size} bytes"
                )
            file.seek(offset)
            return np.frombuffer(file.read(count), dtype=kind)

    return read


def shown(text: object, longest: int = 80) -> str:
    """Return a text of a file in a form for messages: printable and short.

    >>> shown("conv\\x1b[2J")
    'conv\\\\x1b[2J'
    """
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    clean = terminal(decoded[: longest + 1])
    return clean if len(clean) <= longest else f"{clean[: longest - 3]}..."
