"""`convalg check` and `convalg exercise`: exit statuses, JSON, JUnit XML, and what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import refused, run

from convalg.check.problem import KINDS
from convalg.sheet.exercise import FORMATS, exercise

RIGHT = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def conv(x, w):
    return np.einsum("nchwab,ocab->nohw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)

def flipped(x, w):
    return conv(x, w[:, :, ::-1, ::-1])

def endless(x, w):
    while True:
        pass

def pool(x, size, stride):
    taps, steps = np.broadcast_to(size, 2), np.broadcast_to(stride, 2)
    cut = sliding_window_view(x, tuple(taps), axis=(2, 3))[:, :, :: steps[0], :: steps[1]]
    return cut.max(axis=(4, 5))

def conv_backward(x, w, dout, stride):
    return x, w

def conv_and_cache(x, w):
    return conv(x, w), (x, w)

def elsewhere(x, w):
    import a_package_that_is_not_here

def line(x, w):
    return np.einsum("ncia,oca->noi", sliding_window_view(x, w.shape[2], axis=2), w)
"""


@pytest.fixture(autouse=True)
def _with_homework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("homework.py").write_text(RIGHT)


def check(function: str, *options: str) -> int:
    return run("check", f"homework.py:{function}", "--cases", "8", *options)


# check.


def test_what_is_right_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("conv") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("conv, checked as a correlation layer\nAll 8 configurations pass")
    note = "Note: not tested, since conv does not have these parameters: stride, padding"
    assert note in printed.out
    assert printed.err == ""


