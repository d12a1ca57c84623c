"""Small ONNX models for the tests, as lists of nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
Array = np.ndarray

X = "x"


def node(op: str, inputs: str, outputs: str = "y", **attributes: Any) -> Any:
    """A node; names are words, "-" an input that is not given."""
    names = ["" if word == "-" else word for word in inputs.split()]
    return helper.make_node(op, names, outputs.split(), **attributes)


def model(
    nodes: list[Any],
    shape: Any,
    constants: dict[str, Any] | None = None,
    *,
    opset: int = 13,
    outputs: str = "y",
    **more: Any,
) -> Any:
    """A model of one float input `x`, of a shape with its batch (or None: no shape)."""
    arrays = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    inputs = [helper.make_tensor_value_info(X, onnx.TensorProto.FLOAT, shape)]
    inputs += more.pop("inputs", [])
    found = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in outputs.split()
    ]
    graph = helper.make_graph(nodes, "small", inputs, found, arrays, **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def saved(found: Any, folder: Path, name: str = "model.onnx") -> Path:
    """A model, or bytes, as a file."""
    path = folder / name
    path.write_bytes(found if isinstance(found, bytes) else found.SerializeToString())
    return path


def runtime(path: Path, x: Array, *, name: str = X) -> Array:
    """What onnxruntime gives."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: x})[0]


def floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


IMAGE = ("n", 4, 9, 8)
"""A symbolic batch, four channels, an odd and an even size."""
LINE = ("n", 6)
K = floats(6, 4, 3, 2)

Case = tuple[str, int, list[Any], Any, dict[str, Any]]
"""A name, the opset, nodes from x to y, the input's shape, constants."""

