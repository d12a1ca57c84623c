"""The verification of certificates: obligations are made anew, compared and solved again."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from convalg.arguments import shown
from convalg.errors import ConvalgError, FileError, KindError
from convalg.escape import terminal
from convalg.files import regular_bytes
from convalg.limits import format_bytes
from convalg.prove import notation
from convalg.prove.certificates import (
    FORMAT,
    MANIFEST,
    MOST_FILES,
    Claimed,
    Evidence,
    Linear,
    Refutable,
    digest,
    file_name,
)
from convalg.prove.decisions.nonlinear import Obligation
from convalg.prove.equality import domain_of
from convalg.prove.solvers import Solvers, installed
from convalg.version import __version__

Manifest: TypeAlias = "dict[str, Any]"
MOST_BYTES = 20_000_000
"""The size that a manifest or a file of an obligation may have."""
MOST_IN_ALL = 200_000_000
"""The size of all files of a certificate together."""
MOST_CLAIMS = 1000
LONGEST = 2 * notation.LONGEST
"""The number of characters that the claims of a manifest may have together."""
KEYS = {
    "proved": {"format", "convalg", "status", "claim", "claims"},
    "refuted": {"format", "convalg", "status", "claim", "claims", "counterexample"},
}
"""The keys of a manifest, by its status."""


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
            text = " ".join(self.description.split())
            lines.append(f"In the words of the manifest, which are not checked: {text}")
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
    claim = description = ""
    try:
        try:
            present = _listing(path)
        except OSError as error:
            raise FileError(f"the folder {str(path)!r} cannot be read: {error.strerror}") from None
        manifest = _manifest(regular_bytes(path / MANIFEST, MOST_BYTES))
        description = _text(manifest, "claim")
        claims = [_evidence(entry, k) for k, entry in enumerate(manifest["claims"])]
        claim = "; ".join(_stated(evidence) for evidence in claims)
        is_refuted = manifest["status"] == "refuted"
        checks = _replayed(claims, manifest) if is_refuted else _proved(path, claims, manifest)
        every = [*checks, *_unexpected(present, checks)]
    except _InvalidError as error:
        return Verification("failed", claim, (FileCheck(MANIFEST, "the manifest", {}, str(error)),))
    is_right = not any(check.problem for check in every)
    return Verification(
        manifest["status"] if is_right else "failed", claim, tuple(every), description
    )


def _listing(path: Path) -> set[str]:
    """Return the names of the files of a folder, before any of them is read."""
    names: set[str] = set()
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            if len(names) == MOST_FILES:
                raise _InvalidError(f"the folder has more than {MOST_FILES} files")
            if not entry.is_file(follow_symlinks=False):
                raise _InvalidError(f"{shown(entry.name)} in the folder is not a regular file")
            names.add(entry.name)
            total += entry.stat(follow_symlinks=False).st_size
    if total > MOST_IN_ALL:
        raise _InvalidError(
            f"its files have {format_bytes(total)} together, more than the "
            f"{format_bytes(MOST_IN_ALL)} allowed"
        )
    return names


def _unexpected(present: set[str], checks: Iterable[FileCheck]) -> Iterator[FileCheck]:
    """Yield a failed check for each file that is not a part of the certificate."""
    for extra in sorted(present - {MANIFEST} - {check.name for check in checks}):
        yield FileCheck(extra, "not an obligation of this certificate", {}, "an unexpected file")


def _stated(evidence: Evidence) -> str:
    """Return the claim as its operators or its theorem state it.

    Characters beyond ASCII, which may look like others, are replaced by escapes.
    """
    try:
        text = evidence.stated
    except ConvalgError as error:
        raise _InvalidError(f"a claim has no expression: {error}") from None
    return text.encode("ascii", "backslashreplace").decode()


def _manifest(raw: bytes) -> dict[str, Any]:
    """Return the manifest, or raise _InvalidError."""
    try:
        manifest = json.loads(
            raw, object_pairs_hook=_without_repetitions, parse_constant=_not_a_number
        )
    except (ValueError, RecursionError) as error:
        raise _InvalidError(f"it is not JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise _InvalidError("it is not a JSON object")
    version, status = manifest.get("format"), manifest.get("status")
    if type(version) is not int or version != FORMAT:
        raise _InvalidError(f"its format is {shown(version)}, not {FORMAT}")
    if not isinstance(status, str) or status not in KEYS:
        raise _InvalidError(f"its status is {shown(status)}, not proved or refuted")
    if set(manifest) != KEYS[status]:
        wrong = sorted(set(manifest) ^ KEYS[status])
        raise _InvalidError(f"these keys are missing or unexpected: {shown(wrong)}")
    _text(manifest, "convalg")
    claims = manifest["claims"]
    if not isinstance(claims, list) or not 0 < len(claims) <= MOST_CLAIMS:
        raise _InvalidError(f"it must have between 1 and {MOST_CLAIMS} claims")
    # The proof is made from the claims: long ones take long to read.
    count = sum(len(_claim_text(entry)) for entry in claims)
    if count > LONGEST:
        raise _InvalidError(f"its claims have {count} characters, more than {LONGEST}")
    return manifest


def _without_repetitions(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object. Raises: ValueError where a key occurs twice."""
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if repeated:
        raise ValueError(f"a key occurs twice in one object: {shown(repeated)}")
    return dict(pairs)


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _claim_text(entry: object) -> str:
    """Return a claim of the manifest, without its obligations, as text that can be compared."""
    if not isinstance(entry, dict):
        raise _InvalidError("each of its claims must be an object")
    return json.dumps({k: v for k, v in entry.items() if k != "obligations"}, sort_keys=True)


