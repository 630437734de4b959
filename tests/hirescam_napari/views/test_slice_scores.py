from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from hirescam_napari.views._axes import slice_ticks, value_ticks
from hirescam_napari.views._score_canvas import AGAINST_COLOR, FOR_COLOR, WITH_COLOR, WITHOUT_COLOR, value_range
from hirescam_napari.views.slice_scores import SliceScorePlot
from training.evaluate.bands import Bands

SCORES = np.array([-1.0, -0.5, 0.5, 2.0, 1.0, -0.25, 0.0, 0.25, 0.5, -2.0])


@pytest.fixture
def plot(qtbot: QtBot) -> Iterator[SliceScorePlot]:
    widget = SliceScorePlot()
    qtbot.addWidget(widget)
    widget.resize(380, 280)
    widget.show()
    qtbot.waitExposed(widget)
    widget.set_scores(SCORES, 0.05, "lung nodule", range(1, 31, 3))
    yield widget
    widget.release()


def requests(plot: SliceScorePlot) -> list[int]:
    groups: list[int] = []
    plot.sliceRequested.connect(groups.append)
    return groups


def centre_of(plot: SliceScorePlot, group: int) -> QPoint:
    native = plot.canvas.native
    return QPoint(round((group + 0.5) * native.width() / SCORES.size), native.height() // 2)


def color_at(plot: SliceScorePlot, group: int, score: float) -> QColor:
    picture = plot.canvas.render()
    low, high = value_range(SCORES, 0.05)
    x = round((group + 0.5) * picture.shape[1] / SCORES.size)
    y = round((high - score) / (high - low) * picture.shape[0])
    return QColor(*(int(v) for v in picture[y, x, :3]))


def near(a: QColor, b: str) -> bool:
    other = QColor(b)
    return max(abs(a.red() - other.red()), abs(a.green() - other.green()), abs(a.blue() - other.blue())) < 12


def test_bars_stand_where_the_scores_are(plot: SliceScorePlot) -> None:
    plot.set_current(6)
    assert near(color_at(plot, 3, 1.5), FOR_COLOR)
    assert not near(color_at(plot, 4, 1.5), FOR_COLOR)
    assert near(color_at(plot, 9, -1.5), AGAINST_COLOR)
    assert not near(color_at(plot, 0, -1.5), AGAINST_COLOR)


def test_bands_of_a_cohort_stand_behind_the_scores(plot: SliceScorePlot) -> None:
    plot.set_current(0)
    level = np.full(SCORES.size, 3.0)
    nothing = np.full(SCORES.size, np.nan)
    plot.set_bands(Bands("x", "mean", level, level - 0.5, level + 0.5, -level, nothing, nothing, 12, 30))
    assert plot.canvas._high > 3.5
    assert plot.canvas._low < -3.0
    plain = QColor(*(int(v) for v in plot.canvas.render()[2, -2, :3]))
    assert near(at_score(plot, 6, 3.0), WITH_COLOR)
    assert near(at_score(plot, 6, -3.0), WITHOUT_COLOR)
    assert not near(at_score(plot, 6, 3.3), WITH_COLOR)
    assert not near(at_score(plot, 6, 3.3), plain.name())
    assert near(at_score(plot, 6, -3.3), plain.name())
    assert "12 cases with it" in plot.legend.text()
    plot.set_scores(SCORES[:5], None, "another CT")
    assert plot.canvas._high < 3.0
    plot.set_bands(None)
    assert "cases" not in plot.legend.text()


def at_score(plot: SliceScorePlot, group: int, score: float) -> QColor:
    picture = plot.canvas.render()
    x = round((group + 0.5) * picture.shape[1] / SCORES.size)
    y = plot.canvas._y(score) / plot.canvas._size()[1] * picture.shape[0]
    return QColor(*(int(v) for v in picture[int(y), x, :3]))


def test_click_asks_for_the_group_under_the_mouse(qtbot: QtBot, plot: SliceScorePlot) -> None:
    groups = requests(plot)
    qtbot.mouseClick(plot.canvas.native, Qt.MouseButton.LeftButton, pos=centre_of(plot, 7))
    qtbot.mouseClick(plot.canvas.native, Qt.MouseButton.LeftButton, pos=centre_of(plot, 7))
    qtbot.mouseClick(plot.canvas.native, Qt.MouseButton.RightButton, pos=centre_of(plot, 2))
    assert (groups, plot.current) == ([7], 7)


def test_drag_asks_for_every_group_passed_and_stops_at_the_ends(qtbot: QtBot, plot: SliceScorePlot) -> None:
    groups = requests(plot)
    native = plot.canvas.native
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=centre_of(plot, 7))
    for group in (8, 8, 9):
        _drag(qtbot, plot, centre_of(plot, group))
    _drag(qtbot, plot, QPoint(native.width() + 50, 10))
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=centre_of(plot, 9))
    qtbot.mouseMove(native, centre_of(plot, 2))
    assert groups == [7, 8, 9]


def _drag(qtbot: QtBot, plot: SliceScorePlot, pos: QPoint) -> None:
    native, none = plot.canvas.native, Qt.KeyboardModifier.NoModifier
    where, left = QPointF(pos), Qt.MouseButton.LeftButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, where, QPointF(native.mapToGlobal(pos)), Qt.MouseButton.NoButton, left, none
    )
    QApplication.sendEvent(native, event)


