"""Shapes that the onnx package infers for operators without a layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_checks import opaque
from onnx_models import (
    IMAGE,
    floats,
    helper,
    ints,
    model,
    node,
    onnx,
    saved,
)

import convalg as ca
from convalg.network.readers.onnx.reader import read_onnx


def test_a_vector_of_integers_is_not_written_out_as_a_shape(tmp_path: Path) -> None:
    built = model([node("Add", "x c"), node("Mystery", "y", "z", domain="else")], (30_000_000,))
    long = helper.make_tensor_value_info("x", onnx.TensorProto.INT64, (1, 30_000_000))
    built.graph.input[0].CopyFrom(long)
    built.graph.initializer.append(onnx.numpy_helper.from_array(ints(1), "c"))
    built.opset_import.append(helper.make_opsetid("else", 1))
    net = read_onnx(saved(built, tmp_path))
    assert net.in_shape == (30_000_000,)


def test_an_unknown_operator_is_opaque(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x k", "c", name="before"),
        node("CumSum", "c a", "d", name="unknown"),
        node("Conv", "d m", name="behind"),
    ]
    constants = {"k": floats(6, 4, 3, 3), "m": floats(2, 6, 3, 3), "a": np.int64(1)}
    net = read_onnx(saved(model(nodes, IMAGE, constants), tmp_path))
    assert opaque(net) == {"unknown": "CumSum: this operator has no layer"}
    assert net.shapes["unknown"] == (6, 7, 6)
    assert net.out_shape == (2, 5, 4)
    assert net.receptive_field("before").size == (3, 3)
    assert net.receptive_field("behind").reach.kind == "whole"
    assert net.parameters == 6 * 36 + 2 * 54
    assert net(floats(4, 9, 8), "before").shape == (6, 7, 6)
    with pytest.raises(ca.errors.ArgumentError, match="is an opaque layer, of which only"):
        net(floats(4, 9, 8))


def test_what_has_no_shape_is_left_out(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r", name="kept"), node("NonZero", "r", "z"), node("Relu", "z")]
    net = read_onnx(saved(model(nodes, IMAGE), tmp_path))
    assert (list(net), net.output) == (["input", "kept"], "kept")
    assert net.graph.graph["left_out"][0].startswith("NonZero z without a shape")


def test_operators_of_other_domains_are_opaque_by_the_shape_that_the_file_gives(
    tmp_path: Path,
) -> None:
    info = [helper.make_tensor_value_info("d", onnx.TensorProto.FLOAT, (1, 7, 2, 2))]
    nodes = [node("Gadget", "x", "d", name="odd", domain="com.example"), node("Relu", "d")]
    built = model(nodes, (1, 4, 9, 8), value_info=info)
    built.opset_import.append(helper.make_opsetid("com.example", 1))
    net = read_onnx(saved(built, tmp_path))
    assert opaque(net) == {"odd": "Gadget: it belongs to the domain com.example"}
    assert net.out_shape == (7, 2, 2)
