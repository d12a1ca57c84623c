"""Constants of an ONNX model, which are checked when it is read and loaded when first used."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convalg.arrays import Array
from convalg.errors import ArgumentError, FileError
from convalg.escape import terminal
from convalg.files import opened
from convalg.limits import format_bytes
from convalg.network.readers.onnx.wire import DOUBLES, FLOATS, RAW, Skeleton

if TYPE_CHECKING:
    import onnx

DType: TypeAlias = "np.dtype[Any]"
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
"""The NumPy type in which each element type is stored. Source: onnx.proto, DataType."""
LISTS: dict[int, str] = {
    1: "float_data",
    7: "int64_data",
    11: "double_data",
    12: "uint64_data",
    13: "uint64_data",
}
"""The field with the list of numbers for an element type; it is int32_data for all others."""
LARGEST = 2**40
"""The size of the largest tensor, in bytes."""
MOST_AXES = 32
EXTERNAL = 1
MOST_STEPS = 200
"""The largest number of nested functions that compute one array when it is loaded."""


class Constant:
    """An array of a model that is loaded once, when it is first used."""

    def __init__(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, load: Callable[[], Array]
    ) -> None:
        self.shape = shape
        self.dtype: DType = np.dtype(dtype)
        self._load = load
        self._array: Array | None = None
        self.origin: object = self
        """The array or tensor from which this one was computed entry by entry.

        Arrays of the same origin are shared weights, which count once.
        """
        self.absent = ""
        """The reason why only the shape is known, or an empty string."""
        self.steps = 0
        """The number of nested functions that compute the array."""

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    def array(self) -> Array:
        """Load the array and return it, read-only. Raises: ArgumentError if it is absent."""
        if self.absent:
            raise ArgumentError(
                f"the entries of an array of shape {self.shape} are not available: {self.absent}"
            )
        if self._array is None:
            array = np.asarray(self._load())
            array.setflags(write=False)
            self._array = array
        return self._array

    def moved(self, shape: tuple[int, ...], function: Callable[[Array], Array]) -> Constant:
        """Return the constant of a given shape that a function computes from this one, unloaded."""
        if self.steps >= MOST_STEPS:
            raise FileError(
                f"an array of shape {self.shape} is computed from other constants in more than "
                f"{MOST_STEPS} steps: fold the constants of the model with another tool first"
            )
        made = Constant(shape, self.dtype, lambda: function(self.array()))
        made.absent, made.steps = self.absent, self.steps + 1
        made.origin = self.origin if made.size == self.size else made
        return made


def absent(shape: tuple[int, ...], dtype: npt.DTypeLike, reason: str) -> Constant:
    """Return a constant of which only the shape and the type are known."""
    made = Constant(shape, dtype, lambda: np.empty(0))
    made.absent = reason
    return made


def stored(value: object) -> Constant:
    """Return an array in memory as a constant."""
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


def constant(tensor: onnx.TensorProto, skeleton: Skeleton) -> Constant | None:
    """Return a TensorProto as a constant.

    The result is None for strings. For element types that NumPy does not have, it is absent: only
    its shape is known.

    Raises: FileError when the sizes do not match the stored bytes, or when the data are outside the
    folder of the model.
    """
    shape = tuple(int(n) for n in tensor.dims)
    name = shown(tensor.name)
    if any(n < 0 for n in shape):
        raise FileError(f"the shape {shape} of tensor {name} has a negative size: export it again")
    if len(shape) > MOST_AXES:
        raise FileError(f"tensor {name} has {len(shape)} axes: at most {MOST_AXES} are supported")
    if tensor.data_type == STRING:
        return None
    if tensor.data_type not in STORED:
        return absent(shape, "f4", f"element type {tensor.data_type} is not supported")
    kind = np.dtype(STORED[tensor.data_type])
    needed = math.prod(shape) * kind.itemsize
    if needed > LARGEST:
        raise FileError(
            f"tensor {name} of shape {shape} needs {format_bytes(needed)}, over the limit of "
            f"{format_bytes(LARGEST)} for one tensor"
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
    tensor: onnx.TensorProto, skeleton: Skeleton, kind: DType, needed: int, name: str
) -> Callable[[], Array]:
    """Return the function that reads the stored entries, after a check of their number."""
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


def _inline(tensor: onnx.TensorProto, kind: DType, needed: int, name: str) -> Callable[[], Array]:
    """Return the function for the entries of a short tensor, which the onnx package has read."""
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


def _size_error(tensor: onnx.TensorProto, name: str, needed: int, size: int) -> FileError:
    return FileError(
        f"tensor {name} of shape {tuple(tensor.dims)} needs {needed} bytes, but the file has "
        f"{size} bytes for it: export the model again"
    )


def _external(
    tensor: onnx.TensorProto, skeleton: Skeleton, kind: DType, needed: int, name: str
) -> Callable[[], Array]:
    """Return the function for entries in another file, which must be in the model's folder."""
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
            f"the data of tensor {name} must be in a file in the folder of the model, not at "
            f"{shown(location)}, outside the folder of the model: move the file into that folder"
        )
    if offset < 0 or count != needed:
        raise FileError(
            f"tensor {name} needs {needed} bytes, but the model states {count} bytes from offset "
            f"{offset} for its external data: export the model again"
        )

    def read() -> Array:
        with opened(path, "the file of a model's weights") as (file, status):
            if offset + count > status.st_size:
                raise FileError(
                    f"the data of tensor {name} end at byte {offset + count} of {path}, which has "
                    f"only {status.st_size} bytes: copy the complete file"
                )
            file.seek(offset)
            return np.frombuffer(file.read(count), dtype=kind)

    return read


def shown(text: object, longest: int = 80) -> str:
    """Return text of a file in a printable form of limited length, for messages.

    >>> shown("conv\\x1b[2J")
    'conv\\\\x1b[2J'
    """
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    clean = terminal(decoded[: longest + 1])
    return clean if len(clean) <= longest else f"{clean[: longest - 3]}..."
