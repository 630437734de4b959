"""``partition`` on the command line: one CT in its own grid, a table of CTs, failures that stop nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.phantom import PhantomGrid, make_phantom
from training.geometry import Geometry
from training.io import read_ct
from training.io.write import write_nifti


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def phantom_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom whose file has axes of its own: left to right, and feet first."""
    folder = tmp_path_factory.mktemp("ct")
    volume = make_phantom(3, PhantomGrid((60, 80, 80), (5.4, 4.2, 4.2)), "none").volume
    shape = volume.geometry.shape
    flipped = volume.geometry.subgrid((shape[0] - 1, 0, shape[2] - 1), (-1, 1, -1), shape)
    write_nifti(folder / "ct.nii.gz", volume.hu[::-1, :, ::-1], flipped)
    return folder / "ct.nii.gz"


@pytest.mark.parametrize("name", ["dangling", "loop", "file", "dangling/deep"])
@pytest.mark.parametrize("command", ["partition", "partition table", "evaluate", "phantom"])
def test_an_output_that_cannot_be_a_folder_is_refused_before_any_work(
    tmp_path: Path, command: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise RuntimeError("work began")

    monkeypatch.setattr("training.cohort.segmenting.read_ct", work)
    monkeypatch.setattr("training.cohort.segmenting.run_jobs", work)
    monkeypatch.setattr("training.evaluate.cohort.evaluate_stores", work)
    monkeypatch.setattr("training.cohort.phantom.cohort.make_phantom", work)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "cts.csv").write_text("case,path\na,a.nii\n")
    arguments = {
        "partition": ("partition", tmp_path / "ct.nii", "-o", tmp_path / name),
        "partition table": ("partition", tmp_path / "cts.csv", "-o", tmp_path / name),
        "evaluate": ("evaluate", tmp_path / "store", "-o", tmp_path / name),
        "phantom": ("phantom", tmp_path / name),
    }[command]
    done = run(*arguments)
    assert done.exit_code == 1, done.output
    words = "is a file, not a folder" if name == "file" else "is a link that leads nowhere"
    assert f"error: {Path(name).parts[0]}: {words}" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_masks_share_the_grid_of_the_input_file(phantom_file: Path, tmp_path: Path) -> None:
    done = run("partition", phantom_file, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["passed"]
    assert set(report["volumes_ml"]) == {"right lung", "left lung", "mediastinum"}
    ct, organs = nibabel.load(phantom_file), nibabel.load(tmp_path / "out" / "organs.nii.gz")
    assert organs.shape == ct.shape
    np.testing.assert_allclose(organs.affine, ct.affine, atol=1e-4)
    labels, hu = np.asarray(organs.dataobj), np.asarray(ct.dataobj)
    assert np.median(hu[labels == 1]) < -700
    world = nibabel.affines.apply_affine(organs.affine, np.argwhere(labels == 1).mean(axis=0))
    other = nibabel.affines.apply_affine(organs.affine, np.argwhere(labels == 2).mean(axis=0))
    assert world[0] > other[0]  # RAS: the right lung has the greater x
    assert json.loads((tmp_path / "out" / "qc.json").read_text()) == report
    assert report["time"].endswith("+00:00")
    assert {"hirescam-napari", "numpy"} <= set(report["versions"])
    assert report["provenance"]["pixels_sha256"] == read_ct(phantom_file).provenance.pixels_sha256
    assert report["request"]["backend"] == "morphology"
    assert report["file"]["sha256"] == hashlib.sha256((tmp_path / "out" / "organs.nii.gz").read_bytes()).hexdigest()
    assert "ct.nii.gz" not in json.dumps(report)


def test_a_given_mask_is_on_record_by_what_it_holds(phantom_file: Path, tmp_path: Path) -> None:
    assert run("partition", phantom_file, "-o", tmp_path / "own").exit_code == 0
    mask = (tmp_path / "own" / "organs.nii.gz").rename(tmp_path / "Miller.nii.gz")
    done = run("partition", phantom_file, "-o", tmp_path / "out", "--backend", "file", "--mask", mask, "--json")
    assert done.exit_code == 0, done.output
    (held,) = json.loads(done.stdout)["request"]["mask"]
    assert held["sha256"] == hashlib.sha256(mask.read_bytes()).hexdigest()
    assert "Miller" not in (tmp_path / "out" / "qc.json").read_text()


def test_a_table_runs_in_parallel_and_goes_on_where_it_stopped(phantom_file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"not a CT")
    table = tmp_path / "cases.csv"
    table.write_text(f"case,path\na,{phantom_file}\nb,{bad}\n")
    first = run("partition", table, "-o", tmp_path / "out", "--workers", "1", "--json")
    assert first.exit_code == 1
    told = {"cases": 2, "done_before": 0, "failed": 1, "failed_quality_control": 0}
    assert json.loads(first.stdout) == told
    (failure,) = csv.DictReader(io.StringIO((tmp_path / "out" / "failures.csv").read_text()))
    assert failure["case"] == "b"
    assert "bad.nii.gz" in failure["reason"]
    again = run("partition", table, "-o", tmp_path / "out", "--workers", "1", "--json")
    assert json.loads(again.stdout)["done_before"] == 1
    kept = tmp_path / "out" / "a" / "qc.json"
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "passed": False}))
    words = run("partition", table, "-o", tmp_path / "out", "--workers", "1")
    assert "2 cases: 1 done before, 1 failed (failures.csv), 1 failed quality control" in words.stdout


