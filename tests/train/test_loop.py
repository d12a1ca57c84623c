"""Fitting: what it refuses, what it does when a run is stopped, and that it goes on to the bit."""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import interrupted
import numpy as np
import pytest
from interrupted import augment, data, network, state, train

import convalg as ca
from convalg.errors import (
    ArgumentError,
    ConvalgError,
    DivergenceError,
    FileError,
    KindError,
    ShapeError,
)
from convalg.train import checkpoint, loop
from convalg.train.plan import Engine

L = ca.layers
HERE = Path(__file__).parents[1] / "oracles"
IMAGES, LABELS = data()
ENGINES: tuple[Engine, ...] = ("sparse", "blas")


def small(*more: Any) -> ca.Network:
    return ca.sequential((1, 8, 8), [L.Conv(2, 3), L.ReLU(), *more, L.Dense(4)])


def fit(net: ca.Network | None = None, **options: Any) -> ca.train.History:
    given: dict[str, Any] = {"epochs": 1, "batch_size": 16}
    images, labels = options.pop("images", IMAGES), options.pop("labels", LABELS)
    return ca.fit(small() if net is None else net, images, labels, **{**given, **options})


def changed(place: tuple[int, ...], value: float) -> Any:
    images = IMAGES.copy()
    images[place] = value
    return images


def labels(place: int, value: int) -> Any:
    found = LABELS.copy()
    found[place] = value
    return found


# Bad input.

