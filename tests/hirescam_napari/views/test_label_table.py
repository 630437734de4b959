from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from hirescam_napari.views.label_model import Column
from hirescam_napari.views.label_table import LabelRow, LabelTable

ROWS = (
    LabelRow("nodule", "lung nodule", "lung", 0.30, 3.0, 120, "TP"),
    LabelRow("mass", "lung mass", "lung", 0.80, 0.5, 60, "FP"),
    LabelRow("cardiomegaly", "cardiomegaly", "heart", 0.55, None, 200, None),
    LabelRow("aneurysm", "aneurysm", "great vessel", 0.05, 1.0, None, "FN"),
)


@pytest.fixture
def table(qtbot: QtBot) -> LabelTable:
    widget = LabelTable()
    qtbot.addWidget(widget)
    widget.set_rows(ROWS)
    widget.resize(380, 400)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def emitted(table: LabelTable) -> list[str]:
    names: list[str] = []
    table.labelSelected.connect(names.append)
    return names


def click(qtbot: QtBot, table: LabelTable, display: str) -> None:
    model = table.view.model()
    index = next(model.index(i, 0) for i in range(model.rowCount()) if model.index(i, 0).data() == display)
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=table.view.visualRect(index).center())


def click_header(qtbot: QtBot, table: LabelTable, column: Column) -> None:
    header = table.view.horizontalHeader()
    pos = QPoint(header.sectionViewportPosition(column) + 10, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=pos)


def marked(table: LabelTable) -> list[str]:
    return [index.data() for index in table.view.selectionModel().selectedRows()]


def test_starts_sorted_by_probability(table: LabelTable) -> None:
    assert table.shown() == ("mass", "cardiomegaly", "nodule", "aneurysm")
    assert table.selected is None
    assert table.count.text() == "4 abnormalities"


def test_a_click_emits_once_and_again_only_for_another_label(qtbot: QtBot, table: LabelTable) -> None:
    names = emitted(table)
    click(qtbot, table, "lung nodule")
    click(qtbot, table, "lung nodule")
    click(qtbot, table, "cardiomegaly")
    assert names == ["nodule", "cardiomegaly"]
    assert table.selected == "cardiomegaly"


def test_arrows_walk_down_the_shown_order(qtbot: QtBot, table: LabelTable) -> None:
    names = emitted(table)
    click(qtbot, table, "lung mass")
    for _ in range(2):
        qtbot.keyClick(table.view, Qt.Key.Key_Down)
    qtbot.keyClick(table.view, Qt.Key.Key_Up)
    assert names == ["mass", "cardiomegaly", "nodule", "cardiomegaly"]


def test_arrows_in_the_filter_line_walk_through_the_table(qtbot: QtBot, table: LabelTable) -> None:
    names = emitted(table)
    table.select("mass")
    qtbot.keyClick(table.search, Qt.Key.Key_Down)
    assert names == ["cardiomegaly"]


def test_select_does_not_emit(table: LabelTable) -> None:
    names = emitted(table)
    table.select("aneurysm")
    assert (names, marked(table)) == ([], ["aneurysm"])
    with pytest.raises(KeyError, match="toothache"):
        table.select("toothache")


def test_selection_stays_when_sorted_by_a_header_click(qtbot: QtBot, table: LabelTable) -> None:
    table.select("nodule")
    names = emitted(table)
    click_header(qtbot, table, Column.RATIO)
    assert table.shown() == ("nodule", "aneurysm", "mass", "cardiomegaly")
    click_header(qtbot, table, Column.ABNORMALITY)
    assert table.shown() == ("aneurysm", "cardiomegaly", "mass", "nodule")
    assert (names, marked(table)) == ([], ["lung nodule"])


def test_selection_survives_being_filtered_out(qtbot: QtBot, table: LabelTable) -> None:
    table.select("nodule")
    names = emitted(table)
    qtbot.keyClicks(table.search, "cardio")
    assert (table.shown(), marked(table), table.selected) == (("cardiomegaly",), [], "nodule")
    assert table.count.text() == "1 of 4 abnormalities"
    table.search.clear()
    assert (names, marked(table)) == ([], ["lung nodule"])


def test_group_filter(qtbot: QtBot, table: LabelTable) -> None:
    names = emitted(table)
    table.select("mass")
    groups = [table.groups.itemText(i) for i in range(table.groups.count())]
    assert groups == ["All groups", "Lung", "Heart", "Great vessel"]
    qtbot.keyClicks(table.groups, "H")
    assert (table.shown(), names) == (("cardiomegaly",), [])


def test_replacing_rows_keeps_label_filter_and_order(table: LabelTable) -> None:
    table.select("nodule")
    table.search.setText("lung")
    names = emitted(table)
    table.set_rows([replace(row, probability=1 - row.probability) for row in ROWS])
    assert table.shown() == ("nodule", "mass")
    assert (names, marked(table), table.search.text()) == ([], ["lung nodule"], "lung")


def test_a_label_that_is_gone_is_no_longer_selected(table: LabelTable) -> None:
    table.select("nodule")
    names = emitted(table)
    table.set_rows(ROWS[1:])
    assert (table.selected, marked(table), names) == (None, [], [])


def test_truth_column_is_hidden_where_nothing_is_known(table: LabelTable) -> None:
    assert not table.view.isColumnHidden(Column.TRUTH)
    table.set_rows([replace(row, truth=None) for row in ROWS])
    assert table.view.isColumnHidden(Column.TRUTH)


def test_nothing_needs_a_horizontal_scroll_bar_at_380_px(table: LabelTable) -> None:
    assert table.view.horizontalScrollBar().maximum() == 0
    assert table.view.columnWidth(Column.ABNORMALITY) >= 80


def test_bar_is_as_long_as_the_probability(table: LabelTable) -> None:
    """The coloured part of the bar ends at the probability, within antialiasing."""
    image = table.view.viewport().grab().toImage()
    lengths = {}
    for i, name in enumerate(table.shown()):
        rect = table.view.visualRect(table.view.model().index(i, Column.PROBABILITY))
        y = rect.center().y() + 6  # below the digits
        row = [image.pixelColor(x, y) for x in range(rect.left() + 3, rect.right() - 3)]
        blue = [c for c in row if c.blue() - c.red() > 25]
        lengths[name] = len(blue) / len(row)
    for row_ in ROWS:
        assert lengths[row_.name] == pytest.approx(row_.probability, abs=0.1)
