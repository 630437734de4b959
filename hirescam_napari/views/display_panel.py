"""How maps are shown: layout, methods, placement, scaling, sign, opacity, window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from hirescam_napari.views._layout import WrappedLabel, choose, combo_box, fill_combo

Layout = Literal["overlay", "side_by_side"]
Method = Literal["hirescam", "gradcam"]
Placement = Literal["receptive_field", "stretch"]

_LAYOUTS = (("overlay", "Overlay"), ("side_by_side", "Side by side"))
_METHODS = (("hirescam", "HiResCAM"), ("gradcam", "Grad-CAM"))
_PLACEMENTS = (("receptive_field", "Where the cells look"), ("stretch", "Stretched (paper)"))
_WINDOWS = (("lung", "Lung"), ("mediastinum", "Mediastinum"), ("bone", "Bone"), ("soft_tissue", "Soft tissue"))
_SCALINGS = (
    ("label", "This abnormality"),
    ("shared", "Shared by all abnormalities"),
    ("absolute", "Absolute"),
    ("paper", "Paper: positive part, by its maximum"),
)
_PLACEMENT_WORDS = {
    "receptive_field": "Each cell stands at the centre of what the network could see from it.",
    "stretch": "Cells are stretched over the whole slice, as in the paper; they can stand far from what was seen.",
}


@dataclass(frozen=True)
class DisplayChoice:
    """What the user wants to see.

    ``scaling`` is a value given to :meth:`DisplayPanel.set_scalings`; ``opacity`` is in [0, 1]; ``window`` is a value
    given to :meth:`DisplayPanel.set_windows`, None for a window set by hand.
    """

    layout: Layout = "overlay"
    methods: tuple[Method, ...] = ("hirescam",)
    placement: Placement = "receptive_field"
    scaling: str = "label"
    signed: bool = False
    opacity: float = 0.5
    window: str | None = "lung"


class DisplayPanel(QWidget):
    """Display choices. Emits ``changed(DisplayChoice)`` when the user changes one of them, never on ``set_choice``."""

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Display")
        self.layouts = _group(self, _LAYOUTS, QRadioButton)
        self.methods = _group(self, _METHODS, QCheckBox, exclusive=False)
        self.placement, self.scaling = combo_box("Placement of the maps", self), combo_box("Scaling of the maps", self)
        self.placement_words = WrappedLabel("", self)
        self.signed = QCheckBox("Signed: show evidence against as well", self)
        self.opacity, self.opacity_value = _slider(self), QLabel(self)
        self.windows = QButtonGroup(self)
        self._window_row = QGridLayout()
        self._choice = DisplayChoice()
        fill_combo(self.placement, _PLACEMENTS)
        fill_combo(self.scaling, _SCALINGS)
        self._lay_out()
        self.set_windows(_WINDOWS)
        self._connect()
        self.set_choice(self._choice)

    @property
    def choice(self) -> DisplayChoice:
        """What the widgets say now."""
        return self._choice

    def set_scalings(self, items: Sequence[tuple[str, str]]) -> None:
        """Offer scaling policies as (value, text) pairs; the chosen one stays if it is still there."""
        fill_combo(self.scaling, items)
        self._choice = self._read()

    def set_windows(self, items: Sequence[tuple[str, str]], tips: Sequence[str] = ()) -> None:
        """Offer CT windows as (value, text) pairs with tooltips, for example limits in HU and the key."""
        for button in self.windows.buttons():
            self.windows.removeButton(button)
            self._window_row.removeWidget(button)
            button.hide()
            button.deleteLater()
        for i, (value, text) in enumerate(items):
            button = QPushButton(text, self)
            button.setCheckable(True)
            button.setProperty("value", value)
            button.setAccessibleName(f"{text} window")
            button.setToolTip(tips[i] if i < len(tips) else f"Show the CT in a {text.lower()} window")
            self.windows.addButton(button)
            self._window_row.addWidget(button, i // 2, i % 2)
        self._mark_window(self._choice.window)

    def set_choice(self, choice: DisplayChoice) -> None:
        """Show ``choice`` without emitting a signal.

        Raises
        ------
        KeyError
            If placement or scaling is not offered.
        """
        choose(self.placement, choice.placement)
        choose(self.scaling, choice.scaling)
        blocked = self.blockSignals(True)
        _check(self.layouts, (choice.layout,))
        _check(self.methods, choice.methods)
        self.signed.setChecked(choice.signed)
        self.opacity.setValue(round(100 * choice.opacity))
        self.blockSignals(blocked)
        self._mark_window(choice.window)
        self._choice = choice
        self._explain()

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(6, 6, 6, 6)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        slider = QHBoxLayout()
        slider.addWidget(self.opacity, 1)
        slider.addWidget(self.opacity_value)
        place = QVBoxLayout()
        place.addWidget(self.placement)
        place.addWidget(self.placement_words)
        form.addRow("Layout", _buttons_row(self.layouts))
        form.addRow("Maps", _buttons_row(self.methods))
        form.addRow("Placed", place)
        form.addRow("Scaled by", self.scaling)
        form.addRow("", self.signed)
        form.addRow("Opacity", slider)
        form.addRow("Window", self._window_row)

    def _connect(self) -> None:
        for group in (self.layouts, self.methods, self.windows):
            group.buttonClicked.connect(self._on_user)
        for combo in (self.placement, self.scaling):
            combo.currentIndexChanged.connect(self._on_user)
        self.signed.toggled.connect(self._on_user)
        self.opacity.valueChanged.connect(self._on_user)

    def _read(self) -> DisplayChoice:
        return DisplayChoice(
            layout=_checked(self.layouts)[0],  # type: ignore[arg-type]
            methods=_checked(self.methods),  # type: ignore[arg-type]
            placement=self.placement.currentData(),
            scaling=self.scaling.currentData(),
            signed=self.signed.isChecked(),
            opacity=self.opacity.value() / 100,
            window=next(iter(_checked(self.windows)), None),
        )

    def _on_user(self) -> None:
        self._explain()
        if self.signalsBlocked():
            return
        choice = self._read()
        if choice != self._choice:
            self._choice = choice
            self.changed.emit(choice)

    def _explain(self) -> None:
        self.placement_words.setText(_PLACEMENT_WORDS[self.placement.currentData()])
        self.opacity_value.setText(f"{self.opacity.value()} %")

    def _mark_window(self, value: str | None) -> None:
        self.windows.setExclusive(value is not None)
        _check(self.windows, () if value is None else (value,))
        self.windows.setExclusive(True)


def _group(
    parent: QWidget,
    items: Sequence[tuple[str, str]],
    kind: type[QRadioButton] | type[QCheckBox],
    exclusive: bool = True,
) -> QButtonGroup:
    group = QButtonGroup(parent)
    group.setExclusive(exclusive)
    for value, text in items:
        button = kind(text, parent)
        button.setProperty("value", value)
        group.addButton(button)
    return group


def _buttons_row(group: QButtonGroup) -> QHBoxLayout:
    row = QHBoxLayout()
    for button in group.buttons():
        row.addWidget(button)
    row.addStretch(1)
    return row


def _value(button: QAbstractButton) -> str:
    return str(button.property("value"))


def _checked(group: QButtonGroup) -> tuple[str, ...]:
    return tuple(_value(button) for button in group.buttons() if button.isChecked())


def _check(group: QButtonGroup, values: Sequence[str]) -> None:
    for button in group.buttons():
        button.setChecked(_value(button) in values)


def _slider(parent: QWidget) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal, parent)
    slider.setRange(0, 100)
    slider.setPageStep(10)
    slider.setAccessibleName("Opacity of the maps")
    return slider
