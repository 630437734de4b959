"""Variation of training CTs: the authors' flips and quarter turns, shifts, and changes of the HU.

One object, :class:`Variation`, is drawn for a case and applied to its scan and to whatever else lies on the scan's
grid: organs at the cells of the maps, places of findings. So the left lung of a label is where that lung has gone. The
authors flip one axis of the three with probability one half (the slice axis too, before slices are grouped), then,
independently, turn all axial slices by 90, 180 or 270 degrees with probability one half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from training.fit.settings import AugmentSettings
from training.volume import AIR_HU

HuArray = npt.NDArray[np.int16]
PlaceArray = npt.NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Variation:
    """One draw: what is done to a training CT, and to anything that lies on its grid.

    ``flip`` is the axis that is reversed, ``turns`` the number of quarter turns in the axial plane, ``shift_px`` the
    move along (slice, row, column), ``hu_shift`` and ``hu_noise`` change the HU. Order as listed.
    """

    flip: int | None
    turns: int
    shift_px: tuple[int, int, int]
    hu_shift: float
    hu_noise: float

    def moved(self, array: npt.NDArray[T], fill: int, step: Sequence[float] = (1, 1, 1)) -> npt.NDArray[T]:
        """Return ``array`` [..., slice, row, column], of cells of ``step`` voxels, flipped, turned and moved.

        Raises
        ------
        ValueError
            An odd number of quarter turns of slices that are not square.
        """
        if self.turns % 2 and array.shape[-2] != array.shape[-1]:
            raise ValueError(f"slices of {array.shape[-2]} x {array.shape[-1]} cannot be turned by 90 degrees")
        result = array if self.flip is None else np.flip(array, axis=self.flip - 3)
        result = np.rot90(result, self.turns, axes=(-2, -1))
        by = [round(d / s) for d, s in zip(self.shift_px, step, strict=True)]
        return shifted(result, by, fill) if any(by) else np.ascontiguousarray(result)


def case_stream(seed: int, epoch: int, case: int) -> np.random.Generator:
    """Return the random stream of a case in an epoch: the same in any process and after any resumption."""
    return np.random.default_rng([seed, 3, epoch, case])


def draw_variation(settings: AugmentSettings, rng: np.random.Generator) -> Variation:
    """Return a variation; it depends on ``rng`` alone."""
    flip = int(rng.integers(3)) if rng.random() < settings.flip_probability else None
    turns = int(rng.integers(1, 4)) if rng.random() < settings.rotate_probability else 0
    step = np.asarray(settings.shift_step_px)
    limit = np.asarray(settings.shift_px) // step
    slices, rows, columns = (rng.integers(-limit, limit + 1) * step).tolist()
    offset = rng.uniform(-settings.hu_shift, settings.hu_shift)
    return Variation(flip, turns, (slices, rows, columns), offset, rng.uniform(0.0, settings.hu_noise))


def augmented(hu: HuArray, variation: Variation, rng: np.random.Generator) -> HuArray:
    """Return ``hu`` (slice, row, column) with ``variation``, same shape; ``rng`` draws the noise. Air moves in.

    Raises
    ------
    ValueError
        As for :meth:`Variation.moved`.
    """
    moved = variation.moved(hu, AIR_HU)
    if not variation.hu_shift and not variation.hu_noise:
        return moved
    changed = moved + np.float32(variation.hu_shift)
    if variation.hu_noise:
        changed += rng.standard_normal(hu.shape, dtype=np.float32) * np.float32(variation.hu_noise)
    return np.asarray(np.rint(changed), dtype=np.int16)


def shifted(array: npt.NDArray[T], by: Sequence[int], fill: int) -> npt.NDArray[T]:
    """Return ``array`` moved along its last axes towards higher indices (lower if negative); ``fill`` moves in."""
    result = np.full_like(array, fill)
    sizes = array.shape[-len(by) :]
    target = tuple(slice(max(d, 0), n + min(d, 0)) for d, n in zip(by, sizes, strict=True))
    source = tuple(slice(max(-d, 0), n + min(-d, 0)) for d, n in zip(by, sizes, strict=True))
    into: tuple[Any, ...] = (..., *target)
    out_of: tuple[Any, ...] = (..., *source)
    result[into] = array[out_of]
    return result
