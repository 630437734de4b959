from __future__ import annotations

from pytestqt.qtbot import QtBot
from qtpy.QtGui import QTextDocument

from hirescam_napari.views.case_header import CaseHeader, CaseTitle, plain_text

TITLE = CaseTitle(
    "lung <nodule>", 0.87, 2.94, "case 3f2a", "demo", "trained on synthetic phantoms – not for clinical use"
)


def shown(header: CaseHeader) -> str:
    document = QTextDocument()
    document.setHtml(header.line.text())
    return document.toPlainText().replace("\xa0", " ")


def test_the_line_holds_everything(qtbot: QtBot) -> None:
    header = CaseHeader()
    qtbot.addWidget(header)
    header.set_case(TITLE)
    text = shown(header)
    for part in (
        "lung <nodule>",
        "87 %",
        "2.9× mean",
        "case 3f2a",
        "demo",
        "synthetic phantoms",
        "not for clinical use",
    ):
        assert part in text
    assert header.accessibleDescription() == plain_text(TITLE)


def test_unknown_mean_and_default_caution(qtbot: QtBot) -> None:
    title = CaseTitle("mass", 0.5, None, "case 1", "axialnet")
    assert plain_text(title) == "mass: 50 % · case 1 · axialnet · not for clinical use"


def test_it_wraps_where_it_is_narrow(qtbot: QtBot) -> None:
    header = CaseHeader()
    qtbot.addWidget(header)
    header.set_case(TITLE)
    assert header.heightForWidth(300) > header.heightForWidth(1200)
    assert header.minimumSizeHint().width() <= 200


def test_clear_shows_the_hint_only(qtbot: QtBot) -> None:
    header = CaseHeader()
    qtbot.addWidget(header)
    header.set_case(TITLE)
    header.clear("Open a CT & run")
    assert shown(header) == "Open a CT & run"
