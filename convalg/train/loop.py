"""Fit a network to labelled images in epochs of steps: forward pass, backward pass and update."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from convalg.arguments import a_function
from convalg.arrays import Array, as_array
from convalg.errors import ArgumentError, DivergenceError, FileError, KindError, ShapeError
from convalg.escape import terminal
from convalg.maps.losses import Loss, loss_named
from convalg.network.network import Network
from convalg.size import as_size
from convalg.train import checkpoint as files
from convalg.train import data
from convalg.train.optimisers import Optimiser, optimiser_named
from convalg.train.plan import Engine, Program, TrainingPlan, check_network

SECONDS_BETWEEN = 10.0
"""Within an epoch a checkpoint is written when the previous one is older than this."""


@dataclass
class History:
    """The history of a training run, with one entry per epoch in each list.

    Attributes:
        loss: Mean loss over the samples of each epoch, computed while the weights changed.
        accuracy: Share of correct labels over the same samples, or None for targets that are not
            labels.
        validation_accuracy: Accuracy on the validation set with the weights at the end of each
            epoch, or None without validation or for targets that are not labels.
        stopped: Whether the run was interrupted before its last epoch. A run with a checkpoint can
            be resumed.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float | None] = field(default_factory=list)
    validation_accuracy: list[float | None] = field(default_factory=list)
    stopped: bool = False

    def __repr__(self) -> str:
        parts = [f"{len(self.loss)} epoch{'' if len(self.loss) == 1 else 's'}"]
        if self.loss:
            parts.append(f"loss {self.loss[-1]:.4g}")
            if self.accuracy[-1] is not None:
                parts.append(f"accuracy {self.accuracy[-1]:.2%}")
            if self.validation_accuracy[-1] is not None:
                parts.append(f"validation accuracy {self.validation_accuracy[-1]:.2%}")
        return f"<history of {', '.join(parts)}{', stopped' if self.stopped else ''}>"


