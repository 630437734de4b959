"""The command ``compare`` on a small store."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.stores import make_store
from training.cli import create_app
from training.commands.compare import _staged


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store")


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(create_app(), ["compare", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_pairs_are_ranked_and_written(store: Path, tmp_path: Path) -> None:
    code, text = run(store, "--pairs", "all", "--most", "7", "-o", tmp_path / "pairs.csv", "--json")
    assert code == 0
    found = json.loads(text)["pairs"]
    assert len(found) == 7
    values = [one["disagreement"] for one in found]
    assert values == sorted(values, reverse=True)
    with (tmp_path / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == [one["case"] for one in found]


def test_the_table_lists_only_what_it_promises_and_says_of_what_the_shares_are(store: Path) -> None:
    everything = ["--pairs", "all", "--most", "1000"]
    pairs = json.loads(run(store, *everything, "--json")[1])["pairs"]
    positive = [one for one in pairs if one["disagreement"] > 0]
    assert 0 < len(positive) < len(pairs)
    text = run(store, *everything)[1]
    listed = [line for line in text.splitlines() if line.startswith("case-")]
    assert len(listed) == min(20, len(positive))
    assert not any("−" in line for line in listed)
    assert f"{len(pairs) - len(positive)} of {len(pairs)} pairs have a disagreement of 0 or below" in text
    assert all(re.search(r"\d %\s+[<>]?[\d.]+ %\s*$", line) for line in listed)
    assert "Shares are of each map's positive evidence" in text
    assert "−1 for the reverse" in text


def test_a_sheet_of_one_label_is_drawn(store: Path, tmp_path: Path) -> None:
    code, text = run(store, "-l", "Atelectasis", "--pairs", "all", "--sheet", tmp_path / "s.svg", "--cases", "3")
    assert code == 0
    assert (tmp_path / "s.svg").read_bytes().startswith(b"<?xml")
    assert "not for clinical use" in text


def test_every_file_is_named_and_has_its_report(store: Path, tmp_path: Path) -> None:
    files = {"sheet": tmp_path / "s.png", "out": tmp_path / "pairs.csv"}
    wanted = ["--pairs", "all", "--cases", "3", "--sheet", str(files["sheet"]), "-o", str(files["out"])]
    done = CliRunner().invoke(create_app(), ["compare", str(store), "-l", "Atelectasis", *wanted])
    assert done.exit_code == 0
    for path in files.values():
        assert done.stderr.splitlines().count(f"wrote {path}") == 1
        assert done.stderr.splitlines().count(f"wrote {path}.report.json") == 1
        report = json.loads(path.with_name(f"{path.name}.report.json").read_text(encoding="utf-8"))
        assert report["file"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert report["request"]["label"] == "atelectasis"
        assert len(report["store"]["sha256"]) == 64
        assert report["versions"]["hirescam-napari"]
        assert report["devices"]
        assert report["seconds"]
    done = CliRunner().invoke(
        create_app(), ["compare", str(store), "-l", "Atelectasis", *wanted, "--overwrite", "--json"]
    )
    assert "wrote" not in done.stderr
    document = json.loads(done.stdout)
    assert document["files"] == ["s.png", "s.png.report.json", "pairs.csv", "pairs.csv.report.json"]
    assert [issue["code"] for issue in document["issues"]] == ["no-ct"]


def test_files_are_replaced_only_when_asked(store: Path, tmp_path: Path) -> None:
    for name in ("pairs.csv.report.json", "pairs.csv"):
        (tmp_path / name).write_text("mine")
        wanted = ["compare", str(store), "--pairs", "all", "-o", str(tmp_path / "pairs.csv")]
        done = CliRunner().invoke(create_app(), wanted)
        assert done.exit_code == 1
        assert f"{name}: exists already, and is left as it is" in done.stderr
        assert (tmp_path / name).read_text() == "mine"
    (tmp_path / "s.png").write_text("mine")
    assert run(store, "-l", "Atelectasis", "--pairs", "all", "--sheet", tmp_path / "s.png")[0] == 1
    assert (tmp_path / "s.png").read_text() == "mine"
    assert run(store, "--pairs", "all", "-o", tmp_path / "pairs.csv", "--overwrite")[0] == 0
    assert (tmp_path / "pairs.csv").read_text() != "mine"


@pytest.mark.parametrize("second", ["s.png", "./here/../s.png", "s.png.report.json"])
def test_two_outputs_are_not_written_into_one_file(store: Path, tmp_path: Path, second: str) -> None:
    wanted = ["-l", "Atelectasis", "--sheet", str(tmp_path / "s.png"), "-o", str(tmp_path / second), "--overwrite"]
    done = CliRunner().invoke(create_app(), ["compare", str(store), *wanted])
    assert done.exit_code == 1
    assert "was given for two different outputs" in done.stderr
    assert not (tmp_path / "s.png").exists()


def test_mistakes_are_told(store: Path, tmp_path: Path) -> None:
    assert run(store, "--sheet", tmp_path / "s.svg")[0] == 2
    assert run(store, "-l", "hair")[0] == 2
    assert run(tmp_path / "nothing")[0] == 1


def test_nothing_is_written_into_the_store_that_is_read(store: Path) -> None:
    before = (store / "cases.csv").read_bytes()
    done = CliRunner().invoke(create_app(), ["compare", str(store), "-o", str(store / "cases.csv"), "--overwrite"])
    assert done.exit_code == 1
    assert "error: cases.csv: would lie inside the store store, which is left as it is" in done.stderr
    assert (store / "cases.csv").read_bytes() == before


def test_the_second_look_of_a_sheet_has_a_name_of_its_own() -> None:
    seen: list[tuple[int, int, str]] = []
    _staged(lambda *step: seen.append(step), "ordering cases")(3, 6, "comparing methods")
    assert seen == [(3, 6, "ordering cases")]
