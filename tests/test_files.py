"""Files are written atomically, and files of unknown origin are opened without waiting."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from convalg.errors import FileError
from convalg.files import opened, regular_bytes, replace_file, write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "sheet.html"
    for content in (b"first", b"second and longer", b""):
        assert replace_file(path, content) == path
        assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.html"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_failure_leaves_the_earlier_file(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint"
    write_atomically(path, b"earlier", durable=durable)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"later", durable=durable)
    assert path.read_bytes() == b"earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_many_writers_leave_one_of_their_files(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    contents = [bytes([number]) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=replace_file, args=(path, c)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["shared"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    replace_file(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["", "missing/file"])
def test_what_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        replace_file(tmp_path / name, b"data")


def test_a_file_is_opened_with_its_status(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"12345")
    with opened(path, "a data file", most=5) as (file, status):
        assert (file.read(), status.st_size) == (b"12345", 5)
    with pytest.raises(FileError, match=r"has 5 bytes, more than the 4 bytes allowed: give a data"):
        regular_bytes_of(path, 4)


def regular_bytes_of(path: Path, most: int) -> bytes:
    with opened(path, "a data file", most=most) as (file, _):
        return file.read()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is a directory: give a data file"),
        (lambda path: None, r"cannot read .* \(No such file or directory\): give a data file"),
        (lambda path: os.mkfifo(path), "is not a regular file: give a data file"),
    ],
    ids=["folder", "missing", "pipe"],
)
def test_what_is_no_file_is_refused_at_once(make: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    assert callable(make)
    make(path)
    with pytest.raises(FileError, match=message), opened(path, "a data file"):
        pytest.fail("it was opened")


def test_links_are_not_followed_where_they_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    assert regular_bytes(tmp_path / "secret", 10) == b"secret"
    with pytest.raises(FileError, match="cannot read"):
        regular_bytes(link, 10)
    with opened(link, "a file") as (file, _):
        assert file.read() == b"secret"


def test_descriptors_are_closed(tmp_path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    (tmp_path / "data").write_bytes(b"1")
    before = count()
    for _ in range(20):
        regular_bytes(tmp_path / "data", 10)
        with pytest.raises(FileError):
            regular_bytes(tmp_path, 10)
    assert count() == before
