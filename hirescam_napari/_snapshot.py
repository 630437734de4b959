"""The view as it stands, as plain JSON types, and back: choices, slice, camera, contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hirescam_napari._controller import Controller
from hirescam_napari._state import Layout, ViewState
from training.explain.result import METHODS

VIEW_VERSION = 1


def capture(controller: Controller) -> dict[str, Any]:
    """Return what ``controller`` shows now; :func:`restore` brings it back."""
    viewer, canvas = controller.viewer, controller.canvas
    state = {field.name: _plain(getattr(controller.state, field.name)) for field in fields(ViewState)}
    return {
        "version": VIEW_VERSION,
        "state": state,
        "slice_mm": canvas.slice_mm,
        "zoom": float(viewer.scene.camera.zoom),
        "center": [float(mm) for mm in viewer.scene.camera.center],
        "contrast_hu": [float(hu) for hu in canvas.cts[0].contrast_limits] if canvas.cts else None,
    }


def restore(controller: Controller, view: Mapping[str, Any]) -> None:
    """Show what was captured; choices that this version or this case does not know are left as they are."""
    controller.change(**_known_choices(controller, view.get("state", {})))
    viewer, canvas = controller.viewer, controller.canvas
    if isinstance(view.get("slice_mm"), int | float):
        canvas.set_slice_mm(float(view["slice_mm"]))
    if view.get("contrast_hu") and canvas.cts:
        canvas.cts[0].contrast_limits = tuple(view["contrast_hu"])
    if isinstance(view.get("zoom"), int | float) and view.get("center"):
        viewer.scene.camera.center = tuple(view["center"])
        viewer.scene.camera.zoom = float(view["zoom"])


def _known_choices(controller: Controller, saved: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(ViewState)}
    known = {name: value for name, value in saved.items() if name in names}
    explanation = controller.case.explanation
    if explanation is None or known.get("label") not in explanation.labels:
        known.pop("label", None)
    if "layout" in known:
        known["layout"] = Layout(known["layout"])
    if "methods" in known:
        known["methods"] = tuple(method for method in METHODS if method in known["methods"])
    return known


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
