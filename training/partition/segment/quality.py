"""Quality control of a segmentation: numbers in ml and mm, reasons in words, and whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.issues import Issue, Severity, error, note, warning
from training.partition.organs import LEFT_LUNG, ORGAN_NAMES, RIGHT_LUNG
from training.partition.segment.lungs import MISSING_ML

SINGLE_LEAST_ML: Final = 400.0
"""If one lung is missing, the other must have this much to be believed."""

TOTAL_ML: Final = (350.0, 12500.0)
LUNG_MOST_ML: Final = 7000.0
MEDIASTINUM_ML: Final = (60.0, 5000.0)
ASYMMETRY: Final = 0.45
"""The smaller lung over the larger; the left lung normally has about 0.85 of the right one."""

EDGE_MM2: Final = 300.0
"""Lung area in the first or last slice from which it counts as cut off there."""

LATERAL_MM2: Final = 900.0
"""Lung area on the other four faces of the volume."""

CUT_MM2: Final = 2500.0
"""The same against the padding."""

WAY_OUT: Final = "Check the organ contours; masks made elsewhere can be read with the backend 'file'."


GIVEN_WAY_OUT: Final = "See that the masks are of this very CT, and that their values are those of the organs."
"""The same for masks that were made elsewhere."""


@dataclass(frozen=True)
class Findings:
    """What a backend noticed besides the labels. Volumes in ml."""

    leak_ml: float = 0.0
    mirrored: int | None = None
    """Label of a lung without air, whose place was taken from the other lung."""
    cut_mm2: float = 0.0
    """Lung against the padding outside a round field of view."""
    added_ml: tuple[float, float] = (0.0, 0.0)
    """Fluid and airless lung along the ribs that were added to the right and the left lung."""
    given: bool = False
    """The masks were made elsewhere."""
    judged: bool = False
    """A recipe with a quality control of its own: here only an empty answer fails, everything else is told."""


Labels = npt.NDArray[np.uint8]


def reasons(labels: Labels, geometry: Geometry, volumes: dict[str, float], found: Findings) -> tuple[Issue, ...]:
    """Return what is wrong with a segmentation; issues of severity error mean that it fails."""
    issues = [*_missing(volumes, found), *_implausible(volumes)]
    right, left = (volumes[ORGAN_NAMES[value]] for value in (RIGHT_LUNG, LEFT_LUNG))
    low, high = sorted((right, left))
    if low >= MISSING_ML and low < ASYMMETRY * high:
        small = ORGAN_NAMES[RIGHT_LUNG if right < left else LEFT_LUNG]
        issues.append(
            warning(
                "asymmetric-lungs",
                f"the {small} has {low:.0f} ml, {low / high:.0%} of the other ({high:.0f} ml): collapsed, resected, "
                "or partly not found",
                WAY_OUT,
            )
        )
    issues += _exchanged(labels, low)
    issues += edge_issues(np.isin(labels, (RIGHT_LUNG, LEFT_LUNG)), geometry)
    issues += cut_issues(found.cut_mm2)
    if found.leak_ml >= 15:
        fact = f"{found.leak_ml:.0f} ml of gas below the lungs, as in stomach or bowel, were part of a lung; left out"
        issues.append(warning("leak-to-bowel", fact, WAY_OUT))
    issues += _added(found)
    issues = [_of_given(issue) for issue in issues] if found.given else issues
    issues = [_told(issue) for issue in issues] if found.judged else issues
    return tuple(sorted(issues, key=lambda issue: issue.severity is not Severity.ERROR))


def _told(issue: Issue) -> Issue:
    """Return ``issue`` as a warning, unless nothing at all was found."""
    fails = issue.severity is Severity.ERROR and issue.code == "empty-segmentation"
    return issue if fails or issue.severity is Severity.NOTE else replace(issue, severity=Severity.WARNING)


def _of_given(issue: Issue) -> Issue:
    """Return an issue as it is told of masks that were made elsewhere."""
    message = issue.message
    if issue.code == "missing-lung":
        message = message.partition(":")[0] + ": next to nothing of it is in the masks"
    return replace(issue, message=message, way_out=issue.way_out.replace(WAY_OUT, GIVEN_WAY_OUT))


def _exchanged(labels: Labels, smaller_ml: float) -> list[Issue]:
    """Return a warning if the right lung lies on the patient's left; labels in canonical order."""
    if smaller_ml < MISSING_ML:
        return []
    columns = np.arange(labels.shape[2])
    right, left = (np.count_nonzero(labels == value, axis=(0, 1)) for value in (RIGHT_LUNG, LEFT_LUNG))
    if np.average(columns, weights=right) <= np.average(columns, weights=left):
        return []
    fact = "what is called the right lung lies on the patient's left"
    return [warning("sides-exchanged", fact, "Check the mask's labels and its affine.")]


