"""Sliders that napari has done with: out of sight at once.

With the number of dimensions napari makes new sliders, takes the old ones out of their layout and has them deleted when
the event loop runs next. Until then they stay where they were, and their numbers are painted over the new ones.
"""

from __future__ import annotations

from collections.abc import Callable

from napari.viewer import Viewer
from qtpy.QtWidgets import QWidget

_LABEL = "slice_label"
"""How napari calls the numbers beside a slider."""


class OldSliders:
    """Hides sliders of a window that are in no layout any more, whenever the number of dimensions changes.

    Parameters
    ----------
    viewer
        Whose dimensions.
    window
        Gives the window, or any widget around the sliders.
    """

    def __init__(self, viewer: Viewer, window: Callable[[], QWidget]) -> None:
        self._viewer, self._window = viewer, window
        viewer.dims.events.ndim.connect(self.hide, position="last")  # after napari has made the new ones

    def hide(self) -> None:
        """Hide those that are there now."""
        for label in self._window().findChildren(QWidget, _LABEL):
            slider = label.parentWidget()
            around = None if slider is None else slider.parentWidget()
            layout = None if around is None else around.layout()
            if slider is not None and layout is not None and layout.indexOf(slider) < 0:
                slider.hide()

    def disconnect(self) -> None:
        """Leave the viewer."""
        self._viewer.dims.events.ndim.disconnect(self.hide)
