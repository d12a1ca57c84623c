"""Running a function on configurations: what is right, what came, and the smallest failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from convalg.arguments import a_function
from convalg.arrays import Array
from convalg.check.candidate import Candidate, Outcome, differs
from convalg.check.capture import quietly
from convalg.check.problem import Answers, Problem, answer
from convalg.check.report import Failure, call_words
from convalg.check.sweep import OPTIONS, Config, covering, exists, other_numbers, problem, smaller
from convalg.parallel import each, timed_out

STEPS = 300
"""At most so many smaller configurations are tried for the smallest failure."""

INPUTS = (0, 1, 2)
"""Numbers of the inputs that a smaller configuration is tried with: some hide a mistake."""


AGAIN = 16
"""Every so many configurations the same call is made twice: the same must come out."""

ENDLESS = ("hangs", "prints-too-much", "too-many-processes")
"""Codes of calls after which no others are made: each might take as long."""

DIFFERENT = 3
"""An answer of fewer different numbers may be another call's by chance."""

STALE, ORDER = "stale-answer", "depends-on-order"
"""Codes of answers that depend on the calls before them."""

TIMEOUT = 60.0
"""Seconds that a worker may take for a configuration."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CheckRun:
    """One configuration that was run: the right parts, and what came."""

    config: Config
    problem: Problem
    expected: dict[str, Array]
    outcome: Outcome
    wrong: tuple[str, ...]
    answers: Answers = field(default_factory=Answers, repr=False)

    @property
    def fails(self) -> bool:
        """Whether the answer is wrong, or there is another finding."""
        return bool(self.wrong or self.outcome.code)


def run(tested: Candidate, config: Config, number: int, *, again: bool = False) -> CheckRun:
    """One configuration, run; with `again` twice, since the same must come out."""
    return judged(tested, config, problem(tested.kind, config, number), again=again)


@dataclass(frozen=True)
class Sweep:
    """How the configurations of a check are run: who is told, and by which workers."""

    progress: Progress | None = None
    jobs: int | None = None
    timeout: float | None = TIMEOUT

    def __post_init__(self) -> None:
        """Raises: KindError unless `progress` can be called like that."""
        if self.progress is not None:
            a_function(self.progress, 2, "progress must be a function f(done, cases)")

    def runs(self, tested: Candidate, configs: Sequence[Config]) -> list[CheckRun]:
        """The runs of all configurations, up to one that hangs or takes its worker with it."""
        found: list[CheckRun] = []
        chosen = covering(tested.kind, tuple(configs), OPTIONS)
        turns = {number: turn for turn, number in enumerate(chosen)}
        for one in each(
            partial(_numbered, tested),
            [(number, config, turns.get(number)) for number, config in enumerate(configs)],
            self.jobs,
            timeout=self.timeout,
            lost=lambda item, error: _lost(tested, self.timeout, *item[:2], error),
        ):
            found.append(one)
            if self.progress is not None:
                self.progress(len(found), len(configs))
            if _is_last(one):
                return found
        # Each kernel size is among them, since it is an option.
        sizes = covering(tested.kind, tuple(configs), ("size",))
        later = {number: turns[number] + 1 for number in sizes}
        return self._once_more(tested, with_stale_answers(tested, found), later)

    def _once_more(
        self, tested: Candidate, runs: list[CheckRun], turns: dict[int, int]
    ) -> list[CheckRun]:
        """The runs, some of them called again after all others."""
        chosen = [number for number in turns if not runs[number].fails]
        again = each(
            partial(_after_others, tested),
            [(runs[number], turns[number]) for number in chosen],
            self.jobs,
            timeout=self.timeout,
            lost=lambda item, error: _lost(tested, self.timeout, 0, item[0].config, error),
        )
        found = list(runs)
        for number, one in zip(chosen, again, strict=True):
            found[number] = one
            if _is_last(one):
                break
        return found


def _is_last(one: CheckRun) -> bool:
    """Whether nothing more is called: every further call might take as long."""
    return one.outcome.code in ENDLESS or one.outcome.lost


def _numbered(tested: Candidate, numbered: tuple[int, Config, int | None]) -> CheckRun:
    """The run of a configuration, called with other numbers as well where it has a turn."""
    number, config, turn = numbered
    # Streams are exchanged once for all calls of a configuration.
    with quietly():
        first = run(tested, config, number, again=number % AGAIN == 0)
        if first.fails or turn is None:
            return first
        second = _with_other_numbers(tested, first, turn)
        return as_stale(first, second) if second.fails else first


def _with_other_numbers(tested: Candidate, first: CheckRun, turn: int) -> CheckRun:
    changed, right = other_numbers(tested.kind, first.config, first.problem, first.expected, turn)
    return judged(tested, first.config, changed, right)


def as_stale(first: CheckRun, second: CheckRun) -> CheckRun:
    """The second run, named as stale where its wrong answer is that to the first."""
    if not second.wrong or second.outcome.code:
        return second
    same = all(
        np.array_equal(second.outcome.parts[part], first.outcome.parts[part])
        for part in second.wrong
    )
    return _stale(second) if same else second


def _stale(one: CheckRun, where: str = "") -> CheckRun:
    words = where or (
        "called again with other numbers in arrays of the same shapes, it returns the answer to "
        "the earlier numbers"
    )
    return replace(one, outcome=replace(one.outcome, code=STALE, words=words))


def with_stale_answers(tested: Candidate, runs: list[CheckRun]) -> list[CheckRun]:
    """The runs, where wrong answers that are those to earlier calls are named as such.

    An answer of few different numbers may be an earlier one by chance, as where it is clipped:
    what only such answers suggest is not named.
    """
    if not any(one.fails for one in runs):
        return runs
    given: dict[tuple[Any, ...], CheckRun] = {}
    found: list[CheckRun] = []
    named = wrong = 0
    for one in runs:
        keys = _keys(one)
        earlier = given.get(keys[0]) if keys else None
        if one.wrong and keys:
            wrong += 1
            if one.outcome.code == STALE:
                named += 1
            elif earlier and not one.outcome.code and all(key in given for key in keys):
                named += 1
                call = call_words(tested.kind, tested.options, earlier.config, earlier.problem)
                one = _stale(one, f"it returns the answer to an earlier call, with {call}")
        elif not one.fails:
            given.update(dict.fromkeys(keys, one))
        found.append(one)
    if named and 2 * named >= wrong:
        return found
    return [
        replace(one, outcome=replace(one.outcome, code="", words=""))
        if one.outcome.code == STALE
        else one
        for one in runs
    ]


def _keys(one: CheckRun) -> list[tuple[Any, ...]]:
    """The parts of an answer as keys; none where one of them could be another's by chance."""
    parts = one.outcome.parts
    if any(len(np.unique(value)) < DIFFERENT for value in parts.values()):
        return []
    return [(part, value.shape, value.tobytes()) for part, value in parts.items()]


