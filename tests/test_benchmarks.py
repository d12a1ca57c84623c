"""The benchmark's own machinery: statistics, turns, comparisons, tables; no time decides."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import engines, machine, run, table
from benchmarks.harness import (
    CrashError,
    Job,
    Local,
    Quantity,
    Result,
    Session,
    Spread,
    UnableError,
    Work,
    compare,
    difference,
    hold,
    in_turns,
    ratios,
    spread,
    summarise,
)
from benchmarks.jobs import apply, jobs, matrices, networks, peers, symbols
from benchmarks.jobs.footprint import LARGE
from benchmarks.jobs.layers import Layer, batch_innermost, samples
from benchmarks.worker import Apart, environment, find, serve

ROOT = Path(__file__).parents[1]
RATES = machine.Rates(sgemm=100.0, fill=10.0, copy=20.0)


class Fake:
    """A clock that passes only when contestants say so, and a log of who was called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def clock(self) -> float:
        return self.now

    def contestant(self, name: str, seconds: float, result: Any = 1.0) -> Callable[[], Any]:
        def call() -> Any:
            self.log.append(name)
            self.now += seconds
            return result

        return lambda: call


def missing() -> Callable[[], Any]:
    import no_such_library_anywhere  # noqa: F401

    return lambda: None


def unable() -> Callable[[], Any]:
    raise UnableError("no circular layers")


def tiny(answer: float = 3.0) -> Job:
    numbers = np.ones(3)
    return Job(
        "tiny",
        "numpy",
        {
            "convalg": lambda: lambda: np.array([answer]),
            "numpy": lambda: lambda: numbers.sum(keepdims=True),
            "absent": missing,
        },
        aim=1e9,
    )


def raising() -> Callable[[], Any]:
    raise ZeroDivisionError("on purpose")


# Statistics.


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_a_spread_lies_among_its_values(values: list[float]) -> None:
    found = spread(values)
    close = 1 + 1e-9
    assert min(values) <= found.low * close
    assert found.low <= found.median * close
    assert found.median <= found.high * close
    assert found.high <= max(values) * close
    assert found.median == pytest.approx(statistics.median(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([4.0], Spread(4, 4, 4)),
        ([1.0, 3.0], Spread(1.5, 2, 2.5)),
        ([5.0, 1.0, 3.0, 2.0, 4.0], Spread(2, 3, 4)),
    ],
)
def test_quartiles(values: list[float], expected: Spread) -> None:
    assert spread(values) == expected


def test_a_spread_of_nothing() -> None:
    with pytest.raises(ValueError, match="needs at least one value"):
        spread([])


def test_ratios_are_round_by_round() -> None:
    times = {"a": [2.0, 6.0], "b": [1.0, 2.0]}
    assert ratios(times, "a", "b") == [2, 3]
    with pytest.raises(ValueError, match="shorter"):
        ratios({"a": [1.0, 2.0], "b": [1.0]}, "a", "b")


def test_a_result_is_the_median_of_processes() -> None:
    job = Job("j", "numpy", {"convalg": missing, "numpy": missing}, aim=2.0, work=Work(flops=1e9))
    sessions = [
        Session({"convalg": [value, value, value], "numpy": [1.0, 1.0, 1.0]})
        for value in (9.0, 1.0, 2.0)
    ]
    ours, its = summarise(job, sessions)
    assert ours.ratio == Spread(2, 2, 2)
    assert ours.processes == (9, 1, 2)
    assert ours.seconds == 2
    assert ours.met is True
    assert (its.ratio, its.met) == (Spread(1, 1, 1), None)


def test_an_aim_that_was_not_measured_is_not_met() -> None:
    assert Result("j", "convalg", aim=1.0, problem="broke: status 1").met is False
    assert Result("j", "convalg", aim=1.0, value=1.0).met is True
    assert Result("j", "convalg", aim=1.0, value=1.1).met is False


# Turns.


def test_contestants_take_turns_and_each_begins_a_round() -> None:
    fake = Fake()
    parts = {name: fake.contestant(name, 0.6) for name in "abc"}
    job = Job("j", "a", parts)
    seats = [Local(job, name, fake.clock) for name in "abc"]
    for seat in seats:
        assert seat.build() == ""
        seat.settle()
    fake.log.clear()
    times = in_turns(seats, 4)
    # Calls of over half a second are not repeated, and not warmed up again.
    assert "".join(fake.log) == "abcbcacababc"
    assert all(each == pytest.approx([0.6] * 4) for each in times.values())


