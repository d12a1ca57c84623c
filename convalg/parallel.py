"""Independent pieces of work, in this process or by joblib's workers: same results, same order.

joblib chooses the workers: processes of this machine unless `joblib.parallel_config(backend=...)`
names another backend, such as "threading", or that of a Dask or Ray cluster.
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
"""Pieces per worker that are submitted at once: after an error no further block is started."""


def each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int | None = None,
    *,
    timeout: float | None = None,
    lost: Callable[[Item, Exception], Result] | None = None,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, as soon as it is computed.

    `jobs`: None or 1 for this process, otherwise `n_jobs` of joblib, such as -1 for all workers.
    `timeout`: seconds that a worker may take for an item. `lost(item, error)` gives the result of
    an item that takes longer or whose worker dies; without it the error is raised.
    Raises: ArgumentError for other `jobs`, KindError for a function that cannot be sent to workers.

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
        # Run one at a time, the item that was lost shows itself.
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
    convalg.errors.ArgumentError: jobs must be a number of workers, or -1 for all there are, not 0
    """
    if jobs is None:
        return
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 0 < abs(jobs) <= MOST_JOBS:
        raise ArgumentError(
            f"jobs must be a number of workers, or -1 for all there are, not {shown(jobs)}"
        )


def timed_out(error: Exception) -> bool:
    """Return whether the error is a timeout rather than a worker that died."""
    import multiprocessing

    return isinstance(error, multiprocessing.TimeoutError)


def _losses() -> tuple[type[Exception], ...]:
    """Return the exceptions that joblib raises when a worker takes too long or dies.

    joblib's backend for Dask reports a worker that dies as a timeout.
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
    # An object that a function refers to may refuse to be pickled with any of these errors.
    except (pickle.PicklingError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise KindError(
            f"jobs needs a function that can be sent to other processes, but this one cannot "
            f"({error}): remove what it refers to, or use "
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
    """Unpickle a function. Raises: KindError where the worker cannot import what it needs."""
    try:
        function: Callable[[Any], Any] = pickle.loads(pickled)
    except (pickle.UnpicklingError, ImportError, AttributeError) as error:
        raise KindError(
            f"a worker cannot load the function ({error}): its module must be importable there too"
        ) from error
    return function
