"""Shape inference by the onnx package for the outputs of one node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from convalg.network.readers.onnx.builder import FLOAT, SMALL, Builder, Data, Outside
from convalg.network.readers.onnx.tensors import Constant
from convalg.size import is_symbolic

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 2**20
"""The size in bytes of the largest node whose shapes are inferred."""


def inferred(
    b: Builder, proto: onnx.NodeProto, opsets: Iterable[onnx.OperatorSetIdProto]
) -> dict[str, tuple[int, Any]]:
    """Return the element type and the shape of each output that the onnx package can infer.

    A shape that is not known completely is None. The inference runs on a model of this node alone,
    whose inputs have the known shapes.
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
        # Data propagation would create a dimension for each entry of a vector.
        result = shape_inference.infer_shapes(model, data_prop=False)
    except (shape_inference.InferenceError, RuntimeError, ValueError, UnicodeDecodeError):
        return {}
    values = (*result.graph.output, *result.graph.value_info)
    return {value.name: _described(value) for value in values}


def _is_small(value: Constant) -> bool:
    """Return whether the inference gets the entries of a constant, on which shapes may depend."""
    return not value.absent and value.size <= SMALL and value.dtype.kind in "fiub"


def _shape_of(b: Builder, value: object) -> tuple[int, ...] | None:
    """Return the shape of a value with the batch, or None if it is not known."""
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


def _described(proto: onnx.ValueInfoProto) -> tuple[int, Any]:
    """Return the element type and the shape of a value; None for an incomplete shape."""
    tensor = proto.type.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type or FLOAT, None
    sizes = [int(d.dim_value) if d.dim_value > 0 else None for d in tensor.shape.dim]
    return tensor.elem_type or FLOAT, None if None in sizes else tuple(sizes)
