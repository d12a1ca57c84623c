"""Functions that write files atomically and open files of unknown origin safely."""

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


def replace_file(path: Path, data: bytes) -> Path:
    """Write data to a file atomically, by a temporary file next to it, and return the path.

    Raises: FileError when the folder is missing or not writable, or when the path is a folder, a
    device or a pipe, which are not replaced.

    >>> replace_file(Path("/dev/null"), b"")
    Traceback (most recent call last):
    convalg.errors.FileError: /dev/null cannot be written: it is not a regular file; pass the path \
of a file
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        # The attempt to write the file reports an invalid name.
        status = None
    if status is not None and not stat.S_ISREG(status.st_mode):
        kind = "Is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
        raise FileError(f"{path} cannot be written: {kind}; pass the path of a file")
    # The target of a link is replaced, so that the link remains.
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        write_atomically(target, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{path} cannot be written: {reason}; pass a path in a folder that exists and is "
            f"writable"
        ) from None
    return path


def write_atomically(target: Path, data: bytes, *, durable: bool = False) -> None:
    """Write data to a temporary file next to the target, and rename it to the target.

    Each call uses its own temporary name, `.NAME.PROCESS-TOKEN.part`, so that two programs in one
    folder do not write to the same file. If `durable` is True, the function returns after the data
    and the name are on the disk.

    Raises: OSError or ValueError when the file cannot be written; the previous file is unchanged.
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
    """Flush the entries of a folder to the disk, if the system supports it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def opened(
    path: Path, wanted: str, *, most: int | None = None, follow: bool = True
) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a regular file of unknown origin for reading, and yield it with its status.

    Opening does not wait for a pipe or a device.

    Args:
        path: Path of the file.
        wanted: The expected kind of file for error messages, such as "an IDX file".
        most: Largest size in bytes that is accepted; None for any size.
        follow: Whether the path may be a link.

    Raises:
        FileError: when the path is not a regular file, cannot be read, or is larger than `most`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot read {str(path)!r} ({reason}): give {wanted}") from None
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise FileError(f"{str(path)!r} is {kind}: give {wanted}")
        if most is not None and status.st_size > most:
            raise FileError(
                f"{str(path)!r} has {format_bytes(status.st_size)}, more than the "
                f"{format_bytes(most)} allowed: give {wanted}"
            )
        with os.fdopen(number, "rb", closefd=False) as file:
            yield file, status
    finally:
        os.close(number)


def regular_bytes(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file; pipes are not waited for, and links are not followed.

    Raises: FileError when the path is not a regular file, or the file is larger than `most` bytes.
    """
    with opened(path, "a regular file", most=most, follow=False) as (file, _):
        return file.read(most)