@pytest.mark.parametrize(
    ("seconds", "repeats"), [(1e-3, 30), (1e-9, 10_000), (0.02, 2), (0.6, 1), (5.0, 1)]
)
def test_short_calls_are_repeated(seconds: float, repeats: int) -> None:
    fake = Fake()
    seat = Local(Job("j", "a", {"a": fake.contestant("a", seconds)}), "a", fake.clock)
    seat.build()
    total = seat.settle()
    fake.log.clear()
    before = fake.now
    assert seat.turn() == pytest.approx(seconds)
    assert seat.repeats == repeats
    warm = seconds < 0.5
    assert len(fake.log) == repeats + warm
    assert fake.now - before == pytest.approx(total)


def test_making_the_inputs_is_not_timed() -> None:
    fake = Fake()

    def make() -> Callable[[], Any]:
        fake.now += 1000
        return fake.contestant("a", 1.0)()

    seat = Local(Job("j", "a", {"a": make}), "a", fake.clock)
    seat.build()
    assert seat.settle() == pytest.approx(1.0)


def test_a_seat_is_built_first() -> None:
    with pytest.raises(RuntimeError, match="has no call yet"):
        Local(tiny(), "numpy").turn()


@pytest.mark.parametrize(("seconds", "rounds"), [(100.0, 7), (9.0, 4), (0.0, 3)])
def test_the_time_for_a_job_limits_its_rounds(seconds: float, rounds: int) -> None:
    fake = Fake()
    job = Job("j", "b", {"a": fake.contestant("a", 1.0), "b": fake.contestant("b", 1.0)})
    seats = [Local(job, name, fake.clock) for name in "ab"]
    session = hold(job, seats, rounds=7, seconds=seconds)
    assert {name: len(each) for name, each in session.times.items()} == {"a": rounds, "b": rounds}
    assert all(seat.call is None for seat in seats)


# Comparisons, and who is missing.


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (np.ones(3), np.ones(3), ""),
        (np.ones(3, dtype=np.float32), np.ones(3) * (1 + 1e-6), ""),
        (np.ones(3), np.ones((3, 1)), "shape (3,) instead of (3, 1)"),
        (np.array([1.0, 2.0]), np.array([1.0, 2.1]), "off by 4.8e-02 of the largest entry"),
        (np.array([1, 2]), np.array([1, 3]), "1 of 2 entries differ"),
        (np.array(["a"]), np.array(["b"]), "1 of 1 entries differ"),
        (np.array([np.nan]), np.array([1.0]), "entries are not finite"),
        (np.array([1j]), np.array([1j]), ""),
        (np.zeros(0), np.zeros(0), ""),
    ],
)
def test_difference(found: Any, wanted: Any, expected: str) -> None:
    assert difference(found, wanted, 1e-4) == expected


def test_a_wrong_contestant_is_told_and_not_timed() -> None:
    job = tiny(answer=3.01)
    session = hold(job, [Local(job, name) for name in job.contestants], rounds=3, seconds=1)
    assert session.wrong == {"convalg": "wrong result: off by 3.3e-03 of the largest entry"}
    assert set(session.times) == {"numpy"}
    ours = summarise(job, [session])[0]
    assert ours.problem == "wrong result: off by 3.3e-03 of the largest entry"
    assert ours.ratio is None
    assert ours.met is False


def test_the_oracle_is_not_the_limit() -> None:
    fake = Fake()
    parts = {
        "convalg": fake.contestant("c", 1.0, 2.0),
        "fill": fake.contestant("f", 1.0, None),
        "other": fake.contestant("o", 1.0, 3.0),
    }
    job = Job("j", "fill", parts, oracle="other", limits=frozenset({"fill"}))
    seats = [Local(job, name, fake.clock) for name in parts]
    for seat in seats:
        seat.build()
    assert list(compare(job, seats)) == ["convalg"]
    assert "f" not in fake.log


