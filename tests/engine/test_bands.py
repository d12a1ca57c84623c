"""The engine "bands" against loops over all products."""

from __future__ import annotations

import numpy as np
import pytest
from engine_layers import Problem, problems
from hypothesis import given
from hypothesis import strategies as st

from convalg.engine import bands


@given(problems(inputs=1))
def test_the_output_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = bands.forward(bands.bands(layer), problem.kernel, problem.x)
    np.testing.assert_array_equal(found, problem.output())


@given(problems(inputs=1))
def test_the_gradient_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = bands.gradient(bands.bands(layer), problem.x, problem.g)
    np.testing.assert_array_equal(found, problem.slope())


@given(problems(inputs=1), st.integers(1, 4))
def test_any_length_of_a_run_has_the_same_output(problem: Problem, run: int) -> None:
    band = bands.Bands(problem.layer, min(run, problem.layer.out[-1]))
    found = bands.forward(band, problem.kernel, problem.x)
    np.testing.assert_array_equal(found, problem.output())
    outputs = sum(size * count for _, size, count in band.parts)
    assert outputs == problem.layer.out[-1]


@given(problems(inputs=1))
def test_output_and_gradient_in_parts_are_the_definition(problem: Problem) -> None:
    layer = problem.layer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "BLOCK", 1)
        y = bands.forward(bands.bands(layer), problem.kernel, problem.x)
        slope = bands.gradient(bands.bands(layer), problem.x, problem.g)
    np.testing.assert_array_equal(y, problem.output())
    np.testing.assert_array_equal(slope, problem.slope())
