"""Counts in words: one is not many."""

from __future__ import annotations

import doctest

import pytest

import training.words
from training.words import agreed, counted, counted_of


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (1, "case", "1 case"),
        (0, "case", "0 cases"),
        (2, "series", "2 series"),
        (1, "abnormality", "1 abnormality"),
        (3, "abnormality", "3 abnormalities"),
        (2, "day", "2 days"),
        (1, "CT is", "1 CT is"),
        (2, "older volume has", "2 older volumes have"),
        (12345, "wrong prediction", "12,345 wrong predictions"),
    ],
)
def test_a_noun_goes_with_its_count(n: int, noun: str, words: str) -> None:
    assert counted(n, noun) == words


def test_a_part_goes_with_the_whole() -> None:
    assert (counted_of(1, 1, "case"), counted_of(0, 2, "case")) == ("1 of 1 case", "0 of 2 cases")
    assert (agreed(1, "has", "have"), agreed(2, "has", "have")) == ("has", "have")


def test_examples_hold() -> None:
    assert doctest.testmod(training.words).failed == 0
