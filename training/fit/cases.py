"""The cases a network is trained on: CTs on the model's grid with their ground truth, in memory or mapped from disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.fit.regions import OrganCells, RegionRequest, Sides
from training.issues import InputError, error
from training.words import counted

HuArray = npt.NDArray[np.int16]
PlaceArray = npt.NDArray[np.uint8]


class Cases(Protocol):
    """What training needs of a set of cases; CTs are fetched one at a time."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the M abnormalities."""

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Names of the N cases, safe to show."""

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Ground truth, shape (N, M): 1 present, 0 absent, NaN unknown."""

    def hu(self, case: int) -> HuArray:
        """Return the CT of a case on the model's grid: shape (slice, row, column), HU, -1000 outside the CT."""

    def places(self, case: int) -> PlaceArray | None:
        """Return where the abnormalities of a case are, or None if that is not known.

        uint8, shape (M, blocks along slice, row, column): 1 where an abnormality is in a block of the grid.
        """

    def organ_cells(self, case: int, request: RegionRequest) -> OrganCells | None:
        """Return the organs of a case at the cells that ``request`` names, or None if they cannot be known."""

    def sides(self, case: int) -> Sides:
        """Return, for present labels of the lungs, the sides that are known."""


@dataclass(frozen=True, eq=False)
class ArrayCases:
    """Cases whose CTs are one array, possibly mapped from disk.

    Parameters
    ----------
    volumes
        int16, shape (N, slice, row, column), HU.
    targets
        float32, shape (N, M): 1 present, 0 absent, NaN unknown.
    labels, case_ids
        M and N names.
    blocks
        uint8, shape (N, M, blocks along slice, row, column): where the abnormalities are, if that is known.

    Raises
    ------
    InputError
        If the counts differ, there is no case, or a target is neither 0, 1 nor NaN (naming the case).
    """

    volumes: HuArray
    targets: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    case_ids: tuple[str, ...]
    blocks: PlaceArray | None = None

    def __post_init__(self) -> None:
        n = len(self.case_ids)
        if n == 0 or self.volumes.ndim != 4 or len(self.volumes) != n or self.targets.shape != (n, len(self.labels)):
            shapes = f"CTs {self.volumes.shape}, targets {self.targets.shape}"
            facts = f"{counted(n, 'name')}, {shapes}, {counted(len(self.labels), 'label')}"
            raise InputError(error("bad-cases", f"the cases do not fit together: {facts}.", "Build them again."))
        wrong = ~(np.isin(self.targets, (0.0, 1.0)) | np.isnan(self.targets)).all(axis=1)
        if wrong.any():
            case = self.case_ids[int(np.argmax(wrong))]
            raise InputError(error("bad-target", f"case {case} has a target that is neither 0 nor 1.", "Mend its row."))

    def hu(self, case: int) -> HuArray:
        """Return one CT."""
        return np.asarray(self.volumes[case])

    def places(self, case: int) -> PlaceArray | None:
        """Return where the abnormalities of a case are, if that is known."""
        return None if self.blocks is None else np.asarray(self.blocks[case])

    def organ_cells(self, case: int, request: RegionRequest) -> None:
        """Return None: arrays of CTs bring no organs."""

    def sides(self, case: int) -> Sides:  # noqa: ARG002 - as the protocol has it
        """Return nothing: arrays of CTs bring no sides."""
        return {}


@dataclass(frozen=True, eq=False)
class Subset:
    """Some cases of another set, in the given order."""

    whole: Cases
    rows: tuple[int, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the M abnormalities."""
        return self.whole.labels

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Names of the chosen cases."""
        return tuple(self.whole.case_ids[row] for row in self.rows)

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Ground truth of the chosen cases."""
        return self.whole.targets[list(self.rows)]

    def hu(self, case: int) -> HuArray:
        """Return one CT."""
        return self.whole.hu(self.rows[case])

    def places(self, case: int) -> PlaceArray | None:
        """Return where the abnormalities of a case are, if that is known."""
        return self.whole.places(self.rows[case])

    def organ_cells(self, case: int, request: RegionRequest) -> OrganCells | None:
        """Return the organs of a case, if they can be known."""
        return self.whole.organ_cells(self.rows[case], request)

    def sides(self, case: int) -> Sides:
        """Return the sides that are known."""
        return self.whole.sides(self.rows[case])


def split(cases: Cases, validation_share: float, seed: int) -> tuple[Cases, Cases | None]:
    """Return training and validation cases, drawn by ``seed``; no validation cases if the share rounds to none.

    Raises
    ------
    InputError
        If nothing would be left to train on.
    """
    n = len(cases.case_ids)
    n_validation = round(n * validation_share)
    if n_validation >= n:
        raise InputError(error("too-few-cases", f"{counted(n, 'case leaves')} none to train on.", "Add cases."))
    if n_validation == 0:
        return cases, None
    order = np.random.default_rng([seed, 1]).permutation(n)
    chosen, rest = sorted(order[:n_validation].tolist()), sorted(order[n_validation:].tolist())
    return Subset(cases, tuple(rest)), Subset(cases, tuple(chosen))


def batches(n: int, size: int, seed: int, epoch: int) -> Sequence[tuple[int, ...]]:
    """Return the batches of an epoch: every case once, in an order of (seed, epoch); the last may be smaller."""
    order = np.random.default_rng([seed, 2, epoch]).permutation(n)
    return [tuple(order[start : start + size].tolist()) for start in range(0, n, size)]
