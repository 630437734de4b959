from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.audit.log import VerdictLog
from training.evaluate.audit.report import build_report, headline, write_report
from training.evaluate.audit.select import Filter
from training.evaluate.audit.session import Audit, audit_folder
from training.evaluate.audit.summary import ANYBODY, SHOWN
from training.evaluate.audit.verdict_rows import VERDICT_COLUMNS
from training.evaluate.audit.verdicts import VERDICTS, Verdict
from training.issues import InputError

NASTY = '=1+1 <script>alert("x")</script> $x^2$'


@pytest.fixture
def audited(tmp_path: Path) -> CohortStore:
    """A store with 3 x 6 verdicts of Ann, and Bob on the first four, agreeing on three."""
    store = open_store(make_store(tmp_path / "store", n_cases=12, n_labels=6))
    with VerdictLog(audit_folder(store), "Ann") as log:
        audit = Audit(store, log)
        wrong = audit.select(Filter())[:18]
        for n, subject in enumerate(wrong):
            audit.judge(subject, VERDICTS[n % 6], ("fat",) if n == 0 else (), NASTY if n == 0 else "")
    with VerdictLog(audit_folder(store), "Bob") as log:
        audit = Audit(store, log)
        for n, subject in enumerate(wrong[:4]):
            audit.judge(subject, VERDICTS[n if n else 5])
    return store


def test_verdicts_are_counted_with_intervals(audited: CohortStore) -> None:
    summary = Audit(audited).summary()
    rows = {(row["reviewer"], row["verdict"]): row for row in summary.verdicts}
    ann = rows["Ann", "wrong organ"]
    assert (ann["count"], ann["of"]) == (3, 18)
    assert ann["share_low"] < 3 / 18 < ann["share_high"]
    assert rows["Ann", SHOWN]["count"] == 6
    assert rows["Bob", SHOWN]["count"] == 1
    assert rows[ANYBODY, "reviewers differ"]["count"] == 1
    assert rows[ANYBODY, SHOWN]["count"] == 5
    assert summary.counts["shows_error"]["share"] == 5 / 18
    assert headline(summary).startswith("5 of 18 judged wrong predictions (28 %, 95 % interval ")
    (pair,) = summary.agreement
    assert (pair["first"], pair["second"], pair["n"], pair["observed"]) == ("Ann", "Bob", 4, 0.75)


def test_progress_is_by_label_and_reviewer(audited: CohortStore) -> None:
    audit = Audit(audited)
    progress = audit.summary().progress
    ann = [row for row in progress if row["reviewer"] == "Ann"]
    assert sum(row["judged"] for row in ann) == 18
    assert sum(row["wrong"] for row in ann) == len(audit.select(Filter()))
    assert {row["reviewer"] for row in progress} == {"Ann", "Bob", ANYBODY}


def test_the_report_is_written_whole(audited: CohortStore, tmp_path: Path) -> None:
    seen: list[str] = []
    out = tmp_path / "report"
    write_report(out, Audit(audited), pictures=3, progress=lambda done, total, stage: seen.append(stage))
    assert {"evidence", "pictures"} == set(seen)
    rows = list(csv.DictReader((out / "verdicts.csv").read_text().splitlines()))
    assert len(rows) == 22
    first = next(row for row in rows if row["comment"])
    assert first["comment"].startswith("'=1+1")
    assert first["tags"] == "fat"
    assert first["verdict"] == "outside body"
    assert {row["model_sha256"] for row in rows} == {audited.model.sha256}
    assert {row["store_sha256"] for row in rows} == {audited.sha256}
    document = json.loads((out / "audit.json").read_text())
    assert document["counts"]["judged"] == 18
    assert document["reviewers"] == ["Ann", "Bob"]
    assert "not for clinical use" in document["intended_use"]
    html = (out / "audit.html").read_text()
    assert "<script>" not in html
    assert html.count("data:image/png;base64,") == 3
    assert "not for clinical use" in html.lower()
    assert "have a map that shows the error" in html
    pdf = (out / "audit.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 3 + 2
    write_report(out, Audit(audited), pictures=0)
    assert "data:image/png" not in (out / "audit.html").read_text()
    (out / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="holds other things"):
        write_report(out, Audit(audited), pictures=0)
    assert (out / "thesis.txt").read_text() == "years"


def test_the_report_names_its_files_by_hash(audited: CohortStore, tmp_path: Path) -> None:
    out = tmp_path / "report"
    report = write_report(out, Audit(audited), Filter(group="lung"), pictures=1)
    document = json.loads((out / "audit.json").read_text())
    files = {one["path"]: one for one in document["files"]}
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert set(files) == written - {"audit.json"}
    assert {"verdicts.csv", "audit.html", "audit.pdf"} < set(files)
    for path, one in files.items():
        data = (out / path).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert document["request"] == {"labels": [], "group": "lung", "pictures": 1}
    assert report.to_dict()["files"] == document["files"]


def test_the_report_needs_no_ct_and_no_verdict(store: CohortStore, tmp_path: Path) -> None:
    report = write_report(tmp_path / "report", Audit(store), Filter(group="lung"), pictures=1)
    assert headline(report.summary) == "No wrong prediction has been judged yet."
    assert not report.shown[0].picture.has_ct
    assert "The CT was not at hand when this was made." in report.shown[0].lines


def test_verdicts_on_another_model_do_not_count(audited: CohortStore, tmp_path: Path) -> None:
    other = open_store(make_store(tmp_path / "other", n_cases=12, n_labels=6))
    object.__setattr__(other.model, "sha256", "f" * 64)
    with VerdictLog(audit_folder(other), "Ann") as log:
        Audit(other, log).judge(Audit(other).select(Filter())[0], Verdict.UNCLEAR)
    again = Audit(open_store(other.path))
    assert again.of_other_models == 1
    assert not again.standing


def test_a_missing_ct_is_told_with_its_place(tmp_path: Path) -> None:
    from training.cohort.results.sources import Origin
    from training.evaluate.audit.source import source_ct

    store = open_store(make_store(tmp_path / "store", n_cases=2, origin=Origin(tmp_path / "cohort-of-may")))
    found = source_ct(store, store.cases[0])
    assert found.volume is None
    assert found.issue is not None
    assert "cohort-of-may" in found.issue.message
    unknown = source_ct(open_store(make_store(tmp_path / "other", n_cases=2)), "case-0000")
    assert unknown.issue is not None
    assert "does not say where it was" in unknown.issue.message


def test_without_a_verdict_the_table_still_has_its_header(store: CohortStore, tmp_path: Path) -> None:
    write_report(tmp_path / "report", Audit(store), pictures=0)
    (line,) = (tmp_path / "report" / "verdicts.csv").read_text().splitlines()
    assert line.startswith("case,label,display_name,reviewer,verdict,tags,comment,probability,threshold,")


def test_the_header_names_every_column_in_its_order(audited: CohortStore, tmp_path: Path) -> None:
    write_report(tmp_path / "report", Audit(audited), pictures=0)
    header = (tmp_path / "report" / "verdicts.csv").read_text().splitlines()[0]
    assert header.split(",") == list(VERDICT_COLUMNS)


def test_the_report_says_how_it_was_made(audited: CohortStore) -> None:
    document = build_report(Audit(audited), pictures=2).to_dict()
    assert document["versions"]["hirescam-napari"]
    assert document["seconds"]["report"] > 0
    assert document["devices"]
    assert isinstance(document["issues"], list)
