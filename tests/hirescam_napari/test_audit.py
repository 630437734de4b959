"""A whole audit in a real window: a cohort with a planted shortcut, by keyboard only."""

from __future__ import annotations

import csv
import getpass
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QWidget

from hirescam_napari import _keys
from hirescam_napari._audit import KEPT_NOTE, AuditController
from hirescam_napari._audit_dock import AUDIT_TITLE, AuditDock
from hirescam_napari._audit_keys import KEYS
from hirescam_napari._session import PLUGIN
from hirescam_napari._snapshot import capture
from hirescam_napari._state import Layout
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari.views.audit_filter import OUTSIDE, AuditChoice
from tests.shortcuts import SHORTCUT, ShortcutCohort, make_shortcut_cohort
from training.commands.audit import AuditRequest, Threshold, open_audit
from training.evaluate.audit.log import read_log
from training.evaluate.audit.report import findings
from training.evaluate.audit.select import ErrorKind, Filter
from training.evaluate.audit.session import audit_folder
from training.evaluate.audit.suggest import HINTS, Hint
from training.evaluate.audit.verdicts import VERDICTS, Subject, Verdict, standing

REVIEWER = "Ann"
PATIENCE_MS = 120_000
"""How long a test waits for what has to happen; on a busy machine everything takes many times longer."""

NODULES = AuditChoice(Filter(labels=(SHORTCUT,)))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> ShortcutCohort:
    return make_shortcut_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def store(cohort: ShortcutCohort) -> Iterator[Path]:
    yield cohort.store
    shutil.rmtree(cohort.store / "audit", ignore_errors=True)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Viewer]) -> Viewer:
    made = make_napari_viewer(show=True)
    made.window.resize(1366, 768)
    return made


@pytest.fixture
def dock(viewer: Viewer, qtbot: QtBot) -> Iterator[AuditDock]:
    session = HiResCamWidget(viewer)
    viewer.window.add_dock_widget(session, name="HiResCAM", area="right")
    made = AuditDock(viewer, session)
    viewer.window.add_dock_widget(made, name="Audit", area="left")
    activate(viewer, qtbot)
    yield made
    made.close_audit()
    session.close_session()


def activate(viewer: Viewer, qtbot: QtBot) -> None:
    """Bring the window to the front; until it is there no shortcut works, and nothing has the keyboard."""
    viewer.window.activate()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is not None, timeout=PATIENCE_MS)


def opened(dock: AuditDock, store: Path, qtbot: QtBot, reviewer: str = REVIEWER) -> AuditController:
    audit = dock.open_store(AuditRequest(store, reviewer, Threshold.CHECKPOINT, {}))
    wait(audit, qtbot)
    return audit


def wait(audit: AuditController, qtbot: QtBot) -> None:
    """Until what is asked for is on the screen."""
    qtbot.waitUntil(lambda: audit.subject is None or audit._on_screen(audit.subject) is not None, timeout=PATIENCE_MS)


def press(dock: AuditDock, key: str | Qt.Key, audit: AuditController, qtbot: QtBot) -> None:
    """Press a key as a reviewer does: it goes to whatever has the keyboard."""
    qtbot.waitUntil(lambda: QApplication.focusWidget() is not None, timeout=PATIENCE_MS)
    target = QApplication.focusWidget()
    if isinstance(key, str):
        qtbot.keyClicks(target, key)
    else:
        qtbot.keyClick(target, key)
    wait(audit, qtbot)


def rows_of(audit: AuditController) -> list[tuple[str, ...]]:
    """What SQLite itself finds in the file: reviewer, case, label and verdict of every entry, oldest first."""
    file = audit_folder(audit.audit.store) / "verdicts.sqlite"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT reviewer, case_id, label, verdict FROM entries ORDER BY number").fetchall()


def choose(audit: AuditController, choice: AuditChoice, qtbot: QtBot) -> None:
    audit.set_choice(choice)
    wait(audit, qtbot)


