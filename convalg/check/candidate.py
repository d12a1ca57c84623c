"""Call the function under check, with the keywords that it has as parameters.

A user function may raise, print, write to its inputs, or return any object. All of these events
are caught here and become an `Outcome`.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import numpy as np

from convalg.arguments import shown
from convalg.arrays import Array
from convalg.check.capture import PrintsTooMuchError, quietly
from convalg.check.problem import BACKWARD, Kind, Problem
from convalg.check.processes import LimitError
from convalg.check.sweep import Config
from convalg.errors import KindError, MissingLibraryError
from convalg.escape import terminal

Function = Callable[..., object]
LONGEST_NAME = 200
"""Most characters of the name of a function."""
MOST_ANSWER = 2**23
"""Most numbers in a part of a result; correct parts have thousands."""
TOLERANCE = 1e-6
"""Largest error of a correct result, relative to the largest expected number (small integers)."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of one call: the parts of the result, or a finding (code and message).

    `printed`: whether the function printed. `refused`: whether it raised an error about its
    arguments. `lost`: whether it ended its worker process, so that it must not be called in this
    process.
    """

    parts: dict[str, Array] = field(default_factory=dict)
    code: str = ""
    message: str = ""
    printed: bool = False
    refused: bool = False
    lost: bool = False


@dataclass(frozen=True, eq=False)
class Candidate:
    """A function to check, and the options that are parameters of it."""

    function: Function
    kind: Kind
    options: tuple[str, ...]
    name: str

    @property
    def missing(self) -> tuple[str, ...]:
        """The options of this kind that are not parameters of the function, so are not tested."""
        return tuple(name for name in self.kind.options if name not in self.options)

    def __call__(self, config: Config, p: Problem) -> Outcome:
        """Return the outcome of one call with copies of the arrays of a problem."""
        arrays = [getattr(p, name).copy() for name in self.kind.arrays]
        return self.call(arrays, config.options(self.options))

    def call(self, arrays: list[Array], options: dict[str, object]) -> Outcome:
        """Return the outcome of one call with arrays that no other call uses."""
        before = [array.copy() for array in arrays]
        outcome = self._run(arrays, options)
        if outcome.code:
            return outcome
        for name, array, old in zip(self.kind.arrays, arrays, before, strict=True):
            if not np.array_equal(array, old):
                message = f"it writes to its argument {name}"
                return Outcome(outcome.parts, "mutates-input", message, outcome.printed)
        return outcome

    def _run(self, arrays: list[Array], options: dict[str, object]) -> Outcome:
        """Return the outcome of one call, without a check that the arrays are unchanged."""
        with quietly() as printed:
            try:
                # The conversion of the result to an array can run user code as well.
                outcome = self._read(self.function(*arrays, **options))
            # A user function may raise anything, or exit.
            except (Exception, SystemExit) as error:
                outcome = self._raised(error)
        return replace(outcome, printed=bool(printed))

    def _raised(self, error: BaseException) -> Outcome:
        """Return the outcome for an exception.

        Raises: MissingLibraryError for a missing package, since the function itself is not wrong.
        """
        if isinstance(error, ModuleNotFoundError) and error.name and not _is_here(error.name):
            raise MissingLibraryError(
                f"{self.name} needs the package {terminal(error.name)}, which is not installed: "
                f"install it and run the check again"
            ) from error
        if isinstance(error, TimeoutError):
            return Outcome({}, "hangs", terminal(error))
        if isinstance(error, PrintsTooMuchError):
            return Outcome({}, "prints-too-much", str(error))
        if isinstance(error, LimitError):
            return Outcome({}, error.code, error.message)
        refused = isinstance(error, (TypeError, ValueError))
        text = f"it raises {_exception_text(error)}"
        if _wants_tensors(self.function, error):
            wrapped = f"ca.check.{self.kind.name}(ca.check.from_torch({self.name}))"
            if len(self.kind.parts) > 1 or "g" in self.kind.arrays:
                wrapped += ", or use from_torch_backward with the forward function"
            message = (
                f"it needs PyTorch tensors, but it is called with NumPy arrays: check {wrapped} "
                f"({text})"
            )
            return Outcome({}, "needs-adapter", message, refused=refused)
        return Outcome({}, "raises", text, refused=refused)

    def _read(self, answer: object) -> Outcome:
        """Return the outcome with one array for each part of the result, or a finding."""
        names = list(self.kind.parts)
        values = [answer]
        if len(names) > 1:
            if not isinstance(answer, (tuple, list)) or len(answer) != len(names):
                message = f"it returns {_described(answer)} instead of ({', '.join(names)})"
                return Outcome({}, "wrong-type", message)
            values = list(answer)
        parts = {}
        for name, value in zip(names, values, strict=True):
            if isinstance(value, (list, tuple)) or not hasattr(value, "__array__"):
                message = f"{name} is {_described(value)}, not an array{self._advice(value)}"
                return Outcome({}, "wrong-type", message)
            array = np.asarray(value)
            if array.dtype.kind not in "fiu" or array.dtype == np.float16:
                message = f"{name} is of dtype {terminal(array.dtype)}, not float32 or float64"
                return Outcome({}, "wrong-type", message)
            if array.size > MOST_ANSWER:
                message = f"{name} has shape {array.shape}, with more than {MOST_ANSWER:,} numbers"
                return Outcome({}, "wrong-shape", message)
            # A copy, since the next call may change a view.
            parts[name] = array.astype(float)
        return Outcome(parts)

    def _advice(self, value: object) -> str:
        """Return advice for a tuple that was returned instead of one array, else an empty text."""
        if len(self.kind.parts) > 1 or not isinstance(value, tuple) or len(value) < 2:
            return ""
        alone = f": return {next(iter(self.kind.parts))} alone"
        back = BACKWARD.get(self.kind.name)
        return alone + (f"; gradients are checked by {back} (--kind {back})" if back else "")


def candidate(function: object, kind: Kind) -> Candidate:
    """Return a function as a candidate, with the options that are parameters of it.

    Raises: KindError for an object that cannot be called with the arrays of its kind, or that
    requires an option that this kind does not have.
    """
    if not callable(function):
        raise KindError(
            f"f must be a function f({', '.join(kind.arrays)}, ...), not {shown(function)}"
        )
    name = terminal(getattr(function, "__name__", type(function).__name__))[:LONGEST_NAME]
    if hasattr(function, "kernel_size") and hasattr(function, "forward"):
        raise KindError(
            f"{name} is a layer with its own weights and options: check it with "
            f"ca.check.layer(module, in_shape)"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Functions in C do not always have a signature; they are called with all options.
        return Candidate(function, kind, kind.options, name)
    count = len(kind.arrays)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    if len(positional) < count and not takes_any:
        raise KindError(
            f"{name} must accept {count} arrays, not {len(positional)}, to be checked as "
            f"{kind.description}: use the parameters "
            f"({', '.join((*kind.arrays, *kind.options))})"
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
            f"{name} requires {', '.join(strange)}, but the options for {kind.description} are "
            f"{', '.join(kind.options)}: give {', '.join(strange)} a default value"
            f"{f', or check a gradient by {back} (--kind {back})' if is_gradient else ''}"
        )
    if any(p.kind == p.VAR_KEYWORD for p in rest):
        return Candidate(function, kind, kind.options, name)
    names = {p.name for p in rest}
    if "size" in kind.options and "size" not in names:
        torch = ", or wrap a function of PyTorch with from_torch" if "kernel_size" in names else ""
        raise KindError(
            f"{name} has no parameter size, the window of {kind.description}: add one{torch}"
        )
    return Candidate(function, kind, tuple(n for n in kind.options if n in names), name)


def differs(got: Array, expected: Array) -> tuple[int, ...] | None:
    """Return the index of the first entry in which two arrays of one shape differ, or None."""
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(got - expected) <= TOLERANCE * scale) & ~(got == expected)
    if not wrong.any():
        return None
    return tuple(int(k) for k in np.argwhere(wrong)[0])


def _is_here(name: str) -> bool:
    """Whether the package of a missing module is installed, so that the import itself is wrong."""
    return find_spec(name.partition(".")[0]) is not None


def _wants_tensors(function: Function, error: BaseException) -> bool:
    """Whether an error comes from a function of PyTorch tensors that was called with arrays."""
    if not isinstance(error, (TypeError, AttributeError)):
        return False
    if str(getattr(function, "__module__", "")).partition(".")[0] == "torch":
        return True
    if isinstance(error, AttributeError):
        tensor = getattr(sys.modules.get("torch"), "Tensor", None)
        return isinstance(error.obj, np.ndarray) and hasattr(tensor, error.name or "")
    return "Tensor" in str(error) and "ndarray" in str(error)


def _exception_text(error: BaseException) -> str:
    """Return the type and message of an exception in printable form."""
    try:
        lines = traceback.format_exception_only(error)
    # The class of an exception is user code, which can raise again.
    except Exception:
        return "an exception that cannot be printed"
    return terminal("".join(lines).strip()[:220], lines=True)


def _described(value: object) -> str:
    """Return the type of a value, with an article, and the length of a tuple or list."""
    name = terminal(type(value).__name__)
    article = "an" if name[:1].lower() in tuple("aeio") else "a"
    length = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"{article} {name}{length}"
