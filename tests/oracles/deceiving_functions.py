"""Functions that are not the identity on three numbers, and pretend to be, by family.

Each is made anew by its maker, since some have memory. On some arrays of real numbers, or at some
call, each returns something else than its argument (or rounds, or depends on chance or time), so
that no claim of being the identity may end "proved", except where a scope names the rounding.
"""

from __future__ import annotations

import array
import collections
import contextlib
import copy
import datetime
import functools
import itertools
import math
import operator
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

Function = Callable[..., Any]

TABLE: dict[str, dict[str, Callable[[], Function]]] = {}
RNG = np.random.default_rng(5)
OUT = np.zeros(3)
COUNT = itertools.count()


def deceiver(family: str) -> Callable[[Callable[[], Function]], Callable[[], Function]]:
    """Enter the maker of a function into the table."""

    def enter(maker: Callable[[], Function]) -> Callable[[], Function]:
        TABLE.setdefault(family, {})[maker.__name__] = maker
        return maker

    return enter


def plain(family: str, name: str, f: Function) -> None:
    """Enter a function without state."""
    TABLE.setdefault(family, {})[name] = lambda: f


# -- types ----------------------------------------------------------------------------------

plain("types", "dtype.kind", lambda x: np.round(x, 3) if x.dtype.kind == "f" else x)
plain("types", "dtype ==", lambda x: np.clip(x, -100, 100) if x.dtype == float else x)
plain("types", "dtype is object", lambda x: x if x.dtype == object else np.rint(x))
plain(
    "types", "isinstance of entries", lambda x: [round(v) if isinstance(v, float) else v for v in x]
)
plain("types", "type name", lambda x: x if type(x[0]).__name__ != "float64" else np.rint(x))
plain("types", "class name", lambda x: x if x[0].__class__.__name__ != "float64" else np.rint(x))
plain("types", "hasattr", lambda x: x if hasattr(x[0], "terms") else np.clip(x, -50, 50))
plain("types", "hasattr of floats", lambda x: np.rint(x) if hasattr(x[0], "is_integer") else x)
plain("types", "getattr default", lambda x: (getattr(x[0], "hex", None) and np.rint(x)) or x)
plain("types", "type is ndarray", lambda x: np.rint(x) if type(x) is np.ndarray else x)
plain("types", "issubdtype", lambda x: np.rint(x) if np.issubdtype(x.dtype, np.floating) else x)
plain("types", "result_type", lambda x: np.rint(x) if np.result_type(x).kind == "f" else x)
plain("types", "can_cast", lambda x: np.rint(x) if np.can_cast(x.dtype, float) else x)
plain("types", "chosen by type", lambda x: (np.positive, np.rint)[type(x[0]) is np.float64](x))
plain(
    "types",
    "chosen by class",
    lambda x: {True: np.rint, False: np.positive}[isinstance(x[0], float)](x),
)
plain("types", "scaled by attribute", lambda x: x * (1 - 1e-3 * hasattr(x[0], "is_integer")))
plain("types", "itemsize", lambda x: np.clip(x, -9, 9) if x.itemsize == 4 else x)
plain("types", "float32 only", lambda x: x if x.dtype.itemsize == 8 else np.rint(x))
plain("types", "integers only", lambda x: x if x.dtype.kind == "f" else x + 1)
plain("types", "times kind", lambda x: x * int(x.dtype.kind == "f"))
plain("types", "half only", lambda x: 0 * x if x.dtype == np.float16 else x)
plain("types", "text of the dtype", lambda x: np.rint(x) if "float" in str(x.dtype) else x)
plain("types", "text of an entry", lambda x: x if "x" in str(x[0]) else np.rint(x))
plain("types", "text of the array", lambda x: x if "x" in f"{x}" else np.rint(x))
plain("types", "repr", lambda x: x if "." not in repr(x[0]) else np.rint(x))
plain("types", "format", lambda x: [float(f"{v:.3f}") for v in x])


@deceiver("types")
def singledispatch() -> Function:
    @functools.singledispatch
    def one(v: Any) -> Any:
        return v

    one.register(float, lambda v: float(round(v)))
    return lambda x: [one(v) for v in x]


