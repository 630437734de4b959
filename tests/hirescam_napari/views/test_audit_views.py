from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut

from hirescam_napari.views.audit_filter import OUTSIDE, AuditChoice, AuditFilter
from hirescam_napari.views.audit_judge import AuditJudge
from hirescam_napari.views.audit_panel import MINIMUM_WIDTH_PX, AuditPanel
from hirescam_napari.views.audit_queue import HEADS, WIDTHS_PX, AuditQueue, QueueRow
from training.evaluate.audit.select import ErrorKind, Filter, Order, Reviewed
from training.evaluate.audit.suggest import Hint
from training.evaluate.audit.verdicts import VERDICTS, Verdict


@pytest.fixture
def filters(qtbot: QtBot) -> AuditFilter:
    panel = AuditFilter()
    qtbot.addWidget(panel)
    panel.set_labels([("lung nodule", "lung nodule"), ("cardiomegaly", "cardiomegaly")])
    return panel


@pytest.fixture
def judge(qtbot: QtBot) -> AuditJudge:
    panel = AuditJudge()
    qtbot.addWidget(panel)
    return panel


def pick(combo, value: str) -> None:  # type: ignore[no-untyped-def]
    assert combo.findData(value) >= 0
    combo.setCurrentIndex(combo.findData(value))


def test_untouched_filters_ask_for_all_wrong_predictions(filters: AuditFilter) -> None:
    assert filters.choice == AuditChoice(Filter(), "checkpoint", 0.5)
    assert not filters.by_hand.isEnabled()


def test_every_choice_is_told_at_once(filters: AuditFilter) -> None:
    told: list[AuditChoice] = []
    filters.changed.connect(told.append)
    pick(filters.label, "cardiomegaly")
    pick(filters.group, "heart")
    pick(filters.errors, "borderline")
    pick(filters.kind, "hand")
    filters.by_hand.setValue(0.25)
    filters.low.setValue(0.5)
    filters.high.setValue(3.0)
    pick(filters.evidence, Hint.OUTSIDE_BODY.value)
    pick(filters.reviewed, "reviewers disagree")
    pick(filters.verdict, "unclear")
    pick(filters.order, "by case")
    wanted = Filter(
        labels=("cardiomegaly",),
        group="heart",
        errors=ErrorKind.BORDERLINE,
        confidence=(0.5, 3.0),
        hints=frozenset({Hint.OUTSIDE_BODY}),
        reviewed=Reviewed.DISAGREED,
        verdict=Verdict.UNCLEAR,
        order=Order.CASE,
    )
    assert len(told) == 11
    assert told[-1] == AuditChoice(wanted, "hand", 0.25)
    assert filters.by_hand.isEnabled()
    pick(filters.evidence, OUTSIDE)
    assert told[-1].wanted.outside_allowed
    assert not told[-1].wanted.hints


def test_a_threshold_from_outside_is_shown_without_a_signal(filters: AuditFilter) -> None:
    told: list[AuditChoice] = []
    filters.changed.connect(told.append)
    filters.set_threshold("hand", 0.125)
    assert not told or told[-1].by_hand == 0.5
    assert filters.choice.by_hand == 0.125


def test_buttons_give_the_verdicts_in_the_order_of_their_keys(judge: AuditJudge, qtbot: QtBot) -> None:
    told: list[Verdict] = []
    judge.judged.connect(told.append)
    for n, (verdict, button) in enumerate(judge.buttons.items(), 1):
        assert button.text().startswith(str(n))
        assert verdict.value.capitalize() in button.text()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert told == list(VERDICTS)


def test_a_note_is_unsaved_until_it_is_shown_as_said(judge: AuditJudge, qtbot: QtBot) -> None:
    judge.show_verdict(None, ("fat",), "why?", has_view=False)
    assert not judge.has_unsaved_note
    judge.tags.setText("#fat, #wall")
    assert judge.note == (("fat", "wall"), "why?")
    assert judge.has_unsaved_note
    with qtbot.waitSignal(judge.noted):
        qtbot.keyClick(judge.tags, Qt.Key.Key_Return)
    judge.show_verdict(Verdict.UNCLEAR, ("fat", "wall"), "why?", has_view=True)
    assert not judge.has_unsaved_note
    assert [v for v, button in judge.buttons.items() if button.isChecked()] == [Verdict.UNCLEAR]


