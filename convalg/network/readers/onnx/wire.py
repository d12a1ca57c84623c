"""An ONNX file without its weights: protobuf's wire format, walked down to the tensors.

What is long in a tensor is left out and its place in the file kept, so that a model of any size
is read in little memory; the rest, which is small, goes to the onnx package.
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
"""Messages inside messages, by field number; only the way to tensors. Source: onnx.proto."""
DROPPED: dict[str, set[int]] = {
    # Texts for people, and what is about training and quantisation tools.
    "model": {6, 14, 20},
    "graph": {10, 14, 16},
    "node": {6, 9},
    "attribute": {13},
    "tensor": {12, 16},
}
FLOATS, RAW, DOUBLES = 4, 9, 10
PAYLOADS = {FLOATS, RAW, DOUBLES}
"""Fields of a tensor that are plain little-endian numbers, as they lie in memory."""
DOC_STRING = 12

LONG = 1024
"""Bytes from which on a payload stays in the file."""
SHORT_NODE = 4096
"""Nodes up to this many bytes are taken as they are."""
MOST_KEPT = 32 * 2**20
MOST_FIELDS = 1_000_000
DEEPEST = 12


WANTED = "the path of an ONNX file"


@dataclass
class Payload:
    """Where the numbers of one tensor lie in the file: (offset, bytes), by field."""

    chunks: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Skeleton:
    """A model without long payloads. A tensor with one has a key of `payloads` as doc_string."""

    path: Path
    size: int
    changed: int
    model: bytes
    payloads: dict[str, Payload]

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the file. Raises: FileError when it is no longer the file that was scanned."""
        with opened(self.path, WANTED) as (file, status):
            if (status.st_size, status.st_mtime_ns) != (self.size, self.changed):
                raise FileError(f"{self.path} has changed since it was read: read it again")
            file.seek(offset)
            return file.read(count)


def scan(path: Path) -> Skeleton:
    """A model without its long payloads. Raises: FileError for what is no protobuf message."""
    with opened(path, WANTED) as (file, status):
        size = status.st_size
        if not size:
            raise FileError(f"{path} is empty: an ONNX file was expected")
        scanner = _Scanner(path, file)
        model = scanner.message("model", 0, size, 0)
        return Skeleton(path, size, status.st_mtime_ns, model, scanner.payloads)


class _Scanner:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.payloads: dict[str, Payload] = {}
        # A file cannot guess it, so that none of its own texts is taken for a key.
        self.secret = secrets.token_hex(8)
        self.fields = 0
        self.kept = 0

    def message(self, kind: str, start: int, end: int, depth: int) -> bytes:
        """A message without what is left out."""
        parts: list[bytes] = []
        payload = Payload()
        place = start
        while place < end:
            number, wire, body, stop = self._field(place, end)
            child = CHILDREN[kind].get(number)
            length = stop - body
            if number in DROPPED[kind]:
                pass
            elif wire == BYTES and child and depth < DEEPEST and self._is_long(child, length):
                inner = self.message(child, body, stop, depth + 1)
                parts.append(_encoded(number, inner))
            elif kind == "tensor" and number in PAYLOADS and wire == BYTES and length >= LONG:
                # Of several values for one field the last counts, and packed lists add up.
                kept = [] if number == RAW else payload.chunks.get(number, [])
                payload.chunks[number] = [*kept, (body, length)]
            else:
                parts.append(self._taken(place, stop))
            place = stop
        if payload.chunks:
            key = f"{self.secret}:{len(self.payloads)}"
            self.payloads[key] = payload
            parts.append(_encoded(DOC_STRING, key.encode()))
        return b"".join(parts)

    def _is_long(self, kind: str, length: int) -> bool:
        return length > SHORT_NODE if kind == "node" else True

    def _taken(self, start: int, stop: int) -> bytes:
        self.kept += stop - start
        if self.kept > MOST_KEPT:
            raise FileError(
                f"{self.path} holds over {format_bytes(MOST_KEPT)} besides its weights, more "
                f"than any network needs"
            )
        self.file.seek(start)
        return self.file.read(stop - start)

    def _field(self, place: int, end: int) -> tuple[int, int, int, int]:
        """Number, wire type, start and end of the value of the field at a place."""
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise FileError(f"{self.path} has over {MOST_FIELDS} fields: no ONNX file has so many")
        self.file.seek(place)
        head = self.file.read(20)
        key, used = self._varint(head, 0, place)
        number, wire = key >> 3, key & 7
        body = place + used
        if wire == VARINT:
            stop = place + self._varint(head, used, place)[1]
        elif wire == BYTES:
            length, after = self._varint(head, used, place)
            body = place + after
            stop = body + length
        elif wire in (FIXED32, FIXED64):
            stop = body + (4 if wire == FIXED32 else 8)
        else:
            stop = -1
        if number == 0 or stop < 0:
            raise FileError(f"{self.path} is no ONNX file: byte {place} starts no protobuf field")
        if stop > end:
            raise FileError(
                f"{self.path} is truncated or damaged: the field at byte {place} ends at {stop}, "
                f"behind the {end} that there are"
            )
        return number, wire, body, stop

    def _varint(self, head: bytes, start: int, place: int) -> tuple[int, int]:
        """A number of 7 bits a byte, and the index behind it."""
        value = 0
        for k, byte in enumerate(head[start : start + 10]):
            value |= (byte & 127) << (7 * k)
            if byte < 128:
                return value, start + k + 1
        raise FileError(f"{self.path} is truncated or damaged: no number ends at byte {place}")


def _encoded(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return _number(number << 3 | BYTES) + _number(len(body)) + body


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