def _after_others(tested: Candidate, numbered: tuple[CheckRun, int]) -> CheckRun:
    """The run of a call that was right, made with other numbers when all others have been made."""
    one, turn = numbered
    with quietly():
        later = _with_other_numbers(tested, one, turn)
        if not later.fails:
            return one
        named = as_stale(one, later)
        if named.outcome.code:
            return named
        # Whether the numbers do it, or the calls in between.
        same = judged(tested, one.config, one.problem, one.expected)
    if not same.fails:
        return later
    if same.outcome.code:
        return same
    words = "the call gives the right answer at first, and another one after other configurations"
    return replace(same, outcome=replace(same.outcome, code=ORDER, words=words))


def _lost(
    tested: Candidate, timeout: float | None, number: int, config: Config, error: Exception
) -> CheckRun:
    """The run of a configuration on which a worker took too long, or died."""
    if timed_out(error):
        code = "hangs"
        words = (
            f"no answer came from a worker within {timeout:g} seconds (where workers are only "
            f"busy, timeout=None waits for them)"
        )
    else:
        code, words = "crashes", f"it ended the process of its worker ({type(error).__name__})"
    outcome = Outcome({}, code, words, lost=True)
    return CheckRun(config, problem(tested.kind, config, number), {}, outcome, ())


def judged(
    tested: Candidate,
    config: Config,
    p: Problem,
    right: dict[str, Array] | None = None,
    *,
    again: bool = False,
) -> CheckRun:
    """The answer of a function to a problem, compared with the right one."""
    if right is None:
        expected = {part: answer(step, p) for part, step in tested.kind.parts.items()}
        right = {part: value for part, value in expected.items() if value is not None}
    outcome = tested(config, p)
    wrong = _wrong_parts(right, outcome)
    if (again or wrong) and not outcome.code:
        # What is wrong may be wrong by chance.
        outcome = _compared(outcome, tested(config, p))
    if not outcome.code and any(np.isnan(found).any() for found in outcome.parts.values()):
        outcome = replace(outcome, code="not-a-number", words="the answer holds NaN")
    return CheckRun(config, p, right, outcome, wrong)


def _wrong_parts(right: dict[str, Array], outcome: Outcome) -> tuple[str, ...]:
    return tuple(
        part
        for part, value in right.items()
        if part in outcome.parts and is_wrong(outcome.parts[part], value)
    )


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


def without_refusals(runs: list[CheckRun], tested: Candidate) -> tuple[list[CheckRun], list[str]]:
    """Without the calls that a function refuses since it takes an option as an int only."""

    def tuples(one: CheckRun) -> set[str]:
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


def failure_of(found: CheckRun) -> Failure:
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


def smallest(tested: Candidate, failing: list[CheckRun]) -> Failure:
    """The smallest failure found by taking steps down from the first one."""
    best = min(failing, key=lambda one: one.config.work)
    if best.outcome.code in ENDLESS:
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


def shown(tested: Candidate, config: Config, code: str = "") -> CheckRun | None:
    """A run of a configuration that fails in the same way, with some of its inputs."""
    if code == ORDER:
        # It takes the calls in between to show it.
        return None
    before: list[Outcome] = []
    for number in INPUTS:
        found = run(tested, config, number)
        if code == STALE and found.wrong and _is_one_of(found.outcome, before):
            found = _stale(found)
        if found.fails and found.outcome.code == code:
            return found
        before.append(found.outcome)
    return None


def _is_one_of(outcome: Outcome, others: list[Outcome]) -> bool:
    return any(
        outcome.parts.keys() == other.parts.keys()
        and all(np.array_equal(value, other.parts[part]) for part, value in outcome.parts.items())
        for other in others
    )
