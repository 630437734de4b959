"""Nothing that leaves the program names the patient: every kind of file is taken apart and searched."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.cohorts import LABELS, write_model
from training.cli import create_app
from training.cohort.inputs import Origin
from training.cohort.session_file import Session, write_session
from training.cohort.store import read_case
from training.io import read_ct

SECRETS = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "PID-8812-4471",
    "PatientBirthDate": "19640923",
    "PatientAddress": "Heidestrasse 17",
    "OtherPatientIDs": "OLD-1234567",
    "AccessionNumber": "ACC-99120031",
    "StudyDate": "20190417",
    "StudyID": "STU-55120",
    "InstitutionName": "Klinikum Beispielstadt",
    "ReferringPhysicianName": "Zuweiser^Otto",
    "StationName": "CT-SAAL-7",
}
FOLDER = "Mustermann_Erika_1964"
WORDS = sorted({part for value in (*SECRETS.values(), FOLDER) for part in re.split(r"[\^_ ]", value) if len(part) > 4})
"""Every word of them that is long enough not to turn up by chance."""


@pytest.fixture(scope="module", autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIRESCAM_SALT", "tests")
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture(scope="module")
def synthetic() -> ModuleType:
    path = Path(__file__).parents[1] / "io" / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_dicom_for_privacy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType) -> Path:
    """A table of two DICOM series whose headers, folders and names of cases are full of identifiers."""
    root = tmp_path_factory.mktemp("cohort")
    rows = []
    for n in range(2):
        hu = synthetic.phantom((12, 32, 32), seed=n)
        name = f"{FOLDER}-{n}"
        synthetic.save(root / name, synthetic.make_series(hu, BurnedInAnnotation="YES", **SECRETS))
        rows.append([name, name, "test", *(int((n + m) % 2) for m in range(len(LABELS))), f"Report on {FOLDER}."])
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["case", "path", "split", *LABELS, "report"], *rows])
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="module")
def store(cohort: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "store"
    run("batch", cohort / "labels.csv", "-o", out, "--model", model, "--workers", 0, "--device", "cpu")
    return out


def run(*arguments: object) -> str:
    done = CliRunner().invoke(create_app(), [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, and of what is packed in it."""
    data = path.read_bytes()
    yield data
    if path.suffix == ".gz":
        yield gzip.decompress(data)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (name.encode() for name in archive.namelist())
            yield from (archive.read(name) for name in archive.namelist())
    if path.suffix == ".pdf":
        for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
            yield _inflated(stream)
    if path.suffix in (".png", ".gif"):
        with Image.open(path) as image:
            yield repr(image.info).encode()


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:  # not packed
        return stream


def found(*places: Path) -> list[tuple[str, str]]:
    """Return which file holds which word, in plain bytes or UTF-16."""
    files = [file for place in places for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    assert files
    return [
        (file.name, word)
        for file in files
        if file.is_file()
        for part in contents(file)
        for word in WORDS
        if word.encode() in part or word.encode("utf-16-le") in part or word.encode() in file.name.encode()
    ]


def test_the_search_finds_what_is_hidden(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.nii.gz", "wb") as packed:
        packed.write(b"Mustermann")
    with zipfile.ZipFile(tmp_path / "b.hirescam", "w") as archive:
        archive.writestr("session.json", "Heidestrasse")
    (tmp_path / "c.pdf").write_bytes(b"<<>>\nstream\n" + zlib.compress(b"ACC-99120031") + b"\nendstream")
    (tmp_path / "d.txt").write_text("nothing")
    words = {"a.nii.gz": "Mustermann", "b.hirescam": "Heidestrasse", "c.pdf": "ACC-99120031"}
    assert dict(found(tmp_path)) == words


def test_explain_and_every_export(cohort: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    ct = cohort / f"{FOLDER}-0"
    said = run("explain", ct, "-o", tmp_path / "result", "--model", model, "--device", "cpu", "--json")
    formats = [part for kind in ("nifti", "dicom", "png", "pdf", "svg", "gif", "mp4") for part in ("-f", kind)]
    said += run("export", ct, tmp_path / "result", "-o", tmp_path / "out", *formats)
    assert {path.suffix for path in (tmp_path / "out").rglob("*.*")} >= {".gz", ".dcm", ".png", ".pdf", ".gif", ".mp4"}
    assert found(tmp_path / "result", tmp_path / "out") == []
    assert not any(word in said for word in WORDS if word not in str(tmp_path))
    assert "burned" in said
    pdf = next((tmp_path / "out").rglob("*.pdf")).read_bytes()
    assert not re.search(rb"/(Author|Title|Subject|Keywords|Creator|Producer)\b", pdf)
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert "burned-in-annotation-exported" in [issue["code"] for issue in report["issues"]]


def test_audit_report_and_contact_sheet_warn_of_burned_in_text(store: Path, tmp_path: Path) -> None:
    run("audit", store, "--export", tmp_path / "audit", "--pictures", 2)
    sheet = tmp_path / "sheet.png"
    said = run("compare", store, "--pairs", "all", "-l", "lung mass", "--sheet", sheet, "-o", tmp_path / "pairs.csv")
    assert found(tmp_path) == []
    assert "text is burned into the images" in said.replace("\n", " ")
    for report in (tmp_path / "audit" / "audit.json", tmp_path / "sheet.png.report.json"):
        issues = json.loads(report.read_text(encoding="utf-8"))["issues"]
        assert "burned-in-annotation-exported" in [issue["code"] for issue in issues]
    assert "Look at every figure" in (tmp_path / "audit" / "audit.html").read_text(encoding="utf-8")


def test_a_session(cohort: Path, model: Path, tmp_path: Path) -> None:
    ct = cohort / f"{FOLDER}-1"
    run("explain", ct, "-o", tmp_path / "result", "--model", model, "--device", "cpu")
    volume, result = read_ct(ct), read_case(tmp_path / "result")
    assert np.array_equal(result.image_geometry.shape, volume.geometry.shape)
    session = Session({"slice_mm": 1.0}, result, volume.provenance.pixels_sha256, Origin(ct))
    write_session(tmp_path / "view.hirescam", session)
    assert found(tmp_path) == []
