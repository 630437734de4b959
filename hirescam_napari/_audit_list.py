"""The list of an audit: what is chosen, the predictions that fit, where the reviewer stands, what comes next."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from hirescam_napari.views.audit_filter import AuditChoice
from training.evaluate.audit.select import Selection
from training.evaluate.audit.session import Audit
from training.evaluate.audit.verdicts import Subject

LOOK_AHEAD = 300
"""Rows among which the next cases to read are looked for."""

CASES_AHEAD = 3
"""Cases that are read ahead, that of the row itself included; the one before may come on top."""


class AuditList:
    """Predictions of one audit under one choice; nothing of it needs a window.

    Parameters
    ----------
    audit
        Whose predictions; its thresholds follow the choice.
    """

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.choice = AuditChoice(kind=audit.predictions.kind)
        self.row: int | None = None
        """Where the reviewer stands; None where there is nothing to look at."""
        self.selection: Selection = audit.select(self.choice.wanted)
        self.by_hand = dict(zip(audit.predictions.labels, audit.predictions.thresholds.tolist(), strict=True))
        """The thresholds that were set by hand, the others as they were."""

    @property
    def subject(self) -> Subject | None:
        """The prediction that is judged, None if there is none to look at."""
        return None if self.row is None else self.selection[self.row]

    def choose(self, choice: AuditChoice) -> int:
        """List what ``choice`` asks for, as it stands now, and return the row of what was looked at, 0 if it is gone.

        ``row`` is None then, until somebody goes somewhere.
        """
        subject = self.subject
        self.choice = self._counted(choice)
        self.audit.reread()
        self.selection = self.audit.select(self.choice.wanted)
        self.row = None
        return 0 if subject is None else self.selection.row_of(subject) or 0

    def cases(self) -> list[int]:
        """Return the positions of the cases that are listed; of all cases if none is."""
        return sorted(set(self.selection.rows.tolist())) or list(range(len(self.audit.store.cases)))

    def next_unjudged(self) -> int | None:
        """Return the next row that the reviewer has not judged, from the top again at the end; None if all are."""
        if self.row is None:
            return None
        for candidate in chain(range(self.row + 1, len(self.selection)), range(self.row)):
            mine = self.audit.mine(self.selection[candidate])
            if mine is None or mine.verdict is None:
                return candidate
        return None

    def cases_ahead(self) -> list[tuple[str, list[str]]]:
        """Return the cases to read with the labels to be shown: that of the row, the next to judge, those that follow.

        The case of the row before comes last.
        """
        if self.row is None:
            return []
        ahead, behind = (
            self.selection[self.row : self.row + LOOK_AHEAD],
            self.selection[max(0, self.row - 1) : self.row],
        )
        following = self.next_unjudged()
        jump = [] if following is None else [self.selection[following]]
        labels: dict[str, list[str]] = {}
        for one in (*ahead[:1], *jump, *ahead[1:], *behind):
            if one.case in labels or len(labels) < CASES_AHEAD or one in behind:
                labels.setdefault(one.case, []).append(one.label)
        return list(labels.items())

    def _counted(self, choice: AuditChoice) -> AuditChoice:
        """Count by the thresholds of ``choice``; return it with the threshold of its label, where that is by hand."""
        if choice.kind == "hand":
            chosen = choice.wanted.labels or self.audit.store.labels
            if choice.by_hand != self.choice.by_hand:
                self.by_hand |= dict.fromkeys(chosen, choice.by_hand)
            choice = replace(choice, by_hand=self.by_hand[chosen[0]])
        if choice.kind == "hand" or choice.kind != self.audit.predictions.kind:
            self.audit.set_thresholds(choice.kind, self.by_hand)
        return choice
