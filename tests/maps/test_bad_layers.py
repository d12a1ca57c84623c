"""Layers given nonsense: each call raises one class, in words that name the argument at fault.

The table is bad_layers.txt.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from bad_rows import check_refused, rows
from house import MODULES, Module, message, phrases, raised, words

import convalg as ca

TABLE = Path(__file__).parents[1] / "tables" / "bad_layers.txt"
A = ca.correlation(5, [1, 2, 3])
NAMES: dict[str, Any] = {
    "np": np,
    "ca": ca,
    "sympy": sympy,
    "Fraction": Fraction,
    "NAN": float("nan"),
    "A": A,
    "LAYER": ca.correlation((4, 4), np.ones((4, 1, 2, 2), dtype=int)),
    "NET": ca.relu(3) @ ca.affine(A, 1),
    "MASKED": np.ma.array([1, 0, 1, 1, 0], mask=[0, 0, 1, 0, 0]),
    "UNSIGNED": np.array([2**64 - 1, 1], dtype=np.uint64),
    "n": ca.sizes("n")[0],
    "HUGE": 10**12,
    "UNMAPPABLE": 10**16,
    "objects": lambda *values: np.array(values, dtype=object),
}


@pytest.mark.parametrize(("call", "error", "parts"), list(rows(TABLE)))
def test_bad_layers_are_refused_in_words(call: str, error: str, parts: list[str]) -> None:
    check_refused(call, error, parts, NAMES)


def test_no_row_comes_twice() -> None:
    calls = [row.id for row in rows(TABLE)]
    assert sorted(calls) == sorted(set(calls))


MAPS = [module for module in MODULES.values() if module.name.startswith("maps.")]


@pytest.mark.parametrize("module", MAPS, ids=lambda module: module.name)
def test_each_error_of_a_layer_has_a_row(module: Module) -> None:
    """Read from the table, so that each message is not only quoted but met."""
    table = words(TABLE.read_text(encoding="utf-8"))
    texts = [text for call in raised(module) for text in message(call, module)]
    assert [text for text in texts if not any(one in table for one in phrases(text))] == []


@pytest.mark.parametrize(
    "call",
    [
        "ca.relu(UNMAPPABLE)",
        "ca.softmax((UNMAPPABLE, 2))",
        "ca.sum_pool(UNMAPPABLE, 2)",
        "ca.average_pool(UNMAPPABLE, 2)",
        "ca.global_pool((UNMAPPABLE, 2))",
        "ca.adaptive_pool(UNMAPPABLE, 1)",
        "ca.lp_pool(UNMAPPABLE, 2)",
        "ca.flatten((UNMAPPABLE, 2))",
        "ca.local_response_norm((3, UNMAPPABLE), 3)",
        "ca.batch_norm((2, UNMAPPABLE), 0, 1)",
        "ca.batch_norm_training((2, 2, UNMAPPABLE))",
        "ca.embeddings([(UNMAPPABLE,), (2,)])[0]",
        "ca.concat([ca.relu(UNMAPPABLE), ca.sigmoid(UNMAPPABLE)])",
    ],
)
def test_what_stores_nothing_may_be_of_any_size(call: str) -> None:
    layer = eval(call, NAMES)
    assert "10000000000000000" in repr(layer)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        ("ca.average_pool(n, 2)", "sum_pool(n, 2)"),
        ("ca.average_pool(4, 2, divisor_override=n)", "1/n * sum_pool(4, 2)"),
        ("ca.sum_pool(n, 2, padding=1)", "sum_pool(n, 2, padding="),
        ("ca.global_pool((n, 2))", "sum_pool((n, 2), (n, 2))"),
        ("ca.flatten((n, 2))", "reshape((n, 2), 2*n)"),
        ("ca.concat([ca.identity(n), ca.identity(n)])", "pad(n, "),
    ],
)
def test_letters_are_sizes_where_the_operator_is_a_family(make: str, found: str) -> None:
    assert found in repr(eval(make, NAMES))