n, *_ = ca.sizes("n")
BAD: dict[str, tuple[dict[str, Any], type[ConvalgError], str]] = {
    "label too large": (
        {"labels": labels(7, 4)},
        ArgumentError,
        "labels must be between 0 and 3 for 4 classes, but labels[7] is 4",
    ),
    "label below 0": (
        {"labels": labels(3, -1)},
        ArgumentError,
        "for 4 classes, but labels[3] is -1",
    ),
    "labels that are floats": ({"labels": LABELS / 2}, KindError, "labels must be integers"),
    "too few labels": (
        {"labels": LABELS[:-1]},
        ShapeError,
        "one entry for each of the 70 images on their first axis, not the shape (69,)",
    ),
    "labels of two axes": ({"labels": LABELS[:, None]}, ShapeError, "labels must have shape (70,)"),
    "a pixel that is no number": (
        {"images": changed((5, 0, 1, 2), math.nan)},
        ArgumentError,
        "images[5, 0, 1, 2] is nan: every pixel must be a finite number",
    ),
    "an infinite pixel": (
        {"images": changed((69, 0, 7, 7), math.inf)},
        ArgumentError,
        "images[69, 0, 7, 7] is inf",
    ),
    "images without channels": (
        {"images": IMAGES[:, 0]},
        ShapeError,
        "to fit the network, not (70, 8, 8): images[:, None] adds the axis of one channel",
    ),
    "images of another size": ({"images": IMAGES[..., :7]}, ShapeError, "(samples, 1, 8, 8)"),
    "no images": (
        {"images": IMAGES[:0], "labels": LABELS[:0]},
        ShapeError,
        "images must contain at least one image, but",
    ),
    "images that are words": ({"images": [["a"]]}, KindError, "images must be real numbers"),
    "an engine that is not": (
        {"engine": "torch"},
        ArgumentError,
        "engine must be one of auto, sparse, blas, not 'torch'",
    ),
    "no epoch": ({"epochs": 0}, ArgumentError, "epochs must be at least 1"),
    "half an epoch": ({"epochs": 0.5}, KindError, "epochs must be an integer"),
    "letters for epochs": (
        {"epochs": n},
        KindError,
        "epochs must be an integer, such as 5, not the symbolic n",
    ),
    "an empty batch": ({"batch_size": 0}, ArgumentError, "batch_size must be at least 1"),
    "an optimiser that is not": ({"optimizer": "adm"}, ArgumentError, "adm"),
    "a loss that is not": (
        {"loss": "hinge"},
        ArgumentError,
        "loss must be one of cross_entropy, mse, not 'hinge'",
    ),
    "a seed below 0": ({"seed": -1}, ArgumentError, "seed must be at least 0"),
    "a seed that is text": ({"seed": "a"}, KindError, "seed must be"),
    "validation images of another size": (
        {"validation": (IMAGES[..., :7], LABELS)},
        ShapeError,
        "images must have shape (samples, 1, 8, 8)",
    ),
    "validation labels out of range": (
        {"validation": (IMAGES, labels(1, 9))},
        ArgumentError,
        "labels[1] is 9",
    ),
    "validation without labels": (
        {"validation": IMAGES},
        KindError,
        "validation must be a pair of images and labels, not this object of type ndarray",
    ),
    "an augment that changes the shape": (
        {"augment": lambda images, random: images[:, :, 1:]},
        ShapeError,
        "augment must keep the shape (16, 1, 8, 8) of a batch, not return (16, 1, 7, 8)",
    ),
    "an augment that gives what is not finite": (
        {"augment": lambda images, random: images / np.zeros_like(images)},
        ArgumentError,
        "augment must return finite numbers, but it did not",
    ),
    "letters for sizes": (
        {"net": ca.sequential((1, n, n), [L.Conv(2, 3)])},
        ArgumentError,
        "training needs a network with integer sizes",
    ),
    "a layer known by its shape alone": (
        {"net": ca.sequential((1, 8, 8), [L.Opaque("Loop", (4,), "control flow"), L.Dense(4)])},
        ArgumentError,
        "Loop",
    ),
    "a network without layers": (
        {
            "net": ca.sequential((1, 8, 8), [L.GlobalMaxPool(), L.Flatten()]),
            "labels": np.zeros(70, dtype=int),
        },
        ArgumentError,
        "has no layer with weights",
    ),
    "a network half filled": (
        {"net": None},
        ArgumentError,
        "weights, bias of node dense1 have not",
    ),
    "what is no network": (
        {"net": "lenet"},
        KindError,
        "fit needs a ca.Network, not an object of type str",
    ),
    "a folder that is a number": (
        {"checkpoint": 5},
        KindError,
        "pass its path, not an object of type int",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(name: str) -> None:
    options, error, words = BAD[name]
    options = dict(options)
    net = options.pop("net", small())
    if net is None:
        net = small()
        net.set_weights("conv1", kernel=np.zeros((2, 1, 3, 3)), bias=[0, 0])
    with pytest.raises(error) as caught, np.errstate(all="ignore"):
        fit(net, **options)
    assert words in str(caught.value)


def test_a_bad_call_leaves_the_network_as_it_was() -> None:
    net = small()
    with pytest.raises(ArgumentError):
        fit(net, labels=labels(0, 9))
    assert net.weights == {}


# Divergence.


def test_a_loss_that_is_not_finite_stops_with_the_weights_of_the_last_epoch(
    tmp_path: Path,
) -> None:
    net = small().initialise(0)
    before = state(net, ca.train.History())
    with pytest.raises(DivergenceError) as caught:
        fit(net, epochs=3, optimizer=ca.train.SGD(1e60))
    said = str(caught.value)
    assert "the loss is nan at step 2 of epoch 0" in said or "at step 1 of epoch 0" in said
    assert "try a learning_rate below 1e+60" in said
    assert any(node in said for node in net)
    assert state(net, ca.train.History()) == before

    def later(progress: float) -> float:
        return 1.0 if progress < 1 else 1e60

    net = small()
    fit(net, epochs=1, optimizer=ca.train.SGD(0.1))
    wanted = state(net, ca.train.History())
    net = small()
    options = {"optimizer": ca.train.SGD(0.1, schedule=later), "checkpoint": tmp_path}
    with pytest.raises(DivergenceError, match="of epoch 1, and"):
        fit(net, epochs=2, **options)
    assert state(net, ca.train.History()) == wanted
    # The checkpoint is that of the last whole epoch.
    assert checkpoint.read(tmp_path)[1]["epoch"] == 1


def test_the_layer_whose_numbers_are_not_finite_is_named() -> None:
    net = small(L.Conv(2, 3)).initialise(0)
    net.set_weights("conv2", bias=[np.inf, 0.0])
    with pytest.raises(DivergenceError, match="conv2 is the first layer whose numbers are not"):
        fit(net)


def test_weights_that_overflow_in_the_last_step_are_noticed() -> None:
    net = small().initialise(0)
    with pytest.raises(DivergenceError, match="first layer whose numbers are not finite"):
        fit(net, batch_size=70, optimizer=ca.train.SGD(1e60))


# Going on.


class StopError(Exception):
    """What a progress raises in the middle of a run."""


def stopping(after: int, how: Callable[[], None]) -> Callable[[ca.train.Progress], None]:
    """A progress that does something after some steps of this run."""
    left = [after]

    def listen(_: ca.train.Progress) -> None:
        left[0] -= 1
        if left[0] == 0:
            how()

    return listen


def fail() -> None:
    raise StopError


def press() -> None:
    signal.raise_signal(signal.SIGINT)


OPTIMISERS = [
    "sgd",
    ca.train.SGD(0.05, momentum=0.9, weight_decay=1e-3, schedule=ca.train.Cosine(3)),
    ca.train.SGD(0.05, momentum=0.9, nesterov=True, clip=1.0),
    "adam",
    ca.train.AdamW(0.01),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_a_run_that_is_interrupted_ends_in_the_same_bits(
    tmp_path: Path, optimiser: Any, engine: Any
) -> None:
    options = {"optimizer": optimiser, "engine": engine, "validation": (IMAGES[:9], LABELS[:9])}
    net = network()
    wanted = state(net, train(net, **options))
    # Three epochs have 15 steps: in the middle, at the end of an epoch, at the last step.
    for steps in (1, 3, 5, 7, 14):
        folder = tmp_path / str(steps)
        net, done = network(), 0
        history = train(net, checkpoint=folder, progress=stopping(steps, press), **options)
        assert history.stopped
        facts = checkpoint.read(folder)[1]
        done = facts["epoch"] * 5 + facts["step"]
        assert done == steps
        # The weights so far are in the network; the next run starts with other ones.
        arrays, _ = checkpoint.read(folder)
        np.testing.assert_array_equal(
            net.weights["conv1"]["kernel"], arrays["weights/conv1/kernel"]
        )
        net = network().initialise(77)
        assert state(net, train(net, checkpoint=folder, **options)) == wanted
        # Once more: there is nothing left to do.
        again = network()
        assert state(again, train(again, checkpoint=folder, **options)) == wanted


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_an_exception_loses_the_steps_since_the_last_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN", seconds)
    net = network()
    wanted = state(net, train(net))
    for steps in (1, 4, 5, 6, 11, 15):
        folder = tmp_path / str(steps)
        with pytest.raises(StopError):
            train(network(), checkpoint=folder, progress=stopping(steps, fail))
        # The step that ended in the exception was not saved.
        kept = steps - 1 if seconds == 0 else (steps - 1) // 5 * 5
        if kept:
            facts = checkpoint.read(folder)[1]
            assert facts["epoch"] * 5 + facts["step"] == kept
        net = network()
        assert state(net, train(net, checkpoint=folder)) == wanted


def test_a_run_stopped_often_ends_in_the_same_bits(tmp_path: Path) -> None:
    net = network()
    wanted = state(net, train(net))
    history, runs = None, 0
    while history is None or history.stopped:
        net = network()
        history = train(net, checkpoint=tmp_path, progress=stopping(2, press))
        runs += 1
    assert runs == 8
    assert state(net, history) == wanted


def test_more_epochs_continue_a_finished_run(tmp_path: Path) -> None:
    net = network()
    wanted = state(net, train(net))
    for epochs in (1, 2, 3):
        net = network()
        history = train(net, epochs=epochs, checkpoint=tmp_path)
        assert len(history.loss) == epochs
    assert state(net, history) == wanted


def child(folder: Path, seconds: float, epochs: int = 3) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, HERE / "interrupted.py", folder, str(epochs), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OPENBLAS_NUM_THREADS": "1"},
    )


def ended(running: subprocess.Popen[str]) -> str:
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    return out.strip()


def killed(folder: Path, kills: int, seed: int, epochs: int) -> None:
    """Kill a run again and again until it comes through; its bits are those of a quiet one."""
    wanted = ended(child(folder / "quiet", 1e9, epochs))
    draw, busy, met = random.Random(seed), folder / "killed", 0
    for _ in range(kills):
        running = child(busy, 0.0, epochs)
        before = time.monotonic()
        # Most of the time goes into the start of the program: wait for the first new file.
        old = _state_of(busy)
        while running.poll() is None and _state_of(busy) == old and time.monotonic() < before + 60:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.15))
        running.kill()
        running.communicate(timeout=60)
        met += running.returncode == -signal.SIGKILL
    assert met >= 1
    assert ended(child(busy, 0.0, epochs)) == wanted
    assert [place.name for place in busy.iterdir()] == [checkpoint.NAME]


