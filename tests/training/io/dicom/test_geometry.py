"""Where slices lie: order, spacing, orientation, header text against positions."""

import numpy as np
import pytest

from training.io.dicom import list_series, read_dicom


def test_files_in_any_order_are_sorted_by_position(tmp_path, ct):
    hu = ct.phantom()
    series = ct.make_series(hu)
    for k, ds in enumerate(series):
        ds.InstanceNumber = 100 - k
    volume = read_dicom(ct.save(tmp_path, [series[k] for k in (3, 0, 5, 1, 4, 2)]))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert volume.hu.flags.c_contiguous
    assert volume.geometry.is_canonical
    np.testing.assert_allclose(volume.geometry.spacing_mm, ct.SPACING)
    np.testing.assert_allclose(volume.geometry.origin_mm, [-10, -20, -30 + 5 * 2.5])


def test_repeated_instance_numbers_are_ignored(tmp_path, ct):
    hu = ct.phantom()
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu, InstanceNumber=1)))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))


def test_rows_and_columns_of_different_spacing_keep_their_axes(tmp_path, ct):
    volume = read_dicom(ct.save(tmp_path, ct.make_series(pixel_spacing=(0.5, 1.5))))
    np.testing.assert_allclose(volume.geometry.to_world([5, 2, 3]) - volume.geometry.origin_mm, [4.5, 1.0, -12.5])


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ((1, 0, 0, 0, 1, 0), lambda a: a[::-1]),  # head first, supine
        ((-1, 0, 0, 0, -1, 0), lambda a: a[::-1, ::-1, ::-1]),  # prone
        ((-1, 0, 0, 0, 1, 0), lambda a: a[:, :, ::-1]),  # feet first: the normal points to the feet
        ((0, 1, 0, -1, 0, 0), lambda a: a[::-1].transpose(0, 2, 1)[:, :, ::-1]),  # decubitus
        ((1, 0, 0, 0, 0, -1), lambda a: a.transpose(1, 0, 2)),  # coronal reformat, normal to the back
    ],
)
def test_every_position_of_the_patient_becomes_canonical(tmp_path, ct, orientation, turn):
    hu = ct.phantom()
    series = ct.make_series(hu, orientation=orientation)
    volume = read_dicom(ct.save(tmp_path, series))
    np.testing.assert_array_equal(volume.hu, turn(hu))
    assert volume.geometry.axis_letters() == (("H", "F"), ("A", "P"), ("R", "L"))
    corner = np.asarray(series[4].ImagePositionPatient, dtype=float)  # pixel (2, 3) of slice 4 in DICOM's own terms
    along, down = np.asarray(orientation[:3], dtype=float), np.asarray(orientation[3:], dtype=float)
    index = volume.geometry.to_index(corner + along * 3 * 0.9 + down * 2 * 0.7)
    np.testing.assert_allclose(index, np.rint(index), atol=1e-6)
    assert volume.hu[tuple(np.rint(index).astype(int))] == hu[4, 2, 3]


def test_oblique_orientation_keeps_its_true_affine(tmp_path, ct):
    t = np.radians(12)
    orientation = (1, 0, 0, 0, np.cos(t), -np.sin(t))
    volume = read_dicom(ct.save(tmp_path, ct.make_series(orientation=orientation)))
    np.testing.assert_allclose(volume.geometry.direction[:, 1], [0, np.cos(t), -np.sin(t)], atol=1e-6)
    assert not volume.geometry.is_axis_aligned


def test_left_handed_stack_is_normalised(tmp_path, ct):
    hu = ct.phantom()
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu, at=ct.positions(6, step=-2.5))))
    np.testing.assert_array_equal(volume.hu, hu)
    assert np.linalg.det(volume.geometry.direction) == pytest.approx(
        np.linalg.det(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]))
    )


