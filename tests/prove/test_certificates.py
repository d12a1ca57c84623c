"""Certificates: what is written, and what has none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.errors import ArgumentError, FileError, KindError, UndecidableError
from convalg.prove import certificates, solvers
from convalg.prove.certificates import Claimed
from convalg.prove.decisions import membership
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.smtlib import solve
from convalg.prove.equality import domain_of

n, K, p, s, d = ca.sizes("n K p s d")
w = ca.kernel(K)
A = ca.correlation(n, w, stride=s, padding=p)
DENSE = ca.downsample(n + 2 * p - K + 1, s) @ ca.correlation(n, w, padding=p)


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a certificate."""
    loaded: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return loaded


def test_a_certificate_is_a_folder_of_scripts_and_a_manifest(tmp_path: Path) -> None:
    folder = ca.prove.equal(A, DENSE).certificate(tmp_path / "stride")
    assert folder == tmp_path / "stride"
    held = manifest(folder)
    assert held["status"] == "proved"
    (claim,) = held["claims"]
    assert claim["first"] == "correlation(n, kernel(K), stride=s, padding=p)"
    assert claim["scope"] == "all n >= 1, s >= 1, n + 2p >= K >= 1, p >= 0"
    names = {"manifest.json"}
    for entry in claim["obligations"]:
        text = (folder / entry["file"]).read_bytes()
        assert hashlib.sha256(text).hexdigest() == entry["sha256"]
        assert f"; expected: {entry['expected']}".encode() in text
        assert entry["sentence"].encode() in text
        stated = f"; claim: {claim['first']} = {claim['second']} for {claim['scope']}"
        assert stated.encode() in text
        names.add(entry["file"])
    assert {path.name for path in folder.iterdir()} == names
    assert {entry["expected"] for entry in claim["obligations"]} == {"sat", "unsat"}


def test_the_scripts_say_what_their_variables_are(tmp_path: Path) -> None:
    folder = ca.prove.equal(A, DENSE).certificate(tmp_path / "stride")
    text = (folder / "claim-0-entries-0.smt2").read_text()
    assert "; q.0 = floor((-K + n + 2*p) / (s))" in text


def test_claims_that_isl_decides_have_one_too(tmp_path: Path) -> None:
    layer = ca.correlation(n, w)
    verdict = ca.prove.equal(layer.T, ca.correlation(n - K + 1, ca.flip(w), padding="full"))
    assert "isl" in verdict.method
    folder = verdict.certificate(tmp_path / "adjoint")
    assert "(set-logic QF_LIA)" in (folder / "claim-0-entries-0.smt2").read_text()


def test_claims_about_numbers_have_one_too(tmp_path: Path) -> None:
    layer = ca.correlation(5, ca.kernel(2))
    verdict = ca.prove.equal(layer, layer.T.T)
    folder = verdict.certificate(tmp_path / "numbers")
    assert manifest(folder)["claims"][0]["first"].startswith("layer(geometry(")


def test_ranges_are_a_part_of_the_claim(tmp_path: Path) -> None:
    verdict = ca.prove.equal(A, DENSE, ranges={"s": [2, 3]})
    folder = verdict.certificate(tmp_path / "ranges")
    assert manifest(folder)["claims"][0]["ranges"] == {"s": [2, 3]}
    assert "(or (= s 2) (= s 3))" in (folder / "claim-0-sizes.smt2").read_text()
    assert {path.name.split("-entries")[0] for path in folder.glob("*-entries-*")} == {
        "claim-0-at-2",
        "claim-0-at-3",
    }


def test_a_refuted_claim_writes_its_counterexample(tmp_path: Path) -> None:
    folder = ca.prove.equal(A, ca.correlation(n, ca.flip(w), stride=s, padding=p)).certificate(
        tmp_path / "refuted"
    )
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    held = manifest(folder)
    assert held["status"] == "refuted"
    assert held["counterexample"]["sizes"] == {"n": 1, "K": 2, "s": 1, "p": 1}
    assert held["counterexample"]["claimed"] != held["counterexample"]["actual"]


def test_a_theorem_has_the_claims_of_its_parts(tmp_path: Path) -> None:
    theorem = ca.theorems["commutativity"]
    folder = theorem.prove().certificate(tmp_path / "theorem")
    assert [entry["claim"] for entry in manifest(folder)["claims"]] == [
        part.claim for part in theorem.parts
    ]


