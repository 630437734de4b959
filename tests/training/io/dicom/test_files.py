"""Folders, archives, junk, broken files, files without preamble, damaged or wrong transfer syntaxes."""

import zipfile

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from training.io.dicom import list_series, read_dicom
from training.issues import Cancelled, InputError


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def test_a_zip_and_nested_folders_read_as_a_folder_does(tmp_path, ct):
    hu = ct.phantom()
    series = ct.make_series(hu)
    ct.save(tmp_path / "x" / "disk" / "one", series[:3])
    ct.save(tmp_path / "x" / "disk" / "two", series[3:])
    archive = zipped(tmp_path / "x", tmp_path / "x.zip")
    before = sorted(tmp_path.rglob("*"))
    volumes = [read_dicom(tmp_path / "x"), read_dicom(archive)]
    assert sorted(tmp_path.rglob("*")) == before
    for volume in volumes:
        np.testing.assert_array_equal(volume.hu, ct.canonical(hu))
        assert volume.provenance.pixels_sha256 == volumes[0].provenance.pixels_sha256


def test_junk_is_skipped_and_counted(tmp_path, ct):
    ct.save(tmp_path, ct.make_series())
    (tmp_path / "readme.txt").write_text("hello " * 100)
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 500)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    directory = ct.make_series()[0]
    directory.SOPClassUID = directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    del directory.PixelData, directory.Modality
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    issues = {issue.code: issue for issue in read_dicom(tmp_path).issues}
    assert issues["files-skipped"].message.startswith("2 files")
    assert issues["empty-files-skipped"].message.startswith("1 empty file")
    assert issues["unreadable-files-skipped"].message.startswith("1 DICOM file")
    assert issues["dicomdir-skipped"].message.startswith("1 DICOMDIR")
    assert len(issues) == 4


def test_an_empty_folder_is_refused(tmp_path, refusal):
    refusal(tmp_path, "empty-folder")


def test_a_folder_of_junk_is_refused(tmp_path, refusal):
    (tmp_path / "readme.txt").write_text("hello " * 100)
    (tmp_path / "empty").touch()
    assert "none of 2 files" in str(refusal(tmp_path, "no-dicom"))


def test_a_missing_path_is_refused(tmp_path, refusal):
    refusal(tmp_path / "nothing", "not-found")


def test_a_folder_that_may_not_be_read_is_refused(tmp_path, refusal, monkeypatch):
    def forbidden(_):
        raise PermissionError(13, "no")

    monkeypatch.setattr("training.io.dicom.files.os.scandir", forbidden)
    refusal(tmp_path, "not-readable")


def test_a_damaged_archive_is_refused(tmp_path, ct, refusal):
    ct.save(tmp_path / "x", ct.make_series())
    archive = zipped(tmp_path / "x", tmp_path / "x.zip")
    archive.write_bytes(archive.read_bytes()[:-200])
    refusal(archive, "damaged-archive")


def test_an_encrypted_archive_is_refused(tmp_path, ct, refusal):
    ct.save(tmp_path / "x", ct.make_series())
    archive = zipped(tmp_path / "x", tmp_path / "x.zip")
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    archive.write_bytes(content)
    refusal(archive, "encrypted-archive")


def test_a_damaged_archive_member_is_refused_by_name(tmp_path, ct, refusal):
    ct.save(tmp_path / "x", ct.make_series())
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for one in sorted((tmp_path / "x").iterdir()):
            file.write(one, one.name)
    content = bytearray(archive.read_bytes())
    at = content.index(b"im003.dcm") + (tmp_path / "x" / "im003.dcm").stat().st_size - 20
    content[at] ^= 0xFF
    archive.write_bytes(content)
    refused = refusal(archive, "missing-slice")
    assert "im003.dcm" in {issue.file for issue in refused.issues if issue.code == "unreadable-files-skipped"}


