"""The napari layers of one cell of a comparison: CT, map, outlines."""

from __future__ import annotations

from napari.layers import Image, Vectors

from hirescam_napari._cells import CellPlan, cell_place
from hirescam_napari._layers import AXIS_LABELS, gray, map_colormap, placement_mm
from hirescam_napari._line_layers import line_layer

OUTLINE_COLOR, OUTLINE_WIDTH_MM = "#9a9a9a", 2.0


def update_map(layer: Image, cell: CellPlan) -> None:
    """Show ``cell`` in a layer that has its shape."""
    if layer.name != cell.name:
        layer.name = cell.name
    layer.scale, layer.translate = cell_place(cell)
    layer.colormap = map_colormap(cell.display.colormap)
    if layer.data.shape == cell.display.values.shape:
        layer.data[...] = cell.display.values
    else:
        layer.data = cell.display.values.copy()
    layer.contrast_limits = cell.display.limits
    layer.refresh(extent=False, highlight=False, thumbnail=False)


def map_image(cell: CellPlan, opacity: float) -> Image:
    """Return the layer of a cell's map."""
    scale, translate = cell_place(cell)
    return Image(
        cell.display.values.copy(),
        name=cell.name,
        scale=scale,
        translate=translate,
        units=("mm",) * 3,
        axis_labels=AXIS_LABELS,
        contrast_limits=cell.display.limits,
        colormap=map_colormap(cell.display.colormap),
        opacity=opacity,
        blending="translucent",
    )


def ct_image(cell: CellPlan, window_hu: tuple[float, float]) -> Image:
    """Return the layer of a cell's CT.

    Raises
    ------
    ValueError
        If it has none.
    """
    if cell.picture is None:
        raise ValueError(f"cell {cell.name} has no CT")
    place = placement_mm(cell.picture.geometry)
    colors = gray(cell.picture.inverted)
    return Image(cell.picture.hu, name=f"CT: {cell.name}", contrast_limits=window_hu, colormap=colors, **place)


def outline_lines(cell: CellPlan) -> Vectors:
    """Return the layer of the lines around body and organs, over the map."""
    return line_layer(cell.lines, cell_place(cell), f"Outlines: {cell.name}", OUTLINE_COLOR, OUTLINE_WIDTH_MM)
