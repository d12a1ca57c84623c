"""Values of wrong types for arguments of layers and networks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import convalg as ca

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    MATRIX = np.matrix([[1, 2]])

NONSENSE: list[Any] = [
    *("abc", b"x", 1j, object(), {}, {1}, lambda x: x, ca.relu(3)),
    *((None,), ("a",), np.array([1.5]), np.array([[1, 2]]), MATRIX, float("nan")),
]
"""Values that no argument accepts, except strings where a string is expected."""
