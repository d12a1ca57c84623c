"""Checkpoints: arrays and facts in one file that is written atomically.

The file has the safetensors format; the facts are JSON in its metadata, together with a checksum of
the contents.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from convalg.errors import ArgumentError, FileError, KindError
from convalg.files import write_atomically

Array = np.ndarray

NAME = "checkpoint.safetensors"

_LOCK = "checkpoint.lock"
_FORMAT = "convalg checkpoint 1"
_RESERVED = "__metadata__"
_DTYPES = {
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
}


def write(
    folder: str | os.PathLike[str], arrays: Mapping[str, Array], facts: Mapping[str, Any]
) -> Path:
    """Write a checkpoint in place of the previous one, and return its path.

    The file is written under another name, flushed to disk, then renamed: whenever the program or
    the machine stops, the folder contains either the new checkpoint or the previous one.

    Args:
        folder: the folder of the checkpoint, which is created if needed.
        arrays: arrays of numbers by name.
        facts: a mapping that JSON can represent, with text keys; numbers are preserved exactly.

    Raises:
        KindError, ArgumentError: for values that cannot be stored.
        FileError: when the file cannot be written; the previous checkpoint is then unchanged.

    >>> import tempfile
    >>> import numpy as np
    >>> from convalg.train.checkpoint import read, write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(folder, {"conv1/bias": np.zeros(3)}, {"step": 7})
    ...     path.name, read(folder)
    ('checkpoint.safetensors', ({'conv1/bias': array([0., 0., 0.])}, {'step': 7}))
    """
    stored = {name: _storable(name, array) for name, array in arrays.items()}
    content = _packed(stored, _text(facts))
    path = _path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / NAME, content, durable=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"cannot write a checkpoint of {len(content):,} bytes in {str(folder)!r} ({reason}): "
            f"an earlier one there is unchanged; free some space, or pass another folder"
        ) from None
    _clean(path)
    return path / NAME


def read(folder: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read the arrays (writable copies) and the facts of the checkpoint in a folder.

    Raises:
        FileError: when there is none, or it is truncated, modified or from another program.

    >>> import tempfile
    >>> from convalg.train.checkpoint import read, write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write(folder, {}, {"loss": [0.5, 0.25]})
    ...     read(folder)
    ({}, {'loss': [0.5, 0.25]})
    """
    path = _path(folder) / NAME
    if not exists(folder):
        raise FileError(f"there is no checkpoint in {str(folder)!r}: it has no file {NAME}")
    try:
        # Opening checks the sizes in the header for consistency with each other and the file.
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise FileError(
                    f"{str(path)!r} has the format {metadata.get('format')!r}, not {_FORMAT!r}: "
                    f"pass the folder of a checkpoint written by convalg"
                )
            arrays = {name: _loaded(file, name, path) for name in file.keys()}  # noqa: SIM118
    except FileError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(f"{str(path)!r} is not a valid checkpoint ({error})") from None
    text = metadata.get("facts", "")
    if metadata.get("sha256") != _checksum(arrays, text):
        raise FileError(
            f"{str(path)!r} was modified or damaged: its checksum does not match its contents; "
            f"start again, or pass another checkpoint"
        )
    return arrays, _facts(text, path)


def exists(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains a checkpoint.

    >>> import tempfile
    >>> from convalg.train.checkpoint import exists
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exists(folder)
    False
    """
    return os.path.isfile(_path(folder) / NAME)


def _path(folder: object) -> Path:
    if not isinstance(folder, (str, os.PathLike)):
        raise KindError(
            f"a checkpoint is stored in a folder: pass its path, not an object of type "
            f"{type(folder).__name__}"
        )
    if not os.fspath(folder):
        raise ArgumentError(
            f"a checkpoint is stored in a folder: pass its path, or '.' for the current folder, "
            f"not {folder!r}"
        )
    return Path(folder)


@contextlib.contextmanager
def lock(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Lock a folder for one run, against the runs of all other processes.

    The lock is one of the operating system and ends with the process in every case; the lock file
    contains the process id. Where the system or the folder does not support locks, nothing is
    locked.

    Raises:
        FileError: while another run uses the folder.
    """
    path = _path(folder)
    number = _locked(path)
    try:
        yield
    finally:
        if number is not None:
            # Removed while locked, so that no other process uses this file.
            with contextlib.suppress(OSError):
                (path / _LOCK).unlink()
            os.close(number)


def _locked(path: Path) -> int | None:
    """Lock the file of a folder and return its descriptor; None where locks are not supported.

    Raises: FileError if another run holds the lock.
    """
    try:
        import fcntl
    except ImportError:
        return None
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            number = os.open(path / _LOCK, flags, 0o644)
        except (OSError, ValueError):
            # Writing the checkpoint reports a folder that is not writable.
            return None
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(number, 20).decode("ascii", "replace")
            os.close(number)
            whose = f"process {owner}" if owner.isdigit() else "another process"
            raise FileError(
                f"the folder {str(path)!r} is in use by another run ({whose}): wait until it "
                f"ends, or pass another folder"
            ) from None
        except OSError:
            os.close(number)
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), os.stat(path / _LOCK)):
                os.ftruncate(number, 0)
                os.pwrite(number, str(os.getpid()).encode(), 0)
                return number
        # The run that held the lock removed the file between opening and locking.
        os.close(number)


def _storable(name: object, array: object) -> Array:
    if not isinstance(name, str):
        raise KindError(f"the name of an array must be text, not {name!r}")
    if name == _RESERVED:
        raise ArgumentError(f"an array cannot have the name {name!r}: the file format reserves it")
    if not isinstance(array, np.ndarray) or array.dtype.name not in _DTYPES.values():
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise KindError(f"{name} must be an array of numbers to be stored, not {kind}")
    # The format is little-endian and contiguous.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _text(facts: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(facts))
    except (TypeError, ValueError, RecursionError) as error:
        raise KindError(f"the facts of a checkpoint must be JSON values: {error}") from None


def _packed(arrays: dict[str, Array], text: str) -> bytes:
    metadata = {"format": _FORMAT, "facts": text, "sha256": _checksum(arrays, text)}
    return save(arrays, metadata)


def _checksum(arrays: Mapping[str, Array], text: str) -> str:
    """The checksum of the facts and of the name, type, shape and bytes of every array."""
    digest = hashlib.sha256(json.dumps(text).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _loaded(file: Any, name: str, path: Path) -> Array:
    kind = file.get_slice(name).get_dtype()
    if kind not in _DTYPES:
        raise FileError(f"{str(path)!r} has {name!r} of type {kind}, which convalg does not write")
    # A copy is independent of the file and writable.
    return np.array(file.get_tensor(name))


def _facts(text: str, path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{str(path)!r} has facts that are not JSON: {error}") from None
    if not isinstance(facts, dict):
        raise FileError(
            f"{str(path)!r} has facts of type {type(facts).__name__}, not a JSON object"
        )
    return facts


def _clean(folder: Path) -> None:
    """Remove the partial files of processes that no longer run."""
    for left in folder.glob(f".{NAME}.*.part"):
        owner = left.name.removeprefix(f".{NAME}.").partition("-")[0]
        if owner.isdecimal() and _is_alive(int(owner)):
            continue
        with contextlib.suppress(OSError):
            left.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # The process belongs to another user.
        return True
    return True
