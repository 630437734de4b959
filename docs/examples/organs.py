"""The organ panel by itself: prints every choice."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.organs import OrganPanel, OrganRow
from training.issues import warning


def build() -> OrganPanel:
    panel = OrganPanel()
    rows = (
        OrganRow("right lung", "#39a9ff", 2389.0),
        OrganRow("left lung", "#c58bff", 640.0),
        OrganRow("mediastinum", "#ff6fb5", 1489.0),
    )
    fact = "the left lung has 640 ml, 27% of the other (2389 ml): collapsed, resected, or partly not found"
    panel.set_organs(rows, [warning("asymmetric-lungs", fact, "Check the organ contours.")], "Passed quality control.")
    panel.changed.connect(print)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 320)
    widget.show()
    app.exec()
