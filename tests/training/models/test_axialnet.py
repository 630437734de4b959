"""AxialNet and its relatives: layers, shapes, counts, and what a cell can see."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from training.models import AxialNet, AxialNetConfig, build_network
from training.models.axialnet import resnet_trunk
from training.models.describe import count_operations, count_parameters
from training.preprocess import InputSpec

FAMILY = [
    AxialNetConfig("axialnet", 2, width=4, custom_channels=(6, 4, 4, 3), in_plane=(928, 992), n_groups=1),
    AxialNetConfig("axialnet-same", 2, width=4, custom_channels=(6, 4, 4, 3), in_plane=(928, 992), n_groups=1),
    AxialNetConfig("axialnet-local", 2, width=8, cut_stage=2, custom_channels=(6, 3), in_plane=(160, 184), n_groups=1),
    AxialNetConfig("axialnet-local", 2, width=8, cut_stage=3, custom_channels=(6, 3), in_plane=(320, 352), n_groups=1),
]
NAMES = ["axialnet", "axialnet-same", "axialnet-local 2", "axialnet-local 3"]


@pytest.fixture(scope="module", params=FAMILY, ids=NAMES)
def network(request: pytest.FixtureRequest) -> AxialNet:
    """Random weights in float64, running statistics of batch normalisation included."""
    made = build_network(request.param, seed=1).double()
    generator = torch.Generator().manual_seed(2)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.uniform_(module.bias, 0.1, 0.2, generator=generator)  # keeps the last ReLUs open
    return made


def picture(network: AxialNet, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, 3, *network.config.in_plane), generator=generator, dtype=torch.float64)


def test_full_size_counts_are_the_papers() -> None:
    network = AxialNet(AxialNetConfig())
    assert count_parameters(network.custom) == 320_384
    assert [count_parameters(m) for m in network.custom if isinstance(m, nn.Conv2d)] == [294_976, 18_464, 4_624, 2_320]
    assert count_parameters(network.head) == 46_160
    resnet = torchvision.models.resnet18()
    assert count_parameters(network.trunk) == count_parameters(resnet) - count_parameters(resnet.fc)
    assert count_operations(network) == pytest.approx(1.817e12, rel=5e-4)


@pytest.mark.parametrize(
    ("architecture", "options", "z_shape", "trunk"),
    [
        ("axialnet", {}, (16, 6, 6), (512, 14, 14)),
        ("axialnet-same", {}, (16, 14, 14), (512, 14, 14)),
        ("axialnet-local", {}, (16, 53, 53), (128, 53, 53)),
        ("axialnet-local", {"cut_stage": 3}, (16, 27, 27), (256, 27, 27)),
    ],
)
def test_full_size_shapes(
    architecture: str, options: dict[str, int], z_shape: tuple[int, ...], trunk: tuple[int, ...]
) -> None:
    network = build_network(AxialNetConfig.from_spec(architecture, InputSpec(), 80, **options), seed=0)
    with torch.inference_mode():
        middle = network.trunk(torch.randn(1, 3, 420, 420))
        z = network.custom(middle)
        scores = network.head(z)
    assert tuple(middle.shape[1:]) == trunk
    assert tuple(z.shape[1:]) == z_shape == network.z_shape
    assert z.min() >= 0  # the last convolution has a ReLU too
    assert tuple(scores.shape) == (80,)
    assert network.cells.n_cells == (135, *z_shape[1:])


def test_stated_fields_at_full_size() -> None:
    fields = AxialNet(AxialNetConfig()).cells.fields
    assert (fields[0].size_px, fields[0].jump_px, fields[0].start_px) == (3, 3, 1)
    assert fields[1] == fields[2]
    assert fields[1].centres(6).tolist() == [128, 160, 192, 224, 256, 288]
    assert fields[1].size_px == 691
    local = AxialNet(AxialNetConfig("axialnet-local", cut_stage=2)).cells.fields[1]
    assert (local.size_px, local.jump_px, local.start_px) == (99, 8, 0)
    middle = AxialNet(AxialNetConfig("axialnet-local", cut_stage=3)).cells.fields[1]
    assert (middle.size_px, middle.jump_px) == (211, 16)


def test_the_trunk_is_torchvisions_resnet18() -> None:
    resnet = torchvision.models.resnet18().eval()
    for module in resnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
    trunk = resnet_trunk(3, 64, 4).eval()
    trunk.load_state_dict({k: v for k, v in resnet.state_dict().items() if not k.startswith("fc.")})
    reference = nn.Sequential(*list(resnet.children())[:-2])
    x = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        assert torch.equal(trunk(x), reference(x))


def test_narrow_trunks_are_scaled_throughout() -> None:
    trunk = resnet_trunk(5, 16, 3)
    assert trunk.conv1.weight.shape == (16, 5, 7, 7)
    assert trunk.layer3[1].conv2.weight.shape == (64, 64, 3, 3)
    assert not hasattr(trunk, "layer4")


def test_no_cell_sees_beyond_its_box(network: AxialNet) -> None:
    x = picture(network).requires_grad_()
    z = network.features(x)
    _, rows, columns = network.cells.n_cells
    assert tuple(z.shape[2:]) == (rows, columns)
    for i, j in [(0, 0), (rows // 2, columns // 2), (rows - 1, 2)]:
        (gradient,) = torch.autograd.grad(z[0, :, i, j].sum(), x, retain_graph=True)
        seen = np.argwhere((gradient[0] != 0).any(0).numpy())
        assert len(seen) > 100
        for axis, cell in ((0, i), (1, j)):
            low, high = network.cells.fields[axis + 1].box(cell)
            n_px = network.config.in_plane[axis]
            assert seen[:, axis].min() - 0.5 >= max(low, -0.5)
            assert seen[:, axis].max() + 0.5 <= min(high, n_px - 0.5)


def test_the_stated_box_is_not_too_large(network: AxialNet) -> None:
    """What a cell in the middle sees comes near all four edges of its box: deep corners of the network reach there."""
    _, rows, columns = network.cells.n_cells
    cell = (rows // 2, columns // 2)
    seen = []
    for seed in range(2):
        x = picture(network, seed).requires_grad_()
        (gradient,) = torch.autograd.grad(network.features(x)[0, :, cell[0], cell[1]].sum(), x)
        seen.append(np.argwhere((gradient[0] != 0).any(0).numpy()))
    points = np.concatenate(seen)
    for axis in (0, 1):
        low, high = network.cells.fields[axis + 1].box(cell[axis])
        n_px = network.config.in_plane[axis]
        slack = 0.06 * (high - low)
        assert points[:, axis].min() <= max(low, 0) + slack
        assert points[:, axis].max() >= min(high, n_px - 1) - slack


def test_moving_the_picture_by_one_jump_moves_z_by_one_cell(network: AxialNet) -> None:
    x = picture(network)
    for axis in (1, 2):
        field, n_px = network.cells.fields[axis], network.config.in_plane[axis - 1]
        with torch.inference_mode():
            before = network.features(x)
            after = network.features(x.roll(int(field.jump_px), dims=axis + 1))
        n_cells = network.cells.n_cells[axis]
        inner = [c for c in range(n_cells - 1) if field.box(c)[0] >= -0.5 and field.box(c + 1)[1] <= n_px - 0.5]
        assert len(inner) >= 2
        here = torch.tensor(inner)
        moved, kept = after.index_select(axis + 1, here + 1), before.index_select(axis + 1, here)
        assert (moved - kept).abs().max() <= 1e-12 * before.abs().max()
        assert (after.index_select(axis + 1, here) - kept).abs().max() > 1e-6 * before.abs().max()


def test_slice_groups_do_not_depend_on_each_other_in_evaluation(network: AxialNet) -> None:
    x = torch.cat([picture(network, seed)[..., :320, :320] for seed in range(3)])
    with torch.inference_mode():
        together = network.features(x)
        apart = torch.cat([network.features(x[i : i + 1]) for i in range(3)])
    assert (together - apart).abs().max() <= 1e-12 * together.abs().max()


def test_the_batch_is_the_ct_in_training_mode() -> None:
    config = AxialNetConfig("axialnet-same", 2, width=8, n_groups=4, in_plane=(64, 64))
    network = build_network(config, seed=0).train()
    network(torch.randn(4, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network.trunk.bn1.num_batches_tracked == 1


def test_scores_are_the_mean_of_slice_scores() -> None:
    config = AxialNetConfig("axialnet-same", 5, width=8, n_groups=4, in_plane=(64, 96))
    network = build_network(config, seed=0).double()
    x = torch.randn(4, 3, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        z = network.features(x)
        per_slice = torch.einsum("mfij,hfij->hm", network.head.weights, z) + network.head.bias
        torch.testing.assert_close(network.head.slice_scores(z), per_slice)
        torch.testing.assert_close(network(x), per_slice.mean(0))


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    config = AxialNetConfig("axialnet-local", 2, width=4, cut_stage=2)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    states = [build_network(config, seed).state_dict() for seed in (5, 5, 6)]
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not torch.equal(states[0]["trunk.conv1.weight"], states[2]["trunk.conv1.weight"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"architecture": "vgg"}, "architecture"),
        ({"cut_stage": 3}, "cut_stage"),
        ({"architecture": "axialnet-local"}, "cut_stage"),
        ({"width": 0}, "positive"),
        ({"custom_channels": ()}, "positive"),
        ({"in_plane": (420,)}, "positive"),
        ({"colour": 1}, "colour"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        AxialNetConfig.from_dict({**AxialNetConfig().to_dict(), **change})


def test_configuration_goes_through_json() -> None:
    config = FAMILY[3]
    assert AxialNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_inputs_too_small_for_the_unpadded_convolutions_are_refused() -> None:
    assert AxialNet(AxialNetConfig(width=4, in_plane=(257, 257))).z_shape == (16, 1, 1)
    with pytest.raises(ValueError, match="256 x 420 px is too small"):
        AxialNet(AxialNetConfig(width=4, in_plane=(256, 420)))
