"""`convalg analyse`: the table, JSON and Markdown, a figure, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convalg.cli import main

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
    with pytest.raises(SystemExit) as done:
        main(["analyse", *words])
    return int(done.value.code or 0)


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
    assert [layer["node"] for layer in found["layers"]][0] == "C1"
    assert run("renset50") == 2
    assert "near it: resnet50" in capsys.readouterr().err.replace("\n", " ")


def test_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("resnet") == 2
    assert "is no .onnx file to analyse" in capsys.readouterr().err
    assert run(str(tmp_path / "nowhere.onnx")) == 2
    (tmp_path / "cut.onnx").write_bytes(b"\x08")
    assert run(str(tmp_path / "cut.onnx")) == 2
