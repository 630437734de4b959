"""Sums and extremes of maps, label by label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray


@dataclass(frozen=True, eq=False)
class MapSummary:
    """Sums and extremes of the maps of all labels by one method, float64 [M] each, score units."""

    total: FloatArray
    absolute: FloatArray
    low: FloatArray
    high: FloatArray


def summarise(maps: npt.NDArray[np.floating]) -> FloatArray:
    """Return total, absolute total, lowest and highest value of each map, float64 [4, labels]."""
    flat = maps.reshape(len(maps), -1)
    total = flat.sum(axis=1, dtype=np.float64)
    return np.stack([total, np.abs(flat).sum(axis=1, dtype=np.float64), flat.min(axis=1), flat.max(axis=1)])
