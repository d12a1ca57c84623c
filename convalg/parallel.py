"""Independent pieces of work, here or by joblib's workers: the results are the same, in order.

Which workers they are is joblib's to say: processes of this machine unless
`joblib.parallel_config(backend=...)` names another backend, such as "threading", or that of a
Dask or Ray cluster.
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
"""Workers that may be asked for."""

BLOCK = 8
"""Pieces per worker that are handed out at once: nothing more is begun after one that ends all."""


def each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int | None = None,
    *,
    timeout: float | None = None,
    lost: Callable[[Item, Exception], Result] | None = None,
) -> Iterator[Result]:
    """What a function makes of each item, in their order, as it comes.

    `jobs`: None or 1 in this process, else `n_jobs` of joblib, such as -1 for all workers.
    `timeout`: seconds that workers may take for an item. `lost(item, error)` stands for the
    result of one that takes longer or whose worker dies; without it such an error is raised.
    Raises: ArgumentError for other `jobs`, KindError for a function that workers cannot get.

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
        found: list[Result] = Parallel(n_jobs=jobs, timeout=timeout)(map(task, block))
        return found

    size = BLOCK * effective_n_jobs(jobs)
    for start in range(0, len(items), size):
        block = items[start : start + size]
        try:
            found = results(block)
        except _losses():
            if lost is None:
                raise
        else:
            yield from found
            continue
        # Which one was it? Alone it tells.
        for item in block:
            try:
                (one,) = results([item])
            except _losses() as error:
                one = lost(item, error)
            yield one


def checked(jobs: int | None) -> None:
    """Raises: ArgumentError for a number of workers that is none.

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
    """Whether it is the limit of time that was reached, so that no worker died."""
    import multiprocessing

    return isinstance(error, multiprocessing.TimeoutError)


def _losses() -> tuple[type[Exception], ...]:
    """What joblib raises when a worker takes too long or dies.

    With its backend for Dask a worker that dies is one that takes too long: it tells nothing.
    """
    import multiprocessing

    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return multiprocessing.TimeoutError, TerminatedWorkerError


def _sendable(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """The function as the workers of the backend in use can get it."""
    import cloudpickle
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if getattr(backend, "supports_sharedmem", False):
        return function
    try:
        return _Sent(cloudpickle.dumps(function))
    # Whatever a function holds may refuse to be pickled, by an error of its own choice.
    except (pickle.PicklingError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise KindError(
            f"jobs needs a function that can be sent to other processes, and this one cannot "
            f"({error}): leave out what it holds, or use "
            f"joblib.parallel_config(backend='threading')"
        ) from error


class _Sent:
    """A pickled function, which a worker unpickles once."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled

    def __call__(self, item: Any) -> Any:
        return _received(self._pickled)(item)


@lru_cache(maxsize=4)
def _received(pickled: bytes) -> Callable[[Any], Any]:
    """Raises: KindError where a worker lacks what the function needs."""
    try:
        function: Callable[[Any], Any] = pickle.loads(pickled)
    except (pickle.UnpicklingError, ImportError, AttributeError) as error:
        raise KindError(
            f"a worker cannot load the function ({error}): its module must be importable there too"
        ) from error
    return function
