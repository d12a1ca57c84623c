"""Weights that are not plain initialisers, and models whose output is no function of the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import floats, helper, ints, model, node, onnx, runtime, saved

import convalg as ca
from convalg import read_onnx
from convalg.errors import ArgumentError, FileError
from convalg.network import layers as net_layers

FLOAT = onnx.TensorProto.FLOAT
SHAPE = (1, 2, 6, 5)
KERNEL = np.arange(54, dtype=np.int8).reshape(3, 2, 3, 3) - 20
ONE, ZERO = np.float32(0.1), np.int8(0)
PADS = {"pads": [1, 1, 1, 1]}


def value(name: str, shape: Any, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def as_input() -> Any:
    return model([node("Conv", "x w", **PADS)], SHAPE, inputs=[value("w", (3, 2, 3, 3))])


def dequantised() -> Any:
    nodes = [node("DequantizeLinear", "w s z", "d"), node("Conv", "x d", **PADS)]
    return model(nodes, SHAPE, {"w": KERNEL, "s": ONE, "z": ZERO})


def per_channel() -> Any:
    nodes = [node("DequantizeLinear", "w s z", "d", axis=0), node("Conv", "x d", **PADS)]
    scales = np.array([0.1, 0.2, 0.3], np.float32)
    return model(nodes, SHAPE, {"w": KERNEL, "s": scales, "z": np.zeros(3, np.int8)})


def faked() -> Any:
    """Quantised and back, the data too, as training for quantisation has it."""
    nodes = [
        node("QuantizeLinear", "w s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "xd"),
        node("Conv", "xd d", **PADS),
    ]
    return model(nodes, SHAPE, {"w": floats(3, 2, 3, 3), "s": ONE, "z": ZERO})


def integer() -> Any:
    nodes = [
        node("QuantizeLinear", "x s z", "xq"),
        node("QLinearConv", "xq s z w s z s z", "yq", **PADS),
        node("DequantizeLinear", "yq s z"),
    ]
    return model(nodes, SHAPE, {"w": KERNEL, "s": ONE, "z": ZERO})


@pytest.mark.parametrize("make", [as_input, dequantised, per_channel, faked, integer])
def test_the_geometry_of_weights_wherever_they_come_from(make: Any, tmp_path: Path) -> None:
    net = read_onnx(saved(make(), tmp_path))
    counts, field = net.counts, net.receptive_field()
    assert (net.parameters, counts.nonzeros, counts.padded) == (54, 1248, 1620)
    assert (field.size, field.exact) == ((3, 3), True)
    assert int(field.mask((2, 2)).sum()) == 9
    assert net.graph.graph["left_out"] == []


@pytest.mark.parametrize("make", [dequantised, per_channel])
def test_quantised_weights_run_as_in_onnxruntime(make: Any, tmp_path: Path) -> None:
    path = saved(make(), tmp_path)
    x = floats(*SHAPE, seed=3)
    np.testing.assert_allclose(read_onnx(path)(x), runtime(path, x), rtol=1e-5, atol=1e-5)


def test_weights_that_are_an_input_can_be_set(tmp_path: Path) -> None:
    net = read_onnx(saved(as_input(), tmp_path))
    (name,) = [node for node, _ in net.layers()]
    with pytest.raises(
        ArgumentError, match=r"the arrays kernel of node .* have not been set: call"
    ):
        net(floats(*SHAPE))
    net.set_weights(name, kernel=KERNEL)
    assert net(floats(*SHAPE)).shape == (1, 3, 6, 5)


def test_a_second_image_is_no_weight(tmp_path: Path) -> None:
    built = model([node("Add", "x w")], SHAPE, inputs=[value("w", SHAPE)])
    net = read_onnx(saved(built, tmp_path))
    assert net.parameters == 0
    assert "input w, since a network has only one input" in net.graph.graph["left_out"]
    assert isinstance(net[net.output], net_layers.Opaque)
    with pytest.raises(ArgumentError, match="is an opaque layer, of which only"):
        net(floats(*SHAPE))


def test_weights_of_opaque_operators_count(tmp_path: Path) -> None:
    arrays = {"w": floats(1, 16, 3), "r": floats(1, 16, 4)}
    nodes = [node("LSTM", "x w r", hidden_size=4)]
    net = read_onnx(saved(model(nodes, (5, 1, 3), arrays), tmp_path))
    assert net.parameters == 16 * 3 + 16 * 4


CONSTANT: list[tuple[list[Any], dict[str, Any]]] = [
    ([node("Shape", "x", "s"), node("Cast", "s", to=FLOAT)], {}),
    ([node("ConstantOfShape", "c")], {"c": ints(2, 2)}),
    ([node("Identity", "c")], {"c": floats(3)}),
    ([node("Size", "x", "s"), node("Cast", "s", to=FLOAT)], {}),
]


@pytest.mark.parametrize(("nodes", "constants"), CONSTANT)
def test_an_output_that_is_a_constant_is_refused(
    nodes: list[Any], constants: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(FileError, match="it does not depend on the entries of the input x"):
        read_onnx(saved(model(nodes, SHAPE, constants), tmp_path))


def test_a_second_output_of_a_node_is_not_the_first(tmp_path: Path) -> None:
    built = model([node("MaxPool", "x", "p y", kernel_shape=[2, 2])], SHAPE)
    net = read_onnx(saved(built, tmp_path))
    assert isinstance(net[net.output], net_layers.Opaque)
    built = model([node("Dropout", "x", "d y")], SHAPE)
    with pytest.raises(FileError, match="is not computed: it does not depend"):
        read_onnx(saved(built, tmp_path))


def test_several_outputs_must_be_named(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("Tanh", "x", "b"), node("Shape", "x", "c")]
    net = read_onnx(saved(model(nodes, SHAPE, outputs="a b"), tmp_path))
    with pytest.raises(
        ArgumentError, match="has several outputs, and the network has the nodes a, b"
    ):
        net(floats(*SHAPE))
    assert net(floats(*SHAPE), "b").shape == SHAPE
    net = read_onnx(saved(model(nodes, SHAPE, outputs="a c"), tmp_path))
    assert net.graph.graph["left_out"] == ["output c, which is a constant"]
    with pytest.raises(
        ArgumentError, match="has several outputs, and the network has the nodes a f"
    ):
        net(floats(*SHAPE))


def test_a_model_without_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not contain a network: the model has no output"):
        read_onnx(saved(model([node("Relu", "x")], SHAPE, outputs=""), tmp_path))


# Budgets.


def test_an_array_of_many_steps_is_refused(tmp_path: Path) -> None:
    nodes = [node("Transpose", "w" if not k else f"t{k}", f"t{k + 1}") for k in range(300)]
    nodes.append(node("MatMul", "x t300"))
    built = model(nodes, (1, 40), {"w": floats(40, 40)})
    with pytest.raises(FileError, match="is computed from other constants in more than 200 steps"):
        read_onnx(saved(built, tmp_path))


@pytest.mark.parametrize("op", ["Relu", "GlobalAveragePool", "Flatten", "Softmax", "Conv"])
def test_axes_of_a_billion_are_answered_or_refused(op: str, tmp_path: Path) -> None:
    attributes = {"kernel_shape": [3]} if op == "Conv" else {}
    built = model([node(op, "x w" if op == "Conv" else "x", **attributes)], (1, 1, 10**9))
    if op == "Conv":
        built.graph.initializer.append(onnx.numpy_helper.from_array(floats(1, 1, 3), "w"))
    net = read_onnx(saved(built, tmp_path))
    field = net.receptive_field()
    for ask in (field.holes, field.readers, field.mask, field.positions):
        try:
            ask(0)
        except ca.errors.ConvalgError as error:
            assert "needs" in str(error) or "not indexed by position" in str(error)  # noqa: PT017
    from convalg.network.analysis import analyse

    assert analyse(net).to_dict()["layers"]


def test_numbers_that_are_not_there_are_said_to_be_missing(tmp_path: Path) -> None:
    built = model([node("Reshape", "x w")], SHAPE, inputs=[value("w", (2,))])
    net = read_onnx(saved(built, tmp_path))
    told = [*net.graph.graph["left_out"], *(getattr(k, "reason", "") for _, k in net.layers())]
    assert any("the entries of input 1 are not available: w is an input" in text for text in told)
    from convalg.network.readers.onnx.tensors import absent

    with pytest.raises(
        ArgumentError, match=r"the entries of an array of shape .* are not available: why"
    ):
        absent((2, 3), "f4", "why").array()
