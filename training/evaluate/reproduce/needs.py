"""What a reproduction will take, said before it starts; and where it computes, refused where that is a mistake."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.cohort.batch import free_bytes
from training.evaluate.reproduce.plan import Entry, Size
from training.evaluate.reproduce.throughput import MACHINE_FILE
from training.issues import InputError, error
from training.models.execute import find_device
from training.words import counted

VOXEL_BYTES = 2
"""CTs are kept as int16; compressed or not, they take no more than that."""

TIMES_KEPT = 2
"""Phantoms of the cohort are kept twice: as files, and prepared for the networks."""


def disk_bytes(size: Size) -> int:
    """Return how much disk the phantoms take at most; models, stores and results are small beside them."""
    voxels = math.prod(size.pretraining().input.shape)
    return voxels * VOXEL_BYTES * (TIMES_KEPT * size.cases + size.pretraining_cases)


def needs(size: Size, entries: Sequence[Entry], folder: Path, device: str) -> tuple[str, ...]:
    """Return in lines what a reproduction in ``folder`` will take, on the device of :func:`on_device`."""
    shape = " x ".join(map(str, size.pretraining().input.shape))
    untrained = sum(entry.baseline == entry.name for entry in entries)
    where = "the CPU" if find_device(device)[0].type == "cpu" else "a GPU"
    space = f"{disk_bytes(size) / 1e9:.1f} GB of disk ({free_bytes(folder) / 1e9:.1f} GB are free)"
    return (
        f"To do: {counted(1 + len(entries), 'network')} of {shape} voxels: a trunk on "
        f"{counted(size.pretraining_cases, 'phantom')} for {counted(size.pretraining_epochs, 'epoch')}, then "
        f"{len(entries)} on a cohort of {counted(size.cases, 'phantom')} for {counted(size.epochs, 'epoch')} each; "
        f"{counted(len(entries) + untrained, 'store')}, {untrained} of them by untrained networks.",
        f"It takes up to {space}, and computes on {where}. What is done already is not done again.",
    )


def check_disk(size: Size, folder: Path) -> None:
    """Refuse to begin where the disk cannot hold it; one that was begun goes on, and notices a full disk itself.

    Raises
    ------
    InputError
        Code ``disk-full``.
    """
    needed, free = disk_bytes(size), free_bytes(folder)
    if needed > free and not (folder / MACHINE_FILE).is_file():
        fact = f"it can take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise InputError(error("disk-full", fact, "Free some space, or choose another disk."))


def on_device(size: Size, device: str) -> Size:
    """Return ``size`` computed on ``device``.

    Raises
    ------
    InputError
        ``device`` is a GPU that is not there; or it is ``auto``, there is no GPU, and the size is for one.
    """
    found, notices = find_device(device)
    if notices and device != "auto":
        raise InputError(error("no-gpu", f"there is no device {device} here", "Give --device cpu, or leave it out."))
    if device == "auto" and size.needs_gpu and found.type == "cpu":
        fact = "no GPU was found, and networks of the paper's size take weeks on a CPU"
        way_out = "Give --device cpu to do it all the same, or --size small for what two cores do within an hour."
        raise InputError(error("no-gpu", fact, way_out))
    # A run that was begun with auto goes on with the name of the same device, and the other way round.
    return size if found == find_device("auto")[0] else replace(size, device=device)
