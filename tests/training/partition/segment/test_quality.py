"""Reasons in words and numbers, and the mask that stands in when they are too grave."""

from __future__ import annotations

import numpy as np
import pytest

from training.geometry import Geometry
from training.issues import Cancelled, InputError, Severity
from training.partition import segment_organs
from training.partition.organs import heuristic_labels, volumes_ml
from training.partition.segment import quality
from training.volume import Volume

GEOMETRY = Geometry.canonical((60, 80, 80), (4.0, 4.0, 4.0))


def organs(right=18, left=18, middle=6, slices=slice(5, 55)):
    """Boxes: lungs as wide as asked, 20 rows and 50 slices."""
    labels = np.zeros(GEOMETRY.shape, np.uint8)
    labels[slices, 30:50, 10 : 10 + right] = 1
    labels[slices, 30:50, 50 : 50 + left] = 2
    labels[slices, 30:50, 35 : 35 + middle] = 3
    return labels


def codes(labels, found=quality.Findings()):  # noqa: B008 - frozen
    return {i.code: i for i in quality.reasons(labels, GEOMETRY, volumes_ml(labels, GEOMETRY), found)}


def test_a_plausible_chest_has_no_reasons() -> None:
    assert codes(organs()) == {}


def test_an_empty_segmentation_always_fails() -> None:
    found = codes(np.zeros(GEOMETRY.shape, np.uint8))
    assert found["empty-segmentation"].severity is Severity.ERROR


def test_a_missing_lung_fails_unless_the_other_gave_its_place() -> None:
    assert codes(organs(left=0))["missing-lung"].severity is Severity.ERROR
    issue = codes(organs(), quality.Findings(mirrored=2))["missing-lung"]
    assert issue.severity is Severity.WARNING
    assert "left lung" in issue.message


def test_asymmetry_names_side_and_numbers() -> None:
    issue = codes(organs(right=4))["asymmetric-lungs"]
    assert issue.message.startswith("the right lung has 256 ml, 22% of the other (1152 ml)")


def test_implausible_volumes_fail() -> None:
    assert codes(organs(right=1, left=2))["implausible-volume"].severity is Severity.ERROR
    huge = np.ones(GEOMETRY.shape, np.uint8)
    huge[:, :, 40:] = 2
    assert codes(huge)["implausible-volume"].severity is Severity.ERROR
    assert "mediastinum has 0 ml" in codes(organs(middle=0))["implausible-volume"].message


def test_a_recipe_with_its_own_quality_control_fails_only_by_an_empty_answer() -> None:
    wide = organs(right=1, left=2)
    judged = quality.Findings(judged=True)
    assert codes(wide, judged)["implausible-volume"].severity is Severity.WARNING
    assert codes(np.zeros(GEOMETRY.shape, np.uint8), judged)["empty-segmentation"].severity is Severity.ERROR


def test_the_authors_wide_band_is_told_but_stays(lifelike_authors) -> None:
    qc = lifelike_authors.qc
    assert dict(qc.volumes_ml)["mediastinum"] > quality.MEDIASTINUM_ML[1]
    assert qc.passed
    assert [issue.code for issue in qc.reasons] == ["implausible-volume"]


def test_lungs_at_the_ends_and_edges_are_named() -> None:
    assert "first slice (head end)" in codes(organs(slices=slice(0, 50)))["lungs-at-end"].message
    assert "last slice (foot end)" in codes(organs(slices=slice(10, 60)))["lungs-at-end"].message
    assert "left edge" in codes(organs(left=30))["lungs-at-edge"].message
    assert "round field of view" in codes(organs(), quality.Findings(cut_mm2=4000))["lungs-at-edge"].message


def test_a_leak_into_the_bowel_is_told_with_its_size() -> None:
    assert "120 ml of gas" in codes(organs(), quality.Findings(leak_ml=120))["leak-to-bowel"].message


@pytest.mark.parametrize("heuristic", ["paper", "authors"])
def test_what_is_no_chest_gets_the_heuristic_mask_and_says_so(heuristic) -> None:
    hu = np.full(GEOMETRY.shape, -1000, np.int16)
    hu[:, 20:60, 20:60] = 40
    result = segment_organs(Volume(hu, GEOMETRY), heuristic=heuristic)
    assert not result.qc.passed
    assert result.qc.heuristic == heuristic
    assert {i.code for i in result.qc.reasons} == {"empty-segmentation", "heuristic-mask"}
    assert np.array_equal(result.labels, heuristic_labels(GEOMETRY, heuristic))
    assert dict(result.qc.volumes_ml)["right lung"] == 0
    assert result.qc.to_dict()["heuristic_mask"] == heuristic


@pytest.mark.parametrize("value", [-1000, 0, 3000])
def test_uniform_volumes_fail_without_an_error(value) -> None:
    result = segment_organs(Volume(np.full((20, 30, 30), value, np.int16), Geometry.canonical((20, 30, 30), (5, 5, 5))))
    assert not result.qc.passed


def test_stomach_gas_that_touches_the_lung_is_left_out(painted) -> None:
    stomach = painted.organs["stomach"]
    lung = np.argwhere(painted.left)
    low = (np.arange(stomach.shape[0]) < lung[:, 0].max())[:, None, None]
    top = int(np.argwhere(stomach)[:, 0].min())
    gas = stomach & low & (np.arange(stomach.shape[0]) < top + 14)[:, None, None]
    hu = painted.volume.hu.copy()
    hu[gas] = -1000
    centre = np.argwhere(gas).mean(axis=0).astype(int)
    hu[top - 5 : top + 2, centre[1], centre[2]] = -1000
    result = segment_organs(painted.with_hu(hu).volume)
    assert np.isin(result.labels[gas], (1, 2)).mean() < 0.1
    assert (result.labels[gas] == 3).mean() < 0.1


def test_progress_rises_and_cancelling_stops(real) -> None:
    seen: list[tuple[int, int, str]] = []
    segment_organs(real.volume, progress=lambda *step: seen.append(step))
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert seen[-1][:2] == (100, 100)
    with pytest.raises(Cancelled):
        segment_organs(real.volume, cancelled=lambda: len(seen) > 0)


@pytest.mark.parametrize(
    "wrong",
    [{"backend": "magic"}, {"variant": "best"}, {"heuristic": "none"}, {"mask_path": "x.nii"}, {"backend": "file"}],
)
def test_unknown_names_are_refused_with_the_choices(real, wrong) -> None:
    with pytest.raises(InputError):
        segment_organs(real.volume, **wrong)


def test_lungs_on_each_others_side_are_told() -> None:
    labels = organs()
    assert "sides-exchanged" not in codes(labels)
    assert "sides-exchanged" in codes(labels[:, :, ::-1].copy())
