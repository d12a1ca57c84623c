"""The defaults of `convalg train`: a network and its settings for images of a given shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError
from convalg.network import layers as L  # noqa: N812
from convalg.network import zoo
from convalg.network.network import Network, sequential
from convalg.train import data
from convalg.train.optimisers import Adam, Optimiser
from convalg.train.schedules import Cosine

LARGE = 20
"""Images with at least this many pixels per side are trained on with the larger network."""


@dataclass(frozen=True)
class Recipe:
    """The default network and training settings for images of a certain size.

    Attributes:
        network: Name of the network; see `network`.
        optimiser: Optimiser with its schedule.
        epochs: Number of passes over the images.
        batch_size: Number of images per step.
        shift: Largest random shift of the training images in pixels; 0 for none.
    """

    network: str
    optimiser: Optimiser
    epochs: int
    batch_size: int
    shift: int = 0

    def augment(self, images: Array, random: np.random.Generator) -> Array:
        """Return the images of a batch, each shifted by up to `shift` pixels."""
        return data.shifted(images, random, self.shift, dims=images.ndim - 2)


def recipe(in_shape: tuple[int, ...], epochs: int | None = None) -> Recipe:
    """Return the default settings for images of a shape.

    Args:
        in_shape: Shape of one image, (channels, *spatial).
        epochs: Number of epochs, which is also the length of the schedule; None for the default.

    >>> from convalg.train.recipes import recipe
    >>> recipe((1, 8, 8)).network, recipe((1, 28, 28)).network
    ('small', 'lenet5')
    """
    if min(in_shape[1:], default=0) >= LARGE:
        count = 5 if epochs is None else epochs
        return Recipe("lenet5", Adam(3e-3, schedule=Cosine(count)), count, 64, 1)
    count = 20 if epochs is None else epochs
    return Recipe("small", Adam(3e-3, schedule=Cosine(count)), count, 32)


def network(name: str, in_shape: tuple[int, ...], classes: int) -> Network:
    """Return a network by name: "small", "lenet5" (with ReLU and max-pooling), or one of `ca.zoo`.

    Args:
        name: Name of the network.
        in_shape: Shape of one image, (channels, *spatial).
        classes: Number of classes.

    Raises:
        ArgumentError: when no network for labelled images has this name.
        ShapeError: when the network cannot be applied to images of this shape.

    >>> from convalg.train.recipes import network
    >>> network("lenet5", (1, 28, 28), 10).parameters
    61706
    """
    if name == "small":
        layers = [
            *(L.Conv(16, 3, padding=1), L.ReLU(), L.Conv(32, 3, padding=1), L.ReLU()),
            *(L.MaxPool(2), L.Flatten(), L.Dropout(0.5), L.Dense(classes)),
        ]
        return sequential(in_shape, layers, name="small")
    if name == "lenet5":
        layers = [
            *(L.Conv(6, 5, padding=2), L.ReLU(), L.MaxPool(2)),
            *(L.Conv(16, 5), L.ReLU(), L.MaxPool(2), L.Flatten()),
            *(L.Dense(120), L.ReLU(), L.Dense(84), L.ReLU(), L.Dense(classes)),
        ]
        return sequential(in_shape, layers, name="LeNet-5")
    makers: dict[str, Callable[[tuple[int, ...], int], Network]] = {
        name: getattr(zoo, name) for name in zoo.__all__
    }
    if name not in makers or name in ("dcgan_generator", "dcgan_discriminator", "rcnn", "vae"):
        raise ArgumentError(
            f"{name!r} is not a network that can be trained on labels: use small, lenet5, mlp, or "
            f"another classifier of the zoo"
        )
    return makers[name](in_shape, classes)
