"""NIfTI exports lie on the CT's own grid, voxel by voxel, or at the cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from training.geometry import Geometry
from training.io import read_ct
from training.io.export.nifti import ct_grid, map_on_grid, write_map_cells, write_map_on_ct, write_organs
from training.io.orient import LPS_FROM_RAS
from training.io.write import write_nifti


def read(path: Path) -> tuple[np.ndarray, Geometry]:
    image: Any = nibabel.load(path)
    values = np.asarray(image.dataobj).transpose(2, 1, 0)
    return values, Geometry(values.shape, (LPS_FROM_RAS @ image.affine)[:, [2, 1, 0, 3]])


def test_organs_lie_on_the_grid_of_the_ct(scene: Any, tmp_path: Path) -> None:
    write_organs(tmp_path / "o.nii.gz", scene.organs, ct_grid(scene.folder, scene.volume.geometry))
    values, geometry = read(tmp_path / "o.nii.gz")
    assert np.array_equal(values, scene.organs.labels)
    assert geometry.allclose(scene.volume.geometry)


def test_a_map_on_the_ct_has_the_value_of_the_cell_at_every_voxel(scene: Any, tmp_path: Path) -> None:
    grid = scene.volume.geometry
    write_map_on_ct(tmp_path / "m.nii", scene.explanation, 1, "hirescam", grid, "stretch")
    values, geometry = read(tmp_path / "m.nii")
    assert geometry.allclose(grid)
    cells = scene.explanation.map(1)
    seen = 0
    for index in [(0, 0, 0), (2, 5, 7), (3, 3, 3), tuple(n - 1 for n in grid.shape)]:
        cell = scene.explanation.cell_at(grid.to_world(index), "hirescam", "stretch")
        expected = 0.0 if cell is None else cells[cell]
        assert values[index] == pytest.approx(expected, rel=1e-6)
        seen += cell is not None
    assert seen >= 2


def test_the_file_of_the_cells_adds_up_to_the_score(scene: Any, tmp_path: Path) -> None:
    write_map_cells(tmp_path / "m.nii.gz", scene.explanation, 2, "hirescam")
    values, geometry = read(tmp_path / "m.nii.gz")
    assert np.array_equal(values, scene.explanation.map(2))
    assert geometry.allclose(scene.explanation.geometry())
    score = values.sum(dtype=np.float64) + scene.explanation.bias[2]
    assert score == pytest.approx(scene.explanation.scores[2], abs=1e-4)


FLIPS = {"as stored": (1, 1, 1), "right to left": (1, 1, -1), "feet first": (-1, 1, 1), "all": (-1, -1, -1)}


@pytest.mark.parametrize("name", FLIPS)
@pytest.mark.parametrize("turned", [False, True], ids=["straight", "oblique"])
def test_a_nifti_ct_gives_exports_its_own_grid(axial: Any, tmp_path: Path, name: str, turned: bool) -> None:
    step = FLIPS[name]
    start = [0 if s > 0 else n - 1 for s, n in zip(step, axial.volume.geometry.shape, strict=True)]
    stored = axial.volume.geometry.subgrid(start, step, axial.volume.geometry.shape)
    if turned:
        angle = np.eye(4)
        angle[:2, :2] = [[0.96, -0.28], [0.28, 0.96]]
        stored = Geometry(stored.shape, angle @ stored.affine)
    hu = axial.volume.hu[tuple(slice(None, None, s) for s in step)]
    write_nifti(tmp_path / "ct.nii", hu, stored)
    volume = read_ct(tmp_path / "ct.nii")
    grid = ct_grid(tmp_path / "ct.nii", volume.geometry)
    assert grid.allclose(stored)
    expected = np.arange(hu.size).reshape(hu.shape) % 4
    index = np.argwhere(np.ones(volume.geometry.shape, bool))
    there = np.rint(stored.to_index(volume.geometry.to_world(index))).astype(int)
    organs = expected[tuple(there.T)].reshape(volume.geometry.shape).astype(np.uint8)
    write_organs(tmp_path / "o.nii", type(axial.organs)(organs, volume.geometry, axial.organs.qc), grid)
    values, geometry = read(tmp_path / "o.nii")
    assert np.array_equal(values, expected)
    assert geometry.allclose(stored)


def test_without_the_file_the_grid_is_that_of_the_volume(axial: Any) -> None:
    assert ct_grid(None, axial.volume.geometry) is axial.volume.geometry
    assert map_on_grid(axial.explanation, 0, "gradcam", axial.volume.geometry).shape == axial.volume.hu.shape
