"""What to look at in an audit, by itself: prints every choice."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.audit_filter import AuditFilter


def build() -> AuditFilter:
    panel = AuditFilter()
    panel.set_labels([("lung nodule", "lung nodule"), ("pleural effusion", "pleural effusion")])
    panel.set_counts(212, 140, 72, 80_000)
    panel.set_evidence(120, 1_000)
    panel.changed.connect(print)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(360, 420)
    widget.show()
    app.exec()
