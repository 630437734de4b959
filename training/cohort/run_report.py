"""What goes with every file that leaves the program: what made it, of what, when, with which versions, and its hash.

A folder has its ``report.json``; a single file (a contact sheet, a table, a session) has a report beside it, under its
own name with ``.report.json`` behind it.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import __version__
from training.cohort.report import INTENDED_USE, write_report
from training.explain.result import ModelInfo
from training.io.privacy import exported
from training.issues import Issue, warning

if TYPE_CHECKING:
    from training.cohort.results import CohortStore

SIDE_SUFFIX = ".report.json"
"""Behind the whole name of a file: ``sheet.png`` has ``sheet.png.report.json``."""

SCHEMA, SCHEMA_VERSION = "hirescam-run-report", 1

_PACKAGES = ("numpy", "torch", "pydicom", "highdicom", "nibabel", "matplotlib", "pillow", "av", "SimpleITK", "napari")


def versions(*others: str) -> dict[str, str]:
    """Return the versions of this program, of Python, of what makes exports, and of ``others``, where installed."""
    found = {"hirescam-napari": __version__, "python": platform.python_version(), "system": platform.system()}
    for name in (*_PACKAGES, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def file_entry(path: Path, folder: Path) -> dict[str, object]:
    """Return path (relative to ``folder``), size in bytes and SHA-256 of a file."""
    return {"path": path.relative_to(folder).as_posix(), **content_entry(path)}


def file_entries(folder: Path) -> list[dict[str, object]]:
    """Return :func:`file_entry` of every file that ``folder`` and the folders in it hold, by path."""
    return [file_entry(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()]


def content_entry(path: Path) -> dict[str, object]:
    """Return size in bytes and SHA-256 of a file that was read: its name may say whose data it holds."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def now() -> str:
    """Return the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def model_facts(model: ModelInfo) -> dict[str, str]:
    """Return by what a model is known."""
    return {"name": model.name, "sha256": model.sha256, "architecture": model.architecture}


def store_facts(store: CohortStore, cases: Iterable[str]) -> dict[str, Any]:
    """Return what is on record of a store and of the ``cases`` of it that were shown.

    Name and hash of the store, model, how it was made, on which devices, and the issues of these cases without the
    names of files.

    Raises
    ------
    InputError
        If the store is damaged.
    """
    details = {case: store.details(case) for case in dict.fromkeys(cases)}
    issues = [{"case": case, **issue, "file": None} for case, one in details.items() for issue in one["issues"]]
    return {
        "store": {"name": store.path.name, "sha256": store.sha256, "made_with": dict(store.made_with)},
        "model": model_facts(store.model),
        "devices": sorted({str(one["device"]) for one in details.values()}),
        "issues": issues,
    }


def burned_in_warning(codes: Iterable[str]) -> list[Issue]:
    """Return a warning if ``codes`` of issues say that text is burned into a CT that pictures show."""
    if "burned-in-annotation" not in set(codes):
        return []
    fact = "text is burned into the images and shows in the figures; it may name the patient"
    return [warning("burned-in-annotation-exported", fact, "Look at every figure before you pass it on.")]


def report_beside(path: Path) -> Path:
    """Return where the report on the file ``path`` is."""
    return path.with_name(path.name + SIDE_SUFFIX)


def with_reports(paths: Iterable[Path]) -> list[Path]:
    """Return files, each followed by the report beside it."""
    return [one for path in paths for one in (path, report_beside(path))]


def write_beside(
    path: Path,
    made: str,
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
    seconds: Mapping[str, float],
    issues: Iterable[Issue] = (),
) -> dict[str, Any]:
    """Write the report on the file ``path``, which is there already, beside it, and return it.

    Parameters
    ----------
    made
        What the file is, in words.
    facts
        Of :func:`store_facts`, or of a case; plain JSON types.
    request
        What was asked for.
    seconds
        Wall times by stage.
    issues
        Of this run, besides those among ``facts``.

    Raises
    ------
    InputError
        If the place is not writable, or the disk is full.
    """
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "intended_use": INTENDED_USE,
        "made": made,
        "time": now(),
        **facts,
        "issues": [*facts.get("issues", ()), *exported(issues)],
        "request": dict(request),
        "seconds": dict(seconds),
        "versions": versions(),
        "file": file_entry(path, path.parent),
    }
    write_report(report_beside(path), document)
    return document
