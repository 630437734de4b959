"""One process, or many under torchrun with the same command: what they agree on, and asking them to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning.fabric import Fabric
from torch import nn

from training.fit.settings import RunSettings

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def n_processes() -> int:
    """Return how many processes torchrun started on all machines; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def is_main() -> bool:
    """Return True in the one process that writes and speaks."""
    return n_processes() == 1 or os.environ.get("RANK", "0") == "0"


def make_fabric(settings: RunSettings) -> Fabric:
    """Return Fabric for one device, or for this process's share of what torchrun started: DDP over NCCL or gloo."""
    count = n_processes()
    if count == 1:
        return Fabric(accelerator=settings.device, devices=1, precision=PRECISIONS[settings.precision])
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    fabric = Fabric(
        accelerator=settings.device,
        strategy="ddp",
        devices=local,
        num_nodes=count // local,
        precision=PRECISIONS[settings.precision],
    )
    fabric.launch()
    return fabric


def summed(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Return the sums of ``values`` over all processes, the same in each."""
    if fabric.world_size == 1:
        return list(values)
    found: Any = fabric.all_reduce(torch.tensor(values, dtype=torch.float64, device=fabric.device), reduce_op="sum")
    return [float(value) for value in found]


def any_of(fabric: Fabric, flag: bool) -> bool:
    """Return True in all processes if ``flag`` is True in one."""
    return summed(fabric, [float(flag)])[0] > 0


def share_buffers(fabric: Fabric, module: nn.Module) -> None:
    """Give all processes the main one's running statistics."""
    if fabric.world_size > 1:
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, 0)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether SIGINT (Ctrl-C) or SIGTERM came; a second one works as it always does.

    Signals can be listened to in a program's main thread only; elsewhere the function is always False.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in found.items() if handler is not None}  # None: not Python's

    def note(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
