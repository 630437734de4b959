"""Micro averages of pairs in groups, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import pairs as module
from training.evaluate.bootstrap import Resampling, case_weights
from training.evaluate.pairs import bootstrapped_pairs, compare_pairs, label_groups, size_groups, summarise_pairs

LABELS = ("lung nodule", "heart cardiomegaly", "somewhere else")
PLAN = Resampling(40, 2)
TABLE = np.array([[1.0, np.nan, 0.0], [0.5, 0.2, np.nan], [np.nan, 0.4, np.nan], [0.3, np.nan, 0.9]])


def test_groups_follow_the_label_table() -> None:
    groups = label_groups(("lung nodule", "cardiomegaly", "somewhere else"))
    assert groups["all"].tolist() == [True, True, True]
    assert groups["organ: lung"].tolist() == [True, False, False]
    assert groups["organ: mediastinum"].tolist() == groups["region: heart"].tolist() == [False, True, False]
    assert groups["label: somewhere else"].tolist() == [False, False, True]
    assert "kind: intervention" not in groups


def test_micro_mean_counts_every_pair_the_same() -> None:
    groups = {"all": np.ones(3, dtype=bool), "first": np.array([True, False, False]), "none": np.zeros(3, dtype=bool)}
    overall, first, none = summarise_pairs(TABLE, groups, resampling=PLAN)
    assert overall.estimate.value == pytest.approx((1.0 + 0.0 + 0.5 + 0.2 + 0.4 + 0.3 + 0.9) / 7)
    assert (overall.n_pairs, overall.n_cases) == (7, 4)
    assert first.estimate.value == pytest.approx(1.8 / 3)
    assert (first.n_pairs, first.n_cases) == (3, 3)
    assert (none.estimate.value, none.n_pairs) == (None, 0)


@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize("chunk", [1 << 22, 9])
def test_resamples_equal_repeated_cases(average: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_VALUES", chunk)
    groups = {"all": np.ones(3, dtype=bool), "first": np.array([True, False, False]), "none": np.zeros(3, dtype=bool)}
    found = bootstrapped_pairs(TABLE, groups, average, PLAN)  # type: ignore[arg-type]
    weights = np.concatenate(list(case_weights(4, PLAN)))
    reference = np.nanmean if average == "mean" else np.nanmedian
    for sample, row in zip(found.samples, weights, strict=True):
        drawn = np.repeat(TABLE, row.astype(int), axis=0)
        assert sample[0] == pytest.approx(reference(drawn))
        applicable = not np.isnan(drawn[:, 0]).all()
        assert sample[1] == pytest.approx(reference(drawn[:, 0]) if applicable else np.nan, nan_ok=True)
        assert np.isnan(sample[2])


def test_comparisons_take_the_pairs_that_both_have() -> None:
    other = TABLE.copy()
    other[0, 0], other[1, 0] = np.nan, 0.1
    found = compare_pairs(TABLE, other, {"all": np.ones(3, dtype=bool)}, resampling=PLAN)["all"]
    assert found.value == pytest.approx(0.4 / 6)
    assert found.below_zero == 0.0
    with pytest.raises(ValueError, match="equal tables"):
        compare_pairs(TABLE, TABLE[:2], {"all": np.ones(3, dtype=bool)})


def test_size_groups_hold_their_lower_edge() -> None:
    groups = size_groups(np.array([[5.0, 10.0], [30.0, np.nan]]))
    assert list(groups) == ["size: 0 to 10 mm", "size: 10 to 30 mm", "size: 30 mm and more"]
    np.testing.assert_array_equal(groups["size: 10 to 30 mm"], [[False, True], [False, False]])
    np.testing.assert_array_equal(groups["size: 30 mm and more"], [[False, False], [True, False]])


def test_a_group_of_pairs_restricts_the_average() -> None:
    mask = np.zeros((4, 3), dtype=bool)
    mask[:2, 0] = True
    (only,) = summarise_pairs(TABLE, {"two": mask}, "median", PLAN)
    assert only.estimate.value == pytest.approx(0.75)
    assert only.average == "median"


def test_a_table_has_two_axes() -> None:
    with pytest.raises(ValueError, match="got 1 axes"):
        summarise_pairs(TABLE[0], {"all": np.ones(3, dtype=bool)})