def _state_of(folder: Path) -> Any:
    place = folder / checkpoint.NAME
    return place.stat().st_mtime_ns if place.exists() else None


def test_a_killed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    killed(tmp_path, 2, 0, 20)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(1, 4))
def test_a_run_killed_often_ends_in_the_same_bits(tmp_path: Path, seed: int) -> None:
    killed(tmp_path, 15, seed, 100)


# Ctrl-C.


def test_ctrl_c_without_a_folder_leaves_the_weights_so_far() -> None:
    net, other = network(), network()
    history = train(net, progress=stopping(7, press))
    assert history.stopped
    assert len(history.loss) == 1
    assert "stopped" in repr(history)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(StopError):
        train(other, progress=stopping(7, fail))
    # Those of the last epoch: an exception is no clean stop.
    assert (other.weights["dense1"]["weights"] != net.weights["dense1"]["weights"]).any()


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    def twice() -> None:
        press()
        press()

    with pytest.raises(KeyboardInterrupt):
        train(network(), progress=stopping(2, twice))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_thread_trains_as_well() -> None:
    net, found = network(), []
    worker = threading.Thread(target=lambda: found.append(train(net)))
    worker.start()
    worker.join(timeout=60)
    other = network()
    assert state(net, found[0]) == state(other, train(other))


