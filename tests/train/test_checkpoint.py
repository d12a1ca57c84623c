"""Checkpoints: what was written comes back; whatever happens, a whole one is there."""

from __future__ import annotations

import errno
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from convalg.errors import ArgumentError, FileError, KindError
from convalg.train import checkpoint
from convalg.train.checkpoint import NAME, exists, read, write

# Many small files are read again at once: waiting for the disk would only take time.
UNFLUSHED = mock.patch.object(os, "fsync")
HERE = Path(__file__).parents[1] / "oracles"
KINDS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FACTS = st.dictionaries(st.text(), VALUES, max_size=4)
NAMES = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda n: n != "__metadata__")


@st.composite
def many_arrays(draw: st.DrawFn) -> dict[str, np.ndarray]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    return {name: draw(hnp.arrays(draw(st.sampled_from(KINDS)), shapes)) for name in names}


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        # To the last bit: also the sign of a zero and the payload of a NaN.
        assert found[name].tobytes() == array.tobytes()


@given(many_arrays(), FACTS)
def test_all_that_was_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray], facts: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    with UNFLUSHED:
        write(folder, arrays, facts)
    found, found_facts = read(folder)
    same(found, arrays)
    assert found_facts == facts


def test_the_state_of_random_numbers_comes_back(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    random.normal(size=10)
    write(tmp_path, {}, {"random": random.bit_generator.state, "loss": [math.nan, math.inf, 0.1]})
    wanted = random.normal(size=10)
    facts = read(tmp_path)[1]
    other = np.random.default_rng()
    other.bit_generator.state = facts["random"]
    assert (other.normal(size=10) == wanted).all()
    assert math.isnan(facts["loss"][0])
    assert facts["loss"][1:] == [math.inf, 0.1]


def test_gaps_and_other_byte_orders_are_stored_as_numbers(tmp_path: Path) -> None:
    whole = np.arange(24.0).reshape(4, 6)
    arrays = {"gaps": whole[::2, ::-3], "turned": whole.T, "big": whole.astype(">f4")}
    write(tmp_path, arrays, {})
    found, _ = read(tmp_path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert found["big"].dtype == np.float32


def test_arrays_can_be_trained_on_after_the_file_is_gone(tmp_path: Path) -> None:
    place = write(tmp_path, {"w": np.ones(3)}, {})
    found, _ = read(tmp_path)
    place.unlink()
    found["w"] -= 1
    assert not found["w"].any()


def test_others_can_read_the_file(tmp_path: Path) -> None:
    place = write(tmp_path / "new" / "folder", {"w": np.arange(3)}, {"step": 1})
    assert place == tmp_path / "new" / "folder" / NAME
    assert load_file(place)["w"].tolist() == [0, 1, 2]
    assert exists(tmp_path / "new" / "folder")
    assert not exists(tmp_path)


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.0a1b2c3d.part").write_bytes(b"left by a killed program")
    (tmp_path / "notes.txt").write_text("mine")
    for step in range(3):
        write(tmp_path, {"w": np.full(step, step)}, {"step": step})
    assert sorted(place.name for place in tmp_path.iterdir()) == [NAME, "notes.txt"]
    assert read(tmp_path)[1] == {"step": 2}


# Whatever happens.


def killed(folder: Path, count: int, seed: int) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "killed.py", folder, str(count), str(seed)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(lines) == count
    before = 0
    for told, found, whole, left in lines:
        # What was reported is there; at most the one that was being written is there too.
        assert told <= found <= told + 1
        assert whole
        assert left <= before + 1
        before = left
    # The killing met writes that were under way, and writes came through.
    assert any(left for _, _, _, left in lines)
    assert lines[-1][1] > 0
    assert [place.name for place in folder.iterdir()] == [NAME]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    killed(tmp_path, 30, 0)


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("seed", range(1, 6))
def test_many_kills_leave_whole_checkpoints(tmp_path: Path, seed: int) -> None:
    killed(tmp_path, 400, seed)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FileError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_the_old_checkpoint_and_no_litter(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    error: BaseException,
    seen: type[BaseException],
) -> None:
    def fail(*_: Any) -> None:
        raise error

    write(tmp_path, {"w": np.ones(3)}, {"step": 1})
    with monkeypatch.context() as patched:
        patched.setattr(os, moment, fail)
        with pytest.raises(seen):
            write(tmp_path, {"w": np.zeros(3)}, {"step": 2})
    assert [place.name for place in tmp_path.iterdir()] == [NAME]
    found, facts = read(tmp_path)
    assert found["w"].tolist() == [1, 1, 1]
    assert facts == {"step": 1}


def test_a_folder_that_cannot_be_flushed_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        write(tmp_path, {}, {"step": 1})
    assert read(tmp_path)[1] == {"step": 1}


def test_a_full_disk_leaves_the_old_checkpoint_and_no_litter(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    write(tmp_path, {}, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(FileError) as caught:
            write(tmp_path, {"w": np.zeros(100_000)}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write a checkpoint of 800," in str(caught.value)
    assert "(File too large): an earlier one there is unchanged" in str(caught.value)
    assert [place.name for place in tmp_path.iterdir()] == [NAME]
    assert read(tmp_path) == ({}, {"step": 1})


# Files that are not what they claim to be.


@given(st.data())
def test_a_file_cut_or_changed_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    with UNFLUSHED:
        place = write(folder, {"w": np.arange(5.0), "v": np.ones((2, 3), np.int8)}, {"step": 4})
    content = bytearray(place.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[where:]
    else:
        content[where] ^= data.draw(st.integers(1, 255))
    place.write_bytes(content)
    try:
        arrays, facts = read(folder)
    except FileError:
        return
    # White space in the header may change: nothing else may.
    same(arrays, {"w": np.arange(5.0), "v": np.ones((2, 3), np.int8)})
    assert facts == {"step": 4}


def raw(header: bytes | dict[str, Any], data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def spec(kind: str, shape: list[int], end: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [0, end]}


OURS = {"__metadata__": {"format": checkpoint._FORMAT, "facts": "{}", "sha256": "0"}}
DEEP = b'{"__metadata__":' * 5000

BAD_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is not a valid checkpoint"),
    "text": (b"hello world, this is no checkpoint", "is not a valid checkpoint"),
    "vast header": (struct.pack("<Q", 2**63) + b"{}", "is not a valid checkpoint"),
    "long header": (struct.pack("<Q", 99) + b"{}", "is not a valid checkpoint"),
    "no JSON": (raw(b"{]"), "is not a valid checkpoint"),
    "deep JSON": (raw(DEEP), "is not a valid checkpoint"),
    "not text": (raw(b"\xff\xfe\xfd"), "is not a valid checkpoint"),
    "beyond the end": (raw({"w": spec("F64", [10], 80)}), "is not a valid checkpoint"),
    "wrong size": (raw({"w": spec("F64", [10], 8)}, bytes(8)), "is not a valid checkpoint"),
    "overflow": (raw({"w": spec("F64", [2**62, 2**62], 8)}, bytes(8)), "is not a valid checkpoint"),
    "no metadata": (raw({"w": spec("F64", [1], 8)}, bytes(8)), "has the format None, not 'convalg"),
    "unknown kind": (
        raw({**OURS, "w": spec("BF16", [1], 2)}, bytes(2)),
        "has 'w' of type BF16, which convalg does not write",
    ),
    "empty and vast": (
        raw({**OURS, "w": spec("F64", [0, 2**60, 2**60], 0)}),
        "is not a valid checkpoint",
    ),
    "many axes": (raw({**OURS, "w": spec("U8", [1] * 100, 1)}, b"\0"), "is not a valid checkpoint"),
    "wrong sum": (raw(OURS), "was modified or damaged: its checksum does not match its contents"),
}


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_hostile_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    content, words = BAD_FILES[name]
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(FileError) as caught:
        read(tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "has facts that are not JSON"),
        ("[" * 100_000, "has facts that are not JSON"),
        ("1" * 10_000, "has facts that are not JSON"),
        ("[1]", "has facts of type list, not a JSON object"),
    ],
)
def test_facts_with_a_right_checksum_are_read_with_care(
    tmp_path: Path, text: str, words: str
) -> None:
    metadata = {
        "format": checkpoint._FORMAT,
        "facts": text,
        "sha256": checkpoint._checksum({}, text),
    }
    save_file({}, tmp_path / NAME, metadata)
    with pytest.raises(FileError, match=words):
        read(tmp_path)


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda place: read(place), FileError, "there is no checkpoint in"),
        (lambda place: read(place / "none"), FileError, "it has no file checkpoint.safetensors"),
        (
            lambda place: read(5),
            KindError,
            "is stored in a folder: pass its path, not an object of type int",
        ),
        (lambda place: exists(None), KindError, "pass its path, not an object of type NoneType"),
        (lambda place: write(place, {1: np.ones(1)}, {}), KindError, "must be text, not 1"),
        (
            lambda place: write(place, {"__metadata__": np.ones(1)}, {}),
            ArgumentError,
            "an array cannot have the name '__metadata__': the file format reserves it",
        ),
        (
            lambda place: write(place, {"w": np.array([None])}, {}),
            KindError,
            "w must be an array of numbers to be stored, not object",
        ),
        (lambda place: write(place, {"w": [1.0]}, {}), KindError, "to be stored, not list"),
        (
            lambda place: write(place, {}, {"step": np.int64(1)}),
            KindError,
            "the facts of a checkpoint must be JSON values: Object of type int64",
        ),
        (lambda place: write(place, {}, {"a": ENDLESS}), KindError, "must be JSON values"),
        (lambda place: write(place, {}, {(1, 2): 3}), KindError, "must be JSON values"),
        (
            lambda place: write(place / "a\0b", {}, {}),
            FileError,
            "cannot write a checkpoint of",
        ),
    ],
)
def test_bad_input_is_refused_in_words(
    tmp_path: Path, call: Callable[[Path], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        call(tmp_path)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(FileError, match="free some space, or pass another folder"):
        write(tmp_path / "taken", {}, {})
    assert (tmp_path / "taken").read_text() == "mine"
