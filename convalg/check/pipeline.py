"""Run a complete check: the sweep, the smallest failure, the diagnosis, the report."""

from __future__ import annotations

from convalg.check.candidate import Candidate
from convalg.check.diagnose import diagnose
from convalg.check.report import Report
from convalg.check.run import Sweep, failure_of, smallest, without_refusals
from convalg.check.sweep import configurations


def report_on(tested: Candidate, dims: int, cases: int, sweep: Sweep) -> Report:
    """Return the report on a candidate for `cases` configurations with `dims` spatial axes."""
    kind = tested.kind
    runs = sweep.runs(tested, configurations(kind, dims, tested.options, cases))
    runs, notes = without_refusals(runs, tested)
    failing = [one for one in runs if one.fails]
    if tested.missing:
        notes.append(
            f"not tested, since {tested.name} does not have these parameters: "
            f"{', '.join(tested.missing)}"
        )
    if any(one.outcome.printed for one in runs):
        notes.append(f"{tested.name} prints text, which is not shown")
    # A call that ended its worker would also end this process.
    lost = [one for one in runs if one.outcome.lost]
    smallest_failure = None
    if failing:
        smallest_failure = failure_of(lost[0]) if lost else smallest(tested, failing)
    return Report(
        kind,
        tested.name,
        tested.options,
        len(runs),
        tuple(map(failure_of, failing)),
        smallest_failure,
        diagnose(kind, runs, None if lost else tested) if failing else (),
        tuple(notes),
    )
