"""The engine "fft" against loops over all products, up to rounding."""

from __future__ import annotations

import numpy as np
from engine_layers import Problem, problems
from hypothesis import given

from convalg.engine import fourier


@given(problems())
def test_the_output_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = fourier.forward(layer, problem.kernel, problem.x)
    np.testing.assert_allclose(found, problem.output(), atol=1e-10)


@given(problems())
def test_the_gradient_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = fourier.gradient(layer, problem.x, problem.g)
    np.testing.assert_allclose(found, problem.slope(), atol=1e-10)
