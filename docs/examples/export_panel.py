"""The export panel by itself: Export starts a pretended export that fills the bar."""

from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from hirescam_napari.views.export_panel import ExportChoice, ExportPanel
from training.issues import warning

STAGES = ("source images", "organs", "nifti", "dicom", "figures", "films")


def build() -> ExportPanel:
    panel = ExportPanel()
    panel.set_ready(True)
    panel.set_folder(Path("export"))
    panel.set_formats(("png", "nifti", "dicom"))
    panel.set_issues([warning("burned-in", "Text is burned into the images.", "Look at every figure before.")])
    panel.exportRequested.connect(lambda choice: pretend(panel, choice))
    return panel


def pretend(panel: ExportPanel, choice: ExportChoice) -> None:
    timer, done = QTimer(panel), [0]

    def step() -> None:
        if done[0] == len(STAGES):
            timer.stop()
            panel.set_running(False)
            panel.set_status(f"Exported {', '.join(choice.formats)} to {choice.out}.")
            return
        panel.set_progress(done[0], len(STAGES), STAGES[done[0]])
        done[0] += 1

    panel.set_running(True)
    panel.cancelRequested.connect(timer.stop)
    timer.timeout.connect(step)
    timer.start(300)


if __name__ == "__main__":
    application = QApplication([])
    shown = build()
    shown.show()
    application.exec()
