"""The report of a check: numbers and arrays as text, features, and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from convalg import check
from convalg.check.problem import KINDS
from convalg.check.report import array_text, features, number_text
from convalg.check.sweep import Config

PLAIN = Config((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), (0, 0))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[1.0, -2.0]], "[[1, -2]]"),
        ([0.5, 1 / 3], "[0.5, 0.3333]"),
        ([1.0, math.nan], "[1.0, nan]"),
        (np.zeros((1, 61)), "<array of shape (1, 61)>"),
        (np.zeros(60), str([0] * 60)),
    ],
)
def test_arrays_are_nested_lists_while_they_are_small(values: object, text: str) -> None:
    assert array_text(np.asarray(values)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2"), (-0.5, "-0.5"), (1 / 3, "0.333333"), (math.inf, "inf")]
)
def test_numbers_have_no_fraction_if_they_are_integers(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ({"batch": 2}, "the batch has several samples"),
        ({"shape": (4, 6), "stride": (2, 2)}, "the input is not square"),
        ({"size": (1, 3)}, "the kernel has a single tap along some axis"),
        ({"stride": (3, 3)}, "the stride is larger than the kernel"),
        ({"stride": (3, 3)}, "the stride does not divide evenly"),
        ({"padding": (2, 2)}, "the padding is as large as the kernel"),
        ({"dilation": (2, 2)}, "the dilation is not 1"),
        ({"in_channels": 2, "out_channels": 2, "groups": 2}, "there are groups"),
        ({"in_channels": 2}, "a group has several input channels"),
        ({"padding": (0, 1)}, "an option differs between axes"),
    ],
)
def test_features_are_those_of_the_configuration(change: dict[str, object], feature: str) -> None:
    assert feature not in features(KINDS["forward"], PLAIN)
    assert feature in features(KINDS["forward"], replace(PLAIN, **change))


def test_a_plain_configuration_has_no_feature_but_a_stride_below_its_kernel() -> None:
    assert features(KINDS["forward"], PLAIN) == {"the stride differs from the kernel size"}


def test_the_dictionary_is_json_with_the_smallest_failure() -> None:
    report = check.average_pool(lambda x, size: x * math.inf, cases=8)
    table = json.loads(json.dumps(report.to_dict()))
    assert table["passed"] is False
    assert table["failures"] == len(report.failures)
    smallest = report.smallest
    assert smallest is not None
    assert table["smallest"]["shapes"] == {"x": list(smallest.problem.x.shape)}
    assert np.array_equal(table["smallest"]["inputs"]["x"], smallest.problem.x)
    assert report.diagnosis[0].code in repr(report)
    assert str(report.diagnosis[0]) in report.explain()