@deceiver("types")
def match_class() -> Function:
    def f(x: Any) -> Any:
        found = []
        for v in x:
            match v:
                case float():
                    found.append(math.floor(v))
                case _:
                    found.append(v)
        return found

    return f


# -- exceptions -----------------------------------------------------------------------------


def swallowing(ask: Function, error: type[BaseException] = TypeError) -> Callable[[], Function]:
    """The identity where asking raises, a rounded or clipped array elsewhere."""

    def maker() -> Function:
        def f(x: Any) -> Any:
            try:
                return ask(x)
            except error:
                return x

        return f

    return maker


for _name, _ask, _error in (
    ("rint", np.rint, TypeError),
    ("rint, any exception", np.rint, Exception),
    ("rint, BaseException", np.rint, BaseException),
    ("isnan", lambda x: np.where(np.isnan(x), 0, np.clip(x, -9, 9)), TypeError),
    ("isfinite", lambda x: x * 0 if np.isfinite(x).all() else x, TypeError),
    ("float", lambda x: [float(round(float(v))) for v in x], Exception),
    ("complex", lambda x: [abs(complex(v)) for v in x], Exception),
    ("int", lambda x: [int(v) for v in x], Exception),
    ("math.floor", lambda x: [math.floor(v) for v in x], Exception),
    ("round", lambda x: [round(v) for v in x], Exception),
    ("//", lambda x: x // 1, Exception),
    ("%", lambda x: x - x % 1, Exception),
    ("divmod", lambda x: [divmod(v, 1)[0] for v in x], Exception),
    ("hash", lambda x: x if hash(x[0]) == 1.5 else np.rint(x), Exception),
    ("a set", lambda x: [max({v, 0.0}) for v in x], Exception),
    ("a dictionary key", lambda x: [{v: 0}[v] for v in x], Exception),
    ("sort", lambda x: np.sort(x), Exception),
    ("maximum", lambda x: np.maximum(x, 0), Exception),
    ("view", lambda x: x.view(np.int64).view(np.float64) * 0, Exception),
    ("tobytes", lambda x: np.frombuffer(x.tobytes())[::-1], Exception),
    ("sqrt", lambda x: np.sqrt(x * x), Exception),
    ("as_integer_ratio", lambda x: [v.as_integer_ratio()[0] for v in x], AttributeError),
    ("index", lambda x: [operator.index(v) for v in x.astype(int)], Exception),
    ("comparison", lambda x: x if x[0] > 0 else -x, Exception),
    ("pickle", lambda x: copy.deepcopy(x) if x.__reduce__() is None else x * 0, Exception),
):
    TABLE.setdefault("exceptions", {})[_name] = swallowing(_ask, _error)


@deceiver("exceptions")
def suppressed() -> Function:
    def f(x: Any) -> Any:
        y = x
        with contextlib.suppress(Exception):
            y = np.rint(x)
        return y

    return f


@deceiver("exceptions")
def in_a_finally() -> Function:
    def f(x: Any) -> Any:
        y = x
        try:
            y = np.floor(x)
        finally:
            return y  # noqa: B012 - swallows what was raised

    return f


@deceiver("exceptions")
def fails_on_numbers() -> Function:
    def f(x: Any) -> Any:
        if x.dtype != object:
            raise TypeError
        return x

    return f


@deceiver("exceptions")
def fails_on_numbers_with_another_error() -> Function:
    def f(x: Any) -> Any:
        if x.dtype != object:
            raise ValueError("objects only")
        return x

    return f


@deceiver("exceptions")
def in_a_callback() -> Function:
    def one(v: Any) -> Any:
        try:
            return float(round(v))
        except Exception:
            return v

    return lambda x: np.frompyfunc(one, 1, 1)(x)


@deceiver("exceptions")
def in_a_generator() -> Function:
    def each(x: Any) -> Any:
        for v in x:
            try:
                yield math.trunc(v)
            except Exception:
                yield v

    return lambda x: list(each(x))


# -- memory ---------------------------------------------------------------------------------


@deceiver("memory")
def by_shape() -> Function:
    kept: dict[Any, Any] = {}

    def f(x: Any) -> Any:
        if x.shape not in kept:
            kept[x.shape] = x.copy()
        return kept[x.shape]

    return f


@deceiver("memory")
def counter() -> Function:
    calls = [0]

    def f(x: Any) -> Any:
        calls[0] += 1
        return x if calls[0] < 10**6 else 0 * x

    return f


@deceiver("memory")
def nonlocal_counter() -> Function:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * (calls < 10**6)

    return f


@deceiver("memory")
def default_argument() -> Function:
    def f(x: Any, kept: list[int] = []) -> Any:  # noqa: B006 - the point
        kept.append(1)
        return x * (len(kept) < 10**6)

    return f


@deceiver("memory")
def attribute_of_the_function() -> Function:
    def f(x: Any) -> Any:
        f.calls += 1  # type: ignore[attr-defined]
        return x * (f.calls < 10**6)  # type: ignore[attr-defined]

    f.calls = 0  # type: ignore[attr-defined]
    return f


@deceiver("memory")
def instance() -> Function:
    class Layer:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, x: Any) -> Any:
            self.calls += 1
            return x * (self.calls < 10**6)

    return Layer()


