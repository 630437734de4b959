"""The cases of a contact sheet: of each the map of one label in its top slice, and the CT's slice there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.evaluate.compare import DEFAULT_THRESHOLD, Order, SheetEntry
from training.explain.display import NOTHING, unit_words
from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, Explanation, Method
from training.geometry import Geometry, place_cells, stretched
from training.issues import Cancelled
from training.partition.cells import OrganCells
from training.picture import Picture, drawn_grid, picture_of, to_display, to_lps
from training.words import decimals_apart, percent_at

if TYPE_CHECKING:
    from training.cohort.results import CohortStore

NO_DATA_HU = -3024
"""Drawn black in every window: where the CT of a case is not at hand."""

ORDER_WORDS: dict[Order, str] = {
    "probability": "highest predicted probability first",
    "disagreement": (
        "highest disagreement D first (1: all of Grad-CAM's evidence in wrong organs, all of HiResCAM's in the right "
        "one; below 0: rather the reverse)"
    ),
}

OUTCOME_WORDS = {
    "TP": "predicted and present",
    "FP": "predicted, not present",
    "FN": "present, not predicted",
    "TN": "neither predicted nor present",
}


@dataclass(frozen=True, eq=False)
class Tile:
    """One case of a sheet, one slice thick; all tiles lie about the same point, so that they can share a camera.

    Parameters
    ----------
    entry
        Case, probability, slice group, truth.
    predicted
        Whether the label counts as predicted.
    values
        float32 [1, D1, D2]: the map in the top slice group, signed.
    grid
        Where it is drawn.
    picture
        The CT's slice there; black, in the CT's field of view, where ``has_ct`` is False.
    where
        Which slice of how many it is, in words.
    unit
        Of the map's values.
    threshold
        Probability from which the label counts as predicted.
    decimals
        Of the percentages; the same on all tiles of a sheet.
    outlines
        bool [D1, D2] each: the cells of body and organs, by which a map without its CT is located; none where unknown.
    """

    entry: SheetEntry
    predicted: bool
    values: npt.NDArray[np.float32]
    grid: Geometry
    picture: Picture
    has_ct: bool
    where: str = ""
    unit: str = ""
    threshold: float = DEFAULT_THRESHOLD
    decimals: int = 0
    outlines: tuple[npt.NDArray[np.bool_], ...] = ()

    @property
    def probability_words(self) -> str:
        """The probability in percent."""
        return percent_at(self.entry.probability, self.decimals)

    @property
    def outcome(self) -> str:
        """TP, FP, FN or TN (see ``OUTCOME_WORDS``); empty where the truth is unknown."""
        if self.entry.truth < 0:
            return ""
        return ("TP" if self.predicted else "FN") if self.entry.truth else ("FP" if self.predicted else "TN")

    @property
    def name(self) -> str:
        """Case, probability and outcome in one line."""
        return " · ".join(part for part in (self.entry.case, self.probability_words, self.outcome) if part)


def read_tiles(
    store: CohortStore,
    label: str,
    entries: Sequence[SheetEntry],
    method: Method = "hirescam",
    placement: Placement = "receptive_field",
    with_cts: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Tile]:
    """Return the tiles of ``entries``; of each CT one slice is kept.

    Parameters
    ----------
    with_cts
        False draws maps alone, at once; reading a CT takes seconds.

    Raises
    ------
    InputError
        A result or a CT that cannot be read. A CT that is not where it was is drawn black instead.
    Cancelled
        ``cancelled`` said so; asked before every case.
    """
    tiles = []
    for done, entry in enumerate(entries):
        if cancelled is not None and cancelled():
            raise Cancelled
        if progress is not None:
            progress(done, len(entries), "reading cases")
        explanation = store.explanation(entry.case)
        volume = store.volume(entry.case) if with_cts else None
        picture = None if volume is None else picture_of(volume)
        threshold = store.thresholds.get(label, DEFAULT_THRESHOLD)
        organs = store.organ_cells(entry.case, placement)
        tiles.append(make_tile(explanation, label, entry, picture, method, placement, threshold, organs))
    return alike(tiles)


def alike(tiles: Sequence[Tile]) -> list[Tile]:
    """Return ``tiles`` with one number format: as many decimals as it takes to see on which side of the threshold."""
    shown = [tile.entry.probability for tile in tiles]
    decimals = max((decimals_apart(shown, threshold) for threshold in {tile.threshold for tile in tiles}), default=0)
    return [replace(tile, decimals=decimals) for tile in tiles]


def make_tile(
    explanation: Explanation,
    label: str,
    entry: SheetEntry,
    picture: Picture | None = None,
    method: Method = "hirescam",
    placement: Placement = "receptive_field",
    threshold: float = DEFAULT_THRESHOLD,
    organs: OrganCells | None = None,
) -> Tile:
    """Return one tile: the map of ``label`` in the entry's slice group, over the slice of ``picture`` there.

    ``organs`` are those on the cells of the map, where they are known.
    """
    grid = explanation.geometry(method, placement)
    centre = _centre(explanation.input_geometry)
    values = explanation.map(label, method)[entry.group : entry.group + 1]
    shown = _blank(explanation.image_geometry, centre) if picture is None else _slice_of(picture, grid, entry, centre)
    predicted, place = entry.probability >= threshold, _moved(grid, entry.group, centre)
    where = f"slice group {entry.group + 1} of {grid.shape[0]}"
    if picture is not None:
        where = f"slice {_number_of(picture, grid, entry) + 1} of {picture.geometry.shape[0]}"
    unit, lines = unit_words(explanation, method), () if organs is None else _outlines(organs, entry.group)
    tile = Tile(entry, predicted, values, place, shown, picture is not None, where, unit, threshold, outlines=lines)
    return alike([tile])[0]


def _outlines(organs: OrganCells, group: int) -> tuple[npt.NDArray[np.bool_], ...]:
    """Return the cells of the body (those that it fills to half) and of every organ in one slice group."""
    return (organs.body[group] >= 0.5, *(mask[group] > 0 for _, mask in sorted(organs.centres.items())))


def _centre(geometry: Geometry) -> npt.NDArray[np.float64]:
    """Return the middle of the field of view in the display frame, mm."""
    return to_display(geometry.to_world((np.asarray(geometry.shape) - 1) / 2))


def _moved(geometry: Geometry, slice_index: int, centre: npt.NDArray[np.float64]) -> Geometry:
    """Return one slice of ``geometry``, at position 0, with ``centre`` at the origin of its plane."""
    corner = to_display(geometry.to_world((slice_index, 0, 0))) - centre
    corner[0] = 0.0
    return Geometry.canonical((1, *geometry.shape[1:]), geometry.spacing_mm, to_lps(corner).tolist())


def _number_of(picture: Picture, grid: Geometry, entry: SheetEntry) -> int:
    """Return the slice of the CT nearest to the entry's slice group, from 0."""
    position = picture.geometry.to_index(grid.to_world((entry.group, 0, 0)))[0]
    return int(np.clip(np.floor(position + 0.5), 0, picture.geometry.shape[0] - 1))


