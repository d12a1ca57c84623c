"""Wrong values for every argument of valid calls, and how a call with one of them ends.

A row of valid_calls.txt is a call; here each of its arguments, and each that it leaves at its
default, is replaced by each of the values below, the others kept.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
import signal
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sympy

import convalg as ca
import convalg.images
from convalg.errors import ConvalgError

TABLE = Path(__file__).parents[1] / "tables" / "valid_calls.txt"
BUDGET = 5.0
"""Seconds that one call may take."""

MASKED = np.ma.array([1, 2, 3], mask=[False, True, False])
VALUES: dict[str, Any] = {
    "None": None,
    "''": "",
    "'abc'": "abc",
    "'\\ud800\\0'": "\ud800\0",
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "10**9": 10**9,
    "2**63": 2**63,
    "10**30": 10**30,
    "-10**30": -(10**30),
    "True": True,
    "[]": [],
    "{}": {},
    "object()": object(),
    "array([1, 2])": np.array([1, 2]),
    "array(['a'])": np.array(["a"]),
    "masked": MASKED,
    "1+2j": 1 + 2j,
    "datetime64": np.datetime64("2020-01-01"),
    "b'x'": b"x",
    "{1}": {1},
    "lambda": lambda x: x,
    "int": int,
    "ragged": [[1], [1, 2]],
    "[None]": [None],
    "symbol": sympy.Symbol("u"),
    "Decimal": Decimal("0.5"),
    "identity": ca.identity(7),
}


def names() -> dict[str, Any]:
    """What the calls of the table may use."""
    n, taps = ca.sizes("n K")
    layer = ca.correlation(5, [1, 2, 3])
    net = ca.sequential(
        (1, 6, 6), [ca.layers.Conv(2, 3), ca.layers.Flatten(), ca.layers.Dense(2)]
    ).initialise(0)
    return {
        "ca": ca,
        "convalg": convalg,
        "np": np,
        "operator": operator,
        "n": n,
        "K": taps,
        "A": layer,
        "X": np.array([1, 2, 3, 4, 5]),
        "G": np.array([1, 0, 2]),
        "Y": np.array([1.0, -2.0, 3.0]),
        "LAYER": np.ones((2, 1, 3, 3)),
        "FAMILY": ca.correlation(n, ca.kernel(taps)),
        "RELU": ca.relu(3),
        "AFFINE": ca.affine(layer, 1),
        "POOL": ca.max_pool(5, 2),
        "SQUARE": np.array([[1.0, 0.5], [0.0, 1.0]]),
        "GRU": np.ones((6, 2)),
        "LSTM": np.ones((8, 2)),
        "IMAGE": np.zeros((1, 6, 6), np.uint8),
        "FIGURE": ca.draw.matrix(layer),
        "HISTORY": ca.train.History([1.0, 0.5], [0.5, 0.75], [0.5, 0.5]),
        "NET": net,
        "NET_X": np.zeros((1, 6, 6)),
        "NET_IMAGES": np.zeros((4, 1, 6, 6)),
        "NET_LABELS": np.array([0, 1, 0, 1]),
        "CERTIFICATE": str(ca.prove.equal(layer, layer).certificate(tempfile.mkdtemp())),
        "CORRELATE": lambda x: [x[i] + 2 * x[i + 1] + 3 * x[i + 2] for i in range(3)],
        "BACKWARD": lambda x, g: np.correlate(x, g),
        "FORWARD": lambda x, w: x,
        "GRADIENTS": lambda x, w, g: (x, w),
        "POOLED": lambda x, *, size: x,
        "POOLED_BACK": lambda x, g, *, size: x,
    }


class Case(NamedTuple):
    """A call with one wrong value: `row` of the table, the argument's name, the value's name."""

    row: str
    argument: str
    value: str

    def __str__(self) -> str:
        return f"{self.row} with {self.argument}={self.value}"


class Call(NamedTuple):
    """A call of the table, taken apart."""

    function: Callable[..., Any]
    positional: tuple[Any, ...]
    keywords: dict[str, Any]

    def arguments(self) -> list[str | int]:
        """What can be replaced: numbers of positional arguments and names of keywords."""
        found: list[str | int] = [*range(len(self.positional)), *self.keywords]
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            return found
        for number, parameter in enumerate(parameters):
            after = number >= len(self.positional)
            named = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            if named and after and parameter.name not in self.keywords:
                found.append(parameter.name)
        return found

    def run(self, argument: str | int | None = None, value: Any = None) -> Any:
        """The call, with one argument replaced."""
        positional, keywords = list(self.positional), dict(self.keywords)
        if isinstance(argument, int):
            positional[argument] = value
        elif argument is not None:
            keywords[argument] = value
        return self.function(*positional, **keywords)


def rows(table: Path = TABLE) -> list[str]:
    """The calls of the table, as text."""
    lines = table.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def parsed(row: str, given: dict[str, Any]) -> Call:
    """A row of the table as a call."""
    tree = ast.parse(row, mode="eval").body
    assert isinstance(tree, ast.Call), row

    def value(node: ast.AST) -> Any:
        return eval(compile(ast.Expression(node), row, "eval"), dict(given))  # type: ignore[arg-type]

    return Call(
        value(tree.func),
        tuple(value(node) for node in tree.args),
        {str(k.arg): value(k.value) for k in tree.keywords},
    )


def cases(row: str) -> Iterator[tuple[Case, str | int]]:
    """Every case of a row, and the argument it replaces."""
    call = parsed(row, names())
    for argument in call.arguments():
        for value in VALUES:
            yield Case(row, str(argument), value), argument


class Late(BaseException):
    """A call that took longer than its budget; no `except Exception` stops it."""


def _late(number: int, frame: types.FrameType | None) -> None:
    raise Late


def fault(call: Call, argument: str | int, value: Any) -> str | None:
    """What is wrong with the end of a call: a bare error, or none within the budget.

    None where it gives a result, or an error of convalg.
    """
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, BUDGET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call.run(argument, value)
    except ConvalgError:
        return None
    except Late:
        return f"takes more than {BUDGET:g} s"
    except BaseException as error:
        where = traceback.extract_tb(sys.exc_info()[2])[-1]
        ours = [
            f
            for f in traceback.extract_tb(sys.exc_info()[2])
            if "/convalg/" in f.filename and "/tests/" not in f.filename
        ]
        place = ours[-1] if ours else where
        file = place.filename.partition("/convalg/")[2] or place.filename
        words = ascii(str(error))[:120]
        return f"{type(error).__name__}: {words} at {file}:{place.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None
