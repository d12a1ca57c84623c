"""The verification of certificates: right ones are confirmed, and every forgery fails."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import forged
import pytest

import convalg as ca
from convalg.errors import ArgumentError, FileError, KindError, UndecidableError
from convalg.prove import solvers, verification
from convalg.prove.certificates import Claimed
from convalg.prove.decisions.domain import Domain
from convalg.prove.equality import domain_of

n, K, p, s, d = ca.sizes("n K p s d")
w = ca.kernel(K)
A = ca.correlation(n, w, stride=s)
DENSE = ca.downsample(n - K + 1, s) @ ca.correlation(n, w)
FLIPPED = ca.correlation(n, ca.flip(w), stride=s)
SHAPES = "claim-0-shapes.smt2"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of a strided layer."""
    return ca.prove.equal(A, DENSE).certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """A certificate of its own, to forge."""
    return Path(shutil.copytree(written, tmp_path / "copy"))


@pytest.fixture
def refuted(tmp_path: Path) -> Path:
    """The certificate of a refuted claim."""
    return ca.prove.equal(A, FLIPPED).certificate(tmp_path / "refuted")


def fails(folder: Path, words: str) -> None:
    """The certificate fails for a reason."""
    found = ca.prove.verify(folder)
    assert found.status == "failed"
    assert not found
    assert any(words in problem for problem in found.problems), found.problems
    assert found.explain().endswith("Failed.")


def test_a_certificate_is_confirmed(written: Path) -> None:
    found = ca.prove.verify(written)
    assert found
    assert found.status == "proved"
    assert not found.problems
    files = {path.name for path in written.iterdir()} - {"manifest.json"}
    assert {check.name for check in found.checks} == files
    assert all(check.answers["z3"] in ("sat", "unsat") for check in found.checks)
    assert found.explain().endswith("Proved.")


def test_cvc5_confirms_it_independently(written: Path) -> None:
    pytest.importorskip("cvc5", reason="needs cvc5")
    for check in ca.prove.verify(written).checks:
        assert check.answers["cvc5"] == check.answers["z3"], check


def test_without_cvc5_z3_alone_is_asked(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvers, "find_spec", lambda name: None)
    found = ca.prove.verify(written)
    assert found
    assert all(list(check.answers) == ["z3"] for check in found.checks)


def test_a_counterexample_is_replayed(refuted: Path) -> None:
    found = ca.prove.verify(refuted)
    assert found.status == "refuted"
    assert not found
    assert found.explain().endswith("Refuted.")


def test_theorems_about_sizes_are_confirmed(tmp_path: Path) -> None:
    folder = ca.theorems["relationship-6"].prove().certificate(tmp_path / "sizes")
    found = ca.prove.verify(folder)
    assert found
    assert "the manifest does not" not in found.explain()
    (claim,) = json.loads((folder / "manifest.json").read_text())["claims"]
    assert (claim["theorem"], claim["part"]) == ("relationship-6", 0)


WITHOUT = {
    **dict.fromkeys(
        (
            "dft-inverse",
            "parseval",
            "circulant-eigenvalues",
            "relu-homogeneity",
            "relu-parts",
            "relu-maximum",
            "max-pooling-monotone",
            "max-pooling-stride",
            "max-pooling-shift",
        ),
        "only a proved or refuted claim about operators",
    ),
    **dict.fromkeys(("winograd-2-3", "winograd-4-3", "winograd-image"), "budget exceeded"),
}
"""Theorems about real numbers, roots of unity or maxima; and the transforms of tiles, which have
too many entries for one formula."""
OPEN_TO_CVC5 = {
    "adjoint-downsampling",
    "average-pooling-adjoint",
    "channel-reversal",
    "checkerboard",
    "composition-strides",
    "noble-downsampling",
    "pooling-shift",
    "sampling-exchange",
    "sampling-products",
    "sampling-shifts",
    "separable-strides",
    "size-composition",
    "size-induction",
    "size-strides",
    "stride-downsampling",
    "stride-groups",
}
"""Theorems with obligations that cvc5 leaves open; z3 decides them."""


