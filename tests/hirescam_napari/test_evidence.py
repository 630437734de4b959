"""Organs, budget and report in the dock itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from napari import Viewer
from pytestqt.qtbot import QtBot

from hirescam_napari._case import Case
from hirescam_napari._engine import Engine
from hirescam_napari._layers import picture_of
from hirescam_napari._widget import HiResCamWidget
from training.cohort.phantom import make_phantom

REPORT = "Moderate left pleural effusion.\nNo emphysema."


@pytest.fixture
def widget(make_napari_viewer: Callable[..., Viewer], engine: Engine) -> Iterator[HiResCamWidget]:
    viewer = make_napari_viewer()
    made = HiResCamWidget(viewer, engine)
    viewer.window.add_dock_widget(made)
    yield made
    made.finder.wait(60)


def test_organs_are_found_when_they_are_switched_on(widget: HiResCamWidget, qtbot: QtBot) -> None:
    phantom = make_phantom(7, "small", "none")
    widget.show_case(Case(phantom.volume, picture_of(phantom.volume)))
    busy = [widget.busy]
    widget.panels.details.organs.shown.click()
    busy.append(widget.busy)
    assert busy == [False, True]
    assert widget.panels.details.organs.cancel_button.isVisibleTo(widget.panels.details.organs)
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        pass
    assert widget.controller.case.organs is not None
    assert widget.panels.details.organs.status.text().startswith("Passed")
    assert "Organs" in [layer.name for layer in widget.viewer.layers if layer.visible]


def test_a_report_is_attached_shown_and_removed(widget: HiResCamWidget, case: Case, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text(REPORT, encoding="utf-8")
    widget.show_case(case)
    widget.attach_report(path)
    assert widget.controller.case.report_text == REPORT
    assert widget.pages.tabText(widget.pages.currentIndex()) == "Report"
    widget.panels.details.report.removeRequested.emit()
    assert widget.controller.case.report is None


def test_a_bad_report_leaves_the_case_and_says_why(widget: HiResCamWidget, case: Case, tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    widget.show_case(case)
    widget.attach_report(path)
    assert widget.controller.case.report is None
    assert [issue.code for issue in widget.run_panel.messages.issues] == ["reports-columns"]
