"""Every formula that a derivation prints, evaluated with numbers: against the naive loops.

The formulas are parsed from their LaTeX by `printed`, which shares no code with convalg. The
operator A of each derivation, made from its printed sum, must have the matrix of the loops, and
sizes and receptive fields must be those of the loops.
"""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from printed import Lines
from strategies import Drawn, layers

import convalg as ca

n, K, p = ca.sizes("n K p")
KINDS = ("linearity", "adjoint", "kernel_gradient", "output_size", "receptive_field")
FEW, MANY = 30, 200


def check(
    operator: ca.Operator, oracle: naive.Layer, numbers: dict[str, int], boundary: str = "zeros"
) -> None:
    """All derivations of an operator, at some sizes, against the loops."""
    kernel = np.random.default_rng(len(oracle.terms)).integers(-4, 5, oracle.kernel_shape)
    matrix = oracle.matrix(kernel).astype(np.int64)
    for kind in KINDS:
        found = getattr(ca.derive, kind)(operator)
        lines = Lines(numbers, kernel)
        for step in found.steps:
            lines.check(step.formula)
        if kind == "output_size":
            assert tuple(lines.sizes.values()) == oracle.out_shape[-len(lines.sizes) :]
        elif kind == "receptive_field":
            if boundary == "zeros":
                check_field(lines, oracle)
        else:
            assert (lines.reading.matrix("A") == matrix).all(), kind
        assert lines.checked >= len(found.steps)


def check_field(lines: Lines, oracle: naive.Layer) -> None:
    """The inputs that an output reads are those of its printed set that there are."""
    dims = len(lines.intervals)
    assert dims
    for axis in range(dims):
        place = len(oracle.in_shape) - dims + axis
        size = oracle.in_shape[place]
        found: dict[int, set[int]] = {}
        for output, source in oracle.support():
            own = output[len(oracle.out_shape) - dims + axis]
            found.setdefault(own, set()).add(source[place])
        bounds, reads = lines.intervals[axis]
        for u, sources in found.items():
            low, high = bounds(u)
            assert sources == {i for i in reads(u) if 0 <= i < size}
            assert all(low <= i <= high for i in sources)


def checked(drawn: Drawn) -> None:
    options = {**drawn.options}
    kernel = ca.kernel(*drawn.weights.shape)
    operator = getattr(ca, drawn.kind)(drawn.shape, kernel, **options)
    check(operator, drawn.oracle, {}, drawn.options.get("boundary", "zeros"))


DRAWN = layers(dims=(1, 1, 1, 2))


@settings(max_examples=FEW)
@given(DRAWN)
def test_the_printed_formulas_hold(drawn: Drawn) -> None:
    checked(drawn)


@pytest.mark.thorough
@settings(max_examples=MANY)
@given(DRAWN)
def test_the_printed_formulas_of_many_layers_hold(drawn: Drawn) -> None:
    checked(drawn)
