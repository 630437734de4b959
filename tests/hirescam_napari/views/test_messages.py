from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from hirescam_napari.views.messages import MessageList
from training.issues import error, note, warning


@pytest.fixture
def messages(qtbot: QtBot) -> MessageList:
    widget = MessageList()
    qtbot.addWidget(widget)
    widget.resize(300, 50)
    return widget


def test_hidden_while_there_is_nothing_to_say(messages: MessageList) -> None:
    assert messages.isHidden()
    messages.set_issues([note("a", "A fact.")])
    assert not messages.isHidden()
    messages.set_issues([])
    assert messages.isHidden()


def test_severity_file_fact_and_way_out_are_words(messages: MessageList) -> None:
    messages.set_issues([error("gap", "Slice 3 is missing.", "Repair it.", "IM3"), warning("lossy", "Lossy.")])
    lines = [line.replace("\ufffc", "").strip() for line in messages.toPlainText().splitlines()]
    assert lines == ["Error: IM3: Slice 3 is missing. Repair it.", "Warning: Lossy."]
    assert [issue.code for issue in messages.issues] == ["gap", "lossy"]


def test_text_is_not_taken_for_markup(messages: MessageList) -> None:
    messages.set_issues([error("x", "Tag <b>(0028,0030)</b> & more.", file="<img src=a>")])
    assert "<img src=a>: Tag <b>(0028,0030)</b> & more." in messages.toPlainText()


def test_grows_with_its_text_and_then_scrolls(qtbot: QtBot, messages: MessageList) -> None:
    messages.show()
    messages.set_issues([warning("w", "One line.")])
    small = messages.height()
    messages.set_issues([warning("w", "A long line that has to be wrapped. " * 6)])
    large = messages.height()
    assert small < large < 220
    assert messages.verticalScrollBar().maximum() == 0
    messages.set_issues([warning("w", f"Line {i}.") for i in range(60)])
    assert messages.height() == 220
    assert messages.verticalScrollBar().maximum() > 0
