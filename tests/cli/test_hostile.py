"""Commands with hostile options, files, streams and environments: one message, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from command_line import run

HUGE = str(10**22)
NUMBERS = (HUGE, "-1", "0", "nan", "", ".", "1.5", "9" * 5000)
PLACES = (
    "",
    ".",
    "/dev/full",
    "/dev/null",
    "/dev/null/x",
    "folder",
    "fifo",
    "a\x1b[31mb/c",
    "\udcff/x",
)
SMALL = ("--shape", "4", "--kernel", "2")

# The options that take numbers, and those that take places, of each command.
WITH_NUMBERS = [
    *(("explain", *SMALL, option) for option in ("--stride", "--padding", "--dilation")),
    *(("explain", option) for option in ("--shape", "--kernel", "--channels", "--out-channels")),
    ("explain", "--channels", "2", "--kernel", "2", "--groups"),
    *(("check", "homework.py:conv", option) for option in ("--dims", "--cases", "--timeout")),
    *(("check", "homework.py:conv", "--cases", "1", option) for option in ("--memory", "--jobs")),
    *(("exercise", option) for option in ("--seed", "--level")),
    *(("train", option) for option in ("--epochs", "--seed")),
    ("analyse", "model.onnx", "--in-shape"),
]
WITH_PLACES = [
    ("explain", *SMALL, "--image"),
    ("exercise", "--out"),
    ("check", "homework.py:conv", "--cases", "1", "--junit"),
    ("analyse", "lenet5", "--figure"),
    ("analyse",),
    ("train", "--data"),
    ("train", "--out"),
]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("homework.py").write_text("def conv(x, w): return x\n")
    Path("folder").mkdir()
    Path("model.onnx").write_bytes(b"nothing")
    os.mkfifo("fifo")


def assert_told(capsys: pytest.CaptureFixture[str], status: int) -> None:
    """One message, which a terminal shows and does not act on."""
    printed = capsys.readouterr()
    assert status in (0, 1, 2)
    assert status != 2 or printed.err
    assert "Traceback" not in printed.err
    assert_shown(printed.out + printed.err)


def assert_shown(text: str) -> None:
    acting = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"}
    assert acting == set()


# Options.


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("explain", *SMALL, "--stride", HUGE), "--stride must be integers of at most 15 digits"),
        (("explain", "--shape", "9" * 5000), "--shape must be integers of at most 15 digits"),
        (("check", "homework.py:conv", "--junit", "."), ". cannot be written: Is a directory"),
        (("check", "homework.py:conv", "--cases", HUGE), "cases must be a 64-bit integer"),
        (("check", "homework.py:conv", "--memory", HUGE), "memory must be a 64-bit integer"),
        (("exercise", "--out", "/dev/null"), "/dev/null cannot be written: it is not a regular"),
        (("exercise", "--out", "fifo"), "fifo cannot be written: it is not a regular file"),
        (("train", "--seed", "-1"), "--seed"),
        *(
            ((*command, ""), "the path is empty: pass a path")
            for command in (
                *(("explain", "--out"), ("explain", "--image"), ("train", "--out")),
                *(("train", "--data"), ("exercise", "--out"), ("analyse", "lenet5", "--figure")),
                ("check", "homework.py:conv", "--junit"),
            )
        ),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_is_beyond_reason_is_refused(
    command: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--junit" in command:
        command = (*command, "--cases", "1")
    assert run(*command) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in " ".join(printed.err.replace("│", " ").split())
    assert os.stat("/dev/null").st_mode & 0o170000 == 0o020000


@pytest.mark.thorough
@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: value[:9] or "empty")
@pytest.mark.parametrize("command", WITH_NUMBERS, ids=" ".join)
def test_numbers(
    command: tuple[str, ...],
    value: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What they would do if the options were right has tests of its own.
    monkeypatch.setattr("convalg.sheet.sheet._sections", lambda *_: ())
    monkeypatch.setattr("convalg.train.loop._Run.go", lambda self: self.history)
    if command[-1] == "--jobs" and value in (HUGE, "-1"):
        pytest.skip("as many as there are configurations")
    assert_told(capsys, run(*command, value))


@pytest.mark.thorough
@pytest.mark.parametrize("value", PLACES, ids=lambda value: ascii(value)[:12] or "empty")
@pytest.mark.parametrize("command", WITH_PLACES, ids=" ".join)
def test_places(
    command: tuple[str, ...],
    value: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("convalg.sheet.sheet._sections", lambda *_: ())
    monkeypatch.setattr("convalg.train.loop._Run.go", lambda self: self.history)
    devices = [os.stat(name) for name in ("/dev/null", "/dev/full")]
    assert_told(capsys, run(*command, value))
    now = [os.stat(name) for name in ("/dev/null", "/dev/full")]
    assert [(s.st_mode, s.st_ino) for s in now] == [(s.st_mode, s.st_ino) for s in devices]


@pytest.mark.parametrize("place", [".", "/dev/full", "/dev/null", "folder", "fifo"])
def test_reports_go_to_regular_files_only(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("exercise", "--out", place) == 2
    assert f"convalg: {place} cannot be written: " in capsys.readouterr().err
    assert os.path.isdir("folder")


def test_a_link_is_written_through(capsys: pytest.CaptureFixture[str]) -> None:
    os.symlink("folder/there.md", "link.md")
    Path("folder/there.md").write_text("old")
    assert run("exercise", "--out", "link.md") == 0
    assert os.path.islink("link.md")
    assert Path("folder/there.md").read_text(encoding="utf-8").startswith("#")


# Text of others.

HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\x9b2J\u202eback\u2066\ud800"


def test_names_of_files_and_theorems(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ("check", f"{HOSTILE}.py:conv"),
        ("check", "homework.py:conv", "--kind", HOSTILE),
        ("analyse", HOSTILE),
        ("analyse", f"{HOSTILE}.onnx"),
        ("prove", HOSTILE),
        ("prove", "--equal", HOSTILE, "identity(3)"),
        ("explain", "--kernel", HOSTILE),
        ("explain", "--image", HOSTILE),
        ("exercise", "--format", HOSTILE),
        ("exercise", "--out", f"{HOSTILE}/x"),
        ("train", "--data", HOSTILE),
        ("train", "--net", HOSTILE),
    ):
        status = run(*arguments)
        printed = capsys.readouterr()
        assert status == 2, arguments
        assert_shown(printed.out + printed.err)


@pytest.mark.parametrize("how", ["raise ValueError(H)", "H + 1 / 0", "return {H: 1}[H + H]"])
def test_what_a_checked_function_says(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("homework.py").write_text(f"H = {HOSTILE!r}\ndef conv(x, w):\n    {how}\n")
    for options in ((), ("--json",), ("--junit", "report.xml")):
        assert run("check", "homework.py:conv", "--cases", "2", *options) == 1
        printed = capsys.readouterr()
        assert_shown(printed.out + printed.err)
    assert_shown(Path("report.xml").read_text(encoding="utf-8"))


def test_what_a_file_says_while_it_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    for text in (
        f"raise ValueError({HOSTILE!r})",
        f"import os; os.write(2, {HOSTILE!r}.encode('utf-8', 'surrogatepass')); os._exit(3)",
        f"def conv(x, w): ...\nconv.__name__ = {HOSTILE!r}",
        f"globals()[{HOSTILE!r}] = print",
        f"conv = type({HOSTILE[:-1]!r}, (), {{}})()",
    ):
        Path("homework.py").write_text(text)
        assert run("check", "homework.py:conv", "--cases", "1") in (1, 2)
        printed = capsys.readouterr()
        assert_shown(printed.out + printed.err)


# Streams and environments.


def finished(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "convalg", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
    )


ENVIRONMENTS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"MPLBACKEND": "nope"},
    {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "1"},
]
COMMANDS = [("--help",), ("prove", "commutativity"), ("exercise",), ("analyse", "lenet5")]


@pytest.mark.thorough
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_environments(environment: dict[str, str], command: tuple[str, ...]) -> None:
    found = finished(*command, **environment)
    assert found.returncode == 0, found.stderr
    assert found.stderr == b""
    assert found.stdout


def test_an_encoding_without_the_letters_and_a_backend_that_is_none() -> None:
    found = finished(
        *("analyse", "lenet5", "--figure", "field.svg"),
        PYTHONIOENCODING="ascii",
        MPLBACKEND="nope",
    )
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.isascii()
    assert Path("field.svg").stat().st_size > 1000


@pytest.mark.thorough
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("stream", [">/dev/full", ">&-"])
def test_outputs_that_take_nothing(command: tuple[str, ...], stream: str) -> None:
    found = subprocess.run(
        ["sh", "-c", f'"$0" -m convalg "$@" {stream}', sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert found.returncode == 2, found.stderr
    (line,) = found.stderr.splitlines()
    assert line.startswith("convalg: ")
    assert "output" in line


def test_a_full_output_in_this_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run("exercise") == 2
    assert "output cannot be" in capsys.readouterr().err


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("homework.py").write_text(f"def conv(x, w): raise ValueError({HOSTILE!r})\n")
    assert run("check", "homework.py:conv", "--cases", "1", "--json") == 1
    assert "\\x1b[31mred" in json.loads(capsys.readouterr().out)["explanation"]
