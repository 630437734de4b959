"""Sentences: where they end, and that none is too long to be worked on."""

from __future__ import annotations

from training.partition.reports import Status, label_report
from training.partition.reports.tokens import MAX_WORDS, split_report


def test_a_report_without_full_stops_is_cut_and_nothing_is_lost() -> None:
    words = ("there", "is", "a", "nodule", "in", "the", "right", "lung", "and", "no", "effusion") * 3300
    text = " ".join(words)
    assert len(text) > 160_000
    sentences = split_report(text)
    assert max(map(len, sentences)) == MAX_WORDS
    assert tuple(word for one in sentences for word in one.words) == words
    assert [one.is_cut for one in sentences] == [True] * (len(sentences) - 1) + [False]
    assert [text[slice(*span)] for span in sentences[1].spans] == list(sentences[1].words)


def test_the_cut_is_at_a_comma_where_there_is_one() -> None:
    text = " ".join(["word"] * 400) + ", " + " ".join(["more"] * 200)
    first, second = split_report(text)
    assert (len(first), len(second)) == (400, 200)
    assert "," in first.breaks[-1]
    assert "," in second.breaks[0]


def test_a_sentence_of_marks_keeps_each_once() -> None:
    (one,) = split_report("nodule" + "?," * 50_000 + " mass")
    assert one.breaks == ("", "?,", "")


def test_what_was_cut_is_told_and_the_rest_is_read() -> None:
    found = label_report(" ".join(["word"] * 700) + " there is a pneumothorax")
    assert found.n_cut == 1
    assert found.status("pneumothorax") is Status.PRESENT
    assert label_report("There is a pneumothorax.").n_cut == 0
