from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from hirescam_napari.views.display_panel import DisplayChoice, DisplayPanel


@pytest.fixture
def panel(qtbot: QtBot) -> DisplayPanel:
    widget = DisplayPanel()
    qtbot.addWidget(widget)
    widget.resize(380, 340)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def choices(panel: DisplayPanel) -> list[DisplayChoice]:
    found: list[DisplayChoice] = []
    panel.changed.connect(found.append)
    return found


def click(qtbot: QtBot, panel: DisplayPanel, text: str) -> None:
    groups = (panel.layouts, panel.methods, panel.windows)
    button = next(b for group in groups for b in group.buttons() if b.text() == text)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(8, button.height() // 2))


def test_every_widget_changes_its_own_part(qtbot: QtBot, panel: DisplayPanel) -> None:
    found = choices(panel)
    click(qtbot, panel, "Side by side")
    click(qtbot, panel, "Grad-CAM")
    click(qtbot, panel, "Bone")
    qtbot.keyClick(panel.placement, Qt.Key.Key_Down)
    qtbot.keyClick(panel.scaling, Qt.Key.Key_Down)
    qtbot.mouseClick(panel.signed, Qt.MouseButton.LeftButton, pos=QPoint(8, panel.signed.height() // 2))
    qtbot.keyClick(panel.opacity, Qt.Key.Key_PageUp)
    assert len(found) == 7
    assert found[-1] == DisplayChoice("side_by_side", ("hirescam", "gradcam"), "stretch", "shared", True, 0.6, "bone")
    assert panel.choice == found[-1]


def test_set_choice_shows_it_and_emits_nothing(panel: DisplayPanel) -> None:
    found = choices(panel)
    choice = DisplayChoice("side_by_side", ("gradcam",), "stretch", "paper", True, 0.25, None)
    panel.set_choice(choice)
    assert (found, panel.choice, panel._read()) == ([], choice, choice)
    assert panel.opacity_value.text() == "25 %"
    assert not any(button.isChecked() for button in panel.windows.buttons())


def test_the_same_choice_is_not_emitted_twice(qtbot: QtBot, panel: DisplayPanel) -> None:
    found = choices(panel)
    click(qtbot, panel, "Lung")
    click(qtbot, panel, "Overlay")
    assert found == []


def test_a_window_can_be_chosen_after_one_set_by_hand(qtbot: QtBot, panel: DisplayPanel) -> None:
    panel.set_choice(DisplayChoice(window=None))
    found = choices(panel)
    click(qtbot, panel, "Lung")
    assert [choice.window for choice in found] == ["lung"]


def test_both_maps_can_be_switched_off(qtbot: QtBot, panel: DisplayPanel) -> None:
    found = choices(panel)
    click(qtbot, panel, "HiResCAM")
    assert found[-1].methods == ()


def test_placement_is_explained(panel: DisplayPanel) -> None:
    first = panel.placement_words.text()
    panel.set_choice(DisplayChoice(placement="stretch"))
    assert "as in the paper" in panel.placement_words.text()
    assert "as in the paper" not in first


def test_windows_and_scalings_can_be_replaced(qtbot: QtBot, panel: DisplayPanel) -> None:
    panel.set_windows((("lung", "Lung"), ("wide", "Wide")), ("−1350 to 150 HU (key 1)",))
    panel.set_scalings((("label", "This abnormality"), ("two", "Shared by two models")))
    assert panel.windows.buttons()[0].toolTip() == "−1350 to 150 HU (key 1)"
    found = choices(panel)
    click(qtbot, panel, "Wide")
    assert found[-1].window == "wide"
    with pytest.raises(KeyError, match="paper"):
        panel.set_choice(DisplayChoice(scaling="paper"))
