"""Thin tubes deposit their volume, whatever the voxel size; fields and levels do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from training.cohort.phantom.clouds import Tubes, deposit, smooth_path
from training.cohort.phantom.fields import Waves
from training.cohort.phantom.grid import Bend, PhantomGrid, Slab
from training.cohort.phantom.shapes import capsule, ellipsoid, sheet, smooth_max, soft


def slab_of(grid: PhantomGrid, bend: Bend | None = None, start: int = 0, stop: int | None = None) -> Slab:
    return Slab(grid, bend or Bend(), start, stop or grid.shape[0])


@pytest.mark.parametrize("spacing", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("radius", [0.5, 1.5])
def test_a_wire_keeps_its_volume(spacing: float, radius: float) -> None:
    n = int(60 / spacing)
    slab = slab_of(PhantomGrid((n, n, n), (spacing, spacing, spacing)))
    found = deposit(slab, Tubes.path([(-15, -9, -12), (14, 8, 11)], radius))
    assert found is not None
    length = float(np.linalg.norm([29, 17, 23]))
    assert found[1].sum() * spacing**3 == pytest.approx(np.pi * radius**2 * length, rel=0.06)


def test_slabs_deposit_what_the_whole_does() -> None:
    grid = PhantomGrid((20, 20, 20), (2.0, 2.0, 2.0))
    tubes = Tubes.path([(-12, -9, -15), (10, 8, 16)], 1.0)
    whole = np.zeros(grid.shape)
    parts = np.zeros(grid.shape)
    for start, stop, target in [(0, 20, whole), (0, 7, parts), (7, 13, parts), (13, 20, parts)]:
        found = deposit(slab_of(grid, None, start, stop), tubes)
        assert found is not None
        s, r, c = found[0].where
        target[s.start + start : s.stop + start, r, c] += found[1]
    assert np.allclose(whole, parts, atol=1e-6)


def test_tubes_out_of_view_deposit_nothing() -> None:
    slab = slab_of(PhantomGrid((8, 8, 8), (2.0, 2.0, 2.0)))
    assert deposit(slab, Tubes.path([(100, 0, 0), (120, 0, 0)], 1.0)) is None


def test_a_bend_is_undone() -> None:
    bend = Bend(3.0, -4.0, 0.02, 5.0, 1.0)
    points = np.random.default_rng(0).uniform(-100, 100, (20, 3))
    assert np.allclose(bend.to_local(bend.to_world(points)), points)


def test_levels_are_distances() -> None:
    box = slab_of(PhantomGrid((40, 40, 40), (1.0, 1.0, 1.0))).whole()
    ball = ellipsoid(box, (1, 2, 3), (8, 8, 8))
    exact = np.sqrt((box.x - 1) ** 2 + (box.y - 2) ** 2 + (box.z - 3) ** 2) - 8
    assert np.abs(ball - exact).max() < 1e-4
    assert (soft(ball, 1.0)).sum() == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)
    pipe = capsule(box, (-9, 0, 0), (9, 0, 0), 4, 4)
    assert soft(pipe, 1.0).sum() == pytest.approx(np.pi * 16 * 18 + 4 / 3 * np.pi * 64, rel=0.03)
    thin = sheet(np.broadcast_to(box.z, box.hu.shape), 0.25, 1.0)
    assert thin.sum() == pytest.approx(0.25 * 40 * 40, rel=0.05)


def test_smooth_max_is_max_away_from_the_edge() -> None:
    a, b = np.float32([-9.0, 0.0, 5.0]), np.float32([3.0, 0.0, -5.0])
    assert smooth_max(a, b, 4.0).tolist() == [3.0, 1.0, 5.0]


def test_fields_do_not_depend_on_the_grid() -> None:
    waves = Waves.draw(np.random.default_rng(1), 20.0)
    coarse = waves.at(slab_of(PhantomGrid((11, 11, 11), (6.0, 6.0, 6.0))).whole())
    fine = waves.at(slab_of(PhantomGrid((21, 21, 21), (3.0, 3.0, 3.0))).whole())
    assert np.allclose(fine[::2, ::2, ::2], coarse, atol=1e-4)
    assert 0.7 < waves.at(slab_of(PhantomGrid((40, 40, 40), (5.0, 5.0, 5.0))).whole()).std() < 1.3


def test_a_path_goes_through_its_points() -> None:
    points = np.array([(0.0, 0, 0), (10, 5, 0), (20, 0, 8)])
    line = smooth_path(points, 1.0)
    assert all(np.linalg.norm(line - p, axis=1).min() < 1e-9 for p in points)
