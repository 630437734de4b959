"""Budget, report and organs of the selected abnormality, as the controller sees them; hidden panels cost nothing."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from hirescam_napari._case import Case
from hirescam_napari._organ_layers import ORGAN_COLORS
from hirescam_napari._state import ViewState
from hirescam_napari.views.budget import Budget, BudgetPanel, BudgetRow
from hirescam_napari.views.organs import OrganChoice, OrganPanel, OrganRow
from hirescam_napari.views.report import SILENT, Mark, ReportPanel, Said
from training.explain.budget import PLACES, ScoreBudget
from training.explain.placement import Placement
from training.explain.result import Explanation
from training.issues import InputError, error
from training.labels import display_name, find_label, is_known
from training.partition.organs import ORGAN_NAMES
from training.partition.reports.labels import LabelEvidence, ReportLabels

NO_MAP = "This model has no maps, so its score cannot be shared out over the organs."
NO_PLACE = "Where this abnormality may lie is not known: it is not one of the 80."
NEEDS_ORGANS = "The budget needs the organs of this CT."
NO_CT = "Open the CT as well: the budget needs its organs."
WORKING = "Finding the organs; the budget follows by itself …"
_NOTHING = object()
FIND, CANCEL = "Find the organs", "Cancel"
BELIEVED = "Passed quality control."
NOT_BELIEVED = "Failed quality control: the heuristic mask is used, which is a rough guess of where organs lie."


class DetailPanels:
    """Budget, report and organs; only what is visible is worked out, the rest when it is shown.

    Parameters
    ----------
    parent
        Qt parent of the panels.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        self.budget, self.report, self.organs = BudgetPanel(parent), ReportPanel(parent), OrganPanel(parent)
        self._case, self._label = Case(), ""
        self._placement: Placement = "receptive_field"
        self._running = False
        self._legend_of: object = _NOTHING
        self._text_of: object = None

    def show(self, case: Case, label: str | None = None) -> None:
        """Show ``case`` and ``label`` (the same as before if None)."""
        self._case = case
        self._label = self._label if label is None else label
        if case.explanation is None or self._label not in case.explanation.labels:
            self._label = ""
        self.refresh()

    def show_state(self, state: ViewState) -> None:
        """Show how organs are drawn, and share the score out by where the cells are drawn."""
        choice = organ_choice(state)
        if choice != self.organs.choice:
            self.organs.set_choice(choice)
        if state.placement != self._placement:
            self._placement = state.placement
            self.refresh()

    def show_work(self, running: bool, problem: Exception | None) -> None:
        """Show that organs are being found, or why that failed."""
        self._running = running
        self.organs.set_running(running)
        if problem is not None:
            issues = problem.issues if isinstance(problem, InputError) else (error("failed", str(problem)),)
            self.organs.set_organs((), issues, "The organs could not be found.")
        elif not running:
            self._legend_of = _NOTHING
        self.refresh()

    @property
    def needs_organs(self) -> bool:
        """True if a panel that the user sees cannot show anything without organs."""
        return self.budget.isVisible()

    def refresh(self) -> None:
        """Bring the panels that are visible up to date."""
        self._refresh_organs()
        if self.budget.isVisible():
            self._refresh_budget()
        if self.report.isVisible():
            self._refresh_report()

    def _refresh_organs(self) -> None:
        organs = self._case.organs
        if organs is self._legend_of or self._running:
            return
        self._legend_of = organs
        if organs is None:
            self.organs.set_organs((), (), "")
            return
        volumes = dict(organs.qc.volumes_ml)
        rows = [OrganRow(name, ORGAN_COLORS[value], volumes.get(name, 0.0)) for value, name in ORGAN_NAMES.items()]
        self.organs.set_organs(rows, organs.qc.reasons, BELIEVED if organs.qc.passed else NOT_BELIEVED)

    def _refresh_budget(self) -> None:
        case, label = self._case, self._label
        found = case.budget(label, self._placement) if label else None
        if found is not None and case.explanation is not None:
            self.budget.set_budget(budget_of(case, case.explanation, label, found))
            return
        words, button = self._why_no_budget()
        self.budget.set_message(words, button)

    def _why_no_budget(self) -> tuple[str, str]:
        case = self._case
        if case.explanation is None or not self._label:
            return "", ""
        if not case.explanation.has_maps:
            return NO_MAP, ""
        if not is_known(self._label):
            return NO_PLACE, ""
        if case.volume is None:
            return NO_CT, ""
        return (WORKING, CANCEL) if self._running else (NEEDS_ORGANS, FIND)

    def _refresh_report(self) -> None:
        report = self._case.report
        if report is not self._text_of:
            self._text_of = report
            self.report.set_report(None if report is None else report.text)
        if report is not None and self._label:
            self.report.set_marks(*marks_of(report, self._label))


def organ_choice(state: ViewState) -> OrganChoice:
    """Return ``state`` as the organ panel shows it."""
    return OrganChoice(state.show_organs, state.fill_organs, round(state.organ_opacity, 2), state.show_region)


def budget_of(case: Case, explanation: Explanation, label: str, found: ScoreBudget) -> Budget:
    """Return a budget as its panel shows it."""
    allowed = allowed_words(case, label)
    names = (f"allowed: {allowed}", *PLACES[1:])
    rows = tuple(BudgetRow(*parts) for parts in zip(names, found.positive, found.negative, strict=True))
    score = float(explanation.scores[explanation.index(label)])
    return Budget(display_name(label), allowed, score, found.bias, rows)


def allowed_words(case: Case, label: str) -> str:
    """Return what the organ where ``label`` may lie is called."""
    if find_label(label).organ_group == "mediastinum":
        return "mediastinum"
    sides = case.sides(label)
    return f"{next(iter(sides))} lung" if len(sides) == 1 else "lungs"


def marks_of(report: ReportLabels, label: str) -> tuple[Said | None, str, tuple[Mark, ...]]:
    """Return what the report says of ``label`` as a whole, that in a sentence, and its mentions."""
    evidence = report.evidence.get(label)
    if evidence is None:
        return None, SILENT, ()
    found = (Mark(finding.sentence, finding.span, _said(str(finding.status))) for finding in evidence.findings)
    marks = tuple(dict.fromkeys(found))
    said = _said(str(evidence.status))
    return said, _verdict(said, evidence, len({mark.sentence for mark in marks})), marks


def _said(status: str) -> Said:
    for known in ("present", "uncertain", "absent"):
        if status == known:
            return known
    raise ValueError(f"a report says present, uncertain or absent, not {status!r}")


def _verdict(said: Said, evidence: LabelEvidence, sentences: int) -> str:
    sides = sorted(evidence.sides, reverse=True)
    where = f", {' and '.join(sides)}" if sides and said != "absent" else ""
    count = "one sentence" if sentences == 1 else f"{sentences} sentences"
    return f"The report says: {said}{where} ({count})."
