"""The two tables of names in a cohort store: which cases it plans, and why cases failed."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from training.cohort.results import layout as names
from training.cohort.results.files import damaged
from training.issues import InputError, error


def read_cases(store: Path, sha256: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of all planned cases and their splits.

    Raises
    ------
    InputError
        If the table is missing, or its content has not the SHA-256 ``sha256``.
    """
    try:
        text = (store / names.CASES_FILE).read_bytes()
    except OSError as failure:
        raise damaged(store, f"{names.CASES_FILE} is missing or unreadable") from failure
    if hashlib.sha256(text).hexdigest() != sha256:
        raise damaged(store, f"{names.CASES_FILE} was changed")
    rows = list(csv.reader(text.decode("utf-8").splitlines()))[1:]
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


def read_failures(store: Path) -> dict[str, str]:
    """Return why cases failed, by name: the content of ``failures.csv``, empty if there is none."""
    file = store / names.FAILURES_FILE
    if not file.is_file():
        return {}
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            return {row["case"]: row["reason"] for row in csv.DictReader(stream)}
    except (ValueError, KeyError, csv.Error) as failure:
        way_out = "Remove it; `hirescam batch` writes it again."
        raise InputError(error("damaged-store", "was changed, and cannot be read", way_out, file.name)) from failure
