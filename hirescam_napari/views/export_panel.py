"""Choose what leaves the program, where to, watch, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._layout import WrappedLabel, combo_box, fill_combo
from hirescam_napari.views.messages import MessageList
from training.issues import Issue

_FORMATS = (
    ("png", "PNG", "Figure: CT and maps as the paper prints them, pixels"),
    ("pdf", "PDF", "The same figure for print"),
    ("svg", "SVG", "The same figure to edit"),
    ("gif", "GIF", "Film through the slices"),
    ("mp4", "MP4", "Film through the slices; needs the encoder of the extra [video]"),
    ("nifti", "NIfTI", "Maps and organ masks in the CT's own geometry"),
    ("dicom", "DICOM", "Segmentation and Parametric Maps that refer to the source images"),
)
_WHICH = (
    ("selected", "The selected abnormality"),
    ("shown", "All abnormalities that the table shows"),
    ("top", "The most likely ones"),
)
_CAUTION = (
    "Exports name the case by a hash. DICOM objects keep the unique identifiers of the study, without which they could "
    "not refer to its images."
)
_WARNING = "DICOM objects will hold name, ID and dates of the patient, the report the name of the input."
_NOTHING = "Open a CT and run a model first."


@dataclass(frozen=True)
class ExportChoice:
    """What the user asked for; ``which`` is ``selected``, ``shown`` or ``top`` (then ``count`` of them)."""

    out: Path
    formats: tuple[str, ...]
    which: str = "selected"
    count: int = 5
    organs: bool = True
    with_patient_data: bool = False


class ExportPanel(QWidget):
    """Export settings, progress and messages. Emits ``exportRequested(ExportChoice)`` and leaves the work to others."""

    exportRequested = Signal(object)
    cancelRequested = Signal()
    saveRequested = Signal(object)
    """Save the session at the path."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Export")
        self.which, self.count = combo_box("Abnormalities to export", self), QSpinBox(self)
        self.formats = {value: _check(self, text, tip) for value, text, tip in _FORMATS}
        self.organs = _check(self, "Organ masks too (NIfTI, DICOM)", "They are found first if they were not yet")
        self.patient = _check(self, "Include patient data", _WARNING)
        self.folder, self.browse = QLineEdit(self), QPushButton("Folder…", self)
        self.export_button, self.cancel_button = QPushButton("Export", self), QPushButton("Cancel", self)
        self.save_button = QPushButton("Save session…", self)
        self.progress, self.status = QProgressBar(self), WrappedLabel(_NOTHING, self)
        self.caution, self.messages = WrappedLabel(_CAUTION, self), MessageList(self)
        self._ready = self._running = False
        self._prepare()
        self._lay_out()
        self._connect()

    @property
    def choice(self) -> ExportChoice | None:
        """What would be exported now; None while no folder or no format is chosen."""
        formats = tuple(value for value, box in self.formats.items() if box.isChecked())
        text = self.folder.text().strip()
        if not formats or not text:
            return None
        return ExportChoice(
            Path(text).expanduser(),
            formats,
            str(self.which.currentData()),
            self.count.value(),
            self.organs.isChecked(),
            self.patient.isChecked(),
        )

    def set_ready(self, ready: bool) -> None:
        """Say whether there is a result to export."""
        self._ready = ready
        if not self._running:
            self.status.setText("" if ready else _NOTHING)
        self._update()

    def set_formats(self, formats: Sequence[str]) -> None:
        """Check exactly ``formats``."""
        for value, box in self.formats.items():
            box.setChecked(value in formats)

    def set_folder(self, folder: Path) -> None:
        """Propose where to export to."""
        self.folder.setText(str(folder))

    def set_running(self, running: bool) -> None:
        """Show that an export has begun or ended."""
        self._running = running
        self.progress.setRange(0, 0 if running else 1)
        self.progress.setVisible(running)
        self._update()

    def set_progress(self, done: int, total: int, stage: str) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        self.progress.setRange(0, max(total, 0))
        self.progress.setValue(done)
        self.status.setText(f"{stage[:1].upper()}{stage[1:]} …")

    def set_status(self, text: str) -> None:
        """Say how things stand in one line."""
        self.status.setText(text)

    def set_issues(self, issues: Sequence[Issue]) -> None:
        """List errors, warnings and notes."""
        self.messages.set_issues(issues)

    def _prepare(self) -> None:
        fill_combo(self.which, _WHICH)
        self.count.setRange(1, 200)
        self.count.setValue(5)
        self.count.setAccessibleName("How many of the most likely")
        self.formats["png"].setChecked(True)
        self.organs.setChecked(True)
        self.folder.setAccessibleName("Folder to export to")
        self.folder.setPlaceholderText("A folder that does not exist yet")
        self.progress.setAccessibleName("Progress of the export")
        self.status.setAccessibleName("Status of the export")
        self.save_button.setToolTip("One file that reopens this view: hirescam view FILE")
        self.cancel_button.setToolTip("Stop; nothing half-done is kept")
        self.progress.hide()
        self._update()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        boxes = QGridLayout()
        for i, box in enumerate(self.formats.values()):
            boxes.addWidget(box, i // 3, i % 3)
        form.addRow("Which", _row(self.which, self.count))
        form.addRow("Formats", boxes)
        form.addRow("", self.organs)
        form.addRow("", self.patient)
        form.addRow("To", _row(self.folder, self.browse))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(form)
        layout.addWidget(self.caution)
        layout.addLayout(_row(self.export_button, self.cancel_button, self.save_button))
        for widget in (self.progress, self.status, self.messages):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        for box in (*self.formats.values(), self.organs, self.patient):
            box.toggled.connect(self._update)
        self.which.currentIndexChanged.connect(self._update)
        self.folder.textChanged.connect(self._update)
        self.browse.clicked.connect(self._browse)
        self.export_button.clicked.connect(self._on_export)
        self.cancel_button.clicked.connect(self.cancelRequested)
        self.save_button.clicked.connect(self._on_save)

    def _update(self) -> None:
        self.count.setVisible(self.which.currentData() == "top")
        self.export_button.setEnabled(self._ready and not self._running and self.choice is not None)
        self.cancel_button.setEnabled(self._running)
        self.save_button.setEnabled(self._ready and not self._running)
        self.caution.setText(_WARNING if self.patient.isChecked() else _CAUTION)

    def _on_export(self) -> None:
        choice = self.choice
        if choice is not None:
            self.exportRequested.emit(choice)

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the session", "", "Sessions (*.hirescam)")
        if path:
            self.saveRequested.emit(Path(path).with_suffix(".hirescam"))

    def _browse(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Export into a new folder in …")
        if path:
            self.set_folder(Path(path) / "export")


def _check(parent: QWidget, text: str, tip: str) -> QCheckBox:
    box = QCheckBox(text, parent)
    box.setToolTip(tip)
    return box


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
