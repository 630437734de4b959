"""Explaining with real networks: autograd through their heads, where the cells stand, shifts, flips, the run itself."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from training.explain import cam, explain
from training.explain.explainer import peak_rss_bytes
from training.geometry import Geometry
from training.issues import Cancelled, InputError, Severity, note
from training.models.heads import Guarantee, MeanOverSlices, PooledHead
from training.models.model import Model
from training.models.registry import build_model, load_model
from training.preprocess import InputSpec
from training.volume import Volume

ARCHITECTURES = ("axialnet", "axialnet-same", "axialnet-local")
LABELS = ("nodule", "mass", "emphysema", "cardiomegaly")
NARROW = {"width": 4, "custom_channels": (6, 5)}
SMALL = InputSpec(spacing_mm=(2.0, 2.0, 2.0), shape=(12, 160, 176))


def small_model(architecture="axialnet", spec=SMALL, seed=3, **options):
    return build_model(architecture, LABELS, spec, seed=seed, **(NARROW | options))


def with_head(model, head):
    """The same model with another head; its guarantee is found anew."""
    model.network.head = head
    return Model(model.network, model.labels, model.input_spec, model.name)


def small_volume(seed=0, shape=(9, 150, 160), spacing=(2.0, 2.0, 2.0)):
    """Noise with a dense block; a little smaller than the model input, so that there is padding."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(-300, 300, shape).clip(-1000, 800).astype(np.int16)
    hu[3:6, 40:80, 50:90] = 100
    return Volume(hu, Geometry.canonical(shape, spacing, (-160.0, -150.0, 30.0)), case_id="noise")


@pytest.fixture(scope="module")
def volume():
    return small_volume()


def head_gradient(head, z):
    """d score / dz by autograd in float64, [M, H, F, D1, D2], and the scores."""
    leaf = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    scores = head(leaf)
    gradient = [torch.autograd.grad(s, leaf, retain_graph=True)[0].numpy() for s in scores]
    return np.stack(gradient), scores.detach().numpy()


