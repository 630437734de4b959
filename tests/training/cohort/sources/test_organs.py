"""Organs for the mask loss: the cohort's own map or PARTITION, at the cells of a map, worked out once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.cohort.sources import CohortDataset, PhantomCohort, RadChestCT, open_cohort
from training.cohort.sources import organs as module
from training.fit.regions import RegionRequest, region_request
from training.fit.settings import LossSettings
from training.geometry import CellLayout, ReceptiveField
from training.io import read_ct
from training.partition.allowed import organ_cells
from training.preprocess import InputSpec

SPEC = InputSpec((13.5, 7.0, 7.0), (24, 40, 40))
FIELD = ReceptiveField(8, 8, 3.5)
CELLS = CellLayout((8, 5, 5), (ReceptiveField(3, 3, 1), FIELD, FIELD))


def request_of(**changes: object) -> RegionRequest:
    return region_request(LossSettings(mask="authors", **changes), SPEC, CELLS)  # type: ignore[arg-type]


@pytest.fixture
def phantom(phantoms: Path, tmp_path: Path) -> CohortDataset:
    return open_cohort(PhantomCohort(phantoms), SPEC, tmp_path / "cache")["train"]


def test_a_phantoms_own_map_is_taken(phantom: CohortDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "segment_organs", None)
    found = phantom.organ_cells(0, request_of(mask_downsampling="fraction"))
    record = phantom.records[0]
    truth = read_labels(record.organs)
    cropped = truth[:, 4:-4, 4:-4].reshape(8, 3, 5, 8, 5, 8)  # the model sees 40 of 48 px
    for row, value in enumerate((1, 2, 3)):
        np.testing.assert_allclose(found[row], (cropped == value).mean(axis=(1, 3, 5)), atol=1e-6)
    assert all(part.any() for part in found)


def read_labels(path: Path | None) -> np.ndarray:
    import nibabel

    assert path is not None
    values = np.asarray(nibabel.load(path).dataobj)
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, nibabel.load(path).affine))
    return np.asarray(canonical.dataobj).transpose(2, 1, 0)[::-1, ::-1, ::-1]


def test_the_second_time_nothing_is_worked_out(phantom: CohortDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = phantom.organ_cells(0, request_of())
    monkeypatch.setattr(PhantomCohort, "read", None)
    monkeypatch.setattr(module, "read_masks", None)
    np.testing.assert_array_equal(phantom.organ_cells(0, request_of()), first)
    coarser = phantom.organ_cells(0, request_of(mask_downsampling="area"))  # from the kept labels
    assert coarser.shape == first.shape
    monkeypatch.setattr(module, "organ_cells", None)
    np.testing.assert_array_equal(phantom.organ_cells(0, request_of()), first)


def test_without_a_cache_it_is_the_same(phantom: CohortDataset) -> None:
    bare = replace(phantom, cache=None)
    np.testing.assert_array_equal(bare.organ_cells(0, request_of()), phantom.organ_cells(0, request_of()))


def test_partition_is_asked_where_there_is_no_map_or_it_is_wanted(phantom: CohortDataset) -> None:
    truth, found = (phantom.organ_cells(0, request_of(organs=kind)) for kind in ("auto", "partition"))
    assert not np.array_equal(truth, found)
    assert (truth * found).sum() > 0.5 * truth.sum()
    bare = replace(phantom, records=(replace(phantom.records[0], organs=None),))
    np.testing.assert_array_equal(bare.organ_cells(0, request_of()), found)


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_halves_stand_in_for_what_cannot_be_segmented(rad_chestct: Path, tmp_path: Path, variant: str) -> None:
    spec = InputSpec((0.8, 0.8, 0.8), (12, 24, 24))
    cells = CellLayout((4, 3, 3), (ReceptiveField(3, 3, 1), FIELD, FIELD))
    asked = region_request(LossSettings(mask="authors", heuristic=variant), spec, cells)  # type: ignore[arg-type]
    dataset = open_cohort(RadChestCT(rad_chestct), spec, tmp_path / "cache")["train"]  # 2 cm of a chest
    image = dataset.input(0).geometry
    expected = np.stack(list(organ_cells(None, image, cells, asked.settings).values()))
    np.testing.assert_array_equal(dataset.organ_cells(0, asked), expected)
    never = replace(asked, organs="heuristic")
    np.testing.assert_array_equal(open_cohort(RadChestCT(rad_chestct), spec)["train"].organ_cells(1, never), expected)


def test_another_map_makes_other_cells(phantoms: Path, tmp_path: Path) -> None:
    import shutil

    copied = tmp_path / "copy"
    shutil.copytree(phantoms, copied)
    dataset = open_cohort(PhantomCohort(copied), SPEC, tmp_path / "cache")["train"]
    before = dataset.organ_cells(0, request_of())
    own, other = dataset.records[0].organs, copied / "phantom-000005" / "organs.nii.gz"
    assert own is not None
    own.write_bytes(other.read_bytes())
    assert not np.array_equal(dataset.organ_cells(0, request_of()), before)
    assert read_ct(dataset.records[0].path).hu.any()
