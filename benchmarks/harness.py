"""Jobs, contestants that take turns, and the ratios of their times.

A job is one piece of work that several contestants do; one of them is the reference. In a round
each contestant has one turn, and the ratio of a round is a contestant's time to that of the
reference in the same round. A process gives the median of its rounds, a result the median of its
processes: BLAS has a fast and a slow mode, and a process keeps the one it began with.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Call = Callable[[], Any]
Clock = Callable[[], float]

OURS = "convalg"
"""The prefix of the names of convalg's contestants; aims apply to them."""

TURN = 0.03
"""The minimum duration of a turn in seconds; shorter calls are repeated."""

LONG = 0.5
"""Calls that take longer, in seconds, are not run once before each turn to warm up."""

MOST_REPEATS = 10_000


class UnableError(RuntimeError):
    """An installed contestant cannot do this job; the text gives the reason."""


class CrashError(RuntimeError):
    """A contestant's process ended, or its code raised."""


def as_array(result: Any) -> Array:
    """A result as an array: NumPy's, PyTorch's, or anything NumPy takes."""
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    return np.asarray(result)


@dataclass(frozen=True)
class Work:
    """The minimum work of a call, to express its rate as a share of the machine's.

    `flops` count a multiplication and an addition as two; `written` are the bytes of the result.
    """

    flops: float = 0
    written: float = 0


@dataclass(frozen=True)
class Job:
    """One piece of work, the contestants that do it, and the aim.

    A contestant is a function that imports its library, makes the inputs, and returns the call to
    be timed. It may raise ImportError, and is then listed as not installed, or UnableError.
    `reference` divides the times. Every contestant's result, as `answer` reads it, has to equal
    that of `oracle` (the reference unless named) before anything is timed; `limits` have no
    result: they measure the machine. `heavy` jobs are left out of a quick run.
    """

    name: str
    reference: str
    contestants: Mapping[str, Callable[[], Call]]
    aim: float | None = None
    work: Work = Work()
    answer: Callable[[Any], Array] = as_array
    tolerance: float = 1e-4
    oracle: str = ""
    limits: frozenset[str] = frozenset()
    heavy: bool = False

    def __post_init__(self) -> None:
        wanted = {self.reference, self.truth, *self.limits}
        if unknown := wanted - set(self.contestants):
            raise ValueError(f"{self.name}: contestants have to include {sorted(unknown)}")
        if self.truth in self.limits:
            raise ValueError(f"{self.name}: {self.truth!r} is a limit, so oracle= names another")

    @property
    def truth(self) -> str:
        """The contestant whose result the others have to equal."""
        return self.oracle or self.reference


