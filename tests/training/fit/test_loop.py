"""Training: it learns, it is deterministic, it resumes without a trace, and it stops with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from training.fit.cases import ArrayCases, Subset, batches, split
from training.fit.config import TrainConfig, merge
from training.fit.loop import train
from training.fit.network import network_input
from training.fit.optimizer import learning_rate
from training.fit.saving import STATE_FILE
from training.issues import Cancelled, InputError
from training.models import load_model

SETTINGS = {
    "model": {"architecture": "axialnet-local", "width": 4, "cut_stage": 2, "custom_channels": [8, 4]},
    "input": {"spacing_mm": [4, 4, 4], "shape": [6, 32, 32]},
    "optimizer": {"name": "adamw", "learning_rate": 0.02, "momentum": 0.9, "schedule": "one-cycle", "clip_norm": 5.0},
    "loss": {"positive_weight_limit": 5.0},
    "augment": {"rotate_probability": 0.0, "shift_px": [1, 2, 2], "hu_shift": 10, "hu_noise": 10},
    "run": {"epochs": 4, "batch_size": 4, "validation_share": 0.25, "device": "cpu", "seed": 3, "threads": 1},
}
CONFIG = merge(TrainConfig(), SETTINGS)


@pytest.fixture(scope="module")
def cases() -> ArrayCases:
    """Twenty small CTs; a bright block stands for the first label, a dark one for the second."""
    rng = np.random.default_rng(0)
    volumes = rng.normal(0, 30, (20, 6, 32, 32)).astype(np.int16)
    targets = np.zeros((20, 2), dtype=np.float32)
    targets[::2, 0] = targets[1::3, 1] = 1
    for volume, (bright, dark) in zip(volumes, targets, strict=True):
        for present, hu in ((bright, 700), (dark, -900)):
            r, c = rng.integers(4, 22, 2)
            if present:
                volume[2:4, r : r + 6, c : c + 6] = hu
    return ArrayCases(volumes, targets, ("nodule", "emphysema"), tuple(f"case-{i:02d}" for i in range(20)))


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


def _equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_it_learns_and_leaves_models_that_load(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"run": {"epochs": 10}, "augment": {"flip_probability": 0.0, "shift_px": [0, 0, 0]}})
    calls: list[tuple[int, int, str]] = []
    trained = train(config, cases, tmp_path, progress=lambda *call: calls.append(call))
    first, last = trained.place.history[0], trained.place.history[-1]
    assert last.training_loss < 0.6 * first.training_loss
    validation = [r.validation_loss for r in trained.place.history]
    assert trained.place.best_epoch == int(np.argmin(validation)) > 0
    assert trained.place.best_loss == min(validation)
    assert sorted({done for done, _, _ in calls}) == list(range(41))
    assert {call[1:] for call in calls} == {(40, "training")}
    model = load_model(trained.best)
    assert model.labels == cases.labels
    assert model.input_spec.shape == (6, 32, 32)
    assert model.metadata.training["epochs_done"] == trained.place.best_epoch + 1
    assert model.metadata.training["n_training_cases"] == 15
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.safetensors",
        "epochs.csv",
        "last-state.safetensors",
        "last.safetensors",
        "steps.csv",
        "tensorboard",
    ]


def test_same_seed_same_weights_and_another_seed_others(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"run": {"epochs": 1}})
    torch.manual_seed(1)
    first = _weights(train(config, cases, tmp_path / "a").last)
    torch.manual_seed(2)
    assert _equal(first, _weights(train(config, cases, tmp_path / "b").last))
    other = merge(config, {"run": {"seed": 4}})
    assert not _equal(first, _weights(train(other, cases, tmp_path / "c").last))


@pytest.mark.parametrize(("optimizer", "conditioned"), [("adamw", False), ("adamw", True), ("sgd", False)])
def test_resumed_equals_uninterrupted(cases: ArrayCases, tmp_path: Path, optimizer: str, conditioned: bool) -> None:
    config = merge(CONFIG, {"optimizer": {"name": optimizer, "conditioned_head": conditioned}})
    whole = train(config, cases, tmp_path / "whole")
    stop_at = 9  # in the third epoch
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        train(config, cases, tmp_path / "parts", cancelled=lambda: next(asked) >= stop_at + 2 * 5)
    parts = train(config, cases, tmp_path / "parts", resume=True)
    assert _equal(_weights(whole.last), _weights(parts.last))
    assert _equal(_weights(whole.best), _weights(parts.best))
    assert _equal(_weights(tmp_path / "whole" / STATE_FILE), _weights(tmp_path / "parts" / STATE_FILE))
    losses = [[(r.training_loss, r.validation_loss) for r in t.place.history] for t in (whole, parts)]
    assert losses[0] == losses[1]


def test_the_state_is_one_file_without_pickle_and_names_no_path(cases: ArrayCases, tmp_path: Path) -> None:
    train(merge(CONFIG, {"run": {"epochs": 1}}), cases, tmp_path)
    with safe_open(tmp_path / STATE_FILE, framework="pt") as file:
        header = file.metadata()
        names = list(file.keys())
    assert json.loads(header["place"])["epochs_done"] == 1
    assert "optimizer.exp_avg.network.head.fc.weight" in names
    assert str(tmp_path) not in str(header)


def test_a_full_disk_stops_a_run_and_leaves_the_state_as_it_was(
    cases: ArrayCases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = merge(CONFIG, {"run": {"tensorboard": False}})
    train(merge(config, {"run": {"epochs": 1}}), cases, tmp_path)
    state = (tmp_path / STATE_FILE).read_bytes()

    def full(tensors: object, path: Path, metadata: dict[str, str]) -> None:
        if "state" not in path.name:
            return save_file(tensors, path, metadata)
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(InputError, match=f"{STATE_FILE}: cannot be written: the disk is full"):
        train(config, cases, tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == state
    assert not list(tmp_path.glob(".partial-*"))


def test_resuming_with_other_settings_is_refused(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"run": {"epochs": 1}})
    train(config, cases, tmp_path)
    with pytest.raises(InputError, match=r"other settings \(optimizer\)"):
        train(merge(config, {"optimizer": {"learning_rate": 0.5}}), cases, tmp_path, resume=True)


def test_a_state_of_which_any_byte_was_changed_is_refused(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"run": {"epochs": 1, "patience": 50}})
    train(config, cases, tmp_path)
    place = tmp_path / STATE_FILE
    whole = place.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    named = [whole.index(word) for word in (b"steps_done", b"momentum", b'"sha256":"', b"training-state-3")]
    for position in (*(one + 15 for one in named), *range(8 + header, len(whole), (len(whole) - header) // 20)):
        content = bytearray(whole)
        content[position] ^= 1
        place.write_bytes(content)
        with pytest.raises(InputError, match=r"last-state\.safetensors: (is|cannot).*another folder"):
            train(config, cases, tmp_path, resume=True)
    place.write_bytes(whole)
    assert train(config, cases, tmp_path, resume=True).place.epochs_done == 1


def test_states_of_the_format_before_are_still_read(
    cases: ArrayCases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = merge(CONFIG, {"run": {"epochs": 2}})
    whole = train(config, cases, tmp_path / "whole")
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        train(config, cases, tmp_path / "parts", cancelled=lambda: next(asked) >= 4)
    place = tmp_path / "parts" / STATE_FILE
    with safe_open(place, framework="pt") as file:
        header = {key: value for key, value in file.metadata().items() if key != "sha256"}
    save_file(load_file(place), place, {**header, "format": "hirescam-training-state-2"})
    parts = train(config, cases, tmp_path / "parts", resume=True)
    assert _equal(_weights(whole.last), _weights(parts.last))


def test_cases_of_which_nothing_is_known_are_refused(cases: ArrayCases, tmp_path: Path) -> None:
    unknown = replace(cases, targets=np.full_like(cases.targets, np.nan))
    with pytest.raises(InputError, match="nothing to learn"):
        train(CONFIG, unknown, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, b"not a state"])
def test_resuming_from_nothing_is_refused(cases: ArrayCases, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"no saved run|cannot be read"):
        train(CONFIG, cases, tmp_path, resume=True)


def test_a_loss_that_is_not_finite_stops_and_names_the_case(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"optimizer": {"learning_rate": 1e18, "clip_norm": 0.0, "schedule": "constant"}})
    with pytest.raises(InputError, match=r"loss of case case-\d\d is not finite"):
        train(config, cases, tmp_path)


def with_places(cases: ArrayCases) -> ArrayCases:
    blocks = np.zeros((20, 2, 2, 4, 4), dtype=np.uint8)
    for case, volume in enumerate(cases.volumes):
        for label, found in enumerate((volume > 400, volume < -600)):
            blocks[case, label] = found.reshape(2, 3, 4, 8, 4, 8).any(axis=(1, 3, 5))
    return ArrayCases(cases.volumes, cases.targets, cases.labels, cases.case_ids, blocks)


def test_places_teach_the_first_features_to_find_the_labels(cases: ArrayCases, tmp_path: Path) -> None:
    settings = {
        "loss": {"places": 20.0},
        "run": {"epochs": 40, "validation_share": 0.0},
        "augment": {"flip_probability": 0.0, "shift_px": [3, 8, 8], "shift_step_px": [3, 8, 8]},
        "optimizer": {"conditioned_head": True, "norm_frozen_after": 0.8},
    }
    known = with_places(cases)
    model = load_model(train(merge(CONFIG, settings), known, tmp_path).last)
    with torch.inference_mode():
        groups = network_input(torch.from_numpy(known.volumes), model.input_spec)
        z = model.network.features(groups).unflatten(0, (20, -1))
    assert known.blocks is not None
    for label in range(2):
        there = torch.from_numpy(known.blocks[:, label]) > 0
        assert z[:, :, label][there].mean() > 4 * z[:, :, label][~there].mean()


def test_places_must_be_known_and_have_a_feature_each(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"loss": {"places": 1.0}})
    with pytest.raises(InputError, match=r"case case-\d\d has no known places"):
        train(config, cases, tmp_path)
    with pytest.raises(InputError, match="at least 2 features"):
        train(merge(config, {"model": {"custom_channels": [8, 1]}}), with_places(cases), tmp_path)


def test_patience_ends_the_run(cases: ArrayCases, tmp_path: Path) -> None:
    settings = {"run": {"epochs": 50, "patience": 2}, "optimizer": {"learning_rate": 0.0}}
    place = train(merge(CONFIG, settings), cases, tmp_path).place
    assert place.epochs_done < 50
    assert place.best_epoch is not None
    assert place.epochs_done == place.best_epoch + 3


def test_without_validation_the_last_epoch_is_the_best(cases: ArrayCases, tmp_path: Path) -> None:
    config = merge(CONFIG, {"run": {"epochs": 2, "validation_share": 0.0}})
    trained = train(config, cases, tmp_path)
    assert trained.place.best_epoch == 1
    assert _equal(_weights(trained.last), _weights(trained.best))
    assert trained.place.history[0].validation_loss is None


def test_learning_rate_rises_and_falls() -> None:
    settings = replace(CONFIG.optimizer, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert np.argmax(rates) == 10
    assert rates[0] == pytest.approx(1 / 11)
    assert 0 < rates[-1] < 1e-3
    assert learning_rate(replace(settings, schedule="constant"), 70, 100) == 1.0


@pytest.mark.parametrize(
    "settings",
    [
        {"input": {"shape": [7, 32, 32]}},
        {"model": {"cut_stage": 4}},
        {"model": {"architecture": "axialnet", "cut_stage": 4}},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(cases: ArrayCases, tmp_path: Path, settings: dict) -> None:
    with pytest.raises(InputError, match=r"input:|model:"):
        train(merge(CONFIG, settings), cases, tmp_path)


def test_split_and_batches_use_every_case_once(cases: ArrayCases) -> None:
    training, validation = split(cases, 0.25, 3)
    assert validation is not None
    assert sorted(training.case_ids + validation.case_ids) == sorted(cases.case_ids)
    assert isinstance(validation, Subset)
    row = cases.case_ids.index(validation.case_ids[2])
    np.testing.assert_array_equal(validation.hu(2), cases.volumes[row])
    np.testing.assert_array_equal(validation.targets[2], cases.targets[row])
    flat = [case for batch in batches(10, 4, 0, 0) for case in batch]
    assert sorted(flat) == list(range(10))
    assert batches(10, 4, 0, 0) != batches(10, 4, 0, 1)


@pytest.mark.parametrize("fault", ["count", "target"])
def test_cases_that_do_not_fit_together_are_refused(cases: ArrayCases, fault: str) -> None:
    targets = cases.targets.copy()
    targets[3, 1] = 0.5
    wrong = targets if fault == "target" else targets[:5]
    with pytest.raises(InputError, match="case-03" if fault == "target" else "do not fit together"):
        ArrayCases(cases.volumes, wrong, cases.labels, cases.case_ids)
