from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot

import hirescam_napari._session as session
from hirescam_napari._widget import HiResCamWidget


@pytest.fixture
def widget(make_napari_viewer: Callable[..., Viewer], monkeypatch: pytest.MonkeyPatch) -> Iterator[HiResCamWidget]:
    monkeypatch.setattr("hirescam_napari._engine.Engine.start", lambda _self: None)
    made = HiResCamWidget(make_napari_viewer())
    yield made
    made.close_session()
    made.deleteLater()


def test_opening_paths_runs_the_named_model(
    widget: HiResCamWidget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot: QtBot
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(widget, "run", asked.append)
    np.savez(tmp_path / "a.npz", ct=np.random.default_rng(0).integers(-1000, 400, (9, 12, 12)).astype(np.int16))
    with qtbot.waitSignal(widget.idle, timeout=60000):
        session.open_paths(widget, [tmp_path / "a.npz"], "axialnet:random", device="cpu")
    assert [(r.model, r.device) for r in asked] == [("axialnet:random", "cpu")]  # type: ignore[attr-defined]
    assert widget.run_panel.model.currentData() == "axialnet:random"


def test_nothing_to_open_is_an_empty_session(widget: HiResCamWidget) -> None:
    session.open_paths(widget, [])
    assert not widget.busy


def test_the_session_is_the_plugins_own_dock(
    make_napari_viewer: Callable[..., Viewer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari.Viewer", lambda **options: make_napari_viewer(**options))
    viewer, widget = session.start_session(show=False)
    assert isinstance(widget, HiResCamWidget)
    docks = {dock.windowTitle(): dock for dock in _docks(viewer)}
    assert any("HiResCAM" in title for title in docks)
    assert docks["layer list"].isHidden()
    widget.close_session()


def _docks(viewer: Viewer):  # type: ignore[no-untyped-def]
    from qtpy.QtWidgets import QDockWidget

    return viewer.window._qt_window.findChildren(QDockWidget)
