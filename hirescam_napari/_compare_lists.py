"""The lists and sentences of the comparison's panel: where methods disagree, two models, their budgets, the shift."""

from __future__ import annotations

from hirescam_napari._compare_rows import budget_rows, disagreement_row, pair_row
from hirescam_napari._controller import Controller
from hirescam_napari.views.compare import ComparePanel
from training.evaluate.compare import (
    Disagreement,
    ModelPair,
    budget_of_label,
    compare_models,
    method_disagreements,
    shift_words,
)
from training.explain.budget import ScoreBudget
from training.explain.result import Explanation
from training.labels import is_known
from training.partition.cells import OrganCells, organ_cells_at

NEEDS_ORGANS = "Find the organs first (tab Organs); the ranking and the budgets need them."


class CompareLists:
    """Fills them for the case that is open; they are worked out only while somebody sees them.

    Parameters
    ----------
    controller
        The session's.
    panel
        Where they stand.
    """

    def __init__(self, controller: Controller, panel: ComparePanel) -> None:
        self.controller, self.panel = controller, panel
        self.ranked: list[Disagreement] = []
        """The rows of the list of labels."""
        self.pairs: list[ModelPair] = []
        """The rows of the list of both models."""
        self._known: tuple[object, ...] = (None,) * 4

    def update(self, other: Explanation | None) -> None:
        """Bring the lists up to date, ``other`` being the result of the second model."""
        case = self.controller.case
        known = (case.explanation, other, case.cells.get(self.controller.state.placement), case.report)
        if self.panel.isVisible() and any(a is not b for a, b in zip(known, self._known, strict=True)):
            self._known = known
            self._fill_methods()
            self._fill_models(other)

    def show_state(self, other: Explanation | None) -> None:
        """Show what depends on the selected label and on the placement."""
        explanation, label = self.controller.case.explanation, self.controller.state.label
        self.panel.shift.setText("" if explanation is None or not explanation.has_maps else shift_words(explanation))
        budgets = None if label is None else self._budgets(label, other)
        self.panel.budgets.set_rows(() if budgets is None else budget_rows(*budgets))
        self.panel.budget_words.setText(NEEDS_ORGANS if other is not None and budgets is None else "")

    def _fill_methods(self) -> None:
        case, placement = self.controller.case, self.controller.state.placement
        cells = case.cells.get(placement)
        if case.explanation is None or not case.explanation.has_maps or cells is None:
            self.ranked = []
            self.panel.methods_words.setText("" if case.explanation is None else NEEDS_ORGANS)
        else:
            self.ranked = method_disagreements(case.explanation, cells, sides_of=case.sides)
            self.panel.methods_words.setText("")
        self.panel.labels.set_rows([disagreement_row(one) for one in self.ranked])

    def _fill_models(self, other: Explanation | None) -> None:
        first = self.controller.case.explanation
        self.pairs = [] if first is None or other is None else compare_models(first, other)
        self.panel.models.set_rows([pair_row(one) for one in self.pairs])

    def _budgets(self, label: str, other: Explanation | None) -> tuple[ScoreBudget, ScoreBudget] | None:
        """Return the budgets of both models; None without organs, or where a label or a map is missing."""
        case = self.controller.case
        if other is None or label not in other.labels or not is_known(label) or not other.has_maps:
            return None
        first, cells = case.budget(label, self.controller.state.placement), self._cells_of(other)
        if first is None or cells is None:
            return None
        return first, budget_of_label(other, cells, label, case.sides(label))

    def _cells_of(self, other: Explanation) -> OrganCells | None:
        case, placement = self.controller.case, self.controller.state.placement
        own = case.explanation
        if own is not None and own.cells == other.cells and own.input_geometry.allclose(other.input_geometry):
            return case.cells.get(placement)
        if case.organs is None or case.organs.body is None:
            return None
        return organ_cells_at(case.organs, other.input_geometry, other.cells, placement)
