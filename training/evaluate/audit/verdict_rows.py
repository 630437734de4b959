"""Verdicts as rows of a table, one for everything that stands."""

from __future__ import annotations

import json
from typing import Any

from training.evaluate.audit.session import Audit
from training.evaluate.audit.verdicts import Entry
from training.explain.budget import PLACES
from training.labels import display_name

EVIDENCE_COLUMNS = tuple(f"evidence_{place.replace(' ', '_')}" for place in PLACES)
VERDICT_COLUMNS = (
    *("case", "label", "display_name", "reviewer", "verdict", "tags", "comment"),
    *("probability", "threshold", "truth", "outcome", "outcome_when_judged", "suggestion", "missed"),
    *EVIDENCE_COLUMNS,
    *("time", "model_sha256", "store_sha256", "view"),
)
"""In this order; they are written even where nothing was judged yet."""


def verdict_rows(audit: Audit) -> list[dict[str, Any]]:
    """Return one row for everything that stands, on right predictions too, by case and label."""
    ordered = sorted(audit.standing.values(), key=lambda entry: (entry.subject, entry.reviewer))
    return [_row(audit, entry) for entry in ordered]


def _row(audit: Audit, entry: Entry) -> dict[str, Any]:
    known = entry.subject.case in audit.predictions.case_index and entry.subject.label in audit.predictions.label_index
    facts = audit.facts(entry.subject) if known else {}
    shares = entry.facts.get("shares") or [None] * len(PLACES)
    return {
        "case": entry.subject.case,
        "label": entry.subject.label,
        "display_name": display_name(entry.subject.label),
        "reviewer": entry.reviewer,
        "verdict": None if entry.verdict is None else entry.verdict.value,
        "tags": " ".join(entry.tags),
        "comment": entry.comment,
        **{name: facts.get(name) for name in ("probability", "threshold", "truth", "outcome")},
        "outcome_when_judged": entry.facts.get("outcome"),
        "suggestion": entry.facts.get("suggestion"),
        "missed": entry.facts.get("missed"),
        **dict(zip(EVIDENCE_COLUMNS, shares, strict=True)),
        "time": entry.time,
        "model_sha256": entry.model_sha256,
        "store_sha256": entry.store_sha256,
        "view": json.dumps(dict(entry.view), sort_keys=True),
    }
