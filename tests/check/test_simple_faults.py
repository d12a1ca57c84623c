"""What is wrong at a glance: factors, offsets, signs, empty slices, what is not linear."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distorted import Change, built, checked
from made_up import made, right

from convalg import check
from convalg.check.candidate import candidate
from convalg.check.grade import grade
from convalg.check.problem import KINDS, Problem
from convalg.check.run import shown
from convalg.check.sweep import Config, exists
from convalg.errors import KindError, MissingLibraryError


def numbered(values: np.ndarray) -> np.ndarray:
    return np.arange(values.size).reshape(values.shape)


def emptied(found: list[np.ndarray], p: Problem) -> list[np.ndarray]:
    kept = tuple(slice(None) if pair[0] else slice(0, 0) for pair in p.padding)
    return [found[0][(..., *kept)], *found[1:]]


CASES: list[tuple[str, Change, str, str]] = [
    ("forward", lambda r, p: [-r[0]], "wrong-sign", "every entry has the wrong sign"),
    ("forward", lambda r, p: [r[0] / 2], "scaled", "every entry is 1/2 of the correct entry"),
    ("forward", lambda r, p: [-r[0] / 2], "scaled", "every entry is -1/2 of the correct entry"),
    ("forward", lambda r, p: [r[0] * 2.5], "scaled", "every entry is 2.5 times the correct entry"),
    ("forward", lambda r, p: [0 * r[0]], "all-zero", "every entry is zero"),
    ("forward", lambda r, p: [r[0] + 1], "constant-added", "1 is added to every entry"),
    ("forward", lambda r, p: [r[0] - 0.5], "constant-added", "-0.5 is added to every entry"),
    ("forward", lambda r, p: [r[0] + p.x.size], "constant-added", "the same number is added"),
    (
        "forward",
        lambda r, p: [r[0] + 1 + np.arange(r[0].shape[1])[:, None, None] ** 2],
        "constant-added",
        "a number is added to each channel",
    ),
    ("forward", lambda r, p: [r[0] / len(p.x)], "scaled", "divided by the batch size"),
    ("forward", lambda r, p: [r[0] * max(p.stride)], "scaled", "a factor that changes from call"),
    ("forward", lambda r, p: [r[0] * np.prod(p.stride)], "scaled", "multiplied by the stride"),
    ("forward", lambda r, p: [r[0] / p.groups], "scaled", "divided by the number of groups"),
    ("backward", lambda r, p: [-r[0], r[1]], "wrong-sign", "dx: every entry has the wrong"),
    ("backward", lambda r, p: [r[0], r[1] / 2], "scaled", "dw: every entry is 1/2 of the correct"),
    ("backward", lambda r, p: [r[0], 0 * r[1]], "all-zero", "dw: every entry is zero"),
    ("backward", emptied, "empty-without-padding", "x[p:-p] is empty for p = 0"),
    ("transposed", lambda r, p: [r[0] + 2], "constant-added", "2 is added to every entry"),
    ("average_pool", lambda r, p: [-r[0]], "wrong-sign", "every entry has the wrong sign"),
    ("max_pool", lambda r, p: [r[0] + 1], "constant-added", "1 is added to every entry"),
    ("max_pool_backward", lambda r, p: [r[0] * 3], "scaled", "every entry is 3 times the correct"),
    ("forward", lambda r, p: [np.maximum(r[0], 0)], "clipped", "entries below 0 become 0"),
    ("forward", lambda r, p: [np.minimum(r[0], 6)], "clipped", "entries above 6 become 6"),
    ("max_pool", lambda r, p: [np.maximum(r[0], -1)], "clipped", "entries below -1 become -1"),
    ("forward", lambda r, p: [r[0].astype(np.float16).astype(float) + 1e-4], "imprecise", "half"),
    ("forward", lambda r, p: [np.abs(r[0])], "not-linear", "not linear in x: at y[0"),
    ("backward", lambda r, p: [r[0] * (p.x > 0), r[1]], "depends-on-input", "it changes with x"),
    ("backward", lambda r, p: [r[0], r[1] + p.w], "depends-on-input", "dw: it changes with w"),
    (
        "average_pool_backward",
        lambda r, p: [r[0] * p.x],
        "depends-on-input",
        "must not depend on x",
    ),
    ("forward", lambda r, p: [r[0] ** 2], "not-linear", "two inputs give"),
    ("forward", lambda r, p: [np.sin(r[0])], "not-linear", "but their sum gives"),
    ("forward", lambda r, p: [np.cos(r[0])], "not-linear", "(and 1 for zeros)"),
    (
        "backward",
        lambda r, p: [r[0], np.clip(r[1], -4, 4)],
        "not-linear",
        "dw: not linear in g: at dw[",
    ),
    ("average_pool", lambda r, p: [np.floor(r[0])], "not-linear", "not linear in x"),
    ("max_pool_backward", lambda r, p: [np.abs(r[0])], "not-linear", "not linear in g"),
    ("forward", lambda r, p: [np.moveaxis(r[0], 1, -1)], "channels-last", "are not in the order"),
    (
        "transposed",
        lambda r, p: [np.moveaxis(r[0], 1, -1)],
        "channels-last",
        "are not in the order",
    ),
    ("max_pool", lambda r, p: [np.moveaxis(r[0], 1, -1)], "channels-last", "are not in the order"),
    ("forward", lambda r, p: [r[0][0]], "wrong-shape", "(3 axes instead of 4)"),
    ("forward", lambda r, p: [r[0].ravel()], "wrong-shape", "(1 axis instead of 4)"),
]


@pytest.mark.parametrize(
    ("name", "change", "code", "words"),
    CASES,
    ids=[f"{case[0]}-{case[2]}-{k}" for k, case in enumerate(CASES)],
)
def test_what_is_plain_is_named(name: str, change: Change, code: str, words: str) -> None:
    report = checked(name, change)
    assert report.diagnosis[0].code == code, list(map(str, report.diagnosis))
    assert words in report.diagnosis[0].message


def test_a_condition_makes_it_less_certain() -> None:
    report = checked("forward", lambda r, p: [-r[0] if max(p.stride) > 1 else r[0]])
    found = {d.code: d for d in report.diagnosis}
    assert 0.5 < found["wrong-sign"].confidence < 1


def test_a_mistake_without_a_name_tells_where_it_is_made() -> None:
    def late(found: list[np.ndarray], p: Problem) -> list[np.ndarray]:
        return [y + (numbered(y) + 1) ** 2 for y in found] if max(p.stride) > 1 else found

    report = checked("forward", late)
    assert report.diagnosis[0].code == "unknown"
    assert "; exactly when the stride is not 1" in report.diagnosis[0].message
    report = checked("forward", lambda r, p: late(r, replace(p, stride=(p.groups,))))
    assert report.diagnosis[0].code == "groups-wrong"
    assert "it is wrong only when there are groups" in report.diagnosis[0].message


def test_the_witness_against_linearity_is_one() -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.abs(right("forward", made("forward", (x, w), {**PLAIN}))[0])

    message = check.forward(f).diagnosis[0].message
    numbers = message.partition("two inputs give ")[2].replace(", but their sum gives", " and")
    a, b, both = (float(word) for word in numbers.split(" and "))
    assert a + b != both


PLAIN = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def weird(found: list[np.ndarray], p: Problem) -> list[np.ndarray]:
    """Linear, and like nothing that is known."""
    return [y * (1 + numbered(y) % 3) for y in found]


@pytest.mark.parametrize("name", list(KINDS))
def test_what_has_no_name_is_told_soon(name: str) -> None:
    calls = []

    def f(*arrays: np.ndarray, **options: Any) -> Any:
        calls.append(1)
        return built(name, weird)(*arrays, **options)

    start = time.perf_counter()
    report = getattr(check, name)(f)
    seconds = time.perf_counter() - start
    assert report.diagnosis[0].code == "unknown"
    # 160 configurations, wrong ones twice, and as many again to find the smallest and its matrix.
    assert len(calls) < 800
    assert seconds < 12


# Poolings speak of windows, transposed layers of what is cropped.


def test_the_padding_of_a_transposed_layer_crops() -> None:
    def f(x: np.ndarray, w: np.ndarray, *, padding: Any) -> np.ndarray:
        options = {**PLAIN, "padding": 0, "output_padding": 0}
        return right("transposed", made("transposed", (x, w), options))[0]

    message = check.transposed(f).diagnosis[0].message
    assert message == "the padding (which crops the output) is ignored"


# The smallest failure of a pooling is the smallest.


def no_ceil(found: list[np.ndarray], p: Problem) -> list[np.ndarray]:
    return right("average_pool", replace(p, ceil_mode=False))


def uncounted(found: list[np.ndarray], p: Problem) -> list[np.ndarray]:
    return right("average_pool", replace(p, count_include_pad=False))


@pytest.mark.parametrize("change", [no_ceil, uncounted])
def test_the_smallest_failure_of_a_pooling(change: Change) -> None:
    f = built("average_pool", change)
    kind = KINDS["average_pool"]
    report = check.average_pool(f)
    assert report.smallest is not None
    tested = candidate(f, kind)
    smaller = [c for c in small_poolings() if c.work < report.smallest.config.work]
    assert smaller
    assert [c for c in smaller if exists(kind, c) and shown(tested, c)] == []


def small_poolings() -> list[Config]:
    ranges = [range(1, 3)] * 4 + [range(1, 3)] * 2 + [range(2)] * 4
    numbers = np.array(np.meshgrid(*ranges, indexing="ij")).reshape(len(ranges), -1).T.tolist()
    return [
        Config(
            (h, w),
            (a, b),
            (s, t),
            (p, q),
            (1, 1),
            (0, 0),
            ceil_mode=bool(c),
            count_include_pad=bool(i),
        )
        for h, w, a, b, s, t, p, q, c, i in numbers
    ]


# What is not the function's fault.


def test_a_torch_function_without_its_adapter() -> None:
    torch = pytest.importorskip("torch")

    def pooled(x: Any, *, size: Any) -> Any:
        return x.unfold(2, size, size)

    cases = [
        (
            check.forward,
            torch.nn.functional.conv2d,
            "ca.check.forward(ca.check.from_torch(conv2d))",
        ),
        (check.max_pool, torch.nn.functional.max_pool2d, "ca.check.max_pool(ca.check.from_torch"),
        (check.average_pool, pooled, "ca.check.average_pool(ca.check.from_torch(pooled))"),
        (check.backward, lambda x, w, g: torch.relu(x), "or use from_torch_backward with the"),
    ]
    for checking, function, words in cases:
        found = checking(function, cases=10).diagnosis[0]
        assert found.code == "needs-adapter"
        assert "it needs PyTorch tensors, but it is called with NumPy arrays" in found.message
        assert words in found.message
    assert check.forward(check.from_torch(torch.nn.functional.conv2d), cases=10)


def test_a_torch_function_of_gradients_is_adapted() -> None:
    torch = pytest.importorskip("torch")

    def gradients(x: Any, w: Any, g: Any, *, padding: Any) -> Any:
        dx = torch.nn.grad.conv2d_input(x.shape, w, g, padding=padding)
        return dx, torch.nn.grad.conv2d_weight(x, w.shape, g, padding=padding)

    assert check.backward(check.from_torch(gradients), cases=10)


def test_a_module_is_checked_as_a_layer() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(KindError, match="is a layer with its own weights and options"):
        check.forward(torch.nn.Conv2d(1, 1, 3))


def test_a_pooling_of_torch_by_its_own_name() -> None:
    def pool(x: Any, kernel_size: Any = 2) -> Any: ...

    with pytest.raises(KindError, match="wrap a function of PyTorch with from_torch"):
        check.max_pool(pool)


def test_a_missing_package_is_no_mistake(tmp_path: Path) -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        import no_such_package_at_all  # type: ignore[import-not-found]

        return np.asarray(no_such_package_at_all.conv(x, w))

    with pytest.raises(MissingLibraryError, match="f needs the package no_such_package_at_all"):
        check.forward(f)
    file = tmp_path / "homework.py"
    file.write_text("def f(x, w):\n    import no_such_package_at_all\n")
    (found,) = grade(f"{file}:f").result["diagnosis"]
    assert found["code"] == "missing-library"
    assert "which is not installed: install it" in found["message"]


def test_a_module_missing_from_a_package_that_is_here_is_one() -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        import numpy.no_such_module  # type: ignore[import-not-found]

        return np.asarray(numpy.no_such_module)

    assert check.forward(f, cases=4).diagnosis[0].code == "raises"


def test_gradients_given_as_a_layer() -> None:
    def conv_backward(x: Any, w: Any, dout: Any, stride: Any) -> Any: ...

    with pytest.raises(KindError, match=r"or check a gradient by backward \(--kind backward\)"):
        check.forward(conv_backward)

    def conv_and_cache(x: np.ndarray, w: np.ndarray) -> Any:
        return x, w

    found = check.forward(conv_and_cache, cases=4).diagnosis[0]
    assert found.code == "wrong-type"
    assert "return y alone; gradients are checked by backward (--kind backward)" in found.message


def test_a_program_that_hangs_is_asked_once(tmp_path: Path) -> None:
    file = tmp_path / "slow.py"
    file.write_text("import time\ntime.sleep(60)\n")
    command = [sys.executable, str(file), "{x}", "{w}", "{y}"]
    start = time.perf_counter()
    report = check.forward(check.from_command(command, timeout=1))
    assert time.perf_counter() - start < 10
    assert (report.cases, len(report.failures)) == (1, 1)
    assert [d.code for d in report.diagnosis] == ["hangs"]
    assert "it did not finish within 1 seconds" in report.explain()
    assert json.dumps(report.to_dict())


def test_the_room_shows_what_is_for_use() -> None:
    assert dir(check) == sorted(check.__all__)
    assert all(callable(getattr(check, name)) for name in dir(check))
