"""``train`` on a cohort on disk, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.fitting import check_run_folder
from training.cohort.phantom import PhantomGrid, write_cohort
from training.cohort.sources.table import LABELS_FILE
from training.fit import TrainConfig, load_config, to_toml
from training.fit.log import EPOCHS_FILE, STEPS_FILE
from training.geometry import Geometry
from training.io.write import write_nifti
from training.issues import InputError
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


SMALL_PHANTOMS = PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0))


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``hirescam phantom`` writes, small: seeds 3 and 4 to train on, 5 to validate."""
    return write_cohort(tmp_path_factory.mktemp("phantoms") / "cohort", 3, 3, SMALL_PHANTOMS)


def hirescam(*words: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(word) for word in words])


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
    assert unknown.exit_code == 2
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


PHANTOM_SETTINGS = (
    *("--preset", "tiny", "--set", "input.shape=[24, 48, 48]", "--set", "input.spacing_mm=[13.5, 7.0, 7.0]"),
    *("--set", "model.width=4", "--set", "run.batch_size=1"),
)


def test_train_takes_what_phantom_writes_with_the_mask_loss_and_augmentation(phantoms: Path, tmp_path: Path) -> None:
    mask = ("--set", "loss.mask=authors", "--set", "loss.lambda=0.5", "--set", "augment.flip_probability=1")
    words = ("train", "--data", phantoms, "--output", tmp_path / "run", *PHANTOM_SETTINGS, *mask, "--json")
    result = hirescam(*words)
    assert result.exit_code == 0, result.output
    epochs = json.loads(result.stdout)["epochs"]
    assert 0.5 < epochs[0]["training_mask_loss"] < 0.8  # about ln 2 without attention
    model = load_model(tmp_path / "run" / "best.safetensors")
    assert len(model.labels) == 80
    assert model.metadata.training["config"]["loss"]["lambda"] == 0.5
    assert model.metadata.training["n_training_cases"] == 2
    assert (tmp_path / "run" / STEPS_FILE).read_text(encoding="utf-8").count("\n") == 5
    assert (tmp_path / "run" / EPOCHS_FILE).read_text(encoding="utf-8").count("\n") == 3
    assert "of 2: loss" in result.stderr
    assert "waited for data" in result.stderr


def test_a_run_is_resumed_by_its_own_settings(phantoms: Path, tmp_path: Path) -> None:
    run, shared = tmp_path / "run", ("--cache", tmp_path / "prepared")
    first = hirescam("train", "--data", phantoms, "--output", run, *PHANTOM_SETTINGS, *shared)
    assert first.exit_code == 0, first.output
    assert load_config(run / "config.toml").run.epochs == 2
    assert not (run / "prepared").exists()
    again = hirescam("train", "--data", phantoms, "--output", run, *shared, "--resume", "--set", "run.workers=0")
    assert again.exit_code == 0, again.output
    other = hirescam("train", "--data", phantoms, "--output", run, *shared, "--resume", "--epochs", "3")
    assert (other.exit_code, "other settings (run)" in other.stderr) == (1, True)
    assert load_config(run / "config.toml").run.epochs == 2  # what was refused leaves no trace
    (run / "config.toml").unlink()
    gone = hirescam("train", "--data", phantoms, "--output", run, *shared, "--resume")
    assert gone.exit_code == 1
    assert "config.toml: the settings of the run in 'run' are missing" in gone.stderr
    assert "started with other settings" not in gone.stderr


def test_what_the_tables_have_wrong_is_said_before_training(cohort: Path, tmp_path: Path) -> None:
    table = cohort / LABELS_FILE
    table.write_text(
        table.read_text().replace("c0,c0/", "c0,x0/").replace("c1,c1/ct.nii.gz,train,0,1", "c0,c1/ct.nii.gz,train,0,7")
    )
    result = run_train("--data", cohort, "--output", tmp_path / "run", "--json")
    assert result.exit_code == 1
    codes = {issue["code"] for issue in json.loads(result.stdout)["issues"]}
    assert codes >= {"no-volume", "bad-value", "duplicate-id"}
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_unknown_labels_do_not_stop_training(cohort: Path, tmp_path: Path) -> None:
    table = cohort / LABELS_FILE
    table.write_text(table.read_text().replace("train,0,1", "train,,1"))
    result = run_train("--data", cohort / LABELS_FILE, "--kind", "table", "--output", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    assert np.isfinite([epoch["training_loss"] for epoch in json.loads(result.stdout)["epochs"]]).all()


def test_all_settings_are_printed_and_read_back(tmp_path: Path) -> None:
    result = hirescam("train", "--print-settings", "--preset", "paper-mask", "--set", "loss.lambda=0.1")
    assert result.exit_code == 0, result.output
    (tmp_path / "my.toml").write_text(result.stdout, encoding="utf-8")
    config = load_config(tmp_path / "my.toml")
    assert (config.loss.mask, config.loss.lambda_, config.run.patience) == ("authors", 0.1, 15)
    assert "# weight of the mask loss\nlambda = 0.1\n" in result.stdout
    as_json = json.loads(hirescam("train", "--print-settings", "--json").stdout)
    assert as_json["augment"]["flip_probability"] == 0.5


def test_a_folder_with_other_files_is_no_place_for_a_run(tmp_path: Path) -> None:
    for name in ("config.toml", "epochs.csv", "notes.txt"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("precious")
        with pytest.raises(InputError, match="left as they are"):
            check_run_folder(folder, resume=False)
        assert (folder / name).read_text() == "precious"
    check_run_folder(tmp_path / "new", resume=False)
    started = tmp_path / "started"
    (started / "prepared").mkdir(parents=True)
    check_run_folder(started, resume=False)
    (started / "config.toml").write_text(to_toml(TrainConfig()))
    (started / "steps.csv").write_text("epoch,step")
    check_run_folder(started, resume=False)


def test_a_file_in_place_of_the_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("case")
    with pytest.raises(InputError, match=r"table\.csv: is a file"):
        check_run_folder(tmp_path / "table.csv", resume=False)


def test_faults_of_a_file_and_of_the_command_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[run]\nepoks = 3\n")
    result = hirescam("train", "--print-settings", "--config", tmp_path / "my.toml", "--set", "run.seed=x", "--json")
    assert result.exit_code == 2
    assert [issue["message"].split()[0:4] for issue in json.loads(result.stdout)["issues"]] == [
        ["there", "is", "no", "setting"],
        ["run.seed", "=", "'x':", "must"],
    ]


def test_a_damaged_config_of_a_run_says_what_replaces_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[mo")
    refused = hirescam("train", "--print-settings", "--output", tmp_path, "--resume")
    assert refused.exit_code == 1
    assert "config.toml: not a TOML file" in refused.stderr
    assert "leave out --config" not in refused.stderr
    assert hirescam("train", "--print-settings", "--output", tmp_path, "--resume", "--preset", "tiny").exit_code == 0


@pytest.mark.parametrize("option", ["--output", "--cache"])
@pytest.mark.parametrize("inner", ["", "sub"])
def test_a_file_in_the_way_is_named_as_the_user_named_it(cohort: Path, tmp_path: Path, option: str, inner: str) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    other = ("--cache" if option == "--output" else "--output", tmp_path / "other")
    result = run_train("--data", cohort, option, tmp_path / "mine.txt" / inner, *other)
    assert result.exit_code == 1
    assert "error: mine.txt: is a file, not a folder" in result.stderr
    assert ".partial" not in result.stderr
    assert (tmp_path / "mine.txt").read_text() == "precious"
