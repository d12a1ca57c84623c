"""Running a function on configurations: what is right, what came, and the smallest failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from convalg.base import Array
from convalg.check.candidate import Candidate, Outcome, differs
from convalg.check.problem import Answers, Problem, answer
from convalg.check.report import Failure
from convalg.check.sweep import Config, exists, problem, smaller
from convalg.jobs import each, timed_out

STEPS = 300
"""At most so many smaller configurations are tried for the smallest failure."""

INPUTS = (0, 1, 2)
"""Numbers of the inputs that a smaller configuration is tried with: some hide a mistake."""


AGAIN = 8
"""Every so many configurations the function is called twice: the same must come out."""

TIMEOUT = 60.0
"""Seconds that a worker may take for a configuration."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Run:
    """One configuration that was run: the right parts, and what came."""

    config: Config
    problem: Problem
    expected: dict[str, Array]
    outcome: Outcome
    wrong: tuple[str, ...]
    answers: Answers = field(default_factory=Answers, repr=False)


def run(tested: Candidate, config: Config, number: int, *, again: bool = False) -> Run:
    """One configuration, run; with `again` twice, since the same must come out."""
    return judged(tested, config, problem(tested.kind, config, number), again=again)


@dataclass(frozen=True)
class Sweep:
    """How the configurations of a check are run: who is told, and by which workers."""

    progress: Progress | None = None
    jobs: int | None = None
    timeout: float | None = TIMEOUT

    def runs(self, tested: Candidate, configs: Sequence[Config]) -> list[Run]:
        """The runs of all configurations, up to one that hangs or takes its worker with it."""
        found: list[Run] = []
        numbered = list(enumerate(configs))
        for one in each(
            partial(_numbered, tested),
            numbered,
            self.jobs,
            timeout=self.timeout,
            lost=partial(_lost, tested, self.timeout),
        ):
            found.append(one)
            if self.progress is not None:
                self.progress(len(found), len(configs))
            if one.outcome.code == "hangs" or one.outcome.lost:
                # Every further call might take as long.
                break
        return found


def _numbered(tested: Candidate, numbered: tuple[int, Config]) -> Run:
    number, config = numbered
    return run(tested, config, number, again=number % AGAIN == 0)


def _lost(
    tested: Candidate, timeout: float | None, numbered: tuple[int, Config], error: Exception
) -> Run:
    """The run of a configuration on which a worker took too long, or died."""
    number, config = numbered
    if timed_out(error):
        code = "hangs"
        words = (
            f"no answer came from a worker within {timeout:g} seconds (where workers are only "
            f"busy, timeout=None waits for them)"
        )
    else:
        code, words = "crashes", f"it ended the process of its worker ({type(error).__name__})"
    outcome = Outcome({}, code, words, lost=True)
    return Run(config, problem(tested.kind, config, number), {}, outcome, ())


def judged(tested: Candidate, config: Config, p: Problem, *, again: bool = False) -> Run:
    """What a function makes of a problem, beside what is right."""
    expected = {part: answer(step, p) for part, step in tested.kind.parts.items()}
    right = {part: value for part, value in expected.items() if value is not None}
    outcome = tested(config, p)
    wrong = tuple(
        part
        for part, value in right.items()
        if part in outcome.parts and is_wrong(outcome.parts[part], value)
    )
    if (again or wrong) and not outcome.code:
        # What is wrong may be wrong by chance.
        outcome = _compared(outcome, tested(config, p))
    if not outcome.code and any(np.isnan(found).any() for found in outcome.parts.values()):
        outcome = replace(outcome, code="not-a-number", words="the answer holds NaN")
    return Run(config, p, right, outcome, wrong)


def _compared(first: Outcome, second: Outcome) -> Outcome:
    """The first outcome, or what is wrong when the second call gives another."""
    for part, value in first.parts.items():
        other = second.parts.get(part)
        if other is None or not np.array_equal(other, value, equal_nan=True):
            words = "the same call gives another answer the second time"
            return Outcome(first.parts, "nondeterministic", words, first.printed)
    return first


def is_wrong(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether an answer differs, in shape or numbers."""
    return got.shape != expected.shape or differs(got, expected) is not None


def without_refusals(runs: list[Run], tested: Candidate) -> tuple[list[Run], list[str]]:
    """Without the calls that a function refuses since it takes an option as an int only."""

    def tuples(one: Run) -> set[str]:
        options = one.config.options(tested.options)
        return {name for name, value in options.items() if isinstance(value, tuple)}

    raising = [one for one in runs if one.outcome.refused]
    refused = {
        name
        for name in tested.options
        if (having := [one for one in runs if name in tuples(one)])
        and all(one in raising for one in having)
    }
    left_out = [one for one in raising if tuples(one) & refused]
    if not left_out or len(left_out) < len(raising):
        return runs, []
    kept = [one for one in runs if one not in left_out]
    return kept, [
        f"ints only: {tested.name} refuses tuples for {', '.join(sorted(refused))} "
        f"({len(left_out)} configurations left out)"
    ]


def failure_of(found: Run) -> Failure:
    """What a run that went wrong shows."""
    outcome = found.outcome
    if not found.wrong:
        return Failure(found.config, found.problem, outcome.code, outcome.words)
    part = found.wrong[0]
    got, expected = outcome.parts[part], found.expected[part]
    index = None
    if got.shape != expected.shape:
        code, words = "wrong-shape", f"{part} has shape {got.shape}, expected {expected.shape}"
    else:
        index = differs(got, expected)
        code, words = "wrong-values", f"{part} has wrong values"
    return Failure(
        found.config,
        found.problem,
        outcome.code or code,
        outcome.words or words,
        part,
        expected,
        got,
        index,
    )


def smallest(tested: Candidate, failing: list[Run]) -> Failure:
    """The smallest failure found by taking steps down from the first one."""
    best = min(failing, key=lambda one: one.config.work)
    if best.outcome.code == "hangs":
        return failure_of(best)
    tried = 0
    improved = True
    while improved and tried < STEPS:
        improved = False
        for config in smaller(best.config):
            if config.work >= best.config.work or not exists(tested.kind, config):
                continue
            tried += 1
            found = shown(tested, config, best.outcome.code)
            if found is not None:
                best, improved = found, True
                break
    return failure_of(best)


def shown(tested: Candidate, config: Config, code: str = "") -> Run | None:
    """A run of a configuration that fails in the same way, with some of its inputs."""
    for number in INPUTS:
        found = run(tested, config, number)
        if (found.wrong or found.outcome.code) and found.outcome.code == code:
            return found
    return None
