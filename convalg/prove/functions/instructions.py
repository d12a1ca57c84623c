"""The instructions a user function executes, the exceptions it catches, and its side effects.

A run on symbols represents the runs on numbers if both execute the same instructions: then no
branch, no `except` and no type made a difference. Trace functions that were set before (coverage,
debuggers) are restored after every run.

Code that branches is traced instruction by instruction. For code whose only jumps are those of
`for` loops, line events are sufficient, at a tenth of the cost: only the number of iterations can
differ, and each iteration causes a line event.
"""

from __future__ import annotations

import dis
import gc
import random
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from types import CodeType, FrameType
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.prove.decisions import polynomials
from convalg.prove.functions import frames, symbol_arrays, symbol_functions, symbols
from convalg.prove.functions.frames import Function, Owners, WatchedRun, active, running
from convalg.prove.functions.stand_ins import Swaps, stand_ins

MOST_INSTRUCTIONS = 5_000_000
"""The number of instructions of the user's own code that one run may execute."""
_PER_LINE = 10
"""The number of instructions that a line event counts as."""

# The code of these modules runs most often and is recognised without a look-up of its file.
_OWN = {
    module.__name__: vars(module)
    for module in (symbols, symbol_arrays, symbol_functions, polynomials, frames)
}
_CODE_BITS = 24
_RAISED = 1 << 23
"""The flag of an exception among the instructions of a code object; offsets are smaller."""

INTROSPECTION = frozenset(
    [
        "_getframe",
        "settrace",
        "gettrace",
        "setprofile",
        "getprofile",
        "get_objects",
        "get_referents",
        "get_referrers",
        "getrefcount",
        "getsizeof",
        "addaudithook",
        "f_back",
        "f_trace",
        "f_locals",
        "f_globals",
        "f_builtins",
        "tb_frame",
        "gi_frame",
        "cr_frame",
        "ag_frame",
        "__subclasses__",
        "memoryview",
        "monitoring",
        "call_tracing",
        "__array__",
        "__array_interface__",
        "__array_struct__",
        "__sizeof__",
        "ctypes",
        "from_address",
        "string_at",
        "cast_from",
        "__reduce_ex__",
    ]
)
"""Names of introspection, to which an array of symbols does not look like an array of numbers."""


class BudgetExceededError(BaseException):
    """A run executed too many instructions; the user's `except Exception` does not catch it."""


