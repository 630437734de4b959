"""``train`` on a cohort on disk, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.sources.table import LABELS_FILE
from training.fit import TrainConfig
from training.geometry import Geometry
from training.io.write import write_nifti
from training.models import load_model
from training.preprocess import InputSpec

SPEC = InputSpec(spacing_mm=(20.0, 10.0, 10.0), shape=(12, 32, 32))


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Four tiny CTs: two to train on, one to validate, one to test; the diseased ones have a bright heart."""
    rows = ["case,path,split,lung nodule,cardiomegaly"]
    for index, split in enumerate(("train", "train", "valid", "test")):
        hu = np.full((12, 32, 32), -1000, np.int16)
        hu[:, 6:-6, 4:-4] = 40
        hu[:, 10:-10, 7:12] = hu[:, 10:-10, -12:-7] = -850
        hu[4:8, 13:18, 13:19] = 40 + 200 * (index % 2)
        geometry = Geometry.canonical(hu.shape, SPEC.spacing_mm)
        write_nifti(tmp_path / "cohort" / f"c{index}" / "ct.nii.gz", hu, geometry)
        rows.append(f"c{index},c{index}/ct.nii.gz,{split},0,{index % 2}")
    (tmp_path / "cohort" / LABELS_FILE).write_text("\n".join(rows) + "\n")
    return tmp_path / "cohort"


def run_train(*arguments: str | Path) -> Result:
    changes = ("input.shape=[12,32,32]", "input.spacing_mm=[20.0,10.0,10.0]", "model.width=4", "run.batch_size=1")
    settings = [part for change in changes for part in ("--set", change)]
    return CliRunner().invoke(create_app(), ["train", *map(str, arguments), "--preset", "tiny", *settings])


def test_train_makes_a_model_that_loads_and_resumes(cohort: Path, tmp_path: Path) -> None:
    first = run_train("--data", cohort, "--output", tmp_path / "run", "--epochs", "1", "--json")
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["epochs_done"] == 1
    model = load_model(tmp_path / "run" / "last.safetensors")
    assert (model.labels, model.input_spec.shape) == (("lung nodule", "cardiomegaly"), (12, 32, 32))
    again = run_train("--data", cohort, "--output", tmp_path / "run", "--epochs", "1")
    assert (again.exit_code, "--resume" in again.stderr) == (1, True)
    resumed = run_train("--data", cohort, "--output", tmp_path / "run", "--epochs", "1", "--resume")
    assert resumed.exit_code == 0, resumed.output


def test_train_says_what_is_wrong(cohort: Path, tmp_path: Path) -> None:
    assert run_train("--output", tmp_path / "run").exit_code == 2
    unknown = run_train("--data", cohort, "--output", tmp_path / "run", "--set", "model.colour=red", "--json")
    assert unknown.exit_code == 1
    assert "colour" in json.loads(unknown.stdout)["issues"][0]["message"]
    assert not (tmp_path / "run").exists()


def test_the_demo_preset_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def made(output: Path, seed: int, config: TrainConfig, **options: object) -> Path:
        asked.append((output, seed, config.run.epochs, options["resume"]))
        return output / "demo.safetensors"

    monkeypatch.setattr("training.evaluate.demo.train_demo", made)
    words = ["train", "--preset", "demo", "--output", str(tmp_path / "run"), "--seed", "7", "--epochs", "3", "--json"]
    result = CliRunner().invoke(create_app(), words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"model": "demo.safetensors"}
    assert asked == [(tmp_path / "run", 7, 3, False)]
