"""Run a function on configurations: expected and actual results, and the smallest failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypedDict

import numpy as np

from convalg.arguments import a_function
from convalg.arrays import Array
from convalg.check.candidate import Candidate, Outcome, differs
from convalg.check.capture import quietly
from convalg.check.problem import Answers, Problem, answer
from convalg.check.report import Failure, call_text
from convalg.check.sweep import OPTIONS, Config, covering, exists, other_numbers, problem, smaller
from convalg.parallel import each, timed_out

STEPS = 300
"""Most configurations that are tried in the search for the smallest failure."""

INPUTS = (0, 1, 2)
"""Seeds of the inputs on which a smaller configuration is run, since some hide a mistake."""

AGAIN = 16
"""One configuration in this many is called twice, and both results must be equal."""

ENDLESS = ("hangs", "prints-too-much", "too-many-processes")
"""Codes after which no further calls are made, since each call might take as long."""

DIFFERENT = 3
"""Results with fewer distinct numbers may equal the result of another call by chance."""

STALE, ORDER = "stale-answer", "depends-on-order"
"""Codes for results that depend on earlier calls."""

TIMEOUT = 60.0
"""Most seconds that a worker may spend on one configuration."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CheckRun:
    """The run of one configuration: the expected parts, the outcome, and the wrong parts."""

    config: Config
    problem: Problem
    expected: dict[str, Array]
    outcome: Outcome
    wrong: tuple[str, ...]
    answers: Answers = field(default_factory=Answers, repr=False)

    @property
    def fails(self) -> bool:
        """Whether the result is wrong, or the call led to another finding."""
        return bool(self.wrong or self.outcome.code)


def run(tested: Candidate, config: Config, number: int, *, again: bool = False) -> CheckRun:
    """Return the run of one configuration, which is called twice if `again` is true."""
    return judged(tested, config, problem(tested.kind, config, number), again=again)


class SweepOptions(TypedDict, total=False):
    """The options of every check, and of `Sweep`.

    Attributes:
        dims: the number of spatial axes, 1 to 4.
        cases: the number of configurations.
        progress: called as `progress(done, cases)` after each configuration.
        jobs: the number of joblib workers that share the configurations, on this machine (-1 for
            all cores) or on the backend of `joblib.parallel_config`, such as a Dask or Ray
            cluster; the report is the same as without workers.
        timeout: the maximum time in seconds that a worker may spend on one configuration, or None
            for no limit. A configuration on which a worker takes longer, or dies, ends the sweep
            and is reported.
    """

    dims: int
    cases: int
    progress: Progress | None
    jobs: int | None
    timeout: float | None


@dataclass(frozen=True)
class Sweep:
    """How the configurations of a check are run: progress, workers and time limit."""

    progress: Progress | None = None
    jobs: int | None = None
    timeout: float | None = TIMEOUT

    def __post_init__(self) -> None:
        """Raise KindError unless `progress` can be called with two arguments."""
        if self.progress is not None:
            a_function(self.progress, 2, "progress must be a function f(done, cases)")

    def runs(self, tested: Candidate, configs: Sequence[Config]) -> list[CheckRun]:
        """Return the run of each configuration, up to one that hangs or ends its worker."""
        runs: list[CheckRun] = []
        chosen = covering(tested.kind, tuple(configs), OPTIONS)
        turns = {number: turn for turn, number in enumerate(chosen)}
        for one in each(
            partial(_numbered, tested),
            [(number, config, turns.get(number)) for number, config in enumerate(configs)],
            self.jobs,
            timeout=self.timeout,
            lost=lambda item, error: _lost(tested, self.timeout, *item[:2], error),
        ):
            runs.append(one)
            if self.progress is not None:
                self.progress(len(runs), len(configs))
            if _is_last(one):
                return runs
        # `turns` has a configuration of each kernel size, since OPTIONS includes `size`.
        sizes = covering(tested.kind, tuple(configs), ("size",))
        later = {number: turns[number] + 1 for number in sizes}
        return self._once_more(tested, with_stale_answers(tested, runs), later)

    def _once_more(
        self, tested: Candidate, runs: list[CheckRun], turns: dict[int, int]
    ) -> list[CheckRun]:
        """Return the runs after the configurations at `turns` were called once more at the end."""
        chosen = [number for number in turns if not runs[number].fails]
        again = each(
            partial(_after_others, tested),
            [(runs[number], turns[number]) for number in chosen],
            self.jobs,
            timeout=self.timeout,
            lost=lambda item, error: _lost(tested, self.timeout, 0, item[0].config, error),
        )
        results = list(runs)
        for number, one in zip(chosen, again, strict=True):
            results[number] = one
            if _is_last(one):
                break
        return results


