"""The process that loads a file: its imports, its limits, and its Python."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from graded import RIGHT, cases, graded

from convalg.errors import ArgumentError


@pytest.mark.thorough
def test_files_beside_it_are_imported(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text(RIGHT)
    assert graded(tmp_path, "from layers import conv")
    # From another folder as well, by a path of its own.
    assert graded(tmp_path, "import layers\ndef conv(x, w): return layers.conv(x, w)")


def test_files_named_as_libraries_do_not_come_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random", "token", "select", "signal", "convalg", "scipy", "queue"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('homework')")
    assert graded(tmp_path, RIGHT)
    monkeypatch.chdir(tmp_path)
    assert graded(tmp_path, RIGHT)


NAMES = ["Faltung ü.py", "畳み込み.py", "a b'c\"d.py", "a:b.py", "-x.py"]


@pytest.mark.parametrize("name", cases({name: name for name in NAMES}, NAMES[2]))
def test_any_name_of_a_file_is_taken(tmp_path: Path, name: str) -> None:
    found = graded(tmp_path, RIGHT.replace("conv", "gefältelt"), name, function="gefältelt")
    assert found, found.explain()
    assert json.loads(found.to_json())["target"].endswith(f"{name}:gefältelt")
    assert ElementTree.fromstring(found.to_junit()) is not None


@pytest.mark.thorough
def test_limits_cannot_be_raised_by_a_usual_user(tmp_path: Path) -> None:
    text = """
    import resource
    for name in ("AS", "FSIZE", "NPROC", "CORE"):
        soft, hard = resource.getrlimit(getattr(resource, "RLIMIT_" + name))
        assert soft == hard != resource.RLIM_INFINITY, name
    """
    assert graded(tmp_path, dedent(text) + RIGHT)


def test_memory_that_is_too_little_for_python_is_no_fault_of_the_function(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"memory must be at least .* Python and its libraries"):
        graded(tmp_path, RIGHT, memory=2**20)
    with pytest.raises(ArgumentError, match="memory must be at most 1,152,921,504,606,846,976"):
        graded(tmp_path, RIGHT, memory=2**62)


@pytest.mark.thorough
def test_it_runs_with_the_same_python(tmp_path: Path) -> None:
    text = f"import sys\nassert sys.executable == {sys.executable!r}" + RIGHT
    assert graded(tmp_path, text)
    text = f"import os\nassert os.getpid() != {os.getpid()}" + RIGHT
    assert graded(tmp_path, text)