def test_what_is_unknown_has_none(tmp_path: Path) -> None:
    twice = ca.sum_pool(n, n, stride=1) @ ca.sum_pool(n, n, stride=1).T
    verdict = ca.prove.equal(twice, n * ca.identity(1))
    with pytest.raises(
        ArgumentError, match="only a proved or refuted claim about operators, or about"
    ):
        verdict.certificate(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_linearity_of_an_operator_is_certified(tmp_path: Path) -> None:
    """For a family and for numbers: there are sizes, and the steps of an induction."""
    for number, layer in enumerate((A, ca.correlation(5, [1, 2]))):
        folder = ca.prove.linear(layer).certificate(tmp_path / str(number))
        (claim,) = manifest(folder)["claims"]
        assert "by induction over the number of terms" in claim["rule"]
        names = [entry["file"] for entry in claim["obligations"]]
        kinds = [name.partition("0-")[2] for name in names if "divisors" not in name]
        assert kinds == ["sizes.smt2", "no-terms.smt2", "one-more-term.smt2"]
        assert ca.prove.verify(folder)


def test_one_size_without_indices_is_a_comparison_of_polynomials(tmp_path: Path) -> None:
    """Products of dense matrices have too many terms for a formula of indices."""
    left = np.array(sympy.symbols("a:64")).reshape(8, 8)
    right = np.arange(64).reshape(8, 8)
    product = ca.dense(left) @ ca.dense(right)
    folder = ca.prove.equal(product, ca.dense(left @ right)).certificate(tmp_path / "dense")
    assert [path.name for path in sorted(folder.iterdir())] == [
        "claim-0-identities.smt2",
        "manifest.json",
    ]
    assert "(set-logic QF_NRA)" in (folder / "claim-0-identities.smt2").read_text()
    assert ca.prove.verify(folder)


def test_comparisons_of_polynomials_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MOST_TERMS", 0)
    layer = ca.correlation(5, ca.kernel(2))
    (one,) = Claimed("c", layer, layer, Domain()).obligations()
    assert one.name == "identities"
    with pytest.raises(UndecidableError, match="both sides have different shapes"):
        Claimed("c", layer, ca.correlation(6, ca.kernel(2)), Domain()).obligations()
    monkeypatch.setattr(certificates, "MOST_ENTRIES", 10)
    with pytest.raises(UndecidableError, match="the two matrices have up to 24 entries, more than"):
        Claimed("c", layer, layer, Domain()).obligations()


def test_each_value_has_its_own_obligations(tmp_path: Path) -> None:
    """Where there are no sizes with a value, that is what the obligation states."""
    claim = Claimed("c", A, DENSE, domain_of(A, DENSE, ranges={"s": [1, 3]}))
    names = [obligation.name for obligation in claim.obligations()]
    assert names[0] == "sizes"
    assert {"at-1-entries-0", "at-3-entries-0"} <= set(names)
    assert all(name.startswith(("at-1-", "at-3-", "divisors")) for name in names[1:])
    layer = ca.correlation(4, ca.kernel(2), dilation=s)
    claim = Claimed("c", layer, layer, domain_of(layer, layer, ranges={"s": [1, 9]}))
    empty = claim.obligations()[-1]
    assert (empty.name, empty.sentence) == (
        "at-9-entries-0",
        "at s = 9: the domain has no sizes with s = 9",
    )
    assert "(= s 9)" in empty.text
    assert solve(empty.text, 10_000).answer == "unsat"


def test_too_many_values_and_files_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = ca.prove.equal(A, DENSE, ranges={"s": [2, 3]})
    monkeypatch.setattr(certificates, "MOST_FILES", 5)
    with pytest.raises(UndecidableError, match="a certificate has less than 5"):
        verdict.certificate(tmp_path / "none")
    monkeypatch.setattr(certificates, "MOST_VALUES", 1)
    with pytest.raises(UndecidableError, match="about 2 combinations of values of s, more than 1"):
        verdict.certificate(tmp_path / "none")


def test_windows_of_symbols_have_one_for_arbitrary_weights(tmp_path: Path) -> None:
    first = ca.sum_pool(n - K + 1, s, stride=1) @ ca.sum_pool(n, K, stride=1)
    second = ca.sum_pool(n - s + 1, K, stride=1) @ ca.sum_pool(n, s, stride=1)
    verdict = ca.prove.equal(first, second)
    assert "for arbitrary weights in the windows" in verdict.method
    folder = verdict.certificate(tmp_path / "windows")
    assert ca.prove.verify(folder)


def test_a_claim_that_is_no_formula_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = ca.prove.equal(A, DENSE)
    monkeypatch.setattr(membership, "MOST_TERMS", 0)
    with pytest.raises(UndecidableError, match="splits into 1 terms, more than 0"):
        verdict.certificate(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_formula_that_z3_leaves_open_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = ca.prove.equal(A, DENSE)
    monkeypatch.setitem(solvers.UNITS_OF_ONE, "z3", 1)
    with pytest.raises(UndecidableError, match="z3 answers 'unknown', not 'sat', to the formula"):
        verdict.certificate(tmp_path / "none")


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    with pytest.raises(FileError, match="is not empty: give the path of a new folder"):
        ca.prove.equal(A, DENSE).certificate(tmp_path)
    with pytest.raises(FileError, match="is not a folder: give the path of a new folder"):
        ca.prove.equal(A, DENSE).certificate(kept)
    with pytest.raises(FileError, match="cannot be made"):
        ca.prove.equal(A, DENSE).certificate(tmp_path / "no" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("folder", [None, 3, "", b"x", ["a"]])
def test_other_folders_are_refused(folder: Any) -> None:
    with pytest.raises(KindError, match="folder must be the path of a folder, not"):
        ca.prove.equal(A, DENSE).certificate(folder)
