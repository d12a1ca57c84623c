"""Figures as files: formats, the same bytes each time, and what cannot be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import convalg as ca
from convalg.errors import ArgumentError, FileError, KindError

START = {"svg": b"<?xml", "pdf": b"%PDF-", "png": b"\x89PNG"}


@pytest.mark.parametrize("kind", START)
def test_a_figure_is_the_same_file_each_time(kind: str, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        figure = ca.draw.modes(4, 2)
        place = ca.draw.save(figure, tmp_path / f"{name}.{kind.upper()}")
        files.append(place.read_bytes())
    assert files[0] == files[1]
    assert files[0].startswith(START[kind])
    for word in (mpl.__version__.encode(), b"CreationDate", b"dc:date"):
        assert word not in files[0]
    # Nothing is left beside them.
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.{kind.upper()}" for n in "ab"]


def test_a_png_has_the_pixels_asked_for(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    with Image.open(ca.draw.save(figure, str(tmp_path / "a.png"), dpi=50)) as image:
        assert image.size == (100, 50)


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "a.svg"
    place.write_text("old")

    class Broken(Figure):
        def savefig(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        ca.draw.save(Broken(), place)
    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]
    ca.draw.save(Figure(), place)
    assert place.read_text().startswith("<?xml")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "a.svg"
    with pytest.raises(
        FileError, match=r"cannot be written: No such file.*pass a path in a folder that"
    ):
        ca.draw.save(Figure(), missing)
    folder = tmp_path / "folder.svg"
    folder.mkdir()
    with pytest.raises(FileError, match=r"folder.svg cannot be written: Is a directory"):
        ca.draw.save(Figure(), folder)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("figure", "name", "dpi", "error", "words"),
    [
        (Figure(), "a.jpg", 100, ArgumentError, "the file name must end in .svg, .pdf, .png"),
        (Figure(), "a", 100, ArgumentError, "must end in .svg, .pdf, .png, not 'a'"),
        (np.eye(2), "a.svg", 100, KindError, "save takes a figure of ca.draw, not ndarray"),
        (Figure(), "a.png", 9, ArgumentError, "dpi must be an integer from 10 to 2400, not 9"),
        (Figure(), "a.png", 2401, ArgumentError, "dpi must be an integer"),
        (Figure(), "a.png", 100.0, ArgumentError, "from 10 to 2400, not 100.0"),
    ],
)
def test_what_is_not_saved(
    figure: Any, name: str, dpi: Any, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        ca.draw.save(figure, tmp_path / name, dpi=dpi)
    assert not list(tmp_path.iterdir())
