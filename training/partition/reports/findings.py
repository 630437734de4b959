"""From a report to findings: which abnormality, asserted or not, where, how large, and by which words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from training.partition.reports.context import Clause, Status, clauses
from training.partition.reports.patterns import Match
from training.partition.reports.tokens import Sentence, split_report
from training.partition.reports.vocabulary import Term, Vocabulary

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?$")
_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimeters": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "centimeters": 10.0,
}


@dataclass(frozen=True)
class Finding:
    """One mention of an abnormality.

    ``span`` is the character range of its words in the report, ``sentence`` that of its sentence. ``locations`` are
    keys of the location vocabulary found in its clause (or, if there are none, its sentence); ``inherited`` tells that
    they come from the section the sentence stands in. ``sizes_mm`` are all lengths in the clause, ``beside`` the other
    abnormalities named in it.
    """

    abnormality: str
    status: Status
    locations: frozenset[str]
    sizes_mm: tuple[float, ...]
    span: tuple[int, int]
    sentence: tuple[int, int]
    beside: frozenset[str] = frozenset()
    inherited: bool = False


def find_findings(text: str, vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """Return every mention of an abnormality in ``text``, in reading order."""
    return findings_of(split_report(text), vocabulary)


def findings_of(sentences: Iterable[Sentence], vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """Return every mention of an abnormality in the sentences of a report, in reading order."""
    findings: list[Finding] = []
    section: frozenset[str] = frozenset()
    for sentence in sentences:
        section = _section(sentence, section)
        findings += _sentence_findings(sentence, vocabulary, section)
    return tuple(findings)


def _section(sentence: Sentence, current: frozenset[str]) -> frozenset[str]:
    """Return the section default: 'lung' after a heading such as "When examined in the lung parenchyma window"."""
    words = set(sentence.words)
    if "window" in words and ("lung" in words or "parenchyma" in words):
        return frozenset({"lung"})
    if words & {"abdomen", "abdominal", "liver", "bone", "vertebral", "vertebrae", "adrenal"}:
        return frozenset()
    return current


def kept(matches: Iterable[Match], found: list[Match]) -> list[Match]:
    """Return the matches that no look-alike (``!key``) of their own covers, one per key and place."""
    vetoes = [m for m in found if m.key.startswith("!")]
    result: dict[tuple[str, int], Match] = {}
    for match in matches:
        veto = any(v.key[1:] == match.key and v.start <= match.start and match.stop <= v.stop for v in vetoes)
        if not veto:
            result.setdefault((match.key, match.start), match)
    return list(result.values())


def _sentence_findings(sentence: Sentence, vocabulary: Vocabulary, section: frozenset[str]) -> list[Finding]:
    found = vocabulary.abnormality_index.find(sentence)
    matches = kept((m for m in found if not m.key.startswith("!")), found)
    if not matches:
        return []
    parts = clauses(sentence)
    places = _places(sentence, vocabulary)
    findings: list[Finding] = []
    for match, status in zip(matches, vocabulary.context.judge(sentence, matches), strict=True):
        part = next(p for p in parts if p.start <= match.start < p.stop)
        named = _one_organ(_within(places, part) or _within(places, Clause(0, len(sentence))))
        findings += [
            Finding(
                key,
                status,
                named or section,
                sizes_mm(sentence, part),
                (sentence.spans[match.start][0], sentence.spans[match.stop - 1][1]),
                sentence.span,
                frozenset(m.key for m in matches if part.start <= m.start < part.stop and m.key != match.key),
                not named and bool(section),
            )
            for key in _names(vocabulary.abnormalities[match.key], named)
        ]
    return findings


def _within(places: list[tuple[Match, frozenset[str]]], part: Clause) -> frozenset[str]:
    """Return the locations named in a clause."""
    return frozenset(key for match, keys in places if part.start <= match.start < part.stop for key in keys)


def _places(sentence: Sentence, vocabulary: Vocabulary) -> list[tuple[Match, frozenset[str]]]:
    found = vocabulary.location_index.find(sentence)
    matches = kept((m for m in found if not m.key.startswith("!")), found)
    return [(m, frozenset({m.key, *vocabulary.locations[m.key].implies})) for m in matches]


def _names(term: Term, locations: frozenset[str]) -> tuple[str, ...]:
    """Return the abnormality itself, what it implies, and what it becomes at these places."""
    placed = [name for place, name in term.becomes.items() if place in locations]
    if term.becomes and locations <= _SIDES:  # "a right-sided effusion" names no organ
        placed = [term.becomes["nowhere"]]
    return (term.key, *term.implies, *dict.fromkeys(placed))


_SIDES = frozenset({"left", "right"})
_OTHER_ORGANS = frozenset({"thyroid", "liver", "kidney", "adrenal_gland", "breast", "spleen", "pancreas", "spine"})
_LUNG = frozenset(
    "left_upper left_mid left_lower right_upper right_mid right_lower right_lung left_lung lung lung_word".split()
)


def _one_organ(locations: frozenset[str]) -> frozenset[str]:
    """Drop lung places that rest on words other organs share ("right lobe of the liver")."""
    if locations & _OTHER_ORGANS and "lung_word" not in locations:
        return locations - _LUNG
    return locations


def sizes_mm(sentence: Sentence, part: Clause) -> tuple[float, ...]:
    """Return the lengths named in a clause, mm: "12 mm", "1.5 cm", "17 x 13 mm" (both)."""
    words = sentence.words[part.start : part.stop]
    sizes: list[float] = []
    pending: list[float] = []
    for word in words:
        if _NUMBER.match(word):
            pending.append(float(word.replace(",", ".")))
        elif word in _MM:
            sizes += [value * _MM[word] for value in pending]
            pending = []
        elif word != "x":
            pending = []
    return tuple(sizes)
