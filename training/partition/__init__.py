"""PARTITION: where an abnormality may lie - organ masks, report labels with locations, allowed regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.partition.segment.organs import segment_organs

__all__ = ["segment_organs"]


def __getattr__(name: str) -> object:
    """Import the segmentation, which needs scipy and scikit-image, when it is first asked for."""
    if name == "segment_organs":
        from training.partition.segment.organs import segment_organs

        return segment_organs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
