from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from hirescam_napari.views.run_panel import RunPanel, RunRequest
from training.issues import error


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def panel(qtbot: QtBot, clock: Clock) -> RunPanel:
    widget = RunPanel(clock=clock)
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


@pytest.fixture
def ready(panel: RunPanel) -> RunPanel:
    panel.set_cts(("case a", "case b"))
    panel.set_models((("demo", "Demo model"), ("axialnet:random", "AxialNet, random weights")))
    panel.set_devices(("auto", "cpu", "cuda"))
    return panel


def click(qtbot: QtBot, button: object) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_cannot_run_without_a_ct(panel: RunPanel) -> None:
    panel.set_models((("demo", "Demo model"),))
    assert panel.request() is None
    assert not panel.run_button.isEnabled()
    assert "Open a CT first" in panel.run_button.toolTip()


def test_run_carries_every_choice(qtbot: QtBot, ready: RunPanel) -> None:
    ready.set_ct("case b")
    ready.set_model("axialnet:random")
    qtbot.keyClicks(ready.device, "CPU")
    ready.set_precision("bf16")
    with qtbot.waitSignal(ready.runRequested) as blocker:
        click(qtbot, ready.run_button)
    assert blocker.args == [RunRequest("case b", "axialnet:random", "cpu", "bf16")]


def test_running_locks_settings_and_cancel_asks_once(qtbot: QtBot, ready: RunPanel) -> None:
    cancels: list[int] = []
    ready.cancelRequested.connect(lambda: cancels.append(1))
    assert not ready.cancel_button.isEnabled()
    ready.set_running(True)
    assert ready.running
    assert not ready.run_button.isEnabled()
    assert not ready.model.isEnabled()
    assert ready.progress.isVisible()
    click(qtbot, ready.cancel_button)
    click(qtbot, ready.cancel_button)
    assert cancels == [1]
    assert ready.cancel_button.text() == "Cancelling…"
    ready.set_running(False)
    assert ready.run_button.isEnabled()
    assert not ready.progress.isVisible()
    assert (ready.cancel_button.text(), ready.cancel_button.isEnabled()) == ("Cancel", False)


def test_progress_tells_stage_and_time_left(ready: RunPanel, clock: Clock) -> None:
    ready.set_running(True)
    ready.set_progress(0, 45, "running the network")
    assert ready.status.text() == "Running the network…"
    clock.now = 10.0
    ready.set_progress(9, 45, "running the network")
    assert ready.status.text() == "Running the network: about 40 s left"
    assert (ready.progress.value(), ready.progress.maximum()) == (9, 45)
    ready.set_progress(1, 2, "writing maps")
    assert ready.status.text() == "Writing maps…"


def test_new_lists_keep_the_choice(ready: RunPanel) -> None:
    ready.set_ct("case b")
    ready.set_cts(("case 0", "case b"))
    assert ready.ct.currentData() == "case b"
    ready.set_cts(("case 0",))
    assert ready.ct.currentData() == "case 0"
    ready.set_cts(())
    assert not ready.run_button.isEnabled()


def test_only_devices_that_are_there_are_offered(ready: RunPanel) -> None:
    assert [ready.device.itemData(i) for i in range(ready.device.count())] == ["auto", "cpu", "cuda"]
    with pytest.raises(KeyError, match="mps"):
        ready.set_device("mps")


def test_a_checkpoint_is_offered_once_and_chosen(ready: RunPanel) -> None:
    ready.add_model("/x/best.safetensors", "best.safetensors")
    ready.set_model("demo")
    ready.add_model("/x/best.safetensors", "best.safetensors")
    assert (ready.model.currentData(), ready.model.count()) == ("/x/best.safetensors", 3)


def test_open_buttons(qtbot: QtBot, panel: RunPanel) -> None:
    signals = [panel.openFileRequested, panel.openFolderRequested, panel.openModelRequested]
    with qtbot.waitSignals(signals):
        for button in (panel.open_file, panel.open_folder, panel.browse):
            click(qtbot, button)
    assert panel.request() is None


def test_issues_and_caution_are_shown(panel: RunPanel) -> None:
    panel.set_issues([error("gap", "Slice 3 is missing.")])
    assert "Error: Slice 3 is missing." in panel.messages.toPlainText()
    assert panel.caution.text() == "Not for clinical use."
    panel.set_caution("trained on synthetic phantoms – not for clinical use")
    assert panel.caution.text() == "Trained on synthetic phantoms – not for clinical use."
