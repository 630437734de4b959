"""Report text to sentences of words, with the punctuation that matters kept beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r"\d+(?:[.,]\d+)?|[a-z]+|[^\sa-z\d]|\n")
_SENTENCE_ENDS = frozenset('.!;"”“•\n')
_ABBREVIATIONS = frozenset("vs approx ca dr e g i no lt rt".split())

MAX_WORDS = 500
"""Words at which a sentence is cut.

What is done with a sentence grows faster than its length, and no sentence that a person wrote is as long. It is cut at
a comma if its second half has one. A finding that is denied beyond the cut counts as asserted.
"""


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    ``words`` are lower-case words and numbers; ``breaks[i]`` holds the marks between word i - 1 and word i, each once;
    ``spans[i]`` is the half-open character range of word i in the report. ``is_cut``: it went on for longer than
    :data:`MAX_WORDS`, and the rest is the next one.
    """

    words: tuple[str, ...]
    breaks: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    is_cut: bool = False

    @property
    def span(self) -> tuple[int, int]:
        """Character range of the whole sentence in the report."""
        return (self.spans[0][0], self.spans[-1][1])

    def __len__(self) -> int:
        return len(self.words)


@dataclass
class _Open:
    """The sentence that is being read, and the marks since its last word."""

    words: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    marks: str = ""

    def add(self, word: str, span: tuple[int, int]) -> None:
        self.words.append(word)
        self.breaks.append(self.marks)
        self.spans.append(span)
        self.marks = ""

    def close(self) -> list[Sentence]:
        """Return the sentence, if it has words, and begin another."""
        found = [Sentence(tuple(self.words), (*self.breaks, self.marks), tuple(self.spans))] if self.words else []
        self.words, self.breaks, self.spans, self.marks = [], [], [], ""
        return found

    def cut(self) -> Sentence:
        """Return the sentence up to its last comma (or all of it), and go on with the rest."""
        n = len(self.words)
        at = next((i for i in range(n - 1, n // 2, -1) if "," in self.breaks[i]), n)
        end = self.breaks[at] if at < n else self.marks
        found = Sentence(tuple(self.words[:at]), (*self.breaks[:at], end), tuple(self.spans[:at]), True)
        del self.words[:at], self.breaks[:at], self.spans[:at]
        return found


def split_report(text: str) -> tuple[Sentence, ...]:
    """Split a report into sentences of at most :data:`MAX_WORDS` words.

    A full stop inside a number ("1.5 cm") ends nothing; quotation marks, bullets, semicolons and line ends do, since
    reports use them to set off findings.
    """
    sentences: list[Sentence] = []
    now = _Open()
    for match in _TOKEN.finditer(text.lower()):
        token = match.group()
        if token[0].isalnum():
            if len(now.words) == MAX_WORDS:
                sentences.append(now.cut())
            now.add(token, match.span())
        elif token == "\n" or (token in _SENTENCE_ENDS and not _abbreviates(token, now.words)):
            sentences += now.close()
        elif token not in now.marks:  # which marks there are matters, not how many
            now.marks += token
    return (*sentences, *now.close())


def _abbreviates(token: str, words: list[str]) -> bool:
    return token == "." and bool(words) and words[-1] in _ABBREVIATIONS
