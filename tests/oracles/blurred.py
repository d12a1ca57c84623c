"""A circular blur, which a distortion follows or a padding precedes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal

BLUR = np.array([[1, 2], [3, 4]])


def blurred(x: Any) -> Any:
    return scipy.signal.correlate2d(x, BLUR, mode="valid")
