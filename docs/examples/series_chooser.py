"""The series chooser by itself: prints the number of the chosen series."""

import numpy as np
from qtpy.QtWidgets import QApplication

from hirescam_napari.views.series_chooser import SeriesChooser
from training.io.series import SeriesInfo
from training.issues import error, warning

LOCALIZER = error("localizer", "A localizer, not a volume.")
GAP = error("missing-slice", "Slice 31 of 59 is missing at −120.0 mm.", "Read again with repair.", "IM0031", True)
LOSSY = warning("lossy", "The series was compressed with loss.")


def picture(radius: float) -> np.ndarray:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    body = (x / 0.9) ** 2 + (y / 0.7) ** 2 < 1
    lungs = ((abs(x) - 0.42) / 0.3) ** 2 + (y / radius) ** 2 < 1
    return (140 * body - 110 * (lungs & body)).astype(np.uint8)


SERIES = (
    SeriesInfo(1, "Topogram", 1, None, "T20s", "CT", None, (LOCALIZER,)),
    SeriesInfo(2, "Thorax 1.0, lung", 300, (1.0, 0.7, 0.7), "B60f", "CT", picture(0.5)),
    SeriesInfo(3, "Thorax 3.0, soft tissue", 100, (3.0, 0.7, 0.7), "B31f", "CT", picture(0.45), (LOSSY,)),
    SeriesInfo(4, "Thorax 5.0", 58, (5.0, 0.7, 0.7), "", "CT", picture(0.4), (GAP,)),
)


def build() -> SeriesChooser:
    chooser = SeriesChooser()
    chooser.set_series(SERIES)
    return chooser


if __name__ == "__main__":
    app = QApplication([])
    dialog = build()
    dialog.exec()
    print(dialog.chosen() if dialog.result() else None)
