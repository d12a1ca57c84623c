"""The adjoint that a sheet names is the transposed matrix, and its sentence describes it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from strategies import layers

import convalg as ca
from convalg.sheet.blocks import Text
from convalg.sheet.numeric_example import worked
from convalg.sheet.sections.backward import input_section, named_adjoint


@given(layers())
def test_the_named_adjoint_is_the_transposed_matrix(drawn: Any) -> None:
    layer = drawn.operator
    assert (named_adjoint(layer).to_numpy() == layer.to_numpy().T).all()


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (ca.correlation(6, ca.kernel(3)), "The adjoint is again a single correlation:"),
        (
            ca.correlation(6, ca.kernel(3)).T,
            "This layer is itself the adjoint of a layer, and its adjoint is that layer:",
        ),
        (
            ca.correlation(7, ca.kernel(3), stride=2, padding=1, boundary="reflect"),
            "The adjoint applies several operators in this order: upsampling with zeros, then a "
            "correlation, then adding the border to the samples that it was copied from.",
        ),
        (
            ca.correlation(6, ca.kernel(4, 2, 2), groups=2, stride=2),
            "The adjoint applies several operators in this order: upsampling with zeros, then a "
            "correlation.",
        ),
    ],
)
def test_the_sentence_on_the_adjoint_lists_its_operators(layer: ca.Operator, sentence: str) -> None:
    section = input_section(layer, worked(layer, layer))
    assert sentence in [block.text for block in section.blocks if isinstance(block, Text)]
