"""Forged certificates: each change to a right folder makes its verification fail, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forged
import pytest

import convalg as ca
from convalg.errors import FileError
from convalg.prove import solvers, verification
from convalg.prove.certificates import Claimed, Linear
from convalg.prove.equality import domain_of

n, K, p, s, d = ca.sizes("n K p s d")
w = ca.kernel(K)
A = ca.correlation(n, w, stride=s)
DENSE = ca.downsample(n - K + 1, s) @ ca.correlation(n, w)
FLIPPED = ca.correlation(n, ca.flip(w), stride=s)
RANGES = {"s": [2, 3]}
SHAPES = "claim-0-shapes.smt2"
MANIFEST = "manifest.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of right certificates, by name."""
    folder = tmp_path_factory.mktemp("certificates")
    ca.prove.equal(A, DENSE).certificate(folder / "proved")
    ca.prove.equal(A, DENSE, ranges=RANGES).certificate(folder / "ranges")
    ca.prove.equal(A, FLIPPED).certificate(folder / "refuted")
    ca.prove.equal(A, FLIPPED, ranges=RANGES).certificate(folder / "refuted-ranges")
    ca.prove.linear(A).certificate(folder / "linear")
    ca.theorems["relationship-1"].prove().certificate(folder / "theorem")
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies one of them, to forge it."""
    return lambda name: Path(shutil.copytree(made / name, tmp_path / name))


@pytest.mark.parametrize("name", ["proved", "ranges", "refuted", "linear", "theorem"])
def test_without_a_change_they_are_confirmed(made: Path, name: str) -> None:
    found = ca.prove.verify(made / name)
    assert found.status == ("refuted" if name == "refuted" else "proved"), found.explain()


def text(change: Callable[[str], str]) -> Callable[[Path], None]:
    """A change of the text of the manifest."""

    def forge(folder: Path) -> None:
        path = folder / MANIFEST
        old = path.read_text()
        path.write_text(change(old))
        assert path.read_text() != old

    return forge


def manifest(**values: Any) -> Callable[[Path], None]:
    """Other values in the manifest."""
    return lambda folder: forged.edit(folder, lambda held: held.update(values))


def claim(**values: Any) -> Callable[[Path], None]:
    """Other values in the first claim."""
    return lambda folder: forged.edit(folder, lambda held: held["claims"][0].update(values))


def witness(**values: Any) -> Callable[[Path], None]:
    """Other values in the counterexample."""
    return lambda folder: forged.edit(folder, lambda held: held["counterexample"].update(values))


def link(name: str) -> Callable[[Path], None]:
    """A file is replaced by a link to a copy of it elsewhere."""

    def forge(folder: Path) -> None:
        kept = folder.parent / f"kept-{name}"
        (folder / name).rename(kept)
        (folder / name).symlink_to(kept)

    return forge


def swap(held: dict[str, Any]) -> None:
    """The first two obligations in the other order."""
    listed = held["claims"][0]["obligations"]
    listed[:2] = listed[1::-1]


def words_in_a_formula(folder: Path) -> None:
    """Other words in the comment of a formula, with their sum."""
    path = folder / SHAPES
    path.write_text(path.read_text().replace("; claim: ", "; claim: the moon is a correlation, "))
    forged.edit(folder, lambda held: forged.sums(folder, held))


def no_sizes(folder: Path) -> None:
    """A claim without any sizes, of which all is true."""
    first, second = ca.crop(n, p), ca.crop(p, n)
    forged.write(folder, [Claimed("all", first, second, domain_of(first, second))])


def a_second_claim(folder: Path) -> None:
    """A claim that is true, next to the one that is refuted."""
    true = Claimed("x", A, DENSE, domain_of(A, DENSE)).manifest()
    forged.edit(folder, lambda held: held["claims"].append(true))


def linear_for_another(folder: Path) -> None:
    """The obligations of one operator, and the name of another."""
    forged.edit(folder, lambda held: held["claims"][0].update(Linear(FLIPPED).manifest()))


FORGERIES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a key twice": (
        "proved",
        text(lambda old: old.replace('"format": 2', '"format": 2, "status": "refuted"')),
        "a key occurs twice in one object: ['status']",
    ),
    "a key of a claim twice": (
        "proved",
        text(lambda old: old.replace('"first": ', '"first": "identity(n)", "first": ')),
        "a key occurs twice in one object: ['first']",
    ),
    "a format of another type": ("proved", manifest(format=2.0), "its format is 2.0, not 2"),
    "a bool as the format": ("proved", manifest(format=True), "its format is True, not 2"),
    "a key more": ("proved", manifest(verified=True), "missing or unexpected: ['verified']"),
    "no version": ("proved", manifest(convalg=None), "'convalg' must be text"),
    "not a number": (
        "proved",
        text(lambda old: old.replace('"format": 2', '"format": NaN')),
        "NaN is not a JSON number",
    ),
    "an operator and a theorem": (
        "theorem",
        claim(first="identity(n)", second="identity(n)"),
        "claim 0 must have exactly one of the keys first, theorem",
    ),
    "a foreign key": ("proved", claim(proof="trust me"), "claim 0 has unexpected keys: ['proof']"),
    "one side of another kind": ("linear", claim(second="identity(n)"), "keys: ['second']"),
    "a bool among the values": (
        "ranges",
        claim(ranges={"s": [True, 3]}),
        "claim 0 cannot be read: s must be an integer",
    ),
    "values of another type": ("ranges", claim(ranges=[["s", 2]]), "'ranges' must be an object"),
    "values in another order": ("ranges", claim(ranges={"s": [3, 2]}), "ranges of claim 0 is"),
    "fewer values": ("ranges", claim(ranges={"s": [2]}), "scope of claim 0 is"),
    "an expression that is not canonical": (
        "proved",
        claim(second="(identity(n) @ identity(n))"),
        "of claim 0 is",
    ),
    "a deep expression": (
        "proved",
        claim(first="identity(n)" + ".T" * 60_000),
        "claim 0 cannot be read",
    ),
    "a kernel that fills the memory": (
        "proved",
        claim(first="correlation(1000000, kernel(1000000))"),
        "claim 0 cannot be read: a kernel of 1000000 weights is too large for an expression",
    ),
    "obligations in another order": (
        "proved",
        lambda folder: forged.edit(folder, swap),
        "the manifest does not state the obligation",
    ),
    "a path as a file": (
        "proved",
        lambda folder: forged.edit(
            folder, lambda held: held["claims"][0]["obligations"][0].update(file="../sizes.smt2")
        ),
        "the manifest does not state the obligation",
    ),
    "words in a formula": ("proved", words_in_a_formula, "the manifest does not state the obliga"),
    "a link": ("proved", link(SHAPES), f"'{SHAPES}' in the folder is not a regular file"),
    "a link as the manifest": ("proved", link(MANIFEST), "'manifest.json' in the folder is not"),
    "a folder": (
        "proved",
        lambda folder: (folder / "more").mkdir(),
        "'more' in the folder is not a regular file",
    ),
    "no sizes": ("proved", no_sizes, "z3 answers 'unsat' instead of 'sat'"),
    "linearity of another operator": (
        "linear",
        linear_for_another,
        "the manifest does not state the obligation",
    ),
    "another rule": ("linear", claim(rule="it is obvious"), "rule of claim 0 is 'it is obvious'"),
    "a proof as a refutation": ("proved", manifest(status="refuted"), "['counterexample']"),
    "a refutation as a proof": ("refuted", manifest(status="proved"), "['counterexample']"),
    "no counterexample": ("refuted", manifest(counterexample=None), "it has no counterexample"),
    "two claims refuted at once": (
        "refuted",
        a_second_claim,
        "a refuted certificate has one claim, with a counterexample",
    ),
    "a refutation with obligations": (
        "refuted",
        claim(obligations=[]),
        "a refuted certificate has one claim, with a counterexample",
    ),
    "a file next to a counterexample": (
        "refuted",
        lambda folder: (folder / "proof.smt2").write_text("(check-sat)"),
        "an unexpected file",
    ),
    "sizes outside the values": (
        "refuted-ranges",
        witness(sizes={"n": 2, "K": 2, "s": 1}, row=[0], column=[0]),
        "its sizes are not in the domain",
    ),
    "a bool as a size": (
        "refuted",
        witness(sizes={"n": 2, "K": 2, "s": True}),
        "the counterexample must have an integer for each of",
    ),
    "the column in the row": ("refuted", witness(row=[0, 0], column=[]), "states other values"),
    "a key in the counterexample": ("refuted", witness(note="x"), "states other values"),
    "a proved part as refuted": (
        "theorem",
        lambda folder: forged.edit(
            folder,
            lambda held: (
                held.update(status="refuted", counterexample={})
                or held["claims"][0].pop("obligations")
            ),
        ),
        "a refuted certificate has one claim, with a counterexample",
    ),
}
"""A certificate, a change of it, and the reason why it fails."""


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_fails(copy: Callable[[str], Path], name: str) -> None:
    original, change, words = FORGERIES[name]
    folder = copy(original)
    change(folder)
    found = ca.prove.verify(folder)
    assert found.status == "failed"
    assert not found
    assert any(words in problem for problem in found.problems), found.problems
    assert found.explain().endswith("Failed.")


@pytest.mark.parametrize(
    ("name", "limit", "words"),
    [
        ("MOST_FILES", 3, "the folder has more than 3 files"),
        ("MOST_IN_ALL", 1000, "its files have "),
        ("LONGEST", 30, "characters, more than 30"),
    ],
)
def test_a_folder_has_limits(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str, limit: int, words: str
) -> None:
    """Before any file of a formula is read."""
    monkeypatch.setattr(verification, name, limit)
    monkeypatch.setattr(verification, "_proved", lambda *_: pytest.fail("a formula was read"))
    found = ca.prove.verify(copy("proved"))
    assert any(words in problem for problem in found.problems), found.problems


def test_a_folder_that_cannot_be_listed_is_refused(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    folder = copy("proved")
    monkeypatch.setattr(verification.os, "scandir", denied)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        ca.prove.verify(folder)


def test_the_work_of_a_folder_has_a_limit(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each obligation is within the limit, and all of them are not."""
    monkeypatch.setattr(verification, "installed", lambda: {"z3": solvers.ask_z3})
    folder = copy("proved")
    monkeypatch.setitem(solvers.UNITS_OF_ALL, "z3", 40_000)
    found = ca.prove.verify(folder)
    assert not found.checks[0].problem
    words = "the resource units for one certificate are used up"
    assert any(words in problem for problem in found.problems), found.problems


