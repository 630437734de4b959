from __future__ import annotations

import csv
from pathlib import Path

import pytest

from training.cohort.importing import read_given, write_given
from training.issues import InputError
from training.labels import label_names
from training.partition.reports.table import EVIDENCE_HEADER, LabelSettings, label_rows, write_labels


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_labels_of_any_spelling_come_out_as_the_80_columns(tmp_path: Path) -> None:
    given = read_given(
        table(tmp_path / "in.csv", "case,Lung_Nodule,pleural effusion,Emphysema", "a,1,0,-1", "b,,1.0,no")
    )
    out = tmp_path / "out.csv"
    assert {path.name for path in write_given(given, out)} == {"out.csv", "out.evidence.csv"}
    first, second = read(out)
    assert tuple(first)[1:] == label_names()
    assert (first["lung nodule"], first["pleural effusion"], first["emphysema"], first["atelectasis"]) == (
        "1",
        "0",
        "1",
        "",
    )
    assert (second["lung nodule"], second["pleural effusion"], second["emphysema"]) == ("", "1", "0")


def test_uncertain_follows_the_policy_and_is_kept_as_evidence(tmp_path: Path) -> None:
    given = read_given(table(tmp_path / "in.csv", "case,emphysema", "a,-1"))
    write_given(given, tmp_path / "out.csv", uncertain="absent")
    assert read(tmp_path / "out.csv")[0]["emphysema"] == "0"
    (evidence,) = read(tmp_path / "out.evidence.csv")
    assert tuple(evidence) == EVIDENCE_HEADER
    assert (evidence["label"], evidence["status"], evidence["words"]) == ("emphysema", "uncertain", "emphysema")


def test_location_columns_give_labels_and_name_the_column_behind_each(tmp_path: Path) -> None:
    lines = ("NoteAcc_DEID,nodule*right_upper,mass*other_location,calcification*aorta", "x1,1,1,1", "x2,0,0,0")
    written = write_given(read_given(table(tmp_path / "in.csv", *lines)), tmp_path / "out.csv")
    assert len(written) == 3
    first, second = read(tmp_path / "out.csv")
    assert {name for name in label_names() if first[name] == "1"} == {"lung nodule", "great vessel calcification"}
    assert {second[name] for name in label_names()} == {"0"}
    evidence = read(tmp_path / "out.evidence.csv")
    assert [(row["label"], row["sides"], row["words"]) for row in evidence] == [
        ("lung nodule", "right", "nodule*right_upper"),
        ("great vessel calcification", "", "calcification*aorta"),
    ]
    assert read(tmp_path / "out.locations.csv")[0]["mass*other_location"] == "1"


def test_what_label_reports_writes_can_be_read_back(tmp_path: Path) -> None:
    rows = [("a", "Nodule in the right upper lobe. Cardiomegaly."), ("b", "Left pleural effusion.")]
    own = tmp_path / "own.csv"
    write_labels(label_rows(rows, LabelSettings()), own, LabelSettings())
    for name in ("own.csv", "own.locations.csv"):
        write_given(read_given(tmp_path / name), tmp_path / "again.csv")
        assert read(tmp_path / "again.csv") == read(own)


@pytest.mark.parametrize(
    ("lines", "code", "word"),
    [
        (("name,emphysema", "a,1"), "no-case-column", "case"),
        (("case,dragon", "a,1"), "unknown-labels", "dragon"),
        (("case", "a"), "unknown-labels", ""),
        (("case,dragon*lung", "a,1"), "unknown-labels", "dragon*lung"),
        (("case,emphysema", "a,2"), "bad-value", "line 2"),
        (("case,emphysema", "a,nan"), "bad-value", "'nan'"),
        (("case,emphysema", "a,1", "a,0"), "duplicate-case", "a"),
        (("case,lung nodule,Lung_Nodule", "a,1,0"), "duplicate-columns", "lung nodule"),
        (("case,mass*lung, mass*lung", "a,1,0"), "duplicate-columns", "mass*lung"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, lines: tuple[str, ...], code: str, word: str) -> None:
    with pytest.raises(InputError) as refused:
        read_given(table(tmp_path / "in.csv", *lines))
    issue = refused.value.issues[0]
    assert issue.code == code
    assert word in issue.message
    assert issue.file == "in.csv"
