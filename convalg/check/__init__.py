"""Checks of other implementations: find the mistake, name it, show the smallest failing case.

Each check calls a user function on configurations that reveal mistakes, and compares its results
with those of convalg. The arrays are NumPy arrays of small integers in float64. The options are
passed by keyword, as an int if they are equal on all axes and as a tuple otherwise. An option that
is not a parameter of the function is not passed. Every check has the options of `SweepOptions`.
"""

from __future__ import annotations

from typing import Unpack

from convalg.check.adapters import (
    from_command,
    from_jax,
    from_onnxruntime,
    from_torch,
    from_torch_backward,
)
from convalg.check.candidate import candidate
from convalg.check.module import layer
from convalg.check.pipeline import report_on
from convalg.check.problem import KINDS
from convalg.check.report import Diagnosis, Failure, Report
from convalg.check.run import TIMEOUT, Sweep, SweepOptions
from convalg.check.sweep import CASES, counts

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
    """Return the public names, without the modules."""
    return sorted(__all__)


def forward(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, w, *, stride, padding, dilation, groups) -> y` as a correlation layer.

    Args:
        f: the function to check, called with x of shape `(N, C, *spatial)` and w of shape
            `(C_out, C // groups, *taps)`; it must return y of shape `(N, C_out, *out)`.
        options: the options of `SweepOptions`: `dims` (2), the number of spatial axes; `cases`
            (160), the number of configurations; `progress` (None), a function called as
            `progress(done, cases)`; `jobs` (None), the number of joblib workers; and `timeout`
            (60), the maximum time in seconds that a worker may spend on one configuration.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: when f cannot be called with these arrays, requires another option or cannot be
            sent to the workers; when an option has the wrong type.
        ArgumentError: when `dims`, `cases` or `jobs` is out of range.
        MissingLibraryError: when f needs a package that is not installed.

    >>> import convalg as ca, numpy as np
    >>> def mine(x, w):
    ...     windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    ...     return np.einsum("nchwab,ocab->nohw", windows, w[:, :, ::-1, ::-1])
    >>> ca.check.forward(mine, cases=40).diagnosis[0].code
    'flipped-kernel'
    """
    return _check("forward", f, options)


def backward(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, w, g, *, stride, padding, dilation, groups) -> (dx, dw)` as gradients.

    Args:
        f: the function to check, called with x and w as in `forward`, and with g, the gradient of
            the loss with respect to y, of the shape of y; it must return dx of the shape of x, and
            dw of the shape of w, summed over the batch.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, w, g):
    ...     layer = ca.correlation(x.shape[2:], w)
    ...     return layer.T(g), layer.kernel_gradient(x, g) / len(x)
    >>> ca.check.backward(mine, cases=40).diagnosis[0].code
    'batch-averaged'
    """
    return _check("backward", f, options)


def transposed(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, w, *, stride, padding, output_padding, dilation, groups) -> y`.

    Args:
        f: the function to check, a transposed correlation layer, called with x of shape
            `(N, C_in, *spatial)` and w of shape `(C_in, C_out // groups, *taps)`, as in PyTorch; it
            must return y of shape `(N, C_out, *out)`.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding):
    ...     return ca.transposed_correlation(x.shape[2:], w, stride=stride)(x)
    >>> ca.check.transposed(mine, cases=40).diagnosis[0].code
    'padding-ignored'
    """
    return _check("transposed", f, options)


def transposed_backward(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, w, g, *, stride, padding, output_padding, dilation, groups) -> (dx, dw)`.

    Args:
        f: the function to check, which computes the gradients of a transposed correlation layer,
            called with x and w as in `transposed`, and with g of the shape of y; it must return dx
            of the shape of x, and dw of the shape of w, summed over the batch.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, w, g, stride):
    ...     layer = ca.transposed_correlation(x.shape[2:], w, stride=stride)
    ...     return layer.T(g), layer.kernel_gradient(x, g)
    >>> ca.check.transposed_backward(mine, cases=20)
    <mine: all 20 configurations pass>
    """
    return _check("transposed_backward", f, options)


def average_pool(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, *, size, stride, padding, ceil_mode, count_include_pad) -> y`.

    Args:
        f: the function to check, an average pooling, called with x of shape `(N, C, *spatial)`; it
            must return y of shape `(N, C, *out)`.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, size, stride, padding, count_include_pad):
    ...     options = {"stride": stride, "padding": padding, "channels": x.shape[1]}
    ...     return ca.average_pool(x.shape[2:], size, **options)(x)
    >>> ca.check.average_pool(mine, cases=40).diagnosis[0].code
    'divisor-counts-padding'
    """
    return _check("average_pool", f, options)


def average_pool_backward(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, g, *, size, stride, padding, ceil_mode, count_include_pad) -> dx`.

    Args:
        f: the function to check, which computes the gradient of an average pooling, called with x
            as in `average_pool` and with g of the shape of y; it must return dx of the shape of x.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, g, size):
    ...     return ca.sum_pool(x.shape[2:], size, stride=1, channels=x.shape[1]).T(g)
    >>> ca.check.average_pool_backward(mine, cases=20).diagnosis[0].code
    'divisor-missing'
    """
    return _check("average_pool_backward", f, options)


def max_pool(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, *, size, stride, padding, dilation, ceil_mode) -> y`.

    Args:
        f: the function to check, a max pooling, called with x of shape `(N, C, *spatial)`; it must
            return y of shape `(N, C, *out)`.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, size, stride, padding):
    ...     padded = ca.pad(x.shape[2:], padding, channels=x.shape[1])(x)
    ...     return ca.max_pool(padded.shape[2:], size, stride=stride, channels=x.shape[1])(padded)
    >>> ca.check.max_pool(mine, cases=40).diagnosis[0].code
    'max-padding-zero'
    """
    return _check("max_pool", f, options)


def max_pool_backward(f: object, **options: Unpack[SweepOptions]) -> Report:
    """Check `f(x, g, *, size, stride, padding, dilation, ceil_mode) -> dx`.

    Args:
        f: the function to check, which computes the gradient of a max pooling, called with x as in
            `max_pool` and with g of the shape of y; it must return dx of the shape of x. The
            gradient of a window belongs to the first of equal maxima.
        options: the options of `SweepOptions`, as in `forward`.

    Returns:
        The report, which is true if every configuration passed.

    Raises:
        KindError: as in `forward`.
        ArgumentError: as in `forward`.

    >>> import convalg as ca
    >>> def mine(x, g, size, stride):
    ...     pool = ca.max_pool(x.shape[2:], size, stride=stride, channels=x.shape[1])
    ...     return pool.gradient(x, g)
    >>> ca.check.max_pool_backward(mine, cases=20)
    <mine: all 20 configurations pass>
    """
    return _check("max_pool_backward", f, options)


def _check(name: str, f: object, options: SweepOptions) -> Report:
    """Return the report of a check, with defaults for the options that are not given."""
    unknown = [option for option in options if option not in SweepOptions.__annotations__]
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
    sweep = Sweep(options.get("progress"), options.get("jobs"), options.get("timeout", TIMEOUT))
    dims, cases = counts(options.get("dims", 2), options.get("cases", CASES))
    return report_on(candidate(f, KINDS[name]), dims, cases, sweep)
