"""The report panel by itself, with one abnormality marked."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.report import Mark, ReportPanel

TEXT = "FINDINGS: Moderate left pleural effusion. No pneumothorax.\nIMPRESSION: Left pleural effusion."


def build() -> ReportPanel:
    panel = ReportPanel()
    panel.set_report(TEXT)
    marks = (Mark((10, 41), (24, 40), "present"), Mark((59, 92), (76, 92), "present"))
    panel.set_marks("present", "The report says: present, left (2 mentions).", marks)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 240)
    widget.show()
    app.exec()
