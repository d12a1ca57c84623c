"""Networks read from ONNX files: outputs as onnxruntime's, lazily, from files of any honesty."""

from __future__ import annotations

import builtins
import importlib.util
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_checks import opaque
from onnx_models import (
    IMAGE,
    TOLERANCE,
    external,
    floats,
    helper,
    model,
    node,
    onnx,
    runtime,
    saved,
    small_cnn,
)

import convalg as ca
from convalg.network import layers as net_layers
from convalg.network.readers.onnx.reader import read_onnx
from convalg.network.readers.onnx.tensors import shown

FLOAT = onnx.TensorProto.FLOAT


def test_a_network_is_as_one_written_here(tmp_path: Path) -> None:
    net = read_onnx(small_cnn(tmp_path))
    assert next(iter(net.layers())) == ("first", net_layers.Conv(8, 3, padding=1))
    own = ca.sequential(
        (3, 8, 8),
        [
            net_layers.Conv(8, 3, padding=1),
            net_layers.ReLU(),
            net_layers.MaxPool(2, stride=2),
            net_layers.Flatten(),
            net_layers.Dense(10),
        ],
    )
    assert net.parameters == own.parameters == 8 * 27 + 8 + 1280 + 10
    assert [r.nonzeros for r in net.summary().rows] == [r.nonzeros for r in own.summary().rows]
    assert net.receptive_field("rectified").size == (3, 3)


def test_numbers_stay_float32(tmp_path: Path) -> None:
    net = read_onnx(small_cnn(tmp_path))
    assert net.weights["first"]["kernel"].dtype == np.float32
    assert net(floats(3, 8, 8)).dtype == np.float32


@pytest.mark.parametrize("typed", [np.float64, np.float16])
def test_other_floats_are_read(typed: Any, tmp_path: Path) -> None:
    kernel = floats(2, 4, 3, 3).astype(typed)
    built = model([node("Cast", "k", "f", to=FLOAT), node("Conv", "x f")], IMAGE, {"k": kernel})
    path = saved(built, tmp_path)
    x = floats(1, 4, 9, 8)
    np.testing.assert_allclose(read_onnx(path)(x), runtime(path, x), **TOLERANCE)


def test_brain_floats_are_their_upper_halves(tmp_path: Path) -> None:
    kernel = helper.make_tensor("k", onnx.TensorProto.BFLOAT16, (1, 1, 1), [1.5])
    built = model([node("Conv", "x k")], (1, 1, 2))
    built.graph.initializer.append(kernel)
    assert read_onnx(saved(built, tmp_path))(np.float32([[2, 4]])).tolist() == [[3, 6]]


@pytest.mark.parametrize("field", ["float_data", "double_data", "int64_data", "int32_data"])
def test_typed_lists_are_read(field: str, tmp_path: Path) -> None:
    kinds = {"float_data": 1, "double_data": 11, "int64_data": 7, "int32_data": 3}
    values = [1, -2, 3, 4] * 200
    kernel = helper.make_tensor("k", kinds[field], (800, 1, 1), values)
    assert not kernel.raw_data
    built = model([node("Cast", "k", "f", to=FLOAT), node("Conv", "x f")], (1, 1, 1))
    built.graph.initializer.append(kernel)
    assert read_onnx(saved(built, tmp_path))(np.float32([[2]])).ravel().tolist() == [
        2.0 * v for v in values
    ]


def test_a_constant_condition_takes_its_branch(tmp_path: Path) -> None:
    def branch(op: str) -> Any:
        out = helper.make_tensor_value_info("z", FLOAT, None)
        return helper.make_graph([node(op, "x", "z")], op, [], [out])

    for value, op in ((True, net_layers.ReLU), (False, net_layers.Sigmoid)):
        taken = node("If", "c", then_branch=branch("Relu"), else_branch=branch("Sigmoid"))
        net = read_onnx(saved(model([taken], IMAGE, {"c": np.array(value)}), tmp_path))
        assert [type(layer) for _, layer in net.layers()] == [op]


