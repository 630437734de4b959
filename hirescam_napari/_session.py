"""One session: napari with the HiResCAM dock, as Plugins > HiResCAM opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import napari
from napari.viewer import Viewer

from hirescam_napari._widget import TITLE, HiResCamWidget
from hirescam_napari.views.run_panel import RunRequest

PLUGIN = "hirescam-napari"
NAPARI_PANELS = ("layer controls", "layer list")
"""Docks of napari that a session starts without, for the pictures' sake; the Window menu brings them back."""

LARGEST_PX = (1600, 1000)
"""A larger window would only make the CT's pixels larger."""


def start_session(show: bool = True) -> tuple[Viewer, HiResCamWidget]:
    """Return a viewer with the dock, empty.

    Parameters
    ----------
    show
        False to leave the window unseen.
    """
    viewer = napari.Viewer(title=TITLE, show=False, show_welcome_screen=False)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    for name in NAPARI_PANELS:
        hide_dock(viewer, name)
    viewer.window.resize(*window_px())
    if show:
        viewer.window.show()
    return viewer, widget


def window_px() -> tuple[int, int]:
    """Return width and height of the window: what the screen has room for, up to ``LARGEST_PX``."""
    from qtpy.QtGui import QGuiApplication

    screen = QGuiApplication.primaryScreen()
    if screen is None:
        return LARGEST_PX
    room = screen.availableGeometry()
    return min(room.width(), LARGEST_PX[0]), min(room.height(), LARGEST_PX[1])


def hide_dock(viewer: Viewer, name: str) -> None:
    """Hide one of napari's own docks by its title."""
    from qtpy.QtWidgets import QDockWidget

    window = viewer.window._qt_window
    for dock in window.findChildren(QDockWidget):
        if dock.windowTitle().lower() == name or dock.objectName().lower() == name:
            dock.hide()


def open_paths(
    widget: HiResCamWidget,
    paths: Sequence[str | Path],
    model: str | None = None,
    series: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    report: str | Path | None = None,
) -> None:
    """Open ``paths`` in the background and run ``model`` on the CT, if one is named and there is no result yet.

    ``report`` is attached to the case once that is open.
    """
    request = None
    if model is not None:
        widget.choose_model(model)
        request = RunRequest("", model, device, precision)
    if paths:
        job = widget.open(paths, series=series, then_run=request)
        if report is not None:
            job.succeeded.connect(lambda _case: widget.attach_report(report))


def open_viewer(
    paths: Sequence[str | Path],
    model: str | None = None,
    series: int | None = None,
    report: str | Path | None = None,
) -> None:
    """Open the viewer on ``paths`` (a CT, a result of ``hirescam explain``, or both) and stay until it is closed.

    Parameters
    ----------
    paths
        May be empty: the session then starts with nothing open.
    model
        Model to run on the CT at once; None to let the user start it.
    series
        Number of the DICOM series, where there are several; without it the window asks.
    report
        A report to show with the case: a text file, or a CSV.
    """
    _, widget = start_session()
    open_paths(widget, paths, model, series, report=report)
    napari.run()
