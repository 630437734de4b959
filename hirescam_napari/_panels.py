"""The dock's panels as the controller sees them: from a case to rows, titles and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from qtpy.QtWidgets import QLabel, QWidget

from hirescam_napari._case import Case
from hirescam_napari._details import DetailPanels
from hirescam_napari._keys import KEYS
from hirescam_napari._resolve import ratio_to_mean
from hirescam_napari._state import SCALINGS, WINDOWS, ViewState
from hirescam_napari.views.case_header import CaseHeader, CaseTitle
from hirescam_napari.views.display_panel import DisplayChoice, DisplayPanel
from hirescam_napari.views.guarantee import GuaranteeBadge
from hirescam_napari.views.label_model import LabelRow, Truth
from hirescam_napari.views.label_table import LabelTable
from hirescam_napari.views.slice_scores import SliceScorePlot
from training.explain.checks import ZERO_WORDS, is_zero
from training.explain.result import Explanation
from training.labels import display_name, find_label, is_known
from training.words import caution_words

DEFAULT_THRESHOLD = 0.5
"""Probability from which a label counts as predicted where the model states no threshold."""

NO_RESULT = "Open a chest CT and run a model to see abnormalities."


class DockPanels:
    """The panels that show a case; they know nothing of the viewer, and this class nothing of how they are laid out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.header = CaseHeader(parent)
        self.table = LabelTable(parent)
        self.plot = SliceScorePlot(parent)
        self.badge = GuaranteeBadge(parent)
        self.display = DisplayPanel(parent)
        self.details = DetailPanels(parent)
        self.readout = QLabel(parent)
        self.readout.setAccessibleName("Under the cursor")
        self.display.set_scalings(list(SCALINGS.items()))
        self.display.set_windows([(name, one.title) for name, one in WINDOWS.items()], [*map(_window_tip, WINDOWS)])
        self.header.clear(NO_RESULT)
        self.plot.hide()

    def show_case(self, case: Case) -> None:
        """Show the table of another case or result; nothing is selected yet."""
        self.table.set_rows(label_rows(case))
        self.show_readout("")
        self.plot.setVisible(case.explanation is not None)
        if case.explanation is None:
            self.header.clear(NO_RESULT)
            self.badge.clear()
        self.details.show(case)

    def show_label(self, case: Case, label: str) -> None:
        """Show title, plot and guarantee of ``label``."""
        if case.explanation is None:
            return
        if self.table.selected != label:
            self.table.select(label)
        self.header.set_case(case_title(case.explanation, label))
        index = case.explanation.index(label)
        scores = case.explanation.slice_scores[index]
        self.plot.set_scores(scores, float(scores.mean()), display_name(label), slice_numbers(case))
        self.plot.set_bands(case.bands(label))
        self.badge.set_guarantee(**guarantee_words(case.explanation, label))  # type: ignore[arg-type]
        self.details.show(case, label)

    def show_organs(self, case: Case) -> None:
        """Show that organs were found, or their cells, or another report."""
        self.details.show(case)

    def show_state(self, state: ViewState) -> None:
        """Show the display choices."""
        choice = choice_of(state, self.display.choice)
        if choice != self.display.choice:
            self.display.set_choice(choice)
        self.details.show_state(state)

    def show_group(self, group: float) -> None:
        """Move the plot's cursor."""
        self.plot.set_current(group)

    def show_readout(self, text: str) -> None:
        """Show what lies under the mouse."""
        self.readout.setText(text)

    def labels_in_order(self) -> Sequence[str]:
        """Return the labels as the table shows them."""
        return self.table.shown()


def choice_of(state: ViewState, base: DisplayChoice | None = None) -> DisplayChoice:
    """Return ``state`` as the display panel shows it."""
    return replace(
        DisplayChoice() if base is None else base,
        layout=state.layout.value,
        methods=state.methods,
        placement=state.placement,
        scaling=state.scaling,
        signed=state.signed,
        opacity=round(state.opacity, 2),
        window=state.window,
    )


