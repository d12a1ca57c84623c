"""Figures as files: SVG, PDF and PNG, reproducible and written atomically."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from convalg.arguments import as_path, shown
from convalg.draw.figure import METADATA, rendered
from convalg.errors import ArgumentError, KindError
from convalg.files import replace_file


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
    """Write a figure as SVG, PDF or PNG, depending on the suffix of `path`, and return the path.

    The file is written under a temporary name and renamed, so it is never incomplete.

    Args:
        figure: a figure that a function of `ca.draw` returned, or another matplotlib figure.
        path: the file, with the suffix .svg, .pdf or .png.
        dpi: the resolution of a PNG in pixels per inch.

    Raises:
        ArgumentError: for another suffix or resolution.
        FileError: when the file cannot be written.
        KindError: when `figure` is not a figure.

    >>> import convalg as ca, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ca.draw.save(ca.draw.modes(4, 2), folder + "/modes.svg").stat().st_size > 1000
    True
    """
    if not isinstance(figure, Figure):
        raise KindError(
            f"save takes a figure of ca.draw, not {type(figure).__name__}; to write a GIF, use "
            f"draw.window_animation"
        )
    if isinstance(dpi, bool) or not isinstance(dpi, int) or not 10 <= dpi <= 2400:
        raise ArgumentError(f"dpi must be an integer from 10 to 2400, not {shown(dpi)}")
    target = as_path(path)
    kind = ending(target, tuple(METADATA))
    return replace_file(target, rendered(figure, kind, dpi))


def ending(path: Path, allowed: tuple[str, ...]) -> str:
    """Return the format for the suffix of a file. Raises: ArgumentError for another suffix."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in allowed:
        names = ", ".join(f".{name}" for name in allowed)
        raise ArgumentError(f"the file name must end in {names}, not {path.name!r}")
    return kind
