"""Comparisons in a session: cells, links, lists, work; without a window but for one test of the real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari._qt.widgets.qt_dims_slider import QtDimSliderWidget
from napari.components import ViewerModel
from napari.layers import Image, Vectors
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from hirescam_napari._case import Case
from hirescam_napari._compare import Comparer
from hirescam_napari._compare_lists import NEEDS_ORGANS
from hirescam_napari._compare_rows import disagreement_row
from hirescam_napari._controller import Controller
from hirescam_napari._engine import Engine
from hirescam_napari._overlays import SLICE
from hirescam_napari._panels import DockPanels
from hirescam_napari._snapshot import capture, restore_choices, restore_place
from hirescam_napari._state import Layout
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari.views.compare import ComparePanel, SheetChoice
from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.cohort.store import write_case
from training.explain.placement import PLACEMENTS
from training.explain.result import Explanation
from training.issues import InputError
from training.partition.cells import organ_cells_at
from training.partition.organs import Organs, QualityControl
from training.words import signed_share

LABEL = "aspiration"


class SecondModel(Engine):
    """Gives a result that was made before."""

    def __init__(self, explanation: Explanation) -> None:
        super().__init__()
        self.explanation = explanation

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def explain(self, request, progress, cancelled):  # type: ignore[no-untyped-def]
        progress(1, 2, "trunk")
        return self.explanation


@pytest.fixture
def other(explanation_factory: Callable[..., Explanation]) -> Explanation:
    made = explanation_factory(n_labels=10, n_groups=9, seed=4)
    return replace(made, model=replace(made.model, name="second"))


@pytest.fixture
def comparer(qtbot: QtBot, case: Case, other: Explanation) -> Iterator[Comparer]:
    panels, panel = DockPanels(), ComparePanel()
    for one in (panels.table, panels.plot, panels.badge, panels.display, panels.header, panels.readout, panel):
        qtbot.addWidget(one)
    panel.show()
    controller = Controller(ViewerModel(), panels)
    controller.open_case(with_organs(case))
    controller.select(LABEL)
    made = Comparer(controller, panel, SecondModel(other))
    made.update()
    yield made
    made.cancel()
    made.wait(10)
    controller.disconnect()


def with_organs(case: Case) -> Case:
    explanation = case.explanation
    assert explanation is not None
    assert case.volume is not None
    labels = np.random.default_rng(0).integers(0, 4, case.volume.hu.shape).astype(np.uint8)
    organs = Organs(labels, case.volume.geometry, QualityControl(True), np.ones(labels.shape, bool))
    cells = {p: organ_cells_at(organs, explanation.input_geometry, explanation.cells, p) for p in PLACEMENTS}
    return replace(case, organs=organs, cells=cells)


def shown(comparer: Comparer) -> list[str]:
    return [layer.name for layer in comparer.controller.canvas.layers if layer.visible]


def test_methods_are_shown_in_named_linked_cells(comparer: Comparer) -> None:
    controller = comparer.controller
    controller.step_slice(2)
    before = controller.canvas.slice_mm
    comparer.start()
    assert comparer.comparing
    assert shown(comparer)[1::2] == ["HiResCAM", "Grad-CAM", "Difference"]
    grid = controller.viewer.canvas.grid
    assert (grid.enabled, grid.shape, grid.stride) == (True, (1, 3), 2)
    assert controller.canvas.slice_mm == before
    maps = [layer for layer in controller.canvas.layers[1::2] if isinstance(layer, Image)]
    assert all(layer.name_overlay.visible for layer in maps)
    first, second, _ = controller.canvas.cts
    assert first.data is second.data
    first.contrast_limits = (-100.0, 300.0)
    assert second.contrast_limits == [-100.0, 300.0]
    maps[0].opacity = 0.25
    assert maps[2].opacity == 0.25


def test_another_label_changes_the_cells_and_the_slice(comparer: Comparer) -> None:
    comparer.start()
    controller, explanation = comparer.controller, comparer.controller.case.explanation
    assert explanation is not None
    layers = list(controller.canvas.layers)
    controller.select("atelectasis")
    assert controller.canvas.layers == layers
    assert np.array_equal(layers[1].data, explanation.map("atelectasis"))
    assert np.array_equal(layers[3].data, explanation.map("atelectasis", "gradcam"))
    expected = controller.case.shown_mm(explanation.top_slice("atelectasis"))
    assert controller.canvas.slice_mm == pytest.approx(expected, abs=1.3)


def test_another_mode_reuses_the_layers_and_stays_in_the_slice(comparer: Comparer) -> None:
    comparer.start()
    canvas = comparer.controller.canvas
    comparer.controller.step_slice(2)
    at, layers = canvas.slice_mm, list(canvas.layers)
    comparer.panel.set_mode("placements")
    assert canvas.slice_mm == at
    assert canvas.layers == layers
    assert shown(comparer)[1::2] == ["Where the cells look", "Stretched, as in the paper"]
    assert comparer.controller.viewer.canvas.grid.shape == (1, 2)
    comparer.panel.set_mode("methods")
    assert canvas.layers == layers
    assert shown(comparer)[1::2] == ["HiResCAM", "Grad-CAM", "Difference"]


def test_the_status_bar_does_not_name_cells_that_are_gone(comparer: Comparer) -> None:
    viewer = comparer.controller.viewer
    comparer.panel.set_mode("methods")
    comparer.start()
    viewer.status = "Difference: 0 Grad-CAM: 0"
    comparer.panel.set_mode("placements")
    assert viewer.status == ""
    viewer.status = "Where the cells look: 0"
    comparer.stop()
    assert "Where the cells look" not in viewer.status


def test_going_back_leaves_the_single_view_as_it_was(comparer: Comparer) -> None:
    controller = comparer.controller
    before = [layer.name for layer in controller.canvas.layers]
    at = controller.canvas.slice_mm
    comparer.start()
    comparer.stop()
    assert not comparer.comparing
    assert [layer.name for layer in controller.canvas.layers] == before
    assert [layer.name for layer in controller.viewer.layers] == before
    assert controller.case.explanation is not None
    assert controller.canvas.slice_mm == pytest.approx(at, abs=1e-6)
    assert not controller.viewer.canvas.grid.enabled


def test_the_ranking_has_three_decimals(comparer: Comparer) -> None:
    first = comparer.lists.ranked[0]
    tiny = replace(
        first,
        hirescam=replace(first.hirescam, allowed=1.0, other_organs=0.0),
        gradcam=replace(first.gradcam, other_organs=5.75e-10),
    )
    assert disagreement_row(tiny)[1] == "0.000"
    assert [row[1] for row in comparer.panel.labels.texts()] == [signed_share(o.value) for o in comparer.lists.ranked]


def test_the_ranking_needs_organs_and_leads_to_labels(comparer: Comparer, case: Case) -> None:
    panel = comparer.panel
    assert panel.labels.rowCount() == 10
    panel.labels.setCurrentCell(3, 0)
    assert comparer.controller.state.label == comparer.lists.ranked[3].label
    comparer.controller.open_case(case)
    comparer.on_case()
    assert panel.labels.rowCount() == 0
    assert panel.methods_words.text() == NEEDS_ORGANS


def test_a_second_model_is_run_and_compared(comparer: Comparer, qtbot: QtBot, other: Explanation) -> None:
    with qtbot.waitSignal(comparer.ended):
        comparer.run_second("second")
    assert comparer.comparing
    assert comparer.panel.chosen_mode == "models"
    first, second = (layer for layer in comparer.controller.canvas.layers[1::2] if layer.visible)
    assert first.contrast_limits == second.contrast_limits
    assert second.name.startswith("second: ")
    assert comparer.panel.models.rowCount() == 10
    budgets = comparer.panel.budgets.texts()
    assert [row[0] for row in budgets][:2] == ["allowed organ", "other organs"]
    index = other.index(LABEL)
    assert float(budgets[-1][2].replace("−", "-")) == pytest.approx(float(other.scores[index]), rel=0.01)
    name = comparer.panel.models.texts()[0][0]
    assert name
    comparer.panel.models.setCurrentCell(0, 0)
    assert comparer.controller.state.label == comparer.lists.pairs[0].label


def test_a_stored_result_of_another_ct_is_refused(
    comparer: Comparer, other: Explanation, qtbot: QtBot, tmp_path: Path
) -> None:
    controller = comparer.controller
    assert controller.case.explanation is not None
    own = replace(controller.case.explanation, provenance={"pixels_sha256": "a" * 64})
    controller.show_explanation(own)
    write_case(tmp_path / "case.zarr", replace(other, provenance={"pixels_sha256": "b" * 64}))
    with qtbot.waitSignal(comparer.ended):
        comparer.open_result(tmp_path)
    assert "different CTs" in comparer.panel.status.text()
    assert comparer.other is None
    with pytest.raises(InputError):
        comparer.set_other(replace(other, provenance={"pixels_sha256": "b" * 64}))


def test_a_cohort_is_ranked_and_a_row_opens_its_case(comparer: Comparer, qtbot: QtBot, tmp_path: Path) -> None:
    make_store(tmp_path / "store")
    with qtbot.waitSignal(comparer.ended):
        comparer.cohort.open(tmp_path / "store")
    assert "6 cases" in comparer.panel.store_words.text()
    assert comparer.cohort.store is not None
    comparer.cohort.store.model = replace(
        comparer.cohort.store.model, threshold=dict.fromkeys(comparer.cohort.store.labels, 0.0)
    )
    with qtbot.waitSignal(comparer.ended):
        comparer.cohort.rank()
    rows = comparer.panel.cohort.texts()
    assert rows
    with qtbot.waitSignal(comparer.caseRequested) as asked:
        comparer.panel.cohort.setCurrentCell(0, 0)
    assert asked.args[1] == comparer.cohort.ranked[0].case
    assert asked.args[1] in rows[0][0]


def test_a_contact_sheet_is_made_shown_and_saved(comparer: Comparer, qtbot: QtBot, tmp_path: Path) -> None:
    comparer.cohort.store = open_store(make_store(tmp_path / "store"))
    comparer.controller.select(comparer.cohort.store.labels[0])
    with qtbot.waitSignal(comparer.ended):
        comparer.cohort.make_sheet(SheetChoice("disagreement", 5, with_cts=False))
    assert comparer.comparing
    assert comparer.controller.viewer.canvas.grid.shape == (2, 4)
    layers = comparer.controller.canvas.layers
    assert comparer.controller.viewer.canvas.grid.stride == 3
    assert all(isinstance(layer, Vectors) and layer.visible and len(layer.data) > 1 for layer in layers[2::3])
    names = [layer.name for layer in layers[1::3]]
    assert names == [f"{tile.name}\n{tile.where}" for tile in comparer.cohort.sheet.tiles]  # type: ignore[union-attr]
    rows = comparer.panel.cases.texts()
    assert len(rows) == 5
    assert not comparer.panel.cases.isColumnHidden(2)
    assert [row[2] for row in rows] == [signed_share(tile.entry.value) for tile in comparer.cohort.sheet.tiles]  # type: ignore[union-attr]
    assert "Top slice of each case" in comparer.controller.canvas.overlays.text(SLICE)
    letter = comparer.controller.viewer.canvas.overlays["hirescam_bottom"]
    assert (letter.text[0], letter.font_size) == ("P", 10)
    assert letter.text.count("\n") == len(comparer.controller.canvas.overlays.text(SLICE).split("\n"))
    assert "5 of 5 cases without CT" in comparer.panel.status.text()
    comparer.panel.set_mode("methods")
    controller = comparer.controller
    assert "Slice " in controller.canvas.overlays.text(SLICE)
    assert letter.font_size == 14
    assert controller.plan.focus is not None
    assert controller.canvas.slice_mm == pytest.approx(controller.plan.focus.slice_mm, abs=1.3)
    comparer.panel.set_mode("cases")
    assert "Top slice of each case" in controller.canvas.overlays.text(SLICE)
    comparer.cohort.save_sheet(tmp_path / "sheet.pdf")
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")
    assert "sheet.pdf.report.json beside it" in comparer.panel.status.text()
    assert (tmp_path / "sheet.pdf.report.json").is_file()
    comparer.cohort.save_sheet(tmp_path / "sheet.docx")
    assert not (tmp_path / "sheet.docx").exists()
    comparer.on_case()
    assert not comparer.comparing
    assert controller.canvas.slice_mm == pytest.approx(controller.plan.focus.slice_mm, abs=1.3)


def test_a_sheet_whose_layers_are_removed_does_not_come_back(comparer: Comparer, qtbot: QtBot, tmp_path: Path) -> None:
    comparer.cohort.store = open_store(make_store(tmp_path / "store"))
    comparer.controller.select(comparer.cohort.store.labels[0])
    with qtbot.waitSignal(comparer.ended):
        comparer.cohort.make_sheet(SheetChoice("probability", 3, with_cts=False))
    layers = comparer.controller.viewer.layers
    layers.remove(comparer.controller.canvas.cts[0])
    assert len(layers) == 0
    assert not comparer.ready


def recalled(comparer: Comparer, view: dict[str, Any], store: CohortStore | None = None) -> dict[str, Any]:
    """What is shown after ``view`` was restored."""
    restore_choices(comparer.controller, view)
    comparer.recall(view["comparison"], lambda: restore_place(comparer.controller, view), store)
    return capture(comparer.controller)


def test_side_by_side_saves_both_methods_and_keeps_those_of_the_overlay(comparer: Comparer) -> None:
    state = comparer.controller.state
    state.toggle_layout()
    state.toggle_method("hirescam")
    view = json.loads(json.dumps(capture(comparer.controller)))
    assert view["state"]["methods"] == ["hirescam", "gradcam"]
    assert (view["overlay_methods"], view["comparison"]) == ([], None)
    comparer.controller.change(layout=Layout.OVERLAY, methods=("gradcam",))
    assert capture(comparer.controller)["state"]["methods"] == ["gradcam"]
    assert recalled(comparer, view) == view
    assert state.methods == ()
    old = {"version": 1, "state": {"methods": ["gradcam"], "layout": "overlay"}}
    restore_choices(comparer.controller, old)
    assert state.methods == ("gradcam",)


@pytest.mark.parametrize("mode", ["methods", "placements"])
def test_a_view_holds_its_comparison_and_brings_it_back(comparer: Comparer, mode: Any) -> None:
    controller = comparer.controller
    single = json.loads(json.dumps(capture(controller)))
    assert single["comparison"] is None
    controller.change(methods=("gradcam",))
    comparer.panel.set_mode(mode)
    comparer.start()
    controller.step_slice(2)
    controller.canvas.cts[0].contrast_limits = (-150.0, 250.0)
    controller.viewer.scene.camera.zoom = 2.5
    view = json.loads(json.dumps(capture(controller)))
    assert view["comparison"]["kind"] == mode
    assert view["state"]["methods"] == (["hirescam", "gradcam"] if mode == "methods" else ["gradcam"])
    assert view["overlay_methods"] == ["gradcam"]
    assert recalled(comparer, single) == single
    assert not comparer.comparing
    comparer.panel.set_mode("models")
    assert recalled(comparer, view) == view
    assert comparer.comparing
    assert comparer.panel.chosen_mode == mode
    assert recalled(comparer, single) == single


def test_a_view_names_the_second_model_and_finds_it_again(
    comparer: Comparer, other: Explanation, case: Case, qtbot: QtBot
) -> None:
    controller = comparer.controller
    comparer.set_other(other)
    view = json.loads(json.dumps(capture(controller)))
    first = controller.case.explanation
    assert first is not None
    assert [one["name"] for one in view["comparison"]["models"]] == [first.model.name, "second"]
    assert view["comparison"]["models"][1]["sha256"] == other.model.sha256
    comparer.stop()
    assert recalled(comparer, view) == view  # still at hand
    comparer.stop()
    comparer.other = None
    recalled(comparer, view)
    assert not comparer.comparing
    assert f"compared with the model second (SHA-256 {other.model.sha256[:12]})" in comparer.panel.status.text()
    comparer.panel.set_models([("second", "Second")])
    with qtbot.waitSignal(comparer.ended):
        recalled(comparer, view)
    assert comparer.comparing
    assert capture(controller) == view
    comparer.stop()
    comparer.other = None
    view["comparison"]["models"][1]["sha256"] = "f" * 64  # the name means another model by now
    with qtbot.waitSignal(comparer.ended):
        recalled(comparer, view)
    assert not comparer.comparing
    assert "(SHA-256 ffffffffffff)" in comparer.panel.status.text()


def test_a_view_names_the_cases_of_its_sheet_and_makes_it_again(
    comparer: Comparer, qtbot: QtBot, tmp_path: Path
) -> None:
    store, controller = open_store(make_store(tmp_path / "store")), comparer.controller
    controller.select(store.labels[0])
    comparer.cohort.use(store)
    with qtbot.waitSignal(comparer.ended):
        comparer.cohort.make_sheet(SheetChoice("disagreement", 5, with_cts=False))
    view = json.loads(json.dumps(capture(controller)))
    about = view["comparison"]
    assert (about["kind"], about["label"], len(about["cases"])) == ("cases", store.labels[0], 5)
    assert about["store"] == {"name": "store", "sha256": store.sha256}
    comparer.stop()
    assert recalled(comparer, view) == view  # still at hand
    comparer.stop()
    comparer.cohort.sheet = comparer.cohort.store = None
    recalled(comparer, view)
    assert not comparer.comparing
    assert "cases of the cohort store" in comparer.panel.status.text()
    with qtbot.waitSignal(comparer.ended):
        recalled(comparer, view, store)
    assert comparer.comparing
    assert capture(controller)["comparison"] == about


def test_a_comparison_of_a_newer_version_is_said_to_be_unknown(comparer: Comparer) -> None:
    comparer.start()
    recalled(comparer, capture(comparer.controller) | {"comparison": {"kind": "smells", "methods": []}})
    assert not comparer.comparing
    assert "(smells)" in comparer.panel.status.text()


def sliders_of(viewer: Viewer) -> list[QtDimSliderWidget]:
    """All sliders that exist; napari makes new ones with the number of dimensions, and deletes the old ones later."""
    return list(viewer.window._qt_window.findChildren(QtDimSliderWidget))


def test_the_slider_of_now_is_shown_alone(
    make_napari_viewer: Callable[..., Viewer], case: Case, other: Explanation
) -> None:
    """Two sliders one upon the other are two numbers one upon the other."""
    viewer = make_napari_viewer(show=True)
    widget = HiResCamWidget(viewer, SecondModel(other))
    viewer.window.add_dock_widget(widget, name="HiResCAM", area="right")
    widget.show_case(with_organs(case))
    widget.comparer.start()
    kept = sliders_of(viewer)  # as long as anybody holds them; no event loop runs here that deletes the old ones
    widget.comparer.stop()
    QApplication.processEvents()
    (slider,) = (slider for slider in sliders_of(viewer) if slider.isVisible())
    assert slider not in kept
    assert not slider.curslice_label.isVisible()  # it counts from 0, beside "Slice 1 of ..." on the canvas
    assert not slider.totslice_label.isVisible()
    widget.close_session()
    assert slider.curslice_label.isVisible()


def test_the_real_window_compares_and_goes_back(
    make_napari_viewer: Callable[..., Viewer], case: Case, other: Explanation, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = HiResCamWidget(viewer, SecondModel(other))
    viewer.window.add_dock_widget(widget, name="HiResCAM", area="right")
    widget.show_case(with_organs(case))
    panel = widget.compare_panel
    widget.tabs.setCurrentIndex([widget.tabs.tabText(i) for i in range(widget.tabs.count())].index("Compare"))
    qtbot.mouseClick(panel.show_button, Qt.MouseButton.LeftButton)
    panel.set_mode("placements")
    assert widget.comparer.comparing
    with qtbot.waitSignal(widget.comparer.ended):
        qtbot.mouseClick(panel.run_button, Qt.MouseButton.LeftButton)
    assert [layer.name for layer in widget.controller.canvas.layers if layer.visible][1::2][1].startswith("second: ")
    qtbot.mouseClick(panel.back_button, Qt.MouseButton.LeftButton)
    widget.controller.state.toggle_layout()
    qtbot.wait(30)
    assert not widget.comparer.comparing
    assert widget.controller.viewer.canvas.grid.shape == (1, 2)
    assert widget.controller.case.explanation is case.explanation
    widget.close_session()
