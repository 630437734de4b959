"""A cohort is explained into one store: the same as case by case, whatever interrupts it, and bad cases are told."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.cohorts import LABELS, SPEC, WIDE, write_model, write_phantoms
from training.cli import create_app
from training.cohort.results import open_store
from training.cohort.results.fill import filling
from training.explain import explain
from training.geometry import CellLayout
from training.io import read_ct
from training.issues import InputError
from training.models import load_model
from training.partition.allowed import RegionSettings, allowed_regions, organ_cells
from training.partition.segment import segment_organs

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def salt() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIRESCAM_SALT", "tests")
        yield


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("cohort") / "phantoms")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="module")
def made(phantoms: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "store"
    done = run(phantoms, out, model)
    assert done.exit_code == 0, done.output
    return out


def run(data: Path, out: Path, model: Path, *more: str) -> Result:
    arguments = ["batch", data, "-o", out, "--model", model, "--workers", "0", "--device", "cpu", *more]
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


def waiting_in(store: Path) -> list[Path]:
    """Return the results that wait to be gathered."""
    return [file for file in store.glob("pending/*.npz") if file.stem.isdigit()]


def arrays_of(store: Path) -> dict[str, np.ndarray]:
    opened = open_store(store)
    found = {"scores": opened.scores, "truth": opened.truth, "sides": opened.sides}
    for case in opened.cases:
        found |= {f"{case} z": opened.z(case), f"{case} slices": opened.slice_scores(case)}
        found |= {f"{case} organs": opened.organ_bits(case), f"{case} cells": opened.organ_cells(case).body}
    return found


def test_every_case_is_as_explain_gives_it(made: Path, phantoms: Path, model: Path) -> None:
    store = open_store(made)
    assert store.cases == tuple(f"phantom-{n:06d}" for n in range(6))
    assert set(store.splits) == {"train", "valid"}
    assert store.labels == LABELS
    for case in (store.cases[0], store.cases[-1]):
        expected = explain(load_model(model), read_ct(phantoms / case / "ct.nii.gz"), device="cpu")
        found = store.explanation(case)
        np.testing.assert_array_equal(found.z, expected.z)
        np.testing.assert_array_equal(found.map("lung mass"), expected.map("lung mass"))
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
        np.testing.assert_allclose(store.slice_scores(case), expected.slice_scores, rtol=1e-4, atol=1e-6)
        assert found.input_geometry.allclose(expected.input_geometry, 0)
        assert found.image_geometry.allclose(expected.image_geometry, 0)
        assert found.provenance == expected.provenance
        assert found.model.sha256 == expected.model.sha256


def test_truth_sides_and_regions_are_those_of_the_cohort(made: Path, phantoms: Path) -> None:
    store = open_store(made)
    with (phantoms / "labels.csv").open(newline="") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
    expected = [[int(rows[case][name]) for name in store.labels] for case in store.cases]
    np.testing.assert_array_equal(store.truth, expected)
    truth = store.truth
    assert truth is not None
    n, m = next((n, m) for n, m in np.argwhere(truth == 1) if store.sides[n, m] in (1, 2))
    case, label = store.cases[n], store.labels[m]
    volume = read_ct(phantoms / case / "ct.nii.gz")
    organs = segment_organs(volume, "file", mask_path=phantoms / case / "organs.nii.gz")
    image = store.explanation(case).input_geometry
    for grid, settings in (
        ("receptive_field", RegionSettings()),
        ("stretch", RegionSettings(placement="stretch")),
        ("authors", RegionSettings("stretch", "authors", side="both", heuristic="authors")),
    ):
        on_authors_grid = CellLayout((SPEC.n_groups, 6, 6), store.cells.fields)
        values = organ_cells(organs, image, on_authors_grid if grid == "authors" else store.cells, settings)
        wanted = allowed_regions(values, [label], {label: store.sides_of(case, label)}, settings).allowed[0]
        np.testing.assert_array_equal(store.allowed(case, label, grid), wanted)


def test_the_ct_is_found_again_and_the_store_names_no_file(made: Path, phantoms: Path) -> None:
    store = open_store(made)
    source = store.source(store.cases[2])
    assert source.path is not None
    assert Path(source.path).samefile(phantoms / store.cases[2] / "ct.nii.gz")
    report = (phantoms / store.cases[2] / "report.txt").read_text()
    assert (store.report(store.cases[2]) or "").strip() == report.strip()
    texts = [file for file in made.rglob("*") if file.is_file() and file.suffix in (".json", ".jsonl", ".csv")]
    assert len(texts) > 10
    assert not [file for file in texts if "ct.nii" in file.read_text()]


def test_running_again_does_nothing_and_other_settings_are_refused(made: Path, phantoms: Path, model: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in made.rglob("c.*")}
    again = run(phantoms, made, model, "--json")
    assert json.loads(again.stdout)["done_before"] == 6
    assert {file: file.stat().st_mtime_ns for file in made.rglob("c.*")} == before
    refused = run(phantoms, made, model, "--organs", "none")
    assert refused.exit_code == 1
    assert "another" in refused.stderr
    other = run(phantoms, made, model.parent, "--split", "valid")
    assert other.exit_code == 1


def test_a_bad_case_is_a_row_and_is_tried_again(phantoms: Path, model: Path, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    shutil.copytree(phantoms, cohort)
    bad = cohort / "phantom-000002" / "ct.nii.gz"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:1000])
    done = run(cohort, tmp_path / "s", model, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] == 1
    with (tmp_path / "s" / "failures.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["case"] for row in rows] == ["phantom-000002"]
    assert rows[0]["reason"]
    assert "ct.nii" not in rows[0]["reason"]
    store = open_store(tmp_path / "s")
    assert len(store) == 5
    with pytest.raises(Exception, match="failed"):
        store.z("phantom-000002")
    bad.write_bytes(whole)
    assert run(cohort, tmp_path / "s", model).exit_code == 0
    store = open_store(tmp_path / "s")
    assert len(store) == 6
    assert store.failures == {}


def test_killed_again_and_again_it_ends_with_the_same_store(
    made: Path, phantoms: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store"
    command = [sys.executable, "-m", "training.cli", "batch", phantoms, "-o", out, "--model", model]
    command += ["--workers", "0", "--device", "cpu"]
    for wanted in (1, 3):  # killed twice
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        deadline = time.monotonic() + 100
        while process.poll() is None and len(waiting_in(out)) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(open_store(out)) <= 5
    done = run(phantoms, out, model, "--json")
    assert done.exit_code == 0, done.output
    assert 0 < json.loads(done.stdout)["done_before"] < 6
    expected, found = arrays_of(made), arrays_of(out)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert open_store(out).sha256 == open_store(made).sha256


def damage(store: Path) -> None:
    """Do to a store what disks do: lost, cut off and changed files."""
    for name in ("scores/c.0.0", "truth/c.0.0", "state/c.0", "organs/zarr.json"):
        (store / name).unlink()
    (store / "cases.csv").write_text("garbage")
    for name in ("z/c.0.0.0.0.0", "authors_organs/c.0.0.0.0"):
        content = (store / name).read_bytes()
        (store / name).write_bytes(content[: len(content) // 2])


def test_a_damaged_store_is_mended_as_its_message_says(made: Path, phantoms: Path, model: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made, tmp_path / "s"))
    (store / "cases.csv").unlink()
    with pytest.raises(InputError, match=r"cases\.csv.*`hirescam batch DATA --model MODEL .*--verify`"):
        open_store(store)
    damage(store)
    evaluated = CliRunner().invoke(create_app(), ["evaluate", str(store), "-o", str(tmp_path / "results")])
    assert evaluated.exit_code == 1
    assert "--verify" in evaluated.stderr
    done = run(phantoms, store, model, "--verify")
    assert done.exit_code == 0, done.output
    assert "6 cases (" in done.stderr
    assert "6 cases: 0 done before, 6 now (6 again), 0 failed" in done.stdout
    expected, found = arrays_of(made), arrays_of(store)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], values) for name, values in expected.items())


def test_one_flipped_byte_costs_one_case(made: Path, phantoms: Path, model: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made, tmp_path / "s"))
    file = store / "z" / "c.0.0.0.0.0"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    done = json.loads(run(phantoms, store, model, "--verify", "--json").stdout)
    assert (done["damaged"], done["done_before"], done["done"]) == (1, 5, 1)
    expected, found = arrays_of(made), arrays_of(store)
    assert all(np.array_equal(found[name], values) for name, values in expected.items())
    assert json.loads(run(phantoms, store, model, "--verify", "--json").stdout)["damaged"] == 0


def test_what_nothing_mends_says_what_helps(made: Path, phantoms: Path, model: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made, tmp_path / "s"))
    (store / "zarr.json").write_text("{")
    refused = run(phantoms, store, model)
    assert refused.exit_code == 1
    assert "delete the folder, then run `hirescam batch` again" in refused.stderr
    assert len(list(store.rglob("c.*"))) == len(list(made.rglob("c.*")))
    shutil.rmtree(store)
    assert run(phantoms, store, model).exit_code == 0
    assert len(open_store(store)) == 6


def test_what_differs_is_named(made: Path, phantoms: Path, model: Path, tmp_path: Path) -> None:
    for more, words in (
        (("--keep", "float16"), "begun with --keep float32 (now float16); it is left"),
        (("--heuristic", "authors"), "begun with --heuristic paper (now authors); it is left"),
        (("--split", "valid"), "begun with --split all (now valid); it is left"),
    ):
        refused = run(phantoms, made, model, *more)
        assert refused.exit_code == 1
        assert words in refused.stderr
    refused = run(phantoms, made, write_model(tmp_path / "other.safetensors", seed=1, channels=(6, 3)))
    assert "begun with another model; it is left as it is" in refused.stderr


def test_a_table_needs_no_labels_and_one_missing_ct_stops_nothing(phantoms: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "Doe_Jane").mkdir()
    shutil.copyfile(phantoms / "phantom-000001" / "ct.nii.gz", tmp_path / "Doe_Jane" / "ct.nii.gz")
    rows = [("Jane Doe", "Doe_Jane/ct.nii.gz", "test", "Mrs Doe is well."), ("Gone", "Gone/ct.nii.gz", "test", "")]
    with (tmp_path / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("case", "path", "split", "report"), *rows])
    done = run(tmp_path / "table.csv", tmp_path / "s", model, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) | {"issues": []} == {
        "cases": 2, "done_before": 0, "done": 1, "failed": 1, "damaged": 0, "restored": [], "store": "s", "issues": []
    }  # fmt: skip
    store = open_store(tmp_path / "s")
    assert store.truth is None
    assert store.report(store.cases[0]) == "Mrs Doe is well."
    assert store.volume(store.cases[0]) is not None
    assert len(store.failures) == 1
    for file in (tmp_path / "s").rglob("*"):
        assert not file.is_file() or not any(name in file.read_bytes() for name in (b"Doe", b"Jane", b"Gone")), file


@pytest.mark.slow
def test_ctrl_c_stops_cleanly(phantoms: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    command = [sys.executable, "-m", "training.cli", "batch", phantoms, "-o", out, "--model", model]
    command += ["--workers", "0", "--device", "cpu", "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
    deadline = time.monotonic() + 100
    while process.poll() is None and not waiting_in(out):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate()
    assert process.returncode in (0, 130)  # 0: it was done before the signal came
    assert process.returncode == 0 or json.loads(text)["error"] == "stopped"
    assert len(open_store(out)) == 6 if process.returncode == 0 else 1 <= len(open_store(out)) <= 6
    assert not waiting_in(out)
    assert not [file for file in out.rglob("*") if "partial" in file.name]


def test_two_at_once_are_refused(made: Path, phantoms: Path, model: Path) -> None:
    with filling(made):
        refused = run(phantoms, made, model)
    assert refused.exit_code == 1
    assert "another process" in refused.stderr


@pytest.mark.slow
def test_many_workers_make_the_same_store(made: Path, phantoms: Path, model: Path, tmp_path: Path) -> None:
    arguments = ["batch", phantoms, "-o", tmp_path / "s", "--model", model, "--workers", "2", "--device", "cpu"]
    done = CliRunner().invoke(create_app(), [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    found = arrays_of(tmp_path / "s")
    rounding = {"rtol": 1e-4, "atol": 1e-6}  # a worker has one thread, and sums in another order than several
    for name, values in arrays_of(made).items():
        np.testing.assert_allclose(
            found[name], values, **(rounding if values.dtype.kind == "f" else {"rtol": 0}), err_msg=name
        )


def test_the_size_is_told_first_and_other_folders_are_left_alone(phantoms: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    refused = run(phantoms, tmp_path / "mine", model)
    assert refused.exit_code == 1
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"
    told = " ".join(refused.stderr.split())
    sizes = re.search(r"usually (\d+) to (\d+) KB each .* never more than their uncompressed (\d+) KB", told)
    assert sizes is not None, told
    assert 0 < int(sizes[1]) < int(sizes[2]) < int(sizes[3])


@pytest.mark.parametrize("architecture", ["maxpool", "bodyconv", "ctnet"])
def test_heads_without_a_closed_form_keep_their_maps(architecture: str, phantoms: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", architecture, 0, WIDE, (8, 6, 4))
    done = run(phantoms, tmp_path / "s", model, "--split", "valid", "--json")
    assert done.exit_code == 0, done.output
    store = open_store(tmp_path / "s")
    found = store.explanation(store.cases[0])
    expected = explain(load_model(model), read_ct(phantoms / store.cases[0] / "ct.nii.gz"), device="cpu")
    np.testing.assert_allclose(found.slice_scores, expected.slice_scores, rtol=1e-5, atol=1e-6)
    assert found.has_maps == expected.has_maps
    if expected.has_maps:
        np.testing.assert_array_equal(found.maps(), expected.maps())
        np.testing.assert_array_equal(found.maps("gradcam"), expected.maps("gradcam"))
