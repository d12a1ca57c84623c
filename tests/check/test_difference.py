"""How a wrong matrix differs from the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
from made_up import made, right

from convalg import check


def test_an_unknown_linear_mistake_tells_what_became_of_the_matrix() -> None:
    def shifted(x: np.ndarray, w: np.ndarray, **options: Any) -> np.ndarray:
        (y,) = right("forward", made("forward", (x, w), options))
        return np.where(np.arange(y.shape[-1]) == 0, 3 * y, y)

    found = check.forward(shifted).diagnosis[0]
    assert found.code == "unknown"
    assert "its matrix from x to y for an array of shape" in found.message
    assert "multiplied by 3" in found.message
