"""How fast everything went: training and explaining, waiting for data, and memory, from what the runs left behind."""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import training
from training.cohort.results import open_store
from training.fit.log import EPOCHS_FILE
from training.io.atomic import atomic_path
from training.issues import InputError, error

MACHINE_FILE, MEMORY_FILE = "machine.json", "memory.json"


def note_machine(folder: Path) -> str:
    """Return what computes here, in words, as the run in ``folder`` first noted it."""
    place = folder / MACHINE_FILE
    if not place.is_file():
        gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
        versions = f"torch {torch.__version__}, package {training.__version__}"
        _write(place, {"machine": f"{gpu}{platform.machine()}, {os.cpu_count()} cores, {versions}"})
    return str(read_notes(place).get("machine", "an unknown machine"))


@contextmanager
def gpu_memory_noted(folder: Path) -> Iterator[None]:
    """Note in ``folder`` the most GPU memory that the block had allocated; nothing without CUDA."""
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.reset_peak_memory_stats()
    yield
    _write(folder / MEMORY_FILE, {"gpu_bytes": torch.cuda.max_memory_allocated()})


def speed_of(folder: Path, store: Path) -> dict[str, float | None]:
    """Return what a network's training in ``folder`` and its explaining into ``store`` took.

    Returns
    -------
    dict
        ``training_ct_per_second`` (median over epochs, validation left out), ``data_wait_share`` of the training time,
        ``inference_seconds`` (preprocessing, network and maps of all labels; median over cases, one process),
        ``inference_rss_bytes`` (largest of any process), ``training_gpu_bytes`` (None without CUDA).
    """
    with (folder / EPOCHS_FILE).open(newline="", encoding="utf-8") as stream:
        epochs = list(csv.DictReader(stream))
    opened = open_store(store)
    details = [opened.details(case) for case in opened.cases]
    memory = folder / MEMORY_FILE
    return {
        "training_ct_per_second": statistics.median(float(row["cases_per_second"]) for row in epochs),
        "data_wait_share": statistics.mean(float(row["data_wait_share"]) for row in epochs),
        "inference_seconds": statistics.median(sum(one["seconds"].values()) for one in details),
        "inference_rss_bytes": max(one["peak_rss_bytes"] for one in details),
        "training_gpu_bytes": float(read_notes(memory)["gpu_bytes"]) if memory.is_file() else None,
    }


def speed_cells(speed: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return a row of the page's table, in the order of ``SPEED_HEAD``."""
    rate, wait, seconds = (speed[k] or 0.0 for k in ("training_ct_per_second", "data_wait_share", "inference_seconds"))
    rss, gpu = speed["inference_rss_bytes"] or 0.0, speed["training_gpu_bytes"]
    ahead = f"{1 / seconds:.1f}" if seconds else "n/a"
    return (
        f"{rate:.1f}",
        f"{100 * wait:.0f}",
        ahead,
        f"{rss / 1e9:.1f} GB",
        "n/a" if gpu is None else f"{gpu / 1e9:.1f} GB",
    )


SPEED_HEAD = ("training, CT/s", "waiting for data", "explaining, CT/s", "memory, explaining", "GPU memory, training")


def _write(place: Path, content: Mapping[str, Any]) -> None:
    with atomic_path(place) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")


def read_notes(place: Path) -> dict[str, Any]:
    """Return what a reproduction noted in a JSON file.

    Raises
    ------
    InputError
        If it is no file of a reproduction.
    """
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (ValueError, OSError) as failure:
        raise _foreign(place) from failure
    if not isinstance(found, dict):
        raise _foreign(place)
    return found


def _foreign(place: Path) -> InputError:
    way_out = "Choose another folder; or remove the file, if it is this program's: it is then made again."
    return InputError(error("not-a-reproduction", "is damaged, or no file of a reproduction", way_out, place.name))
