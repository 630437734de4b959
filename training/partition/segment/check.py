"""A quick look at a CT before any prediction: whether it is a chest, and whether all of it is there."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.issues import Issue, warning
from training.partition.segment.airways import find_airways
from training.partition.segment.analysis import HU_RANGE, Analysis
from training.partition.segment.body import find_body
from training.partition.segment.lungs import find_lungs
from training.partition.segment.morphology import canonical, cut_mm2
from training.partition.segment.quality import cut_issues, edge_issues
from training.partition.segment.spine import find_spine
from training.volume import Volume

CHECK_MM: Final = 5.0
"""Spacing of the look, reached by leaving out voxels."""

LEAST_ML: Final = 350.0
"""Less aerated lung than this in the whole scan: not a chest, or next to nothing of it."""

LEAST_HEIGHT_MM: Final = 120.0
"""Lungs less tall than this were cut off somewhere, or are not lungs."""


def chest_check(volume: Volume) -> tuple[Issue, ...]:
    """Return warnings if ``volume`` is not a chest CT, or a cropped one; empty for a whole chest.

    Looks at a grid of about 5 mm, in well under half a second. Predictions for other body parts mean nothing.
    """
    ct = _coarse(volume)
    body = find_body(ct)
    if not body.tissue.any():
        return (warning("not-a-chest", "no patient was found in this scan", "Predictions for it mean nothing."),)
    spine = find_spine(ct, body.tissue)
    lungs = find_lungs(ct, body, find_airways(ct, body.within, spine).mask, spine.column)
    ml = float(lungs.air.sum()) * ct.voxel_ml
    if ml < LEAST_ML:
        fact = f"only {ml:.0f} ml of aerated lung were found, so this seems not to be a CT of the chest"
        return (warning("not-a-chest", fact, "Predictions for it mean nothing: the model knows whole chests only."),)
    issues = [*edge_issues(lungs.air, ct.geometry), *cut_issues(cut_mm2(ct, body, lungs.air))]
    levels = np.flatnonzero(lungs.air.any(axis=(1, 2)))
    height = float(levels[-1] - levels[0] + 1) * ct.spacing_mm[0]
    if height < LEAST_HEIGHT_MM:
        fact = f"the lungs in this scan are {height:.0f} mm tall, so it seems to hold a part of the chest only"
        issues.append(warning("cropped-chest", fact, "Predictions were not tested on parts of the chest."))
    return tuple(issues)


def _coarse(volume: Volume) -> Analysis:
    hu, geometry = canonical(volume)
    step = [min(n, max(1, round(CHECK_MM / s))) for n, s in zip(hu.shape, geometry.spacing_mm, strict=True)]
    picked = np.clip(hu[:: step[0], :: step[1], :: step[2]], *HU_RANGE).astype(np.int16)
    grid = geometry.subgrid((0, 0, 0), step, picked.shape)
    return Analysis(picked, grid, (step[0], step[1], step[2]), geometry.shape)
