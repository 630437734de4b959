"""What is on the screen, in one line: abnormality, probability, case, model, and what the model is not for."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from hirescam_napari.views._layout import WrappedLabel
from hirescam_napari.views._words import NOT_FOR_CLINICAL_USE, percent, times_mean


@dataclass(frozen=True)
class CaseTitle:
    """What the header says.

    ``label`` is the display name of the abnormality, ``ratio`` its probability over the model's mean (None if unknown),
    ``case_id`` never a patient's name, ``caution`` what the model is and is not for.
    """

    label: str
    probability: float
    ratio: float | None
    case_id: str
    model: str
    caution: str = NOT_FOR_CLINICAL_USE


class CaseHeader(QWidget):
    """One line where there is room for it; wraps where there is not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Case")
        self.line = WrappedLabel("", self)
        self.line.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 3, 6, 3)
        layout.addWidget(self.line)

    def set_case(self, title: CaseTitle) -> None:
        """Show ``title``."""
        self.line.setText(_html(title))
        self.setAccessibleDescription(plain_text(title))
        self.setToolTip(plain_text(title))

    def clear(self, hint: str = "") -> None:
        """Show no case, only ``hint``."""
        self.line.setText(escape(hint))
        self.setAccessibleDescription(hint)
        self.setToolTip("")


def _parts(title: CaseTitle) -> tuple[str, str]:
    ratio = "" if title.ratio is None else f" ({times_mean(title.ratio)} mean)"
    return f"{percent(title.probability)}{ratio}", f"{title.case_id} · {title.model}"


def plain_text(title: CaseTitle) -> str:
    """Return the header as plain text, for window titles and pictures."""
    numbers, source = _parts(title)
    return f"{title.label}: {numbers} · {source} · {title.caution}"


def _html(title: CaseTitle) -> str:
    numbers, source = (escape(part) for part in _parts(title))
    label = f"<b style='font-size:large'>{escape(title.label)}</b>&nbsp; <b>{numbers}</b>"
    return f"{label} &nbsp;·&nbsp; {source} &nbsp;·&nbsp; <i>{escape(title.caution)}</i>"
