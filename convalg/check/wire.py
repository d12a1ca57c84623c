"""Messages between a check and the process that runs the checked function: JSON and float64 arrays.

The process is not trusted. A message consists of a length, a JSON table of at most 64 KiB, and the
bytes of the arrays whose shapes the table lists. Nothing is unpickled, and no memory is allocated
before its size has been checked.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convalg.arrays import Array

LENGTH = struct.Struct("<Q")
LONGEST_TABLE = 2**16
MOST_NUMBERS = 2**25
"""Most numbers in all arrays of a message together."""

Read = Callable[[int], bytes]


class BrokenMessageError(Exception):
    """Raised when the other side sends an invalid message."""


def packed(table: Mapping[str, object], arrays: Mapping[str, Array]) -> bytes:
    """Encode a message, given its table and its arrays (of any shape), and return the bytes.

    >>> import numpy as np
    >>> from convalg.check.wire import packed
    >>> packed({"a": 1}, {"x": np.zeros(1)})[8:]
    b'{"a": 1, "arrays": {"x": [1]}}\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
    """
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    text = json.dumps({**table, "arrays": shapes}).encode()
    blobs = [np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays.values()]
    return b"".join([LENGTH.pack(len(text)), text, *blobs])


def received(read: Read) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the table and the arrays of a message, whose bytes are read by `read(count)`.

    Raises: BrokenMessageError for an invalid message.
    """
    (length,) = LENGTH.unpack(read(LENGTH.size))
    if length > LONGEST_TABLE:
        raise BrokenMessageError(f"the table must have at most {LONGEST_TABLE} bytes, not {length}")
    try:
        table = json.loads(read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise BrokenMessageError("the table must be valid JSON") from None
    if not isinstance(table, dict):
        raise BrokenMessageError(
            f"the JSON must be an object, not a value of type {type(table).__name__}"
        )
    shapes = table.pop("arrays", None)
    if not isinstance(shapes, dict) or not all(map(_is_shape, shapes.values())):
        raise BrokenMessageError("the table must have the shapes of the arrays under 'arrays'")
    if sum(map(math.prod, shapes.values())) > MOST_NUMBERS:
        raise BrokenMessageError(f"the arrays must have at most {MOST_NUMBERS:,} numbers together")
    arrays = {}
    for name, shape in shapes.items():
        data = read(8 * math.prod(shape))
        arrays[name] = np.frombuffer(data, dtype="<f8").reshape(shape).astype(float)
    return table, arrays


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) <= 32
        and all(type(n) is int and 0 <= n <= MOST_NUMBERS for n in shape)
    )