@dataclass(frozen=True)
class Quantity:
    """Something measured that is not a ratio of times, such as bytes: each part on its own.

    Each part is measured in a fresh process, and its aim is to be at most `aim`.
    """

    name: str
    unit: str
    parts: Mapping[str, Callable[[], float]]
    aim: float | None = None
    heavy: bool = False


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    low: float
    median: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """The median and the quartiles of some numbers, within their range."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a spread needs at least one value, and there was none")
    if len(ordered) == 1:
        return Spread(ordered[0], ordered[0], ordered[0])
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(low, median, high)


class Seat(Protocol):
    """A contestant in this process or in a separate process."""

    name: str

    def build(self) -> str:
        """Create the inputs and the call; return why it is missing, or an empty text."""

    def answer(self) -> Array:
        """The result of one call, as the job compares it."""

    def settle(self) -> float:
        """Warm up and choose how often a turn repeats the call; seconds of a turn."""

    def turn(self) -> float:
        """Seconds per call of one turn."""

    def close(self) -> None:
        """Release the inputs."""


class Local:
    """A contestant in this process."""

    def __init__(self, job: Job, name: str, clock: Clock = time.perf_counter) -> None:
        self.job, self.name, self.clock = job, name, clock
        self.call: Call | None = None
        self.repeats, self.warm, self.once = 1, True, 0.0

    def build(self) -> str:
        """Create the inputs and the call; return why it is missing, or an empty text."""
        try:
            self.call = self.job.contestants[self.name]()
        except ImportError as error:
            return f"not installed: {error}"
        except UnableError as error:
            return f"cannot: {error}"
        return ""

    def answer(self) -> Array:
        """The result of one call, as the job compares it."""
        return self.job.answer(self._call()())

    def settle(self) -> float:
        """Warm up and choose how often a turn repeats the call; seconds of a turn."""
        self._timed(1)
        once = self._timed(1)
        if once < LONG:
            # The first calls may have been slow, so the count is found from a longer stretch.
            once = self._timed(min(max(int(TURN / 4 / max(once, 1e-9)), 1), MOST_REPEATS))
        self.warm, self.once = once < LONG, once
        self.repeats = min(max(round(TURN / max(once, 1e-9)), 1), MOST_REPEATS)
        return once * (self.repeats + self.warm)

    def turn(self) -> float:
        """Seconds per call of one turn."""
        if self.warm:
            # Another contestant had the caches, and its threads may still spin.
            self._call()()
        return self._timed(self.repeats)

    def close(self) -> None:
        """Release the inputs."""
        self.call = None

    def _timed(self, repeats: int) -> float:
        call, clock = self._call(), self.clock
        start = clock()
        for _ in range(repeats):
            call()
        return (clock() - start) / repeats

    def _call(self) -> Call:
        if self.call is None:
            raise RuntimeError(f"{self.name} has no call yet: build() comes first")
        return self.call


@dataclass
class Session:
    """The results of one process of each contestant: times of the rounds, missing contestants."""

    times: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def difference(actual: Array, wanted: Array, tolerance: float) -> str:
    """Return how a result differs from the one that was wanted, or an empty text.

    Errors are relative to the largest wanted entry; objects and integers have to be equal.
    """
    if actual.shape != wanted.shape:
        return f"shape {actual.shape} instead of {wanted.shape}"
    if {actual.dtype.kind, wanted.dtype.kind} <= set("biuOUS"):
        unequal = int(np.count_nonzero(actual != wanted))
        return f"{unequal} of {wanted.size} entries differ" if unequal else ""
    if not (np.isfinite(actual).all() and np.isfinite(wanted).all()):
        return "entries are not finite"
    scale = float(np.abs(wanted).max(initial=0)) or 1.0
    error = float(np.abs(actual.astype(np.complex128) - wanted).max(initial=0)) / scale
    return f"off by {error:.1e} of the largest entry" if error > tolerance else ""


def compare(job: Job, seats: Sequence[Seat]) -> dict[str, str]:
    """Return what is wrong with the contestants' results, for those that differ from the oracle's.

    If the oracle broke, all count as wrong, since there is no result to compare with.
    """
    by_name = {seat.name: seat for seat in seats}
    if job.truth not in by_name:
        return {}
    answers: dict[str, Array] = {}
    wrong: dict[str, str] = {}
    for name, seat in by_name.items():
        if name in job.limits:
            continue
        try:
            answers[name] = seat.answer()
        except CrashError as crash:
            wrong[name] = f"broke: {crash}"
    if job.truth not in answers:
        return dict.fromkeys(answers, f"broke: no result of {job.truth} to compare with") | wrong
    for name, answer in answers.items():
        if text := difference(answer, answers[job.truth], job.tolerance):
            wrong[name] = f"wrong result: {text}"
    return wrong


def in_turns(seats: Sequence[Seat], rounds: int) -> dict[str, list[float]]:
    """The times of each seat in each round; every round begins with the next seat."""
    times: dict[str, list[float]] = {seat.name: [] for seat in seats}
    for number in range(rounds):
        first = number % len(seats)
        for seat in (*seats[first:], *seats[:first]):
            times[seat.name].append(seat.turn())
    return times


AnySeat = TypeVar("AnySeat", bound=Seat)


def built(seats: Sequence[AnySeat], session: Session) -> list[AnySeat]:
    """Build all seats in turn and return those that could be built; note the others as missing."""
    for seat in seats:
        try:
            why = seat.build()
        except CrashError as crash:
            why = f"broke: {crash}"
        if why:
            session.missing[seat.name] = why
    return [seat for seat in seats if seat.name not in session.missing]


def hold(job: Job, seats: Sequence[Seat], *, rounds: int, seconds: float) -> Session:
    """One session of a job: build, compare, warm up, and the rounds, in at most about `seconds`.

    At least three rounds are run, whatever they take. Contestants with wrong results are not timed.
    """
    session = Session()
    try:
        present = built(seats, session)
        session.wrong = compare(job, present)
        ready = [seat for seat in present if seat.name not in session.wrong]
        round_seconds = sum(seat.settle() for seat in ready)
        fitting = int(seconds / max(round_seconds, 1e-9))
        session.times = in_turns(ready, max(min(rounds, fitting), 3)) if ready else {}
    finally:
        for seat in seats:
            seat.close()
    return session


@dataclass(frozen=True)
class Result:
    """One contestant of a job: its ratio to the reference, its time, and why it has none.

    `ratio` is the median over processes of the quartiles within them; `processes` are the medians
    of the single ones.
    """

    job: str
    contestant: str
    ratio: Spread | None = None
    processes: tuple[float, ...] = ()
    seconds: float | None = None
    aim: float | None = None
    unit: str = ""
    value: float | None = None
    work: Work = Work()
    problem: str = ""

    @property
    def measured(self) -> float | None:
        """The number that the aim applies to: the ratio, or the value."""
        return self.value if self.ratio is None else self.ratio.median

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without an aim. An aim that was not measured is not met."""
        if self.aim is None:
            return None
        return self.measured is not None and self.measured <= self.aim


def ratios(times: Mapping[str, Sequence[float]], name: str, reference: str) -> list[float]:
    """Round by round, the time of one contestant to that of the reference."""
    return [mine / its for mine, its in zip(times[name], times[reference], strict=True)]


def summarise(job: Job, sessions: Sequence[Session]) -> list[Result]:
    """Combine the sessions of several processes into one result for each contestant, in order."""
    results = []
    for name in job.contestants:
        aim = job.aim if name.startswith(OURS) else None
        held = [s for s in sessions if name in s.times and job.reference in s.times]
        parts = [spread(ratios(s.times, name, job.reference)) for s in held]
        wrong = next((s.wrong[name] for s in sessions if name in s.wrong), "")
        missing = next((s.missing[name] for s in sessions if name in s.missing), "")
        problem = wrong or missing
        if not parts and not problem:
            problem = f"no ratio: {job.reference} did not run"
        timed = [statistics.median(s.times[name]) for s in sessions if name in s.times]
        results.append(
            Result(
                job.name,
                name,
                ratio=_middle(parts) if parts and not wrong else None,
                processes=tuple(part.median for part in parts),
                seconds=statistics.median(timed) if timed else None,
                aim=aim,
                work=job.work,
                problem=problem,
            )
        )
    return results


def _middle(parts: Sequence[Spread]) -> Spread:
    return Spread(
        statistics.median(part.low for part in parts),
        statistics.median(part.median for part in parts),
        statistics.median(part.high for part in parts),
    )