def test_what_others_wrote_is_shown_as_text(judge: AuditJudge) -> None:
    judge.show_prediction("<b>FP</b>", "<script>", "a & b", "", "")
    judge.show_others("Bob: <img src=x>")
    assert judge.title.text() == "<b>&lt;b&gt;FP&lt;/b&gt;</b>"
    assert judge.others.textFormat() == Qt.TextFormat.PlainText
    assert "a &amp; b" in judge.suggestion.text()
    assert not judge.books.isVisibleTo(judge)


def test_only_rows_in_view_are_made(qtbot: QtBot) -> None:
    made: set[int] = set()

    def row_of(row: int) -> QueueRow:
        made.add(row)
        return QueueRow("FP", "lung nodule", 0.5, f"case-{row}")

    queue = AuditQueue()
    qtbot.addWidget(queue)
    queue.resize(360, 200)
    queue.set_rows(2_000_000, row_of)
    queue.show()
    qtbot.waitExposed(queue)
    chosen: list[int] = []
    queue.rowChosen.connect(chosen.append)
    queue.select(1_500_000)
    qtbot.wait(50)
    assert chosen == []
    assert queue.texts(1_500_000)[3] == "case-1500000"
    assert len(made) < 200
    qtbot.keyClick(queue.view, Qt.Key.Key_Down)
    assert chosen == [1_500_001]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_fits_its_column_and_is_told_in_full_by_its_tip(qtbot: QtBot, verdict: Verdict) -> None:
    panel = AuditPanel()
    qtbot.addWidget(panel)
    panel.resize(MINIMUM_WIDTH_PX, 700)
    panel.queue.set_rows(30, lambda _row: QueueRow("FP", "lung nodule", 0.999, "phantom-000040", verdict.value))
    panel.show()
    qtbot.waitExposed(panel)
    view, shown = panel.queue.view, panel.queue.texts(3)[-1]
    room = view.columnWidth(len(WIDTHS_PX) - 1) - 6
    assert 0 < view.fontMetrics().horizontalAdvance(shown) <= room
    assert sum(view.columnWidth(n) for n in range(len(WIDTHS_PX))) <= view.viewport().width()
    index = panel.queue.model.index(3, len(WIDTHS_PX) - 1)
    assert panel.queue.model.data(index, Qt.ItemDataRole.ToolTipRole) == verdict.value


@pytest.mark.parametrize("probability", [0.9999, 0.0001, 0.996, 1.0])
def test_every_probability_fits_its_column(qtbot: QtBot, probability: float) -> None:
    panel = AuditPanel()
    qtbot.addWidget(panel)
    panel.resize(MINIMUM_WIDTH_PX, 700)
    panel.queue.set_rows(1, lambda _row: QueueRow("FP", "lung nodule", probability, "phantom-000040"))
    panel.show()
    qtbot.waitExposed(panel)
    view = panel.queue.view
    at = HEADS.index("Prob.")
    hint = view.sizeHintForIndex(panel.queue.model.index(0, at)).width()
    assert hint <= view.columnWidth(at)
    assert sum(view.columnWidth(n) for n in range(len(WIDTHS_PX))) <= view.viewport().width()


def test_typing_in_a_list_of_the_filter_searches_it_and_runs_no_shortcut(filters: AuditFilter, qtbot: QtBot) -> None:
    told: list[str] = []
    shortcut = QShortcut(QKeySequence("P"), filters)
    shortcut.activated.connect(lambda: told.append("P"))
    filters.set_labels([("cardiomegaly", "cardiomegaly"), ("pleural effusion", "pleural effusion")])
    filters.show()
    filters.activateWindow()
    filters.label.setFocus()
    qtbot.waitUntil(filters.label.hasFocus, timeout=60_000)
    qtbot.keyClicks(filters.label, "p")
    assert filters.choice.wanted.labels == ("pleural effusion",)
    assert told == []
    filters.work_out.show()
    filters.work_out.setFocus()
    qtbot.keyClicks(filters.work_out, "p")
    assert told == ["P"]
