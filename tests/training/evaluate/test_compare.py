"""Comparisons: disagreement of methods by its definition, models side by side, placements in mm, sheets of cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.compare import (
    Disagreement,
    MassShares,
    budget_of_label,
    check_comparable,
    cohort_disagreements,
    compare_models,
    disagreement_rows,
    method_difference,
    method_disagreements,
    pairs_of,
    placement_shift_mm,
    sheet_entries,
    shift_words,
)
from training.explain.result import Explanation
from training.issues import Cancelled, InputError
from training.partition.cells import OrganCells

LUNG, HEART = "atelectasis", "cardiomegaly"


@pytest.fixture
def explanation(explanation_factory: Callable[..., Explanation]) -> Explanation:
    return explanation_factory(n_labels=80, n_groups=4)


def cells_of(explanation: Explanation, seed: int = 0) -> OrganCells:
    """Random disjoint organs, with some cells outside the body."""
    shape = explanation.cells.n_cells
    owner = np.random.default_rng(seed).integers(0, 5, shape)
    masks = {value: (owner == value).astype(np.float32) for value in (1, 2, 3)}
    return OrganCells("receptive_field", masks, masks, (owner < 4).astype(np.float32))


def test_the_value_is_one_where_gradcam_alone_is_wrong_and_turns_round() -> None:
    right, wrong = MassShares(1.0, 0.0, 0.0), MassShares(0.0, 1.0, 0.0)
    assert Disagreement(LUNG, 0.9, right, wrong).value == 1.0
    assert Disagreement(LUNG, 0.9, wrong, right).value == -1.0
    assert Disagreement(LUNG, 0.9, right, right).value == 0.0
    half = MassShares(0.5, 0.5, 0.0)
    assert Disagreement(LUNG, 0.9, half, half).value == 0.0
    assert Disagreement(LUNG, 0.9, MassShares(0.6, 0.1, 0.3), MassShares(0.2, 0.7, 0.1)).value == pytest.approx(0.40)


def test_shares_are_those_of_the_positive_mass(explanation: Explanation) -> None:
    cells = cells_of(explanation)
    found = {one.label: one for one in method_disagreements(explanation, cells)}
    assert set(found) == set(explanation.labels)
    for label in (LUNG, HEART):
        for method, shares in (("hirescam", found[label].hirescam), ("gradcam", found[label].gradcam)):
            mass = np.maximum(explanation.map(label, method).astype(np.float64), 0)  # type: ignore[arg-type]
            lungs, middle = cells.centres[1] + cells.centres[2], cells.centres[3]
            right, wrong = (lungs, middle) if label == LUNG else (middle, lungs)
            assert shares.allowed == pytest.approx(float((mass * right).sum() / mass.sum()))
            assert shares.other_organs == pytest.approx(float((mass * wrong).sum() / mass.sum()))
            assert shares.allowed + shares.other_organs + shares.elsewhere == pytest.approx(1.0)


def test_the_list_is_ranked_and_narrowed(explanation: Explanation) -> None:
    cells = cells_of(explanation)
    values = [one.value for one in method_disagreements(explanation, cells)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0 > values[-1]
    one = method_disagreements(explanation, cells, [LUNG])
    right = method_disagreements(explanation, cells, [LUNG], lambda _label: frozenset({"right"}))
    assert right[0].hirescam.allowed < one[0].hirescam.allowed


def test_labels_without_evidence_or_place_do_not_break_it(explanation: Explanation) -> None:
    none = replace(explanation, weights=-np.abs(explanation.weights), labels=("own", *explanation.labels[1:]))
    found = method_disagreements(none, cells_of(explanation))
    assert len(found) == 79
    assert {one.value for one in found} == {0.0}


def test_the_difference_of_methods_is_drawn_about_zero(explanation: Explanation) -> None:
    show = method_difference(explanation, LUNG)
    first, second = (np.maximum(explanation.map(LUNG, m), 0) for m in ("hirescam", "gradcam"))  # type: ignore[arg-type]
    assert show.values == pytest.approx(first / first.max() - second / second.max(), abs=1e-6)
    assert (show.limits, show.colormap) == ((-1.0, 1.0), "diverging")


@pytest.fixture
def store(tmp_path: Path) -> CohortStore:
    return open_store(make_store(tmp_path / "store"))


def test_the_cohort_is_ranked_as_its_cases_are(store: CohortStore) -> None:
    found = cohort_disagreements(store, "all", most=1000)
    assert len(found) == len(store.cases) * len(store.labels)
    expected = [
        (one.value, one.case, one.label)
        for case in store.cases
        for one in method_disagreements(store.explanation(case), store.organ_cells(case))  # type: ignore[arg-type]
    ]
    assert sorted((one.value, one.case, one.label) for one in found) == sorted(expected)
    values = [one.value for one in found]
    assert values == sorted(values, reverse=True)
    assert cohort_disagreements(store, "all", most=3) == found[:3]


def test_predicted_and_present_pairs(store: CohortStore) -> None:
    case = store.cases[0]
    predicted = pairs_of(store, case, "predicted")
    assert predicted == [n for n, p in zip(store.labels, store.probabilities[0], strict=True) if p >= 0.5]
    assert store.truth is not None
    assert pairs_of(store, case, "present") == [n for n, t in zip(store.labels, store.truth[0], strict=True) if t == 1]
    only_present = cohort_disagreements(store, "present", most=1000)
    assert len(only_present) == int((store.truth == 1).sum())
    rows = list(disagreement_rows(only_present))
    assert rows[0]["case"] == only_present[0].case
    assert rows[0]["gradcam_other_organs"] == only_present[0].gradcam.other_organs


def test_a_cohort_without_organs_or_truth_is_refused(tmp_path: Path) -> None:
    bare = open_store(make_store(tmp_path / "bare", organs=False, truth=False))
    with pytest.raises(InputError, match="no case has organ masks"):
        cohort_disagreements(bare)
    with pytest.raises(InputError, match="nothing is known"):
        cohort_disagreements(bare, "present")


def test_ranking_a_cohort_can_be_watched_and_cancelled(store: CohortStore) -> None:
    seen: list[tuple[int, int, str]] = []
    cohort_disagreements(store, progress=lambda *step: seen.append(step))
    assert seen[-1] == (6, 6, "comparing methods")
    with pytest.raises(Cancelled):
        cohort_disagreements(store, cancelled=lambda: True)


def test_two_models_on_one_case(explanation: Explanation, explanation_factory: Callable[..., Explanation]) -> None:
    other = explanation_factory(n_labels=60, n_groups=4, seed=5)
    found = compare_models(explanation, other)
    assert {one.label for one in found} == set(other.labels)
    assert [abs(one.difference) for one in found] == sorted((abs(one.difference) for one in found), reverse=True)
    one = found[0]
    assert one.probabilities[1] == other.probabilities[other.index(one.label)]
    assert one.ratios[0] == pytest.approx(one.probabilities[0] / explanation.model.mean_probability[one.label])


def test_results_that_do_not_belong_together_are_refused(explanation: Explanation) -> None:
    first, second = (replace(explanation, provenance={"pixels_sha256": name * 64}) for name in "ab")
    with pytest.raises(InputError, match="different CTs"):
        check_comparable(first, second)
    strange = replace(explanation, labels=tuple(f"own {n}" for n in range(80)))
    with pytest.raises(InputError, match="no abnormality in common"):
        compare_models(explanation, strange)


def test_a_budget_adds_up_to_the_score(explanation: Explanation) -> None:
    budget = budget_of_label(explanation, cells_of(explanation), HEART)
    assert budget.score == pytest.approx(float(explanation.scores[explanation.index(HEART)]), abs=1e-4)


def test_the_paper_s_placement_stands_up_to_77_mm_apart(explanation: Explanation) -> None:
    shift = placement_shift_mm(explanation)
    px = np.array([-93.5, -55.5, -17.5, 20.5, 58.5, 96.5])
    assert shift[:, 0, 0] == pytest.approx(px * 0.8)
    assert shift[0, :, 1] == pytest.approx(px * 0.8)
    assert "up to 77 mm (down) and 77 mm (across)" in shift_words(explanation)
    assert "109 mm at the corners" in shift_words(explanation)


def test_placements_that_agree_are_said_to(explanation: Explanation) -> None:
    fields = tuple(replace(f, jump_px=70.0, start_px=34.5) for f in explanation.cells.fields[1:])
    layout = replace(explanation.cells, fields=(explanation.cells.fields[0], *fields))
    assert shift_words(replace(explanation, cells=layout)) == "Both placements are the same for this model."


@pytest.mark.parametrize("order", ["probability", "disagreement"])
def test_a_sheet_lists_cases_in_order(store: CohortStore, order: str) -> None:
    label = store.labels[2]
    entries = sheet_entries(store, label, order, 4)  # type: ignore[arg-type]
    assert len({one.case for one in entries}) == 4
    values = [one.value for one in entries]
    assert values == sorted(values, reverse=True)
    row = store.position(entries[0].case)
    assert entries[0].probability == store.probabilities[row, 2]
    assert entries[0].group == store.explanation(entries[0].case).top_slice(label)
    assert store.truth is not None
    assert entries[0].truth == store.truth[row, 2]
    if order == "probability":
        assert values[0] == store.probabilities[:, 2].max()
