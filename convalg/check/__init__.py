"""Checks of other implementations: find the mistake, name it, show the smallest case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from convalg.check.adapters import (
    from_command,
    from_jax,
    from_onnxruntime,
    from_torch,
    from_torch_backward,
)
from convalg.check.candidate import Candidate, Outcome, candidate, differs
from convalg.check.diagnose import Run, diagnose
from convalg.check.difference import matrix_difference
from convalg.check.module import layer
from convalg.check.problem import KINDS, answer
from convalg.check.report import Diagnosis, Failure, Report
from convalg.check.sweep import Config, configurations, exists, problem, smaller
from convalg.errors import ArgumentError
from convalg.spec import as_size

__all__ = [
    "Diagnosis",
    "Failure",
    "Report",
    "average_pool",
    "average_pool_backward",
    "backward",
    "forward",
    "from_command",
    "from_jax",
    "from_onnxruntime",
    "from_torch",
    "from_torch_backward",
    "layer",
    "max_pool",
    "max_pool_backward",
    "transposed",
    "transposed_backward",
]

CASES = 160
AGAIN = 8
"""Every so many configurations the function is called twice: the same must come out."""
STEPS = 300
"""At most so many smaller configurations are tried for the smallest failure."""

Progress = Callable[[int, int], None]


def forward(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, w, *, stride, padding, dilation, groups) -> y`, a correlation layer.

    Shapes: x `(N, C, *spatial)` with `dims` spatial axes, w `(C_out, C_in // groups, *taps)`,
    y `(N, C_out, *out)`; NumPy arrays of small integers in float64. Options come as an int
    while they are equal on all axes, as a tuple otherwise; only keywords that f has are passed.
    `progress(done, cases)` is called after each configuration.
    Raises: KindError when f cannot be called like that.

    >>> import convalg as ca, numpy as np
    >>> def mine(x, w):
    ...     windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    ...     return np.einsum("nchwab,ocab->nohw", windows, w[:, :, ::-1, ::-1])
    >>> ca.check.forward(mine, cases=40).diagnosis[0].code
    'flipped-kernel'
    """
    return _check("forward", f, dims, cases, progress)


def backward(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, w, g, *, stride, padding, dilation, groups) -> (dx, dw)`, its gradients.

    Shapes: as `forward`, with g of the shape of y; dx as x, dw as w, summed over the batch.

    >>> import convalg as ca
    >>> def mine(x, w, g):
    ...     layer = ca.correlation(x.shape[2:], w)
    ...     return layer.T(g), layer.kernel_gradient(x, g) / len(x)
    >>> ca.check.backward(mine, cases=40).diagnosis[0].code
    'batch-averaged'
    """
    return _check("backward", f, dims, cases, progress)


def transposed(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, w, *, stride, padding, output_padding, dilation, groups) -> y`.

    Shapes: x `(N, C_in, *spatial)`, w `(C_in, C_out // groups, *taps)`, as PyTorch.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding):
    ...     return ca.transposed_correlation(x.shape[2:], w, stride=stride)(x)
    >>> ca.check.transposed(mine, cases=40).diagnosis[0].code
    'padding-ignored'
    """
    return _check("transposed", f, dims, cases, progress)


def transposed_backward(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, w, g, *, stride, padding, output_padding, dilation, groups) -> (dx, dw)`.

    Shapes: as `transposed`, with g of the shape of y.

    >>> import convalg as ca
    >>> def mine(x, w, g, stride):
    ...     layer = ca.transposed_correlation(x.shape[2:], w, stride=stride)
    ...     return layer.T(g), layer.kernel_gradient(x, g)
    >>> ca.check.transposed_backward(mine, cases=20)
    <mine: all 20 configurations pass>
    """
    return _check("transposed_backward", f, dims, cases, progress)


def average_pool(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, *, size, stride, padding, ceil_mode, count_include_pad) -> y`.

    >>> import convalg as ca
    >>> def mine(x, size, stride, padding, count_include_pad):
    ...     options = {"stride": stride, "padding": padding, "channels": x.shape[1]}
    ...     return ca.average_pool(x.shape[2:], size, **options)(x)
    >>> ca.check.average_pool(mine, cases=40).diagnosis[0].code
    'divisor-counts-padding'
    """
    return _check("average_pool", f, dims, cases, progress)


def average_pool_backward(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, g, *, size, stride, padding, ceil_mode, count_include_pad) -> dx`.

    >>> import convalg as ca
    >>> def mine(x, g, size):
    ...     return ca.sum_pool(x.shape[2:], size, stride=1, channels=x.shape[1]).T(g)
    >>> ca.check.average_pool_backward(mine, cases=20).diagnosis[0].code
    'divisor-missing'
    """
    return _check("average_pool_backward", f, dims, cases, progress)


def max_pool(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, *, size, stride, padding, dilation, ceil_mode) -> y`.

    >>> import convalg as ca
    >>> def mine(x, size, stride, padding):
    ...     padded = ca.pad(x.shape[2:], padding, channels=x.shape[1])(x)
    ...     return ca.max_pool(padded.shape[2:], size, stride=stride, channels=x.shape[1])(padded)
    >>> ca.check.max_pool(mine, cases=40).diagnosis[0].code
    'max-padding-zero'
    """
    return _check("max_pool", f, dims, cases, progress)