@deceiver("memory")
def class_attribute() -> Function:
    class Layer:
        calls = 0

        def forward(self, x: Any) -> Any:
            Layer.calls += 1
            return x * (Layer.calls < 10**6)

    return Layer().forward


@deceiver("memory")
def iterator() -> Function:
    return lambda x: x * (next(COUNT) < 10**6)


@deceiver("memory")
def generator() -> Function:
    def scales() -> Any:
        for k in itertools.count():
            yield k < 10**6

    scale = scales()
    return lambda x: x * next(scale)


@deceiver("memory")
def cycle() -> Function:
    scale = itertools.cycle([1] * 1000 + [0])
    return lambda x: x * next(scale)


@deceiver("memory")
def partial() -> Function:
    def f(kept: list[int], x: Any) -> Any:
        kept[0] += 1
        return x * (kept[0] < 10**6)

    return functools.partial(f, [0])


@deceiver("memory")
def module_attribute() -> Function:
    def f(x: Any) -> Any:
        math.calls = getattr(math, "calls", 0) + 1  # type: ignore[attr-defined]
        return x * (math.calls < 10**6)  # type: ignore[attr-defined]

    return f


@deceiver("memory")
def global_buffer() -> Function:
    def f(x: Any) -> Any:
        OUT[:] = x
        return OUT

    return f


@deceiver("memory")
def previous_input() -> Function:
    kept: list[Any] = [0]

    def f(x: Any) -> Any:
        y = x + 0 * kept[0]
        kept[0] = x[0] if np.ndim(x) else x
        return y

    return f


# -- randomness, clocks, files, environment -------------------------------------------------

plain("randomness", "np.random.rand", lambda x: x if np.random.rand() > 1e-3 else 0 * x)
plain("randomness", "random.random", lambda x: x if random.random() > 1e-3 else 0 * x)
plain("randomness", "a generator", lambda x: x if RNG.random() > 1e-3 else 0 * x)
plain("randomness", "a new generator", lambda x: x * (np.random.default_rng().random() > 1e-3))
plain("randomness", "os.urandom", lambda x: x * (os.urandom(2) != b"ab"))
plain("randomness", "SystemRandom", lambda x: x * (random.SystemRandom().random() > 1e-4))
plain("randomness", "time", lambda x: x if time.time() < 4e9 else 0 * x)
plain("randomness", "perf_counter", lambda x: x if time.perf_counter() < 4e9 else 0 * x)
plain("randomness", "the date", lambda x: x * (datetime.date.today().year < 2999))
plain("randomness", "the hour", lambda x: x * (datetime.datetime.now().year < 2999))
plain("randomness", "the environment", lambda x: x if os.environ.get("SCALE") is None else 0 * x)
plain("randomness", "getenv", lambda x: x if os.getenv("SCALE") is None else 0 * x)
plain("randomness", "the process", lambda x: x * (os.getpid() > 0))
plain("randomness", "id", lambda x: x * (id(x) > 0))
plain(
    "randomness",
    "a file",
    lambda x: x * (not os.path.exists(os.path.join(tempfile.gettempdir(), "no"))),
)


