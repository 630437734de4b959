"""What belongs together: series, sub-series, localizers, duplicates, other objects."""

import numpy as np
import pytest

from training.io import SeriesChoiceNeeded
from training.io.dicom import list_series, read_dicom
from training.issues import InputError


def choice(path):
    with pytest.raises(SeriesChoiceNeeded) as caught:
        read_dicom(path)
    assert "--series 1" in str(caught.value)
    return caught.value.series


def localizer(ct, main, shape=(1, 16, 20), **elements):
    one = ct.make_series(ct.phantom(shape), orientation=(1, 0, 0, 0, 0, -1), **elements)[0]
    one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    one.FrameOfReferenceUID = main[0].FrameOfReferenceUID
    return one


@pytest.mark.parametrize("shape", [(1, 16, 20), (1, 40, 30)])
@pytest.mark.parametrize("same_series", [True, False])
@pytest.mark.parametrize("told", [True, False])
def test_a_localizer_is_left_out_and_the_ct_loads(tmp_path, ct, codes, shape, same_series, told):
    hu = ct.phantom()
    main = ct.make_series(hu)
    extra = {"SeriesInstanceUID": main[0].SeriesInstanceUID} if same_series else {}
    scout = localizer(ct, main, shape, **extra)
    if not told:
        scout.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    volume = read_dicom(ct.save(tmp_path, [*main[:3], scout, *main[3:]]))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert codes(volume) == {"localizer-left-out" if told else "series-left-out"}


def test_a_localizer_alone_is_refused(tmp_path, ct, refusal):
    refusal(ct.save(tmp_path, [localizer(ct, ct.make_series())]), "only-localizer")


def test_two_series_need_a_choice(tmp_path, ct):
    first, second = ct.phantom(seed=1), ct.phantom((8, 16, 20), seed=2)
    ct.save(tmp_path / "a", ct.make_series(first, SeriesNumber=7, SeriesDescription="LUNG"))
    ct.save(tmp_path / "b", ct.make_series(second, SeriesNumber=4))
    infos = choice(tmp_path)
    assert [(i.number, i.description, i.n_slices) for i in infos] == [(1, "CHEST", 8), (2, "LUNG", 6)]
    assert infos[0].spacing_mm == pytest.approx(ct.SPACING)
    np.testing.assert_array_equal(read_dicom(tmp_path, series=1).hu, ct.canonical(second))
    np.testing.assert_array_equal(read_dicom(tmp_path, series=2).hu, ct.canonical(first))


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_number_that_is_not_there_is_refused(tmp_path, ct, refusal, number):
    ct.save(tmp_path / "a", ct.make_series())
    ct.save(tmp_path / "b", ct.make_series())
    refusal(tmp_path, "no-such-series", series=number)


@pytest.mark.parametrize(
    ("keyword", "values", "words"),
    [
        ("ConvolutionKernel", ("B30f", ["I70f", "3"]), "kernel B30f"),
        ("AcquisitionNumber", (1, 2), "acquisition number 1"),
        ("FrameOfReferenceUID", ("1.2.3", "1.2.4"), "frame of reference 1"),
        ("PixelSpacing", (["0.7", "0.9"], ["0.7", "0.91"]), "pixels of 0.7 x 0.9 mm"),
        ("ImageOrientationPatient", ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0.9553365, -0.2955202]), "orientation"),
        ("TriggerTime", (0, 500), "trigger time 0"),
    ],
)
def test_one_series_that_holds_two_volumes_is_split(tmp_path, ct, keyword, values, words):
    both = [ct.phantom(seed=1), ct.phantom(seed=2)]
    uid = {"SeriesInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.3.5"}
    series = [ct.make_series(hu, **uid) for hu in both]
    for part, value in zip(series, values, strict=True):
        for ds in part:
            setattr(ds, keyword, value)
    mixed = [ds for pair in zip(*series, strict=True) for ds in pair]
    if keyword == "ImageOrientationPatient":
        for ds, at in zip(series[1], ct.positions(6, orientation=values[1]), strict=True):
            ds.ImagePositionPatient = [f"{v:.6f}" for v in at]
    infos = choice(ct.save(tmp_path, mixed))
    assert [i.n_slices for i in infos] == [6, 6]
    assert any(words in i.description for i in infos)
    read = [read_dicom(tmp_path, series=n).hu for n in (1, 2)]
    assert all(any(np.array_equal(ct.canonical(hu), one) for one in read) for hu in both)


def test_sizes_that_differ_are_split(tmp_path, ct):
    uid = {"SeriesInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.3.5"}
    small, large = ct.make_series(**uid), ct.make_series(ct.phantom((6, 24, 24)), **uid)
    infos = choice(ct.save(tmp_path, [*small, *large]))
    assert {"16 x 20 px", "24 x 24 px"} == {i.description.split(", ")[-1] for i in infos}


def test_one_slice_of_another_size_makes_a_gap(tmp_path, ct, refusal):
    series = ct.make_series()
    ct.set_hu(series[3], ct.phantom((1, 24, 24))[0])
    refusal(ct.save(tmp_path, series), "missing-slice")


