"""What a reviewer wants to look at: labels, kind of error, thresholds, confidence, evidence, what was said; order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._layout import WrappedLabel, choose, combo_box, fill_combo
from hirescam_napari.views._table_keys import TypedKeys
from training.evaluate.audit.predictions import THRESHOLD_KINDS, ThresholdKind
from training.evaluate.audit.select import GROUPS, ErrorKind, Filter, Order, Reviewed
from training.evaluate.audit.suggest import HINTS, Hint
from training.evaluate.audit.verdicts import VERDICTS, Verdict

ALL = ""
OUTSIDE = "outside the allowed organ"
_SURE_LOG_ODDS = 20.0
"""Upper end of the confidence that can be chosen; there it means no bound."""

_KINDS = tuple(THRESHOLD_KINDS.items())
_ERROR_WORDS = {
    ErrorKind.WRONG: "Wrong predictions",
    ErrorKind.FALSE_POSITIVE: "False positive",
    ErrorKind.FALSE_NEGATIVE: "False negative",
    ErrorKind.BORDERLINE: "Borderline, right or wrong",
    ErrorKind.ALL: "All",
}


@dataclass(frozen=True)
class AuditChoice:
    """What to look at, and the thresholds that decide what is wrong.

    ``by_hand`` is the threshold of the chosen label (of all labels if none is chosen), where ``kind`` is ``hand``.
    """

    wanted: Filter = field(default_factory=Filter)
    kind: ThresholdKind = "checkpoint"
    by_hand: float = 0.5


class AuditFilter(QWidget):
    """Choices in combo boxes, which are searched by typing.

    Emits ``changed(AuditChoice)`` at once, and ``workOutRequested`` for the evidence.
    """

    changed = Signal(object)
    workOutRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("What to look at")
        names = ("Abnormality", "Group", "Predictions", "Threshold", "Evidence", "Reviewed", "Verdict", "Order")
        self.label, self.group, self.errors, self.kind, self.evidence, self.reviewed, self.verdict, self.order = (
            combo_box(name, self) for name in names
        )
        self.by_hand = _spin("Threshold by hand", 0.0, 1.0, 0.01, self)
        self.low = _spin("Least confidence", 0.0, _SURE_LOG_ODDS, 0.25, self)
        self.high = _spin("Largest confidence", 0.0, _SURE_LOG_ODDS, 0.25, self)
        self.counts, self.evidence_words = WrappedLabel("", self), WrappedLabel("", self)
        self.work_out = QPushButton("Work out the evidence", self)
        self._fill()
        self._lay_out()
        self._connect()

    @property
    def choice(self) -> AuditChoice:
        """What is chosen."""
        label, evidence, verdict = (c.currentData() for c in (self.label, self.evidence, self.verdict))
        high = float("inf") if self.high.value() >= _SURE_LOG_ODDS else self.high.value()
        wanted = Filter(
            labels=(label,) if label else (),
            group=self.group.currentData() or None,
            errors=ErrorKind(self.errors.currentData()),
            confidence=(self.low.value(), high),
            hints=frozenset({Hint(evidence)} if evidence not in (ALL, OUTSIDE) else ()),
            outside_allowed=evidence == OUTSIDE,
            reviewed=Reviewed(self.reviewed.currentData()),
            verdict=Verdict(verdict) if verdict else None,
            order=Order(self.order.currentData()),
        )
        return AuditChoice(wanted, self.kind.currentData(), self.by_hand.value())

    def set_labels(self, labels: Sequence[tuple[str, str]]) -> None:
        """Offer labels as (name, text) pairs."""
        fill_combo(self.label, [(ALL, "All"), *labels])

    def set_threshold(self, kind: ThresholdKind, by_hand: float) -> None:
        """Show thresholds, without a signal."""
        choose(self.kind, kind)
        blocked = self.by_hand.blockSignals(True)
        self.by_hand.setValue(by_hand)
        self.by_hand.blockSignals(blocked)
        self._update()

    def set_counts(self, shown: int, false_positive: int, false_negative: int, known: int) -> None:
        """Show how many predictions the chosen labels have wrong at these thresholds, and how many are listed."""
        self.counts.setText(
            f"{shown:,} listed. At this threshold {false_positive:,} false positive and {false_negative:,} false "
            f"negative of {known:,} predictions of known truth."
        )

    def set_evidence(self, known: int, cases: int) -> None:
        """Show for how many cases the evidence is worked out."""
        self.evidence_words.setText(f"Evidence is worked out for {known:,} of {cases:,} cases.")
        self.work_out.setVisible(known < cases)

    def _fill(self) -> None:
        fill_combo(self.label, [(ALL, "All")])
        fill_combo(self.group, [(ALL, "All"), *((name, name.capitalize()) for name in GROUPS)])
        fill_combo(self.errors, [(kind.value, words) for kind, words in _ERROR_WORDS.items()])
        fill_combo(self.kind, [(kind, words.removeprefix("From the ").capitalize()) for kind, words in _KINDS])
        shown = [(hint.value, f"Mostly {hint.value}") for hint in HINTS[:3]]
        shown += [(hint.value, hint.value.capitalize()) for hint in HINTS[3:]]
        fill_combo(self.evidence, [(ALL, "Any"), (OUTSIDE, f"Mostly {OUTSIDE}"), *shown])
        fill_combo(self.reviewed, [(state.value, state.value.capitalize()) for state in Reviewed])
        fill_combo(self.verdict, [(ALL, "Any"), *((one.value, one.value.capitalize()) for one in VERDICTS)])
        fill_combo(self.order, [(one.value, one.value.capitalize()) for one in Order])
        self.by_hand.setValue(0.5)
        self.high.setValue(_SURE_LOG_ODDS)
        self.high.setSpecialValueText("")
        self.work_out.hide()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(3)
        named: Mapping[str, QWidget] = {
            "Abnormality": self.label,
            "Group": self.group,
            "Predictions": self.errors,
            "Threshold": _beside(self.kind, self.by_hand),
            "Confidence": _beside(self.low, QLabel("to", self), self.high),
            "Evidence": self.evidence,
            "Reviewed": self.reviewed,
            "Verdict": self.verdict,
            "Order": self.order,
        }
        for name, widget in named.items():
            form.addRow(name, widget)
        tip = "Distance of the score from the score at the threshold, log odds"
        for spin in (self.low, self.high):
            spin.setToolTip(tip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addLayout(form)
        for part in (self.counts, self.evidence_words, self.work_out):
            layout.addWidget(part)
        layout.addStretch(1)
        self._update()

    def _connect(self) -> None:
        for combo in self._combos:
            TypedKeys(combo)
            combo.currentIndexChanged.connect(self._on_change)
        for spin in (self.by_hand, self.low, self.high):
            spin.valueChanged.connect(self._on_change)
        self.work_out.clicked.connect(self.workOutRequested)

    @property
    def _combos(self) -> tuple[QComboBox, ...]:
        return (
            *(self.label, self.group, self.errors, self.kind),
            *(self.evidence, self.reviewed, self.verdict, self.order),
        )

    def _on_change(self) -> None:
        self._update()
        self.changed.emit(self.choice)

    def _update(self) -> None:
        self.by_hand.setEnabled(self.kind.currentData() == "hand")


def _spin(name: str, low: float, high: float, step: float, parent: QWidget) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(parent)
    spin.setAccessibleName(name)
    spin.setRange(low, high)
    spin.setSingleStep(step)
    spin.setDecimals(3 if high <= 1 else 2)
    spin.setKeyboardTracking(False)
    return spin


def _beside(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)
    return row
