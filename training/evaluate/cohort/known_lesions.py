"""Where the lesions of a store's cases are, if known: masks of phantoms, or a table of centres or masks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.cohort import FINDINGS_FILE
from training.cohort.results import CohortStore
from training.cohort.sources.phantoms import FINDINGS_TABLE, is_phantom_cohort
from training.cohort.sources.tables import Faults, first
from training.evaluate.lesion_table import LesionRow, LesionTable, mask_place, read_lesions
from training.evaluate.lesions import Extent, lesions_from_bits, relative_centres
from training.evaluate.pointing import Lesion
from training.geometry import Geometry
from training.io.nifti import read_stored
from training.io.phantoms import TRUTH_FILE
from training.io.privacy import case_id_for
from training.issues import InputError, Issue, Severity, error, warning
from training.labels import display_name, is_known

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownLesions:
    """Lesions by case.

    Parameters
    ----------
    table
        CSV of centres and diameters, or of masks.
    label
        Label of every row, where the table has no column for it.
    phantoms
        Folder of a phantom cohort, whose masks are used instead of the table's balls; None without one.
    """

    table: Path
    label: str | None = None
    phantoms: Path | None = None
    _largest: dict[str, dict[str, Extent]] = field(default_factory=dict, repr=False)

    @cached_property
    def rows(self) -> LesionTable:
        """The table, by case; raises ``InputError`` if it is none."""
        return read_lesions(self.table, self.label)

    def of(self, case: str) -> Mapping[str, Sequence[Lesion]]:
        """Return the lesions of a case by label; empty if none is known. Errors as :attr:`rows`."""
        if self.phantoms is not None:
            return _masks(self.phantoms / case)
        return {
            label: [one for row in {row.place: row for row in own}.values() for one in row.lesions()]
            for label, own in self._rows_of(case).items()
        }

    def measure(self, store: CohortStore, labels: Sequence[str], cases: Iterable[str]) -> None:
        """Read every lesion of ``cases`` once, keep where the largest of each label lies, and check them all.

        Raises
        ------
        InputError
            A label that is neither the model's nor of the 80; no case or no label of the store's; a mask that cannot
            be read, is empty, or lies outside of its CT: every kind of fault with its first rows.
        """
        faults = Faults(self.table.name)
        if self.phantoms is None:
            self._check_names(store, labels, faults)
        for case in cases:
            image = store.explanation(case).image_geometry
            for label in sorted(self._rows_of(case).keys() & set(labels)):
                rows = self._rows_of(case)[label]
                own = [one for row in rows for one in self._extents(row, image, faults)]
                if own:
                    self._largest.setdefault(case, {})[label] = max(own, key=lambda one: one.diameter_mm)
        if faults.issues():
            raise InputError(faults.issues())

    def centres(self, store: CohortStore, cases: Sequence[str]) -> dict[str, FloatArray]:
        """Return where lesions lie in measured ``cases``, by label, relative to the centre of the CT."""
        return relative_centres((store.explanation(case).image_geometry, self._largest.get(case, {})) for case in cases)

    def diameters(self, cases: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the diameter of the largest lesion of every pair of measured ``cases``, mm [N, M]; NaN without one."""
        found = np.full((len(cases), len(labels)), np.nan)
        for n, case in enumerate(cases):
            for m, label in enumerate(labels):
                if (largest := self._largest.get(case, {}).get(label)) is not None:
                    found[n, m] = largest.diameter_mm
        return found

    def left_out(self, store: CohortStore, labels: Sequence[str]) -> tuple[Issue, ...]:
        """Return a warning for every kind of rows of a table that say nothing here, with how many they are."""
        if self.phantoms is not None:
            return ()
        faults = Faults(self.table.name)
        shown = {id(own) for case in store.cases if (own := self._by_shown_name.get(case)) is not None}
        for by_label in self.rows.values():
            for label, rows in by_label.items():
                seen: dict[object, int] = {}
                for row in rows:
                    fact, way_out = _why_left_out(id(by_label) in shown, label in labels)
                    if fact:
                        faults.add("lesions-left-out", fact, way_out, f"row {row.number}", Severity.WARNING)
                    elif row.place in seen:
                        place = f"row {row.number} repeats row {seen[row.place]}"
                        fact, way_out = "rows say the same lesion again; it counts once", "Remove them."
                        faults.add("lesions-twice", fact, way_out, place, Severity.WARNING)
                    seen.setdefault(row.place, row.number)
        return faults.issues()

    def _check_names(self, store: CohortStore, labels: Sequence[str], faults: Faults) -> None:
        named = [(label, row) for own in self.rows.values() for label, rows in own.items() for row in rows]
        for label, row in named:
            if label not in labels and not is_known(label):
                fact, way_out = "labels are none of the model's, nor of the 80", "Correct them, or remove these rows."
                faults.add("unknown-label", fact, way_out, f"row {row.number}: {label[:40]!r}")
        if faults.issues():
            raise InputError(faults.issues())
        own = {label for case in store.cases for label in self._rows_of(case)}
        if not own:
            fact, way_out = "names none of the store's cases", "Check the column of cases."
            raise InputError(error("no-lesions", fact, way_out, self.table.name))
        if not own & set(labels):
            fact = f"has lesions of {first(map(display_name, sorted(own)))} alone, which the model does not have"
            raise InputError(error("no-lesions", fact, "Check the labels.", self.table.name))

    def _extents(self, row: LesionRow, image: Geometry, faults: Faults) -> list[Extent]:
        """Return the lesions of a row; none, with the fault noted, if something is wrong with them."""
        try:
            return row.extents(None if self.phantoms is not None else image)
        except InputError as failure:
            for issue in failure.issues:
                fact = issue.message if issue.file is None else f"masks cannot be used: {issue.message}"
                faults.add(issue.code, fact, issue.way_out, mask_place(row.number, row.mask))
            return []

    def _rows_of(self, case: str) -> Mapping[str, Sequence[LesionRow]]:
        return self._by_shown_name.get(case, {})

    @cached_property
    def _by_shown_name(self) -> LesionTable:
        """The table by the names under which stores show its cases: as they are, and hashed."""
        hashed = {} if self.phantoms else {case_id_for(case): own for case, own in self.rows.items()}
        return {**hashed, **self.rows}


