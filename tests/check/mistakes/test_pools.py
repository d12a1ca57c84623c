"""Mistakes of poolings, in the words of poolings."""

from __future__ import annotations

from typing import Any

import numpy as np
from distorted import checked
from made_up import made, right

from convalg import check


def test_poolings_have_windows_and_no_kernels() -> None:
    def f(x: np.ndarray, *, size: Any, stride: Any) -> np.ndarray:
        if not isinstance(size, int):
            raise NotImplementedError("no such kernel")
        options = {**POOL, "size": size, "stride": stride}
        return right("average_pool", made("average_pool", (x,), options))[0]

    message = check.average_pool(f).diagnosis[0].message
    assert "it raises NotImplementedError: no such kernel" in message
    assert "kernel" not in message.replace("no such kernel", "")
    report = checked("max_pool", lambda r, p: [r[0] + 3 * (p.size[0] != p.size[1])])
    assert "it is wrong only when the window is not square" in report.explain()


POOL = {"stride": 1, "padding": 0, "ceil_mode": False, "count_include_pad": True}
