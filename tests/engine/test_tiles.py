"""The engine "tiles" against loops over all products, for every tiling."""

from __future__ import annotations

import numpy as np
import pytest
from engine_layers import Problem, problems
from hypothesis import given
from hypothesis import strategies as st

from convalg.engine import tiles


@given(problems(), st.sampled_from([1, 2**20]))
def test_every_tiling_is_the_definition(problem: Problem, entries: int) -> None:
    """Also in parts, where one row of tiles and one sample are computed at a time."""
    layer = problem.layer
    output, slope = problem.output(), problem.slope()
    for tiling in tiles.tilings(layer, len(problem.x)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tiles, "BLOCK", entries)
            patch.setattr(tiles, "TOGETHER", entries)
            y = tiles.forward(layer.out, tiling, problem.kernel, problem.x)
            w = tiles.gradient(layer.taps, tiling, problem.x, problem.g)
        np.testing.assert_array_equal(y, output)
        np.testing.assert_array_equal(w, slope)


@given(problems())
def test_a_block_and_its_adjoint_are_adjoint(problem: Problem) -> None:
    """<block(w), m> = <w, kernel(m)> for integers, where m has the shape of the block."""
    for tiling in tiles.tilings(problem.layer, 1):
        layer = tiling.layer
        kernel = problem.kernel.reshape(layer.groups, layer.outputs, layer.inputs, *layer.taps)
        block = tiling.block(kernel)
        other = np.arange(float(block.size)).reshape(block.shape) % 7 - 3
        assert (block * other).sum() == (kernel * tiling.kernel(other)).sum()


@given(problems())
def test_columns_and_their_adjoint_are_adjoint(problem: Problem) -> None:
    for tiling in tiles.tilings(problem.layer, len(problem.x)):
        x = problem.x.reshape(*problem.x.shape[:3], *tiling.layer.sizes)
        for image, _ in tiling.images(x):
            part = (0, tiling.grid[0])
            columns = tiling.columns(image, part)
            other = np.arange(float(columns.size)).reshape(columns.shape) % 5 - 2
            spread = np.zeros_like(image)
            tiling.add_patches(spread, part, other)
            assert (columns * other).sum() == (image * spread).sum()
