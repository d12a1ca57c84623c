"""convalg compared with its peers, in one run and in turns: python -m benchmarks.run --help"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import machine, table
from benchmarks.harness import OURS, CrashError, Job, Quantity, Result, Session, hold, summarise
from benchmarks.worker import KEPT_PAGES, Apart, environment

DESCRIPTION = """\
Measure convalg and its peers in one run, and print the ratios of their times.

Each contestant has a process of its own, and they take turns, so that neither thread pools nor the
machine's other work favour one. A ratio is the median over rounds of a contestant's time to that of
the job's reference in the same round, then the median over processes. Below 1 is faster than the
reference. Before anything is timed, the results have to be equal.

The exit status is 1 when a result is wrong or a contestant broke, and 0 when an aim is missed: no
time decides anything."""


WIDTH = 180
"""Columns of the table if the output is not a terminal."""

BUSY = 0.1
"""The share of other work on the machine above which a run is reported as unreliable."""


@dataclass(frozen=True)
class Plan:
    """How a run is made."""

    module: str
    variables: Mapping[str, str]
    processes: int
    rounds: int
    seconds: float
    quick: bool


def run_job(job: Job, plan: Plan) -> list[Result]:
    """The results of one job, over several processes of each contestant."""
    sessions: list[Session] = []
    for _ in range(plan.processes):
        seats = [
            Apart(plan.module, job.name, name, quick=plan.quick, variables=plan.variables)
            for name in job.contestants
        ]
        try:
            sessions.append(hold(job, seats, rounds=plan.rounds, seconds=plan.seconds))
        except CrashError as crash:
            return [Result(job.name, OURS, aim=job.aim, problem=f"broke: {crash}")]
        if sessions[-1].wrong:
            break
    return summarise(job, sessions)


def run_quantity(quantity: Quantity, plan: Plan) -> list[Result]:
    """The parts of a quantity, each in a fresh process that keeps no freed memory."""
    results = []
    variables = {name: v for name, v in plan.variables.items() if name not in KEPT_PAGES}
    for name in quantity.parts:
        aim = quantity.aim if name.startswith(OURS) else None
        seat = Apart(plan.module, quantity.name, name, quick=plan.quick, variables=variables)
        try:
            with seat:
                value: float | None = seat.measure()
                problem = ""
        except CrashError as crash:
            value, problem = None, f"broke: {crash}"
        results.append(
            Result(quantity.name, name, aim=aim, unit=quantity.unit, value=value, problem=problem)
        )
    return results


def chosen(jobs: Sequence[Job | Quantity], only: Sequence[str], *, quick: bool) -> list[Any]:
    """The jobs whose names contain any of the texts in `only`; all jobs if it is empty.

    A quick run leaves out heavy jobs unless they are named.
    """
    if only:
        matching = [job for job in jobs if any(word.lower() in job.name.lower() for word in only)]
        if not matching:
            names = "\n  ".join(job.name for job in jobs)
            raise SystemExit(f"no job has {' or '.join(map(repr, only))} in its name:\n  {names}")
        return matching
    return [job for job in jobs if not (quick and job.heavy)]


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--only", action="append", default=[], metavar="TEXT", help="jobs with this in their name")
    add("--list", action="store_true", help="print the names of the jobs and stop")
    add("--threads", type=int, default=2, help="threads of every pool (default 2)")
    add("--processes", type=int, default=3, help="processes of each contestant (default 3)")
    add("--rounds", type=int, default=9, help="rounds in each process, at most (default 9)")
    add("--seconds", type=float, default=15, help="of a job in a process, about (default 15)")
    add(
        "--clock",
        choices=sorted(machine.CLOCKS),
        default="wall",
        help="'cpu' counts processor time, for --threads 1 on a machine with other work",
    )
    add("--native", action="store_true", help="drop OPENBLAS_CORETYPE from the environment")
    add("--fresh-pages", action="store_true", help="let freed memory go back to the system")
    add("--quick", action="store_true", help="one process, three rounds, no heavy jobs")
    add("--markdown", action="store_true", help="print Markdown, to paste into the documentation")
    add("--json", type=Path, metavar="FILE", help="also write the results to a file")
    add("--jobs", default="benchmarks.jobs", metavar="MODULE", help=argparse.SUPPRESS)
    return result


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan described by the options."""
    variables = environment(
        options.threads,
        native=options.native,
        fresh_pages=options.fresh_pages,
        time_on=options.clock,
    )
    quick = options.quick
    return Plan(
        options.jobs,
        variables,
        processes=1 if quick else options.processes,
        rounds=3 if quick else options.rounds,
        seconds=options.seconds,
        quick=quick,
    )


def settings(options: argparse.Namespace, plan: Plan) -> dict[str, str]:
    """The settings of the run, for the report."""
    pages = "given back after each call" if options.fresh_pages else "kept by the process"
    return {
        "threads": str(options.threads),
        "processes": f"{plan.processes} of each contestant, in lockstep, {plan.rounds} rounds each",
        "freed memory": pages,
        "clock": options.clock,
    }


def others(when: str) -> str:
    """A line on the other work of the machine."""
    share = machine.others_share()
    if share is None:
        return f"other work {when}: unknown"
    note = ", so these ratios are unreliable" if share > BUSY else ""
    return f"other work {when}: {share:.0%} of the processors{note}"


def write(
    path: Path, lines: Sequence[str], rates: machine.Rates, results: Sequence[Result]
) -> None:
    """Write the results as JSON, first to a temporary file, which is then renamed."""
    data = {"machine": lines, "rates": asdict(rates), "results": table.records(results)}
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the jobs and print the table; 1 when a result was wrong or a contestant broke."""
    options = parser().parse_args(arguments)
    plan = plan_of(options)
    jobs = importlib.import_module(plan.module).jobs(plan.quick)
    if options.list:
        print("\n".join(job.name for job in jobs))
        return 0
    mine = chosen(jobs, options.only, quick=plan.quick)
    notes = Console(stderr=True)
    before = others("before")
    rates = machine.measured_rates(plan.variables, quick=plan.quick)
    results: list[Result] = []
    for number, job in enumerate(mine, 1):
        notes.print(f"{number}/{len(mine)} {job.name}", style="dim", highlight=False)
        results += run_job(job, plan) if isinstance(job, Job) else run_quantity(job, plan)
        if options.json:
            # After every job, so that an interrupted run keeps its results.
            write(options.json, [before], rates, results)
    rates = machine.better(rates, machine.measured_rates(plan.variables, quick=plan.quick))
    lines = machine.report(plan.variables, rates, settings(options, plan))
    lines += [before, others("after")]
    if options.json:
        write(options.json, lines, rates, results)
    if options.markdown:
        print("\n".join(f"- {line}" for line in lines), "", sep="\n")
        print(table.markdown(results, rates))
    else:
        console = Console(width=None if sys.stdout.isatty() else WIDTH)
        for line in lines:
            console.print(line, highlight=False, markup=False)
        console.print(table.terminal(results, rates))
    return int(any(r.problem.startswith(("wrong", "broke")) for r in results))


if __name__ == "__main__":
    sys.exit(main())
