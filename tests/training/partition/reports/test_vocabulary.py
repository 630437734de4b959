"""Patterns, and the reachability of every entry of the vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.issues import InputError
from training.partition.reports import Status, label_report, load_vocabulary
from training.partition.reports.context import clauses
from training.partition.reports.findings import find_findings
from training.partition.reports.patterns import PatternIndex, example, parse
from training.partition.reports.sizes import Axis, lengths, long_axis, short_axis
from training.partition.reports.tokens import split_report

VOCABULARY = load_vocabulary()


def _found(index: PatternIndex, text: str) -> set[str]:
    return {m.key for sentence in split_report(text) for m in index.find(sentence)}


@pytest.mark.parametrize("key", sorted(VOCABULARY.abnormalities))
def test_every_abnormality_pattern_is_reachable(key: str) -> None:
    term = VOCABULARY.abnormalities[key]
    missed = [p for p in term.any if key not in _found(VOCABULARY.abnormality_index, example(p))]
    assert missed == []
    assert [p for p in term.exclude if f"!{key}" not in _found(VOCABULARY.abnormality_index, example(p))] == []


@pytest.mark.parametrize("key", sorted(VOCABULARY.locations))
def test_every_location_pattern_is_reachable(key: str) -> None:
    term = VOCABULARY.locations[key]
    patterns = (*term.any, *term.both)
    assert [p for p in patterns if key not in _found(VOCABULARY.location_index, example(p))] == []
    unknown = set(term.implies) - set(VOCABULARY.locations)
    assert unknown == set()


def test_look_alikes_take_matches_away() -> None:
    assert find_findings("cystic fibrosis", VOCABULARY) == ()


def test_pattern_language() -> None:
    index = PatternIndex({"a": ["nodul* ... lung|lungs"], "b": ["ground-glass"]})
    assert _found(index, "nodules of both lungs") == {"a"}
    assert _found(index, "nodule one two three four five six lung") == set()
    assert _found(index, "ground glass and ground-glass") == {"b"}
    with pytest.raises(ValueError, match="begin and end"):
        parse("... lung")


def test_sentences_keep_decimals_and_positions() -> None:
    text = 'A 1.5 cm nodule. "No effusion"'
    first, second = split_report(text)
    assert first.words == ("a", "1.5", "cm", "nodule")
    assert text[slice(*second.span)] == "No effusion"


def test_clauses_split_where_both_sides_have_a_predicate() -> None:
    (sentence,) = split_report("Heart size is normal, nodules are observed, which are calcified")
    assert [sentence.words[c.start : c.stop][0] for c in clauses(sentence)] == ["heart", "nodules"]
    (listing,) = split_report("No nodule, mass or effusion was observed")
    assert len(clauses(listing)) == 1


def test_sizes_in_a_clause() -> None:
    (sentence,) = split_report("Nodes of 17x13 mm and 1,5 cm and T11")
    assert [length.mm for length in lengths(sentence, clauses(sentence)[0])] == [17.0, 13.0, 15.0]


@pytest.mark.parametrize(
    ("text", "expected", "short_mm"),
    [
        ("nodes of 11 mm long axis, 6 mm short axis", [(11, "long"), (6, "short")], 6),
        ("nodes, long axis 11 mm, short axis 6 mm", [(11, "long"), (6, "short")], 6),
        ("nodes with a long axis of 11 mm and a short axis of 6 mm", [(11, "long"), (6, "short")], 6),
        ("11 mm in long diameter and 6 mm in shortest diameter", [(11, "long"), (6, "short")], 6),
        ("nodes of 12 mm (short axis 8 mm)", [(12, None), (8, "short")], 8),
        ("nodes of 17 x 13 mm", [(17, None), (13, None)], 13),
        ("a short node of 9 mm", [(9, None)], 9),
    ],
)
def test_an_axis_goes_with_its_own_length(
    text: str, expected: list[tuple[float, Axis | None]], short_mm: float
) -> None:
    (sentence,) = split_report(text)
    found = lengths(sentence, clauses(sentence)[0])
    assert [(length.mm, length.axis) for length in found] == expected
    assert [short.mm for short in (short_axis(found),) if short] == [short_mm]
    assert [long.mm for long in (long_axis(found),) if long] == [mm for mm, axis in expected if axis == "long"]


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("nodes below 10 mm", True),
        ("nodes smaller than 10 mm in short axis", True),
        ("nodes with a short axis of less than 1 cm", True),
        ("nodes that do not exceed 10 mm", True),
        ("nodes of <10 mm", True),
        ("nodes up to 10 mm", False),
        ("nodes larger than 10 mm", False),
        ("nodes exceeding 10 mm", False),
    ],
)
def test_a_bound_is_not_reached(text: str, below: bool) -> None:
    (sentence,) = split_report(text)
    (found,) = lengths(sentence, clauses(sentence)[0])
    assert (found.mm, found.below, found.reaches(10)) == (10, below, not below)
    assert found.reaches(9)


def test_a_users_file_extends_the_vocabulary(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[abnormalities.pneumothorax]\nany = ["air leak"]\n[context]\ndeny_after = ["sans"]\n')
    extended = load_vocabulary((own,))
    assert label_report("air leak", vocabulary=extended).status("pneumothorax") is Status.PRESENT
    assert label_report("sans pneumothorax", vocabulary=extended).status("pneumothorax") is Status.ABSENT
    assert label_report("air leak").status("pneumothorax") is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("not toml [", "vocabulary-unreadable"),
        ("[words]\n", "vocabulary-unknown-table"),
        ("[context]\nfoo = []\n", "vocabulary-unknown-trigger"),
        ("[context]\ndeny_after = 3\n", "vocabulary-not-a-list"),
        ('[abnormalities.nodule]\nany = ["... x"]\n', "vocabulary-bad-pattern"),
        ('[abnormalities.new]\nany = ["x"]\n', "vocabulary-bad-term"),
        ('[locations.new]\ngroup = "lungs"\nany = ["x"]\n', "vocabulary-bad-term"),
        ('[abnormalities.new]\nsystem = "lung"\nany = ["... x"]\n', "vocabulary-bad-pattern"),
        ('[abnormalities.new]\nsystem = "lung"\nany = "x"\n', "vocabulary-not-a-list"),
        ("[abnormalities]\nnodule = 3\n", "vocabulary-not-a-table"),
        ("abnormalities = 3\n", "vocabulary-not-a-table"),
    ],
)
def test_bad_vocabulary_files_are_refused(tmp_path: Path, content: str, code: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(InputError) as refusal:
        load_vocabulary((path,))
    assert refusal.value.issues[0].code == code
    assert refusal.value.issues[0].file == "own.toml"
    assert refusal.value.issues[0].way_out


@pytest.mark.parametrize(
    "pattern", ["*", "|", "a|", "a*b", "*thorax", "a(b", "(a+)+$", "a\0b", "lung *", "", "...", "crohn's"]
)
def test_a_pattern_that_is_no_words_is_refused(tmp_path: Path, pattern: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f"[abnormalities.pneumothorax]\nany = [{json.dumps(pattern)}]\n")
    with pytest.raises(InputError) as refused:
        load_vocabulary((own,))
    issue = refused.value.issues[0]
    assert (issue.code, issue.file) == ("vocabulary-bad-pattern", "own.toml")
    assert issue.message.startswith("abnormalities.pneumothorax.any: ")
    assert "`nodul*` is a beginning" in issue.way_out


@pytest.mark.parametrize(("where", "field"), [("abnormalities.pneumothorax", "system"), ("locations.aorta", "group")])
def test_a_misspelt_entry_is_refused(tmp_path: Path, where: str, field: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f'[{where}]\nfoo = ["x"]\n')
    with pytest.raises(InputError, match="unknown entries: 'foo'") as refused:
        load_vocabulary((own,))
    assert refused.value.issues[0].way_out == f"Use some of {field}, any, not, both, implies, fine, becomes."


def test_a_new_term_may_imply_a_name_of_several_words(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[abnormalities.own]\nsystem = "lung"\nany = ["nodul*|12 mass"]\nimplies = ["air_trapping"]\n')
    assert load_vocabulary((own,)).abnormalities["own"].implies == ("air_trapping",)
