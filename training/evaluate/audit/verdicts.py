"""What a reviewer says of a prediction, and which of many entries stand.

A reviewer's entries are a log that is only ever added to: a change is a new entry, undoing is an entry that names the
one it takes back. So the logs of several windows and reviewers merge by plain union, and nothing is ever lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self


class Verdict(StrEnum):
    """What a reviewer saw on the map of a prediction."""

    OUTSIDE_BODY = "outside body"
    WRONG_ORGAN = "wrong organ"
    WRONG_FINDING = "right organ, wrong finding"
    LABEL_WRONG = "plausible, label wrong"
    IMAGE_PROBLEM = "image problem"
    UNCLEAR = "unclear"


VERDICTS: tuple[Verdict, ...] = tuple(Verdict)
"""In the order of their keys, 1 to 6."""

SHOWS_ERROR = frozenset({Verdict.OUTSIDE_BODY, Verdict.WRONG_ORGAN})
"""Maps that show at once that the model was wrong: "focus outside the body or on an obviously incorrect organ"
(section 5 of the paper, which found 79 % of 212)."""


class Subject(NamedTuple):
    """What a verdict is about: one label of one case."""

    case: str
    label: str


@dataclass(frozen=True)
class Entry:
    """One line of a reviewer's log.

    Parameters
    ----------
    subject
        Label and case.
    verdict
        None for a comment, tags or a view alone.
    reviewer
        Who.
    model_sha256, store_sha256
        Hashes of the model and of the store that were looked at.
    tags
        Short words, sorted.
    comment
        Free text.
    view
        The view as it stood, plain JSON types.
    facts
        What was shown of the prediction: probability, threshold, truth, error kind, suggestion; plain JSON types.
    undoes
        Identity of the entry that this one takes back.
    id, time, window
        Identity, UTC time as ISO 8601 with microseconds, and the window (process) that wrote it; the log sets them.
    """

    subject: Subject
    verdict: Verdict | None
    reviewer: str
    model_sha256: str
    store_sha256: str
    tags: tuple[str, ...] = ()
    comment: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    undoes: str | None = None
    id: str = ""
    time: str = ""
    window: str = ""

    def to_row(self) -> dict[str, str | None]:
        """Return the columns of the log's table."""
        row: dict[str, Any] = asdict(self)
        row |= {"case_id": self.subject.case, "label": self.subject.label}
        row |= {name: json.dumps(row[name], sort_keys=True) for name in ("tags", "view", "facts")}
        row["verdict"] = None if self.verdict is None else self.verdict.value
        return {name: row[name] for name in COLUMNS}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_row`; raises ``ValueError`` for text that is not what the log writes."""
        kept = {name: row[name] for name in COLUMNS if name not in ("case_id", "label")}
        kept |= {name: json.loads(kept[name]) for name in ("tags", "view", "facts")}
        kept["tags"] = tuple(kept["tags"])
        kept["verdict"] = None if kept["verdict"] is None else Verdict(kept["verdict"])
        return cls(subject=Subject(row["case_id"], row["label"]), **kept)


COLUMNS = (
    "id",
    "time",
    "window",
    "reviewer",
    "case_id",
    "label",
    "verdict",
    "tags",
    "comment",
    "view",
    "facts",
    "undoes",
    "model_sha256",
    "store_sha256",
)

Standing = dict[tuple[str, Subject], Entry]
"""The entry that stands, by reviewer and subject."""


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries by time (their identity decides between equal times); each once."""
    return sorted({entry.id: entry for entry in entries}.values(), key=lambda entry: (entry.time, entry.id))


def not_undone(entries: Iterable[Entry]) -> list[Entry]:
    """Return, in order, the entries that say something and were not taken back."""
    ordered = in_order(entries)
    undone = {entry.undoes for entry in ordered if entry.undoes}
    return [entry for entry in ordered if not entry.undoes and entry.id not in undone]


def standing(entries: Iterable[Entry]) -> Standing:
    """Return the latest entry of every reviewer about every subject that was not taken back."""
    return {(entry.reviewer, entry.subject): entry for entry in not_undone(entries)}


def of_model(entries: Iterable[Entry], model_sha256: str) -> tuple[list[Entry], int]:
    """Return the entries about the maps of one model, and how many are about other models and so do not count here."""
    every = list(entries)
    own = [entry for entry in every if entry.model_sha256 == model_sha256]
    return own, len(every) - len(own)