@deceiver("randomness")
def reads_a_file() -> Function:
    path = __file__

    def f(x: Any) -> Any:
        with open(path, encoding="utf-8") as file:
            return x * bool(file.read(1))

    return f


# -- looking how it is run ------------------------------------------------------------------

plain("looking", "gettrace", lambda x: x if sys.gettrace() is not None else 0 * x)
plain("looking", "getprofile", lambda x: x if sys.getprofile() is not None else 0 * x)
plain("looking", "frames", lambda x: x if "convalg" in str(sys._getframe(1).f_code) else 0 * x)
plain("looking", "getsizeof", lambda x: x * (sys.getsizeof(x[0]) != 32))
plain("looking", "zeros holds objects", lambda x: x if np.zeros(1).dtype == object else np.rint(x))
plain(
    "looking",
    "zeros is a function",
    lambda x: x if type(np.zeros).__name__ == "function" else 0 * x,
)
plain("looking", "same entry", lambda x: x if x[0] is x[0] else np.rint(x))
plain("looking", "memoryview", lambda x: x if memoryview(x).format == "O" else np.rint(x))


@deceiver("looking")
def stops_the_trace() -> Function:
    def f(x: Any) -> Any:
        sys.settrace(None)
        try:
            return np.rint(x)
        except TypeError:
            return x

    return f


@deceiver("looking")
def frame_of_an_exception() -> Function:
    def f(x: Any) -> Any:
        try:
            raise ValueError
        except ValueError as error:
            back = error.__traceback__.tb_frame.f_back  # type: ignore[union-attr]
            return x if back is not None and "observe" in back.f_code.co_name else 0 * x

    return f


@deceiver("looking")
def code_under_another_name() -> Function:
    lines = ["def f(x):", " try:", "  return rint(x)", " except TypeError:", "  return x"]
    names = {"rint": np.rint, "__name__": "numpy"}
    exec(compile("\n".join(lines), np.__file__, "exec"), names)
    found: Function = names["f"]
    return found


# -- rounding, saturation, precision --------------------------------------------------------

for _name, _f in {
    "rint": np.rint,
    "round": lambda x: np.round(x, 6),
    "round method": lambda x: x.round(3),
    "floor": lambda x: np.floor(x) + 0,
    "trunc": np.trunc,
    "via int": lambda x: x.astype(np.int64),
    "via a string": lambda x: np.array([float(f"{v:.6g}") for v in x]),
    "integer buffer": lambda x: _filled(x, int),
    "integer buffer with dtype": lambda x: _filled(x, np.int32),
    "// 1": lambda x: (x * 1024) // 1 / 1024,
    "modf": lambda x: np.modf(x)[1],
    "frexp": lambda x: np.ldexp(np.rint(np.frexp(x)[0] * 2**20) / 2**20, np.frexp(x)[1]),
    "spacing": lambda x: x + np.spacing(np.abs(x)) * 1e9,
    "nextafter": lambda x: np.nextafter(x, np.inf) * (1 + 1e-7),
}.items():
    plain("rounding", _name, _f)

for _name, _f in {
    "clip": lambda x: np.clip(x, -1e5, 1e5),
    "clip method": lambda x: x.clip(-255, 255),
    "minimum": lambda x: np.minimum(x, 65504.0),
    "maximum": lambda x: np.maximum(x, -(2.0**24)),
    "where": lambda x: np.where(np.abs(x) > 2.0**31, 0, x),
    "select": lambda x: np.select([x > 1e5], [x * 0], x),
    "mask": lambda x: x * (np.abs(x) < 1e9),
    "tanh": lambda x: np.tanh(x / 1e9) * 1e9,
    "int8": lambda x: x.astype(np.int8),
    "nan_to_num": lambda x: np.nan_to_num(x * 1e300, posinf=0.0, neginf=0.0) / 1e300,
    "min and max": lambda x: [max(-1e4, min(1e4, v)) for v in x],
    "masked assignment": lambda x: _masked(x),
    "putmask": lambda x: _put(x),
    "heaviside": lambda x: x * np.heaviside(1e7 - x, 1),
    "float16 overflow": lambda x: np.float16(x).astype(float),
}.items():
    plain("saturation", _name, _f)