def test_twenty_wrong_predictions_by_keyboard_only(
    dock: AuditDock, store: Path, cohort: ShortcutCohort, qtbot: QtBot
) -> None:
    audit = opened(dock, store, qtbot)
    every = len(audit.selection)
    press(dock, "w", audit, qtbot)
    assert QApplication.focusWidget() is dock.panel.filter.label
    press(dock, "lung", audit, qtbot)  # letters search the list; no key of audit or session takes them
    assert audit.list.choice == NODULES
    for _ in ("group", "predictions"):
        press(dock, Qt.Key.Key_Tab, audit, qtbot)
    assert QApplication.focusWidget() is dock.panel.filter.errors
    press(dock, "b", audit, qtbot)
    assert audit.list.choice.wanted.errors is ErrorKind.BORDERLINE
    for _ in range(3):
        press(dock, Qt.Key.Key_Up, audit, qtbot)
    assert audit.list.choice == NODULES
    assert read_log(audit_folder(audit.audit.store)) == []
    press(dock, Qt.Key.Key_Escape, audit, qtbot)
    assert QApplication.focusWidget() is dock.panel.queue.view
    assert 20 <= len(audit.selection) < every
    judged: dict[Subject, Verdict] = {}
    shortcuts = outside = 0
    while len(judged) < 20:
        subject = audit.subject
        assert subject is not None
        assert subject not in judged
        shown = audit._on_screen(subject)
        assert shown is not None
        suggestion = shown.books.suggestion(audit.audit.predictions.label_index[subject.label])
        is_shortcut = subject in set(audit.audit.select(Filter(labels=(SHORTCUT,), errors=ErrorKind.FALSE_POSITIVE)))
        is_shortcut &= subject.case in cohort.with_token
        shortcuts += is_shortcut
        outside += is_shortcut and suggestion.outside_allowed
        number = 2 if suggestion.outside_allowed else 6
        judged[subject] = VERDICTS[number - 1]
        press(dock, str(number), audit, qtbot)
    assert shortcuts >= 12
    assert outside >= 0.9 * shortcuts
    assert rows_of(audit) == [
        (REVIEWER, subject.case, subject.label, verdict.value) for subject, verdict in judged.items()
    ]
    saved = standing(read_log(audit_folder(audit.audit.store)))
    assert {subject: entry.verdict for (_, subject), entry in saved.items()} == judged
    assert {who for who, _ in saved} == {REVIEWER}
    entry = saved[REVIEWER, next(iter(judged))]
    assert entry.model_sha256 == audit.audit.store.model.sha256
    assert entry.store_sha256 == audit.audit.store.sha256
    assert entry.view["state"]["label"] == SHORTCUT
    assert entry.facts["suggestion"] in set(HINTS)


def test_the_report_names_the_shortcut(dock: AuditDock, store: Path, qtbot: QtBot, tmp_path: Path) -> None:
    audit = opened(dock, store, qtbot)
    choose(audit, NODULES, qtbot)
    for _ in range(3):
        press(dock, "2", audit, qtbot)
    with qtbot.waitSignal(audit.write(tmp_path / "report", pictures=1).succeeded, timeout=PATIENCE_MS):
        pass
    document = json.loads((tmp_path / "report" / "audit.json").read_text())
    row = next(row for row in document["suggestions"] if row["label"] == SHORTCUT)
    assert row["outside"] >= 0.9
    assert row["n_with_evidence"] >= 12
    page = (tmp_path / "report" / "audit.html").read_text()
    assert "Lung nodule: in " in page
    assert "This label may have been learnt from something else." in page
    rows = list(csv.DictReader((tmp_path / "report" / "verdicts.csv").read_text().splitlines()))
    assert [row["verdict"] for row in rows] == ["wrong organ"] * 3
    assert any("Lung nodule" in line for line in findings(audit.audit.summary()) if audit.audit.evidence.known.any())