def test_where_interrupts_are_turned_off_they_stay_off() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert not train(network(), epochs=1, progress=stopping(2, press)).stopped
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# Checkpoints.

OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another seed": (lambda place: train(network(), seed=3, checkpoint=place), "differs in seed:"),
    "another optimiser": (
        lambda place: train(network(), optimizer="sgd", checkpoint=place),
        "is from another run, which differs in optimizer: pass another folder",
    ),
    "another batch size and loss": (
        lambda place: train(network(), batch_size=8, loss="mse", checkpoint=place),
        "differs in batch_size, loss:",
    ),
    "another engine": (
        lambda place: train(network(), engine="sparse", checkpoint=place),
        "differs in engine:",
    ),
    "another network": (lambda place: train(small(), checkpoint=place), "differs in network:"),
    "other images": (
        lambda place: ca.fit(
            network(), changed((0, 0, 0, 0), 0.5), LABELS, epochs=3, batch_size=16,
            optimizer="adam", seed=2, augment=augment, checkpoint=place,
        ),
        "differs in samples:",
    ),
    "other labels": (
        lambda place: ca.fit(
            network(), IMAGES, labels(0, (LABELS[0] + 1) % 4), epochs=3, batch_size=16,
            optimizer="adam", seed=2, augment=augment, checkpoint=place,
        ),
        "differs in samples:",
    ),
    "no augmentation": (
        lambda place: train(network(), augment=None, checkpoint=place),
        "differs in augment:",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, name: str) -> None:
    train(network(), epochs=1, checkpoint=tmp_path)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    call, words = OTHERS[name]
    with pytest.raises(FileError) as caught:
        call(tmp_path)
    assert words in str(caught.value)
    assert (tmp_path / checkpoint.NAME).read_bytes() == before


def test_a_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, {}, {"run": None})
    with pytest.raises(FileError, match="is from another run"):
        train(network(), checkpoint=tmp_path)
    train(network(), epochs=1, checkpoint=tmp_path / "mine")
    arrays, facts = checkpoint.read(tmp_path / "mine")
    del arrays["weights/conv1/kernel"]
    checkpoint.write(tmp_path / "mine", arrays, facts)
    with pytest.raises(FileError, match="it has no array weights/conv1/kernel"):
        train(network(), checkpoint=tmp_path / "mine")
    checkpoint.write(tmp_path / "mine", arrays, {"run": facts["run"]})
    with pytest.raises(FileError, match="it has no array"):
        train(network(), checkpoint=tmp_path / "mine")


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_a_checkpoint_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    train(network(), epochs=1, checkpoint=tmp_path)
    place = tmp_path / checkpoint.NAME
    place.write_bytes(place.read_bytes()[:cut])
    net = network()
    with pytest.raises(FileError, match="is not a valid checkpoint"):
        train(net, checkpoint=tmp_path)