def test_failed_quality_control_is_a_warning_and_no_error(
    phantom_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = {"issues": [], "volumes_ml": {}, "reasons": [], "passed": False}
    monkeypatch.setattr("training.cohort.segmenting.segment_case", lambda *_: report)
    done = run("partition", phantom_file, "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert "warning: these masks failed quality control" in done.stderr


@pytest.mark.parametrize("words", [("--backend", "file"), ("--mask", "masks.nii.gz")])
def test_a_mask_and_its_backend_go_together(phantom_file: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run("partition", phantom_file, "-o", tmp_path / "out", *words).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_another_backend_is_wrong_usage(phantom_file: Path, tmp_path: Path) -> None:
    mask = phantom_file  # never read
    options = ("--backend", "file", "--mask", mask, "--variant", "authors")
    done = run("partition", phantom_file, "-o", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert "recipe of the backend 'morphology', not of 'file'. Leave out one" in done.stderr


def test_given_masks_that_fail_are_not_told_to_be_given(phantom_file: Path, tmp_path: Path) -> None:
    done = run("partition", phantom_file, "-o", tmp_path / "first")
    assert done.exit_code == 0, done.output
    organs = nibabel.load(tmp_path / "first" / "organs.nii.gz")
    labels = np.asarray(organs.dataobj)
    nibabel.save(nibabel.Nifti1Image(np.where(labels == 1, 0, labels), organs.affine), tmp_path / "half.nii.gz")
    options = ("--backend", "file", "--mask", tmp_path / "half.nii.gz")
    done = run("partition", phantom_file, "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    assert "right lung was not found: next to nothing of it is in the masks. See that the masks are" in done.stderr
    assert "backend 'file'" not in done.stderr


def test_other_peoples_folders_are_left_alone(phantom_file: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    done = run("partition", phantom_file, "-o", tmp_path)
    assert done.exit_code == 1
    assert "left as it is" in done.stderr
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["case\na\n", "case,path\na,x\na,y\n", "case,path\n../a,x\n"])
def test_bad_tables_are_refused(content: str, tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text(content)
    done = run("partition", table, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "cases.csv" in done.stderr


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run("partition", tmp_path / "gone.csv", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "gone.csv: cannot be read" in done.stderr


def test_nrrd_keeps_its_grid_too(shared_data: Path, tmp_path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813

    path = shared_data / "ct" / "cip-ct-64" / "ct-64.nrrd"
    done = run("partition", path, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    ct, organs = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "out" / "organs.nii.gz"))
    assert organs.GetSize() == ct.GetSize()
    assert organs.GetOrigin() == pytest.approx(ct.GetOrigin(), abs=1e-3)
    assert organs.GetDirection() == pytest.approx(ct.GetDirection(), abs=1e-4)
    assert isinstance(json.loads(done.stdout)["geometry"]["shape"], list)
    assert Geometry.from_dict(json.loads(done.stdout)["geometry"]).shape == ct.GetSize()[::-1]
