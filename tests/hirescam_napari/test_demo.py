from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

import hirescam_napari._demo as demo
import hirescam_napari._sample_data as samples
from hirescam_napari._case import Case
from hirescam_napari._pictures import SHOTS, settle, take_pictures
from hirescam_napari._widget import HiResCamWidget
from training.issues import InputError


def test_without_display_and_xvfb_the_one_line_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "has_display", lambda: False)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(InputError, match="apt-get install -y xvfb"):
        demo.run_demo(headless=True, out=tmp_path)


def test_without_display_the_demo_starts_again_under_xvfb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    class Done:
        returncode = 0

    def run(arguments: list[str], env: dict[str, str], check: bool) -> Done:
        started.append((arguments, env))
        return Done()

    monkeypatch.setattr(demo, "has_display", lambda: False)
    monkeypatch.delenv(demo.XVFB_ENV, raising=False)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    demo.run_demo(headless=True, out=tmp_path, model="other")
    ((arguments, environment),) = started
    assert arguments[0] == "/usr/bin/xvfb-run"
    assert arguments[-2:] == [str(tmp_path), "other"]
    assert environment[demo.XVFB_ENV] == "1"


def test_there_is_never_a_third_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(demo.XVFB_ENV, "1")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(InputError, match="no display"):
        demo.run_under_xvfb(tmp_path, "demo")


def test_a_display_is_one_that_can_be_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not demo.has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert demo.has_display()


def test_the_demo_makes_a_phantom_and_asks_for_its_model(
    make_napari_viewer: Callable[..., Viewer], monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setattr(samples, "SHAPE", (40, 48, 48))
    monkeypatch.setattr(samples, "SPACING_MM", (8.0, 7.0, 7.0))
    asked: list[object] = []
    monkeypatch.setattr(HiResCamWidget, "run", lambda _self, request: asked.append(request))
    monkeypatch.setattr("hirescam_napari._engine.Engine.start", lambda _self: None)
    widget = HiResCamWidget(make_napari_viewer())
    demo.start_demo(widget, "demo")
    demo.wait_until_idle(widget, 60)
    assert widget.controller.case.truth["lung mass"]
    assert [request.model for request in asked] == ["demo"]  # type: ignore[attr-defined]
    widget.close_session()
    widget.deleteLater()


def test_a_failed_demo_says_why(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot) -> None:
    widget = HiResCamWidget(make_napari_viewer())
    widget.open([Path("does not exist.nii")])
    with pytest.raises(InputError, match="does not exist"):
        demo.wait_until_idle(widget, 60)
    widget.close_session()
    widget.deleteLater()


def test_every_state_leaves_its_own_picture(
    make_napari_viewer: Callable[..., Viewer], case: Case, tmp_path: Path, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = HiResCamWidget(viewer)
    viewer.window.add_dock_widget(widget, name="HiResCAM", area="right")
    widget.engine.start = lambda: None  # type: ignore[method-assign]
    widget.show_case(case)
    paths = take_pictures(viewer, widget, tmp_path / "new")
    assert [path.stem for path in paths] == [shot.name for shot in SHOTS]
    contents = [path.read_bytes() for path in paths]
    assert len(set(contents)) == len(contents)
    assert all(content.startswith(b"\x89PNG") for content in contents)
    assert widget.controller.state.window == "lung"
    widget.close_session()


def test_pictures_show_no_widgets_that_are_gone(qtbot: QtBot) -> None:
    gone: list[str] = []
    widget = QWidget()
    widget.destroyed.connect(lambda: gone.append("slider"))
    widget.deleteLater()
    settle(0.02)
    assert gone == ["slider"]
