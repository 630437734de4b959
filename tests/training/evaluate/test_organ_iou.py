"""OrganIoU by hand, by identities, and on resampled grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.evaluate import organ_iou
from training.evaluate.baselines import uniform_map
from training.evaluate.organ_iou import (
    AUTHORS_SHAPE,
    THRESHOLDS,
    OrganCase,
    choose_thresholds,
    iou_curve,
    normalised,
    organ_curves,
    resampled,
    resampled_cells,
    soft_mass,
)
from training.explain.placement import place
from training.geometry import CellLayout, Geometry, ReceptiveField

ALLOWED = np.array([[[1.0, 1.0], [0.0, 0.0]]])


def _map(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64).reshape(1, 2, 2)


def test_the_thresholds_are_the_53() -> None:
    assert len(THRESHOLDS) == 53
    assert THRESHOLDS[:6] == (0.004, 0.008, 0.012, 0.016, 0.02, 0.04)
    assert THRESHOLDS[-1] == 0.98
    np.testing.assert_allclose(np.diff(THRESHOLDS[4:]), 0.02)


@pytest.mark.parametrize(
    ("values", "threshold", "paper", "authors"),
    [
        ((4, 2, 4, 0), 0.1, 2 / 3, 2 / 3),  # on: two allowed, one forbidden
        ((4, 2, 4, 0), 0.5, 1 / 2, 1 / 2),  # 2 / 4 is not above 0.5
        ((4, 2, 0, 0), 0.1, 1.0, 0.0),  # perfect
        ((0, 0, 3, 1), 0.1, 0.0, 0.0),
        ((4, -9, -9, -9), 0.1, 1.0, 0.0),  # negative values are off and do not move the scale
    ],
)
def test_by_hand(values: tuple[float, ...], threshold: float, paper: float, authors: float) -> None:
    assert organ_iou(_map(*values), ALLOWED, threshold) == pytest.approx(paper)
    assert organ_iou(_map(*values), ALLOWED, threshold, "authors") == pytest.approx(authors)


def test_a_map_without_positive_values_is_not_applicable_or_0() -> None:
    nothing = _map(0, -1, -2, 0)
    assert np.isnan(organ_iou(nothing, ALLOWED, 0.02))
    assert organ_iou(nothing, ALLOWED, 0.02, "authors") == 0.0
    assert np.isnan(soft_mass(nothing, ALLOWED))


def test_scale_does_not_matter_and_normalising_twice_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 3))
    allowed = (np.arange(36).reshape(4, 3, 3) % 3 == 0).astype(float)
    for t in (0.004, 0.3, 0.9):
        assert organ_iou(values * 1000, allowed, t) == organ_iou(values, allowed, t)
    np.testing.assert_array_equal(normalised(normalised(values)), normalised(values))


def test_allowed_and_its_complement_add_up_to_one() -> None:
    values = np.random.default_rng(1).normal(size=(5, 4, 4))
    allowed = np.random.default_rng(2).random((5, 4, 4))
    for t in (0.01, 0.5, 0.9):
        assert organ_iou(values, allowed, t) + organ_iou(values, 1 - allowed, t) == pytest.approx(1.0)
    assert soft_mass(values, allowed) + soft_mass(values, 1 - allowed) == pytest.approx(1.0)


def test_a_uniform_map_scores_the_allowed_share_at_every_threshold() -> None:
    allowed = (np.random.default_rng(3).random((6, 5, 5)) < 0.3).astype(float)
    curve = iou_curve(uniform_map(allowed.shape), allowed)
    np.testing.assert_allclose(curve, allowed.mean())
    assert soft_mass(uniform_map(allowed.shape), allowed) == pytest.approx(allowed.mean())


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_the_curve_equals_one_threshold_at_a_time(variant: str) -> None:
    rng = np.random.default_rng(4)
    values = normalised(np.round(rng.random((3, 4, 4)), 2))  # values that lie on thresholds
    allowed = (rng.random((3, 4, 4)) < 0.5).astype(float)
    curve = iou_curve(values, allowed, variant=variant)  # type: ignore[arg-type]
    for t, found in zip(THRESHOLDS, curve, strict=True):
        on = values > t
        a, b = on[allowed == 1].sum(), on[allowed == 0].sum()
        expected = a / (a + b) if variant == "paper" or (a and b) else 0.0
        assert found == pytest.approx(expected)


def test_soft_mass_by_hand() -> None:
    assert soft_mass(_map(4, 2, 2, -8), ALLOWED) == pytest.approx(6 / 8)


@pytest.mark.parametrize(
    ("values", "allowed", "variant", "fact"),
    [
        (_map(1, 2, 3, 4), ALLOWED[:, :1], "paper", "shape"),
        (_map(1, np.nan, 3, 4), ALLOWED, "paper", "finite"),
        (_map(1, 2, 3, 4), ALLOWED * 2, "paper", r"\[0, 1\]"),
        (_map(1, 2, 3, 4), ALLOWED, "mine", "no variant"),
    ],
)
def test_what_cannot_be_measured_is_refused(values: np.ndarray, allowed: np.ndarray, variant: str, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        organ_iou(values, allowed, 0.1, variant)  # type: ignore[arg-type]


@pytest.mark.parametrize(("old", "new"), [((9, 14, 14), (9, 6, 6)), ((5, 5, 5), (15, 6, 6)), ((4, 6, 6), (4, 6, 6))])
def test_resampling_equals_torch(old: tuple[int, int, int], new: tuple[int, int, int]) -> None:
    values = np.random.default_rng(5).random(old)
    expected = torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], new, mode="trilinear")
    np.testing.assert_allclose(resampled(values, new), expected[0, 0].numpy(), atol=1e-12)


def test_resampled_cells_stand_where_the_values_of_a_ramp_say() -> None:
    fields = (ReceptiveField(3, 3.0, 1.0), ReceptiveField(27, 32.0, 0.0), ReceptiveField(27, 32.0, 0.0))
    cells, image = CellLayout((9, 14, 14), fields), Geometry.canonical((27, 420, 420), (1.0, 1.0, 1.0))
    old = place(image, cells).to_world(np.stack(np.meshgrid(*map(np.arange, (9, 14, 14)), indexing="ij"), -1))
    new_cells = resampled_cells(cells, (9, 6, 6))
    new = place(image, new_cells).to_world(np.stack(np.meshgrid(*map(np.arange, (9, 6, 6)), indexing="ij"), -1))
    for axis in range(3):
        np.testing.assert_allclose(resampled(old[..., axis], (9, 6, 6)), new[..., axis], atol=1e-9)
    assert resampled_cells(cells).n_cells == AUTHORS_SHAPE


def _case(source: np.ndarray, present: tuple[int, ...]) -> OrganCase:
    return OrganCase({"model": source}, np.stack([ALLOWED, ALLOWED]), np.array(present, dtype=bool))


def test_thresholds_come_from_validation_and_only_present_labels_count() -> None:
    # Label 0: the forbidden cell is at 0.5 of the maximum in both cases, so the first threshold from 0.5 on is best.
    # Label 1 is present in one validation case, whose map is all allowed: every threshold gives 1, the first is taken.
    first = np.stack([_map(4, 4, 2, 0), _map(9, 9, 9, 9)])
    second = np.stack([_map(4, 4, 0, 2), _map(3, 3, 0, 0)])
    valid = organ_curves([_case(first, (1, 0)), _case(second, (1, 1))], ("nodule", "mass"))["model"]
    assert len(valid.iou) == 3
    np.testing.assert_allclose(choose_thresholds(valid), (0.5, 0.004))

    test = organ_curves([_case(np.stack([_map(4, 0, 3, 2), _map(1, 0, 1, 0)]), (1, 1))], ("nodule", "mass"))["model"]
    np.testing.assert_allclose(test.at([0.5, 0.004]), [[1 / 2, 1 / 2]])
    np.testing.assert_allclose(test.at([0.004, 0.98]), [[1 / 3, 1 / 2]])
    np.testing.assert_allclose(test.soft_mass(), [[4 / 9, 1 / 2]])


def test_labels_without_a_threshold_or_absent_are_not_applicable() -> None:
    maps = np.stack([_map(4, 4, 2, 0), _map(-1, -1, -1, -1)])
    curves = organ_curves([_case(maps, (1, 0)), _case(maps, (0, 1))], ("nodule", "mass"))["model"]
    chosen = choose_thresholds(curves)  # the only map of "mass" has nothing positive
    assert chosen[0] == 0.5
    assert np.isnan(chosen[1])
    np.testing.assert_array_equal(curves.at(chosen), [[1.0, np.nan], [np.nan, np.nan]])
    assert curves.n_without_evidence == 1
    authors = organ_curves([_case(maps, (0, 1))], ("nodule", "mass"), "authors")["model"]
    assert authors.at(choose_thresholds(authors))[0, 1] == 0.0


def test_a_resampled_map_that_is_dark_at_the_greatest_thresholds_has_one_all_the_same() -> None:
    maps = np.zeros((1, 4, 12, 12))
    maps[0, 1, 3, 3], maps[0, 2, 7:9, 6:9] = 1.0, 0.8
    allowed = np.zeros((1, 4, 6, 6))
    allowed[0, :, 2:] = 1.0
    case = OrganCase({"A": maps}, allowed, np.array([True]))
    curves = organ_curves([case], ["mass"], shape=(4, 6, 6))["A"]
    assert np.isnan(curves.iou[0, -1])
    (threshold,) = choose_thresholds(curves)
    best = np.nanmax(curves.iou[0])
    assert curves.at([threshold])[0, 0] == best > 0
    assert threshold == THRESHOLDS[int(np.nanargmax(curves.iou[0]))]
    assert np.isnan(curves.at([THRESHOLDS[-1]])[0, 0])


def test_one_map_may_serve_every_label_and_every_case_needs_every_source() -> None:
    case = _case(uniform_map((1, 2, 2)), (1, 1))
    curves = organ_curves([case], ("nodule", "mass"))["model"]
    np.testing.assert_allclose(curves.iou, 0.5)
    with pytest.raises(ValueError, match="every source"):
        organ_curves([case, case._replace(maps={"other": ALLOWED})], ("nodule", "mass"))


def test_maps_of_other_shapes_are_resampled_only_when_asked() -> None:
    maps = np.random.default_rng(6).random((1, 2, 14, 14))
    allowed = np.zeros((1, 2, 6, 6))
    allowed[..., :3] = 1
    case = OrganCase({"model": maps}, allowed, np.array([True]))
    with pytest.raises(ValueError, match="shape"):
        organ_curves([case], ("nodule",))
    found = organ_curves([case], ("nodule",), shape=(2, 6, 6))["model"]
    expected = iou_curve(resampled(normalised(maps[0]), (2, 6, 6)), allowed[0])
    np.testing.assert_allclose(found.iou[0], expected)  # not normalised a second time
