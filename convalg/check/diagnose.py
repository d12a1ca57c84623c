"""Name the mistake: the known mistake that reproduces the function on every configuration.

Each known mistake is applied to the correct operator, and the result is compared with the actual
result of the function. A mistake must reproduce the wrong numbers on the failing configurations
and the correct numbers on the passing configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np

from convalg.arrays import Array
from convalg.check.candidate import Candidate, differs
from convalg.check.difference import matrix_difference
from convalg.check.mistakes.catalogue import COMPUTE, MISTAKES
from convalg.check.mistakes.mistake import Mistake
from convalg.check.mistakes.options import Change
from convalg.check.problem import Kind, Problem
from convalg.check.report import Diagnosis, features
from convalg.check.run import ORDER, STALE, CheckRun
from convalg.check.simple_faults import dependence, nonlinearity, simple_fault

Compute = Callable[[Problem], Array]
FAILING, PASSING = 30, 20
"""Most failing and passing configurations that are examined, the smallest first."""
ENOUGH = 0.5
"""Least share of the failures that a reported mistake explains."""
NEARLY = 0.9
"""Share of the failures that one mistake must explain for pairs of mistakes not to be tried."""
LEAST_PASSING = 5
"""Least number of passing configurations without a feature that is reported as a condition."""
CONDITIONS = {
    "sizes or options differ between axes": "square-only",
    "the input is not square": "square-only",
    "the kernel is not square": "square-only",
    "there are several input channels": "single-channel-only",
    "a group has several input channels": "single-channel-only",
    "there are several output channels": "single-channel-only",
    "the batch has several samples": "single-sample-only",
}
"""The code of a function that is wrong only under a condition, by the condition."""

ANY_CONDITION = CONDITIONS | {"there are groups": "groups-wrong"}
"""All conditions; under the additional one, a function may legitimately raise an error."""


def diagnose(
    kind: Kind, runs: list[CheckRun], tested: Candidate | None = None
) -> tuple[Diagnosis, ...]:
    """Return the mistakes, the most likely first; "unknown" if no known mistake fits.

    With `tested`, further calls determine whether the function is linear, and compute its matrix.
    """
    failing = [run for run in runs if run.wrong or run.outcome.code]
    passing = [run for run in runs if not (run.wrong or run.outcome.code)]
    diagnoses = _general(kind, failing, passing)
    explained: list[Diagnosis] = []
    for part in kind.parts:
        named = _of_part(kind, part, failing, runs, None if diagnoses else tested)
        label = f"{part}: " if len(kind.parts) > 1 else ""
        explained += [Diagnosis(d.code, f"{label}{d.message}", d.confidence) for d in named]
    diagnoses += _in_other_order(kind, failing)
    certain = [d for d in explained if d.confidence > 0.98]
    condition = _condition(kind, failing, passing)
    if condition and not certain:
        diagnoses.append(condition)
    diagnoses += explained
    if not diagnoses and failing:
        diagnoses.append(_unknown(kind, failing, passing, tested))
    first_of_each: dict[str, Diagnosis] = {}
    for one in sorted(diagnoses, key=lambda d: -d.confidence):
        first_of_each.setdefault(one.code, _worded(kind, one))
    return tuple(first_of_each.values())


def _of_part(
    kind: Kind, part: str, failing: list[CheckRun], runs: list[CheckRun], tested: Candidate | None
) -> list[Diagnosis]:
    """Return the diagnoses of one part of the result, from the cheapest checks first."""
    # The result of an earlier call is no evidence of how this result is computed.
    wrong = [run for run in failing if part in run.wrong and run.outcome.code not in (STALE, ORDER)]
    if not wrong:
        return []
    right = [run for run in runs if part in run.expected and part not in run.wrong]
    right = [run for run in right if part in run.outcome.parts]
    simple = simple_fault(part, wrong, right)
    if simple is not None and simple.confidence == 1:
        return [simple]
    if tested is not None:
        configs = [run.config for run in wrong]
        # A known mistake is linear if the layer is linear, and depends on no other array.
        for code, look in (("depends-on-input", dependence), ("not-linear", nonlinearity)):
            message = look(tested, configs, part)
            if message:
                return [Diagnosis(code, message, 0.99)]
    named = _named(kind, part, wrong[:FAILING], right[:PASSING])
    if simple is None or any(d.confidence > 0.99 for d in named):
        return named
    return [*named, simple]


def _unknown(
    kind: Kind, failing: list[CheckRun], passing: list[CheckRun], tested: Candidate | None
) -> Diagnosis:
    """Return the diagnosis when no known mistake fits."""
    code = "unknown" if _same_shapes(failing) else "wrong-shape"
    message = _pattern(kind, failing)
    where = _separators(kind, failing, passing) if len(passing) >= LEAST_PASSING else []
    message += f"; exactly when {where[0]}" if where else ""
    part = next((part for run in failing for part in run.wrong), None)
    if tested is not None and part is not None:
        configs = [run.config for run in failing if part in run.wrong]
        tail = matrix_difference(tested, configs, part)
        message += f"; {tail}" if tail else ""
    return Diagnosis(code, message, 0.0)


def _worded(kind: Kind, diagnosis: Diagnosis) -> Diagnosis:
    """Adapt a diagnosis to its kind of function, without changing quoted exceptions."""
    message, raises, exception = diagnosis.message.partition("it raises ")
    if "size" in kind.options:
        message = message.replace("kernel", "window")
    if kind.name.startswith("transposed"):
        message = message.replace("the padding", "the padding (which crops the output)", 1)
    return replace(diagnosis, message=message + raises + exception)


def _general(kind: Kind, failing: list[CheckRun], passing: list[CheckRun]) -> list[Diagnosis]:
    """Return the findings that need no comparison: exceptions, types, overwritten inputs."""
    codes = dict.fromkeys(run.outcome.code for run in failing if run.outcome.code)
    diagnoses = []
    for code in codes:
        runs = [run for run in failing if run.outcome.code == code]
        where = _separators(kind, runs, [r for r in failing if r not in runs] + passing)
        tail = f"; exactly when {where[0]}" if where else ""
        share = len(runs) / len(failing)
        diagnoses.append(Diagnosis(code, f"{runs[0].outcome.message}{tail}", share))
        condition = next((CONDITIONS[w] for w in where if w in CONDITIONS), None)
        if condition and code in ("raises", "wrong-shape"):
            message = f"it fails exactly when {where[0]} ({runs[0].outcome.message})"
            diagnoses.insert(0, Diagnosis(condition, message, share))
    return diagnoses


def _in_other_order(kind: Kind, failing: list[CheckRun]) -> list[Diagnosis]:
    """Return the finding that the two parts of the result are exchanged, or an empty list."""
    runs = [run for run in failing if run.wrong]
    if len(kind.parts) != 2 or not runs:
        return []
    first, second = kind.parts
    exchanged = [
        _same(run.outcome.parts[first], run.expected[second])
        and _same(run.outcome.parts[second], run.expected[first])
        for run in runs
    ]
    if not all(exchanged):
        return []
    message = f"the result is ({second}, {first}) instead of ({first}, {second})"
    return [Diagnosis("wrong-shape", message, 1.0)]


def _separators(kind: Kind, these: list[CheckRun], others: list[CheckRun]) -> list[str]:
    """Return the features that all of `these` configurations have and none of `others` has."""
    common = set.intersection(*(features(kind, run.config) for run in these))
    for run in others:
        common -= features(kind, run.config)
    return (
        sorted(common, key=lambda feature: (feature not in CONDITIONS, feature)) if others else []
    )


def _condition(kind: Kind, failing: list[CheckRun], passing: list[CheckRun]) -> Diagnosis | None:
    """Return the condition under which alone the function is wrong, or None."""
    if not failing:
        return None
    common = set.intersection(*(features(kind, run.config) for run in failing))
    conditions = []
    for feature, code in ANY_CONDITION.items():
        if feature in common:
            present = [feature in features(kind, run.config) for run in passing]
            # Enough must pass without the feature, and at least half must fail with it.
            if present.count(False) >= LEAST_PASSING and present.count(True) <= len(failing):
                share = len(failing) / (len(failing) + present.count(True))
                conditions.append((share, code, feature))
    if not conditions:
        return None
    share, code, feature = max(conditions)
    return Diagnosis(code, f"it is wrong only when {feature}", 0.5 + 0.48 * share)


def _named(kind: Kind, part: str, wrong: list[CheckRun], right: list[CheckRun]) -> list[Diagnosis]:
    """Return the known mistakes that explain enough failures, alone or in pairs."""
    mistakes = MISTAKES[kind.name, part]
    compute = COMPUTE.get((kind.name, part), kind.parts[part])
    diagnoses = []
    for mistake in mistakes:
        enough = len(wrong) if mistake.always else ENOUGH * len(wrong)
        hits = _hits(mistake, compute, part, wrong, enough)
        if hits < enough:
            continue
        explained = sum(
            _explains(mistake, compute, part, run, no_layer=mistake.always) for run in right
        )
        share = hits / len(wrong)
        if explained < len(right) and mistake.always:
            continue
        if explained < len(right):
            # The mistake is made only under some condition, since other results are correct.
            share *= 0.9 + 0.09 * explained / len(right)
        diagnoses.append(Diagnosis(mistake.code, mistake.message, share))
        if share == 1:
            # No other mistake can explain more.
            break
    if not any(d.confidence >= NEARLY for d in diagnoses):
        diagnoses += _pairs(mistakes, compute, part, wrong, right)
    diagnoses.sort(key=lambda d: -d.confidence)
    # A complete explanation makes all others superfluous.
    return diagnoses[:1] if diagnoses and diagnoses[0].confidence > 0.99 else diagnoses


def _hits(
    mistake: Mistake, compute: Compute, part: str, runs: list[CheckRun], enough: float
) -> int:
    """Return the number of runs that a mistake explains, or 0 if it is below `enough`."""
    missed = 0
    for run in runs:
        missed += not _explains(mistake, compute, part, run)
        if len(runs) - missed < enough:
            return 0
    return len(runs) - missed


def _pairs(
    mistakes: tuple[Mistake, ...],
    compute: Compute,
    part: str,
    wrong: list[CheckRun],
    right: list[CheckRun],
) -> list[Diagnosis]:
    """Return the diagnosis of a pair of mistakes that explains every run, or an empty list."""
    changes = [m for m in mistakes if m.combines and m.compute is None]
    for first, second in permutations(changes, 2):
        joined = Mistake(
            f"{first.code}+{second.code}",
            f"{first.message}; and {second.message}",
            _both(first, second),
        )
        if all(_explains(joined, compute, part, run) for run in wrong) and all(
            _explains(joined, compute, part, run) for run in right
        ):
            return [Diagnosis(joined.code, joined.message, 0.995)]
    return []


def _both(first: Mistake, second: Mistake) -> Change:
    """Return the change that makes two mistakes, one after the other."""

    def change(p: Problem) -> Iterator[Problem]:
        for changed in _variants(first.change, p):
            yield from _variants(second.change, changed)

    return change


def _explains(
    mistake: Mistake, compute: Compute, part: str, run: CheckRun, *, no_layer: bool = False
) -> bool:
    """Whether a mistake reproduces the result of a run (`no_layer`: or leads to no layer)."""
    got, expected = run.outcome.parts[part], run.expected[part]
    for changed in _variants(mistake.change, run.problem):
        result = run.answers(mistake.compute or compute, changed)
        if result is None:
            if no_layer:
                return True
        elif any(_same(got, form) for form in _forms(result, expected.shape)):
            return True
    return False


def _variants(change: Change, p: Problem) -> list[Problem]:
    """Return the problems in which a change results; empty if it does not apply."""
    try:
        # A mistake without variants leaves the problem unchanged.
        return list(change(p)) or [p]
    except (ValueError, IndexError):
        # Changes can be incompatible: a kernel with its channels exchanged has no groups.
        return []


def _forms(result: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield a result, then the result cut or padded with zeros to a shape, at either end."""
    yield result
    if result.shape == shape or result.ndim != len(shape):
        return
    common = tuple(min(n, m) for n, m in zip(shape, result.shape, strict=True))
    filled = np.zeros(shape)
    start = tuple(slice(0, n) for n in common)
    filled[start] = result[start]
    yield filled
    filled = np.zeros(shape)
    target = [slice(n - m, n) for n, m in zip(shape, common, strict=True)]
    last = [slice(n - m, n) for n, m in zip(result.shape, common, strict=True)]
    filled[tuple(target)] = result[tuple(last)]
    yield filled


