"""Everything that one evaluation found, as tables and as plain JSON types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training.evaluate.bands import Bands
from training.evaluate.classification import Classification
from training.evaluate.rows import INTENDED_USE, Rows, plain
from training.evaluate.tables.predictions import band_rows, calibration_rows, classification_rows, summary_rows
from training.evaluate.tables.readers import with_display_name
from training.io.privacy import exported
from training.issues import Issue

SCHEMA = "hirescam-evaluation"
SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything that one evaluation found.

    Parameters
    ----------
    title
        What was evaluated.
    classification
        By model.
    organ_iou, lesions, comparisons
        Rows from :func:`organ_rows`, :func:`lesion_rows` and the ``..._comparison_rows`` functions.
    bands, bands_of
        Slice scores of cases with and without every label (Figure 13), and the model whose they are.
    left_out
        Rows of the pairs that OrganIoU leaves out.
    thresholds
        Where the thresholds of OrganIoU come from, in a sentence.
    notes
        Facts about the data and the models that a reader needs, in sentences.
    issues
        What whoever reads a number has to know, such as pairs that were left out.
    in_short
        Those of the notes that belong beside the first number: how many cases were judged, and what is too little.
    made
        When, by which versions and settings, and of what; plain JSON types.
    """

    title: str
    classification: Mapping[str, Classification] = field(default_factory=dict)
    organ_iou: Rows = ()
    lesions: Rows = ()
    comparisons: Rows = ()
    bands: tuple[Bands, ...] = ()
    bands_of: str = ""
    left_out: Rows = ()
    thresholds: str = ""
    notes: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()
    in_short: tuple[str, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    def tables(self) -> dict[str, Rows]:
        """Return the rows of every table by its name; tables without rows are left out."""
        summaries = [row for name, found in self.classification.items() for row in summary_rows(found, name)]
        rows = [row for name, found in self.classification.items() for row in classification_rows(found, name)]
        bins = [row for name, found in self.classification.items() for row in calibration_rows(found, name)]
        named = {
            "summary": tuple(summaries),
            "labels": tuple(rows),
            "calibration": tuple(bins),
            "organ_iou": self.organ_iou,
            "organ_iou_left_out": self.left_out,
            "lesions": self.lesions,
            "comparisons": self.comparisons,
            "slice_scores": tuple(row for found in self.bands for row in band_rows(found)),
        }
        return {name: tuple(map(with_display_name, found)) for name, found in named.items() if found}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "intended_use": INTENDED_USE,
            "title": self.title,
            **self.made,
            "thresholds": self.thresholds or None,
            "issues": exported(self.issues),
            "notes": list(self.notes),
            "models": {name: _about(found) for name, found in self.classification.items()},
            **{name: [plain(row) for row in rows] for name, rows in self.tables().items()},
        }


def _about(found: Classification) -> dict[str, Any]:
    plan = found.resampling
    return {
        "n_cases": found.n_cases,
        "resamples": plan.n,
        "seed": plan.seed,
        "level": plan.level,
        "not_applicable": list(found.not_applicable),
    }
