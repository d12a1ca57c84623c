"""The sections on the receptive field, on shifts and on cost, by plain loops."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.sheet.blocks import Claim, Code, Section, Table
from convalg.sheet.sections.reach import cost_section, field_section, shift_section


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


@pytest.mark.parametrize(
    ("stride", "dilation", "taps"), [(1, 1, 3), (2, 1, 3), (1, 3, 2), (3, 2, 4)]
)
def test_the_fields_of_stacked_layers_are_the_samples_reached(
    stride: int, dilation: int, taps: int
) -> None:
    layer = ca.correlation(20, ca.kernel(taps), stride=stride, dilation=dilation)
    (table,) = tables(field_section(layer))
    reached = {0}
    for depth, (label, size, step, padding) in enumerate(table.rows, 1):
        reached = {stride * o + dilation * t for o in reached for t in range(taps)}
        assert (label, size) == (str(depth), str(max(reached) + 1))
        assert (step, padding) == (str(stride**depth), "0")


def test_a_stack_that_is_too_long_to_draw_has_fewer_layers() -> None:
    (table,) = tables(field_section(ca.correlation(60, ca.kernel(9), stride=5)))
    assert [row[1] for row in table.rows] == ["9", "49"]


def test_a_transposed_layer_reads_at_most_the_bound() -> None:
    section = field_section(ca.transposed_correlation(4, ca.kernel(3), stride=2))
    (claim,) = (block for block in section.blocks if isinstance(block, Claim))
    assert claim.statement == "Each output reads from 1 to 2 samples."
    assert claim.check.passed


def test_the_cost_of_a_layer_is_counted_entry_by_entry() -> None:
    layer = ca.correlation(6, ca.kernel(3), padding=1)
    (table,) = tables(cost_section(layer, layer))
    entries = sum(0 <= o + t - 1 < 6 for o in range(6) for t in range(3))
    assert [row[1] for row in table.rows] == [*[str(entries)] * 3, "3", str(2 * entries + 6 + 1)]
    assert {row[2] for row in table.rows} == {"36"}


@pytest.mark.parametrize("transposed", [False, True])
def test_only_the_code_for_a_layer_runs(transposed: bool) -> None:
    layer = ca.correlation(6, ca.kernel(3), stride=2)
    section = shift_section(layer.T if transposed else layer)
    (code,) = (block for block in section.blocks if isinstance(block, Code))
    assert code.runs != transposed