def test_one_slice_of_another_pixel_spacing_at_the_end_is_left_out_and_told(tmp_path, ct, codes):
    series = ct.make_series()
    series[5].PixelSpacing = [1, 1]
    volume = read_dicom(ct.save(tmp_path, series))
    assert volume.hu.shape[0] == 5
    assert codes(volume) == {"series-left-out"}


def test_acquisitions_that_follow_each_other_are_one_volume(tmp_path, ct):
    series = ct.make_series()
    for k, ds in enumerate(series):
        ds.AcquisitionNumber = 1 + k // 3
    assert read_dicom(ct.save(tmp_path, series)).hu.shape[0] == 6


def test_acquisitions_far_apart_are_two_volumes(tmp_path, ct):
    series = ct.make_series()
    for k, ds in enumerate(series):
        ds.AcquisitionNumber = 1 + k // 3
        if k > 2:
            ds.ImagePositionPatient = [-10, -20, 100 + 2.5 * k]
    assert [i.n_slices for i in choice(ct.save(tmp_path, series))] == [3, 3]


def test_interleaved_acquisitions_are_two_volumes(tmp_path, ct):
    uid = {"SeriesInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.3.5"}
    first = ct.make_series(AcquisitionNumber=1, **uid)
    second = ct.make_series(at=ct.positions(6, origin=(-10, -20, -28.75)), AcquisitionNumber=2, **uid)
    assert [i.n_slices for i in choice(ct.save(tmp_path, [*first, *second]))] == [6, 6]


def test_exact_duplicates_are_dropped_and_told(tmp_path, ct, codes):
    hu = ct.phantom()
    series = ct.make_series(hu)
    volume = read_dicom(ct.save(tmp_path, [*series, series[2], series[4]]))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert codes(volume) == {"duplicate-slice"}
    assert "2 slices are exact duplicates" in volume.issues[0].message


def test_another_image_at_the_same_place_is_refused(tmp_path, ct, refusal):
    uid = {"SeriesInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.3.5"}
    other = ct.make_series(ct.phantom(seed=9), **uid)[2]
    refusal(ct.save(tmp_path, [*ct.make_series(**uid), other]), "same-position", repair=True)


def test_objects_of_other_modalities_are_counted_and_left_out(tmp_path, ct, codes):
    others = ct.make_series()[:2]
    for ds in others:
        ds.Modality, ds.SOPClassUID = "PT", "1.2.840.10008.5.1.4.1.1.128"
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    volume = read_dicom(ct.save(tmp_path, [*ct.make_series(), *others]))
    assert codes(volume) == {"not-ct-left-out"}
    assert "2 objects" in volume.issues[0].message


def test_color_and_secondary_captures_are_left_out(tmp_path, ct, codes):
    color, capture = ct.make_series()[:2]
    color.SamplesPerPixel, color.PhotometricInterpretation, color.PlanarConfiguration = 3, "RGB", 0
    color.BitsAllocated = color.BitsStored = 8
    color.PixelData = b"\0" * (16 * 20 * 3)
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    volume = read_dicom(ct.save(tmp_path, [color, *ct.make_series(), capture]))
    assert codes(volume) == {"secondary-left-out"}
    assert volume.issues[0].message.startswith("2 ")


def test_only_other_objects_are_refused(tmp_path, ct, refusal):
    series = ct.make_series()
    for ds in series:
        ds.Modality, ds.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
    refusal(ct.save(tmp_path, series), "no-ct")


def test_a_series_that_cannot_be_read_is_listed_and_told(tmp_path, ct, codes):
    ct.save(tmp_path / "a", ct.make_series(SeriesNumber=1))
    broken = ct.make_series(SeriesNumber=2)
    del broken[3]
    ct.save(tmp_path / "b", broken)
    assert codes(read_dicom(tmp_path)) == {"series-left-out"}
    assert [{i.code for i in info.issues} for info in list_series(tmp_path)] == [set(), {"missing-slice"}]
    assert len(choice_with_repair(tmp_path)) == 2


def choice_with_repair(path):
    with pytest.raises(SeriesChoiceNeeded) as caught:
        read_dicom(path, repair=True)
    return caught.value.series


def test_choosing_a_series_that_cannot_be_read_says_why(tmp_path, ct, refusal):
    ct.save(tmp_path / "a", ct.make_series(SeriesNumber=1))
    ct.save(tmp_path / "b", ct.make_series(ct.phantom((2, 16, 20)), SeriesNumber=2))
    refusal(tmp_path, "too-few-slices", series=2)


def test_thumbnails_come_on_request_and_the_right_way_round(tmp_path, ct):
    hu = ct.phantom()
    ct.save(tmp_path, ct.make_series(hu, orientation=(-1, 0, 0, 0, -1, 0)))
    assert list_series(tmp_path)[0].thumbnail is None
    picture = list_series(tmp_path, thumbnails=True)[0].thumbnail
    assert picture.dtype == np.uint8
    gray = np.clip((hu[3, ::-1, ::-1].astype(float) + 1350) / 1500, 0, 1) * 255
    np.testing.assert_allclose(picture, gray, atol=1.5)


def test_a_choice_is_an_input_error(tmp_path, ct):
    ct.save(tmp_path / "a", ct.make_series())
    ct.save(tmp_path / "b", ct.make_series())
    with pytest.raises(InputError, match="--series 2"):
        read_dicom(tmp_path)
