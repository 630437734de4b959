"""Cohorts that :func:`training.cohort.phantom.write_cohort` wrote: a table, organ maps, and the side of every finding.

Phantoms are nobody, so their names are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from training.cohort.phantom.cohort import ORGANS_FILE
from training.cohort.sources.base import Listing, Record, Sides
from training.cohort.sources.table import LABELS_FILE, GenericTable
from training.cohort.sources.tables import read_table
from training.volume import Volume

FINDINGS_TABLE = "findings.csv"


@dataclass(frozen=True)
class PhantomCohort:
    """A cohort of phantoms in ``folder``."""

    folder: Path

    @property
    def name(self) -> str:
        """What the layout is called."""
        return "phantoms"

    def listing(self) -> Listing:
        """Read the tables and look which CTs are there; raises ``InputError`` if a table cannot be read."""
        listing = self._table.listing()
        sides = self._sides()
        records = tuple(self._complete(record, sides.get(record.case_id, {})) for record in listing.records)
        return Listing(listing.labels, records, listing.issues)

    def read(self, record: Record) -> Volume:
        """Read one CT."""
        return self._table.read(record)

    @property
    def _table(self) -> GenericTable:
        return GenericTable(self.folder, keep_names=True)

    def _sides(self) -> dict[str, dict[str, Sides]]:
        """Return, for every case, the sides of its lung findings; a label with a finding on no side has none."""
        found: dict[str, dict[str, Sides]] = {}
        unsided: set[tuple[str, str]] = set()
        for row in read_table(self.folder / FINDINGS_TABLE)[1]:
            case, label, side = row["case"], row["label"], row["side"]
            own = found.setdefault(case, {})
            own[label] = own.get(label, frozenset()) | {side}
            unsided |= set() if side else {(case, label)}
        return {c: {n: s for n, s in own.items() if (c, n) not in unsided} for c, own in found.items()}

    @staticmethod
    def _complete(record: Record, sides: Mapping[str, Sides]) -> Record:
        organs = record.path.parent / ORGANS_FILE
        return replace(record, sides=sides, organs=organs if organs.is_file() else None)


def is_phantom_cohort(folder: Path) -> bool:
    """Return True if ``folder`` holds what ``write_cohort`` leaves."""
    return (folder / LABELS_FILE).is_file() and (folder / FINDINGS_TABLE).is_file()
