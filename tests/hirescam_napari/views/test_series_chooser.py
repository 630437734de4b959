from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialogButtonBox

from hirescam_napari.views.series_chooser import SeriesChooser, default_series, describe
from training.io.series import SeriesInfo
from training.issues import error, warning

GAP = error("missing-slice", "Slice 31 of 59 is missing.", "Read again with repair.", "IM0031")
LOCALIZER = error("localizer", "A localizer, not a volume.")
MM = (1.0, 0.7, 0.7)
SERIES = (
    SeriesInfo(5, "Topogram", 700, MM, "T20s", issues=(LOCALIZER,)),
    SeriesInfo(2, "Thorax lung", 300, MM, "B60f", thumbnail=np.full((40, 60), 200, np.uint8)),
    SeriesInfo(9, "Thorax soft", 100, MM, "B31f", issues=(warning("lossy", "Compressed with loss."),)),
    SeriesInfo(7, "Thorax gap", 58, MM, issues=(GAP,)),
)


@pytest.fixture
def chooser(qtbot: QtBot) -> SeriesChooser:
    dialog = SeriesChooser()
    qtbot.addWidget(dialog)
    dialog.set_series(SERIES)
    dialog.show()
    qtbot.waitExposed(dialog)
    return dialog


def open_button(chooser: SeriesChooser) -> object:
    return chooser.buttons.button(QDialogButtonBox.StandardButton.Open)


def test_default_is_the_loadable_ct_with_most_slices() -> None:
    assert default_series(SERIES) == 2
    assert default_series((SeriesInfo(1, "PET", 900, modality="PT"), *SERIES)) == 2
    assert default_series([replace(one, issues=(GAP,)) for one in SERIES]) is None


def test_lines_tell_facts_and_troubles() -> None:
    assert describe(SERIES[1]) == "Thorax lung\nCT · 300 slices · 1 × 0.7 × 0.7 mm · kernel B60f"
    assert describe(SERIES[3]).endswith("Cannot be opened: Slice 31 of 59 is missing.")
    assert describe(SERIES[2]).endswith("Warning: Compressed with loss.")
    assert describe(SeriesInfo(3, "", 1)) == "Series 3\nCT · 1 slice"
    mendable = replace(SERIES[1], issues=(replace(GAP, repairable=True),))
    assert describe(mendable).endswith("Needs a repair: Slice 31 of 59 is missing.")


def test_lines_say_nothing_twice() -> None:
    assert describe(SeriesInfo(1, "CT, kernel B70f", 133, kernel="B70f")) == "CT, kernel B70f\n133 slices"


def test_starts_on_the_default(chooser: SeriesChooser) -> None:
    assert chooser.chosen() == 2
    assert open_button(chooser).isEnabled()


def test_keyboard_moves_and_accepts(qtbot: QtBot, chooser: SeriesChooser) -> None:
    qtbot.keyClick(chooser.list, Qt.Key.Key_Down)
    assert chooser.chosen() == 9
    assert "Compressed with loss." in chooser.messages.toPlainText()
    with qtbot.waitSignal(chooser.accepted):
        qtbot.keyClick(chooser.list, Qt.Key.Key_Return)
    assert chooser.chosen() == 9


def test_escape_rejects(qtbot: QtBot, chooser: SeriesChooser) -> None:
    with qtbot.waitSignal(chooser.rejected):
        qtbot.keyClick(chooser, Qt.Key.Key_Escape)


def test_a_series_that_cannot_be_opened_says_why_and_cannot_be_chosen(qtbot: QtBot, chooser: SeriesChooser) -> None:
    item = chooser.list.item(3)
    pos = chooser.list.visualItemRect(item).center()
    qtbot.mouseClick(chooser.list.viewport(), Qt.MouseButton.LeftButton, pos=pos)
    qtbot.mouseDClick(chooser.list.viewport(), Qt.MouseButton.LeftButton, pos=pos)
    assert chooser.isVisible()
    assert not item.isSelected()
    if chooser.list.currentItem() is item:
        assert chooser.chosen() is None
        assert not open_button(chooser).isEnabled()
    assert "Read again with repair." in item.toolTip()


def test_double_click_accepts(qtbot: QtBot, chooser: SeriesChooser) -> None:
    pos = chooser.list.visualItemRect(chooser.list.item(2)).center()
    qtbot.mouseClick(chooser.list.viewport(), Qt.MouseButton.LeftButton, pos=pos)
    with qtbot.waitSignal(chooser.accepted):
        qtbot.mouseDClick(chooser.list.viewport(), Qt.MouseButton.LeftButton, pos=pos)
    assert chooser.chosen() == 9


def test_nothing_to_choose_disables_open(qtbot: QtBot, chooser: SeriesChooser) -> None:
    chooser.set_series([SERIES[0], SERIES[3]])
    assert chooser.chosen() is None
    assert not open_button(chooser).isEnabled()


def test_thumbnail_is_shown_in_its_proportions(chooser: SeriesChooser) -> None:
    image = chooser.list.item(1).icon().pixmap(96, 96).toImage()
    assert image.pixelColor(image.width() // 2, image.height() // 2).red() == 200
    assert image.pixelColor(image.width() // 2, 2).red() == 0
