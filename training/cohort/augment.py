"""The authors' augmentation as one object for a scan and its allowed regions: one flip, then quarter turns.

With probability one half one axis of the three, drawn at random, is flipped (the slice axis too, before slices are
grouped); independently, with probability one half, all axial slices are turned by 90, 180 or 270 degrees. Regions on
the grid of a model's maps go through the same, so they are worked out for the case as it is, and then changed with it:
the left lung of a label is where that lung has gone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

ScalarT = TypeVar("ScalarT", bound=np.generic)

_SLICE_AXIS = 0


@dataclass(frozen=True)
class Augmentation:
    """One change of a case, the same for everything that lies on a grid (slice, row, column).

    Parameters
    ----------
    flip_axis
        0, 1 or 2 for slice, row or column; None for no flip.
    turns
        Quarter turns from the row axis to the column axis, 0 to 3, after the flip.
    """

    flip_axis: int | None = None
    turns: int = 0

    def __post_init__(self) -> None:
        if self.flip_axis not in (None, 0, 1, 2) or self.turns not in (0, 1, 2, 3):
            raise ValueError(f"no axis {self.flip_axis} or {self.turns} quarter turns")

    def apply(self, array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """Return ``array`` changed along its last three axes (slice, row, column), C-contiguous.

        A scan is (S, R, C); allowed regions are (M, H, D1, D2).

        Raises
        ------
        ValueError
            An odd number of quarter turns of slices that are not square.
        """
        if self.turns % 2 and array.shape[-2] != array.shape[-1]:
            raise ValueError(f"slices of {array.shape[-2]} x {array.shape[-1]} cannot be turned by 90 degrees")
        changed = array if self.flip_axis is None else np.flip(array, axis=self.flip_axis - 3)
        return np.ascontiguousarray(np.rot90(changed, self.turns, axes=(-2, -1)))

    def inverse(self) -> Augmentation:
        """Return the change that undoes this one: turning back, then flipping, said as flipping, then turning."""
        in_plane = self.flip_axis is not None and self.flip_axis != _SLICE_AXIS
        return Augmentation(self.flip_axis, self.turns if in_plane else -self.turns % 4)

    @classmethod
    def draw(
        cls, rng: np.random.Generator, flip_probability: float = 0.5, rotate_probability: float = 0.5
    ) -> Augmentation:
        """Draw a change. ``rng`` advances by the same number of draws whatever comes of them."""
        wants_flip, wants_turn = rng.random(2)
        axis, turns = int(rng.integers(3)), int(rng.integers(1, 4))
        return cls(axis if wants_flip < flip_probability else None, turns if wants_turn < rotate_probability else 0)

    @classmethod
    def of_case(
        cls, seed: int, epoch: int, case_id: str, flip_probability: float = 0.5, rotate_probability: float = 0.5
    ) -> Augmentation:
        """Return the change of a case in an epoch: it follows from these numbers alone, not from the order of cases."""
        return cls.draw(case_stream(seed, epoch, case_id), flip_probability, rotate_probability)


def case_stream(seed: int, epoch: int, case_id: str) -> np.random.Generator:
    """Return the random stream of a case in an epoch, the same in any process and after any resumption."""
    words = np.frombuffer(hashlib.sha256(case_id.encode()).digest()[:16], dtype="<u4")
    return np.random.default_rng([seed, epoch, *words.tolist()])
