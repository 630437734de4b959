"""The real dock in a real napari window: open, run, click, compare, cancel, refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QScrollArea, QWidget

from hirescam_napari._case import Case
from hirescam_napari._engine import Engine, Request
from hirescam_napari._layers import TRUTH_KEY, ct_layer
from hirescam_napari._state import Layout
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari.views.run_panel import RunRequest
from training.explain.result import Explanation
from training.geometry import Geometry
from training.io import SeriesChoiceNeeded, SeriesInfo
from training.issues import Cancelled, InputError, error
from training.volume import Volume

REQUEST = RunRequest("", "demo", "cpu", "fp32")


class PretendEngine(Engine):
    """Gives a result that was made before, when it is let go; refuses what it is told to refuse."""

    def __init__(self, explanation: Explanation) -> None:
        super().__init__()
        self.explanation = explanation
        self.go_on = threading.Event()
        self.go_on.set()
        self.refusal: InputError | None = None
        self.asked: list[Request] = []
        self.stopped = 0

    def start(self) -> None: ...

    def stop(self) -> None:
        self.stopped += 1

    def explain(self, request, progress, cancelled):  # type: ignore[no-untyped-def]
        self.asked.append(request)
        progress(1, 4, "trunk")
        while not self.go_on.wait(0.01):
            if cancelled():
                raise Cancelled
        if self.refusal is not None:
            raise self.refusal
        return self.explanation


@pytest.fixture
def pretend(explanation: Explanation) -> PretendEngine:
    return PretendEngine(explanation)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Viewer]) -> Viewer:
    made = make_napari_viewer(show=True)
    made.window.resize(1366, 768)
    return made


@pytest.fixture
def widget(viewer: Viewer, pretend: PretendEngine, qtbot: QtBot) -> Iterator[HiResCamWidget]:
    made = HiResCamWidget(viewer, pretend)
    viewer.window.add_dock_widget(made, name="HiResCAM", area="right")
    yield made
    made.close_session()


@pytest.fixture
def explained(widget: HiResCamWidget, case: Case, qtbot: QtBot) -> HiResCamWidget:
    widget.show_case(case)
    qtbot.wait(20)
    return widget


def npz(path: Path, volume: Volume) -> Path:
    np.savez_compressed(path, ct=volume.hu)
    return path


def test_open_then_run_shows_the_table_the_plot_and_the_badge(
    widget: HiResCamWidget, volume: Volume, tmp_path: Path, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(widget.idle, timeout=60000):
        widget.open([npz(tmp_path / "ct.npz", volume)])
    assert widget.run_panel.run_button.isEnabled()
    with qtbot.waitSignal(widget.idle, timeout=60000):
        qtbot.mouseClick(widget.run_panel.run_button, Qt.MouseButton.LeftButton)
    explanation = widget.controller.case.explanation
    assert explanation is not None
    assert set(widget.panels.table.shown()) == set(explanation.labels)
    assert widget.panels.table.selected == widget.controller.state.label
    assert widget.panels.plot.isVisible()
    assert widget.panels.badge.holds
    assert "whole slice" in widget.panels.badge.where.text()
    assert "not for clinical use" in widget.panels.header.accessibleDescription()
    assert widget.tabs.currentIndex() == 0


def test_clicking_five_labels_updates_maps_plot_title_and_slice(explained: HiResCamWidget, qtbot: QtBot) -> None:
    controller, table = explained.controller, explained.panels.table
    explanation = controller.case.explanation
    assert explanation is not None
    for row in range(1, 6):
        index = table.view.model().index(row, 0)
        qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=table.view.visualRect(index).center())
        label = table.shown()[row]
        assert controller.state.label == label
        assert np.array_equal(controller.canvas.maps["hirescam"].data, explanation.map(label))
        assert round(controller.case.group_at(controller.canvas.slice_mm) or -1) == explanation.top_slice(label)
        assert round(explained.panels.plot.current) == explanation.top_slice(label)
        assert explained.panels.plot.top() == explanation.top_slice(label)
        assert f"{explanation.probabilities[explanation.index(label)]:.0%}"[:-1] in controller.plan.title


def test_arrow_keys_walk_the_table(explained: HiResCamWidget, qtbot: QtBot) -> None:
    table = explained.panels.table
    table.view.setFocus()
    before = table.shown().index(str(explained.controller.state.label))
    qtbot.keyClick(table.view, Qt.Key.Key_Down)
    assert explained.controller.state.label == table.shown()[before + 1]


def test_the_display_panel_switches_to_side_by_side(explained: HiResCamWidget, qtbot: QtBot) -> None:
    side_by_side = next(b for b in explained.panels.display.layouts.buttons() if b.text() == "Side by side")
    side_by_side.click()
    assert explained.controller.state.layout is Layout.SIDE_BY_SIDE
    assert explained.viewer.canvas.grid.enabled
    explained.controller.state.toggle_layout()
    assert explained.panels.display.choice.layout == "overlay"
    assert not explained.viewer.canvas.grid.enabled


def test_keys_reach_the_session_in_the_window(explained: HiResCamWidget, qtbot: QtBot) -> None:
    native = explained.viewer.window._qt_viewer.canvas.native
    for key, window in ((Qt.Key.Key_M, "mediastinum"), (Qt.Key.Key_B, "bone"), (Qt.Key.Key_L, "lung")):
        qtbot.keyClick(native, key)
        assert explained.controller.state.window == window
    explained.controller.go_to_group(0)
    qtbot.keyClick(native, Qt.Key.Key_Home)
    assert explained.controller.plan.focus is not None
    assert explained.controller.canvas.slice_mm == pytest.approx(explained.controller.plan.focus.slice_mm, abs=1.2)


def test_the_plot_moves_the_slice_and_the_slice_moves_the_cursor(explained: HiResCamWidget, qtbot: QtBot) -> None:
    controller, plot = explained.controller, explained.panels.plot
    qtbot.waitUntil(lambda: plot.canvas.native.width() > 50)
    plot.top_button.click()
    native = plot.canvas.native
    qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=QPoint(3, native.height() // 2))
    assert controller.case.group_at(controller.canvas.slice_mm) == pytest.approx(0, abs=0.5)
    controller.viewer.dims.set_current_step(0, 6)
    assert plot.current == pytest.approx(controller.case.group_at(controller.canvas.slice_mm))
    plot.top_button.click()
    assert controller.plan.focus is not None
    assert controller.canvas.slice_mm == pytest.approx(controller.plan.focus.slice_mm, abs=1.2)


def test_the_mouse_over_the_canvas_reads_values(explained: HiResCamWidget, qtbot: QtBot) -> None:
    native = explained.viewer.window._qt_viewer.canvas.native
    qtbot.mouseMove(native, native.rect().center())
    qtbot.waitUntil(lambda: "HU" in explained.panels.readout.text())
    assert "HiResCAM" in explained.panels.readout.text()
    assert explained.controller.canvas.fields[0].visible


def test_cancelling_a_run_keeps_what_was_open(explained: HiResCamWidget, pretend: PretendEngine, qtbot: QtBot) -> None:
    before = explained.controller.case
    pretend.go_on.clear()
    explained.run(REQUEST)
    qtbot.waitUntil(lambda: explained.run_panel.progress.value() == 1)
    with qtbot.waitSignal(explained.idle):
        explained.tabs.setCurrentWidget(explained.dock_pages.run_tab)
        qtbot.mouseClick(explained.run_panel.cancel_button, Qt.MouseButton.LeftButton)
    assert explained.controller.case is before
    assert not explained.run_panel.running
    assert "ancelled" in explained.run_panel.status.text()
    assert explained.runner.job is not None
    assert explained.runner.job.wait(5)


def test_a_new_ct_drops_the_result_of_the_old_one(
    explained: HiResCamWidget, pretend: PretendEngine, ct_case: Case, qtbot: QtBot
) -> None:
    pretend.go_on.clear()
    job = explained.run(REQUEST)
    explained.show_case(ct_case)
    pretend.go_on.set()
    assert job is not None
    assert job.wait(5)
    qtbot.wait(50)
    assert explained.controller.case.explanation is None
    assert explained.panels.table.shown() == ()
    assert not explained.panels.plot.isVisible()


def test_bad_input_is_told_and_nothing_is_lost(explained: HiResCamWidget, tmp_path: Path, qtbot: QtBot) -> None:
    before = explained.controller.case
    bad = tmp_path / "bad.npz"
    np.savez_compressed(bad, other=np.zeros(3))
    with qtbot.waitSignal(explained.idle, timeout=60000):
        explained.open([bad])
    assert explained.controller.case is before
    assert explained.run_panel.messages.issues
    assert "bad.npz" in explained.run_panel.messages.toPlainText()
    assert explained.tabs.tabText(explained.tabs.currentIndex()) == "Run"
    assert explained.repair_button.isHidden()


def test_what_can_be_mended_is_offered_for_repair(widget: HiResCamWidget, qtbot: QtBot) -> None:
    gap = error("missing-slice", "a slice is missing.", "Repair it.", "scan", repairable=True)

    def refuse(_progress, _cancelled):  # type: ignore[no-untyped-def]
        raise InputError(gap)

    with qtbot.waitSignal(widget.idle):
        widget.open_made(refuse, "Reading")
    assert not widget.repair_button.isHidden()


def test_several_series_ask_which(
    widget: HiResCamWidget, monkeypatch: pytest.MonkeyPatch, volume: Volume, tmp_path: Path, qtbot: QtBot
) -> None:
    series = (SeriesInfo(1, "thin", 9, (2.4, 5.0, 5.0)), SeriesInfo(2, "soft", 5, (5.0, 5.0, 5.0)))
    read: list[int | None] = []

    def read_ct(_path: object, series: int | None = None, repair: bool = False, *_watch: object) -> Volume:
        read.append(series)
        if series is None:
            raise SeriesChoiceNeeded(offered)
        return volume

    offered = series
    monkeypatch.setattr("training.io.read_ct", read_ct)
    monkeypatch.setattr("training.io.list_series", lambda _path: offered)
    widget.open([tmp_path])
    qtbot.waitUntil(lambda: widget.chooser is not None and widget.chooser.isVisible(), timeout=60000)
    assert widget.chooser is not None
    widget.chooser.list.setCurrentRow(1)
    with qtbot.waitSignal(widget.idle, timeout=60000):
        widget.chooser.accept()
    assert read == [None, 2]
    assert widget.controller.case.volume.hu is volume.hu  # type: ignore[union-attr]


def test_a_refused_model_is_told(explained: HiResCamWidget, pretend: PretendEngine, qtbot: QtBot) -> None:
    pretend.refusal = InputError(error("model-unknown", "there is no such model.", "Choose another."))
    with qtbot.waitSignal(explained.idle):
        explained.run(REQUEST)
    assert "no such model" in explained.run_panel.messages.toPlainText()
    assert explained.controller.case.explanation is not None


def test_running_without_a_ct_says_so(widget: HiResCamWidget) -> None:
    assert widget.run(REQUEST) is None
    assert "no CT" in widget.run_panel.messages.toPlainText()


def test_a_ct_from_a_reader_is_taken_over_with_its_truth(
    widget: HiResCamWidget, volume: Volume, explanation: Explanation, qtbot: QtBot
) -> None:
    data, meta, _ = ct_layer(volume)
    meta["metadata"][TRUTH_KEY] = dict.fromkeys(explanation.labels, True)
    widget.viewer.add_image(data, **meta)
    qtbot.waitUntil(lambda: widget.controller.case.volume is volume)
    assert [layer.name for layer in widget.viewer.layers] == ["CT"]
    with qtbot.waitSignal(widget.idle):
        widget.run(REQUEST)
    model = widget.panels.table.view.model()
    truths = {model.index(row, 5).data() for row in range(model.rowCount())}
    assert truths <= {"TP", "FN"}
    assert not widget.panels.table.view.isColumnHidden(5)


def test_any_ct_layer_can_be_chosen(widget: HiResCamWidget, pretend: PretendEngine, qtbot: QtBot) -> None:
    hu = np.full((9, 20, 20), -1000, np.float32)
    hu[:, 5:15, 5:15] = 40.4
    widget.viewer.add_image(hu, name="mine", scale=(3, 2, 2), translate=(-30, 5, 6), contrast_limits=(-1000, 400))
    qtbot.waitUntil(lambda: widget.run_panel.ct.findText("mine") >= 0)
    with qtbot.waitSignal(widget.idle):
        widget.run(replace(REQUEST, ct="mine"))
    asked = pretend.asked[0].volume
    assert asked.geometry.allclose(Geometry.canonical((9, 20, 20), (3, 2, 2), (6, 5, 30)))
    assert set(np.unique(asked.hu)) == {-1000, 40}


@pytest.mark.parametrize(
    ("values", "affine", "words"),
    [(np.ones((5, 8, 8)), None, "Hounsfield"), (np.full((5, 8, 8), -1000.0), "shear", "sheared")],
)
def test_a_layer_that_is_no_ct_is_refused(
    widget: HiResCamWidget, values: np.ndarray, affine: str | None, words: str, qtbot: QtBot
) -> None:
    turned = {"shear": [0.5, 0, 0]} if affine else {}
    widget.viewer.add_image(values, name="other", contrast_limits=(0, 1), **turned)
    assert widget.run(replace(REQUEST, ct="other")) is None
    assert words in widget.run_panel.messages.toPlainText()
    assert "other" in [layer.name for layer in widget.viewer.layers]


def test_closing_the_window_stops_the_run(
    widget: HiResCamWidget, case: Case, pretend: PretendEngine, qtbot: QtBot
) -> None:
    widget.show_case(case)
    pretend.go_on.clear()
    job = widget.run(REQUEST)
    assert job is not None
    widget.close_session()
    assert not job.running
    assert job.wait(0)
    assert pretend.stopped


def test_nothing_is_cut_off_at_1366_by_768(explained: HiResCamWidget, qtbot: QtBot) -> None:
    explained.viewer.window._qt_window.resize(1366, 768)
    qtbot.wait(50)
    window = explained.viewer.window._qt_window
    assert (window.width(), window.height()) == (1366, 768)
    assert explained.mapTo(window, explained.rect().bottomRight()).x() <= 1366
    assert explained.mapTo(window, explained.rect().bottomRight()).y() <= 768
    for tab in range(explained.tabs.count()):
        explained.tabs.setCurrentIndex(tab)
        qtbot.wait(20)
        for child in explained.tabs.widget(tab).findChildren(QWidget):
            if child.isVisible() and not _scrolls(child):
                right = child.mapTo(explained, child.rect().topRight()).x()
                assert right <= explained.width(), child.accessibleName() or child


def test_what_a_map_guarantees_is_seen_without_scrolling_at_1366_by_768(
    explained: HiResCamWidget, qtbot: QtBot
) -> None:
    explained.viewer.window._qt_window.resize(1366, 768)
    explained.dock_pages.show_abnormalities()
    badge, plot = explained.panels.badge, explained.panels.plot
    exact = "Exact: the HiResCAM map's values add up to the score, so what it shows is what the model used."
    badge.set_guarantee(exact, True, 1e-7, "Each cell saw a box of 257 x 257 mm.")
    qtbot.wait(100)
    seen = badge.parentWidget()
    assert seen is not None
    for line in (badge.headline, badge.where, badge.sum_line):
        assert line.isVisible()
        assert line.height() >= line.heightForWidth(line.width())
        assert line.mapTo(seen, line.rect().bottomLeft()).y() < seen.height(), line.text()
    assert plot.legend.geometry().bottom() <= plot.height()
    assert plot.canvas.native.height() >= 110


def _scrolls(child: QWidget) -> bool:
    """True for what lies in a list or table that scrolls sideways by itself."""
    parent = child.parentWidget()
    while parent is not None:
        if type(parent).__name__ in ("QTableView", "QHeaderView", "QListWidget"):
            return True
        if isinstance(parent, QScrollArea):
            return False
        parent = parent.parentWidget()
    return False


def test_a_real_model_runs_in_its_own_process(
    make_napari_viewer: Callable[..., Viewer], engine: Engine, ct_case: Case, tiny_model: Path, qtbot: QtBot
) -> None:
    widget = HiResCamWidget(make_napari_viewer(), engine)
    widget.show_case(ct_case)
    with qtbot.waitSignal(widget.idle, timeout=60000):
        widget.run(RunRequest("", str(tiny_model), "cpu", "fp32"))
    found = widget.controller.case.explanation
    assert found is not None
    assert found.residual.max() < 1e-4
    assert widget.controller.canvas.maps["hirescam"].data.shape == found.cells.n_cells
    widget.engine = Engine()
    widget.close_session()
    widget.deleteLater()
