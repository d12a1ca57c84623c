"""Certificates: the obligations of a proof as files that programs other than convalg can check.

A certificate is a folder with one SMT-LIB file per obligation and a manifest, which holds each
claim as an expression, and the expected answer and the SHA-256 of each file. The encoding (that
these formulas state the claim) and one solver have to be trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from convalg.arguments import shown
from convalg.errors import ArgumentError, ConvalgError, FileError, KindError, UndecidableError
from convalg.escape import terminal
from convalg.faces.exact import exact_rows
from convalg.files import replace_file
from convalg.operators.families import replaced
from convalg.operators.tree import Operator
from convalg.prove import notation
from convalg.prove.comparison import counterexample, entry_bound
from convalg.prove.decisions import identities, nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.nonlinear import Contradiction, Obligation
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.decisions.smtlib import Script, conjunction
from convalg.prove.solvers import Solvers, ask_z3
from convalg.prove.verdict import Claim, Counterexample, Verdict
from convalg.version import __version__

if TYPE_CHECKING:
    import sympy

FORMAT = 2
"""The version of the layout of the manifest."""
MANIFEST = "manifest.json"
MOST_FILES = 2000
"""The number of files that a certificate may have."""
MOST_VALUES = 512
"""The number of combinations of values of symbols that a claim may be decided for one by one."""
MOST_ENTRIES = 20_000
"""The number of entries that are compared as polynomials in the weights."""
LINEAR = (
    "each output of the operator is a sum over a finite set of terms a x, where the set and the "
    "entries a do not depend on x: the claim follows by induction over the number of terms"
)
"""The rule by which the two obligations of a linear operator prove the claim."""


class Evidence(Protocol):
    """A claim whose obligations are written to a certificate."""

    @property
    def stated(self) -> str:
        """The claim as text, made from the objects that are compared."""

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof."""

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate."""


@runtime_checkable
class Refutable(Evidence, Protocol):
    """A claim whose counterexample is written to a certificate."""

    def failure(self, counterexample: Counterexample) -> dict[str, Any]:
        """Return a counterexample for the manifest."""

    def replayed(self, stated: Mapping[str, object]) -> tuple[str, str]:
        """Return where the claim fails at a counterexample of a manifest, as text, and a problem.

        The problem is "" where the claim fails there.
        """


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
        """The claim in the words of the verdict, which nothing checks."""
        return self.claim if isinstance(self.claim, str) else self.claim()

    @property
    def stated(self) -> str:
        """The claim as an equation of the two expressions, with its domain."""
        sides = [notation.write(side) for side in (self.first, self.second)]
        return f"{' = '.join(sides)} for {self.domain}"

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof.

        Symbols that are decided for some values only are replaced by each of these values.

        Raises: UndecidableError where the claim is not a formula without quantifiers.
        """
        claim = self._read_again()
        if claim.domain.swept:
            return list(claim._obligations_by_value())
        try:
            formulas = nonlinear.proof_formulas(claim.first, claim.second, claim.domain)
        except UndecidableError:
            if not (claim.first.is_concrete and claim.second.is_concrete):
                raise
            return [claim._identity()]
        return list(formulas.obligations(comments(claim.stated)))

    def _identity(self) -> Obligation:
        """Return the obligation that all entries are equal, as polynomials in the weights."""
        count = entry_bound(self.first, self.second)
        if (self.first.in_shape, self.first.out_shape) != (
            self.second.in_shape,
            self.second.out_shape,
        ):
            raise UndecidableError("both sides have different shapes")
        if count > MOST_ENTRIES:
            raise UndecidableError(
                f"budget exceeded: the two matrices have up to {count} entries, more than "
                f"{MOST_ENTRIES}: use smaller sizes"
            )
        pairs = []
        sides = (exact_rows(side, Polynomial.of) for side in (self.first, self.second))
        for left, right in zip(*sides, strict=True):
            for column in sorted(left.keys() | right.keys()):
                entries = (Polynomial.of(row.get(column, 0)) for row in (left, right))
                pairs.append((next(entries), next(entries)))
        sentence = "each entry of both matrices is the same polynomial in the weights"
        return identities.identity("identities", sentence, pairs, comments(self.stated))

    def _obligations_by_value(self) -> Iterator[Obligation]:
        """Yield the obligations for each value of the symbols that are decided value by value."""
        swept = self.domain.swept
        combinations = list(product(*(values for _, values in swept)))
        if len(combinations) > MOST_VALUES:
            raise UndecidableError(
                f"budget exceeded: the claim is about {len(combinations)} combinations of values "
                f"of {', '.join(symbol.name for symbol, _ in swept)}, more than {MOST_VALUES}: "
                f"give fewer values in ranges"
            )
        lines = comments(self.stated)
        yield from nonlinear.statement_formulas(self.domain, lambda _: []).obligations(lines)
        for chosen in combinations:
            numbers = {symbol: value for (symbol, _), value in zip(swept, chosen, strict=True)}
            at = ", ".join(f"{symbol.name} = {value}" for symbol, value in numbers.items())
            prefix = "at-" + "-".join(map(str, chosen))
            try:
                sides = [replaced(side, numbers) for side in (self.first, self.second)]
            except ArgumentError:
                # No operators exist with these numbers.
                formulas = nonlinear.statement_formulas(self.domain, partial(_where, numbers, at))
            else:
                formulas = nonlinear.proof_formulas(sides[0], sides[1], Domain.of(*sides))
            for obligation in formulas.obligations([*lines, f"at {at}"]):
                if obligation.expected == "unsat":
                    name, sentence = (
                        f"{prefix}-{obligation.name}",
                        f"at {at}: {obligation.sentence}",
                    )
                    yield replace(obligation, name=name, sentence=sentence)

    def failure(self, counterexample: Counterexample) -> dict[str, Any]:
        """Return a counterexample for the manifest."""
        return {
            "sizes": counterexample.sizes,
            "row": _listed(counterexample.row_index),
            "column": _listed(counterexample.column_index),
            "claimed": str(counterexample.claimed),
            "actual": str(counterexample.actual),
        }

    def replayed(self, stated: Mapping[str, object]) -> tuple[str, str]:
        """Return where the claim fails at a counterexample of a manifest, as text, and a problem.

        Raises: ArgumentError for values that are not of the required form.
        """
        sizes, symbols = stated.get("sizes"), self.domain.symbols
        names = {symbol.name for symbol in symbols}
        if not isinstance(sizes, dict) or set(sizes) != names or not _are_integers(sizes.values()):
            raise ArgumentError(
                f"the counterexample must have an integer for each of {sorted(names)}"
            )
        numbers = {symbol: sizes[symbol.name] for symbol in symbols}
        index = [_index(stated.get(name)) for name in ("row", "column")]
        point = (*index[0], *index[1]) if index[0] is not None and index[1] is not None else ()
        outside = [s.name for s, values in self.domain.swept if numbers[s] not in values]
        if outside or not self.domain.holds_at(numbers):
            return "", f"its sizes are not in the domain: {self.domain}"
        try:
            again = counterexample(self.first, self.second, self.domain, sizes, point)
            values = again.replay()
        except (ConvalgError, IndexError, TypeError, ValueError) as error:
            return "", f"it does not replay: {error}"
        if values[0] == values[1]:
            return f"at {again}", "both sides are equal there"
        problem = "" if self.failure(again) == stated else "the manifest states other values"
        return f"at {again}", problem

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
        claim = self._read_again()
        return {
            "claim": self.sentence,
            "scope": str(claim.domain),
            "first": notation.write(claim.first),
            "second": notation.write(claim.second),
            "ranges": {symbol.name: list(values) for symbol, values in self.domain.swept},
        }


