"""Reports of a cohort by the name of the case, in every layout that has some."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.cohort.sources import CtRate, GenericTable, PhantomCohort, RadChestCT
from training.cohort.sources.texts import reports_of


def test_ct_rate_has_findings_and_impression(ct_rate: Path) -> None:
    found = reports_of(CtRate(ct_rate))
    assert len(found) == 5
    assert found["train_3_b_1"] == "Both lungs are clear. No pleural effusion.\nNormal chest CT."
    assert set(found) == {record.case_id for record in CtRate(ct_rate).listing().records}


def test_phantoms_have_the_report_that_lies_beside_them(phantoms: Path) -> None:
    for record in PhantomCohort(phantoms).listing().records:
        beside = (record.path.parent / "report.txt").read_text()
        assert reports_of(PhantomCohort(phantoms))[record.case_id].strip() == beside.strip()


def test_a_table_has_them_in_a_column(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")
    assert reports_of(GenericTable(table)) == {}
    lines = table.read_text().splitlines()
    texts = ["report", "Nodule in Mr Miller.", "", "Clear."]
    table.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, texts, strict=True)) + "\n")
    source = GenericTable(table)
    assert not [issue for issue in source.listing().issues if issue.severity == "error"]
    ids = [record.case_id for record in source.listing().records]
    assert reports_of(source) == {ids[0]: "Nodule in Mr Miller.", ids[2]: "Clear."}
    assert reports_of(GenericTable(table, keep_names=True)) == {"Miller": "Nodule in Mr Miller.", "Jones": "Clear."}


def test_others_have_none(rad_chestct: Path) -> None:
    assert reports_of(RadChestCT(rad_chestct)) == {}
