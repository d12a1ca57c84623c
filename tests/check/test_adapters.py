"""Functions of other libraries and programs, as the checks take them."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from convalg import check
from convalg.check.candidate import candidate
from convalg.check.problem import KINDS
from convalg.errors import FileError

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


def program(folder: Path, text: str) -> list[str]:
    path = folder / "program.py"
    path.write_text(dedent(text), encoding="utf-8")
    return [sys.executable, "-S", str(path)] if "numpy" not in text else [sys.executable, str(path)]


def command(
    folder: Path, text: str, rest: Sequence[str] = ("{x}", "{w}", "{y}"), **options: Any
) -> Any:
    return check.from_command([*program(folder, text), *rest], **options)


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


BAD = {
    "status": ("import sys; sys.exit(7)", RuntimeError, "exit status 7: no message"),
    "words": (
        "import sys; sys.exit('out of cheese')",
        RuntimeError,
        "exit status 1: out of cheese",
    ),
    "signal": ("import os; os.abort()", RuntimeError, "exit status -6: no message"),
    "nothing": ("", FileError, "y.npy' (No such file or directory)"),
    "garbage": (
        "import sys; open(sys.argv[3], 'w').write('garbage')",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "empty": (
        "import sys; open(sys.argv[3], 'w')",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "a pipe": ("import os, sys; os.mkfifo(sys.argv[3])", FileError, "y.npy' is not a regular file"),
    "a device": (
        "import os, sys; os.symlink('/dev/zero', sys.argv[3])",
        FileError,
        "y.npy' (Too many levels of symbolic links)",
    ),
    "a folder": ("import os, sys; os.mkdir(sys.argv[3])", FileError, "y.npy' is a directory"),
    "a huge file": (
        "import sys; open(sys.argv[3], 'wb').truncate(2**40)",
        RuntimeError,
        "File too large",
    ),
    "a hole": (
        "import sys; open(sys.argv[3], 'wb').truncate(2**28)",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "cut off": (
        "import sys; d = open(sys.argv[1], 'rb').read(); open(sys.argv[3], 'wb').write(d[:-8])",
        FileError,
        "y.npy must contain 4 numbers of float64, but it has only 24 bytes: write",
    ),
    "pickle": (
        "import sys, numpy as np; np.save(sys.argv[3], np.array([{}]), allow_pickle=True)",
        FileError,
        "y.npy must contain numbers, not objects or text of dtype object",
    ),
    "bare pickle": (
        "import sys, pickle; pickle.dump([1], open(sys.argv[3], 'wb'))",
        FileError,
        "y.npy must be a .npy file of one array (",
    ),
    "bytes that are no text": (
        "import os, sys; os.write(2, b'\\xff\\xfe'); sys.exit(1)",
        RuntimeError,
        "exit status 1",
    ),
}


@pytest.mark.parametrize(("text", "error", "words"), BAD.values(), ids=BAD)
def test_what_a_program_does_wrong_is_raised(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        command(tmp_path, text)(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)))
    assert words in str(caught.value)
    report = check.forward(command(tmp_path, text), cases=1)
    assert report.diagnosis[0].code == "raises"


@pytest.mark.parametrize("kind", ["npz", "a million by a million"])
def test_files_that_hold_no_array_are_findings(tmp_path: Path, kind: str) -> None:
    text = {
        "npz": "import sys, numpy as np; np.savez(open(sys.argv[3], 'wb'), a=np.ones(3))",
        "a million by a million": """
        import sys, numpy as np
        with open(sys.argv[3], "wb") as f:
            np.lib.format.write_array_header_1_0(
                f, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
            )
        """,
    }[kind]
    report = check.forward(command(tmp_path, text), cases=2)
    assert report.diagnosis[0].code in ("wrong-type", "raises")


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    with pytest.raises(TimeoutError, match="it did not finish within 1 seconds"):
        command(tmp_path, text, timeout=1)(np.ones(1), np.ones(1))
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import os\nwhile True: os.write(1, b'x' * 2**20)", "prints-too-much"),
        ("while True: print('\\x1b[31m' * 2**16)", "prints-too-much"),
        (
            "import os, time\nfor _ in range(99):\n    if not os.fork(): time.sleep(60)\n"
            "time.sleep(60)",
            "too-many-processes",
        ),
        ("import time; time.sleep(60)", "hangs"),
        ("import sys; assert sys.stdin.read() == ''; sys.exit('\\x1b[31m\\udcff')", "raises"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "raises"),
        ("x = bytearray(2**32)", "raises"),
    ],
)
def test_a_program_has_limits(tmp_path: Path, text: str, code: str) -> None:
    report = check.forward(command(tmp_path, text, timeout=6, memory=2**30), cases=2)
    assert report.diagnosis[0].code == code, report.explain()
    assert report.explain().replace("\n", "").isprintable()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path / "program.py") not in left


def test_a_program_runs_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = """
    import os, sys
    assert sorted(os.listdir()) == ["w.npy", "x.npy"], os.listdir()
    assert open(sys.argv[4]).read() == "here"
    open("left", "w").close(); os.mkdir("closed"); os.chmod("closed", 0)
    open(sys.argv[3], "wb").write(open(sys.argv[1], "rb").read())
    """
    program(tmp_path, text)
    Path("settings.txt").write_text("here")
    words = [sys.executable, "-S", "program.py", "{x}", "{w}", "{y}", "settings.txt"]
    x = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(check.from_command(words)(x, x), x)
    assert sorted(os.listdir()) == ["program.py", "settings.txt"]


def test_a_program_that_is_not_there_is_a_finding() -> None:
    run = check.from_command(["/nowhere/conv", "{x}", "{w}", "{y}"])
    report = check.forward(run, cases=2)
    assert report.diagnosis[0].code == "raises"
    assert "FileNotFoundError" in report.diagnosis[0].message


def test_no_file_of_a_program_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    check.forward(command(tmp_path, "import sys; sys.exit(1)"), cases=2)
    assert list(scratch.iterdir()) == []
