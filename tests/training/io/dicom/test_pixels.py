"""Stored pixels to HU: rescale, signedness, padding, compression, multi-frame."""

import io
import zipfile
from copy import deepcopy

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import get_decoder

from training.io.dicom import decode_hu, read_dicom
from training.io.dicom.decoders import decoder_issue
from training.issues import InputError

LARGE = (6, 64, 64)  # JPEG 2000 encoders refuse less


def test_rescale_is_applied_per_slice(tmp_path, ct):
    hu = ct.phantom() // 2 * 2
    series = ct.make_series(hu)
    for k, ds in enumerate(series):
        ds.RescaleIntercept = -1024 - 2 * k
        ds.RescaleSlope = 2 if k % 2 else 1
        ct.set_stored(ds, (hu[k].astype(int) + 1024 + 2 * k) // int(ds.RescaleSlope))
    np.testing.assert_array_equal(read_dicom(ct.save(tmp_path, series)).hu, ct.canonical(hu))


def test_fractions_are_rounded_to_the_nearest(tmp_path, ct):
    series = ct.make_series(RescaleSlope="0.3")
    stored = [ds.pixel_array.astype(float) for ds in series]
    expected = np.rint(np.stack(stored) * 0.3 - 1024).astype(np.int16)
    np.testing.assert_array_equal(read_dicom(ct.save(tmp_path, series)).hu, ct.canonical(expected))


def test_values_beyond_int16_are_set_to_its_end_and_told(tmp_path, ct, codes):
    hu = ct.phantom().astype(np.int32)
    series = ct.make_series(hu)
    stored = (hu[2] + 1024).copy()
    stored[8, 10] = 40_000
    ct.set_stored(series[2], stored)
    volume = read_dicom(ct.save(tmp_path, series))
    assert volume.hu[3, 8, 10] == 32_767
    assert codes(volume) == {"clipped"}


def untagged(ct, hu, offset=0):
    series = ct.make_series(hu)
    for k, ds in enumerate(series):
        del ds.RescaleSlope, ds.RescaleIntercept
        ct.set_stored(ds, hu[k].astype(int) + offset, signed=True)
    return series


def test_without_rescale_tags_values_that_look_like_hu_are_read_with_a_warning(tmp_path, ct, codes):
    hu = ct.phantom()
    volume = read_dicom(ct.save(tmp_path, untagged(ct, hu)))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert codes(volume) == {"rescale-missing"}


@pytest.mark.parametrize("offset", [1024, 1000, -1024, 8192])
def test_without_rescale_tags_an_offset_is_refused(tmp_path, ct, refusal, offset):
    refusal(ct.save(tmp_path, untagged(ct, ct.phantom(), offset)), "not-hu")


def test_rescale_tags_on_some_slices_only_are_refused(tmp_path, ct, refusal):
    series = ct.make_series()
    del series[2].RescaleIntercept
    assert refusal(ct.save(tmp_path, series), "rescale-missing").issues[0].file == "im002.dcm"


@pytest.mark.parametrize(("kind", "code"), [("Z_EFF", "not-hu"), ("ED", "not-hu")])
def test_other_quantities_than_hu_are_refused(tmp_path, ct, refusal, kind, code):
    refusal(ct.save(tmp_path, ct.make_series(RescaleType=kind)), code)


def test_a_slope_of_zero_is_refused(tmp_path, ct, refusal):
    refusal(ct.save(tmp_path, ct.make_series(RescaleSlope=0)), "rescale-zero")


@pytest.mark.parametrize("value", [-2000, -2048, -3024])
@pytest.mark.parametrize("stated", [True, False])
def test_padding_becomes_air(tmp_path, ct, codes, value, stated):
    hu = ct.phantom()
    hu[:, :2] = value
    series = ct.make_series(hu, intercept=0)
    for ds, one in zip(series, hu, strict=True):
        ct.set_stored(ds, one, signed=True)
        if stated:
            ds.PixelPaddingValue = value
    volume = read_dicom(ct.save(tmp_path, series))
    assert (volume.hu[:, :2] == -1000).all()
    np.testing.assert_array_equal(volume.hu[:, 2:], ct.canonical(hu)[:, 2:])
    assert codes(volume) == {"padding"}


def test_padding_that_could_be_tissue_is_left_and_told(tmp_path, ct, codes):
    hu = ct.phantom()
    hu[0, 8, 10] = 0
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu, PixelPaddingValue=1024)))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert codes(volume) == {"padding-is-tissue"}


def test_signedness_is_taken_per_slice(tmp_path, ct):
    hu = ct.phantom()
    series = ct.make_series(hu, intercept=0)
    for k, ds in enumerate(series):
        ds.RescaleIntercept = -1024 if k % 2 else 0
        ct.set_hu(ds, hu[k], signed=k % 2 == 0)
    np.testing.assert_array_equal(read_dicom(ct.save(tmp_path, series)).hu, ct.canonical(hu))


