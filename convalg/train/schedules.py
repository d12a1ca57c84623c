"""Schedules: the factor of the learning rate as a function of the progress of a run.

Any function of the progress is a schedule. `ca.fit` measures the progress in epochs, with fractions
within an epoch. An optimiser that is used without `steps_per_epoch` measures it in steps, counted
from 0. The lengths of a schedule are in the same unit.
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

    Args:
        every: Progress between two decreases, in epochs for `ca.fit`; above 0.
        factor: Factor of each decrease, above 0 and at most 1.

    Raises:
        ArgumentError: when `every` or `factor` is out of range.
        KindError: when `every` or `factor` is not a number.

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
        """Return the factor of the learning rate at the given progress, in the unit of `every`."""
        factor: float = self.factor ** (progress // self.every)
        return factor


@dataclass(frozen=True)
class Cosine:
    """Cosine decay: the factor follows half a cosine from 1 down to `floor` over `steps`.

    Rule: floor + (1 - floor) (1 + cos(pi progress / steps)) / 2, and `floor` from then on.

    Args:
        steps: Progress over which the factor falls, in epochs for `ca.fit`; above 0.
        floor: Factor at the end and afterwards, from 0 to 1.

    Raises:
        ArgumentError: when `steps` or `floor` is out of range.
        KindError: when `steps` or `floor` is not a number.

    Source:
        Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts.

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
        """Return the factor of the learning rate at the given progress, in the unit of `steps`."""
        cosine = math.cos(math.pi * min(progress / self.steps, 1.0))
        return self.floor + (1 - self.floor) * (1 + cosine) / 2


@dataclass(frozen=True)
class WarmUp:
    """Warm-up: the factor rises linearly from `start` to 1 over `steps`, then follows `then`.

    Rule: start + (1 - start) progress / steps, then `then(progress - steps)`, or 1 without it.

    Args:
        steps: Progress over which the factor rises, in epochs for `ca.fit`; above 0.
        then: Schedule that follows, whose progress starts at 0; None for the constant factor 1.
        start: Factor at progress 0, above 0 and at most 1.

    Raises:
        ArgumentError: when `steps` or `start` is out of range.
        KindError: when `steps` or `start` is not a number, or `then` is not a function.

    >>> import convalg as ca
    >>> schedule = ca.train.WarmUp(4, ca.train.Cosine(2), start=0.2)
    >>> [round(schedule(step), 3) for step in range(7)]
    [0.2, 0.4, 0.6, 0.8, 1.0, 0.5, 0.0]
    """

    steps: float
    then: Schedule | None = None
    _: KW_ONLY
    # Above 0, because the first step would otherwise have no effect.
    start: float = 0.01

    def __post_init__(self) -> None:
        settle(self, "steps", above=0)
        settle(self, "start", above=0, most=1)
        check_schedule(self.then, "then")

    def __call__(self, progress: float) -> float:
        """Return the factor of the learning rate at the given progress, in the unit of `steps`."""
        if progress < self.steps:
            return self.start + (1 - self.start) * progress / self.steps
        return 1.0 if self.then is None else self.then(progress - self.steps)


def check_schedule(schedule: object, name: str) -> None:
    """Raise KindError unless the schedule is None or a function of one argument."""
    if schedule is not None:
        what = f"{name} must be a function from the progress to a factor, such as Cosine(10)"
        a_function(schedule, 1, what)
