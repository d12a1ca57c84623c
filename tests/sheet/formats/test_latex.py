"""The LaTeX of a sheet is balanced, plain, and compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sheets import FORM_SHEETS, FORMS


@pytest.mark.parametrize("name", FORMS)
def test_latex_is_balanced_and_plain(name: str) -> None:
    text = FORM_SHEETS[name].latex()
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
    assert names == [picture.name for picture in FORM_SHEETS[name].pictures]


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
def test_pdflatex_sets_the_sheet(name: str, tmp_path: Path) -> None:
    FORM_SHEETS[name].write(tmp_path, formats=("latex",))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "sheet.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]


def test_latex_has_no_name_that_acts() -> None:
    text = FORM_SHEETS["hostile"].latex()
    assert r"\evil" not in text
    assert r"$\backslash$evil\{\}" in text
    assert "U+03B1" in text