def test_nodes_may_come_in_any_order(tmp_path: Path) -> None:
    path = small_cnn(tmp_path)
    built = onnx.load(path)
    x = floats(2, 3, 8, 8)
    want = read_onnx(path)(x)
    nodes = list(built.graph.node)[::-1]
    del built.graph.node[:]
    built.graph.node.extend(nodes)
    np.testing.assert_array_equal(read_onnx(saved(built, tmp_path))(x), want)


def test_a_path_is_a_string_or_a_path() -> None:
    with pytest.raises(ca.errors.KindError, match="path must be the path of a file, not None"):
        read_onnx(None)


# Lazily.


def test_100_megabytes_are_analysed_without_being_loaded(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w", transB=1, name="large")]
    weights = np.zeros((4000, 6400), np.float32)
    weights[5, 7] = 1
    path = saved(model(nodes, ("n", 1, 80, 80), {"w": weights}), tmp_path)
    assert path.stat().st_size > 100e6
    tracemalloc.start()
    net = read_onnx(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    rows = net.summary().rows
    field = net.receptive_field().size
    # Which channels a layer reads is a boolean for each weight.
    assert tracemalloc.get_traced_memory()[1] < 27e6
    tracemalloc.stop()
    assert (rows[-1].parameters, field) == (25_600_000, (80, 80))
    assert net.weights["large"]["weights"][5, 7] == 1


def test_a_file_that_changed_is_not_read_on(tmp_path: Path) -> None:
    path = small_cnn(tmp_path)
    net = read_onnx(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ca.errors.FileError, match="has changed since it was read"):
        net(floats(3, 8, 8))


# What has no layer.


def test_an_opaque_node_reads_all_that_it_is_given(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x k", "c"),
        node("MatMul", "c x", "d", name="joined"),
    ]
    net = read_onnx(
        saved(model(nodes, (1, 4, 9, 9), {"k": floats(4, 4, 1, 1)}, outputs="d"), tmp_path)
    )
    assert net.out_shape == (4, 9, 9)
    assert net.receptive_field().mask().all()
    assert net.sources("joined#2") or net.sources("joined")


# Bad files.


def dims(*sizes: int) -> Callable[[], bytes]:
    """A tensor that says it has other sizes than it has."""

    def make() -> bytes:
        built = model([node("Conv", "x k")], IMAGE, {"k": floats(6, 4, 3, 20)})
        del built.graph.initializer[0].dims[:]
        built.graph.initializer[0].dims.extend(sizes)
        return built.SerializeToString()

    return make


def bytes_of(*nodes: Any, **options: Any) -> Callable[[], bytes]:
    return lambda: model(list(nodes), options.pop("shape", IMAGE), **options).SerializeToString()


def without(field: str) -> Callable[[], bytes]:
    def make() -> bytes:
        built = model([node("Relu", "x")], IMAGE)
        built.graph.ClearField(field)
        return built.SerializeToString()

    return make


BAD: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "is empty: pass the path of an ONNX file"),
    (
        "text",
        lambda: b"this is no model",
        "is truncated or damaged|there is no valid protobuf field",
    ),
    ("zeros", lambda: bytes(100), "there is no valid protobuf field"),
    ("groups", lambda: b"\x0b\x0c", "there is no valid protobuf field"),
    ("endless number", lambda: b"\xff" * 30, "has an unfinished number"),
    (
        "endless field",
        lambda: b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        "is truncated or damaged",
    ),
    ("a node of noise", lambda: b"\x3a\x04\x0a\x02\xff\xff", "is not an ONNX model: "),
    (
        "no graph",
        lambda: onnx.ModelProto(ir_version=8).SerializeToString(),
        "does not contain a graph with nodes",
    ),
    ("no nodes", without("node"), "does not contain a graph with nodes"),
    ("no input", without("input"), "does not contain a network: the model has no input"),
    ("old", bytes_of(node("Relu", "x"), opset=6), "must be 7 or later, not 6: convert the file"),
    ("outside", external(location="../secret"), "outside the folder of the model"),
    ("absolute", external(location=os.sep + "secret"), "outside the folder of the model"),
    ("nowhere", external(), "outside the folder of the model"),
    ("null", external(location="a\0b"), "external data at an invalid location|outside the folder"),
    ("offset", external(location="w", offset="-8"), "the model states 576 bytes from offset -8"),
    (
        "length",
        external(location="w", length="99999999999999999999"),
        "the model states 9+ bytes from",
    ),
    ("no number", external(location="w", offset="many"), "external data at an invalid location"),
    ("negative size", dims(-6, 4, 3, 20), "of tensor k has a negative size: export"),
    ("too many sizes", dims(*[1] * 300), "axes: at most 32 are supported"),
    ("larger size", dims(7, 4, 3, 20), "but the file has"),
    ("smaller size", dims(1), "but the file has"),
    ("huge size", dims(2**62, 2**62), "needs .* over the limit of .* for one tensor"),
    (
        "cycle",
        bytes_of(node("Add", "x b", "a"), node("Relu", "a", "b"), outputs="a"),
        "has a cycle: node Add a depends on its own output",
    ),
    ("own input", bytes_of(node("Add", "x y", "y")), "has a cycle"),
    ("unknown name", bytes_of(node("Add", "x q")), "reads q, which no node or input of the model"),
    (
        "twice",
        bytes_of(node("Relu", "x"), node("Tanh", "x")),
        "has two values with the name y: export it again",
    ),
    (
        "huge input",
        bytes_of(node("Relu", "x"), shape=(1, 2**40, 8)),
        "must be at most 2147483647, but the sizes are",
    ),
]