def _why_left_out(is_stored: bool, is_judged: bool) -> tuple[str, str]:
    """Return why a row is left out and what can be done; empty if it is not."""
    if not is_stored:
        return "rows are of cases that the store does not have, and are left out", "Check the column of cases."
    if not is_judged:
        return "rows are of labels that the model does not have, and are left out", "Check the labels."
    return "", ""


def cohort_not_found(store: CohortStore) -> Issue | None:
    """Return a warning if the cohort that ``store`` was made from is not where the store looks for it."""
    folder = store.origin.data
    if folder is None or folder.exists():
        return None
    try:
        place = Path(os.path.relpath(folder, store.path.resolve())).as_posix()
    except ValueError:  # another drive
        place = folder.name
    fact = f"the cohort it was made from was not found at {place!r}, as seen from the store, so neither its CTs nor "
    fact += "what it knows of lesions can be read"
    way_out = "Put the cohort there, or move the store back beside it; lesions can be given as a table (--lesions)."
    return warning("cohort-not-found", fact, way_out, store.path.name)


def known_lesions(store: CohortStore, table: Path | None, label: str | None = None) -> KnownLesions | None:
    """Return the lesions by ``table``; else those of the phantoms of which the store was made; else None."""
    if table is not None:
        return KnownLesions(table, label)
    folder = store.origin.data
    if folder is None or not folder.is_dir() or not is_phantom_cohort(folder):
        return None
    return KnownLesions(folder / FINDINGS_TABLE, phantoms=folder)


def _masks(folder: Path) -> dict[str, list[Lesion]]:
    truth = json.loads((folder / TRUTH_FILE).read_text(encoding="utf-8"))
    if not truth["findings"]:
        return {}
    stored = read_stored(folder / FINDINGS_FILE)
    slices, rows, columns = stored.values.shape
    return lesions_from_bits(stored.values, Geometry((slices, rows, columns), stored.affine), truth["findings"])