@pytest.mark.parametrize(("jitter", "expected"), [(0.008, set()), (0.05, {"uneven-spacing"})])
def test_small_jitter_of_spacing_is_read(tmp_path, ct, codes, jitter, expected):
    at = ct.positions(6)
    at[3, 2] += jitter * 2.5
    assert codes(read_dicom(ct.save(tmp_path, ct.make_series(at=at)))) == expected


def test_irregular_spacing_is_refused(tmp_path, ct, refusal):
    at = ct.positions(6)
    at[3, 2] += 0.3 * 2.5
    assert refusal(ct.save(tmp_path, ct.make_series(at=at)), "irregular-spacing").issues[0].repairable


def test_slowly_growing_spacing_is_refused_where_slices_would_be_misplaced(tmp_path, ct, refusal):
    steps = np.r_[np.full(20, 2.5), np.full(20, 2.5 * 1.08)]
    at = np.tile(np.asarray(ct.ORIGIN), (41, 1))
    at[1:, 2] += np.cumsum(steps)
    refusal(ct.save(tmp_path, ct.make_series(ct.phantom((41, 16, 20)), at=at)), "two-spacings")


@pytest.mark.parametrize(
    ("gone", "code"), [((2,), "missing-slice"), ((2, 3), "missing-slices"), ((1, 4), "missing-slices")]
)
def test_missing_slices_are_refused_and_located(tmp_path, ct, refusal, gone, code):
    series = [ds for k, ds in enumerate(ct.make_series(ct.phantom((9, 16, 20)))) if k not in gone]
    issue = refusal(ct.save(tmp_path, series), code).issues[0]
    assert issue.repairable
    assert f"im{gone[0] - 1:03d}.dcm and im{gone[0]:03d}.dcm" in issue.message


def test_too_large_a_gap_cannot_be_repaired(tmp_path, ct, refusal):
    at = ct.positions(6)
    at[5, 2] += 200
    folder = ct.save(tmp_path, ct.make_series(at=at))
    assert not refusal(folder, "missing-slices", repair=True).issues[0].repairable


def test_two_blocks_are_refused(tmp_path, ct, refusal):
    at = ct.positions(9)
    at[4:, 2] += np.arange(1, 6) * 2.5
    assert "2.5 mm apart, then 5 mm" in str(
        refusal(ct.save(tmp_path, ct.make_series(ct.phantom((9, 16, 20)), at=at)), "two-spacings")
    )


@pytest.mark.parametrize("seed", range(3))
def test_orientation_noise_is_read_with_a_warning(tmp_path, ct, codes, seed):
    noise = np.random.default_rng(seed).uniform(-1e-3, 1e-3, (6, 6))
    series = ct.make_series()
    for ds, n in zip(series, noise, strict=True):
        ds.ImageOrientationPatient = [f"{v:.6f}" for v in np.asarray(ct.AXIAL) + n]
    volume = read_dicom(ct.save(tmp_path, series))
    assert codes(volume) == {"orientation-noise"}
    np.testing.assert_allclose(volume.geometry.direction.T @ volume.geometry.direction, np.eye(3), atol=1e-12)


def test_one_slice_turned_against_the_others_is_refused(tmp_path, ct, refusal):
    series = ct.make_series()
    t = 0.005
    series[2].ImageOrientationPatient = [f"{v:.9f}" for v in (np.cos(t), np.sin(t), 0, -np.sin(t), np.cos(t), 0)]
    assert refusal(ct.save(tmp_path, series), "orientation-differs").issues[0].file == "im002.dcm"


@pytest.mark.parametrize("orientation", [(1.01, 0, 0, 0, 1, 0), (1, 0.05, 0, 0, 1, 0), (2, 0, 0, 0, 2, 0)])
def test_vectors_not_of_unit_length_or_not_at_right_angles_are_refused(tmp_path, ct, refusal, orientation):
    refusal(ct.save(tmp_path, ct.make_series(orientation=orientation, at=ct.positions(6))), "orientation-not-unit")


