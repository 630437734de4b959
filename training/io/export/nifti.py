"""Maps and organ masks as NIfTI, voxel by voxel on the CT's own grid, or at the cells of the map."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.explain.placement import Placement
from training.explain.result import Explanation, Method
from training.geometry import Geometry
from training.io.own_grid import own_grid
from training.io.write import write_nifti
from training.partition.grids import nearest_labels
from training.partition.organs import Organs


def ct_grid(path: Path | None, image: Geometry) -> Geometry:
    """Return the grid that files for a CT should share with it.

    Parameters
    ----------
    path
        Where the CT was read from; None if it is not at hand.
    image
        Geometry of the volume as read: the grid wherever the CT has none of its own (DICOM, npz).
    """
    own = own_grid(path) if path is not None and path.is_file() else None
    return own or image


def map_on_grid(
    explanation: Explanation, label: str, method: Method, grid: Geometry, placement: Placement = "receptive_field"
) -> npt.NDArray[np.float32]:
    """Return the signed map of ``label`` on ``grid``, float32: every voxel has the value of the cell drawn there.

    Nothing is interpolated. Voxels where no cell is drawn are 0. Values are those of the cells (score units for
    HiResCAM), not densities: only the file of the cells themselves adds up to the score.
    """
    cells = explanation.map(label, method)
    return np.asarray(nearest_labels(cells, explanation.geometry(method, placement), grid), dtype=np.float32)


def write_map_on_ct(
    path: str | os.PathLike[str],
    explanation: Explanation,
    label: str,
    method: Method,
    grid: Geometry,
    placement: Placement = "receptive_field",
) -> None:
    """Write :func:`map_on_grid` to ``path`` (.nii or .nii.gz); errors as :func:`training.io.write.write_nifti`."""
    write_nifti(path, map_on_grid(explanation, label, method, grid, placement), grid)


def write_map_cells(
    path: str | os.PathLike[str],
    explanation: Explanation,
    label: str,
    method: Method,
    placement: Placement = "receptive_field",
) -> None:
    """Write the map as it is: one voxel a cell, placed in mm; a HiResCAM file adds up to score minus bias."""
    write_nifti(path, explanation.map(label, method), explanation.geometry(method, placement))


def write_organs(path: str | os.PathLike[str], organs: Organs, grid: Geometry) -> None:
    """Write organ labels (1 right lung, 2 left lung, 3 mediastinum) to ``path`` on ``grid``."""
    write_nifti(path, nearest_labels(organs.labels, organs.geometry, grid), grid)