def _slice_of(picture: Picture, grid: Geometry, entry: SheetEntry, centre: npt.NDArray[np.float64]) -> Picture:
    number = _number_of(picture, grid, entry)
    return Picture(picture.hu[number : number + 1].copy(), _moved(picture.geometry, number, centre), picture.inverted)


def _blank(image: Geometry, centre: npt.NDArray[np.float64]) -> Picture:
    """Return 2 x 2 black pixels that fill the field of view of a CT of geometry ``image``, edge to edge."""
    seen, shape = drawn_grid(image), (1, 2, 2)
    quarters = place_cells(seen, shape, [stretched(few, many) for few, many in zip(shape, seen.shape, strict=True)])
    return Picture(np.full(shape, NO_DATA_HU, np.int16), _moved(quarters, 0, centre))


def shared_limit(tiles: Sequence[Tile]) -> float:
    """Return the end of the colour scale of all tiles: their largest value, 1 where there is no evidence at all."""
    reach = max((float(tile.values.max()) for tile in tiles), default=0.0)
    return reach if reach > NOTHING else 1.0


def sheet_words(tiles: Sequence[Tile], method: Method) -> str:
    """Return what the colours of a sheet stand for."""
    return f"{METHOD_NAMES[method]}, positive evidence; one scale for all, up to {scale_end(tiles)}"


def outline_words(tiles: Sequence[Tile]) -> str:
    """Return what the lines on tiles without CT are; empty if there are none."""
    outlined = any(tile.outlines and not tile.has_ct for tile in tiles)
    return "outlines: body, lungs and mediastinum on the cells of the map" if outlined else ""


def scale_end(tiles: Sequence[Tile]) -> str:
    """Return the end of the colour scale of all tiles with its unit."""
    unit = f" {tiles[0].unit} a cell" if tiles and tiles[0].unit else ""
    return f"{shared_limit(tiles):.3g}{unit}"


def outcome_legend(tiles: Sequence[Tile]) -> str:
    """Return what the abbreviations on ``tiles`` mean, and from which probability; empty if there are none."""
    there = {tile.outcome for tile in tiles}
    meant = [f"{short}: {words}" for short, words in OUTCOME_WORDS.items() if short in there]
    limits = {percent_at(tile.threshold, tile.decimals): None for tile in tiles}
    known = f"Predicted: a probability of {' or '.join(limits)} or more. "
    return known + "; ".join(meant) if meant else ""
