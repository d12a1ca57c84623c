"""The README's commands. Its Python runs as a doctest; its console blocks are held here."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import readme_picture
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
TOUR = re.findall(r"```console\n(.*?)```", (ROOT / "docs/tour.md").read_text("utf-8"), re.DOTALL)
COMMANDS = [part.strip() for line in "".join(BLOCKS).splitlines() for part in line.split("&&")]

# What the reader of the README has.
HOMEWORK = """
import convalg as ca

def conv_backward(x, w, g, stride, padding):
    layer = ca.correlation(x.shape[2:], w, stride=stride, padding=padding)
    return layer.T(g), layer.kernel_gradient(x, g)
"""


SHOWN = dict.fromkeys([*COMMANDS, *"".join(TOUR).splitlines()])


@pytest.mark.parametrize("command", [c for c in SHOWN if c.startswith("convalg ")])
def test_commands_of_the_readme_and_the_tour_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convalg.cli import main

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (24, 18), (200, 120, 40)).save(tmp_path / "photo.png")
    (tmp_path / "homework.py").write_text(HOMEWORK, encoding="utf-8")
    with pytest.raises(SystemExit) as done:
        main(shlex.split(command)[1:])
    assert not done.value.code
    words = shlex.split(command)
    folder = tmp_path / (words[words.index("--out") + 1] if "--out" in words else "convalg-sheet")
    if words[1] == "explain" and "--help" not in words:
        assert any(folder.rglob("*.html"))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_the_picture_of_the_readme_is_what_is_drawn_now() -> None:
    with Image.open(readme_picture.PICTURE) as image:
        stored = np.asarray(image.convert("RGB")).astype(int)
    drawn = readme_picture.picture().astype(int)
    assert stored.shape == drawn.shape
    # Few colours are stored, and text is drawn a little differently by each FreeType.
    assert np.abs(stored - drawn).mean() < 3


def test_extras_of_the_readme_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        extra
        for found in re.findall(r"\.\[([\w,]+)\]", "".join(BLOCKS))
        for extra in found.split(",")
    }
    assert named
    assert named <= set(project["optional-dependencies"])


def test_the_pipeline_runs_the_commands_of_the_readme() -> None:
    script = re.sub(r"pip install -q", "pip install", (ROOT / ".ci" / "run").read_text("utf-8"))
    # Those with options are run above, by the tests.
    run_here = ("convalg explain --", "convalg prove", "convalg check", "convalg exercise")
    run_here += ("convalg analyse", "convalg train")
    wanted = [c for c in COMMANDS if not c.startswith(run_here)]
    assert len(wanted) > 3
    assert [command for command in wanted if command not in script] == []
