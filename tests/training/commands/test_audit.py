from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.stores import make_store
from training.cli import create_app
from training.cohort.results import open_store
from training.commands.audit import AuditRequest, Threshold, open_audit
from training.evaluate.audit.select import Filter
from training.evaluate.audit.verdicts import Verdict


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_store(tmp_path_factory.mktemp("audit") / "store", n_cases=8, n_labels=4)
    audit = open_audit(AuditRequest(folder, None, Threshold.CHECKPOINT, {}), judged_by="Ann")
    audit.judge(audit.select(Filter())[0], Verdict.WRONG_ORGAN, comment="chest wall")
    assert audit.log is not None
    audit.log.close()
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(create_app(), ["audit", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_the_summary_needs_no_window(store: Path) -> None:
    code, out, error = run(store)
    assert code == 0
    assert "1 of them judged" in out
    assert "Ann" in out
    assert "not for clinical use" in out.lower()
    assert "napari" in error


def test_the_summary_for_machines(store: Path) -> None:
    code, out, _ = run(store, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["counts"]["judged"] == 1
    assert found["store"]["sha256"] == open_store(store).sha256
    assert "not for clinical use" in found["intended_use"]
    assert {row["verdict"]: row["count"] for row in found["verdicts"]}["wrong organ"] == 1


def test_thresholds_change_what_is_wrong(store: Path) -> None:
    label = open_store(store).labels[0]
    counts = [json.loads(run(store, "--json", *more)[1])["counts"] for more in ((), ("--threshold", "median"))]
    assert counts[0]["wrong"] > counts[1]["wrong"] == 0
    by_hand = json.loads(run(store, "--json", "--set", f"{label}=0")[1])
    assert by_hand["thresholds"][label] == 0
    assert by_hand["counts"]["false_positive"] == 4
    assert run(store, "--set", f"{label}=many")[0] == 2
    assert run(store, "--set", f"{label}=7")[0] == 2
    for again in (label, label.upper()):
        code, _, error = run(store, "--set", f"{label}=0.5", "--set", f"{again}=0.1")
        assert code == 2
        assert "twice" in error or f"two thresholds by hand are given for {label}" in error


def test_a_report_replaces_an_earlier_one_and_nothing_else(store: Path, tmp_path: Path) -> None:
    label = open_store(store).labels[0]
    code, out, _ = run(store, "--export", tmp_path / "out", "--label", label, "--pictures", 0, "--json")
    assert code == 0
    assert {row["label"] for row in json.loads(out)["progress"]} == {label}
    assert {"verdicts.csv", "audit.json", "audit.html", "audit.pdf"} <= {f.name for f in (tmp_path / "out").iterdir()}
    assert run(store, "--export", tmp_path / "out", "--pictures", 0)[0] == 0
    (tmp_path / "out" / "thesis.txt").write_text("years")
    code, _, error = run(store, "--export", tmp_path / "out")
    assert code == 1
    assert "other things than an earlier result of `audit`" in error
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years"


def test_refusals(store: Path, tmp_path: Path) -> None:
    code, _, error = run(tmp_path)
    assert code == 1
    assert "hirescam batch" in error
    assert run(store, "--label", "no such label")[0] == 2


def test_damaged_verdicts_are_named_for_machines_too(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", n_cases=4, n_labels=2)
    audit = open_audit(AuditRequest(folder, None, Threshold.CHECKPOINT, {}), judged_by="Ann")
    audit.judge(audit.select(Filter())[0], Verdict.WRONG_ORGAN)
    assert audit.log is not None
    file = audit.log.file
    audit.log.close()
    for item in file.parent.iterdir():
        item.write_bytes(b"junk" * 2000)
    code, out, _ = run(folder, "--json")
    assert code == 1
    assert json.loads(out)["error"].startswith(f"{file.name}: is damaged")
