"""The slice-score plot by itself: click or drag, or press Home."""

import numpy as np
from qtpy.QtWidgets import QApplication

from hirescam_napari.views.slice_scores import SliceScorePlot


def build() -> SliceScorePlot:
    plot = SliceScorePlot()
    groups = np.arange(135)
    scores = 1.4 * np.exp(-(((groups - 82) / 9) ** 2)) + 0.1 * np.sin(groups / 3) - 0.25
    plot.set_scores(scores, float(scores.mean()), "lung nodule", 3 * groups + 1)
    plot.set_current(40)
    plot.sliceRequested.connect(lambda group: print("go to slice group", group))
    plot.topRequested.connect(lambda: plot.set_current(plot.top() or 0))
    return plot


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 280)
    widget.show()
    app.exec()
