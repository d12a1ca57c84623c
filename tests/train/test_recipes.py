"""The default networks and settings of `convalg train`."""

from __future__ import annotations

import numpy as np
import pytest

import convalg as ca
from convalg.errors import ArgumentError, ShapeError
from convalg.train.recipes import LARGE, network, recipe


def test_the_default_settings_fit_the_size_of_the_images() -> None:
    assert recipe((1, LARGE - 1, 40)).network == "small"
    assert recipe((1, LARGE, LARGE)).network == "lenet5"
    assert recipe((3, 32, 32), 7).epochs == 7
    images = np.ones((2, 1, 28, 28), dtype=np.float32)
    moved = recipe((1, 28, 28)).augment(images, np.random.default_rng(0))
    assert moved.shape == images.shape


@pytest.mark.parametrize("epochs", [None, 3])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28)])
def test_the_learning_rate_reaches_zero_at_the_last_epoch(
    shape: tuple[int, ...], epochs: int | None
) -> None:
    settings = recipe(shape, epochs)
    rates = [settings.optimiser.rate(epoch) for epoch in range(settings.epochs + 1)]
    assert rates[0] == settings.optimiser.learning_rate
    assert rates[-1] == 0 < rates[-2]


def test_an_augmented_image_is_moved_by_at_most_the_shift() -> None:
    settings = recipe((1, 28, 28))
    images = np.zeros((64, 1, 28, 28))
    images[..., 14, 14] = 1
    moved = settings.augment(images, np.random.default_rng(0))
    rows, columns = np.nonzero(moved)[2:]
    assert len(rows) == 64
    assert set(rows - 14) == set(columns - 14) == set(range(-settings.shift, settings.shift + 1))


@pytest.mark.parametrize("name", ["small", "lenet5", "mlp", "resnet18"])
def test_a_network_has_one_score_for_each_class(name: str) -> None:
    assert network(name, (3, 32, 32), 4).out_shape == (4,)


def test_the_number_of_parameters_is_that_of_lenet_5() -> None:
    # 6 (25 + 1) + 16 (6 * 25 + 1) + 120 (400 + 1) + 84 (120 + 1) + 10 (84 + 1)
    assert network("lenet5", (1, 28, 28), 10).parameters == 61_706
    assert not network("small", (1, 8, 8), 10).weights


@pytest.mark.parametrize("name", ["vae", "LeNet", "dcgan_generator", "__all__"])
def test_a_name_of_no_classifier_is_refused(name: str) -> None:
    assert name == "LeNet" or name == "__all__" or name in ca.zoo.__all__
    with pytest.raises(ArgumentError, match=f"'{name}' is not a network that can be trained"):
        network(name, (1, 28, 28), 10)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(ShapeError):
        network("lenet5", (1, 8, 8), 10)
