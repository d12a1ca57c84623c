"""An ONNX file without its weights, by a scan of the wire format of protobuf.

The scan replaces long payloads of tensors by their offsets in the file, so a model of any size is
read in little memory. The onnx package then parses the small message that is left.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from convalg.errors import FileError
from convalg.files import opened
from convalg.limits import format_bytes

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
"""The nested messages that may contain tensors, by field number. Source: onnx.proto."""
DROPPED: dict[str, set[int]] = {
    # Documentation, and fields for training and quantisation tools.
    "model": {6, 14, 20},
    "graph": {10, 14, 16},
    "node": {6, 9},
    "attribute": {13},
    "tensor": {12, 16},
}
FLOATS, RAW, DOUBLES = 4, 9, 10
PAYLOADS = {FLOATS, RAW, DOUBLES}
"""The fields of a tensor that store little-endian numbers, as memory does."""
DOC_STRING = 12

LONG = 1024
"""The size in bytes from which a payload is left in the file."""
SHORT_NODE = 4096
"""The size in bytes up to which a node is not scanned for tensors."""
MOST_KEPT = 32 * 2**20
"""The largest number of bytes that are not long payloads."""
MOST_FIELDS = 1_000_000
DEEPEST = 12


WANTED = "the path of an ONNX file"


@dataclass
class Payload:
    """The location of the entries of one tensor: pairs (offset, number of bytes) for each field."""

    chunks: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Skeleton:
    """A model without long payloads.

    The `doc_string` of a tensor without its payload is a key of `payloads`. `size` and `changed`
    are the size of the file and the time of its last change, when it was scanned.
    """

    path: Path
    size: int
    changed: int
    model: bytes
    payloads: dict[str, Payload]

    def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes of the file. Raises: FileError if it has changed since the scan."""
        with opened(self.path, WANTED) as (file, status):
            if (status.st_size, status.st_mtime_ns) != (self.size, self.changed):
                raise FileError(f"{self.path} has changed since it was read: read it again")
            file.seek(offset)
            return file.read(count)


def scan(path: Path) -> Skeleton:
    """Return a model without its long payloads. Raises: FileError if it is not a valid message."""
    with opened(path, WANTED) as (file, status):
        size = status.st_size
        if not size:
            raise FileError(f"{path} is empty: pass the path of an ONNX file")
        scanner = _Scanner(path, file)
        model = scanner.message("model", 0, size, 0)
        return Skeleton(path, size, status.st_mtime_ns, model, scanner.payloads)


class _Scanner:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.payloads: dict[str, Payload] = {}
        # Unpredictable, so that no doc_string of the file is mistaken for a key.
        self.secret = secrets.token_hex(8)
        self.fields = 0
        self.kept = 0

    def message(self, kind: str, start: int, end: int, depth: int) -> bytes:
        """Return a message without dropped fields and long payloads."""
        parts: list[bytes] = []
        payload = Payload()
        offset = start
        while offset < end:
            number, wire, body, stop = self._field(offset, end)
            child = CHILDREN[kind].get(number)
            length = stop - body
            if number in DROPPED[kind]:
                pass
            elif wire == BYTES and child and depth < DEEPEST and self._is_long(child, length):
                inner = self.message(child, body, stop, depth + 1)
                parts.append(_encoded(number, inner))
            elif kind == "tensor" and number in PAYLOADS and wire == BYTES and length >= LONG:
                # Protobuf keeps the last of several raw_data, and concatenates packed lists.
                kept = [] if number == RAW else payload.chunks.get(number, [])
                payload.chunks[number] = [*kept, (body, length)]
            else:
                parts.append(self._copied(offset, stop))
            offset = stop
        if payload.chunks:
            key = f"{self.secret}:{len(self.payloads)}"
            self.payloads[key] = payload
            parts.append(_encoded(DOC_STRING, key.encode()))
        return b"".join(parts)

    def _is_long(self, kind: str, length: int) -> bool:
        return length > SHORT_NODE if kind == "node" else True

    def _copied(self, start: int, stop: int) -> bytes:
        self.kept += stop - start
        if self.kept > MOST_KEPT:
            raise FileError(
                f"{self.path} has more than {format_bytes(MOST_KEPT)} in addition to its weights, "
                f"the most that convalg reads: store large constants as raw data"
            )
        self.file.seek(start)
        return self.file.read(stop - start)

    def _field(self, offset: int, end: int) -> tuple[int, int, int, int]:
        """Return a field's number and wire type, and the start and the end of its value."""
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise FileError(
                f"{self.path} has more than {MOST_FIELDS} fields, the most that convalg reads"
            )
        self.file.seek(offset)
        head = self.file.read(20)
        key, used = self._varint(head, 0, offset)
        number, wire = key >> 3, key & 7
        body = offset + used
        if wire == VARINT:
            stop = offset + self._varint(head, used, offset)[1]
        elif wire == BYTES:
            length, after = self._varint(head, used, offset)
            body = offset + after
            stop = body + length
        elif wire in (FIXED32, FIXED64):
            stop = body + (4 if wire == FIXED32 else 8)
        else:
            stop = -1
        if number == 0 or stop < 0:
            raise FileError(
                f"{self.path} is not an ONNX file: there is no valid protobuf field at byte "
                f"{offset}"
            )
        if stop > end:
            raise FileError(
                f"{self.path} is truncated or damaged: the field at byte {offset} ends at byte "
                f"{stop}, after the end of its message at byte {end}"
            )
        return number, wire, body, stop

    def _varint(self, head: bytes, start: int, offset: int) -> tuple[int, int]:
        """Return a number that is stored with 7 bits per byte, and the index of the next byte."""
        value = 0
        for k, byte in enumerate(head[start : start + 10]):
            value |= (byte & 127) << (7 * k)
            if byte < 128:
                return value, start + k + 1
        raise FileError(
            f"{self.path} is truncated or damaged: the field at byte {offset} has an unfinished "
            f"number"
        )


def _encoded(number: int, body: bytes) -> bytes:
    """Return the bytes of a length-delimited field."""
    return _number(number << 3 | BYTES) + _number(len(body)) + body


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
