"""Budget, report and organ panels as the controller feeds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from hirescam_napari import _details
from hirescam_napari._case import Case
from hirescam_napari._details import DetailPanels, allowed_words, marks_of
from hirescam_napari._state import ViewState
from hirescam_napari.views.report import SILENT
from training.explain.result import Explanation
from training.issues import InputError, error, warning
from training.partition.cells import OrganCells
from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG, Organs, QualityControl
from training.partition.reports.labels import label_report

REPORT = (
    "FINDINGS: Small right pleural effusion. No pneumothorax. Possible emphysema.\nIMPRESSION: Right pleural effusion."
)


@pytest.fixture
def panels(qtbot: QtBot) -> Iterator[DetailPanels]:
    """The panels side by side in a window that is shown."""
    window = QWidget()
    made = DetailPanels(window)
    layout = QVBoxLayout(window)
    for panel in (made.budget, made.report, made.organs):
        layout.addWidget(panel)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    yield made
    window.close()


@pytest.fixture
def known(case: Case) -> Case:
    """The synthetic case with organs in every fourth of its cells."""
    assert case.explanation is not None
    shape = case.explanation.cells.n_cells
    quarter = [np.zeros(shape, dtype=np.float32) for _ in range(3)]
    for i, mask in enumerate(quarter):
        mask[:, :, i] = 1.0
    masks = dict(zip((RIGHT_LUNG, MEDIASTINUM, LEFT_LUNG), quarter, strict=True))
    body = np.ones(shape, dtype=np.float32)
    body[:, :, 5] = 0
    cells = OrganCells("receptive_field", masks, masks, body)
    return replace(case, cells={"receptive_field": cells, "stretch": cells})


def label_of(case: Case, group: str) -> str:
    from training.labels import find_label

    assert case.explanation is not None
    return next(label for label in case.explanation.labels if find_label(label).organ_group == group)


def test_the_table_adds_up_to_the_networks_score(panels: DetailPanels, known: Case) -> None:
    assert known.explanation is not None
    for i, label in enumerate(known.explanation.labels):
        panels.show(known, label)
        budget = panels.budget.budget
        assert budget is not None
        assert budget.is_exact
        assert budget.score == known.explanation.scores[i]
        table = panels.budget.table
        items = [table.item(row, 3) for row in range(table.rowCount())]
        shown = [float(item.text().replace("−", "-")) for item in items if item is not None]
        assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=0.01)


def test_a_model_without_guarantee_gets_a_row_for_what_its_map_leaves_out(panels: DetailPanels, known: Case) -> None:
    assert known.explanation is not None
    label = known.explanation.labels[0]
    off = replace(known.explanation, scores=known.explanation.scores + 1.5)
    panels.show(replace(known, explanation=off), label)
    budget = panels.budget.budget
    assert budget is not None
    assert budget.rows()[-1].name == "not in the map"
    assert budget.rows()[-1].total == pytest.approx(1.5, abs=1e-5)
    assert "need not" in panels.budget.footnote.text()


def test_why_there_is_no_budget_is_said(panels: DetailPanels, known: Case) -> None:
    explanation = known.explanation
    assert explanation is not None
    label = explanation.labels[0]
    panels.show(replace(known, cells={}), label)
    assert panels.budget.headline.text() == _details.NEEDS_ORGANS
    assert panels.budget.button.isVisibleTo(panels.budget)
    blind = replace(explanation, model=replace(explanation.model, has_maps=False))
    panels.show(replace(known, explanation=blind), label)
    assert panels.budget.headline.text() == _details.NO_MAP
    assert not panels.budget.button.isVisibleTo(panels.budget)
    panels.show(replace(known, cells={}, volume=None, picture=None), label)
    assert panels.budget.headline.text() == _details.NO_CT
    foreign = replace(explanation, labels=("dragon", *explanation.labels[1:]))
    panels.show(replace(known, explanation=foreign), "dragon")
    assert panels.budget.headline.text() == _details.NO_PLACE


def test_hidden_panels_cost_nothing(
    panels: DetailPanels, known: Case, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    explanation = known.explanation
    assert explanation is not None
    panels.budget.hide()
    panels.report.hide()
    asked: list[str] = []
    monkeypatch.setattr(Case, "budget", lambda _case, label, _placement: asked.append(label))
    panels.show(replace(known, report=label_report(REPORT)), explanation.labels[1])
    assert asked == []
    assert panels.report.text.toPlainText() == ""
    panels.budget.show()
    panels.report.show()
    panels.refresh()
    assert asked == [explanation.labels[1]]
    assert panels.report.text.toPlainText() == REPORT


def test_the_report_shows_the_evidence_of_the_selected_abnormality(panels: DetailPanels, case: Case) -> None:
    known = replace(case, report=label_report(REPORT))
    assert known.explanation is not None
    labels = ("pleural effusion", "pneumothorax", "emphysema", "lung mass", *known.explanation.labels[4:])
    known = replace(known, explanation=replace(known.explanation, labels=labels))
    panels.show(known, "pleural effusion")
    assert panels.report.marked_sentences()[0].endswith("Small right pleural effusion")
    assert "present, right" in panels.report.verdict.text()
    panels.show(known, "pneumothorax")
    assert [mark.said for mark in panels.report.marks] == ["absent"]
    panels.show(known, "emphysema")
    assert [mark.said for mark in panels.report.marks] == ["uncertain"]
    panels.show(known, "lung mass")
    assert panels.report.marks == ()
    assert panels.report.verdict.text() == SILENT
    panels.show(replace(known, report=None), "lung mass")
    assert not panels.report.text.isVisibleTo(panels.report)


def test_a_sentence_counts_once_however_many_words_speak() -> None:
    said, words, marks = marks_of(label_report(REPORT), "pleural effusion")
    assert said == "present"
    assert len({mark.sentence for mark in marks}) == 2
    assert "(2 sentences)" in words


def test_quality_control_is_said_in_words(panels: DetailPanels, case: Case) -> None:
    assert case.volume is not None
    labels = np.zeros(case.volume.hu.shape, dtype=np.uint8)
    reasons = (error("empty-segmentation", "neither lung was found"), warning("heuristic-mask", "heuristic mask used"))
    volumes = (("right lung", 2.0), ("left lung", 0.0), ("mediastinum", 1234.0))
    failed = Organs(labels, case.volume.geometry, QualityControl(False, reasons, volumes, "paper"))
    panels.show(replace(case, organs=failed))
    assert panels.organs.messages.issues == reasons
    assert panels.organs.status.text() == _details.NOT_BELIEVED
    assert "1,234 ml" in [text.text() for text in panels.organs.findChildren(QLabel)]
    panels.show(replace(case, organs=replace(failed, qc=QualityControl(True, volumes_ml=volumes))))
    assert panels.organs.status.text() == _details.BELIEVED


def test_work_that_failed_tells_why(panels: DetailPanels, case: Case) -> None:
    panels.show(case)
    panels.show_work(running=True, problem=None)
    assert panels.organs.cancel_button.isVisibleTo(panels.organs)
    panels.show_work(running=False, problem=InputError(error("no-lungs", "there is nothing here")))
    assert [issue.code for issue in panels.organs.messages.issues] == ["no-lungs"]
    assert panels.organs.find_button.isVisibleTo(panels.organs)


def test_the_organ_is_named_with_its_side(case: Case, explanation_factory: Callable[..., Explanation]) -> None:
    known = replace(case, explanation=explanation_factory(n_labels=80, n_groups=9))
    assert allowed_words(known, "pleural effusion") == "lungs"
    assert allowed_words(known, "cardiomegaly") == "mediastinum"
    sided = replace(known, report=label_report(REPORT))
    assert allowed_words(sided, "pleural effusion") == "right lung"


def test_choices_follow_the_state_without_a_signal(panels: DetailPanels, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(panels.organs.changed):
        panels.show_state(ViewState(show_organs=True, fill_organs=True, organ_opacity=0.4, show_region=True))
    assert panels.organs.choice.filled
    assert panels.organs.opacity.value() == 40
    with qtbot.waitSignal(panels.organs.changed) as told:
        panels.organs.filled.click()
    assert not told.args[0].filled
