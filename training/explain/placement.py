"""Where a map's cells stand in the patient, what each could see of the CT, and that said in words.

HiResCAM's guarantee is about cells of Z; what a cell saw of the CT is its receptive field, which layer arithmetic gives
(:func:`training.geometry.receptive_field`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from training.geometry import CellLayout, FloatArray, Geometry, ReceptiveField, place_cells, stretched

Placement = Literal["receptive_field", "stretch"]
PLACEMENTS: tuple[Placement, ...] = ("receptive_field", "stretch")

Cell = tuple[int, int, int]
"""Index (slice group, row, column) of one value of a map."""

SEES_ALL = "Each cell of this map could see the whole slice"
CANNOT_TELL = "the map can tell which slices carried the evidence, not where in the slice."


def place(image: Geometry, cells: CellLayout, placement: Placement = "receptive_field") -> Geometry:
    """Return the geometry of a map over the model input ``image``.

    ``receptive_field`` puts every cell at the centre of what it saw; ``stretch`` draws the cells evenly over the whole
    input, as the paper's figures do.

    Raises
    ------
    ValueError
        If there is no such placement.
    """
    return place_cells(image, cells.n_cells, placed_fields(image, cells, placement))


def placed_fields(
    image: Geometry, cells: CellLayout, placement: Placement
) -> tuple[ReceptiveField, ReceptiveField, ReceptiveField]:
    """Return start and distance of the cells along (slice, row, column) for ``placement``, px of ``image``."""
    if placement == "receptive_field":
        return cells.fields
    if placement == "stretch":
        slice_, row, column = (stretched(n, px) for n, px in zip(cells.n_cells, image.shape, strict=True))
        return (slice_, row, column)
    raise ValueError(f"no placement is called {placement!r}; there are {', '.join(PLACEMENTS)}")


def cell_at(geometry: Geometry, world_mm: FloatArray) -> Cell | None:
    """Return the cell of a placed map that holds the LPS point ``world_mm``, or None outside the map."""
    index = np.floor(geometry.to_index(world_mm) + 0.5).astype(int)
    if (index < 0).any() or (index >= geometry.shape).any():
        return None
    return (int(index[0]), int(index[1]), int(index[2]))


@dataclass(frozen=True, eq=False)
class CellBox:
    """What one cell could see of the model input.

    Parameters
    ----------
    cell
        Index (slice group, row, column).
    low_px, high_px
        Outer edges along (slice, row, column) in px of the model input, cut to it; voxel i spans i - 0.5 .. i + 0.5.
    full_low_px, full_high_px
        The same before cutting.
    corners_mm
        [8, 3] LPS mm of the cut box; corner c has the high edge on axis a where bit (2 - a) of c is set.
    centre_mm
        [3] LPS mm of the field's centre (not of the cut box).
    """

    cell: Cell
    low_px: tuple[float, float, float]
    high_px: tuple[float, float, float]
    full_low_px: tuple[float, float, float]
    full_high_px: tuple[float, float, float]
    corners_mm: FloatArray
    centre_mm: FloatArray

    @property
    def is_cut(self) -> bool:
        """True if the field reaches beyond the model input."""
        return (self.low_px, self.high_px) != (self.full_low_px, self.full_high_px)


def cell_box(image: Geometry, cells: CellLayout, cell: Cell) -> CellBox:
    """Return what ``cell`` could see of the model input ``image``.

    Raises
    ------
    IndexError
        If there is no such cell.
    """
    if any(not 0 <= i < n for i, n in zip(cell, cells.n_cells, strict=True)):
        raise IndexError(f"no cell {cell} in a map of {cells.n_cells} cells")
    full = np.array([field.box(i) for field, i in zip(cells.fields, cell, strict=True)])
    cut = np.clip(full, -0.5, np.asarray(image.shape)[:, None] - 0.5)
    corners = np.array(list(product(*cut)))
    return CellBox(
        cell,
        low_px=_triple(cut[:, 0]),
        high_px=_triple(cut[:, 1]),
        full_low_px=_triple(full[:, 0]),
        full_high_px=_triple(full[:, 1]),
        corners_mm=image.to_world(corners),
        centre_mm=image.to_world(full.mean(axis=1)),
    )


def _triple(values: FloatArray) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def covers_slice(image: Geometry, cells: CellLayout) -> bool:
    """Return True if the field is at least as large as the slice along both in-plane axes."""
    return all(field.size_px >= n for field, n in zip(cells.fields[1:], image.shape[1:], strict=True))


def smallest_view(image: Geometry, cells: CellLayout) -> float:
    """Return the share (0 to 1) of the slice that the cell with the worst view could see."""
    share = 1.0
    for field, n_cells, n_px in zip(cells.fields[1:], cells.n_cells[1:], image.shape[1:], strict=True):
        edges = np.clip([field.box(i) for i in range(n_cells)], -0.5, n_px - 0.5)
        share *= float((edges[:, 1] - edges[:, 0]).min()) / n_px
    return share


def where_words(image: Geometry, cells: CellLayout) -> str:
    """Return in one sentence how far the map can tell where in the slice the evidence lay."""
    if covers_slice(image, cells):
        least = smallest_view(image, cells)
        all_seen = "" if least >= 1 else f" or most of it (never less than {least:.0%})"
        return f"{SEES_ALL}{all_seen}: {CANNOT_TELL}"
    row, column = (f.size_px * mm for f, mm in zip(cells.fields[1:], image.spacing_mm[1:], strict=True))
    return f"Each cell saw a box of {row:.0f} x {column:.0f} mm."
