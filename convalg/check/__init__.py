"""Checks of other implementations: find the mistake, name it, show the smallest case."""

from __future__ import annotations

from typing import Any

from convalg.check.adapters import (
    from_command,
    from_jax,
    from_onnxruntime,
    from_torch,
    from_torch_backward,
)
from convalg.check.candidate import candidate
from convalg.check.module import layer
from convalg.check.problem import KINDS
from convalg.check.report import Diagnosis, Failure, Report
from convalg.check.run import TIMEOUT, Progress, Sweep
from convalg.check.sweep import CASES, counts
from convalg.check.pipeline import report_on

__all__ = [
    "Diagnosis",
    "Failure",
    "Report",
    "average_pool",
    "average_pool_backward",
    "backward",
    "forward",
    "from_command",
    "from_jax",
    "from_onnxruntime",
    "from_torch",
    "from_torch_backward",
    "layer",
    "max_pool",
    "max_pool_backward",
    "transposed",
    "transposed_backward",
]


def __dir__() -> list[str]:
    """What is for use; the modules within are not."""
    return sorted(__all__)


def forward(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, w, *, stride, padding, dilation, groups) -> y`, a correlation layer.

    Shapes: x `(N, C, *spatial)` with `dims` spatial axes, w `(C_out, C_in // groups, *taps)`,
    y `(N, C_out, *out)`; NumPy arrays of small integers in float64. Options come as an int
    while they are equal on all axes, as a tuple otherwise; only keywords that f has are passed.
    `progress(done, cases)` is called after each configuration.
    `jobs`: workers of joblib that share the configurations, those of this machine (-1 for all)
    or of the backend that `joblib.parallel_config` names, such as a Dask or Ray cluster; the
    report is the one without them. A configuration on which a worker dies, or has no answer
    within `timeout` seconds (None for no limit), is the last of the sweep, and is told.
    Raises: KindError when f cannot be called like that, or not be sent to workers.

    >>> import convalg as ca, numpy as np
    >>> def mine(x, w):
    ...     windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    ...     return np.einsum("nchwab,ocab->nohw", windows, w[:, :, ::-1, ::-1])
    >>> ca.check.forward(mine, cases=40).diagnosis[0].code
    'flipped-kernel'
    """
    return _check("forward", f, dims, cases, Sweep(progress, jobs, timeout))


def backward(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, w, g, *, stride, padding, dilation, groups) -> (dx, dw)`, its gradients.

    Shapes: as `forward`, with g of the shape of y; dx as x, dw as w, summed over the batch.

    >>> import convalg as ca
    >>> def mine(x, w, g):
    ...     layer = ca.correlation(x.shape[2:], w)
    ...     return layer.T(g), layer.kernel_gradient(x, g) / len(x)
    >>> ca.check.backward(mine, cases=40).diagnosis[0].code
    'batch-averaged'
    """
    return _check("backward", f, dims, cases, Sweep(progress, jobs, timeout))


def transposed(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, w, *, stride, padding, output_padding, dilation, groups) -> y`.

    Shapes: x `(N, C_in, *spatial)`, w `(C_in, C_out // groups, *taps)`, as PyTorch.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding):
    ...     return ca.transposed_correlation(x.shape[2:], w, stride=stride)(x)
    >>> ca.check.transposed(mine, cases=40).diagnosis[0].code
    'padding-ignored'
    """
    return _check("transposed", f, dims, cases, Sweep(progress, jobs, timeout))


def transposed_backward(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, w, g, *, stride, padding, output_padding, dilation, groups) -> (dx, dw)`.

    Shapes: as `transposed`, with g of the shape of y.

    >>> import convalg as ca
    >>> def mine(x, w, g, stride):
    ...     layer = ca.transposed_correlation(x.shape[2:], w, stride=stride)
    ...     return layer.T(g), layer.kernel_gradient(x, g)
    >>> ca.check.transposed_backward(mine, cases=20)
    <mine: all 20 configurations pass>
    """
    return _check("transposed_backward", f, dims, cases, Sweep(progress, jobs, timeout))


def average_pool(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, *, size, stride, padding, ceil_mode, count_include_pad) -> y`.

    >>> import convalg as ca
    >>> def mine(x, size, stride, padding, count_include_pad):
    ...     options = {"stride": stride, "padding": padding, "channels": x.shape[1]}
    ...     return ca.average_pool(x.shape[2:], size, **options)(x)
    >>> ca.check.average_pool(mine, cases=40).diagnosis[0].code
    'divisor-counts-padding'
    """
    return _check("average_pool", f, dims, cases, Sweep(progress, jobs, timeout))


def average_pool_backward(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, g, *, size, stride, padding, ceil_mode, count_include_pad) -> dx`.

    >>> import convalg as ca
    >>> def mine(x, g, size):
    ...     return ca.sum_pool(x.shape[2:], size, stride=1, channels=x.shape[1]).T(g)
    >>> ca.check.average_pool_backward(mine, cases=20).diagnosis[0].code
    'divisor-missing'
    """
    return _check("average_pool_backward", f, dims, cases, Sweep(progress, jobs, timeout))


def max_pool(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, *, size, stride, padding, dilation, ceil_mode) -> y`.

    >>> import convalg as ca
    >>> def mine(x, size, stride, padding):
    ...     padded = ca.pad(x.shape[2:], padding, channels=x.shape[1])(x)
    ...     return ca.max_pool(padded.shape[2:], size, stride=stride, channels=x.shape[1])(padded)
    >>> ca.check.max_pool(mine, cases=40).diagnosis[0].code
    'max-padding-zero'
    """
    return _check("max_pool", f, dims, cases, Sweep(progress, jobs, timeout))


def max_pool_backward(
    f: Any,
    *,
    dims: int = 2,
    cases: int = CASES,
    progress: Progress | None = None,
    jobs: int | None = None,
    timeout: float | None = TIMEOUT,
) -> Report:
    """Check `f(x, g, *, size, stride, padding, dilation, ceil_mode) -> dx`: to the first winner.

    >>> import convalg as ca
    >>> def mine(x, g, size, stride):
    ...     pool = ca.max_pool(x.shape[2:], size, stride=stride, channels=x.shape[1])
    ...     return pool.gradient(x, g)
    >>> ca.check.max_pool_backward(mine, cases=20)
    <mine: all 20 configurations pass>
    """
    return _check("max_pool_backward", f, dims, cases, Sweep(progress, jobs, timeout))


def _check(name: str, f: Any, dims: int, cases: int, sweep: Sweep) -> Report:
    axes, count = counts(dims, cases)
    return report_on(candidate(f, KINDS[name]), axes, count, sweep)
