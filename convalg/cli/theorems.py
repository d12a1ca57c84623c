"""`convalg prove`: the catalogue of theorems in the terminal, by chapters, in words."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from convalg.prove.equality import equal
from convalg.prove.expressions import parse
from convalg.prove.theorems.catalogue import theorems
from convalg.prove.theorems.theorem import Theorem
from convalg.prove.verdict import Verdict

WIDTHS = {"verdict": 7, "method": 10, "time": 7}
"""The columns whose width does not depend on that of the terminal."""
METHODS = {
    "Presburger arithmetic (isl)": "isl",
    "integer arithmetic (z3)": "z3",
    "exact polynomial identity": "identity",
    "exact identity": "identity",
}
"""The short names of methods in the table; other methods follow from a definition."""


def prove_catalogue(jobs: int) -> bool:
    """Prove all theorems, print a table for each chapter, and return whether all are proved.

    Args:
        jobs: the number of processes that share the theorems; -1 for one per core.
    """
    console, errors = Console(), Console(stderr=True)
    proved, total = 0, len(theorems)
    proofs = theorems.proofs(jobs=jobs)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("Proving", total=total)
        rows: dict[str, list[list[Text]]] = {}
        for theorem, verdict, seconds in proofs:
            proved += bool(verdict)
            cells = _cells(theorem, verdict, f"{1000 * seconds:.0f} ms")
            rows.setdefault(theorem.chapter, []).append(cells)
            progress.advance(task)
    for number, chapter in enumerate(theorems.chapters(), 1):
        table = _table()
        for cells in rows[chapter]:
            table.add_row(*cells)
        console.print(Text(f"\n{number}. {chapter}", style="bold"))
        console.print(table)
    console.print(Text(f"{proved} of {total} theorems proved"))
    return proved == total


def _table() -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, leading=1, pad_edge=False, expand=True)
    table.add_column("theorem", ratio=3, min_width=30, overflow="fold")
    table.add_column("scope", ratio=2, overflow="fold")
    for name, width in WIDTHS.items():
        table.add_column(name, width=width, overflow="fold")
    return table


def _cells(theorem: Theorem, verdict: Verdict, spent: str) -> list[Text]:
    """Return the name and the sentence of a theorem in one cell, and the parts of its verdict."""
    named = Text.assemble((theorem.name, "bold cyan"), "\n", theorem.sentence)
    color = {"proved": "green", "refuted": "red"}.get(verdict.status, "yellow")
    status = Text(verdict.status, style=color)
    return [named, Text(verdict.scope), status, Text(_short(verdict.method)), Text(spent)]


def _short(method: str) -> str:
    """Return the names of the methods without their explanations."""
    names = [part.partition(":")[0].partition(",")[0].strip() for part in method.split("; ")]
    known = [METHODS[name] for name in names if name in METHODS]
    return ", ".join(dict.fromkeys(known)) or "definition"


def equality_text(first: str, second: str) -> tuple[Verdict, str]:
    """Return the verdict on the equality of two operators that are given as text, and its lines."""
    verdict = equal(parse(first), parse(second))
    return verdict, verdict.explain()


def theorem_text(name: str, *, latex: bool) -> tuple[Verdict, str]:
    """Return the verdict on a theorem, and the theorem in words, one item per line, or as LaTeX."""
    theorem = theorems[name]
    verdict, outside = theorem.prove(), theorem.outside()
    if latex:
        return verdict, theorem.latex(verdict, outside)
    lines = [f"{theorem.name} ({theorem.chapter})", theorem.sentence]
    lines += [f"Idea: {theorem.idea}", f"Domain: {theorem.domain}.", f"{verdict!r}."]
    lines.append(f"Method: {verdict.method}.")
    if outside is not None:
        lines.append(f"Just outside: {outside.claim}: {outside!r}.")
    if theorem.source:
        lines.append(f"Source: {theorem.source}.")
    return verdict, "\n".join(lines)
