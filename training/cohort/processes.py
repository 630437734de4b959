"""Work that is worked out by several processes, seed by seed: in order, stopped cleanly, never left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from types import FrameType
from typing import TypeVar

from training.issues import Cancelled

Stop = Callable[[], bool]
T = TypeVar("T")


def in_processes(
    work: Callable[[int], T],
    seeds: Sequence[int],
    processes: int,
    cancelled: Stop | None = None,
    begin: Callable[[], None] | None = None,
) -> Iterator[T]:
    """Yield ``work(seed)`` for every seed, in order, worked out by ``processes`` processes.

    With one process the work is done in this one. ``work`` and what it returns must be picklable otherwise. Only a few
    results wait to be taken at any time. Ctrl-C stops what the processes are at, as it stops this one; they end with it
    if it is killed.

    Parameters
    ----------
    begin
        Called in every process as it starts; not with one process.

    Raises
    ------
    Cancelled
        If ``cancelled`` said so before a result was due.
    """
    if processes == 1:
        results: Iterator[T] = map(work, seeds)
        yield from _until(results, cancelled)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (begin,)) as pool:
        try:
            yield from _until(_few_ahead(pool, partial(_interruptible, work), seeds, 4 * processes), cancelled)
        finally:
            pool.shutdown(cancel_futures=True)


def _few_ahead(pool: ProcessPoolExecutor, work: Callable[[int], T], seeds: Sequence[int], ahead: int) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    for seed in seeds:
        waiting.append(pool.submit(work, seed))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _until(results: Iterator[T], cancelled: Stop | None) -> Iterator[T]:
    while True:
        if cancelled is not None and cancelled():
            raise Cancelled
        try:
            result = next(results)
        except StopIteration:
            return
        yield result


class _Interrupt:
    """Ctrl-C in a worker: what is being worked out is given up, and nothing more is begun; the worker says nothing."""

    def __init__(self) -> None:
        self.asked = self.working = False

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as signals are handled
        """Take the signal; a second one disturbs no tidying up."""
        first, self.asked = not self.asked, True
        if first and self.working:
            raise KeyboardInterrupt


def _begin(begin: Callable[[], None] | None) -> None:
    """Prepare a worker."""
    signal.signal(signal.SIGINT, _Interrupt())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """End a worker whose parent was killed; what it had half written is removed when it is written again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _interruptible(work: Callable[[int], T], seed: int) -> T:
    """Return ``work(seed)`` in a worker, unless Ctrl-C was pressed."""
    interrupt = signal.getsignal(signal.SIGINT)
    if not isinstance(interrupt, _Interrupt):
        return work(seed)
    if interrupt.asked:
        raise Cancelled
    interrupt.working = True
    try:
        return work(seed)
    finally:
        interrupt.working = False
