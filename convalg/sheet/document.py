"""The content of a sheet: its sections, statements and figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from convalg.arguments import plural
from convalg.sheet.blocks import Block, Claim, Picture, Section, Steps


@dataclass(frozen=True)
class Document:
    """The sections of a sheet with their labelled statements, from which every format is written.

    `setup` is the Python code that defines the layer `A`, the first code cell of a notebook.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    setup: str = ""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all sections, in order."""
        return tuple(block for section in self.sections for block in section.blocks)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All statements in order, including the lines of derivations."""
        claims: list[Claim] = []
        for block in self.blocks:
            if isinstance(block, Claim):
                claims.append(block)
            elif isinstance(block, Steps):
                claims += block.lines
        return tuple(claims)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures that can be drawn for this layer, in order. Reading this draws them."""
        return tuple(block for block in self.blocks if isinstance(block, Picture) and block.exists)

    @property
    def summary(self) -> str:
        """The number of statements with each verdict, as one line of text."""
        counts = Counter(claim.check.verdict for claim in self.claims)
        listed = ", ".join(f"{count} {label}" for label, count in counts.items())
        return f"{plural(len(self.claims), 'statement')}: {listed}." if counts else "No statements."

    @property
    def failed(self) -> tuple[Claim, ...]:
        """The statements whose check failed."""
        return tuple(claim for claim in self.claims if not claim.check.passed)
