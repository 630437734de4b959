"""Figure 13: means and bands of slice scores by truth, from a cohort store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.bands import bands, slice_score_bands


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CohortStore:
    return open_store(make_store(tmp_path_factory.mktemp("made") / "s", n_cases=9, n_labels=3, n_groups=5))


def test_means_and_intervals_are_those_of_the_cases(store: CohortStore) -> None:
    label = store.labels[1]
    found = slice_score_bands(store, label)
    assert found is not None
    assert store.truth is not None
    truth = store.truth[:, 1]
    scores = np.stack([store.slice_scores(case)[1] for case in store.cases])
    assert (found.n_positive, found.n_negative) == (int((truth == 1).sum()), int((truth == 0).sum()))
    np.testing.assert_allclose(found.positives_mean, scores[truth == 1].mean(axis=0), rtol=1e-6)
    interval = ttest_1samp(scores[truth == 0], 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(found.negatives_low, interval.low, rtol=1e-5)
    np.testing.assert_allclose(found.negatives_high, interval.high, rtol=1e-5)


def test_one_split_alone(store: CohortStore) -> None:
    tested = [case for case, split in zip(store.cases, store.splits, strict=True) if split == "test"]
    found = slice_score_bands(store, store.labels[0], cases=tested)
    assert found is not None
    assert found.n_positive + found.n_negative == len(tested)


def test_band_of_cases_holds_95_percent_of_them() -> None:
    scores = np.random.default_rng(0).normal(size=(4000, 2))
    found = bands("x", scores, np.ones(4000, dtype=int), "cases")
    inside = (scores >= found.positives_low) & (scores <= found.positives_high)
    assert abs(inside.mean() - 0.95) < 0.002
    assert np.isnan(found.negatives_mean).all()
    assert (found.positives_high - found.positives_low > 3.5).all()


def test_one_case_has_a_mean_but_no_interval() -> None:
    found = bands("x", np.array([[1.0, 2.0], [5.0, 5.0]]), np.array([1, -1]), "mean")
    assert found.positives_mean.tolist() == [1.0, 2.0]
    assert np.isnan(found.positives_low).all()
    assert (found.n_positive, found.n_negative) == (1, 0)


def test_nothing_is_known(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "s", n_cases=2, truth=False))
    assert slice_score_bands(store, store.labels[0]) is None
    with pytest.raises(KeyError):
        slice_score_bands(store, "no such label")
