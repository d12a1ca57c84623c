"""Files written atomically, and files of unknown origin opened safely."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from convalg.errors import FileError
from convalg.limits import format_bytes


def replace_file(place: Path, data: bytes) -> Path:
    """Return the place of a file that now holds the data: written next to it, then renamed.

    Raises: FileError where the folder is missing or cannot be written, or where the name belongs
    to a folder, a device or a pipe, which are not replaced.

    >>> replace_file(Path("/dev/null"), b"")
    Traceback (most recent call last):
    convalg.errors.FileError: /dev/null cannot be written: it is not a regular file; give the name \
of a file
    """
    try:
        found = os.stat(place)
    except (OSError, ValueError):
        # What is wrong with the name shows when it is written.
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = "Is a directory" if stat.S_ISDIR(found.st_mode) else "it is not a regular file"
        raise FileError(f"{place} cannot be written: {kind}; give the name of a file")
    # A link is written through, and stays a link.
    target = Path(os.path.realpath(place)) if place.is_symlink() else place
    try:
        write_atomically(target, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{place} cannot be written: {reason}; choose a folder that exists and that you may "
            f"write to"
        ) from None
    return place


def write_atomically(target: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file next to its place, then rename it; `durable` waits until it is on the disk.

    Each call writes under a name of its own, `.NAME.PROCESS-TOKEN.part`: two programs in one
    folder do not write into one file.

    Raises: OSError or ValueError, and then the earlier file is as it was.
    """
    part = target.with_name(f".{target.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    if durable:
        _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Put a new name on the disk, where the system allows it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def opened(
    place: Path, wanted: str, *, most: int | None = None, follow: bool = True
) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a regular file of unknown origin for reading, with its status.

    A pipe or a device is not waited for.

    Args:
        place: Path of the file.
        wanted: What to give instead, for the message: "an IDX file".
        most: Bytes that are read at most.
        follow: Whether the path may be a link.

    Raises:
        FileError: for another kind of file, one that cannot be read, or one that is too long.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(place, flags if follow else flags | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot read {str(place)!r} ({reason}): give {wanted}") from None
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise FileError(f"{str(place)!r} is {kind}: give {wanted}")
        if most is not None and status.st_size > most:
            raise FileError(
                f"{str(place)!r} has {format_bytes(status.st_size)}, more than the "
                f"{format_bytes(most)} allowed: give {wanted}"
            )
        with os.fdopen(number, "rb", closefd=False) as file:
            yield file, status
    finally:
        os.close(number)


def regular_bytes(place: Path, most: int) -> bytes:
    """Return the bytes of a regular file, without waiting for a pipe or following a link.

    Raises: FileError for what is not a regular file, or longer than `most` bytes.
    """
    with opened(place, "a regular file", most=most, follow=False) as (file, _):
        return file.read(most)
