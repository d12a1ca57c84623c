"""ONNX nodes that normalise: outputs as onnxruntime computes them, and reasons for opaque ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx_checks import cases_of, check_field, check_jacobian, check_runtime, opaque, reasons
from onnx_models import IMAGE, Case, floats, ints, model, node, saved

import convalg as ca
from convalg.network.readers.onnx.reader import read_onnx

CASES = cases_of("norm_rules")


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
    ("PRelu: input 1 is not a constant", [node("PRelu", "x x")], IMAGE, {}),
    ("PRelu: its slope has the type", [node("PRelu", "x s")], IMAGE, {"s": ints(2)}),
    ("LogSoftmax: it sums over the batch", [node("LogSoftmax", "x", axis=0)], IMAGE, {}),
]


@pytest.mark.parametrize("case", REASONS, ids=lambda case: case[0])
def test_an_opaque_node_has_its_reason(case: Any, tmp_path: Path) -> None:
    reason, nodes, shape, constants = case
    net = read_onnx(saved(model(nodes, shape, constants), tmp_path))
    assert any(text.startswith(reason) for text in reasons(net)), reasons(net)


NORMS = [
    ("LayerNormalization: it normalises over the batch", 17, {"axis": 0}, "y"),
    ("LayerNormalization: its outputs for the mean or the deviation", 17, {}, "y m"),
    ("GroupNormalization: its 3 groups do not divide 4", 21, {"num_groups": 3}, "y"),
    ("GroupNormalization: its 0 groups do not divide 4", 21, {"num_groups": 0}, "y"),
]


@pytest.mark.parametrize("case", NORMS, ids=lambda case: case[0])
def test_an_opaque_norm_has_its_reason(case: Any, tmp_path: Path) -> None:
    reason, opset, attributes, outputs = case
    nodes = [node(reason.partition(":")[0], "x s s", outputs, **attributes)]
    built = model(nodes, IMAGE, {"s": floats(8 if opset == 17 else 4)}, opset=opset)
    net = read_onnx(saved(built, tmp_path))
    assert any(text.startswith(reason) for text in reasons(net)), reasons(net)


def test_a_norm_of_symbolic_sizes_is_opaque(tmp_path: Path) -> None:
    built = model(
        [node("InstanceNormalization", "x s s")], ("n", 4, "h", "w"), {"s": floats(4)}, opset=13
    )
    sizes = (4, *ca.sizes("h w"))
    net = read_onnx(saved(built, tmp_path), sizes)
    (reason,) = [*opaque(net).values(), *net.graph.graph["left_out"]]
    assert "has symbolic sizes" in reason
