"""Two runs in one folder, and checkpoints that are sound files and no state of the run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import ArgumentError, FileError, KindError
from convalg.train import checkpoint
from convalg.train.checkpoint import NAME, lock

LOCK = "checkpoint.lock"
IMAGES = np.random.default_rng(0).normal(size=(20, 1, 4, 4))
LABELS = np.arange(20) % 2


def network() -> ca.Network:
    return ca.sequential((1, 4, 4), [ca.layers.Conv(2, 2), ca.layers.Dense(2)])


def fit(folder: Any, **options: Any) -> ca.train.History:
    given = {"epochs": 2, "batch_size": 8, "checkpoint": folder, "seed": 1}
    return ca.fit(network(), IMAGES, LABELS, **{**given, **options})


# Two runs in one folder.


def test_a_folder_in_use_is_refused_with_the_process(tmp_path: Path) -> None:
    words = rf"is in use by another run \(process {os.getpid()}\): wait until it ends"
    with lock(tmp_path), pytest.raises(FileError, match=words):
        fit(tmp_path)
    assert len(fit(tmp_path).loss) == 2
    assert [place.name for place in tmp_path.iterdir()] == [NAME]


def test_a_run_within_a_run_is_refused(tmp_path: Path) -> None:
    def again(_: Any) -> None:
        with pytest.raises(FileError, match="is in use by another run"):
            fit(tmp_path)
        assert not list(tmp_path.glob("*.part"))

    assert len(fit(tmp_path, epochs=1, progress=again).loss) == 1


def test_the_lock_of_a_killed_run_is_none(tmp_path: Path) -> None:
    code = f"""
