"""Cohorts on disk: complete, consistent, resumable."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from training.cohort.phantom import PhantomGrid, make_phantom, write_cohort
from training.io.read import read_ct
from training.issues import InputError
from training.labels import label_names

TINY = PhantomGrid((24, 32, 32), (13.4, 10.4, 10.4))
NAMES = ("lung mass", "pleural effusion")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    steps: list[tuple[int, int, str]] = []
    out = write_cohort(tmp_path_factory.mktemp("c") / "out", 3, 20, TINY, lambda *s: steps.append(s), NAMES, npz=True)
    assert steps == [(1, 3, "phantoms"), (2, 3, "phantoms"), (3, 3, "phantoms")]
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_phantoms_keep_their_names_and_nothing_else_does(cohort: Path, tmp_path: Path) -> None:
    own = cohort / "phantom-000020"
    assert {read_ct(own / name).case_id for name in ("ct.nii.gz", "ct.npz")} == {"phantom-000020"}
    renamed = shutil.copytree(own, tmp_path / "Doe John")
    assert read_ct(renamed / "ct.nii.gz").case_id == "phantom-000020"
    alone = shutil.copy(own / "ct.nii.gz", tmp_path / "phantom-000020.nii.gz")
    assert re.fullmatch("[0-9a-f]{16}", read_ct(alone).case_id)
    shutil.copy(cohort / "phantom-000021" / "ct.nii.gz", renamed / "ct.nii.gz")
    assert re.fullmatch("[0-9a-f]{16}", read_ct(renamed / "ct.nii.gz").case_id)  # other pixels than the truth tells of


@pytest.mark.parametrize("told", ["Doe^John", "phantom-000020 Doe", "phantom-20", 7, None])
def test_no_other_name_is_taken_from_the_truth(cohort: Path, tmp_path: Path, told: object) -> None:
    copy = shutil.copytree(cohort / "phantom-000020", tmp_path / "copy")
    truth = json.loads((copy / "truth.json").read_text(encoding="utf-8"))
    (copy / "truth.json").write_text(json.dumps({**truth, "case": told}), encoding="utf-8")
    assert re.fullmatch("[0-9a-f]{16}", read_ct(copy / "ct.nii.gz").case_id)
    (copy / "truth.json").write_bytes(b"\xff{")
    assert re.fullmatch("[0-9a-f]{16}", read_ct(copy / "ct.nii.gz").case_id)


def test_tables_cover_the_cohort(cohort: Path) -> None:
    labels = rows(cohort / "labels.csv")
    assert list(labels[0]) == ["case", "path", "split", *label_names()]
    assert [r["case"] for r in labels] == [f"phantom-{s:06d}" for s in (20, 21, 22)]
    assert [r["split"] for r in labels] == ["test", "train", "train"]
    assert all(r["lung mass"] == "1" and r["emphysema"] == "0" for r in labels)
    assert all((cohort / r["path"]).is_file() for r in labels)
    assert [r["report"] for r in rows(cohort / "reports.csv")] == [
        make_phantom(s, TINY, NAMES).report for s in (20, 21, 22)
    ]
    found = rows(cohort / "findings.csv")
    assert list(found[0]) == ["case", "label", "side", "x", "y", "z", "diameter_mm"]
    assert {r["label"] for r in found} == set(NAMES)


def test_files_hold_the_phantom(cohort: Path) -> None:
    phantom = make_phantom(20, TINY, NAMES)
    case = cohort / "phantom-000020"
    volume = read_ct(case / "ct.nii.gz")
    assert np.array_equal(volume.hu, phantom.volume.hu)
    assert volume.geometry.allclose(phantom.volume.geometry)
    assert np.array_equal(np.load(case / "ct.npz")["ct"], phantom.volume.hu)
    organs = np.asanyarray(nibabel.load(case / "organs.nii.gz").dataobj).transpose(2, 1, 0)
    assert np.array_equal(np.flip(organs, (0, 1, 2))[::-1, ::-1, ::-1], phantom.organs)
    bits = np.asanyarray(nibabel.load(case / "findings.nii.gz").dataobj).transpose(2, 1, 0).astype(np.int64)
    truth = json.loads((case / "truth.json").read_text())
    assert len(truth["findings"]) == len(phantom.findings)
    for row, finding in zip(truth["findings"], phantom.findings, strict=True):
        assert row["label"] == finding.label
        assert np.array_equal((bits >> row["bit"]) & 1, finding.mask)


def test_an_interrupted_cohort_goes_on(cohort: Path) -> None:
    kept, lost = cohort / "phantom-000020" / "ct.nii.gz", cohort / "phantom-000021" / "truth.json"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    write_cohort(cohort, 3, 20, TINY, findings=NAMES, npz=True)
    assert kept.stat().st_mtime_ns == before
    assert lost.is_file()
    assert not list(cohort.glob(".partial*"))


def test_another_request_replaces_the_cases(tmp_path: Path) -> None:
    write_cohort(tmp_path, 1, 0, TINY, findings=("lung mass",))
    write_cohort(tmp_path, 1, 0, TINY, findings=("pleural effusion",))
    assert {r["label"] for r in rows(tmp_path / "findings.csv")} == {"pleural effusion"}


def test_an_empty_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one phantom"):
        write_cohort(tmp_path, 0)


def test_a_grown_cohort_keeps_the_phantoms_it_had(tmp_path: Path) -> None:
    write_cohort(tmp_path, 2, 20, TINY, findings=NAMES)
    write_cohort(tmp_path, 1, 40, TINY, findings=NAMES)
    names = [f"phantom-{s:06d}" for s in (20, 21, 40)]
    assert [row["case"] for row in rows(tmp_path / "labels.csv")] == names
    assert [row["case"] for row in rows(tmp_path / "reports.csv")] == names


@pytest.mark.parametrize("table", ["labels.csv", "reports.csv", "findings.csv"])
def test_tables_of_other_cases_are_never_replaced(tmp_path: Path, table: str) -> None:
    (tmp_path / table).write_text("case,path\nAMP001,ct.nii.gz\n", encoding="utf-8")
    with pytest.raises(InputError, match="other cases than phantoms"):
        write_cohort(tmp_path, 1, 20, TINY)
    assert (tmp_path / table).read_text(encoding="utf-8").startswith("case,path\nAMP001")
    assert [item.name for item in tmp_path.iterdir()] == [table]
