"""The export panel: what is checked is what is asked for, and nothing can be asked for without a result."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from hirescam_napari.views.export_panel import ExportChoice, ExportPanel
from training.issues import warning


@pytest.fixture
def panel(qtbot: QtBot) -> ExportPanel:
    made = ExportPanel()
    qtbot.addWidget(made)
    made.show()
    return made


def test_nothing_to_export_at_first(panel: ExportPanel) -> None:
    assert not panel.export_button.isEnabled()
    assert "run a model" in panel.status.text()
    panel.set_ready(True)
    assert panel.choice is None
    assert not panel.export_button.isEnabled()
    assert panel.save_button.isEnabled()


def test_what_is_checked_is_asked_for(panel: ExportPanel, qtbot: QtBot, tmp_path: Path) -> None:
    panel.set_ready(True)
    panel.set_folder(tmp_path / "out")
    panel.set_formats(("svg", "dicom"))
    panel.which.setCurrentIndex(2)
    panel.count.setValue(7)
    with qtbot.waitSignal(panel.exportRequested) as asked:
        qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    assert asked.args == [ExportChoice(tmp_path / "out", ("svg", "dicom"), "top", 7)]
    panel.set_formats(())
    assert not panel.export_button.isEnabled()


def test_patient_data_is_off_and_warned_about(panel: ExportPanel, tmp_path: Path) -> None:
    panel.set_folder(tmp_path)
    assert panel.choice is not None
    assert not panel.choice.with_patient_data
    panel.patient.setChecked(True)
    assert "name, ID and dates" in panel.caution.text()
    assert panel.choice.with_patient_data


def test_progress_and_cancel(panel: ExportPanel, qtbot: QtBot, tmp_path: Path) -> None:
    panel.set_ready(True)
    panel.set_folder(tmp_path / "out")
    assert not panel.cancel_button.isEnabled()
    panel.set_running(True)
    panel.set_progress(2, 5, "figures")
    assert (panel.progress.value(), panel.progress.maximum()) == (2, 5)
    assert panel.status.text() == "Figures …"
    assert not panel.export_button.isEnabled()
    with qtbot.waitSignal(panel.cancelRequested):
        qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    panel.set_running(False)
    panel.set_issues([warning("burned-in", "text is burned in")])
    assert panel.export_button.isEnabled()
    assert not panel.progress.isVisible()