def added_volumes(found: Findings) -> tuple[tuple[str, float], ...]:
    """Return what was added to each lung, ml by its name; lungs without any are left out."""
    pairs = zip((RIGHT_LUNG, LEFT_LUNG), found.added_ml, strict=True)
    return tuple((ORGAN_NAMES[value], ml) for value, ml in pairs if ml > 0)


def _added(found: Findings) -> list[Issue]:
    added = added_volumes(found)
    if not added:
        return []
    shown = ", ".join(f"{ml:.0f} ml {name.removesuffix(' lung')}" for name, ml in added)
    return [note("pleural-space", f"pleural fluid or consolidation added to the lung: {shown}")]


def passed(issues: tuple[Issue, ...]) -> bool:
    """Return True if no reason is an error."""
    return all(issue.severity is not Severity.ERROR for issue in issues)


def heuristic_used(variant: str, given: bool = False) -> Issue:
    """Return the notice that a heuristic mask stands in, for masks that were found here or made elsewhere."""
    share = {"paper": "the centre half", "authors": "4 of 6 columns in the centre"}[variant]
    return warning(
        "heuristic-mask",
        f"heuristic mask used: right half for the right lung, left half for the left lung, {share} for the mediastinum",
        GIVEN_WAY_OUT if given else WAY_OUT,
    )


def _missing(volumes: dict[str, float], found: Findings) -> list[Issue]:
    lungs = {value: volumes[ORGAN_NAMES[value]] for value in (RIGHT_LUNG, LEFT_LUNG)}
    absent = [value for value, ml in lungs.items() if ml < MISSING_ML or value == found.mirrored]
    if len(absent) == 2:
        return [error("empty-segmentation", "neither lung was found", WAY_OUT)]
    if not absent:
        return []
    name, other = ORGAN_NAMES[absent[0]], lungs[RIGHT_LUNG + LEFT_LUNG - absent[0]]
    fact = f"the {name} was not found: next to no air in it (collapsed, drowned, removed, or outside the scan)"
    if found.mirrored == absent[0] and other >= SINGLE_LEAST_ML:
        way_out = "Its region is an estimate: what mirrors the other lung. " + WAY_OUT
        return [warning("missing-lung", fact, way_out)]
    return [error("missing-lung", fact, WAY_OUT)]


def _implausible(volumes: dict[str, float]) -> list[Issue]:
    right, left, middle = volumes["right lung"], volumes["left lung"], volumes["mediastinum"]
    issues = []
    total = right + left
    if total and not TOTAL_ML[0] <= total <= TOTAL_ML[1]:
        fact = f"both lungs together have {total:.0f} ml, outside {TOTAL_ML[0]:.0f} to {TOTAL_ML[1]:.0f} ml"
        issues.append(error("implausible-volume", fact, WAY_OUT))
    for name in ("right lung", "left lung"):
        if volumes[name] > LUNG_MOST_ML:
            fact = f"the {name} has {volumes[name]:.0f} ml, more than {LUNG_MOST_ML:.0f} ml"
            issues.append(error("implausible-volume", fact, WAY_OUT))
    if total and not MEDIASTINUM_ML[0] <= middle <= MEDIASTINUM_ML[1]:
        fact = f"the mediastinum has {middle:.0f} ml, outside {MEDIASTINUM_ML[0]:.0f} to {MEDIASTINUM_ML[1]:.0f} ml"
        issues.append(error("implausible-volume", fact, WAY_OUT))
    return issues


def edge_issues(lung: npt.NDArray[np.bool_], geometry: Geometry) -> list[Issue]:
    """Return warnings for lung that reaches the faces of the volume; arrays in canonical order."""
    spacing = geometry.spacing_mm
    names = (("first slice (head end)", "last slice (foot end)"), ("front", "back"), ("right edge", "left edge"))
    issues = []
    for axis, ends in enumerate(names):
        pixel = float(np.prod([s for k, s in enumerate(spacing) if k != axis]))
        for index, where in zip((0, -1), ends, strict=True):
            area = float(np.take(lung, index, axis).sum()) * pixel
            if area < (EDGE_MM2 if axis == 0 else LATERAL_MM2):
                continue
            fact = f"lung reaches the {where} of the scan ({area / 100:.0f} cm2 there), so part of the chest is missing"
            code = "lungs-at-end" if axis == 0 else "lungs-at-edge"
            way_out = "Slices may be missing at this end: check the series." if axis == 0 else ""
            issues.append(warning(code, fact, way_out or "Findings outside the field of view cannot be seen."))
    return issues


def cut_issues(cut_mm2: float) -> list[Issue]:
    """Return a warning if a round field of view cuts through lung."""
    if cut_mm2 < CUT_MM2:
        return []
    fact = f"the round field of view cuts through lung ({cut_mm2 / 100:.0f} cm2), so part of the chest is missing"
    return [warning("lungs-at-edge", fact, "Findings outside the field of view cannot be seen.")]
