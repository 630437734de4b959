"""Paths that lead nowhere, to FIFOs or in circles: one error that names them, never a traceback, never a wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.cli import create_app
from training.cohort.output import check_cache_folder
from training.issues import InputError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and FIFOs of POSIX")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    os.mkfifo("fifo")
    Path("in.csv").write_text("case,report\na,left pneumonia\n")
    Path("data").mkdir()
    Path("data", "labels.csv").write_text("case,path,split,emphysema\na,a.npz,test,1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("label-reports loop -o out.csv", "loop"),
        ("label-reports fifo -o out.csv", "fifo"),
        ("label-reports fifo -o out.csv --given", "fifo"),
        ("label-reports in.csv -o loop --overwrite", "loop"),
        ("label-reports in.csv -o loop/out.csv", "loop"),
        ("label-reports in.csv -o out.csv --vocabulary loop", "loop"),
        ("label-reports in.csv -o out.csv --vocabulary fifo", "fifo"),
        ("explain loop -o out", "loop"),
        ("explain fifo -o out", "fifo"),
        ("batch loop -o out", "loop"),
        ("batch fifo -o out", "fifo"),
        ("batch data -o loop", "loop"),
        ("batch data -o out --organ-cache loop", "loop"),
        ("train --data data -o loop --preset tiny", "loop"),
        ("train --data data -o out --config loop", "loop"),
        ("train --data data -o out --config fifo", "fifo"),
        ("reproduce loop --size tiny", "loop"),
    ],
)
def test_a_path_of_no_use_is_one_error_and_nothing_is_made(folder: Path, command: str, named: str) -> None:
    before = {path.name for path in folder.iterdir()}
    done = CliRunner().invoke(create_app(), command.split())
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {named}: ")
    assert {path.name for path in folder.iterdir()} == before
    assert (folder / "loop").is_symlink()


@pytest.mark.parametrize("name", ["loop", "fifo", "in.csv"])
def test_a_cache_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: is .* not a folder that could keep organs"):
        check_cache_folder(Path(name), "organs", "--organ-cache")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["explain", "in.csv", "-o", ""], "-o"),
        (["explain", "in.csv", "-l", ""], "-l"),
        (["label-reports", "in.csv", "--lymph-node-mm", ""], "--lymph-node-mm"),
        (["label-reports", "in.csv", "--scheduler="], "--scheduler"),
    ],
)
def test_an_empty_value_is_told_in_words_that_fit_all_options(command: list[str], name: str) -> None:
    done = CliRunner().invoke(create_app(), command, env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    words = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == 2
    assert f"{name} is empty: give a value (where a folder is asked for, a dot is the current one)" in words


def test_the_commas_of_a_table_are_named_also_where_tabs_stand() -> None:
    Path("in.csv").write_text("case\treport\na\tleft pneumonia\n")
    done = CliRunner().invoke(create_app(), ["label-reports", "in.csv", "-o", "out.csv"])
    assert done.exit_code == 1
    assert "Columns must be separated by commas." in done.stderr
