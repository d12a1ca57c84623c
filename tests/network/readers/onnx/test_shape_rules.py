"""ONNX nodes that rearrange samples: outputs as in onnxruntime, and reasons for opaque ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_checks import cases_of, check_field, check_jacobian, check_runtime, reasons
from onnx_models import IMAGE, Case, ints, model, node, saved

from convalg.network.readers.onnx.reader import read_onnx

CASES = cases_of("shape_rules")


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
    (
        "Pad: it pads the batch or channels",
        [node("Pad", "x p")],
        IMAGE,
        {"p": ints(0, 1, 0, 0, 0, 0, 0, 0)},
    ),
    (
        "Pad: it pads with",
        [node("Pad", "x p v")],
        IMAGE,
        {"p": ints(0, 0, 1, 0, 0, 0, 0, 0), "v": np.float32(2)},
    ),
    (
        "Slice: its step is -1",
        [node("Slice", "x s e a t")],
        IMAGE,
        {"s": ints(8), "e": ints(0), "a": ints(2), "t": ints(-1)},
    ),
    ("Transpose: its order", [node("Transpose", "x", perm=[1, 0, 2, 3])], IMAGE, {}),
    ("Concat: it concatenates along the batch", [node("Concat", "x x", axis=0)], IMAGE, {}),
    (
        "Flatten: it flattens from axis 2, not from axis 1",
        [node("Flatten", "x", axis=2)],
        IMAGE,
        {},
    ),
    (
        "Resize: it interpolates with mode cubic",
        [node("Resize", "x - s", mode="cubic")],
        IMAGE,
        {"s": np.float32([1, 1, 2, 2])},
    ),
    ("DepthToSpace: its input", [node("DepthToSpace", "x", blocksize=3)], IMAGE, {}),
    ("SpaceToDepth: its input", [node("SpaceToDepth", "x", blocksize=2)], IMAGE, {}),
    ("Reshape: its target shape (36, 8)", [node("Reshape", "x s")], IMAGE, {"s": ints(36, 8)}),
    ("Expand: it repeats the batch", [node("Expand", "x s")], IMAGE, {"s": ints(2, 4, 9, 8)}),
]


@pytest.mark.parametrize("case", REASONS, ids=lambda case: case[0])
def test_an_opaque_node_has_its_reason(case: Any, tmp_path: Path) -> None:
    reason, nodes, shape, constants = case
    net = read_onnx(saved(model(nodes, shape, constants), tmp_path))
    assert any(text.startswith(reason) for text in reasons(net)), reasons(net)
