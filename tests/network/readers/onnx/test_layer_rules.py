"""ONNX nodes that are layers: outputs as onnxruntime computes them, and reasons for opaque ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx_checks import cases_of, check_field, check_jacobian, check_runtime, reasons
from onnx_models import IMAGE, Case, floats, model, node, saved

from convalg.network.readers.onnx.reader import read_onnx

CASES = cases_of("layer_rules")


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_onnxruntime(case: Case, tmp_path: Path) -> None:
    check_runtime(case, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_jacobians_are_differences(case: Case, tmp_path: Path) -> None:
    check_jacobian(case, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_receptive_fields_contain_what_is_read(case: Case, tmp_path: Path) -> None:
    check_field(case, tmp_path)


REASONS: list[tuple[str, list[Any], Any, dict[str, Any]]] = [
    ("Conv: input 1 is not a constant", [node("Conv", "x x")], (1, 4, 4, 4), {}),
    (
        "Conv: its kernel has 3 axes, not 2 and 2 spatial axes",
        [node("Conv", "x k")],
        IMAGE,
        {"k": floats(6, 4, 3)},
    ),
    (
        "Conv: its strides, dilations or pads do not belong to 2",
        [node("Conv", "x k", strides=[1])],
        IMAGE,
        {"k": floats(6, 4, 3, 3)},
    ),
    ("Softmax: it sums over the batch", [node("Softmax", "x", axis=0)], IMAGE, {}),
    ("LRN: its window of 4 channels", [node("LRN", "x", size=4)], IMAGE, {}),
    ("ReduceMean: it reduces axes", [node("ReduceMean", "x", axes=[1])], IMAGE, {}),
    (
        "Add: its constant of shape (3, 1, 1, 1)",
        [node("Add", "x c")],
        (3, 4, 9, 8),
        {"c": floats(3, 1, 1, 1)},
    ),
    (
        "Gemm: it is not the product of a matrix and a vector",
        [node("Gemm", "x w", transA=1)],
        (6, 6),
        {"w": floats(6, 6)},
    ),
    (
        "MaxPool: its second output, the indices of the maxima",
        [node("MaxPool", "x", "y i", kernel_shape=[2, 2])],
        IMAGE,
        {},
    ),
]


@pytest.mark.parametrize("case", REASONS, ids=lambda case: case[0])
def test_an_opaque_node_has_its_reason(case: Any, tmp_path: Path) -> None:
    reason, nodes, shape, constants = case
    net = read_onnx(saved(model(nodes, shape, constants), tmp_path))
    assert any(text.startswith(reason) for text in reasons(net)), reasons(net)
