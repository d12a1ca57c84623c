"""The engine "im2col" against loops over all products."""

from __future__ import annotations

import numpy as np
import pytest
from engine_layers import Problem, problems
from hypothesis import given

from convalg.engine import im2col


@given(problems())
def test_the_output_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = im2col.forward(layer, problem.kernel, problem.x)
    np.testing.assert_array_equal(found, problem.output())


@given(problems())
def test_the_gradient_is_the_definition(problem: Problem) -> None:
    layer = problem.layer
    found = im2col.gradient(layer, problem.x, problem.g)
    np.testing.assert_array_equal(found, problem.slope())


@given(problems())
def test_the_columns_hold_the_samples_of_every_tap(problem: Problem) -> None:
    """The kernel, arranged for the products, times the columns is the output of one sample."""
    layer = problem.layer
    columns = im2col.Columns(layer)
    weights = columns.kernel(problem.kernel)
    image = layer.extend(problem.x[0, 0], 1)
    part = (0, layer.out[0])
    pairs = zip(weights[:, 0], columns.of(image, part), strict=True)
    found = sum(weight @ read for weight, read in pairs)
    np.testing.assert_array_equal(found.ravel(), problem.output()[0, 0].ravel())


@given(problems())
def test_output_and_gradient_by_many_products_are_the_definition(problem: Problem) -> None:
    layer = problem.layer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "BLOCK", 1)
        patch.setattr(im2col, "JOINED", 1)
        y = im2col.forward(layer, problem.kernel, problem.x)
        slope = im2col.gradient(layer, problem.x, problem.g)
    np.testing.assert_array_equal(y, problem.output())
    np.testing.assert_array_equal(slope, problem.slope())
