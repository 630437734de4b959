"""An audit in numbers: progress, verdicts with intervals, suggestions, agreement; rows of plain JSON types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluate.audit.agreement import agreements, share
from training.evaluate.audit.evidence import Evidence
from training.evaluate.audit.missed import MISSED
from training.evaluate.audit.predictions import Outcome, Predictions
from training.evaluate.audit.select import Filter, Selection, select
from training.evaluate.audit.shortcut import against_even
from training.evaluate.audit.suggest import HINTS, Hint
from training.evaluate.audit.verdicts import SHOWS_ERROR, VERDICTS, Standing, Subject, Verdict
from training.evaluate.rows import Row, Rows

ANYBODY = "anybody"
"""All reviewers together."""

SHOWN = "the map shows the error"
"""Row that sums up :data:`SHOWS_ERROR`."""

WRONG = (Outcome.FALSE_POSITIVE, Outcome.FALSE_NEGATIVE)


@dataclass(frozen=True)
class Summary:
    """What an audit has come to.

    Parameters
    ----------
    progress
        By label and reviewer: wrong predictions, and how many of them were judged.
    verdicts
        By reviewer and verdict: how many, of how many judged wrong predictions, with intervals.
    by_label
        By label: share of judged wrong predictions whose map shows the error.
    suggestions
        By label: wrong predictions whose books are known, how many each suggestion fits, the share (of those that have
        evidence) with most of it outside the allowed organ, and the median share of the evidence inside it, as found
        and if it were spread evenly, and whether that is clearly less (see ``shortcut``).
    missed
        By label: false negatives whose books are known, and how many of them each of ``MISSED`` fits.
    against_suggestions
        By suggestion and verdict: how many judged wrong predictions.
    agreement
        By two reviewers.
    counts
        Sums of all labels.
    """

    progress: Rows
    verdicts: Rows
    by_label: Rows
    suggestions: Rows
    missed: Rows
    against_suggestions: Rows
    agreement: Rows
    counts: Mapping[str, Any]

    def tables(self) -> dict[str, Rows]:
        """Return the rows of every table by its name; tables without rows are left out."""
        names = ("verdicts", "by_label", "suggestions", "missed", "against_suggestions", "agreement", "progress")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def summarise(
    predictions: Predictions, standing: Standing, evidence: Evidence, wanted: Filter | None = None
) -> Summary:
    """Return the numbers of an audit of the wrong predictions.

    Parameters
    ----------
    wanted
        Keeps to some labels, or one group; what else it asks for is left out. All labels by default.
    """
    chosen = wanted or Filter()
    wrong = select(predictions, Filter(labels=chosen.labels, group=chosen.group))
    labels = [name for name in predictions.labels if not chosen.labels or name in chosen.labels]
    said = _about(standing, wrong)
    reviewers = sorted({who for who, _ in said})
    return Summary(
        progress=tuple(_progress(wrong, said, labels, reviewers)),
        verdicts=tuple(row for who in _columns(reviewers) for row in _verdict_rows(said, who)),
        by_label=tuple(_label_rows(said, labels)),
        suggestions=tuple(_suggestion_rows(predictions, evidence, wrong, labels)),
        missed=tuple(_missed_rows(predictions, evidence, wrong, labels)),
        against_suggestions=tuple(_crossed(predictions, evidence, said)),
        agreement=tuple(_agreement_rows(said)),
        counts=_counts(predictions, wrong, said, standing),
    )


def _about(standing: Standing, wrong: Selection) -> Standing:
    """Return the verdicts on wrong predictions."""
    given = {key: entry for key, entry in standing.items() if entry.verdict is not None}
    known = wrong.among({subject for _, subject in given})
    return {key: entry for key, entry in given.items() if key[1] in known}


def _columns(reviewers: list[str]) -> list[str]:
    return [*reviewers, ANYBODY] if len(reviewers) != 1 else reviewers


def agreed_verdicts(said: Standing) -> dict[Subject, Verdict | None]:
    """Return what most reviewers said of each subject; None where no verdict was given more often than all others."""
    given: dict[Subject, Counter[Verdict]] = {}
    for (_, subject), entry in said.items():
        if entry.verdict is not None:
            given.setdefault(subject, Counter())[entry.verdict] += 1
    return {subject: _most(counts) for subject, counts in given.items()}


def _most(counts: Counter[Verdict]) -> Verdict | None:
    (first, n), *others = counts.most_common(2)
    return None if others and others[0][1] == n else first


def _of(said: Standing, reviewer: str) -> dict[Subject, Verdict | None]:
    if reviewer == ANYBODY:
        return agreed_verdicts(said)
    return {subject: entry.verdict for (who, subject), entry in said.items() if who == reviewer}


def _progress(wrong: Selection, said: Standing, labels: list[str], reviewers: list[str]) -> Iterable[Row]:
    n_wrong = wrong.by_label()
    for who in _columns(reviewers):
        n_judged = Counter(subject.label for subject in _of(said, who))
        for label in labels:
            if n_wrong[label]:
                yield {"label": label, "reviewer": who, "wrong": n_wrong[label], "judged": n_judged[label]}


def _share_row(count: int, of: int) -> dict[str, Any]:
    found = share(count, of)
    return {"count": count, "of": of, "share": found.value, "share_low": found.low, "share_high": found.high}


def _verdict_rows(said: Standing, reviewer: str) -> Iterable[Row]:
    given = _of(said, reviewer)
    if not given:
        return
    counts = Counter(given.values())
    for verdict in VERDICTS:
        yield {"reviewer": reviewer, "verdict": verdict.value, **_share_row(counts[verdict], len(given))}
    if counts[None]:
        yield {"reviewer": reviewer, "verdict": "reviewers differ", **_share_row(counts[None], len(given))}
    shows = sum(counts[verdict] for verdict in SHOWS_ERROR)
    yield {"reviewer": reviewer, "verdict": SHOWN, **_share_row(shows, len(given))}


def _label_rows(said: Standing, labels: list[str]) -> Iterable[Row]:
    agreed = agreed_verdicts(said)
    for label in labels:
        own = [verdict for subject, verdict in agreed.items() if subject.label == label]
        if own:
            shows = sum(verdict in SHOWS_ERROR for verdict in own)
            yield {"label": label, **_share_row(shows, len(own))}


def _suggestion_rows(
    predictions: Predictions, evidence: Evidence, wrong: Selection, labels: list[str]
) -> Iterable[Row]:
    outside = evidence.outside_allowed()
    for label in labels:
        m = predictions.label_index[label]
        rows = wrong.rows[wrong.columns == m]
        rows = rows[evidence.known[rows]]
        if not len(rows):
            continue
        fits = {hint.value: int((evidence.hints[rows, m] == code).sum()) for code, hint in enumerate(HINTS)}
        with_evidence = len(rows) - fits[Hint.UNKNOWN.value] - fits[Hint.HARDLY_ANY.value]
        found = share(int(outside[rows, m].sum()), with_evidence)
        enough = rows[evidence.hints[rows, m] != HINTS.index(Hint.HARDLY_ANY)]
        compared = against_even(evidence.shares[enough, m, 0], evidence.even[enough, m])
        yield {
            "label": label,
            "wrong": len(rows),
            **fits,
            "n_outside": found.count,
            "n_with_evidence": found.of,
            "outside": found.value,
            "outside_low": found.low,
            "outside_high": found.high,
            "in_allowed": _median(evidence.shares[rows, m, 0]),
            "evenly_spread": _median(evidence.even[rows, m]),
            "times_even": compared.ratio,
            "times_even_low": compared.low,
            "times_even_high": compared.high,
            "inside_against_even": compared.words.value,
        }


def _missed_rows(predictions: Predictions, evidence: Evidence, wrong: Selection, labels: list[str]) -> Iterable[Row]:
    codes = evidence.missed(predictions)
    for label in labels:
        m = predictions.label_index[label]
        rows = wrong.rows[wrong.columns == m]
        rows = rows[evidence.known[rows] & predictions.false_negative[rows, m]]
        if len(rows):
            fits = {kind.value: int((codes[rows, m] == code).sum()) for code, kind in enumerate(MISSED)}
            yield {"label": label, "missed": len(rows), **fits}


def _median(values: npt.NDArray[np.floating]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None


def _crossed(predictions: Predictions, evidence: Evidence, said: Standing) -> Iterable[Row]:
    counts: Counter[tuple[Hint, Verdict | None]] = Counter()
    for subject, verdict in agreed_verdicts(said).items():
        hint = evidence.hint(predictions, subject)
        if hint is not None:
            counts[hint, verdict] += 1
    for hint in HINTS:
        own = {verdict.value: counts[hint, verdict] for verdict in VERDICTS}
        if sum(own.values()):
            yield {"suggestion": hint.value, **own}


def _agreement_rows(said: Standing) -> Iterable[Row]:
    for one in agreements(said):
        yield {
            "first": one.first,
            "second": one.second,
            "n": one.n,
            "observed": one.observed,
            "kappa": one.kappa.value,
            "kappa_low": one.kappa.low,
            "kappa_high": one.kappa.high,
        }


def _counts(predictions: Predictions, wrong: Selection, said: Standing, standing: Standing) -> dict[str, Any]:
    judged = agreed_verdicts(said)
    shows = sum(verdict in SHOWS_ERROR for verdict in judged.values())
    false_positive = predictions.false_positive[wrong.rows, wrong.columns].sum()
    return {
        "cases": len(predictions.cases),
        "labels": len(predictions.labels),
        "wrong": len(wrong),
        "false_positive": int(false_positive),
        "false_negative": len(wrong) - int(false_positive),
        "judged": len(judged),
        "judged_of_other_predictions": len({subject for _, subject in standing} - set(judged)),
        "shows_error": _share_row(shows, len(judged)),
    }
