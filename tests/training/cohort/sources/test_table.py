"""Tables of one's own and phantom cohorts: what is read, what is refused, and whose names are shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.cohort.phantom import make_phantom
from training.cohort.phantom.grid import PhantomGrid
from training.cohort.sources import CtRate, GenericTable, PhantomCohort, RadChestCT, checked, find_source
from training.io.privacy import hashed
from training.issues import InputError, Severity
from training.labels import label_names


def test_a_table_is_read_with_unknowns_and_sides(table: Path) -> None:
    listing = checked(GenericTable(table, keep_names=True))
    assert listing.labels == ("lung nodule", "emphysema")
    assert [(r.case_id, r.split, r.path.name) for r in listing.records] == [
        ("Miller", "train", "a.nii.gz"),
        ("Smith", "train", "b.nii.gz"),
        ("Jones", "valid", "c.nii.gz"),
    ]
    np.testing.assert_array_equal([r.targets for r in listing.records], [[1, 0], [0, np.nan], [0, 1]])
    assert [dict(r.sides) for r in listing.records] == [{"lung nodule": {"right"}}, {}, {}]
    assert listing.issues == ()


def test_what_the_program_lays_beside_a_phantom_is_no_stray_volume(phantoms: Path) -> None:
    for source in (GenericTable(phantoms / "labels.csv"), PhantomCohort(phantoms)):
        assert [issue for issue in source.listing().issues if issue.code == "no-labels"] == []
    stray = next(phantoms.glob("phantom-*")) / "other.nii.gz"
    stray.write_bytes(b"")
    (issue,) = (i for i in GenericTable(phantoms / "labels.csv").listing().issues if i.code == "no-labels")
    assert "1 volume beside the listed ones has no row" in issue.message
    stray.unlink()


def test_names_are_hashed_unless_asked_for(table: Path) -> None:
    with table.open("a", encoding="utf-8") as stream:
        stream.write("Miller,d.nii.gz,train,7,0,\n")
    listing = GenericTable(table).listing()
    assert [r.case_id for r in listing.records] == [hashed(n) for n in ("Miller", "Smith", "Jones")]
    assert len(listing.issues) == 3
    assert not any(name in str(issue) for issue in listing.issues for name in ("Miller", "Smith", "Jones"))
    named = GenericTable(table, keep_names=True).listing().issues
    assert any("Miller" in str(issue) for issue in named)


def test_every_fault_is_one_issue_with_its_first_ten_rows(table: Path, files: dict) -> None:
    rows = [["m", "a.nii.gz", "train", 2, 0] for _ in range(13)] + [
        ["n", "z.nii.gz", "dev", 1, "maybe"],
        ["", "", "", 0, 0],
    ]
    files["rows"](table, ("case", "path", "split", "lung nodule", "emphysema"), rows)
    issues = {issue.code: issue for issue in GenericTable(table).listing().issues}
    assert set(issues) == {"bad-value", "duplicate-id", "bad-split", "no-volume", "no-name", "no-labels"}
    assert "(14): row 2, lung nodule: '2', row 3" in issues["bad-value"].message
    assert issues["bad-value"].message.endswith("row 11, lung nodule: '2' and 4 more")
    assert "(12): row 3 repeats row 2" in issues["duplicate-id"].message
    assert issues["bad-split"].message.endswith("(2): row 15: 'dev', row 16: empty")
    assert issues["no-volume"].message.endswith("(2): row 15, row 16")
    assert "2 volumes beside the listed ones have no row" in issues["no-labels"].message
    assert {i.severity for c, i in issues.items() if c != "no-labels"} == {Severity.ERROR}
    assert {i.file for i in issues.values()} == {"labels.csv"}


def test_unknown_columns_are_errors_unless_declared(table: Path, files: dict) -> None:
    files["rows"](table, ("case", "path", "split", "emphysema", "flu", "age"), [["a", "a.nii.gz", "train", 1, 1, 50]])
    with pytest.raises(InputError, match=r"columns are neither needed nor a label \(2\): flu, age") as refused:
        checked(GenericTable(table))
    (way_out,) = [issue.way_out for issue in refused.value.issues if issue.code == "unknown-columns"]
    assert "case, path, split, if wanted sides, organs, series, report, and names of labels" in way_out
    assert "`--source extra_labels=flu,age`" in way_out
    files["rows"](table, ("case", "path", "split", "emphysema", "flu"), [["a", "a.nii.gz", "train", 1, 0]])
    assert checked(GenericTable(table, extra_labels=("flu",))).labels == ("emphysema", "flu")


def test_two_columns_for_one_label_are_refused(table: Path, files: dict) -> None:
    files["rows"](table, ("case", "path", "split", "lung nodule", "Lung_Nodule"), [["m", "a.nii.gz", "train", 1, 0]])
    with pytest.raises(InputError, match="several columns for one label: lung nodule"):
        GenericTable(table).listing()


def test_optional_cells_are_checked(table: Path, files: dict) -> None:
    header = ("case", "path", "split", "lung nodule", "sides", "organs", "series")
    rows = [
        ["a", "a.nii.gz", "train", 1, "lung nodule: up", "", ""],
        ["b", "b.nii.gz", "train", 1, "emphysema: left", "o.nii.gz", "first"],
        ["c", "c.nii.gz", "train", 1, "lung_nodule: left right", "a.nii.gz", "2"],
    ]
    files["rows"](table, header, rows)
    listing = GenericTable(table).listing()
    assert {issue.code: issue.message.rpartition(": ")[2] for issue in listing.issues} == {
        "bad-sides": "row 2, row 3",
        "no-organs": "row 3",
        "bad-series": "row 3",
    }
    last = listing.records[2]
    assert (last.sides, last.organs, last.details) == (
        {"lung nodule": {"left", "right"}},
        table.parent / "a.nii.gz",
        {"series": "2"},
    )


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "is empty"),
        (b"case,path,emphysema\n", "has no column split"),
        (b"case,path,split\n", "has no column that is a label"),
        (b"case,case,path,split,emphysema\n", "names columns twice: case"),
        (b"case,path,split,emphysema\n", "the table is empty"),
        (b"case,path,split,emphys\xe4ma\n", "is not text in UTF-8"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, content: bytes, fact: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError, match=fact):
        checked(GenericTable(tmp_path))


def test_phantoms_bring_sides_and_organs(phantoms: Path) -> None:
    listing = checked(PhantomCohort(phantoms))
    assert {r.case_id: r.split for r in listing.records} == {
        "phantom-000004": "train",
        "phantom-000005": "valid",
        "phantom-000006": "test",
    }
    for record in listing.records:
        truth = json.loads((record.path.parent / "truth.json").read_text(encoding="utf-8"))
        present = {name for name, value in zip(listing.labels, record.targets, strict=True) if value == 1}
        assert present == set(truth["labels"])
        for name, sides in record.sides.items():
            assert sides == {f["side"] for f in truth["findings"] if f["label"] == name}
        assert record.organs == record.path.parent / "organs.nii.gz"
    assert any(record.sides for record in listing.records)
    phantom = make_phantom(5, PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0)))
    record = listing.records[1]
    np.testing.assert_array_equal(PhantomCohort(phantoms).read(record).hu, phantom.volume.hu)
    assert listing.labels == label_names()
    assert listing.issues == ()


def test_a_label_with_a_finding_on_no_side_has_no_side(phantoms: Path, tmp_path: Path, files: dict) -> None:
    folder = tmp_path / "copy"
    header = ("case", "path", "split", *label_names())
    ct = phantoms / "phantom-000004" / "ct.nii.gz"
    files["rows"](folder / "labels.csv", header, [["p", ct, "train", *([1] * 80)]])
    findings = [["p", "lung nodule", "right"], ["p", "lung nodule", ""], ["p", "lung mass", "left"]]
    files["rows"](folder / "findings.csv", ("case", "label", "side"), findings)
    (record,) = PhantomCohort(folder).listing().records
    assert record.sides == {"lung mass": {"left"}}


def test_the_layout_is_recognised(
    table: Path, phantoms: Path, ct_rate: Path, rad_chestct: Path, tmp_path: Path
) -> None:
    assert find_source(table) == GenericTable(table)
    assert find_source(table.parent) == GenericTable(table.parent)
    assert find_source(phantoms) == PhantomCohort(phantoms)
    assert find_source(ct_rate) == CtRate(ct_rate)
    assert find_source(ct_rate / "dataset") == CtRate(ct_rate / "dataset")
    assert find_source(rad_chestct) == RadChestCT(rad_chestct)
    assert find_source(phantoms, "table") == GenericTable(phantoms)
    (tmp_path / "else").mkdir()
    with pytest.raises(InputError, match="else: is no cohort"):
        find_source(tmp_path / "else")
    with pytest.raises(InputError, match="there is no layout 'nifti'"):
        find_source(table, "nifti")
