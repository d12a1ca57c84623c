"""Work shared among joblib's workers: the same results, in the same order, whichever they are."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from PIL import Image

import convalg as ca
from convalg.check.capture import quietly
from convalg.check.grade import grade, grade_all
from convalg.check.problem import KINDS
from convalg.check.report import Report
from convalg.images import apply, photograph
from convalg.parallel import BLOCK, each

CASES = 40
WORKERS = 2


@pytest.fixture(autouse=True, scope="module")
def no_worker_is_left() -> Iterator[None]:
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def convolution(x: Any, w: Any, *, stride: Any = 1, padding: Any = 0) -> Any:
    """The kernel is flipped; the channels stay as they are."""
    flipped = w[(slice(None), slice(None), *(slice(None, None, -1),) * (w.ndim - 2))]
    return ca.correlation(x.shape[2:], flipped, stride=stride, padding=padding)(x)


def right(x: Any, w: Any) -> Any:
    return ca.correlation(x.shape[2:], w)(x)


def talks(x: Any, w: Any) -> Any:
    print("what a stranger prints")
    warnings.warn("what a stranger warns of", stacklevel=1)
    return right(x, w) + 1


def raises(x: Any, w: Any, *, stride: Any = 1) -> Any:
    class OwnError(Exception):
        """One that cannot be unpickled elsewhere."""

        def __init__(self, first: Any, second: Any) -> None:
            super().__init__(f"{first}, {second}")

    if x.shape[1] > 1:
        raise OwnError("several", "channels")
    return right(x, w)


def ints_only(x: Any, w: Any, *, stride: Any = 1) -> Any:
    if isinstance(stride, tuple):
        raise TypeError("stride must be an int")
    return ca.correlation(x.shape[2:], w, stride=stride)(x)


def tells_of_time(x: Any, w: Any) -> Any:
    if x.shape[2] > 3:
        raise TimeoutError("the program did not finish")
    return right(x, w)


FUNCTIONS = [convolution, right, talks, raises, ints_only, tells_of_time]


def assert_same(found: Report, serial: Report) -> None:
    """The reports do not differ in anything that they can say."""
    assert found.to_dict() == serial.to_dict()
    assert found.explain() == serial.explain()
    assert repr(found) == repr(serial)
    assert [f.config for f in found.failures] == [f.config for f in serial.failures]
    assert [d.confidence for d in found.diagnosis] == [d.confidence for d in serial.diagnosis]


# The report is the one without workers.


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("f", FUNCTIONS)
def test_the_report_is_the_serial_one(f: Callable[..., Any], backend: str) -> None:
    with joblib.parallel_config(backend=backend):
        found = ca.check.forward(f, cases=CASES, jobs=WORKERS)
    assert_same(found, ca.check.forward(f, cases=CASES))


@pytest.mark.parametrize("name", list(KINDS))
def test_every_kind_is_shared(name: str) -> None:
    check = getattr(ca.check, name)

    def wrong(*arrays: Any, size: Any = 2) -> Any:
        return arrays[: len(KINDS[name].parts)] if len(KINDS[name].parts) > 1 else arrays[0]

    assert_same(check(wrong, cases=8, jobs=WORKERS), check(wrong, cases=8))


@pytest.mark.parametrize("processes", [False, True])
def test_a_sweep_on_a_dask_cluster_gives_the_serial_report(processes: bool, tmp_path: Path) -> None:
    pytest.importorskip("dask", reason="clusters of Dask need pip install 'convalg[sweeps]'")
    distributed = pytest.importorskip("distributed")
    told: list[tuple[int, int]] = []
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1 if processes else 2,
            processes=processes,
            scheduler_port=0,
            dashboard_address=None,
            worker_dashboard_address=None,
            local_directory=str(tmp_path),
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        for f in (convolution, talks):
            found = ca.check.forward(
                f, cases=CASES, jobs=-1, progress=lambda *count: told.append(count)
            )
            assert_same(found, ca.check.forward(f, cases=CASES))
    assert told == [(k + 1, CASES) for k in range(CASES)] * 2


def test_progress_is_told_in_order_up_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    ca.check.forward(right, cases=20, jobs=WORKERS, progress=lambda *count: told.append(count))
    assert told == [(k + 1, 20) for k in range(20)]


def test_a_sweep_ends_where_the_serial_one_does() -> None:
    told: list[int] = []
    report = ca.check.forward(
        tells_of_time, cases=CASES, jobs=WORKERS, progress=lambda done, cases: told.append(done)
    )
    assert report.diagnosis[0].code == "hangs"
    assert told == [*range(1, report.cases + 1)]
    assert report.cases < CASES


# What does not come back.


def ends_its_process(x: Any, w: Any) -> Any:
    if x.shape[2] == 5:
        os._exit(3)
    return right(x, w)


def never_ends(x: Any, w: Any) -> Any:
    while x.shape[2] == 5:
        time.sleep(0.01)
    return right(x, w)


@pytest.mark.parametrize(
    ("f", "code", "words"),
    [
        (ends_its_process, "crashes", "it ended its worker process"),
        (never_ends, "hangs", "no result came from a worker within 3 seconds"),
    ],
)
def test_what_takes_its_worker_with_it_is_told(
    f: Callable[..., Any], code: str, words: str
) -> None:
    report = ca.check.forward(f, cases=12, jobs=WORKERS, timeout=3)
    assert [d.code for d in report.diagnosis] == [code]
    assert report.smallest is not None
    assert words in report.smallest.words
    assert report.smallest.config.shape[0] == 5
    # Those before it were run; nothing behind it is claimed.
    assert report.cases < 12
    assert len(report.failures) == 1


def test_a_wrong_answer_before_it_is_diagnosed_without_calling_it_here() -> None:
    def both(x: Any, w: Any) -> Any:
        return 2 * ends_its_process(x, w)

    report = ca.check.forward(both, cases=12, jobs=WORKERS)
    assert {d.code for d in report.diagnosis} >= {"crashes"}
    assert report.smallest is not None
    assert report.smallest.code == "crashes"


def test_a_function_that_cannot_be_sent_is_told_before() -> None:
    lock = threading.Lock()

    def locked(x: Any, w: Any) -> Any:
        with lock:
            return right(x, w)

    with pytest.raises(ca.errors.KindError, match="needs a function that can be sent to other"):
        ca.check.forward(locked, cases=4, jobs=WORKERS)
    with joblib.parallel_config(backend="threading"):
        assert ca.check.forward(locked, cases=4, jobs=WORKERS)


def test_a_function_that_a_worker_cannot_load_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def f(item):\n    return item\n")
    # A worker that is there already does not know of the folder.
    assert list(each(abs, [1, 2], WORKERS)) == [1, 2]
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here  # type: ignore[import-not-found]

    try:
        with pytest.raises(ca.errors.KindError, match="a worker cannot load the function"):
            list(each(only_here.f, [1, 2], WORKERS))
    finally:
        del sys.modules["only_here"]


def test_a_missing_package_is_an_error_from_workers_too() -> None:
    def needs(x: Any, w: Any) -> Any:
        import nothing_of_this_name  # type: ignore[import-not-found]

        return nothing_of_this_name.conv(x, w)

    with pytest.raises(ca.errors.MissingLibraryError, match="needs the package nothing_of_this"):
        ca.check.forward(needs, cases=4, jobs=WORKERS)


@pytest.mark.parametrize("jobs", [0, True, 1.5, "2"])
def test_jobs_that_are_none_are_refused(jobs: Any) -> None:
    with pytest.raises(ca.errors.ArgumentError, match="jobs must be a number of workers"):
        ca.check.forward(right, cases=1, jobs=jobs)
    with pytest.raises(ca.errors.ArgumentError, match="jobs must be a number of workers"):
        grade(f"{__file__}:right", jobs=jobs)


# Pieces of work.


def test_results_come_in_order_and_errors_as_they_are() -> None:
    items = list(range(3 * BLOCK * WORKERS + 1))
    for jobs in (None, 1, WORKERS, -1):
        assert list(each(lambda k: k * k, items, jobs)) == [k * k for k in items]
        assert list(each(lambda k: k, [], jobs)) == []
        with pytest.raises(ZeroDivisionError):
            list(each(lambda k: 1 // (k - 3), items, jobs))


def test_one_job_is_this_process() -> None:
    assert set(each(lambda _: os.getpid(), [1, 2], 1)) == {os.getpid()}
    assert os.getpid() not in set(each(lambda _: os.getpid(), [1, 2], WORKERS))


def test_images_are_shared(tmp_path: Path) -> None:
    places = []
    for k in range(4):
        places.append(tmp_path / f"{k}.png")
        Image.fromarray(photograph()[k % 3][k:, :]).save(places[-1])

    def edges(image: Any) -> Any:
        return ca.correlation(image.shape[1:], ca.kernels.sobel_x)(image[0].astype(int))

    serial = apply(edges, [*places, photograph()])
    assert [found.shape for found in serial[:4]] == [(126 - k, 126) for k in range(4)]
    for found, expected in zip(apply(edges, [*places, photograph()], jobs=2), serial, strict=True):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
    with pytest.raises(ca.errors.FileError, match="No such file"):
        apply(edges, [tmp_path / "none.png"], jobs=WORKERS)


def test_theorems_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    room = importlib.import_module("convalg.prove.theorems.catalogue")
    few = dict(list(room._all().items())[:4])
    monkeypatch.setattr(room, "_all", lambda: few)
    found = ca.theorems.prove(jobs=WORKERS)
    assert [theorem.name for theorem, _, _ in found] == list(few)
    assert all(verdict.status == "proved" and seconds > 0 for _, verdict, seconds in found)


SOURCE = """
import numpy as np
from beside import windows

