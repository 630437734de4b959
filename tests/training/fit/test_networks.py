"""Every architecture can be trained, at reduced size, and leaves a checkpoint that loads; what cannot be is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.fit import ArrayCases, TrainConfig, train
from training.fit.config import merge
from training.fit.network import input_spec, make_batch, make_network, network_input
from training.geometry import Geometry
from training.issues import InputError
from training.models import ARCHITECTURES, load_model
from training.preprocess import InputSpec, ModelInput

JOINING = ("ctnet", "bodyconv", "conv3d")
SIZES: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys(("axialnet-same", "axialnet-local", "nocustomconv"), (6, 96, 96)),
    **dict.fromkeys(("axialnet", "randinit", "maxpool", "bodycam"), (6, 162, 162)),
    **dict.fromkeys(("ctnet", "bodyconv"), (81, 162, 162)),
    "conv3d": (81, 81, 81),
}
CHANNELS = {"nocustomconv": [], "ctnet": [4, 4, 3], "bodyconv": [16, 16, 16], "conv3d": [16, 16]}


def config_of(architecture: str, **changes: Any) -> TrainConfig:
    settings = {
        "model": {
            "architecture": architecture,
            "width": 4,
            "custom_channels": CHANNELS.get(architecture, [4, 3]),
        },
        "input": {"shape": SIZES[architecture], "spacing_mm": [4, 2, 2]},
        "run": {"epochs": 1, "validation_share": 0.5, "device": "cpu", "threads": 1, "tensorboard": False},
    }
    return merge(merge(TrainConfig(), settings), changes)


def cases_of(shape: tuple[int, int, int], n: int = 2) -> ArrayCases:
    rng = np.random.default_rng(0)
    volumes = rng.integers(-1000, 800, (n, *shape)).astype(np.int16)
    targets = np.array([[1, 0, np.nan]] * n, dtype=np.float32)
    return ArrayCases(volumes, targets, ("lung nodule", "emphysema", "cardiomegaly"), tuple(f"c{i}" for i in range(n)))


def test_the_sizes_here_are_of_all_architectures() -> None:
    assert set(SIZES) == set(ARCHITECTURES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_trained_and_loads(architecture: str, tmp_path: Path) -> None:
    config = config_of(architecture)
    before = make_network(config, 3).state_dict()
    trained = train(config, cases_of(SIZES[architecture]), tmp_path)
    model = load_model(trained.last)
    assert (model.architecture, model.input_spec) == (architecture, input_spec(config))
    assert model.guarantee is make_network(config, 3).guarantee()
    moved = [name for name, value in model.network.state_dict().items() if not torch.equal(value, before[name])]
    parts = {name.partition(".")[0] for name in moved}
    assert parts == ({"trunk", "head"} if architecture == "nocustomconv" else {"trunk", "custom", "head"})
    assert np.isfinite([trained.place.history[0].training_loss, trained.place.history[0].validation_loss]).all()


@pytest.mark.parametrize("architecture", ["axialnet-local", "conv3d"])
def test_the_scores_that_are_trained_are_those_of_the_model(architecture: str) -> None:
    config = config_of(architecture)
    batch = make_batch(config, 3).eval()
    hu = torch.from_numpy(cases_of(SIZES[architecture]).volumes)
    groups = network_input(hu, input_spec(config))
    with torch.inference_mode():
        found = batch(groups, 2).scores
        expected = torch.stack([batch.finished()(case) for case in groups.chunk(2)])
    torch.testing.assert_close(found, expected)


def test_defaults_are_the_architectures_own_layers() -> None:
    for architecture in ("axialnet", "axialnet-local", "ctnet", "conv3d"):
        network = make_network(merge(TrainConfig(), {"model": {"architecture": architecture, "width": 4}}), 80)
        assert network.config.custom_channels == {"ctnet": (64, 32, 16), "conv3d": (128, 64)}.get(
            architecture, (64, 32, 16, 16)
        )
        assert network.config.cut_stage == (2 if architecture == "axialnet-local" else 4)


def test_a_trunk_can_come_from_another_checkpoint(tmp_path: Path) -> None:
    first = train(config_of("axialnet-same"), cases_of(SIZES["axialnet-same"]), tmp_path / "first").last
    config = config_of("axialnet-local", model={"trunk_weights": str(first), "cut_stage": 3}, run={"seed": 5})
    trunk, given = make_network(config, 3).trunk.state_dict(), load_model(first).network.trunk.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in trunk.items())
    assert len(trunk) < len(given)
    with pytest.raises(InputError, match="randinit does not start"):
        make_network(config_of("randinit", model={"trunk_weights": str(first)}), 3)


@pytest.mark.parametrize("architecture", JOINING)
def test_what_needs_one_layer_is_refused_for_others(architecture: str) -> None:
    for changes, fact in (
        ({"loss": {"mask": "authors"}}, "needs one fully connected layer"),
        ({"optimizer": {"conditioned_head": True}}, "needs one fully connected layer and a mean"),
        ({"loss": {"places": 1.0}}, "see one slice group each"),
    ):
        with pytest.raises(InputError, match=fact):
            make_batch(config_of(architecture, **changes), 3)


def test_slices_that_are_not_square_must_not_be_turned() -> None:
    oblong = {"input": {"shape": [6, 96, 128]}}
    with pytest.raises(InputError, match=r"96 x 128 px cannot be turned \(augment.rotate_probability = 0\)"):
        make_network(config_of("axialnet-local", **oblong), 3)
    make_network(config_of("axialnet-local", **oblong, augment={"rotate_probability": 0.0}), 3)


def test_the_input_is_that_of_the_model_to_the_last_bit() -> None:
    spec = InputSpec((4.0, 2.0, 2.0), (6, 20, 24), (-950.0, 333.0), -0.449)
    hu = np.random.default_rng(3).integers(-1000, 1000, (2, *spec.shape)).astype(np.int16)
    found = network_input(torch.from_numpy(hu), spec)
    grid = Geometry.canonical(spec.shape, spec.spacing_mm)
    expected = np.concatenate([ModelInput(one, grid, spec).group(0, 2) for one in hu])
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(found.numpy(), expected)
