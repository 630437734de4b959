"""What stands in the cells of a comparison: pure functions from state and case to a frozen plan of the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from hirescam_napari._case import Case
from hirescam_napari._layers import Picture, placement_mm
from hirescam_napari._regions import Lines, no_lines, outline
from hirescam_napari._resolve import policy_of
from hirescam_napari._state import ViewState
from hirescam_napari.views._words import percent, times_mean
from training.cohort.run_report import model_facts
from training.evaluate.compare import DIFFERENCE_WORDS, method_difference, shift_words
from training.evaluate.sheet_tiles import Tile, outline_words, scale_end, shared_limit, sheet_words
from training.explain.display import Display, SharedOverTwoModels
from training.explain.placement import PLACEMENTS
from training.explain.result import METHOD_NAMES, METHODS, Explanation, Method
from training.geometry import Geometry
from training.labels import display_name

SHEET_COLUMNS = 4
PLACEMENT_NAMES = {"receptive_field": "Where the cells look", "stretch": "Stretched, as in the paper"}


@dataclass(frozen=True, eq=False)
class CellPlan:
    """One cell of the grid: its name, a map at its place, and the CT beneath it (None where there is none).

    ``lines`` run around body and organs, counted in the cells of the map, where nothing else says where these are.
    """

    name: str
    display: Display
    grid: Geometry
    picture: Picture | None
    lines: Lines = field(default_factory=no_lines)


@dataclass(frozen=True, eq=False)
class GridPlan:
    """All cells of a comparison, and what is said about them.

    ``moves`` is False where the cells are single slices, so that there is nothing to scroll through. ``about`` says
    what is compared, as plain JSON types: ``kind`` (methods, models, placements, cases), ``methods``, the partners.
    """

    cells: tuple[CellPlan, ...]
    columns: int
    title: str = ""
    words: str = ""
    moves: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (ceil(len(self.cells) / self.columns), self.columns)


def methods_grid(state: ViewState, case: Case) -> GridPlan | None:
    """Return HiResCAM, Grad-CAM and their difference; None without a map to show."""
    explanation, label = _shown(state, case)
    if explanation is None or label is None:
        return None
    cells = [
        _cell(case, METHOD_NAMES[m], case.display(policy_of(state), label, m), explanation, m, state) for m in METHODS
    ]
    cells.append(_cell(case, "Difference", method_difference(explanation, label), explanation, "hirescam", state))
    about = {"kind": "methods", "methods": list(METHODS)}
    return GridPlan(tuple(cells), 3, _title(explanation, label), f"Difference: {DIFFERENCE_WORDS}", about=about)


def models_grid(state: ViewState, case: Case, other: Explanation) -> GridPlan | None:
    """Return the map of the first chosen method by two models, on one shared scale."""
    explanation, label = _shown(state, case)
    if explanation is None or label is None:
        return None
    about = {"kind": "models", "models": [model_facts(one.model) for one in (explanation, other)]}
    if label not in other.labels:
        only = _cell(
            case, _model_name(explanation, label), case.display(policy_of(state), label, "hirescam"), explanation
        )
        words = f"Model {other.model.name} has no such abnormality"
        return GridPlan((only,), 1, _label(label), words, about={**about, "methods": ["hirescam"]})
    method: Method = state.methods[0] if state.methods else "hirescam"
    shown = []
    for one, opposite in ((explanation, other), (other, explanation)):
        display = SharedOverTwoModels(other=opposite, signed=state.signed).show(one, label, method)
        shown.append(_cell(case, _model_name(one, label), display, one, method, state))
    words = f"{METHOD_NAMES[method]}: colors end at this label's maximum in both models"
    return GridPlan(tuple(shown), 2, _label(label), words, about={**about, "methods": [method]})


def placements_grid(state: ViewState, case: Case) -> GridPlan | None:
    """Return one map in both placements, with how far they are apart."""
    explanation, label = _shown(state, case)
    if explanation is None or label is None:
        return None
    method: Method = state.methods[0] if state.methods else "hirescam"
    display = case.display(policy_of(state), label, method)
    cells = [
        CellPlan(PLACEMENT_NAMES[place], display, explanation.geometry(method, place), case.picture)
        for place in PLACEMENTS
    ]
    about = {"kind": "placements", "methods": [method], "placements": list(PLACEMENTS)}
    return GridPlan(tuple(cells), 2, _title(explanation, label), shift_words(explanation), about=about)


def sheet_grid(
    tiles: Sequence[Tile], label: str, method: Method, about: Mapping[str, Any] | None = None
) -> GridPlan | None:
    """Return the tiles of a contact sheet; None if there are none."""
    if not tiles:
        return None
    limits, words = (0.0, shared_limit(tiles)), sheet_words(tiles, method)
    cells = [_tile_cell(tile, Display(tile.values, limits, "sequential", words)) for tile in tiles]
    # named once, along the foot: a title would stand in every cell
    said = f"Evidence for {_label(label)} ({METHOD_NAMES[method]}), one scale to {scale_end(tiles)}"
    said = "; ".join(part for part in (said, outline_words(tiles)) if part)
    return GridPlan(tuple(cells), min(SHEET_COLUMNS, len(cells)), "", said, moves=False, about=about or {})


def _tile_cell(tile: Tile, display: Display) -> CellPlan:
    """Return a case of a sheet; a map without its CT lies among outlines."""
    drawn = [] if tile.has_ct else [outline(region[np.newaxis]) for region in tile.outlines]
    lines = np.concatenate([no_lines(), *drawn])
    return CellPlan(f"{tile.name}\n{tile.where}", display, tile.grid, tile.picture, lines)


def can_show(state: ViewState, case: Case) -> bool:
    """Return True if there is a map of the selected abnormality."""
    return _shown(state, case)[0] is not None


def _shown(state: ViewState, case: Case) -> tuple[Explanation | None, str | None]:
    explanation = case.explanation
    if explanation is None or not explanation.has_maps or state.label not in explanation.labels:
        return None, None
    return explanation, state.label


def _cell(
    case: Case,
    name: str,
    display: Display,
    explanation: Explanation,
    method: Method = "hirescam",
    state: ViewState | None = None,
) -> CellPlan:
    placement = "receptive_field" if state is None else state.placement
    return CellPlan(name, display, explanation.geometry(method, placement), case.picture)


def _label(label: str) -> str:
    return display_name(label)


def _title(explanation: Explanation, label: str) -> str:
    return f"{display_name(label)}\n{percent(float(explanation.probabilities[explanation.index(label)]))}"


def _model_name(explanation: Explanation, label: str) -> str:
    probability = percent(float(explanation.probabilities[explanation.index(label)]))
    ratio = explanation.ratio_to_mean(label)
    times = "" if ratio is None else f", {times_mean(ratio)} mean"
    return f"{explanation.model.name}: {probability}{times}"


def cell_place(cell: CellPlan) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return scale and translate of a cell's map, viewer's mm."""
    place = placement_mm(cell.grid)
    return place["scale"], place["translate"]
