"""Programs that go wrong: exit statuses, files that hold no array, and programs that hang."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from programs import command

from convalg import check
from convalg.errors import FileError

BAD = {
    "status": ("import sys; sys.exit(7)", RuntimeError, "exit status 7: no message"),
    "words": (
        "import sys; sys.exit('out of cheese')",
        RuntimeError,
        "exit status 1: out of cheese",
    ),
    "signal": ("import os; os.abort()", RuntimeError, "exit status -6: no message"),
    "nothing": ("", FileError, "y.npy' (No such file or directory)"),
    "garbage": (
        "import sys; open(sys.argv[3], 'w').write('garbage')",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "empty": (
        "import sys; open(sys.argv[3], 'w')",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "a pipe": ("import os, sys; os.mkfifo(sys.argv[3])", FileError, "y.npy' is not a regular file"),
    "a device": (
        "import os, sys; os.symlink('/dev/zero', sys.argv[3])",
        FileError,
        "y.npy' (Too many levels of symbolic links)",
    ),
    "a folder": ("import os, sys; os.mkdir(sys.argv[3])", FileError, "y.npy' is a directory"),
    "a huge file": (
        "import sys; open(sys.argv[3], 'wb').truncate(2**40)",
        RuntimeError,
        "File too large",
    ),
    "a hole": (
        "import sys; open(sys.argv[3], 'wb').truncate(2**28)",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "cut off": (
        "import sys; d = open(sys.argv[1], 'rb').read(); open(sys.argv[3], 'wb').write(d[:-8])",
        FileError,
        "y.npy must contain 4 numbers of float64, but it has only 24 bytes: write",
    ),
    "pickle": (
        "import sys, numpy as np; np.save(sys.argv[3], np.array([{}]), allow_pickle=True)",
        FileError,
        "y.npy must contain numbers, not objects or text of dtype object",
    ),
    "bare pickle": (
        "import sys, pickle; pickle.dump([1], open(sys.argv[3], 'wb'))",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "bytes that are no text": (
        "import os, sys; os.write(2, b'\\xff\\xfe'); sys.exit(1)",
        RuntimeError,
        "exit status 1",
    ),
}


@pytest.mark.parametrize(("text", "error", "words"), BAD.values(), ids=BAD)
def test_what_a_program_does_wrong_is_raised(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        command(tmp_path, text)(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)))
    assert words in str(caught.value)
    report = check.forward(command(tmp_path, text), cases=1)
    assert report.diagnosis[0].code == "raises"


@pytest.mark.parametrize("kind", ["npz", "a million by a million"])
def test_files_that_hold_no_array_are_findings(tmp_path: Path, kind: str) -> None:
    text = {
        "npz": "import sys, numpy as np; np.savez(open(sys.argv[3], 'wb'), a=np.ones(3))",
        "a million by a million": """
        import sys, numpy as np
        with open(sys.argv[3], "wb") as f:
            np.lib.format.write_array_header_1_0(
                f, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
            )
        """,
    }[kind]
    report = check.forward(command(tmp_path, text), cases=2)
    assert report.diagnosis[0].code in ("wrong-type", "raises")


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    with pytest.raises(TimeoutError, match="it did not finish within 1 seconds"):
        command(tmp_path, text, timeout=1)(np.ones(1), np.ones(1))
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_program_that_is_not_there_is_a_finding() -> None:
    run = check.from_command(["/nowhere/conv", "{x}", "{w}", "{y}"])
    report = check.forward(run, cases=2)
    assert report.diagnosis[0].code == "raises"
    assert "FileNotFoundError" in report.diagnosis[0].message
