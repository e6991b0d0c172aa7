"""Work in threads, whose results come in the order of the work."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_MOST_THREADS = 16


def usable_cores() -> int:
    """Return the number of threads that are worth having here."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    return min(os.cpu_count() or 1, _MOST_THREADS)


def in_order(
    work: Callable[[_Task], _Result], tasks: Iterable[_Task], threads: int | None = None
) -> Generator[_Result]:
    """Yield what `work` makes of each task, in order; a few are worked on ahead.

    `threads` is one per usable core by default.  What a task raises comes out in its place.  However it ends (close it
    where it may end early), no task is begun any more and the threads have stopped.
    """
    threads = threads or usable_cores()
    pending: deque[Future[_Result]] = deque()
    executor = ThreadPoolExecutor(threads)
    try:
        for task in tasks:
            pending.append(executor.submit(work, task))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


class Buffer(threading.local):
    """A buffer for each thread that asks for it, made once: making one anew for every task takes time."""

    def __init__(self, size: int) -> None:
        """`size` is in bytes."""
        self.view = memoryview(bytearray(size))
