"""Running somebody's function on symbols: its outputs as exact polynomials in its inputs.

A homework with loops, or a fast algorithm in NumPy, runs as it stands: its arrays hold
polynomials instead of numbers. Arrays that it creates with np.zeros and the like become arrays
of objects while it runs, so that it can store polynomials in them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np

from convalg.base import Array
from convalg.errors import KindError
from convalg.kernels import kernel
from convalg.prove.polynomial import Polynomial, UntraceableError

Function = Callable[..., Any]

# Functions that make an array without looking at another one's type.
_CREATORS = ("zeros", "empty", "ones", "full", "zeros_like", "empty_like", "ones_like", "full_like")
_PATCHING = RLock()
_REFUSED: list[str] = []
"""What was asked of symbols in the run under way, and refused."""


class Traced(Polynomial):
    """A polynomial that somebody's function holds: it does not let itself be compared.

    Whether x equals 5 depends on x; a function that asks has a branch that the polynomial of
    its output does not show.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    # SymPy then leaves symbol * unknown to us; else it would ask the unknown for its value first.
    _op_priority = 100.0

    def _refuse(self, *_: Any) -> Any:
        if not set(self.terms) <= {()}:
            # A function may catch the error and go on; its run is no trace all the same.
            _REFUSED.append(str(self))
        return super()._refuse()

    def __eq__(self, other: object) -> bool:
        """Raises: UntraceableError where the answer depends on the unknowns."""
        gap = self - other
        return not gap.terms or bool(gap._refuse() == 0)


def unknowns(shape: tuple[int, ...], name: str) -> Array:
    """An array of traced polynomials, each one unknown, named as `ca.kernel` names symbols."""
    symbols = kernel(*shape, name=name)
    assert isinstance(symbols, np.ndarray)
    return np.frompyfunc(lambda symbol: Traced.generator(symbol.name), 1, 1)(symbols)


def traced(f: Function, *arrays: Array) -> Any:
    """What f returns on arrays of polynomials.

    Raises: UntraceableError when f does with a symbol what no polynomial can follow.
    """
    copies = [array.copy() for array in arrays]
    try:
        with _object_arrays():
            _REFUSED.clear()
            found = f(*copies)
            refused = list(_REFUSED)
    except UntraceableError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        raise UntraceableError(f"the function cannot run on symbols: {error}") from error
    if refused:
        raise UntraceableError(
            f"the function asks for the value of {refused[0]}, which is a symbol here, and goes "
            f"on without it"
        )
    return found


def polynomials(values: Any) -> Array:
    """An array of polynomials from whatever f returned.

    Raises: UntraceableError when it is no array of numbers and polynomials.
    """
    try:
        array = np.array(values, dtype=object)
        found = np.empty(array.shape, dtype=object)
        for index, value in np.ndenumerate(array):
            found[index] = Polynomial.of(value)
        return found
    except (TypeError, ValueError) as error:
        raise UntraceableError(f"the function returned no array: {error}") from error


def arity(f: Function, allowed: tuple[int, ...], signature: str) -> int:
    """How many positional arguments f takes, one of those allowed.

    Raises: KindError for something that cannot be called, or called like that.
    """
    if not callable(f):
        raise KindError(f"a function {signature} is wanted, not {f!r}")
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return allowed[0]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in positional)
    for count in allowed:
        if needed == count or (needed < count <= len(positional) and needed == 0):
            return count
    if any(p.kind == p.VAR_POSITIONAL for p in parameters) and needed <= allowed[0]:
        return allowed[0]
    raise KindError(f"a function {signature} is wanted, but this one needs {needed} arguments")


@contextmanager
def _object_arrays() -> Iterator[None]:
    """np.zeros and its kin give arrays of objects, except to NumPy and SciPy themselves."""
    with _PATCHING:
        originals = {name: getattr(np, name) for name in _CREATORS}
        try:
            for name, original in originals.items():
                setattr(np, name, _as_objects(original))
            yield
        finally:
            for name, original in originals.items():
                setattr(np, name, original)


def _as_objects(original: Function) -> Function:
    def create(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        found = original(*args, **kwargs)
        if caller.split(".")[0] in ("numpy", "scipy") or found.dtype.kind in "biu":
            # An array that is asked to hold integers or flags is an index or a mask.
            return found
        if original.__name__ in ("empty", "empty_like"):
            # Memory that was never written holds anything, so it is an unknown of its own.
            return np.full(found.shape, Traced.generator("(unwritten)"), dtype=object)
        return found.astype(object)

    return create
