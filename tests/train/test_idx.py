"""IDX files: every kind of number, MNIST's folder, and files that are not what they claim to be."""

from __future__ import annotations

import gzip
import math
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convalg import limits
from convalg.errors import FileError, KindError, TooLargeError
from convalg.train.idx import read_idx

CODES = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray) -> bytes:
    """An IDX file, written from its description."""
    header = struct.pack(">BBBB", 0, 0, CODES[array.dtype.str[1:]], array.ndim)
    return (
        header
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def header(*sizes: int, code: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, code, len(sizes), *sizes)


@given(st.data(), st.sampled_from(sorted(CODES)), st.booleans())
def test_every_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, packed: bool
) -> None:
    array = data.draw(hnp.arrays(kind, hnp.array_shapes(max_dims=4, max_side=4)))
    place = tmp_path_factory.mktemp("idx") / "file"
    place.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    found = read_idx(place)
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) * 11
LABELS = np.array([9, 0], dtype=np.uint8)


def folder_of(place: Path, pattern: str = "{part}-{kind}-ubyte", **changes: bytes | None) -> Path:
    """A folder with the four files; an entry of None is left out."""
    files: dict[str, bytes | None] = {
        "train_images": idx(IMAGES),
        "train_labels": idx(LABELS),
        "t10k_images": idx(IMAGES[:1]),
        "t10k_labels": idx(LABELS[:1]),
        **changes,
    }
    for part, content in files.items():
        kind = "idx3" if "images" in part else "idx1"
        name = pattern.format(part=part.replace("_", "-"), kind=kind)
        if content is not None:
            packed = name.lower().endswith(".gz")
            (place / name).write_bytes(gzip.compress(content) if packed else content)
    return place


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("joint", ["-", "."])
def test_a_folder_of_mnist(tmp_path: Path, joint: str, ending: str, upper: bool) -> None:
    pattern = "{part}" + joint + "{kind}-ubyte" + ending
    folder_of(tmp_path, pattern)
    if upper:
        for place in list(tmp_path.iterdir()):
            place.rename(tmp_path / place.name.upper())
    (images, labels), (test_images, test_labels) = read_idx(str(tmp_path))
    assert images.shape == (2, 1, 3, 4)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(images, (IMAGES / 255).astype(np.float32)[:, None])
    assert labels.tolist() == [9, 0]
    assert test_images.shape == (1, 1, 3, 4)
    assert test_labels.tolist() == [9]


def test_a_file_that_is_not_packed_comes_before_its_packed_copy(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"broken")
    assert read_idx(tmp_path)[0][1].tolist() == [9, 0]


def bomb() -> bytes:
    return gzip.compress(header(3) + bytes(50_000_000))


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is not an IDX file: it starts with b''"),
    "short magic": (b"\0\0\x08", "is not an IDX file: it starts with"),
    "text": (b"hello world", "is not an IDX file: it starts with b'hell'"),
    "zeros at the start": (b"\0\1" + idx(LABELS)[2:], "is not an IDX file"),
    "unknown code": (header(1, code=0x0A) + b"\0", "is not an IDX file"),
    "no axes": (header() + b"\0", "has 0 axes in its header, not 1 to 32: pass an IDX file"),
    "many axes": (b"\0\0\x08\xff" + bytes(2000), "has 255 axes in its header"),
    "short sizes": (idx(IMAGES)[:9], "is truncated: its header states the sizes (2,) of uint8"),
    "short data": (
        idx(IMAGES)[:-1],
        "is truncated: its header states the sizes (2, 3, 4) of uint8",
    ),
    "long data": (
        idx(LABELS) + b"\0",
        "is longer than its header states: its sizes (2,) of uint8 take 2",
    ),
    "short data in gz": (
        gzip.compress(idx(IMAGES)[:-1]),
        "is truncated: its sizes (2, 3, 4) of uint8 take 24 bytes",
    ),
    "long data in gz": (gzip.compress(idx(LABELS) + b"\0"), "is longer than its header states"),
    "bomb": (bomb(), "is longer than its header states: its sizes (3,) of uint8 take 3 bytes"),
    "empty": (header(0), "is empty: its sizes are (0,)"),
    "empty and vast": (header(0, 2**32 - 1, 2**32 - 1), "is empty: its sizes are (0, 4294967295"),
    "promises": (header(2**32 - 1, 2**32 - 1), "is truncated: its header states the sizes"),
    "promises in gz": (gzip.compress(header(2**32 - 1, 2**32 - 1)), "is truncated: its header"),
    "cut gz": (gzip.compress(idx(IMAGES))[:-9], "cannot read"),
    "cut gz trailer": (gzip.compress(idx(IMAGES))[:-3], "cannot read"),
    "wrong sum in gz": (gzip.compress(idx(IMAGES))[:-8] + bytes(8), "CRC check failed"),
    "gz of nothing": (b"\x1f\x8b", "cannot read"),
    "gz of rubbish": (b"\x1f\x8b\x08" + b"\xff" * 40, "cannot read"),
}


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_hostile_file_is_refused_in_words_before_it_takes_memory(
    tmp_path: Path, name: str
) -> None:
    content, words = BAD_FILES[name]
    place = tmp_path / "some-file"
    place.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            read_idx(place)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words in str(caught.value)
    assert "some-file" in str(caught.value)
    assert peak < 3_000_000


