"""DICOM Segmentations as masks: in place however their frames lie, and refused where they cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from training.io.masks import read_mask
from training.issues import InputError
from training.partition.segment.masks import read_masks

AXIAL = (1, 0, 0, 0, 1, 0)
OBLIQUE = (0.8, 0.6, 0, -0.6, 0.8, 0)
FLIPPED = (-1, 0, 0, 0, 1, 0)


def sources(turn: tuple[float, ...], z: list[float]) -> list[Any]:
    frame, series, study = generate_uid(), generate_uid(), generate_uid()
    normal = np.cross(turn[:3], turn[3:])
    made = []
    for number, height in enumerate(z, 1):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
        one.PatientID = one.PatientName = one.PatientBirthDate = one.PatientSex = ""
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.StudyID = one.StudyDate = one.StudyTime = one.AccessionNumber = one.ReferringPhysicianName = ""
        one.Modality, one.InstanceNumber, one.Rows, one.Columns = "CT", number, 8, 10
        one.PixelSpacing, one.SliceThickness = [1.5, 1.0], 2.0
        one.ImageOrientationPatient = list(turn)
        one.ImagePositionPatient = (np.array([-20.0, -30.0, 40.0]) + height * normal).tolist()
        made.append(one)
    return made


def write(path: Path, turn: tuple[float, ...], pixels: Any, z: list[float], kind: str = "BINARY") -> list[Any]:
    described = [
        hd.seg.SegmentDescription(
            n, f"lesion {n}", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Nodule, "MANUAL"
        )
        for n in (1, 2)
    ]
    images = sources(turn, z)
    more: dict[str, Any] = {"fractional_type": "PROBABILITY"} if kind == "FRACTIONAL" else {}
    hd.seg.Segmentation(
        images, pixels, kind, described, generate_uid(), 1, generate_uid(), 1, "m", "m", "1", "1", **more
    ).save_as(path)
    return images


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("turn", [AXIAL, OBLIQUE, FLIPPED])
def test_segments_lie_where_they_were_drawn_also_with_empty_frames_left_out(
    tmp_path: Path, turn: tuple[float, ...], kind: str
) -> None:
    pixels = np.zeros((6, 8, 10), np.uint8)
    pixels[1, 2, 3], pixels[4, 5, 7] = 1, 2
    given = np.stack([pixels == 1, pixels == 2], -1).astype(np.float32) * 0.8 if kind == "FRACTIONAL" else pixels
    images = write(tmp_path / "seg.dcm", turn, given, [2.0 * k for k in range(6)], kind)
    values, grid = read_mask(tmp_path / "seg.dcm")
    for number, (k, i, j) in {1: (1, 2, 3), 2: (4, 5, 7)}.items():
        place = np.array(images[k].ImagePositionPatient, float) + j * 1.0 * np.array(turn[:3])
        where = np.argwhere(values == number)
        assert len(where) == 1
        np.testing.assert_allclose(grid.to_world(where)[0], place + i * 1.5 * np.array(turn[3:]), atol=1e-3)


def test_irregular_frames_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "seg.dcm", AXIAL, np.ones((4, 8, 10), np.uint8), [0.0, 2.0, 5.3, 6.1])
    with pytest.raises(InputError, match="no regular grid"):
        read_mask(tmp_path / "seg.dcm")


def test_overlapping_segments_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "seg.dcm", AXIAL, np.ones((3, 8, 10, 2), np.uint8), [0.0, 2.0, 4.0])
    with pytest.raises(InputError, match="overlap"):
        read_mask(tmp_path / "seg.dcm")


def test_other_dicom_is_refused(tmp_path: Path) -> None:
    one = sources(AXIAL, [0.0])[0]
    one.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match="not a DICOM Segmentation"):
        read_mask(tmp_path / "ct.dcm")


def test_a_truncated_segmentation_is_damaged(tmp_path: Path) -> None:
    write(tmp_path / "seg.dcm", AXIAL, np.ones((4, 8, 10), np.uint8), [0.0, 2.0, 4.0, 6.0], "LABELMAP")
    data = (tmp_path / "seg.dcm").read_bytes()
    (tmp_path / "seg.dcm").write_bytes(data[: len(data) - 100])
    with pytest.raises(InputError) as refusal:
        read_mask(tmp_path / "seg.dcm")
    assert (refusal.value.issues[0].code, refusal.value.issues[0].file) == ("damaged-file", "seg.dcm")


def test_a_folder_is_no_mask(tmp_path: Path) -> None:
    write(tmp_path / "seg.dcm", AXIAL, np.ones((3, 8, 10), np.uint8), [0.0, 2.0, 4.0])
    with pytest.raises(InputError, match="folder"):
        read_mask(tmp_path)


def test_organs_drawn_as_segments_become_the_organs_of_a_ct_of_a_finer_grid(tmp_path: Path) -> None:
    pixels = np.zeros((6, 8, 10), np.uint8)
    pixels[1:5, 2:6, 1:4], pixels[1:5, 2:6, 6:9] = 1, 2
    write(tmp_path / "seg.dcm", AXIAL, pixels, [2.0 * k for k in range(6)])
    target = read_mask(tmp_path / "seg.dcm")[1].resampled((1.0, 1.5, 1.0))
    labels = read_masks(tmp_path / "seg.dcm", target)
    for number, first, last in ((1, 1, 3), (2, 6, 8)):
        place = target.to_world(np.argwhere(labels == number))
        assert place[:, 0].min() == pytest.approx(-20 + first, abs=0.51)
        assert place[:, 0].max() == pytest.approx(-20 + last, abs=0.51)


def test_one_organ_in_a_segmentation_of_its_own(tmp_path: Path) -> None:
    lung = np.zeros((6, 8, 10), np.uint8)
    lung[1:5, 2:6, 1:4] = 1
    (tmp_path / "organs").mkdir()
    write(tmp_path / "organs" / "right_lung.dcm", AXIAL, lung, [2.0 * k for k in range(6)])
    write(tmp_path / "organs" / "left_lung.dcm", AXIAL, lung[:, :, ::-1], [2.0 * k for k in range(6)])
    target = read_mask(tmp_path / "organs" / "right_lung.dcm")[1]
    labels = read_masks(tmp_path / "organs", target)
    assert (labels == 1).sum() == (labels == 2).sum() == lung.sum()
