from __future__ import annotations

import subprocess
import sys

from hirescam_napari._state import WINDOWS, Layout, ViewState


def test_a_changed_field_is_told_once_and_an_equal_one_not() -> None:
    state, told = ViewState(), []
    state.events.connect(told.append)
    state.label = "lung nodule"
    state.label = "lung nodule"
    assert len(told) == 1


def test_toggling_methods_keeps_their_order() -> None:
    state = ViewState(methods=("gradcam",))
    state.toggle_method("hirescam")
    assert state.methods == ("hirescam", "gradcam")
    state.toggle_method("gradcam")
    assert state.methods == ("hirescam",)


def test_toggling_twice_is_nothing() -> None:
    state = ViewState()
    for _ in range(2):
        state.toggle_layout()
        state.toggle_placement()
    assert (state.layout, state.placement) == (Layout.OVERLAY, "receptive_field")


def test_windows_are_level_and_width() -> None:
    assert WINDOWS["lung"].limits_hu == (-1350, 150)
    assert WINDOWS["mediastinum"].limits_hu == (-125, 225)


def test_the_state_needs_no_qt() -> None:
    code = "import sys, hirescam_napari._state as s; s.ViewState(); sys.exit(any('PyQt' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - own code
