"""The command ``export`` end to end, on a result and on a CT."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.stores import make_store
from training.cli import create_app
from training.cohort.store import write_case
from training.explain.result import Explanation
from training.geometry import Geometry
from training.io.write import write_nifti


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")


@pytest.fixture
def result(tmp_path: Path, explanation_factory: Callable[..., Explanation]) -> Path:
    made = explanation_factory(n_labels=5, n_groups=4, in_plane=24)
    write_case(tmp_path / "result" / "case.zarr", replace(made, image_geometry=made.input_geometry))
    return tmp_path / "result"


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(create_app(), ["export", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_a_result_is_exported_with_its_most_likely_label(result: Path, tmp_path: Path) -> None:
    code, text = run(result, "-o", tmp_path / "out", "--json")
    report = json.loads(text)
    assert code == 0
    assert len(report["export"]["request"]["labels"]) == 1
    best = max(report["labels"], key=lambda one: one["probability"])["name"]
    assert report["export"]["request"]["labels"] == [best]
    assert (tmp_path / "out" / "report.json").is_file()


def test_labels_formats_and_display_are_chosen(result: Path, tmp_path: Path) -> None:
    code, text = run(
        *(result, "-o", tmp_path / "out", "-l", "Airspace_Disease", "-l", "aspiration", "-f", "svg", "--json"),
        *("--method", "hirescam", "--scaling", "paper", "--placement", "stretch", "--window", "bone", "--slice", "2"),
    )
    asked = json.loads(text)["export"]["request"]
    assert code == 0
    assert asked["labels"] == ["airspace disease", "aspiration"]
    assert (asked["scaling"], asked["placement"], asked["window_hu"]) == ("paper", "stretch", [-500.0, 1300.0])
    assert {path.name for path in (tmp_path / "out" / "figures").iterdir()} == {
        "airspace_disease.svg",
        "aspiration.svg",
    }
    assert not (tmp_path / "out" / "maps").exists()


def test_mistakes_are_told(result: Path, tmp_path: Path) -> None:
    code, text = run(result, "-o", tmp_path / "out", "-l", "hair", "--json")
    assert code == 2
    assert json.loads(text)["issues"][0]["code"] == "no-such-label"
    assert run(result, "-o", tmp_path / "out", "--slice", "99")[0] == 2
    assert run(tmp_path / "nothing", "-o", tmp_path / "out")[0] == 1
    assert run(result, "-o", tmp_path / "out", "-f", "dicom")[0] == 2
    assert not (tmp_path / "out").exists()


def test_formats_that_cannot_be_made_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("work was begun")

    for name in ("training.io.read_ct", "training.models.load_model"):
        monkeypatch.setattr(name, work)
    ct = tmp_path / "ct.nii.gz"
    write_nifti(ct, np.zeros((4, 5, 6), np.int16), Geometry.canonical((4, 5, 6), (3.0, 2.0, 2.0)))
    refused = CliRunner().invoke(create_app(), ["export", str(ct), "-f", "dicom", "-o", str(tmp_path / "out")])
    assert refused.exit_code == 2, refused.output
    assert "this CT is gzipped NIfTI" in " ".join(refused.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_people_read_what_was_made(result: Path, tmp_path: Path) -> None:
    code, text = run(result, "-o", tmp_path / "out", "-f", "nifti")
    assert code == 0
    assert ".hirescam.cells.nii.gz" in text
    assert "not for clinical use" in text


def test_what_is_damaged_or_no_ct_is_named(result: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", n_cases=2)
    out, case = tmp_path / "out", result / "case.zarr"
    refused = {
        (store, out): r"store: it is a cohort store of `hirescam batch`, not a CT. Open it with `hirescam view`",
        (result, tmp_path / "store" / "cases.csv" / "sub"): "cases.csv: is a file, not a folder",
    }
    for (given, place), words in refused.items():
        done = CliRunner().invoke(create_app(), ["export", str(given), "-o", str(place)])
        assert done.exit_code == 1
        assert words in done.stderr
    (store / "zarr.json").unlink()
    (case / "zarr.json").write_text("{")
    for given, words in ((store, "it is a cohort store"), (result, "damaged"), (case, "damaged")):
        done = CliRunner().invoke(create_app(), ["export", str(given), "-o", str(out)])
        assert done.exit_code == 1
        assert words in done.stderr
        assert given == store or "Make it again with `hirescam explain`" in done.stderr
    assert not out.exists()


def test_a_damaged_report_in_the_way_is_told_as_such(result: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("{")
    done = CliRunner().invoke(create_app(), ["export", str(result), "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "report.json in the output folder is damaged, or not of `export`" in done.stderr


def test_sum_and_bias_give_the_score_from_the_files_alone(result: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(result, "-o", out, "-f", "nifti", "-l", "aspiration")[0] == 0
    (told,) = json.loads((out / "report.json").read_text())["export"]["sums"]
    cells = np.asanyarray(nibabel.load(out / "maps" / "aspiration.hirescam.cells.nii.gz").dataobj)
    assert told["name"] == "aspiration"
    assert cells.sum() == pytest.approx(told["map_sum"]["hirescam"], rel=1e-5, abs=1e-6)
    assert cells.sum() + told["bias"] == pytest.approx(told["score"], rel=1e-5, abs=1e-5)
    assert set(told["map_sum"]) == {"hirescam", "gradcam"}