class Broken(Local):
    def answer(self) -> Any:
        raise CrashError(f"{self.name}: on purpose")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("convalg", {"convalg": "broke: convalg: on purpose"}),
        (
            "numpy",
            {
                "numpy": "broke: numpy: on purpose",
                "convalg": "broke: no result of numpy to compare with",
            },
        ),
    ],
)
def test_one_that_breaks_is_told(broken: str, expected: dict[str, str]) -> None:
    job = tiny()
    seats = [(Broken if name == broken else Local)(job, name) for name in ("convalg", "numpy")]
    session = hold(job, seats, rounds=3, seconds=0)
    assert session.wrong == expected
    assert set(session.times) == {"convalg", "numpy"} - set(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "torch"}, r"j: contestants have to include \['torch'\]"),
        ({"oracle": "x"}, r"j: contestants have to include \['x'\]"),
        ({"limits": frozenset({"numpy"})}, "'numpy' is a limit, so oracle= names another"),
    ],
)
def test_jobs_that_contradict_themselves(changes: dict[str, Any], message: str) -> None:
    fields = {"name": "j", "reference": "numpy", "contestants": {"numpy": missing}}
    with pytest.raises(ValueError, match=message):
        Job(**(fields | changes))


def test_the_missing_are_listed() -> None:
    job = tiny()
    session = hold(job, [Local(job, name) for name in job.contestants], rounds=3, seconds=1)
    absent = summarise(job, [session])[2]
    assert absent.problem == "not installed: No module named 'no_such_library_anywhere'"
    assert "not installed" in table.markdown([absent], RATES)


def test_without_the_reference_there_is_no_ratio() -> None:
    job = Job("j", "absent", {"convalg": Fake().contestant("c", 1.0), "absent": missing})
    session = hold(job, [Local(job, name) for name in job.contestants], rounds=3, seconds=0)
    assert summarise(job, [session])[0].problem == "no ratio: absent did not run"


def test_a_contestant_that_cannot_says_why() -> None:
    assert Local(Job("j", "a", {"a": unable}), "a").build() == "cannot: no circular layers"


# Tables.

SAMPLE = [
    Result(
        "A(x)",
        "convalg",
        Spread(1.234, 1.5, 1.75),
        (1.4, 1.6),
        seconds=0.02,
        aim=1.4,
        work=Work(flops=1e9),
    ),
    Result("A(x)", "torch", Spread(1, 1, 1), (1.0,), seconds=2e-5, work=Work(written=1e5)),
    Result("A(x)", "jax", problem="not installed: No module named 'jax'"),
    Result("memory", "convalg", value=0.0013, aim=0.005, unit="bytes"),
]


def test_markdown() -> None:
    lines = table.markdown(SAMPLE, RATES).splitlines()
    assert lines[0].split(" | ")[2] == "ratio"
    assert lines[2:] == [
        "| A(x) | convalg | 1.5 | 1.23 to 1.75 | 1.4 to 1.6 | <= 1.4 | no | 20 ms | 50% of sgemm |",
        "| A(x) | torch | 1 | 1 to 1 |  |  |  | 20 us | 50% of fill |",
        "| A(x) | jax | not installed: No module named 'jax' |  |  |  |  |  |  |",
        "| memory | convalg | 0.0013 bytes |  |  | <= 0.005 bytes | yes |  |  |",
    ]
    assert {line.count(" | ") for line in lines} == {len(table.COLUMNS) - 1}


def test_terminal() -> None:
    buffer = io.StringIO()
    Console(file=buffer, width=170).print(table.terminal(SAMPLE, RATES))
    text = buffer.getvalue()
    assert text.count("A(x)") == 1, "a job is named once"
    assert "50% of sgemm" in text
    assert "not installed" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00131, "0.00131"), (1e-5, "1.0e-05"), (0.0, "0"), (12.345, "12.3"), (1250.0, "1,250")],
)
def test_numbers(value: float, text: str) -> None:
    assert table.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.6e-5, "46 us"), (2e-8, "20 ns")]
)
def test_durations(seconds: float, text: str) -> None:
    assert table.duration(seconds) == text


def test_records_are_plain() -> None:
    first = json.loads(json.dumps(table.records(SAMPLE)))[0]
    assert (first["ratio"]["median"], first["met"], first["work"]["flops"]) == (1.5, False, 1e9)


# The machine.


def test_rates_are_positive() -> None:
    found = machine.rates(64, 2**16)
    assert min(found.sgemm, found.fill, found.copy) > 0


def test_the_better_of_two_measurements() -> None:
    found = machine.better(machine.Rates(1.0, 5.0, 3.0), machine.Rates(2.0, 4.0, 3.5))
    assert found == machine.Rates(2.0, 5.0, 3.5)