@pytest.mark.parametrize(("make", "message"), [case[1:] for case in BAD], ids=[c[0] for c in BAD])
def test_bad_files(make: Callable[[], bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(ca.errors.FileError, match=message):
        read_onnx(saved(make(), tmp_path))


SHAPES: list[tuple[Any, Any, type[Exception], str]] = [
    (
        ("n", 3, "h", "w"),
        None,
        ca.errors.ArgumentError,
        "of input x has unknown sizes: pass in_shape=",
    ),
    (None, None, ca.errors.ArgumentError, "the shape .unknown. of input x has unknown sizes"),
    ((1, 3, 8, 8), (3, 9, 8), ca.errors.ShapeError, "in_shape must match input x of shape"),
    ((1, 3, 8, 8), (8, 8), ca.errors.ShapeError, "in_shape must match input x of shape"),
    ((4,), None, ca.errors.ShapeError, "must be .batch, channels"),
    ((1, 3, 8, 8), (3, -1, 8), ca.errors.ArgumentError, "in_shape"),
]


@pytest.mark.parametrize(("shape", "given", "error", "message"), SHAPES)
def test_shapes_of_the_input(
    shape: Any, given: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        read_onnx(saved(model([node("Relu", "x")], shape), tmp_path), given)


@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), None])
def test_open_sizes_are_those_given(shape: Any, tmp_path: Path) -> None:
    path = saved(model([node("Relu", "x")], shape), tmp_path)
    assert read_onnx(path, (3, 5, 7)).out_shape == (3, 5, 7)


def test_open_sizes_may_be_letters(tmp_path: Path) -> None:
    n, m = ca.sizes("n m")
    nodes = [node("Conv", "x k", "c", strides=[2, 2]), node("Relu", "c")]
    path = saved(model(nodes, ("b", 4, "h", "w"), {"k": floats(6, 4, 3, 3)}), tmp_path)
    net = read_onnx(path, (4, 2 * n + 1, 2 * m + 1))
    assert net.out_shape == (6, n, m)


