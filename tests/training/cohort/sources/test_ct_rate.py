"""CT-RATE: corrected and older files are told apart and scaled exactly once; labels, splits, tables."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.cohort.sources import CtRate, checked
from training.cohort.sources.ct_rate_files import Metadata, generation_of, read_volume
from training.issues import InputError, Severity
from training.labels import label_names
from training.partition.reports.ct_rate import rules

META = Metadata(1.0, -8192.0, (1.5, 1.5, 3.0))


def _by_id(root: Path, **settings: object) -> dict:
    return {record.case_id: record for record in checked(CtRate(root, **settings)).records}  # type: ignore[arg-type]


def test_older_and_corrected_files_give_the_same_ct(ct_rate: Path, make_hu: Callable[..., np.ndarray]) -> None:
    source = CtRate(ct_rate)
    for seed, record in enumerate(sorted(checked(source).records, key=lambda r: r.case_id)):
        volume = source.read(record)
        np.testing.assert_array_equal(volume.hu, make_hu(seed))
        np.testing.assert_allclose(volume.geometry.spacing_mm, (3.0, 1.5, 1.5))
        assert volume.geometry.is_canonical
        applied = "metadata-applied" in {issue.code for issue in volume.issues}
        assert applied == (record.details["generation"] == "older") == ("fixed" not in str(record.path))


def test_the_80_labels_come_from_the_reports(ct_rate: Path) -> None:
    records = _by_id(ct_rate)
    present = {
        name: {label for label, value in zip(label_names(), record.targets, strict=True) if value == 1}
        for name, record in records.items()
    }
    assert present["train_1_a_1"] == present["train_1_a_2"] == {"lung nodule", "lung nodulegr1cm"}
    assert records["train_1_a_1"].sides["lung nodule"] == {"right"}
    assert present["train_2_a_1"] == {"cardiomegaly", "pleural effusion"}
    assert records["train_2_a_1"].sides["pleural effusion"] == {"right", "left"}
    assert present["train_3_b_1"] == set()


def test_the_published_18_labels(ct_rate: Path) -> None:
    listing = checked(CtRate(ct_rate, labels="published"))
    assert listing.labels == tuple(rules())
    nodule = listing.labels.index("Lung nodule")
    assert {r.case_id for r in listing.records if r.targets[nodule] == 1} == {"train_1_a_1", "train_1_a_2"}


def test_splits_keep_patients_together(ct_rate: Path) -> None:
    assert {r.split for r in _by_id(ct_rate).values()} == {"train", "valid"}
    source = CtRate(ct_rate, validation_share=0.3)
    assert source.split_of("valid_7_a_1.nii.gz") == "test"
    drawn = {n: {source.split_of(f"train_{n}_{scan}_{k}.nii.gz") for scan in "abc" for k in (1, 2)} for n in range(400)}
    assert all(len(splits) == 1 for splits in drawn.values())
    share = sum(splits == {"valid"} for splits in drawn.values()) / 400
    assert 0.22 < share < 0.38


def test_labels_of_reports_are_remembered(ct_rate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int, str]] = []
    source = CtRate(ct_rate, memo=tmp_path / "memo")
    first = source.listing(lambda *call: calls.append(call))
    assert calls[-1] == (4, 4, "labelling reports")  # of five reports, two are the same
    monkeypatch.setattr("training.cohort.sources.report_labels.codes_of", None)
    again = source.listing()
    np.testing.assert_array_equal([r.targets for r in first.records], [r.targets for r in again.records])
    assert [r.sides for r in first.records] == [r.sides for r in again.records]


@pytest.mark.parametrize(
    ("path", "generation"),
    [
        ("train_fixed/train_1/train_1_a/train_1_a_1.nii.gz", "fixed"),
        ("train/train_1/train_1_a/train_1_a_1.nii.gz", "older"),
        ("train/train_1/train_1_a/train_1_a_1_fixed.nii.gz", "fixed"),
        ("valid/valid_1/valid_1_a/valid_1_a_1.nii", "older"),
    ],
)
def test_what_the_place_says(path: str, generation: str) -> None:
    assert generation_of(Path(path)) == generation


def test_a_corrected_file_among_the_older_is_not_scaled_again(
    tmp_path: Path, files: dict, make_hu: Callable[..., np.ndarray]
) -> None:
    path = tmp_path / "train_1_a_1.nii.gz"
    files["fixed"](path, make_hu())
    with pytest.raises(InputError, match=r"train_1_a_1\.nii\.gz: .*values can be HU only without .* apply it twice"):
        read_volume(path, "older", META)


def test_values_that_may_be_hu_either_way_are_refused(tmp_path: Path, files: dict) -> None:
    rng = np.random.default_rng(0)
    hu = rng.choice([-900, 0], (12, 24, 24)).astype(np.int16)
    path = tmp_path / "train_1_a_1.nii.gz"
    files["older"](path, hu, intercept=0)
    with pytest.raises(InputError, match="either with or without"):
        read_volume(path, "older", Metadata(1.0, -20.0, (1.5, 1.5, 3.0)))


def test_an_older_file_among_the_corrected_is_refused(
    tmp_path: Path, files: dict, make_hu: Callable[..., np.ndarray]
) -> None:
    path = tmp_path / "train_1_a_1.nii.gz"
    files["older"](path, make_hu())
    with pytest.raises(InputError, match=r"spacing 1 x 1 x 1 mm is not the metadata table's 1\.5 x 1\.5 x 3 mm"):
        read_volume(path, "fixed", META)


def test_unscaled_values_at_the_right_spacing_are_refused(
    tmp_path: Path, files: dict, make_hu: Callable[..., np.ndarray]
) -> None:
    path = tmp_path / "train_1_a_1.nii.gz"
    files["fixed"](path, make_hu() + np.int16(1024))
    with pytest.raises(InputError, match="not Hounsfield units"):
        read_volume(path, "fixed", META)


def test_a_header_that_scales_is_applied_once_or_not_at_all(
    tmp_path: Path, files: dict, make_hu: Callable[..., np.ndarray]
) -> None:
    path = tmp_path / "train_1_a_1.nii.gz"
    files["older"](path, make_hu(), intercept=-1024)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:120] = struct.pack("<2f", 1.0, -1024.0)  # scl_slope and scl_inter in nifti1.h
    path.write_bytes(gzip.compress(content))
    agreeing = read_volume(path, "older", Metadata(1.0, -1024.0, (1.5, 1.5, 3.0)))
    np.testing.assert_array_equal(agreeing.hu, make_hu())
    with pytest.raises(
        InputError, match="scales by slope 1, intercept -1024, the metadata table by slope 1, intercept"
    ):
        read_volume(path, "older", Metadata(1.0, -1000.0, (1.5, 1.5, 3.0)))


def test_contradictory_directions_are_refused(tmp_path: Path, files: dict, make_hu: Callable[..., np.ndarray]) -> None:
    path = tmp_path / "train_1_a_1.nii.gz"
    files["older"](path, make_hu())
    assert read_volume(path, "older", Metadata(1.0, -8192.0, (1.5, 1.5, 3.0), (1, 0, 0, 0, 1, 0))).geometry.is_canonical
    with pytest.raises(InputError, match="disagree about left, right, front, back"):
        read_volume(path, "older", Metadata(1.0, -8192.0, (1.5, 1.5, 3.0), (-1, 0, 0, 0, 1, 0)))


def test_older_files_need_the_metadata(ct_rate: Path) -> None:
    (ct_rate / "dataset/metadata/train_metadata.csv").unlink()
    source = CtRate(ct_rate)
    issues = {(i.code, i.severity): i.message for i in source.listing().issues}
    assert "2 older volumes have no row of metadata" in issues["no-metadata", Severity.ERROR]
    assert "2 corrected volumes" in issues["no-metadata", Severity.WARNING]
    older = next(r for r in source.listing().records if r.case_id == "train_2_a_1")
    with pytest.raises(InputError, match=r"train_2_a_1\.nii\.gz: an older file"):
        source.read(older)
    fixed = next(r for r in source.listing().records if r.case_id == "train_1_a_1")
    assert "no-metadata" in {i.code for i in source.read(fixed).issues}


def test_metadata_that_cannot_be_read_is_listed(ct_rate: Path, files: dict) -> None:
    rows = [files["metadata"](name) for name in ("train_1_a_1", "train_1_a_2", "train_2_a_1", "train_3_b_1")]
    rows[0][3], rows[1][4], rows[2][1] = "0.7", "thin", ""
    files["rows"](ct_rate / "dataset/metadata/train_metadata.csv", files["metadata_header"](), rows)
    (issue,) = [i for i in CtRate(ct_rate).listing().issues if i.code == "bad-metadata"]
    assert "(3)" in issue.message
    assert "train_1_a_1: '0.7' is not 2 numbers" in issue.message


def test_rows_and_volumes_are_matched(ct_rate: Path, files: dict, make_hu: Callable[..., np.ndarray]) -> None:
    base = ct_rate / "dataset"
    files["nested"](base / "train", "train_2_a_1").unlink()
    files["fixed"](files["nested"](base / "train_fixed", "train_9_a_1"), make_hu())
    files["fixed"](files["nested"](base / "train_fixed", "train_3_b_1"), make_hu())
    (base / "metadata/no_chest_train.txt").write_text("train_1_a_2.nii.gz\n", encoding="utf-8")
    reports = base / "radiology_text_reports/train_reports.csv"
    with reports.open("a", encoding="utf-8") as stream:
        stream.write("train_1_a_1.nii.gz,,,again,\nscan 5,,,text,\n")
    listing = CtRate(ct_rate).listing()
    issues = {i.code: i.message for i in listing.issues}
    assert "2 of 6 rows without volume" in issues["no-volume"]
    assert "train_9_a_1" in issues["no-labels"]
    assert "train_3_b_1" in issues["both-generations"]
    assert "1 volume listed as not of the chest" in issues["not-chest"]
    assert "row 6 repeats row 2 (train_1_a_1)" in issues["duplicate-id"]
    assert "row 7: 'scan 5'" in issues["bad-name"]
    assert {r.case_id for r in listing.records} == {"train_1_a_1", "train_3_b_1", "valid_1_a_1"}


def test_a_folder_without_volumes_or_tables(ct_rate: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no table of reports"):
        CtRate(tmp_path / "empty").listing()
    for path in (ct_rate / "dataset").glob("*/*/*/*.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match="holds no volume like train_fixed"):
        CtRate(ct_rate).listing()
