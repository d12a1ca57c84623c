"""What a theorem is: a statement, its parts, and where it fails outside its domain.

Each theorem holds its claims as pairs of operators with letters for sizes, and the proof is
the decision that both sides are the same set of labelled entries. `outside()` shows, where
there is one, the smallest counterexample just outside the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from convalg.base import Operator
from convalg.prove.claims import Ranges, decide
from convalg.prove.verdict import Verdict, escaped

Sides = tuple[Operator, Operator]


@dataclass(frozen=True, eq=False)
class Claim:
    """Two operators that are said to be equal; `words` says so in a line."""

    words: str
    sides: Callable[[], Sides]
    ranges: Ranges = field(default_factory=dict)

    def decide(self) -> Verdict:
        """Whether they are."""
        first, second = self.sides()
        return decide(first, second, claim=self.words, ranges=self.ranges)


Part = Claim | Callable[[], Verdict]


@dataclass(frozen=True, eq=False)
class Theorem:
    """A statement, its domain in words, its parts (all of which must be proved), its source."""

    name: str
    statement: str
    domain: str
    parts: tuple[Part, ...]
    source: str = ""
    counter: Part | None = None

    def prove(self) -> Verdict:
        """The verdict on the whole statement: that of the first part that is not proved, or all.

        >>> import convalg as ca
        >>> ca.theorems["adjoint-1d"].prove().status
        'proved'
        """
        verdicts = [_decide(part) for part in self.parts]
        for verdict in verdicts:
            if not verdict:
                return replace(verdict, words=self.statement)
        scopes = list(dict.fromkeys(verdict.scope for verdict in verdicts))
        methods = list(dict.fromkeys(verdict.method for verdict in verdicts))
        return Verdict("proved", self.statement, "; ".join(scopes), "; ".join(methods))

    def outside(self) -> Verdict | None:
        """The refuted verdict just outside the domain, or None where the domain is everything."""
        return None if self.counter is None else _decide(self.counter)

    def latex(self, verdict: Verdict, outside: Verdict | None) -> str:
        """The statement as a LaTeX theorem, with its domain, proof and counterexample in words."""
        words = [f"Domain: {self.domain}.", f"{verdict!r}, by {verdict.method}."]
        if outside is not None:
            words.append(f"Just outside ({outside.claim}): {outside!r}.")
        if self.source:
            words.append(f"Source: {self.source}.")
        body = "\n".join(escaped(line) for line in words)
        return f"% {self.name}\n\\[ {self.statement} \\]\n{body}"

    def claims(self) -> list[Claim]:
        """The parts that are equalities of operators."""
        return [part for part in self.parts if isinstance(part, Claim)]

    def __repr__(self) -> str:
        return f"Theorem({self.name!r}, {self.domain})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.statement}$"


def _decide(part: Part) -> Verdict:
    return part.decide() if isinstance(part, Claim) else part()
