"""Filling a cohort store: workers leave one file a finished case, one process gathers them into the arrays by block.

A finished case is a file in ``pending`` that exists completely or not at all, so any number of processes may make them.
One process at a time, the one that holds the lock, moves them into the arrays: first the arrays, then ``state``, then
the files are removed. Killed at any point, the same is done again by the next run and nothing is lost or doubled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.storage import LocalStore

from training import __version__
from training.cohort.results import layout as names
from training.cohort.results.layout import DONE, FAILED, NOT_DONE, SCHEMA, SCHEMA_VERSION, Layout, create_arrays
from training.cohort.results.sources import Origin
from training.cohort.results.store import details_file
from training.explain.result import Explanation, ModelInfo
from training.io.atomic import atomic_path
from training.io.privacy import exported
from training.issues import InputError, error
from training.preprocess import InputSpec

Arrays = dict[str, npt.NDArray[Any]]

_DETAILS = "details"
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a store is to hold, all known before the first case is explained.

    Parameters
    ----------
    cases, splits
        Safe names and splits of the N cases.
    labels
        M names, in the model's order.
    truth, sides
        int8 and uint8 [N, M], as :mod:`training.cohort.results.layout` has them.
    model, input_spec
        The model and its input.
    layout
        Sizes.
    head
        (weights [M, F, D1, D2], bias [M]) of a head of one fully connected layer, else None.
    made_with
        Settings, as plain JSON types; a store is continued with equal ones only.
    origin
        The cohort.
    """

    cases: Sequence[str]
    splits: Sequence[str]
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int8]
    sides: npt.NDArray[np.uint8]
    model: ModelInfo
    input_spec: InputSpec
    layout: Layout
    head: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None
    made_with: Mapping[str, Any]
    origin: Origin

    def cases_csv(self) -> bytes:
        """Return ``cases.csv``: the names of the cases and their splits."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(
            [("case", "split"), *zip(self.cases, self.splits, strict=True)]
        )
        return stream.getvalue().encode()

    def attributes(self) -> dict[str, Any]:
        """Return the metadata of the store; equal plans have equal ones."""
        truth = hashlib.sha256(self.truth.tobytes() + self.sides.tobytes()).hexdigest()
        found = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "software": f"hirescam {__version__}",
            "intended_use": "research only, not for clinical use",
            "labels": list(self.labels),
            "model": self.model.to_dict(),
            "input_spec": self.input_spec.to_dict(),
            "layout": self.layout.to_dict(),
            "made_with": dict(self.made_with),
            "cases_sha256": hashlib.sha256(self.cases_csv()).hexdigest(),
            "truth_sha256": truth,
        }
        return dict(json.loads(json.dumps(found)))


def create_store(path: Path, plan: Plan) -> None:
    """Make an empty store at ``path``, completely or not at all.

    Raises
    ------
    InputError
        If the place is not writable.
    FileExistsError
        If something is there already.
    """
    with atomic_path(path, overwrite=False) as folder:
        group = create_arrays(folder, plan.layout, plan.attributes())
        for name, values in zip(("weights", "bias"), plan.head or (), strict=False):
            group.create_array(name, data=np.ascontiguousarray(values), chunks=values.shape)
        for name in ("truth", "sides"):
            _array(group, name)[...] = getattr(plan, name)
        (folder / names.CASES_FILE).write_bytes(plan.cases_csv())
        (folder / names.DETAILS_FOLDER).mkdir()
        (folder / names.PENDING_FOLDER).mkdir()
        plan.origin.write(folder, path)


def check_same(path: Path, plan: Plan) -> None:
    """Refuse to continue a store that was made of other cases, by another model or with other settings.

    A model may be called otherwise than when the store was begun: its hash tells it.

    Raises
    ------
    InputError
        Naming what differs.
    """
    kept = dict(zarr.open_group(LocalStore(path, read_only=True), mode="r", zarr_format=3).attrs)
    wanted = plan.attributes()
    differing = [key for key in wanted if key != "software" and _nameless(kept.get(key)) != _nameless(wanted[key])]
    if differing:
        fact = f"is a store of another {', '.join(_WORDS.get(key, key) for key in differing)}, and is left as it is"
        raise InputError(error("other-store", fact, "Choose another folder, or give the same as before.", path.name))


def _nameless(value: Any) -> Any:
    return {key: one for key, one in value.items() if key != "name"} if isinstance(value, dict) else value


_WORDS = {
    "cases_sha256": "list of cases",
    "truth_sha256": "ground truth",
    "input_spec": "model input",
    "made_with": "set of settings",
    "layout": "size",
}


def pending_file(store: Path, row: int) -> Path:
    """Return the file in which the result of a row waits to be gathered."""
    return store / names.PENDING_FOLDER / f"{row:08d}.npz"


def write_pending(
    store: Path,
    row: int,
    layout: Layout,
    case: Explanation,
    organs: Mapping[str, npt.NDArray[np.uint8]] | None,
    qc: Any = None,
) -> None:
    """Leave the result of one case to be gathered.

    Parameters
    ----------
    organs
        From :func:`training.cohort.results.organs.organ_arrays`.
    qc
        Quality of the organ masks, plain JSON types.

    Raises
    ------
    InputError
        If Z does not fit into float16, or the disk is full.
    """
    arrays = _arrays_of(case, layout) | dict(organs or {})
    arrays[_DETAILS] = np.frombuffer(json.dumps(_details_of(case, qc)).encode(), dtype=np.uint8)
    with atomic_path(pending_file(store, row)) as partial:
        np.savez(partial, **arrays)  # type: ignore[arg-type]


def _arrays_of(case: Explanation, layout: Layout) -> Arrays:
    z = _as_kept(case.z, layout.z_dtype)
    found: Arrays = {
        "scores": case.scores.astype(np.float32),
        "input_affine": case.input_geometry.affine,
        "image_affine": case.image_geometry.affine,
        "image_shape": np.asarray(case.image_geometry.shape, dtype=np.int32),
        "z_sha256": np.frombuffer(hashlib.sha256(z.data).digest(), dtype=np.uint8),
        "z": z,
        "slice_scores": case.slice_scores.astype(np.float32),
    }
    if not layout.closed_form:
        found |= {"case_weights": case.weights.astype(np.float32), "case_bias": case.bias.astype(np.float32)}
    if case.gradient_maps is not None:
        found["gradient_maps"] = case.gradient_maps.astype(np.float32)
    return found


def _as_kept(z: npt.NDArray[np.floating], dtype: str) -> npt.NDArray[np.floating]:
    largest = float(np.abs(z).max(initial=0.0))
    if dtype == "float16" and largest > _LARGEST_FLOAT16:
        fact = f"Z reaches {largest:.3g}, which float16 cannot hold"
        raise InputError(error("too-large-for-float16", fact, "Keep Z as float32."))
    return np.ascontiguousarray(z, dtype=dtype)


def _details_of(case: Explanation, qc: Any) -> dict[str, Any]:
    return {
        "case": case.case_id,
        "device": case.device,
        "precision": case.precision,
        "seconds": dict(case.seconds),
        "peak_rss_bytes": case.peak_rss_bytes,
        "issues": exported(case.issues),
        "provenance": dict(case.provenance),
        "organs": qc,
    }


class Filling:
    """A store that this process alone gathers results into; made by :func:`filling`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group = zarr.open_group(LocalStore(path), mode="r+", zarr_format=3)
        about: dict[str, Any] = dict(self._group.attrs)
        self.layout = Layout.from_dict(about["layout"])
        self._state: npt.NDArray[np.uint8] = np.asarray(_array(self._group, "state")[...])

    def waiting(self) -> list[int]:
        """Return the rows without a result, those that failed before included."""
        kept = set(self._pending())
        return [row for row in np.flatnonzero(self._state != DONE).tolist() if row not in kept]

    def fail(self, row: int) -> None:
        """Mark a row as failed; it is among those that wait, for the next run."""
        self._state[row] = FAILED
        _array(self._group, "state")[row] = FAILED

    def gather(self, full_only: bool = False) -> int:
        """Move pending results into the arrays; return how many cases are done now.

        Parameters
        ----------
        full_only
            Leave blocks of which cases are still to come, so that every file is written once.
        """
        pending = sorted(self._pending())
        for number in sorted({row // self.layout.block for row in pending}):
            rows = self.layout.rows(number)
            new = [row for row in pending if row in rows]
            decided = all(row in new or self._state[row] != NOT_DONE for row in rows)
            if decided or not full_only:
                self._gather_block(rows, new)
        return int((self._state == DONE).sum())

    def _pending(self) -> Iterator[int]:
        for file in (self.path / names.PENDING_FOLDER).glob("*.npz"):
            if file.stem.isdigit():
                yield int(file.stem)

    def _gather_block(self, rows: range, new: list[int]) -> None:
        results = {row: _load(pending_file(self.path, row)) for row in new}
        for name in self.layout.arrays():
            if name in results[new[0]]:
                self._write_rows(name, rows, {row: results[row][name] for row in new})
        self._write_details({row: results[row][_DETAILS].tobytes() for row in new})
        self._write_rows("state", rows, dict.fromkeys(new, np.uint8(DONE)))
        self._state[new] = DONE
        for row in new:
            pending_file(self.path, row).unlink()

    def _write_rows(self, name: str, rows: range, new: Mapping[int, Any]) -> None:
        """Put ``new`` into the rows of a block, whose files are written as a whole; the other rows stay."""
        array, spec = _array(self._group, name), self.layout.arrays()[name]
        written = self.layout.rows_of_file(spec, rows)
        span = slice(written.start, written.stop)
        values = np.array(array[span]) if self._is_touched(written) else _blank(len(written), spec)
        for row, value in new.items():
            values[row - written.start] = value
        array[span] = values

    def _is_touched(self, rows: range) -> bool:
        return bool((self._state[rows.start : rows.stop] != NOT_DONE).any())

    def _write_details(self, new: Mapping[int, bytes]) -> None:
        """Put one line for each of ``new`` into the file that they share."""
        file, n = details_file(self.path, next(iter(new))), names.LARGEST_BLOCK
        lines = file.read_bytes().split(b"\n")[:n] if file.is_file() else [b""] * n
        for row, text in new.items():
            lines[row % n] = text
        with atomic_path(file) as partial:
            partial.write_bytes(b"\n".join(lines) + b"\n")


def _blank(n: int, spec: names.ArraySpec) -> npt.NDArray[Any]:
    return np.full((n, *spec.row), spec.fill, dtype=spec.dtype)


def _load(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise TypeError(f"{name} is not an array")
    return found


@contextmanager
def filling(path: Path) -> Iterator[Filling]:
    """Yield the store at ``path`` to gather results into, as the only process that does.

    Raises
    ------
    InputError
        If another process is at it.
    """
    from training.cohort.results.lock import locked

    with locked(path / names.LOCK_FILE):
        for leftover in path.rglob("*.partial"):  # of a process that was killed while it wrote a chunk
            leftover.unlink()
        yield Filling(path)
