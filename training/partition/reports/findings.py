"""From a report to findings: which abnormality, asserted or not, where, how large, and by which words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from training.partition.reports.context import Clause, Status, clauses
from training.partition.reports.patterns import Match
from training.partition.reports.sizes import Length, lengths
from training.partition.reports.tokens import Sentence, split_report
from training.partition.reports.vocabulary import Term, Vocabulary


@dataclass(frozen=True)
class Finding:
    """One mention of an abnormality.

    ``span`` is the character range of its words in the report, ``sentence`` that of its sentence. ``locations`` are
    keys of the location vocabulary found in its clause (or, if there are none, its sentence); ``inherited`` tells that
    they come from the section the sentence stands in. ``lengths`` are all lengths in the clause, and short axes of the
    next sentence where that names no abnormality; ``beside`` the other abnormalities named in the clause. ``reason``
    tells what decided where the words alone did not.
    """

    abnormality: str
    status: Status
    locations: frozenset[str]
    lengths: tuple[Length, ...]
    span: tuple[int, int]
    sentence: tuple[int, int]
    beside: frozenset[str] = frozenset()
    inherited: bool = False
    reason: str = ""

    @property
    def sizes_mm(self) -> tuple[float, ...]:
        """All lengths, mm."""
        return tuple(length.mm for length in self.lengths)


def names_no_place(finding: Finding) -> bool:
    """Return True if no organ is named with a finding: nothing, or a side or direction alone."""
    return finding.locations <= _DIRECTIONS


def find_findings(text: str, vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """Return every mention of an abnormality in ``text``, in reading order."""
    return findings_of(split_report(text), vocabulary)


def places_in(text: str, vocabulary: Vocabulary) -> frozenset[str]:
    """Return the keys of all locations that ``text`` names, with or without a finding there."""
    return frozenset(
        key for sentence in split_report(text) for _, keys in _places(sentence, vocabulary) for key in keys
    )


def findings_of(sentences: Iterable[Sentence], vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """Return every mention of an abnormality in the sentences of a report, in reading order."""
    findings: list[Finding] = []
    section: frozenset[str] = frozenset()
    every = tuple(sentences)
    for sentence, after in zip_longest(every, every[1:]):
        section = _section(sentence, section)
        findings += _sentence_findings(sentence, after, vocabulary, section)
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


def _mentions(sentence: Sentence, vocabulary: Vocabulary) -> list[Match]:
    found = vocabulary.abnormality_index.find(sentence)
    return kept((m for m in found if not m.key.startswith("!")), found)


def _sentence_findings(
    sentence: Sentence, after: Sentence | None, vocabulary: Vocabulary, section: frozenset[str]
) -> list[Finding]:
    matches = _mentions(sentence, vocabulary)
    if not matches:
        return []
    parts = clauses(sentence)
    places = _places(sentence, vocabulary)
    sizes: dict[Clause, tuple[Length, ...]] = {}
    findings: list[Finding] = []
    for match, status in zip(matches, vocabulary.context.judge(sentence, matches), strict=True):
        part = next(p for p in parts if p.start <= match.start < p.stop)
        named = _one_organ(_within(places, part) or _within(places, Clause(0, len(sentence))))
        if part not in sizes:  # they hang on the clause alone, and a clause may name hundreds of findings
            sizes[part] = _sizes(part, parts, matches, sentence, after, vocabulary)
        findings += [
            Finding(
                key,
                status,
                named or section,
                sizes[part],
                (sentence.spans[match.start][0], sentence.spans[match.stop - 1][1]),
                sentence.span,
                frozenset(m.key for m in matches if part.start <= m.start < part.stop and m.key != match.key),
                not named and bool(section),
            )
            for key in _names(vocabulary.abnormalities[match.key], named)
        ]
    return findings


def _sizes(
    part: Clause,
    parts: Sequence[Clause],
    matches: Sequence[Match],
    sentence: Sentence,
    after: Sentence | None,
    vocabulary: Vocabulary,
) -> tuple[Length, ...]:
    """Return the lengths of a clause, and where no short axis is among them those that are told right behind it."""
    own = lengths(sentence, part)
    if any(length.axis == "short" for length in own):
        return own
    return own + _short_axes_behind(part, parts, matches, sentence, after, vocabulary)


def _short_axes_behind(
    part: Clause,
    parts: Sequence[Clause],
    matches: Sequence[Match],
    sentence: Sentence,
    after: Sentence | None,
    vocabulary: Vocabulary,
) -> tuple[Length, ...]:
    """Return the short axes told right behind a clause: in the next ones, or the next sentence, that name nothing."""
    for later in parts[parts.index(part) + 1 :]:
        if any(later.start <= match.start < later.stop for match in matches):
            return ()
        found = _short_axes(sentence, later)
        if found:
            return found
    found = () if after is None else _short_axes(after, Clause(0, len(after)))
    return found if found and after is not None and not _mentions(after, vocabulary) else ()


def _short_axes(sentence: Sentence, part: Clause) -> tuple[Length, ...]:
    return tuple(length for length in lengths(sentence, part) if length.axis == "short")


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
_DIRECTIONS = _SIDES | {"anterior", "posterior", "superior", "inferior", "medial", "lateral"}
_OTHER_ORGANS = frozenset({"thyroid", "liver", "kidney", "adrenal_gland", "breast", "spleen", "pancreas", "spine"})
_LUNG = frozenset(
    "left_upper left_mid left_lower right_upper right_mid right_lower right_lung left_lung lung lung_word".split()
)


def _one_organ(locations: frozenset[str]) -> frozenset[str]:
    """Drop lung places that rest on words other organs share ("right lobe of the liver")."""
    if locations & _OTHER_ORGANS and "lung_word" not in locations:
        return locations - _LUNG
    return locations
