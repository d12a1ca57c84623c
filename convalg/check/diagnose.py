"""Naming the mistake: which known one does what the function did, on every configuration?

Each known mistake is applied to the right operator and compared with what came out: on the
failing configurations it must give the same wrong numbers, on the passing ones the right ones.
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
from convalg.check.simple_faults import dependence, nonlinearity, plainly

Compute = Callable[[Problem], Array]
FAILING, PASSING = 30, 20
"""So many configurations of either kind are looked at, the smallest first."""
ENOUGH = 0.5
"""A mistake that explains less than this share of the failures is not named."""
NEARLY = 0.9
"""Where one mistake explains this much, no two are looked for."""
PLAIN = 5
"""So many configurations without a feature must pass before it is blamed."""
CONDITIONS = {
    "the axes are not alike": "square-only",
    "the input is not square": "square-only",
    "the kernel is not square": "square-only",
    "there are several input channels": "single-channel-only",
    "a group has several input channels": "single-channel-only",
    "there are several output channels": "single-channel-only",
    "the batch has several samples": "single-sample-only",
}

ANY_CONDITION = CONDITIONS | {"there are groups": "groups-wrong"}
"""With conditions under which a function may raise and only says so."""


def diagnose(
    kind: Kind, runs: list[CheckRun], tested: Candidate | None = None
) -> tuple[Diagnosis, ...]:
    """The likeliest mistakes first; "unknown" where no known one fits.

    With `tested`, the function is asked further: whether it is linear, and for its matrix.
    """
    failing = [run for run in runs if run.wrong or run.outcome.code]
    passing = [run for run in runs if not (run.wrong or run.outcome.code)]
    found = _general(kind, failing, passing)
    explained: list[Diagnosis] = []
    for part in kind.parts:
        named = _of_part(kind, part, failing, runs, None if found else tested)
        label = f"{part}: " if len(kind.parts) > 1 else ""
        explained += [Diagnosis(d.code, f"{label}{d.message}", d.confidence) for d in named]
    found += _in_other_order(kind, failing)
    certain = [d for d in explained if d.confidence > 0.98]
    condition = _condition(kind, failing, passing)
    if condition and not certain:
        found.append(condition)
    found += explained
    if not found and failing:
        found.append(_unknown(kind, failing, passing, tested))
    first_of_each: dict[str, Diagnosis] = {}
    for one in sorted(found, key=lambda d: -d.confidence):
        first_of_each.setdefault(one.code, _worded(kind, one))
    return tuple(first_of_each.values())


def _of_part(
    kind: Kind, part: str, failing: list[CheckRun], runs: list[CheckRun], tested: Candidate | None
) -> list[Diagnosis]:
    """What is wrong with one part of the answer: what is cheap to see first."""
    # Answers to other calls say nothing of the computation.
    wrong = [run for run in failing if part in run.wrong and run.outcome.code not in (STALE, ORDER)]
    if not wrong:
        return []
    right = [run for run in runs if part in run.expected and part not in run.wrong]
    right = [run for run in right if part in run.outcome.parts]
    plain = plainly(part, wrong, right)
    if plain is not None and plain.confidence == 1:
        return [plain]
    if tested is not None:
        configs = [run.config for run in wrong]
        # All known mistakes are linear where the layer is, and take nothing else into account.
        for code, look in (("depends-on-input", dependence), ("not-linear", nonlinearity)):
            words = look(tested, configs, part)
            if words:
                return [Diagnosis(code, words, 0.99)]
    named = _named(kind, part, wrong[:FAILING], right[:PASSING])
    if plain is None or any(d.confidence > 0.99 for d in named):
        return named
    return [*named, plain]


def _unknown(
    kind: Kind, failing: list[CheckRun], passing: list[CheckRun], tested: Candidate | None
) -> Diagnosis:
    """What can be said where nothing known fits."""
    code = "unknown" if _same_shapes(failing) else "wrong-shape"
    words = _pattern(kind, failing)
    where = _separators(kind, failing, passing) if len(passing) >= PLAIN else []
    words += f"; exactly where {where[0]}" if where else ""
    part = next((part for run in failing for part in run.wrong), None)
    if tested is not None and part is not None:
        configs = [run.config for run in failing if part in run.wrong]
        tail = matrix_difference(tested, configs, part)
        words += f"; {tail}" if tail else ""
    return Diagnosis(code, words, 0.0)


def _worded(kind: Kind, found: Diagnosis) -> Diagnosis:
    """A diagnosis in the words of its kind; what a function itself says stays as it is."""
    message, raises, said = found.message.partition("it raises ")
    if "size" in kind.options:
        message = message.replace("kernel", "window")
    if kind.name.startswith("transposed"):
        message = message.replace("the padding", "the padding (which crops the output)", 1)
    return replace(found, message=message + raises + said)


def _general(kind: Kind, failing: list[CheckRun], passing: list[CheckRun]) -> list[Diagnosis]:
    """What needs no comparison: exceptions, types, inputs written to, chance."""
    codes = dict.fromkeys(run.outcome.code for run in failing if run.outcome.code)
    found = []
    for code in codes:
        runs = [run for run in failing if run.outcome.code == code]
        where = _separators(kind, runs, [r for r in failing if r not in runs] + passing)
        tail = f"; exactly where {where[0]}" if where else ""
        share = len(runs) / len(failing)
        found.append(Diagnosis(code, f"{runs[0].outcome.words}{tail}", share))
        condition = next((CONDITIONS[w] for w in where if w in CONDITIONS), None)
        if condition and code in ("raises", "wrong-shape"):
            message = f"it works only while not: {where[0]} ({runs[0].outcome.words})"
            found.insert(0, Diagnosis(condition, message, share))
    return found


def _in_other_order(kind: Kind, failing: list[CheckRun]) -> list[Diagnosis]:
    """Whether the two parts of the answer are exchanged."""
    runs = [run for run in failing if run.wrong]
    if len(kind.parts) != 2 or not runs:
        return []
    first, second = kind.parts
    turned = [
        _same(run.outcome.parts[first], run.expected[second])
        and _same(run.outcome.parts[second], run.expected[first])
        for run in runs
    ]
    if not all(turned):
        return []
    message = f"the answer is ({second}, {first}), where ({first}, {second}) belong"
    return [Diagnosis("wrong-shape", message, 1.0)]


def _separators(kind: Kind, these: list[CheckRun], others: list[CheckRun]) -> list[str]:
    """What all of these configurations have and none of the others has."""
    common = set.intersection(*(features(kind, run.config) for run in these))
    for run in others:
        common -= features(kind, run.config)
    return sorted(common, key=lambda words: (words not in CONDITIONS, words)) if others else []


def _condition(kind: Kind, failing: list[CheckRun], passing: list[CheckRun]) -> Diagnosis | None:
    """The condition without which the function is right, where it is one."""
    if not failing:
        return None
    common = set.intersection(*(features(kind, run.config) for run in failing))
    found = []
    for words, code in ANY_CONDITION.items():
        if words in common:
            quiet = [words in features(kind, run.config) for run in passing]
            # Enough must pass without it, and most must fail with it.
            if quiet.count(False) >= PLAIN and quiet.count(True) <= len(failing):
                share = len(failing) / (len(failing) + quiet.count(True))
                found.append((share, code, words))
    if not found:
        return None
    share, code, words = max(found)
    return Diagnosis(code, f"it is wrong only where {words}", 0.5 + 0.48 * share)


def _named(kind: Kind, part: str, wrong: list[CheckRun], right: list[CheckRun]) -> list[Diagnosis]:
    """The known mistakes that explain enough, alone or two at a time."""
    known = MISTAKES[kind.name, part]
    compute = COMPUTE.get((kind.name, part), kind.parts[part])
    found = []
    for mistake in known:
        enough = len(wrong) if mistake.always else ENOUGH * len(wrong)
        hits = _hits(mistake, compute, part, wrong, enough)
        if hits < enough:
            continue
        quiet = sum(
            _explains(mistake, compute, part, run, no_layer=mistake.always) for run in right
        )
        share = hits / len(wrong)
        if quiet < len(right) and mistake.always:
            continue
        if quiet < len(right):
            # Right where the mistake would show: it is made under some condition only.
            share *= 0.9 + 0.09 * quiet / len(right)
        found.append(Diagnosis(mistake.code, mistake.message, share))
        if share == 1:
            # Nothing explains more than everything.
            break
    if not any(d.confidence >= NEARLY for d in found):
        found += _pairs(known, compute, part, wrong, right)
    found.sort(key=lambda d: -d.confidence)
    # What explains everything leaves nothing to others that explain as much, or less.
    return found[:1] if found and found[0].confidence > 0.99 else found


def _hits(
    mistake: Mistake, compute: Compute, part: str, runs: list[CheckRun], enough: float
) -> int:
    """How many runs a mistake explains; none as soon as it cannot be enough."""
    missed = 0
    for run in runs:
        missed += not _explains(mistake, compute, part, run)
        if len(runs) - missed < enough:
            return 0
    return len(runs) - missed


def _pairs(
    known: tuple[Mistake, ...],
    compute: Compute,
    part: str,
    wrong: list[CheckRun],
    right: list[CheckRun],
) -> list[Diagnosis]:
    """Two mistakes at once."""
    changes = [m for m in known if m.combines and m.compute is None]
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
    def change(p: Problem) -> Iterator[Problem]:
        for changed in _variants(first.change, p):
            yield from _variants(second.change, changed)

    return change


def _explains(
    mistake: Mistake, compute: Compute, part: str, run: CheckRun, *, no_layer: bool = False
) -> bool:
    """Whether the mistake gives what the function gave; `no_layer`: or leaves no layer at all."""
    got, expected = run.outcome.parts[part], run.expected[part]
    for changed in _variants(mistake.change, run.problem):
        found = run.answers(mistake.compute or compute, changed)
        if found is None:
            if no_layer:
                return True
        elif any(_same(got, form) for form in _forms(found, expected.shape)):
            return True
    return False


def _variants(change: Change, p: Problem) -> list[Problem]:
    """The variants of a mistake, as far as they make sense for this problem."""
    try:
        # Where there is nothing to change, a mistake does not show.
        return list(change(p)) or [p]
    except (ValueError, IndexError):
        # Two changes need not go together: a kernel with its channels exchanged has no groups.
        return []


def _forms(found: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """An answer, and the answer cut or filled up with zeros to the right shape, at either end."""
    yield found
    if found.shape == shape or found.ndim != len(shape):
        return
    common = tuple(min(n, m) for n, m in zip(shape, found.shape, strict=True))
    filled = np.zeros(shape)
    before = tuple(slice(0, n) for n in common)
    filled[before] = found[before]
    yield filled
    filled = np.zeros(shape)
    behind = [slice(n - m, n) for n, m in zip(shape, common, strict=True)]
    last = [slice(n - m, n) for n, m in zip(found.shape, common, strict=True)]
    filled[tuple(behind)] = found[tuple(last)]
    yield filled


def _same(got: Array, predicted: Array) -> bool:
    if got.shape != predicted.shape:
        return False
    known = ~np.isnan(predicted)
    return differs(np.where(known, got, 0), np.where(known, predicted, 0)) is None


def _same_shapes(failing: list[CheckRun]) -> bool:
    """Whether some failure has the right shape."""
    return any(
        run.outcome.parts[part].shape == run.expected[part].shape
        for run in failing
        for part in run.wrong
    )


def _pattern(kind: Kind, failing: list[CheckRun]) -> str:
    """What is known of a mistake that has no name."""
    run = failing[0]
    if not run.wrong:
        return "no known mistake does this"
    part = run.wrong[0]
    got, expected = run.outcome.parts[part], run.expected[part]
    if got.shape != expected.shape:
        axes = f"{got.ndim} {'axis' if got.ndim == 1 else 'axes'}"
        few = f" ({axes}, where {expected.ndim} belong)" if got.ndim != expected.ndim else ""
        return (
            f"no known mistake does this: {part} has shape {got.shape}, where {expected.shape} "
            f"belongs{few}"
        )
    wrong = np.argwhere(~np.isclose(got, expected, equal_nan=False))
    places = ", ".join(str(tuple(int(k) for k in place)) for place in wrong[:4])
    return (
        f"no known mistake does this: {len(wrong)} of {expected.size} entries of {part} are wrong "
        f"in the smallest case, at {places}"
    )
