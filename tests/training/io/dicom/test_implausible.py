"""Headers that make sense to a parser but not to a radiologist, and files that end too early to say what they are."""

import zipfile

import numpy as np
import pytest

from training.io import list_series
from training.io.dicom import read_dicom
from training.io.series import SeriesChoiceNeeded


@pytest.mark.parametrize("spacing", [(1e9, 1e9), (1e-9, 1e-9), (0.7, 700.0)])
def test_pixels_of_impossible_size_are_refused(tmp_path, ct, refusal, spacing):
    ct.save(tmp_path, ct.make_series(pixel_spacing=spacing))
    assert "PixelSpacing" in str(refusal(tmp_path, "implausible-size"))


def test_slices_of_impossible_distance_are_refused(tmp_path, ct, refusal):
    hu = ct.phantom()
    ct.save(tmp_path, ct.make_series(hu, at=ct.positions(len(hu)) * np.array([1, 1, 1000.0])))
    refusal(tmp_path, "implausible-size")


def test_a_falling_rescale_slope_is_refused(tmp_path, ct, refusal):
    ct.save(tmp_path, ct.make_series(RescaleSlope=-1))
    assert "below zero (-1)" in str(refusal(tmp_path, "rescale-zero"))


def test_a_ct_of_one_value_is_refused(tmp_path, ct, refusal):
    ct.save(tmp_path, ct.make_series(np.zeros((6, 16, 18), np.int16)))
    assert "every voxel is 0" in str(refusal(tmp_path, "not-hu"))


def test_values_of_an_unheard_of_slope_are_looked_at(tmp_path, ct, refusal):
    series = ct.make_series()
    for ds in series:
        ds.RescaleSlope = 1000000
    ct.save(tmp_path, series)
    refusal(tmp_path, "not-hu")


@pytest.mark.parametrize("which", [0, -1])
def test_a_file_cut_within_its_header_is_named_even_at_the_end_of_the_series(tmp_path, ct, refusal, which):
    ct.save(tmp_path, ct.make_series())
    file = sorted(tmp_path.iterdir())[which]
    whole = file.read_bytes()
    uid = whole.index(b"SH" if b"SH" in whole[132:400] else b"CT", 200)
    file.write_bytes(whole[: max(300, uid)])
    refused = refusal(tmp_path, "no-pixels")
    assert [issue.file for issue in refused.issues if issue.code == "no-pixels"] == [file.name]


@pytest.mark.parametrize("number", [0, -1, 99])
def test_a_series_that_is_not_there_brings_the_list(tmp_path, ct, number):
    ct.save(tmp_path, ct.make_series())
    with pytest.raises(SeriesChoiceNeeded) as choice:
        read_dicom(tmp_path, series=number)
    assert choice.value.issues[0].code == "no-such-series"
    assert [info.number for info in choice.value.series] == [1]
    assert f"no series {number}" in str(choice.value)


def test_an_archive_bomb_is_refused_before_it_is_unpacked(tmp_path, refusal):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("im.dcm", b"\0" * 128 + b"DICM" + b"\0" * (65 * 2**20))
    assert "times its size" in str(refusal(archive, "archive-bomb"))


def test_series_descriptions_are_plain_and_nameless(tmp_path, ct):
    told = f"lung \x1b[31m {ct.PATIENT} {ct.PATIENT_ID}\nB70f"
    ct.save(tmp_path, ct.make_series(SeriesDescription=told))
    (info,) = list_series(tmp_path)
    assert info.description.isprintable()
    assert "lung" in info.description
    assert "B70f" in info.description
    for word in (*ct.PATIENT.split("^"), ct.PATIENT_ID):
        assert word.lower() not in info.description.lower()
