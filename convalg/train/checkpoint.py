"""Checkpoints: arrays and facts in one file that is there as a whole or not at all.

The file has the safetensors format; the facts are JSON in its metadata, beside a checksum of all.
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
    """The file of a checkpoint that was just written in place of the one before.

    Rule: written beside, flushed to the disk, then renamed: whenever the program or the machine
    stops, the folder holds the new checkpoint or the one before. `facts` is what JSON can hold,
    with text as keys; numbers come back to the last bit.

    Raises: KindError and ArgumentError for what cannot be stored; FileError when the file cannot be
    written, with the checkpoint before left as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = write(folder, {"conv1/bias": np.zeros(3)}, {"step": 7})
    ...     place.name, read(folder)
    ('checkpoint.safetensors', ({'conv1/bias': array([0., 0., 0.])}, {'step': 7}))
    """
    stored = {name: _storable(name, array) for name, array in arrays.items()}
    content = _packed(stored, _text(facts))
    place = _path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / NAME, content, durable=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"cannot write a checkpoint of {len(content):,} bytes in {str(folder)!r} ({reason}): "
            f"an earlier one there is as it was; make room, or give another folder"
        ) from None
    _clean(place)
    return place / NAME


def read(folder: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays, which can be written to, and the facts of the checkpoint in a folder.

    Raises: FileError when there is none, or it is truncated, changed or of another program.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write(folder, {}, {"loss": [0.5, 0.25]})
    ...     read(folder)
    ({}, {'loss': [0.5, 0.25]})
    """
    place = _path(folder) / NAME
    if not exists(folder):
        raise FileError(f"there is no checkpoint in {str(folder)!r}: a file {NAME} is wanted")
    try:
        # Opening checks the sizes in the header against each other and against the file.
        with safe_open(place, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise FileError(
                    f"{str(place)!r} has the format {metadata.get('format')!r}, not {_FORMAT!r}: "
                    f"give the folder of a checkpoint that convalg wrote"
                )
            arrays = {name: _loaded(file, name, place) for name in file.keys()}  # noqa: SIM118
    except FileError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(f"{str(place)!r} is no sound checkpoint ({error})") from None
    text = metadata.get("facts", "")
    if metadata.get("sha256") != _checksum(arrays, text):
        raise FileError(
            f"{str(place)!r} was changed or damaged: its checksum is not that of its contents; "
            f"start again, or give another checkpoint"
        )
    return arrays, _facts(text, place)


def exists(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a checkpoint.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exists(folder)
    False
    """
    return os.path.isfile(_path(folder) / NAME)


def _path(folder: Any) -> Path:
    if not isinstance(folder, (str, os.PathLike)):
        raise KindError(
            f"a checkpoint is kept in a folder: give its path, not a {type(folder).__name__}"
        )
    if not os.fspath(folder):
        raise ArgumentError(
            f"a checkpoint is kept in a folder: give its path, not {folder!r}, or '.' for the "
            f"current one"
        )
    return Path(folder)


@contextlib.contextmanager
def lock(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep a folder for one run: no other one of any process enters meanwhile.

    The lock is the system's and ends with the process, however that ends; the file that carries
    it names the process. A system or a folder without locks has none.

    Raises: FileError while another run has the folder.
    """
    place = _path(folder)
    number = _locked(place)
    try:
        yield
    finally:
        if number is not None:
            # While it is locked: nobody else has this file.
            with contextlib.suppress(OSError):
                (place / _LOCK).unlink()
            os.close(number)


def _locked(place: Path) -> int | None:
    """The locked file of a folder, None where there can be none. Raises: FileError if in use."""
    try:
        import fcntl
    except ImportError:
        return None
    while True:
        try:
            place.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            number = os.open(place / _LOCK, flags, 0o644)
        except (OSError, ValueError):
            # A folder that cannot be written to is told by whoever writes.
            return None
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(number, 20).decode("ascii", "replace")
            os.close(number)
            whose = f"process {owner}" if owner.isdigit() else "another process"
            raise FileError(
                f"the folder {str(place)!r} is in use by another run ({whose}): wait until it "
                f"ends, or give another folder"
            ) from None
        except OSError:
            os.close(number)
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), os.stat(place / _LOCK)):
                os.ftruncate(number, 0)
                os.pwrite(number, str(os.getpid()).encode(), 0)
                return number
        # Removed by the run that had it, between opening and locking.
        os.close(number)


def _storable(name: Any, array: Any) -> Array:
    if not isinstance(name, str):
        raise KindError(f"the name of an array must be text, not {name!r}")
    if name == _RESERVED:
        raise ArgumentError(f"an array cannot be named {name!r}, which the file format reserves")
    if not isinstance(array, np.ndarray) or array.dtype.name not in _DTYPES.values():
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise KindError(f"{name} must be an array of numbers to be stored, not {kind}")
    # The format is little-endian and without gaps.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _text(facts: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(facts))
    except (TypeError, ValueError, RecursionError) as error:
        raise KindError(f"the facts of a checkpoint must be what JSON can hold: {error}") from None


def _packed(arrays: dict[str, Array], text: str) -> bytes:
    metadata = {"format": _FORMAT, "facts": text, "sha256": _checksum(arrays, text)}
    return save(arrays, metadata)


def _checksum(arrays: Mapping[str, Array], text: str) -> str:
    """Of the facts and of every array's name, kind, shape and bytes."""
    found = hashlib.sha256(json.dumps(text).encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        found.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return found.hexdigest()


def _loaded(file: Any, name: str, place: Path) -> Array:
    kind = file.get_slice(name).get_dtype()
    if kind not in _DTYPES:
        raise FileError(f"{str(place)!r} holds {name!r} as {kind}, which convalg never writes")
    # A copy that is the caller's own: it outlives the file, and can be trained on.
    return np.array(file.get_tensor(name))


def _facts(text: str, place: Path) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{str(place)!r} holds facts that are no JSON: {error}") from None
    if not isinstance(facts, dict):
        raise FileError(f"{str(place)!r} holds facts that are no table but {type(facts).__name__}")
    return facts


def _clean(folder: Path) -> None:
    """Remove what programs that were killed had begun to write, and no others."""
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
        # It is another user's.
        return True
    return True
