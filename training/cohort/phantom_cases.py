"""Phantoms as training cases: made once by several processes, kept in one array on disk, mapped from there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from training.cohort.phantom import PLANTABLE, Phantom, PhantomGrid, make_phantom
from training.cohort.processes import Stop, in_processes
from training.fit.cases import ArrayCases
from training.io.atomic import atomic_path
from training.preprocess import InputSpec, prepare

BLOCK_PX = 4
"""Rows and columns of the blocks in which the findings' places are kept: half the distance of the finest cells."""

VOLUMES_FILE, TARGETS_FILE, PLACES_FILE, SEEDS_FILE = "volumes.npy", "targets.npy", "places.npy", "seeds.json"

Progress = Callable[[int, int, str], None]


def grid_of(spec: InputSpec) -> PhantomGrid:
    """Return the phantom grid on which ``spec`` needs no resampling."""
    return PhantomGrid(spec.shape, spec.spacing_mm)


class PhantomCase(NamedTuple):
    """A phantom for training: int16 HU on the model's grid; targets and places in the order of ``PLANTABLE``."""

    hu: npt.NDArray[np.int16]
    targets: list[int]
    places: npt.NDArray[np.uint8]


def phantom_case(seed: int, spec: InputSpec) -> PhantomCase:
    """Return the phantom of ``seed`` on the grid of ``spec``."""
    phantom = make_phantom(seed, grid_of(spec))
    targets = [phantom.labels[name] for name in PLANTABLE]
    return PhantomCase(prepare(phantom.volume, spec).hu, targets, places_of(phantom, spec))


def blocks_of(spec: InputSpec) -> tuple[int, int, int]:
    """Return into how many blocks of ``BLOCK_PX`` (slice groups along the first axis) the grid of ``spec`` is cut."""
    slices, rows, columns = spec.shape
    return (slices // spec.group, -(-rows // BLOCK_PX), -(-columns // BLOCK_PX))


def places_of(phantom: Phantom, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Return in which blocks the findings are: uint8 [M, *blocks], 1 where a finding of the label has a voxel."""
    places = np.zeros((len(PLANTABLE), *blocks_of(spec)), dtype=np.uint8)
    for finding in phantom.findings:
        s, r, c = finding.voxels().T
        places[PLANTABLE.index(finding.label), s // spec.group, r // BLOCK_PX, c // BLOCK_PX] = 1
    return places


def phantom_cases(
    folder: Path,
    seeds: Sequence[int],
    spec: InputSpec,
    processes: int = 1,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
) -> ArrayCases:
    """Return phantoms of ``seeds``; taken from ``folder`` if they are there already, else made and left there.

    Raises
    ------
    Cancelled
        If ``cancelled`` said so; nothing is left behind.
    """
    content = {"seeds": list(seeds), "spec": spec.to_dict(), "labels": list(PLANTABLE), "block_px": BLOCK_PX}
    if not _holds(folder, content):
        with atomic_path(folder) as partial_folder:
            partial_folder.mkdir()
            started = time.perf_counter()
            _make(partial_folder, seeds, spec, processes, progress, cancelled)
            about = {**content, "seconds": time.perf_counter() - started}
            (partial_folder / SEEDS_FILE).write_text(json.dumps(about), encoding="utf-8")
    volumes = np.load(folder / VOLUMES_FILE, mmap_mode="r", allow_pickle=False)
    ids = tuple(f"phantom-{seed}" for seed in seeds)
    targets = np.load(folder / TARGETS_FILE, allow_pickle=False)
    places = np.load(folder / PLACES_FILE, mmap_mode="r", allow_pickle=False)
    return ArrayCases(volumes, targets, PLANTABLE, ids, places)


def _holds(folder: Path, content: Mapping[str, object]) -> bool:
    if not (folder / SEEDS_FILE).is_file():
        return False
    kept = _about(folder)
    return bool({key: kept.get(key) for key in content} == json.loads(json.dumps(content)))


def _about(folder: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((folder / SEEDS_FILE).read_text(encoding="utf-8"))
    return about


def seconds_to_make(folder: Path) -> float:
    """Return how long making the phantoms in ``folder`` took."""
    return float(_about(folder)["seconds"])


def _make(
    folder: Path,
    seeds: Sequence[int],
    spec: InputSpec,
    processes: int,
    progress: Progress | None,
    cancelled: Stop | None,
) -> None:
    shape = (len(seeds), *spec.shape)
    volumes = np.lib.format.open_memmap(folder / VOLUMES_FILE, mode="w+", dtype=np.int16, shape=shape)
    targets = np.zeros((len(seeds), len(PLANTABLE)), dtype=np.float32)
    blocks = (*targets.shape, *blocks_of(spec))
    places = np.lib.format.open_memmap(folder / PLACES_FILE, mode="w+", dtype=np.uint8, shape=blocks)
    made = in_processes(partial(phantom_case, spec=spec), seeds, processes, cancelled, one_thread)
    for row, case in enumerate(made):
        volumes[row], targets[row], places[row] = case
        if progress is not None:
            progress(row + 1, len(seeds), "making phantoms")
    volumes.flush()
    places.flush()
    np.save(folder / TARGETS_FILE, targets)


def one_thread() -> None:
    """Leave the other cores to the other processes."""
    torch.set_num_threads(1)