def label_rows(case: Case) -> list[LabelRow]:
    """Return one row per label of the case's explanation; none without one."""
    if case.explanation is None:
        return []
    return [_row(case, case.explanation, label) for label in case.explanation.labels]


def _row(case: Case, explanation: Explanation, label: str) -> LabelRow:
    group = explanation.top_slice(label)
    drawn = case.slice_at(case.shown_mm(group))
    return LabelRow(
        name=label,
        display=display_name(label),
        region=find_label(label).region if is_known(label) else "other",
        probability=float(explanation.probabilities[explanation.index(label)]),
        ratio=ratio_to_mean(explanation, label),
        top_slice=(explanation.image_slice(group) if drawn is None else drawn) + 1 if explanation.has_maps else None,
        truth=truth_of(case, explanation, label),
    )


def truth_of(case: Case, explanation: Explanation, label: str) -> Truth | None:
    """Return whether the prediction for ``label`` is right, None where the truth is unknown."""
    if label not in case.truth:
        return None
    threshold = explanation.model.threshold.get(label, DEFAULT_THRESHOLD)
    predicted = bool(explanation.probabilities[explanation.index(label)] >= threshold)
    if case.truth[label]:
        return "TP" if predicted else "FN"
    return "FP" if predicted else "TN"


def slice_numbers(case: Case) -> list[float] | None:
    """Return the CT slice number (from 1, fractional) at each slice group's centre, None without a picture."""
    if case.explanation is None or case.picture is None:
        return None
    first, step = case.slice_mm(0), case.picture.geometry.spacing_mm[0]
    start, end = (case.group_mm(group) for group in (0, case.explanation.cells.n_cells[0] - 1))
    centres = np.linspace(start, end, case.explanation.cells.n_cells[0])
    return [float(number) for number in np.round((centres - first) / step + 1, 1)]


def case_title(explanation: Explanation, label: str) -> CaseTitle:
    """Return the header's line."""
    return CaseTitle(
        label=display_name(label),
        probability=float(explanation.probabilities[explanation.index(label)]),
        ratio=ratio_to_mean(explanation, label),
        case_id=explanation.case_id,
        model=explanation.model.name,
        caution=caution_words(explanation.model.training),
    )


def guarantee_words(explanation: Explanation, label: str) -> dict[str, object]:
    """Return what the badge says of ``label``: words, whether they hold, residual, where, details."""
    index, nothing = explanation.index(label), is_zero(explanation, label)
    return {
        "words": ZERO_WORDS if nothing else explanation.model.guarantee_words,
        "holds": explanation.model.guarantee_holds and not nothing,
        "residual": float(explanation.residual[index]),
        "where_words": explanation.where_words,
        "details": guarantee_details(explanation, label),
    }


def guarantee_details(explanation: Explanation, label: str) -> str:
    """Return equation, numbers and receptive field over several lines."""
    index = explanation.index(label)
    score, bias = float(explanation.scores[index]), float(explanation.bias[index])
    px, mm = explanation.receptive_field_px, explanation.receptive_field_mm
    return "\n".join(
        [
            *([explanation.model.guarantee_details] if explanation.model.guarantee_details else []),
            f"Sum {score - bias:+.5g}, bias {bias:+.5g}, score {score:+.5g}.",
            f"Relative residual {float(explanation.residual[index]):.1e} ({explanation.precision}).",
            f"Each cell saw {' x '.join(map(str, px))} px = {' x '.join(f'{n:.0f}' for n in mm)} mm"
            " (slice x row x column).",
            f"Model {explanation.model.name}, {explanation.model.architecture},"
            f" SHA-256 {explanation.model.sha256[:12]}, on {explanation.device}.",
        ]
    )


def _window_tip(name: str) -> str:
    window = WINDOWS[name]
    key = next(key.shown for key in KEYS if key.action == f"window_{name}")
    return f"Level {window.level_hu:g} HU, width {window.width_hu:g} HU (key {key})"
