"""CT layers that are not the session's own: they are offered for a run, and taken over as the open case."""

from __future__ import annotations

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer

from hirescam_napari._adopt import case_of_layer, ct_layers
from hirescam_napari._controller import Controller
from hirescam_napari._layers import VOLUME_KEY
from hirescam_napari.views.run_panel import RunPanel


class ForeignLayers(QObject):
    """Watches the viewer's layers.

    Parameters
    ----------
    viewer
        Whose layers.
    controller
        The session's; its own layers are left alone.
    panel
        Offers the CTs.
    """

    def __init__(self, viewer: Viewer, controller: Controller, panel: RunPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self.controller, self.panel = viewer, controller, panel
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self.offer)
        self._on_inserted()

    def offer(self) -> None:
        """List the CTs in the viewer."""
        own = self.controller.canvas.layers
        self.panel.set_cts([layer.name for layer in ct_layers(self.viewer.layers) if layer not in own[1:]])

    def take(self, name: str) -> None:
        """Make the layer called ``name`` the open case, unless it already is; errors as :func:`case_of_layer`."""
        layer = next((layer for layer in self.viewer.layers if layer.name == name), None)
        if isinstance(layer, Image) and layer not in self.controller.canvas.layers:
            case = case_of_layer(layer)
            self.viewer.layers.remove(layer)
            self.controller.open_case(case, self.controller.begin("load"))
            self.offer()

    def disconnect_viewer(self) -> None:
        """Watch no longer."""
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self.offer)

    def _on_inserted(self) -> None:
        self.offer()
        QTimer.singleShot(0, self._adopt_first)

    def _adopt_first(self) -> None:
        """Take over a CT that this plugin's readers or sample data put into an empty session."""
        if self.controller.case.picture is not None:
            return
        for layer in ct_layers(self.viewer.layers):
            if VOLUME_KEY in layer.metadata and layer not in self.controller.canvas.layers:
                self.take(layer.name)
                return