def test_set_current_moves_the_cursor_and_emits_nothing(qtbot: QtBot, plot: SliceScorePlot) -> None:
    groups = requests(plot)
    before = plot.canvas.render()
    plot.set_current(8.4)
    after = plot.canvas.render()
    column = round(8.9 * after.shape[1] / SCORES.size)
    assert np.abs(after[5, column].astype(int) - before[5, column]).max() > 60
    qtbot.waitUntil(lambda: plot.readout.text().startswith("CT slice 25: score +0.5"))
    assert (groups, plot.current) == ([], 8.4)


def test_home_key_and_button_ask_for_the_top(qtbot: QtBot, plot: SliceScorePlot) -> None:
    with qtbot.waitSignals([plot.topRequested, plot.topRequested]):
        qtbot.keyClick(plot, Qt.Key.Key_Home)
        qtbot.mouseClick(plot.top_button, Qt.MouseButton.LeftButton)
    assert plot.top() == 3


def test_arrow_keys_step_within_the_ends(qtbot: QtBot, plot: SliceScorePlot) -> None:
    groups = requests(plot)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_PageDown, Qt.Key.Key_Right):
        qtbot.keyClick(plot, key)
    assert groups == [1, 2, 9]


def test_texts(qtbot: QtBot, plot: SliceScorePlot) -> None:
    assert plot.title.text() == "lung nodule"
    qtbot.waitUntil(lambda: plot.readout.text().endswith("mean (dashed) +0.05"))
    assert plot.slice_axis.name == "CT slice"
    assert [tick.text for tick in plot.value_axis.ticks] == ["−2", "−1", "0", "1", "2"]
    plot.set_scores(SCORES, None, "mass")
    qtbot.waitUntil(lambda: "dashed" not in plot.readout.text())
    assert plot.slice_axis.name == "slice group"
    plot.set_current(3)
    qtbot.waitUntil(lambda: plot.readout.text().startswith("Slice group 4: "))  # the picture counts from 1 as well


@pytest.mark.parametrize(("number", "said"), [(66.9, 67), (66.5, 67), (67.5, 68), (66.4, 66)])
def test_slices_are_told_by_whole_numbers(qtbot: QtBot, plot: SliceScorePlot, number: float, said: int) -> None:
    plot.set_scores([0.5, 1.0], None, "mass", [10.0, number])
    plot.set_current(1)
    qtbot.waitUntil(lambda: plot.readout.text() == f"CT slice {said}: score +1")


def test_another_label_keeps_the_cursor(plot: SliceScorePlot) -> None:
    plot.set_current(4)
    groups = requests(plot)
    plot.set_scores(-SCORES, -0.05, "mass")
    assert (plot.current, groups) == (4, [])


@pytest.mark.parametrize(("scores", "numbers"), [([], None), ([1.0, 2.0], [1]), ([[1.0]], None)])
def test_shapes_that_do_not_fit_are_refused(plot: SliceScorePlot, scores: object, numbers: object) -> None:
    with pytest.raises(ValueError, match="one slice number per score"):
        plot.set_scores(scores, None, "mass", numbers)  # type: ignore[arg-type]


def test_empty_plot_asks_for_nothing(qtbot: QtBot) -> None:
    widget = SliceScorePlot()
    qtbot.addWidget(widget)
    widget.show()
    groups = requests(widget)
    qtbot.mouseClick(widget.canvas.native, Qt.MouseButton.LeftButton)
    qtbot.keyClick(widget, Qt.Key.Key_Right)
    assert (groups, widget.top(), widget.top_button.isEnabled()) == ([], None, False)
    widget.release()


def test_wheel_is_left_to_what_lies_around(plot: SliceScorePlot) -> None:
    none = Qt.KeyboardModifier.NoModifier
    event = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, none,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(plot.canvas.native, event)
    assert not event.isAccepted()


def test_plot_goes_on_in_another_window(qtbot: QtBot, plot: SliceScorePlot) -> None:
    """Qt makes a new graphics context there; the canvas is replaced, and shows and does the same."""
    first = plot.canvas
    window = QWidget()
    qtbot.addWidget(window)
    QVBoxLayout(window).addWidget(plot)
    window.resize(400, 300)
    window.show()
    qtbot.waitUntil(lambda: plot.canvas is not first)
    plot.set_current(6)
    qtbot.wait(50)
    assert near(color_at(plot, 3, 1.5), FOR_COLOR)
    groups = requests(plot)
    qtbot.mouseClick(plot.canvas.native, Qt.MouseButton.LeftButton, pos=centre_of(plot, 2))
    assert groups == [2]
    plot.setParent(None)


def test_range_holds_zero_scores_and_mean() -> None:
    low, high = value_range(np.array([0.2, 0.5]), -0.1)
    assert low < -0.1
    assert high > 0.5
    assert value_range(np.array([0.0, 0.0]), None) == (0.0, 1.0)
    assert value_range(np.array([-1.0, np.nan]), None)[1] == 0.0


def test_ticks_are_round() -> None:
    assert [t.text for t in value_ticks(-0.03, 0.11)] == ["0.00", "0.05", "0.10"]
    assert [t.text for t in slice_ticks(range(1, 404, 3))] == ["100", "200", "300", "400"]


def test_slice_ticks_stand_at_their_groups_in_either_direction() -> None:
    rising, falling = slice_ticks([0, 10, 20, 30]), slice_ticks([30, 20, 10, 0])
    assert {t.text: t.at for t in rising}["10"] == pytest.approx(1.5 / 4)
    assert {t.text: t.at for t in falling}["10"] == pytest.approx(2.5 / 4)
    assert [t.text for t in slice_ticks([7])] == ["7"]
