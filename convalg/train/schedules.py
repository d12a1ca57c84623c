"""Schedules: the factor on the learning rate as a function of the progress.

Any callable of the progress is a schedule. The progress is in steps, counted from 0, or in epochs
and fractions of them if `steps_per_epoch` is passed to the optimiser; lengths are in the same unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from convalg.arguments import a_function, settle

Schedule = Callable[[float], float]


@dataclass(frozen=True)
class StepDecay:
    """Step decay: the learning rate is multiplied by `factor` after each `every` of progress.

    Rule: factor ** floor(progress / every).

    Raises:
        ArgumentError: unless `every` is positive and `factor` in 0..1.

    >>> import convalg as ca
    >>> [ca.train.StepDecay(10, 0.5)(step) for step in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """

    every: float
    factor: float

    def __post_init__(self) -> None:
        settle(self, "every", above=0)
        settle(self, "factor", above=0, most=1)

    def __call__(self, progress: float) -> float:
        """Return the factor at the given progress."""
        return self.factor ** (progress // self.every)


@dataclass(frozen=True)
class Cosine:
    """Cosine decay: the factor follows half a cosine from 1 down to `floor` over `steps`.

    Rule: floor + (1 - floor) (1 + cos(pi progress / steps)) / 2, and `floor` from then on.

    Raises:
        ArgumentError: unless `steps` is positive and `floor` in 0..1.

    Source: Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts.

    >>> import convalg as ca
    >>> [round(ca.train.Cosine(4)(step), 3) for step in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    steps: float
    floor: float = 0.0

    def __post_init__(self) -> None:
        settle(self, "steps", above=0)
        settle(self, "floor", least=0, most=1)

    def __call__(self, progress: float) -> float:
        """Return the factor at the given progress."""
        turn = math.cos(math.pi * min(progress / self.steps, 1.0))
        return self.floor + (1 - self.floor) * (1 + turn) / 2


@dataclass(frozen=True)
class WarmUp:
    """Warm-up: the factor rises linearly from `start` to 1 over `steps`, then follows `then`.

    Rule: start + (1 - start) progress / steps, then `then(progress - steps)`, or 1 without it.

    Raises:
        ArgumentError: unless `steps` is positive and `start` in 0..1.
        KindError: unless `then` is callable.

    >>> import convalg as ca
    >>> schedule = ca.train.WarmUp(4, ca.train.Cosine(2), start=0.2)
    >>> [round(schedule(step), 3) for step in range(7)]
    [0.2, 0.4, 0.6, 0.8, 1.0, 0.5, 0.0]
    """

    steps: float
    then: Schedule | None = None
    _: KW_ONLY
    # Not 0: the first step would have no effect.
    start: float = 0.01

    def __post_init__(self) -> None:
        settle(self, "steps", above=0)
        settle(self, "start", above=0, most=1)
        check_schedule(self.then, "then")

    def __call__(self, progress: float) -> float:
        """Return the factor at the given progress."""
        if progress < self.steps:
            return self.start + (1 - self.start) * progress / self.steps
        return 1.0 if self.then is None else self.then(progress - self.steps)


def check_schedule(schedule: object, name: str) -> None:
    """Raises: KindError unless the schedule is callable or None."""
    if schedule is not None:
        what = f"{name} must be a function from the progress to a factor, such as Cosine(1000)"
        a_function(schedule, 1, what)
