"""Explain a whole cohort into one store: plan it, hand out the cases, gather the results; ``hirescam batch``.

A run that was stopped, by whatever, goes on where it was when it is started again. A case that fails is a row in
``failures.csv`` and is tried again by the next run.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from training.cohort.batch_plan import BatchSettings, plan_of, unlabelled
from training.cohort.explaining import Job, Report, Work, explain_job
from training.cohort.jobs import Done, run_here, run_jobs
from training.cohort.output import check_cache_folder
from training.cohort.results import find_store
from training.cohort.results.cases import read_failures
from training.cohort.results.fill import Filling, Plan, check_same, create_store, filling
from training.cohort.results.layout import FAILURES_FILE, LABELS_FOLDER
from training.cohort.results.repair import Damage, mend
from training.cohort.results.sources import Origin
from training.cohort.sources import Record, checked
from training.io.atomic import atomic_path
from training.issues import InputError, Issue, error
from training.models import load_model
from training.words import counted

__all__ = ["Batch", "BatchSettings", "Outcome", "free_bytes", "open_for_filling", "prepare_batch", "run_batch"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Batch:
    """A cohort that is ready to be explained: the plan of its store, and what a worker needs."""

    plan: Plan
    records: tuple[Record, ...]
    work: Work
    issues: tuple[Issue, ...] = ()

    def jobs(self, rows: Sequence[int]) -> Iterator[Job]:
        """Yield the jobs of ``rows``."""
        return (Job(row, self.records[row]) for row in rows)


@dataclass
class Outcome:
    """What a run came to: cases in all, done before, done now, and why the others failed, by name.

    ``damaged`` cases were done before, and had to be done again; ``restored`` names what else was damaged.
    """

    cases: int
    done_before: int = 0
    done: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    damaged: int = 0
    restored: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "cases": self.cases,
            "done_before": self.done_before,
            "done": self.done,
            "failed": len(self.failures),
            "damaged": self.damaged,
            "restored": list(self.restored),
        }


def prepare_batch(data: Path, store: Path, settings: BatchSettings, memo: Path | None = None) -> Batch:
    """Read the cohort's tables and the model, and plan the store; nothing is written.

    Parameters
    ----------
    data
        Folder or table of the cohort.
    store
        Where the store is to be.
    memo
        Folder for labels that are worked out from reports; a store that is there already has its own.

    Raises
    ------
    InputError
        The cohort or the model cannot be used, or no case is of the chosen splits.
    """
    kept = store / LABELS_FOLDER
    memo = kept if kept.is_dir() else memo
    origin = Origin(data.resolve(), settings.kind, settings.keep_names, memo, os.cpu_count() or 1, settings.source)
    source = origin.source()
    if source is None:
        raise InputError(error("no-cohort", "there is no such folder or table", "Check the path.", data.name))
    check_cache_folder(settings.organ_cache, "organs", "--organ-cache")
    model, listing = load_model(settings.model), checked(source)
    records = tuple(r for r in listing.records if not settings.splits or r.split in settings.splits)
    if not records:
        fact = f"no case is of split {', '.join(settings.splits)}"
        raise InputError(error("no-cases", fact, "Choose other splits.", data.name))
    plan = plan_of(model, listing.labels, records, settings, origin)
    work = Work(
        store.resolve(),
        source,
        _portable(settings.model),
        model.sha256,
        plan.layout,
        settings.device,
        settings.precision,
        settings.maps,
        settings.organs,
        settings.heuristic,
        None if settings.organ_cache is None else settings.organ_cache.resolve(),
    )
    return Batch(plan, records, work, (*listing.issues, *unlabelled(model, listing.labels)))


def _portable(model: str) -> str:
    """Return the model as workers in other folders can load it."""
    path = Path(model)
    return str(path.resolve()) if path.suffix and path.exists() else model


def open_for_filling(store: Path, plan: Plan, memo: Path | None = None) -> None:
    """Make the store of ``plan``, or see that the one that is there is the same.

    Labels that were worked out from reports, in the folder ``memo``, go into the store: its cases' CTs are found again
    without labelling all reports once more.

    Raises
    ------
    InputError
        Something else is there; the disk is too small or not writable.
    """
    if find_store(store) is not None:
        check_same(store, plan)
        return
    if store.exists():
        fact = "exists and is no cohort store; it is left as it is"
        raise InputError(error("output-exists", fact, "Choose a folder that does not exist yet.", store.name))
    create_store(store, plan)
    if memo is not None and any(memo.iterdir()):
        shutil.copytree(memo, store / LABELS_FOLDER)


def free_bytes(store: Path) -> int:
    """Return the free space of the disk on which ``store`` is, or will be, bytes."""
    return shutil.disk_usage(next(place for place in (store, *store.absolute().parents) if place.exists())).free


def run_batch(
    batch: Batch,
    client: Any | None = None,
    progress: Progress | None = None,
    failed: Callable[[str, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    verify: bool = False,
    found_damage: Callable[[str], None] | None = None,
) -> Outcome:
    """Explain the cases that have no result yet, or a damaged one; return what it came to.

    Parameters
    ----------
    client
        From :func:`training.cohort.jobs.cluster`; None works in this process.
    progress
        Called with (done, total, "cases").
    failed
        Called with the name of a case and why it failed, at once.
    cancelled
        Asked after every case.
    verify
        Read all results to find damage, not only what a quick look at every file shows.
    found_damage
        Called with words where something was damaged, before it is made again.

    Raises
    ------
    InputError
        Another process fills the store, or the disk is full.
    Cancelled
        If ``cancelled`` said so; what was done stays.
    """
    store = batch.work.store
    with filling(store, batch.plan) as place:
        damage = mend(place, verify, progress if verify else None, cancelled)
        if damage.rows or place.restored:
            (found_damage or _mute)(_damage_words(damage, place.restored))
        found = Outcome(len(batch.records), damaged=len(damage.rows), restored=place.restored)
        _fill(batch, place, found, client, progress or _no_progress, failed or _silent, cancelled)
    return found


def _damage_words(damage: Damage, restored: Sequence[str]) -> str:
    """Return in words what was damaged."""
    n = len(damage.rows)
    parts = [f"{counted(n, 'case')} ({', '.join(damage.names)}): explained again"] if n else []
    parts += [f"{', '.join(restored)}: written again"] if restored else []
    return f"The store was damaged. {'; '.join(parts)}."


def _fill(
    batch: Batch,
    place: Filling,
    found: Outcome,
    client: Any | None,
    tell: Progress,
    failed: Callable[[str, str], None],
    cancelled: Callable[[], bool] | None,
) -> None:
    """Explain what waits, and count it in ``found``."""
    with _gathered(place):
        place.gather()
        rows = place.waiting()
        found.done_before = found.cases - len(rows)
        failures = Failures(place.path)
        tell(found.done_before, found.cases, "cases")
        for done in _results(batch, rows, client, cancelled):
            case, reason = done.item.record.case_id, _reason(done)
            failures.note(case, reason)
            if reason is None:
                found.done += 1
            else:
                found.failures[case] = reason
                place.fail(done.item.row)
                failed(case, reason)
            place.gather(full_only=True)
            tell(found.done_before + found.done + len(found.failures), found.cases, "cases")


def _reason(done: Done[Job, Report]) -> str | None:
    """Return why a case failed; raises ``InputError`` if every other would fail for the same reason."""
    report = done.result or Report(done.failure or "the worker gave no answer")
    if report.is_stopping and report.failure is not None:
        raise InputError(error("batch-stopped", report.failure, "Run it again then; what is done stays."))
    return report.failure


def _no_progress(_done: int, _total: int, _stage: str) -> None:
    pass


def _silent(_case: str, _reason: str) -> None:
    pass


def _mute(_text: str) -> None:
    pass


def _results(
    batch: Batch, rows: Sequence[int], client: Any | None, cancelled: Callable[[], bool] | None
) -> Iterator[Done[Job, Report]]:
    work = partial(explain_job, batch.work)
    if client is None:
        return run_here(work, batch.jobs(rows), cancelled)
    return run_jobs(work, batch.jobs(rows), client, cancelled)


@contextmanager
def _gathered(place: Filling) -> Iterator[None]:
    """Gather what is done however the work ends."""
    try:
        yield
    finally:
        place.gather()


class Failures:
    """``failures.csv``: case and reason, kept up to date, whole at every moment."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._rows = dict(read_failures(store))

    def note(self, case: str, reason: str | None) -> None:
        """Note that ``case`` failed, or (None) that it did not."""
        if reason is None and case not in self._rows:
            return
        if reason is None:
            del self._rows[case]
        else:
            self._rows[case] = reason
        path = self._store / FAILURES_FILE
        with atomic_path(path) as partial_path, partial_path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("case", "reason"), *self._rows.items()])
