"""ONNX files that are not what they claim: none, cut, mutated, hostile, with weights elsewhere."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import (
    CASES,
    IMAGE,
    TOLERANCE,
    external,
    floats,
    model,
    node,
    onnx,
    runtime,
    saved,
    small_cnn,
)

import convalg as ca
from convalg.network.readers.onnx.reader import read_onnx


def test_external_data_are_read_from_the_folder(tmp_path: Path) -> None:
    built = model([node("Conv", "x k")], IMAGE, {"k": floats(6, 4, 3, 2)})
    path = tmp_path / "model.onnx"
    onnx.save(built, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    x = floats(1, 4, 9, 8)
    np.testing.assert_allclose(read_onnx(path)(x), runtime(path, x), **TOLERANCE)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ca.errors.FileError, match=r"cannot read .* give the path of an ONNX file"):
        read_onnx(tmp_path / "missing.onnx")
    with pytest.raises(ca.errors.FileError, match="is a directory: give"):
        read_onnx(tmp_path)
    with pytest.raises(ca.errors.FileError, match=r"cannot read .* give the path of an ONNX file"):
        read_onnx("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ca.errors.FileError, match="is not a regular file"):
        read_onnx(tmp_path / "pipe")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(4 * 144))
    try:
        (folder / "w").symlink_to(tmp_path / "secret")
    except OSError:
        pytest.skip("there are no links here")
    with pytest.raises(ca.errors.FileError, match="outside the folder of the model"):
        read_onnx(saved(external(location="w")(), folder))


def test_external_data_that_are_missing_or_short_stop_running_only(tmp_path: Path) -> None:
    net = read_onnx(saved(external(location="w")(), tmp_path))
    assert net.parameters == 6 * 4 * 6
    with pytest.raises(ca.errors.FileError, match=r"cannot read .* of a model's weights"):
        net(floats(4, 9, 8))
    (tmp_path / "w").write_bytes(bytes(4 * 144 - 1))
    with pytest.raises(ca.errors.FileError, match=r"end at byte 576 of .* only 575 bytes: copy"):
        net(floats(4, 9, 8))


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Bytes changed, cut, copied and taken away, by chance."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        found = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            kind, place = int(random.integers(6)), int(random.integers(len(found) or 1))
            width = int(random.integers(1, 9))
            match kind:
                case 0:
                    found[place : place + 1] = bytes([int(random.integers(256))])
                case 1:
                    found[place : place + 1] = bytes([found[place] ^ 1 << int(random.integers(8))])
                case 2:
                    del found[place : place + width]
                case 3:
                    found[place:place] = found[max(0, place - width) : place]
                case 4:
                    found[place : place + width] = b"\xff" * width
                case 5:
                    found = found[: max(1, place)]
        yield bytes(found)


ODD = [0, 1, -1, 2, 3, 7, -2, 64, 10**6, 2**31, -(2**31), 2**62, -(2**63), 2**63 - 1]


WORDS = ["", "Relu", "Conv", "Reshape", "Resize", "Shape", "Loop", "MaxPool", "Gather", "x", "y"]


def damaged(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Well-formed files with other numbers, names, operators, nodes and constants, by chance."""
    random = np.random.default_rng(seed)

    def one(values: Any) -> Any:
        return values[int(random.integers(len(values)))] if len(values) else None

    for _ in range(count):
        built = onnx.ModelProto.FromString(data)
        graph = built.graph
        for _ in range(int(random.integers(1, 4))):
            chosen, tensor, place = one(graph.node), one(graph.initializer), one(ODD)
            attribute = one(chosen.attribute) if chosen else None
            names = [name for n in graph.node for name in (*n.input, *n.output)]
            match int(random.integers(11)):
                case 0 if attribute and attribute.ints:
                    attribute.ints[int(random.integers(len(attribute.ints)))] = place
                case 1 if attribute:
                    attribute.i, attribute.type = place, int(random.integers(12))
                case 2 if attribute and attribute.ints:
                    attribute.ints.append(place)
                case 3 if chosen:
                    chosen.op_type = str(one(WORDS))
                case 4 if chosen and chosen.input:
                    chosen.input[int(random.integers(len(chosen.input)))] = one(names)
                case 5 if chosen:
                    graph.node.remove(chosen)
                case 6 if tensor and tensor.dims:
                    tensor.dims[int(random.integers(len(tensor.dims)))] = place
                case 7 if tensor and tensor.data_type == onnx.TensorProto.INT64:
                    values = np.frombuffer(
                        tensor.raw_data[: len(tensor.raw_data) // 8 * 8], np.int64
                    ).copy()
                    if values.size:
                        values[int(random.integers(values.size))] = place
                        tensor.raw_data = values.tobytes()
                case 8 if tensor:
                    tensor.data_type = int(random.integers(24))
                case 9:
                    size = one(graph.input[0].type.tensor_type.shape.dim)
                    if size is not None:
                        size.dim_value = place
                case 10:
                    built.opset_import[0].version = int(random.integers(6, 30))
        yield built.SerializeToString()


def seeds(folder: Path) -> list[bytes]:
    """Small models that use most of the reader."""
    chosen = {
        "conv",
        "transposed",
        "reshape by its own shape",
        "slices",
        "split",
        "resize size",
        "gemm",
        "pad axes",
        "constants",
        "squeeze and excite",
        "max pool",
        "batch norm",
    }
    found = [small_cnn(folder).read_bytes()]
    for name, opset, nodes, shape, constants in CASES:
        if name in chosen:
            found.append(model(nodes, shape, constants, opset=opset).SerializeToString())
    return found


def survives(path: Path) -> bool:
    """Whether a file is read; it must be so, or refused by an error of the package."""
    try:
        net = read_onnx(path, None)
        net.summary().to_dict()
        repr(net.receptive_field())
        if all(math.prod(shape) < 10**5 for shape in dict(net.shapes).values()):
            with np.errstate(all="ignore"):
                net(floats(*net.in_shape))
    except ca.errors.ConvalgError:
        return False
    return True


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    outcomes = []
    for number, data in enumerate(seeds(tmp_path)):
        for mutated in (*mutations(data, 30, number), *damaged(data, 40, number)):
            outcomes.append(survives(saved(mutated, tmp_path, "mutated.onnx")))
    # Both happen, so that the mutations are neither harmless nor hopeless.
    assert 0.1 < np.mean(outcomes) < 0.9


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(share: float, tmp_path: Path) -> None:
    data = small_cnn(tmp_path).read_bytes()
    with pytest.raises(ca.errors.FileError):
        read_onnx(saved(data[: int(share * len(data))], tmp_path))


@pytest.mark.thorough
def test_many_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    outcomes = []
    for number, data in enumerate(seeds(tmp_path)):
        for mutated in (*mutations(data, 500, 99 + number), *damaged(data, 1000, 99 + number)):
            outcomes.append(survives(saved(mutated, tmp_path, "mutated.onnx")))
    assert any(outcomes)