def _is_last(one: CheckRun) -> bool:
    """Whether no further calls are made, since each call might take as long."""
    return one.outcome.code in ENDLESS or one.outcome.lost


def _numbered(tested: Candidate, numbered: tuple[int, Config, int | None]) -> CheckRun:
    """Return the run of a configuration, called with other numbers too if it has a turn."""
    number, config, turn = numbered
    # Streams are replaced once for all calls of a configuration.
    with quietly():
        first = run(tested, config, number, again=number % AGAIN == 0)
        if first.fails or turn is None:
            return first
        second = _with_other_numbers(tested, first, turn)
        return as_stale(first, second) if second.fails else first


def _with_other_numbers(tested: Candidate, first: CheckRun, turn: int) -> CheckRun:
    """Return the run of the same configuration with other numbers in its arrays."""
    changed, right = other_numbers(tested.kind, first.config, first.problem, first.expected, turn)
    return judged(tested, first.config, changed, right)


def as_stale(first: CheckRun, second: CheckRun) -> CheckRun:
    """Return the second run, marked as stale if its wrong result equals the result of the first."""
    if not second.wrong or second.outcome.code:
        return second
    same = all(
        np.array_equal(second.outcome.parts[part], first.outcome.parts[part])
        for part in second.wrong
    )
    return _stale(second) if same else second


def _stale(one: CheckRun, message: str = "") -> CheckRun:
    """Return a run marked as one that returned the result of an earlier call."""
    message = message or (
        "called again with other numbers in arrays of the same shapes, it returns the result for "
        "the earlier numbers"
    )
    return replace(one, outcome=replace(one.outcome, code=STALE, message=message))


def with_stale_answers(tested: Candidate, runs: list[CheckRun]) -> list[CheckRun]:
    """Return the runs, with wrong results that equal the result of an earlier call marked stale.

    A result with few distinct numbers, such as a clipped one, may equal an earlier result by
    chance, so such results are not marked.
    """
    if not any(one.fails for one in runs):
        return runs
    given: dict[tuple[Any, ...], CheckRun] = {}
    results: list[CheckRun] = []
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
                call = call_text(tested.kind, tested.options, earlier.config, earlier.problem)
                one = _stale(one, f"it returns the result of an earlier call, with {call}")
        elif not one.fails:
            given.update(dict.fromkeys(keys, one))
        results.append(one)
    if named and 2 * named >= wrong:
        return results
    return [
        replace(one, outcome=replace(one.outcome, code="", message=""))
        if one.outcome.code == STALE
        else one
        for one in runs
    ]


def _keys(one: CheckRun) -> list[tuple[Any, ...]]:
    """Return the parts of a result as keys; none if a part could equal another result by chance."""
    parts = one.outcome.parts
    if any(len(np.unique(value)) < DIFFERENT for value in parts.values()):
        return []
    return [(part, value.shape, value.tobytes()) for part, value in parts.items()]


def _after_others(tested: Candidate, numbered: tuple[CheckRun, int]) -> CheckRun:
    """Call a correct configuration with other numbers after all others, and return its run."""
    one, turn = numbered
    with quietly():
        later = _with_other_numbers(tested, one, turn)
        if not later.fails:
            return one
        named = as_stale(one, later)
        if named.outcome.code:
            return named
        # The failure is a mistake for these numbers, or an effect of the calls in between.
        same = judged(tested, one.config, one.problem, one.expected)
    if not same.fails:
        return later
    if same.outcome.code:
        return same
    message = "the result is correct at first, but different after calls with other configurations"
    return replace(same, outcome=replace(same.outcome, code=ORDER, message=message))