def test_each_case_opens_with_all_there_is_to_see(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    case = dock.session.controller.case
    subject = audit.subject
    assert subject is not None
    assert case.volume is not None
    assert case.explanation is not None
    assert case.explanation.case_id == subject.case
    state = dock.session.controller.state
    assert state.label == subject.label
    assert state.show_region
    assert case.budget(subject.label) is not None
    judge = dock.panel.judge
    assert subject.case in judge.facts.text()
    assert judge.books.text().startswith("Score ")
    assert judge.report.text().startswith("Report: ")
    assert "Suggestion, no verdict" in judge.suggestion.text()
    assert not any(button.isChecked() for button in judge.buttons.values())
    assert dock.session.panels.plot.isVisible()
    assert "not for clinical use" in dock.panel.head.text().lower()


def test_undo_comment_tags_and_view(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    judge, controller = dock.panel.judge, dock.session.controller
    judge.go_on.setChecked(False)
    audit.leave_text()
    for key, name, value in (("s", "layout", Layout.SIDE_BY_SIDE), ("m", "window", "mediastinum")):
        press(dock, key, audit, qtbot)  # keys of the session still work, wherever the keyboard is
        assert getattr(controller.state, name) == value
    before = controller.canvas.slice_mm
    press(dock, Qt.Key.Key_Right, audit, qtbot)
    assert controller.canvas.slice_mm != before
    controller.step_slice(3)
    dock.viewer.scene.camera.zoom = 5.0
    slice_mm = controller.canvas.slice_mm
    press(dock, "c", audit, qtbot)
    assert QApplication.focusWidget() is judge.comment
    press(dock, "22 fat, not lung", audit, qtbot)
    assert judge.comment.text() == "22 fat, not lung"
    assert audit.subject is not None
    assert audit.audit.mine(audit.subject) is None
    judge.tags.setText("#fat wall")
    press(dock, Qt.Key.Key_Return, audit, qtbot)
    mine = audit.audit.mine(audit.subject)
    assert mine is not None
    assert (mine.verdict, mine.tags, mine.comment) == (None, ("fat", "wall"), "22 fat, not lung")
    press(dock, "1", audit, qtbot)
    assert judge.buttons[Verdict.OUTSIDE_BODY].isChecked()
    press(dock, "6", audit, qtbot)
    mine = audit.audit.mine(audit.subject)
    assert mine is not None
    assert (mine.verdict, mine.tags) == (Verdict.UNCLEAR, ("fat", "wall"))
    controller.go_to_top_slice()
    dock.viewer.scene.camera.zoom = 1.0
    press(dock, "v", audit, qtbot)
    assert controller.canvas.slice_mm == slice_mm
    assert dock.viewer.scene.camera.zoom == pytest.approx(5.0)
    press(dock, "u", audit, qtbot)
    assert judge.buttons[Verdict.OUTSIDE_BODY].isChecked()
    press(dock, "u", audit, qtbot)
    press(dock, "u", audit, qtbot)
    assert audit.audit.mine(audit.subject) is None
    press(dock, "u", audit, qtbot)
    assert judge.status.text() == "There is nothing to take back."


def test_escape_leaves_a_note_as_typed_until_one_goes_on(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    subject, judge = audit.subject, dock.panel.judge
    assert subject is not None
    press(dock, "c", audit, qtbot)
    press(dock, "fat", audit, qtbot)
    press(dock, Qt.Key.Key_Escape, audit, qtbot)
    assert QApplication.focusWidget() is dock.panel.queue.view
    assert (judge.comment.text(), judge.status.text()) == ("fat", KEPT_NOTE)
    assert audit.audit.mine(subject) is None
    press(dock, Qt.Key.Key_PageDown, audit, qtbot)
    mine = audit.audit.mine(subject)
    assert mine is not None
    assert (mine.verdict, mine.comment) == (None, "fat")
    press(dock, Qt.Key.Key_Escape, audit, qtbot)
    assert judge.status.text() != KEPT_NOTE


def test_a_verdict_keeps_the_comparison_that_was_shown(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    comparer, subject = dock.session.comparer, audit.subject
    dock.panel.judge.go_on.setChecked(False)
    assert subject is not None
    for key in ("s", "h"):
        press(dock, key, audit, qtbot)
    press(dock, "6", audit, qtbot)
    side_by_side = audit.audit.mine(subject)
    assert side_by_side is not None
    assert (side_by_side.view["state"]["layout"], side_by_side.view["comparison"]) == ("side_by_side", None)
    assert side_by_side.view["state"]["methods"] == ["hirescam", "gradcam"]
    dock.session.compare_panel.set_mode("placements")
    comparer.start()
    press(dock, "2", audit, qtbot)
    mine = audit.audit.mine(subject)
    assert mine is not None
    assert mine.view["comparison"]["kind"] == "placements"
    assert mine.view["state"]["methods"] == ["hirescam"]
    comparer.stop()
    press(dock, "v", audit, qtbot)
    assert comparer.comparing
    assert capture(dock.session.controller) == mine.view
    press(dock, "u", audit, qtbot)
    press(dock, "v", audit, qtbot)
    assert not comparer.comparing
    assert capture(dock.session.controller) == side_by_side.view


def test_steps_through_the_list_and_prefetch(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    first = audit.subject
    following = next(subject for subject in audit.selection if first is not None and subject.case != first.case)
    qtbot.waitUntil(lambda: audit.prefetcher.get(following.case) is not None, timeout=PATIENCE_MS)
    press(dock, Qt.Key.Key_PageDown, audit, qtbot)
    assert audit.row == 1
    press(dock, Qt.Key.Key_PageUp, audit, qtbot)
    assert audit.subject == first
    press(dock, Qt.Key.Key_PageUp, audit, qtbot)
    assert audit.row == 0
    press(dock, "5", audit, qtbot)
    press(dock, Qt.Key.Key_PageUp, audit, qtbot)
    assert audit.subject == first
    press(dock, "n", audit, qtbot)
    assert audit.row == 1
    assert dock.panel.queue.texts(0)[-1] == "image"
    assert dock.panel.position.text() == f"2 of {len(audit.selection)}"


def test_filters_and_thresholds_change_the_list_and_the_counts(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    panel, every = dock.panel.filter, len(audit.selection)
    panel.label.setCurrentIndex(panel.label.findData(SHORTCUT))
    assert {subject.label for subject in audit.selection} == {SHORTCUT}
    panel.kind.setCurrentIndex(panel.kind.findData("hand"))
    assert panel.by_hand.isEnabled()
    panel.by_hand.setValue(1.0)
    n_positive = int((audit.audit.predictions.truth[:, 0] == 1).sum())
    assert len(audit.selection) == n_positive
    assert f"0 false positive and {n_positive} false negative" in panel.counts.text()
    panel.label.setCurrentIndex(0)
    panel.label.setCurrentIndex(panel.label.findData("cardiomegaly"))
    assert panel.by_hand.value() == 0.5
    panel.kind.setCurrentIndex(panel.kind.findData("median"))
    assert "18" in panel.counts.text() or len(audit.selection) > 0
    panel.kind.setCurrentIndex(panel.kind.findData("checkpoint"))
    panel.label.setCurrentIndex(0)
    assert len(audit.selection) == every
    panel.group.setCurrentIndex(panel.group.findData("heart"))
    assert {subject.label for subject in audit.selection} == {"cardiomegaly"}
    panel.errors.setCurrentIndex(panel.errors.findData("all"))
    assert len(audit.selection) == 36
    wait(audit, qtbot)


def test_evidence_is_worked_out_in_the_background_and_then_filters(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    panel = dock.panel.filter
    panel.evidence.setCurrentIndex(panel.evidence.findData(OUTSIDE))
    assert len(audit.selection) == 0
    with qtbot.waitSignal(audit.work_out().succeeded, timeout=PATIENCE_MS):
        pass
    qtbot.waitUntil(lambda: len(audit.selection) > 0, timeout=PATIENCE_MS)
    assert "36 of 36" in panel.evidence_words.text()
    panel.evidence.setCurrentIndex(panel.evidence.findData(Hint.HARDLY_ANY.value))
    assert all(audit.audit.evidence.hint(audit.audit.predictions, s) is Hint.HARDLY_ANY for s in audit.selection)
    wait(audit, qtbot)


def test_a_store_without_its_cts_opens_with_a_note(
    dock: AuditDock, store: Path, cohort: ShortcutCohort, qtbot: QtBot, tmp_path: Path
) -> None:
    alone = tmp_path / "elsewhere" / "store"
    shutil.copytree(store, alone)
    audit = opened(dock, alone, qtbot)
    case = dock.session.controller.case
    assert case.volume is None
    assert case.explanation is not None
    assert dock.session.controller.canvas.maps
    assert audit.subject is not None
    assert case.region(audit.subject.label) is not None
    assert case.budget(audit.subject.label) is not None
    assert any("labels.csv" in issue.message for issue in dock.panel.judge.messages.issues)
    press(dock, "a", audit, qtbot)
    organs = dock.viewer.layers["Organs"]
    assert organs.visible
    assert set(np.unique(organs.data)) == {0, 1, 2, 3}
    assert organs.data.shape == case.explanation.cells.n_cells
    assert np.allclose(organs.translate, dock.viewer.layers["HiResCAM"].translate)
    press(dock, "3", audit, qtbot)
    assert len(read_log(audit_folder(audit.audit.store))) == 1


def test_others_are_shown_after_ones_own_verdict_only(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot, "Bob")
    first = audit.subject
    press(dock, "4", audit, qtbot)
    audit = opened(dock, store, qtbot, REVIEWER)
    assert audit.subject == first
    dock.panel.judge.go_on.setChecked(False)
    assert dock.panel.judge.others.text() == ""
    press(dock, "2", audit, qtbot)
    assert dock.panel.judge.others.text() == "Others: Bob: plausible, label wrong"
    dock.panel.tabs.setCurrentIndex(dock.panel.progress_tab)
    qtbot.waitUntil(lambda: "Ann: 1 of " in dock.panel.progress.text(), timeout=PATIENCE_MS)


def test_what_another_window_says_meanwhile_is_taken_in(dock: AuditDock, store: Path, qtbot: QtBot) -> None:
    audit = opened(dock, store, qtbot)
    dock.panel.judge.go_on.setChecked(False)
    request = AuditRequest(store, None, Threshold.CHECKPOINT, {})
    other = open_audit(request, judged_by="Bob")
    assert audit.subject is not None
    other.judge(audit.subject, Verdict.IMAGE_PROBLEM)
    press(dock, "2", audit, qtbot)
    assert dock.panel.judge.others.text() == "Others: Bob: image problem"
    other.judge(audit.selection[1], Verdict.UNCLEAR)
    dock.panel.tabs.setCurrentIndex(dock.panel.progress_tab)
    qtbot.waitUntil(lambda: "Bob: 2 of " in dock.panel.progress.text(), timeout=PATIENCE_MS)
    assert other.log is not None
    other.log.close()


def test_no_verdict_is_saved_while_another_ct_is_on_the_screen(
    dock: AuditDock, store: Path, cohort: ShortcutCohort, qtbot: QtBot
) -> None:
    audit = opened(dock, store, qtbot)
    subject, controller = audit.subject, dock.session.controller
    assert subject is not None
    with qtbot.waitSignal(dock.session.idle, timeout=PATIENCE_MS):
        dock.session.open([cohort.table.parent / "ct" / "case-020.nii.gz"])
    dock.panel.judge.comment.setText("typed before")
    audit.save_note()
    audit.judge(Verdict.OUTSIDE_BODY)
    assert "Not saved" in dock.panel.judge.status.text()
    assert [(e.verdict, e.comment, e.view) for e in read_log(audit_folder(audit.audit.store))] == [
        (None, "typed before", {})
    ]
    assert controller.case.explanation is not None
    assert controller.case.explanation.case_id == subject.case  # it is shown again
    audit.judge(Verdict.WRONG_ORGAN)
    mine = audit.audit.mine(subject)
    assert mine is not None
    assert (mine.verdict, mine.comment) == (Verdict.WRONG_ORGAN, "typed before")


def test_a_damaged_case_is_told_and_the_others_go_on(
    dock: AuditDock, store: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    chunk = max((path for path in (copy / "z").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[:200])
    audit = dock.open_store(AuditRequest(copy, REVIEWER, Threshold.CHECKPOINT, {}))
    qtbot.waitUntil(lambda: dock.panel.judge.status.text() == "That did not work.", timeout=PATIENCE_MS)
    assert dock.panel.judge.messages.issues
    audit.judge(Verdict.UNCLEAR)
    assert "Not saved" in dock.panel.judge.status.text()
    assert read_log(audit_folder(audit.audit.store)) == []


def test_keys_of_audit_and_session_do_not_meet() -> None:
    own = {key.key for key in KEYS}
    assert len(own) == len(KEYS)
    assert own & {key.key for key in _keys.KEYS} == {"Home"}


def test_the_plugins_menu_opens_it_with_its_keys(viewer: Viewer, store: Path, qtbot: QtBot) -> None:
    _, made = viewer.window.add_plugin_dock_widget(PLUGIN, AUDIT_TITLE)
    assert isinstance(made, AuditDock)
    activate(viewer, qtbot)
    audit = opened(made, store, qtbot)
    press(made, "4", audit, qtbot)
    assert [entry.verdict for entry in read_log(audit_folder(audit.audit.store))] == [Verdict.LABEL_WRONG]
    made.close_audit()
    made.session.close_session()


def test_the_panel_says_what_to_do_before_a_store_is_open(dock: AuditDock) -> None:
    assert "hirescam batch" in dock.panel.head.text()
    assert not dock.panel.tabs.isEnabled()
    assert dock.reviewer == getpass.getuser()
    assert isinstance(dock.panel, QWidget)
