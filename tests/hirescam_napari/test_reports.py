from __future__ import annotations

from pathlib import Path

import pytest

from hirescam_napari._reports import Report, labelled, names_of, report_of, reports_in
from training.issues import InputError


def test_a_text_file_is_one_report(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("No pneumothorax.", encoding="utf-8")
    assert reports_in(path) == (Report("", "No pneumothorax."),)
    assert report_of(reports_in(path), ("anything",)) == Report("", "No pneumothorax.")


def test_the_row_of_a_table_is_found_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text("case,report\nscan_1,No nodule.\nscan_2.nii.gz,Left effusion.\n", encoding="utf-8")
    reports = reports_in(path)
    names = names_of((Path("/data/Scan_2.nii.gz"),), "a1b2")
    assert report_of(reports, names) == reports[1]
    assert report_of(reports, names_of((), "other")) is None


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.txt", b"  \n", "report-empty"),
        ("latin.txt", b"\xe9\xff", "report-unreadable"),
        ("large.txt", b"x" * 1_000_001, "not-a-report"),
        ("columns.csv", b"a,b\n1,2\n", "reports-columns"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        reports_in(path)
    assert refused.value.issues[0].code == code


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        reports_in(tmp_path / "none.txt")


def test_evidence_is_found_where_the_window_counts_it() -> None:
    report = labelled(Report("", "No emphysema.\r\nModerate left pleural effusion.\r\n"))
    spans = {finding.span for finding in report.evidence["pleural effusion"].findings}
    assert "pleural effusion" in {report.text[slice(*span)] for span in spans}
    assert "\r" not in report.text
