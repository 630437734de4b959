"""A cohort store reads back what was put in, is lazy, and says what is wrong when it is not whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.explain import cam
from training.issues import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("made") / "store", n_cases=7, n_labels=5)


@pytest.fixture
def store(folder: Path) -> CohortStore:
    return open_store(folder)


def test_scores_slice_scores_and_maps_agree(store: CohortStore) -> None:
    assert store.scores.shape == (7, 5)
    assert store.scores.dtype == np.float32
    for n, case in enumerate(store.cases):
        explanation = store.explanation(case)
        assert explanation.case_id == case
        assert explanation.residual.max() < 1e-5
        np.testing.assert_allclose(explanation.scores, store.scores[n], rtol=1e-6)
        np.testing.assert_allclose(store.slice_scores(case), explanation.slice_scores, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(
            explanation.map(store.labels[2]), cam.hirescam(store.z(case), store.weights[2]).astype(np.float32)
        )
    np.testing.assert_allclose(store.probabilities, 1 / (1 + np.exp(-store.scores.astype(np.float64))))


def test_one_label_of_all_cases(store: CohortStore) -> None:
    label = store.labels[3]
    expected = np.stack([store.slice_scores(case)[3] for case in store.cases])
    np.testing.assert_array_equal(store.label_slice_scores(label), expected.astype(np.float32))


def test_cases_without_results_are_not_listed(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "s", n_cases=4, missing=(1, 3)))
    assert store.cases == ("case-0000", "case-0002")
    assert store.splits == ("valid", "valid")
    assert len(store.planned) == 4
    assert store.scores.shape == (2, 5)
    assert store.label_slice_scores(store.labels[0]).shape == (2, 4)
    assert store.explanation("case-0002").case_id == "case-0002"
    assert store.explanation("case-0002").residual.max() < 1e-5
    with pytest.raises(InputError, match="not explained yet"):
        store.explanation("case-0001")
    with pytest.raises(KeyError, match="no case"):
        store.z("case-9999")


def test_organs_and_allowed_regions(store: CohortStore) -> None:
    organs = store.organs(store.cases[0])
    assert organs is not None
    assert organs.shape == store.cells.n_cells
    assert organs[0].tolist() == [[1, 0, 2], [1, 3, 2], [1, 0, 2]]
    lung = store.allowed(store.cases[0], "nodule") if "nodule" in store.labels else None
    for label in store.labels:
        allowed = store.allowed(store.cases[0], label)
        assert allowed is not None
        assert allowed.sum() > 0
    assert lung is None or lung[0].tolist() == [[1, 0, 1], [1, 0, 1], [1, 0, 1]]


def test_organ_cells_have_shares_for_a_score_budget(store: CohortStore) -> None:
    for placement in ("receptive_field", "stretch"):
        cells = store.organ_cells(store.cases[0], placement)
        assert cells is not None
        assert cells.placement == placement
        np.testing.assert_array_equal(cells.centres[1], cells.shares[1])
        assert cells.centres[3].sum() == store.cells.n_cells[0]
        assert (cells.body == 1).all()


def test_store_without_organs_or_truth_says_none(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "s", n_cases=2, organs=False, truth=False))
    assert store.truth is None
    assert store.organs(store.cases[0]) is None
    assert store.organ_cells(store.cases[0]) is None
    assert store.allowed(store.cases[0], store.labels[0]) is None
    assert store.source(store.cases[0]).path is None
    assert store.report(store.cases[0]) is None


def test_float16_keeps_maps_to_its_precision(tmp_path: Path) -> None:
    whole, half = (open_store(make_store(tmp_path / d, n_cases=2, z_dtype=d)) for d in ("float32", "float16"))
    a, b = (one.explanation(one.cases[1]).maps() for one in (whole, half))
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(a).max())
    np.testing.assert_array_equal(whole.scores, half.scores)


def test_identity_is_that_of_the_metadata(folder: Path, tmp_path: Path) -> None:
    assert open_store(folder).sha256 == open_store(folder).sha256
    assert open_store(make_store(tmp_path / "s", n_cases=6)).sha256 != open_store(folder).sha256


def test_damage_is_found(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", n_cases=3)
    chunk = next(item for item in (store / "z").iterdir() if item.name.startswith("c"))
    content = bytearray(chunk.read_bytes())
    chunk.unlink()
    with pytest.raises(InputError, match=r"damaged.*hirescam batch"):
        open_store(store).z("case-0001")
    chunk.write_bytes(bytes(content[: len(content) // 2]))
    with pytest.raises(InputError, match="damaged"):
        open_store(store).z("case-0001")
    (store / "cases.csv").write_text("case,split\nx,test\n")
    with pytest.raises(InputError, match=r"cases\.csv was changed"):
        open_store(store)


def test_other_things_are_no_stores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cohort store: there is no such folder"):
        open_store(tmp_path / "nothing")
    store = make_store(tmp_path / "s", n_cases=2)
    metadata = json.loads((store / "zarr.json").read_text())
    metadata["attributes"]["schema_version"] = 99
    (store / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="schema 99"):
        open_store(store)
