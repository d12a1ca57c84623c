"""Fingerprints of the state that a function keeps in itself, in its closure and in its modules.

The fingerprint of a pure function does not change when the function is called. It does change with
a counter, a growing cache, a generator or a module attribute that the function modifies.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
import random
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from convalg.prove.functions.frames import LIBRARIES
from convalg.size import is_symbolic

_NEVER_TWICE = itertools.count()
_HIDDEN_STATE = {
    *("_queue", "_hashlib", "_blake2", "_md5", "_sha1", "_sha2", "_sha3", "_hmac", "_io"),
    *("_ctypes", "ctypes", "_contextvars", "_socket", "_thread", "mmap", "select"),
}
MOST_OBJECTS = 50_000
"""The number of objects that one fingerprint visits; objects further away are ignored."""

_ATOMS = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis), range, slice)
_BUILTIN = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)


def fingerprint(f: object, modules: Iterable[dict[str, object]], names: set[str]) -> list[Any]:
    """Return a fingerprint of the data of a function and of the given names in some modules."""
    seen = _Walk(names)
    seen.visit(f)
    for module in modules:
        for name in sorted(names & module.keys()):
            seen.visit(module[name])
    return seen.tokens


class _Walk:
    """A walk over all reachable objects, in a fixed order."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.tokens: list[Any] = []
        self._kept: dict[int, Any] = {}

    def visit(self, value: object) -> None:
        """Add the tokens of a value."""
        waiting = [value]
        while waiting and len(self._kept) < MOST_OBJECTS:
            item = waiting.pop()
            if isinstance(item, _ATOMS):
                # NaN is not equal to itself.
                self.tokens.append((type(item), repr(item)))
                continue
            if id(item) in self._kept:
                continue
            self._kept[id(item)] = item
            self.tokens.append(type(item))
            waiting += list(self._inside(item))[::-1]

    def _inside(self, value: object) -> Iterator[Any]:
        """Yield the objects that a value contains or refers to."""
        match value:
            case types.ModuleType():
                held = vars(value)
                yield from (held[name] for name in sorted(self.names & held.keys()))
            case types.FunctionType():
                yield from _of_function(value)
            case types.MethodType():
                yield value.__self__
                yield value.__func__
            case np.ndarray():
                yield value.shape
                if value.dtype.hasobject:
                    yield from value.ravel().tolist()
                else:
                    yield hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
            case np.generic():
                yield repr(value)
            case np.random.Generator():
                yield str(value.bit_generator.state)
            case np.random.RandomState():
                yield str(value.get_state(legacy=False))
            case random.Random():
                yield str(value.getstate())
            case Mapping():
                for key, held in list(value.items()):
                    yield key
                    yield held
            case list() | tuple() | set() | frozenset() | bytearray():
                yield from (value if isinstance(value, (list, tuple)) else map(repr, value))
            case types.GeneratorType():
                yield value.gi_frame.f_lasti if value.gi_frame else -1
                yield dict(value.gi_frame.f_locals) if value.gi_frame else {}
            case type():
                if not _is_library(value):
                    yield from (held for _, held in sorted(vars(value).items()))
            case _:
                yield from self._of_instance(value)

    def _of_instance(self, value: Any) -> Iterator[Any]:
        if any(kind.__module__ in _HIDDEN_STATE for kind in type(value).__mro__):
            # Implemented in C with hidden state, which may change at each call.
            yield next(_NEVER_TWICE)
            return
        if isinstance(value, (*_BUILTIN, np.ufunc)) or is_symbolic(value):
            return
        if hasattr(value, "cache_info"):
            yield value.cache_info().currsize
            yield value.__wrapped__
        elif hasattr(type(value), "__next__"):
            # Iterating would exhaust the iterator, and some do not report their remaining length.
            left = operator.length_hint(value, -1)
            if type(value).__name__ in ("count", "repeat"):
                yield repr(value)
            else:
                yield left if left >= 0 else next(_NEVER_TWICE)
        elif hasattr(type(value), "__len__") and hasattr(type(value), "__iter__"):
            yield from list(value)
        for name in ("func", "args", "keywords", "pyfunc"):
            # functools.partial, np.vectorize
            if hasattr(type(value), name) or name in getattr(value, "__dict__", {}):
                yield getattr(value, name, None)
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict):
            yield dict(held)
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__"):
                    yield getattr(value, name, None)
        yield type(value)


def _is_library(kind: type) -> bool:
    top = str(kind.__module__).partition(".")[0]
    return top in sys.stdlib_module_names or top in LIBRARIES


def _of_function(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # Not assigned yet.
            yield None
    yield function.__defaults__
    yield function.__kwdefaults__
    yield dict(function.__dict__)
