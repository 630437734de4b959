"""The same label over many cases: the top slice of each, small, on one shared scale."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.evaluate.case_figures import NO_METADATA, FigureFormat
from training.evaluate.compare import DEFAULT_THRESHOLD, Order, SheetEntry
from training.evaluate.figure_marks import (
    bar_words,
    colormap,
    draw_colour_bar,
    draw_mm_bar,
    mark_sides,
    plane_extent,
    window_words,
)
from training.evaluate.figure_text import cut, draw_lines, height_inches, wrapped
from training.explain.display import NOTHING, unit_words
from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, Explanation, Method, ModelInfo
from training.geometry import Geometry
from training.issues import Cancelled
from training.labels import display_name
from training.picture import WINDOWS, Picture, picture_of, to_display, to_lps
from training.words import NOT_FOR_CLINICAL_USE, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.cohort.results import CohortStore

NO_DATA_HU = -3024
"""Drawn black in every window: where the CT of a case is not at hand."""

_TILE, _GAP = 1.9, 0.08
_NARROWEST = 2 * _TILE
"""Inches; for sheets of one case, whose words need the room."""

_TITLE, _FOOT = 0.34, 0.5
"""Inches above a tile for its title; under the tiles for the colour bar, without the words."""

_NAME, _SAID, _SMALL, _TILE_NAME = 12.0, 8.0, 7.0, 6.5
"""Font sizes, points."""

ORDER_WORDS: dict[Order, str] = {
    "probability": "highest predicted probability first",
    "disagreement": "where HiResCAM and Grad-CAM disagree most first",
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
        The CT's slice there; black where ``has_ct`` is False.
    where
        Which slice of how many it is, in words.
    unit
        Of the map's values.
    """

    entry: SheetEntry
    predicted: bool
    values: npt.NDArray[np.float32]
    grid: Geometry
    picture: Picture
    has_ct: bool
    where: str = ""
    unit: str = ""

    @property
    def outcome(self) -> str:
        """TP, FP, FN or TN (see ``OUTCOME_WORDS``); empty where the truth is unknown."""
        if self.entry.truth < 0:
            return ""
        return ("TP" if self.predicted else "FN") if self.entry.truth else ("FP" if self.predicted else "TN")

    @property
    def name(self) -> str:
        """Case, probability and outcome in one line."""
        return " · ".join(part for part in (self.entry.case, percent(self.entry.probability), self.outcome) if part)


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
        tiles.append(make_tile(explanation, label, entry, picture, method, placement, threshold))
    return tiles


def make_tile(
    explanation: Explanation,
    label: str,
    entry: SheetEntry,
    picture: Picture | None = None,
    method: Method = "hirescam",
    placement: Placement = "receptive_field",
    threshold: float = DEFAULT_THRESHOLD,
) -> Tile:
    """Return one tile: the map of ``label`` in the entry's slice group, over the slice of ``picture`` there."""
    grid = explanation.geometry(method, placement)
    centre = _centre(explanation.input_geometry)
    values = explanation.map(label, method)[entry.group : entry.group + 1]
    shown = _blank(explanation.input_geometry, centre) if picture is None else _slice_of(picture, grid, entry, centre)
    predicted, place = entry.probability >= threshold, _moved(grid, entry.group, centre)
    where = f"slice group {entry.group + 1} of {grid.shape[0]}"
    if picture is not None:
        where = f"slice {_number_of(picture, grid, entry) + 1} of {picture.geometry.shape[0]}"
    return Tile(entry, predicted, values, place, shown, picture is not None, where, unit_words(explanation, method))


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


def _blank(geometry: Geometry, centre: npt.NDArray[np.float64]) -> Picture:
    halved = geometry.resampled([mm * n / 2 for mm, n in zip(geometry.spacing_mm, geometry.shape, strict=True)])
    return Picture(np.full((1, *halved.shape[1:]), NO_DATA_HU, np.int16), _moved(halved, 0, centre))


def shared_limit(tiles: Sequence[Tile]) -> float:
    """Return the end of the colour scale of all tiles: their largest value, 1 where there is no evidence at all."""
    reach = max((float(tile.values.max()) for tile in tiles), default=0.0)
    return reach if reach > NOTHING else 1.0


def sheet_words(tiles: Sequence[Tile], method: Method) -> str:
    """Return what the colours of a sheet stand for."""
    unit = f" {tiles[0].unit} in one cell" if tiles and tiles[0].unit else ""
    return f"{METHOD_NAMES[method]}, positive evidence; one scale for all cases, up to {shared_limit(tiles):.3g}{unit}"


