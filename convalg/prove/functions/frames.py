"""The run of a user function that is under way, and which frames of it are the user's own.

A user function may call NumPy, SciPy, SymPy, the standard library and convalg. Their code is
trusted, and may do with objects what it does not do with floats; everything else is the user's
code, which has to run the same instructions on symbols and on numbers.
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

Method = TypeVar("Method", bound=Callable[..., Any])
Owner = Literal["user", "library", "standard", "convalg"]

MOST_WORK = 5_000_000
"""Products of monomials that one run on symbols may take."""

LIBRARIES: dict[str, Owner] = {
    "convalg": "convalg",
    "numpy": "library",
    "scipy": "library",
    "sympy": "library",
    "mpmath": "library",
}


class Owners:
    """Whose code frames run, by the identities of the code and of its module's names.

    Runs of one function share it: to find out takes a look at the file system.
    """

    def __init__(self) -> None:
        self.known: dict[int, tuple[CodeType, dict[str, Any], Owner]] = {}


@dataclass(eq=False)
class WatchedRun:
    """What one run of a user function did, on symbols or on numbers.

    `refused`: what was asked of symbols and has no answer, in order, also where the function
    caught the refusal. `effects`: clocks, files, randomness and the like that it used.
    `lowered`: the dtypes of less precision than float64 that symbols were written into, each with
    the largest size written there at every sample. `work`: products of monomials so far.
    """

    symbolic: bool
    refused: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    lowered: dict[str, Any] = field(default_factory=dict)
    work: int = 0
    owners: Owners = field(default_factory=Owners)

    def owner(self, frame: FrameType) -> Owner:
        """Whose code a frame runs."""
        # By identity: code objects are equal by value and slow to hash.
        code = frame.f_code
        known = self.owners.known.get(id(code))
        if known is None or known[1] is not frame.f_globals:
            known = code, frame.f_globals, owner(frame)
            self.owners.known[id(code)] = known
        return known[2]

    def spend(self, products: int) -> None:
        """Count work.

        Raises: UntraceableError when there was too much of it.
        """
        self.work += products
        if self.work > MOST_WORK:
            raise UntraceableError(
                f"budget spent: the polynomials of the function take more than {MOST_WORK:,} "
                f"products of terms; try a smaller size"
            )


_STANDARD = sys.stdlib_module_names
GENERATED = frozenset(
    ["__init__", "__eq__", "__repr__", "__hash__", "__create_fn__", "__lt__", "__setattr__"]
)
"""Methods that dataclasses write, whose code has no file."""

_ACTIVE = local()


def active() -> WatchedRun | None:
    """The run under way in this thread, the innermost one."""
    runs: list[WatchedRun] | None = getattr(_ACTIVE, "runs", None)
    return runs[-1] if runs else None


@contextmanager
def running(run: WatchedRun) -> Iterator[WatchedRun]:
    """Make a run the one under way."""
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
    """A method of symbols that runs without the trace function: it is not the user's code."""
    if not _SWITCHES:
        return method

    @wraps(method)
    def run(*args: Any, **options: Any) -> Any:
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
    """The run under way in this thread, if it is one on symbols."""
    run = active()
    return run if run is not None and run.symbolic else None


def recorded(error: UntraceableError) -> UntraceableError:
    """The error, kept with the run under way in case the function catches it."""
    run = active()
    if run is not None:
        run.refused.append(str(error))
    return error


def refusal(asks: str, value: object) -> UntraceableError:
    """The error for what was asked of a symbol, recorded."""
    return recorded(UntraceableError(f"the function {asks} {value}, which is a symbol here"))


def sees_numbers(depth: int) -> bool:
    """Whether the frame `depth` above the caller's sees symbols as if they were numbers.

    The user's own code does, and the standard library that it asks, but for fractions, which
    would turn themselves into floats.
    """
    run = symbolic_run()
    if run is None:
        return False
    frame = sys._getframe(depth + 1)
    kind = run.owner(frame)
    return kind == "user" or (kind == "standard" and frame.f_globals.get("__name__") != "fractions")


def is_outside(depth: int) -> bool:
    """Whether the frame `depth` above the caller's is not convalg's, in a run on symbols."""
    run = symbolic_run()
    return run is not None and run.owner(sys._getframe(depth + 1)) != "convalg"


def owner(frame: FrameType) -> Owner:
    """Whose code a frame runs: by its file, where the module is the one imported by that name.

    Code that was compiled under the name of a library's file is the user's all the same.
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
    """Folders of the libraries, those within others first."""
    found: list[tuple[str, Owner]] = []
    for package, kind in LIBRARIES.items():
        spec = find_spec(package)
        if spec is not None and spec.origin:
            found.append((os.path.realpath(Path(spec.origin).parent) + os.sep, kind))
    standard = os.path.realpath(sysconfig.get_paths()["stdlib"]) + os.sep
    # What is installed within the folder of the standard library is not part of it.
    found += [(f"{standard}{name}{os.sep}", "user") for name in ("site-packages", "dist-packages")]
    return [*found, (standard, "standard")]
