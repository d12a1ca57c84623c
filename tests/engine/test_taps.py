"""The engine "taps" against loops over all products."""

from __future__ import annotations

import numpy as np
import pytest
from engine_layers import Problem, problems
from hypothesis import given

from convalg.engine import taps


@given(problems())
def test_the_output_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = taps.forward(layer, problem.kernel, problem.x)
    np.testing.assert_array_equal(found, problem.output())


@given(problems())
def test_the_gradient_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = taps.gradient(layer, problem.x, problem.g)
    np.testing.assert_array_equal(found, problem.slope())


@given(problems())
def test_output_and_gradient_in_parts_are_the_definition(problem: Problem) -> None:
    layer = problem.layer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taps, "BLOCK", 1)
        y = taps.forward(layer, problem.kernel, problem.x)
        slope = taps.gradient(layer, problem.x, problem.g)
    np.testing.assert_array_equal(y, problem.output())
    np.testing.assert_array_equal(slope, problem.slope())