def test_what_is_wrong_ends_with_1_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("flipped") == 1
    printed = capsys.readouterr()
    assert "Most likely: flipped-kernel (100%)" in printed.out
    assert "The smallest failure: flipped(x (1, 1, " in printed.out
    assert "they first differ at y[0, 0, 0, 0]: expected" in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(
    "options",
    [
        ("pool", "--kind", "max_pool"),
        ("line", "--dims", "1"),
        ("conv", "--timeout", "50.5", "--memory", "3000"),
    ],
)
def test_kinds_and_axes(options: tuple[str, ...]) -> None:
    assert check(*options) == 0


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("conv_backward", "or check a gradient by backward (--kind backward)"),
        ("conv_and_cache", "y is a tuple of 2, not an array: return y alone; gradients are"),
        ("elsewhere", "missing-library: elsewhere needs the package a_package_that_is_not_here"),
    ],
)
def test_what_to_do_instead_is_told(
    function: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(function) == 1
    assert words in " ".join(capsys.readouterr().out.split())


def test_a_function_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("covn") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(
        "convalg: homework.py has no function covn; choose one of its functions (sliding_"
    )
    assert check("covn", "--json") == 2
    assert json.loads(capsys.readouterr().out)["diagnosis"][0]["code"] == "no-function"


def test_what_hangs_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("endless", "--timeout", "3") == 1
    out = capsys.readouterr().out
    assert out == ("hangs: it did not finish within 3 seconds, at the first configuration\n")


@pytest.mark.parametrize(("function", "status"), [("conv", 0), ("flipped", 1)])
def test_json_is_all_that_is_printed(
    function: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(function, "--json") == status
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert printed.err == ""
    assert found["passed"] is (status == 0)
    assert found["target"] == f"homework.py:{function}"
    assert (found["kind"], found["cases"]) == ("forward", 8)
    assert (found["diagnosis"] == []) == (status == 0)
    assert (found["smallest"] is None) == (status == 0)
    if found["smallest"]:
        smallest = found["smallest"]
        assert list(smallest["shapes"]) == ["w", "x"]
        assert smallest["expected"] != smallest["got"]


@pytest.mark.parametrize(("function", "status"), [("conv", 0), ("flipped", 1)])
def test_junit_is_written_beside_what_is_printed(
    function: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(function, "--junit", "report.xml") == status
    suite = ElementTree.parse("report.xml").getroot()
    assert suite.get("failures") == str(status)
    (case,) = suite
    assert case.get("name") == f"homework.py:{function}"
    assert len(case) == status
    if status:
        assert (case[0].text or "") + "\n" == capsys.readouterr().out
    assert sorted(os.listdir()) == ["homework.py", "report.xml"]


def test_markup_of_a_report_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Path("homework.py").write_text("def conv(x, w):\n    raise ValueError('[red]a[/red] [1]')\n")
    assert check("conv") == 1
    assert "ValueError: [red]a[/red] [1]" in capsys.readouterr().out


BAD = [
    ("homework.py", "target must be FILE.py:function, not 'homework.py'"),
    (":conv", "target must be FILE.py:function, not ':conv'"),
    ("homework.py:", "target must be FILE.py:function, not 'homework.py:'"),
    ("homework.py:a.b", "target must be FILE.py:function, not 'homework.py:a.b'"),
    ("homework.py:conv()", "target must be FILE.py:function, not 'homework.py:conv()'"),
    ("nowhere.py:conv", "the file to check does not exist: nowhere.py"),
    (".:conv", "the file to check does not exist: ."),
    ("homework.py:conv --kind linear", "kind must be one of forward, backward, transposed"),
    ("homework.py:conv --dims 0", "dims must be at least 1, not 0"),
    ("homework.py:conv --dims 5", "dims must be 1 to 4 and cases an integer, not 5"),
    ("homework.py:conv --cases 0", "cases must be at least 1, not 0"),
    ("homework.py:conv --cases -1", "cases must be at least 1, not -1"),
    ("homework.py:conv --cases 10001", "cases must be at most 10,000, not 10,001"),
    ("homework.py:conv --memory 99999999999999", "memory must be a 64-bit integer"),
    ("homework.py:conv --memory 1", "memory must be at least"),
    ("homework.py:conv --timeout 0", "timeout must be a number of seconds above 0, not 0.0"),
    ("homework.py:conv --timeout nan", "timeout must be a number of seconds above 0, not nan"),
    ("homework.py:conv --memory 0", "--memory must be at least 1 megabyte, not 0"),
    ("homework.py:conv --memory -5", "--memory must be at least 1 megabyte, not -5"),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[options for options, _ in BAD])
def test_bad_input_is_one_line_and_status_2(
    options: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, "check", *options.split(), "--junit", "report.xml")
    assert os.listdir() == ["homework.py"]


@pytest.mark.parametrize("place", ["nowhere/report.xml", "folder"])
def test_a_report_that_cannot_be_written_is_status_2(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    assert check("conv", "--junit", place) == 2
    assert f"convalg: {place} cannot be written: " in capsys.readouterr().err
    assert sorted(os.listdir()) == ["folder", "homework.py"]
    assert os.listdir("folder") == []


@pytest.mark.parametrize(
    "arguments", [("check",), ("check", "a.py:b", "c.py:d"), ("check", "a.py:b", "--cases", "x")]
)
def test_options_that_there_are_not_end_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_timeout_may_be_as_long_as_one_likes() -> None:
    assert check("conv", "--timeout", "1e9") == 0
    assert check("conv", "--timeout", "inf") == 0


def test_as_a_module_and_from_another_folder(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    found = subprocess.run(
        [sys.executable, "-m", "convalg", "check", "../homework.py:flipped", "--cases", "3"],
        capture_output=True,
        text=True,
        check=False,
        cwd=other,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert found.returncode == 1
    assert "flipped-kernel" in found.stdout
    assert found.stderr == ""


def test_help_names_the_kinds_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert "check" in out
    assert "exercise" in out
    assert run("check", "--help") == 0
    text = capsys.readouterr().out
    for option in ("kind", "dims", "cases", "timeout", "memory", "json", "junit"):
        assert f"--{option}" in text
    for kind in KINDS:
        assert kind in text.replace("\n", " ")
    assert "FILE.py:FUNCTION" in text
    assert run("exercise", "--help") == 0
    text = capsys.readouterr().out
    for option in ("seed", "level", "format", "solution", "no-solution", "out"):
        assert f"--{option}" in text


# exercise.


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("solution", [True, False])
def test_the_exercise_is_printed(
    form: str, solution: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = () if solution else ("--no-solution",)
    assert run("exercise", "--seed", "7", "--level", "2", "--format", form, *rest) == 0
    wanted = exercise(7, level=2).text(form, solution=solution)  # type: ignore[arg-type]
    assert capsys.readouterr().out == wanted


def test_without_options_it_is_the_first() -> None:
    assert run("exercise", "--out", "first.md") == 0
    assert Path("first.md").read_text(encoding="utf-8") == exercise(0).markdown()
    # It is written over, whole.
    assert run("exercise", "--out", "first.md", "--format", "notebook") == 0
    assert json.loads(Path("first.md").read_text(encoding="utf-8"))["nbformat"] == 4
    assert sorted(os.listdir()) == ["first.md", "homework.py"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--seed -1", "seed must be at least 0, not -1"),
        ("--level 0", "level must be at least 1, not 0"),
        ("--level 4", "level must be 1, 2 or 3, not 4"),
        ("--format html", "format must be one of markdown, latex, notebook, not 'html'"),
        (
            "--out nowhere/x.md",
            "nowhere/x.md cannot be written: No such file or directory; pass a path in a folder "
            "that exists and is writable",
        ),
    ],
)
def test_bad_exercises_are_one_line_and_status_2(
    options: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("exercise", *options.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"convalg: {words}\n"
    assert os.listdir() == ["homework.py"]
