"""Variation of training CTs: flips and quarter turns (paper), shifts, and changes of the HU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.fit.config import AugmentSettings
from training.volume import AIR_HU

HuArray = npt.NDArray[np.int16]


def augmented(hu: HuArray, settings: AugmentSettings, rng: np.random.Generator) -> HuArray:
    """Return a variation of ``hu`` (slice, row, column), same shape; the draws depend on ``rng`` alone.

    Order: flip, turn, shift, HU shift, noise. The flip reverses one axis, drawn among the three; the turn is in the
    axial plane (and needs square slices).
    """
    result = hu
    if settings.flip_probability and rng.random() < settings.flip_probability:
        result = np.flip(result, axis=int(rng.integers(3)))
    if settings.rotate_probability and rng.random() < settings.rotate_probability:
        result = np.rot90(result, k=int(rng.integers(1, 4)), axes=(1, 2))
    if any(settings.shift_px):
        limit = np.asarray(settings.shift_px)
        result = shifted(result, rng.integers(-limit, limit + 1))
    return _with_hu_changes(np.ascontiguousarray(result), settings, rng)


def shifted(hu: HuArray, by: npt.NDArray[np.integer]) -> HuArray:
    """Return ``hu`` moved by whole voxels towards higher indices (lower if negative); air moves in."""
    result = np.full_like(hu, AIR_HU)
    target = tuple(slice(max(d, 0), n + min(d, 0)) for d, n in zip(by.tolist(), hu.shape, strict=True))
    source = tuple(slice(max(-d, 0), n + min(-d, 0)) for d, n in zip(by.tolist(), hu.shape, strict=True))
    result[target] = hu[source]
    return result


def _with_hu_changes(hu: HuArray, settings: AugmentSettings, rng: np.random.Generator) -> HuArray:
    if not settings.hu_shift and not settings.hu_noise:
        return hu
    offset = rng.uniform(-settings.hu_shift, settings.hu_shift) if settings.hu_shift else 0.0
    sigma = rng.uniform(0.0, settings.hu_noise) if settings.hu_noise else 0.0
    noisy = rng.standard_normal(hu.shape, dtype=np.float32)
    noisy *= np.float32(sigma)
    noisy += hu
    noisy += np.float32(offset)
    return np.rint(noisy).astype(np.int16)
