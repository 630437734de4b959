"""What OrganIoU leaves out is counted by reason and said in one sentence."""

from __future__ import annotations

import numpy as np

from training.evaluate.cohort.coverage import (
    DARK,
    NO_ORGAN,
    NOT_GIVEN,
    NOT_ON_VALIDATION,
    SILENT,
    SILENT_ON_VALIDATION,
    coverage_issue,
    left_out_rows,
    placeless_rows,
)
from training.evaluate.organ_iou import THRESHOLDS, OrganCurves

LABELS = ("lung nodule", "groundglass", "lung mass")


def curves(*pairs: tuple[int, int, float]) -> OrganCurves:
    """Pairs of (case, label, largest value of the map); all that is on is allowed."""
    case, label, top = (np.array(column) for column in zip(*pairs, strict=True))
    iou = np.where(np.array(THRESHOLDS)[None] < top[:, None], 1.0, np.nan)
    mass = np.where(top > 0, 1.0, np.nan)
    return OrganCurves(LABELS, 4, case.astype(np.intp), label.astype(np.intp), iou, mass)


def test_every_reason_is_told_apart() -> None:
    judged = {"HiResCAM": curves((0, 0, 1.0), (1, 0, 0.0), (2, 0, 0.3), (0, 1, 1.0), (1, 2, 1.0), (3, 2, 1.0))}
    validation = {"HiResCAM": curves((0, 0, 1.0), (0, 1, 0.0))}
    thresholds = {"HiResCAM": np.array([0.5, np.nan, np.nan])}
    found = left_out_rows(judged, thresholds, validation, {"model": "A"})
    assert [(row["label"], row["n_pairs"], row["reason"]) for row in found] == [
        ("lung nodule", 1, SILENT),
        ("lung nodule", 1, DARK),
        ("groundglass", 1, SILENT_ON_VALIDATION),
        ("lung mass", 2, NOT_ON_VALIDATION),
    ]
    given = left_out_rows(judged, thresholds, None, {"model": "A"})
    assert [row["reason"] for row in given] == [SILENT, DARK, NOT_GIVEN, NOT_GIVEN]
    issue = coverage_issue(found, 6, 3, "A")
    assert issue is not None
    assert issue.message.startswith("OrganIoU of A is over 1 of 6 pairs of a case and a label that it has, and 1 of 3")
    assert f"1 label (2 pairs), because {NOT_ON_VALIDATION}: lung mass" in issue.message
    assert "ground-glass opacity" in issue.message
    assert "--thresholds" in issue.way_out


def test_labels_of_no_organ_are_left_out_too() -> None:
    truth = np.array([[1.0, 1.0, np.nan], [0.0, 1.0, 0.0]])
    (row,) = placeless_rows(truth, np.array([True, False, False]), LABELS, {"model": "A"})
    assert (row["label"], row["n_pairs"], row["reason"]) == ("groundglass", 2, NO_ORGAN)


def test_nothing_is_said_where_nothing_is_left_out() -> None:
    judged = {"HiResCAM": curves((0, 0, 1.0))}
    assert left_out_rows(judged, {"HiResCAM": np.array([0.5, np.nan, np.nan])}, judged, {}) == ()
    assert coverage_issue((), 1, 1, "A") is None