@pytest.mark.parametrize("tagged", [True, False])
def test_gantry_tilt_is_refused(tmp_path, ct, refusal, tagged):
    t = np.radians(10)
    orientation = (1, 0, 0, 0, 1, 0) if tagged else (1, 0, 0, 0, np.cos(t), -np.sin(t))
    at = ct.positions(6)
    if tagged:
        at[:, 1] += np.arange(6) * 2.5 * np.tan(t)
    series = ct.make_series(at=at, orientation=orientation, **({"GantryDetectorTilt": 10} if tagged else {}))
    issue = refusal(ct.save(tmp_path, series), "gantry-tilt").issues[0]
    assert "10.0 degrees" in issue.message
    assert issue.repairable


def test_tilt_in_the_header_alone_is_told(tmp_path, ct, codes):
    assert codes(read_dicom(ct.save(tmp_path, ct.make_series(GantryDetectorTilt=15)))) == {"gantry-tilt-in-header"}


@pytest.mark.parametrize("shift", [np.linspace(0, 5, 6), np.array([0, 0, 0, 2, 0, 0])])
def test_in_plane_drift_is_refused(tmp_path, ct, refusal, shift):
    at = ct.positions(6)
    at[:, 0] += shift
    assert refusal(ct.save(tmp_path, ct.make_series(at=at)), "in-plane-drift").issues[0].repairable


def test_drift_of_a_fraction_of_a_pixel_is_told(tmp_path, ct, codes):
    at = ct.positions(6)
    at[3, 0] += 0.2
    assert codes(read_dicom(ct.save(tmp_path, ct.make_series(at=at)))) == {"in-plane-drift"}


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ({"SliceThickness": 5}, "slice-thickness-differs"),
        ({"SpacingBetweenSlices": 1.25}, "spacing-between-slices-differs"),
        ({"SliceThickness": 2.5, "SpacingBetweenSlices": -2.5}, None),
    ],
)
def test_positions_win_over_header_text(tmp_path, ct, codes, element, code):
    volume = read_dicom(ct.save(tmp_path, ct.make_series(**element)))
    assert codes(volume) == ({code} if code else set())
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("keyword", "code"),
    [
        ("ImagePositionPatient", "no-position"),
        ("ImageOrientationPatient", "no-orientation"),
        ("PixelSpacing", "no-pixel-spacing"),
    ],
)
def test_one_slice_without_geometry_is_refused_by_name(tmp_path, ct, refusal, keyword, code):
    series = ct.make_series()
    delattr(series[3], keyword)
    assert refusal(ct.save(tmp_path, series), code).issues[0].file == "im003.dcm"
    assert not list_series(tmp_path)[0].loadable


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        (["ImagePositionPatient"], "no-position"),
        (["ImagePositionPatient", "ImageOrientationPatient"], "no-orientation"),
        (["PixelSpacing"], "no-pixel-spacing"),
    ],
)
def test_a_series_without_geometry_is_refused(tmp_path, ct, refusal, keywords, code):
    series = ct.make_series()
    for ds in series:
        for keyword in keywords:
            delattr(ds, keyword)
    issues = refusal(ct.save(tmp_path, series), code).issues
    assert len(issues) == len(keywords)
    assert all("5 more files" in issue.message for issue in issues)


@pytest.mark.parametrize("text", [b"1.0\\NaN\\3.0 ", b"1.0\\left\\3.0", b"inf\\2.0\\3.0 ", b"1.0\\2.0 "])
def test_text_in_a_position_is_refused_by_name(tmp_path, ct, refusal, text):
    series = ct.make_series()
    ct.save(tmp_path, series)
    file = tmp_path / "im002.dcm"
    old = b"-10\\-20\\-25 "
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, text.ljust(len(old))))
    assert refusal(tmp_path, "not-a-number").issues[0].file == "im002.dcm"


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_slices_are_refused(tmp_path, ct, refusal, n):
    assert f"only {n} slice" in str(
        refusal(ct.save(tmp_path, ct.make_series(ct.phantom((n, 16, 20)))), "too-few-slices")
    )