def test_limits_on_what_is_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convalg.network.readers.onnx import reader, wire

    path = small_cnn(tmp_path)
    for place, name, message in (
        (wire, "MOST_KEPT", "in addition to its weights, the most that"),
        (wire, "MOST_FIELDS", "fields, the most that convalg reads"),
        (reader, "MOST_NODES", "nodes, the most that convalg reads"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(place, name, 2)
            with pytest.raises(ca.errors.FileError, match=message):
                read_onnx(path)


def test_names_are_shown_without_control_characters(tmp_path: Path) -> None:
    name = "<script>\x1b[2J\u202e" + "long" * 100
    built = model(
        [node("Relu", "x", name=name), node("Tanh", "y", "z", name="input")], IMAGE, outputs="z"
    )
    net = read_onnx(saved(built, tmp_path))
    first, second = list(net)[1:]
    assert first.isprintable()
    assert len(first) == 80
    assert second == "input#2"
    assert shown(b"\xff\n") == "\ufffd\\n"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    data = model([node("Relu", "x", name="abcdef")], IMAGE).SerializeToString()
    path = saved(data.replace(b"abcdef", b"ab\xff\xfeef"), tmp_path)
    net = read_onnx(path)
    assert net.output.startswith("ab")
    assert net.output.isprintable()


def test_without_the_onnx_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_cnn(tmp_path)
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "onnx":
            raise ImportError("No module named 'onnx'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"need the onnx package .* pip install"):
        read_onnx(path)


# Real models, where the packages that ship them are installed.


def shipped(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    for folder in spec.submodule_search_locations:
        for path in Path(folder).rglob(name):
            return path
    pytest.skip(f"{package} has no {name}")


REAL = [
    ("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx", (3, 48, 192)),
    ("rapidocr_onnxruntime", "ch_PP-OCR*_det_infer.onnx", (3, 64, 96)),
    ("nudenet", "320n.onnx", (3, 96, 128)),
]


@pytest.mark.parametrize(("package", "name", "shape"), REAL)
def test_trained_models_run_as_in_onnxruntime(
    package: str, name: str, shape: Any, tmp_path: Path
) -> None:
    path = shipped(package, name)
    net = read_onnx(path, shape)
    assert opaque(net) == {}
    built = onnx.load(path)
    given = built.graph.input[0].name
    x = floats(2, *shape, seed=5)
    want = runtime(path, x, name=given)
    np.testing.assert_allclose(net(x), want, rtol=1e-4, atol=2e-6 * max(1, np.abs(want).max()))
    # Before a squashing function, where differences show.
    last = [one for one in built.graph.node if one.op_type in ("Sigmoid", "Softmax")][-1]
    if isinstance(net[net.output], (net_layers.Sigmoid, net_layers.Softmax)):
        del built.graph.output[:]
        built.graph.output.append(helper.make_tensor_value_info(last.input[0], FLOAT, None))
        want = runtime(saved(built, tmp_path), x, name=given)
        found = net(x, net.sources(net.output)[0])
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=2e-6 * np.abs(want).max())
    summary = net.summary()
    assert summary.multiplications >= summary.nonzeros > 1e6
    assert all(size > 100 for size in net.receptive_field().size)


@pytest.mark.parametrize(
    ("package", "name", "shape"),
    [
        ("rapidocr_onnxruntime", "ch_PP-OCR*_rec_infer.onnx", (3, 48, 160)),
        ("silero_vad", "silero_vad_16k_op15.onnx", (576,)),
        ("silero_vad", "silero_vad_openvino_16k.onnx", (576,)),
        ("silero_vad", "silero_vad.onnx", (576,)),
    ],
)
def test_trained_models_with_opaque_parts_are_analysed(package: str, name: str, shape: Any) -> None:
    net = read_onnx(shipped(package, name), shape)
    assert opaque(net) or net.graph.graph["left_out"]
    assert not any("ill-formed" in reason for reason in opaque(net).values())
    assert len(net.summary().rows) == len(net)