@pytest.mark.thorough
@pytest.mark.parametrize("theorem", list(ca.theorems), ids=lambda theorem: theorem.name)
def test_every_certificate_is_confirmed_by_two_solvers(theorem: Any, tmp_path: Path) -> None:
    pytest.importorskip("cvc5", reason="needs cvc5")
    verdict = theorem.prove()
    if theorem.name in WITHOUT:
        with pytest.raises((ArgumentError, UndecidableError), match=WITHOUT[theorem.name]):
            verdict.certificate(tmp_path / "none")
        return
    found = ca.prove.verify(verdict.certificate(tmp_path / "certificate"))
    assert found, found.explain()
    assert len(found.checks) >= 2
    for check in found.checks:
        answer = check.answers["cvc5"]
        assert answer == check.answers["z3"] or (
            answer == "unknown" and theorem.name in OPEN_TO_CVC5
        ), check


# -- forgeries ------------------------------------------------------------------------------


def test_forged_words_are_not_what_is_confirmed(copy: Path) -> None:
    """The claim that is printed comes from the expressions."""
    forged.edit(copy, lambda manifest: manifest.update(claim="every layer is the identity"))
    found = ca.prove.verify(copy)
    assert "correlation(n, kernel(K), stride=s) = (downsample(n - K + 1, s) @" in found.claim
    assert "identity" not in found.claim
    words = "In the words of the manifest, which are not checked: every layer is the identity"
    assert words in found.explain()


def test_a_changed_file_fails(copy: Path) -> None:
    path = copy / SHAPES
    path.write_text(path.read_text() + "; nothing\n")
    fails(copy, "the file is not the obligation of this claim")


def test_a_forged_obligation_with_a_right_sum_fails(copy: Path) -> None:
    """A contradiction is unsatisfiable, and its sum is in the manifest."""
    text = "(declare-const n Int)\n(assert (distinct n n))\n(check-sat)\n"
    (copy / SHAPES).write_text(text)

    def forge(manifest: dict[str, Any]) -> None:
        for entry in manifest["claims"][0]["obligations"]:
            if entry["file"] == SHAPES:
                entry["sha256"] = hashlib.sha256(text.encode()).hexdigest()

    forged.edit(copy, forge)
    fails(copy, "the manifest does not state the obligation of this claim")


def test_a_missing_file_fails(copy: Path) -> None:
    (copy / SHAPES).unlink()
    fails(copy, "No such file")


def test_a_missing_obligation_fails(copy: Path) -> None:
    forged.edit(copy, lambda manifest: manifest["claims"][0]["obligations"].pop())
    fails(copy, "the manifest lists another number")


def test_an_unexpected_file_fails(copy: Path) -> None:
    (copy / "more.smt2").write_text("(check-sat)\n")
    fails(copy, "an unexpected file")


def test_no_claims_fail(copy: Path) -> None:
    forged.edit(copy, lambda manifest: manifest.update(claims=[]))
    fails(copy, "it must have between 1 and 1000 claims")


def test_another_claim_fails(copy: Path) -> None:
    forged.edit(
        copy,
        lambda manifest: manifest["claims"][0].update(first="correlation(n, kernel(K), stride=2)"),
    )
    fails(copy, "scope of claim 0 is")


def test_another_scope_fails(copy: Path) -> None:
    forged.edit(copy, lambda manifest: manifest["claims"][0].update(scope="all n"))
    fails(copy, "scope of claim 0 is 'all n', not")


def test_a_false_claim_with_its_own_obligations_fails(copy: Path) -> None:
    """Everything is made for the false claim, but the answers are not as expected."""
    sentence = json.loads((copy / "manifest.json").read_text())["claims"][0]["claim"]
    forged.write(copy, [Claimed(sentence, A, FLIPPED, domain_of(A, FLIPPED))])
    fails(copy, "z3 answers 'sat' instead of 'unsat'")


def test_solvers_that_disagree_fail(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        verification,
        "installed",
        lambda: {"z3": solvers.ask_z3, "other": lambda text, units: ("sat", 0)},
    )
    fails(copy, "other answers 'sat', against z3")


