"""Choose a CT and a model, run, watch, cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from hirescam_napari.views._layout import WrappedLabel, choose, combo_box, fill_combo
from hirescam_napari.views._words import NOT_FOR_CLINICAL_USE, duration
from hirescam_napari.views.messages import MessageList
from training.issues import Issue

_DEVICE_TEXTS = {"auto": "Automatic", "cpu": "CPU", "cuda": "NVIDIA GPU (cuda)", "mps": "Apple GPU (mps)"}
_PRECISIONS = (("fp32", "Full (fp32)"), ("bf16", "Half (bf16), faster, less exact"))
_NO_CT = "Open a CT first, or choose one of the open layers."


@dataclass(frozen=True)
class RunRequest:
    """What the user asked to run: name of the CT layer, model value as given to ``set_models``, device, precision."""

    ct: str
    model: str
    device: str
    precision: str


class RunPanel(QWidget):
    """Run settings, progress and messages. Emits ``runRequested(RunRequest)`` and leaves the work to others."""

    runRequested = Signal(object)
    cancelRequested = Signal()
    openFileRequested = Signal()
    openFolderRequested = Signal()
    openModelRequested = Signal()

    def __init__(self, parent: QWidget | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(parent)
        self.setAccessibleName("Run")
        self._clock = clock
        self._stage_start: tuple[str, float] = ("", 0.0)
        self._running = False
        self.ct, self.model = combo_box("CT", self), combo_box("Model", self)
        self.device, self.precision = combo_box("Device", self), combo_box("Precision", self)
        self.open_file = _button(self, "Open CT file…", "Open a DICOM zip, NIfTI, NRRD/MHA or npz file")
        self.open_folder = _button(self, "Open folder…", "Open a folder of DICOM files")
        self.browse = _button(self, "Open checkpoint…", "Choose a model file (.safetensors)")
        self.run_button = _button(self, "Run", "Run the model on the chosen CT")
        self.cancel_button = _button(self, "Cancel", "Stop the run; nothing half-done is kept")
        self.progress, self.status = QProgressBar(self), WrappedLabel("", self)
        self.messages, self.caution = MessageList(self), WrappedLabel("", self)
        self._prepare()
        self._lay_out()
        self._connect()

    @property
    def running(self) -> bool:
        """True between ``set_running(True)`` and ``set_running(False)``."""
        return self._running

    def request(self) -> RunRequest | None:
        """Return what would run now; None while no CT or no model is chosen."""
        values = [combo.currentData() for combo in (self.ct, self.model, self.device, self.precision)]
        return RunRequest(*values) if all(values) else None

    def set_cts(self, names: Sequence[str]) -> None:
        """Offer the CT layers called ``names``; the chosen one stays if it is still there."""
        fill_combo(self.ct, [(name, name) for name in names])
        self._update()

    def set_models(self, models: Sequence[tuple[str, str]]) -> None:
        """Offer models as (value, text) pairs, for example ``("demo", "Demo model (phantoms)")``."""
        fill_combo(self.model, models)
        self._update()

    def add_model(self, value: str, text: str) -> None:
        """Offer one more model, for example a checkpoint file, and choose it."""
        if self.model.findData(value) < 0:
            self.model.addItem(text, value)
        self.set_model(value)

    def set_devices(self, devices: Sequence[str]) -> None:
        """Offer the devices that are there, of ``auto``, ``cpu``, ``cuda`` and ``mps``."""
        fill_combo(self.device, [(name, _DEVICE_TEXTS.get(name, name)) for name in devices])
        self._update()

    def set_ct(self, name: str) -> None:
        """Choose a CT. Raises KeyError if it is not offered."""
        choose(self.ct, name)
        self._update()

    def set_model(self, value: str) -> None:
        """Choose a model. Raises KeyError if it is not offered."""
        choose(self.model, value)
        self._update()

    def set_device(self, name: str) -> None:
        """Choose a device. Raises KeyError if it is not offered."""
        choose(self.device, name)

    def set_precision(self, name: str) -> None:
        """Choose ``fp32`` or ``bf16``. Raises KeyError for anything else."""
        choose(self.precision, name)

    def set_caution(self, words: str) -> None:
        """Show what the model is not for, for example that it was trained on phantoms."""
        self.caution.setText(words[:1].upper() + words[1:] + ".")

    def set_running(self, running: bool) -> None:
        """Show that work has begun or ended; settings cannot be changed meanwhile."""
        self._running = running
        self._stage_start = ("", self._clock())
        self.progress.setRange(0, 0 if running else 1)
        self.progress.setVisible(running)
        self.cancel_button.setText("Cancel")
        self._update()

    def set_progress(self, done: int, total: int, stage: str) -> None:
        """Show that ``done`` of ``total`` steps of ``stage`` are done, and the time that is left at this pace."""
        if stage != self._stage_start[0]:
            self._stage_start = (stage, self._clock())
        self.progress.setRange(0, max(total, 0))
        self.progress.setValue(done)
        self.status.setText(f"{stage[:1].upper()}{stage[1:]}{self._time_left(done, total)}")

    def set_status(self, text: str) -> None:
        """Say how things stand in one line, for example that a run has finished."""
        self.status.setText(text)

    def set_issues(self, issues: Sequence[Issue]) -> None:
        """List errors, warnings and notes."""
        self.messages.set_issues(issues)

    def _time_left(self, done: int, total: int) -> str:
        spent = self._clock() - self._stage_start[1]
        if not 0 < done < total or spent < 0.5:
            return "…"
        return f": about {duration(spent * (total - done) / done)} left"

    def _prepare(self) -> None:
        fill_combo(self.precision, _PRECISIONS)
        self.set_devices(("auto", "cpu"))
        self.progress.setAccessibleName("Progress of the run")
        self.progress.hide()
        self.status.setAccessibleName("Status of the run")
        self.set_caution(NOT_FOR_CLINICAL_USE)
        self.run_button.setDefault(True)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("CT", self.ct)
        form.addRow("", _row(self.open_file, self.open_folder))
        form.addRow("Model", self.model)
        form.addRow("", self.browse)
        form.addRow("Device", self.device)
        form.addRow("Precision", self.precision)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(form)
        layout.addLayout(_row(self.run_button, self.cancel_button))
        for widget in (self.progress, self.status, self.messages, self.caution):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.run_button.clicked.connect(self._on_run)
        self.cancel_button.clicked.connect(self._on_cancel)
        self.open_file.clicked.connect(lambda: self.openFileRequested.emit())
        self.open_folder.clicked.connect(lambda: self.openFolderRequested.emit())
        self.browse.clicked.connect(lambda: self.openModelRequested.emit())
        self._update()

    def _on_run(self) -> None:
        request = self.request()
        if request is not None:
            self.runRequested.emit(request)

    def _on_cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self.cancel_button.setText("Cancelling…")
        self.cancelRequested.emit()

    def _update(self) -> None:
        idle = not self._running
        ready = self.request() is not None
        for widget in (self.ct, self.model, self.device, self.precision, self.browse, self.open_file, self.open_folder):
            widget.setEnabled(idle)
        self.run_button.setEnabled(idle and ready)
        self.run_button.setToolTip("Run the model on the chosen CT" if ready else _NO_CT)
        self.cancel_button.setEnabled(self._running)


def _button(parent: QWidget, text: str, tip: str) -> QPushButton:
    button = QPushButton(text, parent)
    button.setToolTip(tip)
    button.setAccessibleName(text.rstrip("…"))
    button.setAccessibleDescription(tip)
    button.setAutoDefault(False)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for i, widget in enumerate(widgets):
        row.addWidget(widget, 1 if i == 0 else 0)
    return row
