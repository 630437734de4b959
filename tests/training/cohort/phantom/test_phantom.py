"""Phantoms as CTs: geometry, sides, HU, the same anatomy at any size, the same bytes on every run."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from training.cohort.phantom import PLANTABLE, SMALL, PhantomGrid, draw_findings, make_phantom
from training.cohort.phantom.build import plan_phantom
from training.cohort.phantom.findings import IDEAS

TINY = PhantomGrid((48, 64, 64), (6.7, 5.2, 5.2))


def test_the_same_seed_gives_the_same_phantom_whatever_the_threads() -> None:
    one, two = make_phantom(3, SMALL), make_phantom(3, SMALL, threads=3)
    assert one.volume.provenance.pixels_sha256 == two.volume.provenance.pixels_sha256
    assert one.report == two.report
    assert np.array_equal(one.organs, two.organs)
    for a, b in zip(one.findings, two.findings, strict=True):
        assert (a.label, a.side, a.centre_mm, a.diameter_mm) == (b.label, b.side, b.centre_mm, b.diameter_mm)
        assert np.array_equal(a.indices, b.indices)
    assert make_phantom(4, TINY, "none").volume.hu.tobytes() != make_phantom(3, TINY, "none").volume.hu.tobytes()


def test_geometry_is_canonical_and_centred() -> None:
    volume = make_phantom(1, TINY, "none").volume
    assert volume.geometry.is_canonical
    assert volume.geometry.spacing_mm == pytest.approx(TINY.spacing_mm)
    middle = (np.array(TINY.shape) - 1) / 2
    assert np.allclose(volume.geometry.to_world(middle), 0)


@pytest.mark.parametrize("seed", range(4))
def test_organs_lie_where_they_do_in_people(seed: int) -> None:
    phantom = make_phantom(seed, TINY, "none")
    geometry = phantom.volume.geometry
    centre = {k: geometry.to_world(np.argwhere(phantom.organs == k)).mean(axis=0) for k in (1, 2, 3)}
    assert centre[1][0] < centre[3][0] < centre[2][0]
    litres = {k: (phantom.organs == k).sum() * geometry.voxel_mm3 / 1e6 for k in (1, 2, 3)}
    assert 1.0 < litres[2] < litres[1] < 4.0
    assert 0.5 < litres[3] < 2.0
    lungs = phantom.volume.hu[np.isin(phantom.organs, (1, 2))]
    assert -900 < np.median(lungs) < -800
    heart = plan_phantom(seed, "none")[0].heart
    assert heart.points([(1, 0, 0)])[0][0] > heart.centre[0] > 0  # the apex points to the left


@pytest.mark.parametrize("seed", range(4))
def test_liver_is_right_and_the_stomach_bubble_left(seed: int) -> None:
    phantom = make_phantom(seed, TINY, "none")
    person = plan_phantom(seed, "none")[0].person
    level = round(float(phantom.volume.geometry.to_index((0, 0, min(person.dome_z) - 34))[0]))
    x = phantom.volume.geometry.to_world(np.stack(np.indices(TINY.shape)[:, level], -1))[..., 0]
    y = phantom.volume.geometry.to_world(np.stack(np.indices(TINY.shape)[:, level], -1))[..., 1]
    hu = phantom.volume.hu[level]
    liver = (np.abs(x + 60) < 20) & (np.abs(y) < 20)
    assert 30 < hu[liver].mean() < 130
    bubble = (hu < -800) & (np.abs(y + 45) < 22) & (np.abs(x) < 90) & (phantom.organs[level] == 0)
    assert x[bubble].mean() > 20


def test_hu_are_those_of_tissue() -> None:
    phantom = make_phantom(2, TINY, "none")
    hu = phantom.volume.hu
    assert hu.dtype == np.int16
    assert abs(np.median(hu[:, 0]) + 1000) < 15
    assert hu.max() < 1500
    assert ((hu > 250) & (hu < 1000)).mean() > 0.005
    assert ((hu > -130) & (hu < -70)).mean() > 0.03


def test_metal_is_clipped_not_wrapped() -> None:
    hu = make_phantom(2, TINY, ("pacemaker or defib",)).volume.hu
    assert 2500 < hu.max() <= 3071


@pytest.mark.parametrize(
    "grid", [PhantomGrid((81, 70, 70), (4.0, 4.8, 4.8)), PhantomGrid((54, 112, 112), (6.0, 3.0, 3.0))]
)
def test_other_sizes_show_the_same_anatomy(grid: PhantomGrid) -> None:
    here, there = make_phantom(6, SMALL, "none"), make_phantom(6, grid, "none")
    index = np.stack(np.indices(grid.shape), -1).reshape(-1, 3)
    source = here.volume.geometry.to_index(there.volume.geometry.to_world(index)).T
    moved = ndimage.map_coordinates(here.organs, source, order=0, mode="nearest").reshape(grid.shape)
    for organ in (1, 2, 3):
        a, b = moved == organ, there.organs == organ
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9


def test_findings_stay_in_place_at_other_sizes() -> None:
    names = ("lung mass", "mediastinum lymphadenopathy", "heart stent")
    a, b = (make_phantom(8, grid, names) for grid in (SMALL, TINY))
    for f, g in zip(a.findings, b.findings, strict=True):
        assert f.label == g.label
        assert f.sentence == g.sentence
        assert np.linalg.norm(np.subtract(f.centre_mm, g.centre_mm)) < 9


def test_what_is_out_of_view_is_not_claimed() -> None:
    knee = PhantomGrid((4, 64, 64), (2.0, 5.2, 5.2))
    phantom = make_phantom(2, knee, ("great vessel catheter or port", "cardiomegaly"))
    assert phantom.labels["great vessel catheter or port"] == 0
    assert "catheter" not in phantom.report.lower()
    assert [f.label for f in phantom.findings] == ["cardiomegaly"]


def test_drawn_findings_have_their_prevalence_and_are_independent() -> None:
    drawn = [draw_findings(seed) for seed in range(1500)]
    table = np.array([[idea.name in d for idea in IDEAS] for d in drawn], dtype=float)
    wanted = np.array([idea.prevalence for idea in IDEAS])
    small, large = (next(k for k, i in enumerate(IDEAS) if i.name == n) for n in ("small nodule", "large nodule"))
    wanted[small] *= 1 - wanted[large]
    assert np.abs(table.mean(axis=0) - wanted).max() < 0.05
    related = np.abs(np.corrcoef(table.T) - np.eye(len(IDEAS)))
    related[small, large] = related[large, small] = 0
    assert related.max() < 0.12


def test_nodules_are_spread_over_both_lungs() -> None:
    found = [make_phantom(seed, TINY, ("lung nodulegr1cm",)).findings[0] for seed in range(14)]
    assert {f.side for f in found} == {"right", "left"}
    height = [f.centre_mm[2] for f in found]
    assert max(height) - min(height) > 90


def test_the_report_denies_nothing_that_is_there() -> None:
    for seed in range(8):
        phantom = make_phantom(seed, TINY)
        for name in PLANTABLE:
            if phantom.labels[name]:
                assert f"no {name}" not in phantom.report.lower()
        assert phantom.report.startswith("TECHNIQUE: ")
        for finding in phantom.findings:
            assert finding.sentence in phantom.report


def test_a_grid_must_have_voxels() -> None:
    with pytest.raises(ValueError, match="at least 2 voxels"):
        PhantomGrid((1, 10, 10), (1.0, 1.0, 1.0))
