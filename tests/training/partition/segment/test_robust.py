"""What scans are like: padding, arms, metal, noise, crops, thick slices, collapsed lungs, turned arrays, phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from training.cohort.phantom import PhantomGrid, Wish, make_phantom
from training.geometry import Geometry
from training.partition import segment_organs
from training.partition.segment.shapes import dilate
from training.volume import Volume


def disc(shape, row, column, radius):
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


@pytest.mark.parametrize("padding", [-2000, -2048, -3024])
def test_padding_outside_a_round_field_of_view(real, dice, padding) -> None:
    hu = real.volume.hu.copy()
    hu[:, ~disc(hu.shape[1:], 31.5, 31.5, 32)] = padding
    assert min(dice(segment_organs(real.with_hu(hu).volume).labels, real).values()) >= 0.97


def test_a_round_field_of_view_that_cuts_through_the_lungs(real, dice) -> None:
    seen = disc(real.volume.hu.shape[1:], 31.5, 31.5, 24)
    chest = real.with_hu(np.where(seen, real.volume.hu, -2000))
    cut = type(real)(chest.volume, real.right & seen, real.left & seen, real.ignored, {})
    organs = segment_organs(cut.volume)
    assert min(dice(organs.labels, cut).values()) >= 0.97
    assert "lungs-at-edge" in {issue.code for issue in organs.qc.reasons}


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ((slice(0, 45), slice(None), slice(None)), "lungs-at-end"),
        ((slice(25, None), slice(None), slice(None)), "lungs-at-end"),
        ((slice(None), slice(10, 54), slice(14, 56)), "lungs-at-edge"),
    ],
)
def test_cropped_scans_keep_their_lungs_and_say_so(real, dice, window, code) -> None:
    part = real.cropped(*window)
    organs = segment_organs(part.volume)
    assert min(dice(organs.labels, part).values()) >= 0.97
    assert organs.qc.heuristic is None
    assert code in {issue.code for issue in organs.qc.reasons}


def test_arms_beside_the_body(real, dice) -> None:
    wide = tuple(slice(None) for _ in range(2))
    hu = np.pad(real.volume.hu, ((0, 0), (0, 0), (20, 20)), constant_values=-1000)
    for column in (12, 92):
        hu[wide[0], disc(hu.shape[1:], 34, column, 9)] = 40
        hu[wide[0], disc(hu.shape[1:], 34, column, 3)] = 600
    geometry = real.volume.geometry.subgrid((0, 0, -20), (1, 1, 1), hu.shape)
    padded = [np.pad(m, ((0, 0), (0, 0), (20, 20))) for m in (real.right, real.left, real.ignored)]
    chest = type(real)(Volume(hu, geometry), padded[0], padded[1], padded[2], {})
    assert min(dice(segment_organs(chest.volume).labels, chest).values()) >= 0.97


def test_metal_and_noise(real, dice) -> None:
    hu = real.volume.hu.astype(float) + np.random.default_rng(0).normal(0, 60, real.volume.hu.shape)
    hu[20:40, 12:15, 20:40:3] = 3071
    hu[30, :, ::6] += 400
    chest = real.with_hu(np.maximum(hu, -1024))
    assert min(dice(segment_organs(chest.volume).labels, chest).values()) >= 0.96


def test_a_mostly_collapsed_lung_is_found_and_named(real, dice) -> None:
    rows, slices = np.arange(64)[None, :, None], np.arange(79)[:, None, None]
    airless = real.left & ((rows > 24) | (slices > 35))
    chest = real.with_hu(np.where(airless, 30, real.volume.hu))
    rest = type(real)(chest.volume, real.right, real.left & ~airless, real.ignored, {})
    organs = segment_organs(rest.volume)
    assert min(dice(organs.labels, rest).values()) >= 0.96
    assert [issue.code for issue in organs.qc.reasons] == ["asymmetric-lungs"]
    assert "left lung" in organs.qc.reasons[0].message


def test_a_lung_without_any_air_gets_the_place_that_mirrors_the_other(real, dice) -> None:
    organs = segment_organs(real.with_hu(np.where(real.left, 40, real.volume.hu)).volume)
    scores = dice(organs.labels, real)
    assert scores["right"] >= 0.97
    assert scores["left"] >= 0.75
    assert organs.qc.passed
    assert [issue.code for issue in organs.qc.reasons] == ["missing-lung"]


@pytest.mark.parametrize("axes", [(1, 2), (0,), (0, 1, 2)])
def test_the_result_follows_the_patient_not_the_array(real, axes) -> None:
    plain = segment_organs(real.volume)
    geometry = real.volume.geometry
    start = [geometry.shape[k] - 1 if k in axes else 0 for k in range(3)]
    step = [-1 if k in axes else 1 for k in range(3)]
    turned = Volume(np.flip(real.volume.hu, axes), geometry.subgrid(start, step, geometry.shape))
    organs = segment_organs(turned)
    assert np.array_equal(np.flip(organs.labels, axes), plain.labels)
    assert organs.body is not None
    assert np.array_equal(np.flip(organs.body, axes), plain.body)
    assert organs.geometry is turned.geometry


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.0, 2.5, 2.5), (5.0, 1.6, 1.6), (8.0, 2.5, 2.5)])
def test_phantoms_at_several_spacings(dice, real, spacing) -> None:
    shape = tuple(round(e / s) for e, s in zip((324, 336, 336), spacing, strict=True))
    phantom = make_phantom(3, PhantomGrid(shape, spacing), findings="none")
    truth = type(real)(
        phantom.volume, phantom.organs == 1, phantom.organs == 2, np.zeros(phantom.organs.shape, bool), {}
    )
    organs = segment_organs(phantom.volume)
    assert min(dice(organs.labels, truth).values()) >= (0.98 if spacing[0] < 8 else 0.96)
    chest = np.flatnonzero((truth.right | truth.left).any(axis=(1, 2)))
    inside = slice(chest[0], chest[-1] + 1)
    ours, true = organs.labels[inside] == 3, phantom.organs[inside] == 3  # their truth goes on into the neck
    assert ours[true].mean() >= 0.83  # and down the great vessels, through the abdomen
    assert 2 * (ours & true).sum() / (ours.sum() + true.sum()) >= 0.83


@pytest.mark.parametrize("ends", [56, 72, 80])
def test_the_heart_is_whole_wherever_the_scan_ends(painted, ends) -> None:
    part = painted.cropped(slice(0, ends), slice(None), slice(None))
    mediastinum = segment_organs(part.volume).labels == 3
    assert mediastinum[part.organs["heart"]].mean() >= 0.98
    assert mediastinum[part.organs["liver"]].sum() * 0.027 < 5


@pytest.mark.parametrize(("side", "spacing"), [("right", (3.0, 3.0, 3.0)), ("left", (5.0, 1.6, 1.6))])
def test_the_lung_does_not_leave_the_chest_through_a_chest_tube(side, spacing) -> None:
    shape = tuple(round(e / s) for e, s in zip((324, 336, 336), spacing, strict=True))
    phantom = make_phantom(3, PhantomGrid(shape, spacing), {"chest tube": Wish(side)})
    (tube,) = phantom.findings
    outside = tube.mask & ~dilate(np.isin(phantom.organs, (1, 2)), 4.0, spacing)
    lungs = np.isin(segment_organs(phantom.volume).labels, (1, 2))
    assert outside.sum() > 100
    assert lungs[outside].mean() < 0.05
    assert lungs[tube.mask & np.isin(phantom.organs, (1, 2))].mean() > 0.95


def test_fine_voxels(dice, real) -> None:
    """The same chest, every voxel made 5 x 5 x 5 (0.8 mm): thresholds in mm give the same organs."""
    part = real.cropped(slice(10, 60), slice(8, 60), slice(4, 60))
    geometry = part.volume.geometry
    step = 1 / 5
    hu = part.volume.hu
    for axis in range(3):
        hu = np.repeat(hu, 5, axis=axis)
    fine = Volume(hu, geometry.subgrid((-0.4, -0.4, -0.4), (step, step, step), hu.shape))
    labels = segment_organs(fine).labels[2::5, 2::5, 2::5]
    assert min(dice(labels, part).values()) >= 0.96


def test_an_oblique_volume_keeps_its_geometry(real) -> None:
    turn = np.eye(4)
    angle = np.deg2rad(10)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    volume = Volume(real.volume.hu, Geometry(real.volume.geometry.shape, turn @ real.volume.geometry.affine))
    organs = segment_organs(volume)
    assert organs.geometry is volume.geometry
    assert (organs.labels == segment_organs(real.volume).labels).mean() > 0.99
