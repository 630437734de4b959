from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.explain.placement import PLACEMENTS
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.partition.allowed import RegionSettings, organ_cells
from training.partition.cells import organ_cells_at
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG, Organs, QualityControl

IMAGE = Geometry.canonical((12, 32, 32), (2.0, 4.0, 4.0))
FIELD = ReceptiveField(9, 4.0, 1.5)
CELLS = CellLayout((4, 8, 8), (ReceptiveField(3, 3.0, 1.0), FIELD, FIELD))


@pytest.fixture
def organs() -> Organs:
    labels = np.zeros(IMAGE.shape, dtype=np.uint8)
    labels[:, 8:24, 4:14], labels[:, 8:24, 18:28], labels[:, 10:22, 14:18] = RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM
    body = np.zeros(IMAGE.shape, dtype=bool)
    body[:, 4:28, 2:30] = True
    return Organs(labels, IMAGE, QualityControl(True), body)


def test_shares_are_the_part_of_the_box_that_the_organ_fills(organs: Organs) -> None:
    cells = organ_cells_at(organs, IMAGE, CELLS, "receptive_field")
    assert cells.shares[RIGHT_LUNG][1, 3, 1] == 1
    assert cells.shares[RIGHT_LUNG][1, 3, 3] == pytest.approx(0.5)
    assert cells.shares[MEDIASTINUM][1, 3, 3] == pytest.approx(0.5)
    assert cells.body[1, 3, 0] == pytest.approx(0.5)
    assert cells.body[1, 0, 4] == 0
    total = sum(share.sum() for share in cells.shares.values())
    assert cells.organ_share.sum() == pytest.approx(total)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_regions_are_those_of_the_mask_loss(organs: Organs, placement: str) -> None:
    cells = organ_cells_at(organs, IMAGE, CELLS, placement)  # type: ignore[arg-type]
    wanted = organ_cells(organs, IMAGE, CELLS, RegionSettings(placement=placement))  # type: ignore[arg-type]
    for value, mask in wanted.items():
        assert np.array_equal(cells.centres[value], mask)


def test_a_label_lies_in_its_organ_and_on_its_side(organs: Organs) -> None:
    cells = organ_cells_at(organs, IMAGE, CELLS, "receptive_field")
    assert np.array_equal(cells.allowed("cardiomegaly"), cells.centres[MEDIASTINUM])
    assert np.array_equal(cells.allowed("pleural effusion", frozenset({"left"})), cells.centres[LEFT_LUNG])
    both = cells.allowed_share("pleural effusion")
    assert both.sum() == pytest.approx(cells.shares[RIGHT_LUNG].sum() + cells.shares[LEFT_LUNG].sum())
    with pytest.raises(KeyError):
        cells.allowed("broken heart")


def test_a_failed_segmentation_gives_the_heuristic_mask(organs: Organs) -> None:
    failed = replace(organs, qc=QualityControl(False, heuristic="paper"))
    cells = organ_cells_at(failed, IMAGE, CELLS, "receptive_field")
    assert cells.centres[RIGHT_LUNG][:, :, :4].all()
    assert not cells.centres[RIGHT_LUNG][:, :, 4:].any()
    assert cells.centres[MEDIASTINUM].sum() == CELLS.n_cells[0] * CELLS.n_cells[1] * 4


def test_without_the_body_it_is_not_known_what_lies_outside(organs: Organs) -> None:
    with pytest.raises(ValueError, match="body"):
        organ_cells_at(replace(organs, body=None), IMAGE, CELLS, "receptive_field")


def test_a_mask_on_another_grid_goes_by_physical_space(organs: Organs) -> None:
    fine = Geometry.canonical((24, 64, 64), (1.0, 2.0, 2.0), IMAGE.to_world((-0.25, -0.25, -0.25)).tolist())
    assert organs.body is not None
    block = np.ones((2, 2, 2), dtype=np.uint8)
    body = np.kron(organs.body.view(np.uint8), block).astype(bool)
    other = Organs(np.kron(organs.labels, block), fine, organs.qc, body)
    wanted, found = (organ_cells_at(o, IMAGE, CELLS, "receptive_field") for o in (organs, other))
    assert all(np.array_equal(wanted.shares[v], found.shares[v]) for v in wanted.shares)
    assert np.array_equal(wanted.body, found.body)
