"""From what the user wants to see and the case to a frozen plan of what is drawn; no window, no side effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hirescam_napari._case import Case
from hirescam_napari._layers import placement_mm, to_display, to_lps
from hirescam_napari._regions import Region
from hirescam_napari._state import WINDOWS, Layout, ViewState
from hirescam_napari.views._words import percent, times_mean
from training.explain.checks import evidence_words
from training.explain.display import Display, PerLabel, Policy, policy_named
from training.explain.result import METHOD_NAMES, METHODS, Explanation, Method
from training.geometry import Geometry
from training.issues import InputError
from training.labels import display_name
from training.partition.cells import OrganCells
from training.partition.organs import Organs

SCALE_ENDS = {
    "per_label": "this map's own maximum",
    "shared_labels": "the maximum of all abnormalities",
    "absolute": "a fixed limit",
    "paper": "1 = this map's own maximum",
}
"""What the end of the color scale is, for every key of ``SCALINGS``."""

CONTOUR_MM = 1.4
"""Inner width of the organs' contours, at least one pixel; napari adds one outside."""

NO_CT = "The CT is not open: open it together with the result"
NO_MAPS = "This model has no maps"
HEURISTIC_NOTICE = "Heuristic organ mask used"
NOTICES = {
    "not-a-chest": "Seems not to be a chest CT",
    "cropped-chest": "Holds a part of the chest only",
    "lungs-at-end": "Lungs are cut off at an end",
    "lungs-at-edge": "Lungs are cut off at the edge",
}
"""Code of an issue -> what the canvas says of it (the whole sentence is among the messages)."""


@dataclass(frozen=True)
class MapPlan:
    """How one map is drawn; ``display`` compares by identity."""

    method: Method
    display: Display
    scale: tuple[float, float, float]
    translate: tuple[float, float, float]
    opacity: float
    smooth: bool
    visible: bool


@dataclass(frozen=True)
class FocusPlan:
    """Which slice group a selection leads to; a change of it moves the slice, unless no slice is above the others."""

    label: str
    group: int
    slice_mm: float | None


@dataclass(frozen=True)
class OrganPlan:
    """How the organs are drawn; ``labels`` (uint8 on the picture's grid) belong to ``organs``, compared by identity.

    Without a CT they are drawn as they lie on the map's cells.
    """

    organs: Organs | OrganCells
    labels: npt.NDArray[np.uint8] = field(compare=False, repr=False)
    scale: tuple[float, float, float]
    translate: tuple[float, float, float]
    contour_px: int
    opacity: float
    visible: bool


@dataclass(frozen=True)
class RegionPlan:
    """How the region of the selected abnormality is drawn; ``region`` compares by identity."""

    region: Region
    scale: tuple[float, float, float]
    translate: tuple[float, float, float]
    visible: bool


@dataclass(frozen=True)
class DisplayPlan:
    """All that is drawn.

    Parameters
    ----------
    window_hu
        Gray-scale limits of the CT, HU.
    side_by_side
        Two canvases instead of one.
    maps
        One per method, in the order of ``METHODS``; empty before there is an explanation.
    focus
        Where to go when it changes; None without a selection.
    title
        Abnormality, probability, ratio to the model's mean; empty without a selection.
    scale_words
        What the colors stand for.
    organs
        None until they were found.
    region
        None without a selection, and where it is unknown.
    notices
        What has to be known before a prediction or a mask is believed, a few words each.
    """

    window_hu: tuple[float, float]
    side_by_side: bool = False
    maps: tuple[MapPlan, ...] = ()
    focus: FocusPlan | None = None
    title: str = ""
    scale_words: str = ""
    show_field: bool = True
    organs: OrganPlan | None = None
    region: RegionPlan | None = None
    notices: tuple[str, ...] = ()


def resolve(state: ViewState, case: Case) -> DisplayPlan:
    """Return what is drawn for ``state`` and ``case``."""
    window = WINDOWS[state.window].limits_hu
    explanation, label = case.explanation, state.label
    organs, notices = _organ_plan(state, case), notice_words(state, case)
    if explanation is None or label is None or label not in explanation.labels:
        return DisplayPlan(window, title=_untitled(case), organs=organs, notices=notices)
    drawn = METHODS if explanation.has_maps else ()
    return DisplayPlan(
        window,
        side_by_side=bool(drawn) and state.layout is Layout.SIDE_BY_SIDE,
        maps=tuple(_map_plan(state, case, explanation, label, method) for method in drawn),
        focus=_focus(case, explanation, label),
        title=title_text(explanation, label),
        scale_words=_said_of_scale(state, explanation, label) if drawn else NO_MAPS,
        show_field=state.show_field,
        organs=organs,
        region=_region_plan(state, case, explanation, label),
        notices=notices,
    )


def _organ_plan(state: ViewState, case: Case) -> OrganPlan | None:
    cells, organs, labels = case.cells.get(state.placement), case.organs, case.drawn_organs
    if organs is not None and labels is not None and case.picture is not None:
        return _organs_on(state, organs, labels, case.picture.geometry)
    if cells is not None and case.picture is None and case.explanation is not None:
        return _organs_on(state, cells, cells.labels, case.explanation.geometry("hirescam", state.placement))
    return None


def _organs_on(
    state: ViewState, organs: Organs | OrganCells, labels: npt.NDArray[np.uint8], grid: Geometry
) -> OrganPlan:
    place: dict[str, Any] = placement_mm(grid)
    return OrganPlan(
        organs,
        labels,
        scale=place["scale"],
        translate=place["translate"],
        contour_px=0 if state.fill_organs else max(1, round(CONTOUR_MM / grid.spacing_mm[2])),
        opacity=state.organ_opacity,
        visible=state.show_organs,
    )


