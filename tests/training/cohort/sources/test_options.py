"""Options of a cohort's layout on the command line: the same cohort in every command, and refusals that help."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.cohorts import write_model
from training.cli import create_app
from training.cohort.results import open_store
from training.cohort.sources import find_source
from training.cohort.sources.options import as_texts, source_options
from training.issues import InputError
from training.models import load_model

SMALL = (
    *("model.architecture=axialnet-local", "model.width=4", "model.custom_channels=[4]", "run.tensorboard=false"),
    *("input.spacing_mm=[3, 1.5, 1.5]", "input.shape=[12, 24, 24]", "run.epochs=1", "run.device=cpu", "run.threads=1"),
)


def hirescam(*words: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(word) for word in words])


def trained(data: Path, out: Path, *words: str | Path) -> Result:
    changes = [part for change in SMALL for part in ("--set", change)]
    return hirescam("train", "--data", data, "--output", out, *words, *changes)


def checked(data: Path, *words: str | Path) -> dict:
    return dict(json.loads(hirescam("check", data, *words, "--json").stdout))


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    path = tmp_path / "lists" / "subset.txt"
    path.parent.mkdir()
    path.write_text("NoteAcc_DEID\ntrn00001\nval00001.npz\n", encoding="utf-8")
    return path


def test_a_predefined_subset_is_the_same_in_every_command(rad_chestct: Path, subset: Path, tmp_path: Path) -> None:
    option = ("--source", f"subset={subset}")
    assert checked(rad_chestct)["cases"] == {"train": 2, "valid": 1, "test": 1}
    assert checked(rad_chestct, *option)["cases"] == {"train": 1, "valid": 1}
    run, store = tmp_path / "run", tmp_path / "store"
    done = trained(rad_chestct, run, *option)
    assert done.exit_code == 0, done.output
    assert f"--source subset={subset}" in done.stdout.replace("\n", "")
    assert tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["source"]["subset"] == str(subset)
    about = load_model(run / "best.safetensors").metadata.training
    assert (about["n_training_cases"], about["config"]["source"]["subset"]) == (1, subset.name)
    resumed = hirescam("train", "--data", rad_chestct, "--output", run, "--resume", "--epochs", "1")
    assert resumed.exit_code == 0, resumed.output
    batch = ("batch", rad_chestct, "--model", run / "best.safetensors", "-o", store, "--workers", "0")
    done = hirescam(*batch, *option)
    assert done.exit_code == 0, done.output
    found = open_store(store)
    assert found.cases == ("trn00001", "val00001")
    assert found.source("val00001").path == str(rad_chestct / "val00001.npz")
    again = hirescam(*batch)
    assert again.exit_code == 1
    assert "begun with" in again.stderr
    assert "source subset=list of SHA-256" in " ".join(again.stderr.split())
    assert hirescam(*batch, *option).exit_code == 0


def test_a_store_finds_its_cohort_again_by_the_options(rad_chestct: Path, subset: Path, tmp_path: Path) -> None:
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    for path in rad_chestct.glob("*.npz"):
        path.rename(volumes / path.name)
    store, model = tmp_path / "store", write_model(tmp_path / "model.safetensors")
    options = ("--source", f"subset={subset}", "--source", f"volumes={volumes}")
    done = hirescam("batch", rad_chestct, "--model", model, "-o", store, "--workers", "0", *options)
    assert done.exit_code == 0, done.output
    kept = json.loads((store / "data.json").read_text(encoding="utf-8"))["source"]
    assert kept == {"subset": "../lists/subset.txt", "volumes": "../volumes"}
    volume = open_store(store).volume("trn00001")
    assert volume is not None
    text = (store / "zarr.json").read_text(encoding="utf-8")
    assert "subset.txt" not in text
    assert str(tmp_path) not in text


def test_published_labels_and_patients_apart(ct_rate: Path, tmp_path: Path) -> None:
    options = ("--source", "labels=published", "--source", "validation_share=0.4")
    found = checked(ct_rate, *options)
    assert len(found["labels"]) == 18
    assert found["cases"]["test"] == 1
    run = tmp_path / "run"
    done = trained(ct_rate, run, *options)
    assert done.exit_code == 0, done.output
    assert len(load_model(run / "best.safetensors").labels) == 18
    section = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["source"]
    assert (section["labels"], section["validation_share"]) == ("published", 0.4)
    assert hirescam("train", "--data", ct_rate, "--output", run, "--resume").exit_code == 0
    other = hirescam("train", "--data", ct_rate, "--output", run, "--resume", "--source", "labels=reports")
    assert other.exit_code == 1
    assert "started with other settings (labels" in " ".join(other.stderr.split())
    store = tmp_path / "store"
    words = ("--model", run / "best.safetensors", "-o", store, "--workers", "0", "--organs", "none")
    assert hirescam("batch", ct_rate, *options, *words).exit_code == 0
    with_truth = open_store(store)
    assert set(with_truth.splits) >= {"train", "test"}
    assert set(np.unique(with_truth.truth)) <= {0, 1}


def test_columns_of_a_table_become_labels(tmp_path: Path, rad_chestct: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = [f"{n},rad/{n}.npz,{s},{k}" for n, s, k in (("trn00001", "train", 1), ("trn00002", "train", 0))]
    table.write_text("\n".join(("case,path,split,flu", *rows, "v,rad/val00001.npz,valid,1")), encoding="utf-8")
    assert rad_chestct == tmp_path / "rad"
    assert not checked(table).get("usable")
    assert list(checked(table, "--source", "extra_labels=flu")["labels"]) == ["flu"]
    done = trained(table, tmp_path / "run", "--source", "extra_labels=flu")
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "run" / "best.safetensors").labels == ("flu",)
    wrong = hirescam("check", table, "--source", "extra_labels=flu,age")
    assert wrong.exit_code == 2
    assert "no column age" in wrong.stderr
    assert "Columns that can be: flu" in wrong.stderr


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("labels=mine", "must be one of auto, reports, published"),
        ("labels=published", "a cohort of layout rad-chestct has no option labels"),
        ("extra_labels=a,b", "Its options are subset, volumes."),
        ("validation_share=most", "must be float"),
        ("validation_share=0.95", "must be at most 0.9"),
        ("colour=red", "Known: subset, volumes, labels, validation_share, extra_labels."),
        ("subset", "is not NAME=VALUE"),
    ],
)
@pytest.mark.parametrize("command", ["check", "train", "batch"])
def test_wrong_options_are_wrong_usage_and_say_what_is_possible(
    rad_chestct: Path, tmp_path: Path, command: str, option: str, told: str
) -> None:
    if command == "train":
        done = trained(rad_chestct, tmp_path / "out", "--source", option)
    else:
        more = ("-o", tmp_path / "out", "--workers", "0") if command == "batch" else ()
        done = hirescam(command, rad_chestct, *more, "--source", option)
    assert done.exit_code == 2, done.output
    assert told in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_list_that_is_not_there_is_told(rad_chestct: Path) -> None:
    done = hirescam("check", rad_chestct, "--source", "subset=gone.txt")
    assert done.exit_code == 1
    assert "gone.txt" in done.stderr


def test_phantoms_have_no_options(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("case,path,split\n", encoding="utf-8")
    (tmp_path / "findings.csv").write_text("case,label\n", encoding="utf-8")
    with pytest.raises(InputError, match="layout phantoms has no option labels") as refusal:
        find_source(tmp_path, options={"labels": "published"})
    assert "It has none" in str(refusal.value)


def test_the_demo_makes_its_own_data_and_takes_no_options(tmp_path: Path) -> None:
    done = hirescam("train", "--preset", "demo", "-o", tmp_path / "out", "--source", "labels=published")
    assert done.exit_code == 2
    assert "--source needs --data" in " ".join(done.output.split())


def test_options_as_they_are_typed() -> None:
    texts = ["labels=published", "validation_share=0.25", "extra_labels=flu,cold, old"]
    found = source_options(texts)
    assert found == {"labels": "published", "validation_share": 0.25, "extra_labels": ("flu", "cold", "old")}
    assert source_options(as_texts(found)) == found
    assert source_options([]) == {}
