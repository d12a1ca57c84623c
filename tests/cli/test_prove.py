"""`convalg prove`: the catalogue, one theorem, and claims written as text."""

from __future__ import annotations

import re

import command_line
import pytest

import convalg as ca
from convalg.prove.theorems import catalogue

FLIPPED = "correlation(n - K + 1, flip(kernel(K)), padding=full)"
UNFLIPPED = "correlation(n - K + 1, kernel(K), padding='full')"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    code = command_line.run("prove", *arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("columns", [80, 120])
def test_the_catalogue_is_proved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    names = ["linearity", "flip", "parameters", "field-induction", "scale-depthwise"]
    few = {name: ca.theorems[name] for name in names}
    monkeypatch.setattr(catalogue, "_all", lambda: few)
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = run(capsys, "--jobs", "1")
    assert code == 0
    assert "5 of 5 theorems proved" in out
    assert "\\" not in out
    assert max(map(len, out.splitlines())) <= columns
    assert all(f"{name} " in out for name in names)
    headings = [line[3:].strip() for line in out.splitlines() if line[1:3] == ". "]
    assert headings == ["Foundations", "Counting", "Receptive fields", "Layers and networks"]
    start = next(line for line in out.splitlines() if "scope" in line).index("scope")
    first = " ".join(line[:start].strip() for line in out.splitlines())
    assert all(theorem.sentence in first for theorem in few.values())


@pytest.mark.thorough
def test_the_whole_catalogue_is_proved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    code, out, _ = run(capsys)
    assert code == 0
    count = len(ca.theorems)
    assert f"{count} of {count} theorems proved" in out
    assert all(theorem.name in out for theorem in ca.theorems)


@pytest.mark.parametrize("jobs", ["0", "5000"])
def test_other_numbers_of_processes_are_refused(
    capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    code, _, err = run(capsys, "--jobs", jobs)
    assert code == 2
    assert "jobs must be a number of workers, or -1 for all workers" in err


def test_two_processes_prove_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order and the answers do not depend on the processes."""
    few = {name: ca.theorems[name] for name in ("flip", "linearity", "parameters")}
    monkeypatch.setattr(catalogue, "_all", lambda: few)
    alone, shared = (run(capsys, "--jobs", jobs)[1] for jobs in "12")
    assert "3 of 3 theorems proved" in alone
    # The width of the times changes where the other columns are broken.
    words = [sorted(re.sub(r"[0-9.]+ m?s\b", "", out).split()) for out in (alone, shared)]
    assert words[0] == words[1]
    for out in (alone, shared):
        positions = [out.index(f" {name} ") for name in few]
        assert positions == sorted(positions)


def test_one_theorem(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "adjoint-1d")
    assert code == 0
    theorem = ca.theorems["adjoint-1d"]
    assert out.startswith(f"adjoint-1d (Adjoints)\n{theorem.sentence}\nIdea: {theorem.idea}\n")
    assert "\\" not in out
    assert "Domain: all n >= 1, n + 2p >= K >= 1, p >= 0." in out
    assert "Proved for all n >= 1, n + 2p >= K >= 1, p >= 0." in out
    assert "Method: Presburger arithmetic (isl)" in out
    outside = "Just outside: the adjoint is the correlation with the unflipped kernel: "
    assert f"{outside}Refuted: n = 2, K = 2" in out
    assert f"Source: {theorem.source}." in out


@pytest.mark.parametrize("name", [theorem.name for theorem in ca.theorems])
def test_one_theorem_as_latex(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = run(capsys, name, "--latex")
    assert code == 0
    assert out.startswith(f"% {name}\n\\[ ")
    words = out.partition("\\]")[2].replace("\\&", "").replace("\\_", "").replace("\\#", "")
    assert not set("&_#~^") & set(words)
    assert out.count("{") - out.count("\\{") == out.count("}") - out.count("\\}")


def test_an_equality_that_holds(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--equal", "correlation(n, kernel(K)).T", FLIPPED)
    assert code == 0
    assert "Proved for all n >= K >= 1." in out


def test_an_equality_of_quotients(capsys: pytest.CaptureFixture[str]) -> None:
    mean = "correlation(n, kernel(K)) / 2"
    code, out, _ = run(capsys, "--equal", f"{mean} + {mean}", "correlation(n, kernel(K))")
    assert code == 0, out
    code, _, err = run(capsys, "--equal", "identity(n / 2)", "identity(n)")
    assert code == 2
    assert "shape must be an integer, but n/2 can have other values" in " ".join(err.split())


def test_an_equality_that_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--equal", "correlation(n, kernel(K)).T", UNFLIPPED)
    assert code == 1
    assert "Smallest counterexample: n = 2, K = 2; row 0; column 0" in out
    assert "Hint: flip the kernel." in out


def test_what_cannot_be_decided_is_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    pool = "sum_pool(n, n, stride=1)"
    code, out, _ = run(capsys, "--equal", f"{pool} @ {pool}.T", "n * identity(1)")
    assert code == 1
    assert "Unknown: " in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["zzz"], "there is no theorem named 'zzz'; choose from linearity, flip"),
        (["--latex"], "--latex needs the NAME of one theorem, not None"),
        (
            ["flip", "--equal", "n", "n"],
            "cannot be combined with NAME or --latex: use --equal alone",
        ),
        (["--equal", "n", "identity(3)"], "'n' must describe an operator, but its value is n"),
        (["--equal", "identity(3)", "identity((3, 3))"], "different numbers of axes"),
    ],
)
def test_bad_input_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert words in err
