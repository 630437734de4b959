"""The demo model that is shipped: it loads, says what it is, and is worth what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from training.cohort.phantom import PLANTABLE, make_phantom
from training.cohort.phantom_cases import grid_of
from training.evaluate.demo import TEST_SEEDS, TRAINING_SEEDS, VALIDATION_SEEDS
from training.evaluate.metrics import mean_applicable
from training.evaluate.phantoms import classification_report, focal, outcome, pointing_report
from training.explain import explain
from training.models import Model, load_model
from training.models.heads import Guarantee
from training.models.registry import demo_path


@pytest.fixture(scope="module")
def demo() -> Model:
    return load_model("demo")


def test_it_is_small_and_carries_the_guarantee(demo: Model) -> None:
    assert demo_path().stat().st_size <= 4_000_000
    assert demo.guarantee is Guarantee.ONE_FULLY_CONNECTED
    assert demo.labels == PLANTABLE
    assert len(PLANTABLE) >= 20


def test_it_says_what_it_is_and_how_to_make_it_again(demo: Model) -> None:
    training = demo.metadata.training
    assert "phantoms" in training["words"]
    assert "not for clinical use" in training["words"]
    assert training["command"].startswith("hirescam train --preset demo")
    assert training["config"]["model"]["architecture"] == demo.architecture
    assert training["seconds_in_all"] > 0
    assert len(training["phantom_generator"]["phantom_0_at_12_mm_sha256"]) == 64
    assert demo.metadata.licence == "MIT"
    assert set(demo.metadata.mean_probability) == set(demo.metadata.threshold) == set(PLANTABLE)


def test_training_validation_and_test_phantoms_are_different_ones(demo: Model) -> None:
    training = demo.metadata.training
    ranges = [training["training_seeds"], training["validation_seeds"], training["test_seeds"]]
    assert [low for low, _ in ranges] == [TRAINING_SEEDS, VALIDATION_SEEDS, TEST_SEEDS]
    assert all(low <= high < next_low for (low, high), (next_low, _) in itertools.pairwise(ranges))


def test_its_held_out_results_meet_the_targets(demo: Model) -> None:
    evaluation = demo.metadata.evaluation
    classes, pointing = evaluation["classification"], evaluation["pointing_mm"]
    assert classes["n_phantoms"] >= 200
    assert classes["mean_auroc"] >= 0.85
    assert classes["mean_auroc"] == pytest.approx(mean_applicable(classes["auroc"]))
    assert set(classes["auroc"]) == set(PLANTABLE)
    model, uniform = pointing["focal"]["model"], pointing["focal"]["uniform"]
    assert model["median_mm"] <= 25.0
    assert model["median_mm"] < uniform["median_mm"]
    assert set(pointing["focal_labels"]) == set(focal(PLANTABLE))
    assert model["n"] == sum(pointing["per_label"][label]["n"] for label in pointing["focal_labels"])


def test_it_was_chosen_among_the_architectures_by_their_numbers(demo: Model) -> None:
    table = demo.metadata.evaluation["architectures"]
    rows = {row["architecture"]: row for row in table["rows"]}
    assert set(rows) == {"axialnet", "axialnet-same", "axialnet-local"}
    best = max(row["mean_auroc"] for row in rows.values())
    close = [row for row in rows.values() if row["mean_auroc"] >= best - 0.05]
    assert table["chosen"] == demo.architecture == min(close, key=lambda row: row["median_pointing_mm"])["architecture"]
    assert len({(row["n_training"], row["epochs"], row["n_test"]) for row in rows.values()}) == 1


def test_it_averages_over_its_large_voxels(demo: Model) -> None:
    assert demo.input_spec.average


def test_it_explains_a_phantom_and_the_books_balance(demo: Model) -> None:
    result = explain(demo, make_phantom(TEST_SEEDS, grid_of(demo.input_spec)).volume, device="cpu")
    assert np.abs(result.residual).max() <= 1e-4
    assert not result.field_covers_slice


@pytest.mark.slow
def test_its_results_can_be_had_again_on_some_of_the_phantoms(demo: Model) -> None:
    found = [outcome(demo, make_phantom(TEST_SEEDS + i, grid_of(demo.input_spec))) for i in range(40)]
    mean = classification_report(found, demo.labels)["mean_auroc"]
    assert mean is not None
    assert mean == pytest.approx(demo.metadata.evaluation["classification"]["mean_auroc"], abs=0.06)
    summary = pointing_report(found, demo.labels)["focal"]["model"]
    assert summary is not None
    assert summary["median_mm"] <= 30.0