@dataclass(frozen=True)
class Progress:
    """The state of a training run after a step.

    Attributes:
        epoch: Index of the current epoch, counted from 0.
        epochs: Number of epochs of the run.
        step: Number of steps completed in the current epoch.
        steps: Number of steps per epoch.
        loss: Mean loss over the samples of the epoch so far.
        accuracy: Share of correct labels over the same samples, or None for targets that are not
            labels.
        images_per_second: Mean number of images processed per second since the run started.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float | None
    images_per_second: float


def fit(
    net: Network,
    images: object,
    labels: object,
    *,
    epochs: int,
    batch_size: int = 64,
    optimizer: str | Optimiser = "momentum",
    loss: str | Loss = "cross_entropy",
    engine: Engine = "auto",
    validation: tuple[object, object] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    augment: Callable[[Array, np.random.Generator], Array] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> History:
    """Train a network on labelled images, store the weights in the network, return the history.

    Training runs in float64 for float64 images, and in float32 for all other images. A network
    without weights is initialised from `seed`. Ctrl-C ends the run after the current step: the
    checkpoint is written, and the network has the weights reached so far.

    Args:
        net: Network to train.
        images: Array of shape `(samples, *in_shape)`.
        labels: Class indices from 0, of shape `(samples,)`. The loss "mse" also accepts targets of
            shape `(samples, *out_shape)`; with labels, its targets are 1 for the class of the label
            and 0 for the others.
        epochs: Number of passes over the images.
        batch_size: Number of images per step.
        optimizer: "sgd", "momentum", "nesterov", "adam", "adamw", or an optimiser of `ca.train`.
        loss: "cross_entropy", "mse", or a loss of `ca.train`.
        engine: "sparse" trains with the SciPy matrices of the layers, "blas" with dense Toeplitz
            tiles through NumPy, and "auto" picks the faster for each layer. The results are equal
            up to rounding.
        validation: Pair of images and labels on which the accuracy is measured after each epoch.
        seed: Integer that determines the initial weights, the order of the samples, and dropout.
        checkpoint: Folder to which the state is written after each epoch and every 10 seconds.
            A run that finds its own state there resumes from it, with bit-identical results.
        augment: Function of the images of a batch and a random generator, such as
            `ca.data.shifted`, that returns the images to train on.
        progress: Function that is called with a `Progress` after each step.

    Returns:
        The loss and the accuracy of each epoch.

    Raises:
        ArgumentError, ShapeError, KindError: for an invalid argument, which the message names.
        FileError: for a checkpoint that is damaged or from another run.
        DivergenceError: when the loss or a weight is not finite.

    Source:
        LeCun et al., 1998, for the algorithm; `ca.derive` proves the products that it uses.

    >>> import convalg as ca
    >>> images, labels = ca.data.digits()
    >>> net = ca.sequential((1, 8, 8), [ca.layers.Conv(8, 3), ca.layers.Dense(10)])
    >>> history = ca.fit(net, images, labels, epochs=3, optimizer="adam")
    >>> history.loss[0] > history.loss[-1]
    True
    """
    run = _Run(
        net,
        images,
        labels,
        epochs=_count(epochs, "epochs"),
        batch_size=_count(batch_size, "batch_size"),
        optimiser=optimiser_named(optimizer),
        loss=loss_named(loss),
        engine=engine,
        validation=validation,
        seed=seed,
        folder=checkpoint,
        augment=augment,
        progress=progress,
    )
    return run.go()


def evaluate(
    net: Network, images: object, labels: object, *, loss: str | Loss = "cross_entropy"
) -> tuple[float, float | None]:
    """Return the mean loss and the accuracy of a network on labelled images, in inference mode.

    Args:
        net: Network with weights.
        images: Array of shape `(samples, *in_shape)`.
        labels: Class indices from 0, of shape `(samples,)`, or for the loss "mse" also targets of
            shape `(samples, *out_shape)`.
        loss: "cross_entropy", "mse", or a loss of `ca.train`.

    Returns:
        The mean loss, and the share of correct labels, which is None for targets that are not
        labels.

    Raises:
        ArgumentError, ShapeError, KindError: for an invalid argument, which the message names, and
            for a network without weights.

    >>> import convalg as ca
    >>> net = ca.sequential((2,), [ca.layers.Dense(2, bias=False)])
    >>> net.set_weights("dense1", weights=[[1, 0], [0, 1]])
    >>> ca.train.evaluate(net, [[5.0, 0.0], [0.0, 5.0]], [0, 0])[1]
    0.5
    """
    check_network(net, "evaluate")
    array = data.check_data(images, labels, net.in_shape)
    kind = np.float64 if array.dtype == np.float64 else np.float32
    rule = loss_named(loss)
    targets = rule.check_targets(labels, net.out_shape, len(array))
    return _evaluated(TrainingPlan(net, dtype=kind), array, targets, rule)


def _evaluated(
    plan: TrainingPlan, images: Array, targets: Array, loss: Loss
) -> tuple[float, float | None]:
    total, hits, counted = 0.0, 0, 0
    for start in range(0, len(images), 256):
        part = slice(start, start + 256)
        scores = plan.program(len(images[part])).forward(_batch_last(images[part], plan.dtype))
        here = _batch_last(targets[part])
        total += loss.value_and_gradient(scores, here)[0] * len(images[part])
        right = loss.hits(scores, here)
        if right is not None:
            hits, counted = hits + right, counted + math.prod(targets[part].shape)
    return total / len(images), hits / counted if counted else None


def _count(value: object, name: str) -> int:
    """Return a value as an integer of at least 1, or raise KindError or ArgumentError."""
    count = as_size(value, name)
    if not isinstance(count, int):
        raise KindError(f"{name} must be an integer, such as 5, not the symbolic {count}")
    return count


def _batch_last(samples: Array, dtype: np.dtype | None = None) -> Array:
    return np.ascontiguousarray(np.moveaxis(samples, 0, -1), dtype=dtype)


class _Run:
    """The arguments, the state and the loop of one training run."""

    def __init__(
        self,
        net: Network,
        images: object,
        labels: object,
        *,
        epochs: int,
        batch_size: int,
        optimiser: Optimiser,
        loss: Loss,
        engine: Engine,
        validation: tuple[object, object] | None,
        seed: int,
        folder: str | os.PathLike[str] | None,
        augment: Callable[[Array, np.random.Generator], Array] | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        check_network(net, "fit")
        if augment is not None:
            a_function(augment, 2, "augment must be a function f(images, random)")
        if progress is not None:
            a_function(progress, 1, "progress must be a function f(progress)")
        self.net, self.epochs, self.batch_size = net, epochs, batch_size
        self.optimiser, self.loss, self.seed = optimiser, loss, seed
        self.folder, self.augment, self.progress = folder, augment, progress
        self.images = data.check_data(images, labels, net.in_shape)
        self.targets = loss.check_targets(labels, net.out_shape, len(self.images))
        self.validation = None if validation is None else self._validation(validation)
        data.order(seed, 0, 0)
        self.seed = int(seed)
        if not net.parameters:
            raise ArgumentError(f"{net!r} has no layer with weights: add a Conv or a Dense layer")
        if not net.weights:
            net.initialise(seed)
        kind = np.float64 if self.images.dtype == np.float64 else np.float32
        self.plan = TrainingPlan(net, engine=engine, dtype=kind)
        self.parameters = {"parameters": self.plan.parameters}
        self.gradients = {"parameters": self.plan.gradients}
        self.state = optimiser.start(self.parameters)
        self.steps = -(-len(self.images) // batch_size)
        self.history = History()
        self.epoch = self.step = 0
        self.program: Program
        # Sums over the epoch so far: loss, correct labels, samples, all labels.
        self.sums = [0.0, 0, 0, 0]
        self.began, self.done = time.monotonic(), 0

    def _validation(self, pair: object) -> tuple[Array, Array]:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise KindError(
                f"validation must be a pair of images and labels, not this object of type "
                f"{type(pair).__name__}"
            )
        pictures, their_labels = pair
        images = data.check_data(pictures, their_labels, self.net.in_shape)
        return images, self.loss.check_targets(their_labels, self.net.out_shape, len(images))

    def go(self) -> History:
        """Run or resume the epochs, with the folder locked against other runs."""
        with contextlib.nullcontext() if self.folder is None else files.lock(self.folder):
            return self._go()

    def _go(self) -> History:
        if self.folder is not None and files.exists(self.folder):
            self._resume()
        else:
            # A folder that is not writable is then detected before the first epoch.
            self._save()
        saved = time.monotonic()
        # Overflow is detected by the loss, or before a checkpoint is written: see _diverged.
        with _interrupts() as interrupted, np.errstate(all="ignore"):
            while self.epoch < self.epochs and not interrupted():
                self._step()
                is_epoch_end = self.step == self.steps
                if (
                    not is_epoch_end
                    and time.monotonic() - saved < SECONDS_BETWEEN
                    and not interrupted()
                ):
                    continue
                self._check_weights()
                if is_epoch_end:
                    self._end_epoch()
                self._save()
                saved = time.monotonic()
        self.history.stopped = self.epoch < self.epochs
        self.plan.store()
        return self.history

    def _step(self) -> None:
        """Run the forward pass, the backward pass and the update of one batch."""
        if self.step == 0:
            self.order = data.order(self.seed, self.epoch, len(self.images))
        chosen = self.order[self.step * self.batch_size : (self.step + 1) * self.batch_size]
        number = self.epoch * self.steps + self.step
        # Seeded by the number of the step alone, so that a resumed run draws the same numbers.
        random = np.random.default_rng([self.seed, number])
        images = self.images[chosen]
        if self.augment is not None:
            images = self._augmented(images, random)
        self.program = program = self.plan.program(len(chosen))
        targets = _batch_last(self.targets[chosen])
        pixels = _batch_last(images, self.plan.dtype)
        scores = program.forward(pixels, random)
        value, gradient = self.loss.value_and_gradient(scores, targets)
        if not math.isfinite(value):
            if not np.isfinite(pixels).all():
                raise ArgumentError(
                    f"augment must return finite numbers, but it did not at step {self.step} of "
                    f"epoch {self.epoch}"
                )
            self._diverged(f"the loss is {value}")
        program.backward(gradient)
        self.optimiser.update(
            self.parameters, self.gradients, self.state, number, steps_per_epoch=self.steps
        )
        right = self.loss.hits(scores, targets)
        self.sums[0] += value * len(chosen)
        self.sums[2] += len(chosen)
        if right is not None:
            self.sums[1] += right
            self.sums[3] += targets.size
        self.step += 1
        self.done += len(chosen)
        if self.progress is not None:
            self._report()

    def _augmented(self, images: Array, random: np.random.Generator) -> Array:
        assert self.augment is not None
        augmented = as_array(self.augment(images, random), "the result of augment")
        if augmented.dtype.kind not in "biuf":
            raise KindError(
                f"augment must return real numbers, not an array of {augmented.dtype}: return "
                f"images of the type of its input, {images.dtype}"
            )
        if augmented.shape != images.shape:
            raise ShapeError(
                f"augment must keep the shape {images.shape} of a batch, not return "
                f"{augmented.shape}"
            )
        return augmented

    def _means(self) -> tuple[float, float | None]:
        total, hits, seen, counted = self.sums
        return total / seen, hits / counted if counted else None

    def _report(self) -> None:
        assert self.progress is not None
        loss, accuracy = self._means()
        rate = self.done / max(time.monotonic() - self.began, 1e-9)
        self.progress(
            Progress(self.epoch, self.epochs, self.step, self.steps, loss, accuracy, rate)
        )

    def _end_epoch(self) -> None:
        loss, accuracy = self._means()
        self.history.loss.append(loss)
        self.history.accuracy.append(accuracy)
        accuracy_on_validation = None
        if self.validation is not None:
            accuracy_on_validation = _evaluated(self.plan, *self.validation, self.loss)[1]
        self.history.validation_accuracy.append(accuracy_on_validation)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, [0.0, 0, 0, 0]
        self.plan.store()

    def _check_weights(self) -> None:
        """Raise DivergenceError when an array of the network is not finite after the last step."""
        arrays = (array for own in self.plan.weights.values() for array in own.values())
        if not all(np.isfinite(array).all() for array in arrays):
            self._diverged("a weight is not finite")

    def _diverged(self, what: str) -> None:
        """Raise DivergenceError, whose message names the first layer with non-finite numbers."""
        raise DivergenceError(
            f"{what} at step {self.step} of epoch {self.epoch}, and "
            f"{self.program.first_not_finite()} is the first layer whose numbers are not finite: "
            f"try a learning_rate below {self.optimiser.learning_rate}, clip=1.0, or images scaled "
            f"to about 0..1; the network has the weights of the last complete epoch"
        )

    # Checkpoints.

    def _identity(self) -> dict[str, Any]:
        """Return the settings that must be equal for a run to be resumed."""
        layers = [[node, repr(layer), self.net.sources(node)] for node, layer in self.net.layers()]
        return {
            "network": [list(self.net.in_shape), layers],
            "samples": [list(self.images.shape), str(self.plan.dtype), *self._checksums()],
            "batch_size": self.batch_size,
            "optimizer": repr(self.optimiser),
            "loss": repr(self.loss),
            "engine": self.plan.engine,
            "seed": self.seed,
            "augment": getattr(self.augment, "__qualname__", type(self.augment).__name__),
        }

    def _checksums(self) -> list[int]:
        return [zlib.crc32(np.ascontiguousarray(a).data) for a in (self.images, self.targets)]

    def _arrays(self) -> dict[str, Array]:
        """Return all arrays of the state by their names in a checkpoint."""
        arrays = {f"state/{name}": array for name, array in self.state.items()}
        for node, own in self.plan.weights.items():
            arrays.update({f"weights/{node}/{name}": array for name, array in own.items()})
        return arrays

    def _save(self) -> None:
        if self.folder is None:
            return
        facts = {
            "run": self._identity(),
            "epoch": self.epoch,
            "step": self.step,
            "finished": self.epoch == self.epochs,
            "sums": self.sums,
            "history": asdict(self.history),
        }
        files.write(self.folder, self._arrays(), facts)

    def _resume(self) -> None:
        assert self.folder is not None
        arrays, facts = files.read(self.folder)
        run = facts.get("run")
        stored = run if isinstance(run, dict) else {}
        different = [name for name, value in self._identity().items() if stored.get(name) != value]
        if different:
            raise FileError(
                f"the checkpoint in {str(self.folder)!r} is from another run, which differs in "
                f"{', '.join(different)}: pass another folder, or the same arguments as "
                f"in that run"
            )
        own = self._arrays()
        fault = _array_fault(own, arrays) or _facts_fault(facts, self.steps, self.batch_size)
        if fault:
            raise FileError(
                f"the checkpoint in {str(self.folder)!r} is not from this run: {fault}; pass "
                f"another folder"
            )
        for name, array in own.items():
            array[...] = arrays[name]
        self.epoch, self.step, self.sums = facts["epoch"], facts["step"], facts["sums"]
        self.history = History(**facts["history"])
        self.history.stopped = False
        if self.step:
            self.order = data.order(self.seed, self.epoch, len(self.images))


def _array_fault(own: dict[str, Array], arrays: dict[str, Array]) -> str:
    """Describe the first array of a checkpoint that does not match the run; empty if all match."""
    for name, array in own.items():
        stored = arrays.get(name)
        if stored is None:
            return f"it has no array {name}"
        if (stored.shape, stored.dtype) != (array.shape, array.dtype):
            return (
                f"{name} is {stored.dtype} of shape {stored.shape}, not {array.dtype} of shape "
                f"{array.shape}"
            )
        if stored.dtype.kind == "f" and not np.isfinite(stored).all():
            return f"{name} has a number that is not finite"
    unknown = sorted(arrays.keys() - own.keys())
    return f"it has {terminal(unknown[0])[:80]}, which the run does not have" if unknown else ""


def _facts_fault(facts: dict[str, Any], steps: int, batch_size: int) -> str:
    """Describe the first invalid entry in the facts of a checkpoint; empty if all are valid."""
    epoch: Any = facts.get("epoch")
    step: Any = facts.get("step")
    sums: Any = facts.get("sums")
    history: Any = facts.get("history")
    if not _is_count(epoch):
        return f"epoch is {_short(epoch)}, not a number of completed epochs"
    if not _is_count(step) or step >= steps:
        return f"step is {_short(step)}, not between 0 and {steps - 1}"
    if not isinstance(sums, list) or len(sums) != 4 or not all(map(_is_finite, sums)):
        return f"sums is {_short(sums)}, not four numbers"
    if not all(map(_is_count, sums[1:])) or sums[2] != step * batch_size or sums[1] > sums[3]:
        return f"sums is {_short(sums)}, which does not match step {step}"
    names = {"loss", "accuracy", "validation_accuracy", "stopped"}
    if not isinstance(history, dict) or history.keys() != names:
        return f"history is {_short(history)}, not the history of a run"
    for name in names - {"stopped"}:
        values = history[name]
        if not isinstance(values, list) or len(values) != epoch:
            return f"history has {name} = {_short(values)}, not one number for each epoch"
        if not all(_is_finite(v) or (v is None and name != "loss") for v in values):
            return f"history has {name} = {_short(values)}, which are not finite numbers"
    if not isinstance(history["stopped"], bool):
        return f"history has stopped = {_short(history['stopped'])}, not true or false"
    return ""


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and abs(value) < math.inf


def _short(value: object) -> str:
    text = terminal(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C was pressed, so that a step is not interrupted.

    A second Ctrl-C raises KeyboardInterrupt at once. Only the main thread receives signals; in
    other threads the function always returns False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, frame: FrameType | None) -> None:
        if pressed:
            signal.default_int_handler(number, frame)
        pressed.append(number)

    if not callable(before):
        # The program ignores interrupts.
        yield lambda: False
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