CASES: list[Case] = [
    (
        "conv",
        7,
        [node("Conv", "x k b", pads=[1, 0, 2, 1], strides=[2, 1])],
        IMAGE,
        {"k": K, "b": floats(6)},
    ),
    (
        "conv same",
        11,
        [node("Conv", "x k", auto_pad="SAME_UPPER", strides=[2, 2])],
        IMAGE,
        {"k": K},
    ),
    ("conv same lower", 22, [node("Conv", "x k", auto_pad="SAME_LOWER")], IMAGE, {"k": K}),
    ("conv valid", 13, [node("Conv", "x k", auto_pad="VALID", dilations=[2, 3])], IMAGE, {"k": K}),
    ("conv groups", 13, [node("Conv", "x k", group=2)], IMAGE, {"k": floats(6, 2, 3, 3)}),
    ("conv 1d", 13, [node("Conv", "x k", pads=[1, 1])], ("n", 4, 9), {"k": floats(2, 4, 3)}),
    ("conv 3d", 13, [node("Conv", "x k")], (1, 2, 3, 4, 5), {"k": floats(2, 2, 2, 2, 2)}),
    (
        "transposed",
        11,
        [node("ConvTranspose", "x k b", strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 0])],
        IMAGE,
        {"k": floats(4, 3, 3, 3), "b": floats(3)},
    ),
    (
        "transposed shape",
        11,
        [
            node(
                "ConvTranspose", "x k", strides=[2, 2], output_shape=[19, 17], output_padding=[1, 1]
            )
        ],
        IMAGE,
        {"k": floats(4, 3, 3, 3)},
    ),
    (
        "transposed groups",
        22,
        [node("ConvTranspose", "x k", group=2)],
        IMAGE,
        {"k": floats(4, 3, 3, 3)},
    ),
    (
        "max pool",
        12,
        [node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=1)],
        IMAGE,
        {},
    ),
    (
        "average pool",
        7,
        [node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        IMAGE,
        {},
    ),
    (
        "average pool padded",
        11,
        [
            node(
                "AveragePool",
                "x",
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
                count_include_pad=1,
            )
        ],
        IMAGE,
        {},
    ),
    (
        "global pools",
        13,
        [node("GlobalAveragePool", "x", "a"), node("GlobalMaxPool", "x", "b"), node("Add", "a b")],
        IMAGE,
        {},
    ),
    ("mean", 13, [node("ReduceMean", "x", axes=[2, 3], keepdims=0)], IMAGE, {}),
    ("mean by input", 18, [node("ReduceMean", "x a", keepdims=1)], IMAGE, {"a": ints(-1, -2)}),
    (
        "batch norm",
        9,
        [node("BatchNormalization", "x s o m v", epsilon=1e-3)],
        IMAGE,
        {"s": floats(4), "o": floats(4, seed=1), "m": floats(4, seed=2), "v": floats(4) ** 2},
    ),
    ("lrn", 13, [node("LRN", "x", size=3, alpha=0.1, beta=0.6, bias=2.0)], IMAGE, {}),
    *[
        (op, 14, [node(op, "x")], IMAGE, {})
        for op in (
            "Relu",
            "Sigmoid",
            "Tanh",
            "Exp",
            "Abs",
            "Erf",
            "Softplus",
            "HardSwish",
            "Identity",
        )
    ],
    ("leaky", 13, [node("LeakyRelu", "x", alpha=0.3)], IMAGE, {}),
    ("hard sigmoid", 13, [node("HardSigmoid", "x", alpha=0.3, beta=0.4)], IMAGE, {}),
    ("elu", 13, [node("Elu", "x", alpha=0.7)], IMAGE, {}),
    ("gelu", 20, [node("Gelu", "x")], IMAGE, {}),
    ("clip 6", 7, [node("Clip", "x", min=-0.5, max=0.25)], IMAGE, {}),
    ("clip", 13, [node("Clip", "x - h")], IMAGE, {"h": np.float32(0.5)}),
    ("power", 13, [node("Pow", "x p")], IMAGE, {"p": np.float32(2)}),
    (
        "roots",
        13,
        [
            node("Abs", "x", "a"),
            node("Add", "a one", "b"),
            node("Sqrt", "b", "c"),
            node("Log", "c"),
        ],
        IMAGE,
        {"one": np.float32(1)},
    ),
    ("softmax", 13, [node("Softmax", "x", axis=1)], IMAGE, {}),
    ("softmax last", 13, [node("Softmax", "x")], IMAGE, {}),
    ("softmax old", 11, [node("Softmax", "x")], LINE, {}),
    ("dropout", 13, [node("Dropout", "x")], IMAGE, {}),
    (
        "gemm",
        13,
        [node("Gemm", "x w b", transB=1, alpha=0.5, beta=2.0)],
        LINE,
        {"w": floats(3, 6), "b": floats(3)},
    ),
    ("gemm plain", 7, [node("Gemm", "x w b")], LINE, {"w": floats(6, 3), "b": floats(1, 3)}),
    ("matmul", 13, [node("MatMul", "x w")], LINE, {"w": floats(6, 3)}),
    ("matmul rows", 13, [node("MatMul", "x w")], ("n", 5, 6), {"w": floats(6, 3)}),
    ("add constant", 13, [node("Add", "c x")], IMAGE, {"c": floats(1, 4, 1, 1)}),
    ("subtract constant", 13, [node("Sub", "x c")], IMAGE, {"c": floats(9, 1)}),
    ("constant minus", 13, [node("Sub", "c x")], IMAGE, {"c": floats(4, 1, 1)}),
    ("multiply", 13, [node("Mul", "x c")], IMAGE, {"c": floats(4, 1, 1)}),
    ("divide", 13, [node("Div", "x c")], IMAGE, {"c": np.float32(3)}),
    ("divided", 13, [node("Exp", "x", "e"), node("Div", "c e")], IMAGE, {"c": np.float32(3)}),
    ("quotient", 13, [node("Exp", "x", "e"), node("Div", "x e")], IMAGE, {}),
    ("difference", 13, [node("Exp", "x", "e"), node("Sub", "x e")], IMAGE, {}),
    (
        "residual",
        13,
        [node("Conv", "x k", "c", pads=[1, 1, 1, 1]), node("Add", "c x")],
        IMAGE,
        {"k": floats(4, 4, 3, 3)},
    ),
    (
        "squeeze and excite",
        13,
        [node("GlobalAveragePool", "x", "a"), node("Sigmoid", "a", "s"), node("Mul", "x s")],
        IMAGE,
        {},
    ),
    ("square", 13, [node("Mul", "x x")], IMAGE, {}),
    ("sum", 13, [node("Sum", "x x x")], IMAGE, {}),
    ("concat", 13, [node("Relu", "x", "r"), node("Concat", "x r x", axis=1)], IMAGE, {}),
    ("concat in space", 13, [node("Relu", "x", "r"), node("Concat", "x r x", axis=-1)], IMAGE, {}),
    ("flatten", 13, [node("Flatten", "x", axis=1)], IMAGE, {}),
    ("reshape", 13, [node("Reshape", "x s")], IMAGE, {"s": ints(0, 2, -1, 8)}),
    (
        "reshape by its own shape",
        13,
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "b", axis=0),
            node("Unsqueeze", "b axis", "c"),
            node("Concat", "c minus", "t", axis=0),
            node("Reshape", "x t"),
        ],
        IMAGE,
        {"zero": np.int64(0), "axis": ints(0), "minus": ints(-1)},
    ),
    ("transpose", 13, [node("Transpose", "x", perm=[0, 2, 3, 1])], IMAGE, {}),
    (
        "squeeze",
        11,
        [
            node("GlobalAveragePool", "x", "a"),
            node("Squeeze", "a", axes=[3]),
        ],
        IMAGE,
        {},
    ),
    ("unsqueeze", 13, [node("Unsqueeze", "x a")], IMAGE, {"a": ints(2)}),
    ("pad old", 7, [node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 0, 1])], IMAGE, {}),
    (
        "pad reflect",
        13,
        [node("Pad", "x p", mode="reflect")],
        IMAGE,
        {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)},
    ),
    ("pad axes", 18, [node("Pad", "x p - a")], IMAGE, {"p": ints(1, 2), "a": ints(-1)}),
    (
        "slices",
        13,
        [node("Slice", "x s e a t")],
        IMAGE,
        {"s": ints(1, -7), "e": ints(2**62, -1), "a": ints(1, 2), "t": ints(1, 2)},
    ),
    (
        "split",
        13,
        [node("Split", "x s", "a b", axis=1), node("Concat", "b a", axis=1)],
        IMAGE,
        {"s": ints(1, 3)},
    ),
    ("split evenly", 11, [node("Split", "x", "a b", axis=1), node("Mul", "a b")], IMAGE, {}),
    ("gather one", 13, [node("Gather", "x k", axis=1)], IMAGE, {"k": np.int64(-2)}),
    (
        "expand",
        13,
        [node("GlobalAveragePool", "x", "a"), node("Expand", "a s")],
        IMAGE,
        {"s": ints(4, 3, 2)},
    ),
    ("upsample 7", 7, [node("Upsample", "x", scales=[1.0, 1.0, 2.0, 2.0])], IMAGE, {}),
    ("upsample 9", 9, [node("Upsample", "x s")], IMAGE, {"s": np.float32([1, 1, 2, 3])}),
    ("resize nearest", 13, [node("Resize", "x - s")], IMAGE, {"s": np.float32([1, 1, 2, 2])}),
    (
        "resize linear",
        13,
        [node("Resize", "x - s", mode="linear")],
        IMAGE,
        {"s": np.float32([1, 1, 2, 2])},
    ),
    (
        "resize corners",
        11,
        [node("Resize", "x roi s", mode="linear", coordinate_transformation_mode="align_corners")],
        IMAGE,
        {"s": np.float32([1, 1, 2, 2]), "roi": np.float32([])},
    ),
    (
        "resize size",
        13,
        [node("Resize", "x - - s", mode="linear")],
        IMAGE,
        {"s": ints(1, 4, 5, 13)},
    ),
    ("resize 10", 10, [node("Resize", "x s")], IMAGE, {"s": np.float32([1, 1, 0.5, 2])}),
    ("neg", 13, [node("Neg", "x")], IMAGE, {}),
    ("reciprocal", 13, [node("Exp", "x", "e"), node("Reciprocal", "e")], IMAGE, {}),
    ("prelu", 9, [node("PRelu", "x s")], IMAGE, {"s": floats(4, 1, 1)}),
    ("prelu of one slope", 16, [node("PRelu", "x s")], LINE, {"s": np.float32([0.25])}),
    ("log softmax", 13, [node("LogSoftmax", "x", axis=1)], IMAGE, {}),
    ("log softmax last", 13, [node("LogSoftmax", "x")], IMAGE, {}),
    ("log softmax 11", 11, [node("LogSoftmax", "x")], LINE, {}),
    (
        "instance norm",
        7,
        [node("InstanceNormalization", "x s o", epsilon=1e-3)],
        IMAGE,
        {"s": floats(4), "o": floats(4, seed=1)},
    ),
    (
        "group norm",
        21,
        [node("GroupNormalization", "x s o", num_groups=2)],
        IMAGE,
        {"s": floats(4), "o": floats(4, seed=1)},
    ),
    (
        "layer norm",
        17,
        [node("LayerNormalization", "x s o")],
        IMAGE,
        {"s": floats(8), "o": floats(8, seed=1)},
    ),
    (
        "layer norm of a sample",
        17,
        [node("LayerNormalization", "x s", axis=1)],
        IMAGE,
        {"s": floats(4, 9, 8)},
    ),
    (
        "layer norm of a line",
        17,
        [node("LayerNormalization", "x s o", axis=-1)],
        LINE,
        {"s": floats(6), "o": floats(6, seed=1)},
    ),
    (
        "depth to space",
        13,
        [node("DepthToSpace", "x", blocksize=2)],
        IMAGE,
        {},
    ),
    (
        "depth to space by columns",
        13,
        [node("DepthToSpace", "x", blocksize=2, mode="CRD")],
        ("n", 8, 3, 2),
        {},
    ),
    ("space to depth", 13, [node("SpaceToDepth", "x", blocksize=2)], ("n", 3, 4, 6), {}),
    (
        "lp pool",
        11,
        [node("LpPool", "x", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], p=3)],
        IMAGE,
        {},
    ),
    (
        "lp pool same",
        11,
        [node("LpPool", "x", kernel_shape=[3, 3], auto_pad="SAME_UPPER")],
        IMAGE,
        {},
    ),
    (
        "lp pool dilated",
        18,
        [node("LpPool", "x", kernel_shape=[2, 2], dilations=[2, 3], ceil_mode=1)],
        IMAGE,
        {},
    ),
    ("global lp pool", 7, [node("GlobalLpPool", "x", p=1)], IMAGE, {}),
    (
        "constants",
        13,
        [
            node("Transpose", "w", "v", perm=[1, 0]),
            node("Mul", "v two", "u"),
            node("MatMul", "x u"),
        ],
        LINE,
        {"w": floats(3, 6), "two": np.float32(2)},
    ),
]

TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


def small_cnn(folder: Path, **options: Any) -> Path:
    nodes = [
        node("Conv", "x k b", "c", pads=[1, 1, 1, 1], name="first"),
        node("Relu", "c", "r", name="rectified"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f"),
        node("Gemm", "f w d", transB=1, name="last"),
    ]
    constants = {"k": floats(8, 3, 3, 3), "b": floats(8), "w": floats(10, 128), "d": floats(10)}
    return saved(model(nodes, ("batch", 3, 8, 8), constants, **options), folder)


def external(**entries: str) -> Callable[[], bytes]:
    def make() -> bytes:
        built = model([node("Conv", "x k")], IMAGE, {"k": floats(6, 4, 3, 2)})
        kernel = built.graph.initializer[0]
        kernel.ClearField("raw_data")
        kernel.data_location = onnx.TensorProto.EXTERNAL
        for key, value in entries.items():
            kernel.external_data.add(key=key, value=value)
        return built.SerializeToString()

    return make
