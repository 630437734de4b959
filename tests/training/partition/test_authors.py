"""The authors' recipe on their own grid, step by step on small arrays with large voxel counts."""

from __future__ import annotations

import numpy as np
import pytest

from training.partition import authors
from training.partition.authors import lungs_of, organs_of


@pytest.fixture(autouse=True)
def small_parts(monkeypatch) -> None:
    monkeypatch.setattr(authors, "LEAST_VOXELS", 1000)


@pytest.fixture
def chest():
    """430 columns wide: two lungs with a dense nodule and a smaller stomach, outside air at the edges."""
    hu = np.full((20, 120, 430), 40, np.int16)
    hu[:, :5] = hu[:, :, :5] = -1000
    hu[2:18, 30:90, 60:180] = hu[2:18, 30:90, 240:390] = -850
    hu[5:8, 50:56, 90:96] = 40
    hu[2:18, 100:110, 200:220] = -900
    return hu


def test_two_largest_parts_of_each_slice_without_what_touches_its_edge(chest) -> None:
    lungs = lungs_of(chest)
    assert lungs[2:18, 30:90, 240:390].all()
    assert not lungs[:, :5].any()
    assert not lungs[2:18, 100:110].any()


def test_dense_findings_stay_outside(chest) -> None:
    assert not lungs_of(chest)[5:8, 50:56, 90:96].any()


def test_parts_below_the_least_number_of_voxels_go(monkeypatch, chest) -> None:
    monkeypatch.setattr(authors, "LEAST_VOXELS", 10**6)
    assert not lungs_of(chest).any()
    assert not organs_of(chest).any()


def test_halves_of_the_array_and_the_band_between_quarter_and_seven_eighths(chest) -> None:
    chest[5:8, 50:56, 150:156] = 40
    labels = organs_of(chest)
    assert (labels[5:8, 50:56, 150:156] == 3).all()
    assert (labels[5:8, 50:56, 90:96] == 0).all()
    assert set(np.unique(labels[lungs_of(chest)][:1])) <= {1, 2}
    assert (labels[2:18, 30:90, 240:390] == 2).all()
    columns = np.flatnonzero((labels == 3).any(axis=(0, 1)))
    quarter = (389 - 60) // 4
    assert columns[0] == 150
    assert 60 + quarter <= 150
    assert columns[-1] < 389 - quarter // 2
    assert np.flatnonzero((labels == 3).any(axis=(1, 2)))[[0, -1]].tolist() == [2, 17]


def test_quality_control_by_the_columns_of_the_lungs(chest) -> None:
    shifted = np.roll(chest, 100, axis=2)
    shifted[:, :, :140] = np.where(shifted[:, :, :140] < -300, 40, shifted[:, :, :140])
    assert not organs_of(shifted).any()
