from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from hirescam_napari.views.guarantee import GuaranteeBadge

WHERE = "The map cannot tell where in the slice the evidence lay."


@pytest.fixture
def badge(qtbot: QtBot) -> GuaranteeBadge:
    widget = GuaranteeBadge()
    qtbot.addWidget(widget)
    widget.resize(380, 160)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def background(badge: GuaranteeBadge) -> tuple[int, int, int]:
    color = badge.grab().toImage().pixelColor(badge.width() - 30, 12)
    return color.red(), color.green(), color.blue()


def test_nothing_is_claimed_before_a_result(badge: GuaranteeBadge) -> None:
    assert not badge.headline.isVisible()
    assert not badge.details_button.isVisible()


def test_words_and_colour_of_a_map_that_adds_up(badge: GuaranteeBadge) -> None:
    badge.set_guarantee("This map adds up exactly to the score.", True, 8e-8, WHERE, "sum + bias = score")
    assert badge.headline.text() == "This map adds up exactly to the score."
    assert badge.sum_line.text() == "Measured: it adds up to the score to 7 digits."
    assert badge.where.isVisible()
    red, green, _blue = background(badge)
    assert green > red


def test_words_and_colour_without_guarantee(badge: GuaranteeBadge) -> None:
    badge.set_guarantee("No guarantee: this map need not show what the model used.", False, 0.25)
    assert badge.sum_line.text() == "Measured: it misses the score by 25 %."
    assert not badge.where.isVisible()
    assert not badge.details_button.isVisible()
    red, green, blue = background(badge)
    assert red > green > blue


def test_the_two_states_differ_in_symbol_not_only_in_colour(badge: GuaranteeBadge) -> None:
    pictures = []
    for holds in (True, False):
        badge.set_guarantee("words", holds, 0.0)
        alpha = badge._symbol.pixmap().toImage()
        pictures.append([alpha.pixelColor(x, 3).alpha() > 0 for x in range(alpha.width())])
    assert pictures[0] != pictures[1]


def test_details_are_one_click_away(qtbot: QtBot, badge: GuaranteeBadge) -> None:
    badge.set_guarantee("words", True, 0.0, "", "sum + bias = score")
    assert not badge.details.isVisible()
    qtbot.mouseClick(badge.details_button, Qt.MouseButton.LeftButton)
    assert badge.details.isVisible()
    assert badge.details.text() == "sum + bias = score"
    badge.set_guarantee("words", True, 0.0, "", "other numbers")
    assert badge.details.isVisible()
    qtbot.mouseClick(badge.details_button, Qt.MouseButton.LeftButton)
    assert not badge.details.isVisible()


def test_unmeasured_residual_is_said(badge: GuaranteeBadge) -> None:
    badge.set_guarantee("words", True, float("nan"))
    assert badge.sum_line.text() == "Measured: whether the map adds up to the score was not measured."


def test_clear_takes_the_claim_away(badge: GuaranteeBadge) -> None:
    badge.set_guarantee("words", True, 0.0, WHERE, "details")
    badge.clear()
    assert not badge.headline.isVisible()
    assert badge.accessibleDescription() == ""


def test_screen_readers_get_the_same_words(badge: GuaranteeBadge) -> None:
    badge.set_guarantee("This map adds up.", True, 0.0, WHERE)
    assert badge.accessibleDescription() == f"This map adds up. Measured: it adds up to the score exactly. {WHERE}"
