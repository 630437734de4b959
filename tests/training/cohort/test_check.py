"""Checking a cohort: everything wrong is listed at once, files are looked at quickly, or wholly if asked."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from training.cli import create_app
from training.cohort.check import run
from training.geometry import Geometry
from training.io.write import write_nifti
from training.issues import Cancelled, InputError, Severity


def _ct(seed: int) -> np.ndarray:
    hu = np.full((6, 12, 12), -900, np.int16)
    hu[:, 2:10, 2:10] = 30
    return hu + np.random.default_rng(seed).integers(-9, 9, hu.shape, dtype=np.int16)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    rows = [("case", "path", "split", "lung nodule", "emphysema")]
    for seed, split in enumerate(("train", "train", "train", "valid")):
        np.savez_compressed(tmp_path / f"{seed}.npz", ct=_ct(seed))
        rows.append((f"case {seed}", f"{seed}.npz", split, str(seed % 2), "0"))
    _write(tmp_path, rows)
    return tmp_path


def _write(folder: Path, rows: list) -> None:
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def test_a_good_cohort_is_counted(cohort: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    report = run(cohort, progress=lambda *call: calls.append(call))
    assert report.usable
    assert report.cases == {"train": 3, "valid": 1}
    assert report.labels == {"lung nodule": (2, 2, 0), "emphysema": (0, 4, 0)}
    codes = [(i.code, i.severity) for i in report.issues]
    assert codes == [("no-positives", Severity.WARNING), ("small-split", Severity.WARNING)]
    small = report.issues[1]
    assert small.message == "split 'valid' has 1 case: 0 of 2 labels can be judged on it (cases with and without it)"
    assert "--on all" in small.way_out
    assert calls[-1] == (4, 4, "looking at files")
    document = json.loads(json.dumps(report.to_dict()))
    assert document["labels"]["lung nodule"] == {
        "display_name": "lung nodule",
        "present": 2,
        "absent": 2,
        "unknown": 0,
    }
    assert (document["layout"], document["usable"]) == ("table", True)


@pytest.mark.parametrize("text", ["nan", "NaN", "2", "yes"])
def test_a_value_that_is_none_is_an_error_with_its_row(cohort: Path, text: str) -> None:
    _write(
        cohort, [("case", "path", "split", "emphysema"), ("a", "0.npz", "train", "1"), ("b", "1.npz", "train", text)]
    )
    found = {issue.code: str(issue) for issue in run(cohort).issues if issue.severity is Severity.ERROR}
    assert found.keys() == {"bad-value"}
    assert f"row 3, emphysema: {text.lower()!r}" in found["bad-value"]


def test_a_blank_split_is_told_as_such(cohort: Path) -> None:
    rows = [("case", "path", "split", "emphysema"), ("a", "0.npz", "train", "1"), ("b", "1.npz", "", "0")]
    _write(cohort, [*rows, ("c", "2.npz", "tran", "0")])
    result = CliRunner().invoke(create_app(), ["check", str(cohort)])
    assert result.exit_code == 1
    assert "none of train, valid, test (2): row 3: empty, row 4: 'tran'" in result.stderr
    assert "cases: train 1, without a split 1, tran 1" in result.stdout


@pytest.mark.parametrize("kind", [(), ("--kind", "phantoms"), ("--kind", "ct-rate")])
def test_a_cohort_that_is_not_there_is_told_as_such(tmp_path: Path, kind: tuple[str, ...]) -> None:
    result = CliRunner().invoke(create_app(), ["check", str(tmp_path / "nothere"), *kind])
    assert result.exit_code == 1
    assert "nothere: there is no such folder or table. Check the path" in result.stderr


def test_bad_npz_are_found_without_unpacking_them(cohort: Path) -> None:
    np.savez_compressed(cohort / "0.npz", volume=_ct(0))
    np.savez_compressed(cohort / "1.npz", ct=np.array([{"a": 1}], dtype=object))
    np.savez_compressed(cohort / "2.npz", ct=_ct(2)[0])
    (cohort / "3.npz").write_bytes((cohort / "3.npz").read_bytes()[:200])
    report = run(cohort)
    assert not report.usable
    errors = {i.code: i.file for i in report.issues if i.severity is Severity.ERROR}
    assert errors == {
        "missing-key": "0.npz",
        "pickled": "1.npz",
        "wrong-rank": "2.npz",
        "damaged-file": "3.npz",
    }
    np.savez_compressed(cohort / "0.npz", ct=_ct(0).astype(np.float64))
    assert "wrong-type" in {i.code for i in run(cohort).issues}


def test_headers_of_nifti_are_looked_at(tmp_path: Path) -> None:
    sound = Geometry.canonical((6, 12, 12), (3.0, 1.5, 1.5))
    for name in ("a", "b", "c"):
        write_nifti(tmp_path / f"{name}.nii.gz", _ct(0), sound)
    content = bytearray(gzip.decompress((tmp_path / "b.nii.gz").read_bytes()))
    content[252:256] = bytes(4)  # qform_code and sform_code of nifti1.h
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(bytes(content)))
    (tmp_path / "c.nii.gz").write_bytes((tmp_path / "c.nii.gz").read_bytes()[:40])
    rows = [(name, f"{name}.nii.gz", "train", 0) for name in ("a", "b", "c")]
    _write(tmp_path, [("case", "path", "split", "emphysema"), *rows])
    errors = {i.code: i.file for i in run(tmp_path).issues if i.severity is Severity.ERROR}
    assert errors == {"no-geometry": "b.nii.gz", "damaged-file": "c.nii.gz"}


def test_one_issue_stands_for_many_files(cohort: Path) -> None:
    for seed in range(4):
        np.savez_compressed(cohort / f"{seed}.npz", volume=_ct(seed))
    (issue,) = [i for i in run(cohort).issues if i.code == "missing-key"]
    assert issue.message.startswith("4 files, of which the first: it has no array 'ct'")
    assert issue.message.endswith("(0.npz, 1.npz, 2.npz, 3.npz)")


def test_values_are_looked_at_only_in_a_deep_check(cohort: Path) -> None:
    np.savez_compressed(cohort / "1.npz", ct=_ct(1) + np.int16(1024))
    assert run(cohort).usable
    deep = run(cohort, deep=True)
    assert [(i.code, i.file) for i in deep.issues if i.severity is Severity.ERROR] == [("not-hu", "1.npz")]


def test_cts_shared_between_cases(cohort: Path) -> None:
    header = ("case", "path", "split", "lung nodule")
    _write(
        cohort,
        [
            header,
            ("a", "0.npz", "train", 1),
            ("b", "0.npz", "valid", 0),
            ("c", "1.npz", "train", ""),
            ("d", "1.npz", "train", 0),
        ],
    )
    issues = {i.code: i for i in run(cohort).issues}
    assert issues["split-overlap"].severity is Severity.ERROR
    assert issues["split-overlap"].message.endswith(": 0.npz")
    assert issues["shared-volume"].message.endswith(": 1.npz")
    assert issues["unknown-values"].message.endswith(": lung nodule (1)")


def test_errors_come_first_and_a_missing_split_is_told(cohort: Path) -> None:
    _write(cohort, [("case", "path", "split", "emphysema"), ("a", "0.npz", "train", 1), ("b", "x.npz", "train", 1)])
    issues = run(cohort).issues
    assert [i.severity for i in issues] == sorted((i.severity for i in issues), key=list(Severity).index)
    assert issues[0].code == "no-volume"
    assert "no-split" in {i.code for i in issues}


def test_what_is_no_cohort_and_stopping(cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="is no cohort"):
        run(tmp_path / "nothing")
    with pytest.raises(Cancelled):
        run(cohort, cancelled=lambda: True)


@pytest.mark.parametrize(("n", "positive", "told"), [(10, 1, False), (9, 4, True), (12, 0, True), (12, 12, True)])
def test_a_split_that_can_judge_next_to_nothing_is_told(cohort: Path, n: int, positive: int, told: bool) -> None:
    for index in range(n):
        np.savez_compressed(cohort / f"test {index}.npz", ct=_ct(index + 9))
    rows = [("case", "path", "split", "emphysema"), ("a", "0.npz", "train", 1), ("b", "1.npz", "train", 0)]
    rows += [(f"t{i}", f"test {i}.npz", "test", int(i < positive)) for i in range(n)]
    _write(cohort, rows)
    small = [issue.message for issue in run(cohort).issues if issue.code == "small-split"]
    assert [f"split 'test' has {n} cases" in words for words in small] == [True] * told
