"""What the user wants to see: an evented record without Qt and without arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from training.explain.placement import Placement
from training.explain.result import METHODS, Method
from training.picture import WINDOWS, WindowPreset

__all__ = ["SCALINGS", "WINDOWS", "Layout", "ViewState", "WindowPreset"]


class Layout(StrEnum):
    """How CT and maps share the canvas."""

    OVERLAY = "overlay"
    """One canvas: the chosen maps over the CT."""
    SIDE_BY_SIDE = "side_by_side"
    """Two canvases with one camera: CT + HiResCAM, CT + Grad-CAM."""


SCALINGS: Mapping[str, str] = MappingProxyType(
    {
        "per_label": "Own maximum",
        "shared_labels": "Same for all abnormalities",
        "absolute": "Fixed limit",
        "paper": "Paper (0 to 1)",
    }
)
"""Display policies (see :mod:`training.explain.display`) and what a reader calls them."""


@dataclass
class ViewState:
    """What the user wants to see.

    Parameters
    ----------
    label
        The selected abnormality (paper's name), None before there is an explanation.
    layout
        Overlay or side by side; side by side always shows both methods.
    methods
        The maps shown in the overlay.
    window
        Key of :data:`WINDOWS`.
    placement
        Where the cells of a map are drawn.
    scaling
        Key of :data:`SCALINGS`: what the end of the color scale stands for.
    limit
        The end of the color scale for ``scaling="absolute"``, in the units of the map.
    signed
        Show evidence against the abnormality too, on a diverging colormap.
    smooth
        Let the graphics card interpolate between cells; the arrays stay as they are.
    opacity
        Of the maps, 0 to 1.
    show_field
        Draw the box that the cell under the cursor could see.
    show_organs
        Draw the organs over the CT; asking for it has them found.
    fill_organs
        Fill the organs instead of drawing their contours.
    organ_opacity
        Of the organs, 0 to 1.
    show_region
        Draw a line around the cells in which the abnormality may lie; asking for it has the organs found.
    """

    label: str | None = None
    layout: Layout = Layout.OVERLAY
    methods: tuple[Method, ...] = ("hirescam",)
    window: str = "lung"
    placement: Placement = "receptive_field"
    scaling: str = "per_label"
    limit: float = 0.01
    signed: bool = False
    smooth: bool = False
    opacity: float = 0.6
    show_field: bool = True
    show_organs: bool = False
    fill_organs: bool = False
    organ_opacity: float = 0.8
    show_region: bool = False

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    @property
    def shown_methods(self) -> tuple[Method, ...]:
        """The maps that this layout shows: both side by side, whatever is chosen for the overlay."""
        return METHODS if self.layout is Layout.SIDE_BY_SIDE else self.methods

    def toggle_method(self, method: Method) -> None:
        """Show ``method`` in the overlay if it is hidden, hide it if it is shown."""
        shown = set(self.methods) ^ {method}
        self.methods = tuple(m for m in METHODS if m in shown)

    def toggle_layout(self) -> None:
        """Change between overlay and side by side."""
        self.layout = Layout.OVERLAY if self.layout is Layout.SIDE_BY_SIDE else Layout.SIDE_BY_SIDE

    def toggle_placement(self) -> None:
        """Change between the cells' true centres and the paper's stretch."""
        self.placement = "stretch" if self.placement == "receptive_field" else "receptive_field"
