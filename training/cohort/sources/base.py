"""What every source of cases gives: records with ground truth, a way to read a CT, and what its tables have wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.issues import Issue
from training.volume import Volume

SPLITS = ("train", "valid", "test")
"""Names of the splits, everywhere."""

Sides = frozenset[str]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Record:
    """One case of a source, before its CT is read.

    Parameters
    ----------
    case_id
        Safe to show: the public name of a published case, else a salted hash.
    path
        Of the CT.
    split
        ``train``, ``valid`` or ``test``.
    targets
        float32, shape (M,): 1 present, 0 absent, NaN unknown.
    sides
        For present labels of the lungs, the sides that are known ("right", "left"); no entry means unknown.
    organs
        File with an organ map (1 right lung, 2 left lung, 3 mediastinum), where the source has one.
    details
        What beside the bytes of the file decides its HU and geometry, as the source wrote it down.
    """

    case_id: str
    path: Path
    split: str
    targets: FloatArray
    sides: Mapping[str, Sides] = field(default_factory=dict)
    organs: Path | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Listing:
    """Everything a source's tables say.

    ``labels`` are the M names, ``records`` the usable cases in the order of the table, ``issues`` what is wrong (errors
    mean that the source must not be used as it is) or worth knowing.
    """

    labels: tuple[str, ...]
    records: tuple[Record, ...]
    issues: tuple[Issue, ...] = ()


class Source(Protocol):
    """A cohort in one layout. Implementations are frozen dataclasses: cheap to make and to send to workers."""

    @property
    def name(self) -> str:
        """What the layout is called, for messages."""

    def listing(self) -> Listing:
        """Read the tables, not the CTs; faults are issues, not exceptions, unless nothing can be read at all."""

    def read(self, record: Record) -> Volume:
        """Read the CT of one record; raises ``InputError`` if it cannot be used."""
