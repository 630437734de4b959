"""The manifest is found wherever the package lies, and everything it names exists."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from npe2 import PluginManifest

from hirescam_napari._settings import initial_state
from hirescam_napari._state import SCALINGS, WINDOWS
from training.explain.placement import PLACEMENTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manifest() -> PluginManifest:
    return PluginManifest.from_file(str(files("hirescam_napari").joinpath("napari.yaml")))


def test_the_manifest_stands_at_the_top_and_is_linked_into_the_package() -> None:
    link = ROOT / "hirescam_napari" / "napari.yaml"
    assert str(link.readlink()) == "../napari.yaml"
    assert link.read_text() == (ROOT / "napari.yaml").read_text()


def test_the_installed_plugin_is_this_one(manifest: PluginManifest) -> None:
    installed = PluginManifest.from_distribution("hirescam-napari")
    assert installed.contributions.model_dump() == manifest.contributions.model_dump()


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    used = {
        one.command
        for kind in ("readers", "writers", "widgets", "sample_data")
        for one in getattr(manifest.contributions, kind)
    }
    assert used == {command.id for command in manifest.contributions.commands}


def test_settings_offer_what_the_session_knows(manifest: PluginManifest) -> None:
    properties = manifest.contributions.configurations["display"].properties
    assert properties["window"].enum == list(WINDOWS)
    assert properties["scaling"].enum == list(SCALINGS)
    assert properties["placement"].enum == list(PLACEMENTS)


def test_a_session_starts_as_the_settings_say(plugin_settings: None, npe2pm: object, manifest: PluginManifest) -> None:
    from napari.settings import get_plugin_settings

    npe2pm.register(manifest)  # type: ignore[attr-defined]
    display = get_plugin_settings("hirescam-napari").display
    display.window, display.opacity, display.placement = "bone", 0.3, "stretch"
    state = initial_state()
    assert (state.window, state.opacity, state.placement) == ("bone", 0.3, "stretch")


def test_without_the_plugin_registered_a_session_starts_with_defaults(plugin_settings: None) -> None:
    assert initial_state().window == "lung"
