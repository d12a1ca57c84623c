"""Data sets: the embedded one, image folders, splits, orders, moves, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import convalg as ca
import convalg.errors
from convalg import limits
from convalg.errors import ArgumentError, FileError, KindError, ShapeError, TooLargeError
from convalg.train import data
from convalg.train.data import (
    check_data,
    digits,
    order,
    read_images,
    shifted,
    split,
)

# Source: optdigits.names of the UCI repository, the classes of the test set.
COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
# Source: the first line of the UCI repository's optdigits.tes, a zero.
FIRST = """
    0 0 5 13 9 1 0 0   0 0 13 15 10 15 5 0   0 3 15 2 0 11 8 0   0 4 12 0 0 8 8 0
    0 5 8 0 0 9 8 0    0 4 11 0 1 12 7 0     0 2 14 5 10 12 0 0  0 0 6 13 10 0 0 0
"""


def test_the_digits_are_those_of_the_source() -> None:
    images, labels = digits()
    assert images.shape == (1797, 1, 8, 8)
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert np.bincount(labels).tolist() == COUNTS
    assert (images[0] * 16).ravel().tolist() == list(map(int, FIRST.split()))
    assert set(np.unique(images * 16).tolist()) == set(range(17))


def test_the_digits_are_credited() -> None:
    note = (Path(data.__file__).parents[1] / "assets" / "digits.txt").read_text(encoding="utf-8")
    for words in ("E. Alpaydin", "C. Kaynak", "CC BY 4.0", "10.24432/C50P49"):
        assert words in note
    assert "CC BY 4.0" in data.CREDIT


def test_the_digits_are_the_callers_own() -> None:
    digits()[0][:] = 7
    assert digits()[0].max() == 1


# Image folders.


def picture(place: Path, pixels: np.ndarray) -> None:
    place.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(place)


def grey(value: int, height: int = 2, width: int = 3) -> np.ndarray:
    return np.full((height, width), value, dtype=np.uint8)


def test_a_folder_of_images(tmp_path: Path) -> None:
    picture(tmp_path / "b" / "2.png", grey(20))
    picture(tmp_path / "b" / "10.PNG", grey(10))
    picture(tmp_path / "a" / "z.png", grey(255))
    picture(tmp_path / ".hidden" / "1.png", grey(1))
    (tmp_path / "b" / "notes.txt").write_text("no image")
    (tmp_path / "b" / ".1.png").write_text("no image")
    (tmp_path / "loose.png").write_text("no image")
    (tmp_path / "c").mkdir()
    images, labels, names = read_images(str(tmp_path))
    assert names == ["a", "b", "c"]
    assert labels.tolist() == [0, 1, 1]
    assert (images.dtype, labels.dtype, images.shape) == (np.float32, np.int64, (3, 1, 2, 3))
    assert (images[:, 0, 0, 0] * 255).round().tolist() == [255, 10, 20]


def test_coloured_images_have_three_channels(tmp_path: Path) -> None:
    colours = np.zeros((2, 3, 3), dtype=np.uint8)
    colours[..., 1] = 255
    picture(tmp_path / "a" / "1.png", colours)
    images, _, _ = read_images(tmp_path)
    assert images.shape == (1, 3, 2, 3)
    assert images.mean(axis=(0, 2, 3)).tolist() == [0, 1, 0]


@pytest.mark.parametrize(("size", "shape"), [(4, (4, 4)), ((5, 7), (5, 7))])
def test_images_are_resized(tmp_path: Path, size: Any, shape: tuple[int, int]) -> None:
    picture(tmp_path / "a" / "1.png", grey(51))
    picture(tmp_path / "a" / "2.png", grey(51, 9, 8))
    images, _, _ = read_images(tmp_path, size=size)
    assert images.shape == (2, 1, *shape)
    assert (images == np.float32(0.2)).all()


def _two_sizes(place: Path) -> Path:
    picture(place / "a" / "1.png", grey(0))
    picture(place / "b" / "2.png", grey(0, 3, 3))
    return place


def _broken(place: Path) -> Path:
    (place / "a").mkdir()
    (place / "a" / "bad.jpg").write_bytes(b"no image")
    return place


@pytest.mark.parametrize(
    ("make", "options", "error", "words"),
    [
        (
            lambda place: 5,
            {},
            KindError,
            "folder must be the path of a folder with images, not an object of type int",
        ),
        (lambda place: place / "none", {}, FileError, "(No such file or directory): pass the"),
        (lambda place: place, {}, FileError, "has no PNG or JPEG files in sub-folders"),
        (_two_sizes, {}, FileError, "2.png' has channels, height and width (1, 3, 3), but"),
        (_broken, {"size": 4}, FileError, "bad.jpg' is not an image that can be read"),
        (_two_sizes, {"size": 0}, ArgumentError, "must be at least 1, not 0"),
        (_two_sizes, {"size": "big"}, KindError, "must be an integer, not 'big'"),
        (_two_sizes, {"size": (1, 2, 3)}, ShapeError, "size must be an integer number of pixels"),
        (_two_sizes, {"size": ca.sizes("n")[0]}, ShapeError, "size must be an integer number of"),
    ],
)
def test_a_bad_folder_is_refused_in_words(
    tmp_path: Path,
    make: Callable[[Path], Any],
    options: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error) as caught:
        read_images(make(tmp_path), **options)
    assert words in str(caught.value)


def test_images_beyond_the_limit_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "a" / "1.png", grey(0))
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 23)
    with pytest.raises(TooLargeError, match="1 images needs 24 bytes"):
        read_images(tmp_path)


# Splits and orders.


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=40), st.floats(0.05, 0.95), st.integers(0, 99)
)
def test_a_split_takes_every_sample_once_and_each_class_fairly(
    labels: list[int], share: float, seed: int
) -> None:
    count = len(labels)
    images = np.arange(count)[:, None]
    if not 0 < round(share * count) < count:
        with pytest.raises(ArgumentError):
            split(images, labels, test=share, seed=seed)
        return
    (train, train_labels), (held, held_labels) = split(images, labels, test=share, seed=seed)
    assert len(held) == round(share * count)
    assert sorted([*train[:, 0], *held[:, 0]]) == list(range(count))
    assert [labels[k] for k in train[:, 0]] == train_labels.tolist()
    assert [labels[k] for k in held[:, 0]] == held_labels.tolist()
    for label in set(labels):
        fair = labels.count(label) * len(held) / count
        assert abs(held_labels.tolist().count(label) - fair) <= 1


def test_a_split_depends_on_its_seed_alone() -> None:
    images, labels = digits()
    first, second, other = (split(images, labels, seed=seed)[1][1] for seed in (0, 0, 1))
    assert (first == second).all()
    assert (first != other).any()


def test_targets_that_are_no_classes_are_split_plainly() -> None:
    images, targets = np.arange(10)[:, None], np.arange(20.0).reshape(10, 2)
    (train, train_targets), (held, held_targets) = split(images, targets, test=0.3)
    assert (len(train), len(held)) == (7, 3)
    assert (train_targets[:, 0] == 2 * train[:, 0]).all()
    assert (held_targets[:, 0] == 2 * held[:, 0]).all()


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(0, 50))
def test_an_order_is_a_permutation_that_can_be_had_again(seed: int, epoch: int, count: int) -> None:
    found = order(seed, epoch, count)
    assert sorted(found.tolist()) == list(range(count))
    assert (found == order(seed, epoch, count)).all()


def test_orders_of_epochs_and_seeds_differ() -> None:
    orders = {tuple(order(seed, epoch, 20)) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


# Moves.


@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.integers(1, 3), st.integers(1, 2))
def test_moves_are_the_operator_shift(seed: int, by: int, dims: int, channels: int) -> None:
    spatial = (3, 4, 2)[:dims]
    images = np.random.default_rng(seed).integers(1, 9, size=(5, channels, *spatial))
    moved = shifted(images, np.random.default_rng(seed), by, dims=dims)
    moves = np.random.default_rng(seed).integers(-by, by, size=(dims, 5), endpoint=True)
    for k in range(5):
        operator = ca.shift(spatial, tuple(map(int, moves[:, k])), channels=channels)
        np.testing.assert_array_equal(moved[k], operator(images[k]))


def test_all_moves_come_up_as_often() -> None:
    impulses = np.zeros((9000, 1, 3, 3), np.float32)
    impulses[:, 0, 1, 1] = 1
    counts = shifted(impulses, np.random.default_rng(0)).sum(axis=(0, 1))
    assert counts.sum() == 9000
    assert counts.min() > 900


@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 3, 4), (2, 5, 1, 3, 4), (0, 1, 3, 4)])
def test_moves_keep_shape_and_precision(shape: tuple[int, ...]) -> None:
    images = np.ones(shape, np.float32)
    if len(shape) == 2:
        with pytest.raises(ShapeError, match="must have a channel axis followed by 2 spatial axes"):
            shifted(images, np.random.default_rng(0))
        return
    moved = shifted(images, np.random.default_rng(0))
    assert (moved.shape, moved.dtype) == (shape, np.float32)
    assert (images == 1).all()


# Checks.


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_sound_data_pass(dtype: Any) -> None:
    images = np.ones((3, 1, 2, 2), dtype)
    assert check_data(images, [0, 1, 2], (1, 2, 2)) is images


def test_a_wild_pixel_is_found_far_behind() -> None:
    images = np.zeros((3000, 1, 2), np.float32)
    images[2500, 0, 1] = -math.inf
    with pytest.raises(ArgumentError, match=r"images\[2500, 0, 1\] is -inf: every pixel must be"):
        check_data(images, np.zeros(3000, int), (1, 2))


ONE = np.zeros((1, 1, 2, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: check_data(ONE * math.nan, [0], (1, 2, 2)),
            ArgumentError,
            "images[0, 0, 0, 0] is",
        ),
        (
            lambda: check_data(ONE[:, 0], [0], (1, 2, 2)),
            ShapeError,
            "images must have shape (samples, 1, 2, 2) to fit the network, "
            "not (1, 2, 2): images[:, None] adds",
        ),
        (
            lambda: check_data(ONE, [0], (3, 2, 2)),
            ShapeError,
            "to fit the network, not (1, 1, 2, 2",
        ),
        (
            lambda: check_data(ONE, [0, 1], (1, 2, 2)),
            ShapeError,
            "labels must have one entry for each of the 1 images",
        ),
        (
            lambda: check_data(ONE, 3, (1, 2, 2)),
            ShapeError,
            "1 images on their first axis, not the shape ()",
        ),
        (
            lambda: check_data(ONE[:0], [], (1, 2, 2)),
            ShapeError,
            "images must contain at least one image, but",
        ),
        (
            lambda: check_data(None, [0], (1, 2, 2)),
            KindError,
            "images must be real numbers, not obj",
        ),
        (lambda: check_data([["a"]], [0], (1,)), KindError, "images must be real numbers, not <U1"),
        (
            lambda: check_data(ONE + 1j, [0], (1, 2, 2)),
            KindError,
            "must be real numbers, not complex",
        ),
        (
            lambda: check_data([[1], [1, 2]], [0], (1,)),
            KindError,
            "images is not a rectangular array",
        ),
        (
            lambda: split(ONE, [0]),
            ArgumentError,
            "with 1 sample leaves the test set or the training set empty",
        ),
        (
            lambda: split([1, 2], [0, 1], test=math.nan),
            ArgumentError,
            "with 2 samples leaves the test set or the",
        ),
        (
            lambda: split([1, 2], [0, 1], test=1),
            ArgumentError,
            "test=1 with 2 samples leaves the test set",
        ),
        (
            lambda: split([1, 2], [0, 1], test=-0.5),
            ArgumentError,
            "pass a share that leaves at least one sample in each",
        ),
        (lambda: split([1, 2], [0, 1], test="half"), KindError, "test must be a number (the share"),
        (
            lambda: split([1, 2], [0]),
            ShapeError,
            "each of the 2 images on their first axis, not the shape (1,)",
        ),
        (lambda: split([], []), ShapeError, "images must contain at least one image, but have"),
        (lambda: order(-1, 0, 3), ArgumentError, "seed must be at least 0, not -1"),
        (lambda: order(0, 0.5, 3), KindError, "epoch must be an integer, not 0.5"),
        (
            lambda: order(0, 0, ca.sizes("n")[0]),
            KindError,
            "count must be an integer, not the symbolic n",
        ),
        (
            lambda: shifted(ONE, np.random.default_rng(0), -1),
            ArgumentError,
            "by must be at least 0, not -1",
        ),
    ],
)
def test_bad_input_is_refused_in_words(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
