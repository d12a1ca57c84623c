"""TikZ pictures: the same cells and colours as the figures, nothing that LaTeX would act on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.draw import palette, tikz
from convalg.errors import KindError, ShapeError, SymbolicError, TooLargeError

MARKS = r"\{}$&#%_^~<>|`'" + '"'
NASTY = [sympy.Symbol(MARKS[k : k + 2]) for k in range(0, len(MARKS), 2)]


def named() -> ca.Network:
    net = ca.Network((1, 8), name="net")
    net.add(ca.layers.Conv(1, 3), name=rf"\input{{x}} {MARKS} × · …")
    return net


PICTURES = {
    "plane": lambda: tikz.matrix(ca.correlation((4, 4), ca.kernel(3, 3), padding=1)),
    "channels": lambda: tikz.matrix(ca.correlation((3, 3), ca.kernel(2, 2, 2, 2)).T),
    "fractions": lambda: tikz.matrix(ca.average_pool((4, 4), 2)),
    "floats": lambda: tikz.matrix(ca.correlation(3, [1e-5, -1 / 3])),
    "nasty": lambda: tikz.kernel(ca.correlation((4, 9), [NASTY])),
    "nasty window": lambda: tikz.window(ca.correlation((4, 9), [NASTY])),
    "kernel": lambda: tikz.kernel(ca.correlation((4, 4), ca.kernel(2, 3, 2, 2))),
    "modes": lambda: tikz.modes(6, 3),
    "window": lambda: tikz.window(ca.correlation((5, 5), ca.kernel(3, 3), padding=1), (0, 2)),
    "long sum": lambda: tikz.window(ca.correlation((4, 4), ca.kernel(2, 3, 2, 2)), (1, 1, 1)),
    "transposed": lambda: tikz.window(
        ca.transposed_correlation(5, [1, 2, 3], stride=2), x=[1, 2, 3, 4, 5]
    ),
    "lenet": lambda: tikz.network(ca.zoo.lenet5()),
    "unet": lambda: tikz.network(ca.zoo.unet()),
    "resnet": lambda: tikz.network(ca.zoo.resnet50()),
    "names": lambda: tikz.network(named()),
}
COMMANDS = {
    *("begin", "end", "definecolor", "fill", "draw", "node", "fontsize", "selectfont"),
    *("bfseries", "dots", "mbox", "char", "backslash", "hat", "sim", "times", "cdot"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_hold_nothing_but_their_own_commands(name: str) -> None:
    picture = PICTURES[name]()
    plain = re.sub(r"\\[{}$&#%_]", "", picture)
    assert set(re.findall(r"\\([A-Za-z]+|.)", plain)) <= COMMANDS
    assert plain.count("{") == plain.count("}")
    for line in plain.splitlines():
        depth = 0
        for mark in line:
            depth += (mark == "{") - (mark == "}")
            assert depth >= 0
        assert depth == 0
        assert line.count("$") % 2 == 0
        outside = re.sub(r"\$[^$]*\$", "", line)
        assert not set(outside) & set("&#%~^_")
    used = set(re.findall(r"\bc[0-9A-F]{6}\b", plain))
    assert used == set(re.findall(r"\\definecolor\{(c[0-9A-F]{6})\}", plain))
    assert picture.isascii()


@pytest.mark.parametrize(
    "operator",
    [
        ca.correlation((4, 4), ca.kernel(3, 3), padding=1),
        ca.correlation(7, ca.kernel(3), stride=2).T,
        ca.dense([[0, 2], [2, 5]]),
    ],
    ids=["plane", "adjoint", "dense"],
)
def test_a_matrix_has_a_cell_for_each_entry(operator: Any) -> None:
    exact = operator.to_sympy()
    cells = re.findall(r"\\fill\[(c\w+)\] \((\d+),(\d+)\) rectangle \+\+\(1,1\);\n.*\$(.*)\$",
                       tikz.matrix(operator))  # fmt: skip
    found = {(int(y), int(x)): words for _, x, y, words in cells}
    rows, columns = operator.shape
    assert found == {
        (r, c): tikz.tex(str(exact[r, c])).strip("$")
        for r in range(rows)
        for c in range(columns)
        if exact[r, c] != 0
    }
    colours = {(words, colour) for colour, _, _, words in cells}
    assert len(colours) == len({words for words, _ in colours}) == len({c for _, c in colours})


def test_colours_are_those_of_the_figures() -> None:
    picture = tikz.kernel(ca.correlation((4, 4), ca.kernel(3, 3)))
    fills = re.findall(r"\\fill\[c(\w{6})\]", picture)
    wanted = [
        "".join(f"{round(255 * share):02X}" for share in colour)
        for colour in palette.weight_colours((3, 3))
    ]
    assert fills == wanted


@given(st.text(max_size=20))
def test_any_text_is_escaped(words: str) -> None:
    found = tikz.escaped(words)
    commands = re.findall(r"\\([A-Za-z]+|.)", found)
    assert set(commands) <= {*COMMANDS, *"{}&#%_"}
    assert "\n" not in found
    assert re.sub(r"\\[{}&#%_]", "", found).count("$") % 2 == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tikz.matrix(np.eye(2)), KindError, "tikz.matrix takes an operator, not ndarray"),  # type: ignore[arg-type]
        (
            lambda: tikz.matrix(ca.correlation(*ca.sizes("n"), [1, 2])),
            SymbolicError,
            "tikz.matrix needs numbers",
        ),
        (
            lambda: tikz.matrix(ca.identity(101)),
            TooLargeError,
            "a 101 x 101 matrix is too large for TikZ; the limit is 100",
        ),
        (
            lambda: tikz.kernel(ca.correlation((101, 2), np.ones((101, 2)))),
            TooLargeError,
            r"a kernel of shape \(101, 2\) is too large for TikZ",
        ),
        (lambda: tikz.kernel(ca.identity(2)), KindError, "must contain exactly one kernel"),
        (lambda: tikz.modes(100, 2), TooLargeError, "modes of 101 rows are too large for TikZ"),
        (lambda: tikz.window(ca.identity(2)), KindError, "tikz.window takes a layer of"),
        (
            lambda: tikz.window(ca.correlation(3, [1, 2]), x=[1]),
            ShapeError,
            r"x must be one sample of shape \(3,\)",
        ),
        (lambda: tikz.network([]), KindError, "tikz.network takes a ca.Network, not list"),  # type: ignore[arg-type]
    ],
)
def test_what_tikz_does_not_draw(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_large_networks_are_left_to_figures() -> None:
    net = ca.Network((1, 4))
    for _ in range(200):
        net.add(ca.layers.Conv(1, 1), "input")
    with pytest.raises(TooLargeError, match="a graph of 201 boxes is too large for TikZ"):
        tikz.network(net)
    assert tikz.matrix(ca.identity(100))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", PICTURES)
def test_pdflatex_sets_every_picture(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.tex").write_text(tikz.document(PICTURES[name]()), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert (tmp_path / "a.pdf").stat().st_size > 1000
