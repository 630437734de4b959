"""Right lung, left lung and mediastinum from any chest CT, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.partition.segment.check import chest_check
    from training.partition.segment.organs import segment_organs

__all__ = ["chest_check", "segment_organs"]


def __getattr__(name: str) -> object:
    """Import the segmentation when it is first asked for."""
    if name == "segment_organs":
        from training.partition.segment.organs import segment_organs

        return segment_organs
    if name == "chest_check":
        from training.partition.segment.check import chest_check

        return chest_check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