def _region_plan(state: ViewState, case: Case, explanation: Explanation, label: str) -> RegionPlan | None:
    region = case.region(label, state.placement) if state.show_region and explanation.has_maps else None
    if region is None:
        return None
    place: dict[str, Any] = placement_mm(explanation.geometry("hirescam", state.placement))
    return RegionPlan(region, place["scale"], place["translate"], visible=True)


def notice_words(state: ViewState, case: Case) -> tuple[str, ...]:
    """Return what has to be known before a prediction or a mask is believed: of the CT, and of the organs if drawn."""
    codes = [] if case.volume is None else [issue.code for issue in case.volume.issues]
    words = [NOTICES[code] for code in dict.fromkeys(codes) if code in NOTICES]
    if case.volume is None and case.explanation is not None:
        words.append(NO_CT)
    if case.organs is not None and case.organs.qc.heuristic is not None and (state.show_organs or state.show_region):
        words.append(HEURISTIC_NOTICE)
    return tuple(dict.fromkeys(words))


def policy_of(state: ViewState) -> Policy:
    """Return the display policy that ``state`` asks for."""
    return policy_named(state.scaling, signed=state.signed, limit=state.limit)


def _map_plan(state: ViewState, case: Case, explanation: Explanation, label: str, method: Method) -> MapPlan:
    place: dict[str, Any] = placement_mm(explanation.geometry(method, state.placement))
    return MapPlan(
        method=method,
        display=case.display(policy_of(state), label, method),
        scale=place["scale"],
        translate=place["translate"],
        opacity=state.opacity,
        smooth=state.smooth,
        visible=state.layout is Layout.SIDE_BY_SIDE or method in state.methods,
    )


def _focus(case: Case, explanation: Explanation, label: str) -> FocusPlan:
    group = explanation.top_slice(label)
    return FocusPlan(label, group, case.shown_mm(group) if explanation.has_maps else None)


def scale_words(state: ViewState) -> str:
    """Return in one sentence what the color bars stand for; their numbers are beside them."""
    end = SCALE_ENDS[state.scaling]
    if state.signed and state.scaling != "paper":
        return f"Red for, blue against; ends at {end.replace('maximum', 'largest magnitude')}"
    return f"Colors: evidence for, 0 to {end}"


def _said_of_scale(state: ViewState, explanation: Explanation, label: str) -> str:
    """Return what the colors stand for and, in a line of its own, that there is hardly anything to color."""
    return "\n".join(said for said in (scale_words(state), evidence_words(explanation, label)) if said)


def _untitled(case: Case) -> str:
    return "" if case.picture is None else "No model has run yet"


def title_text(explanation: Explanation, label: str) -> str:
    """Return abnormality, probability and its ratio to the model's mean for this label."""
    probability = float(explanation.probabilities[explanation.index(label)])
    ratio = ratio_to_mean(explanation, label)
    times = "" if ratio is None else f", {times_mean(ratio)} mean"
    return f"{display_name(label)}\n{percent(probability)}{times}"


def ratio_to_mean(explanation: Explanation, label: str) -> float | None:
    """Return the probability over the model's mean probability for ``label``, None where that is unknown."""
    return explanation.ratio_to_mean(label)


def slice_text(case: Case, slice_mm: float) -> str:
    """Return which slice is shown, counted from 1 at the head."""
    number = case.slice_at(slice_mm)
    if number is not None:
        return f"Slice {number + 1} of {case.n_slices}"
    group = case.group_at(slice_mm)
    if group is None or case.explanation is None:
        return ""
    n_groups = case.explanation.cells.n_cells[0]
    return f"Slice group {min(max(round(group), 0), n_groups - 1) + 1} of {n_groups}"


@dataclass(frozen=True)
class Readout:
    """What lies under the cursor.

    Parameters
    ----------
    text
        HU and map values in words.
    cell
        The map cell (slice group, row, column), None outside the map.
    field_mm
        Row and column edges (low row, low column, high row, high column), viewer's mm, of what the cell could see.
    """

    text: str = ""
    cell: tuple[int, int, int] | None = None
    field_mm: tuple[float, float, float, float] | None = None


def readout(state: ViewState, case: Case, position_mm: tuple[float, float, float]) -> Readout:
    """Return what lies at ``position_mm`` (viewer's mm)."""
    parts = [_hu_text(case, position_mm)]
    explanation, label = case.explanation, state.label
    if explanation is None or label is None or label not in explanation.labels:
        return Readout("".join(parts))
    if not explanation.has_maps:
        return Readout("".join([*parts, "   no map"]))
    cell = explanation.cell_at(to_lps(position_mm), "hirescam", state.placement)
    if cell is None:
        return Readout("".join([*parts, "   outside the map"]))
    parts += [f"   {METHOD_NAMES[m]} {case.display(PerLabel(), label, m).values[cell]:+.2g}" for m in METHODS]
    corners = to_display(explanation.cell_box(cell).corners_mm)[:, 1:]
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Readout("".join(parts), cell, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))


def _hu_text(case: Case, position_mm: tuple[float, float, float]) -> str:
    if case.picture is None:
        return ""
    index = tuple(int(i) for i in (case.picture.geometry.to_index(to_lps(position_mm)) + 0.5) // 1)
    if any(not 0 <= i < n for i, n in zip(index, case.picture.geometry.shape, strict=True)):
        return "outside the CT"
    return f"{int(case.picture.hu[index])} HU"


def error_text(error: Exception) -> str:
    """Return an error as a user reads it: the issues of an :class:`InputError`, else the message with its type."""
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
