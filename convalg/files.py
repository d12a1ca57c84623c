"""Files written as a whole or not at all, and files of unknown origin opened without waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from convalg.errors import FileError


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
    beside = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        try:
            beside.write_bytes(data)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{place} cannot be written: {reason}; choose a folder that exists and that you may "
            f"write to"
        ) from None
    return place


def regular_bytes(place: Path, most: int) -> bytes:
    """Return what a regular file holds, without waiting for a pipe or following a link.

    Raises: FileError for what is not a regular file, or longer than `most` bytes.
    """
    try:
        number = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise FileError(f"{place} cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise FileError(f"{place} cannot be read: it is not a regular file")
        if found.st_size > most:
            raise FileError(f"{place} has {found.st_size:,} bytes, and at most {most:,} are read")
        with os.fdopen(number, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(number)
