"""Exact organs painted to HU: lungs, and what belongs and does not belong to the mediastinum."""

from __future__ import annotations

import numpy as np
import pytest

from training.partition import segment_organs
from training.partition.segment.shapes import dilate, erode


@pytest.fixture(scope="module")
def result(painted):
    return segment_organs(painted.volume)


def test_lungs(painted, result, dice) -> None:
    scores = dice(result.labels, painted)
    assert scores["both"] >= 0.997
    assert min(scores["right"], scores["left"]) >= 0.997
    assert result.qc.passed


def test_lungs_painted_as_a_ct_shows_them_beat_the_authors_recipe_and_a_threshold(
    lifelike, lifelike_authors, dice, threshold
) -> None:
    ours = segment_organs(lifelike.volume)
    scores = dice(ours.labels, lifelike)
    assert scores["both"] >= 0.99
    for other in (lifelike_authors.labels, threshold(lifelike.volume, ours.body)):
        theirs = dice(other, lifelike)
        assert all(scores[which] > theirs[which] for which in scores)
    assert ours.qc.reasons == ()


@pytest.mark.parametrize("organ", ["heart", "aorta", "superior_vena_cava"])
def test_heart_and_great_vessels_lie_in_the_mediastinum(painted, result, organ) -> None:
    chest = np.flatnonzero((painted.right | painted.left).any(axis=(1, 2)))
    inside = slice(chest[0], chest[-1] + 1)
    mask = painted.organs[organ][inside]
    assert (result.labels[inside] == 3)[mask].mean() >= 0.97


@pytest.mark.parametrize(
    ("beginning", "most"),
    [("vertebrae_", 0.15), ("rib_", 0.03), ("scapula_", 0.01), ("liver", 0.02), ("stomach", 0.02), ("spleen", 0.01)],
)
def test_bones_and_what_lies_below_the_diaphragm_stay_out_of_it(painted, result, beginning, most) -> None:
    mask = sum((m for n, m in painted.organs.items() if n.startswith(beginning)), start=np.zeros_like(painted.right))
    assert (result.labels == 3)[mask].mean() <= most


def test_below_the_domes_no_rim_along_the_lungs_is_left(painted, result) -> None:
    spacing = painted.volume.geometry.spacing_mm
    mediastinum = result.labels == 3
    thick = dilate(erode(mediastinum, 4, spacing), 4, spacing)
    below = slice(70, None)
    assert mediastinum[below].any()
    assert (mediastinum & ~thick)[below].sum() <= 0.02 * mediastinum[below].sum()


@pytest.mark.parametrize(("lobes", "below"), [("lung_lower_lobe_left", 0), ("_left", 60), ("_right", 60), ("", 70)])
def test_airless_bases_do_not_cut_the_heart(painted, lobes, below) -> None:
    airless = sum((m for n, m in painted.organs.items() if n.startswith("lung_") and lobes in n), painted.right & False)
    airless &= np.arange(len(airless))[:, None, None] > below
    mediastinum = segment_organs(painted.with_hu(np.where(airless, 30, painted.volume.hu)).volume).labels == 3
    assert mediastinum[painted.organs["heart"]].mean() >= 0.97


def test_contrast_in_heart_and_vessels_changes_nothing(painted, dice) -> None:
    hu = painted.volume.hu.astype(int)
    for name in ("heart", "aorta", "superior_vena_cava", "pulmonary_vein", "inferior_vena_cava"):
        hu[painted.organs[name]] += 260
    bright = painted.with_hu(hu)
    result = segment_organs(bright.volume)
    chest = np.flatnonzero((painted.right | painted.left).any(axis=(1, 2)))
    inside = slice(chest[0], chest[-1] + 1)
    assert min(dice(result.labels, bright).values()) >= 0.98
    for organ in ("heart", "aorta"):
        assert (result.labels[inside] == 3)[painted.organs[organ][inside]].mean() >= 0.97


def test_the_body_is_filled_and_without_the_air_around(painted, result) -> None:
    assert result.body is not None
    assert result.body[painted.right | painted.left].mean() > 0.99
    assert result.body[painted.organs["heart"]].all()
    assert not result.body[:, :3].any()


def test_a_dense_nodule_within_the_lung_belongs_to_it(painted) -> None:
    centre = np.argwhere(painted.right).mean(axis=0)
    distance = np.linalg.norm((np.indices(painted.right.shape).T - centre) * 3.0, axis=-1).T
    nodule = (distance < 12) & painted.right
    hu = np.where(nodule, 45, painted.volume.hu)
    result = segment_organs(painted.with_hu(hu).volume)
    assert (result.labels[nodule] == 1).mean() > 0.98


def test_lungs_that_touch_in_front_are_told_apart(painted, dice) -> None:
    hu = painted.volume.hu.copy()
    middle = int(np.argwhere(painted.organs["sternum"])[:, 2].mean())
    heart = np.argwhere(painted.organs["heart"])
    top = heart[:, 0].min()
    front = np.argwhere((painted.right | painted.left)[top - 12 : top]).min(axis=0)[1]
    bridge = (slice(top - 12, top), slice(front + 1, front + 6), slice(middle - 6, middle + 7))
    hu[bridge] = -840
    result = segment_organs(painted.with_hu(hu).volume)
    assert min(dice(result.labels, painted).values()) >= 0.97
