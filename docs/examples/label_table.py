"""The abnormality table by itself: prints the label that is chosen."""

import math

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.label_table import LabelRow, LabelTable
from training.labels import all_labels

TRUTHS = ("TP", "TN", "FN", "FP")


def build() -> LabelTable:
    table = LabelTable()
    rows = []
    for i, label in enumerate(all_labels()):
        probability = 0.5 + 0.499 * math.sin(2.3 * i)
        ratio = None if i % 9 == 4 else probability / 0.3
        truth = TRUTHS[i % 4] if i % 5 else None
        rows.append(LabelRow(label.name, label.display, label.region, probability, ratio, (i * 37) % 405, truth))
    table.set_rows(rows)
    table.select(rows[2].name)
    table.labelSelected.connect(print)
    return table


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 560)
    widget.show()
    app.exec()
