"""The other networks of Table 1: layers, counts, what their maps are worth, and the way from a CT to scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from training.cohort.report import build_report
from training.cohort.store import read_case, write_case
from training.explain import explain
from training.geometry import Geometry
from training.issues import InputError, Severity
from training.models import Guarantee, Model, Network, NetworkConfig, build_model, new_network, run
from training.models import execute as execute_module
from training.models.baselines import BodyConv
from training.models.build import NETWORKS
from training.models.checkpoint import load_checkpoint, save_checkpoint
from training.models.describe import count_operations, count_parameters, describe
from training.models.weights import load_trunk_weights
from training.preprocess import InputSpec, ModelInput
from training.volume import Volume

LABELS = ("nodule", "mass", "pleural effusion")
BASELINES = ("maxpool", "randinit", "nocustomconv", "bodycam", "ctnet", "bodyconv", "conv3d")
SPEC = InputSpec((4.0, 2.4, 2.4), (81, 162, 192))
"""The smallest that leaves 3DConv and BodyConv a cell; a trunk of 6 x 6 cells."""
OPTIONS = {
    "maxpool": {"custom_channels": (6, 5)},
    "randinit": {"custom_channels": (6, 5)},
    "bodycam": {"custom_channels": (6, 5)},
    "ctnet": {"custom_channels": (6, 5, 4)},
    "bodyconv": {"custom_channels": (6, 5, 4)},
    "conv3d": {"custom_channels": (6, 5)},
}

RESNET18 = 11_176_512  # torchvision's 11,689,512 without its last layer, 512 x 1000 + 1000
CUSTOM = 320_384  # 512 x 64 x 9 + 64, 64 x 32 x 9 + 32, 32 x 16 x 9 + 16, 16 x 16 x 9 + 16
SLICE_TAIL = (64 * 32 * 27 + 32) + (32 * 16 * 12 + 16)  # behind BodyConv's and CTNet's first 3-D convolution
LAST_LAYERS = (128 * 96 + 96) + (96 * 80 + 80)
COUNTS = {
    "maxpool": (RESNET18, CUSTOM, 576 * 80 + 80),
    "randinit": (RESNET18, CUSTOM, 576 * 80 + 80),
    "nocustomconv": (RESNET18, 0, 512 * 14 * 14 * 80 + 80),
    "bodycam": (RESNET18, CUSTOM, 16 * 80 + 80),
    "ctnet": (RESNET18, 135 * 64 * 27 + 64 + SLICE_TAIL, 7200 * 128 + 128 + LAST_LAYERS),
    "bodyconv": (RESNET18, 512 * 64 * 27 + 64 + SLICE_TAIL, 2000 * 128 + 128 + LAST_LAYERS),
    "conv3d": (
        (1 * 64 * 27 + 64) + (64 * 128 * 27 + 128) + (128 * 256 * 27 + 256) + (256 * 512 * 27 + 512),
        (512 * 128 + 128) + (128 * 64 + 64),
        8000 * 128 + 128 + LAST_LAYERS,
    ),
}
TOTALS = {
    "maxpool": 11_543_056,
    "randinit": 11_543_056,
    "nocustomconv": 19_204_752,
    "bodycam": 11_498_256,
    "ctnet": 12_413_216,
    "bodyconv": 12_399_072,
    "conv3d": 5_765_744,
}
Z_SHAPES = {
    "maxpool": (135, 16, 6, 6),
    "randinit": (135, 16, 6, 6),
    "nocustomconv": (135, 512, 14, 14),
    "bodycam": (135, 16, 6, 6),
    "ctnet": (1, 16 * 18, 5, 5),
    "bodyconv": (5, 16, 5, 5),
    "conv3d": (5, 64, 5, 5),
}
GUARANTEES = {
    "maxpool": Guarantee.ONE_FULLY_CONNECTED_MAX,
    "randinit": Guarantee.ONE_FULLY_CONNECTED,
    "nocustomconv": Guarantee.ONE_FULLY_CONNECTED,
    "bodycam": Guarantee.POOLED_FULLY_CONNECTED,
    "ctnet": Guarantee.NO_MAP,
    "bodyconv": Guarantee.NONE,
    "conv3d": Guarantee.NONE,
}


def full_size(architecture: str) -> Network:
    """Shapes alone, no memory."""
    with torch.device("meta"):
        return NETWORKS[architecture](NetworkConfig.from_spec(architecture, InputSpec(), 80))


def small(architecture: str, seed: int = 3) -> Model:
    return build_model(architecture, LABELS, SPEC, seed=seed, width=4, **OPTIONS.get(architecture, {}))


def volume() -> Volume:
    """Noise with a dense block, less tall than the model input, so that there is padding."""
    rng = np.random.default_rng(0)
    hu = rng.normal(-300, 300, (72, 160, 180)).clip(-1000, 800).astype(np.int16)
    hu[20:30, 40:80, 50:90] = 100
    return Volume(hu, Geometry.canonical(hu.shape, SPEC.spacing_mm, (-160.0, -150.0, 30.0)), case_id="noise")


@pytest.fixture(scope="module")
def model_input() -> ModelInput:
    """Noise with three slice groups of air."""
    hu = np.random.default_rng(1).integers(-1000, 1000, SPEC.shape, dtype=np.int16)
    hu[:6] = hu[-3:] = -1000
    return ModelInput(hu, Geometry.canonical(SPEC.shape, SPEC.spacing_mm), SPEC)


# --- full size, on shapes alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", BASELINES)
def test_full_size_counts_are_those_of_the_layers(architecture: str) -> None:
    network = full_size(architecture)
    assert tuple(count_parameters(p) for p in (network.trunk, network.custom, network.head)) == COUNTS[architecture]
    assert count_parameters(network) == TOTALS[architecture]


@pytest.mark.parametrize("architecture", BASELINES)
def test_full_size_shapes(architecture: str) -> None:
    network = full_size(architecture)
    with torch.inference_mode():
        part = network.features(torch.empty((1, 3, 420, 420), device="meta"))
        z = network.combine(part.new_empty((135, *part.shape[1:])))
        assert tuple(z.shape) == Z_SHAPES[architecture]
        assert tuple(network.head(z).shape) == (80,)
    assert (network.cells.n_cells[0], *network.z_shape) == Z_SHAPES[architecture]


def test_operations_at_full_size() -> None:
    voxels = 27 * (1 * 64 * 135 * 140**2 + 64 * 128 * 45 * 46**2 + 128 * 256 * 15**3 + 256 * 512 * 5**3)
    points = (512 * 128 + 128 * 64) * 5**3
    layers = 8000 * 128 + 128 * 96 + 96 * 80
    assert count_operations(full_size("conv3d")) == 2 * (voxels + points + layers)
    counts = {name: count_operations(full_size(name)) for name in ("maxpool", "nocustomconv", "bodycam", "bodyconv")}
    assert counts["maxpool"] == pytest.approx(1.817e12, rel=5e-4)
    custom = 2 * 135 * 9 * (512 * 64 * 144 + 64 * 32 * 100 + 32 * 16 * 64 + 16 * 16 * 36)
    heads = 2 * 135 * 80 * (512 * 196 - 576)
    assert counts["nocustomconv"] - counts["maxpool"] == heads - custom
    assert counts["maxpool"] - counts["bodycam"] == 2 * 80 * (135 * 576 - 16)
    joined = 27 * (512 * 64 * 45 * 144 + 64 * 32 * 15 * 100) + 12 * 32 * 16 * 5 * 25
    assert counts["bodyconv"] == counts["maxpool"] - custom - 2 * 135 * 80 * 576 + 2 * (
        joined + 2000 * 128 + 128 * 96 + 96 * 80
    )


def test_where_the_cells_stand_at_full_size() -> None:
    slices, rows, columns = full_size("bodyconv").cells.fields
    assert rows == columns
    assert rows.centres(5).tolist() == [80, 144, 208, 272, 336]
    assert (slices.size_px, slices.centres(5).tolist()) == (81, [40, 121, 202, 283, 364])
    slices, rows, columns = full_size("conv3d").cells.fields
    assert slices == rows == columns
    assert (rows.size_px, rows.centres(5).tolist()) == (81, [40, 121, 202, 283, 364])
    field = full_size("nocustomconv").cells.fields[1]
    assert (field.size_px, field.centres(14)[[0, 1, -1]].tolist()) == (435, [0, 32, 416])
    assert full_size("maxpool").cells == full_size("bodycam").cells == full_size("randinit").cells
    slices, rows, _ = full_size("ctnet").cells.fields
    assert (slices.size_px, slices.start_px) == (405, 202)
    assert rows == full_size("bodyconv").cells.fields[1]


# --- guarantees -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", BASELINES)
def test_guarantees_are_found(architecture: str) -> None:
    model = small(architecture)
    assert model.guarantee is GUARANTEES[architecture]
    assert (model.architecture, model.z_shape) == (architecture, (model.cells.n_cells[0], *model.network.z_shape))
    facts = describe(model)
    assert facts["guarantee"] == str(GUARANTEES[architecture])
    assert facts["has_maps"] == (architecture != "ctnet")
    assert sum(facts["parameters_of"].values()) == facts["parameters"]
    json.dumps(facts, allow_nan=False)


def test_ctnet_has_no_map_because_every_value_mixes_all_slices_and_many_features() -> None:
    model = small("ctnet")
    network = model.network.double()
    parts = torch.rand((27, 32, 6, 6), dtype=torch.float64, requires_grad=True)
    z = network.combine(parts)
    with torch.no_grad():
        alive = [i for i, value in enumerate(z[0, :, 0, 0]) if value > 0]
    assert alive
    for i in alive:
        (gradient,) = torch.autograd.grad(z[0, i, 0, 0], parts, retain_graph=True)
        assert (gradient.abs().amax((1, 2, 3)) > 0).all()  # no slice group is spared
        assert (gradient.abs().amax((0, 2, 3)) > 0).sum() >= 20  # of 32 features


@pytest.mark.parametrize("architecture", ["bodyconv", "conv3d"])
def test_no_cell_sees_beyond_its_slices(architecture: str) -> None:
    spec = InputSpec((4.0,) * 3, (162, 162, 243))
    model = build_model(architecture, LABELS, spec, width=4, **OPTIONS[architecture])
    network = model.network.double()
    x = torch.rand((54, 3, 162, 243), dtype=torch.float64)
    with torch.inference_mode():
        before = network.combine(network.features(x))
        assert before[0].max() > 0
        x[27:] += 0.5  # slices 81 and later
        after = network.combine(network.features(x))
    field = model.cells.fields[0]
    assert (model.cells.n_cells[0], field.box(0), field.box(1)) == (2, (-0.5, 80.5), (80.5, 161.5))
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


# --- layers, against plain functions ----------------------------------------------------------------------------------


def convolved(modules: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The 3-D convolutions of ``modules`` with the strides that the authors' code has, ReLU after each."""
    strides = ((3, 1, 1), (3, 1, 1), (3, 2, 2))
    layers = [m for m in modules.modules() if isinstance(m, nn.Conv3d)]
    for layer, stride in zip(layers, strides, strict=True):
        x = functional.conv3d(x, layer.weight, layer.bias, stride).relu()
    return x


