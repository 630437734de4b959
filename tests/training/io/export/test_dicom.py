"""Segmentations and parametric maps read back equal, at the same place, with the right references, and anonymous."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest

from training.geometry import Geometry
from training.io.export.dicom_seg import read_dicom_seg, write_dicom_seg
from training.io.export.parametric_map import read_parametric_map, write_parametric_map
from training.io.export.source import read_source
from training.io.orient import canonical_order
from training.issues import InputError

LABEL = "airspace disease"


def uids_of(folder: Path) -> set[str]:
    return {str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.glob("*.dcm")}


def test_organs_read_back_equal_with_their_affine(scene: Any, tmp_path: Path) -> None:
    source = read_source(scene.folder, case_id="case")
    write_dicom_seg(tmp_path / "organs.dcm", scene.organs, source)
    found = read_dicom_seg(tmp_path / "organs.dcm")
    assert np.array_equal(found.labels, scene.organs.labels)
    assert found.geometry.allclose(scene.volume.geometry, atol_mm=1e-4)
    assert found.names == {1: "Right lung", 2: "Left lung", 3: "Mediastinum"}


def test_a_segmentation_refers_to_every_source_image(scene: Any, tmp_path: Path) -> None:
    write_dicom_seg(tmp_path / "organs.dcm", scene.organs, read_source(scene.folder))
    written = pydicom.dcmread(tmp_path / "organs.dcm")
    source = pydicom.dcmread(next(scene.folder.glob("*.dcm")))
    assert set(read_dicom_seg(tmp_path / "organs.dcm").source_uids) == uids_of(scene.folder)
    assert written.StudyInstanceUID == source.StudyInstanceUID
    assert written.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert written.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    frames = written.PerFrameFunctionalGroupsSequence
    where = {tuple(f.PlanePositionSequence[0].ImagePositionPatient) for f in frames}
    stored = {tuple(pydicom.dcmread(p).ImagePositionPatient) for p in scene.folder.glob("*.dcm")}
    assert where == stored


@pytest.mark.parametrize("placement", ["receptive_field", "stretch"])
def test_maps_read_back_equal_with_their_affine(scene: Any, tmp_path: Path, placement: Any) -> None:
    source = read_source(scene.folder)
    write_parametric_map(tmp_path / "m.dcm", scene.explanation, LABEL, "hirescam", source, placement)
    found = read_parametric_map(tmp_path / "m.dcm")
    assert np.array_equal(found.values, scene.explanation.map(LABEL))
    assert found.geometry.allclose(scene.explanation.geometry("hirescam", placement), atol_mm=1e-3)
    index = scene.explanation.index(LABEL)
    total = float(found.values.sum(dtype=np.float64)) + float(scene.explanation.bias[index])
    assert total == pytest.approx(float(scene.explanation.scores[index]), abs=1e-4)


@pytest.mark.parametrize(("method", "unit"), [("hirescam", "score units"), ("gradcam", "no units")])
def test_units_are_those_of_figures(scene: Any, tmp_path: Path, method: Any, unit: str) -> None:
    write_parametric_map(tmp_path / "m.dcm", scene.explanation, LABEL, method, read_source(scene.folder))
    written = pydicom.dcmread(tmp_path / "m.dcm").SharedFunctionalGroupsSequence[0]
    (code,) = written.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence
    assert (code.CodingSchemeDesignator, code.CodeMeaning) == ("UCUM", unit)


def test_a_map_refers_to_the_series(scene: Any, tmp_path: Path) -> None:
    write_parametric_map(tmp_path / "m.dcm", scene.explanation, LABEL, "gradcam", read_source(scene.folder))
    found = read_parametric_map(tmp_path / "m.dcm")
    assert set(found.source_uids) == uids_of(scene.folder)
    assert found.words.startswith("Grad-CAM: ")


def images_at(folder: Path) -> dict[str, np.ndarray]:
    """Positions of the source images by their identifiers, as stored."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm")]
    return {str(one.SOPInstanceUID): np.array(one.ImagePositionPatient, dtype=float) for one in headers}


