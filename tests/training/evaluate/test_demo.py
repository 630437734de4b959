"""The demo recipe on a coarse grid: from seeds to a checkpoint that tells what it is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.cohort.phantom import PLANTABLE, make_phantom
from training.cohort.phantom_cases import grid_of, phantom_cases
from training.evaluate.demo import TEST_SEEDS, DemoSize, evaluation, operating_points, train_demo
from training.evaluate.phantoms import focal, lesions_of, outcome, prior_errors
from training.fit.config import merge
from training.fit.presets import PRESETS, preset
from training.issues import Cancelled, InputError
from training.models import load_model
from training.models.registry import build_model
from training.preprocess import InputSpec

SPEC = InputSpec((13.5, 7.0, 7.0), (24, 48, 48))
CONFIG = merge(
    preset("tiny"),
    {
        "model": {"width": 4, "custom_channels": [8, 4]},
        "input": {"spacing_mm": SPEC.spacing_mm, "shape": SPEC.shape},
        "run": {"epochs": 1},
    },
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_demo(tmp_path_factory.mktemp("demo"), 5, CONFIG, DemoSize(4, 6, 6), processes=1)


def test_the_checkpoint_tells_where_it_is_from_and_what_it_is_worth(trained: Path) -> None:
    model = load_model(trained)
    assert model.labels == PLANTABLE
    training, evaluation_ = model.metadata.training, model.metadata.evaluation
    assert training["words"] == "Trained on synthetic phantoms; not for clinical use."
    assert training["command"].startswith("hirescam train --preset demo")
    assert training["n_training_cases"] == 4
    assert training["config"]["run"]["seed"] == 5
    assert training["seconds_in_all"] > training["seconds"] > 0
    assert set(training["seconds_by_part"]) == {"phantoms", "training", "judging"}
    assert set(model.metadata.mean_probability) == set(PLANTABLE)
    assert model.metadata.licence
    assert evaluation_["classification"]["n_phantoms"] == 6
    assert str(TEST_SEEDS) in evaluation_["data"]
    assert set(evaluation_["pointing_mm"]["per_label"]) == set(PLANTABLE)


def test_training_can_be_cancelled_while_phantoms_are_made(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train_demo(tmp_path, 0, CONFIG, DemoSize(2, 1, 1), processes=1, cancelled=lambda: True)
    assert not (tmp_path / "demo.safetensors").exists()


def test_phantom_cases_are_the_phantoms_and_are_made_once(tmp_path: Path) -> None:
    calls: list[int] = []
    for _ in range(2):
        cases = phantom_cases(
            tmp_path / "set", (3, 8), SPEC, 1, progress=lambda done, _total, _stage: calls.append(done)
        )
    assert calls[-1] == 2
    assert calls.count(2) == 1
    phantom = make_phantom(8, grid_of(SPEC))
    np.testing.assert_array_equal(cases.hu(1), np.clip(phantom.volume.hu, -1000, 1000))
    assert cases.targets[1].tolist() == [phantom.labels[name] for name in PLANTABLE]
    assert cases.case_ids == ("phantom-3", "phantom-8")


def test_lesions_are_the_planted_findings() -> None:
    phantom = make_phantom(2, grid_of(SPEC))
    lesions = lesions_of(phantom)
    assert set(lesions) == {name for name, present in phantom.labels.items() if present}
    finding = max((f for f in phantom.findings if f.label == "pleural effusion"), key=lambda f: len(f.indices))
    lesion = lesions["pleural effusion"][0]
    assert len(lesion.voxels_mm) == finding.mask.sum()
    np.testing.assert_allclose(lesion.centre_mm, finding.centre_mm)


def test_outcome_takes_the_peak_of_the_map_of_every_planted_label() -> None:
    model = build_model("axialnet-local", PLANTABLE, SPEC, seed=1, width=4, custom_channels=(4,))
    found = outcome(model, make_phantom(2, grid_of(SPEC)))
    planted = {name for name, truth in zip(model.labels, found.truth, strict=True) if truth}
    assert set(found.pointing) == set(found.uniform) == set(found.centres_mm) == planted
    assert ((found.probabilities > 0) & (found.probabilities < 1)).all()
    assert all(0 <= e.to_mask_mm <= e.to_centre_mm + 1e-9 for e in found.pointing.values())
    assert prior_errors([found], "pleural effusion") == []
    both = [found, outcome(model, make_phantom(2, grid_of(SPEC)))]
    error = prior_errors(both, "pleural effusion")[0]
    assert error.to_centre_mm == pytest.approx(0.0, abs=1e-6)  # the other one is the same


def test_thresholds_and_rates_follow_from_the_outcomes() -> None:
    model = build_model("axialnet-local", PLANTABLE, SPEC, seed=1, width=4, custom_channels=(4,))
    found = [outcome(model, make_phantom(seed, grid_of(SPEC))) for seed in range(4)]
    means, thresholds = operating_points(found, model.labels)
    assert means["emphysema"] == pytest.approx(
        float(np.mean([o.probabilities[PLANTABLE.index("emphysema")] for o in found]))
    )
    constant = {name for m, name in enumerate(PLANTABLE) if len({o.truth[m] for o in found}) == 1}
    assert set(thresholds) == set(PLANTABLE) - constant
    rates = evaluation(found, model.labels, thresholds)["at_threshold"]
    for name in thresholds:
        assert rates[name]["sensitivity"] + rates[name]["specificity"] >= 1.0


def test_focal_labels_come_from_the_label_table() -> None:
    assert focal(("lung nodule", "emphysema", "chest tube")) == ("lung nodule", "chest tube")


def test_presets_are_named() -> None:
    assert PRESETS == ("paper", "paper-mask", "tiny", "demo")
    assert preset("demo").model.architecture.startswith("axialnet")
    with pytest.raises(InputError, match="no preset 'huge'"):
        preset("huge")