def _text(entry: object, name: str) -> str:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, str):
        raise _InvalidError(f"{name!r} must be text")
    return value


def _evidence(entry: Mapping[str, object], number: int) -> Evidence:
    """Return a claim of the manifest, or raise _InvalidError.

    The claim must be exactly the one that its objects write to a manifest.
    """
    kinds = [kind for kind in READERS if kind in entry]
    if len(kinds) != 1:
        raise _InvalidError(
            f"claim {number} must have exactly one of the keys {', '.join(READERS)}, not "
            f"{shown(kinds)}"
        )
    try:
        evidence = READERS[kinds[0]](entry)
        wanted = evidence.manifest()
    except (ConvalgError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _InvalidError(f"claim {number} cannot be read: {error}") from None
    for key, value in wanted.items():
        if _claim_text({key: entry.get(key)}) != _claim_text({key: value}):
            raise _InvalidError(
                f"{key} of claim {number} is {shown(entry.get(key))}, not {shown(value)}"
            )
    extra = sorted(entry.keys() - wanted.keys() - {"obligations"})
    if extra:
        raise _InvalidError(f"claim {number} has unexpected keys: {shown(extra)}")
    return evidence


def _part(entry: Mapping[str, object]) -> Evidence:
    """Return the claim of a part of a theorem."""
    from convalg.prove.theorems.catalogue import theorems
    from convalg.prove.theorems.theorem import FormulaPart, PartClaim

    name, number = _text(entry, "theorem"), entry.get("part")
    parts = theorems[name].parts
    if type(number) is not int or not 0 <= number < len(parts):
        raise _InvalidError(f"the theorem {name!r} has no part {shown(number)}")
    part = parts[number]
    if not isinstance(part, FormulaPart):
        raise _InvalidError(f"part {number} of the theorem {name!r} has no formulas")
    return PartClaim(name, number, part)


def _claimed(entry: Mapping[str, object]) -> Evidence:
    """Return a claim about two operators."""
    first, second = (notation.read(_text(entry, name)) for name in ("first", "second"))
    ranges = entry.get("ranges")
    if not isinstance(ranges, dict):
        raise _InvalidError("'ranges' must be an object")
    domain = domain_of(first, second, ranges=ranges)
    return Claimed(_text(entry, "claim"), first, second, domain)


def _linear(entry: Mapping[str, object]) -> Evidence:
    """Return the claim that an operator is linear."""
    return Linear(notation.read(_text(entry, "linear")))


def _traced(entry: Mapping[str, object]) -> Evidence:
    """Return a claim about the outputs of a function on symbols."""
    from convalg.prove.functions.traced import read

    return read(entry)


def _step(entry: Mapping[str, object]) -> Evidence:
    """Return the claim of a step of a derivation."""
    from convalg.prove.derivations.kinds import read_claim

    return read_claim(_text(entry, "derivation"), _text(entry, "operator"), entry.get("step"))


READERS: dict[str, Callable[[Mapping[str, object]], Evidence]] = {
    "first": _claimed,
    "theorem": _part,
    "linear": _linear,
    "function": _traced,
    "derivation": _step,
}
"""The kinds of claims, by a key that only they have."""


def _proved(path: Path, claims: list[Evidence], manifest: Manifest) -> list[FileCheck]:
    """Return a check for each obligation of all claims."""
    checks: list[FileCheck] = []
    solvers = Solvers(installed())
    for number, (claimed, entry) in enumerate(zip(claims, manifest["claims"], strict=True)):
        try:
            obligations = claimed.obligations()
        except ConvalgError as error:
            raise _InvalidError(f"claim {number} has no formulas: {error}") from None
        listed = entry.get("obligations")
        if not isinstance(listed, list) or len(listed) != len(obligations):
            raise _InvalidError(
                f"claim {number} has {len(obligations)} obligations, and the manifest lists "
                f"another number"
            )
        for obligation, stated in zip(obligations, listed, strict=True):
            file = path / file_name(number, obligation)
            checks.append(_checked(file, obligation, stated, manifest, solvers))
    return checks


def _checked(
    file: Path, obligation: Obligation, stated: object, manifest: Manifest, solvers: Solvers
) -> FileCheck:
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
    made_by = f" (it was written by convalg {shown(manifest['convalg'])})" if other else ""
    if stated != wanted:
        return failed(f"the manifest does not state the obligation of this claim{made_by}")
    try:
        text = regular_bytes(file, MOST_BYTES)
    except FileError as error:
        return failed(str(error))
    if text != obligation.text.encode():
        return failed(f"the file is not the obligation of this claim{made_by}")
    answers: dict[str, str] = {**solvers.answers(obligation.text)}
    if answers["z3"] != obligation.expected:
        problem = f"z3 answers {answers['z3']!r} instead of {obligation.expected!r}"
        if "z3" in solvers.used_up:
            problem += "; the resource units for one certificate are used up"
        return FileCheck(file.name, obligation.sentence, answers, problem)
    opposite = {"sat": "unsat", "unsat": "sat"}[obligation.expected]
    against = [name for name, answer in answers.items() if answer == opposite]
    problem = f"{against[0]} answers {opposite!r}, against z3" if against else ""
    return FileCheck(file.name, obligation.sentence, answers, problem)


def _replayed(claims: list[Evidence], manifest: Manifest) -> list[FileCheck]:
    """Return the check of a counterexample: the claim fails there."""
    (claimed, *more), witness = claims, manifest["counterexample"]
    if more or not isinstance(claimed, Refutable) or "obligations" in manifest["claims"][0]:
        raise _InvalidError("a refuted certificate has one claim, with a counterexample")
    if not isinstance(witness, dict):
        raise _InvalidError("it has no counterexample")
    try:
        sentence, problem = claimed.replayed(witness)
    except ConvalgError as error:
        raise _InvalidError(str(error)) from None
    return [FileCheck("counterexample", sentence or "the claim fails", {}, problem)]
