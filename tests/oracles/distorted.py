"""Right functions whose results are changed, and their reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from made_up import made, right

from convalg import check
from convalg.check.problem import Problem
from convalg.check.report import Report

Change = Callable[[list[np.ndarray], Problem], Any]


def built(name: str, change: Change) -> Callable[..., Any]:
    """A function whose right answer is changed."""

    def f(*arrays: np.ndarray, **options: Any) -> Any:
        p = made(name, arrays, options)
        found = change(right(name, p), p)
        return tuple(found) if len(found) > 1 else found[0]

    return f


def checked(name: str, change: Change, **options: Any) -> Report:
    return getattr(check, name)(built(name, change), **options)
