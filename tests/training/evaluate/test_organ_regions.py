"""Allowed regions by placement, measured with OrganIoU."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import organ_iou
from training.evaluate.organ_iou import AUTHORS_SHAPE
from training.evaluate.organ_regions import allowed_by_placement
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.partition.allowed import RegionSettings

IMAGE = Geometry.canonical((405, 420, 420), (0.8, 0.8, 0.8))
AXIAL = CellLayout((135, 6, 6), (ReceptiveField(3, 3.0, 1.0), *[ReceptiveField(691, 32.0, 128.0)] * 2))
TRUNK = CellLayout((135, 14, 14), (ReceptiveField(3, 3.0, 1.0), *[ReceptiveField(435, 32.0, 0.0)] * 2))
LABELS = ("lung nodule", "cardiomegaly", "lung mass")
PRESENT = {"lung nodule": frozenset({"left"}), "cardiomegaly": frozenset[str]()}


def test_the_right_half_is_the_right_half_by_both_placements() -> None:
    found = allowed_by_placement(None, IMAGE, AXIAL, LABELS, PRESENT)
    assert list(found) == ["receptive_field", "stretch"]
    left = np.zeros(AUTHORS_SHAPE)
    left[..., 3:] = 1.0  # columns run from the patient's right to left
    for allowed in found.values():
        assert organ_iou(left, allowed[0], 0.5) == 1.0
        assert organ_iou(1 - left, allowed[0], 0.5) == 0.0
        assert organ_iou(np.ones(AUTHORS_SHAPE), allowed[0], 0.5) == pytest.approx(0.5)
        assert not allowed[2].any()


def test_the_mediastinum_depends_on_the_placement() -> None:
    found = allowed_by_placement(None, IMAGE, AXIAL, LABELS, PRESENT)
    shares = {placement: organ_iou(np.ones(AUTHORS_SHAPE), allowed[1], 0.5) for placement, allowed in found.items()}
    # The central half is px 105 to 315: all centres 128 to 288, but only four of six of the stretched 34.5 to 384.5.
    assert shares["receptive_field"] == pytest.approx(1.0)
    assert shares["stretch"] < 1.0


def test_regions_for_resampled_maps_are_on_their_grid() -> None:
    own = allowed_by_placement(None, IMAGE, TRUNK, LABELS, PRESENT)
    resampled = allowed_by_placement(None, IMAGE, TRUNK, LABELS, PRESENT, shape=AUTHORS_SHAPE)
    assert own["stretch"].shape == (3, 135, 14, 14)
    assert resampled["stretch"].shape == (3, *AUTHORS_SHAPE)
    direct = allowed_by_placement(None, IMAGE, AXIAL, LABELS, PRESENT)["stretch"]
    np.testing.assert_array_equal(resampled["stretch"], direct)


def test_the_authors_regions_exist_stretched_only() -> None:
    authors = RegionSettings(placement="stretch", downsampling="authors", side="both", heuristic="authors")
    found = allowed_by_placement(None, IMAGE, AXIAL, LABELS, PRESENT, authors)
    assert list(found) == ["stretch"]
    assert found["stretch"][0].all()  # both lungs
