"""Many independent cases in parallel through dask.distributed, a local cluster or a real one.

One bad case never stops the others: it comes back as a failure with its reason. Results come as they are done.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from training.issues import Cancelled, InputError, error

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD_PER_WORKER = 3
"""How many cases are handed out per worker before results come back; bounds the memory of the scheduler."""


WORKER_BYTES = 4_000_000_000
"""Memory that a process which explains full-size CTs on the CPU may need."""


def default_workers(device: str = "auto") -> int:
    """Return how many processes this machine is good for: one a GPU, else one a core as far as memory goes."""
    import torch
    from distributed.system import MEMORY_LIMIT

    if device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.cuda.device_count()
    fit = int(MEMORY_LIMIT // WORKER_BYTES)
    return max(1, min(os.cpu_count() or 1, fit))


def worker_number() -> int:
    """Return the number of the local worker that runs this, from 0; 0 elsewhere."""
    from distributed import get_worker

    try:
        name = get_worker().name
    except ValueError:  # not in a worker
        return 0
    return int(name) if str(name).isdecimal() else 0


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """One finished case: its result, or the reason why there is none."""

    item: Item
    result: Result | None
    failure: str | None = None


@contextmanager
def cluster(workers: int | None = None, scheduler: str | None = None) -> Iterator[Any]:
    """Yield a dask client: of ``scheduler`` ("tcp://host:8786"), or of processes on this machine.

    Raises
    ------
    InputError
        If the scheduler does not answer.
    """
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with _reached(scheduler) as client:
            yield client
        return
    count = workers or os.cpu_count() or 1
    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            silence_logs=logging.CRITICAL,
        ) as local,
        Client(local) as client,
    ):
        yield client


@contextmanager
def _reached(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, TimeoutError, ValueError) as problem:
        way_out = "Start one with `dask scheduler`, or leave out --scheduler to use this machine."
        raise InputError(error("no-scheduler", f"no dask scheduler answers at {scheduler}.", way_out)) from problem
    with client:
        yield client


def run_jobs(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    client: Any,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Done[Item, Result]]:
    """Yield each case as it is done, in any order.

    Parameters
    ----------
    function
        Runs in a worker process, so it and its items must pickle; an exception becomes ``Done.failure``.
    cancelled
        Asked after every case; stopping drops what is under way.

    Raises
    ------
    Cancelled
        If the user stopped it.
    InputError
        If the scheduler is gone.
    """
    from distributed import as_completed

    waiting = iter(items)
    workers = max(1, len(client.scheduler_info()["workers"]))
    under_way: dict[Any, Item] = {}
    queue = as_completed(())

    def hand_out(count: int) -> None:
        for item in islice(waiting, count):
            future = client.submit(_guarded, function, item, pure=False)
            under_way[future.key] = item
            queue.add(future)

    hand_out(AHEAD_PER_WORKER * workers)
    for future in queue:
        item = under_way.pop(future.key)
        result, failure = _answer(future)
        future.release()
        yield Done(item, result, failure)
        if cancelled is not None and cancelled():
            raise Cancelled("stopped by the user")
        hand_out(1)


def _answer(future: Any) -> Any:
    """Return (result, failure); a case whose worker was killed again and again (memory) is a failure.

    Raises
    ------
    InputError
        If the scheduler is gone.
    """
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        return future.result()
    except KilledWorker:
        return None, "the process that worked on it was killed, perhaps for its use of memory"
    except FutureCancelledError as lost:
        way_out = "Start it again, then this command: it goes on where it stopped."
        raise InputError(error("scheduler-lost", "the connection to the dask scheduler was lost", way_out)) from lost


def run_here(
    function: Callable[[Item], Result], items: Iterable[Item], cancelled: Callable[[], bool] | None = None
) -> Iterator[Done[Item, Result]]:
    """Yield each case as :func:`run_jobs` does, one after another in this process."""
    for item in items:
        yield Done(item, *_guarded(function, item))
        if cancelled is not None and cancelled():
            raise Cancelled("stopped by the user")


def _guarded(function: Callable[[Item], Result], item: Item) -> tuple[Result | None, str | None]:
    try:
        return function(item), None
    except InputError as refusal:
        return None, str(refusal)
    except Exception as failure:  # noqa: BLE001 - a case that breaks is reported, the others go on
        return None, f"{type(failure).__name__}: {failure}"
