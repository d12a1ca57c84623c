"""The process that runs a user function: `python -m convalg.check.worker JOB REQUESTS ANSWERS`.

It receives arrays and options, and returns the results of the function. The correct results and
the report stay in the process that started it (see `remote`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

ROOM = 64 * 2**20
"""Least bytes of address space that must remain for the function."""


def main() -> None:
    """Load the function that the command line names, and answer calls until the pipe is closed."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    for number in sys.argv[2:4]:
        # Programs that the function starts must not inherit the pipes.
        os.set_inheritable(int(number), False)
    requests = os.fdopen(int(sys.argv[2]), "rb")
    answers = os.fdopen(int(sys.argv[3]), "wb")
    # Imported before memory is limited, and before the folder of the file is first in sys.path.
    import scipy.fft  # noqa: F401

    from convalg.check.candidate import candidate
    from convalg.check.problem import KINDS
    from convalg.check.wire import packed, received
    from convalg.errors import ConvalgError, FileError, MissingLibraryError

    needed = _limit(job["limits"])
    _send(answers, packed({"needed": needed}, {}))
    try:
        function = _loaded(Path(job["path"]), job["function"])
        tested = candidate(function, KINDS[job["kind"]])
        greeting = {"name": tested.name, "options": list(tested.options)}
    except FileError as error:
        greeting = {"code": "no-function", "words": str(error)}
    except ConvalgError as error:
        greeting = {"code": "wrong-signature", "words": str(error)}
    # A user file may raise any exception while it is loaded, which becomes the finding.
    except (Exception, SystemExit) as error:
        greeting = {"code": "raises", "words": f"the file raises {_exception_text(error)}"[:2000]}
    _send(answers, packed(greeting, {}))
    while "name" in greeting:
        table, arrays = received(lambda count: _read(requests, count))
        options = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in table["options"].items()
        }
        try:
            outcome = tested.call(list(arrays.values()), options)
        except MissingLibraryError as error:
            _send(answers, packed({"code": "missing-library", "words": str(error)}, {}))
            return
        facts = {"code": outcome.code, "words": outcome.message}
        flags = {"printed": outcome.printed, "refused": outcome.refused}
        _send(answers, packed({**facts, **flags}, outcome.parts))


def _exception_text(error: BaseException) -> str:
    """Return the class and the message of an exception."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    # The class of an exception is user code, which can raise again.
    except Exception:
        return f"{name}, which cannot be printed"


def _send(stream: BinaryIO, message: bytes) -> None:
    """Write a message to the pipe at once."""
    stream.write(message)
    stream.flush()


def _read(stream: BinaryIO, count: int) -> bytes:
    """Return the next bytes of the pipe; end the process if it is closed."""
    data = stream.read(count)
    if len(data) < count:
        # No more calls will come. sys.exit would run exit handlers of the user code.
        os._exit(0)
    return data


def _limit(limits: Mapping[str, int | None]) -> int:
    """Set those limits of a job that the system supports, as hard limits of this process.

    Returns: the bytes of memory that Python itself needs, or 0 if the allowed memory suffices.
    """
    try:
        import resource
    except ImportError:
        return 0
    for name in ("AS", "FSIZE", "NPROC", "CPU", "CORE"):
        number = getattr(resource, f"RLIMIT_{name}", None)
        limit = limits.get(name)
        if number is None or limit is None:
            continue
        most = resource.getrlimit(number)[1]
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        if name == "AS" and _in_use() + ROOM > limit:
            return _in_use() + ROOM
        resource.setrlimit(number, (limit, limit))
    return 0


def _in_use() -> int:
    """Return the bytes of address space of this process, or 0 where /proc is not available."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _loaded(path: Path, name: str) -> object:
    """Run a Python file and return its attribute of a name. Raises: FileError if it has none."""
    from convalg.errors import FileError

    # Files in the same folder can be imported, as when the file is run as a script.
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("checked", path)
    if spec is None or spec.loader is None:
        raise FileError(
            f"{path} is not a Python file that can be loaded: pass a file whose name ends in .py"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules["checked"] = module
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        advice = (
            f"; choose one of its functions ({', '.join(names[:20])})"
            if names
            else f", and no other function: define {name} in it"
        )
        raise FileError(f"{path.name} has no function {name}{advice}")
    return getattr(module, name)


if __name__ == "__main__":
    main()
