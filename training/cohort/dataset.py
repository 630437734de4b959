"""A cohort on disk as training cases: ``labels.csv`` beside CTs in any format that can be read.

``labels.csv`` has the columns ``case``, ``path`` (of the CT, below the cohort's folder), ``split`` (train, valid, test)
and one column of 0 or 1 for every label. :func:`training.cohort.phantom.write_cohort` writes such a cohort.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.io import read_ct
from training.io.atomic import atomic_path
from training.issues import InputError, Issue, error
from training.labels import is_known
from training.preprocess import InputSpec, prepare

LABELS_FILE = "labels.csv"
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class FolderCases:
    """Cases of a cohort on disk; each CT is read and prepared once and kept in ``cache``, one array file a case.

    Parameters
    ----------
    paths
        Of the N CTs.
    targets
        float32, shape (N, M), 0 or 1.
    labels, case_ids
        M and N names.
    spec
        The grid of the CTs.
    cache
        Folder for the prepared CTs.
    """

    paths: tuple[Path, ...]
    targets: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    case_ids: tuple[str, ...]
    spec: InputSpec
    cache: Path

    def hu(self, case: int) -> npt.NDArray[np.int16]:
        """Return one CT on the grid of ``spec``; raises ``InputError`` if it cannot be read."""
        kept = self.cache / f"{self._key(case)}.npy"
        if not kept.is_file():
            hu = prepare(read_ct(self.paths[case]), self.spec).hu
            with atomic_path(kept) as partial:
                np.save(partial, hu)
        return np.asarray(np.load(kept, mmap_mode="r", allow_pickle=False))

    def places(self, case: int) -> None:
        """Return None: a folder of CTs does not say where in them the abnormalities are."""

    def _key(self, case: int) -> str:
        about = json.dumps([self.paths[case].resolve().as_posix(), self.spec.to_dict()])
        return hashlib.sha256(about.encode()).hexdigest()[:24]


def read_cohort(folder: Path, spec: InputSpec, cache: Path) -> dict[str, FolderCases]:
    """Return the cases of a cohort by split (only splits that have any).

    Raises
    ------
    InputError
        If ``labels.csv`` is missing, lacks columns, or has a bad row: one issue for every fault.
    """
    labels, rows = _table(folder / LABELS_FILE)
    faults = [fault for number, row in enumerate(rows, start=2) for fault in _row_faults(folder, row, labels, number)]
    if faults:
        raise InputError(faults)
    found = {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        if chosen:
            targets = np.array([[float(row[name]) for name in labels] for row in chosen], dtype=np.float32)
            paths = tuple(folder / row["path"] for row in chosen)
            found[split] = FolderCases(paths, targets, labels, tuple(row["case"] for row in chosen), spec, cache)
    return found


def _table(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    if not path.is_file():
        raise InputError(error("no-cohort", "is missing: this is no cohort.", "Give a cohort's folder.", path.name))
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        columns = list(reader.fieldnames or [])
        rows = [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
    lacking = [name for name in ("case", "path", "split") if name not in columns]
    labels = tuple(name for name in columns if name not in ("case", "path", "split"))
    unknown = [name for name in labels if not is_known(name)]
    if lacking or unknown or not labels or not rows:
        fact = (
            f"lacks {lacking}" if lacking else f"has unknown labels {unknown}" if unknown else "has no labels or cases"
        )
        way_out = "The columns are case, path, split and the names of labels (`hirescam models --labels`)."
        raise InputError(error("bad-cohort", f"{fact}.", way_out, path.name))
    return labels, rows


def _row_faults(folder: Path, row: Mapping[str, str], labels: Sequence[str], number: int) -> Iterator[Issue]:
    wrong = [name for name in labels if row[name] not in ("0", "1")]
    if wrong:
        yield error("bad-target", f"row {number}: {wrong[0]} is {row[wrong[0]]!r}.", "Write 0 or 1.", LABELS_FILE)
    if row["split"] not in SPLITS:
        way_out = f"Write one of {', '.join(SPLITS)}."
        yield error("bad-split", f"row {number}: split is {row['split']!r}.", way_out, LABELS_FILE)
    if not (folder / row["path"]).exists():
        yield error("no-ct", f"row {number}: there is no CT {row['path']}.", "Mend its path.", LABELS_FILE)
