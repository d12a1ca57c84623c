"""Calling somebody's function: the keywords that it has, and whatever may go wrong.

The function is not ours: it may raise, print, write to its inputs, or return anything. All of
that is caught here and becomes an `Outcome`.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.check.capture import PrintsTooMuchError, quietly
from convalg.check.problem import BACKWARD, Kind, Problem
from convalg.check.processes import LimitError
from convalg.check.sweep import Config
from convalg.errors import KindError, MissingLibraryError
from convalg.escape import terminal

Function = Callable[..., Any]
LONGEST_NAME = 200
MOST_ANSWER = 2**23
"""Numbers that a part of an answer may have: right ones have thousands."""
TOLERANCE = 1e-6
"""Relative to the largest number expected: answers are small integers, so any mistake is larger."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one call: the parts of the answer, or a finding (code and words).

    `refused`: it raised an error of its arguments. `lost`: it took its worker with it, so that
    it is not called in this process.
    """

    parts: dict[str, Array] = field(default_factory=dict)
    code: str = ""
    words: str = ""
    printed: bool = False
    refused: bool = False
    lost: bool = False


@dataclass(frozen=True, eq=False)
class Candidate:
    """A function to check, and which of the options it has."""

    function: Function
    kind: Kind
    options: tuple[str, ...]
    name: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Options of this kind that the function does not have: they are not exercised."""
        return tuple(name for name in self.kind.options if name not in self.options)

    def __call__(self, config: Config, p: Problem) -> Outcome:
        """One call with fresh arrays."""
        arrays = [getattr(p, name).copy() for name in self.kind.arrays]
        return self.call(arrays, config.options(self.options))

    def call(self, arrays: list[Array], options: dict[str, Any]) -> Outcome:
        """One call with arrays of its own."""
        before = [array.copy() for array in arrays]
        found = self._run(arrays, options)
        if found.code:
            return found
        for name, array, old in zip(self.kind.arrays, arrays, before, strict=True):
            if not np.array_equal(array, old):
                words = f"it writes to its argument {name}"
                return Outcome(found.parts, "mutates-input", words, found.printed)
        return found

    def _run(self, arrays: list[Array], options: dict[str, Any]) -> Outcome:
        with quietly() as heard:
            try:
                # What it returns is a stranger's too, when it is made an array.
                found = self._read(self.function(*arrays, **options))
            # A stranger's function may raise anything, and leave in any way.
            except (Exception, SystemExit) as error:
                found = self._raised(error)
        return replace(found, printed=bool(heard))

    def _raised(self, error: BaseException) -> Outcome:
        """What an exception says; a package that is not here says nothing of the function.

        Raises: MissingLibraryError where one is not installed.
        """
        if isinstance(error, ModuleNotFoundError) and error.name and not _is_here(error.name):
            raise MissingLibraryError(
                f"{self.name} needs the package {terminal(error.name)}, which is not installed "
                f"here: install it, and check again"
            ) from error
        if isinstance(error, TimeoutError):
            return Outcome({}, "hangs", terminal(error))
        if isinstance(error, PrintsTooMuchError):
            return Outcome({}, "prints-too-much", str(error))
        if isinstance(error, LimitError):
            return Outcome({}, error.code, error.words)
        refused = isinstance(error, (TypeError, ValueError))
        said = f"it raises {_said(error)}"
        if _wants_tensors(self.function, error):
            wrapped = f"ca.check.{self.kind.name}(ca.check.from_torch({self.name}))"
            if len(self.kind.parts) > 1 or "g" in self.kind.arrays:
                wrapped += ", or of from_torch_backward and the forward function"
            words = (
                f"it takes PyTorch tensors, and gets NumPy arrays here: check {wrapped} ({said})"
            )
            return Outcome({}, "needs-adapter", words, refused=refused)
        return Outcome({}, "raises", said, refused=refused)

    def _read(self, answer: Any) -> Outcome:
        """The answer as arrays, one for each part."""
        names = list(self.kind.parts)
        values = [answer]
        if len(names) > 1:
            if not isinstance(answer, (tuple, list)) or len(answer) != len(names):
                words = f"it returns {_called(answer)}, where ({', '.join(names)}) belong"
                return Outcome({}, "wrong-type", words)
            values = list(answer)
        parts = {}
        for name, value in zip(names, values, strict=True):
            if isinstance(value, (list, tuple)) or not hasattr(value, "__array__"):
                words = f"{name} is {_called(value)}, not an array{self._advice(value)}"
                return Outcome({}, "wrong-type", words)
            array = np.asarray(value)
            if array.dtype.kind not in "fiu" or array.dtype == np.float16:
                words = f"{name} is of {terminal(array.dtype)}, not of float32 or float64"
                return Outcome({}, "wrong-type", words)
            if array.size > MOST_ANSWER:
                words = f"{name} has shape {array.shape}, more than {MOST_ANSWER:,} numbers"
                return Outcome({}, "wrong-shape", words)
            # A copy: a view may change with the next call.
            parts[name] = array.astype(float)
        return Outcome(parts)

    def _advice(self, value: Any) -> str:
        """What to do about a tuple where one array belongs."""
        if len(self.kind.parts) > 1 or not isinstance(value, tuple) or len(value) < 2:
            return ""
        alone = f": return {next(iter(self.kind.parts))} alone"
        back = BACKWARD.get(self.kind.name)
        return alone + (f"; gradients are checked by {back} (--kind {back})" if back else "")


