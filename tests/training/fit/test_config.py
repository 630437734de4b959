"""Training settings: typed, documented, overridable, and refused with reasons."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from training.fit.config import TrainConfig, load_config, merge, override, setting_name, to_toml
from training.issues import InputError


def test_defaults_are_the_papers_recipe() -> None:
    config = TrainConfig()
    assert (config.optimizer.name, config.optimizer.learning_rate, config.optimizer.momentum) == ("sgd", 1e-3, 0.99)
    assert (config.optimizer.weight_decay, config.run.batch_size, config.run.patience) == (1e-7, 1, 15)
    assert (config.input.shape, config.input.clip_hu, config.input.offset) == ((405, 420, 420), (-1000, 800), -0.449)


def test_toml_lists_every_setting_with_its_documentation_and_reads_back(tmp_path: Path) -> None:
    config = override(
        TrainConfig(), ["run.epochs=3", 'model.trunk_weights="a \\"b\\".pth"', "augment.shift_px=[1,2,3]"]
    )
    text = to_toml(config)
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path) == config
    for section in dataclasses.fields(config):
        for item in dataclasses.fields(getattr(config, section.name)):
            assert f"# {item.metadata['doc']}\n{setting_name(item)} = " in text
    assert tomllib.loads(text)["run"]["epochs"] == 3


def test_round_trip_through_json_types() -> None:
    config = override(TrainConfig(), ["input.shape=[8,16,16]"])
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_every_fault_is_named_at_once() -> None:
    data = {
        "run": {"epochs": 0, "epoch": 4, "seed": 1.5},
        "model": {"architecture": "resnet"},
        "input": {"shape": [1, 2]},
        "nonsense": {},
        "optimizer": 3,
    }
    with pytest.raises(InputError) as caught:
        merge(TrainConfig(), data, "my.toml")
    text = str(caught.value)
    assert len(caught.value.issues) == 7
    for name in ("run.epochs", "run.epoch", "run.seed", "model.architecture", "input.shape", "nonsense", "optimizer"):
        assert name in text
    assert "at least 1" in text
    assert "axialnet-local" in text
    assert all(issue.file == "my.toml" for issue in caught.value.issues)


@pytest.mark.parametrize(
    "setting", ["run.epochs", "epochs=3", "run.epochs=many", "run.threads=true", "loss.positive_weight_limit=nan"]
)
def test_bad_overrides_are_refused(setting: str) -> None:
    with pytest.raises(InputError, match=r"is not|must be"):
        override(TrainConfig(), [setting])


def test_strings_need_no_quotes_and_integers_serve_as_floats() -> None:
    config = override(TrainConfig(), ["model.architecture=axialnet-local", "optimizer.learning_rate=1"])
    assert config.model.architecture == "axialnet-local"
    assert config.optimizer.learning_rate == 1.0


@pytest.mark.parametrize(("content", "fact"), [(None, "no such file"), ("a = ", "not a TOML file")])
def test_unreadable_files_are_refused(tmp_path: Path, content: str | None, fact: str) -> None:
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=fact):
        load_config(path)


def test_all_faulty_changes_are_told_at_once() -> None:
    changes = ["run.epochs=x", "nothing.a=1", "foo", "run.seed=3", "optimizer.momentum=9"]
    with pytest.raises(InputError) as refusal:
        override(TrainConfig(), changes)
    words = [issue.message for issue in refusal.value.issues]
    assert len(words) == 4
    assert ["run.epochs" in words[0], "nothing" in words[1], "foo" in words[2], "momentum" in words[3]] == [True] * 4
