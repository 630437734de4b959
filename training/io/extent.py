"""Can a grid of this spacing hold a patient? The same answer for every file format."""

from __future__ import annotations

from collections.abc import Sequence

MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 60.0
"""Voxel sizes of anything from a micro-CT to a survey with large gaps; beyond, the number is no length in mm."""

MAX_EXTENT_MM = 5000.0
"""No patient and no table is longer."""


def why_no_patient(shape: Sequence[int], spacing_mm: Sequence[float]) -> str | None:
    """Return in words why voxels of ``spacing_mm`` cannot be right for ``shape`` (same order); None if they can."""
    wrong = [mm for mm in spacing_mm if not MIN_SPACING_MM <= mm <= MAX_SPACING_MM]
    if wrong:
        return f"its voxels would be {wrong[0]:.3g} mm wide"
    longest = max(n * mm for n, mm in zip(shape, spacing_mm, strict=True))
    return f"it would be {longest / 1000:.3g} m long" if longest > MAX_EXTENT_MM else None
