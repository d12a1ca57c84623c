"""The arguments of layers and of published networks, checked by name before anything is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from convalg.conventions import check_boundary
from convalg.errors import ArgumentError, KindError
from convalg.operators.windows import COORDINATES, ROUNDINGS
from convalg.size import as_shape, as_size

Check: TypeAlias = Callable[[Any, str], Any]
"""Takes a value and its name, and returns it in Python's own types. Raises: as said there."""


def count(value: Any, name: str) -> Any:
    """A number of things, at least one; a symbol of `ca.sizes` stands for one."""
    return as_size(value, name)


def integer(value: Any, name: str) -> Any:
    """Any integer."""
    return as_size(value, name, least=None)


def end(value: Any, name: str) -> Any:
    """An integer, or None, which the layer refuses with the size of its input."""
    return None if value is None else integer(value, name)


def index(value: Any, name: str) -> Any:
    """An integer of at least 0."""
    return as_size(value, name, least=0)


def is_sequence(value: Any) -> bool:
    """Whether a value is a list of some kind."""
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def several(each: Check) -> Check:
    """One value for all axes, or a sequence of them."""

    def check(value: Any, name: str) -> Any:
        if not is_sequence(value):
            return each(value, name)
        if not len(value):
            raise ArgumentError(f"{name} must be one value or one for each axis, not {value!r}")
        return tuple(each(one, f"{name}[{k}]") for k, one in enumerate(value))

    return check


def tuple_of(each: Check) -> Check:
    """A sequence of values."""

    def check(value: Any, name: str) -> Any:
        if not is_sequence(value):
            raise KindError(f"{name} must be a sequence, not {value!r}")
        return tuple(each(one, f"{name}[{k}]") for k, one in enumerate(value))

    return check


def padding(value: Any, name: str) -> Any:
    """An integer, one for each axis, pairs, or the name of a rule, which the geometry knows."""
    if isinstance(value, str):
        return value
    return several(several(integer))(value, name)


def flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise KindError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def real(value: Any, name: str) -> Any:
    """A finite number."""
    found = number(value, name)
    if not math.isfinite(found):
        raise ArgumentError(f"{name} must be a finite number, not {value!r}")
    return found


def number(value: Any, name: str) -> Any:
    """A real number, which may be infinite and not NaN."""
    kinds = (int, float, Fraction, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise KindError(f"{name} must be a number, not {value!r} ({type(value).__name__})")
    if math.isnan(value):
        raise ArgumentError(f"{name} must be a number, not {value!r}")
    return value.item() if isinstance(value, np.generic) else value


def positive(value: Any, name: str) -> Any:
    """A finite number above 0."""
    if real(value, name) <= 0:
        raise ArgumentError(f"{name} must be above 0, not {value!r}")
    return value


def share(value: Any, name: str) -> Any:
    """A number from 0 to 1."""
    if not 0 <= number(value, name) <= 1:
        raise ArgumentError(f"the {name} of a dropout must be in 0 <= {name} <= 1, not {value}")
    return value


def not_negative(value: Any, name: str) -> Any:
    """A finite number of at least 0."""
    if not real(value, name) >= 0:
        raise ArgumentError(f"the {name} of a batch norm must be 0 or more, not {value}")
    return value


def word(*choices: Any) -> Check:
    """One of some words."""

    def check(value: Any, name: str) -> Any:
        if not isinstance(value, str) or value not in choices:
            known = ", ".join(map(str, choices))
            raise ArgumentError(f"{name} must be one of {known}, not {value!r}")
        return value

    return check


def boundary(value: Any, name: str) -> Any:
    """The name of a rule for borders."""
    check_boundary(value)
    return value


def text(value: Any, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise KindError(f"{name} must be a text, not {value!r} ({type(value).__name__})")
    return value


def checked(values: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The values of which a check is known, checked and in Python's own types."""
    return {name: checks[name](value, name) for name, value in values.items() if name in checks}


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
    "mode": word("nearest", "linear"),
    "align_corners": flag,
    "axis": index,
    "start": integer,
    "stop": end,
    "step": integer,
    "array": tuple_of(count),
    "scale": several(positive),
    "shape": as_shape,
    "axes": tuple_of(index),
    "coordinates": word(*COORDINATES),
    "rounding": word(*ROUNDINGS),
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
"""By the name of an argument of a layer. None stands for a default where a layer has that."""