def test_a_damaged_large_archive_member_is_refused_by_name(tmp_path, ct, refusal):
    ct.save(tmp_path / "x", ct.make_series(ct.phantom((3, 96, 96))))
    archive = zipped(tmp_path / "x", tmp_path / "x.zip")
    with zipfile.ZipFile(archive) as file:
        member = file.getinfo("x/im001.dcm")
    content = bytearray(archive.read_bytes())
    content[member.header_offset + member.compress_size - 200] ^= 0xFF
    archive.write_bytes(content)
    assert refusal(archive, "truncated-pixels").issues[0].file == "im001.dcm"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_files_without_preamble_are_read(tmp_path, ct, syntax):
    hu = ct.phantom()
    for k, ds in enumerate(ct.make_series(hu)):
        bare = Dataset(ds)
        bare.save_as(tmp_path / f"im{k}", implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    np.testing.assert_array_equal(read_dicom(tmp_path).hu, ct.canonical(hu))


@pytest.mark.parametrize("cut", [50, 1, 620])
def test_truncated_pixels_are_refused_by_name(tmp_path, ct, refusal, cut):
    ct.save(tmp_path, ct.make_series())
    file = tmp_path / "im004.dcm"
    file.write_bytes(file.read_bytes()[:-cut])
    assert refusal(tmp_path, "truncated-pixels").issues[0].file == "im004.dcm"


def test_a_file_that_ends_before_its_pixels_is_refused_by_name(tmp_path, ct, refusal):
    series = ct.make_series()
    del series[4].PixelData
    assert refusal(ct.save(tmp_path, series), "no-pixels").issues[0].file == "im004.dcm"


def test_a_header_that_hides_how_pixels_are_stored_is_refused(tmp_path, ct, refusal):
    series = ct.make_series()
    series[1].Rows = 0
    refusal(ct.save(tmp_path, series), "bad-pixel-header")


def rewrite_syntax(folder, old, new):
    """Change the transfer syntax in the headers without touching what follows."""
    old, new = (str(uid).encode() for uid in (old, new))
    for file in folder.iterdir():
        content = file.read_bytes()
        padded = new + b"\0" * (len(new) % 2)
        at = content.index(b"\x02\x00\x10\x00UI")
        length = int.from_bytes(content[at + 6 : at + 8], "little")
        assert content[at + 8 :].startswith(old)
        element = b"\x02\x00\x10\x00UI" + len(padded).to_bytes(2, "little") + padded
        group = content.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
        total = int.from_bytes(content[group : group + 4], "little") + len(padded) - length
        content = content[:at] + element + content[at + 8 + length :]
        file.write_bytes(content[:group] + total.to_bytes(4, "little") + content[group + 4 :])


def test_uncompressed_pixels_under_a_compressed_syntax_are_refused(tmp_path, ct, refusal):
    ct.save(tmp_path, ct.make_series())
    rewrite_syntax(tmp_path, ExplicitVRLittleEndian, JPEG2000Lossless)
    assert "5 more files" in str(refusal(tmp_path, "wrong-transfer-syntax"))


def test_compressed_pixels_under_an_uncompressed_syntax_are_refused(tmp_path, ct, refusal):
    series = ct.make_series()
    for ds in series:
        ds.compress("1.2.840.10008.1.2.5")
    ct.save(tmp_path, series)
    rewrite_syntax(tmp_path, "1.2.840.10008.1.2.5", ExplicitVRLittleEndian)
    refusal(tmp_path, "wrong-transfer-syntax")


def test_another_compression_than_the_header_says_is_refused(tmp_path, ct, refusal):
    series = ct.make_series()
    for ds in series:
        ds.compress("1.2.840.10008.1.2.5")
    ct.save(tmp_path, series)
    rewrite_syntax(tmp_path, "1.2.840.10008.1.2.5", JPEG2000Lossless)
    refusal(tmp_path, "pixels-unreadable")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.3.4.5", "garbage"])
def test_a_wrong_uncompressed_syntax_never_gives_wrong_values(tmp_path, ct, syntax):
    hu = ct.phantom()
    ct.save(tmp_path, ct.make_series(hu))
    rewrite_syntax(tmp_path, ExplicitVRLittleEndian, syntax)
    try:
        volume = read_dicom(tmp_path)
    except InputError:
        return
    np.testing.assert_array_equal(volume.hu, ct.canonical(hu))


def test_an_explicit_syntax_over_implicit_data_is_read(tmp_path, ct):
    hu = ct.phantom()
    series = ct.make_series(hu)
    for ds in series:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ct.save(tmp_path, series)
    rewrite_syntax(tmp_path, ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    np.testing.assert_array_equal(read_dicom(tmp_path).hu, ct.canonical(hu))


def test_random_damage_never_crashes(tmp_path, ct):
    ct.save(tmp_path, ct.make_series(ct.phantom((3, 8, 8))))
    file = tmp_path / "im001.dcm"
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        content = bytearray(whole)
        for at in random.integers(128, len(whole) - 128, 4):
            content[at] = random.integers(256)
        file.write_bytes(bytes(content)[: random.integers(200, 2 * len(whole))])
        try:
            read_dicom(tmp_path)
            outcomes.add("read")
        except InputError:
            outcomes.add("refused")
    assert outcomes == {"refused", "read"}


def test_headers_are_checked_before_pixels(tmp_path, ct, refusal, monkeypatch):
    series = ct.make_series()
    del series[2]
    ct.save(tmp_path, series)

    def no_pixels(*_):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("training.io.dicom.read.stored_pixels", no_pixels)
    monkeypatch.setattr("training.io.dicom.find.stored_pixels", no_pixels)
    refusal(tmp_path, "missing-slice")
    assert list_series(tmp_path)[0].issues[0].code == "missing-slice"


def test_progress_is_told_and_reading_can_be_cancelled(tmp_path, ct):
    ct.save(tmp_path, ct.make_series())
    told = []
    read_dicom(tmp_path, progress=lambda done, total, stage: told.append((done, total, stage)))
    assert told == [(k, 6, "read") for k in range(1, 7)]
    with pytest.raises(Cancelled):
        read_dicom(tmp_path, cancelled=lambda: len(told) > 0)