@dataclass(eq=False)
class Observed:
    """A record of one run: its result or error, and its instructions.

    `steps`: the instructions of the user's code as numbers (for code that does not branch, the
    first ones of lines); `codes`: the code objects that the numbers refer to. `lines`: the number
    of line events. `raised`: exceptions within libraries, by name and function. `names`: global
    names and attributes in the user's code that ran; `modules`: the global names of that code.
    """

    run: WatchedRun
    result: Any = None
    error: BaseException | None = None
    over_budget: bool = False
    steps: array[int] = field(default_factory=lambda: array("q"))
    codes: list[CodeType] = field(default_factory=list)
    raised: set[tuple[str, str]] = field(default_factory=set)
    modules: dict[int, dict[str, Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    lines: int = 0

    @property
    def executed(self) -> int:
        """The approximate number of instructions that the user's code executed."""
        return len(self.steps) + (_PER_LINE - 1) * self.lines

    def line(self, position: int) -> int | None:
        """Return the line of an executed instruction, None if nothing was executed."""
        if not self.steps:
            return None
        step = self.steps[min(position, len(self.steps) - 1)]
        code = self.codes[step >> _CODE_BITS]
        offset = step & (_RAISED - 1)
        for start, end, line in code.co_lines():
            if start <= offset < end and line is not None:
                return line
        return code.co_firstlineno


class Codes:
    """Numbers of code objects; equal code has the same number in all runs of a function."""

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[CodeType, int]] = {}
        self._by_value: dict[tuple[str, CodeType], int] = {}
        self.all: list[CodeType] = []
        self.owners = Owners()
        self._branching: dict[int, tuple[CodeType, bool]] = {}

    def is_branching(self, code: CodeType) -> bool:
        """Return `is_branching` of a code object, from a cache."""
        entry = self._branching.get(id(code))
        if entry is None:
            entry = self._branching[id(code)] = code, is_branching(code)
        return entry[1]

    def number(self, code: CodeType) -> int:
        """Return the number of a code object; a recompiled function keeps its number."""
        entry = self._by_identity.get(id(code))
        if entry is not None:
            return entry[1]
        key = code.co_filename, code
        if key not in self._by_value:
            self._by_value[key] = len(self.all)
            self.all.append(code)
        self._by_identity[id(code)] = code, self._by_value[key]
        return self._by_value[key]


def observe(
    f: Function,
    arguments: Sequence[Array],
    codes: Codes,
    *,
    symbolic: bool,
    collect: Callable[[Any], object] = lambda result: result,
    effects: bool = True,
    follow: bool = True,
    modules: Iterable[dict[str, object]] = (),
) -> Observed:
    """Run a function and record its instructions and effects.

    Exceptions of the function are recorded, except those that end the program.

    `collect`: a function that is applied to the result before any other code runs. `effects`:
    whether to record side effects of a run on numbers; those of runs on symbols are not recorded,
    since they execute the same code. `follow`: whether to record the instructions; if not,
    `modules` are the global names of the modules whose code will run.
    """
    _collect_young_garbage()
    run = WatchedRun(symbolic, owners=codes.owners)
    seen = Observed(run, codes=codes.all)
    swaps = Swaps()
    watch = _Watch(seen, codes, swaps)
    before = sys.gettrace(), sys.getprofile()
    with ExitStack() as stack:
        stack.enter_context(running(run))
        stack.enter_context(_other_callbacks_unwatched())
        stack.enter_context(np.errstate(all="ignore"))
        stack.callback(swaps.undo)
        if symbolic:
            stack.enter_context(stand_ins())
            swaps.function(f)
        for names in modules:
            swaps.module(names, symbolic)
        try:
            sys.setprofile(watch.call if effects and not symbolic else None)
            sys.settrace(watch.frame if follow else None)
            try:
                result = f(*arguments)
            finally:
                sys.settrace(before[0])
                sys.setprofile(before[1])
            seen.result = collect(result)
        except BudgetExceededError:
            seen.over_budget = True
        except Exception as error:
            seen.error = error
        # A function may catch the exception that ended the trace, and continue untraced.
        seen.over_budget = seen.over_budget or watch.over_budget
        seen.lines = watch.lines
    return seen


def observe_each(
    f: Function,
    inputs: Iterable[tuple[list[Array], bool]],
    codes: Codes,
    collect: Callable[[Any], object],
    modules: Iterable[dict[str, object]],
) -> list[Observed]:
    """Run a function on several numeric inputs, each with whether to record the instructions.

    `modules`: the global names of the modules whose code runs, as in `observe`.
    """
    _collect_young_garbage()
    runs: list[Observed] = []
    run, swaps = WatchedRun(False, owners=codes.owners), Swaps()
    before = sys.gettrace(), sys.getprofile()
    with ExitStack() as stack:
        stack.enter_context(running(run))
        stack.enter_context(_other_callbacks_unwatched())
        stack.callback(swaps.undo)
        for names in modules:
            swaps.module(names, False)
        stack.callback(sys.settrace, before[0])
        stack.callback(sys.setprofile, before[1])
        sys.setprofile(None)
        for arguments, follow in inputs:
            seen = Observed(run, codes=codes.all)
            watch = _Watch(seen, codes, swaps)
            runs.append(seen)
            # A function may change how NumPy handles overflow.
            with np.errstate(all="ignore"):
                try:
                    sys.settrace(watch.frame if follow else None)
                    try:
                        result = f(*arguments)
                    finally:
                        sys.settrace(None)
                    seen.result = collect(result)
                except BudgetExceededError:
                    seen.over_budget = True
                except Exception as error:
                    seen.error = error
            seen.over_budget = seen.over_budget or watch.over_budget
            seen.lines = watch.lines
    return runs


def _collect_young_garbage() -> None:
    """Finalize unrelated young garbage before a traced run and not during it.

    A collection may start at any instruction, and the finalizers that it calls would count as the
    code of the function. They are traced, since a function could hide effects in a finalizer.
    """
    # Within another traced run, finalizers would run in the middle of that one.
    if active() is None:
        gc.collect(1)


@contextmanager
def _other_callbacks_unwatched() -> Iterator[None]:
    """Do not trace callbacks that other code has registered with the garbage collector.

    They may run at any time, and some read a clock. Finalizers are still traced, and so are
    callbacks that the function registers itself.
    """
    kept: list[tuple[Any, Any]] = []

    def pause(_: str, __: dict[str, int]) -> None:
        kept.append((sys.gettrace(), sys.getprofile()))
        sys.settrace(None)
        sys.setprofile(None)

    def resume(_: str, __: dict[str, int]) -> None:
        trace, profile = kept.pop() if kept else (None, None)
        # They are None if another traced run within this one has suspended them already.
        if trace is not None:
            sys.settrace(trace)
        if profile is not None:
            sys.setprofile(profile)

    gc.callbacks.insert(0, pause)
    gc.callbacks.append(resume)
    try:
        yield
    finally:
        gc.callbacks.remove(pause)
        gc.callbacks.remove(resume)


def difference(symbols: Observed, numbers: Observed) -> int | None:
    """Return the position of the first different instruction of two runs, None if there is none."""
    left, right = symbols.steps, numbers.steps
    if left == right:
        return None
    shortest = min(len(left), len(right))
    return next((k for k in range(shortest) if left[k] != right[k]), shortest)


def is_branching(code: CodeType) -> bool:
    """Return whether line events may be insufficient to find the instructions that were executed.

    They are sufficient if every jump is unconditional or the jump of a `for` loop, and every
    backward jump leads to an instruction that starts a line: each iteration then causes an event.

    >>> is_branching((lambda x: [v + 1 for v in x]).__code__)
    False
    >>> is_branching((lambda x: x if x else 0).__code__)
    True
    """
    key = code.co_code, code.co_linetable
    if key not in _BRANCHING:
        if len(_BRANCHING) >= _MOST_CACHED:
            _BRANCHING.clear()
        _BRANCHING[key] = _may_branch(code)
    return _BRANCHING[key]


_BRANCHING: dict[tuple[bytes, bytes], bool] = {}
_MOST_CACHED = 4096
_LINE_TRACED_JUMPS = frozenset(
    ["FOR_ITER", "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE"]
)
_JUMPS = frozenset([*dis.hasjrel, *dis.hasjabs, *getattr(dis, "hasjump", [])])


def _may_branch(code: CodeType) -> bool:
    with_lines = {
        offset
        for start, end, line in code.co_lines()
        if line is not None
        for offset in range(start, end, 2)
    }
    for instruction in dis.get_instructions(code):
        if instruction.opcode not in _JUMPS:
            continue
        target = instruction.argval
        if instruction.opname not in _LINE_TRACED_JUMPS or not isinstance(target, int):
            return True
        if target <= instruction.offset and target not in with_lines:
            return True
    return False


class _Watch:
    """The trace and profile functions of one run."""

    # `followed`: by the identity of a code object, the object, the names of its module, its trace
    # function, the number of its first instruction, and whether it branches.
    def __init__(self, seen: Observed, codes: Codes, swaps: Swaps) -> None:
        self.seen, self.codes, self.swaps = seen, codes, swaps
        self.over_budget = False
        self.lines = 0
        self.followed: dict[int, tuple[CodeType, dict[str, Any], Any, int, bool]] = {}

    def frame(self, frame: FrameType, event: str, arg: object) -> Any:
        """Trace a frame that starts, or a generator that resumes."""
        again = self.followed.get(id(frame.f_code))
        if again is not None and again[1] is frame.f_globals:
            _, _, follower, start, branches = again
            frame.f_trace_opcodes, frame.f_trace_lines = branches, not branches
            self.seen.steps.append(start + frame.f_lasti)
            return follower
        if (
            frame.f_globals.get("__name__") in _OWN
            and _OWN[frame.f_globals["__name__"]] is frame.f_globals
        ):
            return None
        seen = self.seen
        kind = seen.run.owner(frame)
        if kind == "convalg":
            return None
        if kind != "user":
            if frame.f_back is not None and frame.f_back.f_trace is None:
                # convalg called this library, not the user.
                return None
            _environment(frame, seen.run)
            frame.f_trace_lines = False
            return self._library if kind == "library" else self._standard
        code = frame.f_code
        branches = self.codes.is_branching(code)
        frame.f_trace_opcodes, frame.f_trace_lines = branches, not branches
        number = self.codes.number(code) << _CODE_BITS
        seen.steps.append(number + frame.f_lasti + 1)
        if id(frame.f_globals) not in seen.modules:
            seen.modules[id(frame.f_globals)] = frame.f_globals
            self.swaps.module(frame.f_globals, seen.run.symbolic)
        follower = self._follower(code, number)
        self.followed[id(code)] = code, frame.f_globals, follower, number + 1, branches
        return follower

    def _follower(self, code: CodeType, number: int) -> Any:
        """Return the trace function for frames that run a code object of the user."""
        seen = self.seen
        seen.names.update(code.co_names)
        inspecting = INTROSPECTION.intersection(code.co_names)
        if inspecting:
            seen.run.effects.append(f"inspects how it is executed, with {min(inspecting)}")
        steps = seen.steps
        record = steps.append
        most_lines = MOST_INSTRUCTIONS // _PER_LINE

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "opcode":
                record(number + frame.f_lasti)
                if len(steps) > MOST_INSTRUCTIONS:
                    self.over_budget = True
                    raise BudgetExceededError
            elif event == "line":
                record(number + frame.f_lasti)
                self.lines += 1
                if self.lines > most_lines:
                    self.over_budget = True
                    raise BudgetExceededError
            elif event == "exception":
                record(number + _RAISED + frame.f_lasti)
                seen.raised.add((arg[0].__name__, code.co_name))
            return local

        return local

    def _standard(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "exception" and arg[0] is not StopIteration:
            self.seen.raised.add((arg[0].__name__, frame.f_code.co_name))
        return self._standard

    def _library(self, frame: FrameType, event: str, arg: Any) -> Any:
        # NumPy looks up attributes of floats on objects and handles their absence.
        if event == "exception" and arg[0] not in (StopIteration, AttributeError):
            self.seen.raised.add((arg[0].__name__, frame.f_code.co_name))
        return self._library

    def call(self, frame: FrameType, event: str, arg: object) -> None:
        """Record calls of C functions whose result depends on more than their arguments."""
        if event == "c_call":
            effect = _effect(arg)
            if effect.endswith(("_getframe", "with id")) and not _inspects(frame, self.seen.run):
                return
            if effect and _is_called_by_user(frame, self.seen.run):
                self.seen.run.effects.append(effect)


_MODULES = {
    "time": "reads a clock",
    "_socket": "uses the network",
    "_posixsubprocess": "starts programs",
    "_winapi": "starts programs",
    "_sqlite3": "uses files",
    "mmap": "accesses raw memory",
    "_ctypes": "accesses raw memory",
    "posix": "calls the operating system",
    "nt": "calls the operating system",
}
"""C modules whose functions depend on more than their arguments."""
_PURE = frozenset({"fspath", "fsencode", "fsdecode", "sched_yield"})
_NAMES = {
    ("_io", "open"): "uses files",
    ("io", "open"): "uses files",
    ("numpy", "fromfile"): "uses files",
    ("numpy._core.multiarray", "fromfile"): "uses files",
    ("builtins", "input"): "reads input",
    ("builtins", "id"): "inspects how it is executed, with id",
    ("_thread", "start_new_thread"): "starts threads",
    ("_thread", "start_joinable_thread"): "starts threads",
    ("_thread", "get_ident"): "reads its thread identifier",
}
_LOOKS = frozenset(
    [
        "gettrace",
        "getprofile",
        "settrace",
        "setprofile",
        "getrefcount",
        "getsizeof",
        "_current_frames",
        "_getframe",
        "get_objects",
        "get_referents",
        "get_referrers",
        "call_tracing",
    ]
)


def _effect(function: object) -> str:
    """Return the effect of a C function on which its result depends, as text, or ""."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if name in ("urandom", "getrandom") or isinstance(owner, random.Random):
        return "draws random numbers"
    if name in ("now", "today", "utcnow") and isinstance(owner, type) and issubclass(owner, date):
        return "reads a clock"
    if module in ("sys", "gc") and name in _LOOKS:
        return f"inspects how it is executed, with {name}"
    if module in _MODULES and name not in _PURE:
        return _MODULES[module]
    return _NAMES.get((str(module), name), "")


def _is_called_by_user(frame: FrameType | None, run: WatchedRun) -> bool:
    """Whether the user's code makes the call directly, not through an import or a warning."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(("importlib", "_frozen_importlib", "linecache", "tokenize", "warnings")):
            return False
        kind = run.owner(frame)
        if kind == "user":
            return True
        if kind == "convalg":
            return False
        frame = frame.f_back
    return False


def _inspects(frame: FrameType, run: WatchedRun) -> bool:
    """Whether the user's code inspects frames or ids, as named tuples and copy.deepcopy do too."""
    module = frame.f_globals.get("__name__")
    return module in ("inspect", "traceback") or run.owner(frame) == "user"


def _environment(frame: FrameType, run: WatchedRun) -> None:
    """Record reads of environment variables."""
    reads = frame.f_code.co_name == "__getitem__" and frame.f_globals.get("__name__") == "os"
    if reads and _is_called_by_user(frame.f_back, run):
        run.effects.append("reads environment variables")


def global_randomness() -> Any:
    """Return the state of the global random generators of NumPy and Python."""
    state: Any = np.random.get_state()
    return state[1].tobytes(), *state[2:], random.getstate()
