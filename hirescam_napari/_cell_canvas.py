"""Draws a comparison in napari's grid: in every cell a CT and a map; camera, slice and contrast are linked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer, Vectors

from hirescam_napari._canvas import Canvas, set_if_new
from hirescam_napari._case import Case
from hirescam_napari._cell_layers import ct_image, map_image, outline_lines, update_map
from hirescam_napari._cells import CellPlan, GridPlan
from hirescam_napari._resolve import DisplayPlan

CROWDED = 4
"""More cells than this are too small for a color bar each, and for names of the usual size."""

NAME_SIZE, SMALL_NAME_SIZE = 11, 7


class CellCanvas(Canvas):
    """A canvas whose cells a function plans anew whenever the session's plan changes.

    Parameters
    ----------
    viewer
        Any napari viewer model.
    build
        Gives the cells to show now; None if there is nothing to compare.
    """

    def __init__(self, viewer: ViewerModel, build: Callable[[], GridPlan | None]) -> None:
        super().__init__(viewer)
        self.cell_maps: list[Image] = []
        self.cell_lines: list[Vectors] = []
        self._build = build
        self._grid: GridPlan | None = None

    @property
    def follows_slices(self) -> bool:
        """False for cells that are single slices of many cases."""
        return self._grid is None or self._grid.moves

    @property
    def comparison(self) -> Mapping[str, Any] | None:
        """What the cells compare; None while there are none."""
        return None if self._grid is None else self._grid.about

    @property
    def layers(self) -> list[Layer]:
        """The comparison's own layers, cell by cell: CT, map, outlines."""
        return [layer for i in range(len(self.cell_maps)) for layer in self._of_cell(i)]

    def _of_cell(self, i: int) -> list[Layer]:
        return [*self.cts[i : i + 1], self.cell_maps[i], *self.cell_lines[i : i + 1]]

    def show_case(self, case: Case, window: str) -> None:  # noqa: ARG002 - cells come with the next plan
        """Take away what was there; the cells of another case come with the next plan."""
        self.clear()
        self.overlays.set_letters()

    def clear(self) -> None:
        """Take the comparison's layers out of the viewer; let go of first, so that nobody takes it for the user."""
        own = self.layers
        self._forget_status()
        self.cts, self.cell_maps, self.cell_lines = [], [], []
        self._plan = self._grid = self._range = None
        self.viewer.canvas.grid.enabled = False
        with self.viewer.layers.batched_update():  # napari collects garbage after every removal otherwise
            for layer in own:
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
        self.overlays.clear()

    def apply(self, plan: DisplayPlan) -> None:
        """Draw the cells that fit ``plan``; layers are made anew only where another CT or another number is shown."""
        grid, old = self._build(), self._plan
        if grid is None:
            if self.cell_maps:
                self.clear()
            return
        before, self._plan, self._grid = self._grid, plan, grid
        if not _same_ct(before, grid):
            self._rebuild(grid, plan)
        elif before is None or len(before.cells) != len(grid.cells):
            self._resize(grid, plan)
        for layer, cell in zip(self.cell_maps, grid.cells, strict=False):
            update_map(layer, cell)
        if plan.maps:
            set_if_new(self.cell_maps[0], "opacity", plan.maps[0].opacity)
            set_if_new(self.cell_maps[0], "interpolation2d", "linear" if plan.maps[0].smooth else "nearest")
        if old is None or old.window_hu != plan.window_hu:
            for layer in self.cts[:1]:
                layer.contrast_limits = plan.window_hu
        self._follow(old, plan)
        if before is None or [cell.name for cell in before.cells] != [cell.name for cell in grid.cells]:
            self._forget_status()
        self.overlays.set_title(grid.title)
        self.overlays.set_scale_words(grid.words)

    def _forget_status(self) -> None:
        """Clear napari's status bar, which goes on naming values of cells that are gone until the mouse moves."""
        self.viewer.status = ""

    def show_field(self, box_mm: tuple[float, float, float, float] | None) -> None:
        """Draw no boxes: the cells of a comparison may have different fields."""

    def _follow(self, old: DisplayPlan | None, plan: DisplayPlan) -> None:
        """Go to the top slice of another label."""
        moved = plan.focus is not None and (old is None or old.focus != plan.focus)
        if moved and plan.focus is not None and plan.focus.slice_mm is not None and self._range is not None:
            self.set_slice_mm(plan.focus.slice_mm)

    def _rebuild(self, grid: GridPlan, plan: DisplayPlan) -> None:
        kept, position = (self._plan, self._grid), self.slice_mm if self._range is not None else None
        self.clear()
        self._plan, self._grid = kept
        self._add(grid.cells, plan)
        self._set_slider(grid, position)
        self.overlays.set_letters()
        self._lay_out(grid)

    def _resize(self, grid: GridPlan, plan: DisplayPlan) -> None:
        """Show another number of cells over the same CT: what there is too much of is hidden, and kept for later."""
        if len(self.cell_maps) < len(grid.cells):
            self._add(grid.cells[len(self.cell_maps) :], plan)
        for i in range(len(self.cell_maps)):
            for one in self._of_cell(i):
                set_if_new(one, "visible", i < len(grid.cells))
        self._lay_out(grid)

    def _add(self, cells: Sequence[CellPlan], plan: DisplayPlan) -> None:
        """Add layers for ``cells`` behind those that there are; outlines to all of them, or to none."""
        opacity = plan.maps[0].opacity if plan.maps else 0.6
        outlined = any(len(cell.lines) for cell in cells)
        with self.viewer.layers.batched_update():
            for cell in cells:
                if cell.picture is not None:
                    self.cts.append(ct_image(cell, plan.window_hu))
                    self.viewer.add_layer(self.cts[-1])
                self.cell_maps.append(map_image(cell, opacity))
                self.viewer.add_layer(self.cell_maps[-1])
                if outlined:
                    self.cell_lines.append(outline_lines(cell))
                    self.viewer.add_layer(self.cell_lines[-1])
            self._order()
        self._link()
        for layer in self.cell_maps:
            self.overlays.label_map(layer)

    def _link(self) -> None:
        if len(self.cts) > 1:
            self.viewer.layers.link_layers(self.cts, ("contrast_limits", "gamma", "opacity"))
        if len(self.cell_maps) > 1:
            self.viewer.layers.link_layers(self.cell_maps, ("opacity", "interpolation2d"))

    def _set_slider(self, grid: GridPlan, position: float | None) -> None:
        """Let the slider count the slices of the CT and stay at ``position``; of a sheet there is one slice only."""
        if not grid.moves:
            self.viewer.dims.set_point(0, 0.0)
        elif self.cts:
            first, last = (float(mm) for mm in self.viewer.layers.get_extent(self.cts[:1]).world[:, 0])
            self._range = (first, last, float(self.cts[0].scale[0]))
            self._fit_range(float(self.cell_maps[0].scale[0]))
            self._keep_range()
            if position is not None:
                self.set_slice_mm(position)

    def _lay_out(self, grid: GridPlan) -> None:
        self.overlays.set_grid(True, len(grid.cells) > CROWDED)  # before the grid: napari counts what is visible then
        self.overlays.set_title(grid.title)
        for layer in self.cell_maps:
            layer.colorbar.visible = len(grid.cells) <= CROWDED
            layer.name_overlay.font_size = NAME_SIZE if len(grid.cells) <= CROWDED else SMALL_NAME_SIZE
        canvas_grid = self.viewer.canvas.grid
        canvas_grid.shape = grid.shape
        canvas_grid.spacing = 6
        canvas_grid.stride = len(self.layers) // len(self.cell_maps)
        canvas_grid.enabled = True
        shown = [*self.cts[:1]] or [*self.cell_maps[:1]]
        self.viewer.fit_to_view(layers=shown, margin=0.04)
        self.viewer.layers.selection = [layer for layer in (*self.cts, *self.cell_maps) if layer.visible]


def _same_ct(before: GridPlan | None, after: GridPlan) -> bool:
    """Return True if the layers can go on: all cells lie on one and the same CT, or each on its own as before."""
    if before is None:
        return False
    pictures = [cell.picture for cell in before.cells], [cell.picture for cell in after.cells]
    if before.moves and after.moves:
        return all(picture is pictures[0][0] for picture in (*pictures[0], *pictures[1]))
    return len(pictures[0]) == len(pictures[1]) and all(a is b for a, b in zip(*pictures, strict=True))