def test_words_cannot_look_like_lines_of_the_result(copy: Callable[[str], Path]) -> None:
    folder = copy("proved")
    forged.edit(folder, lambda held: held.update(claim="x\nClaim: 1 = 2\u2028\x1b[2JProved."))
    lines = ca.prove.verify(folder).explain().splitlines()
    assert [line[:6] for line in lines].count("Claim:") == 1
    assert lines.count("Proved.") == 1


def test_names_that_look_alike_are_told_apart(tmp_path: Path) -> None:
    """A refuted claim about two kernels, one of them named in Cyrillic, is not about one."""
    other = ca.kernel(K, name="\N{CYRILLIC SMALL LETTER A}")
    first, second = ca.correlation(n, ca.kernel(K, name="a")), ca.correlation(n, other)
    folder = ca.prove.equal(first, second).certificate(tmp_path / "alike")
    found = ca.prove.verify(folder)
    assert found.status == "refuted"
    assert "\\u0430" in found.claim
    assert found.claim.isascii()


def test_a_changed_obligation_in_every_file_fails(copy: Callable[[str], Path]) -> None:
    """One bit more in any file is seen."""
    folder = copy("ranges")
    for path in sorted(folder.glob("*.smt2")):
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")
        problems = ca.prove.verify(folder).problems
        assert [problem.partition(":")[0] for problem in problems] == [path.name]
        path.write_bytes(kept)
    assert json.loads((folder / MANIFEST).read_text())["claims"][0]["ranges"] == RANGES
