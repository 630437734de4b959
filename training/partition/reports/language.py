"""Is a report written in another language than English? By the small words that every sentence needs."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(
    "the of and is are was were with without there this that no not at from by for has have been which in to on".split()
)
_FOREIGN = frozenset(
    "le la les des du une est sont dans avec sans pas au aux et sur "  # French
    "der das und ist ein eine mit ohne nicht kein keine im auf bei "  # German
    "el los las una con sin se del y es il di della nel nella non senza e o do da dos em sem com uma "  # Romance
    "ve bir ile olup olan izlendi izlenmedi het een van met geen zonder".split()  # Turkish, Dutch
)
MIN_FOREIGN = 4
"""Small words of other languages from which a report may be foreign; fewer may be names or abbreviations."""


def seems_foreign(text: str) -> bool:
    """Return True if a text has several small words of other languages, and more of them than English ones."""
    words = _WORD.findall(text.lower())
    foreign = sum(word in _FOREIGN for word in words)
    return foreign >= MIN_FOREIGN and foreign > sum(word in _ENGLISH for word in words)
