"""Schedules against those of PyTorch, and the errors of invalid ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.errors import ArgumentError, KindError
from convalg.train.optimisers import SGD
from convalg.train.schedules import Cosine, StepDecay, WarmUp

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (StepDecay(7, 0.3), lambda o: torch.optim.lr_scheduler.StepLR(o, 7, gamma=0.3)),
        (Cosine(40), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40)),
        (
            Cosine(40, 0.25),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40, eta_min=0.25 * 0.1),
        ),
        (
            WarmUp(10, start=0.2),
            lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=10),
        ),
        (
            WarmUp(10, Cosine(30), start=0.2),
            lambda o: torch.optim.lr_scheduler.SequentialLR(
                o,
                [
                    torch.optim.lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=10),
                    torch.optim.lr_scheduler.CosineAnnealingLR(o, 30),
                ],
                [10],
            ),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_schedules_are_those_of_torch(ours: Any, theirs: Callable[[Any], Any]) -> None:
    rule = SGD(0.1, schedule=ours)
    other = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    schedule = theirs(other)
    for step in range(41):
        assert rule.rate(step) == pytest.approx(other.param_groups[0]["lr"], abs=1e-15)
        # Without gradients it moves nothing; the schedule warns when it was never called.
        other.step()
        schedule.step()


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 1000))
def test_lengths_in_epochs_fall_on_whole_steps(every: int, per_epoch: int, step: int) -> None:
    rule = SGD(1.0, schedule=StepDecay(every, 0.5))
    assert rule.rate(step, steps_per_epoch=per_epoch) == 0.5 ** (step // (every * per_epoch))


@pytest.mark.parametrize("schedule", [StepDecay(3, 0.5), Cosine(20, 0.1), WarmUp(5, Cosine(9))])
def test_a_factor_stays_between_nothing_and_one(schedule: Any) -> None:
    factors = [schedule(step / 4) for step in range(100)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert len(set(factors)) > 3


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: StepDecay(0, 0.5), ArgumentError, "every must be finite and above 0, not 0"),
        (lambda: StepDecay(1, 2), ArgumentError, "factor must be finite and above 0 and at most 1"),
        (lambda: Cosine(0), ArgumentError, "steps must be finite and above 0, not 0"),
        (lambda: Cosine(5, -1), ArgumentError, "floor must be finite and at least 0"),
        (
            lambda: WarmUp(5, start=0),
            ArgumentError,
            "start must be finite and above 0 and at most 1",
        ),
        (lambda: WarmUp(5, then=0.5), KindError, "then must be a function from the progress"),
        (lambda: WarmUp(5, lambda: 1.0), KindError, "but this function has other parameters"),
    ],
)
def test_an_invalid_schedule_is_refused(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