def conv(x, w):
    return np.einsum("nchwab,ocab->nohw", windows(x, w), w[:, :, ::-1, ::-1])
"""
BESIDE = """
from numpy.lib.stride_tricks import sliding_window_view

def windows(x, w):
    return sliding_window_view(x, w.shape[2:], axis=(2, 3))
"""


def test_files_are_graded_by_workers(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "homework.py").write_text(SOURCE)
    (tmp_path / "right.py").write_text(SOURCE.replace("w[:, :, ::-1, ::-1]", "w"))
    target = f"{tmp_path / 'homework.py'}:conv"
    serial = grade(target, cases=CASES)
    assert grade(target, cases=CASES, jobs=WORKERS).result == serial.result
    assert serial.result["diagnosis"][0]["code"] == "flipped-kernel"
    with joblib.parallel_config(backend="threading"):
        both = grade_all([target, f"{tmp_path / 'right.py'}:conv"], cases=CASES, jobs=WORKERS)
    assert both[0] == serial
    assert both[1].passed


# Threads that are quiet at once.


def test_threads_hear_their_own_and_all_is_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    streams, filters = (sys.stdout, sys.stderr), list(warnings.filters)
    inside, leave = threading.Barrier(2, timeout=60), threading.Event()
    heard: dict[str, int] = {}

    def speak(name: str, first: bool) -> None:
        with quietly() as own:
            inside.wait()
            print(name)
            warnings.warn(name, stacklevel=1)
            if not first:
                leave.wait(timeout=60)
            heard[name] = own.count
        if first:
            leave.set()

    threads = [threading.Thread(target=speak, args=pair) for pair in (("a", True), ("bb", False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"a": 2, "bb": 3}
    assert (sys.stdout, sys.stderr) == streams
    assert list(warnings.filters) == filters
    print("here")
    assert capsys.readouterr() == ("here\n", "")
