"""`identify` names what is behind a matrix or a function: layers drawn at random, and the others.

Whatever it names has exactly the matrix that was given, found by nested loops or by NumPy,
SciPy and PyTorch; witnesses are held against the matrix or replayed on the function.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from same_matrix import has_matrix, is_genuine
from strategies import Drawn, integers, layers

from convalg.recognise.identify import identify

LAYERS = {"correlation", "sum pooling", "average pooling"}


# Layers at random.


def distinct(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of which no two are alike, nor opposite, nor one: no structure by chance."""
    count = math.prod(shape)
    order = draw(st.permutations(range(2, count + 2)))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=count, max_size=count))
    return np.multiply(order, signs).reshape(shape)


@st.composite
def roomy(draw: st.DrawFn, **options: Any) -> Drawn:
    """layer layer with so large an input that every tap is read by several outputs."""
    drawn = draw(layers(words=(), **options))
    weights = distinct(draw, drawn.weights.shape)
    sizes = (drawn.shape,) if isinstance(drawn.shape, int) else drawn.shape
    axes = drawn.operator.T if drawn.kind.startswith("transposed") else drawn.operator
    spans = [axis.span + 2 * axis.stride for axis in axes.geometry.axes]
    if drawn.kind.startswith("transposed"):
        spans = [4] * len(sizes)
    larger = tuple(n + more for n, more in zip(sizes, spans, strict=True))
    return replace(drawn, shape=larger, kernel=weights.tolist())


def per_axis(value: Any, dims: int) -> tuple[Any, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def pairs(value: Any, dims: int) -> list[tuple[int, int]]:
    return [(p, p) if isinstance(p, int) else p for p in per_axis(value, dims)]


@given(roomy(kinds=("correlation", "convolution"), boundaries=("zeros", "circular")))
@settings(max_examples=60, deadline=None)
def test_geometry_of_a_correlation(drawn: Drawn) -> None:
    _check_correlation(drawn)


@given(roomy(kinds=("correlation", "convolution"), boundaries=("reflect", "symmetric", "edge")))
@settings(max_examples=40, deadline=None)
def test_geometry_of_a_correlation_with_a_folded_border(drawn: Drawn) -> None:
    _check_correlation(drawn)


def _check_correlation(drawn: Drawn) -> None:
    operator, weights = drawn.operator, drawn.weights
    axes = operator.geometry.axes
    dims = len(axes)
    matrix = drawn.oracle.matrix(weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    assert found.kind == "correlation"
    assert has_matrix(found, matrix)
    if _reads_otherwise(drawn, dims):
        return
    taps = weights.shape[weights.ndim - dims :]
    flipped = drawn.kind == "convolution"
    turned = np.flip(weights, tuple(range(weights.ndim - dims, weights.ndim)))
    assert found.kernel is not None
    assert found.kernel.tolist() == (turned if flipped else weights).tolist()
    assert found.stride == tuple(axis.stride for axis in axes)
    assert found.groups == drawn.options.get("groups", 1)
    for k, axis in enumerate(axes):
        # One tap has no dilation.
        assert found.dilation[k] == (abs(axis.dilation) if taps[k] > 1 else 1)
        assert found.padding[k][0] == axis.before
        drawn_pair = pairs(drawn.options["padding"], dims)[k]
        if axis.stride == 1 or drawn_pair[0] == drawn_pair[1]:
            assert found.padding[k] == drawn_pair
    reached = [max(axis.before, axis.after) for axis in axes]
    wanted = {drawn.options["boundary"]} if max(reached) > 0 else {"zeros"}
    if max(reached) <= 1 and wanted & {"symmetric", "edge"}:
        # One sample beyond the border is the same for both.
        wanted = {"symmetric", "edge"}
    assert found.boundary in wanted


def _reads_otherwise(drawn: Drawn, dims: int) -> bool:
    """Whether channels of signals are an image as well, or a volume channels of images."""
    weights = drawn.weights
    if weights.ndim == dims:
        return dims == 3 and weights.shape[0] == 1
    return dims == 1 and 1 in (weights.shape[0], drawn.operator.in_shape[0])


@given(roomy(kinds=("transposed_correlation",)))
@settings(max_examples=50, deadline=None)
def test_geometry_of_a_transposed_correlation(drawn: Drawn) -> None:
    operator, weights = drawn.operator, drawn.weights
    axes = operator.T.geometry.axes
    dims = len(axes)
    matrix = drawn.oracle.matrix(weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    assert found.kind in {"correlation", "transposed correlation"}
    assert has_matrix(found, matrix)
    strided = all(axis.stride > 1 for axis in axes)
    if not strided or weights.ndim == dims == 3 or (weights.ndim == dims + 2 and dims == 1):
        return
    assert found.kind == "transposed correlation"
    assert found.kernel is not None
    assert found.kernel.tolist() == weights.tolist()
    assert found.stride == tuple(axis.stride for axis in axes)
    extra = per_axis(drawn.options.get("output_padding", 0), dims)
    for k, (before, behind) in enumerate(pairs(drawn.options["padding"], dims)):
        assert found.dilation[k] == (axes[k].dilation if axes[k].taps > 1 else 1)
        assert found.padding[k][0] == before
        # Only their difference shows in the size of the output.
        assert found.padding[k][1] - found.output_padding[k] == behind - extra[k]


@given(layers())
@settings(max_examples=150, deadline=None)
def test_any_layer_has_the_matrix_that_is_named(drawn: Drawn) -> None:
    operator = drawn.operator
    matrix = drawn.oracle.matrix(drawn.weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    assert found.in_shape == operator.in_shape
    assert found.out_shape == operator.out_shape
    if found.kind == "not shift-invariant":
        # Tiny layers in which no tap is read twice show no shift.
        assert is_genuine(found, matrix)
        assert len(matrix) <= 12 * operator.out_shape[0]
        return
    assert has_matrix(found, matrix)
    assert found.kind != "zero" or not matrix.any()


@given(roomy(kinds=("correlation", "convolution")), st.data())
@settings(max_examples=60, deadline=None)
def test_a_kernel_given_is_recognised_with_its_zeros(drawn: Drawn, data: st.DataObject) -> None:
    operator = drawn.operator
    dims = len(operator.geometry.axes)
    assume(not _reads_otherwise(drawn, dims))
    weights = data.draw(integers(drawn.weights.shape)).reshape(drawn.weights.shape)
    lead = weights.shape[: weights.ndim - dims]
    for channel in np.ndindex(*lead):
        weights[channel][(0,) * dims] = 7
    matrix = drawn.oracle.matrix(weights)
    found = identify(matrix, (operator.in_shape, operator.out_shape), kernel=weights)
    assert has_matrix(found, matrix)
    if found.kind != "correlation" or found.kernel is None or found.kernel.ndim != weights.ndim:
        return
    turned = np.flip(weights, tuple(range(weights.ndim - dims, weights.ndim)))
    palindrome = np.array_equal(weights, turned)
    assert found.flip == (drawn.kind == "convolution" and not palindrome)
    assert found.kernel.tolist() == (turned if found.flip else weights).tolist()


# Moves of samples.


def test_nearest_upsampling_says_so() -> None:
    found = identify(lambda x: x.repeat(2, 0).repeat(2, 1), (3, 3))
    assert (found.kernel == 1).all()
    assert "nearest upsampling by (2, 2)" in found.words
