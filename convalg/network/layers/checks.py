"""Checks of the arguments of layers and of the networks in the zoo, by the name of the argument.

Each check returns its value in built-in types, or raises an error of `ca.errors` that names the
argument.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from convalg.arguments import is_finite
from convalg.conventions import check_boundary
from convalg.errors import ArgumentError, KindError
from convalg.operators.windows import COORDINATES, ROUNDINGS
from convalg.size import as_shape, as_size, is_sequence

Check: TypeAlias = Callable[[Any, str], Any]
"""A function of a value and the name of its argument."""


def count(value: object, name: str) -> Any:
    """Check that a value is an integer of at least 1, or a symbol of `ca.sizes`."""
    return as_size(value, name)


def integer(value: object, name: str) -> Any:
    """Check that a value is an integer."""
    return as_size(value, name, least=None)


def end(value: object, name: str) -> Any:
    """Check that a value is an integer or None; the layer itself raises the error for None."""
    return None if value is None else integer(value, name)


def index(value: object, name: str) -> Any:
    """Check that a value is an integer of at least 0."""
    return as_size(value, name, least=0)


def several(each: Check) -> Check:
    """Return the check that a value, or each value of a sequence, passes a check."""

    def check(value: object, name: str) -> Any:
        if not is_sequence(value):
            return each(value, name)
        if not len(value):
            raise ArgumentError(
                f"{name} must be one value for all axes, or one value for each axis, not {value!r}"
            )
        return tuple(each(item, f"{name}[{k}]") for k, item in enumerate(value))

    return check


def tuple_of(each: Check) -> Check:
    """Return the check that a value is a sequence whose entries pass a check."""

    def check(value: object, name: str) -> Any:
        if not is_sequence(value):
            raise KindError(f"{name} must be a list or a tuple, not {value!r}")
        return tuple(each(item, f"{name}[{k}]") for k, item in enumerate(value))

    return check


def padding(value: object, name: str) -> Any:
    """Check that a value is an integer, a sequence of integers or of pairs, or a string.

    The geometry of the layer checks whether the string is the name of a padding rule.
    """
    if isinstance(value, str):
        return value
    return several(several(integer))(value, name)


def flag(value: object, name: str) -> bool:
    """Check that a value is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise KindError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def real(value: object, name: str) -> Any:
    """Check that a value is a finite number."""
    result = number(value, name)
    if not is_finite(result):
        raise ArgumentError(f"{name} must be a finite number, not {value!r}")
    return result


def number(value: object, name: str) -> Any:
    """Check that a value is a real number, which may be infinite but not NaN."""
    kinds = (int, float, Fraction, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise KindError(f"{name} must be a number, not {value!r} ({type(value).__name__})")
    if value != value:
        raise ArgumentError(f"{name} must be a number, not {value!r}")
    return value.item() if isinstance(value, np.generic) else value


def positive(value: object, name: str) -> Any:
    """Check that a value is a finite number greater than 0."""
    result = real(value, name)
    if result <= 0:
        raise ArgumentError(f"{name} must be greater than 0, not {value!r}")
    return result


def share(value: object, name: str) -> Any:
    """Check that a value is a number from 0 to 1."""
    result = number(value, name)
    if not 0 <= result <= 1:
        raise ArgumentError(f"the {name} of a Dropout must be from 0 to 1, not {value}")
    return result


def not_negative(value: object, name: str) -> Any:
    """Check that a value is a finite number of at least 0."""
    if not real(value, name) >= 0:
        raise ArgumentError(f"the {name} of a BatchNorm must be at least 0, not {value}")
    return value


def one_of(*choices: object) -> Check:
    """Return the check that a value is one of given strings."""

    def check(value: object, name: str) -> Any:
        if not isinstance(value, str) or value not in choices:
            names = ", ".join(map(str, choices))
            raise ArgumentError(f"{name} must be one of {names}, not {value!r}")
        return value

    return check


def boundary(value: object, name: str) -> Any:
    """Check that a value is the name of a boundary rule."""
    check_boundary(value)
    return value


def text(value: object, name: str) -> str:
    """Check that a value is a string."""
    if not isinstance(value, str):
        raise KindError(f"{name} must be a string, not {value!r} ({type(value).__name__})")
    return value


LAYER_CHECKS: dict[str, Check] = {
    "out_channels": count,
    "kernel_size": several(count),
    "stride": several(count),
    "padding": padding,
    "output_padding": several(index),
    "dilation": several(count),
    "groups": count,
    "bias": flag,
    "boundary": boundary,
    "ceil_mode": flag,
    "count_include_pad": flag,
    "p": positive,
    "out_size": several(count),
    "slope": real,
    "rate": share,
    "epsilon": not_negative,
    "alpha": real,
    "beta": real,
    "k": real,
    "factor": count,
    "mode": one_of("nearest", "linear"),
    "align_corners": flag,
    "axis": index,
    "start": integer,
    "stop": end,
    "step": integer,
    "array": tuple_of(count),
    "scale": several(positive),
    "shape": as_shape,
    "axes": tuple_of(index),
    "coordinates": one_of(*COORDINATES),
    "rounding": one_of(*ROUNDINGS),
    "log": flag,
    "table": tuple_of(tuple_of(index)),
    "regions": tuple_of(tuple_of(real)),
    "numbers": tuple_of(number),
    "rows": count,
    "size": several(count),
    "function": text,
    "operator": text,
    "reason": text,
}
"""The check of each argument by its name; None also passes if it is the default of the layer."""
