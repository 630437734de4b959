"""The series chooser by itself: prints the number of the chosen series."""

from dataclasses import dataclass

import numpy as np
from qtpy.QtWidgets import QApplication

from hirescam_napari.views.series_chooser import SeriesChooser
from training.issues import Issue, error, warning


@dataclass(frozen=True)
class Series:
    number: int
    description: str
    n_slices: int
    spacing_mm: tuple[float, float, float]
    kernel: str
    thumbnail: np.ndarray | None
    issues: tuple[Issue, ...] = ()
    modality: str = "CT"
    loadable: bool = True


def picture(radius: float) -> np.ndarray:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    body = (x / 0.9) ** 2 + (y / 0.7) ** 2 < 1
    lungs = ((abs(x) - 0.42) / 0.3) ** 2 + (y / radius) ** 2 < 1
    return (140 * body - 110 * (lungs & body)).astype(np.uint8)


SERIES = (
    Series(
        0, "Topogram", 1, (1.0, 1.0, 1.0), "T20s", None, (error("localizer", "A localizer."),), "CT", False
    ),
    Series(1, "Thorax 1.0 B60f lung", 300, (1.0, 0.7, 0.7), "B60f", picture(0.5)),
    Series(2, "Thorax 3.0 B31f", 100, (3.0, 0.7, 0.7), "B31f", picture(0.45), (warning("lossy", "Lossy."),)),
    Series(
        3, "Thorax 5.0", 58, (5.0, 0.7, 0.7), "", picture(0.4),
        (error("missing-slice", "Slice 31 of 59 is missing at -120.0 mm.", "Read again with repair.", "IM0031"),),
        "CT", False,
    ),
)  # fmt: skip


def build() -> SeriesChooser:
    chooser = SeriesChooser()
    chooser.set_series(SERIES)
    return chooser


if __name__ == "__main__":
    app = QApplication([])
    dialog = build()
    dialog.exec()
    print(dialog.chosen() if dialog.result() else None)
