"""Repairs on request: slices moved back in their plane (tilt, drift) and interpolated along z (gaps, uneven spacing).

All interpolation is linear; slices that lie on the new grid are copied. What was done is told in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.geometry import FloatArray
from training.io.dicom.checks import SHIFT_REFUSED_PX, tilt_angle
from training.io.dicom.spacing import SPACING_ACCEPTED, even_positions, find_unevenness
from training.io.dicom.stack import MIN_SLICES, Stack
from training.volume import AIR_HU
from training.words import counted_of

HuArray = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Plan:
    """How the slices of a stack become a regular grid.

    Parameters
    ----------
    z_mm
        Positions of the slices of the result along the normal, ascending.
    shift_px
        (n, 2): where the first pixel of each slice lies on the new in-plane grid (row, column); None to leave them.
    shape
        (slices, rows, columns) of the result; larger in plane where slices are moved, so that nothing is lost.
    corner_mm
        In-plane offset (down a column, along a row) of the new grid's first pixel from that of the first slice.
    done
        Every repair in words; empty if the stack is regular already.
    """

    z_mm: FloatArray
    shift_px: FloatArray | None
    shape: tuple[int, int, int]
    corner_mm: tuple[float, float]
    done: tuple[str, ...]


def make_plan(stack: Stack, repair: bool) -> Plan:
    """Return the repairs that ``stack`` needs; none without ``repair``."""
    layout = stack.frames[0].header.pixels
    if not repair or len(stack.frames) < MIN_SLICES:
        return Plan(stack.z_mm, None, (len(stack.frames), layout.rows, layout.columns), (0.0, 0.0), ())
    z_mm, along_z = _plan_z(stack)
    shift, corner, size, in_plane = _plan_shift(stack, layout.rows, layout.columns)
    return Plan(z_mm, shift, (len(z_mm), *size), corner, (*in_plane, *along_z))


def move_slice(hu: HuArray, shift_px: FloatArray, out: HuArray) -> None:
    """Write ``hu`` to ``out`` with its first pixel at the fractional (row, column) ``shift_px``; air around it.

    Bilinear, from PS3.3 C.7.6.2.1.1: pixel centres.
    """
    whole = np.floor(shift_px).astype(int)
    down, along = (float(v) for v in shift_px - whole)
    padded = np.pad(hu.astype(np.float32), 1, constant_values=AIR_HU)
    rows = padded[1:] * (1 - down) + padded[:-1] * down
    both = rows[:, 1:] * (1 - along) + rows[:, :-1] * along
    out[...] = AIR_HU
    height = min(both.shape[0], out.shape[0] - whole[0])
    width = min(both.shape[1], out.shape[1] - whole[1])
    out[whole[0] : whole[0] + height, whole[1] : whole[1] + width] = np.rint(both[:height, :width])


def interpolate_z(hu: HuArray, from_mm: FloatArray, to_mm: FloatArray, write: Callable[[int], HuArray]) -> None:
    """Interpolate slices ``hu`` at ``from_mm`` linearly to ``to_mm``; ``write(k)`` gives where slice k goes."""
    for k, below, weight in zip(range(len(to_mm)), *_weights(from_mm, to_mm), strict=True):
        out = write(k)
        if weight == 0:
            out[...] = hu[below]
        else:
            out[...] = np.rint(hu[below] * np.float32(1 - weight) + hu[below + 1] * np.float32(weight))


def _plan_z(stack: Stack) -> tuple[FloatArray, tuple[str, ...]]:
    uneven = find_unevenness(stack.z_mm, [frame.file_name for frame in stack.frames])
    if uneven is None:
        return stack.z_mm, ()
    z_mm = even_positions(stack.z_mm, uneven.step_mm)
    made = int(np.count_nonzero(_weights(stack.z_mm, z_mm)[1]))
    step = float(z_mm[1] - z_mm[0])
    what = f"{counted_of(made, len(z_mm), 'slice')} linearly interpolated along z to {step:.4g} mm"
    return z_mm, (f"{uneven.code}: {what}",)


def _weights(from_mm: FloatArray, to_mm: FloatArray) -> tuple[list[int], list[float]]:
    """Return, for each target, the slice below it and the weight of the one above; 0 where it lies on a slice."""
    below = np.clip(np.searchsorted(from_mm, to_mm, side="right") - 1, 0, len(from_mm) - 2)
    weight = (to_mm - from_mm[below]) / (from_mm[below + 1] - from_mm[below])
    near = SPACING_ACCEPTED * float(to_mm[1] - to_mm[0])
    on_above = np.abs(to_mm - from_mm[below + 1]) <= near
    on_below = np.abs(to_mm - from_mm[below]) <= near
    below = np.where(on_above, below + 1, below)
    return below.tolist(), np.where(on_above | on_below, 0.0, weight).tolist()


def _plan_shift(
    stack: Stack, rows: int, columns: int
) -> tuple[FloatArray | None, tuple[float, float], tuple[int, int], tuple[str, ...]]:
    spacing = np.asarray(stack.spacing_mm)
    shift = stack.shift_mm / spacing
    if np.abs(shift).max() <= SHIFT_REFUSED_PX:
        return None, (0.0, 0.0), (rows, columns), ()
    corner = shift.min(axis=0)
    placed = shift - corner
    extra = np.ceil(placed.max(axis=0) - 1e-6).astype(int)
    angle = tilt_angle(stack)
    largest = float(np.abs(stack.shift_mm).max())
    what = f"gantry-tilt: sheared out {abs(angle):.2f} degrees" if angle is not None else "in-plane-drift: moved back"
    done = f"{what}, slices moved by up to {largest:.4g} mm (bilinear)"
    low = corner * spacing
    return placed, (float(low[0]), float(low[1])), (rows + int(extra[0]), columns + int(extra[1])), (done,)
