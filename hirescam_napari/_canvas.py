"""Draws a plan in napari: one CT layer and one layer per method for each canvas, text at the edges, grid, slice.

Layers are made once per case; afterwards only what differs between two plans is touched, and a map's values are written
into the array its layer already holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes

from hirescam_napari._case import Case
from hirescam_napari._layers import AXIS_LABELS, ct_layer, map_colormap
from hirescam_napari._organ_layers import OrganLayers, organ_legend
from hirescam_napari._overlays import Overlays
from hirescam_napari._resolve import DisplayPlan, MapPlan
from training.explain.result import METHOD_NAMES, METHODS, Method

FIELD_NAME = "Seen by the cell"
STEP_TOLERANCE = 0.1
"""Slices up to this much (relative) thicker than slice groups still are the slider's steps."""

MARGIN = 0.04
"""Blank border around the CT, as a fraction of the canvas."""


class Canvas:
    """The layers of one session in one viewer.

    Parameters
    ----------
    viewer
        Any napari viewer model; no window is needed.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.overlays = Overlays(viewer)
        self.cts: list[Image] = []
        self.maps: dict[Method, Image] = {}
        self.fields: list[Shapes] = []
        self.organs = OrganLayers(viewer)
        self._plan: DisplayPlan | None = None
        self._range: tuple[float, float, float] | None = None
        viewer.dims.events.range.connect(self._keep_range)

    @property
    def follows_slices(self) -> bool:
        """True if what is shown is a slice of the open case."""
        return True

    @property
    def comparison(self) -> Mapping[str, Any] | None:
        """What is compared, as :class:`hirescam_napari._cells.GridPlan` says it; None for a single view."""
        return None

    @property
    def layers(self) -> list[Layer]:
        """The session's own layers in the order the grid needs: CT, organs, map, region, box for each method."""
        own: list[Layer] = []
        for i, method in enumerate(METHODS):
            own += [
                *self.cts[i : i + 1],
                *self.organs.below(i),
                *([self.maps[method]] if method in self.maps else []),
                *self.organs.above(i),
                *self.fields[i : i + 1],
            ]
        return own

    def show_case(self, case: Case, window: str) -> None:
        """Draw the CT of ``case`` in place of what was there, in its middle slice; no maps yet."""
        self.clear()
        if case.picture is not None and case.volume is not None:
            data, meta, _ = ct_layer(case.volume, case.picture, window)
            layer = Image(data, **meta)
            self.cts = [layer]
            self.viewer.add_layer(layer)
            self._take_range()
            self._keep_range()
            self._fit()
        self.overlays.set_letters()

    def swap_case(self, case: Case, window: str) -> bool:
        """Draw another explained case in the layers that are there; the next plan brings its maps.

        Taking layers out and putting others in takes napari a second. Returns False, and changes nothing, if the layers
        do not fit: none yet, or a CT in one of the cases only.
        """
        explained = case.explanation is not None and case.explanation.has_maps
        has_ct = case.volume is not None and case.picture is not None
        if not self.maps or not explained or bool(self.cts) != has_ct:
            return False
        self._plan = self._range = None
        if case.volume is not None and case.picture is not None and case.explanation is not None:
            data, meta, _ = ct_layer(case.volume, case.picture, window)
            for layer in self.cts:
                _swap_ct(layer, data, meta)
            self._take_range()
            self._fit_range(case.explanation.geometry().spacing_mm[0])
        return True

    def _take_range(self) -> None:
        """Let the slider run over the slices of the CT."""
        layer = self.cts[0]
        first, last = (float(mm) for mm in self.viewer.layers.get_extent([layer]).world[:, 0])
        self._range = (first, last, float(layer.scale[0]))

    def clear(self) -> None:
        """Take the session's layers out of the viewer; those of others stay."""
        self.viewer.canvas.grid.enabled = False
        with self.viewer.layers.batched_update():  # napari collects garbage after every removal otherwise
            for layer in self.layers:
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
        self.cts, self.maps, self.fields, self._plan, self._range = [], {}, [], None, None
        self.organs.clear()
        self.overlays.clear()

    def apply(self, plan: DisplayPlan) -> None:
        """Draw ``plan``; only what changed since the last one is touched."""
        old, self._plan = self._plan, plan
        if plan.maps and not self.maps:
            self._add_maps(plan)
            self._fit_range(plan.maps[0].scale[0])
            old = None
        if old is None or old.window_hu != plan.window_hu:
            for layer in self.cts[:1]:
                layer.contrast_limits = plan.window_hu
        target = plan.focus.slice_mm if plan.focus is not None and (old is None or old.focus != plan.focus) else None
        moves = target is not None and self._on_slider(target) != self.slice_mm
        for map_plan, before in zip(plan.maps, _before(old, plan), strict=True):
            _apply_map(self.maps[map_plan.method], map_plan, before, draw=not moves)
        if not plan.maps:
            self._hide_maps()
        self.overlays.set_grid(plan.side_by_side)  # before the grid: napari counts what is visible then
        self.overlays.set_title(plan.title)
        if self.maps and (old is None or old.side_by_side != plan.side_by_side):
            self._set_grid(plan.side_by_side)
        if self.organs.apply(plan):
            self._order()
            self._set_stride()
            self.select()
        if target is not None:
            self.set_slice_mm(target)
        self.overlays.set_scale_words(plan.scale_words)
        self.overlays.set_notices(plan.notices)
        self.overlays.set_legend(organ_legend(plan))

    def set_slice_mm(self, slice_mm: float) -> None:
        """Show the position on the slider nearest to ``slice_mm`` (viewer's mm)."""
        if self.viewer.dims.ndim >= 3:
            self.viewer.dims.set_point(0, self._on_slider(slice_mm))

    def _on_slider(self, slice_mm: float) -> float:
        start, stop, step = self.viewer.dims.range[0]
        return float(min(start + round((slice_mm - start) / step) * step, stop))

    @property
    def slice_mm(self) -> float:
        """The position of the shown slice, viewer's mm."""
        return float(self.viewer.dims.point[0])

    def _fit_range(self, group_mm: float) -> None:
        """Divide the slider's step where slices are thicker than slice groups, so that every group can be shown."""
        if self._range is not None:
            first, last, step = self._range
            self._range = (first, last, step / max(1, ceil(step / group_mm - STEP_TOLERANCE)))
            self._keep_range()

    def _keep_range(self) -> None:
        """Let the slider count the slices of the CT; napari would count by the finest of all layers."""
        dims = self.viewer.dims
        if self._range is not None and dims.ndim == 3 and tuple(dims.range[0]) != self._range:
            dims.set_range(0, self._range)

    def show_field(self, box_mm: tuple[float, float, float, float] | None) -> None:
        """Draw the box (low row, low column, high row, high column; viewer's mm) on every CT, or none."""
        hosts = self._field_hosts()
        if box_mm is not None:
            self._add_fields(len(hosts))
        for field, ct in zip(self.fields, hosts, strict=False):
            if box_mm is not None and ct.visible:
                field.data = [_rectangle(box_mm)]
                field.visible = True
            elif field.visible:
                field.visible = False

    def _field_hosts(self) -> list[Image]:
        """Return what the boxes lie on: the CTs, or the maps of a case whose CT is not at hand."""
        return self.cts or list(self.maps.values())

    def _add_maps(self, plan: DisplayPlan) -> None:
        """Add the maps, hidden until the plan shows them."""
        with self.viewer.layers.batched_update():
            for map_plan in plan.maps:
                layer = _map_image(map_plan)
                self.maps[map_plan.method] = layer
                self.viewer.add_layer(layer)
            self._order()
        self.viewer.layers.link_layers(list(self.maps.values()), ("opacity", "interpolation2d"))
        for layer in self.maps.values():
            self.overlays.label_map(layer)
        self.select()

    def _hide_maps(self) -> None:
        for layer in self.maps.values():
            set_if_new(layer, "visible", False)

    def _add_fields(self, count: int) -> None:
        """Add the boxes the first time one is drawn: every layer in the list costs time in every step."""
        if len(self.fields) >= count:
            return
        selected = list(self.viewer.layers.selection)
        with self.viewer.layers.batched_update():
            while len(self.fields) < count:
                field = _field_shapes()
                self.fields.append(field)
                self.viewer.add_layer(field)
            self._order()
        self.viewer.layers.selection = selected
        self._set_stride()

    def _add_second_ct(self) -> None:
        for first in self.cts[:1] if len(self.cts) < len(METHODS) else ():
            second = Image(
                first.data,
                name=f"{first.name} (2)",
                contrast_limits=first.contrast_limits,
                colormap=first.colormap,
                scale=first.scale,
                translate=first.translate,
                units=first.units,
                axis_labels=first.axis_labels,
                visible=False,
            )
            self.cts.append(second)
            self.viewer.add_layer(second)
            self.viewer.layers.link_layers(self.cts, ("contrast_limits", "gamma", "colormap", "opacity"))
            if self.fields:
                self._add_fields(len(self.cts))

    def select(self) -> None:
        """Select CT and shown maps, so that napari's status bar gives the values of all of them."""
        shown = [layer for layer in (*self.cts, *self.maps.values()) if layer.visible and layer in self.viewer.layers]
        self.viewer.layers.selection = shown

    def _order(self) -> None:
        """Put the session's layers first, as the grid's stride needs them."""
        for target, layer in enumerate(self.layers):
            source = self.viewer.layers.index(layer)
            if source != target:
                self.viewer.layers.move(source, target)

    def _set_grid(self, side_by_side: bool) -> None:
        if side_by_side:
            self._add_second_ct()
        self._order()
        for second in self.cts[1:]:
            set_if_new(second, "visible", side_by_side)
        grid = self.viewer.canvas.grid
        if side_by_side:
            grid.shape = (1, len(METHODS))
            grid.spacing = 6
            self._set_stride()
        grid.enabled = side_by_side
        self._fit()
        self.select()

    def _set_stride(self) -> None:
        """Give every canvas of the grid as many of the session's layers as every other."""
        self.viewer.canvas.grid.stride = max(1, len(self.layers) // len(METHODS))

    def _fit(self) -> None:
        shown: list[Layer] = [*self.cts[:1]] or [*self.maps.values()]
        if shown:
            self.viewer.fit_to_view(layers=shown, margin=MARGIN)


def _before(old: DisplayPlan | None, plan: DisplayPlan) -> tuple[MapPlan | None, ...]:
    return (None,) * len(plan.maps) if old is None or len(old.maps) != len(plan.maps) else old.maps


def _swap_ct(layer: Image, data: np.ndarray[Any, np.dtype[np.int16]], meta: Mapping[str, Any]) -> None:
    layer.data = data
    for name in ("scale", "translate", "colormap", "metadata"):
        setattr(layer, name, meta[name])


def _apply_map(layer: Image, plan: MapPlan, before: MapPlan | None, draw: bool = True) -> None:
    """Change ``layer`` where ``plan`` differs from ``before``; a hidden map is brought up to date when it is shown.

    ``draw=False`` leaves it to a move of the slice that follows to read the new values.
    """
    set_if_new(layer, "visible", plan.visible)
    if not plan.visible:
        return
    fresh = before is None or not before.visible
    if fresh or before is None or (before.scale, before.translate) != (plan.scale, plan.translate):
        layer.scale, layer.translate = plan.scale, plan.translate
    if fresh or before is None or before.display.colormap != plan.display.colormap:
        layer.colormap = map_colormap(plan.display.colormap)
    if fresh or before is None or before.display is not plan.display:
        _swap(layer, plan, draw or fresh)
    set_if_new(layer, "opacity", plan.opacity)
    set_if_new(layer, "interpolation2d", "linear" if plan.smooth else "nearest")


def set_if_new(layer: Image, name: str, value: Any) -> None:
    """Set an attribute that napari would announce, and draw again for, even if it is the same."""
    if getattr(layer, name) != value:
        setattr(layer, name, value)


def _swap(layer: Image, plan: MapPlan, draw: bool) -> None:
    """Write the values into the layer's own array; napari then draws it again without measuring its extent."""
    limits = plan.display.limits
    if layer.data.shape != plan.display.values.shape:
        layer.data = plan.display.values.copy()
    else:
        layer.data[...] = plan.display.values
    layer.contrast_limits = limits
    if draw:
        layer.refresh(extent=False, highlight=False, thumbnail=False)


def _map_image(plan: MapPlan) -> Image:
    return Image(
        plan.display.values.copy(),
        name=METHOD_NAMES[plan.method],
        scale=plan.scale,
        translate=plan.translate,
        units=("mm",) * 3,
        axis_labels=AXIS_LABELS,
        contrast_limits=plan.display.limits,
        colormap=map_colormap(plan.display.colormap),
        opacity=plan.opacity,
        blending="translucent",
        visible=False,
    )


def _field_shapes() -> Shapes:
    return Shapes(
        [_rectangle((0.0, 0.0, 1.0, 1.0))],
        name=FIELD_NAME,
        shape_type="rectangle",
        edge_color="#4fd1ff",
        face_color="transparent",
        edge_width=1.2,
        units=("mm", "mm"),
        axis_labels=("row", "column"),
        visible=False,
    )


def _rectangle(box_mm: tuple[float, float, float, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    low_row, low_column, high_row, high_column = box_mm
    return np.array(
        [[low_row, low_column], [low_row, high_column], [high_row, high_column], [high_row, low_column]], dtype=float
    )
