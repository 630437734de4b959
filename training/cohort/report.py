"""``report.json``: what one explained CT has to say, for machines and for the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.explain.result import Explanation
from training.io.atomic import atomic_path
from training.io.privacy import exported
from training.labels import display_name

REPORT_NAME = "report.json"
SCHEMA = "hirescam-report"
SCHEMA_VERSION = 2
INTENDED_USE = "Research only, not for clinical use."
STAGES = ("read", "preprocess", "trunk", "maps", "write")
"""Every stage whose wall time is reported, in order."""


def build_report(
    case: Explanation, seconds: Mapping[str, float] | None = None, placement: str = "receptive_field"
) -> dict[str, Any]:
    """Return the report on ``case`` as plain JSON types.

    Parameters
    ----------
    seconds
        Wall times that ``case`` does not know, such as ``read`` and ``write``.
    placement
        Where written maps stand: ``receptive_field`` or ``stretch``.
    """
    times = {**case.seconds, **(seconds or {})}
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "intended_use": INTENDED_USE,
        "case": case.case_id,
        "model": _model(case),
        "input_spec": dict(case.model.input_spec),
        "device": case.device,
        "precision": case.precision,
        "placement": placement,
        "receptive_field_px": list(case.receptive_field_px),
        "receptive_field_mm": list(case.receptive_field_mm),
        "field_covers_slice": case.field_covers_slice,
        "seconds": {name: float(times.get(name, 0.0)) for name in dict.fromkeys((*STAGES, *times))},
        "peak_rss_bytes": case.peak_rss_bytes,
        "labels": _labels(case),
        "issues": exported(case.issues),
        "provenance": dict(case.provenance),
    }


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write ``report`` to ``path``, complete or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def is_report(path: str | os.PathLike[str]) -> bool:
    """Return True if ``path`` is a report of this program, of any version."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing there, or no JSON
        return False
    return isinstance(content, dict) and content.get("schema") == SCHEMA


def _model(case: Explanation) -> dict[str, Any]:
    return {
        "name": case.model.name,
        "sha256": case.model.sha256,
        "architecture": case.model.architecture,
        "guarantee": case.model.guarantee,
        "guarantee_holds": case.model.guarantee_holds,
        "guarantee_words": case.model.guarantee_words,
        "has_maps": case.has_maps,
        "map_variant": case.model.map_variant,
        "training": dict(case.model.training),
    }


def _labels(case: Explanation) -> list[dict[str, Any]]:
    """Return one entry per label in the model's order; rank 1 has the highest score.

    ``top_group_index`` (of the slice groups) and ``top_slice_index`` (of the CT's slices) count from 0 at the head.
    They and the residual are None where the model has no maps.
    """
    ranks = np.empty(len(case.labels), dtype=int)
    ranks[np.argsort(-case.scores, kind="stable")] = np.arange(1, len(case.labels) + 1)
    return [
        {
            "name": name,
            "display_name": display_name(name),
            "probability": float(case.probabilities[i]),
            "score": float(case.scores[i]),
            "completeness_residual": float(residual) if case.has_maps else None,
            "rank": int(ranks[i]),
            "top_group_index": case.top_slice(i) if case.has_maps else None,
            "top_slice_index": case.image_slice(case.top_slice(i)) if case.has_maps else None,
        }
        for i, (name, residual) in enumerate(zip(case.labels, case.residual, strict=True))
    ]
