"""The engine "taps" against loops over all products."""

from __future__ import annotations

import numpy as np
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
