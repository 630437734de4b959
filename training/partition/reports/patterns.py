"""Word patterns for the vocabulary, and an index that finds all of them in a sentence in one pass.

A pattern is words separated by spaces. ``nodul*`` matches a word by its beginning, ``mass|tumor`` one of several,
``...`` up to ``GAP`` words of anything, ``#mm`` a number with that unit. Hyphens do not matter: they separate words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from training.partition.reports.tokens import Sentence

_WORD = re.compile(r"(?:[a-z]+|\d+(?:[.,]\d+)?)\*?")
"""A word as reports are cut into, or its beginning."""

GAP = 5
"""How many words ``...`` may skip."""


@dataclass(frozen=True)
class Match:
    """``key`` was found at words ``start`` .. ``stop`` (half open) of a sentence."""

    key: str
    start: int
    stop: int


@dataclass(frozen=True)
class Element:
    """One word of a pattern: exact words, beginnings, and whether a gap may come before it."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    gap: bool = False

    def matches(self, word: str) -> bool:
        """Return True if ``word`` is one of the element's words."""
        return word in self.exact or (bool(self.prefixes) and word.startswith(self.prefixes))


@cache
def parse(pattern: str) -> tuple[Element, ...]:
    """Return the elements of ``pattern``.

    Raises
    ------
    ValueError
        If the pattern is empty, begins or ends with a gap, or holds what is no word of a report.
    """
    elements: list[Element] = []
    gap = False
    for token in pattern.lower().replace("-", " ").split():
        if token == "...":
            gap = True
            continue
        options = token.split("|")
        if not all(map(_WORD.fullmatch, options)):
            raise ValueError(f"{token!r} in the pattern {pattern!r} is no word")
        exact = frozenset(o for o in options if not o.endswith("*"))
        prefixes = tuple(o[:-1] for o in options if o.endswith("*"))
        elements.append(Element(exact, prefixes, gap))
        gap = False
    if not elements or gap or elements[0].gap:
        raise ValueError(f"pattern {pattern!r} must begin and end with a word")
    return tuple(elements)


def example(pattern: str) -> str:
    """Return words that ``pattern`` matches; gaps stay empty."""
    words = [t.split("|")[0].rstrip("*") for t in pattern.lower().replace("-", " ").split() if t != "..."]
    return " ".join(words)


def _match_from(elements: tuple[Element, ...], words: tuple[str, ...], start: int) -> int | None:
    """Return the stop index of the shortest match whose first word is at ``start``, or None."""
    at = start + 1
    for element in elements[1:]:
        reach = min(len(words), at + (GAP if element.gap else 0) + 1)
        for here in range(at, reach):
            if element.matches(words[here]):
                at = here + 1
                break
        else:
            return None
    return at


class PatternIndex:
    """All patterns of a vocabulary, indexed by their first word."""

    def __init__(self, patterns: Mapping[str, Iterable[str]]) -> None:
        self._all = [(key, parse(p)) for key, group in patterns.items() for p in group]
        self._by_word: dict[str, tuple[tuple[str, tuple[Element, ...]], ...]] = {}

    def _starting_at(self, word: str) -> tuple[tuple[str, tuple[Element, ...]], ...]:
        found = self._by_word.get(word)
        if found is None:
            found = tuple(entry for entry in self._all if entry[1][0].matches(word))
            self._by_word[word] = found
        return found

    def find(self, sentence: Sentence) -> list[Match]:
        """Return every match in the order of its first word; matches of different keys may overlap."""
        words = sentence.words
        matches: list[Match] = []
        for start, word in enumerate(words):
            for key, elements in self._starting_at(word):
                stop = _match_from(elements, words, start)
                if stop is not None:
                    matches.append(Match(key, start, stop))
        return matches
