"""Filling a cohort store: workers leave one file a finished case, one process gathers them into the arrays by block.

A finished case is a file in ``pending`` that exists completely or not at all, so any number of processes may make them.
One process at a time, the one that holds the lock, moves them into the arrays: first the arrays, then ``state``, then
the files are removed. Killed at any point, the same is done again by the next run and nothing is lost or doubled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results import layout as names
from training.cohort.results.details import write_details
from training.cohort.results.files import Arrays, read_about
from training.cohort.results.layout import DONE, FAILED, LARGEST_BLOCK, NOT_DONE, ArraySpec, Layout
from training.cohort.results.lock import locked
from training.cohort.results.pending import DETAILS, pending_file, pending_rows, read_pending, write_pending
from training.cohort.results.plan import TABLE_ARRAYS, Plan, check_same, create_store
from training.cohort.results.restore import restore
from training.issues import InputError

__all__ = ["Filling", "Plan", "check_same", "create_store", "filling", "pending_file", "write_pending"]


class Filling:
    """A store that this process alone gathers results into; made by :func:`filling`.

    Errors are those of :class:`training.cohort.results.files.Arrays`: what is damaged is not written over. ``restored``
    names what was damaged and has been written again.
    """

    def __init__(self, path: Path, restored: tuple[str, ...] = ()) -> None:
        self.path = path
        self.restored = restored
        self.layout = Layout.from_dict(read_about(path)["layout"])
        self.arrays = Arrays(path, self.layout)
        self.state: npt.NDArray[np.uint8] = self.arrays.read("state")

    def waiting(self) -> list[int]:
        """Return the rows without a result, those that failed before included."""
        kept = set(pending_rows(self.path))
        return [row for row in np.flatnonzero(self.state != DONE).tolist() if row not in kept]

    def fail(self, row: int) -> None:
        """Mark a row as failed; it is among those that wait, for the next run."""
        self._mark([row], FAILED)

    def forget(self, rows: Iterable[int]) -> None:
        """Take ``rows`` for not explained, and write blanks where a column can no longer be read.

        First ``state``, so that no blank can pass for a result, whenever the process ends.
        """
        rows = sorted(rows)
        if rows:
            self._mark(rows, NOT_DONE)
        for number in sorted({row // LARGEST_BLOCK for row in rows}):
            write_details(self.path, {row: b"" for row in rows if row // LARGEST_BLOCK == number})
        for name, spec in self.layout.arrays().items():
            if spec.cut == "column" and name not in ("state", *TABLE_ARRAYS):
                self._blank_unreadable(name, spec)

    def gather(self, full_only: bool = False) -> int:
        """Move pending results into the arrays; return how many cases are done now.

        Parameters
        ----------
        full_only
            Leave blocks of which cases are still to come, so that every file is written once.
        """
        pending = sorted(pending_rows(self.path))
        for number in sorted({row // self.layout.block for row in pending}):
            rows = self.layout.rows(number)
            new = [row for row in pending if row in rows]
            decided = all(row in new or self.state[row] != NOT_DONE for row in rows)
            if decided or not full_only:
                self._gather_block(rows, new)
        return int((self.state == DONE).sum())

    def _gather_block(self, rows: range, new: list[int]) -> None:
        read = {row: read_pending(self.path, row) for row in new}
        results = {row: result for row, result in read.items() if result is not None}
        for name in self.layout.arrays():
            own = {row: result[name] for row, result in results.items() if name in result}
            if own:
                self._write_rows(name, rows, own)
        if results:
            write_details(self.path, {row: result[DETAILS].tobytes() for row, result in results.items()})
            self._write_rows("state", rows, dict.fromkeys(results, np.uint8(DONE)))
            self.state[list(results)] = DONE
        for row in results:
            pending_file(self.path, row).unlink()

    def _mark(self, rows: list[int], value: int) -> None:
        size = self.layout.rows_in_file(self.layout.arrays()["state"])
        for number in sorted({row // size for row in rows}):
            own = [row for row in rows if row // size == number]
            self._write_rows("state", range(own[0], own[0] + 1), dict.fromkeys(own, np.uint8(value)))
        self.state[rows] = value

    def _write_rows(self, name: str, rows: range, new: Mapping[int, Any]) -> None:
        """Put ``new`` into the rows of a block, whose files are written as a whole; the other rows stay."""
        spec = self.layout.arrays()[name]
        written = self.layout.file_of(spec, rows.start)
        values = self._kept(name, spec, written)
        for row, value in new.items():
            values[row - written.start] = value
        self.arrays.write(name, written, values)

    def _kept(self, name: str, spec: ArraySpec, rows: range) -> npt.NDArray[Any]:
        """Return what the rows of a file hold; blanks for those that hold no results, which may be damaged."""
        done = [row for row in rows if self.state[row] == DONE]
        if spec.cut != "column" and not done:
            return _blank(len(rows), spec)
        try:
            return np.array(self.arrays.read(name, slice(rows.start, rows.stop)))
        except InputError:
            if spec.cut != "case":
                raise
        values = _blank(len(rows), spec)
        for row in done:
            values[row - rows.start] = self.arrays.read(name, row)
        return values

    def _blank_unreadable(self, name: str, spec: ArraySpec) -> None:
        for start in range(0, self.layout.n_cases, self.layout.rows_in_file(spec)):
            rows = self.layout.file_of(spec, start)
            try:
                self.arrays.read(name, slice(rows.start, rows.stop))
            except InputError:
                self.arrays.write(name, rows, _blank(len(rows), spec))


def _blank(n: int, spec: ArraySpec) -> npt.NDArray[Any]:
    return np.full((n, *spec.row), spec.fill, dtype=spec.dtype)


@contextmanager
def filling(path: Path, plan: Plan | None = None) -> Iterator[Filling]:
    """Yield the store at ``path`` to gather results into, as the only process that does.

    Parameters
    ----------
    plan
        What the store was made of (:func:`check_same`): what follows from it and is damaged is written again first.

    Raises
    ------
    InputError
        If another process is at it; or what :class:`Filling` needs is damaged and there is no ``plan``.
    """
    with locked(path / names.LOCK_FILE):
        for leftover in path.rglob("*.partial"):  # of a process that was killed while it wrote a chunk
            leftover.unlink()
        restored = () if plan is None else restore(path, plan)
        yield Filling(path, restored)