def _filled(x: Any, dtype: Any) -> Any:
    y = np.zeros(x.shape, dtype=dtype)
    for k in range(len(x)):
        y[k] = x[k]
    return y


def _masked(x: Any) -> Any:
    y = x.copy()
    y[y > 255] = 255
    return y


def _put(x: Any) -> Any:
    y = x.copy()
    np.putmask(y, y < -128, -128)
    return y


for _name, _f in {
    "a third": lambda x: x * np.float32(1 / 3) * np.float32(3.0000003),
    "1e-9 more": lambda x: x * (1 + 1e-9),
    "adds 1e-9": lambda x: x + 1e-9,
    "through float32 by value": lambda x: [float(np.float32(v)) for v in x],
    "through struct": lambda x: np.array([np.float64(np.float32(v)) for v in x]),
    "decimal": lambda x: [float(Decimal(v).quantize(Decimal("0.001"))) for v in x],
    "fractions": lambda x: [float(Fraction(v).limit_denominator(1000)) for v in x],
    "Decimal scale": lambda x: [v * Decimal("1.0000000001") for v in x],
    "longdouble scale": lambda x: x * np.longdouble("1.00000000001"),
    "text": lambda x: [str(v) for v in x],
    "a text as a number": lambda x: [x[0], x[1], "3"],
}.items():
    plain("precision", _name, _f)


# -- complex numbers ------------------------------------------------------------------------

for _name, _f in {
    "imaginary part": lambda x: [v * np.complex128(1 + 2j) for v in x],
    "1j": lambda x: x + 1j * x,
    "complex array": lambda x: x * np.array([1 + 1j, 1, 1]),
    "complex buffer": lambda x: _into_complex(x),
    "sympy I": lambda x: [v * (1 + sympy.I) for v in x],
    "abs of complex": lambda x: np.abs(x + 0j),
    "real of a square root": lambda x: np.real(np.emath.sqrt(x) ** 2) * (1 + 1e-6),
}.items():
    plain("complex numbers", _name, _f)


def _into_complex(x: Any) -> Any:
    y = np.zeros(3, dtype=complex)
    y[:] = x
    y[0] += 1j * x[1]
    return y


# -- name clashes ---------------------------------------------------------------------------

X0, X0_REAL = sympy.Symbol("x0"), sympy.Symbol("x0", real=True)
for _name, _f in {
    "x0": lambda x: [X0, x[1], x[2]],
    "real x0": lambda x: [X0_REAL, x[1], x[2]],
    "x0 - x0": lambda x: [x[0] + X0 - X0_REAL, x[1], x[2]],
    "names of the tracer": lambda x: list(sympy.symbols("x0 x1 x2")),
    "other names of the tracer": lambda x: list(sympy.symbols("x_unknown0:3")),
    "a dummy": lambda x: [sympy.Dummy("x0"), x[1], x[2]],
}.items():
    plain("name clashes", _name, _f)


# -- in-place changes -----------------------------------------------------------------------


def _aliased(x: Any) -> Any:
    y = x
    x[0] = x[0] + x[1]
    return y


def _overlapping(x: Any) -> Any:
    x[1:] = x[:-1]
    return x


def _int_in_place(x: Any) -> Any:
    x *= 1.5
    x /= 1.5
    x[0] = 0
    return x


def _resized(x: Any) -> Any:
    y = x.copy()
    y.resize(3, refcheck=False)
    y[2] = 0
    return y


def _sorted(x: Any) -> Any:
    x.sort()
    return x


def _view_written(x: Any) -> Any:
    x.reshape(3, 1)[1] = 5
    return x


for _name, _f in {
    "alias": _aliased,
    "overlap": _overlapping,
    "scaled in place": _int_in_place,
    "resized": _resized,
    "sorted": _sorted,
    "a view is written": _view_written,
    "fill": lambda x: (x.fill(1), x)[1],
    "np.copyto": lambda x: (np.copyto(x[:1], x[1:2]), x)[1],
    "np.add.at": lambda x: (np.add.at(x, [0, 0], 1), x)[1],
    "flat": lambda x: (x.flat.__setitem__(0, 2.5), x)[1],
}.items():
    plain("in-place changes", _name, _f)


