"""Which (case, label) pairs OrganIoU leaves out, why, and how to say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.cohort.sources.tables import first
from training.evaluate.organ_iou import OrganCurves
from training.evaluate.rows import Row, Rows
from training.issues import Issue, warning
from training.labels import display_name
from training.words import agreed, counted, counted_of

FloatArray = npt.NDArray[np.float64]

NOT_GIVEN = "the thresholds that were given have none for it"
NOT_ON_VALIDATION = "no validation case has it, so no threshold could be chosen"
SILENT_ON_VALIDATION = "nothing is positive in its maps of validation cases, so no threshold could be chosen"
SILENT = "the map has nothing positive"
DARK = "no cell of the map is above the threshold"
NO_ORGAN = "it belongs to no organ that is known"


def left_out_rows(
    curves: Mapping[str, OrganCurves],
    thresholds: Mapping[str, FloatArray],
    validation: Mapping[str, OrganCurves] | None,
    about: Row,
) -> Rows:
    """Return one row for every source, label and reason with pairs that its OrganIoU leaves out.

    Parameters
    ----------
    curves
        By source, of the judged cases.
    thresholds
        By source, [M]; NaN for a label without one.
    validation
        By source, of the cases that thresholds were chosen on; None if thresholds were given.
    about
        What all rows share: model, variant, placement.
    """
    return tuple(
        {**about, "source": source, "label": found.labels[m], "n_pairs": n, "reason": reason}
        for source, found in curves.items()
        for m in np.unique(found.label).tolist()
        for n, reason in _left_out(found, m, thresholds[source], None if validation is None else validation[source])
    )


def _left_out(
    found: OrganCurves, m: int, thresholds: FloatArray, validation: OrganCurves | None
) -> list[tuple[int, str]]:
    own = found.label == m
    if np.isnan(thresholds[m]):
        reason = NOT_GIVEN
        if validation is not None:
            reason = SILENT_ON_VALIDATION if (validation.label == m).any() else NOT_ON_VALIDATION
        return [(int(own.sum()), reason)]
    silent = own & np.isnan(found.mass)
    dark = own & np.isnan(found.pairs_at(thresholds)) & ~silent
    return [(int(pairs.sum()), reason) for pairs, reason in ((silent, SILENT), (dark, DARK)) if pairs.any()]


def placeless_rows(truth: FloatArray, placed: npt.NDArray[np.bool_], labels: Sequence[str], about: Row) -> Rows:
    """Return one row for every label that no organ is known for and that some judged case has; truth is [N, M]."""
    counts = (truth == 1).sum(axis=0)
    return tuple(
        {**about, "source": "every map", "label": labels[m], "n_pairs": int(counts[m]), "reason": NO_ORGAN}
        for m in np.flatnonzero(~placed & (counts > 0)).tolist()
    )


def coverage_issue(rows: Rows, n_pairs: int, n_labels: int, model: str) -> Issue | None:
    """Return a warning that says over how much of what is shown OrganIoU is; None if nothing is left out.

    Parameters
    ----------
    rows
        Left-out pairs of one source, variant and placement.
    n_pairs, n_labels
        Pairs of judged cases with a label that they have, and their labels.
    """
    if not rows:
        return None
    out = sum(row["n_pairs"] for row in rows)
    gone = {row["label"] for row in rows if row["reason"] not in (SILENT, DARK)}
    parts = []
    for reason in dict.fromkeys(row["reason"] for row in rows):
        own = [row for row in rows if row["reason"] == reason]
        pairs = counted(sum(row["n_pairs"] for row in own), "pair")
        names = first(display_name(row["label"]) for row in own)
        parts.append(f"{counted(len(own), 'label')} ({pairs}), because {reason}: {names}")
    over = f"{counted_of(n_pairs - out, n_pairs, 'pair')} of a case and a label that it has"
    fact = (
        f"OrganIoU of {model} is over {over}, and {counted_of(n_labels - len(gone), n_labels, 'label')}; left out "
        f"{agreed(len(rows), 'is', 'are')} {'; '.join(parts)}"
    )
    way_out = "Thresholds of an evaluation with more validation cases can be given (--thresholds)."
    return warning("pairs-left-out", fact, way_out if gone else "")
