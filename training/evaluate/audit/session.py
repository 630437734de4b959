"""One store under audit: its predictions, what reviewers said of them, and the books; for windows and commands."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.cohort.results import CohortStore
from training.evaluate.audit.evidence import Books, Evidence
from training.evaluate.audit.log import FOLDER, VerdictLog, read_log
from training.evaluate.audit.missed import MissedWords
from training.evaluate.audit.predictions import Predictions, ThresholdKind
from training.evaluate.audit.select import Filter, Selection, select
from training.evaluate.audit.summary import Summary, summarise
from training.evaluate.audit.verdicts import Entry, Standing, Subject, Verdict, of_model, standing


def audit_folder(store: CohortStore) -> Path:
    """Return where the verdicts on ``store`` are kept."""
    return store.path / FOLDER


def default_reviewer() -> str:
    """Return the name under which this user judges unless told otherwise."""
    return getpass.getuser()


class Audit:
    """A store under audit.

    Parameters
    ----------
    store
        The cohort.
    log
        To judge; None to look only.
    kind, by_hand
        Thresholds, see :func:`training.evaluate.audit.predictions.thresholds`.
    evidence
        The books, to share them with another audit of the store; by default what is kept beside the verdicts.
    """

    def __init__(
        self,
        store: CohortStore,
        log: VerdictLog | None = None,
        kind: ThresholdKind = "checkpoint",
        by_hand: Mapping[str, float] | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        self.store, self.log = store, log
        self.predictions = Predictions.of(store, kind, by_hand)
        self.evidence = self._evidence() if evidence is None else evidence
        self.standing: Standing = {}
        self.of_other_models = 0
        self.reread()

    def _evidence(self) -> Evidence:
        found = Evidence(self.store, None if self.log is None else audit_folder(self.store))
        if self.log is None:
            found.take_kept(audit_folder(self.store))
        return found

    @property
    def reviewer(self) -> str:
        """Who judges; empty for an audit that is looked at only."""
        return "" if self.log is None else self.log.reviewer

    def set_thresholds(self, kind: ThresholdKind, by_hand: Mapping[str, float] | None = None) -> None:
        """Count predictions by other thresholds; errors as :func:`training.evaluate.audit.predictions.thresholds`."""
        self.predictions = Predictions.of(self.store, kind, by_hand)

    def reread(self) -> None:
        """Take in what other windows and reviewers have said since."""
        entries = read_log(audit_folder(self.store)) if self.log is None else self.log.entries()
        own, self.of_other_models = of_model(entries, self.store.model.sha256)
        self.standing = standing(own)

    def select(self, wanted: Filter) -> Selection:
        """Return the predictions to look at, see :func:`training.evaluate.audit.select.select`."""
        return select(self.predictions, wanted, self.standing, self.reviewer, self.evidence)

    def mine(self, subject: Subject) -> Entry | None:
        """Return what this reviewer says of ``subject``, None if nothing."""
        return self.standing.get((self.reviewer, subject))

    def judge(
        self,
        subject: Subject,
        verdict: Verdict | None,
        tags: Sequence[str] = (),
        comment: str = "",
        view: Mapping[str, Any] | None = None,
        books: Books | None = None,
    ) -> Entry:
        """Save what the reviewer says of ``subject``; it is on the disk when this returns.

        Raises
        ------
        ValueError
            If the audit is looked at only.
        InputError
            If it could not be saved.
        """
        entry = Entry(
            subject,
            verdict,
            self.reviewer,
            self.store.model.sha256,
            self.store.sha256,
            tuple(sorted(set(tags))),
            comment.strip(),
            dict(view or {}),
            self.facts(subject, books),
        )
        made = self._open_log().add(entry)
        self.standing[self.reviewer, subject] = made
        return made

    def undo(self) -> Entry | None:
        """Take back this reviewer's latest entry and return it, None if there is none; errors as :meth:`judge`."""
        undone = self._open_log().undo(self.store.model.sha256)
        self.reread()
        return undone

    def facts(self, subject: Subject, books: Books | None = None) -> dict[str, Any]:
        """Return what is shown of the prediction for ``subject``, as plain JSON types."""
        n, m = self.predictions.at(subject)
        found: dict[str, Any] = {
            "probability": float(self.predictions.probabilities[n, m]),
            "threshold": float(self.predictions.thresholds[m]),
            "threshold_kind": self.predictions.kind,
            "truth": int(self.predictions.truth[n, m]),
            "outcome": self.predictions.outcome(subject).value,
        }
        if books is not None:
            suggestion = books.suggestion(m)
            found |= {"suggestion": suggestion.hint.value, "shares": suggestion.shares}
            missed = self._missed(subject, books)
            found |= {"missed": None if missed is None else missed.kind.value}
        return found

    def suggestion_words(self, subject: Subject, books: Books) -> str:
        """Return what the books of its case suggest about ``subject``; for a missed abnormality also why."""
        found, missed = books.suggestion(self.predictions.at(subject)[1]).words, self._missed(subject, books)
        return found if missed is None else f"{found} {missed.words}".strip()

    def _missed(self, subject: Subject, books: Books) -> MissedWords | None:
        """Return why ``subject`` was missed, None if it was not."""
        n, m = self.predictions.at(subject)
        if not self.predictions.false_negative[n, m]:
            return None
        return books.missed(m, float(self.predictions.threshold_scores[m]))

    def summary(self, wanted: Filter | None = None) -> Summary:
        """Return the audit in numbers, as far as the books are known."""
        return summarise(self.predictions, self.standing, self.evidence, wanted)

    def _open_log(self) -> VerdictLog:
        if self.log is None:
            raise ValueError("this audit was opened to look at only")
        return self.log
