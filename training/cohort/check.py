"""Look a whole cohort through before anything is trained on it: tables, names, labels, files; everything wrong at once.

What is wrong with the tables, the sources say themselves; here the cases are compared with each other and their files
looked at. Nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.cohort.sources import Listing, Record, Source, find_source
from training.cohort.sources.options import Options
from training.cohort.sources.tables import first
from training.io.nifti import check_nifti_header
from training.io.npz import check_npz_header
from training.io.read import Kind, find_kind
from training.issues import Cancelled, InputError, Issue, Severity, error, warning
from training.labels import display_name
from training.words import counted, counted_of

Progress = Callable[[int, int, str], None]

MIN_JUDGED = 10
"""A validation or test split of fewer cases is told: next to nothing can be said of a model by it."""


@dataclass(frozen=True)
class CheckReport:
    """What a cohort holds and what is wrong with it.

    ``cases`` counts by split; ``labels`` gives, for every label, how many cases are present, absent and unknown.
    """

    layout: str
    cases: Mapping[str, int]
    labels: Mapping[str, tuple[int, int, int]]
    issues: tuple[Issue, ...]

    @property
    def usable(self) -> bool:
        """True if nothing is an error."""
        return not any(issue.severity is Severity.ERROR for issue in self.issues)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        counts = {name: {"display_name": display_name(name), **_count(c)} for name, c in self.labels.items()}
        issues = [issue.to_dict() for issue in self.issues]
        return {
            "layout": self.layout,
            "usable": self.usable,
            "cases": dict(self.cases),
            "labels": counts,
            "issues": issues,
        }


def _count(counts: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("present", "absent", "unknown"), counts, strict=True))


def run(
    data: Path,
    kind: str | None = None,
    deep: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    options: Options | None = None,
) -> CheckReport:
    """Check the cohort at ``data`` (folder or table); the command ``check``.

    Parameters
    ----------
    kind
        Layout, one of ``training.cohort.sources.KINDS``; found out if None.
    deep
        Read every CT completely, not only its header.
    progress, cancelled
        As everywhere.
    options
        Of the layout, see :mod:`training.cohort.sources.options`.

    Raises
    ------
    InputError
        ``data`` is no cohort, or a table cannot be read at all; an option is not one of its layout.
    Cancelled
        If ``cancelled`` said so.
    """
    return check_table(find_source(data, kind, options=options), deep, progress, cancelled)


def check_table(
    source: Source,
    deep: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> CheckReport:
    """Check a source: its tables first, then the cases against each other, then every file; see :func:`run`."""
    listing = source.listing()
    files = _file_issues(source, listing.records, deep, progress, cancelled)
    found = (
        *listing.issues,
        *_shared_volumes(listing.records),
        *_label_issues(listing),
        *_split_issues(listing),
        *files,
    )
    issues = tuple(sorted(found, key=lambda issue: list(Severity).index(issue.severity)))
    return CheckReport(source.name, Counter(r.split for r in listing.records), _counts(listing), issues)


def _counts(listing: Listing) -> dict[str, tuple[int, int, int]]:
    targets = _targets(listing)
    present, unknown = (targets == 1).sum(axis=0).tolist(), np.isnan(targets).sum(axis=0).tolist()
    return {name: (p, len(targets) - p - u, u) for name, p, u in zip(listing.labels, present, unknown, strict=True)}


def _targets(listing: Listing) -> np.ndarray[Any, np.dtype[np.float32]]:
    rows = [record.targets for record in listing.records]
    return np.stack(rows) if rows else np.zeros((0, len(listing.labels)), np.float32)


def _shared_volumes(records: Sequence[Record]) -> Iterator[Issue]:
    """Yield issues for CTs that several cases name."""
    users: dict[tuple[Path, str], list[Record]] = {}
    for record in records:
        users.setdefault((record.path, record.details.get("series", "")), []).append(record)
    several = {path.name: own for (path, _), own in users.items() if len(own) > 1}
    across = [name for name, own in several.items() if len({record.split for record in own}) > 1]
    if across:
        fact = f"{counted(len(across), 'CT is')} in several splits, so results would be too good: {first(across)}"
        yield error("split-overlap", fact, "Keep each CT in one split.")
    within = [name for name in several if name not in across]
    if within:
        fact = f"{counted(len(within), 'CT is')} the CT of several cases: {first(within)}"
        yield warning("shared-volume", fact, "Look whether that is meant.")


def _label_issues(listing: Listing) -> Iterator[Issue]:
    counts = _counts(listing)
    never = [name for name, (present, _, _) in counts.items() if not present]
    if never and listing.records:
        fact = f"{counted_of(len(never), len(counts), 'label is')} present in no case: {first(never)}"
        yield warning("no-positives", fact, "They cannot be learnt; their results will be n/a.")
    unknown = {name: u for name, (_, _, u) in counts.items() if u}
    if unknown:
        shown = first(f"{name} ({u})" for name, u in unknown.items())
        fact = f"{counted(len(unknown), 'label is')} unknown for some cases: {shown}"
        yield warning("unknown-values", fact, "Empty cells count neither as present nor as absent.")


def _split_issues(listing: Listing) -> Iterator[Issue]:
    cases = Counter(record.split for record in listing.records)
    if not listing.records:
        yield error("no-cases", "no case is left", "Look at the other issues.")
    elif not cases["train"]:
        yield warning("no-split", "no case is of the split 'train'", "Training needs one.")
    elif not cases["valid"]:
        yield warning(
            "no-split", "no case is of the split 'valid'", "A share of the training cases will be kept for it."
        )
    for split in ("valid", "test"):
        if cases[split]:
            yield from _small_split(listing, split)


def _small_split(listing: Listing, split: str) -> Iterator[Issue]:
    """Warn of a split on which next to nothing can be judged: few cases, or no label with positives and negatives."""
    own = np.stack([record.targets for record in listing.records if record.split == split])
    both = int(((own == 1).any(axis=0) & (own == 0).any(axis=0)).sum())
    if len(own) >= MIN_JUDGED and both:
        return
    words = f"{counted_of(both, len(listing.labels), 'label')} can be judged on it (cases with and without it)"
    fact = f"split {split!r} has {counted(len(own), 'case')}: {words}"
    way_out = "Give it more cases, whole patients; `hirescam evaluate --on all` judges those of all splits."
    yield warning("small-split", fact, way_out)


def _file_issues(
    source: Source,
    records: Sequence[Record],
    deep: bool,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> list[Issue]:
    """Return what is wrong with the CTs: one issue a kind, with the first ten files."""
    found: dict[str, list[Issue]] = {}
    for index, record in enumerate(records):
        if cancelled is not None and cancelled():
            raise Cancelled("checking was cancelled")
        for issue in file_issues(source, record, deep):
            found.setdefault(f"{issue.code} {issue.severity}", []).append(issue)
        if progress is not None:
            progress(index + 1, len(records), "looking at files")
    return [_together(own) for own in found.values()]


def file_issues(source: Source, record: Record, deep: bool = False) -> tuple[Issue, ...]:
    """Return what is wrong with the CT of a record: by its first bytes, or (``deep``) by reading it all."""
    try:
        if deep:
            return tuple(i for i in source.read(record).issues if i.severity is not Severity.NOTE)
        kind = find_kind(record.path)
        if kind in _HEADS:
            _HEADS[kind](record.path)
    except InputError as refused:
        return refused.issues
    return ()


_HEADS: Mapping[Kind, Callable[[Path], None]] = {
    Kind.NPZ: check_npz_header,
    Kind.NIFTI: check_nifti_header,
    Kind.NIFTI_GZ: check_nifti_header,
}


def _together(issues: Sequence[Issue]) -> Issue:
    """Return one issue for many of a kind."""
    if len(issues) == 1:
        return issues[0]
    names = first([issue.file or "?" for issue in issues])
    return replace(
        issues[0], message=f"{len(issues)} files, of which the first: {issues[0].message} ({names})", file=None
    )