def scored(head: nn.Module, x: torch.Tensor) -> torch.Tensor:
    first, second, last = (m for m in head.modules() if isinstance(m, nn.Linear))
    return last(second(first(x.flatten()).relu()).relu())


def test_scores_are_those_of_the_stated_layers() -> None:
    x = torch.randn((27, 3, 162, 192), dtype=torch.float64)
    with torch.inference_mode():
        network = small("bodyconv").network.double()
        picture = network.trunk(x).permute(1, 0, 2, 3).unsqueeze(0)
        torch.testing.assert_close(network(x), scored(network.head, convolved(network.custom, picture)))
        network = small("ctnet").network.double()
        torch.testing.assert_close(
            network(x), scored(network.head, convolved(network.custom, network.trunk(x).unsqueeze(0)))
        )
        network = small("conv3d").network.double()
        z = x.view(1, 1, 81, 162, 192)
        for layer in (m for m in nn.Sequential(network.trunk, network.custom).modules() if isinstance(m, nn.Conv3d)):
            z = functional.conv3d(z, layer.weight, layer.bias, stride=layer.kernel_size).relu()
        torch.testing.assert_close(network(x), scored(network.head, z))
        network = small("bodycam").network.double()
        z = network.custom(network.trunk(x))
        torch.testing.assert_close(network(x), network.head.fc(z.mean((0, 2, 3))))
        network = small("nocustomconv").network.double()
        kernel = network.head.weights
        torch.testing.assert_close(
            network(x), functional.conv2d(network.trunk(x), kernel, network.head.bias)[:, :, 0, 0].mean(0)
        )


