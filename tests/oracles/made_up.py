"""Functions with a known mistake, made by the table of mistakes itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg.check.problem import KINDS, Problem


def made(name: str, arrays: tuple[np.ndarray, ...], options: dict[str, Any]) -> Problem:
    """The problem that a call poses."""
    given = dict(zip(KINDS[name].arrays, arrays, strict=True))
    dims = given["x"].ndim - 2
    per_axis = {
        option: tuple(int(v) for v in np.broadcast_to(options[option], dims))
        for option in ("size", "stride", "padding", "dilation", "output_padding")
        if option in options
    }
    per_axis["padding"] = tuple((p, p) for p in per_axis["padding"])
    plain = {n: options[n] for n in ("groups", "ceil_mode", "count_include_pad") if n in options}
    return Problem(**given, **per_axis, **plain)


def right(name: str, p: Problem) -> list[np.ndarray]:
    return [np.asarray(compute(p), dtype=float) for compute in KINDS[name].parts.values()]
