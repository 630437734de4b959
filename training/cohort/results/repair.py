"""Looking for damage in the results of a store: the cases that it hit are forgotten, and explained again.

The quick look finds what is missing, empty or cut off: it reads all columns and details, and of every other file its
index and one chunk. The thorough one reads everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results import layout as names
from training.cohort.results.details import details_rows
from training.cohort.results.fill import Filling
from training.cohort.results.layout import DONE, LARGEST_BLOCK, ArraySpec
from training.cohort.results.plan import TABLE_ARRAYS
from training.cohort.results.restore import read_if_whole
from training.issues import Cancelled

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Damage:
    """What was found: names of arrays (or ``details``), and the rows of the cases that must be explained again."""

    names: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


def mend(
    place: Filling, thorough: bool, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
) -> Damage:
    """Look for damage in the results of a store and forget the cases that it hit; return what was found.

    Parameters
    ----------
    thorough
        Read everything.
    progress
        Called with (done, total, "looking for damage"): files.
    cancelled
        Asked before every file.

    Raises
    ------
    Cancelled
        If ``cancelled`` said so; nothing is forgotten then.
    """
    found: dict[str, set[int]] = {}
    look = _Look(place, thorough)
    parts = list(look.parts())
    for number, (name, rows) in enumerate(parts):
        if cancelled is not None and cancelled():
            raise Cancelled("looking for damage was cancelled")
        if bad := look.bad_rows(name, rows):
            found.setdefault(name, set()).update(bad)
        if progress is not None:
            progress(number + 1, len(parts), "looking for damage")
    rows_to_do = tuple(sorted(set().union(*found.values())))
    place.forget(rows_to_do)
    return Damage(tuple(found), rows_to_do)


class _Look:
    """Looks at one file after the other."""

    def __init__(self, place: Filling, thorough: bool) -> None:
        self._place, self._thorough = place, thorough
        self._specs = {
            name: spec for name, spec in place.layout.arrays().items() if name not in ("state", *TABLE_ARRAYS)
        }

    def parts(self) -> Iterator[tuple[str, range]]:
        """Yield array (or ``details``) and rows of every file."""
        n = self._place.layout.n_cases
        for start in range(0, n, LARGEST_BLOCK):
            yield names.DETAILS_FOLDER, range(start, min(start + LARGEST_BLOCK, n))
        for name, spec in self._specs.items():
            for start in range(0, n, self._place.layout.rows_in_file(spec)):
                yield name, self._place.layout.file_of(spec, start)

    def bad_rows(self, name: str, rows: range) -> set[int]:
        """Return the cases with results, of those in a file, whose part of it cannot be read."""
        done = [row for row in rows if self._place.state[row] == DONE]
        if not done:
            return set()
        if name == names.DETAILS_FOLDER:
            return set(done) - set(details_rows(self._place.path, rows))
        return self._bad_in_array(name, self._specs[name], rows, done)

    def _bad_in_array(self, name: str, spec: ArraySpec, rows: range, done: list[int]) -> set[int]:
        span, arrays = slice(rows.start, rows.stop), self._place.arrays
        if spec.cut == "case":
            is_whole = not self._thorough and read_if_whole(arrays, name, done[0]) is not None
            return set() if is_whole else self._bad_chunks(name, rows, done)
        selection = span if spec.cut == "column" or self._thorough else (span, 0)
        return set(done) if read_if_whole(arrays, name, selection) is None else set()

    def _bad_chunks(self, name: str, rows: range, done: list[int]) -> set[int]:
        """Return the cases whose own chunk cannot be read, or holds another Z than was written."""
        arrays, span = self._place.arrays, slice(rows.start, rows.stop)
        hashes = read_if_whole(arrays, "z_sha256", span) if name == "z" else None
        together = read_if_whole(arrays, name, span)
        bad = set()
        for row in done:
            n = row - rows.start
            values = read_if_whole(arrays, name, row) if together is None else together[n]
            if values is None or (hashes is not None and _sha256(values) != hashes[n].tobytes()):
                bad.add(row)
        return bad


def _sha256(values: npt.NDArray[Any]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(values).data).digest()