def test_dropout_is_as_stated_and_sleeps_in_evaluation() -> None:
    rates = {a: [m.p for m in small(a).network.modules() if isinstance(m, nn.Dropout)] for a in BASELINES}
    assert rates["bodyconv"] == rates["ctnet"] == [0.5, 0.5]
    assert rates["conv3d"] == [0.1, 0.1]
    assert not any(rates[a] for a in ("maxpool", "randinit", "nocustomconv", "bodycam"))
    assert not small("bodyconv").network.training


@pytest.mark.parametrize("architecture", BASELINES)
def test_several_cases_go_through_together(architecture: str) -> None:
    network = small(architecture).network.double()
    x = torch.randn((54, 3, 162, 192), dtype=torch.float64)
    with torch.inference_mode():
        both = network.case_scores(x, 2)
        torch.testing.assert_close(both, torch.stack([network(x[:27]), network(x[27:])]))
    assert both.shape == (2, 3)
    assert not torch.allclose(both[0], both[1])


def test_every_parameter_learns() -> None:
    for architecture in ("conv3d", "ctnet", "bodyconv"):
        network = small(architecture).network.train()
        network.case_scores(torch.randn(27, 3, 162, 192), 1).sum().backward()
        assert all(p.grad is not None for p in network.parameters())


# --- the machinery ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", BASELINES)
def test_runs_chunk_by_chunk_and_comes_back_from_its_checkpoint(
    architecture: str, model_input: ModelInput, tmp_path: Path
) -> None:
    model = small(architecture)
    output = run(model, model_input, "cpu", chunk=5)
    with torch.inference_mode():
        x = torch.from_numpy(model_input.group(0, 27))
        z = model.network.combine(model.network.features(x)).numpy()
        scores = model.network(x).numpy()
    assert output.z.shape == model.z_shape
    np.testing.assert_allclose(output.z, z, rtol=1e-4, atol=1e-5 * np.abs(z).max())
    np.testing.assert_allclose(output.scores, scores, rtol=1e-4, atol=1e-5)
    save_checkpoint(tmp_path / "net.safetensors", model)
    again = load_checkpoint(tmp_path / "net.safetensors")
    assert again.network.config == model.network.config
    assert type(again.network) is type(model.network)
    assert again.guarantee is model.guarantee
    np.testing.assert_array_equal(run(again, model_input, "cpu", chunk=5).scores, output.scores)


