"""The results as a table: for the terminal, or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.harness import OURS, Result
from benchmarks.machine import Rates

COLUMNS = ("job", "contestant", "ratio", "quartiles", "processes", "aim", "met", "time", "share")


def number(value: float) -> str:
    """A ratio or a size with three digits at most."""
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A time in a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def share(result: Result, rates: Rates) -> str:
    """The share of the machine's rate that a result reaches."""
    if result.seconds is None:
        return ""
    if result.work.flops:
        part = result.work.flops / result.seconds / 1e9 / rates.sgemm
        return f"{part:.0%} of sgemm"
    if result.work.written:
        part = result.work.written / result.seconds / 1e9 / rates.fill
        return f"{part:.0%} of fill"
    return ""


def row(result: Result, rates: Rates) -> tuple[str, ...]:
    """The cells of one result, in the order of COLUMNS."""
    met = {None: "", True: "yes", False: "no"}[result.met]
    aim = "" if result.aim is None else f"<= {number(result.aim)}{result.unit and ' '}{result.unit}"
    if result.problem:
        return (result.job, result.contestant, result.problem, "", "", aim, met, "", "")
    if result.value is not None:
        value = f"{number(result.value)} {result.unit}"
        return (result.job, result.contestant, value, "", "", aim, met, "", "")
    assert result.ratio is not None
    each = result.processes
    span = f"{number(min(each))} to {number(max(each))}" if len(each) > 1 else ""
    return (
        result.job,
        result.contestant,
        number(result.ratio.median),
        f"{number(result.ratio.low)} to {number(result.ratio.high)}",
        span,
        aim,
        met,
        duration(result.seconds or 0.0),
        share(result, rates),
    )


def markdown(results: Sequence[Result], rates: Rates) -> str:
    """The table in Markdown."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS)]
    lines += [tuple(cell.replace("|", "\\|") for cell in row(one, rates)) for one in results]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def terminal(results: Sequence[Result], rates: Rates) -> Table:
    """The table for a terminal; convalg's rows and missed aims are highlighted."""
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold", no_wrap=name == "job")
    before = ""
    for result in results:
        cells = row(result, rates)
        style = "bold" if result.contestant.startswith(OURS) else "dim"
        if result.met is False or result.problem.startswith("wrong"):
            style = "bold red"
        job = "" if result.job == before else result.job
        before = result.job
        table.add_row(Text(job), *(Text(cell, style=style) for cell in cells[1:]))
    return table


def records(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The results as plain data."""
    return [asdict(result) | {"met": result.met} for result in results]
