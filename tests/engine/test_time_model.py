"""The cost model: work times rates."""

from __future__ import annotations

import pytest

from convalg.engine.time_model import Rates, Work


def test_work_is_priced() -> None:
    """More of anything takes longer, and a thin product has a lower rate."""
    work = Work(calls=1)
    work.copy(100, run=10)
    work.products(2, 3, 4, 5)
    assert (work.copied, work.run) == (100, 10)
    rates = Rates()
    assert (work + work).seconds(rates) == pytest.approx(2 * work.seconds(rates))
    thin, square = Work(), Work()
    thin.products(1, 1, 4096, 256)
    square.products(1, 64, 128, 128)
    assert thin.seconds() > square.seconds()
