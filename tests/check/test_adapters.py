"""Functions of other libraries and programs, as the checks take them."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import command

from convalg import check
from convalg.check.candidate import candidate
from convalg.check.problem import KINDS

# PyTorch.


def test_a_function_of_tensors_keeps_its_name_and_options() -> None:
    def conv(image: Any, kernel: Any, *, stride: int = 1, padding: int = 0) -> Any: ...

    adapted = check.from_torch(conv)
    assert adapted.__name__ == "conv"
    assert list(inspect.signature(adapted).parameters) == ["image", "kernel", "stride", "padding"]
    assert candidate(adapted, KINDS["forward"]).options == ("stride", "padding")


def test_the_size_of_a_window_has_its_name_in_torch() -> None:
    torch = pytest.importorskip("torch")

    def pool(x: Any, kernel_size: Any, stride: Any) -> Any:
        return torch.nn.functional.max_pool2d(x, kernel_size, stride)

    adapted = check.from_torch(pool)
    assert list(inspect.signature(adapted).parameters) == ["x", "size", "stride"]
    report = check.max_pool(adapted, cases=24)
    assert report.passed, report.explain()
    assert report.options == ("size", "stride")


def test_a_wrong_function_of_tensors_is_named() -> None:
    torch = pytest.importorskip("torch")

    def flipped(x: Any, w: Any, stride: Any, padding: Any) -> Any:
        return torch.nn.functional.conv2d(x, w.flip(2, 3), stride=stride, padding=padding)

    report = check.forward(check.from_torch(flipped), cases=40)
    assert report.name == "flipped"
    assert report.diagnosis[0].code == "flipped-kernel"


def test_gradients_by_a_function_s_own_autograd() -> None:
    torch = pytest.importorskip("torch")

    class Layer(torch.autograd.Function):
        """A right layer whose own backward forgets to turn the kernel."""

        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return torch.nn.functional.conv2d(x, w)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            flipped = w.flip(2, 3)
            dx = torch.nn.grad.conv2d_input(x.shape, flipped, g)
            return dx, torch.nn.grad.conv2d_weight(x, w.shape, g)

    def layer(x: Any, w: Any) -> Any:
        return Layer.apply(x, w)

    assert check.forward(check.from_torch(layer), cases=24).passed
    report = check.backward(check.from_torch_backward(layer), cases=24)
    assert report.diagnosis[0].code == "flipped-kernel"
    assert report.diagnosis[0].message.startswith("dx: ")
    assert all(failure.part == "dx" for failure in report.failures)


def test_g_stands_behind_the_arrays() -> None:
    def mine(x: Any, w: Any, stride: Any, *, bias: Any = None, groups: Any = 1) -> Any: ...

    adapted = check.from_torch_backward(mine)
    assert list(inspect.signature(adapted).parameters) == [
        *("x", "w", "g", "stride", "bias", "groups")
    ]
    assert candidate(adapted, KINDS["backward"]).options == ("stride", "groups")
    pool = check.from_torch_backward(lambda x, kernel_size, stride=None: x)
    assert list(inspect.signature(pool).parameters) == ["x", "g", "size", "stride"]
    anything = check.from_torch_backward(lambda *arrays, **options: arrays)
    assert candidate(anything, KINDS["backward"]).missing == ()


def test_a_tensor_that_is_no_tensor_is_a_finding() -> None:
    pytest.importorskip("torch")
    report = check.forward(check.from_torch(lambda x, w: 3), cases=3)
    assert report.diagnosis[0].code == "raises"


# ONNX.

OPERATORS = {
    "Conv": "forward",
    "ConvTranspose": "transposed",
    "AveragePool": "average_pool",
    "MaxPool": "max_pool",
}


@pytest.mark.parametrize(("operator", "name"), OPERATORS.items())
def test_operators_of_onnx_have_the_options_that_it_has(operator: str, name: str) -> None:
    adapted = check.from_onnxruntime(operator)
    assert candidate(adapted, KINDS[name]).options == KINDS[name].options


@pytest.mark.parametrize(("operator", "name"), OPERATORS.items())
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_onnxruntime_is_right(operator: str, name: str, dims: int) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    report = getattr(check, name)(check.from_onnxruntime(operator), dims=dims, cases=30)
    assert report.cases == 30
    if operator != "ConvTranspose":
        assert report.passed, report.explain()
    # What it refuses is its own to know; what it computes is right.
    assert all(failure.code == "raises" for failure in report.failures), report.explain()
    assert len(report.failures) < 10


# JAX.


def test_jax_is_right() -> None:
    jax = pytest.importorskip("jax")

    def conv(x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        def each(value: Any) -> tuple[int, ...]:
            return tuple(int(v) for v in np.broadcast_to(value, 2))

        return jax.lax.conv_general_dilated(
            x,
            w,
            each(stride),
            [(p, p) for p in each(padding)],
            rhs_dilation=each(dilation),
            feature_group_count=groups,
        )

    report = check.forward(check.from_jax(conv), cases=40)
    assert report.passed, report.explain()


class OfJax:
    """`jax.numpy` as far as the adapter asks it, for machines without JAX."""

    @staticmethod
    def asarray(array: Any) -> np.ndarray:
        return np.asarray(array, dtype=np.float32)


def test_arrays_go_to_jax_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType

    package, numpy = ModuleType("jax"), ModuleType("jax.numpy")
    numpy.asarray = OfJax.asarray  # type: ignore[attr-defined]
    package.numpy = numpy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jax", package)
    monkeypatch.setitem(sys.modules, "jax.numpy", numpy)
    seen = []

    def half(x: Any, w: Any, g: Any, *, groups: int = 1) -> Any:
        seen.append((x.dtype, groups))
        return x, [w]

    adapted = check.from_jax(half)
    assert candidate(adapted, KINDS["backward"]).options == ("groups",)
    found = adapted(np.ones(2), np.ones(3), np.ones(4), groups=2)
    assert isinstance(found, tuple)
    assert seen == [(np.float32, 2)]
    assert found[1].shape == (1, 3)
    alone = check.from_jax(lambda x: x)(np.ones(2))
    assert isinstance(alone, np.ndarray)


# Programs.

PROGRAM = """
import sys
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def per_axis(word):
    return [int(v) for v in np.broadcast_to([int(v) for v in word.split(",")], 2)]

