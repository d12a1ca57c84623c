"""Images: every kind of PNG and JPEG, and files that are not what they claim to be."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convalg import images
from convalg.errors import FileError, KindError, ShapeError
from convalg.images import apply, grey, photograph, read_image

ALLOWED = "give a PNG or JPEG image of at most 50,000,000 pixels"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG file, written by hand: `rows` with a filter byte before each."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + data + chunk(b"IEND", b"")
    )


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    page = io.BytesIO()
    image.save(page, kind, **options)
    return page.getvalue()


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6

SOUND = {
    "grey": (png(2, 1, 8, GREY, b"\0\x05\xff"), [[[5, 255]]]),
    "one bit": (png(3, 1, 1, GREY, b"\0\xa0"), [[[255, 0, 255]]]),
    "16 bits keep the upper 8": (png(2, 1, 16, GREY, b"\0\x80\x7f\xff\xff"), [[[128, 255]]]),
    "colour": (
        png(1, 2, 8, RGB, b"\0\x01\x02\x03\0\x04\x05\x06"),
        [[[1], [4]], [[2], [5]], [[3], [6]]],
    ),
    "16 bits of colour": (png(1, 1, 16, RGB, b"\0\x01\xff\x02\xff\x03\xff"), [[[1]], [[2]], [[3]]]),
    "palette": (
        png(2, 1, 8, PALETTE, b"\0\x01\0", chunk(b"PLTE", bytes([9, 8, 7, 6, 5, 4]))),
        [[[6, 9]], [[5, 8]], [[4, 7]]],
    ),
    "transparent palette": (
        png(1, 1, 8, PALETTE, b"\0\0", chunk(b"PLTE", bytes(3)), chunk(b"tRNS", b"\0")),
        [[[255]], [[255]], [[255]]],
    ),
    "transparent is white": (png(1, 1, 8, RGBA, b"\0\x01\x02\x03\0"), [[[255]], [[255]], [[255]]]),
    "opaque stays": (png(1, 1, 8, RGBA, b"\0\x01\x02\x03\xff"), [[[1]], [[2]], [[3]]]),
    "half transparent grey": (png(1, 1, 8, GREY_ALPHA, b"\0\0\x80"), [[[127]]]),
    "a grey that is transparent": (
        png(2, 1, 8, GREY, b"\0\x05\x06", chunk(b"tRNS", b"\0\x05")),
        [[[255, 6]]],
    ),
}


@pytest.mark.parametrize(("data", "expected"), SOUND.values(), ids=SOUND)
def test_every_kind_of_png(tmp_path: Path, data: bytes, expected: Any) -> None:
    place = tmp_path / "image.png"
    place.write_bytes(data)
    found = read_image(place)
    assert found.dtype == np.uint8
    assert found.tolist() == expected


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("CMYK", 3)])
def test_every_kind_of_jpeg(tmp_path: Path, mode: str, channels: int) -> None:
    flat = Image.new("RGB", (16, 8), (200, 100, 50)).convert(mode)
    # The name does not decide: this is a JPEG.
    place = tmp_path / "image.png"
    place.write_bytes(encoded(flat, "JPEG", quality=95))
    found = read_image(str(place))
    assert found.shape == (channels, 8, 16)
    right = np.array(flat.convert("RGB" if channels == 3 else "L"))[0, 0]
    assert np.abs(found[:, 3, 3].astype(int) - right).max() <= 6


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6  # turned by a quarter
    place = tmp_path / "image.png"
    row = Image.fromarray(np.array([[1, 2, 3]], dtype=np.uint8))
    place.write_bytes(encoded(row, exif=note.tobytes()))
    assert read_image(place).tolist() == [[[1], [2], [3]]]


def bomb() -> bytes:
    """A header that promises 60,000 x 60,000 pixels, in a few bytes."""
    return png(60_000, 60_000, 8, GREY, b"\0")


WHOLE = encoded(Image.fromarray(np.moveaxis(photograph(), 0, -1)))

BROKEN = {
    "empty": (b"", "is not an image that can be read"),
    "text": (b"<svg onload='alert(1)'>", "is not an image that can be read"),
    "gif": (encoded(Image.new("L", (2, 2)), "GIF"), "is not an image that can be read"),
    "bitmap": (encoded(Image.new("L", (2, 2)), "BMP"), "is not an image that can be read"),
    "only a signature": (b"\x89PNG\r\n\x1a\n", "is not an image that can be read"),
    "truncated": (WHOLE[: len(WHOLE) // 2], "is broken (image file is truncated"),
    "corrupt": (png(3, 3, 8, RGB, b"\0")[:-20] + bytes(20), "is broken ("),
    "wrong length": (png(9, 9, 8, RGB, b"\0\x01"), "is broken ("),
    "50 million and one row": (
        png(10_000, 5_001, 8, GREY, b""),
        "10000 x 5001, 50,010,000 pixels: give a PNG or JPEG",
    ),
    "a bomb": (bomb(), "has too many pixels"),
}


@pytest.mark.parametrize(("data", "words"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_sound_image(tmp_path: Path, data: bytes, words: str) -> None:
    place = tmp_path / "image.png"
    place.write_bytes(data)
    with pytest.raises(FileError) as caught:
        read_image(place)
    assert repr(str(place)) in str(caught.value)
    assert words in str(caught.value)
    assert ALLOWED in str(caught.value)


def test_the_largest_number_of_pixels_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "image.png"
    place.write_bytes(encoded(Image.new("L", (5, 4))))
    monkeypatch.setattr(images, "MOST_PIXELS", 20)
    assert read_image(place).shape == (1, 4, 5)
    monkeypatch.setattr(images, "MOST_PIXELS", 19)
    with pytest.raises(FileError, match=r"is 5 x 4, 20 pixels"):
        read_image(place)


def test_the_largest_file_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "image.png"
    place.write_bytes(WHOLE)
    monkeypatch.setattr(images, "MOST_BYTES", len(WHOLE))
    assert read_image(place).shape == (3, 128, 128)
    monkeypatch.setattr(images, "MOST_BYTES", len(WHOLE) - 1)
    with pytest.raises(FileError, match=r"kB, more than the .* allowed: give a PNG or JPEG"):
        read_image(place)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot read .*nowhere.png' \(No such file") as caught:
        read_image(tmp_path / "nowhere.png")
    assert ALLOWED in str(caught.value)
    with pytest.raises(FileError, match="cannot read"):
        read_image("a\0b.png")
    with pytest.raises(FileError, match=r"cannot read .* \(File name too long\)"):
        read_image("a" * 5000)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a directory: give a PNG or JPEG image"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    # Reading it would wait for ever.
    with pytest.raises(FileError, match="is not a regular file: give a PNG or JPEG image"):
        read_image(tmp_path / "pipe")
    with pytest.raises(KindError, match=r"path must be the path of an image file, not .* \(int\)"):
        read_image(3)  # type: ignore[arg-type]


def test_what_is_no_image_and_no_function() -> None:
    with pytest.raises(KindError, match="image must hold numbers"):
        grey("abc")  # type: ignore[arg-type]
    with pytest.raises(KindError, match="f must be a function of an image, not None"):
        apply(None, [])  # type: ignore[arg-type]
    with pytest.raises(KindError, match="images must be a list of paths or of arrays"):
        apply(grey, "a.png")


def test_bytes_changed_at_random_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(np.moveaxis(photograph()[:, ::8, ::8], 0, -1))
    place = tmp_path / "image"
    refused = 0
    for kind in ("PNG", "JPEG"):
        whole = np.frombuffer(encoded(small, kind), dtype=np.uint8)
        for _ in range(300):
            data = whole.copy()
            data[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
            place.write_bytes(data.tobytes())
            try:
                assert read_image(place).dtype == np.uint8
            except FileError:
                refused += 1
    assert 0 < refused < 600


def test_the_photograph_is_a_photograph() -> None:
    cat = photograph()
    assert cat.shape == (3, 128, 128)
    assert cat.dtype == np.uint8
    # Many values in each colour, and neighbours alike: neither a drawing nor noise.
    assert all(len(np.unique(plane)) > 100 for plane in cat)
    assert np.abs(np.diff(cat.astype(int), axis=2)).mean() < 15
    assert "CC0" in images.CREDIT
    assert "van der Walt" in images.CREDIT


def test_grey_is_pillows() -> None:
    cat = photograph()
    pillow = np.asarray(Image.fromarray(np.moveaxis(cat, 0, -1)).convert("L"))
    assert np.abs(grey(cat)[0].astype(int) - pillow).max() <= 1
    assert grey(cat[:1]) is not cat
    assert grey(cat[:1]).tolist() == cat[:1].tolist()
    assert grey(np.full((3, 1, 1), 255, dtype=np.uint8)).tolist() == [[[255]]]


def test_what_cannot_be_grey() -> None:
    with pytest.raises(
        ShapeError, match=r"image must have shape \(1 or 3, height, width\), not \(2,"
    ):
        grey(np.zeros((2, 4, 4), dtype=np.uint8))
    with pytest.raises(KindError, match=r"image must hold bytes \(uint8\), not int64"):
        grey(np.zeros((3, 4, 4), dtype=np.int64))  # type: ignore[arg-type]
