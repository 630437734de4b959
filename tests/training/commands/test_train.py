"""What ``train`` says when it has trained, and what the model is called then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.phantom import PhantomGrid, write_cohort
from training.commands.train import best_words
from training.models import load_model

SMALL = (
    *("--preset", "tiny", "--epochs", "1", "--set", "model.width=4", "--set", "run.tensorboard=false"),
    *("--set", "input.shape=[24, 48, 48]", "--set", "input.spacing_mm=[13.5, 7.0, 7.0]"),
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"), 6, 0, PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0)))


def test_the_run_is_told_in_words_and_names_the_model(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "first try"
    done = run("train", "--data", cohort, "--output", out, *SMALL)
    assert done.exit_code == 0, done.output
    told = " ".join(done.stdout.split())
    assert "best epoch 1 of 1 (validation loss 0." in told
    assert f"{out / 'best.safetensors'}" in told
    assert "not for clinical use" in told
    assert f"hirescam view CT --model {out / 'best.safetensors'}" in told
    assert load_model(out / "best.safetensors").name == "first try"
    assert load_model(out / "last.safetensors").name == "first try (last epoch)"
    moved = (out / "best.safetensors").rename(tmp_path / "best.safetensors")
    assert load_model(moved).name == "first try"
    assert load_model(moved.rename(tmp_path / "mine.safetensors")).name == "mine"


def test_a_run_can_be_given_a_name(cohort: Path, tmp_path: Path) -> None:
    done = run("train", "--data", cohort, "-o", tmp_path / "out", "--name", "3", *SMALL, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["best_epoch_index"] == 0
    assert [record["epoch"] for record in document["epochs"]] == list(range(1, document["epochs_done"] + 1))
    model = load_model(tmp_path / "out" / "best.safetensors")
    assert model.name == "3"
    assert model.metadata.training["best_epoch_index"] == 0


def test_epochs_are_counted_from_one_and_numbers_are_short() -> None:
    epochs = [{"validation_loss": 0.7, "training_loss": 0.6}, {"validation_loss": None, "training_loss": 0.12345678901}]
    document = {"epochs_done": 2, "best_epoch_index": 0, "epochs": epochs}
    assert best_words(document) == "best epoch 1 of 2 (validation loss 0.7)"
    assert best_words({**document, "best_epoch_index": 1}) == "best epoch 2 of 2 (training loss 0.123)"


@pytest.mark.parametrize("words", [("--preset", "huge"), (), ("--kind", "shelf"), ("--set", "run.nothing=1")])
def test_wrong_usage_is_refused_before_any_work(cohort: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    data = ("--data", str(cohort)) if words else ()
    assert run("train", "--output", tmp_path / "out", *data, *words).exit_code == 2
    assert not (tmp_path / "out").exists()
