"""Figures as files: SVG, PDF and PNG, the same bytes each time, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from convalg.draw.figure import METADATA, rendered
from convalg.errors import ArgumentError, FileError, KindError


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
    """Write a figure as SVG, PDF or PNG, by the ending of `path`; the path is returned.

    The file is written beside its place and renamed, so that it is whole or not there. `dpi` are
    the pixels of an inch in a PNG.

    Raises: ArgumentError for another ending, FileError where it cannot be written, KindError for
    what is no figure.

    >>> import convalg as ca, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(ca.draw.modes(4, 2), Path(folder) / "modes.svg").stat().st_size > 1000
    True
    """
    if not isinstance(figure, Figure):
        raise KindError(
            f"save takes a figure of ca.draw, not {type(figure).__name__}; "
            f"draw.window_animation writes GIFs itself"
        )
    if isinstance(dpi, bool) or not isinstance(dpi, int) or not 10 <= dpi <= 2400:
        raise ArgumentError(f"dpi must be a whole number from 10 to 2400, not {dpi!r}")
    place = Path(path)
    kind = ending(place, tuple(METADATA))
    return replace_file(place, rendered(figure, kind, dpi))


def ending(place: Path, known: tuple[str, ...]) -> str:
    """The format that the name of a file asks for. Raises: ArgumentError for an unknown one."""
    kind = place.suffix.lower().removeprefix(".")
    if kind not in known:
        names = ", ".join(f".{name}" for name in known)
        raise ArgumentError(f"the name of the file must end in {names}, not {place.name!r}")
    return kind


def replace_file(place: Path, data: bytes) -> Path:
    """The whole file at once: written beside its place, then renamed.

    Raises: FileError where the folder is missing or cannot be written.
    """
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        try:
            beside.write_bytes(data)
            os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(
            f"{place} cannot be written: {error.strerror or error}; choose a folder that exists "
            f"and that you may write to"
        ) from None
    return place
