"""`convalg analyse`: the table, JSON and Markdown, a figure, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import command_line
import numpy as np
import pytest

import convalg as ca

onnx = pytest.importorskip("onnx")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """One convolution whose stride is larger than its kernel."""
    helper, kinds = onnx.helper, onnx.TensorProto
    weight = helper.make_tensor("w", kinds.FLOAT, [2, 1, 1, 1], [1.0, 2.0])
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1], strides=[2, 2])
    graph = helper.make_graph(
        [node],
        "small",
        [helper.make_tensor_value_info("x", kinds.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("y", kinds.FLOAT, [1, 2, 4, 4])],
        [weight],
    )
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return str(path)


def run(*words: str) -> int:
    return command_line.run("analyse", *words)


def test_the_table_and_its_remarks(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model) == 0
    text = capsys.readouterr().out
    assert "stride-over-kernel" in text
    assert run(model, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 2
    assert [remark["code"] for remark in found["remarks"]] == ["stride-over-kernel"]
    assert run(model, "--markdown") == 0
    assert capsys.readouterr().out.startswith("# ")


def test_the_figure(model: str, tmp_path: Path) -> None:
    assert run(model, "--figure", str(tmp_path / "field.svg")) == 0
    assert (tmp_path / "field.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_a_network_of_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lenet5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 60_000
    assert next(layer["node"] for layer in found["layers"]) == "C1"
    (pooled,) = [layer for layer in found["layers"] if layer["node"] == "S2"]
    keys = ("shape", "parameters", "field", "stride")
    assert [pooled[key] for key in keys] == [[6, 14, 14], 12, [6, 6], [2, 2]]
    assert run("dcgan_generator", "--json") == 0
    strides = [layer["stride"] for layer in json.loads(capsys.readouterr().out)["layers"]]
    assert strides[0] == [1, 1]
    assert strides[-1] == ["1/16", "1/16"]
    assert run("renset50") == 2
    assert "did you mean resnet50" in capsys.readouterr().err.replace("\n", " ")


def test_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("resnet") == 2
    assert "is neither an .onnx file nor a network" in capsys.readouterr().err
    assert run(str(tmp_path / "nowhere.onnx")) == 2
    (tmp_path / "cut.onnx").write_bytes(b"\x08")
    assert run(str(tmp_path / "cut.onnx")) == 2


def test_a_shape_for_a_file_without_and_any_ending(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "model.bin"
    sizes = onnx.load(model)
    for name, place in (("h", 2), ("w", 3)):
        sizes.graph.input[0].type.tensor_type.shape.dim[place].dim_param = name
        sizes.graph.output[0].type.tensor_type.shape.dim[place].dim_param = name * 2
    onnx.save(sizes, other)
    assert run(str(other), "--json", "--in-shape", "1x20x12") == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["shape"] == [2, 10, 6]
    assert run(model, "--in-shape", "large") == 2
    assert "--in-shape must be integers" in capsys.readouterr().err.replace("\n", " ")
    assert run(model, "--figure", str(tmp_path / "field.txt")) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert run(model, "--figure", str(tmp_path / "nowhere" / "field.svg")) == 2


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    helper, kinds = onnx.helper, onnx.TensorProto
    value = helper.make_tensor_value_info
    node = helper.make_node("Mystery", ["x"], ["y"], domain="elsewhere")
    graph = helper.make_graph(
        [node], "odd", [value("x", kinds.FLOAT, [1, 1, 4, 4])], [value("y", kinds.FLOAT, None)]
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=sets), path)
    assert run(str(path)) == 0
    assert "left-out" in capsys.readouterr().out
    with pytest.raises(
        ca.errors.ArgumentError, match="is not in the network, which leaves out Mystery y"
    ):
        ca.read_onnx(path)(np.zeros((1, 4, 4)))
