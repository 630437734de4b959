"""Napari's sliders in a session: those it has done with are out of sight at once, and none counts slices beside ours.

With the number of dimensions napari makes new sliders, takes the old ones out of their layout and has them deleted when
the event loop runs next. Until then they stay where they were, and their numbers are painted over the new ones.

The numbers beside a slider count from 0; the canvas, plot and table count slices from 1, as radiologists do. Two counts
beside each other are one too many.
"""

from __future__ import annotations

from collections.abc import Callable

from napari.viewer import Viewer
from qtpy.QtWidgets import QWidget

_LABEL, _SEPARATOR = "slice_label", "slice_label_sep"
"""How napari calls the numbers beside a slider and what is between them."""


class Sliders:
    """Keeps the sliders of a window in order, whenever the number of dimensions changes.

    Parameters
    ----------
    viewer
        Whose dimensions.
    window
        Gives the window, or any widget around the sliders.
    """

    def __init__(self, viewer: Viewer, window: Callable[[], QWidget]) -> None:
        self._viewer, self._window = viewer, window
        viewer.dims.events.ndim.connect(self.tidy, position="last")  # after napari has made the new ones

    def tidy(self) -> None:
        """Hide sliders that are in no layout any more, and the numbers beside the others."""
        for label in self._labels():
            slider = label.parentWidget()
            around = None if slider is None else slider.parentWidget()
            layout = None if around is None else around.layout()
            if slider is not None and layout is not None and layout.indexOf(slider) < 0:
                slider.hide()
            label.hide()

    def disconnect(self) -> None:
        """Leave the viewer, with napari's numbers as they were."""
        self._viewer.dims.events.ndim.disconnect(self.tidy)
        for label in self._labels():
            label.show()

    def _labels(self) -> list[QWidget]:
        window = self._window()
        return [found for name in (_LABEL, _SEPARATOR) for found in window.findChildren(QWidget, name)]
