"""Lines along the edges of cells as napari layers: as wide as asked for in mm, with closed corners."""

from __future__ import annotations

import numpy as np
from napari.layers import Vectors

from hirescam_napari._layers import AXIS_LABELS
from hirescam_napari._regions import Lines

Triple = tuple[float, float, float]
Place = tuple[Triple, Triple]
"""Scale and translate of the cells, viewer's mm."""


def line_layer(lines: Lines, place: Place, name: str, color: str, width_mm: float, visible: bool = True) -> Vectors:
    """Return the layer of ``lines`` [N, 2, 3] (slice groups, rows and columns in cells) around cells at ``place``."""
    scale, translate = along_slices(place)
    return Vectors(
        lines_mm(lines, place, width_mm),
        name=name,
        scale=scale,
        translate=translate,
        units=("mm",) * 3,
        axis_labels=AXIS_LABELS,
        vector_style="line",
        edge_width=width_mm,
        edge_color=color,
        opacity=1.0,
        visible=visible,
    )


def lines_mm(lines: Lines, place: Place, width_mm: float) -> Lines:
    """Return ``lines`` with rows and columns in the viewer's mm; slice groups stay counted.

    Every line is as much longer as the lines are wide, so that corners are closed. A line of no length stands in where
    there are none.
    """
    if not len(lines):
        return np.zeros((1, 2, 3), dtype=np.float32)
    scale, translate = np.asarray(place)
    drawn = lines.astype(np.float32)
    ends = np.sign(drawn[:, 1]) * np.float32(width_mm / 2)
    drawn[:, 0, 1:] = drawn[:, 0, 1:] * scale[1:] + translate[1:]
    drawn[:, 1, 1:] *= scale[1:].astype(np.float32)
    drawn[:, 0] -= ends
    drawn[:, 1] += 2 * ends
    return drawn


def along_slices(place: Place) -> Place:
    """Return scale and translate of a layer of :func:`lines_mm`: rows and columns are in mm already."""
    scale, translate = place
    return (scale[0], 1.0, 1.0), (translate[0], 0.0, 0.0)
