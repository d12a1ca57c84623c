"""The verification of certificates: obligations are made anew, compared and solved again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from convalg.arguments import shown
from convalg.errors import ConvalgError, FileError, KindError
from convalg.escape import terminal
from convalg.files import regular_bytes
from convalg.prove import notation
from convalg.prove.certificates import (
    FORMAT,
    MANIFEST,
    Claimed,
    Evidence,
    digest,
    file_name,
)
from convalg.prove.comparison import counterexample
from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import UNITS, Obligation
from convalg.prove.decisions.smtlib import solve
from convalg.prove.equality import domain_of
from convalg.version import __version__

Manifest: TypeAlias = "dict[str, Any]"
MOST_BYTES = 20_000_000
"""The size that a manifest or a file of an obligation may have."""
MOST_CLAIMS = 1000
CVC5_UNITS = 300_000
"""The resource units of cvc5 that one obligation may use."""


@dataclass(frozen=True)
class FileCheck:
    """One line of a verification.

    Attributes:
        name: the file of the obligation, or the part of the manifest.
        sentence: the meaning of the expected answer.
        answers: the answer of each solver, by its name.
        problem: why the check failed, or "".
    """

    name: str
    sentence: str
    answers: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Verification:
    """The result of `ca.prove.verify`; true in a boolean context only when a proof is confirmed.

    Attributes:
        status: "proved" where all obligations come out as expected, "refuted" where the
            counterexample of a refuted claim replays, and "failed" otherwise.
        claim: what was checked, written from the expressions or the theorem in the manifest, not
            from its words.
        checks: the checks, in order.
        description: the claim in the words of the manifest, which nothing checks.
    """

    status: str
    claim: str
    checks: tuple[FileCheck, ...]
    description: str = ""

    def __bool__(self) -> bool:
        return self.status == "proved"

    @property
    def problems(self) -> list[str]:
        """The reasons why the verification failed."""
        return [f"{check.name}: {check.problem}" for check in self.checks if check.problem]

    def explain(self) -> str:
        """Return the claim, the answers of the solvers and the problems as lines of text."""
        lines = [f"Claim: {self.claim}"] if self.claim else []
        if self.description:
            lines.append(f"In the words of the manifest, which are not checked: {self.description}")
        for check in self.checks:
            answers = ", ".join(f"{solver}: {answer}" for solver, answer in check.answers.items())
            lines.append(f"{check.name}: {check.sentence}{f' ({answers})' if answers else ''}")
            if check.problem:
                lines.append(f"  failed: {check.problem}")
        lines.append(f"{self.status.capitalize()}.")
        return terminal("\n".join(lines), lines=True)

    def __repr__(self) -> str:
        return terminal(f"<certificate: {self.status}, {len(self.checks)} checks>")


class _InvalidError(Exception):
    """A certificate does not have the required form; the message is the reason."""


def verify(folder: str | os.PathLike[str]) -> Verification:
    """Verify a certificate that `Verdict.certificate` has written.

    The claims are read from the manifest and their obligations made anew. Each file must be equal
    to one of them and have the stated SHA-256, and no file may be missing. Then z3, and cvc5 where
    it is installed, solve each of them again. A counterexample is replayed.

    Args:
        folder: the folder of the certificate.

    Returns:
        The result, with one check per file.

    Raises:
        FileError: when the folder or its manifest cannot be read.
        KindError: when `folder` is not a path.

    >>> import tempfile
    >>> import convalg as ca
    >>> n, s = ca.sizes("n s")
    >>> verdict = ca.prove.equal(ca.downsample(n, s).T, ca.upsample(-(-n // s), s, size=n))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ca.prove.verify(verdict.certificate(folder)).status
    'proved'
    """
    if not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder):
        raise KindError(f"folder must be the path of a folder, not {shown(folder)}")
    path = Path(os.fspath(folder))
    if not path.is_dir():
        raise FileError(f"{str(path)!r} is not a folder: give the folder of a certificate")
    raw = regular_bytes(path / MANIFEST, MOST_BYTES)
    claim = description = ""
    try:
        manifest = _manifest(raw)
        description = _text(manifest, "claim")
        claim = "; ".join(_stated(_evidence(entry)) for entry in manifest["claims"])
        if manifest["status"] == "refuted":
            checks = [_replayed(manifest)]
            is_right = not checks[0].problem
            return Verification(
                "refuted" if is_right else "failed", claim, tuple(checks), description
            )
        checks = list(_proved(path, manifest))
    except _InvalidError as error:
        return Verification("failed", claim, (FileCheck(MANIFEST, "the manifest", {}, str(error)),))
    is_right = not any(check.problem for check in checks)
    return Verification("proved" if is_right else "failed", claim, tuple(checks), description)


def _stated(evidence: Evidence) -> str:
    """Return the claim as its operators or its theorem state it."""
    if isinstance(evidence, Claimed):
        try:
            sides = [notation.write(side) for side in (evidence.first, evidence.second)]
        except ConvalgError as error:
            raise _InvalidError(f"a claim has no expression: {error}") from None
        return f"{' = '.join(sides)} for {evidence.domain}"
    entry = evidence.manifest()
    return f"part {entry['part']} of the theorem {entry['theorem']}: {entry['claim']}"


def _manifest(raw: bytes) -> dict[str, Any]:
    """Return the manifest, or raise _InvalidError."""
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _InvalidError(f"it is not JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise _InvalidError("it is not a JSON object")
    if manifest.get("format") != FORMAT:
        raise _InvalidError(f"its format is {manifest.get('format')!r}, not {FORMAT}")
    if manifest.get("status") not in ("proved", "refuted"):
        raise _InvalidError(f"its status is {manifest.get('status')!r}, not proved or refuted")
    claims = manifest.get("claims")
    if not isinstance(claims, list) or not 0 < len(claims) <= MOST_CLAIMS:
        raise _InvalidError(f"it must have between 1 and {MOST_CLAIMS} claims")
    return manifest


def _text(entry: object, name: str) -> str:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, str):
        raise _InvalidError(f"{name!r} must be text")
    return value


def _evidence(entry: object) -> Evidence:
    """Return a claim of the manifest, or raise _InvalidError."""
    if not (isinstance(entry, dict) and "theorem" in entry):
        return _claimed(entry)
    from convalg.prove.theorems.catalogue import theorems
    from convalg.prove.theorems.theorem import FormulaPart, PartClaim

    name, number = _text(entry, "theorem"), entry.get("part")
    try:
        parts = theorems[name].parts
    except ConvalgError as error:
        raise _InvalidError(str(error)) from None
    if type(number) is not int or not 0 <= number < len(parts):
        raise _InvalidError(f"the theorem {name!r} has no part {number!r}")
    part = parts[number]
    if not isinstance(part, FormulaPart):
        raise _InvalidError(f"part {number} of the theorem {name!r} has no formulas")
    claim = PartClaim(name, number, part)
    for key, value in claim.manifest().items():
        if entry.get(key) != value:
            raise _InvalidError(f"{key} of part {number} of the theorem {name!r} is not {value!r}")
    return claim


def _claimed(entry: object) -> Claimed:
    """Return a claim about two operators of the manifest, or raise _InvalidError."""
    sentence = _text(entry, "claim")
    assert isinstance(entry, dict)
    try:
        first, second = (notation.read(_text(entry, name)) for name in ("first", "second"))
        domain = domain_of(first, second, ranges=entry.get("ranges", {}))
    except (ConvalgError, TypeError, ValueError, AttributeError) as error:
        raise _InvalidError(f"the claim {sentence!r} cannot be read: {error}") from None
    if str(domain) != entry.get("scope"):
        raise _InvalidError(f"the claim {sentence!r} holds for {domain}, not {entry.get('scope')}")
    return Claimed(sentence, first, second, domain)


def _proved(path: Path, manifest: Manifest) -> Iterator[FileCheck]:
    """Yield a check for each obligation of all claims, and for each file that is none."""
    names = {MANIFEST}
    for number, entry in enumerate(manifest["claims"]):
        claimed = _evidence(entry)
        try:
            obligations = claimed.obligations()
        except ConvalgError as error:
            raise _InvalidError(
                f"the claim {claimed.sentence!r} has no formulas: {error}"
            ) from None
        listed = entry.get("obligations")
        if not isinstance(listed, list) or len(listed) != len(obligations):
            raise _InvalidError(
                f"the claim {claimed.sentence!r} has {len(obligations)} obligations, and the "
                f"manifest lists another number"
            )
        for obligation, stated in zip(obligations, listed, strict=True):
            name = file_name(number, obligation)
            names.add(name)
            yield _checked(path / name, obligation, stated, manifest)
    for extra in sorted(set(os.listdir(path)) - names):
        yield FileCheck(extra, "not an obligation of this certificate", {}, "an unexpected file")


def _checked(file: Path, obligation: Obligation, stated: object, manifest: Manifest) -> FileCheck:
    """Return the check of one file: its name, its text, its SHA-256 and the solvers' answers."""

    def failed(problem: str) -> FileCheck:
        return FileCheck(file.name, obligation.sentence, {}, problem)

    wanted = {
        "file": file.name,
        "sentence": obligation.sentence,
        "expected": obligation.expected,
        "sha256": digest(obligation.text),
    }
    other = manifest.get("convalg") != __version__
    made_by = f" (it was written by convalg {manifest.get('convalg')})" if other else ""
    if stated != wanted:
        return failed(f"the manifest does not state the obligation of this claim{made_by}")
    try:
        text = regular_bytes(file, MOST_BYTES)
    except FileError as error:
        return failed(str(error))
    if text != obligation.text.encode():
        return failed(f"the file is not the obligation of this claim{made_by}")
    answers = {name: ask(obligation.text) for name, ask in solvers().items()}
    if answers["z3"] != obligation.expected:
        problem = f"z3 answers {answers['z3']!r} instead of {obligation.expected!r}"
        return FileCheck(file.name, obligation.sentence, answers, problem)
    opposite = {"sat": "unsat", "unsat": "sat"}[obligation.expected]
    against = [name for name, answer in answers.items() if answer == opposite]
    problem = f"{against[0]} answers {opposite!r}, against z3" if against else ""
    return FileCheck(file.name, obligation.sentence, answers, problem)


def solvers() -> dict[str, Callable[[str], str]]:
    """Return the solvers that are installed: z3, and cvc5 as an independent one."""
    each: dict[str, Callable[[str], str]] = {"z3": _ask_z3}
    if find_spec("cvc5") is not None:
        each["cvc5"] = _ask_cvc5
    return each


def _ask_z3(text: str) -> str:
    return solve(text, UNITS * BUDGET).answer


def _ask_cvc5(text: str) -> str:
    """Return the answer of cvc5 to a script: "sat", "unsat", or "unknown"."""
    import cvc5

    solver = cvc5.Solver()
    solver.setOption("rlimit", str(CVC5_UNITS))
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "obligation")
    symbols, answer = parser.getSymbolManager(), ""
    while not (command := parser.nextCommand()).isNull():
        answer += command.invoke(solver, symbols)
    return answer.strip() if answer.strip() in ("sat", "unsat") else "unknown"


def _replayed(manifest: Manifest) -> FileCheck:
    """Return the check of a counterexample: both sides differ at its sizes and its entry."""
    entry = manifest["claims"][0]
    claimed = _claimed(entry)
    witness = manifest.get("counterexample")
    if not isinstance(witness, dict) or not isinstance(witness.get("sizes"), dict):
        raise _InvalidError("it has no counterexample")
    sizes = witness["sizes"]
    names = {symbol.name for symbol in claimed.domain.symbols}
    if set(sizes) != names or not all(type(value) is int for value in sizes.values()):
        raise _InvalidError(f"the counterexample must have an integer for each of {sorted(names)}")
    try:
        index = [_index(witness.get(name)) for name in ("row", "column")]
        point = (*index[0], *index[1]) if index[0] is not None and index[1] is not None else ()
        again = counterexample(claimed.first, claimed.second, claimed.domain, sizes, point)
        replay = again.replay()
    except (ConvalgError, IndexError, TypeError, ValueError) as error:
        return FileCheck("counterexample", "both sides differ", {}, f"it does not replay: {error}")
    sentence = f"at {again}"
    problem = ""
    if replay[0] == replay[1]:
        problem = "both sides are equal there"
    elif [str(again.claimed), str(again.actual)] != [witness.get("claimed"), witness.get("actual")]:
        problem = "the manifest states other values"
    return FileCheck("counterexample", sentence, {}, problem)


def _index(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(k) is int and k >= 0 for k in value):
        raise _InvalidError("the row and the column of the counterexample must be indices")
    return tuple(value)
