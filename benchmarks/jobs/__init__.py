"""The jobs of the benchmark, by topic."""

from __future__ import annotations

from benchmarks.harness import Job, Quantity
from benchmarks.jobs import apply, footprint, matrices, networks, spectra, symbols


def jobs(quick: bool = False) -> list[Job | Quantity]:
    """All jobs; a quick run has smaller ones where that changes nothing but the time."""
    result: list[Job | Quantity] = []
    for topic in (matrices, apply, spectra, symbols, networks, footprint):
        result += topic.jobs(quick)
    return result
