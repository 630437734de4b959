from __future__ import annotations

import math

import pytest

from hirescam_napari.views._words import duration, percent, residual_words, signed, signed_share, times_mean


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.973, "97 %"), (0.0042, "0.4 %"), (0.9963, "99.6 %"), (1e-6, "<0.1 %"),
     (1 - 1e-6, ">99.9 %"), (math.nan, "n/a")],
)  # fmt: skip
def test_percent_shows_what_matters_near_the_ends(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, "n/a"), (math.inf, "n/a"), (2.94, "2.9×"), (12.3, "12×"), (0.04, "<0.1×"), (0.0, "0×")]
)
def test_ratio(ratio: float | None, text: str) -> None:
    assert times_mean(ratio) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0667, "+0.067"), (-0.5, "−0.500"), (5.75e-10, "0.000"), (-1e-9, "0.000"), (1.0, "+1.000")]
)
def test_shares_have_three_decimals(value: float, text: str) -> None:
    assert signed_share(value) == text


def test_signed_always_has_a_sign() -> None:
    assert (signed(0.5), signed(-0.12345)) == ("+0.5", "−0.123")


@pytest.mark.parametrize(
    ("residual", "words"),
    [(0.0, "exactly"), (8e-8, "to 7 digits"), (1.4e-7, "to 6 digits"), (0.25, "misses the score by 25 %"),
     (math.nan, "not measured"), (3.0, "misses the score by 300 %")],
)  # fmt: skip
def test_residual_in_words(residual: float, words: str) -> None:
    assert words in residual_words(residual)


def test_duration_uses_minutes_when_long() -> None:
    assert [duration(s) for s in (0.01, 41, 60, 130)] == ["1 s", "41 s", "1 min 0 s", "2 min 10 s"]