def candidate(function: Any, kind: Kind) -> Candidate:
    """A function with the options it has.

    Raises: KindError for something that cannot be called with the arrays of its kind, or that
    wants an option which no such layer has.
    """
    if not callable(function):
        raise KindError(
            f"check takes a function f({', '.join(kind.arrays)}, ...), not {function!r}"
        )
    name = terminal(getattr(function, "__name__", type(function).__name__))[:LONGEST_NAME]
    if hasattr(function, "kernel_size") and hasattr(function, "forward"):
        raise KindError(
            f"{name} is a layer with weights and options of its own: check it by "
            f"ca.check.layer(module, in_shape)"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Functions in C do not always tell; they get everything.
        return Candidate(function, kind, kind.options, name)
    count = len(kind.arrays)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    if len(positional) < count and not takes_any:
        raise KindError(
            f"{name} takes {len(positional)} arrays, and {kind.words} needs {count}: "
            f"{name}({', '.join((*kind.arrays, *kind.options))})"
        )
    rest = [p for p in parameters if p not in positional[:count]]
    strange = [
        p.name
        for p in rest
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.POSITIONAL_ONLY)
        and p.name not in kind.options
    ]
    if strange:
        back = BACKWARD.get(kind.name)
        is_gradient = back and len(positional) > count and positional[count].name == strange[0]
        raise KindError(
            f"{name} wants {', '.join(strange)}, and {kind.words} has no such option: there are "
            f"{', '.join(kind.options)}"
            f"{f'; a gradient is checked by {back} (--kind {back})' if is_gradient else ''}"
        )
    if any(p.kind == p.VAR_KEYWORD for p in rest):
        return Candidate(function, kind, kind.options, name)
    known = {p.name for p in rest}
    if "size" in kind.options and "size" not in known:
        torch = "; PyTorch's are wrapped by from_torch" if "kernel_size" in known else ""
        raise KindError(
            f"{name} has no option size, and {kind.words} is told its window by it{torch}"
        )
    return Candidate(function, kind, tuple(n for n in kind.options if n in known), name)


def differs(got: Array, expected: Array) -> tuple[int, ...] | None:
    """The first entry in which two arrays of one shape differ, or None."""
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(got - expected) <= TOLERANCE * scale) & ~(got == expected)
    if not wrong.any():
        return None
    return tuple(int(k) for k in np.argwhere(wrong)[0])


def _is_here(name: str) -> bool:
    """Whether a package is installed: then it is a module of it that is missing."""
    return find_spec(name.partition(".")[0]) is not None


def _wants_tensors(function: Function, error: BaseException) -> bool:
    """Whether an error is that of a function of PyTorch's tensors which was given arrays."""
    if not isinstance(error, (TypeError, AttributeError)):
        return False
    if str(getattr(function, "__module__", "")).partition(".")[0] == "torch":
        return True
    if isinstance(error, AttributeError):
        tensor = getattr(sys.modules.get("torch"), "Tensor", None)
        return isinstance(error.obj, np.ndarray) and hasattr(tensor, error.name or "")
    return "Tensor" in str(error) and "ndarray" in str(error)


def _said(error: BaseException) -> str:
    """The type and message of an exception, as they can be shown."""
    try:
        lines = traceback.format_exception_only(error)
    # Its class is the user's, and so is what its name and message are made by.
    except Exception:
        return "an exception that cannot be printed"
    return terminal("".join(lines).strip()[:220], lines=True)


def _called(value: Any) -> str:
    """What a value is, in a word or two."""
    if isinstance(value, (tuple, list)):
        return f"a {terminal(type(value).__name__)} of {len(value)}"
    return f"a {terminal(type(value).__name__)}"
