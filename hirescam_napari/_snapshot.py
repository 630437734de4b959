"""The view as it stands, as plain JSON types, and back: choices, comparison, slice, camera, contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hirescam_napari._controller import Controller
from hirescam_napari._state import Layout, ViewState
from training.explain.result import METHODS

VIEW_VERSION = 2
"""1 had no comparison, and side by side the methods of the overlay."""


def capture(controller: Controller) -> dict[str, Any]:
    """Return what ``controller`` shows now.

    ``state.methods`` are the maps as shown, also side by side or in a comparison; ``overlay_methods`` are those that
    the overlay would show. ``comparison`` is None, or says what was compared: ``kind``, ``methods`` and the partners
    (see :class:`hirescam_napari._cells.GridPlan`).
    """
    viewer, canvas = controller.viewer, controller.canvas
    state = {field.name: _plain(getattr(controller.state, field.name)) for field in fields(ViewState)}
    comparison = canvas.comparison
    shown = controller.state.shown_methods if comparison is None else comparison["methods"]
    return {
        "version": VIEW_VERSION,
        "state": {**state, "methods": list(shown)},
        "overlay_methods": list(controller.state.methods),
        "comparison": None if comparison is None else dict(comparison),
        "slice_mm": canvas.slice_mm,
        "zoom": float(viewer.scene.camera.zoom),
        "center": [float(mm) for mm in viewer.scene.camera.center],
        "contrast_hu": [float(hu) for hu in canvas.cts[0].contrast_limits] if canvas.cts else None,
    }


def restore_choices(controller: Controller, view: Mapping[str, Any]) -> None:
    """Make the choices that were captured; those that this version or this case does not know are left as they are."""
    controller.change(**_known_choices(controller, view))


def restore_place(controller: Controller, view: Mapping[str, Any]) -> None:
    """Go to the slice, the zoom and the contrast that were captured; after what shows them is on the canvas."""
    viewer, canvas = controller.viewer, controller.canvas
    if isinstance(view.get("slice_mm"), int | float) and canvas.follows_slices:
        canvas.set_slice_mm(float(view["slice_mm"]))
    if view.get("contrast_hu") and canvas.cts:
        canvas.cts[0].contrast_limits = tuple(view["contrast_hu"])
    if isinstance(view.get("zoom"), int | float) and view.get("center"):
        viewer.scene.camera.center = tuple(view["center"])
        viewer.scene.camera.zoom = float(view["zoom"])


def _known_choices(controller: Controller, view: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(ViewState)}
    saved = view.get("state", {})
    known = {name: value for name, value in saved.items() if name in names}
    explanation = controller.case.explanation
    if explanation is None or known.get("label") not in explanation.labels:
        known.pop("label", None)
    if "layout" in known:
        known["layout"] = Layout(known["layout"])
    if "methods" in known:
        wanted = view.get("overlay_methods", known["methods"])
        known["methods"] = tuple(method for method in METHODS if method in wanted)
    return known


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
