"""Numbers, symbols and counts as short words."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg.escape import terminal


def number_text(value: Any) -> str:
    """A number in a few characters; symbols and exact numbers as they are.

    >>> number_text(np.float64(1 / 9)), number_text(np.int64(-1))
    ('0.111', '-1')
    """
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else terminal(value)


def plural(count: int, word: str) -> str:
    """A number of things.

    >>> plural(1, "weight"), plural(2, "weight")
    ('1 weight', '2 weights')
    """
    return f"{count} {word}{'s' * (count != 1)}"
