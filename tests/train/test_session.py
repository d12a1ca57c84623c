"""The sessions of `convalg train`: their data, their folder, and the figures they write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import ArgumentError, FileError, ShapeError
from convalg.train import checkpoint
from convalg.train.session import Session, train

L = ca.layers


def test_the_digits_are_split_once_for_each_seed(tmp_path: Path) -> None:
    first, second = (train(None, None, epochs=1, seed=seed, out=tmp_path) for seed in (0, 1))
    assert (len(first.train[0]), len(first.test[0])) == (1348, 449)
    images, labels = ca.data.digits()
    joined = np.concatenate([first.train[0], first.test[0]])
    assert sorted(map(bytes, joined)) == sorted(map(bytes, images))
    assert np.array_equal(
        np.bincount(np.concatenate([first.train[1], first.test[1]])), np.bincount(labels)
    )
    assert not np.array_equal(first.test[0], second.test[0])
    again = train(None, None, epochs=1, seed=0, out=tmp_path)
    assert np.array_equal(first.test[0], again.test[0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session of one epoch on a few digits."""
    session = train(None, "mlp", epochs=1, out=tmp_path_factory.mktemp("run"))
    session.train = session.train[0][:96], session.train[1][:96]
    session.test = session.test[0][:20], session.test[1][:20]
    session.run()
    return session


def test_the_accuracy_is_the_share_of_labels_with_the_highest_score(finished: Session) -> None:
    images, labels = finished.test
    right = finished.net(images).argmax(axis=1) == labels
    assert finished.accuracy == right.mean()
    assert finished.history is not None
    assert finished.history.validation_accuracy == [finished.accuracy]


def test_the_figures_are_those_that_the_network_has(finished: Session, tmp_path: Path) -> None:
    assert [path.name for path in finished.figures()] == ["curve.svg"]
    untrained = train(None, "small", epochs=1, out=tmp_path)
    untrained.net.initialise(0)
    (path,) = untrained.figures()
    assert path == tmp_path / "kernels.svg"
    assert path.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_a_finished_run_is_replaced_and_an_unfinished_one_is_kept(
    finished: Session, tmp_path: Path
) -> None:
    arrays, facts = checkpoint.read(finished.out)
    assert facts["finished"] is True
    checkpoint.write(tmp_path, arrays, {**facts, "finished": False})
    with pytest.raises(FileError, match="contains an unfinished run: resume it with --resume"):
        train(None, "mlp", epochs=1, out=tmp_path)
    assert checkpoint.exists(tmp_path)
    train(None, "mlp", epochs=1, out=tmp_path, resume=True)
    assert checkpoint.exists(tmp_path)
    checkpoint.write(tmp_path, arrays, facts)
    train(None, "mlp", epochs=1, out=tmp_path)
    assert not checkpoint.exists(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"resume": True}, FileError, "to resume from: leave --resume out"),
        ({"name": "lenet"}, ArgumentError, "'lenet' is not a network that can be trained"),
        ({"name": "lenet5"}, ShapeError, "lenet5 does not accept images of shape (1, 8, 8): "),
        ({"folder": Path("nowhere")}, FileError, "nowhere"),
    ],
)
def test_a_session_that_cannot_run_is_refused(
    options: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        train(**{"folder": None, "name": None, "out": tmp_path, **options})
    assert words in str(caught.value)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.write_bytes(b"")
    with pytest.raises(
        FileError, match=r"cannot write to .* \(File exists\): pass another folder to --out"
    ):
        train(None, None, out=out)
