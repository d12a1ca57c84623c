"""Sums that are assigned instead of accumulated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from distorted import checked

from convalg.check.problem import Problem, kernel_gradient


@pytest.mark.parametrize("sample", [slice(None), slice(-1, None)])
@pytest.mark.parametrize("place", [(-1, -1), (-1, slice(None)), (slice(None), -1)])
def test_a_kernel_gradient_that_is_assigned(sample: slice, place: tuple[Any, Any]) -> None:
    def last(found: list[np.ndarray], p: Problem) -> list[np.ndarray]:
        assert p.g is not None
        g = np.zeros(p.g.shape)
        g[(sample, slice(None), *place)] = p.g[(sample, slice(None), *place)]
        return [found[0], kernel_gradient(replace(p, g=g))]

    report = checked("backward", last)
    assert report.diagnosis[0].code == "sum-overwritten"
    assert report.diagnosis[0].message.startswith("dw: dw is assigned instead of accumulated")
