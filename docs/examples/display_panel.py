"""The display panel by itself: prints every choice."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.display_panel import DisplayPanel


def build() -> DisplayPanel:
    panel = DisplayPanel()
    panel.changed.connect(print)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 320)
    widget.show()
    app.exec()
