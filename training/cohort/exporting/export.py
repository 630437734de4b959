"""One export, from the request to the folder with its report.

The folder appears complete or not at all. Nothing in it carries patient data unless asked; the unique identifiers by
which DICOM objects refer to their source images stay, because without them there is no reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.cohort.exporting.request import ExportCase, ExportRequest, check_request
from training.cohort.exporting.steps import OWN, IsCancelled, Work
from training.cohort.output import check_target
from training.cohort.report import REPORT_NAME, build_report, write_report
from training.cohort.run_report import file_entries, now, versions
from training.explain.result import Explanation
from training.io.atomic import atomic_path
from training.io.privacy import original_name
from training.issues import Cancelled

Progress = Callable[[int, int, str], None]


def export_case(
    out: Path,
    case: ExportCase,
    request: ExportRequest,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> dict[str, Any]:
    """Write the folder ``out``, completely or not at all, and return the report in it.

    Parameters
    ----------
    progress
        Called with (steps done, steps, stage).
    cancelled
        Asked before every step and every frame of a film.

    Raises
    ------
    InputError
        A label the model has not; maps of a model that has none; DICOM objects without DICOM images to refer to; MP4
        without its encoder; a place that must not or cannot be written.
    Cancelled
        ``cancelled`` said so; nothing was written.
    """
    check_target(out, OWN, "export")
    check_request(case, request)
    seconds: dict[str, float] = {}
    work = Work(case, request, cancelled)
    with atomic_path(out) as folder:
        folder.mkdir()
        steps = list(work.steps())
        for done, step in enumerate(steps):
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                progress(done, len(steps), step.stage)
            start = time.perf_counter()
            step.make(folder)
            seconds[step.stage] = seconds.get(step.stage, 0.0) + time.perf_counter() - start
        report = _report(case, request, work, folder, seconds)
        write_report(folder / REPORT_NAME, report)
    if progress is not None:
        progress(len(steps), len(steps), "export")
    return report


def _sums(explanation: Explanation, request: ExportRequest) -> list[dict[str, Any]]:
    """Return for every exported label what its maps add up to (over the cells), the bias and the score, score units.

    For HiResCAM ``map_sum`` + ``bias`` is the score where the model's maps carry the guarantee (equation 7).
    """
    return [
        {
            "name": label,
            "score": float(explanation.scores[explanation.labels.index(label)]),
            "bias": float(explanation.bias[explanation.labels.index(label)]),
            "map_sum": {
                method: float(explanation.map(label, method).sum(dtype=np.float64)) for method in request.style.methods
            },
        }
        for label in request.labels
    ]


def _report(
    case: ExportCase, request: ExportRequest, work: Work, folder: Path, seconds: Mapping[str, float]
) -> dict[str, Any]:
    read_as = case.explanation.with_issues(*work.issues)
    document = build_report(read_as, {"export": sum(seconds.values())}, request.style.placement)
    document["export"] = {
        "time": now(),
        "request": request.to_dict(),
        "files": file_entries(folder),
        "seconds": dict(seconds),
        "versions": versions(),
        "organs": None if work.organs is None else work.organs.qc.to_dict(),
        "sums": _sums(case.explanation, request),
    }
    if request.with_patient_data and case.origin is not None:
        document["export"]["input"] = original_name(case.origin.path)
    return document
