"""Exports and sessions from a real window: what is shown is what leaves, and what was saved opens again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from hirescam_napari import _exports
from hirescam_napari._case import Case
from hirescam_napari._controller import Controller
from hirescam_napari._exports import Exporter
from hirescam_napari._panels import DockPanels
from hirescam_napari._snapshot import capture, restore_choices, restore_place
from hirescam_napari._state import Layout
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari._workers import load_case
from hirescam_napari.views.export_panel import ExportChoice, ExportPanel
from training.cohort.inputs import Origin
from training.explain.result import Explanation
from training.issues import InputError
from training.volume import Volume


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")
    monkeypatch.setattr("training.cohort.places.config_dir", lambda: tmp_path / "settings")


@pytest.fixture
def widget(make_napari_viewer: Callable[..., Viewer], case: Case) -> Iterator[HiResCamWidget]:
    viewer = make_napari_viewer(show=True)
    made = HiResCamWidget(viewer)
    viewer.window.add_dock_widget(made, name="HiResCAM", area="right")
    made.show_case(case)
    yield made
    made.close_session()


@pytest.fixture
def exporter(qtbot: QtBot, case: Case) -> Iterator[Exporter]:
    """Controller and panel without a window."""
    panels, panel = DockPanels(), ExportPanel()
    for one in (panels.table, panels.plot, panels.badge, panels.display, panels.header, panels.readout, panel):
        qtbot.addWidget(one)
    controller = Controller(ViewerModel(), panels)
    controller.open_case(case)
    made = Exporter(controller, panel, panels.labels_in_order)
    made.update()
    yield made
    made.cancel()
    made.wait(10)
    controller.disconnect()


def choice(out: Path, *formats: str, **more: object) -> ExportChoice:
    return ExportChoice(out, formats, **more)  # type: ignore[arg-type]


def test_the_panel_exports_what_the_window_shows(widget: HiResCamWidget, qtbot: QtBot, tmp_path: Path) -> None:
    out, panel = tmp_path / "out", widget.export_panel
    widget.controller.change(label="aspiration", window="bone", placement="stretch", layout=Layout.SIDE_BY_SIDE)
    panel.set_folder(out)
    panel.set_formats(("png", "nifti"))
    panel.organs.setChecked(False)
    assert panel.export_button.isEnabled()
    with qtbot.waitSignal(widget.exporter.ended, timeout=60000):
        qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    asked = json.loads((out / "report.json").read_text(encoding="utf-8"))["export"]["request"]
    assert asked["labels"] == ["aspiration"]
    assert asked["methods"] == ["hirescam", "gradcam"]
    assert (asked["placement"], asked["window_hu"]) == ("stretch", [-500.0, 1300.0])
    assert (out / "figures" / "aspiration.png").is_file()
    assert "Exported" in panel.status.text()
    assert panel.export_button.isEnabled()


def test_a_list_of_labels_is_exported(exporter: Exporter, qtbot: QtBot, tmp_path: Path) -> None:
    with qtbot.waitSignal(exporter.ended, timeout=60000):
        exporter.export(choice(tmp_path / "out", "svg", which="top", count=3))
    assert len(list((tmp_path / "out" / "figures").iterdir())) == 3


def test_an_export_is_cancelled(
    exporter: Exporter, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(out, case, request, progress, cancelled):  # type: ignore[no-untyped-def]
        begun.set()
        go_on.wait(10)
        progress(1, 2, "figures")

    monkeypatch.setattr(_exports, "export_case", slow)
    exporter.export(choice(tmp_path / "out", "png"))
    assert begun.wait(10)
    assert exporter.running
    with qtbot.waitSignal(exporter.ended):
        qtbot.mouseClick(exporter.panel.cancel_button, Qt.MouseButton.LeftButton)
    go_on.set()
    assert "Cancelled" in exporter.panel.status.text()
    assert not (tmp_path / "out").exists()


def test_a_refusal_is_told(exporter: Exporter, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x", encoding="utf-8")
    with qtbot.waitSignal(exporter.ended, timeout=60000):
        exporter.export(choice(tmp_path / "full", "png"))
    assert "did not work" in exporter.panel.status.text()
    assert (tmp_path / "full" / "mine.txt").is_file()


def test_a_saved_session_reopens_the_same_view(
    widget: HiResCamWidget, case: Case, volume: Volume, qtbot: QtBot, tmp_path: Path
) -> None:
    ct = tmp_path / "ct.npz"
    np.savez_compressed(ct, ct=volume.hu)
    read = load_case([ct])
    assert case.explanation is not None
    assert read.volume is not None
    pixels = {"pixels_sha256": read.volume.provenance.pixels_sha256}
    explanation = replace(case.explanation, provenance=pixels, image_geometry=read.volume.geometry)
    widget.show_case(replace(read, explanation=explanation))
    assert widget.controller.case.origin == Origin(ct)
    controller = widget.controller
    controller.change(label="aspiration", window="mediastinum", methods=("gradcam",), signed=True, opacity=0.3)
    controller.step_slice(3)
    widget.comparer.start()
    controller.canvas.cts[0].contrast_limits = (-150.0, 250.0)
    widget.viewer.scene.camera.zoom *= 1.7
    before = capture(controller)
    assert before["comparison"] == {"kind": "methods", "methods": ["hirescam", "gradcam"]}
    widget.exporter.save_session(tmp_path / "view.hirescam")
    assert "Saved" in widget.export_panel.status.text()
    controller.close_case()
    with qtbot.waitSignal(widget.idle, timeout=60000):
        widget.open([tmp_path / "view.hirescam"])
    after = capture(widget.controller)
    assert after["zoom"] == pytest.approx(before["zoom"])
    assert after["center"] == pytest.approx(before["center"])
    assert {k: v for k, v in after.items() if k not in ("zoom", "center")} == {
        k: v for k, v in before.items() if k not in ("zoom", "center")
    }
    assert widget.controller.case.volume is not None
    assert widget.comparer.comparing


def test_a_saved_comparison_of_models_reopens_without_the_second_checkpoint(
    widget: HiResCamWidget,
    case: Case,
    explanation_factory: Callable[..., Explanation],
    qtbot: QtBot,
    tmp_path: Path,
) -> None:
    assert case.explanation is not None
    pixels = {"pixels_sha256": "a" * 64}
    widget.show_case(replace(case, explanation=replace(case.explanation, provenance=pixels)))
    second = explanation_factory(n_labels=10, n_groups=9, seed=4)
    second = replace(second, model=replace(second.model, name="second", sha256="2" * 64), provenance=pixels)
    widget.comparer.set_other(second)
    before = capture(widget.controller)["comparison"]
    assert before["kind"] == "models"
    widget.exporter.save_session(tmp_path / "view.hirescam")
    widget.comparer.stop()
    widget.controller.close_case()
    widget.comparer.other = None
    widget.comparer.recaller._others.clear()
    with qtbot.waitSignal(widget.idle):
        widget.open([tmp_path / "view.hirescam"])
    assert capture(widget.controller)["comparison"] == before
    assert widget.comparer.other is not None
    np.testing.assert_array_equal(widget.comparer.other.map(0), second.map(0))


def test_a_session_opens_without_its_ct_and_says_so(exporter: Exporter, case: Case, tmp_path: Path) -> None:
    assert case.explanation is not None
    exporter.save_session(tmp_path / "my view.hirescam")
    assert exporter.panel.status.text().endswith("hirescam view 'my view.hirescam'")
    found = load_case([tmp_path / "my view.hirescam"])
    assert found.volume is None
    assert found.explanation is not None
    assert "no-ct" in [issue.code for issue in found.explanation.issues]


def test_a_session_with_another_ct_is_refused(exporter: Exporter, volume: Volume, tmp_path: Path) -> None:
    exporter.save_session(tmp_path / "view.hirescam")
    np.savez_compressed(tmp_path / "other.npz", ct=volume.hu[:, :, ::-1])
    with pytest.raises(InputError, match="another one than the session's"):
        load_case([tmp_path / "view.hirescam", tmp_path / "other.npz"])


def test_unknown_choices_of_a_saved_view_are_left_out(exporter: Exporter) -> None:
    before = capture(exporter.controller)
    view = {"state": {"label": "hair", "colour": "pink"}, "slice_mm": None}
    restore_choices(exporter.controller, view)
    restore_place(exporter.controller, view)
    assert capture(exporter.controller)["state"] == before["state"]