def test_the_cpu_takes_over_when_the_gpu_cannot_join_the_slices(
    model_input: ModelInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU network whose joining step fails once stands in for a GPU that has run out of memory."""
    model = small("bodyconv")
    expected = run(model, model_input, "cpu")
    failures = [torch.OutOfMemoryError("out of memory"), None]

    def combine(self: BodyConv, parts: torch.Tensor) -> torch.Tensor:
        failure = failures.pop(0)
        if failure is not None:
            raise failure
        return original(self, parts)

    original = BodyConv.combine
    monkeypatch.setattr(BodyConv, "combine", combine)
    parts = execute_module._make_plan(model_input, "cpu", "fp32", None)
    parts.device = torch.device("meta")
    with torch.inference_mode():
        values = model.network.features(torch.from_numpy(model_input.group(0, 27))).numpy()
    z = execute_module._combined(model.network, values, parts, lambda: False)
    np.testing.assert_allclose(z, expected.z, rtol=1e-4, atol=1e-5)
    assert [n.code for n in parts.notices] == ["device-failed"]
    failures[:] = [RuntimeError("shapes do not match")]
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(model, model_input, "cpu")


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [("bodyconv", (78, 192, 192)), ("bodyconv", (81, 160, 192)), ("conv3d", (81, 80, 192)), ("conv3d", (78, 96, 96))],
)
def test_inputs_too_small_are_refused(architecture: str, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="too small"):
        build_model(architecture, LABELS, InputSpec((1.0,) * 3, shape), width=4)
    with pytest.raises(ValueError, match="too small"):
        build_model("ctnet", LABELS, InputSpec((1.0,) * 3, (81, 192, 192)), width=3)


def test_configurations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 custom channels"):
        NetworkConfig("bodyconv")
    with pytest.raises(ValueError, match="0 custom channels"):
        NetworkConfig("nocustomconv", custom_channels=(5,))
    with pytest.raises(ValueError, match="not one of maxpool"):
        NETWORKS["maxpool"](NetworkConfig("bodycam"))


def test_randinit_is_axialnet_without_published_weights(tmp_path: Path) -> None:
    config = NetworkConfig.from_spec("randinit", InputSpec(), 3)
    states = [new_network(c, 5).state_dict() for c in (config, replace(config, architecture="axialnet"))]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert small("randinit").metadata.training == {"weights": "random", "seed": 3, "pretrained": False}
    assert "pretrained" not in small("maxpool").metadata.training
    with pytest.raises(InputError, match="does not start from published weights"):
        load_trunk_weights(small("randinit").network, tmp_path / "resnet18.safetensors")


# --- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["randinit", "nocustomconv", "bodycam", "maxpool", "bodyconv", "conv3d"])
def test_maps_are_gradient_times_z_and_keep_the_books_where_they_should(architecture: str) -> None:
    model = small(architecture)
    result = explain(model, volume(), device="cpu", precision="fp64")
    z = torch.tensor(result.z, requires_grad=True)
    scores = model.network.double().head(z)
    gradient = torch.stack([torch.autograd.grad(s, z, retain_graph=True)[0] for s in scores])
    expected = (gradient * z).sum(2).detach().numpy()
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(result.maps(), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    alpha = gradient.mean((1, 3, 4))
    gradcam = torch.einsum("mf,hfij->mhij", alpha, z).detach().numpy()
    np.testing.assert_allclose(result.maps("gradcam"), gradcam, rtol=1e-5, atol=1e-6 * np.abs(gradcam).max())
    if GUARANTEES[architecture].holds:
        assert result.residual.max() < 1e-10
        assert not result.issues
    else:
        assert result.residual.max() > 1e-4
        assert [(i.code, i.severity) for i in result.issues] == [("no-guarantee", Severity.NOTE)]
        assert result.slice_scores.shape == (3, result.cells.n_cells[0])


def test_maxpool_is_its_highest_slice_group_and_the_map_lies_there_alone() -> None:
    model = small("maxpool")
    result = explain(model, volume(), device="cpu")
    with torch.inference_mode():
        per_slice = model.network.head.slice_scores(torch.from_numpy(result.z)).T.numpy()
    np.testing.assert_allclose(result.slice_scores, per_slice, rtol=1e-6)
    np.testing.assert_allclose(result.scores, per_slice.max(1), rtol=1e-6)
    for label in LABELS:
        used = np.flatnonzero(np.abs(result.map(label)).sum((1, 2)))
        assert used.tolist() == [result.top_slice(label)]
    assert result.residual.max() < 1e-5
    assert result.model.guarantee_holds
    assert "highest slice group" in result.model.guarantee_words


def test_slice_groups_that_share_the_maximum_share_the_map() -> None:
    model = small("maxpool")
    z = torch.rand((2, *model.network.z_shape), dtype=torch.float64)[[0, 0, 1]].requires_grad_()
    score = model.network.double().head(z)[0]
    if model.network.head.slice_scores(z)[2, 0] > score - 1e-9:  # make the twins win
        z = z.detach()[[2, 2, 0]].requires_grad_()
        score = model.network.head(z)[0]
    (gradient,) = torch.autograd.grad(score, z)
    shares = (gradient * z).sum((1, 2, 3))
    assert shares[0] == shares[1]
    assert shares[2] == 0
    torch.testing.assert_close(shares.sum() + model.network.head.bias[0], score)


def test_maxpools_average_maps_are_those_of_an_axialnet_with_its_weights() -> None:
    """As the authors computed OrganIoU for this ablation."""
    model = small("maxpool")
    result = explain(model, volume(), device="cpu", maps="average")
    twin = build_model("axialnet", LABELS, SPEC, width=4, **OPTIONS["maxpool"])
    twin.network.load_state_dict(model.network.state_dict())
    expected = explain(Model(twin.network, LABELS, SPEC, "twin"), volume(), device="cpu")
    for method in ("hirescam", "gradcam"):
        np.testing.assert_array_equal(result.maps(method), expected.maps(method))
    own = explain(model, volume(), device="cpu")
    np.testing.assert_array_equal(result.scores, own.scores)
    np.testing.assert_array_equal(result.slice_scores, own.slice_scores)
    assert not np.allclose(result.maps(), own.maps())
    assert (result.model.map_variant, own.model.map_variant) == ("average", "own")
    assert not result.model.guarantee_holds
    assert result.model.guarantee == "other-pooling"
    assert [i.code for i in result.issues] == ["no-guarantee"]


def test_only_maxpool_has_average_maps() -> None:
    for architecture in ("randinit", "bodycam", "ctnet"):
        with pytest.raises(InputError, match="no maps of the variant 'average'"):
            explain(small(architecture), volume(), device="cpu", maps="average")


def test_ctnet_gives_scores_and_says_why_it_has_no_map(tmp_path: Path) -> None:
    result = explain(small("ctnet"), volume(), device="cpu")
    assert not result.has_maps
    assert np.isfinite(result.probabilities).all()
    assert [(i.code, i.severity) for i in result.issues] == [("no-map", Severity.NOTE)]
    assert "mixes slices and features" in result.issues[0].message
    for ask in (lambda: result.map("nodule"), lambda: result.maps("gradcam"), lambda: result.summary()):
        with pytest.raises(InputError, match="has no maps"):
            ask()
    assert np.isnan(result.residual).all()
    np.testing.assert_array_equal(result.slice_scores, result.scores[:, None])
    report = build_report(result)
    assert json.dumps(report, allow_nan=False)
    assert report["model"]["has_maps"] is False
    assert {one["completeness_residual"] for one in report["labels"]} == {None}
    write_case(tmp_path / "case.zarr", result)
    again = read_case(tmp_path / "case.zarr")
    assert not again.has_maps
    np.testing.assert_array_equal(again.scores, result.scores)
