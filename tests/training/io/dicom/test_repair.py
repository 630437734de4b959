"""Repairs: what they give, and that they are told."""

import numpy as np
import pytest
from scipy import ndimage

from training.io.dicom import read_dicom
from training.io.dicom.repair import move_slice


def told(volume):
    assert [i.message for i in volume.issues if i.code == "repaired"] == list(volume.provenance.repairs)
    assert not [i for i in volume.issues if i.severity == "error"]
    return "\n".join(volume.provenance.repairs)


def test_nothing_is_repaired_unasked_or_without_need(tmp_path, ct):
    hu = ct.phantom()
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu)), repair=True)
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert volume.provenance.repairs == ()


def test_a_missing_slice_is_the_mean_of_its_neighbours(tmp_path, ct):
    hu = ct.phantom()
    series = ct.make_series(hu)
    del series[2]
    volume = read_dicom(ct.save(tmp_path, series), repair=True)
    expected = hu.copy()
    expected[2] = np.rint((hu[1].astype(np.float32) + hu[3]) / 2)
    np.testing.assert_array_equal(volume.hu, ct.canonical(expected))
    assert "1 of 6 slices" in told(volume)
    assert volume.geometry.allclose(read_dicom(ct.save(tmp_path / "whole", ct.make_series(hu))).geometry)


def test_several_missing_slices_are_interpolated(tmp_path, ct):
    hu = ct.smooth((9, 16, 20))
    series = [ds for k, ds in enumerate(ct.make_series(hu)) if k not in (2, 3, 6)]
    volume = read_dicom(ct.save(tmp_path, series), repair=True)
    np.testing.assert_allclose(volume.hu, ct.canonical(hu), atol=0.5)
    assert "3 of 9 slices" in told(volume)


def test_irregular_slices_are_put_on_an_even_grid(tmp_path, ct):
    z = np.array([0, 2.5, 5.75, 7.5, 10, 12.5])
    at = np.tile(np.asarray(ct.ORIGIN), (6, 1))
    at[:, 2] += z
    hu = np.tile(np.rint(-1000 + 40 * z).astype(np.int16)[:, None, None], (1, 16, 20))
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu, at=at)), repair=True)
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.5)
    np.testing.assert_allclose(volume.hu[::-1, 0, 0], -1000 + 40 * np.arange(6) * 2.5, atol=1)
    assert "irregular-spacing" in told(volume)


def test_two_blocks_get_the_finer_spacing(tmp_path, ct):
    z = np.r_[np.arange(5) * 2.0, 8 + np.arange(1, 5) * 4.0]
    at = np.tile(np.asarray(ct.ORIGIN), (9, 1))
    at[:, 2] += z
    hu = np.tile(np.rint(-1000 + 10 * z).astype(np.int16)[:, None, None], (1, 16, 20))
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu, at=at)), repair=True)
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.0)
    np.testing.assert_allclose(volume.hu[::-1, 0, 0], -1000 + 20 * np.arange(13))
    assert "two-spacings" in told(volume)


def landmarks(shape, spacing, centre_mm, place):
    """A soft ball around ``centre_mm``, drawn where ``place(k, r, c)`` says that each voxel lies."""
    k, r, c = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    distance = np.linalg.norm(place(k, r, c) - np.asarray(centre_mm), axis=-1)
    return np.where(distance < 6, 1000 - 300 * distance, -800).clip(-800).astype(np.int16)


def heaviest(volume):
    """World position of the centre of mass above air, mm."""
    weight = (volume.hu.astype(float) + 800).clip(0)
    return volume.geometry.to_world(np.array(ndimage.center_of_mass(weight)))


@pytest.mark.parametrize("degrees", [12, -8])
@pytest.mark.parametrize("tilted_plane", [True, False])
def test_a_sheared_out_tilt_places_a_landmark_to_within_a_voxel(tmp_path, ct, degrees, tilted_plane):
    t = np.radians(degrees)
    shape, spacing = (16, 40, 32), (1.5, 0.9, 0.9)
    down = np.array([0, np.cos(t), -np.sin(t)]) if tilted_plane else np.array([0.0, 1.0, 0.0])
    step = np.array([0, 0, 1.5]) if tilted_plane else np.array([0, 1.5 * np.tan(t), 1.5])
    at = np.asarray(ct.ORIGIN) + np.arange(16)[:, None] * step

    def place(k, r, c):
        return at[k] + r[..., None] * 0.9 * down + c[..., None] * 0.9 * np.array([1.0, 0.0, 0.0])

    centre = place(np.array(8), np.array(20), np.array(15))
    hu = landmarks(shape, spacing, centre, place)
    tag = {} if tilted_plane else {"GantryDetectorTilt": degrees}
    series = ct.make_series(hu, at, (1, 0, 0, *down), spacing[1:], **tag)
    volume = read_dicom(ct.save(tmp_path, series), repair=True)
    assert f"{abs(degrees)}.00 degrees" in told(volume)
    np.testing.assert_allclose(heaviest(volume), centre, atol=0.9)
    axes = volume.geometry.direction
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert volume.hu.shape[1] > shape[1]  # nothing was cut off


def test_drift_is_moved_back(tmp_path, ct):
    shape, spacing = (12, 32, 32), (1.5, 0.9, 0.9)
    straight = ct.positions(12, 1.5)
    at = straight.copy()
    at[:, 0] += np.array([0, 1.8, 0, 0.9, 0, -2.7, 0, 0, 1.8, 0, 0.45, 0])

    def place(k, r, c):
        return at[k] + r[..., None] * np.array([0, 0.9, 0]) + c[..., None] * np.array([0.9, 0, 0])

    centre = straight[6] + [14.4, 14.4, 0]
    series = ct.make_series(landmarks(shape, spacing, centre, place), at, ct.AXIAL, spacing[1:])
    volume = read_dicom(ct.save(tmp_path, series), repair=True)
    assert "in-plane-drift" in told(volume)
    np.testing.assert_allclose(heaviest(volume), centre, atol=0.3)


def test_tilt_and_a_missing_slice_are_both_repaired(tmp_path, ct):
    at = ct.positions(9)
    at[:, 1] += np.arange(9) * 2.5 * np.tan(np.radians(10))
    series = ct.make_series(np.full((9, 16, 20), -300, np.int16), at, GantryDetectorTilt=10)
    del series[4]
    volume = read_dicom(ct.save(tmp_path, series), repair=True)
    assert volume.hu.shape[0] == 9
    assert "gantry-tilt" in told(volume)
    assert "missing-slice" in told(volume)


def test_what_cannot_be_repaired_is_refused_still(tmp_path, ct, refusal):
    series = ct.make_series()
    del series[2]
    del series[0].ImageOrientationPatient
    refusal(ct.save(tmp_path, series), "no-orientation", repair=True)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, 1.0), (0.25, 0.75), (3.5, 0.0)])
def test_moving_a_slice_equals_linear_resampling(ct, shift):
    hu = ct.phantom((1, 16, 20))[0]
    out = np.empty((20, 22), np.int16)
    move_slice(hu, np.asarray(shift), out)
    padded = np.pad(hu.astype(float), 6, constant_values=-1000)
    rows, columns = np.meshgrid(np.arange(20) - shift[0] + 6, np.arange(22) - shift[1] + 6, indexing="ij")
    expected = ndimage.map_coordinates(padded, [rows, columns], order=1, cval=-1000)
    np.testing.assert_allclose(out, expected, atol=0.51)
