"""The other forms of a sheet: LaTeX that a plain LaTeX sets, a notebook that runs, files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sheets import FORM_SHEETS, HOSTILE

from convalg.errors import ArgumentError, FileError
from convalg.sheet import Sheet
from convalg.sheet.blocks import EXACTLY, Check, Claim, Code, Section, Table, Text


def test_all_formats_are_written_with_their_figures(tmp_path: Path) -> None:
    sheet = FORM_SHEETS["default"]
    place = sheet.write(tmp_path, formats=("latex", "html", "markdown", "notebook"))
    assert place == tmp_path / "sheet.tex"
    assert place.read_text(encoding="utf-8") == sheet.latex()
    assert (tmp_path / "sheet.ipynb").read_text(encoding="utf-8") == sheet.notebook()
    assert (tmp_path / "sheet.html").read_text(encoding="utf-8") == sheet.html()
    for picture in sheet.pictures:
        assert (tmp_path / "figures" / f"{picture.name}.pdf").read_bytes().startswith(b"%PDF")
        assert (tmp_path / "figures" / f"{picture.name}.svg").exists()
    assert sheet.write(tmp_path / "page", formats=["html"]).name == "sheet.html"
    assert [file.name for file in (tmp_path / "page").iterdir()] == ["sheet.html"]


BAD = {
    "a format": (("pdf",), "formats must be some of html, markdown, latex, notebook, as a tuple"),
    "none": ((), "or list, not ()"),
    "a word": ("html", "as a tuple or list, not 'html'"),
}


@pytest.mark.parametrize(("formats", "words"), BAD.values(), ids=BAD)
def test_unknown_formats(formats: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        Sheet("t", "l", ()).write(tmp_path / "new", formats=formats)
    assert words in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_folder_without_leave_to_write(tmp_path: Path) -> None:
    (tmp_path / "sheet.tex").mkdir()
    with pytest.raises(FileError, match=r"cannot write the sheet to .* a directory"):
        Sheet("t", "l", ()).write(tmp_path, formats=("latex",))
    assert not list(tmp_path.glob(".*"))


def test_every_block_is_text_in_every_format() -> None:
    held = Check(EXACTLY, HOSTILE, HOSTILE)
    parts = (
        Text(HOSTILE),
        Code(HOSTILE, runs=True),
        Table((HOSTILE, "b"), ((HOSTILE, "1"),), HOSTILE),
        Claim(HOSTILE, held),
    )
    sheet = Sheet(HOSTILE, HOSTILE, (Section(HOSTILE, parts),))
    assert sheet.html().count("<script>") == 1
    assert r"\evil" not in sheet.latex()
    outside = re.sub(r"^(`{3,})python\n.*?\n\1$", "", sheet.markdown(), flags=re.M | re.S)
    assert re.search(r"(?<!\\)[<`|](?!\s|$)", outside.replace("| ---", "")) is None
    assert json.loads(sheet.notebook())["cells"][0]["source"][0].startswith("# \\<script")
