"""The sections on the definition and the matrix describe the layer that they are about."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.sheet.blocks import Section, Text
from convalg.sheet.sections.definition import definition_section, matrix_section, sizes_section

GROUPED = ca.correlation((4, 4), ca.kernel(4, 3, 2, 2), groups=2)
TRANSPOSED = ca.transposed_correlation(3, ca.kernel(2), stride=2, output_padding=1)


def text_of(section: Section) -> str:
    return " ".join(block.text for block in section.blocks if isinstance(block, Text))


@pytest.mark.parametrize(
    ("layer", "sentences"),
    [
        (ca.correlation(5, ca.kernel(2)), ["so this is a correlation, which deep learning"]),
        (ca.convolution(5, ca.kernel(2)), ["so this is a convolution in the mathematical sense"]),
        (TRANSPOSED, ["contributes to all outputs that the kernel reaches from it"]),
        (
            GROUPED,
            [
                "The index g counts the 2 groups. The index o counts the output channels of a "
                "group. The index c counts the input channels of a group. ",
                "These two reflections together are a rotation by 180 degrees.",
            ],
        ),
        (
            ca.correlation(5, ca.kernel(2, 3, 2)),
            ["The index o counts output channels and c counts input channels."],
        ),
    ],
)
def test_the_symbols_of_the_definition_are_explained(
    layer: ca.Operator, sentences: list[str]
) -> None:
    text = text_of(definition_section(layer, layer))
    assert all(sentence in text for sentence in sentences)
    assert ("rotation" in text) == (layer is GROUPED)


def test_only_a_transposed_layer_has_output_padding() -> None:
    for layer in (GROUPED, TRANSPOSED):
        text = text_of(sizes_section(layer, layer))
        assert ("p1 is reduced by the output padding" in text) == (layer is TRANSPOSED)


def test_the_matrix_repeats_by_rows_or_by_columns() -> None:
    rows, columns = (text_of(matrix_section(layer)) for layer in (GROUPED, TRANSPOSED))
    assert "Each row is therefore the previous row, shifted to the right by s columns" in rows
    assert "Each column is therefore the previous column, shifted down by s rows" in columns
    assert ("With several axes" in rows, "With several axes" in columns) == (True, False)
    assert f"The {GROUPED.counts.nonzeros} non-zeros contain 48 different weights." in rows
