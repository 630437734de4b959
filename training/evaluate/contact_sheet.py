"""The same label over many cases: the top slice of each, small, on one shared scale."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from training.evaluate.case_figures import NO_METADATA, FigureFormat
from training.evaluate.compare import Order
from training.evaluate.figure_marks import (
    bar_words,
    colormap,
    draw_colour_bar,
    draw_mm_bar,
    draw_outline,
    mark_sides,
    plane_extent,
    window_words,
)
from training.evaluate.figure_text import cut, draw_lines, height_inches, wrapped
from training.evaluate.sheet_tiles import ORDER_WORDS, Tile, outcome_legend, outline_words, shared_limit, sheet_words
from training.explain.result import Method, ModelInfo
from training.labels import display_name
from training.picture import WINDOWS
from training.words import NOT_FOR_CLINICAL_USE, counted_of, signed_share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REGION_COLOR = "#9a9a9a"

_TILE, _GAP = 1.9, 0.08
_NARROWEST = 2 * _TILE
"""Inches; for sheets of one case, whose words need the room."""

_TITLE, _FOOT = 0.34, 0.5
"""Inches above a tile for its title; under the tiles for the colour bar, without the words."""

_NAME, _SAID, _SMALL, _TILE_NAME = 12.0, 8.0, 7.0, 6.5
"""Font sizes, points."""


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
            _name_tile(axes, tile, order)
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
    said.append(outcome_legend(tiles))
    missing = sum(not tile.has_ct for tile in tiles)
    if missing:
        without = f"{counted_of(missing, len(tiles), 'case is')} drawn without CT"
        said.append("; ".join(part for part in (without, outline_words(tiles)) if part) + ".")
    return [line for text in said for line in wrapped(text, room, _SMALL)]


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
    colors, cells = colormap("sequential", opacity if tile.has_ct else 1.0), plane_extent(tile.grid)
    axes.imshow(tile.values[0], colors, vmin=0.0, vmax=limit, extent=cells, interpolation="nearest")
    for region in () if tile.has_ct else tile.outlines:
        draw_outline(axes, region, cells, _REGION_COLOR, 0.6)
    axes.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
    mark_sides(axes)
    draw_mm_bar(axes, extent)


def _name_tile(axes: Any, tile: Tile, order: Order | None) -> None:
    value = f"D {signed_share(tile.entry.value)}" if order == "disagreement" else ""
    below = " · ".join(part for part in (tile.where, value) if part)
    names = [cut(line, _TILE, _TILE_NAME) for line in (tile.name, below) if line]
    axes.set_title("\n".join(names), fontsize=_TILE_NAME, pad=2)
