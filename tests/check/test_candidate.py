"""Calling somebody's function: signatures, and everything that may come of a call."""

from __future__ import annotations

import functools
import operator
import random
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from convalg import check
from convalg.check.candidate import candidate, differs
from convalg.check.problem import KINDS
from convalg.check.sweep import Config, problem

FORWARD = KINDS["forward"]
PLAIN = Config((4, 5), (2, 3), (1, 1), (0, 0), (1, 1), (0, 0), 2, 2, 3)


def right(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.einsum("nchwab,ocab->nohw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)


def gradients(x: np.ndarray, w: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cut = sliding_window_view(x, w.shape[2:], axis=(2, 3))
    reach = [(0, 0), (0, 0), *((k - 1, k - 1) for k in w.shape[2:])]
    seen = sliding_window_view(np.pad(g, reach), w.shape[2:], axis=(2, 3))
    dx = np.einsum("nohwab,ocab->nchw", seen, w[:, :, ::-1, ::-1])
    return dx, np.einsum("nchwab,nohw->ocab", cut, g)


def codes(f: Any, kind: str = "forward", cases: int = 12) -> list[str]:
    return [found.code for found in getattr(check, kind)(f, cases=cases).diagnosis]


# Signatures: which options a function is found to have.


class Strided:
    def __call__(self, x: Any, w: Any, *, stride: Any = 1) -> np.ndarray:
        return right(x, w)[:, :, ::stride, ::stride]


class Methods:
    def conv(self, x: Any, w: Any, padding: Any) -> np.ndarray:
        return right(np.pad(x, ((0, 0), (0, 0), *[(padding, padding)] * 2)), w)

    @staticmethod
    def alone(x: Any, w: Any) -> np.ndarray:
        return right(x, w)

    @classmethod
    def of_class(cls, x: Any, w: Any, groups: int = 1) -> np.ndarray:
        return right(x, w)


def wrapped(f: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(f)
    def inner(*args: Any, **options: Any) -> Any:
        return f(*args, **options)

    return inner


SIGNATURES: list[tuple[str, Any, tuple[str, ...]]] = [
    ("none", lambda x, w: 0, ()),
    ("positional", lambda x, w, stride, padding: 0, ("stride", "padding")),
    ("order", lambda x, w, padding, stride: 0, ("stride", "padding")),
    ("keyword only", lambda x, w, *, groups: 0, ("groups",)),
    ("defaults", lambda x, w, dilation=1, groups=1: 0, ("dilation", "groups")),
    ("all by kwargs", lambda x, w, **options: 0, FORWARD.options),
    ("kwargs and one", lambda x, w, stride, **options: 0, FORWARD.options),
    ("other names", lambda image, kernel, stride: 0, ("stride",)),
    ("positional only", lambda x, w, /, stride: 0, ("stride",)),
    ("args", lambda *arrays, stride: 0, ("stride",)),
    ("args and kwargs", lambda *arrays, **options: 0, FORWARD.options),
    ("unknown with default", lambda x, w, bias=None, *, stride=1: 0, ("stride",)),
    ("keyword arrays that are defaults", lambda x, w=None, stride=1: 0, ("stride",)),
    ("object", Strided(), ("stride",)),
    ("bound method", Methods().conv, ("padding",)),
    ("static method", Methods.alone, ()),
    ("class method", Methods.of_class, ("groups",)),
    ("partial by keyword", functools.partial(lambda x, w, stride, k: 0, k=3), ("stride",)),
    ("partial by place", functools.partial(lambda k, x, w, stride: 0, 3), ("stride",)),
    ("wrapped", wrapped(lambda x, w, stride: 0), ("stride",)),
    ("class", type("Layer", (), {"__init__": lambda self, x, w, stride: None}), ("stride",)),
    ("C function", operator.mul, ()),
    ("C function without signature", max, FORWARD.options),
]


@pytest.mark.parametrize(
    ("f", "options"), [row[1:] for row in SIGNATURES], ids=[row[0] for row in SIGNATURES]
)
def test_options_that_a_function_has(f: Any, options: tuple[str, ...]) -> None:
    found = candidate(f, FORWARD)
    assert found.options == options
    assert set(found.options) | set(found.missing) == set(FORWARD.options)
    assert not set(found.options) & set(found.missing)


@pytest.mark.parametrize(
    "f",
    [
        right,
        Methods.alone,
        wrapped(right),
        functools.partial(right),
        lambda *arrays: right(*arrays),
        lambda image, kernel, /: right(image, kernel),
        lambda x, w, *, bias=None: right(x, w),
        lambda x, w, *, stride=1: right(x, w)[
            :, :, :: np.broadcast_to(stride, 2)[0], :: np.broadcast_to(stride, 2)[1]
        ],
    ],
)
def test_any_way_to_write_it_passes(f: Any) -> None:
    report = check.forward(f, cases=24)
    assert report.passed, report.explain()
    assert report.cases == 24
    (note,) = report.notes
    assert note.startswith("not tested, since")
    assert note.endswith(", ".join(name for name in FORWARD.options if name not in report.options))


def test_only_ints_is_a_note_and_no_failure() -> None:
    def ints(x: np.ndarray, w: np.ndarray, *, stride: int = 1) -> np.ndarray:
        if not isinstance(stride, int):
            raise TypeError("an int is wanted")
        return right(x, w)[:, :, ::stride, ::stride]

    report = check.forward(ints, cases=40)
    assert report.passed
    note = next(note for note in report.notes if note.startswith("ints only"))
    left_out = int(note.split("(")[1].split()[0])
    assert report.cases == 40 - left_out < 40
    # A function that refuses everything is wrong all the same.
    assert codes(lambda x, w, *, stride: int("no"))[0] == "raises"


def test_a_tuple_is_refused_where_an_int_is_not_wanted_either() -> None:
    def often(x: np.ndarray, w: np.ndarray, *, stride: Any = 1) -> np.ndarray:
        if stride != 1:
            raise ValueError("stride is not supported")
        return right(x, w)

    report = check.forward(often, cases=40)
    assert report.diagnosis[0].code == "raises"
    assert "exactly when the stride is not 1" in report.diagnosis[0].message


# What a call may do.


def outcome(f: Any, kind: str = "forward") -> Any:
    tested = candidate(f, KINDS[kind])
    return tested(PLAIN, problem(KINDS[kind], PLAIN))


ARRAY_TYPES: list[tuple[str, Callable[[np.ndarray], Any], str]] = [
    ("float64", lambda y: y, ""),
    ("float32", lambda y: y.astype(np.float32), ""),
    ("longdouble", lambda y: y.astype(np.longdouble), ""),
    ("int64", lambda y: y.astype(np.int64), ""),
    ("int32", lambda y: y.astype(np.int32), ""),
    ("Fortran order", lambda y: np.asfortranarray(y), ""),
    ("a view backwards", lambda y: y[::-1][::-1], ""),
    ("read only", lambda y: np.broadcast_to(y, y.shape), ""),
    ("big endian", lambda y: y.astype(">f8"), ""),
    ("masked", lambda y: np.ma.masked_array(y), ""),
    ("float16", lambda y: y.astype(np.float16), "wrong-type"),
    ("complex", lambda y: y.astype(complex), "wrong-type"),
    ("bool", lambda y: y.astype(bool), "wrong-type"),
    ("object", lambda y: y.astype(object), "wrong-type"),
    ("text", lambda y: y.astype(str), "wrong-type"),
    ("date", lambda y: y.astype("datetime64[D]"), "wrong-type"),
    ("list", lambda y: y.tolist(), "wrong-type"),
    ("tuple of one", lambda y: (y,), "wrong-type"),
    ("list of one", lambda y: [y], "wrong-type"),
    ("dict", lambda y: {"y": y}, "wrong-type"),
    ("None", lambda y: None, "wrong-type"),
    ("float", lambda y: float(y.flat[0]), "wrong-type"),
    ("text alone", lambda y: "y", "wrong-type"),
    ("generator", lambda y: (row for row in y), "wrong-type"),
    ("memoryview", lambda y: memoryview(y), "wrong-type"),
    ("not implemented", lambda y: NotImplemented, "wrong-type"),
    ("the type", lambda y: np.ndarray, "wrong-type"),
]


@pytest.mark.parametrize(
    ("change", "code"), [row[1:] for row in ARRAY_TYPES], ids=[row[0] for row in ARRAY_TYPES]
)
def test_types_of_answers(change: Callable[[np.ndarray], Any], code: str) -> None:
    found = outcome(lambda x, w: change(right(x, w)))
    assert found.code == code, found.message
    assert codes(lambda x, w: change(right(x, w))) == ([code] if code else [])
    if code:
        assert found.message.startswith("y is "), found.message
    else:
        assert found.parts["y"].dtype == np.float64


def test_a_torch_tensor_is_an_array_while_it_needs_no_gradient() -> None:
    torch = pytest.importorskip("torch")
    assert outcome(lambda x, w: torch.tensor(right(x, w))).code == ""
    found = outcome(lambda x, w: torch.tensor(right(x, w), requires_grad=True))
    assert found.code == "raises"
    assert "Use tensor.detach().numpy() instead" in found.message


SHAPES: list[tuple[str, Callable[[np.ndarray], Any]]] = [
    ("scalar", lambda y: y.sum()),
    ("zero axes", lambda y: np.array(y.sum())),
    ("no batch", lambda y: y[0]),
    ("an axis more", lambda y: y[None]),
    ("flat", lambda y: y.ravel()),
    ("matrix", lambda y: np.asmatrix(y.reshape(len(y), -1))),
    ("empty", lambda y: y[:0]),
    ("channels last", lambda y: np.moveaxis(y, 1, -1)),
    ("a row more", lambda y: np.pad(y, ((0, 0), (0, 0), (0, 1), (0, 0)))),
]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("change", [row[1] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_shapes_of_answers(change: Callable[[np.ndarray], Any]) -> None:
    report = check.forward(lambda x, w: change(right(x, w)), cases=12)
    assert not report.passed
    # The matrix difference, the explanation and the JSON live with whatever shape came.
    assert report.explain()
    assert report.to_dict()["diagnosis"]
    assert any(f.code == "wrong-shape" for f in report.failures)


def test_gradients_come_as_a_pair() -> None:
    assert codes(gradients, "backward") == []
    assert codes(lambda x, w, g: list(gradients(x, w, g)), "backward") == []
    found = check.backward(lambda x, w, g: gradients(x, w, g)[0], cases=4)
    assert found.diagnosis[0].code == "wrong-type"
    assert found.diagnosis[0].message.startswith("it returns a ndarray instead of (dx, dw)")
    found = check.backward(lambda x, w, g: (*gradients(x, w, g), 0), cases=4)
    assert found.diagnosis[0].message.startswith("it returns a tuple of 3 instead of (dx, dw)")
    found = check.backward(lambda x, w, g: (gradients(x, w, g)[0], None), cases=4)
    assert found.diagnosis[0].message.startswith("dw is a NoneType, not an array")


def test_gradients_in_the_other_order_are_told() -> None:
    found = check.backward(lambda x, w, g: gradients(x, w, g)[::-1], cases=24)
    assert found.diagnosis[0].code == "wrong-shape"
    assert "the result is (dw, dx) instead of (dx, dw)" in found.diagnosis[0].message


class Refusing:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("no array")


def test_an_answer_that_does_not_become_an_array_is_a_finding() -> None:
    found = outcome(lambda x, w: Refusing())
    assert (found.code, found.message) == ("raises", "it raises RuntimeError: no array")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words either")


RAISED: list[Any] = [
    ValueError("a shape"),
    TypeError("a type"),
    IndexError("index 7 is out of bounds"),
    KeyError("groups"),
    NotImplementedError(),
    ZeroDivisionError("by zero"),
    MemoryError("too large"),
    RecursionError("too deep"),
    AssertionError("x.ndim == 4"),
    StopIteration(),
    OSError(2, "no such file"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    Warning("as an error"),
    SystemExit(3),
    ExceptionGroup("two", [ValueError("a"), TypeError("b")]),
    ValueError("long " * 1000),
    UnprintableError(),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_it_raises_is_a_finding(error: BaseException) -> None:
    def f(x: Any, w: Any) -> Any:
        raise error

    found = outcome(f)
    assert found.code == "raises"
    assert re.match(rf"it raises ([\w.]+\.)?{type(error).__name__}\b", found.message)
    assert len(found.message) < 300
    report = check.forward(f, cases=5)
    assert report.diagnosis[0].code == "raises"
    assert len(report.failures) == report.cases
    assert report.smallest is not None
    assert report.smallest.config.shape == report.smallest.config.size == (1, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_an_interruption_goes_through(error: type[BaseException]) -> None:
    def f(x: Any, w: Any) -> Any:
        raise error

    with pytest.raises(error):
        check.forward(f, cases=3)


def test_warnings_and_numbers_that_overflow_do_not_matter(
    recwarn: pytest.WarningsRecorder,
) -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        np.array([1.0]) / np.array([0.0])
        np.log(np.array([-1.0]))
        return right(x, w)

    before = np.geterr(), list(warnings.filters)
    assert check.forward(f, cases=5).passed
    assert (np.geterr(), list(warnings.filters)) == before
    assert len(recwarn) == 0


def test_what_it_prints_is_not_shown_but_told(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        print("debug", x.shape)
        print("more", file=sys.stderr)
        return right(x, w)

    report = check.forward(f, cases=5)
    assert report.passed
    assert "f prints text, which is not shown" in report.notes
    assert capsys.readouterr() == ("", "")
    assert "prints" not in str(check.forward(right, cases=5).notes)


def test_closing_the_output_does_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        sys.stdout.close()
        return right(x, w)

    report = check.forward(f, cases=5)
    assert report.cases == 5
    print("still here")
    assert capsys.readouterr().out == "still here\n"


def test_a_shape_that_depends_on_the_numbers_is_reported() -> None:
    def positive(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        y = right(x, w)
        return y[y > 0]

    report = check.forward(positive, cases=12)
    assert report.diagnosis[0].code == "wrong-shape"
    assert report.explain()


# Writing to inputs, and keeping them.


def into_x(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    y = right(x, w)
    x[:] = 0
    return y


def into_w(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    y = right(x, w)
    w *= -1
    return y


def swapped_in_place(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    y = right(x, w)
    x.shape = (-1,)
    return y


@pytest.mark.parametrize(
    ("f", "words"),
    [(into_x, "its argument x"), (into_w, "its argument w"), (swapped_in_place, "argument x")],
)
def test_writing_to_inputs_is_found(f: Any, words: str) -> None:
    report = check.forward(f, cases=12)
    assert report.diagnosis[0].code == "mutates-input"
    assert words in report.diagnosis[0].message


def test_each_call_gets_arrays_of_its_own() -> None:
    kept: list[np.ndarray] = []

    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        for old in kept:
            old[:] = np.nan
        kept[:] = [x, w]
        return right(x, w)

    assert check.forward(f, cases=24).passed


def test_an_answer_in_one_buffer_for_all_calls_is_read_at_once() -> None:
    store = np.zeros(10**5)

    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        y = right(x, w)
        view = store[: y.size].reshape(y.shape)
        view[:] = y
        return view

    assert check.forward(f, cases=24).passed


def test_a_view_of_the_input_is_an_answer() -> None:
    # With one tap of one, a slice of x is right, and nothing is written to.
    def f(x: np.ndarray, size: int) -> np.ndarray:
        return x[:, :, ::size, ::size] if size == 1 else pooled(x, size)

    def pooled(x: np.ndarray, size: Any) -> np.ndarray:
        taps = np.broadcast_to(size, 2)
        cut = sliding_window_view(x, tuple(taps), axis=(2, 3))
        return cut[:, :, :: taps[0], :: taps[1]].max(axis=(4, 5))

    report = check.max_pool(f, cases=24)
    assert report.passed, report.explain()


# Numbers.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["one", "all"])
def test_numbers_that_are_none_are_found(value: float, where: str) -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        y = right(x, w)
        if where == "all":
            y[:] = value
        else:
            y.flat[-1] = value
        return y

    report = check.forward(f, cases=12)
    assert not report.passed
    assert len(report.failures) == report.cases
    found = report.diagnosis[0].code
    assert found == "not-a-number" if np.isnan(value) else found in ("unknown", "not-a-number")
    # JSON has no such number.
    assert "NaN" not in str(report.to_dict()["smallest"]["got"])


def test_what_changes_from_call_to_call_is_found() -> None:
    draw = random.Random(1)

    def noisy(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return right(x, w) + draw.random()

    assert codes(noisy)[0] == "nondeterministic"


def test_what_depends_on_earlier_calls_is_found() -> None:
    calls = []

    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        calls.append(1)
        return right(x, w) + (len(calls) > 40)

    assert not check.forward(f, cases=60).passed


@pytest.mark.parametrize("error", [1e-6, 1e-3])
def test_rounding_is_allowed_and_mistakes_are_not(error: float) -> None:
    expected = np.array([[1000.0, 1.0]])
    assert (differs(expected * (1 + error), expected) is None) == (error < 1e-4)
    assert differs(np.array([]), np.array([])) is None
    assert differs(np.array([np.nan]), np.array([0.0])) == (0,)
    assert differs(np.array([np.inf]), np.array([0.0])) == (0,)


def test_half_precision_inside_is_no_mistake_of_the_algebra() -> None:
    # The integers are small: float32 is exact, and so are sums in any order.
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return right(x.astype(np.float32), w.astype(np.float32))

    assert check.forward(f, cases=40).passed


def test_the_arrays_are_as_promised() -> None:
    seen = []

    def f(x: np.ndarray, w: np.ndarray, *, stride: Any, padding: Any) -> np.ndarray:
        seen.append((x, w, stride, padding))
        return np.zeros(1)

    check.forward(f, cases=20, dims=3)
    for x, w, *options in seen:
        assert x.dtype == w.dtype == np.float64
        assert x.ndim == w.ndim == 5
        assert np.array_equal(x, np.round(x))
        assert x.flags.writeable
        assert w.all()
        for value in options:
            assert type(value) is int or (
                type(value) is tuple and len(value) == 3 and len(set(value)) > 1
            )


def test_progress_is_told_of_each_configuration() -> None:
    told: list[tuple[int, int]] = []
    check.forward(right, cases=6, progress=lambda done, all_: told.append((done, all_)))
    assert told == [(k, 6) for k in range(1, 7)]
