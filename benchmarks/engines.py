"""Every engine of A(x) against the choice of "auto": python -m benchmarks.engines --help"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.harness import (
    Array,
    Call,
    Clock,
    Job,
    Local,
    Session,
    UnableError,
    built,
    compare,
    in_turns,
    ratios,
)
from benchmarks.jobs.apply import Task
from benchmarks.jobs.layers import samples
from benchmarks.run import others
from benchmarks.worker import ROOT, environment

DESCRIPTION = """\
Time every engine of A(x), A.T(g) and A.kernel_gradient(x, g) on a grid of geometries, in turns with
"auto", and print how much slower than the best of them "auto" is at each point, the worst last.

All engines share a process, so that a slow mode of BLAS is the same for all of them. An engine that
cannot do a geometry is left out there. All results have to be equal before anything is timed."""

AIM = 1.3
AUTO = "auto"
HOPELESS = 4
"""An engine that is slower than the fastest by more than this factor in its warm-up is skipped."""

LARGEST = 2e9
"""Multiplications of the largest point; larger ones take long and give no new information."""


@dataclass(frozen=True)
class Geometry:
    """A layer of the grid; `in_channels` and `out_channels` are those of the whole layer."""

    in_channels: int
    out_channels: int
    spatial: tuple[int, ...]
    taps: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def name(self) -> str:
        """A short name of the layer."""
        parts = [
            f"{self.in_channels}->{self.out_channels}",
            "x".join(map(str, self.spatial)),
            f"k{self.taps}",
        ]
        for letter, value, usual in (
            ("s", self.stride, 1),
            ("p", self.padding, 0),
            ("d", self.dilation, 1),
            ("g", self.groups, 1),
        ):
            parts += [f"{letter}{value}"] if value != usual else []
        return " ".join(parts)

    def operator(self) -> Any:
        """The layer as convalg's operator, with float32 weights."""
        import convalg as ca

        taps = (self.taps,) * len(self.spatial)
        shape = (self.out_channels, self.in_channels // self.groups, *taps)
        return ca.correlation(
            self.spatial,
            samples(shape, seed=0),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def multiplications(self, batch: int) -> float:
        """Products of a weight and a sample, those with padding included."""
        reach = self.dilation * (self.taps - 1) + 1
        outs = [(n + 2 * self.padding - reach) // self.stride + 1 for n in self.spatial]
        weights = self.out_channels * self.in_channels // self.groups
        return batch * weights * self.taps ** len(self.spatial) * float(np.prod(outs))


BATCHES = (1, 8, 64)
QUICK_BATCHES = (8,)

GRID = (
    # One axis.
    Geometry(1, 1, (100_000,), 9, padding=4),
    Geometry(1, 1, (4096,), 65, padding=32),
    Geometry(1, 1, (4096,), 1025),
    Geometry(16, 32, (1024,), 5, padding=2),
    Geometry(64, 64, (256,), 3, padding=1),
    Geometry(8, 8, (2000,), 3, dilation=8),
    # Two axes: narrow, wide, and the sizes of well-known networks.
    Geometry(1, 1, (28, 28), 3, padding=1),
    Geometry(1, 1, (128, 128), 15),
    Geometry(1, 1, (128, 128), 31, padding=15),
    Geometry(1, 8, (28, 28), 5),
    Geometry(6, 16, (14, 14), 5),
    Geometry(3, 32, (32, 32), 3, padding=1),
    Geometry(3, 64, (64, 64), 7, stride=2, padding=3),
    Geometry(3, 64, (64, 64), 11, stride=4, padding=2),
    Geometry(8, 8, (16, 16), 3, padding=1),
    Geometry(16, 32, (32, 32), 3, padding=1),
    Geometry(64, 64, (14, 14), 3, padding=1),
    Geometry(64, 64, (56, 56), 3, padding=1),
    Geometry(64, 128, (28, 28), 3, stride=2, padding=1),
    Geometry(256, 256, (7, 7), 3, padding=1),
    Geometry(32, 32, (28, 28), 5, padding=2),
    Geometry(16, 16, (32, 32), 11, padding=5),
    Geometry(16, 16, (32, 32), 3, padding=2, dilation=2),
    # 1x1, with few channels and many.
    Geometry(64, 256, (14, 14), 1),
    Geometry(256, 64, (14, 14), 1),
    Geometry(16, 16, (56, 56), 1),
    Geometry(64, 128, (28, 28), 1, stride=2),
    # Groups and depthwise.
    Geometry(32, 32, (28, 28), 3, padding=1, groups=4),
    Geometry(32, 32, (28, 28), 3, padding=1, groups=32),
    Geometry(128, 128, (14, 14), 3, padding=1, groups=128),
    Geometry(32, 32, (56, 56), 3, stride=2, padding=1, groups=32),
    Geometry(64, 64, (14, 14), 7, padding=3, groups=64),
    # Three axes.
    Geometry(1, 1, (32, 32, 32), 3, padding=1),
    Geometry(4, 8, (16, 16, 16), 3, padding=1),
    Geometry(16, 16, (8, 8, 8), 3, stride=2, padding=1),
)
QUICK_GRID = (GRID[9], GRID[14], GRID[28])

Apply = Callable[[Any, Task, Array, Array, str], Array]


def apply(operator: Any, task: Task, x: Array, g: Array, engine: str) -> Array:
    """The result of a task computed by an engine."""
    match task:
        case "A(x)":
            return operator(x, engine=engine)
        case "A.T(g)":
            return operator.T(g, engine=engine)
        case "kernel gradient":
            return operator.kernel_gradient(x, g, engine=engine)


def names() -> tuple[str, ...]:
    """The engines of this convalg."""
    from convalg.engine import ENGINES

    return tuple(name for name in ENGINES if name != AUTO)


def point(
    geometry: Geometry, batch: int, task: Task, engines: Sequence[str], run: Apply = apply
) -> Job:
    """A point of the grid as a job: "auto" is the reference, the engines are its contestants."""

    def maker(engine: str) -> Callable[[], Call]:
        def make() -> Call:
            import convalg as ca

            operator = geometry.operator()
            x = samples((batch, *operator.in_shape))
            g = samples((batch, *operator.out_shape), seed=2)
            try:
                run(operator, task, x, g, engine)
            except (ca.errors.ArgumentError, ca.errors.TooLargeError) as error:
                raise UnableError(f"{error}") from error
            return lambda: run(operator, task, x, g, engine)

        return make

    return Job(
        f"{task} {geometry.name} batch {batch}",
        AUTO,
        {engine: maker(engine) for engine in (AUTO, *engines)},
        # The Fourier transform rounds more than a product does.
        tolerance=1e-3,
    )


def points(engines: Sequence[str], only: Sequence[str], *, quick: bool) -> list[Job]:
    """The jobs of the grid whose names contain any of the texts in `only`."""
    grid, batches = (QUICK_GRID, QUICK_BATCHES) if quick else (GRID, BATCHES)
    jobs = [
        point(geometry, batch, task, engines)
        for geometry, batch, task in product(grid, batches, get_args(Task))
        if geometry.multiplications(batch) <= LARGEST
    ]
    return [job for job in jobs if not only or any(word in job.name for word in only)]


def hold(job: Job, *, rounds: int, seconds: float, clock: Clock) -> Session:
    """The session of one point in this process, without engines that are far too slow."""
    session = Session()
    seats = [Local(job, name, clock) for name in job.contestants]
    present = built(seats, session)
    session.wrong = compare(job, present)
    ready = [seat for seat in present if seat.name not in session.wrong]
    for seat in ready:
        seat.settle()
    fastest = min((seat.once for seat in ready), default=0.0)
    racing = [s for s in ready if s.name == AUTO or s.once <= HOPELESS * fastest]
    each = sum(seat.once * (seat.repeats + seat.warm) for seat in racing)
    fitting = int(seconds / max(each, 1e-9))
    session.times = in_turns(racing, max(min(rounds, fitting), 3)) if racing else {}
    return session


@dataclass(frozen=True)
class Row:
    """A point's outcome: how much slower than the best engine "auto" is, and all engines' ratios.

    `engines` are times relative to "auto"; the best of several noisy times is a little too good, so
    `ratio` errs upwards.
    """

    name: str
    ratio: float
    best: str
    engines: dict[str, float]
    wrong: dict[str, str]


def outcome(name: str, sessions: Sequence[Session]) -> Row:
    """The row of a point from the sessions of several processes."""
    middles: dict[str, list[float]] = {}
    for session in sessions:
        for engine in session.times if AUTO in session.times else ():
            middle = statistics.median(ratios(session.times, engine, AUTO))
            middles.setdefault(engine, []).append(middle)
    measured = {engine: statistics.median(each) for engine, each in middles.items()}
    wrong = {engine: text for session in sessions for engine, text in session.wrong.items()}
    engines = {engine: value for engine, value in measured.items() if engine != AUTO}
    if not engines:
        return Row(name, 1.0, AUTO, {}, wrong)
    best = min(engines, key=lambda engine: engines[engine])
    # "auto" may be faster than every engine by chance, or because it combines methods.
    return Row(name, max(1 / engines[best], 1.0), best, engines, wrong)


def inside(options: argparse.Namespace) -> None:
    """All points in this process; their sessions as JSON, one a line."""
    for job in points(names(), options.only, quick=options.quick):
        session = hold(job, rounds=options.rounds, seconds=options.seconds, clock=machine.clock())
        print(json.dumps({"name": job.name} | asdict(session)), flush=True)


def points_of(
    options: argparse.Namespace, variables: Mapping[str, str]
) -> list[tuple[str, Session]]:
    """The names and sessions of the points that one fresh process holds, in their order."""
    flags = [word for only in options.only for word in ("--only", only)]
    flags += ["--rounds", str(options.rounds), "--seconds", str(options.seconds), "--inside"]
    flags += ["--quick"] if options.quick else []
    command = [sys.executable, "-m", "benchmarks.engines", *flags]
    held = []
    with subprocess.Popen(
        command, env=dict(variables), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            fields = json.loads(line)
            held.append((fields.pop("name"), Session(**fields)))
            print(f"{len(held)} {held[-1][0]}", file=sys.stderr)
    if process.returncode:
        raise SystemExit(f"the grid's process ended with status {process.returncode}")
    return held


COLUMNS = ("point", "auto / best", "best", "engines relative to auto", "wrong")


def cells(row: Row) -> tuple[str, ...]:
    """The cells of a row, in the order of COLUMNS."""
    ordered = sorted(row.engines.items(), key=lambda item: item[1])
    engines = ", ".join(f"{name} {value:.2f}" for name, value in ordered)
    wrong = "; ".join(f"{name}: {text}" for name, text in row.wrong.items())
    return (row.name, f"{row.ratio:.2f}", row.best, engines, wrong)


def summary(rows: Sequence[Row]) -> str:
    """One sentence about all points."""
    worst = max(rows, key=lambda row: row.ratio)
    missed = sum(row.ratio > AIM for row in rows)
    middle = statistics.median(row.ratio for row in rows)
    return (
        f"{len(rows)} points; auto / best: median {middle:.2f}, worst {worst.ratio:.2f} at "
        f"{worst.name} ({worst.best}); {missed} over the aim of {AIM}"
    )


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.engines",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--only", action="append", default=[], metavar="TEXT", help="points with this in the name")
    add("--threads", type=int, default=2, help="threads of BLAS (default 2)")
    add("--processes", type=int, default=3, help="processes that run the grid (default 3)")
    add("--rounds", type=int, default=5, help="rounds at each point, at most (default 5)")
    add("--seconds", type=float, default=2, help="of a point in a process, about (default 2)")
    add("--clock", choices=sorted(machine.CLOCKS), default="wall", help="as in benchmarks.run")
    add("--native", action="store_true", help="drop OPENBLAS_CORETYPE from the environment")
    add("--quick", action="store_true", help="three layers, one batch, one process")
    add("--markdown", action="store_true", help="print Markdown")
    add("--json", type=Path, metavar="FILE", help="also write the rows to a file")
    add("--inside", action="store_true", help=argparse.SUPPRESS)
    return result


def show(rows: Sequence[Row], *, markdown: bool) -> None:
    """Print the table and the sentence."""
    if markdown:
        lines = [COLUMNS, tuple("---" for _ in COLUMNS), *map(cells, rows)]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines), "", summary(rows), sep="\n")
        return
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*cells(row), style="red" if row.ratio > AIM or row.wrong else None)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    console.print(summary(rows), highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the grid and print it, the worst point last; 1 when an engine's result was wrong."""
    options = parser().parse_args(arguments)
    if options.inside:
        inside(options)
        return 0
    variables = environment(options.threads, native=options.native, time_on=options.clock)
    print(others("before"), file=sys.stderr)
    processes = 1 if options.quick else options.processes
    held = [points_of(options, variables) for _ in range(processes)]
    if not held[0]:
        raise SystemExit(f"no point has {' or '.join(map(repr, options.only))} in its name")
    rows = [outcome(same[0][0], [s for _, s in same]) for same in zip(*held, strict=True)]
    rows.sort(key=lambda row: row.ratio)
    show(rows, markdown=options.markdown)
    if options.json:
        data = [asdict(row) for row in rows]
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    sys.exit(main())