def test_twelve_signed_bits_in_sixteen_are_extended(tmp_path, ct):
    hu = ct.phantom()
    series = ct.make_series(hu, intercept=0)
    for ds, one in zip(series, hu, strict=True):
        ct.set_stored(ds, one.astype(np.int32) & 0xFFF, signed=False)
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 1
    np.testing.assert_array_equal(read_dicom(ct.save(tmp_path, series)).hu, ct.canonical(hu))


def test_monochrome1_keeps_its_hu_and_is_shown_inverted(tmp_path, ct):
    hu = ct.phantom()
    volume = read_dicom(ct.save(tmp_path, ct.make_series(hu, PhotometricInterpretation="MONOCHROME1")))
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    assert volume.inverted_display
    assert not read_dicom(ct.save(tmp_path, ct.make_series(hu))).inverted_display


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"])
def test_compressed_series_read_as_uncompressed_ones(tmp_path, ct, syntax):
    hu = ct.phantom(LARGE)
    series = ct.make_series(hu)
    for ds in series:
        ds.compress(syntax)
    np.testing.assert_array_equal(read_dicom(ct.save(tmp_path, series)).hu, ct.canonical(hu))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"])
def test_truncated_compressed_pixels_are_refused_by_name(tmp_path, ct, refusal, syntax):
    series = ct.make_series(ct.phantom(LARGE))
    for ds in series:
        ds.compress(syntax)
    ct.save(tmp_path, series)
    file = tmp_path / "im004.dcm"
    file.write_bytes(file.read_bytes()[:-60])
    assert refusal(tmp_path, "pixels-unreadable").issues[0].file == "im004.dcm"


@pytest.mark.parametrize(
    ("syntax", "command"),
    [
        ("1.2.840.10008.1.2.4.80", "pip install pyjpegls"),
        ("1.2.840.10008.1.2.4.90", "pip install pylibjpeg pylibjpeg-openjpeg"),
    ],
)
def test_a_missing_decoder_is_named_with_the_command_that_installs_it(
    tmp_path, ct, refusal, monkeypatch, syntax, command
):
    series = ct.make_series(ct.phantom(LARGE))
    for ds in series:
        ds.compress(syntax)
    ct.save(tmp_path, series)
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    issue = refusal(tmp_path, "decoder-missing").issues[0]
    assert f"Run: {command}" in str(issue)
    with pytest.raises(InputError, match=command):
        decode_hu(series[0])


@pytest.mark.parametrize("code", ["53", "55", "999"])
def test_a_syntax_that_nothing_decodes_is_named(code):
    assert decoder_issue(f"1.2.840.10008.1.2.4.{code}", "x.dcm").code == "unsupported-transfer-syntax"


def test_lossy_compression_is_told(tmp_path, ct, codes):
    assert codes(read_dicom(ct.save(tmp_path, ct.make_series(LossyImageCompression="01")))) == {"lossy-compression"}


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [3, 1, 5, 0, 2, 4]])
@pytest.mark.parametrize("syntax", [None, "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_an_enhanced_multiframe_file_is_read(tmp_path, ct, order, syntax):
    hu = ct.phantom(LARGE)
    ds = ct.make_enhanced(hu, order)
    if syntax:
        ds.compress(syntax)
    path = ct.save(tmp_path, [ds]) / "im000.dcm"
    volume = read_dicom(path)
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
    np.testing.assert_allclose(volume.geometry.spacing_mm, ct.SPACING)
    assert not volume.issues
    np.testing.assert_array_equal(decode_hu(dcmread(path), 2), hu[order[2]])


def test_an_enhanced_file_in_a_zip_is_read(tmp_path, ct):
    hu = ct.phantom()
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        buffer = io.BytesIO()
        ct.make_enhanced(hu).save_as(buffer, enforce_file_format=True)
        archive.writestr("one.dcm", buffer.getvalue())
    np.testing.assert_array_equal(read_dicom(tmp_path / "x.zip").hu, ct.canonical(hu))


def test_rescale_of_a_frame_wins_over_the_shared_one(tmp_path, ct):
    hu = ct.phantom()
    ds = ct.make_enhanced(hu)
    shared = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    ds.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence = deepcopy(shared)
    ds.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence[0].RescaleIntercept = -1000
    expected = hu.copy()
    expected[1] += 24
    np.testing.assert_array_equal(read_dicom(ct.save(tmp_path, [ds])).hu, ct.canonical(expected))


def test_multiframe_without_functional_groups_is_refused(tmp_path, ct, refusal):
    ds = ct.make_enhanced()
    del ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence
    assert refusal(ct.save(tmp_path, [ds]), "no-functional-groups").issues[0].file == "im000.dcm"


def test_fewer_functional_groups_than_frames_are_refused(tmp_path, ct, refusal):
    ds = ct.make_enhanced()
    del ds.PerFrameFunctionalGroupsSequence[-1]
    refusal(ct.save(tmp_path, [ds]), "no-functional-groups")


def test_truncated_multiframe_is_refused(tmp_path, ct, refusal):
    path = ct.save(tmp_path, [ct.make_enhanced()]) / "im000.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    refusal(path, "truncated-pixels")
