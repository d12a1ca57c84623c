"""Processes of programs: their limits and their folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from programs import command, program

from convalg import check


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import os\nwhile True: os.write(1, b'x' * 2**20)", "prints-too-much"),
        ("while True: print('\\x1b[31m' * 2**16)", "prints-too-much"),
        (
            "import os, time\nfor _ in range(99):\n    if not os.fork(): time.sleep(60)\n"
            "time.sleep(60)",
            "too-many-processes",
        ),
        ("import time; time.sleep(60)", "hangs"),
        ("import sys; assert sys.stdin.read() == ''; sys.exit('\\x1b[31m\\udcff')", "raises"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "raises"),
        ("x = bytearray(2**32)", "raises"),
    ],
)
def test_a_program_has_limits(tmp_path: Path, text: str, code: str) -> None:
    report = check.forward(command(tmp_path, text, timeout=6, memory=2**30), cases=2)
    assert report.diagnosis[0].code == code, report.explain()
    assert report.explain().replace("\n", "").isprintable()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path / "program.py") not in left


def test_a_program_runs_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = """
    import os, sys
    assert sorted(os.listdir()) == ["w.npy", "x.npy"], os.listdir()
    assert open(sys.argv[4]).read() == "here"
    open("left", "w").close(); os.mkdir("closed"); os.chmod("closed", 0)
    open(sys.argv[3], "wb").write(open(sys.argv[1], "rb").read())
    """
    program(tmp_path, text)
    Path("settings.txt").write_text("here")
    words = [sys.executable, "-S", "program.py", "{x}", "{w}", "{y}", "settings.txt"]
    x = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(check.from_command(words)(x, x), x)
    assert sorted(os.listdir()) == ["program.py", "settings.txt"]


def test_no_file_of_a_program_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    check.forward(command(tmp_path, "import sys; sys.exit(1)"), cases=2)
    assert list(scratch.iterdir()) == []