def test_a_changed_checkpoint_is_refused(tmp_path: Path) -> None:
    train(network(), epochs=1, checkpoint=tmp_path)
    place = tmp_path / checkpoint.NAME
    content = bytearray(place.read_bytes())
    content[-3] ^= 1
    place.write_bytes(content)
    with pytest.raises(FileError, match="was modified or damaged"):
        train(network(), checkpoint=tmp_path)


def test_a_full_disk_leaves_the_old_checkpoint_and_the_weights(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    train(network(), epochs=1, checkpoint=tmp_path)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    net = network()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(FileError, match="an earlier one there is unchanged"):
            train(net, checkpoint=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / checkpoint.NAME).read_bytes() == before
    # The epoch that could not be saved is in the network.
    wanted = network()
    train(wanted, epochs=2)
    assert state(net, ca.train.History()) == state(wanted, ca.train.History())
    # And with room again the run goes on.
    other = network()
    net = network()
    assert state(net, train(net, checkpoint=tmp_path)) == state(other, train(other))


def test_a_folder_can_be_moved(tmp_path: Path) -> None:
    train(network(), checkpoint=tmp_path / "a", progress=stopping(4, press))
    shutil.move(tmp_path / "a", tmp_path / "b")
    net, other = network(), network()
    assert state(net, train(net, checkpoint=tmp_path / "b")) == state(other, train(other))


# What comes out.


def test_both_engines_agree_over_an_epoch() -> None:
    for kind, rounding in ((np.float64, 1e-11), (np.float32, 2e-4)):
        images = IMAGES.astype(kind)
        found = []
        engines: list[Engine] = [*ENGINES, "auto"]
        for engine in engines:
            net = network()
            history = ca.fit(
                net, images, LABELS, epochs=2, batch_size=16, engine=engine, augment=augment
            )
            arrays = [a for own in net.weights.values() for a in own.values()]
            assert {a.dtype for a in arrays} == {np.dtype(kind)}
            found.append((history.loss, arrays))
        for loss, arrays in found[1:]:
            np.testing.assert_allclose(loss, found[0][0], rtol=rounding)
            for a, b in zip(arrays, found[0][1], strict=True):
                np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding)


def test_a_history_has_the_numbers_of_every_epoch() -> None:
    images, labels = ca.data.digits()
    net = ca.sequential((1, 8, 8), [L.Conv(8, 3), L.ReLU(), L.MaxPool(2), L.Dense(10)])
    seen: list[ca.train.Progress] = []
    history = ca.fit(
        net,
        images[:1200],
        labels[:1200],
        epochs=4,
        optimizer="adam",
        validation=(images[1200:], labels[1200:]),
        progress=seen.append,
    )
    assert len(history.loss) == len(history.accuracy) == len(history.validation_accuracy) == 4
    assert history.loss == sorted(history.loss, reverse=True)
    assert not history.stopped
    loss, accuracy = ca.train.evaluate(net, images[1200:], labels[1200:])
    assert accuracy == history.validation_accuracy[-1]
    scores = net(images[1200:])
    assert accuracy == pytest.approx((scores.argmax(axis=1) == labels[1200:]).mean())
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert loss == pytest.approx(-logs[np.arange(597), labels[1200:]].mean(), rel=1e-4)
    # 1,200 images are 18 batches of 64 and one of 48.
    assert [(p.epoch, p.step) for p in seen] == [(e, s) for e in range(4) for s in range(1, 20)]
    assert seen[-1].steps == 19
    assert seen[-1].epochs == 4
    assert seen[18].loss == history.loss[0]
    assert seen[18].accuracy == history.accuracy[0]
    assert all(p.images_per_second > 0 for p in seen)
    words = f"4 epochs, loss {history.loss[-1]:.4g}, accuracy {history.accuracy[-1]:.2%}"
    assert repr(history) == f"<history of {words}, validation accuracy {accuracy:.2%}>"