def max_pool_backward(
    f: Any, *, dims: int = 2, cases: int = CASES, progress: Progress | None = None
) -> Report:
    """Check `f(x, g, *, size, stride, padding, dilation, ceil_mode) -> dx`: to the first winner.

    >>> import convalg as ca
    >>> def mine(x, g, size, stride):
    ...     pool = ca.max_pool(x.shape[2:], size, stride=stride, channels=x.shape[1])
    ...     return pool.gradient(x, g)
    >>> ca.check.max_pool_backward(mine, cases=20)
    <mine: all 20 configurations pass>
    """
    return _check("max_pool_backward", f, dims, cases, progress)


def _check(name: str, f: Any, dims: int, cases: int, progress: Progress | None) -> Report:
    kind = KINDS[name]
    axes, count = as_size(dims, "dims"), as_size(cases, "cases")
    if not isinstance(axes, int) or axes > 4 or not isinstance(count, int):
        raise ArgumentError(f"dims must be 1 to 4, and cases a number: {dims!r}, {cases!r}")
    tested = candidate(f, kind)
    configs = configurations(kind, axes, tested.options, count)
    runs = []
    for number, config in enumerate(configs):
        runs.append(_run(tested, config, number, again=number % AGAIN == 0))
        if progress is not None:
            progress(number + 1, len(configs))
    runs, notes = _without_refusals(runs, tested)
    failing = [run for run in runs if run.wrong or run.outcome.code]
    if tested.missing:
        notes.append(
            f"not exercised, since {tested.name} does not have it: {', '.join(tested.missing)}"
        )
    if any(run.outcome.printed for run in runs):
        notes.append(f"{tested.name} prints; that is not shown here")
    return Report(
        kind,
        tested.name,
        tested.options,
        len(runs),
        tuple(map(failure_of, failing)),
        _smallest(tested, failing) if failing else None,
        diagnose(kind, runs, partial(matrix_difference, tested)) if failing else (),
        tuple(notes),
    )


def _run(tested: Candidate, config: Config, number: int, *, again: bool = False) -> Run:
    p = problem(tested.kind, config, number)
    expected = {part: answer(step, p) for part, step in tested.kind.parts.items()}
    right = {part: value for part, value in expected.items() if value is not None}
    outcome = tested(config, p)
    if again and not outcome.code:
        outcome = _compared(outcome, tested(config, p))
    if not outcome.code and any(np.isnan(found).any() for found in outcome.parts.values()):
        outcome = replace(outcome, code="not-a-number", words="the answer holds NaN")
    wrong = tuple(
        part
        for part, value in right.items()
        if part in outcome.parts and is_wrong(outcome.parts[part], value)
    )
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


def _without_refusals(runs: list[Run], tested: Candidate) -> tuple[list[Run], list[str]]:
    """Without the calls that a function refuses since it takes an option as an int only."""

    def tuples(run: Run) -> set[str]:
        options = run.config.options(tested.options)
        return {name for name, value in options.items() if isinstance(value, tuple)}

    raising = [run for run in runs if isinstance(run.outcome.error, (TypeError, ValueError))]
    refused = {
        name
        for name in tested.options
        if (having := [run for run in runs if name in tuples(run)])
        and all(run in raising for run in having)
    }
    left_out = [run for run in raising if tuples(run) & refused]
    if not left_out or len(left_out) < len(raising):
        return runs, []
    kept = [run for run in runs if run not in left_out]
    return kept, [
        f"ints only: {tested.name} refuses tuples for {', '.join(sorted(refused))} "
        f"({len(left_out)} configurations left out)"
    ]


def failure_of(run: Run) -> Failure:
    """What a run that went wrong shows."""
    outcome = run.outcome
    if not run.wrong:
        return Failure(run.config, run.problem, outcome.code, outcome.words)
    part = run.wrong[0]
    got, expected = outcome.parts[part], run.expected[part]
    index = None
    if got.shape != expected.shape:
        code, words = "wrong-shape", f"{part} has shape {got.shape}, expected {expected.shape}"
    else:
        index = differs(got, expected)
        code, words = "wrong-values", f"{part} has wrong values"
    return Failure(
        run.config,
        run.problem,
        outcome.code or code,
        outcome.words or words,
        part,
        expected,
        got,
        index,
    )


def _smallest(tested: Candidate, failing: list[Run]) -> Failure:
    """The smallest failure found by taking steps down from the first one."""
    best = min(failing, key=lambda run: run.config.work)
    tried = 0
    improved = True
    while improved and tried < STEPS:
        improved = False
        for config in smaller(best.config):
            if config.work >= best.config.work or not exists(tested.kind, config):
                continue
            tried += 1
            run = _run(tested, config, 0)
            if (run.wrong or run.outcome.code) and run.outcome.code == best.outcome.code:
                best, improved = run, True
                break
    return failure_of(best)
