"""What maps are worth that never looked at the CT, or that a network drew which was never trained.

No OrganIoU or pointing error is shown without them: an organ that fills half of the field of view gives a uniform map
one half. The random-weights baseline is the maps of the same architecture with random weights (``ARCH:random``); they
come as arrays like any other model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

UNIFORM, CENTRE, RANDOM_WEIGHTS, PRIOR = "uniform map", "centre prior", "random weights", "prior of place"
RANDOM_LAST_LAYER = "random last layer"
"""The model's own Z under a last layer of random weights: what the trunk alone is worth."""

BASELINES = (UNIFORM, CENTRE, RANDOM_WEIGHTS, RANDOM_LAST_LAYER, PRIOR)

CENTRE_WIDTH = 0.25
"""Standard deviation of the centre prior along every axis, as a share of the image's extent."""


def uniform_map(shape: Sequence[int]) -> FloatArray:
    """Return a map that is 1 everywhere; its OrganIoU is the allowed share of the cells at every threshold."""
    return np.ones(tuple(shape))


def centre_map(cells: Geometry, image: Geometry) -> FloatArray:
    """Return a Gaussian about the centre of the image, at the cells of a map.

    Parameters
    ----------
    cells
        Geometry of the map (either placement).
    image
        Geometry of the model input or of the CT; its extent sets the width (``CENTRE_WIDTH``) along each of its axes.

    Returns
    -------
    float64 [H, D1, D2], in (0, 1].
    """
    index = np.stack(np.meshgrid(*[np.arange(n) for n in cells.shape], indexing="ij"), axis=-1)
    middle, extent = image.to_index(image_centre_mm(image)), np.asarray(image.shape, dtype=np.float64)
    offset = (image.to_index(cells.to_world(index)) - middle) / (CENTRE_WIDTH * extent)
    return np.asarray(np.exp(-0.5 * np.square(offset).sum(axis=-1)))


def image_centre_mm(image: Geometry) -> FloatArray:
    """Return the LPS mm of the middle of an image."""
    return image.to_world((np.asarray(image.shape) - 1) / 2)


def with_baselines(
    maps: Mapping[str, npt.NDArray[np.floating]],
    cells: Geometry,
    image: Geometry,
    random_weights: npt.NDArray[np.floating] | None = None,
) -> dict[str, npt.NDArray[np.floating]]:
    """Return ``maps`` with the baselines beside them, each under its name.

    Parameters
    ----------
    maps
        By source: shape (M, H, D1, D2).
    random_weights
        The same shape, from the same architecture with random weights; left out if None.

    Raises
    ------
    ValueError
        If a source has the name of a baseline.
    """
    taken = sorted(set(maps) & set(BASELINES))
    if taken:
        raise ValueError(f"these names are kept for baselines: {', '.join(taken)}")
    found = {**maps, UNIFORM: uniform_map(cells.shape), CENTRE: centre_map(cells, image)}
    return found if random_weights is None else {**found, RANDOM_WEIGHTS: random_weights}
