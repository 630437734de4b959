"""What a worker does with one case of a cohort: read, explain, find the organs, leave the result beside the store."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from training.cohort.jobs import worker_number
from training.cohort.kept_organs import Examined, examined
from training.cohort.results.fill import write_pending
from training.cohort.results.layout import Layout
from training.cohort.results.organs import organ_arrays
from training.cohort.sources.base import Record, Source
from training.explain.explainer import MapVariant, explain
from training.geometry import Geometry
from training.io.privacy import exported
from training.issues import InputError, error
from training.models import Model, load_model
from training.partition import segment_organs
from training.partition.segment import chest_check
from training.partition.segment.organs import Backend
from training.volume import Volume

Organs = Literal["morphology", "lungmask", "totalsegmentator", "none"]
"""How organs are found where a cohort has no masks of its own."""

STOPPING = frozenset({"disk-full", "disk-failure", "not-writable", "other-model"})
"""Codes of issues that every further case would meet too."""


@dataclass(frozen=True, eq=False)
class Job:
    """One case and its row in the store."""

    row: int
    record: Record


@dataclass(frozen=True, eq=False)
class Work:
    """What a worker needs for any case.

    Parameters
    ----------
    store
        Folder of the store, as every worker sees it.
    source
        Reads the CTs.
    model, sha256
        The model by name or file, and the hash it must have.
    layout
        Of the store.
    device, precision, maps
        As for :func:`training.explain.explain`.
    organs, heuristic
        As for :class:`training.cohort.batch.BatchSettings`.
    organ_cache
        As for :class:`training.cohort.batch.BatchSettings`.
    """

    store: Path
    source: Source
    model: str
    sha256: str
    layout: Layout
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    maps: MapVariant = "own"
    organs: Organs = "morphology"
    heuristic: Literal["paper", "authors"] = "paper"
    organ_cache: Path | None = None


@dataclass(frozen=True)
class Report:
    """What became of one case: None, or why it failed, and whether every other case would fail for the same reason."""

    failure: str | None = None
    is_stopping: bool = False


def explain_job(work: Work, job: Job) -> Report:
    """Explain one case and leave its result to be gathered; whatever goes wrong is told, without names of files."""
    try:
        _explain(work, job)
    except InputError as refusal:
        words = " ".join(str(replace(issue, file=None)).partition(": ")[2] for issue in refusal.issues)
        return Report(words, any(issue.code in STOPPING for issue in refusal.issues))
    except Exception as failure:  # noqa: BLE001 - a case that breaks is reported, the others go on
        return Report(unexpected(failure))
    return Report()


def unexpected(failure: BaseException) -> str:
    """Return what broke and where in the program; not what it said, which may name a file."""
    frames = [
        frame for frame in traceback.extract_tb(failure.__traceback__) if "training" in Path(frame.filename).parts
    ]
    where = f" at {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"an unexpected {type(failure).__name__}{where}"


def _explain(work: Work, job: Job) -> None:
    use_own_gpu()
    model = _model(work.model)
    if model.sha256 != work.sha256:
        fact = "the model is another one here, or has changed since the run began"
        raise InputError(error("other-model", fact, "Give every worker the same file, and leave it as it is."))
    volume = work.source.read(job.record)
    found = _examined(work, job.record, volume)
    volume = volume.with_issues(*found.checks)
    case = explain(model, volume, work.device, work.precision, maps=work.maps)
    organs, quality = _for_store(work, found, case.input_geometry)
    write_pending(work.store, job.row, work.layout, case, organs, quality)


def use_own_gpu() -> None:
    """Where one machine has several GPUs, let every worker process on it use another."""
    if torch.cuda.is_available() and torch.cuda.device_count() > 1:
        torch.cuda.set_device(worker_number() % torch.cuda.device_count())


@lru_cache(maxsize=1)
def _model(name: str) -> Model:
    return load_model(name)


def _examined(work: Work, record: Record, volume: Volume) -> Examined:
    """Return the organs of a case, if the store keeps any, and whether it looks like a chest."""
    keeps_organs = "organs" in work.layout.arrays() and work.organs != "none"
    settings = (_backend(work, record), work.heuristic) if keeps_organs else ("none",)

    def make() -> Examined:
        organs = None
        if keeps_organs:
            backend = _backend(work, record)
            organs = segment_organs(volume, backend, heuristic=work.heuristic, mask_path=record.organs)
        return Examined(organs, chest_check(volume))

    return examined(work.organ_cache, record, volume, settings, make)


def _backend(work: Work, record: Record) -> Backend:
    """Return how organs are found: from the cohort's own masks where it has them."""
    if record.organs is not None or work.organs == "none":
        return "file"
    return work.organs


def _for_store(
    work: Work, found: Examined, image: Geometry
) -> tuple[Mapping[str, npt.NDArray[np.uint8]] | None, dict[str, Any] | None]:
    """Return the organs of a case as a store keeps them, and their quality."""
    if found.organs is None:
        return None, None
    qc = found.organs.qc
    quality = {**qc.to_dict(), "reasons": exported(qc.reasons)}
    return organ_arrays(found.organs, image, work.layout.cells, work.layout.n_groups), quality