@given(st.data())
def test_a_file_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = idx(IMAGES)
    content = data.draw(st.sampled_from([whole, gzip.compress(whole, mtime=0)]))
    place = tmp_path_factory.mktemp("idx") / "file"
    place.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(FileError):
        read_idx(place)


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_packed_file_with_a_changed_byte_is_refused_or_the_same(
    tmp_path_factory: pytest.TempPathFactory, where: int, change: int
) -> None:
    content = bytearray(gzip.compress(idx(IMAGES), mtime=0))
    content[where % len(content)] ^= change
    place = tmp_path_factory.mktemp("idx") / "file"
    place.write_bytes(content)
    try:
        found = read_idx(place)
    except FileError:
        return
    # The fields of gzip that say nothing about the data: a name, a time, a system.
    np.testing.assert_array_equal(found, IMAGES)


BAD_FOLDERS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no test labels": (
        {"t10k_labels": None},
        "has no t10k-labels-idx1-ubyte, gzipped or not: pass the folder with the four",
    ),
    "fewer labels": (
        {"train_labels": idx(LABELS[:1])},
        "has 2 images, but",
    ),
    "labels for images": (
        {"train_images": idx(LABELS)},
        "must contain uint8 on 3 axes, as in MNIST, not uint8",
    ),
    "images for labels": (
        {"t10k_labels": idx(IMAGES)},
        "must contain uint8 on 1 axes, as in MNIST, not uint8",
    ),
    "floats": (
        {"train_images": idx(IMAGES.astype(np.float32))},
        "must contain uint8 on 3 axes, as in MNIST, not float32 of shape (2, 3, 4)",
    ),
    "broken": ({"t10k_images": idx(IMAGES)[:-1]}, "t10k-images-idx3-ubyte' is truncated"),
}


@pytest.mark.parametrize("name", sorted(BAD_FOLDERS))
def test_a_bad_folder_is_refused_in_words(tmp_path: Path, name: str) -> None:
    changes, words = BAD_FOLDERS[name]
    with pytest.raises(FileError) as caught:
        read_idx(folder_of(tmp_path, **changes))
    assert words in str(caught.value)
    if name == "fewer labels":
        assert "1 labels: they are not from the same data set" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        (
            lambda place: 5,
            KindError,
            "path must be the path of an IDX file or of a folder, not an object of type int",
        ),
        (lambda place: place / "none", FileError, "(No such file or directory): give an IDX file"),
        (lambda place: str(place / "a\0b"), FileError, "embedded null byte"),
        (lambda place: place / ("a" * 5000), FileError, "(File name too long): give an IDX file"),
    ],
)
def test_a_bad_path_is_refused_in_words(
    tmp_path: Path, path: Callable[[Path], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        read_idx(path(tmp_path))
    assert words in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is not a regular file: give an IDX file"):
        read_idx(tmp_path / "pipe")


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(FileError, match=r"cannot list .*: Permission denied"):
        read_idx(tmp_path)


def test_an_honest_file_beyond_the_limit_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    place.write_bytes(idx(IMAGES))
    assert math.prod(IMAGES.shape) == 24
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 23)
    with pytest.raises(TooLargeError, match="pass a smaller file"):
        read_idx(place)
