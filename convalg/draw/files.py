"""Figures as files: SVG, PDF and PNG, the same bytes each time, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from convalg.arguments import as_path, shown
from convalg.draw.figure import METADATA, rendered
from convalg.errors import ArgumentError, KindError
from convalg.files import replace_file


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
        raise ArgumentError(f"dpi must be a whole number from 10 to 2400, not {shown(dpi)}")
    target = as_path(path)
    kind = ending(target, tuple(METADATA))
    return replace_file(target, rendered(figure, kind, dpi))


def ending(path: Path, allowed: tuple[str, ...]) -> str:
    """The format that the name of a file asks for. Raises: ArgumentError for an unknown one."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in allowed:
        names = ", ".join(f".{name}" for name in allowed)
        raise ArgumentError(f"the name of the file must end in {names}, not {path.name!r}")
    return kind
