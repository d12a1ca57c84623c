"""Constants of an ONNX model: checked when the model is read, loaded when they are used."""

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
"""The NumPy types as which ONNX's element types lie in a file. Source: onnx.proto, DataType."""
LISTS: dict[int, str] = {
    1: "float_data",
    7: "int64_data",
    11: "double_data",
    12: "uint64_data",
    13: "uint64_data",
}
"""The typed list of an element type; int32_data for all others."""
LARGEST = 2**40
MOST_AXES = 32
EXTERNAL = 1


MOST_STEPS = 200
"""Steps in which an array may be made of another, one inside the other, when it is loaded."""


class Constant:
    """An array of a model that is loaded when it is asked for, once."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, load: Callable[[], Array]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._load = load
        self._found: Array | None = None
        self.origin: Any = self
        """What it was made of, entry by entry, so that weights that are shared count once."""
        self.absent = ""
        """Why its numbers are not there, where only the shape is known."""
        self.steps = 0

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    def array(self) -> Array:
        """The numbers, read-only."""
        if self.absent:
            raise ArgumentError(
                f"the numbers of an array of shape {self.shape} are not there: {self.absent}"
            )
        if self._found is None:
            found = np.asarray(self._load())
            found.setflags(write=False)
            self._found = found
        return self._found

    def moved(self, shape: tuple[int, ...], function: Callable[[Array], Array]) -> Constant:
        """What a function makes of the numbers, of a known shape; still not loaded."""
        if self.steps >= MOST_STEPS:
            raise FileError(
                f"an array of shape {self.shape} is made in over {MOST_STEPS} steps: that is no "
                f"weight of a network"
            )
        made = Constant(shape, self.dtype, lambda: function(self.array()))
        made.absent, made.steps = self.absent, self.steps + 1
        made.origin = self.origin if made.size == self.size else made
        return made


def absent(shape: tuple[int, ...], dtype: Any, reason: str) -> Constant:
    """An array of which only the shape is known."""
    made = Constant(shape, dtype, lambda: np.empty(0))
    made.absent = reason
    return made


def known(value: Any) -> Constant:
    """An array that is there already."""
    array = np.asarray(value)
    return Constant(array.shape, array.dtype, lambda: array)


class LazyArrays(MutableMapping[str, Array]):
    """Arrays of a layer by name, each made when it is first used."""

    def __init__(self, makers: dict[str, Callable[[], Array]]) -> None:
        self._makers: dict[str, Callable[[], Array] | Array] = dict(makers)

    def __getitem__(self, name: str) -> Array:
        found = self._makers[name]
        if not isinstance(found, np.ndarray):
            found = self._makers[name] = np.asarray(found())
        return found

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
    """A TensorProto as a constant; None for strings, a shape alone for types unknown to NumPy.

    Raises: FileError when its sizes do not fit what is stored, or data outside the folder.
    """
    shape = tuple(int(n) for n in tensor.dims)
    name = shown(tensor.name)
    if any(n < 0 for n in shape):
        raise FileError(f"tensor {name} has the shape {shape}, and no size can be negative")
    if len(shape) > MOST_AXES:
        raise FileError(f"tensor {name} has {len(shape)} axes, more than the {MOST_AXES} of NumPy")
    if tensor.data_type == STRING:
        return None
    if tensor.data_type not in STORED:
        return absent(shape, "f4", f"element type {tensor.data_type} is not read")
    stored = np.dtype(STORED[tensor.data_type])
    needed = math.prod(shape) * stored.itemsize
    if needed > LARGEST:
        raise FileError(
            f"tensor {name} of shape {shape} would take {format_bytes(needed)}: the limit is "
            f"{format_bytes(LARGEST)}"
        )
    read = _reader(tensor, skeleton, stored, needed, name)
    final = np.dtype("f4") if tensor.data_type in (FLOAT16, BFLOAT16) else stored

    def load() -> Array:
        flat = read()
        if tensor.data_type == BFLOAT16:
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.astype(final).reshape(shape)

    return Constant(shape, final, load)


def _reader(
    tensor: Any, skeleton: Skeleton, stored: np.dtype[Any], needed: int, name: str
) -> Callable[[], Array]:
    """What gives the numbers as stored, after a check that there are as many as needed."""
    if tensor.data_location == EXTERNAL:
        return _external(tensor, skeleton, stored, needed, name)
    payload = skeleton.payloads.get(tensor.doc_string)
    if payload is None:
        return _kept(tensor, stored, needed, name)
    wanted = {1: (RAW, FLOATS), 11: (RAW, DOUBLES)}.get(tensor.data_type, (RAW,))
    for kind in wanted:
        chunks = payload.chunks.get(kind, [])
        if sum(count for _, count in chunks) == needed and chunks:
            return lambda: np.frombuffer(b"".join(skeleton.read(*c) for c in chunks), dtype=stored)
    found = sum(count for chunks in payload.chunks.values() for _, count in chunks)
    raise _sizes(tensor, name, needed, found)


def _kept(tensor: Any, stored: np.dtype[Any], needed: int, name: str) -> Callable[[], Array]:
    """The numbers of a short tensor, which the onnx package has read."""
    if tensor.raw_data or not needed:
        raw = bytes(tensor.raw_data)
        if len(raw) != needed:
            raise _sizes(tensor, name, needed, len(raw))
        return lambda: np.frombuffer(raw, dtype=stored)
    values = getattr(tensor, LISTS.get(tensor.data_type, "int32_data"))
    if len(values) * stored.itemsize != needed:
        raise _sizes(tensor, name, needed, len(values) * stored.itemsize)
    if tensor.data_type in (1, 11):
        return lambda: np.array(values, dtype=stored)
    bits = 8 * stored.itemsize
    wide = np.array(values, dtype=object) % 2**bits
    return lambda: wide.astype(f"u{stored.itemsize}").view(stored)


def _sizes(tensor: Any, name: str, needed: int, found: int) -> FileError:
    return FileError(
        f"tensor {name} of shape {tuple(tensor.dims)} needs {needed} bytes, and the file holds "
        f"{found} for it"
    )


def _external(
    tensor: Any, skeleton: Skeleton, stored: np.dtype[Any], needed: int, name: str
) -> Callable[[], Array]:
    """The numbers of a tensor in a file beside the model, which must lie in its folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    folder = Path(os.path.realpath(skeleton.path.parent))
    try:
        path = Path(os.path.realpath(folder / location))
        offset, count = (
            int(entries.get(key) or default) for key, default in (("offset", 0), ("length", needed))
        )
    except ValueError as error:
        raise FileError(f"tensor {name} has external data that are no place: {error}") from None
    if not location or path == folder or folder not in path.parents:
        raise FileError(
            f"tensor {name} has its data at {shown(location)}, outside the folder of the model: "
            f"that is not read"
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
                    f"{status.st_size}"
                )
            file.seek(offset)
            return np.frombuffer(file.read(count), dtype=stored)

    return read


def shown(text: Any, longest: int = 80) -> str:
    """A text of a file as it may be shown: printable and short.

    >>> shown("conv\\x1b[2J")
    'conv\\\\x1b[2J'
    """
    words = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    clean = terminal(words[: longest + 1])
    return clean if len(clean) <= longest else f"{clean[: longest - 3]}..."