def test_the_report_says_what_a_core_type_costs() -> None:
    lines = machine.report({"OPENBLAS_CORETYPE": "Haswell"}, RATES, {"threads": "2"})
    text = "\n".join(lines)
    assert "Haswell; on a machine with AVX-512 this halves sgemm" in text
    assert "threads: 2" in text
    assert "sgemm n=4096 100 GFLOP/s, fill 10.0 GB/s, copy 20.0 GB/s" in text
    assert machine.core_type({}) == "not set (OpenBLAS chooses for this processor)"
    assert machine.version("no-such-package-anywhere") == "not installed"


def test_the_variables_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("PYTHONPATH", "first")
    found = environment(1, native=True, time_on="cpu")
    assert (found["OPENBLAS_NUM_THREADS"], found["OMP_NUM_THREADS"]) == ("1", "1")
    assert found["BENCHMARKS_CLOCK"] == "cpu"
    assert found["PYTHONPATH"].split(os.pathsep) == ["first", str(ROOT)]
    assert found["MALLOC_MMAP_MAX_"] == "0"
    assert "OPENBLAS_CORETYPE" not in found
    assert "MALLOC_MMAP_MAX_" not in environment(2, fresh_pages=True)
    assert environment(2)["OPENBLAS_CORETYPE"] == "Haswell"


def test_others_share_is_a_part() -> None:
    found = machine.others_share(0.05)
    assert found is None or 0 <= found <= 1


# Processes.


def replies(job: Job | Quantity, contestant: str, *commands: list[str]) -> list[Any]:
    answers = io.StringIO()
    text = io.StringIO("".join(json.dumps(command) + "\n" for command in commands))
    serve(text, answers, job, contestant)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_serving(tmp_path: Path) -> None:
    path = tmp_path / "answer.npy"
    found = replies(tiny(), "convalg", ["build"], ["answer", str(path)], ["settle"], ["turn"])
    assert found[0] == ["value", ""]
    assert np.load(path).tolist() == [3]
    assert found[2][1] > 0
    assert found[3][1] > 0


def test_what_a_contestant_raises_is_told() -> None:
    job = Job("broken", "a", {"a": raising})
    assert replies(job, "a", ["build"]) == [["error", "ZeroDivisionError: on purpose"]]
    quantity = Quantity("size", "bytes", {"convalg": lambda: 7.0})
    assert replies(quantity, "convalg", ["build"], ["measure"])[1] == ["value", 7.0]


def test_a_job_that_is_not_there() -> None:
    with pytest.raises(KeyError, match=r"has no job 'x'; it has build CSR"):
        find("benchmarks.jobs", "x", quick=True)


