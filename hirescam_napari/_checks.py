"""What is looked at in every CT before anything is predicted for it."""

from __future__ import annotations

from training.volume import Volume


def checked(volume: Volume) -> Volume:
    """Return ``volume`` with warnings if it is not a chest, a part of one, or cut off at an end (0.5 s)."""
    from training.partition.segment import chest_check

    return volume.with_issues(*chest_check(volume))
