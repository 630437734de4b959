"""One synthetic patient: sizes, positions and habits, drawn by seed. All lengths in mm, local LPS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from training.cohort.phantom.grid import Bend
from training.cohort.phantom.streams import stream

Side = Literal["right", "left"]
SIGN: dict[str, float] = {"right": -1.0, "left": 1.0}
"""Sign of local x on either side of the spine."""


@dataclass(frozen=True)
class Person:
    """Anatomy in numbers.

    ``chest`` is the inner half width and half depth of the rib cage; ``apex_z``, ``carina_z`` and ``dome_z`` (right,
    left) are heights; ``fat_mm`` is the subcutaneous fat; ``heart_scale`` multiplies the heart's radii;
    ``blood_hu`` rises with contrast.
    """

    chest: tuple[float, float]
    chest_power: float
    apex_z: float
    carina_z: float
    dome_z: tuple[float, float]
    sulcus: float
    fat_mm: float
    muscle_mm: float
    breast_mm: float
    heart_scale: float
    heart_centre: tuple[float, float, float]
    aorta_mm: float
    blood_hu: float
    muscle_hu: float
    parenchyma_hu: float
    rib_pitch: float
    rib_phase: float
    bone_hu: float
    vertebra: tuple[float, float]
    noise_hu: float
    bend: Bend = field(default_factory=Bend)

    def dome(self, side: Side) -> float:
        """Return the height of the diaphragm's dome on ``side``."""
        return self.dome_z[0 if side == "right" else 1]

    @property
    def fossa(self) -> float:
        """Return the local y of the centre of the vertebral bodies at the level of the carina."""
        return self.chest[1] - 33.0


def draw_person(seed: int) -> Person:
    """Draw the patient of ``seed``."""
    rng = stream(seed, "person")
    u, size = rng.uniform, rng.normal(1.0, 0.05)
    size = float(np.clip(size, 0.9, 1.1))
    half_width, half_depth = 127 * size * u(0.94, 1.05), 88 * size * u(0.93, 1.08)
    apex = 122 * size + u(-8, 8)
    dome = -52 * size + u(-16, 14)
    contrast = rng.random() < 0.4
    woman = rng.random() < 0.5
    return Person(
        chest=(half_width, half_depth),
        chest_power=u(2.1, 2.5),
        apex_z=apex,
        carina_z=apex - 76 * size,
        dome_z=(dome, dome - u(6, 18)),
        sulcus=u(0.85, 1.2),
        fat_mm=float(np.clip(rng.gamma(3.0, 4.5), 4, 28)),
        muscle_mm=u(11, 18),
        breast_mm=u(12, 34) if woman else 0.0,
        heart_scale=size * u(0.9, 1.03),
        heart_centre=(u(14, 22), -half_depth + 56 * size + u(-2, 3), dome + 29 * size + u(-4, 4)),
        aorta_mm=size * u(12.5, 15.5),
        blood_hu=u(150, 280) if contrast else u(35, 45),
        muscle_hu=u(48, 60),
        parenchyma_hu=u(-880, -830),
        rib_pitch=u(22, 25) * size,
        rib_phase=u(0, 20),
        bone_hu=u(150, 260),
        vertebra=(u(16, 18.5) * size, u(13.5, 15.5) * size),
        noise_hu=u(9, 18),
        bend=Bend(u(-8, 8), u(-12, -2), u(-0.03, 0.03), abs(rng.normal(0, 2.5)), u(0, 6.3)),
    )
