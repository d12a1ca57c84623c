"""The content of a sheet: its sections, statements and figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from convalg.sheet.blocks import Block, Claim, Picture, Section, Steps


@dataclass(frozen=True)
class Document:
    """Sections whose statements carry how they were verified; what every format is made from.

    `setup` is the Python that makes the layer `A`, with which a notebook starts.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    setup: str = ""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What stands under the headings, in order."""
        return tuple(block for section in self.sections for block in section.blocks)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All statements, in order, those of derivations included."""
        found: list[Claim] = []
        for block in self.blocks:
            if isinstance(block, Claim):
                found.append(block)
            elif isinstance(block, Steps):
                found += block.lines
        return tuple(found)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures that the layer allows, in order; they are drawn here."""
        return tuple(block for block in self.blocks if isinstance(block, Picture) and block.exists)

    @property
    def summary(self) -> str:
        """How many statements have which label, in one line."""
        counts = Counter(claim.check.verdict for claim in self.claims)
        listed = ", ".join(f"{count} {label}" for label, count in counts.items())
        return f"{len(self.claims)} statements: {listed}." if counts else "No statements."

    @property
    def failed(self) -> tuple[Claim, ...]:
        """The statements that do not hold."""
        return tuple(claim for claim in self.claims if not claim.check.passed)
