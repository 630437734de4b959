"""Report text to sentences of words, with the punctuation that matters kept beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\d+(?:[.,]\d+)?|[a-z]+|[^\sa-z\d]|\n")
_SENTENCE_ENDS = frozenset('.!;"”“•\n')
_ABBREVIATIONS = frozenset("vs approx ca dr e g i no lt rt".split())


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    ``words`` are lower-case words and numbers; ``breaks[i]`` holds the punctuation between word i - 1 and word i;
    ``spans[i]`` is the half-open character range of word i in the report.
    """

    words: tuple[str, ...]
    breaks: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def span(self) -> tuple[int, int]:
        """Character range of the whole sentence in the report."""
        return (self.spans[0][0], self.spans[-1][1])

    def __len__(self) -> int:
        return len(self.words)


def split_report(text: str) -> tuple[Sentence, ...]:
    """Split a report into sentences.

    A full stop inside a number ("1.5 cm") ends nothing; quotation marks, bullets, semicolons and line ends do, since
    reports use them to set off findings.
    """
    sentences: list[Sentence] = []
    words: list[str] = []
    breaks: list[str] = []
    spans: list[tuple[int, int]] = []
    pending = ""

    def close() -> None:
        nonlocal pending
        if words:
            sentences.append(Sentence(tuple(words), (*breaks, pending), tuple(spans)))
        words.clear()
        breaks.clear()
        spans.clear()
        pending = ""

    for match in _TOKEN.finditer(text.lower()):
        token = match.group()
        if token[0].isalnum():
            words.append(token)
            breaks.append(pending)
            spans.append(match.span())
            pending = ""
        elif (
            token in _SENTENCE_ENDS and not (token == "." and words and words[-1] in _ABBREVIATIONS)
        ) or token == "\n":
            close()
        else:
            pending += token
    close()
    return tuple(sentences)
