"""`convalg train`: on the embedded digits, on a folder, resumed, and its exit status."""

from __future__ import annotations

import signal
from pathlib import Path

import command_line
import numpy as np
import pytest
from PIL import Image

from convalg.train import checkpoint


def run(*words: str) -> int:
    return command_line.run("train", *words)


def accuracy(text: str) -> float:
    (line,) = [
        line for line in text.splitlines() if "of the test images classified correctly" in line
    ]
    return float(line.split("%")[0])


def test_without_options_98_of_100_digits_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run() == 0
    assert accuracy(capsys.readouterr().out) >= 98
    for name in ("curve.svg", "kernels.svg", checkpoint.NAME):
        assert (tmp_path / "convalg-training" / name).stat().st_size > 1000
    # A finished run may be replaced, and resuming it trains no more.
    assert run("--resume") == 0
    assert run("--epochs", "1", "--engine", "sparse") == 0
    assert "small: (1, 8, 8) to (10,)" in capsys.readouterr().out


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Pictures of two classes: bright on the left, bright on the right."""
    random = np.random.default_rng(0)
    for name, side in (("left", 0), ("right", 6)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(30):
            pixels = random.integers(0, 80, (12, 12), dtype=np.uint8)
            pixels[:, side : side + 6] += 150
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{k}.png")
    return tmp_path / "images"


def test_a_folder_of_images(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = shapes.parent / "out"
    assert run("--data", str(shapes), "--net", "mlp", "--epochs", "3", "--out", str(out)) == 0
    text = capsys.readouterr().out
    assert accuracy(text) == 100
    assert "mlp" in text.lower()
    # It has no convolutions to draw.
    assert not (out / "kernels.svg").exists()


def test_ctrl_c_keeps_the_run_and_resume_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import convalg.train.loop as loop

    words = ("--epochs", "2", "--net", "mlp", "--out")
    assert run(*words, str(tmp_path / "whole")) == 0
    original, calls = loop._Run._step, []

    def pressing(self: object) -> None:
        original(self)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop._Run, "_step", pressing)
    out = tmp_path / "cut"
    capsys.readouterr()
    assert run(*words, str(out)) == 130
    assert "stopped in epoch 1: add --resume to continue" in capsys.readouterr().out
    assert run(*words, str(out)) == 2
    assert "contains an unfinished run" in capsys.readouterr().err
    assert run(*words, str(out), "--resume") == 0
    (whole, _), (cut, _) = checkpoint.read(tmp_path / "whole"), checkpoint.read(out)
    assert whole.keys() == cut.keys()
    assert all((whole[name] == cut[name]).all() for name in whole)


BAD = [
    (("--net", "resnet9"), "is not a network that can be trained on labels"),
    (("--net", "rcnn"), "is not a network that can be trained on labels"),
    (("--net", "alexnet"), "alexnet does not accept images of shape (1, 8, 8): "),
    (("--net", "vit_patches"), "does not accept images of shape"),
    (("--net", "fcn"), "fcn is not a classifier: its output has shape"),
    (("--data", "nowhere"), "nowhere"),
    (("--resume",), "to resume from"),
    (("--out", "/dev/null/out"), "cannot write to"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_bad_input(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
