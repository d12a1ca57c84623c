"""Checks of small ONNX models, and the cases that belong to each module of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import CASES, TOLERANCE, Case, floats, model, runtime, saved

from convalg.network.layers.opaque import Opaque
from convalg.network.readers.onnx import norm_rules, shape_rules
from convalg.network.readers.onnx.reader import read_onnx


def cases_of(module: str) -> list[Any]:
    """Return the cases of one module of rules; each case belongs to exactly one module."""
    return [pytest.param(case, id=case[0]) for case in CASES if _owner(case) == module]


def _owner(case: Case) -> str:
    operators = {node.op_type for node in case[2]}
    if operators & set(norm_rules.RULES):
        return "norm_rules"
    return "shape_rules" if operators & set(shape_rules.RULES) else "layer_rules"


def opaque(net: Any) -> dict[str, str]:
    """Return the operator and the reason of each opaque node."""
    return {k: f"{v.operator}: {v.reason}" for k, v in net.layers() if isinstance(v, Opaque)}


def reasons(net: Any) -> list[str]:
    """Return the reasons of all operators without a layer, also of those without a shape."""
    told = [*opaque(net).values(), *net.graph.graph["left_out"]]
    return [text.replace(" y without a shape", "") for text in told]


def check_runtime(case: Case, tmp_path: Path) -> None:
    """Check the outputs of a case against onnxruntime."""
    _, opset, nodes, shape, constants = case
    path = saved(model(nodes, shape, constants, opset=opset), tmp_path)
    net = read_onnx(path)
    assert opaque(net) == {}
    assert net.graph.graph["left_out"] == []
    x = floats(1 if shape[0] == 1 else 3, *shape[1:], seed=7)
    # The sizes of a Resize by sizes hold the batch.
    batch = x[:1] if any(n.op_type in ("Resize", "Upsample") for n in nodes) else x
    np.testing.assert_allclose(net(batch), runtime(path, batch), **TOLERANCE)


def check_jacobian(case: Case, tmp_path: Path) -> None:
    """Check the Jacobian of a case against a central difference."""
    _, opset, nodes, shape, constants = case
    net = read_onnx(saved(model(nodes, shape, constants, opset=opset), tmp_path))
    x = floats(*shape[1:], seed=3).astype(float)
    direction = floats(*shape[1:], seed=4).astype(float)
    step = 1e-5
    slope = (net(x + step * direction) - net(x - step * direction)) / (2 * step)
    np.testing.assert_allclose(net.jacobian(x)(direction), slope, rtol=2e-3, atol=2e-4)


def check_field(case: Case, tmp_path: Path) -> None:
    """Check that the receptive field of a case contains every pixel that the Jacobian reads."""
    _, opset, nodes, shape, constants = case
    net = read_onnx(saved(model(nodes, shape, constants, opset=opset), tmp_path))
    if len(net.in_shape) < 3:
        pytest.skip("no spatial axes")
    reads = net.jacobian(floats(*shape[1:], seed=3).astype(float)).to_scipy().toarray()
    field = net.receptive_field()
    sizes = net.out_shape
    place = tuple(n // 2 for n in sizes)
    seen = reads[np.ravel_multi_index(place, sizes)].reshape(net.in_shape).any(axis=0)
    unit = place[1:] if len(sizes) > 1 else place[0]
    assert not (seen & ~field.mask(unit)).any()
