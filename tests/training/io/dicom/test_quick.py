"""The fast header walk agrees with pydicom, and leaves what it does not know to it."""

import io

import pytest
from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from training.io.dicom import list_series
from training.io.dicom.elements import Elements
from training.io.dicom.header import _TAGS
from training.io.dicom.quick import quick_header


def as_bytes(dataset, syntax=ExplicitVRLittleEndian):
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def compared(content):
    """How many elements the walk found, each equal to what pydicom reads; it must stop at the pixels."""
    stream = io.BytesIO(content)
    parsed = quick_header(stream, len(content), frozenset(_TAGS))
    if parsed is None:
        return 0
    expected = dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=list(_TAGS))
    keywords = [keyword_for_tag(tag) for tag in _TAGS if tag in expected]
    assert len(parsed.dataset) == len(keywords)
    quick, slow = Elements(parsed.dataset), Elements(expected)
    for keyword in keywords:
        if expected[keyword].VR in ("US", "SS"):
            assert quick.integer(keyword, signed=expected[keyword].VR == "SS") == expected[keyword].value
        else:
            assert quick.texts(keyword) == slow.texts(keyword)
    assert parsed.syntax == expected.file_meta.TransferSyntaxUID
    assert stream.read(4) == b"\xe0\x7f\x10\x00"
    return len(parsed.dataset)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_usual_files_are_walked(ct, syntax):
    assert compared(as_bytes(ct.make_series(SliceThickness=2.5)[0], syntax)) > 15


def test_text_is_decoded_by_its_character_set(tmp_path, ct):
    series = ct.make_series(SpecificCharacterSet="ISO_IR 192", SeriesDescription="Thorax Übersicht 胸部")
    (info,) = list_series(ct.save(tmp_path, series))
    assert info.description == "Thorax Übersicht 胸部"


def test_long_private_elements_before_the_geometry_are_walked(ct):
    dataset = ct.make_series()[0]
    block = dataset.private_block(0x0009, "TEST", create=True)
    block.add_new(1, "OB", b"\0" * 50_000)
    assert compared(as_bytes(dataset)) > 15


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_unusual_syntaxes_are_left_to_pydicom(ct, syntax):
    dataset = ct.make_series()[0]
    content = as_bytes(dataset, syntax) if syntax == DeflatedExplicitVRLittleEndian else as_bytes(dataset)
    if syntax == ExplicitVRBigEndian:
        content = content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")
    assert compared(content) == 0


def test_enhanced_files_are_left_to_pydicom(ct):
    assert compared(as_bytes(ct.make_enhanced())) == 0


@pytest.mark.parametrize("length", [0, 50, 140, 400, 700])
def test_files_that_end_early_are_left_to_pydicom(ct, length):
    assert compared(as_bytes(ct.make_series()[0])[:length]) == 0


def test_real_files_are_walked_or_left(shared_data):
    folder = shared_data / "dicom"
    files = [
        *folder.glob("transfer-syntaxes/*.dcm"),
        *folder.glob("misc/*"),
        *shared_data.glob("ct/cip-ct-64/ct-64Dicom/*"),
    ]
    counts = [compared(file.read_bytes()) for file in files]
    assert sum(count > 15 for count in counts) > 0.8 * len(files)