import os, signal
from convalg.train.checkpoint import lock
with lock({str(tmp_path)!r}):
    print("locked", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.stdout == b"locked\n"
    assert (tmp_path / LOCK).exists()
    assert len(fit(tmp_path).loss) == 2
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("content", [b"", b"\x1b[31m", b"9" * 100, b"1"])
def test_what_a_lock_file_holds_does_not_matter(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCK).write_bytes(content)
    assert len(fit(tmp_path, epochs=1).loss) == 1


def test_a_lock_that_is_a_link_or_a_pipe_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("text")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    assert len(fit(tmp_path, epochs=1).loss) == 1
    assert (tmp_path / "precious").read_text() == "text"


def test_unfinished_files_of_running_programs_stay(tmp_path: Path) -> None:
    other = tmp_path / f".{NAME}.{os.getppid()}-01234567.part"
    other.write_bytes(b"still written")
    gone = tmp_path / f".{NAME}.{2**22 + 1}-01234567.part"
    gone.write_bytes(b"left")
    checkpoint.write(tmp_path, {}, {})
    assert other.exists()
    assert not gone.exists()


# Checkpoints with the right checksum.

Change = Callable[[dict[str, np.ndarray], dict[str, Any]], Any]


def set_fact(name: str, value: Any) -> Change:
    return lambda arrays, facts: facts.__setitem__(name, value)


def set_history(name: str, value: Any) -> Change:
    return lambda arrays, facts: facts["history"].__setitem__(name, value)


def set_array(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    name = "weights/conv1/kernel"
    return lambda arrays, facts: arrays.__setitem__(name, change(arrays[name]))


CRAFTED: dict[str, tuple[Change, str]] = {
    "an array that would be broadcast": (
        set_array(lambda a: a[:1]),
        "of shape (1, 1, 2, 2), not float64",
    ),
    "a number for an array": (set_array(lambda a: np.array(1.0)), "of shape (), not float64"),
    "an array of one axis more": (
        set_array(lambda a: a[None]),
        "of shape (1, 2, 1, 2, 2), not float64",
    ),
    "an array that would be cast": (set_array(lambda a: a.astype("f4")), "kernel is float32 of"),
    "integers": (set_array(lambda a: a.astype("i8")), "kernel is int64 of shape"),
    "truth values": (set_array(lambda a: a > 0), "kernel is bool of shape"),
    "no number": (set_array(lambda a: a * np.nan), "kernel has a number that is not finite"),
    "infinity": (set_array(lambda a: a + np.inf), "kernel has a number that is not finite"),
    "an array more": (
        lambda arrays, facts: arrays.update({"x\x1b[31m": np.zeros(1)}),
        "it has x\\x1b[31m, which the run does not have",
    ),
    "no epoch": (
        lambda arrays, facts: facts.pop("epoch"),
        "epoch is None, not a number of completed epochs",
    ),
    **{
        f"epoch {value!r}": (set_fact("epoch", value), f"epoch is {value!r}, not a number of")
        for value in (-1, 1.0, "1", True, [1], {}, 2**60)
    },
    "an epoch too many": (set_fact("epoch", 2), "history has "),
    **{
        f"step {value!r}": (set_fact("step", value), f"step is {value!r}, not between 0 and 2")
        for value in (-1, 3, 1.0, "1", True, None)
    },
    "a step that was not made": (set_fact("step", 2), "which does not match step 2"),
    **{
        f"sums {value!r}": (set_fact("sums", value), "sums is ")
        for value in (None, 3, "abcd", [], [0, 0, 0], [0, 0, 0, "0"], [float("nan"), 0, 0, 0])
    },
    "sums of other samples": (set_fact("sums", [0.0, 0, 8, 8]), "does not match step 0"),
    "more right than there are": (set_fact("sums", [0.0, 3, 0, 2]), "does not match step 0"),
    "no history": (set_fact("history", None), "history is None, not the history of a run"),
    "a list": (set_fact("history", [1, 2]), "history is [1, 2], not the history of a run"),
    "a word more": (set_history("more", 1), "not the history of a run"),
    "a loss that is text": (set_history("loss", ["\x1b[31m"]), "loss = ['\\x1b[31m'], which are"),
    "no loss": (set_history("loss", [None]), "history has loss = [None], which are not finite"),
    "too many losses": (set_history("loss", [1.0, 1.0]), "not one number for each epoch"),
    "a loss that is none": (set_history("loss", 3), "history has loss = 3, not one number for"),
    "an accuracy that is no number": (
        set_history("accuracy", [float("inf")]),
        "history has accuracy = [inf], which are not finite numbers",
    ),
    "stopped": (set_history("stopped", "yes"), "stopped = 'yes', not true or false"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_checkpoint_is_refused_before_it_is_used(tmp_path: Path, name: str) -> None:
    change, words = CRAFTED[name]
    fit(tmp_path, epochs=1)
    arrays, facts = checkpoint.read(tmp_path)
    change(arrays, facts)
    checkpoint.write(tmp_path, arrays, facts)
    net = network().initialise(5)
    before = {node: {k: v.copy() for k, v in own.items()} for node, own in net.weights.items()}
    with pytest.raises(FileError) as caught:
        ca.fit(net, IMAGES, LABELS, epochs=2, batch_size=8, checkpoint=tmp_path, seed=1)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    for node, own in before.items():
        for key, value in own.items():
            np.testing.assert_array_equal(net.weights[node][key], value)


def test_an_honest_checkpoint_is_taken(tmp_path: Path) -> None:
    fit(tmp_path, epochs=1)
    assert fit(tmp_path).loss == fit(tmp_path / "other").loss


# What else is refused.


@pytest.mark.parametrize("folder", ["", b"", Path, 3])
def test_a_checkpoint_needs_a_folder(folder: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ArgumentError, KindError), match="a checkpoint is stored in a folder"):
        fit(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images + 1j,
        lambda images: images.astype(str),
        lambda images: images.astype(object),
        lambda images: np.full(images.shape, "2020", "datetime64[D]"),
        lambda images: None,
        lambda images: "images",
    ],
)
def test_augment_returns_real_numbers(change: Callable[[Any], Any]) -> None:
    with pytest.raises(KindError, match="augment must return real numbers, not an array of"):
        fit(None, augment=lambda images, random: change(images))


@pytest.mark.parametrize("seed", [-1, 1.5, "abc", None, True, [1], np.float64(1), 1j])
def test_a_seed_is_an_integer_from_0(seed: Any) -> None:
    with pytest.raises((ArgumentError, KindError), match="seed must be"):
        fit(None, seed=seed)


@pytest.mark.parametrize("seed", [0, np.int64(3), np.uint8(3), 2**63 - 1])
def test_every_integer_from_0_is_a_seed(seed: Any, tmp_path: Path) -> None:
    first = fit(tmp_path, epochs=1, seed=seed).loss
    assert first == fit(None, epochs=1, seed=int(seed)).loss
