"""Where the lesions of a store's cases are, if known: masks of phantoms, or a table of centres and diameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.cohort import FINDINGS_FILE
from training.cohort.results import CohortStore
from training.cohort.sources.phantoms import FINDINGS_TABLE, is_phantom_cohort
from training.evaluate.lesions import LesionTable, diameter_mm, lesions_from_bits, read_lesions, relative_centres
from training.evaluate.pointing import Lesion
from training.geometry import Geometry
from training.io.nifti import read_stored
from training.io.phantoms import TRUTH_FILE
from training.io.privacy import case_id_for

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownLesions:
    """Lesions by case.

    Parameters
    ----------
    table
        CSV of centres and diameters.
    label
        Label of every row, where the table has no column for it.
    phantoms
        Folder of a phantom cohort, whose masks are used instead of the table's balls; None without one.
    """

    table: Path
    label: str | None = None
    phantoms: Path | None = None

    @cached_property
    def balls(self) -> LesionTable:
        """The table, by case; raises ``InputError`` if it is none."""
        return read_lesions(self.table, self.label)

    def of(self, case: str) -> Mapping[str, Sequence[Lesion]]:
        """Return the lesions of a case by label; empty if none is known. Errors as :attr:`balls`."""
        if self.phantoms is not None:
            return _masks(self.phantoms / case)
        return self._balls_of(case)

    def centres(self, store: CohortStore, cases: Sequence[str]) -> dict[str, FloatArray]:
        """Return where lesions lie in ``cases``, by label, relative to the centre of the CT."""
        return relative_centres((store.explanation(case).image_geometry, self._balls_of(case)) for case in cases)

    def diameters(self, cases: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the diameter of the largest lesion of every pair, mm [N, M]; NaN where there is none."""
        found = np.full((len(cases), len(labels)), np.nan)
        for n, case in enumerate(cases):
            for m, label in enumerate(labels):
                if own := self._balls_of(case).get(label):
                    found[n, m] = diameter_mm(own)
        return found

    def _balls_of(self, case: str) -> Mapping[str, Sequence[Lesion]]:
        return self._by_shown_name.get(case, {})

    @cached_property
    def _by_shown_name(self) -> LesionTable:
        """The table by the names under which stores show its cases: as they are, and hashed."""
        hashed = {} if self.phantoms else {case_id_for(case): own for case, own in self.balls.items()}
        return {**hashed, **self.balls}


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
