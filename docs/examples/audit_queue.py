"""The list of predictions to judge, by itself: a million rows, of which only those in view are made."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.audit_queue import AuditQueue, QueueRow


def build() -> AuditQueue:
    panel = AuditQueue()
    panel.set_rows(1_000_000, lambda row: QueueRow("FP", "lung nodule", 0.99 - row / 2e6, f"case-{row:07d}"))
    panel.rowChosen.connect(print)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(360, 420)
    widget.show()
    app.exec()
