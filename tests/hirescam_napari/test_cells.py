"""What stands in the cells of a comparison, from state and case alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hirescam_napari._case import Case
from hirescam_napari._cells import methods_grid, models_grid, placements_grid, sheet_grid
from hirescam_napari._regions import outline
from hirescam_napari._state import ViewState
from tests.stores import make_store
from training.cohort.results import open_store
from training.evaluate.compare import sheet_entries
from training.evaluate.sheet_tiles import read_tiles
from training.explain.result import Explanation
from training.labels import display_name

LABEL = "aspiration"


@pytest.fixture
def state() -> ViewState:
    return ViewState(label=LABEL)


def test_methods_stand_beside_their_difference(state: ViewState, case: Case, explanation: Explanation) -> None:
    grid = methods_grid(state, case)
    assert grid is not None
    assert [cell.name for cell in grid.cells] == ["HiResCAM", "Grad-CAM", "Difference"]
    assert np.array_equal(grid.cells[1].display.values, explanation.map(LABEL, "gradcam"))
    assert grid.cells[2].display.limits == (-1.0, 1.0)
    assert all(cell.picture is case.picture for cell in grid.cells)
    assert "minus Grad-CAM" in grid.words
    assert grid.shape == (1, 3)


def test_two_models_share_one_scale_and_say_their_ratios(
    state: ViewState, case: Case, explanation: Explanation, explanation_factory: Callable[..., Explanation]
) -> None:
    other = explanation_factory(n_labels=10, n_groups=9, seed=4)
    other = replace(other, model=replace(other.model, name="second"))
    grid = models_grid(state, case, other)
    assert grid is not None
    first, second = grid.cells
    assert first.display.limits == second.display.limits
    reach = max(float(explanation.map(LABEL).max()), float(other.map(LABEL).max()))
    assert first.display.limits[1] == pytest.approx(reach)
    assert second.name.startswith("second: ")
    assert "mean" in first.name
    assert np.array_equal(second.display.values, other.map(LABEL))


def test_a_label_that_the_second_model_lacks_is_said_to_be_missing(
    state: ViewState, case: Case, explanation_factory: Callable[..., Explanation]
) -> None:
    other = explanation_factory(n_labels=2, n_groups=9)
    grid = models_grid(state, case, other)
    assert grid is not None
    assert len(grid.cells) == 1
    assert "no such abnormality" in grid.words


def test_placements_show_one_map_at_two_places(state: ViewState, case: Case, explanation: Explanation) -> None:
    grid = placements_grid(state, case)
    assert grid is not None
    looked, drawn = grid.cells
    assert looked.display is drawn.display
    assert looked.grid.allclose(explanation.geometry(placement="receptive_field"))
    assert drawn.grid.allclose(explanation.geometry(placement="stretch"))
    assert "77 mm" in grid.words


def test_a_sheet_has_one_scale_and_its_cases_names(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "store"))
    label = store.labels[0]
    tiles = read_tiles(store, label, sheet_entries(store, label, most=6))
    grid = sheet_grid(tiles, label, "hirescam")
    assert grid is not None
    assert grid.shape == (2, 4)
    assert len({cell.display.limits for cell in grid.cells}) == 1
    assert [cell.name for cell in grid.cells] == [f"{tile.name}\n{tile.where}" for tile in tiles]
    assert all("slice group" in cell.name for cell in grid.cells)
    assert grid.title == ""
    assert grid.words.startswith(f"Evidence for {display_name(label)} (HiResCAM), one scale to ")
    assert grid.words.endswith("; outlines: body, lungs and mediastinum on the cells of the map")
    assert not grid.moves
    assert sheet_grid([], label, "hirescam") is None


def test_maps_without_their_ct_lie_among_outlines_of_body_and_organs(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "store"))
    label = store.labels[0]
    alone = read_tiles(store, label, sheet_entries(store, label, most=2))
    grid = sheet_grid([alone[0], replace(alone[1], has_ct=True)], label, "hirescam")
    assert grid is not None
    wanted = np.concatenate([outline(region[np.newaxis]) for region in alone[0].outlines])
    assert len(wanted)
    assert np.array_equal(grid.cells[0].lines, wanted)
    assert not len(grid.cells[1].lines)
    bare = sheet_grid([replace(tile, outlines=()) for tile in alone], label, "hirescam")
    assert bare is not None
    assert "outlines" not in bare.words
    assert not any(len(cell.lines) for cell in bare.cells)


def test_without_maps_there_is_nothing_to_compare(state: ViewState, case: Case, explanation: Explanation) -> None:
    assert methods_grid(ViewState(), case) is None
    assert methods_grid(state, replace(case, explanation=None)) is None
    blind = replace(explanation, model=replace(explanation.model, has_maps=False))
    assert placements_grid(state, replace(case, explanation=blind)) is None
    assert models_grid(state, replace(case, explanation=None), explanation) is None
