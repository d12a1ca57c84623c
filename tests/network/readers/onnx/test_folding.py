"""Constants that are computed from constants, against NumPy, and the reasons for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import floats, ints, model, node, saved

from convalg.errors import FileError
from convalg.network.readers.onnx import reader
from convalg.network.readers.onnx.reader import read_onnx

SHAPE = (1, 2, 6, 5)


def test_constants_have_a_budget_together(tmp_path: Path) -> None:
    nodes = [node("Expand", "c n", f"e{k}") for k in range(20)]
    nodes += [node("Add", f"e{k} e{k}", f"f{k}") for k in range(20)]
    built = model([*nodes, node("Relu", "x")], SHAPE, {"c": floats(1), "n": ints(2**20)})
    with pytest.raises(FileError, match=r"by other constants take 1.* MB or more, over the limit"):
        read_onnx(saved(built, tmp_path))


A, B = np.float32([[1.5, -2, 3]]), np.float32([[2], [-0.5]])
FOLDED: list[tuple[str, list[Any], dict[str, Any], Any]] = [
    ("Add", [node("Add", "a b", "c")], {"a": A, "b": B}, A + B),
    ("Sub", [node("Sub", "a b", "c")], {"a": A, "b": B}, A - B),
    ("Mul", [node("Mul", "a b", "c")], {"a": A, "b": B}, A * B),
    ("Div", [node("Div", "a b", "c")], {"a": A, "b": B}, A / B),
    ("Pow", [node("Pow", "a b", "c")], {"a": np.abs(A), "b": B}, np.abs(A) ** B),
    ("Min", [node("Min", "a b", "c")], {"a": A, "b": B}, np.minimum(A, B)),
    (
        "Where",
        [node("Less", "a b", "l"), node("Where", "l a b", "c")],
        {"a": A, "b": B},
        np.where(A < B, A, B),
    ),
    ("Transpose", [node("Transpose", "a", "c", perm=[1, 0])], {"a": A}, A.T),
    ("Reshape", [node("Reshape", "a s", "c")], {"a": A, "s": ints(-1, 1)}, A.reshape(-1, 1)),
    ("Squeeze", [node("Squeeze", "a s", "c")], {"a": A, "s": ints(0)}, A[0]),
    ("Unsqueeze", [node("Unsqueeze", "a s", "c")], {"a": A, "s": ints(1)}, A[:, None]),
    ("Gather", [node("Gather", "a i", "c", axis=1)], {"a": A, "i": ints(2, 0)}, A[:, [2, 0]]),
    (
        "Slice",
        [node("Slice", "a s e k t", "c")],
        {"a": A, "s": ints(-1), "e": ints(-9), "k": ints(1), "t": ints(-2)},
        A[:, ::-2],
    ),
    ("Concat", [node("Concat", "a a", "c", axis=0)], {"a": A}, np.concatenate([A, A])),
    ("Tile", [node("Tile", "a n", "c")], {"a": A, "n": ints(2, 1)}, np.tile(A, (2, 1))),
    ("Expand", [node("Expand", "a n", "c")], {"a": A, "n": ints(2, 3)}, np.tile(A, (2, 1))),
    (
        "quantised",
        [node("QuantizeLinear", "a s z", "q"), node("DequantizeLinear", "q s z", "c")],
        {"a": A, "s": np.float32(0.25), "z": np.int8(3)},
        A,
    ),
]


@pytest.mark.parametrize(
    ("nodes", "constants", "wanted"), [row[1:] for row in FOLDED], ids=[row[0] for row in FOLDED]
)
def test_a_folded_constant_is_that_of_numpy(
    nodes: list[Any], constants: dict[str, Any], wanted: Any, tmp_path: Path
) -> None:
    # The constant is added to zeros, so that it is the output of the network.
    shape = (1, *np.broadcast_shapes(wanted.shape, (2, 1, 1)))
    net = read_onnx(saved(model([*nodes, node("Add", "x c")], shape, constants), tmp_path))
    y = net(np.zeros(shape[1:], np.float32))
    np.testing.assert_allclose(y, np.broadcast_to(wanted, shape[1:]), rtol=1e-6)


SCALES = {"w": np.zeros((3, 2, 1, 1), np.int8), "s": np.float32([1, 2]), "z": np.int8([0, 0])}
REFUSED: list[tuple[str, list[Any], dict[str, Any]]] = [
    (
        "its scales or zero points have shape (2,), not one entry for each index of axis 0",
        [node("DequantizeLinear", "w s z", "c", axis=0)],
        SCALES,
    ),
    ("it fills an array of shape [-2]", [node("ConstantOfShape", "n", "c")], {"n": ints(-2)}),
    (
        "it computes a constant of 2097152 entries",
        [node("ConstantOfShape", "n", "c")],
        {"n": ints(2**21)},
    ),
    (
        "it gathers indices outside an axis of size 3",
        [node("Gather", "a n", "c", axis=1)],
        {"a": A, "n": ints(3)},
    ),
    ("its order (0, 0) does not", [node("Transpose", "a", "c", perm=[0, 0])], {"a": A}),
    ("axes [1] of its input of shape", [node("Squeeze", "a n", "c")], {"a": A, "n": ints(1)}),
    ("it is the remainder fmod", [node("Mod", "a a", "c", fmod=1)], {"a": A}),
    ("this operator is not applied to constants", [node("Sin", "a", "c")], {"a": A}),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_a_constant_that_is_not_computed_has_its_reason(
    row: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, nodes, constants = row
    told: list[str] = []

    def spy(self: Any, proto: Any, text: str) -> list[Any]:
        told.append(text)
        return list[Any]()

    monkeypatch.setattr(reader._ModelReader, "_opaque", spy)
    read_onnx(saved(model([*nodes, node("Relu", "x")], SHAPE, constants), tmp_path))
    assert [text for text in told if text.startswith(reason)], told
