"""Bad input to the checks: each call raises one class, whose message says what is wanted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg import check
from convalg.check import worker
from convalg.check.grade import grade
from convalg.errors import ConvalgError

F = check.forward
N = ca.sizes("n")[0]


def conv(x: Any, w: Any) -> Any:
    return x


def needs(x: Any, w: Any, bias: Any, groups: Any) -> Any:
    return x


def keyword_needed(x: Any, w: Any, *, layout: Any) -> Any:
    return x


def no_option(x: Any, w: Any, activation: Any = None) -> Any:
    return x


def half(x: Any) -> Any:
    return x


class Silent:
    def __call__(self) -> None: ...


Call = Callable[[], Any]
BAD: list[tuple[Call, str, str]] = [
    # What is checked.
    (lambda: F(None), "KindError", "f must be a function f(x, w, ...), not None"),
    (lambda: F(3), "KindError", "f must be a function f(x, w, ...), not 3"),
    (lambda: F("conv"), "KindError", "f must be a function f(x, w, ...), not 'conv'"),
    (lambda: F(np.ones(2)), "KindError", "f must be a function f(x, w, ...), not array("),
    (lambda: check.backward(None), "KindError", "a function f(x, w, g, ...), not None"),
    (lambda: check.max_pool(None), "KindError", "a function f(x, ...), not None"),
    (lambda: check.max_pool_backward(None), "KindError", "a function f(x, g, ...), not None"),
    # Signatures.
    (
        lambda: F(half),
        "KindError",
        "half must accept 2 arrays, not 1, to be checked as a correlation layer: use the "
        "parameters (x, w, stride, padding, dilation, groups)",
    ),
    (lambda: F(lambda: 0), "KindError", "<lambda> must accept 2 arrays, not 0, to be checked as"),
    (lambda: F(Silent()), "KindError", "Silent must accept 2 arrays, not 0, to be checked as a"),
    (
        lambda: F(lambda *, x, w: x),
        "KindError",
        "arrays, not 0, to be checked as a correlation layer: use",
    ),
    (
        lambda: F(functools.partial(conv, w=1)),
        "KindError",
        "must accept 2 arrays, not 1, to be checked as a correlation layer",
    ),
    (
        lambda: check.backward(conv),
        "KindError",
        "conv must accept 3 arrays, not 2, to be checked as the gradients of a correlation layer: ",
    ),
    (
        lambda: F(needs),
        "KindError",
        "needs requires bias, but the options for a correlation layer are stride, padding, "
        "dilation, groups: give bias a default value",
    ),
    (lambda: F(keyword_needed), "KindError", "keyword_needed requires layout, but the options"),
    (
        lambda: check.average_pool(lambda x, size, dilation: x),
        "KindError",
        "<lambda> requires dilation, but the options for an average pooling are size",
    ),
    (
        lambda: check.max_pool(half),
        "KindError",
        "half has no parameter size, the window of a max pooling: add one",
    ),
    (
        lambda: check.average_pool_backward(lambda x, g, stride: x),
        "KindError",
        "has no parameter size, the window of the gradient of an average pooling: add one",
    ),
    # Axes and configurations.
    (lambda: F(conv, dims=0), "ArgumentError", "dims must be at least 1, not 0"),
    (
        lambda: F(conv, dims=5),
        "ArgumentError",
        "dims must be 1 to 4 and cases an integer, not 5 and 160",
    ),
    (lambda: F(conv, dims=2.0), "KindError", "dims must be an integer, not 2.0 (float)"),
    (lambda: F(conv, dims=None), "KindError", "dims must be an integer, not None"),
    (lambda: F(conv, dims=True), "KindError", "dims must be an integer, not True"),
    (lambda: F(conv, dims=N), "ArgumentError", "dims must be 1 to 4 and cases an integer, not n"),
    (lambda: F(conv, cases=0), "ArgumentError", "cases must be at least 1, not 0"),
    (lambda: F(conv, cases=-3), "ArgumentError", "cases must be at least 1, not -3"),
    (lambda: F(conv, cases=1e3), "KindError", "cases must be an integer, not 1000.0 (float)"),
    (lambda: F(conv, cases=N), "ArgumentError", "and cases an integer, not 2 and n"),
    # Adapters.
    (
        lambda: check.from_onnxruntime("Gemm"),
        "ArgumentError",
        "operator must be one of Conv, ConvTranspose, AveragePool, MaxPool, not 'Gemm'",
    ),
    (lambda: check.from_onnxruntime("conv"), "ArgumentError", "MaxPool, not 'conv'"),
    (lambda: check.from_onnxruntime(None), "ArgumentError", "MaxPool, not None"),
    (
        lambda: check.from_command([]),
        "KindError",
        "command must be a list of strings that starts with the program, not []",
    ),
    (
        lambda: check.from_command("conv {x} {w} {y}"),
        "KindError",
        "command must be a list of strings that starts with the program, not 'conv {x} {w} {y}'",
    ),
    (
        lambda: check.from_command([Path("conv"), "{y}"]),
        "KindError",
        "command must be a list of strings that starts with the program, not [",
    ),
    (
        lambda: check.from_command(["conv", "{x}", "{w}"]),
        "ArgumentError",
        "command must have a placeholder for an output, such as {y}, not ['conv', '{x}', '{w}']",
    ),
    # Layer objects (more of them, of PyTorch, in test_module.py).
    (
        lambda: check.layer(conv, (1, 4, 4)),
        "KindError",
        "module must be a convolution or pooling with kernel_size, not function",
    ),
    # Files (more of them in test_cli_check.py).
    (
        lambda: grade("homework.py"),
        "ArgumentError",
        "target must be FILE.py:function, not 'homework.py'",
    ),
    (lambda: grade(""), "ArgumentError", "target must be FILE.py:function, not ''"),
    (lambda: grade("nowhere.py:f"), "FileError", "the file to check does not exist: nowhere.py"),
    (lambda: grade("/:f"), "FileError", "the file to check does not exist: /"),
    (
        lambda: grade(f"{__file__}:conv", "dense"),
        "ArgumentError",
        "kind must be one of forward, backward, transposed, transposed_backward, average_pool, "
        "average_pool_backward, max_pool, max_pool_backward, not 'dense'",
    ),
    (lambda: grade(f"{__file__}:conv", dims=0), "ArgumentError", "dims must be at least 1, not 0"),
    (lambda: grade(f"{__file__}:conv", dims=9), "ArgumentError", "dims must be 1 to 4"),
    (lambda: grade(f"{__file__}:conv", cases=0), "ArgumentError", "cases must be at least 1"),
    (
        lambda: grade(f"{__file__}:conv", timeout=0),
        "ArgumentError",
        "timeout must be a number of seconds above 0, not 0",
    ),
    (
        lambda: grade(f"{__file__}:conv", timeout=float("nan")),
        "ArgumentError",
        "timeout must be a number of seconds above 0, not nan",
    ),
    (
        lambda: grade(f"{__file__}:conv", timeout="9"),  # type: ignore[arg-type]
        "ArgumentError",
        "timeout must be a number of seconds above 0, not '9'",
    ),
    (lambda: grade(f"{__file__}:conv", memory=0), "ArgumentError", "memory must be at least 1"),
    (lambda: grade(f"{__file__}:conv", memory=-1), "ArgumentError", "memory must be at least 1"),
    (
        lambda: worker._loaded(Path("notes.txt"), "conv"),
        "FileError",
        "notes.txt is not a Python file that can be loaded",
    ),
    (
        lambda: worker._loaded(Path(worker.__file__), "conv"),
        "FileError",
        "worker.py has no function conv; choose one of its functions (",
    ),
    # Black boxes.
    (
        lambda: ca.identify(np.ones((2, 6)), (2, 2)),
        "ShapeError",
        "in_shape (2, 2) has 4 entries, but the matrix has 6 columns",
    ),
    (
        lambda: ca.identify(np.ones((2, 6)), ((2, 3), (3,))),
        "ShapeError",
        "out_shape (3,) has 3 entries, but the matrix has 2 rows",
    ),
    (
        lambda: ca.identify(conv),
        "KindError",
        "in_shape must be the shape of one input of <function conv",
    ),
    (
        lambda: ca.identify("conv", 3),
        "KindError",
        "f must be a function or a matrix of two axes, not 'conv'",
    ),
    (lambda: ca.identify(conv, 0), "ArgumentError", "in_shape must be at least 1, not 0"),
    (
        lambda: ca.identify(lambda x: x, (1000, 1000)),
        "TooLargeError",
        "identify a smaller layer of the same form",
    ),
    (
        lambda: ca.identify(sympy.ones(2, 6), (2, 2)),
        "ShapeError",
        "in_shape (2, 2) has 4 entries, but the matrix has 6 columns",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[row[2][:60] for row in BAD])
def test_bad_input_is_refused_in_words(
    call: Call, error: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    with pytest.raises(ConvalgError) as caught:
        call()
    assert type(caught.value).__name__ == error
    assert words in str(caught.value)


@pytest.mark.parametrize("name", check.__all__)
def test_every_public_name_is_there_and_told(name: str) -> None:
    value = getattr(check, name)
    assert (value.__doc__ or "").partition("\n")[0].endswith((".", ":"))


def test_an_option_that_is_not_needed_is_left_at_its_default() -> None:
    report = F(no_option, cases=4)
    assert report.options == ()
    assert not report.passed
