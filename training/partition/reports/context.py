"""Is a finding asserted, denied or doubted? Clauses and triggers over one sentence.

A sentence is cut into clauses where both sides carry a predicate. Triggers (``data/context.toml``) then act inside
their clause: before what they deny ("no nodule"), after it ("nodule was not observed"), or on the whole of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from training.partition.reports.patterns import Match, PatternIndex
from training.partition.reports.tokens import Sentence


class Status(StrEnum):
    """What a report says of a finding."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"


_PREDICATES = frozenset(
    "is are was were be been has have had there shows show appear appears exist exists seen observed detected noted "
    "found present monitored followed measured evaluated considered thought attracts draws identified visualized "
    "watched encountered distinguished selected".split()
)
_OPENERS = frozenset(["but", "however", "although", "while", "whereas", "though"])
_CONTINUERS = frozenset("which that whose who is are was were has have not some measuring".split())
"""A segment that begins so has no subject of its own: it goes on with the clause before it."""


@dataclass(frozen=True)
class Clause:
    """Words ``start`` .. ``stop`` (half open) of a sentence that share one assertion."""

    start: int
    stop: int


def _has_predicate(words: tuple[str, ...], start: int, stop: int) -> bool:
    return any(w in _PREDICATES for w in words[start:stop])


def _cuts(sentence: Sentence) -> list[int]:
    """Return the word indices before which a clause might begin."""
    words, breaks = sentence.words, sentence.breaks
    cuts = []
    for i in range(1, len(words)):
        opens = words[i] in _OPENERS
        comma = any(c in ",:" for c in breaks[i])
        joined = words[i] == "and" and i + 1 < len(words) and words[i + 1] in {"no", "there", "not", "without"}
        joined = joined or (words[i] == "and" and _has_predicate(words, 0, i))
        if opens or comma or joined:
            cuts.append(i)
    return cuts


def clauses(sentence: Sentence) -> list[Clause]:
    """Cut a sentence where both sides carry a predicate of their own; lists stay whole."""
    words = sentence.words
    edges = [0, *_cuts(sentence), len(words)]
    found: list[Clause] = []
    start = 0
    for here, after in pairwise(edges[1:]):
        continues = words[here] in _CONTINUERS
        both = _has_predicate(words, start, here) and _has_predicate(words, here, after)
        if words[here] in _OPENERS or (both and not continues):
            found.append(Clause(start, here))
            start = here
    found.append(Clause(start, len(words)))
    return found


TRIGGER_KINDS = frozenset(
    {"masked", "deny_after", "deny_before", "deny_clause", "doubt_after", "doubt_before", "except"}
)
"""The lists a context file may hold."""


class ContextRules:
    """The triggers of ``data/context.toml``, ready to judge matches."""

    def __init__(self, triggers: dict[str, list[str]]) -> None:
        self._index = PatternIndex(triggers)

    def judge(self, sentence: Sentence, matches: list[Match]) -> list[Status]:
        """Return the status of each match.

        Kinds of trigger: ``masked`` (hides denials inside it, no doubts), ``deny_after`` (denies what follows it),
        ``deny_before`` (denies what precedes it), ``deny_clause``, ``doubt_after``, ``doubt_before``,
        ``except`` (what follows is asserted again).
        """
        triggers = self._index.find(sentence)
        masked = [t for t in triggers if t.key == "masked"]
        active = [t for t in triggers if t.key != "masked" and not _is_hidden(t, masked)]
        parts = clauses(sentence)
        return [self._status(match, _clause_of(match, parts), active, sentence) for match in matches]

    def _status(self, match: Match, clause: Clause, triggers: list[Match], sentence: Sentence) -> Status:
        here = [t for t in triggers if clause.start <= t.start < clause.stop and not _inside(t, match)]
        excepted = [t for t in here if t.key == "except" and t.stop <= match.start]
        floor = excepted[-1].stop if excepted else clause.start
        for trigger in here:
            before = trigger.stop <= match.start and trigger.start >= floor
            after = trigger.start >= match.stop
            between = any(t.key == "except" and match.stop <= t.start < trigger.start for t in here)
            if trigger.key == "deny_after" and before:
                return Status.ABSENT
            if trigger.key == "deny_before" and after and not between:
                return Status.ABSENT
            if trigger.key == "deny_clause" and (after or before):
                return Status.ABSENT
        for trigger in here:
            before = trigger.stop <= match.start and trigger.start >= floor
            if (trigger.key == "doubt_after" and before) or (
                trigger.key == "doubt_before" and trigger.start >= match.stop
            ):
                return Status.UNCERTAIN
        if "?" in sentence.breaks[match.stop] or "?" in sentence.breaks[match.start]:
            return Status.UNCERTAIN
        return Status.PRESENT


def _is_hidden(trigger: Match, masked: list[Match]) -> bool:
    """Return True for a denial inside masked words; a doubt stays: "not excluded" denies nothing and doubts."""
    return not trigger.key.startswith("doubt") and any(m.start <= trigger.start < m.stop for m in masked)


def _inside(inner: Match, outer: Match) -> bool:
    return outer.start <= inner.start and inner.stop <= outer.stop


def _clause_of(match: Match, parts: list[Clause]) -> Clause:
    for part in parts:
        if part.start <= match.start < part.stop:
            return part
    raise ValueError("match lies outside its sentence")