def draw_sheet(
    tiles: Sequence[Tile],
    label: str,
    model: ModelInfo,
    kind: FigureFormat = "png",
    method: Method = "hirescam",
    window_hu: tuple[float, float] = WINDOWS["lung"].limits_hu,
    order: Order | None = None,
    columns: int = 4,
    opacity: float = 0.6,
    dpi: int = 150,
) -> bytes:
    """Return a contact sheet as a file of ``kind``.

    ``order`` is that of the tiles, to be said; None says nothing.

    Raises
    ------
    ValueError
        If there are no tiles.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not tiles:
        raise ValueError("a contact sheet needs at least one case")
    columns = min(columns, len(tiles))
    width = max(columns * (_TILE + _GAP) + _GAP, _NARROWEST)
    room = width - 2 * _GAP
    head, foot = _head(label, model, order, room), _foot(tiles, method, window_hu, opacity, room)
    below = _FOOT + height_inches(len(foot), _SMALL) + _GAP
    height = below + ceil(len(tiles) / columns) * (_TILE + _TITLE) + sum(line.inches for line in head)
    size = (width, height + 2 * _GAP)
    limit = shared_limit(tiles)
    stream = io.BytesIO()
    with mpl.rc_context({"text.parse_math": False, "svg.hashsalt": "hirescam"}):
        figure = Figure(figsize=size, facecolor="white")
        _draw_head(figure, head)
        for (x, y), tile in zip(_places(len(tiles), columns, below), tiles, strict=True):
            axes = figure.add_axes((x / size[0], y / size[1], _TILE / size[0], _TILE / size[1]))
            _draw_tile(axes, tile, limit, window_hu, opacity)
        bar = figure.add_axes((_GAP / size[0], (below - 0.25) / size[1], 1.5 * _TILE / size[0], 0.14 / size[1]))
        draw_colour_bar(bar, (0.0, limit), "sequential", opacity if any(tile.has_ct for tile in tiles) else None)
        draw_lines(figure, foot, _GAP, _GAP + height_inches(len(foot), _SMALL), _SMALL)
        figure.savefig(stream, format=kind, dpi=dpi, metadata=NO_METADATA[kind])
    return stream.getvalue()


class _Line(NamedTuple):
    """Lines of one look in the head."""

    lines: list[str]
    points: float
    weight: str

    @property
    def inches(self) -> float:
        """How high they are."""
        return height_inches(len(self.lines), self.points)


def _head(label: str, model: ModelInfo, order: Order | None, room: float) -> list[_Line]:
    """Return what stands above the tiles, top to bottom."""
    name, sorted_by = display_name(label), "" if order is None else f", {ORDER_WORDS[order]}"
    known_by = f" (SHA-256 {model.sha256[:12]})" if model.sha256 else ""
    looks = (
        (NOT_FOR_CLINICAL_USE.upper(), _SAID, "bold"),
        (f"{name[:1].upper()}{name[1:]}", _NAME, "bold"),
        (f"Model {model.name}{known_by}; the slice of each case with the highest score{sorted_by}", _SAID, "normal"),
    )
    found = ((wrapped(text, room, points, weight), points, weight) for text, points, weight in looks)
    return [_Line(lines, points, weight) for lines, points, weight in found]


def _draw_head(figure: Figure, head: Sequence[_Line]) -> None:
    width, height = figure.get_size_inches()
    top = float(height) - _GAP
    for n, line in enumerate(head):
        x, side = (_GAP, "left") if n else (float(width) - _GAP, "right")
        draw_lines(figure, line.lines, x, top, line.points, line.weight, side)
        top -= line.inches


def _foot(
    tiles: Sequence[Tile], method: Method, window_hu: tuple[float, float], opacity: float, room: float
) -> list[str]:
    """Return what stands below the tiles: what grays, colours and abbreviations mean, and where CTs were missing."""
    said = [sheet_words(tiles, method) + "."]
    if any(tile.has_ct for tile in tiles):
        said += [bar_words(opacity), f"CT: {window_words(window_hu)}."]
    said.append(outcome_legend(tile.outcome for tile in tiles))
    missing = sum(not tile.has_ct for tile in tiles)
    if missing:
        said.append(f"{missing} of {len(tiles)} cases are drawn without their CT.")
    return [line for text in said for line in wrapped(text, room, _SMALL)]


def outcome_legend(outcomes: Iterable[str]) -> str:
    """Return what the abbreviations among ``outcomes`` mean; empty if there are none."""
    there = set(outcomes)
    return "; ".join(f"{short}: {words}" for short, words in OUTCOME_WORDS.items() if short in there)


def _places(count: int, columns: int, below: float) -> Iterator[tuple[float, float]]:
    """Yield the lower left corner of every tile, inches; the first stands at the upper left."""
    rows = ceil(count / columns)
    for n in range(count):
        row, column = divmod(n, columns)
        yield (_GAP + column * (_TILE + _GAP), below + (rows - 1 - row) * (_TILE + _TITLE))


def _draw_tile(axes: Any, tile: Tile, limit: float, window_hu: tuple[float, float], opacity: float) -> None:
    extent = plane_extent(tile.picture.geometry)
    axes.set_facecolor("black")
    gray = "gray_r" if tile.picture.inverted else "gray"
    low, high = window_hu
    if tile.has_ct:
        axes.imshow(tile.picture.hu[0], gray, vmin=low, vmax=high, extent=extent, interpolation="bilinear")
    alpha = opacity if tile.has_ct else 1.0
    drawn = {"cmap": colormap("sequential"), "vmin": 0.0, "vmax": limit, "alpha": alpha, "interpolation": "nearest"}
    axes.imshow(tile.values[0], extent=plane_extent(tile.grid), **drawn)
    axes.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
    names = [cut(tile.name, _TILE, _TILE_NAME), *([cut(tile.where, _TILE, _TILE_NAME)] if tile.where else [])]
    axes.set_title("\n".join(names), fontsize=_TILE_NAME, pad=2)
    mark_sides(axes)
    draw_mm_bar(axes, extent)
