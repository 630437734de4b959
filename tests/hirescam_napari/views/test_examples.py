"""Every panel has a runnable example; none is cut off in a dock of 380 px, and each has a name for screen readers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QSlider, QTableView, QWidget

from hirescam_napari.views._layout import scrolled

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
VIEWS = sorted(path for path in (ROOT / "hirescam_napari" / "views").glob("*.py") if not path.name.startswith("_"))
PARTS = {"label_model"}


def built(path: Path) -> QWidget:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build()


def test_every_panel_has_an_example() -> None:
    ours = {"label_table", "slice_scores", "guarantee", "series_chooser", "run_panel", "display_panel", "case_header"}
    assert ours <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_fits_a_narrow_dock(qtbot: QtBot, path: Path) -> None:
    panel = built(path)
    panel.setWindowFlags(Qt.WindowType.Widget)
    area = scrolled(panel)
    qtbot.addWidget(area)
    area.resize(380, 200)
    area.show()
    qtbot.waitExposed(area)
    assert panel.width() <= area.viewport().width()
    for child in panel.findChildren(QWidget):
        if child.isVisibleTo(panel) and child.parent() is panel:
            assert child.geometry().right() <= panel.width(), child
    if hasattr(panel, "release"):
        panel.release()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_control_has_a_name(qtbot: QtBot, path: Path) -> None:
    panel = built(path)
    qtbot.addWidget(panel)
    assert panel.accessibleName() or panel.windowTitle()
    own = [
        w
        for w in panel.findChildren(QWidget)
        if type(w).__name__ != "QtScrollBar" and not w.objectName().startswith("qt_")
    ]
    for child in own:
        if isinstance(child, QComboBox | QLineEdit | QSlider | QTableView):
            assert child.accessibleName(), child
        if isinstance(child, QAbstractButton) and child.metaObject().className() in ("QPushButton", "QToolButton"):
            assert child.accessibleName() or child.text(), child
    if hasattr(panel, "release"):
        panel.release()
