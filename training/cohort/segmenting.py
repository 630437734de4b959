"""Segment the organs of one CT, or of many, into folders: ``organs.nii.gz`` and ``qc.json``."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from training.cohort.jobs import Done, run_jobs
from training.cohort.report import INTENDED_USE
from training.cohort.run_report import content_entry, file_entry, now, versions
from training.cohort.sources.tables import opened
from training.io import read_ct
from training.io.atomic import atomic_path, check_folder_place
from training.io.own_grid import own_grid
from training.io.write import write_nifti
from training.issues import InputError, error
from training.partition import segment_organs
from training.partition.grids import nearest_labels

ORGANS_FILE, QC_FILE, FAILURES_FILE = "organs.nii.gz", "qc.json", "failures.csv"
SCHEMA, SCHEMA_VERSION = "hirescam-organs", 1
BACKEND_PACKAGES = ("lungmask", "TotalSegmentator")


@dataclass(frozen=True)
class SegmentSettings:
    """How organs are segmented; see :func:`training.partition.segment_organs`."""

    backend: str = "morphology"
    variant: str = "default"
    heuristic: str = "paper"
    mask: Path | None = None
    series: int | None = None
    repair: bool = False


@dataclass(frozen=True)
class SegmentTask:
    """One CT and the folder its organs go to."""

    path: Path
    out: Path


def is_done(out: Path) -> bool:
    """Return True if ``out`` is a complete result; folders appear complete or not at all."""
    return (out / ORGANS_FILE).is_file() and (out / QC_FILE).is_file()


def passed(out: Path) -> bool:
    """Return True if the complete result in ``out`` passed its quality control."""
    return bool(json.loads((out / QC_FILE).read_text(encoding="utf-8"))["passed"])


def check_folder(out: Path) -> None:
    """Refuse a place that holds anything else than an earlier result.

    Raises
    ------
    InputError
        If ``out`` is a file or no folder can be made there, or a folder with other things in it.
    """
    check_folder_place(out, replaced=True)
    others = {item.name for item in out.iterdir()} - {ORGANS_FILE, QC_FILE} if out.is_dir() else set()
    if others:
        fact = "the output is a folder that holds other things than an earlier result; it is left as it is"
        raise InputError(error("output-exists", fact, "Choose a folder that does not exist yet.", out.name))


def segment_case(
    task: SegmentTask,
    settings: SegmentSettings,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Read a CT, segment it, write its folder completely or not at all, and return what ``qc.json`` holds.

    It holds the organs' numbers, and when, of what (by hash), by which versions and settings they were made.

    The label map has the grid of the input file, voxel by voxel (canonical order for DICOM and npz).
    """
    start = time.perf_counter()
    check_folder(task.out)
    volume = read_ct(task.path, settings.series, settings.repair, progress)
    organs = segment_organs(
        volume,
        settings.backend,  # type: ignore[arg-type]
        settings.variant,  # type: ignore[arg-type]
        settings.heuristic,  # type: ignore[arg-type]
        settings.mask,
        progress,
    )
    grid = own_grid(task.path) if task.path.is_file() else None
    grid = grid or volume.geometry
    labels = nearest_labels(organs.labels, organs.geometry, grid)
    report = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "intended_use": INTENDED_USE,
        "time": now(),
        "case": volume.case_id,
        **organs.qc.to_dict(),
        "provenance": volume.provenance.to_dict(),
        "request": _request(settings),
        "versions": versions(*BACKEND_PACKAGES),
        "geometry": grid.to_dict(),
        "values": {"1": "right lung", "2": "left lung", "3": "mediastinum"},
        "seconds": round(time.perf_counter() - start, 2),
        "issues": [{**issue.to_dict(), "file": None} for issue in volume.issues],
        "words": "Made by a program for research; not for clinical use.",
    }
    with atomic_path(task.out) as folder:
        folder.mkdir()
        write_nifti(folder / ORGANS_FILE, labels, grid)
        report["file"] = file_entry(folder / ORGANS_FILE, folder)
        (folder / QC_FILE).write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


def _request(settings: SegmentSettings) -> dict[str, Any]:
    """Return what was asked for; a mask by what it holds, as its name may say whose it is."""
    mask = settings.mask
    files = (
        [] if mask is None else [mask] if mask.is_file() else sorted(one for one in mask.rglob("*") if one.is_file())
    )
    return {
        "backend": settings.backend,
        "variant": settings.variant,
        "heuristic": settings.heuristic,
        "series": settings.series,
        "repair": settings.repair,
        "mask": [content_entry(file) for file in files],
    }


def read_tasks(table: Path, out: Path) -> list[SegmentTask]:
    """Return the tasks of a CSV with columns ``case`` and ``path`` (relative paths start at the table's folder).

    Raises
    ------
    InputError
        If it cannot be read, a column is missing, a case is named twice, or a case's name cannot be a folder's.
    """
    with opened(table) as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"case", "path"} <= set(rows[0]):
        raise InputError(error("bad-table", "needs the columns case and path.", "Add them.", table.name))
    cases = [row["case"] for row in rows]
    bad = sorted({c for c in cases if cases.count(c) > 1 or not c or Path(c).name != c or c in (".", "..")})
    if bad:
        fact = f"has cases that are named twice or cannot name a folder: {', '.join(bad[:10])}"
        raise InputError(error("bad-table", fact, "Give every case a plain name of its own.", table.name))
    return [SegmentTask((table.parent / row["path"]).resolve(), out / row["case"]) for row in rows]


def segment_many(
    tasks: Sequence[SegmentTask],
    settings: SegmentSettings,
    client: Any,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Done[SegmentTask, dict[str, Any]]]:
    """Segment what is not done yet, in parallel; a case that fails is told and stops nothing."""
    waiting = [task for task in tasks if not is_done(task.out)]
    yield from run_jobs(partial(segment_case, settings=settings), waiting, client, cancelled)


def write_failures(out: Path, failures: Sequence[tuple[str, str]]) -> Path:
    """Write (case, reason) rows to ``failures.csv`` in ``out`` and return its path."""
    path = out / FAILURES_FILE
    with atomic_path(path) as partial_path, partial_path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("case", "reason"), *failures])
    return path
