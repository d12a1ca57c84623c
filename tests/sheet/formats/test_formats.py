"""The other forms of a sheet: LaTeX that a plain LaTeX sets, a notebook that runs, files."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from sheets import Sheets

import convalg as ca
from convalg.errors import ArgumentError, FileError
from convalg.sheet import Sheet
from convalg.sheet.blocks import EXACTLY, Check, Claim, Code, Section, Table, Text
from convalg.sheet.pictures import source

HOSTILE = "<script>alert(1)</script>\"'`$\\evil{}|*_^~%&#\N{GREEK SMALL LETTER ALPHA}"

LAYERS: dict[str, ca.Operator] = {
    "default": ca.correlation((5, 5), ca.kernels.sobel_x, padding=1),
    "strided": ca.convolution(9, ca.kernel(3), stride=2, padding=1),
    "fractions": ca.correlation(6, [Fraction(1, 3), Fraction(2, 3)], boundary="reflect", padding=1),
    "channels": ca.correlation((4, 4), ca.kernel(2, 1, 2, 2), groups=2),
    "transposed": ca.transposed_correlation((3, 3), ca.kernel(1, 1, 2, 2), stride=2),
    "large": ca.correlation((224, 224), np.ones((8, 3, 7, 7)), stride=2, padding=3),
    "hostile": ca.correlation(4, [sympy.Symbol(f"{HOSTILE}{k}") for k in range(2)], padding=1),
}


@pytest.fixture(scope="module")
def sheets() -> Sheets:
    return Sheets(LAYERS)


@pytest.fixture(scope="module", params=LAYERS)
def name(request: pytest.FixtureRequest) -> str:
    """A parameter that puts the tests of one layer after one another, on one worker."""
    return str(request.param)


def test_latex_is_balanced_and_plain(sheets: Sheets, name: str) -> None:
    text = sheets[name].latex()
    assert text.isascii()
    depth = 0
    for mark in re.findall(r"(?<!\\)(?:\\\\)*[{}]", text):
        depth += 1 if mark.endswith("{") else -1
        assert depth >= 0
    assert depth == 0
    body = text.partition(r"\begin{document}")[2]
    opened: list[str] = []
    for kind, word in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            opened.append(word)
        elif word != "document":
            assert opened.pop() == word
    assert opened == []
    assert body.count(r"\left") - body.count(r"\leftarrow") == body.count(r"\right")
    # Every command is one that LaTeX, its mathematics or the preamble knows.
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= KNOWN
    names = re.findall(r"\\sheetfigure\{([^}]*)\}", body)
    assert names == [picture.name for picture in sheets[name].pictures]


COMMANDS = """
char documentclass usepackage providecommand newcommand newsavebox allowdisplaybreaks sloppy
definecolor begin end IfFileExists includegraphics linewidth textheight par medskip smallskip
small footnotesize noindent textcolor textbf sbox sheetbox displaystyle ifdim wd resizebox usebox
else fi sheetfigure sheetformula sheetclaim title author date maketitle section item hline width
ttfamily mbox lt gt le text quad qquad ldots cdots cdot textbackslash textasciitilde
textasciicircum textless textgreater textbar textquotedbl textquotesingle textasciigrave times
dots sum prod frac tfrac left right lfloor rfloor lceil rceil operatorname mathsf mathrm partial
colon mathbf to in iff ge rho mapsto
alpha beta eta leftarrow langle rangle max min gcd star nabla bmod vdots backslash hat sim bmatrix
"""
KNOWN = set(COMMANDS.split())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["default", "hostile", "transposed"])
def test_pdflatex_sets_the_sheet(sheets: Sheets, name: str, tmp_path: Path) -> None:
    sheets[name].write(tmp_path, formats=("latex",))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "sheet.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]


def test_latex_has_no_name_that_acts(sheets: Sheets) -> None:
    text = sheets["hostile"].latex()
    assert r"\evil" not in text
    assert r"$\backslash$evil\{\}" in text
    assert "U+03B1" in text


def test_a_notebook_is_sound_and_its_code_runs(sheets: Sheets, name: str) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    text = sheets[name].notebook()
    assert text == sheets[name].notebook()
    nbformat.validate(nbformat.reads(text, as_version=4))
    book = json.loads(text)
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    known: dict[str, Any] = {}
    ran = 0
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), known)
            ran += 1
        for file, data in cell.get("attachments", {}).items():
            assert f"(attachment:{file})" in "".join(cell["source"])
            assert base64.b64decode(data["image/svg+xml"]).startswith(b"<?xml")
    assert ran > 5
    assert isinstance(known["A"], ca.Operator)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "large"])
def test_the_python_of_a_layer_makes_that_layer(name: str) -> None:
    layer = LAYERS[name]
    known: dict[str, Any] = {}
    exec(source(layer), known)
    assert known["A"].to_sympy() == layer.to_sympy()


def test_expressions_are_made_again_too() -> None:
    a, b = sympy.symbols("a b")
    layer = ca.correlation(4, [a + 2 * b, sympy.Rational(1, 2)])
    known: dict[str, Any] = {}
    exec(source(layer), known)
    assert known["A"].to_sympy() == layer.to_sympy()


def test_all_formats_are_written_with_their_figures(sheets: Sheets, tmp_path: Path) -> None:
    sheet = sheets["default"]
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
