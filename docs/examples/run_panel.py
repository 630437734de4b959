"""The run panel by itself: Run starts a pretended run that fills the bar."""

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from hirescam_napari.views.run_panel import RunPanel
from training.issues import note, warning

STEPS = 45


def build() -> RunPanel:
    panel = RunPanel()
    panel.set_cts(("case 3f2a CT", "phantom 7 CT"))
    panel.set_models((("demo", "Demo model (trained on phantoms)"), ("axialnet:random", "AxialNet, random weights")))
    panel.set_devices(("auto", "cpu"))
    panel.set_caution("trained on synthetic phantoms – not for clinical use")
    panel.set_issues(
        [
            warning("lossy", "The series was compressed with loss.", "Use the original where there is one."),
            note("localizer", "A localizer was left out.", "IM0001"),
        ]
    )
    pretend(panel)
    return panel


def pretend(panel: RunPanel) -> None:
    timer, done = QTimer(panel), [0]

    def step() -> None:
        done[0] += 1
        panel.set_progress(done[0], STEPS, "running the network")
        if done[0] == STEPS:
            stop("Done.")

    def stop(words: str) -> None:
        timer.stop()
        done[0] = 0
        panel.set_running(False)
        panel.set_status(words)

    def start() -> None:
        panel.set_running(True)
        timer.start(100)

    timer.timeout.connect(step)
    panel.runRequested.connect(lambda _request: start())
    panel.cancelRequested.connect(lambda: stop("Cancelled; nothing was kept."))


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 420)
    widget.show()
    app.exec()
