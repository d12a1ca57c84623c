"""Theorems and their parts.

A part contains the objects that are compared: two operators with symbolic sizes, sets or counts.
Its formula, its domain and its proof are made from these objects. The statement of a theorem
consists of the formulas of its parts, and its domain is the intersection of their domains.
`outside` returns the smallest counterexample just outside the domain, if the theorem has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, Protocol, runtime_checkable

from convalg.operators.tree import Operator
from convalg.prove.certificates import Evidence, comments
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.nonlinear import Formulas, Obligation
from convalg.prove.equality import Ranges, decide, domain_of
from convalg.prove.theorems.formulas import equation_latex
from convalg.prove.verdict import Verdict, escaped

Sides = tuple[Operator, Operator]


class Part(Protocol):
    """One claim of a theorem, with its formula, its domain and its proof."""

    @property
    def claim(self) -> str:
        """The claim as one line of text."""

    @property
    def formula(self) -> str:
        """The comparison as a LaTeX formula."""

    @property
    def domain(self) -> Domain:
        """The sizes for which the claim is decided."""

    def decide(self) -> Verdict:
        """Decide whether the claim holds for these sizes."""


@dataclass(frozen=True, eq=False)
class Equality:
    """The claim that two operators are equal.

    `claim`: the claim as one line of text. `sides`: a function that returns the two operators.
    `argument`: the name of the array that both operators are applied to in the formula, or "".
    `ranges`: as in `ca.prove.equal`.
    """

    claim: str
    sides: Callable[[], Sides]
    argument: str = ""
    ranges: Ranges = field(default_factory=dict)

    @cached_property
    def _sides(self) -> Sides:
        return self.sides()

    @cached_property
    def formula(self) -> str:
        """The two operators, the spaces between which they map, and the kernels in them."""
        return equation_latex(*self._sides, argument=self.argument)

    @cached_property
    def domain(self) -> Domain:
        """The sizes at which both operators exist."""
        return domain_of(*self._sides, ranges=self.ranges)

    def decide(self) -> Verdict:
        """Decide whether the two operators are equal."""
        first, second = self._sides
        return decide(first, second, claim=self.claim, ranges=self.ranges)


@runtime_checkable
class FormulaPart(Part, Protocol):
    """A part whose claim is a formula of integers without quantifiers."""

    def formulas(self) -> Formulas:
        """Return the formulas of the claim."""


@dataclass(frozen=True)
class PartClaim:
    """A part of a theorem of the catalogue, as a claim that a certificate names."""

    theorem: str
    number: int
    part: FormulaPart

    @property
    def stated(self) -> str:
        """The claim with the theorem that it is a part of."""
        claim = f"part {self.number} of the theorem {self.theorem}: {self.part.claim}"
        return f"{claim} for {self.part.domain}"

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof."""
        return list(self.part.formulas().obligations(comments(self.stated)))

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate."""
        return {
            "claim": self.part.claim,
            "scope": str(self.part.domain),
            "theorem": self.theorem,
            "part": self.number,
        }


@dataclass(frozen=True, eq=False)
class Theorem:
    """A theorem, which is proved if all its parts are proved.

    Attributes:
        name: the name in `ca.theorems`.
        parts: the claims of the theorem, in order.
        source: where the theorem is stated, or "".
        counter: a claim that fails just outside the domain, or None.
        chapter: the chapter of the catalogue that contains the theorem.
        sentence: the statement in words, as one sentence.
        idea: the idea of a proof by hand, in one or two sentences.

    >>> import convalg as ca
    >>> theorem = ca.theorems["flip"]
    >>> theorem.parts[0].claim, len(theorem.parts)
    ('convolution is correlation with the flipped kernel', 2)
    """

    name: str
    parts: tuple[Part, ...]
    source: str = ""
    counter: Part | None = None
    chapter: str = ""
    sentence: str = ""
    idea: str = ""

    @cached_property
    def statement(self) -> str:
        """The LaTeX formulas of the parts, one below the other.

        >>> import convalg as ca
        >>> print(ca.theorems["full"].statement)
        A_{w,\\,p = K - 1} = A_{w}\\, P_{K - 1} \\colon \\mathbf{R}^{n} \\to \
\\mathbf{R}^{n + K - 1},\\quad w \\in \\mathbf{R}^{K}
        """
        return joined(part.formula for part in self.parts)

    @cached_property
    def where(self) -> Domain:
        """The domain: the sizes for which all parts are stated."""
        return reduce(Domain.meet, (part.domain for part in self.parts))

    @property
    def domain(self) -> str:
        """The domain as text."""
        return str(self.where)

    def prove(self) -> Verdict:
        """Return the first verdict on a part that is not "proved", or one verdict for all parts.

        >>> import convalg as ca
        >>> ca.theorems["adjoint-1d"].prove().status
        'proved'
        """
        verdicts = [part.decide() for part in self.parts]
        for verdict in verdicts:
            if not verdict:
                return replace(verdict, statement=self.statement)
        methods = list(dict.fromkeys(verdict.method for verdict in verdicts))
        evidence: list[Evidence] = []
        for number, (part, verdict) in enumerate(zip(self.parts, verdicts, strict=True)):
            evidence += verdict.evidence
            if isinstance(part, FormulaPart):
                evidence.append(PartClaim(self.name, number, part))
        # A verdict may be about fewer sizes than its claim: a stride is swept where z3 fails.
        where = reduce(Domain.meet, (v.domain for v in verdicts if v.domain), self.where)
        return Verdict(
            "proved",
            self.statement,
            str(where),
            "; ".join(methods),
            domain=where,
            evidence=tuple(evidence) if len(evidence) >= len(verdicts) else (),
        )

    def outside(self) -> Verdict | None:
        """Return the verdict on `counter`, which should be "refuted"; None if `counter` is None.

        >>> import convalg as ca
        >>> ca.theorems["flip"].outside()
        Refuted: n = 1, K = 2, p = 1; row 0; column 0; claimed w1, actual w0
        """
        return None if self.counter is None else self.counter.decide()

    def latex(self, verdict: Verdict, outside: Verdict | None) -> str:
        """Return the statement as a LaTeX formula, followed by text about its proof.

        Args:
            verdict: the verdict of `prove`.
            outside: the verdict of `outside`, or None.
        """
        sentences = [f"Domain: {self.domain}.", f"{verdict!r}, by {verdict.method}."]
        if outside is not None:
            sentences.append(f"Just outside ({outside.claim}): {outside!r}.")
        if self.source:
            sentences.append(f"Source: {self.source}.")
        body = "\n".join(escaped(line) for line in sentences)
        return f"% {self.name}\n\\[ {self.statement} \\]\n{body}"

    def claims(self) -> list[Equality]:
        """Return the parts that claim that two operators are equal."""
        return [part for part in self.parts if isinstance(part, Equality)]

    def __repr__(self) -> str:
        return f"Theorem({self.name!r}, {self.domain})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.statement}$"


def joined(formulas: Iterable[str]) -> str:
    """Return formulas in one LaTeX formula, one per line and without repetitions."""
    lines = list(dict.fromkeys(formulas))
    if len(lines) == 1:
        return lines[0]
    return "\\begin{aligned} & " + " \\\\ & ".join(lines) + " \\end{aligned}"