# A module of jobs that the processes below import.
EXAMPLES = """
import os

import numpy as np

from benchmarks.harness import Job, Quantity
from benchmarks.jobs.footprint import over


def contestant(value):
    return lambda: lambda: np.full(3, value)


def absent():
    import no_such_library_anywhere


def spends(layer):
    return lambda: np.ones(layer.nonzeros // 25).sum()


def returns(layer):
    return lambda: np.ones(layer.nonzeros // 25)


def dies():
    return lambda: os._exit(3)


def jobs(quick):
    right = {"convalg": contestant(2.0), "numpy": contestant(2.0), "absent": absent}
    return [
        Job("right", "numpy", right, aim=1e9),
        Job("wrong", "numpy", right | {"convalg": contestant(2.1)}, aim=1e9),
        Job("dead", "numpy", right | {"convalg": dies}, aim=1e9, heavy=True),
        Quantity("size", "bytes", {"convalg": lambda: 7.0, "other": lambda: 9.0}, aim=8),
        Quantity("peak", "MB", {"convalg": over(spends), "other": over(returns)}),
    ]
"""


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "benchmark_examples.py").write_text(EXAMPLES, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(machine, "measured_rates", lambda variables, quick: RATES)
    monkeypatch.setattr(machine, "others_share", lambda: 0.5)
    return "benchmark_examples"


def test_a_run_of_processes(
    examples: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    words = ["--quick", "--jobs", examples, "--only", "right", "--only", "size", "--markdown"]
    assert run.main([*words, "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "other work before: 50% of the processors, so these ratios are unreliable" in text
    assert "| right | absent | not installed: No module named 'no_such_library_anywhere'" in text
    assert "| size | convalg | 7 bytes |  |  | <= 8 bytes | yes |" in text
    assert "| size | other | 9 bytes |  |  |  |  |" in text
    found = json.loads(path.read_text(encoding="utf-8"))
    first = found["results"][0]
    assert (first["contestant"], first["problem"], len(first["processes"])) == ("convalg", "", 1)
    assert first["ratio"]["median"] > 0
    assert found["rates"]["sgemm"] == 100


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc/self/status")
def test_the_peak_is_over_the_result(examples: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    words = ["--quick", "--jobs", examples, "--only", "peak", "--json", str(path)]
    assert run.main(words) == 0
    spent, returned = json.loads(path.read_text(encoding="utf-8"))["results"]
    megabytes = LARGE.nonzeros // 25 * 8 / 1e6
    assert spent["value"] == pytest.approx(megabytes, rel=0.2)
    assert returned["value"] < megabytes / 5


def test_a_run_with_a_wrong_result_fails(examples: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--quick", "--jobs", examples, "--only", "wrong"]) == 1
    text = capsys.readouterr().out
    assert "wrong result: off by 5.0e-02" in text


def test_a_run_in_which_a_process_dies_fails(
    examples: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--quick", "--jobs", examples, "--only", "dead", "--markdown"]) == 1
    text = capsys.readouterr().out
    assert "broke: convalg: its process ended with status 3 on 'answer'" in text


def test_an_apart_seat_is_built_first() -> None:
    seat = Apart("benchmarks.jobs", "x", "convalg", quick=True, variables={})
    with pytest.raises(CrashError, match=r"has no process: build\(\) comes first"):
        seat.turn()


def test_a_quick_run_leaves_out_the_heavy_ones_unless_asked() -> None:
    mine = [tiny(), Job("slow", "a", {"a": missing}, heavy=True)]
    assert [job.name for job in run.chosen(mine, [], quick=True)] == ["tiny"]
    assert [job.name for job in run.chosen(mine, [], quick=False)] == ["tiny", "slow"]
    assert [job.name for job in run.chosen(mine, ["SLO"], quick=True)] == ["slow"]
    with pytest.raises(SystemExit, match="no job has 'x' in its name"):
        run.chosen(mine, ["x"], quick=True)


@pytest.mark.parametrize("module", ["run", "engines"])
def test_help(module: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for option in ("--only", "--threads", "--processes", "--quick", "--markdown", "--json"):
        assert option in text


# The jobs: every contestant that is here and quick agrees with the others.


def test_jobs_have_different_names_and_an_aim_or_a_reason() -> None:
    found = jobs()
    assert len({job.name for job in found}) == len(found)
    without = {job.name for job in found if job.aim is None}
    assert without == {
        "build CSR 4->8 16x16x16 k3",
        "refill CSR 1->8 28x28 k5",
        "A(x) 6->16 14x14 k5",
        "A.T(g) 64->64 56x56 k3",
        "A.T(g) 16->32 32x32 k3",
        "A.T(g) 6->16 14x14 k5",
    }


SMALL = (
    Layer("line", (9,), 3, 1),
    Layer("channels", (7,), 3, 0, (2, 3)),
    Layer("image", (6, 5), 3, 1, (2, 3)),
    Layer("cube", (4, 3, 5), 3, 2, (2, 1)),
)


@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
@pytest.mark.parametrize(
    "build", [peers.from_triples, peers.from_kronecker, peers.from_impulses, peers.from_loops]
)
def test_the_peers_build_the_same_matrix(layer: Layer, build: Callable[..., Any]) -> None:
    if build is peers.from_impulses:
        pytest.importorskip("torch")
    found = build(layer, layer.weights())
    wanted = layer.operator().to_scipy()
    np.testing.assert_allclose(found.toarray(), wanted.toarray(), rtol=1e-6, atol=1e-7)
    assert wanted.nnz == layer.nonzeros
    np.testing.assert_allclose(matrices.fingerprint(found), matrices.fingerprint(wanted), rtol=1e-5)


def test_a_fingerwholetells_one_changed_entry() -> None:
    matrix = SMALL[2].operator().to_scipy()
    changed = matrix.copy()
    changed.data[5] += 0.01
    whole = matrices.fingerprint(matrix)
    assert difference(matrices.fingerprint(changed), whole, 1e-4)
    matrix.data[5] = 0
    matrix.eliminate_zeros()
    assert difference(matrices.fingerprint(matrix), whole, 1e-4) != ""


def agree(job: Job) -> None:
    seats = [Local(job, name) for name in job.contestants if name not in job.limits]
    present = [seat for seat in seats if not seat.build()]
    assert len(present) > 1
    assert compare(job, present) == {}


@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
@pytest.mark.parametrize("task", ["A(x)", "A.T(g)", "kernel gradient"])
def test_applications_agree(layer: Layer, task: apply.Task) -> None:
    pytest.importorskip("torch")
    agree(apply.job(layer, task, None))


@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
def test_matrices_agree(layer: Layer) -> None:
    agree(matrices.build(layer, "Kronecker sum", "Python loops", aim=1.0))
    agree(matrices.refill(layer, aim=1.0))


@pytest.mark.parametrize("kind", [symbols.build, symbols.apply, symbols.gram, symbols.proof])
def test_symbols_agree(kind: Callable[..., Job]) -> None:
    agree(kind("small", (5, 6), (2, 3), 2))


def test_networks_agree() -> None:
    job = next(job for job in networks.jobs(True) if "analysis" in job.name)
    agree(job)


def test_a_batch_innermost_is_the_same_batch() -> None:
    x = samples((4, 2, 3))
    found = batch_innermost(x)
    assert np.array_equal(found, x)
    assert found.strides[0] == x.itemsize


# The engines.


def made_up(operator: Any, task: str, x: Any, g: Any, engine: str) -> Any:
    import convalg as ca

    if engine == "never":
        raise ca.errors.ArgumentError("engine 'never' wants a stride of 1, not 2")
    return operator(x) + (engine == "wrong")


def test_a_point_of_the_grid() -> None:
    layer = engines.Geometry(1, 2, (4, 4), 3)
    job = engines.point(layer, 2, "A(x)", ("right", "never", "wrong"), made_up)
    assert job.name == "A(x) 1->2 4x4 k3 batch 2"
    session = engines.hold(job, rounds=3, seconds=0.01, clock=Fake().clock)
    assert session.missing == {"never": "cannot: engine 'never' wants a stride of 1, not 2"}
    assert list(session.wrong) == ["wrong"]
    assert set(session.times) == {"auto", "right"}


def test_the_hopeless_get_no_turns() -> None:
    fake = Fake()
    seconds = {"auto": 9.0, "good": 1.0, "fair": 3.9, "bad": 4.1}
    parts = {name: fake.contestant(name, each) for name, each in seconds.items()}
    session = engines.hold(Job("j", "auto", parts), rounds=3, seconds=1, clock=fake.clock)
    assert set(session.times) == {"auto", "good", "fair"}


def test_the_outcome_of_a_point() -> None:
    sessions = [
        Session({"auto": [2.0, 2.0, 2.0], "csr": [1.0, 1.0, 1.0], "fft": [5.0, 4.0, 4.0]}),
        Session({"auto": [2.0, 2.0, 2.0], "csr": [1.5, 1.5, 1.5], "fft": [1.0, 1.0, 1.0]}),
    ]
    row = engines.outcome("p", sessions)
    assert row.engines == {"csr": 0.625, "fft": 1.25}
    assert (row.best, row.ratio) == ("csr", 1.6)
    assert engines.outcome("p", [Session({"auto": [1.0]})]).ratio == 1
    slower = engines.outcome("p", [Session({"auto": [1.0], "csr": [2.0]})])
    assert slower.ratio == 1, "auto is the best itself"
    sentence = engines.summary([row, slower])
    assert sentence == (
        "2 points; auto / best: median 1.30, worst 1.60 at p (csr); 1 over the aim of 1.3"
    )
    assert engines.cells(row)[3] == "csr 0.62, fft 1.25"


def test_the_grid_is_of_different_points_that_exist() -> None:
    names = [job.name for job in engines.points(("csr",), [], quick=False)]
    assert len(set(names)) == len(names)
    assert len(names) > 200
    for layer in engines.GRID:
        operator = layer.operator()
        weights = layer.out_channels * layer.in_channels // layer.groups
        taps = layer.taps ** len(layer.spatial)
        positions = np.prod(operator.out_shape[-len(layer.spatial) :])
        assert layer.multiplications(2) == 2 * weights * taps * positions
