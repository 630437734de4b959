"""Fluid and airless lung along the ribs: they belong to the lung, and a normal chest gets nothing."""

from __future__ import annotations

import numpy as np
import pytest

from training.cohort.phantom import PhantomGrid, Wish, make_phantom
from training.issues import Severity
from training.partition import segment_organs

GRID = PhantomGrid((108, 112, 112), (3.0, 3.0, 3.0))
NAMES = {"right": "right lung", "left": "left lung"}


@pytest.mark.parametrize(("seed", "side", "depth"), [(10, "right", 28.0), (15, "left", 62.0)])
def test_an_effusion_lies_in_its_lung_and_is_told(seed, side, depth) -> None:
    phantom = make_phantom(seed, GRID, {"pleural effusion": Wish(side, depth)})
    (effusion,) = phantom.findings
    value = 1 if side == "right" else 2
    organs = segment_organs(phantom.volume)
    plain = segment_organs(phantom.volume, variant="aerated")
    assert (organs.labels[effusion.mask] == value).mean() >= 0.9
    assert (plain.labels[effusion.mask] == value).mean() < 0.1
    added = (organs.labels == value) & (plain.labels != value)
    wrong = (added & (phantom.organs != value)).sum() * 0.027
    assert wrong < 0.1 * effusion.mask.sum() * 0.027 + 5
    assert [name for name, _ in organs.qc.added_ml] == [NAMES[side]]
    (note,) = [issue for issue in organs.qc.reasons if issue.code == "pleural-space"]
    assert note.severity is Severity.NOTE
    assert note.message.endswith(f"{organs.qc.added_ml[0][1]:.0f} ml {side}")
    assert organs.qc.passed
    assert plain.qc.added_ml == ()


def test_a_normal_phantom_gets_nothing() -> None:
    phantom = make_phantom(0, GRID, "none")
    organs = segment_organs(phantom.volume)
    assert organs.qc.added_ml == ()
    assert np.array_equal(organs.labels, segment_organs(phantom.volume, variant="aerated").labels)


@pytest.mark.parametrize("window", [slice(None), slice(18, 46)])
def test_a_real_chest_gets_nothing_not_even_where_the_field_of_view_cuts_both_lungs(real, window) -> None:
    organs = segment_organs(real.cropped(slice(None), slice(None), window).volume)
    assert organs.qc.added_ml == ()
    cut = window.start is not None
    assert ("lungs-at-edge" in {issue.code for issue in organs.qc.reasons}) is cut


@pytest.mark.parametrize("fatty", [15, 25])
def test_a_fatty_liver_is_no_effusion(painted, fatty) -> None:
    hu = np.where(painted.organs["liver"], painted.volume.hu - 40 + fatty, painted.volume.hu)
    assert segment_organs(painted.with_hu(hu).volume).qc.added_ml == ()
