"""Smooth random fields as sums of plane waves: analytic, so every grid sees the same field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.grid import F32, Box

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Waves:
    """A sum of sine waves with unit variance: wave vectors [N, 3] (radians per mm) and phases [N]."""

    vectors: F64
    phases: F64

    @classmethod
    def draw(cls, rng: np.random.Generator, wavelength_mm: float, count: int = 6) -> Waves:
        """Draw ``count`` waves of about ``wavelength_mm`` in directions that cover the sphere."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        length = 2 * np.pi / (wavelength_mm * rng.uniform(0.75, 1.33, count))
        return cls(directions * length[:, None], rng.uniform(0, 2 * np.pi, count))

    def at(self, box: Box) -> F32:
        """Return the field over ``box``; sines are split by the addition theorem to stay cheap."""
        total = np.zeros(box.hu.shape, np.float32)
        scale = np.float32(np.sqrt(2 / len(self.phases)))
        for k, phase in zip(self.vectors.astype(np.float32), self.phases.astype(np.float32), strict=True):
            across = k[0] * box.x + (k[2] * box.z + phase)
            down = k[1] * box.y
            total += (np.sin(across) * scale) * np.cos(down)
            total += (np.cos(across) * scale) * np.sin(down)
        return total
