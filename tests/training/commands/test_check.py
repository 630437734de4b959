"""``check`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.phantom import PhantomGrid, write_cohort


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, 2, 0, PhantomGrid((24, 32, 32), (13.0, 10.5, 10.5)))
    return folder


def test_a_sound_cohort_passes(cohort: Path) -> None:
    done = run("check", cohort, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["usable"]
    assert sum(found["cases"].values()) == 2


def test_a_missing_volume_is_told_in_words(cohort: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("case,path,split,pneumonia\na,gone.nii.gz,train,2\n")
    done = run("check", table)
    assert done.exit_code == 1
    assert "cannot be used" in done.stdout
    assert "labels.csv" in done.stderr


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    done = run("check", tmp_path)
    assert done.exit_code == 1
    assert "is no cohort" in done.stderr


def test_the_first_labels_are_printed_or_all(cohort: Path) -> None:
    few, every = run("check", cohort).stdout, run("check", cohort, "--all").stdout
    assert "80 labels, of which" in few
    assert "10 shown, --all shows all" in few
    assert len(every.splitlines()) - len(few.splitlines()) == 70
    assert "ground-glass opacity" in every
    assert "groundglass" not in every


def test_a_layout_that_does_not_exist_is_wrong_usage(cohort: Path) -> None:
    assert run("check", cohort, "--kind", "shelf").exit_code == 2
