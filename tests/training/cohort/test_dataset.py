"""Cohorts on disk: what is read is what was written, once; faults are named by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.cohort.dataset import read_cohort
from training.cohort.phantom import PhantomGrid, make_phantom, write_cohort
from training.issues import InputError
from training.labels import label_names
from training.preprocess import InputSpec

GRID = PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0))
SPEC = InputSpec(GRID.spacing_mm, GRID.shape)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort") / "phantoms", 3, 4, GRID)


def test_a_cohort_is_read_by_split_and_prepared_once(cohort: Path, tmp_path: Path) -> None:
    splits = read_cohort(cohort, SPEC, tmp_path / "cache")
    assert {name: cases.case_ids for name, cases in splits.items()} == {
        "train": ("phantom-000004",),
        "valid": ("phantom-000005",),
        "test": ("phantom-000006",),
    }
    phantom = make_phantom(5, GRID)
    cases = splits["valid"]
    assert cases.labels == label_names()
    assert cases.targets[0].tolist() == [phantom.labels[name] for name in cases.labels]
    np.testing.assert_array_equal(cases.hu(0), np.clip(phantom.volume.hu, -1000, 1000))
    kept = list((tmp_path / "cache").iterdir())
    assert len(kept) == 1
    stamp = kept[0].stat().st_mtime_ns
    np.testing.assert_array_equal(cases.hu(0), np.clip(phantom.volume.hu, -1000, 1000))
    assert kept[0].stat().st_mtime_ns == stamp
    other = read_cohort(cohort, InputSpec(GRID.spacing_mm, (24, 40, 40)), tmp_path / "cache")["valid"]
    assert other.hu(0).shape == (24, 40, 40)


def test_every_bad_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    rows = ["case,path,split,emphysema", "a,a.nii,train,1", "b,a.nii,train,2", "c,c.nii,valid,0", "d,a.nii,dev,0"]
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_cohort(tmp_path, SPEC, tmp_path)
    assert [(i.code, i.message.split(":")[0]) for i in caught.value.issues] == [
        ("bad-target", "row 3"),
        ("no-ct", "row 4"),
        ("bad-split", "row 5"),
    ]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (None, "is missing"),
        ("case,path,emphysema\n", r"lacks \['split'\]"),
        ("case,path,split,flu\na,a,train,0\n", "unknown labels"),
        ("case,path,split,emphysema\n", "no labels or cases"),
    ],
)
def test_folders_that_are_no_cohort_are_refused(tmp_path: Path, content: str | None, fact: str) -> None:
    if content is not None:
        (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=fact):
        read_cohort(tmp_path, SPEC, tmp_path)
