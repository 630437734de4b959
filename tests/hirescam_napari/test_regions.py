from __future__ import annotations

import numpy as np
import pytest

from hirescam_napari._regions import outline


def edges(lines: np.ndarray) -> set[tuple[float, ...]]:
    """Unit edges (slice group, row, column, down, across) that the lines are made of."""
    found = set()
    for (group, row, column), (_, down, across) in lines:
        n = round(max(down, across))
        found |= {(group, row + i * down / n, column + i * across / n, down / n, across / n) for i in range(n)}
    return {tuple(float(v) for v in edge) for edge in found}


def test_one_cell_has_four_sides() -> None:
    mask = np.zeros((2, 4, 5), dtype=bool)
    mask[1, 2, 3] = True
    assert edges(outline(mask)) == {(1, 1.5, 2.5, 0, 1), (1, 2.5, 2.5, 0, 1), (1, 1.5, 2.5, 1, 0), (1, 1.5, 3.5, 1, 0)}


def test_straight_sides_are_one_line() -> None:
    mask = np.zeros((1, 6, 6), dtype=bool)
    mask[0, 1:4, 0:5] = True
    lines = outline(mask)
    assert len(lines) == 4
    assert sorted(float(np.abs(line[1]).sum()) for line in lines) == [3, 3, 5, 5]


@pytest.mark.parametrize("seed", range(4))
def test_every_change_between_neighbours_is_on_the_outline_and_nothing_else(seed: int) -> None:
    mask = np.random.default_rng(seed).random((3, 5, 6)) > 0.5
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    wanted = {
        *((h, r - 0.5, c - 1.0 - 0.5, 0.0, 1.0) for h, r, c in np.argwhere(padded[:, 1:] != padded[:, :-1])),
        *((h, r - 1.0 - 0.5, c - 0.5, 1.0, 0.0) for h, r, c in np.argwhere(padded[..., 1:] != padded[..., :-1])),
    }
    assert edges(outline(mask)) == {tuple(float(v) for v in edge) for edge in wanted}


def test_an_empty_region_has_no_outline() -> None:
    assert outline(np.zeros((2, 3, 3), dtype=bool)).shape == (0, 2, 3)
