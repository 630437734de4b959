"""Teaching features where abnormalities are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from training.fit.places import Nearest, log_odds_of, nearest_blocks, place_loss, rarity_of
from training.geometry import CellLayout, ReceptiveField

ONE_BY_ONE = Nearest(torch.eye(2), torch.eye(4))


def layout_of(n_cells: Sequence[int], jump_px: float, start_px: float) -> CellLayout:
    field = ReceptiveField(99, jump_px, start_px)
    return CellLayout((4, n_cells[0], n_cells[1]), (ReceptiveField(), field, field))


def test_place_loss_is_the_formula_written_out() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, (2, 3, 4, 2, 2))
    truth = rng.integers(0, 2, (2, 3, 4, 2, 2))
    p = 1 / (1 + np.exp(-odds))
    rarity = np.array([1.0, 10.0, 300.0])
    weight = (rarity**0.7)[:, None, None, None]
    per_label = -(weight * truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean(axis=(2, 3, 4))
    share = 1 / (1 + rarity)
    expected = (per_label / (share * rarity**0.7 + (1 - share))).mean(axis=1)
    found = place_loss(torch.from_numpy(odds), torch.from_numpy(truth.astype(np.float64)), torch.from_numpy(rarity))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_a_block_belongs_to_the_cell_whose_field_is_centred_nearest_to_it() -> None:
    """Cells at 0, 8, 16, 24 px; blocks of 4 px from 0 on, whose middles are 1.5, 5.5, 9.5, ... px."""
    rows = nearest_blocks(layout_of((4, 4), 8.0, 0.0), (32, 32), (8, 8)).rows
    assert rows.argmax(dim=0).tolist() == [0, 1, 1, 2, 2, 3, 3, 3]
    assert rows.sum(dim=0).tolist() == [1.0] * 8


def test_a_voxel_is_taught_to_the_cell_that_stands_nearest_to_it() -> None:
    layout = layout_of((16, 16), 8.0, 0.0)
    nearest = nearest_blocks(layout, (128, 128), (32, 32))
    centres = layout.fields[1].centres(16)
    for voxel in range(0, 124):  # past the last centre the last cell has them all
        places = torch.zeros(1, 32, 32)
        places[0, voxel // 4, 0] = 1
        taught = int(nearest.cells(places)[0, :, 0].argmax())
        assert abs(centres[taught] - voxel) <= 4


def test_few_cells_far_apart_share_all_blocks() -> None:
    nearest = nearest_blocks(layout_of((2, 2), 32.0, 48.0), (128, 128), (32, 32))
    assert nearest.rows.sum(dim=1).tolist() == [16.0, 16.0]
    places = torch.zeros(5, 32, 32)
    places[3, 31, 0] = 1
    assert nearest.cells(places).nonzero().tolist() == [[3, 1, 0]]


def test_cells_finer_than_blocks_take_the_block_that_they_lie_in() -> None:
    rows = nearest_blocks(layout_of((8, 8), 2.0, 0.0), (16, 16), (4, 4)).rows
    assert rows.argmax(dim=1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_log_odds_are_the_first_features() -> None:
    features = torch.arange(2 * 3 * 4 * 2 * 2).reshape(2, 3, 4, 2, 2)
    odds = log_odds_of(features, 2)
    assert odds.shape == (2, 2, 3, 2, 2)
    assert odds[1, 1, 2, 0, 1] == features[1, 2, 1, 0, 1]


def test_rarity_by_hand() -> None:
    one, two = np.zeros((3, 1, 2, 4), dtype=np.uint8), np.zeros((3, 1, 2, 4), dtype=np.uint8)
    one[0, 0, 0, 0] = two[0, 0, 1, 1] = 1
    one[1] = 1
    assert rarity_of([one, two], ONE_BY_ONE).tolist() == [7.0, 1.0, pytest.approx(1e5)]
    halves = Nearest(torch.eye(2), torch.eye(2).repeat_interleave(2, dim=1))
    assert rarity_of([one, two], halves).tolist() == [3.0, 1.0, pytest.approx(1e5)]
