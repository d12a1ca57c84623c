"""The active run of a user function, and which of its frames belong to the user.

A user function may call NumPy, SciPy, SymPy, the standard library and convalg. Their code is
trusted, and may treat objects differently from floats; everything else is the user's code, which
must execute the same instructions on symbols and on numbers.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, wraps
from importlib.util import find_spec
from pathlib import Path
from threading import local
from types import CodeType, FrameType
from typing import Any, Literal, TypeVar

from convalg.prove.decisions.polynomials import UntraceableError

Function = Callable[..., Any]
"""A function of unknown signature."""
Method = TypeVar("Method", bound=Function)
Owner = Literal["user", "library", "standard", "convalg"]

MOST_WORK = 5_000_000
"""The number of products of monomials that one run on symbols may take."""

LIBRARIES: dict[str, Owner] = {
    "convalg": "convalg",
    "numpy": "library",
    "scipy": "library",
    "sympy": "library",
    "mpmath": "library",
}


class Owners:
    """The owners of frames, by the identities of the code and of its module's names.

    All runs of a function share the owners, since finding an owner reads the file system.
    """

    def __init__(self) -> None:
        self.by_identity: dict[int, tuple[CodeType, dict[str, Any], Owner]] = {}


@dataclass(eq=False)
class WatchedRun:
    """A record of one run of a user function, on symbols or on numbers.

    `refused`: the operations that symbols refused, in order, even if the function caught the
    error. `effects`: the clocks, files, random numbers and other effects that the function used.
    `lowered`: the dtypes with less precision than float64 that symbols were written into, each with
    the largest size that was written, at every sample. `work`: the number of products of monomials.
    """

    symbolic: bool
    refused: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    lowered: dict[str, Any] = field(default_factory=dict)
    work: int = 0
    owners: Owners = field(default_factory=Owners)

    def owner(self, frame: FrameType) -> Owner:
        """Return the owner of the code that a frame runs."""
        # By identity, since code objects compare by value and are slow to hash.
        code = frame.f_code
        entry = self.owners.by_identity.get(id(code))
        if entry is None or entry[1] is not frame.f_globals:
            entry = code, frame.f_globals, owner(frame)
            self.owners.by_identity[id(code)] = entry
        return entry[2]

    def spend(self, products: int) -> None:
        """Count products of monomials.

        Raises: UntraceableError when there are too many.
        """
        self.work += products
        if self.work > MOST_WORK:
            raise UntraceableError(
                f"budget exceeded: the polynomials of the function take more than {MOST_WORK:,} "
                f"products of terms: try a smaller size"
            )


_STANDARD = sys.stdlib_module_names
GENERATED = frozenset(
    ["__init__", "__eq__", "__repr__", "__hash__", "__create_fn__", "__lt__", "__setattr__"]
)
"""Methods that dataclasses generate, whose code has no file."""

_ACTIVE = local()


def active() -> WatchedRun | None:
    """Return the innermost active run in this thread, or None."""
    runs: list[WatchedRun] | None = getattr(_ACTIVE, "runs", None)
    return runs[-1] if runs else None


@contextmanager
def running(run: WatchedRun) -> Iterator[WatchedRun]:
    """Make a run the active run of this thread."""
    if not hasattr(_ACTIVE, "runs"):
        _ACTIVE.runs = []
    _ACTIVE.runs.append(run)
    try:
        yield run
    finally:
        _ACTIVE.runs.pop()


# From 3.12 on, each change of the trace function costs more than the events it saves.
_SWITCHES = sys.version_info < (3, 12)


def unwatched(method: Method) -> Method:
    """Run a method of symbols without the trace function: it is not the user's code."""
    if not _SWITCHES:
        return method

    @wraps(method)
    def run(*args: object, **options: object) -> Any:
        watch = sys.gettrace()
        if watch is None:
            return method(*args, **options)
        sys.settrace(None)
        try:
            return method(*args, **options)
        finally:
            sys.settrace(watch)

    return run  # type: ignore[return-value]  # the same signature


def symbolic_run() -> WatchedRun | None:
    """Return the active run in this thread if it is a run on symbols, else None."""
    run = active()
    return run if run is not None and run.symbolic else None


def recorded(error: UntraceableError) -> UntraceableError:
    """Record an error with the active run, in case the function catches it, and return it."""
    run = active()
    if run is not None:
        run.refused.append(str(error))
    return error


def refusal(action: str, value: object) -> UntraceableError:
    """Return the recorded error for an operation that a symbol refuses."""
    return recorded(UntraceableError(f"the function {action} {value}, which is a symbol here"))


def sees_numbers(depth: int) -> bool:
    """Return whether symbols look like numbers to the frame `depth` above the caller's.

    They do so for the user's own code and for the standard library, except for `fractions`, which
    would convert them to floats.
    """
    run = symbolic_run()
    if run is None:
        return False
    frame = sys._getframe(depth + 1)
    kind = run.owner(frame)
    return kind == "user" or (kind == "standard" and frame.f_globals.get("__name__") != "fractions")


def is_outside(depth: int) -> bool:
    """Return whether this is a run on symbols and the frame `depth` above is outside convalg."""
    run = symbolic_run()
    return run is not None and run.owner(sys._getframe(depth + 1)) != "convalg"


def owner(frame: FrameType) -> Owner:
    """Return the owner of the code of a frame, from the file of its module.

    Code that was compiled under the name of a library's file still belongs to the user.
    """
    code, names = frame.f_code, frame.f_globals
    if code.co_filename == "<string>" and str(names.get("__name__")).startswith("namedtuple_"):
        return "standard" if code.co_names == ("_tuple_new",) else "user"
    module = sys.modules.get(str(names.get("__name__")))
    if module is None or vars(module) is not names:
        return "user"
    file = code.co_filename
    if file.startswith("<frozen ") and module.__name__.partition(".")[0] in _STANDARD:
        return "standard"
    if file == "<string>" and code.co_name in GENERATED:
        file = str(getattr(module, "__file__", file))
    return _kind(file)


@lru_cache(maxsize=4096)
def _kind(file: str) -> Owner:
    path = os.path.realpath(file)
    return next((kind for folder, kind in _folders() if path.startswith(folder)), "user")


@cache
def _folders() -> list[tuple[str, Owner]]:
    """Return the folders of the libraries, nested folders first."""
    folders: list[tuple[str, Owner]] = []
    for package, kind in LIBRARIES.items():
        spec = find_spec(package)
        if spec is not None and spec.origin:
            folders.append((os.path.realpath(Path(spec.origin).parent) + os.sep, kind))
    standard = os.path.realpath(sysconfig.get_paths()["stdlib"]) + os.sep
    # Packages installed inside the folder of the standard library are not part of it.
    folders += [
        (f"{standard}{name}{os.sep}", "user") for name in ("site-packages", "dist-packages")
    ]
    return [*folders, (standard, "standard")]