def test_a_counterexample_that_is_none_fails(refuted: Path) -> None:
    forged.edit(refuted, lambda manifest: manifest["counterexample"].update(row=[0], column=[1]))
    found = ca.prove.verify(refuted)
    assert found.status == "failed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": {"n": 3, "K": 2}}, "an integer for each of"),
        ({"sizes": {"n": 1, "K": 1, "s": 1}}, "both sides are equal there"),
        ({"sizes": {"n": 10**7, "K": 2, "s": 1}, "row": [10**8]}, "does not replay"),
        ({"sizes": {"n": 0, "K": 2, "s": 1}}, "its sizes are not in the domain"),
        ({"row": [-1]}, "must be indices"),
        ({"row": "0"}, "must be indices"),
        ({"claimed": "w7"}, "the manifest states other values"),
    ],
)
def test_forged_counterexamples_fail(refuted: Path, change: dict[str, Any], words: str) -> None:
    forged.edit(refuted, lambda manifest: manifest["counterexample"].update(change))
    fails(refuted, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"theorem": "nothing"}, "there is no theorem named 'nothing'"),
        ({"theorem": "linearity"}, "part 0 of the theorem 'linearity' has no formulas"),
        ({"theorem": 3}, "'theorem' must be text"),
        ({"part": 7}, "the theorem 'relationship-1' has no part 7"),
        ({"part": True}, "has no part True"),
        ({"scope": "all n"}, "scope of claim 0 is 'all n', not"),
        ({"claim": "another"}, "claim of claim 0 is 'another', not"),
    ],
)
def test_forged_theorems_fail(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    folder = ca.theorems["relationship-1"].prove().certificate(tmp_path / "sizes")
    forged.edit(folder, lambda manifest: manifest["claims"][0].update(change))
    fails(folder, words)


def manifest_text(status: str, claims: object, **more: object) -> str:
    """A manifest as text."""
    head = {"format": 2, "convalg": "0", "status": status, "claim": "c", "claims": claims}
    return json.dumps(head | more)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is not JSON"),
        ("[1, 2]", "it is not a JSON object"),
        ('{"format": 1}', "its format is 1, not 2"),
        ('{"format": 2, "status": "fine"}', "its status is 'fine', not proved or refuted"),
        ('{"format": 2, "status": ["proved"]}', "its status is ['proved'], not"),
        ('{"format": 2, "status": "proved", "claims": 3}', "missing or unexpected: ['claim', 'con"),
        (manifest_text("proved", 3), "it must have between 1 and 1000"),
        (manifest_text("proved", [3]), "each of its claims must be an object"),
        (manifest_text("proved", [{}]), "claim 0 must have exactly one of the keys first, theorem"),
        (
            manifest_text("proved", [{"claim": "x", "first": "open(1)", "second": "identity(n)"}]),
            "claim 0 cannot be read",
        ),
        (manifest_text("proved", [{"claim": "x" * 500_000}]), "characters, more than 400000"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_bad_manifests_fail(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    fails(tmp_path, words)


@pytest.mark.parametrize("text", ["identity(n//0)", "diagonal([1]*100000)", "kernel(3000)"])
def test_claims_that_cannot_be_read_fail(copy: Path, text: str) -> None:
    forged.edit(copy, lambda manifest: manifest["claims"][0].update(first=text, second=text))
    fails(copy, "")


def test_claims_that_cannot_be_written_fail(copy: Path) -> None:
    text = f"diagonal({[1] * 1001})"
    scope = str(Domain.of(ca.diagonal([1] * 1001)))
    forged.edit(
        copy, lambda manifest: manifest["claims"][0].update(first=text, second=text, scope=scope)
    )
    fails(copy, "an array of 1001 entries is too large for an expression")


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is not a folder: give the folder of a certificate"):
        ca.prove.verify(tmp_path / "none")
    with pytest.raises(FileError, match=r"manifest\.json"):
        ca.prove.verify(tmp_path)
    for folder in (None, 3, "", b"x"):
        with pytest.raises(KindError, match="folder must be the path of a folder, not"):
            ca.prove.verify(folder)  # type: ignore[arg-type]