def _lost(
    tested: Candidate, timeout: float | None, number: int, config: Config, error: Exception
) -> CheckRun:
    """Return the run of a configuration on which a worker took too long or died."""
    if timed_out(error):
        code = "hangs"
        message = (
            f"no result came from a worker within {timeout:g} seconds (if the workers are only "
            f"busy, use timeout=None to wait for them)"
        )
    else:
        code, message = "crashes", f"it ended its worker process ({type(error).__name__})"
    outcome = Outcome({}, code, message, lost=True)
    return CheckRun(config, problem(tested.kind, config, number), {}, outcome, ())


def judged(
    tested: Candidate,
    config: Config,
    p: Problem,
    right: dict[str, Array] | None = None,
    *,
    again: bool = False,
) -> CheckRun:
    """Return the run of a function on a problem, with its result compared with the expected one.

    `right`: the expected parts, computed if they are not passed. `again`: call the function twice.
    """
    if right is None:
        expected = {part: answer(step, p) for part, step in tested.kind.parts.items()}
        right = {part: value for part, value in expected.items() if value is not None}
    outcome = tested(config, p)
    wrong = _wrong_parts(right, outcome)
    if (again or wrong) and not outcome.code:
        # A wrong result may be random, so it is computed a second time.
        outcome = _compared(outcome, tested(config, p))
    if not outcome.code and any(np.isnan(value).any() for value in outcome.parts.values()):
        outcome = replace(outcome, code="not-a-number", message="the result contains NaN")
    return CheckRun(config, p, right, outcome, wrong)


def _wrong_parts(right: dict[str, Array], outcome: Outcome) -> tuple[str, ...]:
    return tuple(
        part
        for part, value in right.items()
        if part in outcome.parts and is_wrong(outcome.parts[part], value)
    )


def _compared(first: Outcome, second: Outcome) -> Outcome:
    """Return the first outcome, or the finding that a second call returned a different result."""
    for part, value in first.parts.items():
        other = second.parts.get(part)
        if other is None or not np.array_equal(other, value, equal_nan=True):
            message = "repeating the same call gives a different result"
            return Outcome(first.parts, "nondeterministic", message, first.printed)
    return first


def is_wrong(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether a result differs from the expected one in its shape or its values."""
    return got.shape != expected.shape or differs(got, expected) is not None


def without_refusals(runs: list[CheckRun], tested: Candidate) -> tuple[list[CheckRun], list[str]]:
    """Return the runs without those that a function refused because an option was a tuple.

    The second value is a list with a note that names these options, or an empty list.
    """

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
        f"ints only: {tested.name} does not accept tuples for {', '.join(sorted(refused))} "
        f"({len(left_out)} configurations left out)"
    ]


def failure_of(run: CheckRun) -> Failure:
    """Return the failure of a run that fails."""
    outcome = run.outcome
    if not run.wrong:
        return Failure(run.config, run.problem, outcome.code, outcome.message)
    part = run.wrong[0]
    got, expected = outcome.parts[part], run.expected[part]
    index = None
    if got.shape != expected.shape:
        code, message = "wrong-shape", f"{part} has shape {got.shape}, expected {expected.shape}"
    else:
        index = differs(got, expected)
        code, message = "wrong-values", f"{part} has wrong values"
    return Failure(
        run.config,
        run.problem,
        outcome.code or code,
        outcome.message or message,
        part,
        expected,
        got,
        index,
    )


def smallest(tested: Candidate, failing: list[CheckRun]) -> Failure:
    """Return the smallest failure that is reached by simplifying a configuration in steps."""
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
            result = shown(tested, config, best.outcome.code)
            if result is not None:
                best, improved = result, True
                break
    return failure_of(best)


def shown(tested: Candidate, config: Config, code: str = "") -> CheckRun | None:
    """Return a run of a configuration that fails with the given code, or None."""
    if code == ORDER:
        # This mistake shows only after calls with other configurations.
        return None
    before: list[Outcome] = []
    for number in INPUTS:
        result = run(tested, config, number)
        if code == STALE and result.wrong and _is_one_of(result.outcome, before):
            result = _stale(result)
        if result.fails and result.outcome.code == code:
            return result
        before.append(result.outcome)
    return None


def _is_one_of(outcome: Outcome, others: list[Outcome]) -> bool:
    return any(
        outcome.parts.keys() == other.parts.keys()
        and all(np.array_equal(value, other.parts[part]) for part, value in outcome.parts.items())
        for other in others
    )
