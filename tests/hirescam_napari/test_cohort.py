"""A case of a cohort store in the viewer: with and without its CT."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hirescam_napari._cohort import bands_of, stored_case
from hirescam_napari._workers import load_case
from tests.cohorts import write_model, write_phantoms
from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch
from training.cohort.inputs import check_same_ct
from training.cohort.results import CohortStore, open_store
from training.io import read_ct
from training.issues import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cohort")
    write_phantoms(made / "phantoms", n=3)
    settings = BatchSettings(str(write_model(made / "tiny.safetensors")), device="cpu")
    batch = prepare_batch(made / "phantoms", made / "store", settings)
    open_for_filling(made / "store", batch.plan)
    run_batch(batch)
    return made


@pytest.fixture
def store(folder: Path) -> CohortStore:
    return open_store(folder / "store")


def test_a_case_comes_with_all_that_is_known(store: CohortStore) -> None:
    bands = bands_of(store)
    case = stored_case(store, store.cases[1], bands)
    assert case.volume is not None
    assert case.picture is not None
    assert case.explanation is not None
    assert case.explanation.case_id == store.cases[1]
    assert set(case.truth) == set(store.labels)
    assert set(case.cells) == {"receptive_field", "stretch"}
    assert case.report is not None
    found = case.bands(store.labels[0])
    assert found is bands(store.labels[0])
    assert found is not None
    assert found.n_positive + found.n_negative == 3


def test_exports_and_sessions_find_its_ct_again(store: CohortStore, folder: Path) -> None:
    case = stored_case(store, store.cases[1])
    assert case.origin is not None
    assert case.origin.path.resolve().is_relative_to((folder / "phantoms").resolve())
    assert case.explanation is not None
    again = read_ct(case.origin.path, case.origin.series)
    check_same_ct(again, case.explanation)
    assert case.volume is not None
    assert np.array_equal(again.hu, case.volume.hu)


def test_a_ct_that_the_cohort_s_tables_correct_is_read_by_its_cohort_only(
    store: CohortStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CohortStore, "source", lambda self, name: replace(self.origin.find(name), by_itself=False))
    assert stored_case(store, store.cases[1]).origin is None


def test_where_labels_may_lie_is_worked_out_while_the_case_is_read(
    store: CohortStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = stored_case(store, store.cases[1])
    monkeypatch.setattr("hirescam_napari._case.region_in", None)  # nothing is left for the window's thread
    for placement in case.cells:
        assert all(case.region(label, placement) is not None for label in store.labels)


def test_opening_a_store_opens_its_first_case(folder: Path, store: CohortStore) -> None:
    case = load_case([folder / "store"])
    assert case.explanation is not None
    assert case.explanation.case_id == store.cases[0]
    np.testing.assert_array_equal(case.explanation.z, store.z(store.cases[0]))


def test_without_the_cohort_the_result_is_shown_alone(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "store", tmp_path / "elsewhere" / "store")
    store = open_store(tmp_path / "elsewhere" / "store")
    case = stored_case(store, store.cases[0])
    assert case.volume is None
    assert case.explanation is not None
    assert "no-ct" in [issue.code for issue in case.explanation.issues]
    assert case.report is None
    assert case.truth


def test_another_ct_in_its_place_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    cts = [tmp_path / "copy" / "phantoms" / f"phantom-00000{n}" / "ct.nii.gz" for n in (0, 1)]
    shutil.copyfile(cts[1], cts[0])
    store = open_store(tmp_path / "copy" / "store")
    with pytest.raises(InputError, match="another CT"):
        stored_case(store, store.cases[0])
