"""The keys of a session, and the words that list them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from napari.components import ViewerModel


class Key(NamedTuple):
    """One key: napari's name of it, what a reader calls it, the action it runs, and what that does."""

    key: str
    shown: str
    action: str
    words: str


KEYS: tuple[Key, ...] = (
    Key("L", "L", "window_lung", "lung window"),
    Key("M", "M", "window_mediastinum", "mediastinum window"),
    Key("B", "B", "window_bone", "bone window"),
    Key("T", "T", "window_soft_tissue", "soft-tissue window"),
    Key("S", "S", "toggle_layout", "overlay or side by side"),
    Key("H", "H", "toggle_hirescam", "show or hide HiResCAM (overlay)"),
    Key("G", "G", "toggle_gradcam", "show or hide Grad-CAM (overlay)"),
    Key("D", "D", "toggle_signed", "evidence against as well (diverging colors)"),
    Key("P", "P", "toggle_placement", "cells where they look, or stretched as in the paper"),
    Key("I", "I", "toggle_smooth", "cells as they are, or smoothed by the graphics card"),
    Key("F", "F", "toggle_field", "box that the cell under the cursor could see"),
    Key("A", "A", "toggle_organs", "anatomy: organs (found in the CT when first asked for)"),
    Key("R", "R", "toggle_region", "where the abnormality may lie"),
    Key("Left", "Left", "previous_slice", "previous slice of the CT"),
    Key("Right", "Right", "next_slice", "next slice of the CT"),
    Key("Home", "Home", "go_to_top_slice", "slice with the highest score"),
    Key("Up", "Up", "previous_label", "previous abnormality of the table"),
    Key("Down", "Down", "next_label", "next abnormality of the table"),
)
"""None of them is bound by napari's viewer or by an image layer (checked by a test), but for Left and Right, which keep
their meaning and count slices of the CT."""


def bind(viewer: ViewerModel, actions: Mapping[str, Callable[[], None]]) -> None:
    """Bind every key to its action in ``viewer``."""
    for key in KEYS:
        action = actions[key.action]
        viewer.bind_key(key.key, lambda _viewer, run=action: run(), overwrite=True)


def unbind(viewer: ViewerModel) -> None:
    """Give the keys back."""
    for key in KEYS:
        viewer.bind_key(key.key, None)


def help_text() -> str:
    """Return one line per key, and napari's own way to scroll."""
    lines = [f"{key.shown}: {key.words}" for key in KEYS]
    return "\n".join([*lines, "Ctrl + wheel: scroll through the slices"])
