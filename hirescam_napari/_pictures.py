"""Pictures of a session's states, for the headless demo and the docs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from napari.viewer import Viewer
from PIL import Image
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from hirescam_napari._layers import to_display
from hirescam_napari._state import Layout, ViewState
from hirescam_napari._widget import HiResCamWidget
from training.io.atomic import atomic_path

SETTLE_S = 0.4
"""Long enough for every draw that is still due, under software OpenGL."""


class Shot(NamedTuple):
    """One picture: file name and what brings the session into its state."""

    name: str
    prepare: Callable[[HiResCamWidget], None]


def take_pictures(viewer: Viewer, widget: HiResCamWidget, out: Path, prefix: str = "") -> list[Path]:
    """Leave one picture of the window per state in ``out`` and return their paths; the session is put back."""
    out.mkdir(parents=True, exist_ok=True)
    before = vars_of(widget.controller.state)
    paths = []
    for shot in SHOTS:
        shot.prepare(widget)
        paths.append(save_window(viewer, out / f"{prefix}{shot.name}.png"))
    widget.controller.change(**before)
    return paths


def vars_of(state: ViewState) -> dict[str, object]:
    """Return the display choices of ``state`` without the label."""
    maps = ("methods", "placement", "scaling", "signed", "smooth", "opacity", "show_field")
    names = ("layout", "window", *maps, "show_organs", "fill_organs", "organ_opacity", "show_region")
    return {name: getattr(state, name) for name in names}


def save_window(viewer: Viewer, path: Path) -> Path:
    """Write the whole window as PNG, complete or not at all."""
    settle()
    viewer.status = ""  # what is under the mouse, wherever that is, does not belong into a picture
    pixels = viewer.window.screenshot(flash=False, canvas_only=False)[..., :3]
    with atomic_path(path) as partial:
        Image.fromarray(pixels).save(partial, "PNG", optimize=True)
    return path


def settle(seconds: float = SETTLE_S) -> None:
    """Let the window draw what is due, without widgets that are gone but for a running event loop to delete them."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        time.sleep(0.01)


def _table(widget: HiResCamWidget) -> None:
    widget.tabs.setCurrentIndex(0)


def _overlay(widget: HiResCamWidget) -> None:
    _table(widget)
    widget.controller.change(layout=Layout.OVERLAY, methods=("hirescam",), window="lung", signed=False)
    widget.controller.change(show_organs=False, show_region=False)
    widget.show_page("Slices")
    widget.controller.go_to_top_slice()


def _mediastinum(widget: HiResCamWidget) -> None:
    widget.controller.change(window="mediastinum")


def _side_by_side(widget: HiResCamWidget) -> None:
    widget.controller.change(layout=Layout.SIDE_BY_SIDE, window="lung")


def _side_mediastinum(widget: HiResCamWidget) -> None:
    widget.controller.change(window="mediastinum")


def _signed(widget: HiResCamWidget) -> None:
    widget.controller.change(signed=True)


def _field(widget: HiResCamWidget) -> None:
    """Put the mouse, as the session sees it, over the cell with the most evidence in the shown slice."""
    controller = widget.controller
    controller.change(layout=Layout.OVERLAY, signed=False, window="lung")
    controller.go_to_top_slice()
    explanation, label = controller.case.explanation, controller.state.label
    if explanation is not None and label is not None:
        group = explanation.top_slice(label)
        row, column = np.unravel_index(explanation.map(label)[group].argmax(), explanation.cells.n_cells[1:])
        at = to_display(explanation.geometry("hirescam", controller.state.placement).to_world((group, row, column)))
        controller.hover((float(at[0]), float(at[1]), float(at[2])))


def _next_label(widget: HiResCamWidget) -> None:
    widget.controller.step_label(1)


def _show_tab(widget: HiResCamWidget, name: str) -> None:
    names = [widget.tabs.tabText(i) for i in range(widget.tabs.count())]
    widget.tabs.setCurrentIndex(names.index(name))


def _run_tab(widget: HiResCamWidget) -> None:
    _show_tab(widget, "Run")


def _display_tab(widget: HiResCamWidget) -> None:
    _show_tab(widget, "Display")


def _organs(widget: HiResCamWidget) -> None:
    widget.controller.change(layout=Layout.OVERLAY)
    widget.find_organs()
    while widget.busy:
        settle()
    widget.controller.go_to_top_slice()
    _show_tab(widget, "Organs")


def _budget(widget: HiResCamWidget) -> None:
    widget.show_page("Budget")


def _report(widget: HiResCamWidget) -> None:
    widget.controller.change(layout=Layout.SIDE_BY_SIDE)
    widget.show_page("Report")


SHOTS = (
    Shot("1-overlay-lung", _overlay),
    Shot("2-overlay-mediastinum", _mediastinum),
    Shot("3-side-by-side-lung", _side_by_side),
    Shot("4-side-by-side-mediastinum", _side_mediastinum),
    Shot("5-signed", _signed),
    Shot("6-cell-field", _field),
    Shot("7-next-abnormality", _next_label),
    Shot("8-run", _run_tab),
    Shot("9-display", _display_tab),
    Shot("10-organs", _organs),
    Shot("11-budget", _budget),
    Shot("12-report", _report),
)
"""The states a headless session leaves pictures of, in this order."""
