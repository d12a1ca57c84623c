"""Runs of `convalg train`: data, a network with the settings of a recipe, and an output folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convalg.arrays import Array
from convalg.draw.files import save
from convalg.draw.training import history as history_figure
from convalg.draw.training import kernels as kernels_figure
from convalg.errors import ArgumentError, FileError, ShapeError
from convalg.network import layers as L  # noqa: N812
from convalg.network.network import Network
from convalg.train import checkpoint, data
from convalg.train.loop import History, Progress, evaluate, fit
from convalg.train.plan import Engine
from convalg.train.recipes import Recipe, network, recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Labelled = tuple[Array, Array]


@dataclass
class Session:
    """The data and settings of one training run.

    Attributes:
        net: Network to train.
        settings: Number of epochs, optimiser and other settings.
        train: Images and labels of the training set.
        test: Images and labels of the test set.
        engine: Engine of `convalg.fit`.
        seed: Seed of `convalg.fit`.
        out: Folder of the checkpoint and the figures.
        history: Result of `run`; None before.
    """

    net: Network
    settings: Recipe
    train: Labelled
    test: Labelled
    engine: Engine
    seed: int
    out: Path
    history: History | None = None

    def run(self, progress: Callable[[Progress], None] | None = None) -> History:
        """Train the network or resume its training, and return the history; see `convalg.fit`."""
        self.history = fit(
            self.net,
            *self.train,
            epochs=self.settings.epochs,
            batch_size=self.settings.batch_size,
            optimizer=self.settings.optimiser,
            engine=self.engine,
            validation=self.test,
            seed=self.seed,
            checkpoint=self.out,
            augment=self.settings.augment if self.settings.shift else None,
            progress=progress,
        )
        return self.history

    @property
    def accuracy(self) -> float | None:
        """The share of the test images that the network classifies correctly at present."""
        return evaluate(self.net, *self.test)[1]

    def figures(self) -> list[Path]:
        """Write figures of the learning curve and the first kernels, and return their paths."""
        made: dict[str, Figure] = {}
        if self.history is not None and self.history.loss:
            made["curve.svg"] = history_figure(self.history)
        convolutions = [node for node, layer in self.net.layers() if isinstance(layer, L.Conv)]
        if convolutions:
            made["kernels.svg"] = kernels_figure(self.net, convolutions[0])
        paths = [self.out / name for name in made]
        for path, figure in zip(paths, made.values(), strict=True):
            save(figure, path)
        return paths


def train(
    folder: Path | None,
    name: str | None,
    *,
    engine: Engine = "auto",
    epochs: int | None = None,
    seed: int = 0,
    out: Path,
    resume: bool = False,
) -> Session:
    """Return a session that is ready to run.

    Args:
        folder: Folder with one sub-folder of images per class, or with the files of MNIST; None for
            the embedded digits.
        name: Name of the network; None for the default for the size of the images.
        engine: Engine of `convalg.fit`.
        epochs: Number of epochs; None for the default.
        seed: Integer that determines the split of the data and the training.
        out: Folder of the checkpoint and the figures, which is created.
        resume: Whether to continue the unfinished run in `out`.

    Raises:
        FileError: when the data cannot be read, `out` cannot be written to, `out` has an unfinished
            run and `resume` is False, or `out` has no run and `resume` is True.
        ArgumentError: when the network is unknown or is not a classifier.
        ShapeError: when the network cannot be applied to images of this shape.
    """
    train_set, test_set, classes = _data(folder, seed)
    in_shape = train_set[0].shape[1:]
    settings = recipe(in_shape, epochs)
    network_name = name or settings.network
    try:
        net = network(network_name, in_shape, classes)
    except ShapeError as error:
        raise ShapeError(
            f"{network_name} does not accept images of shape {in_shape}: {error}"
        ) from None
    if net.out_shape != (classes,):
        raise ArgumentError(
            f"{network_name} is not a classifier: its output has shape {net.out_shape}, not one "
            f"score for each of {classes} classes"
        )
    _settle(out, resume)
    _writable(out)
    return Session(net, settings, train_set, test_set, engine, seed, out)


def _data(folder: Path | None, seed: int) -> tuple[Labelled, Labelled, int]:
    if folder is None:
        return (*data.split(*data.digits(), test=0.25, seed=seed), 10)
    if folder.is_dir() and any(path.is_dir() for path in folder.iterdir()):
        images, labels, names = data.read_images(folder)
        return (*data.split(images, labels, seed=seed), len(names))
    train_set, test_set = data.read_idx(folder)
    return train_set, test_set, int(train_set[1].max()) + 1


def _writable(out: Path) -> None:
    """Create the output folder, or raise FileError when it is not writable."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"cannot write to {str(out)!r} ({error.strerror}): pass another folder to --out"
        ) from None
    if not os.access(out, os.W_OK):
        raise FileError(
            f"cannot write to {str(out)!r} (no permission): pass another folder to --out"
        )


def _settle(out: Path, resume: bool) -> None:
    """Raise FileError unless a new run may use the folder, or the run there can be resumed."""
    there = checkpoint.exists(out)
    if there:
        # Raises FileError while another process still writes to the folder.
        with checkpoint.lock(out):
            pass
    if resume and not there:
        raise FileError(
            f"there is no checkpoint in {str(out)!r} to resume from: leave --resume out"
        )
    if there and not resume:
        facts = checkpoint.read(out)[1]
        if facts.get("finished") is not True:
            raise FileError(
                f"the folder {str(out)!r} contains an unfinished run: resume it with --resume, or "
                f"pass another folder to --out"
            )
        (out / checkpoint.NAME).unlink()
