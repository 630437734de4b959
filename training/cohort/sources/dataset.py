"""One dataset over every source: an index gives a case with its ground truth, its CT on the model's grid, regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.cohort.cache import VolumeCache
from training.cohort.sources.base import FloatArray, Listing, Record, Sides, Source
from training.cohort.sources.find import find_source
from training.cohort.sources.organs import cells_of
from training.fit.regions import OrganCells, RegionRequest
from training.issues import InputError, Severity, error
from training.labels import is_known
from training.preprocess import InputSpec, ModelInput, prepare
from training.volume import Volume


@dataclass(frozen=True, eq=False)
class RegionInputs:
    """What :func:`training.partition.allowed.allowed_regions` needs of a case.

    ``present`` holds the labels that the case has, each with its lung sides (empty: both or unknown); ``organs`` is the
    file of an organ map, if the source has one.
    """

    present: Mapping[str, Sides]
    organs: Path | None


@dataclass(frozen=True, eq=False)
class Case:
    """One case.

    ``targets`` is float32, shape (M,): 1 present, 0 absent, NaN unknown. ``input`` is the CT on the model's grid.
    """

    case_id: str
    targets: FloatArray
    input: ModelInput
    regions: RegionInputs


@dataclass(frozen=True, eq=False)
class CohortDataset:
    """Cases of one split of a source (all splits if empty), as a sequence; CTs are read when they are asked for.

    It can be sent to worker processes, and serves as the cases of the training loop
    (:class:`training.fit.cases.Cases`).

    Parameters
    ----------
    source
        Reads the CTs.
    labels, records
        Names of the M labels, and the N cases; :func:`open_cohort` fills them in.
    spec
        The grid of the model.
    cache
        Where prepared CTs are kept; None to read and prepare every time.
    """

    source: Source
    labels: tuple[str, ...]
    records: tuple[Record, ...]
    spec: InputSpec
    cache: VolumeCache | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Case:
        record = self.records[index]
        return Case(record.case_id, record.targets, self.input(index), self.regions(index))

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Names of the N cases, safe to show."""
        return tuple(record.case_id for record in self.records)

    @cached_property
    def targets(self) -> npt.NDArray[np.float32]:
        """Ground truth, float32 (N, M): 1 present, 0 absent, NaN unknown."""
        return np.stack([record.targets for record in self.records])

    def input(self, index: int) -> ModelInput:
        """Return the CT of a case on the model's grid; raises ``InputError`` naming the file if it cannot be used."""
        record = self.records[index]

        def make() -> ModelInput:
            return prepare(self.volume(index), self.spec)

        return make() if self.cache is None else self.cache.get(record.path, self.spec, make, record.details)

    def hu(self, case: int) -> npt.NDArray[np.int16]:
        """Return the HU of a case on the model's grid, int16 (slice, row, column)."""
        return self.input(case).hu

    def places(self, case: int) -> None:
        """Return None: sources do not say where in a CT the abnormalities are."""

    def sides(self, case: int) -> Mapping[str, Sides]:
        """Return, for present labels of the lungs, the sides that are known."""
        return self.records[case].sides

    def organ_cells(self, case: int, request: RegionRequest) -> OrganCells:
        """Return the organs of a case at the cells of ``request``; errors as :func:`cells_of`."""
        return cells_of(self.records[case], request, self.cache, lambda: self.input(case), lambda: self.volume(case))

    def volume(self, index: int) -> Volume:
        """Read the CT of a case as its source has it."""
        return self.source.read(self.records[index])

    def regions(self, index: int) -> RegionInputs:
        """Return which labels a case has, on which sides, and its organ map."""
        record = self.records[index]
        names = [name for name, value in zip(self.labels, record.targets, strict=True) if value == 1 and is_known(name)]
        return RegionInputs({name: record.sides.get(name, frozenset()) for name in names}, record.organs)

    def subset(self, rows: Sequence[int]) -> CohortDataset:
        """Return some of the cases, in the given order."""
        return CohortDataset(self.source, self.labels, tuple(self.records[row] for row in rows), self.spec, self.cache)

    def with_labels(self, labels: Sequence[str]) -> CohortDataset:
        """Return the same cases with some of the labels, in the given order; raises ``ValueError`` for unknown ones."""
        columns = [self.labels.index(name) for name in labels]
        records = tuple(_of_columns(record, columns, labels) for record in self.records)
        return CohortDataset(self.source, tuple(labels), records, self.spec, self.cache)


def _of_columns(record: Record, columns: Sequence[int], names: Sequence[str]) -> Record:
    sides = {name: own for name, own in record.sides.items() if name in names}
    return replace(record, targets=record.targets[list(columns)], sides=sides)


def open_cohort(source: Source, spec: InputSpec, cache: Path | None = None) -> dict[str, CohortDataset]:
    """Return the cases of ``source`` by split (only splits that have any).

    Raises
    ------
    InputError
        The source's tables have errors: all of its issues; or no case is left.
    """
    return by_split(source, checked(source), spec, cache)


def by_split(source: Source, listing: Listing, spec: InputSpec, cache: Path | None = None) -> dict[str, CohortDataset]:
    """Return the cases of a checked ``listing`` of ``source`` by split (only splits that have any)."""
    kept = None if cache is None else VolumeCache(cache)
    found = {}
    for split in dict.fromkeys(record.split for record in listing.records):
        records = tuple(record for record in listing.records if record.split == split)
        found[split] = CohortDataset(source, listing.labels, records, spec, kept)
    return found


def open_folder(
    data: Path, spec: InputSpec, cache: Path, kind: str | None = None, workers: int = 1
) -> dict[str, CohortDataset]:
    """Return the cases of the cohort at ``data`` (folder or table) by split; what is worked out is kept in ``cache``.

    Raises
    ------
    InputError
        As for :func:`open_cohort`; or ``data`` is no cohort.
    """
    return open_cohort(find_source(data, kind, cache / "reports", workers), spec, cache)


def checked(source: Source) -> Listing:
    """Return the source's listing if it has no errors and at least one case; raises ``InputError`` otherwise."""
    listing = source.listing()
    if any(issue.severity is Severity.ERROR for issue in listing.issues):
        raise InputError(listing.issues)
    if not listing.records:
        raise InputError((*listing.issues, error("no-cases", "no case is left", "Look at the warnings.")))
    return listing
