"""A function applied to many items, in this process or by the workers of joblib.

The results and their order do not depend on the workers. joblib uses processes on this machine,
unless `joblib.parallel_config(backend=...)` selects another backend, such as "threading" or the
backend of a Dask or Ray cluster.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from convalg.arguments import shown
from convalg.errors import ArgumentError, KindError

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_JOBS = 4096
"""The largest number of workers."""

BLOCK = 8
"""The number of items per worker in a block; after an error, no further block is started."""


def each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int | None = None,
    *,
    timeout: float | None = None,
    lost: Callable[[Item, Exception], Result] | None = None,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, as soon as it is computed.

    Args:
        function: Function of one item.
        items: The items.
        jobs: None or 1 for this process, otherwise `n_jobs` of joblib, such as -1 for all workers.
        timeout: Time limit of a worker for one item in seconds; None for no limit.
        lost: Function `lost(item, error)` that returns the result of an item whose worker exceeds
            the time limit or dies; None to raise the error.

    Raises:
        ArgumentError: when `jobs` is not a valid number of workers.
        KindError: when the function cannot be sent to the workers.

    >>> list(each(str, [1, 2, 3]))
    ['1', '2', '3']
    """
    checked(jobs)
    if jobs is None or jobs == 1:
        yield from map(function, items)
        return
    from joblib import Parallel, delayed, effective_n_jobs

    task = delayed(_sendable(function))

    def results(block: Sequence[Item]) -> list[Result]:
        answers: list[Result] = Parallel(n_jobs=jobs, timeout=timeout)(map(task, block))
        return answers

    size = BLOCK * effective_n_jobs(jobs)
    for start in range(0, len(items), size):
        block = items[start : start + size]
        try:
            answers = results(block)
        except _losses():
            if lost is None:
                raise
        else:
            yield from answers
            continue
        # The items run one at a time, to determine which of them was lost.
        for item in block:
            try:
                (one,) = results([item])
            except _losses() as error:
                one = lost(item, error)
            yield one


def checked(jobs: int | None) -> None:
    """Raise ArgumentError for an invalid number of workers.

    >>> checked(0)
    Traceback (most recent call last):
    convalg.errors.ArgumentError: jobs must be a number of workers, or -1 for all workers, not 0
    """
    if jobs is None:
        return
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 0 < abs(jobs) <= MOST_JOBS:
        raise ArgumentError(
            f"jobs must be a number of workers, or -1 for all workers, not {shown(jobs)}"
        )


def timed_out(error: Exception) -> bool:
    """Return whether the error reports a time limit that was exceeded, and not a dead worker."""
    import multiprocessing

    return isinstance(error, multiprocessing.TimeoutError)


def _losses() -> tuple[type[Exception], ...]:
    """Return the exceptions that joblib raises when a worker takes too long or dies.

    The Dask backend of joblib reports a dead worker as a timeout.
    """
    import multiprocessing

    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return multiprocessing.TimeoutError, TerminatedWorkerError


def _sendable(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """Return the function in a form that can be sent to the workers of the active backend."""
    import cloudpickle
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if getattr(backend, "supports_sharedmem", False):
        return function
    try:
        return _Sent(cloudpickle.dumps(function))
    # An object that the function refers to may raise any of these errors when it is pickled.
    except (pickle.PicklingError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise KindError(
            f"jobs needs a function that can be sent to other processes, but this one cannot be "
            f"pickled ({error}): remove its reference to this object, or use "
            f"joblib.parallel_config(backend='threading')"
        ) from error


class _Sent:
    """A pickled function that each worker unpickles once."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled

    def __call__(self, item: object) -> Any:
        return _received(self._pickled)(item)


@lru_cache(maxsize=4)
def _received(pickled: bytes) -> Callable[[Any], Any]:
    """Unpickle a function, or raise KindError if the worker cannot import its module."""
    try:
        function: Callable[[Any], Any] = pickle.loads(pickled)
    except (pickle.UnpicklingError, ImportError, AttributeError) as error:
        raise KindError(
            f"a worker cannot load the function ({error}): its module must be importable there too"
        ) from error
    return function
