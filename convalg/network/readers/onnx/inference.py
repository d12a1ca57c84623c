"""The shapes that ONNX itself infers for the outputs of one node."""

from __future__ import annotations

from typing import Any

from convalg.network.readers.onnx.builder import FLOAT, SMALL, Builder, Data, Outside
from convalg.network.readers.onnx.tensors import Constant
from convalg.size import is_symbolic

MOST_BYTES = 2**20
"""The size of the largest node whose shapes are inferred, in bytes."""


def inferred(b: Builder, proto: Any, opsets: Any) -> dict[str, tuple[int, Any]]:
    """Return element type and shape (None if unknown) of the outputs, as far as ONNX infers them.

    ONNX gets a model of the node alone, whose inputs have the sizes that are known here.
    """
    import onnx
    from onnx import helper, shape_inference

    if proto.ByteSize() > MOST_BYTES:
        return {}
    inputs, constants = [], []
    for name in dict.fromkeys(proto.input):
        value = b.values.get(name)
        shape = _shape_of(b, value)
        if isinstance(value, Constant) and _is_small(value):
            constants.append(onnx.numpy_helper.from_array(value.array(), name))
        elif shape is not None and name:
            elem = b.types.get(name, FLOAT)
            if isinstance(value, Constant):
                if value.dtype.kind == "O":
                    continue
                elem = helper.np_dtype_to_tensor_dtype(value.dtype)
            inputs.append(helper.make_tensor_value_info(name, elem, shape))
    outputs = [onnx.ValueInfoProto(name=name) for name in proto.output if name]
    graph = helper.make_graph([proto], "one", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=list(opsets))
    try:
        # Data propagation would create a dimension for each number of a vector.
        result = shape_inference.infer_shapes(model, data_prop=False)
    except (shape_inference.InferenceError, RuntimeError, ValueError, UnicodeDecodeError):
        return {}
    values = (*result.graph.output, *result.graph.value_info)
    return {value.name: _described(value) for value in values}


def _is_small(value: Constant) -> bool:
    """Whether to pass the numbers of a constant to ONNX, since shapes may depend on them."""
    return not value.absent and value.size <= SMALL and value.dtype.kind in "fiub"


def _shape_of(b: Builder, value: object) -> tuple[int, ...] | None:
    """Return the shape of a value with the batch, None where it is not known."""
    shape: tuple[Any, ...] | None
    if isinstance(value, Data):
        shape = b.full_shape(value)
    elif isinstance(value, (Constant, Outside)):
        shape = value.shape
    else:
        return None
    if shape is None or any(is_symbolic(n) or n >= 2**63 for n in shape):
        return None
    return tuple(int(n) for n in shape)


def _described(proto: Any) -> tuple[int, Any]:
    tensor = proto.type.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type or FLOAT, None
    sizes = [int(d.dim_value) if d.dim_value > 0 else None for d in tensor.shape.dim]
    return tensor.elem_type or FLOAT, None if None in sizes else tuple(sizes)
