"""The plugin's settings in napari's preferences (declared in napari.yaml under ``configurations``)."""

from __future__ import annotations

from typing import Any

from hirescam_napari._state import SCALINGS, WINDOWS, ViewState

PLUGIN = "hirescam-napari"


def plugin_settings() -> Any | None:
    """Return the settings of the section ``display``, None where this plugin is not registered with napari."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN).display
    except KeyError:
        return None


def initial_state() -> ViewState:
    """Return what a new session shows, as the user's settings say."""
    settings = plugin_settings()
    state = ViewState()
    if settings is None:
        return state
    state.window = settings.window if settings.window in WINDOWS else state.window
    state.scaling = settings.scaling if settings.scaling in SCALINGS else state.scaling
    state.placement = settings.placement
    state.opacity = settings.opacity
    state.limit = settings.absolute_limit
    state.smooth = settings.smooth
    state.show_field = settings.show_field
    return state
