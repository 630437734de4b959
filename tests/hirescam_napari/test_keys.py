from __future__ import annotations

import pytest
from app_model.types import KeyBinding
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.shortcuts import default_shortcuts

from hirescam_napari._keys import KEYS, bind, help_text, unbind

OF_OTHER_LAYERS = ("label", "points", "shape", "polygon", "brush", "vertex", "add_", "direct")


@pytest.mark.parametrize("key", [k for k in KEYS if k.key not in ("Left", "Right")], ids=lambda key: key.key)
def test_no_key_is_taken_from_napari(key: object) -> None:
    """Neither the viewer's keys nor those of the layers a session has (images; boxes are never selected)."""
    binding = KeyBinding.from_str(key.key)  # type: ignore[attr-defined]
    used = {
        str(one): name
        for name, many in default_shortcuts.items()
        for one in many
        if not any(
            kind in name for kind in ("label", "points", "shape", "polygon", "brush", "vertex", "add_", "direct")
        )
        and not name.endswith(("select_mode", "all_in_slice", "all_data"))
    }
    assert str(binding) not in used
    assert binding not in Image.class_keymap
    assert binding not in ViewerModel.class_keymap


def test_keys_run_their_actions_until_they_are_given_back() -> None:
    viewer, ran = ViewerModel(), []
    bind(viewer, {key.action: lambda name=key.action: ran.append(name) for key in KEYS})
    for key in KEYS:
        viewer.keymap[KeyBinding.from_str(key.key)](viewer)
    assert ran == [key.action for key in KEYS]
    unbind(viewer)
    assert not viewer.keymap


def test_the_help_lists_every_key() -> None:
    lines = help_text().splitlines()
    assert all(f"{key.shown}: {key.words}" in lines for key in KEYS)