def _same(got: Array, predicted: Array) -> bool:
    """Whether a result equals a prediction, in which NaN matches any value."""
    if got.shape != predicted.shape:
        return False
    determined = ~np.isnan(predicted)
    return differs(np.where(determined, got, 0), np.where(determined, predicted, 0)) is None


def _same_shapes(failing: list[CheckRun]) -> bool:
    """Whether a failure has the correct shape."""
    return any(
        run.outcome.parts[part].shape == run.expected[part].shape
        for run in failing
        for part in run.wrong
    )


def _pattern(kind: Kind, failing: list[CheckRun]) -> str:
    """Describe the smallest failure, which no known mistake explains."""
    run = failing[0]
    if not run.wrong:
        return "no known mistake explains this"
    part = run.wrong[0]
    got, expected = run.outcome.parts[part], run.expected[part]
    if got.shape != expected.shape:
        axes = f"{got.ndim} {'axis' if got.ndim == 1 else 'axes'}"
        few = f" ({axes} instead of {expected.ndim})" if got.ndim != expected.ndim else ""
        return (
            f"no known mistake explains this: {part} has shape {got.shape} instead of "
            f"{expected.shape}{few}"
        )
    wrong = np.argwhere(~np.isclose(got, expected, equal_nan=False))
    indices = ", ".join(str(tuple(int(k) for k in index)) for index in wrong[:4])
    return (
        f"no known mistake explains this: {len(wrong)} of {expected.size} entries of {part} are "
        f"wrong in the smallest case, at {indices}"
    )
