"""Organs and allowed regions as napari layers: one of each per CT of the canvas, changed only where a plan differs."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.layers import Labels, Layer, Vectors
from napari.utils.colormaps import DirectLabelColormap

from hirescam_napari._layers import AXIS_LABELS
from hirescam_napari._line_layers import along_slices, line_layer, lines_mm
from hirescam_napari._resolve import DisplayPlan, OrganPlan, RegionPlan
from training.explain.result import METHODS
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, ORGAN_NAMES, RIGHT_LUNG

ORGANS_NAME, REGION_NAME = "Organs", "Allowed region"
ORGAN_COLORS: dict[int, str] = {RIGHT_LUNG: "#39a9ff", LEFT_LUNG: "#c58bff", MEDIASTINUM: "#ff6fb5"}
REGION_COLOR = "#5dff9b"
REGION_WIDTH_MM = 2.2


class OrganLayers:
    """The layers of organs and region in one viewer; made when a plan first shows them.

    Parameters
    ----------
    viewer
        Any napari viewer model.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.organs: list[Labels] = []
        self.regions: list[Vectors] = []
        self._drawn: list[OrganPlan | None] = []
        self._lined: list[RegionPlan | None] = []
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    def below(self, canvas: int) -> list[Layer]:
        """Return the layers of one canvas that lie between its CT and its map."""
        return [*self.organs[canvas : canvas + 1]]

    def above(self, canvas: int) -> list[Layer]:
        """Return the layers of one canvas that lie over its map."""
        return [*self.regions[canvas : canvas + 1]]

    def apply(self, plan: DisplayPlan) -> bool:
        """Draw organs and region of ``plan``; return True if layers were added, which then need their places.

        Side by side, both canvases have as many layers, hidden ones too, so that the grid counts right. Layers of a
        canvas that is not shown are hidden, and brought up to date when it is.
        """
        before = len(self.organs) + len(self.regions)
        shown = len(METHODS) if plan.side_by_side else 1
        self._make_organs(plan.organs, shown)
        self._make_regions(plan.region, shown)
        for i in range(len(self.organs)):
            self._draw_organs(i, plan.organs if i < shown else None)
        for i in range(len(self.regions)):
            self._draw_region(i, plan.region if i < shown else None)
        return len(self.organs) + len(self.regions) > before

    def clear(self) -> None:
        """Forget the layers; who owns the viewer takes them out."""
        self.organs, self.regions, self._drawn, self._lined = [], [], [], []

    def _make_organs(self, plan: OrganPlan | None, count: int) -> None:
        """Make as many layers as canvases, if organs are to be seen or were seen before."""
        like = plan if plan is not None and plan.visible else next(iter(self._drawn), None)
        while like is not None and len(self.organs) < count:
            layer = organ_labels(like, ORGANS_NAME if not self.organs else f"{ORGANS_NAME} (2)")
            self.organs.append(layer)
            self._drawn.append(None)
            self.viewer.add_layer(layer)

    def _make_regions(self, plan: RegionPlan | None, count: int) -> None:
        """Make as many layers as canvases, if a region is to be seen or was seen before."""
        like = plan if plan is not None and plan.visible else next(iter(self._lined), None)
        while like is not None and len(self.regions) < count:
            layer = region_lines(like, REGION_NAME if not self.regions else f"{REGION_NAME} (2)")
            self.regions.append(layer)
            self._lined.append(None)
            self.viewer.add_layer(layer)

    def _draw_organs(self, i: int, plan: OrganPlan | None) -> None:
        layer, old = self.organs[i], self._drawn[i]
        if plan is None or not plan.visible:
            _hide(layer)
            return
        if layer.data is not plan.labels:
            layer.data = plan.labels
        if old is None or (old.scale, old.translate) != (plan.scale, plan.translate):
            layer.scale, layer.translate = plan.scale, plan.translate
        self._outline(layer, plan)
        if layer.opacity != plan.opacity:
            layer.opacity = plan.opacity
        if not layer.visible:
            layer.visible = True
        self._drawn[i] = plan

    def _on_ndisplay(self) -> None:
        for layer, plan in zip(self.organs, self._drawn, strict=True):
            if plan is not None:
                self._outline(layer, plan)

    def _outline(self, layer: Labels, plan: OrganPlan) -> None:
        """Draw contours where there are slices; napari has none in 3-D, says so, and would say it again and again."""
        wanted = plan.contour_px if self.viewer.dims.ndisplay == 2 else 0
        if layer.contour != wanted:
            layer.contour = wanted

    def _draw_region(self, i: int, plan: RegionPlan | None) -> None:
        layer, old = self.regions[i], self._lined[i]
        if plan is None or not plan.visible:
            _hide(layer)
            return
        if plan != old:
            place = (plan.scale, plan.translate)
            layer.data = lines_mm(plan.region.lines, place, REGION_WIDTH_MM)
            if old is None or (old.scale, old.translate) != place:
                layer.scale, layer.translate = along_slices(place)
        if not layer.visible:
            layer.visible = True
        self._lined[i] = plan


def _hide(layer: Layer) -> None:
    if layer.visible:
        layer.visible = False


def organ_labels(plan: OrganPlan, name: str = ORGANS_NAME) -> Labels:
    """Return the layer of the organs, hidden; it shares the labels' array."""
    layer = Labels(
        plan.labels,
        name=name,
        scale=plan.scale,
        translate=plan.translate,
        units=("mm",) * 3,
        axis_labels=AXIS_LABELS,
        colormap=organ_colormap(),
        opacity=plan.opacity,
        visible=False,
    )
    layer.contour = plan.contour_px
    layer.editable = False
    return layer


def region_lines(plan: RegionPlan, name: str = REGION_NAME) -> Vectors:
    """Return the layer of the lines around a region, hidden."""
    return line_layer(plan.region.lines, (plan.scale, plan.translate), name, REGION_COLOR, REGION_WIDTH_MM, False)


def organ_legend(plan: DisplayPlan) -> tuple[tuple[str, str], ...]:
    """Return (words, color) of what ``plan`` draws of organs and region."""
    organs = [(name, ORGAN_COLORS[value]) for value, name in ORGAN_NAMES.items()]
    shown = organs if plan.organs is not None and plan.organs.visible else []
    region = [("allowed region", REGION_COLOR)] if plan.region is not None and plan.region.visible else []
    return (*shown, *region)


def organ_colormap() -> DirectLabelColormap:
    """Return the organs' colors; everything else is transparent."""
    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors.update((value, color) for value, color in ORGAN_COLORS.items())
    return DirectLabelColormap(color_dict=colors)