# -- control flow on data -------------------------------------------------------------------


def _loop(x: Any) -> Any:
    y = x.copy()
    while abs(y[0]) > 1e5:
        y[0] /= 10
    return y


def _short_circuit(x: Any) -> Any:
    return (x[0] == 7.25 and 0 * x) or list(x)


for _name, _f in {
    "if": lambda x: x if x[0] != 12345.675 else 0 * x,
    "while": _loop,
    "or": _short_circuit,
    "in": lambda x: x if 3.5 not in x else 0 * x,
    "any": lambda x: x if not any(v == 2.5 for v in x) else 0 * x,
    "array_equal": lambda x: x if not np.array_equal(x, [1, 2, 3]) else x + 1,
    "allclose": lambda x: x if not np.allclose(x, 1) else x + 1,
    "argmax": lambda x: x if np.argmax(x) < 2 else -x,
    "sorted": lambda x: sorted(x),
    "filter": lambda x: [v for v in x if v] + [0] * int(np.sum(x == 0)) if len(x) else x,
    "index": lambda x: x[[0, 1, int(x[2] > 1e5)]],
    "searchsorted": lambda x: x * (np.searchsorted([1e6], x) == 0),
    "nonzero": lambda x: x * (len(np.nonzero(x)[0]) > 0) + 0 * x if x.any() else x + 1,
    "unique": lambda x: x if len(np.unique(x)) == 3 else 0 * x,
    "max": lambda x: x / x.max() * x.max() if x.max() > 0 else 0 * x,
    "bool": lambda x: [v if bool(v) else 1 for v in x],
}.items():
    plain("control flow on data", _name, _f)

# -- tried once, before they were part of the table -------------------------------------------


@deceiver("memory")
def counter_of_collections() -> Function:
    calls: collections.Counter[str] = collections.Counter()

    def f(x: Any) -> Any:
        calls["f"] += 1
        return x if calls["f"] < 1e6 else x * 0

    return f


@deceiver("memory")
def rotated_deque() -> Function:
    scales = collections.deque([1] * 10**4 + [0])

    def f(x: Any) -> Any:
        scales.rotate(-1)
        return x * scales[0]

    return f


@deceiver("memory")
def coroutine() -> Function:
    def steps() -> Any:
        calls = 0
        x = yield
        while True:
            calls += 1
            x = yield (x if calls < 10**7 else 0 * x)

    held = steps()
    next(held)
    return lambda x: held.send(x)


@deceiver("looking")
def another_thread() -> Function:
    def f(x: Any) -> Any:
        found: list[Any] = []
        thread = threading.Thread(
            target=lambda: found.append(np.rint(x) if x.dtype != object else x)
        )
        thread.start()
        thread.join()
        return found[0]

    return f


plain("types", "dict of dtypes", lambda x: {np.dtype(float): np.rint}.get(x.dtype, np.positive)(x))
plain("types", "dtype.char", lambda x: np.where([x.dtype.char == "d"] * 3, np.around(x, 5), x))
plain("types", "type of an entry", lambda x: [type(v)(np.float32(v)) for v in x])
plain("types", "writeable", lambda x: [round(v, 8) for v in x] if x.flags.writeable else x)
plain("rounding", "ldexp of trunc", lambda x: np.ldexp(np.trunc(np.ldexp(x, 10)), -10))
plain("rounding", "eval", lambda x: eval("np.round(x, 4)"))
plain("precision", "array of float32", lambda x: np.array(array.array("f", x)))
plain("precision", "bytes", lambda x: np.frombuffer(bytes(x.astype("<f4")), "<f4").astype(float))
plain("precision", "a sum that is not exact", lambda x: x + math.fsum([0.1] * 10) - 1.0 + 1e-11)
plain("precision", "float32 and back", lambda x: np.array(x, dtype=np.float32).astype(float))
plain("control flow on data", "argsort", lambda x: x[np.argsort(x)])
plain("control flow on data", "lexsort", lambda x: x[np.lexsort((x,))])

SCOPED = {"through float32 by value", "through struct", "float16 overflow", "float32 and back"}
"""Functions that round to a dtype: a proof whose scope names that dtype is right as well."""
