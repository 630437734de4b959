"""Models by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.issues import InputError
from training.labels import label_names
from training.models import ARCHITECTURES, CheckpointMetadata, Guarantee, Model, build_model, load_model, registry
from training.models.checkpoint import save_checkpoint
from training.models.describe import describe
from training.preprocess import InputSpec

AXIALNETS = ("axialnet", "axialnet-same", "axialnet-local")


def test_all_of_table_1_can_be_asked_for() -> None:
    others = ("maxpool", "randinit", "nocustomconv", "bodycam", "ctnet", "bodyconv", "conv3d")
    assert (*AXIALNETS, *others) == ARCHITECTURES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_random_models_are_the_papers_size_and_follow_their_seed(architecture: str) -> None:
    model = load_model(f"{architecture}:random")
    assert model.architecture == architecture
    assert model.labels == label_names()
    assert model.input_spec == InputSpec()
    assert model.z_shape[0] == model.cells.n_cells[0]
    assert model.name == f"{architecture}:random"
    assert model.sha256 == load_model(f"{architecture}:random:0").sha256
    assert model.sha256 != load_model(f"{architecture}:random:1").sha256
    assert model.metadata.training.items() >= {"weights": "random", "seed": 0}.items()


@pytest.mark.parametrize("architecture", AXIALNETS)
def test_the_family_is_one_layer_on_135_slice_groups(architecture: str) -> None:
    model = build_model(architecture)
    assert model.guarantee is Guarantee.ONE_FULLY_CONNECTED
    assert model.z_shape[0] == 135


def test_a_path_is_a_checkpoint(small_model: Model, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, small_model)
    assert load_model(path).labels == load_model(str(path)).labels == small_model.labels


def test_demo_is_the_shipped_checkpoint(small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "demo.safetensors"
    monkeypatch.setattr(registry, "demo_path", lambda: path)
    with pytest.raises(InputError, match="not in this installation"):
        load_model("demo")
    save_checkpoint(path, small_model)
    assert load_model("demo").name == "demo"


def test_the_shipped_checkpoint_lies_in_the_package() -> None:
    path = registry.demo_path()
    assert path.name == "demo.safetensors"
    assert path.parent.joinpath("labels.csv").is_file()


@pytest.mark.parametrize("name", ["axialnet", "vgg:random", "axialnet:random:x", "nothing.safetensors", "", "Demo"])
def test_unknown_names_list_the_choices(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"demo, axialnet:random, axialnet-same:random, axialnet-local:random"):
        load_model(name)


def test_models_check_that_their_parts_belong_together(small_model: Model) -> None:
    parts = (small_model.network, small_model.labels, small_model.input_spec)
    with pytest.raises(ValueError, match="3 outputs"):
        Model(parts[0], parts[1][:2], parts[2], "m")
    with pytest.raises(ValueError, match="different"):
        Model(parts[0], ("a", "a", "b"), parts[2], "m")
    with pytest.raises(ValueError, match="input spec"):
        Model(parts[0], parts[1], InputSpec(), "m")


def test_the_hash_of_weights_sees_every_change(small_model: Model) -> None:
    with torch.no_grad():
        small_model.network.head.bias[1] += 1e-6
    changed = Model(small_model.network, small_model.labels, small_model.input_spec, "m")
    assert changed.sha256 != small_model.sha256


def test_options_reach_the_network() -> None:
    spec = InputSpec((2.4,) * 3, (30, 96, 80))
    model = build_model("axialnet-local", ("a",), spec, width=8, cut_stage=3, custom_channels=(5,))
    assert model.network.config.cut_stage == 3
    assert model.z_shape == (10, 5, 6, 5)


def test_a_model_describes_itself(small_model: Model) -> None:
    facts = describe(small_model)
    assert facts["receptive_field_px"] == [3, 99, 99]
    assert facts["receptive_field_mm"] == pytest.approx([7.2, 237.6, 237.6])
    assert facts["z_shape"] == [10, 16, 12, 10]
    assert facts["parameters"] == sum(p.numel() for p in small_model.network.parameters())
    assert facts["operations"] > 10 * 2 * 96 * 80 * 3 * 8 * 49 / 4  # more than the first convolution alone
    assert CheckpointMetadata().to_dict()["licence"] == ""
