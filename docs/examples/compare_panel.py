"""The compare panel by itself, with a ranking and two models."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.compare import ComparePanel


def build() -> ComparePanel:
    panel = ComparePanel()
    panel.set_ready(True)
    panel.set_models((("demo", "Demo model (trained on phantoms)"), ("axialnet:random", "AxialNet, random weights")))
    panel.labels.set_rows(
        [("pleural effusion", "+0.41", "78 %", "55 %"), ("cardiomegaly", "+0.07", "61 %", "20 %")],
    )
    panel.models.set_rows([("pleural effusion", "83 % (2.1×)", "41 % (1.0×)")])
    panel.budgets.set_rows([("allowed organ", "+3.1, −0.2", "+0.4, −0.3"), ("score", "+1.6", "−0.4")])
    panel.shift.setText("The stretched drawing stands up to 77 mm (down) and 77 mm (across) from where the cells look.")
    panel.startRequested.connect(lambda: panel.set_comparing(True))
    panel.stopRequested.connect(lambda: panel.set_comparing(False))
    return panel


if __name__ == "__main__":
    application = QApplication([])
    shown = build()
    shown.show()
    application.exec()
