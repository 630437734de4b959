"""Patient data stay where they are."""

import json

import pytest

from training.io.dicom import list_series, read_dicom
from training.io.dicom.header import quiet


def everything_said(volume):
    return "\n".join(
        (
            repr(volume),
            repr(volume.geometry),
            json.dumps(volume.provenance.to_dict()),
            *(str(issue) + repr(issue) + json.dumps(issue.to_dict()) for issue in volume.issues),
            volume.case_id,
        )
    )


@pytest.fixture
def series(ct):
    return ct.make_series(
        BurnedInAnnotation="YES", OtherPatientNames=ct.PATIENT, PatientComments=ct.PATIENT_ID, SliceThickness=9
    )


def test_the_patient_is_never_named(tmp_path, ct, series):
    volume = read_dicom(ct.save(tmp_path, series))
    uids = [
        series[0][k].value for k in ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
    ]
    said = everything_said(volume) + repr(list_series(tmp_path))
    for secret in (ct.PATIENT, ct.PATIENT_ID, "Recognisable", "19700101", str(tmp_path), *uids):
        assert secret not in said


def test_the_patient_is_not_named_in_refusals_or_on_the_screen(tmp_path, ct, series, refusal, capfd, caplog):
    series[1].ImagePositionPatient = None
    ct.save(tmp_path, series)
    file = tmp_path / "im002.dcm"
    file.write_bytes(file.read_bytes().replace(b"CHEST ", b"Recogn"))
    file.write_bytes(file.read_bytes().replace(b"CS\x02\x00CT", b"CS\x02\x00\xff\xfe"))
    text = str(refusal(tmp_path, "no-position"))
    out, err = capfd.readouterr()
    assert "Recogn" not in text + out + err + caplog.text


def test_remarks_of_the_dicom_library_are_kept_out_of_logs(ct, caplog):
    with quiet():
        ct.make_series()[0].PatientBirthDate = ct.PATIENT
    assert not caplog.records


def test_burned_in_annotation_is_told(tmp_path, ct, series, codes):
    assert "burned-in-annotation" in codes(read_dicom(ct.save(tmp_path, series)))


def test_the_series_is_known_by_a_salted_hash(tmp_path, ct, monkeypatch):
    ct.save(tmp_path, ct.make_series())
    first, again = read_dicom(tmp_path), read_dicom(tmp_path)
    assert first.case_id == again.case_id == first.provenance.series_uid_hash
    monkeypatch.setenv("HIRESCAM_SALT", "another salt")
    assert read_dicom(tmp_path).case_id != first.case_id
    assert read_dicom(tmp_path).provenance.pixels_sha256 == first.provenance.pixels_sha256
