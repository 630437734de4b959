"""RAD-ChestCT: the 80 labels from location columns, sides, subsets, and what is wrong with its tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.cohort.sources import RadChestCT, checked
from training.cohort.sources.rad_chestct import rules
from training.issues import InputError, Severity
from training.labels import label_names
from training.partition.reports.columns import column_names, labels_from_columns
from training.partition.reports.vocabulary import load_vocabulary


def _present(targets: np.ndarray) -> set[str]:
    return {name for name, value in zip(label_names(), targets, strict=True) if value == 1}


def test_labels_and_sides_follow_from_the_location_columns(rad_chestct: Path) -> None:
    listing = checked(RadChestCT(rad_chestct))
    records = {record.case_id: record for record in listing.records}
    assert {name: r.split for name, r in records.items()} == {
        "trn00001": "train",
        "trn00002": "train",
        "val00001": "valid",
        "tst00001": "test",
    }
    assert _present(records["trn00001"].targets) == {"lung nodule", "pleural effusion"}
    assert records["trn00001"].sides == {"lung nodule": {"right"}}
    assert _present(records["trn00002"].targets) == {"cardiomegaly"}  # a nodule "in the lung" has no side and no label
    assert _present(records["val00001"].targets) == {"great vessel calcification", "lung opacity"}
    assert records["val00001"].sides == {"lung opacity": {"right", "left"}}
    assert listing.issues == ()


def test_the_rule_as_arrays_is_the_rule() -> None:
    columns = column_names(load_vocabulary())
    rng = np.random.default_rng(0)
    for row in rng.random((20, len(columns))) < 0.002:
        values = dict(zip(columns, row.astype(int).tolist(), strict=True))
        by_arrays = (row.astype(np.float32) @ rules(columns)[0] > 0).astype(int)
        assert dict(zip(label_names(), by_arrays.tolist(), strict=True)) == labels_from_columns(values)


def test_a_case_is_read_in_hu(rad_chestct: Path) -> None:
    source = RadChestCT(rad_chestct)
    volume = source.read(source.listing().records[0])
    np.testing.assert_array_equal(volume.hu, np.load(rad_chestct / "trn00001.npz", allow_pickle=False)["ct"])
    assert volume.geometry.spacing_mm == (0.8, 0.8, 0.8)


@pytest.mark.parametrize("content", ["trn00002\nval00001\n", "n,NoteAcc_DEID\n1,trn00002.npz\n2,val00001\n"])
def test_a_list_chooses_a_subset(rad_chestct: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "subset.csv").write_text(content, encoding="utf-8")
    listing = checked(RadChestCT(rad_chestct, subset=tmp_path / "subset.csv"))
    assert [r.case_id for r in listing.records] == ["trn00002", "val00001"]


def test_names_of_a_subset_that_no_table_has_are_an_error(rad_chestct: Path, tmp_path: Path) -> None:
    (tmp_path / "subset.txt").write_text("trn00002\ntrn77777\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 name is in none of the tables: trn77777"):
        checked(RadChestCT(rad_chestct, subset=tmp_path / "subset.txt"))


def test_faults_of_the_tables_are_listed_together(rad_chestct: Path) -> None:
    path = rad_chestct / "imgtrain_Abnormality_and_Location_Labels.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    spoilt = lines[2].replace(",1,", ",2,", 1)
    path.write_text("\n".join([*lines, spoilt, "trn00009,0,1"]), encoding="utf-8")
    (rad_chestct / "stray.npz").touch()
    found = {issue.code: issue for issue in RadChestCT(rad_chestct).listing().issues}
    assert set(found) == {"bad-value", "bad-row", "duplicate-id", "no-labels", "no-volume"}
    assert "row 4 (trn00002): '2'" in found["bad-value"].message
    assert "row 5" in found["bad-row"].message
    assert "row 4 repeats row 3 (trn00002)" in found["duplicate-id"].message
    assert found["no-labels"].severity is Severity.WARNING
    assert "stray.npz" in found["no-labels"].message
    assert "1 of 6 cases without CT" in found["no-volume"].message


def test_missing_and_unknown_columns(rad_chestct: Path, files: dict) -> None:
    header = ("NoteAcc_DEID", "nodule*right_lung", "noodle*right_lung", "cardiomegaly*heart")
    path = rad_chestct / "imgtrain_Abnormality_and_Location_Labels.csv"
    files["rows"](path, header, [["trn00001", 1, 0, "1.0"], ["trn00002", 0, 1, "0.0"]])
    listing = RadChestCT(rad_chestct).listing()
    found = {issue.code: issue for issue in listing.issues}
    assert "1 of 3 columns is unknown: noodle*right_lung" in found["unknown-columns"].message
    assert "78 labels without column, and so unknown" in found["missing-columns"].message
    targets = dict(zip(listing.labels, listing.records[0].targets.tolist(), strict=True))
    assert (targets["lung nodule"], targets["cardiomegaly"]) == (1, 1)
    assert np.isnan(targets["emphysema"])


def test_a_case_in_two_splits_is_an_error(rad_chestct: Path) -> None:
    source = rad_chestct / "imgtrain_Abnormality_and_Location_Labels.csv"
    (rad_chestct / "imgtest_Abnormality_and_Location_Labels.csv").write_bytes(source.read_bytes())
    with pytest.raises(InputError, match=r"2 cases are in several splits: trn00001 \(test, train\)"):
        checked(RadChestCT(rad_chestct))


def test_no_tables_and_no_volumes_are_errors(rad_chestct: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of imgtrain"):
        RadChestCT(tmp_path).listing()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no CT of 4 cases"):
        checked(RadChestCT(rad_chestct, volumes=tmp_path / "empty"))