def test_targets_that_are_no_labels_have_no_accuracy() -> None:
    targets = np.random.default_rng(0).random((70, 4))
    history = fit(loss="mse", labels=targets, validation=(IMAGES, targets), epochs=2)
    assert history.accuracy == history.validation_accuracy == [None, None]
    assert history.loss[1] < history.loss[0]
    assert "accuracy" not in repr(history)
    net = small().initialise(0)
    loss, accuracy = ca.train.evaluate(net, IMAGES, targets, loss="mse")
    assert loss == pytest.approx(((net(IMAGES) - targets) ** 2).mean(), rel=1e-5)
    assert accuracy is None


def test_scores_at_every_pixel_are_trained_too() -> None:
    net = ca.sequential((1, 8, 8), [L.Conv(4, 3, padding=1), L.ReLU(), L.Conv(2, 1)])
    marks = (IMAGES[:, 0] > 0.5).astype(int)
    history = fit(net, labels=marks, epochs=8, optimizer="adam", validation=(IMAGES, marks))
    first, *_, last = history.accuracy
    assert first is not None
    assert last is not None
    assert last > first
    found = (net(IMAGES).argmax(axis=1) == marks).mean()
    assert history.validation_accuracy[-1] == pytest.approx(found)


@pytest.mark.parametrize("batch", [1, 70, 71])
def test_any_size_of_batch_is_taken(batch: int) -> None:
    history = fit(batch_size=batch, epochs=1)
    assert len(history.loss) == 1
    assert fit(images=IMAGES[:1], labels=LABELS[:1]).loss[0] > 0


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    found = []
    for seed in (2, 2, 3):
        net = network()
        found.append(state(net, train(net, seed=seed)))
    assert found[0] == found[1] != found[2]


def test_each_step_draws_numbers_of_its_own() -> None:
    drawn: list[float] = []

    def listen(images: Any, random: np.random.Generator) -> Any:
        drawn.append(random.random())
        return images

    train(network(), augment=listen)
    assert len(set(drawn)) == len(drawn) == 15


def test_weights_that_are_there_are_trained_on() -> None:
    net = small()
    history = fit(net, epochs=2, optimizer="adam")
    more = fit(net, epochs=1, optimizer="adam")
    assert more.loss[0] < history.loss[0]


def test_whole_numbers_and_lists_are_images_too() -> None:
    whole = (IMAGES * 3).astype(int)
    a, b = small(), small()
    one, two = fit(a, images=whole.tolist()), fit(b, images=whole.astype(np.float32))
    assert one.loss == two.loss
    assert state(a, one) == state(b, two)


def test_the_programs_are_the_same_here_and_there() -> None:
    assert interrupted.network().parameters == network().parameters


def test_letters_of_evaluate_are_checked_as_well() -> None:
    net = small().initialise(0)
    with pytest.raises(ArgumentError, match="labels must be between 0 and 3 for 4 classes"):
        ca.train.evaluate(net, IMAGES, labels(0, 4))
    with pytest.raises(ArgumentError, match=r"have not been set: call net.initialise"):
        ca.train.evaluate(small(), IMAGES, LABELS)


@pytest.mark.parametrize("name", ["augment", "progress"])
def test_what_is_called_must_be_a_function(name: str) -> None:
    net = ca.sequential((2,), [ca.layers.Dense(2)])
    options: Any = {name: 3}
    with pytest.raises(ca.errors.KindError, match="must be a function f"):
        ca.fit(net, np.zeros((4, 2)), [0, 1, 0, 1], epochs=1, **options)
    options = {name: lambda: None}
    with pytest.raises(ca.errors.KindError, match="but this function has other parameters"):
        ca.fit(net, np.zeros((4, 2)), [0, 1, 0, 1], epochs=1, **options)


def test_outputs_of_one_pixel_want_a_flatten() -> None:
    net = ca.sequential((1, 4, 4), [ca.layers.Conv(3, 3), ca.layers.GlobalAvgPool()])
    with pytest.raises(ca.errors.ShapeError, match="the network with a Flatten"):
        ca.fit(net, np.zeros((4, 1, 4, 4)), [0, 1, 0, 1], epochs=1)
