"""The default backend: body, spine, airways, lungs and mediastinum by thresholds and morphology in mm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.partition.grids import nearest_labels
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG
from training.partition.segment.airways import Airways, find_airways
from training.partition.segment.analysis import Analysis, analysis_grid
from training.partition.segment.body import Body, find_body, with_lungs
from training.partition.segment.lungs import MISSING_ML, Lungs, find_lungs
from training.partition.segment.mediastinum import find_mediastinum
from training.partition.segment.mirror import mirrored
from training.partition.segment.pleura import pleural_space
from training.partition.segment.quality import SINGLE_LEAST_ML, Findings
from training.partition.segment.refine import native_body, refined
from training.partition.segment.shapes import Mask, dilate
from training.partition.segment.spine import Spine, find_spine
from training.volume import Volume

Report = Callable[[int, int, str], None]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What was found on the analysis grid."""

    ct: Analysis
    body: Body
    spine: Spine
    airways: Airways
    lungs: Lungs
    inside: Mask
    mediastinum: Mask
    findings: Findings


def find_anatomy(ct: Analysis, report: Report, pleura: bool = True) -> Anatomy:
    """Find body, spine, airways, lungs and mediastinum on the analysis grid.

    With ``pleura``, fluid and airless lung along the ribs count as lung.
    """
    body = find_body(ct)
    report(30, 100, "spine and airways")
    spine = find_spine(ct, body.tissue)
    airways = find_airways(ct, body.within, spine)
    report(45, 100, "lungs")
    lungs = find_lungs(ct, body, airways.mask, spine.column)
    report(65, 100, "mediastinum")
    inside = with_lungs(body, lungs.right | lungs.left)
    lungs, missing = _completed(ct, lungs, inside, spine)
    mediastinum = find_mediastinum(ct, inside, lungs, spine, airways.carina)
    report(70, 100, "pleural space")
    space = pleural_space(ct, inside, lungs, mediastinum, spine) if pleura else (np.zeros_like(inside),) * 2
    if space[0].any() or space[1].any():
        lungs = lungs.with_sides(lungs.right | space[0], lungs.left | space[1])
        mediastinum = find_mediastinum(ct, inside, lungs, spine, airways.carina)
    added = tuple(float(part.sum()) * ct.voxel_ml for part in space)
    leak_ml = float(lungs.leak.sum()) * ct.voxel_ml
    found = Findings(leak_ml, missing, cut_mm2(ct, body, lungs.air), (added[0], added[1]))
    return Anatomy(ct, body, spine, airways, lungs, inside, mediastinum, found)


def cut_mm2(ct: Analysis, body: Body, air: Mask) -> float:
    """Return the area of lung against the padding outside the field of view, about."""
    pixel_mm = max(ct.spacing_mm[1:])
    touching = air & dilate(body.padding, 1.1 * pixel_mm, ct.spacing_mm)
    return float(touching.sum()) * ct.geometry.voxel_mm3 / pixel_mm


def _completed(ct: Analysis, lungs: Lungs, inside: Mask, spine: Spine) -> tuple[Lungs, int | None]:
    """Give a lung without air the place that mirrors the other one; return its label too."""
    right, left = (float(lung.sum()) * ct.voxel_ml for lung in (lungs.right, lungs.left))
    if min(right, left) >= MISSING_ML or max(right, left) < SINGLE_LEAST_ML:
        return lungs, None
    if right < left:
        return lungs.with_sides(mirrored(lungs.left, spine.column, ct, inside), lungs.left), RIGHT_LUNG
    return lungs.with_sides(lungs.right, mirrored(lungs.right, spine.column, ct, inside)), LEFT_LUNG


def morphology(
    hu: npt.NDArray[np.int16], geometry: Geometry, report: Report, pleura: bool = True
) -> tuple[Labels, Mask, Anatomy]:
    """Return labels and body on the CT's own voxels (canonical order), and the anatomy behind them."""
    ct = _analysis(hu, geometry, report)
    found = find_anatomy(ct, report, pleura)
    step = _share(report, 75, 100, "borders")
    labels, body = refined(hu, ct, found.lungs, found.mediastinum, found.inside, found.airways.mask, step)
    return labels, body, found


def body_alone(hu: npt.NDArray[np.int16], geometry: Geometry, report: Report) -> Mask:
    """Return the body on the CT's own voxels (canonical order)."""
    ct = _analysis(hu, geometry, report)
    body = find_body(ct)
    return native_body(hu, ct, with_lungs(body, np.zeros_like(body.inside)))


def with_given_lungs(
    hu: npt.NDArray[np.int16], geometry: Geometry, given: Labels, complete: bool, report: Report
) -> tuple[Labels, Mask]:
    """Return labels and body where another segmentation gave the lungs.

    Unless its mediastinum is ``complete``, what lies between the lungs is added to it.
    """
    ct = _analysis(hu, geometry, report)
    body = find_body(ct)
    coarse = nearest_labels(given, geometry, ct.geometry)
    right, left = coarse == RIGHT_LUNG, coarse == LEFT_LUNG
    inside = with_lungs(body, right | left)
    labels = given.copy()
    if not complete:
        spine = find_spine(ct, body.tissue)
        none = np.zeros_like(right)
        lungs = Lungs(right, left, right | left, none, none)
        carina = find_airways(ct, body.within, spine).carina
        between = find_mediastinum(ct, inside, lungs, spine, carina).view(np.uint8)
        native = nearest_labels(between, ct.geometry, geometry) != 0
        labels[native & (given == 0)] = MEDIASTINUM
    return labels, native_body(hu, ct, inside)


def canonical(volume: Volume) -> tuple[npt.NDArray[np.int16], Geometry]:
    """Return HU and geometry in canonical order, without copying; the volume's own geometry if it is so already."""
    from training.io.orient import canonical_order  # the readers are not needed to import this package

    turned, geometry = canonical_order(volume.hu, volume.geometry.affine)
    if geometry.allclose(volume.geometry):
        return volume.hu, volume.geometry
    return turned, geometry


def _analysis(hu: npt.NDArray[np.int16], geometry: Geometry, report: Report) -> Analysis:
    return analysis_grid(hu, geometry, step=_share(report, 0, 20, "analysis grid"))


def _share(report: Report, start: int, end: int, stage: str) -> Callable[[int, int], None]:
    """Return a callback that reports its own progress as a part of the whole."""
    return lambda done, total: report(start + (end - start) * done // total, 100, stage)
