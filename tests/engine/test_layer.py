"""Layers of the engines: the extended image, its adjoint, and the phases of the adjoint."""

from __future__ import annotations

import numpy as np
from engine_layers import Problem, problems
from hypothesis import given
from strategies import Drawn, layers

from convalg.engine import im2col
from convalg.engine.layer import layer_of_geometry


@given(problems())
def test_the_extended_image_is_the_image_between_zeros(problem: Problem) -> None:
    layer = problem.layer
    found = layer.extend(problem.x, 3)
    expected = np.zeros((*problem.x.shape[:3], *layer.lengths))
    for index in np.ndindex(*layer.lengths):
        inner = tuple(k - b for k, b in zip(index, layer.before, strict=True))
        if all(0 <= k < n for k, n in zip(inner, layer.sizes, strict=True)):
            expected[(..., *index)] = problem.x[(..., *inner)]
    np.testing.assert_array_equal(found, expected)


@given(problems())
def test_shrinking_is_the_adjoint_of_extending(problem: Problem) -> None:
    extended = problem.layer.extend(problem.x, 3)
    other = np.arange(float(extended.size)).reshape(extended.shape) % 7 - 3
    assert (extended * other).sum() == (problem.x * problem.layer.shrink(other, 3)).sum()


@given(layers(dims=(1, 2)))
def test_folding_back_is_the_adjoint_of_extending(drawn: Drawn) -> None:
    """Along axes with a boundary rule; the others are extended by zeros."""
    operator = drawn.operator.T if drawn.kind == "transposed_correlation" else drawn.operator
    layer = layer_of_geometry(operator.geometry).layer
    x = np.arange(float(np.prod(layer.sizes))).reshape(layer.sizes) % 5 - 2
    extended = layer.extend(x, 0)
    other = np.arange(float(extended.size)).reshape(extended.shape) % 7 - 3
    if all(axis is not None for axis in layer.boundaries):
        assert (extended * other).sum() == (x * layer.fold_back(other, 0)).sum()
    elif not any(layer.boundaries):
        assert (extended * other).sum() == (x * layer.shrink(other, 0)).sum()


@given(problems())
def test_the_phases_are_the_adjoint(problem: Problem) -> None:
    """<A x, g> = <x, A^T g> for integers, with A^T g from one correlation per phase."""
    found = np.zeros(problem.x.shape)
    for correlation, positions, picks in problem.layer.phases():
        kernel = problem.kernel.swapaxes(1, 2)[(..., *picks)]
        found[(..., *positions)] = im2col.forward(correlation, kernel, problem.g)
    assert (problem.output() * problem.g).sum() == (problem.x * found).sum()


@given(problems())
def test_the_phases_use_every_tap_and_every_sample_at_most_once(problem: Problem) -> None:
    layer = problem.layer
    samples, taps = np.zeros(layer.sizes, dtype=int), np.zeros(layer.taps, dtype=int)
    for correlation, positions, picks in layer.phases():
        assert samples[positions].shape == correlation.out
        assert taps[picks].shape == correlation.taps
        assert set(correlation.strides) == {1}
        samples[positions] += 1
    assert samples.max(initial=0) <= 1