def sources_of(frame: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [one for item in frame.DerivationImageSequence for one in item.SourceImageSequence]


def normal_of(folder: Path) -> np.ndarray:
    cosines = np.array(pydicom.dcmread(next(folder.glob("*.dcm"))).ImageOrientationPatient, dtype=float)
    return np.cross(cosines[:3], cosines[3:])


def test_each_frame_on_a_slice_refers_to_the_image_at_its_position(scene: Any, tmp_path: Path) -> None:
    """Slice groups of one slice each, over the CT's own slices: one image a frame, and another for each."""
    source = read_source(scene.folder)
    n = scene.explanation.cells.n_cells[0]
    step = scene.explanation.input_geometry.shape[0] // n
    shape = scene.explanation.input_geometry.shape
    grid = source.geometry.subgrid((-(step - 1) / (2 * step), 0, 0), (1 / step, 0.5, 0.5), shape)
    placed = replace(scene.explanation, input_geometry=grid)
    assert np.allclose(placed.geometry().spacing_mm[0], source.geometry.spacing_mm[0])
    write_parametric_map(tmp_path / "m.dcm", placed, LABEL, "hirescam", source)
    written, images, normal = pydicom.dcmread(tmp_path / "m.dcm"), images_at(scene.folder), normal_of(scene.folder)
    named = []
    for frame in written.PerFrameFunctionalGroupsSequence:
        (one,) = sources_of(frame)
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        nearest = min(images, key=lambda uid: abs(float((place - images[uid]) @ normal)))
        assert abs(float((place - images[nearest]) @ normal)) < 1e-3
        assert one.ReferencedSOPInstanceUID == nearest
        assert one.ReferencedSOPClassUID == pydicom.uid.CTImageStorage
        assert one.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert one.SpatialLocationsPreserved == "NO"
        named.append(nearest)
    assert len(set(named)) == n
    values, _ = canonical_order(placed.map(LABEL), placed.geometry().affine)
    assert np.array_equal(read_parametric_map(tmp_path / "m.dcm").values, values)


def test_each_frame_of_thick_cells_refers_to_the_images_that_it_overlaps(scene: Any, tmp_path: Path) -> None:
    source, shape = read_source(scene.folder), scene.explanation.input_geometry.shape
    step = [(n - 1) / (m - 1) for n, m in zip(source.geometry.shape, shape, strict=True)]
    placed = replace(scene.explanation, input_geometry=source.geometry.subgrid((0, 0, 0), step, shape))
    write_parametric_map(tmp_path / "m.dcm", placed, LABEL, "hirescam", source)
    written, images, normal = pydicom.dcmread(tmp_path / "m.dcm"), images_at(scene.folder), normal_of(scene.folder)
    half_cell, half_slice = placed.geometry().spacing_mm[0] / 2, source.geometry.spacing_mm[0] / 2
    several = 0
    for frame in written.PerFrameFunctionalGroupsSequence:
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        apart = {uid: abs(float((place - at) @ normal)) for uid, at in images.items()}
        named = {str(one.ReferencedSOPInstanceUID) for one in sources_of(frame)}
        assert named == {uid for uid, mm in apart.items() if mm < half_cell + half_slice - 0.05}
        several += len(named) > 1
    assert several


def test_maps_along_the_patient_s_axes_of_an_oblique_series(scene: Any, tmp_path: Path) -> None:
    """As models make them: the frames are not parallel to the images, and the object still names the series."""
    middle = scene.volume.geometry.to_world([(n - 1) / 2 for n in scene.volume.geometry.shape])
    shape = scene.explanation.input_geometry.shape
    grid = Geometry.canonical(shape, (1.0, 1.0, 1.0), middle - np.array([12.0, 12.0, -6.0]))
    placed = replace(scene.explanation, input_geometry=grid)
    write_parametric_map(tmp_path / "m.dcm", placed, LABEL, "hirescam", read_source(scene.folder))
    found = read_parametric_map(tmp_path / "m.dcm")
    assert np.array_equal(found.values, placed.map(LABEL))
    assert found.geometry.allclose(placed.geometry(), atol_mm=1e-3)
    assert set(found.source_uids) == uids_of(scene.folder)


def test_frames_that_run_across_the_images_refer_to_all_that_they_cross(scene: Any, tmp_path: Path) -> None:
    """A map along the patient's axes, with its cells over the middle of the CT."""
    middle = scene.volume.geometry.to_world([(n - 1) / 2 for n in scene.volume.geometry.shape])
    grid = Geometry.canonical(scene.explanation.input_geometry.shape, (1.0, 1.0, 1.0))
    cells = replace(scene.explanation, input_geometry=grid).geometry()
    moved = middle - cells.to_world([(n - 1) / 2 for n in cells.shape])
    placed = replace(scene.explanation, input_geometry=Geometry.canonical(grid.shape, grid.spacing_mm, moved))
    write_parametric_map(tmp_path / "m.dcm", placed, LABEL, "hirescam", read_source(scene.folder))
    across = not np.allclose(np.abs(normal_of(scene.folder)), (0, 0, 1))
    for frame in pydicom.dcmread(tmp_path / "m.dcm").PerFrameFunctionalGroupsSequence:
        named = {str(one.ReferencedSOPInstanceUID) for one in sources_of(frame)}
        assert named == uids_of(scene.folder) if across else 1 <= len(named) <= 3


def test_nothing_leads_to_the_patient_unless_asked(axial: Any, synthetic: ModuleType, tmp_path: Path) -> None:
    for asked in (False, True):
        source = read_source(axial.folder, with_patient_data=asked, case_id="case-7")
        write_dicom_seg(tmp_path / "s.dcm", axial.organs, source)
        write_parametric_map(tmp_path / "m.dcm", axial.explanation, LABEL, "hirescam", source)
        for name in ("s.dcm", "m.dcm"):
            data = (tmp_path / name).read_bytes()
            assert (synthetic.PATIENT.encode() in data) is asked
            assert (synthetic.PATIENT_ID.encode() in data) is asked
            assert (b"19700101" in data) is asked
            assert (b"case-7" in data) is not asked


def test_an_enhanced_image_is_referred_to_frame_by_frame(axial: Any, synthetic: ModuleType, tmp_path: Path) -> None:
    image = synthetic.make_enhanced(order=[3, 0, 5, 1, 4, 2])
    image.StudyInstanceUID = pydicom.uid.generate_uid()
    folder = synthetic.save(tmp_path / "enhanced", [image])
    source = read_source(folder)
    write_dicom_seg(tmp_path / "s.dcm", axial.organs, source)
    found = read_dicom_seg(tmp_path / "s.dcm")
    assert np.array_equal(found.labels, axial.organs.labels)
    assert set(found.source_uids) == {str(image.SOPInstanceUID)}
    write_parametric_map(tmp_path / "m.dcm", axial.explanation, LABEL, "hirescam", source)
    heights = [
        float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in image.PerFrameFunctionalGroupsSequence
    ]
    for frame in pydicom.dcmread(tmp_path / "m.dcm").PerFrameFunctionalGroupsSequence:
        z = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        numbers = [one.ReferencedFrameNumber for one in sources_of(frame)]
        nearest = int(np.argmin(np.abs(np.array(heights) - z))) + 1
        assert nearest in numbers
        assert {one.ReferencedSOPInstanceUID for one in sources_of(frame)} == {image.SOPInstanceUID}


def test_small_differences_of_orientation_do_not_stop_it(axial: Any, synthetic: ModuleType, tmp_path: Path) -> None:
    series = synthetic.make_series()
    series[2].ImageOrientationPatient = [1.0, 0.0005, 0.0, -0.0005, 1.0, 0.0]
    folder = synthetic.save(tmp_path / "noisy", series)
    write_dicom_seg(tmp_path / "s.dcm", axial.organs, read_source(folder))
    assert np.array_equal(read_dicom_seg(tmp_path / "s.dcm").labels, axial.organs.labels)


def test_a_repaired_series_is_referred_to_at_its_new_grid(synthetic: ModuleType, tmp_path: Path, axial: Any) -> None:
    series = synthetic.make_series()
    folder = synthetic.save(tmp_path / "gap", series[:2] + series[3:])
    source = read_source(folder, repair=True)
    assert len(source.headers) == 5
    assert source.geometry.shape[0] == 6
    write_dicom_seg(tmp_path / "s.dcm", axial.organs, source)
    found = read_dicom_seg(tmp_path / "s.dcm")
    assert np.array_equal(found.labels, axial.organs.labels)


def test_a_ct_that_is_no_dicom_is_refused(axial: Any, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "ct.npz", ct=axial.volume.hu)
    with pytest.raises(InputError, match="this CT is none"):
        read_source(tmp_path / "ct.npz")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_images_without_identifiers_are_refused(synthetic: ModuleType, tmp_path: Path, keyword: str) -> None:
    series = synthetic.make_series()
    for image in series:
        delattr(image, keyword)
    folder = synthetic.save(tmp_path / "nameless", series)
    with pytest.raises(InputError, match=keyword):
        read_source(folder)


def test_images_of_unlike_frames_of_reference_stay_whole_files(axial: Any, tmp_path: Path) -> None:
    """A write that is refused leaves nothing behind."""
    source = read_source(axial.folder)
    source.headers[0].FrameOfReferenceUID = "1.2.3"
    with pytest.raises(InputError, match="cannot be referred to"):
        write_dicom_seg(tmp_path / "out" / "s.dcm", axial.organs, source)
    assert not (tmp_path / "out" / "s.dcm").exists()
