"""Certificates: the obligations of a proof as files that programs other than convalg can check.

A certificate is a folder with one SMT-LIB file per obligation and a manifest, which holds each
claim as an expression, and the expected answer and the SHA-256 of each file. The encoding (that
these formulas state the claim) and one solver have to be trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from convalg.arguments import shown
from convalg.errors import ArgumentError, FileError, KindError, UndecidableError
from convalg.escape import terminal
from convalg.files import replace_file
from convalg.operators.tree import Operator
from convalg.prove import notation
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import UNITS, Obligation
from convalg.prove.decisions.smtlib import solve
from convalg.prove.verdict import Claim, Verdict
from convalg.version import __version__

FORMAT = 1
"""The version of the layout of the manifest."""
MANIFEST = "manifest.json"


class Evidence(Protocol):
    """A claim whose obligations are written to a certificate."""

    @property
    def sentence(self) -> str:
        """The claim as text."""

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof."""

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate."""


@dataclass(frozen=True)
class Claimed:
    """The claim that two operators are equal in a domain.

    `claim`: the claim as text, or a function that returns the text.
    """

    claim: Claim
    first: Operator
    second: Operator
    domain: Domain

    @property
    def sentence(self) -> str:
        """The claim as text."""
        return self.claim if isinstance(self.claim, str) else self.claim()

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof.

        Raises: UndecidableError where the claim is not a formula without quantifiers.
        """
        claim = self._read_again()
        formulas = nonlinear.proof_formulas(claim.first, claim.second, claim.domain)
        return commented(formulas, claim.sentence, claim.domain)

    def _read_again(self) -> Claimed:
        """Return the claim as it is read from its own expressions.

        Equal sizes can be written in several ways. The formulas are made from the expressions, so
        that who reads the manifest makes the same ones.
        """
        first, second = (notation.read(notation.write(side)) for side in (self.first, self.second))
        domain = replace(Domain.of(first, second), swept=self.domain.swept)
        return Claimed(self.sentence, first, second, domain)

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate.

        Raises: KindError for an operator that cannot be written as an expression.
        """
        return {
            "claim": self.sentence,
            "scope": str(self._read_again().domain),
            "first": notation.write(self.first),
            "second": notation.write(self.second),
            "ranges": {symbol.name: list(values) for symbol, values in self.domain.swept},
        }


def commented(formulas: nonlinear.Formulas, sentence: str, domain: Domain) -> list[Obligation]:
    """Return the obligations of a claim, with the claim and its domain as comments."""
    claim = " ".join(terminal(sentence).split())
    return list(formulas.obligations([f"claim: {claim}", f"for {domain}"]))


def file_name(number: int, obligation: Obligation) -> str:
    """Return the name of the file of an obligation of a claim."""
    return f"claim-{number}-{obligation.name}.smt2"


def digest(text: str) -> str:
    """Return the SHA-256 of a text as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def certificate(self: Verdict, folder: str | os.PathLike[str]) -> Path:
    """Write what another program needs to check this verdict, and return the folder.

    Each obligation of a proof is an SMT-LIB 2 file, `claim-0-shapes.smt2` for example, whose answer
    must be the expected one. `manifest.json` holds the claim in words and as an expression, and
    the expected answer and the SHA-256 of each file; for a refuted claim it holds the
    counterexample. `convalg verify FOLDER` or `ca.prove.verify` checks the certificate.

    Args:
        folder: the path of a folder that is new or empty.

    Raises:
        ArgumentError: for a verdict that is not about operators, or is "unknown".
        UndecidableError: where the claim is not a formula without quantifiers, or z3 leaves one of
            its obligations open.
        FileError: when the folder is not empty, or cannot be written.
        KindError: when `folder` is not a path, or an operator cannot be written as an expression.

    >>> import tempfile
    >>> import convalg as ca
    >>> n, K, s = ca.sizes("n K s")
    >>> A = ca.correlation(n, ca.kernel(K), stride=s)
    >>> verdict = ca.prove.equal(A, ca.downsample(n - K + 1, s) @ ca.correlation(n, ca.kernel(K)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(*sorted(path.name for path in verdict.certificate(folder).iterdir()))
    claim-0-divisors.smt2 claim-0-entries-0.smt2 claim-0-entries-1.smt2 claim-0-shapes.smt2 \
claim-0-sizes.smt2 manifest.json
    """
    verdict = self
    path = _folder(folder)
    if verdict.status == "unknown" or not verdict.evidence:
        raise ArgumentError(
            f"only a proved or refuted claim about operators has a certificate, and this verdict "
            f"is: {verdict!r}"
        )
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "convalg": __version__,
        "status": verdict.status,
        "claim": verdict.claim,
        "claims": [],
    }
    files: dict[str, str] = {}
    for number, claimed in enumerate(verdict.evidence):
        entry = claimed.manifest()
        if verdict.status == "proved":
            entry["obligations"] = []
            for obligation in _solved(claimed):
                name = file_name(number, obligation)
                files[name] = obligation.text
                entry["obligations"].append(
                    {
                        "file": name,
                        "sentence": obligation.sentence,
                        "expected": obligation.expected,
                        "sha256": digest(obligation.text),
                    }
                )
        manifest["claims"].append(entry)
    if verdict.counterexample is not None:
        witness = verdict.counterexample
        manifest["counterexample"] = {
            "sizes": witness.sizes,
            "row": witness.row_index,
            "column": witness.column_index,
            "claimed": str(witness.claimed),
            "actual": str(witness.actual),
        }
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {str(path)!r} cannot be made: {error.strerror}") from None
    for name, text in files.items():
        replace_file(path / name, text.encode())
    replace_file(path / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    return path


def _folder(folder: object) -> Path:
    """Return the path of a folder for a certificate, which must be new or empty."""
    if not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder):
        raise KindError(f"folder must be the path of a folder, not {shown(folder)}")
    path = Path(os.fspath(folder))
    if path.exists() and not path.is_dir():
        raise FileError(f"{str(path)!r} is not a folder: give the path of a new folder")
    if path.is_dir() and any(path.iterdir()):
        raise FileError(f"the folder {str(path)!r} is not empty: give the path of a new folder")
    return path


def _solved(claimed: Evidence) -> Iterator[Obligation]:
    """Yield the obligations of a claim, each solved by z3 before it is certified."""
    for obligation in claimed.obligations():
        answer = solve(obligation.text, UNITS * BUDGET).answer
        if answer != obligation.expected:
            raise UndecidableError(
                f"this proof has no certificate: z3 answers {answer!r}, not "
                f"{obligation.expected!r}, to the formula of: {obligation.sentence}"
            )
        yield obligation


Verdict.certificate = certificate
