"""Operators written as text, for the command line, in a small grammar of the public names.

The text is parsed to a syntax tree and never evaluated by Python; a node that is not listed here is
an error. A name that is not listed is a symbol for a size.

    correlation(n, kernel(K), padding=p).T
    downsample(n - K + 1, 2) @ correlation(n, kernel(K))
"""

from __future__ import annotations

import ast
import operator as arithmetic
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from convalg.axis import BOUNDARIES
from convalg.conventions import PADDING_WORDS
from convalg.errors import ArgumentError, ConvalgError, KindError
from convalg.kernels import NAMES, SymbolicKernel, flip, kernel, named
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import dense, diagonal, identity
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import average_pool, sum_pool
from convalg.operators.rearrange import reshape
from convalg.operators.sampling import downsample, upsample
from convalg.operators.shifts import flip_axes, shift
from convalg.operators.tree import Operator
from convalg.size import is_symbolic, sizes

if TYPE_CHECKING:
    import sympy


def _function(name: str) -> Callable[..., Any]:
    """Return a function of SymPy, which is imported when it is called."""

    def call(*values: object) -> Any:
        import sympy

        return getattr(sympy, name)(*values)

    return call


Makers: TypeAlias = Mapping[str, Callable[..., Any]]
"""Functions that an expression may call, by their names."""

MAKERS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        average_pool,
        convolution,
        correlation,
        crop,
        dense,
        diagonal,
        downsample,
        flip,
        flip_axes,
        identity,
        kernel,
        pad,
        reshape,
        shift,
        sum_pool,
        transposed_correlation,
        upsample,
    )
} | {name: _function(name) for name in ("floor", "Max", "Min", "Mod")}


def _quotient(left: object, right: object) -> object:
    """Return an operator divided by a number, or a fraction of integers and symbols."""
    if isinstance(left, int) and isinstance(right, int):
        return Fraction(left, right)
    if not (isinstance(left, Operator) or is_symbolic(left) or is_symbolic(right)):
        raise KindError(f"/ divides an operator, a number or a symbol, not {left!r}")
    return arithmetic.truediv(left, right)


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: arithmetic.add,
    ast.Div: _quotient,
    ast.Sub: arithmetic.sub,
    ast.Mult: arithmetic.mul,
    ast.FloorDiv: arithmetic.floordiv,
    ast.MatMult: arithmetic.matmul,
}
_ATTRIBUTES = ("T", "kernel", "in_shape", "out_shape")
_METHODS = ("kron", "by_kernel", "simplify", "swapaxes")
LONGEST = 2000
LARGEST = 10**6
MOST_TERMS = 200
"""The number of terms that a size may have when its products are multiplied out."""


def parse(text: str, *, makers: Makers = MAKERS, longest: int = LONGEST) -> Operator:
    """Return the operator that an expression in the public names describes.

    Args:
        text: the expression.
        makers: the functions that it may call.
        longest: the number of characters that it may have.

    Raises: ArgumentError for text that is not such an expression, KindError for operations on
    values that do not support them, and the errors of the public functions.

    >>> parse("correlation(n, kernel(K)).T")
    transposed_correlation(n - K + 1, kernel(K))
    """
    if len(text) > longest:
        raise ArgumentError(f"the expression has {len(text)} characters; use at most {longest}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ArgumentError(f"{text!r} is not a Python expression: {error}") from None
    try:
        value = _Reader(makers).value(tree.body)
    except (TypeError, AttributeError, IndexError, ZeroDivisionError, RecursionError) as error:
        if isinstance(error, ConvalgError):
            raise
        raise ArgumentError(f"{text!r} cannot be evaluated to an operator: {error}") from None
    if not isinstance(value, Operator):
        raise ArgumentError(f"{text!r} must describe an operator, but its value is {value!r}")
    return value


@dataclass(frozen=True)
class _Reader:
    """Computes the values of the nodes of an expression."""

    makers: Makers

    def value(self, node: ast.expr) -> Any:
        """Return the value of a node. Raises: ArgumentError for a node that is not allowed."""
        match node:
            case ast.Constant(value=str() | float() as value):
                return value
            case ast.Constant(value=int(value)) if not isinstance(value, bool) and value <= LARGEST:
                return value
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(map(self.value, items))
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _short(_BINARY[type(op)](self.value(left), self.value(right)))
            case ast.Attribute(value=inner, attr=name) if name in _ATTRIBUTES:
                return getattr(_operator(self.value(inner), name), name)
            case ast.Subscript(value=inner, slice=ast.Constant(value=int(axis))):
                return _shape(self.value(inner))[axis]
            case ast.Call():
                return self._call(node)
        raise ArgumentError(
            f"{ast.unparse(node)!r} is not allowed in an expression: use public names, symbols, "
            f"numbers, + - * / // @, .T, .kernel and .out_shape"
        )

    def _name(self, name: str) -> Any:
        if name in self.makers:
            raise ArgumentError(f"{name} is a function: write {name}(...)")
        if name in PADDING_WORDS or name in BOUNDARIES:
            return name
        if name in NAMES:
            return named(name)
        if not name.isascii():
            raise ArgumentError(f"{name!r} cannot be the name of a size: use ASCII letters")
        return sizes(name)[0]

    def _call(self, node: ast.Call) -> Any:
        arguments = [self.value(argument) for argument in node.args]
        options: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise ArgumentError(
                    f"{ast.unparse(node)!r}: ** is not allowed: write each option as name=value"
                )
            value = self.value(keyword.value)
            named = keyword.arg == "name" and is_symbolic(value)
            options[keyword.arg] = str(value) if named else value
        match node.func:
            case ast.Name(id=name) if name in self.makers:
                return self.makers[name](*arguments, **options)
            case ast.Attribute(value=inner, attr=name) if name in _METHODS:
                return getattr(_operator(self.value(inner), name), name)(*arguments, **options)
        raise ArgumentError(
            f"{ast.unparse(node.func)!r} is not a function of expressions; use one of "
            f"{', '.join(sorted(self.makers))}"
        )


def _short(value: object) -> object:
    """Return a value, unless it is a size with more terms than `MOST_TERMS` when multiplied out."""
    if is_symbolic(value) and _term_count(value) > MOST_TERMS:
        raise ArgumentError(
            f"a size in the expression has more than {MOST_TERMS} terms when it is multiplied out: "
            f"use a symbol for a part of it"
        )
    return value


def _term_count(value: sympy.Basic) -> int:
    import sympy

    match value:
        case sympy.Add():
            return sum(map(_term_count, value.args))
        case sympy.Mul():
            return prod(map(_term_count, value.args))
        case sympy.Pow() if value.exp.is_Integer:
            return int(_term_count(value.base) ** abs(int(value.exp)))
    return 1


def _operator(value: object, name: str) -> Any:
    if isinstance(value, (Operator, SymbolicKernel)):
        return value
    raise KindError(f".{name} is an attribute of operators, not of {value!r}")


def _shape(value: object) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return value
    raise KindError(f"only a shape, such as A.out_shape, can be indexed, not {value!r}")
