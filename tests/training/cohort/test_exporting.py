"""An export is whole, says what it is, carries no patient data unless asked, and refuses what cannot work."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from training.cohort.exporting import ExportCase, ExportRequest, export_case
from training.cohort.inputs import Origin, check_same_ct, sort_inputs
from training.cohort.store import write_case
from training.evaluate.case_figures import FigureStyle
from training.explain.result import Explanation
from training.io import read_ct
from training.io.export.dicom_seg import read_dicom_seg
from training.io.export.parametric_map import read_parametric_map
from training.io.masks import read_mask
from training.issues import Cancelled, InputError, warning
from training.partition.organs import Organs, QualityControl
from training.picture import picture_of

LABELS = ("atelectasis", "airspace disease")
STYLE = FigureStyle(dpi=40)


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    path = Path(__file__).parents[1] / "io" / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_dicom_for_exporting", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def case(tmp_path: Path, synthetic: ModuleType, explanation_factory: Callable[..., Explanation]) -> ExportCase:
    folder = synthetic.save(tmp_path / "Recognisable Name", synthetic.make_series(BurnedInAnnotation="YES"))
    volume = read_ct(folder)
    made = explanation_factory(n_labels=6, n_groups=4, in_plane=24)
    step = [(n - 1) / (m - 1) for n, m in zip(volume.geometry.shape, made.input_geometry.shape, strict=True)]
    grid = volume.geometry.subgrid((0, 0, 0), step, made.input_geometry.shape)
    explanation = replace(
        made,
        case_id=volume.case_id,
        input_geometry=grid,
        image_geometry=volume.geometry,
        issues=volume.issues,
        provenance=volume.provenance.to_dict(),
    )
    labels = np.random.default_rng(1).integers(0, 4, volume.hu.shape).astype(np.uint8)
    organs = Organs(labels, volume.geometry, QualityControl(True))
    return ExportCase(explanation, volume, picture_of(volume), organs, Origin(folder))


def request(*formats: str, **more: object) -> ExportRequest:
    return ExportRequest(LABELS, frozenset(formats), style=STYLE, **more)  # type: ignore[arg-type]


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_every_kind_of_file_is_there_and_named_in_the_report(case: ExportCase, tmp_path: Path) -> None:
    pytest.importorskip("av")
    out = tmp_path / "out"
    seen: list[tuple[int, int, str]] = []
    formats = ("nifti", "dicom", "png", "pdf", "svg", "gif", "mp4")
    report = export_case(out, case, request(*formats), lambda *step: seen.append(step))
    stems = ("airspace_disease", "atelectasis")
    expected = {"organs.nii.gz", "dicom/organs.dcm"}
    expected |= {f"maps/{s}.{m}{c}.nii.gz" for s in stems for m in ("hirescam", "gradcam") for c in ("", ".cells")}
    expected |= {f"dicom/{s}.{m}.dcm" for s in stems for m in ("hirescam", "gradcam")}
    expected |= {f"figures/{s}.{k}" for s in stems for k in ("png", "pdf", "svg")}
    expected |= {f"films/{s}.{k}" for s in stems for k in ("gif", "mp4")}
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == expected | {"report.json"}
    assert {one["path"] for one in report["export"]["files"]} == expected
    assert seen[-1][0] == seen[-1][1] == len({s[0] for s in seen}) - 1


def test_the_report_holds_versions_hashes_device_times_and_issues(case: ExportCase, tmp_path: Path) -> None:
    export_case(tmp_path / "out", case, request("png", "nifti"))
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    for one in report["export"]["files"]:
        assert one["sha256"] == hashlib.sha256((tmp_path / "out" / one["path"]).read_bytes()).hexdigest()
    assert {"hirescam-napari", "python", "numpy", "highdicom", "nibabel", "matplotlib"} <= set(
        report["export"]["versions"]
    )
    assert report["model"]["sha256"] == case.explanation.model.sha256
    assert report["provenance"]["pixels_sha256"] == case.volume.provenance.pixels_sha256  # type: ignore[union-attr]
    assert report["device"] == "cpu"
    assert set(report["export"]["seconds"]) == {"nifti", "figures"}
    assert report["export"]["organs"]["passed"] is True
    codes = [issue["code"] for issue in report["issues"]]
    assert "burned-in-annotation" in codes
    assert "burned-in-annotation-exported" in codes


def test_no_patient_data_unless_asked(case: ExportCase, synthetic: ModuleType, tmp_path: Path) -> None:
    secrets = [synthetic.PATIENT.encode(), synthetic.PATIENT_ID.encode(), b"Recognisable"]
    export_case(tmp_path / "out", case, request("nifti", "dicom", "png", "svg", "pdf"))
    content = all_bytes(tmp_path / "out")
    assert not any(secret in content for secret in secrets)
    report = export_case(tmp_path / "named", case, request("dicom", with_patient_data=True))
    assert all(secret in all_bytes(tmp_path / "named") for secret in secrets)
    assert report["export"]["input"] == "Recognisable Name"
    assert "patient-data" in [issue["code"] for issue in report["issues"]]


def test_dicom_objects_read_back_equal(case: ExportCase, tmp_path: Path) -> None:
    export_case(tmp_path / "out", case, request("dicom"))
    organs = read_dicom_seg(tmp_path / "out" / "dicom" / "organs.dcm")
    assert np.array_equal(organs.labels, case.organs.labels)  # type: ignore[union-attr]
    values, geometry = read_mask(tmp_path / "out" / "dicom" / "organs.dcm")
    assert np.array_equal(values, organs.labels)
    assert geometry.allclose(organs.geometry)
    found = read_parametric_map(tmp_path / "out" / "dicom" / "atelectasis.hirescam.dcm")
    assert np.array_equal(found.values, case.explanation.map("atelectasis"))


def test_the_grid_of_nifti_maps_can_be_chosen(case: ExportCase, tmp_path: Path) -> None:
    for grid, names in (("ct", {"atelectasis.hirescam.nii.gz"}), ("cells", {"atelectasis.hirescam.cells.nii.gz"})):
        style = replace(STYLE, methods=("hirescam",))
        asked = ExportRequest(("atelectasis",), frozenset(("nifti",)), False, grid, style)  # type: ignore[arg-type]
        export_case(tmp_path / grid, case, asked)
        assert {path.name for path in (tmp_path / grid / "maps").iterdir()} == names
        assert not (tmp_path / grid / "organs.nii.gz").exists()


def test_a_result_without_its_ct_gives_what_it_can(case: ExportCase, tmp_path: Path) -> None:
    report = export_case(tmp_path / "out", ExportCase(case.explanation), request("nifti", "png"))
    assert (tmp_path / "out" / "figures" / "atelectasis.png").is_file()
    assert not (tmp_path / "out" / "organs.nii.gz").exists()
    codes = [issue["code"] for issue in report["issues"]]
    assert "no-organs" in codes
    assert "burned-in-annotation-exported" not in codes
    with pytest.raises(InputError, match="the CT was not given"):
        export_case(tmp_path / "dicom", ExportCase(case.explanation), request("dicom"))


def test_cancelling_leaves_nothing(case: ExportCase, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        export_case(tmp_path / "out", case, request("nifti", "png"), cancelled=lambda: next(asked))
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["Recognisable Name"]


def test_an_earlier_export_is_replaced_and_nothing_else(case: ExportCase, tmp_path: Path) -> None:
    export_case(tmp_path / "out", case, request("png", "svg"))
    export_case(tmp_path / "out", case, request("png"))
    assert not (tmp_path / "out" / "figures" / "atelectasis.svg").exists()
    write_case(tmp_path / "result" / "case.zarr", case.explanation)
    with pytest.raises(InputError, match="earlier result of `export`"):
        export_case(tmp_path / "result", case, request("png"))
    assert (tmp_path / "result" / "case.zarr").is_dir()


def test_what_cannot_work_is_refused_first(case: ExportCase, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no label called 'hair'"):
        export_case(out, case, replace(request("png"), labels=("hair",)))
    with pytest.raises(ValueError, match="no export format"):
        export_case(out, case, request("jpeg"))
    blind = replace(case.explanation, model=replace(case.explanation.model, has_maps=False))
    with pytest.raises(InputError, match="has no maps"):
        export_case(out, replace(case, explanation=blind), request("png"))
    assert not out.exists()


def test_labels_whose_files_would_be_the_same_get_numbers(case: ExportCase, tmp_path: Path) -> None:
    names = ("a/b", "a b", *case.explanation.labels[2:])
    odd = replace(case, explanation=replace(case.explanation, labels=names))
    asked = ExportRequest(("a/b", "a b"), frozenset(("png",)), style=STYLE)
    export_case(tmp_path / "out", odd, asked)
    assert {path.name for path in (tmp_path / "out" / "figures").iterdir()} == {"a_b.png", "a_b-2.png"}


def test_inputs_are_told_apart(case: ExportCase, tmp_path: Path) -> None:
    result = tmp_path / "result"
    write_case(result / "case.zarr", case.explanation)
    ct = case.origin.path  # type: ignore[union-attr]
    assert sort_inputs([result, ct]) == sort_inputs([ct, result])
    assert sort_inputs([ct]).result is None
    with pytest.raises(InputError, match="2 CTs"):
        sort_inputs([ct, ct])
    check_same_ct(case.volume, case.explanation)  # type: ignore[arg-type]
    grid = case.explanation.image_geometry
    moved = replace(case.explanation, image_geometry=grid.subgrid((1, 0, 0), (1, 1, 1), grid.shape))
    with pytest.raises(InputError, match="another CT"):
        check_same_ct(case.volume, moved)  # type: ignore[arg-type]
    other = replace(case.explanation, provenance={"pixels_sha256": "f" * 64}).with_issues(warning("x", "y"))
    with pytest.raises(InputError, match="another CT"):
        check_same_ct(case.volume, other)  # type: ignore[arg-type]