x, w = np.load(sys.argv[1]), np.load(sys.argv[2])
(a, b), (p, q) = per_axis(sys.argv[4]), per_axis(sys.argv[5])
x = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
cut = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::a, ::b]
np.save(sys.argv[3], np.einsum("nchwab,ocab->nohw", cut, w))
"""


def test_a_program_is_checked_as_a_function(tmp_path: Path) -> None:
    words = ("{x}", "{w}", "{y}", "{stride}", "{padding}")
    report = check.forward(command(tmp_path, PROGRAM, words), cases=6)
    assert report.passed, report.explain()
    assert report.options == ("stride", "padding")
    assert report.name == Path(sys.executable).name
    assert "dilation, groups" in report.notes[0]


def test_a_wrong_program_is_named(tmp_path: Path) -> None:
    text = PROGRAM.replace(", w))", ", w[:, :, ::-1, ::-1]))")
    words = ("{x}", "{w}", "{y}", "{stride}", "{padding}")
    report = check.forward(command(tmp_path, text, words), cases=6)
    assert report.diagnosis[0].code == "flipped-kernel"


ECHO = """
import json, sys
print(json.dumps(sys.argv[1:]), file=sys.stderr)
sys.exit(1)
"""


def words_of(run: Any, *arrays: np.ndarray, **options: Any) -> list[str]:
    """What the program was called with."""
    import json

    with pytest.raises(RuntimeError) as caught:
        run(*arrays, **options)
    return list(json.loads(str(caught.value).partition(": ")[2]))


def test_placeholders_are_filled(tmp_path: Path) -> None:
    rest = [
        "{y}",
        "--s={stride}",
        "{groups}",
        "{ceil_mode}",
        "p{padding}p{padding}",
        "{",
        "{other}",
    ]
    run = command(tmp_path, ECHO, rest, arrays=())
    options = {"stride": (2, 1), "groups": np.int64(3), "ceil_mode": True, "padding": 0}
    _, *found = words_of(run, **options)
    assert found == ["--s=2,1", "3", "1", "p0p0", "{", "{other}"]


def test_words_reach_no_shell(tmp_path: Path) -> None:
    nasty = ["$(touch hacked)", "`id`", "; rm x", "a b", "*", "'\"", "\\", ""]
    run = command(tmp_path, ECHO, ["{y}", *nasty], arrays=())
    assert words_of(run)[1:] == nasty


def test_a_placeholder_in_a_value_is_not_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "{stride}"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    (found,) = words_of(command(tmp_path, ECHO, ["{y}"], arrays=()), stride=2)
    assert found.startswith(str(folder))


def test_the_options_of_a_program_are_those_that_it_names(tmp_path: Path) -> None:
    run = check.from_command(["conv", "{x}", "{w}", "{y}", "{dilation}", "{groups}{stride}"])
    found = inspect.signature(run).parameters
    assert list(found) == ["x", "w", "stride", "dilation", "groups"]
    assert run.__name__ == "conv"


def test_two_outputs_are_a_pair(tmp_path: Path) -> None:
    text = """
    import sys, numpy as np
    x, w, g, dx, dw = sys.argv[1:]
    np.save(dx, 0 * np.load(x)); np.save(dw, np.load(w) + np.load(g).sum())
    """
    rest = ("{x}", "{w}", "{g}", "{dx}", "{dw}")
    run = command(tmp_path, text, rest, arrays=("x", "w", "g"))
    dx, dw = run(np.ones((1, 2)), np.ones(3), np.ones(4))
    assert np.array_equal(dx, np.zeros((1, 2)))
    assert np.array_equal(dw, np.full(3, 5.0))