# --- agreement with autograd, float64 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_closed_forms_equal_autograd_through_the_whole_network(architecture):
    network = small_model(architecture).network.double()
    x = torch.randn(4, 3, 160, 176, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = network.features(x).detach().numpy()
    assert z.std() > 0
    gradient, scores = head_gradient(network.head, z)
    w, b = network.head.weights.detach().numpy(), network.head.bias.detach().numpy()
    assert np.allclose(cam.scores(z, w, b), scores, rtol=0, atol=1e-10)
    assert np.allclose(cam.hirescam(z, w), cam.hirescam_from_gradient(z, gradient), rtol=0, atol=1e-10)
    assert np.allclose(cam.gradcam(z, w), cam.gradcam_from_gradient(z, gradient), rtol=0, atol=1e-10)
    assert np.allclose(cam.hirescam(z, w).sum(axis=(1, 2, 3)) + b, scores, rtol=0, atol=1e-10)


def test_pooled_head_hirescam_is_gradcam_is_cam_over_the_cells(volume):
    model = small_model()
    model = with_head(model, PooledHead(model.network.z_shape[0], len(LABELS)))
    result = explain(model, volume, device="cpu")
    assert model.guarantee is Guarantee.POOLED_FULLY_CONNECTED
    assert result.z.max() > 0
    assert np.allclose(result.maps("hirescam"), result.maps("gradcam"), rtol=1e-4, atol=1e-9)
    pooled = model.network.head.fc.weight.detach().numpy()
    n_cells = np.prod(result.cells.n_cells)
    assert np.allclose(result.maps(), cam.cam(result.z, pooled) / n_cells, rtol=1e-4, atol=1e-9)
    assert result.residual.max() < 1e-6


def test_head_of_two_layers_gets_maps_from_its_gradient_and_no_guarantee(volume):
    model = small_model()
    n = int(np.prod(model.network.z_shape))
    torch.manual_seed(0)
    layers = OrderedDict(
        flatten=nn.Flatten(1), a=nn.Linear(n, 8), relu=nn.ReLU(), b=nn.Linear(8, len(LABELS)), mean=MeanOverSlices()
    )
    model = with_head(model, nn.Sequential(layers))
    result = explain(model, volume, device="cpu")
    gradient, scores = head_gradient(model.network.head.double(), result.z)
    assert np.allclose(result.scores, scores, rtol=0, atol=1e-5)
    assert np.allclose(result.maps(), cam.hirescam_from_gradient(result.z, gradient), rtol=0, atol=1e-6)
    assert np.allclose(result.maps("gradcam"), cam.gradcam_from_gradient(result.z, gradient), rtol=0, atol=1e-6)
    assert not result.model.guarantee_holds
    assert [(i.code, i.severity) for i in result.issues] == [("no-guarantee", Severity.NOTE)]


# --- where the cells stand --------------------------------------------------------------------------------------------


def test_cells_of_axialnet_stand_where_the_paper_does_not_draw_them(explanation_factory):
    layout = load_model("axialnet:random").cells
    assert layout.n_cells == (135, 6, 6)
    result = replace(explanation_factory(n_labels=2, n_groups=135), cells=layout)
    at = {}
    for how in ("receptive_field", "stretch"):
        geometry = result.geometry(placement=how)
        world = geometry.to_world([[0, i, i] for i in range(6)])
        at[how] = result.input_geometry.to_index(world)[:, 1]
    assert np.allclose(at["receptive_field"], [128, 160, 192, 224, 256, 288], rtol=0, atol=1e-9)
    assert np.allclose(at["stretch"], [34.5, 104.5, 174.5, 244.5, 314.5, 384.5], rtol=0, atol=1e-9)
    assert np.abs(at["stretch"] - at["receptive_field"]).max() == pytest.approx(96.5)
    assert result.receptive_field_px == (3, 691, 691)
    assert result.field_covers_slice


SHIFT_PX = 32
FULL = InputSpec(shape=(3, 420, 420))


def even_network(architecture):
    """Full size in-plane, narrow, float64; no biases before Z and the same head weights at every cell.

    Without biases an input of zeros is zero in every layer, borders included: only the feature is seen.
    """
    model = build_model(architecture, LABELS, FULL, seed=1, width=8)
    network = model.network.double()
    with torch.no_grad():
        for module in network.custom.modules():
            if isinstance(module, nn.Conv2d):
                module.bias.zero_()
                module.weight.abs_()  # keeps Z above 0 after the last ReLU
        per_feature = network.head.weights.mean(dim=(2, 3), keepdim=True).expand_as(network.head.weights)
        network.head.fc.weight.copy_(per_feature.flatten(1))
    return model


def maps_of(model, x):
    """HiResCAM of all labels in float64 for slice groups x, [M, H, D1, D2]."""
    with torch.no_grad():
        z = model.network.features(x).numpy()
    return cam.hirescam(z, model.network.head.weights.detach().numpy())


def picture(column, row=192, background=0.0):
    """One slice group, even but for a compact feature whose corner is at (row, column)."""
    x = torch.full((1, 3, 420, 420), background, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    x[:, :, row : row + 24, column : column + 24] += torch.rand(1, 3, 24, 24, generator=generator, dtype=torch.float64)
    return x


@pytest.mark.parametrize(
    ("architecture", "jump", "clean"),
    [
        # cells that no path over the picture's edge reaches: exact there
        ("axialnet", 32, slice(1, 4)),
        ("axialnet-same", 32, slice(5, 7)),
        ("axialnet-local", 8, slice(0, 53 - 4)),
    ],
)
def test_a_feature_32_px_further_moves_the_map_by_as_much(architecture, jump, clean):
    model = even_network(architecture)
    before, after = (maps_of(model, picture(column)) for column in (180, 180 + SHIFT_PX))
    moved = SHIFT_PX // jump
    there = slice(clean.start + moved, clean.stop + moved)
    rows = slice(None) if architecture == "axialnet-local" else clean
    assert np.abs(before[:, :, rows, clean]).max() > 0
    scale = np.abs(before).max()
    assert np.allclose(after[:, :, rows, there], before[:, :, rows, clean], rtol=0, atol=1e-12 * scale)
    assert not np.allclose(after[:, :, rows, clean], before[:, :, rows, clean], rtol=0, atol=1e-3 * scale)
    assert model.cells.fields[2].jump_px * moved == SHIFT_PX  # so the placed map moves by the feature's own 32 px


def test_local_map_moves_with_its_feature_over_any_even_background():
    model = build_model("axialnet-local", LABELS, FULL, seed=2, width=8)
    model.network.double()
    weights = model.network.head.weights.mean(dim=(2, 3), keepdim=True).expand_as(model.network.head.weights)
    model.network.head.fc.weight.data.copy_(weights.flatten(1).detach())
    blank = maps_of(model, torch.full((1, 3, 420, 420), 0.3, dtype=torch.float64))
    before, after = (maps_of(model, picture(c, background=0.3)) - blank for c in (180, 180 + SHIFT_PX))
    scale = np.abs(before).max()
    assert np.allclose(after[..., 4:], before[..., :-4], rtol=0, atol=1e-12 * scale)
    reached = np.flatnonzero(np.abs(before).max(axis=(0, 1, 2)) > 1e-12 * scale)
    field = model.cells.fields[2]
    assert reached.size
    for cell in reached:  # a cell moves only if its field meets the feature's px 180 .. 203
        low, high = field.box(int(cell))
        assert low < 203.5
        assert high > 179.5


def test_mirrored_input_and_weights_mirror_the_map():
    """321 px = 10 x 32 + 1: strided layers then stand symmetrically, so a mirrored network can exist."""
    spec = InputSpec(shape=(6, 321, 321))
    model = build_model("axialnet", LABELS, spec, seed=4, width=4)
    network = model.network.double()
    x = torch.randn(2, 3, 321, 321, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain, score = maps_of(model, x), network(x).detach().numpy()
    with torch.no_grad():
        mirrored_head = network.head.weights.flip(-1).flatten(1)
        network.head.fc.weight.copy_(mirrored_head)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(module.weight.flip(-1))
        mirrored_score = network(x.flip(-1)).numpy()
    assert np.abs(plain).max() > 0
    assert np.allclose(maps_of(model, x.flip(-1)), plain[..., ::-1], rtol=0, atol=1e-10)
    assert np.allclose(mirrored_score, score, rtol=0, atol=1e-10)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ct_stored_mirrored_is_explained_the_same(volume, axis):
    model = small_model()
    start, step = [0, 0, 0], [1, 1, 1]
    start[axis], step[axis] = volume.hu.shape[axis] - 1, -1
    stored = Volume(np.flip(volume.hu, axis), volume.geometry.subgrid(start, step, volume.hu.shape), case_id="m")
    one, other = explain(model, volume, device="cpu"), explain(model, stored, device="cpu")
    assert np.array_equal(one.z, other.z)
    assert one.geometry().allclose(other.geometry())
    assert one.image_geometry is volume.geometry


# --- the run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_books_balance_on_every_architecture(architecture, volume):
    result = explain(small_model(architecture), volume, device="cpu")
    assert np.abs(result.scores).max() > 0
    assert result.residual.max() <= 1e-6
    assert result.issues == ()
    assert set(result.seconds) == {"preprocess", "trunk", "maps"}
    assert result.labels == LABELS
    assert (result.case_id, result.device, result.precision) == ("noise", "cpu", "fp32")
    assert result.z.shape[0] == 4
    assert np.allclose(result.slice_scores.mean(axis=1), result.scores, rtol=0, atol=1e-5)
    assert result.model.guarantee == "one-fully-connected"
    assert result.model.guarantee_holds
    assert result.peak_rss_bytes > 10_000_000


def test_fp64_keeps_its_books_to_1e_10_and_agrees_with_fp32(volume):
    exact = explain(small_model(), volume, device="cpu", precision="fp64")
    assert exact.z.dtype == np.float64
    assert exact.precision == "fp64"
    assert exact.residual.max() <= 1e-10
    assert exact.issues == ()
    assert np.allclose(exact.scores, explain(small_model(), volume, device="cpu").scores, rtol=0, atol=1e-5)


def test_fp64_keeps_the_books_of_a_pooled_head_to_1e_10(volume):
    model = small_model()
    exact = explain(with_head(model, PooledHead(model.network.z_shape[0], len(LABELS))), volume, precision="fp64")
    assert exact.residual.max() <= 1e-10
    assert exact.issues == ()
    assert np.allclose(exact.maps("hirescam"), exact.maps("gradcam"), rtol=1e-6, atol=0)


def test_bf16_keeps_its_books_too(volume):
    result = explain(small_model(), volume, device="cpu", precision="bf16")
    assert result.precision == "bf16"
    assert result.residual.max() <= 1e-4
    assert result.issues == ()


def test_maps_stand_in_the_patient(volume):
    """A dense block in air: the local network's strongest cell for it lies over it, in LPS mm."""
    shape = (12, 160, 176)
    hu = np.full(shape, -1000, dtype=np.int16)
    hu[3:6, 40:56, 100:116] = 700
    geometry = Geometry.canonical(shape, (2.0, 2.0, 2.0), (-100.0, 40.0, 500.0))
    model = small_model("axialnet-local")
    air = explain(model, Volume(np.full_like(hu, -1000), geometry), device="cpu")
    block = explain(model, Volume(hu, geometry), device="cpu")
    change = np.abs(block.z - air.z).sum(axis=1)
    peak = np.unravel_index(change.argmax(), change.shape)
    place = block.geometry().to_world(peak)
    middle = geometry.to_world([4, 47.5, 107.5])
    assert np.abs(place - middle).max() <= 40  # field of 99 px = 198 mm; the block is 32 mm wide
    assert change[[0, 2, 3]].max() < 1e-5 * change.max()  # the other slice groups did not see it


def test_issues_of_the_volume_are_carried(volume):
    result = explain(small_model(), volume.with_issues(note("repair", "one slice interpolated.")), device="cpu")
    assert [i.code for i in result.issues] == ["repair"]


def test_progress_names_its_stages_and_counts_up(volume):
    calls = []
    explain(small_model(), volume, device="cpu", progress=lambda *call: calls.append(call))
    assert list(dict.fromkeys(stage for _, _, stage in calls)) == ["preprocess", "trunk", "maps"]
    trunk = [done for done, _, stage in calls if stage == "trunk"]
    assert trunk == sorted(set(trunk))
    assert (trunk[0], trunk[-1]) == (0, 4)
    assert calls[-1] == (1, 1, "maps")


@pytest.mark.parametrize("allowed", [0, 1, 3, 4])
def test_cancelling_stops_at_every_stage(volume, allowed):
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > allowed

    with pytest.raises(Cancelled):
        explain(small_model(), volume, device="cpu", cancelled=cancelled)
    assert len(asked) == allowed + 1


def test_network_that_gives_nan_is_refused(volume):
    model = small_model()
    with torch.no_grad():
        model.network.custom[0].bias.fill_(float("nan"))
    with pytest.raises(InputError, match="not"):
        explain(model, volume, device="cpu")


def test_peak_memory_does_not_go_down():
    assert peak_rss_bytes() <= peak_rss_bytes()
