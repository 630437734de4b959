from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from hirescam_napari.views.label_model import Column, LabelFilter, LabelModel, LabelRow

ROWS = (
    LabelRow("a", "Alpha", "lung", 0.10, 10.0, 9, "FN"),
    LabelRow("b", "beta", "heart", 0.9, None, 100, None),
    LabelRow("c", "Gamma", "great vessel", 0.5, 2.0, None, "TP"),
)


def order(column: Column, direction: Qt.SortOrder) -> list[str]:
    model, proxy = LabelModel(), LabelFilter()
    model.set_rows(ROWS)
    proxy.setSourceModel(model)
    proxy.sort(column, direction)
    return [proxy.row_at(proxy.index(i, 0)).name for i in range(proxy.rowCount())]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("column", "ascending", "descending"),
    [(Column.ABNORMALITY, "abc", "cba"), (Column.GROUP, "cba", "abc"), (Column.PROBABILITY, "acb", "bca"),
     (Column.RATIO, "cab", "acb"), (Column.TOP_SLICE, "abc", "bac"), (Column.TRUTH, "cab", "acb")],
)  # fmt: skip
def test_each_column_sorts_with_unknown_last(column: Column, ascending: str, descending: str) -> None:
    assert "".join(order(column, Qt.SortOrder.AscendingOrder)) == ascending
    assert "".join(order(column, Qt.SortOrder.DescendingOrder)) == descending


def test_texts_and_tooltips() -> None:
    model = LabelModel()
    model.set_rows(ROWS)
    texts = [model.data(model.index(0, column)) for column in Column]
    assert texts == ["Alpha", "lung", "10 %", "10×", "9", "FN"]
    assert model.data(model.index(1, Column.RATIO)) == "n/a"
    assert model.data(model.index(2, Column.TOP_SLICE)) == "n/a"
    assert "not predicted, but present" in str(model.data(model.index(0, Column.TRUTH), Qt.ItemDataRole.ToolTipRole))


def test_numbers_start_with_the_largest() -> None:
    model = LabelModel()
    role = Qt.ItemDataRole.InitialSortOrderRole
    horizontal = Qt.Orientation.Horizontal
    assert model.headerData(Column.PROBABILITY, horizontal, role) == Qt.SortOrder.DescendingOrder
    assert model.headerData(Column.ABNORMALITY, horizontal, role) == Qt.SortOrder.AscendingOrder


def test_equal_names_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        LabelModel().set_rows((ROWS[0], ROWS[0]))


def test_filter_needs_every_word() -> None:
    model, proxy = LabelModel(), LabelFilter()
    model.set_rows(ROWS)
    proxy.setSourceModel(model)
    proxy.set_filter("vessel gam", None)
    assert [proxy.index(i, 0).data() for i in range(proxy.rowCount())] == ["Gamma"]
    proxy.set_filter("", "lung")
    assert [proxy.index(i, 0).data() for i in range(proxy.rowCount())] == ["Alpha"]
