"""The losses of a batch: unknown labels count nothing, and the mask loss is that of the case's own regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.fit.feed import Batch, Loader, Regions
from training.fit.mask_loss import mask_loss
from training.fit.network import Outputs
from training.fit.objective import Objective, require_finite
from training.fit.regions import allowed_cells, considered_labels, organ_choice, region_request
from training.fit.settings import AugmentSettings, LossSettings
from training.geometry import CellLayout, ReceptiveField
from training.issues import InputError
from training.partition.allowed import RegionSettings, allowed_regions
from training.preprocess import InputSpec

LABELS = ("lung nodule", "cardiomegaly", "emphysema", "a label of one's own")
TARGETS = np.array([[1, 0, np.nan, 1], [1, 1, 1, 0]], dtype=np.float32)
SIDES = {"lung nodule": frozenset({"left"})}
SPEC = InputSpec((4.0, 2.0, 2.0), (12, 16, 16))
CELLS = CellLayout((4, 4, 4), (ReceptiveField(3, 3, 1), ReceptiveField(4, 4, 1.5), ReceptiveField(4, 4, 1.5)))


class Cases:
    """Two cases whose organs are thirds of the slice."""

    labels, case_ids, targets = LABELS, ("a", "b"), TARGETS

    def hu(self, case: int) -> np.ndarray:
        return np.arange(12 * 16 * 16, dtype=np.int16).reshape(12, 16, 16) + case

    def places(self, case: int) -> None:
        return None

    def organ_cells(self, case: int, request: object) -> np.ndarray | None:
        cells = np.zeros((3, 4, 4, 4), np.float32)
        cells[0, ..., 0] = cells[1, ..., 3] = cells[2, ..., 1:3] = 1
        return cells

    def sides(self, case: int) -> dict[str, frozenset[str]]:
        return SIDES if case == 0 else {}


def outputs(weights: bool = True) -> Outputs:
    generator = torch.Generator().manual_seed(0)
    z = [torch.rand((4, 3, 4, 4), generator=generator, requires_grad=True) for _ in range(2)]
    w = torch.randn((4, 3, 4, 4), generator=generator, requires_grad=True)
    scores = torch.stack([torch.einsum("mfij,hfij->m", w, case) / 4 for case in z])
    return Outputs(scores, None, tuple(z), w if weights else None)


def batch(loss: LossSettings, augment: AugmentSettings | None = None, epoch: int = 0) -> Batch:
    request = None if loss.mask == "none" else region_request(loss, SPEC, CELLS)
    return Loader(Cases(), augment, 0, request).load((0, 1), epoch)


def test_unknown_labels_cost_and_teach_nothing() -> None:
    found = outputs()
    losses = Objective(LossSettings(), torch.ones(4)).losses(found, batch(LossSettings()))
    (gradient,) = torch.autograd.grad(losses.total.sum(), found.scores)
    known = ~np.isnan(TARGETS)
    np.testing.assert_array_equal(gradient.numpy() != 0, known)
    p = 1 / (1 + np.exp(-found.scores.detach().double().numpy()))
    by_label = -np.log(np.where(TARGETS == 1, p, 1 - p))
    expected = np.array([by_label[i][known[i]].mean() for i in range(2)])
    np.testing.assert_allclose(losses.total.detach().numpy(), expected, rtol=1e-5)
    nothing = batch(LossSettings())._replace(targets=torch.full((2, 4), np.nan))
    assert Objective(LossSettings(), torch.ones(4)).losses(found, nothing).total.tolist() == [0, 0]


@pytest.mark.parametrize("variant", ["authors", "paper", "l2"])
@pytest.mark.parametrize("on", ["hirescam", "gradcam"])
def test_the_mask_loss_is_that_of_the_allowed_regions(variant: str, on: str) -> None:
    settings = LossSettings(mask=variant, mask_on=on, lambda_=0.7)  # type: ignore[arg-type]
    found, objective = outputs(), Objective(settings, torch.ones(4))
    assert objective.mask is not None
    losses = objective.losses(found, batch(settings))
    plain = Objective(LossSettings(), torch.ones(4)).losses(found, batch(LossSettings()))
    assert losses.mask is not None
    torch.testing.assert_close(losses.total, plain.total + 0.7 * losses.mask)
    cells = dict(zip((1, 2, 3), Cases().organ_cells(0, None), strict=True))
    for case, (present, looked_at) in enumerate(
        [({"lung nodule": frozenset({"left"})}, (0, 1)), ({n: frozenset() for n in LABELS[:3]}, (0, 1, 2))]
    ):
        own = [name for name in LABELS[:3] if name in present]
        regions = allowed_regions(cells, LABELS[:3], {n: present[n] for n in own}, RegionSettings())
        rows = list(looked_at)
        assert found.weights is not None
        expected = mask_loss(
            found.z[case], found.weights[rows], torch.from_numpy(regions.allowed[rows]), settings=objective.mask
        )
        torch.testing.assert_close(losses.mask[case], expected)


def test_regions_follow_the_scan() -> None:
    settings = LossSettings(mask="authors")
    still, flipped = batch(settings), batch(settings, AugmentSettings(1.0, 1.0))
    assert still.regions is not None
    assert flipped.regions is not None
    for case in range(2):
        hu, before = still.hu[case], still.regions.organ_cells[case]
        for turns in range(4):
            for axis in (-3, -2, -1):
                if torch.equal(torch.rot90(hu.flip(axis), turns, (-2, -1)), flipped.hu[case]):
                    after = torch.rot90(before.flip(axis), turns, (-2, -1))
                    assert torch.equal(after, flipped.regions.organ_cells[case])
    assert not torch.equal(flipped.hu, still.hu)
    torch.testing.assert_close(still.regions.choice, flipped.regions.choice)


def test_choices_sides_and_what_is_looked_at() -> None:
    settings = RegionSettings()
    first = organ_choice(LABELS, TARGETS[0], SIDES, settings)
    assert first.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert organ_choice(LABELS, TARGETS[0], SIDES, replace(settings, side="both"))[0].tolist() == [1, 1, 0]
    assert organ_choice(LABELS, TARGETS[1], {}, settings).tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert considered_labels(LABELS, TARGETS[0], settings).tolist() == [True, True, False, False]
    ignoring = replace(settings, absent="ignored")
    assert considered_labels(LABELS, TARGETS[0], ignoring).tolist() == [True, False, False, False]
    overlapping = torch.ones((3, 1, 1, 1))
    assert allowed_cells(overlapping, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [[[[1.0]]]]


def test_settings_that_do_not_go_together_and_cases_without_organs_are_refused() -> None:
    with pytest.raises(InputError, match="stretched placement only"):
        region_request(LossSettings(mask="authors", mask_downsampling="authors"), SPEC, CELLS)

    class Bare(Cases):
        def organ_cells(self, case: int, request: object) -> None:
            return None

    request = region_request(LossSettings(mask="authors"), SPEC, CELLS)
    with pytest.raises(InputError, match="case a has no organs"):
        Loader(Bare(), None, 0, request).load((0,))


def test_a_loss_that_is_not_finite_names_its_case() -> None:
    found = outputs()
    broken = found._replace(scores=torch.tensor([[0.0] * 4, [np.nan] * 4]))
    here = batch(LossSettings())
    losses = Objective(LossSettings(), torch.ones(4)).losses(broken, here)
    with pytest.raises(InputError, match="loss of case b is not finite"):
        require_finite(losses, here, Cases())


def test_regions_of_the_batch_have_the_shapes_of_their_docstring() -> None:
    regions = batch(LossSettings(mask="l2")).regions
    assert isinstance(regions, Regions)
    assert [tuple(part.shape) for part in regions] == [(2, 3, 4, 4, 4), (2, 4, 3), (2, 4)]
