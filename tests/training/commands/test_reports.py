"""``label-reports`` on the command line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.stores import make_store
from training.cli import create_app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


def test_reports_are_labelled(tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("case,report\na,left pneumonia\nb,No nodule in the right lung.\n")
    done = run("label-reports", table, "-o", tmp_path / "out.csv", "--workers", "1", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["reports"] == 2
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [(row["case"], row["pneumonia"], row["lung nodule"]) for row in rows] == [("a", "1", "0"), ("b", "0", "0")]
    assert {path.name for path in tmp_path.iterdir()} == {
        "in.csv",
        "out.csv",
        "out.locations.csv",
        "out.evidence.csv",
        "out.csv.report.json",
    }


def test_the_labels_have_a_report_and_silent_reports_are_told(tmp_path: Path) -> None:
    table, own, out = tmp_path / "Miller.csv", tmp_path / "own.toml", tmp_path / "out.csv"
    table.write_text("case,report\na,left pneumonia\nb,The lungs are clear.\nc,\n")
    own.write_text('[abnormalities.pneumothorax]\nany = ["air leak"]\n')
    done = run("label-reports", table, "-o", out, "--vocabulary", own, "--workers", "1")
    assert done.exit_code == 1
    assert "1 of 2 reports mentions nothing that the vocabulary knows" in done.stderr
    assert "see out.unmentioned.csv" in done.stderr
    assert f"wrote {out}.report.json" in done.stderr.splitlines()
    text = (tmp_path / "out.csv.report.json").read_text()
    assert "Miller" not in text
    report = json.loads(text)
    assert report["result"]["mention_nothing"] == 1
    assert report["file"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert report["input"]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert report["request"]["own_vocabularies"][0]["sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert report["versions"]["hirescam-napari"]
    assert len(report["rules_sha256"]) == 64
    assert {one["path"] for one in report["tables"]} == {
        f"out.{name}.csv" for name in ("locations", "evidence", "failures", "unmentioned")
    }
    assert [issue["code"] for issue in report["issues"]] == ["nothing-mentioned"]
    again = run("label-reports", table, "-o", out, "--vocabulary", own, "--workers", "1", "--overwrite", "--json")
    document = json.loads(again.stdout)
    assert document["mention_nothing"] == 1
    assert [issue["code"] for issue in document["issues"]] == ["nothing-mentioned"]


def test_labels_are_replaced_only_when_asked(tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("case,report\na,left pneumonia\n")
    assert run("label-reports", table, "-o", out, "--workers", "1").exit_code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    table.write_text("case,report\na,No pneumonia in the left lung.\n")
    refused = run("label-reports", table, "-o", out, "--workers", "1")
    assert refused.exit_code == 1
    assert "out.evidence.csv: exists already" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path != table} == {
        name: content for name, content in before.items() if name != "in.csv"
    }
    assert run("label-reports", table, "-o", out, "--workers", "1", "--overwrite").exit_code == 0
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.evidence.csv").read_text()))
    assert (row["status"], row["sides"]) == ("absent", "left")


def test_the_users_vocabulary_and_policies_reach_the_labels(tmp_path: Path) -> None:
    table, own = tmp_path / "in.csv", tmp_path / "own.toml"
    table.write_text("case,report\na,air leak; possible pneumonia in the left lung\n")
    own.write_text('[abnormalities.pneumothorax]\nany = ["air leak"]\n')
    options = ("--vocabulary", own, "--uncertain", "absent", "--workers", "1")
    assert run("label-reports", table, "-o", tmp_path / "out.csv", *options).exit_code == 0
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert (row["pneumothorax"], row["pneumonia"]) == ("1", "0")


def test_a_bad_table_is_refused_with_the_way_out(tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("foo\n1\n")
    done = run("label-reports", table, "-o", tmp_path / "out.csv")
    assert done.exit_code == 1
    assert "in.csv" in done.stderr
    assert "Name one column" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_report_without_text_is_one_line_and_the_others_are_labelled(tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("case,report\na,left pneumonia\nb,\n")
    done = run("label-reports", table, "-o", tmp_path / "out.csv", "--workers", "1", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] == 1
    assert "b: the report holds no text" in done.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 2


def test_labels_made_elsewhere_are_brought_into_the_same_form(tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("case,pneumonia\na,1\n")
    done = run("label-reports", table, "-o", tmp_path / "out.csv", "--given", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "cases": 1,
        "form": "labels",
        "files": ["out.csv", "out.evidence.csv", "out.csv.report.json"],
    }
    assert json.loads((tmp_path / "out.csv.report.json").read_text())["result"]["given"] is True


def test_findings_without_a_place_and_other_languages_are_told(tmp_path: Path) -> None:
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    french = "Nodule de 8 mm dans le lobe droit. Le coeur est de taille normale."
    table.write_text(f"case,report\na,Lymphadenopathy.\nb,left pneumonia\nc,{french}\n")
    done = run("label-reports", table, "-o", out, "--workers", "1")
    assert done.exit_code == 0, done.output
    assert "1 of 3 reports asserts a finding without saying where, which counts for no label" in done.stderr
    assert "See the rows without a label in out.evidence.csv" in done.stderr
    assert "1 of 3 reports seems to be in another language than English" in done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.evidence.csv").read_text())))
    lost = next(row for row in rows if row["case"] == "a")
    assert (lost["label"], lost["display_name"], lost["status"]) == ("", "", "present")
    assert (lost["words"], lost["reason"]) == ("Lymphadenopathy", "no place named")
    result = json.loads((tmp_path / "out.csv.report.json").read_text())["result"]
    assert (result["without_place"], result["not_english"]) == (1, 1)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("case,report\na,left pneumonia\n")
    return path


@pytest.mark.skipif(os.name == "nt", reason="FIFOs of POSIX")
@pytest.mark.parametrize("name", ["x", "x.evidence.csv", "x.report.json"])
def test_only_files_are_replaced(tmp_path: Path, table: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    done = run("label-reports", table, "-o", tmp_path / "x", "--overwrite", "--workers", "1")
    assert done.exit_code == 1, done.output
    assert f"error: {name}: cannot be written: a device, a FIFO or a socket of this name exists" in done.stderr
    assert (tmp_path / name).is_fifo()
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", name}


def test_labels_are_not_written_into_a_store(tmp_path: Path, table: Path) -> None:
    store = make_store(tmp_path / "store")
    before = (store / "cases.csv").read_bytes()
    done = run("label-reports", table, "-o", store / "cases.csv", "--overwrite", "--workers", "1")
    assert done.exit_code == 1, done.output
    assert "error: cases.csv: would lie inside the store store, which is left as it is" in done.stderr
    assert (store / "cases.csv").read_bytes() == before