@dataclass(frozen=True)
class Linear:
    """The claim that an operator is linear: A (alpha x + beta y) = alpha A x + beta A y."""

    operator: Operator

    @property
    def _domain(self) -> Domain:
        return Domain.of(notation.read(notation.write(self.operator)))

    @property
    def stated(self) -> str:
        """The claim about the expression of the operator, with its domain."""
        name = notation.write(self.operator)
        return (
            f"A (alpha x + beta y) = alpha A x + beta A y, where A = {name}, for {self._domain}; "
            f"{LINEAR}"
        )

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof: there are sizes, and the two steps of an induction."""
        lines, domain = comments(self.stated), self._domain
        sizes = nonlinear.statement_formulas(domain, lambda _: []).obligations(lines)
        return [*sizes, *identities.linearity(lines)]

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate.

        Raises: KindError for an operator that cannot be written as an expression.
        """
        written = notation.write(self.operator)
        return {"linear": written, "scope": str(self._domain), "rule": LINEAR}


def comments(stated: str) -> list[str]:
    """Return the first lines of the scripts of a claim."""
    return [f"claim: {terminal(' '.join(stated.split()))}"]


def _where(numbers: dict[sympy.Symbol, int], at: str, script: Script) -> list[Contradiction]:
    """Return the statement that some symbols have given values."""
    values = conjunction(script.equal(symbol, value) for symbol, value in numbers.items())
    return [Contradiction(f"the domain has no sizes with {at}", values)]


def _listed(index: tuple[int, ...] | None) -> list[int] | None:
    return None if index is None else list(index)


def _are_integers(values: Iterable[object]) -> bool:
    return all(type(value) is int for value in values)


def _index(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(k) is int and k >= 0 for k in value):
        raise ArgumentError("the row and the column of the counterexample must be indices")
    return tuple(value)


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
        ArgumentError: for a verdict that is "unknown", and for one about a function that was not
            traced on symbols.
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
            f"only a proved or refuted claim about operators, or about the trace of a function on "
            f"symbols, has a certificate, and this verdict is: {verdict!r}"
        )
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "convalg": __version__,
        "status": verdict.status,
        "claim": verdict.claim,
        "claims": [],
    }
    files: dict[str, str] = {}
    z3 = Solvers({"z3": ask_z3})
    for number, claimed in enumerate(verdict.evidence):
        entry = claimed.manifest()
        if verdict.status == "proved":
            entry["obligations"] = []
            for obligation in _solved(claimed, z3):
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
        if verdict.counterexample is not None and isinstance(claimed, Refutable):
            manifest["counterexample"] = claimed.failure(verdict.counterexample)
    if len(files) >= MOST_FILES:
        raise UndecidableError(
            f"this proof has no certificate: it has {len(files)} obligations, and a certificate "
            f"has less than {MOST_FILES}"
        )
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


def _solved(claimed: Evidence, z3: Solvers) -> Iterator[Obligation]:
    """Yield the obligations of a claim, each solved by z3 before it is certified."""
    for obligation in claimed.obligations():
        answer = z3.answers(obligation.text)["z3"]
        if answer != obligation.expected:
            raise UndecidableError(
                f"this proof has no certificate: z3 answers {answer!r}, not "
                f"{obligation.expected!r}, to the formula of: {obligation.sentence}"
            )
        yield obligation


Verdict.certificate = certificate
