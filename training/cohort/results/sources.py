"""Where a stored case came from: found again through the cohort it was made from, because a store names no files.

Paths may hold patients' names, so a store keeps the place of the cohort (its folder or table) and the safe names of the
cases only. CT and report of a case are looked up there when they are asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.cohort.results.layout import DATA_FILE, LABELS_FOLDER
from training.cohort.sources.options import PATHS, Options

if TYPE_CHECKING:
    from training.cohort.sources.base import Record, Source
    from training.volume import Volume


@dataclass(frozen=True)
class CaseSource:
    """Where the CT of a case is now: its path, and the number of the series in a DICOM folder; None if not found.

    ``by_itself`` is False where the cohort's tables correct what the file says, so that the file alone is another CT.
    """

    path: str | None
    series: str | None = None
    by_itself: bool = True


@dataclass(frozen=True)
class Origin:
    """The cohort that a store was made from.

    Parameters
    ----------
    data
        Its folder or table; None if that was not kept.
    kind
        Its layout, one of :data:`training.cohort.sources.KINDS`; None if it is to be found out.
    keep_names
        Whether cases are called as a table calls them.
    memo, workers
        Folder in which labels that are worked out from reports are kept, and processes that work them out.
    options
        Of the layout, see :mod:`training.cohort.sources.options`.
    """

    data: Path | None = None
    kind: str | None = None
    keep_names: bool = False
    memo: Path | None = None
    workers: int = 1
    options: Options = field(default_factory=dict)

    def source(self) -> Source | None:
        """Return the cohort, None if it is not where it was."""
        from training.cohort.sources import GenericTable, find_source

        if self.data is None or not self.data.exists():
            return None
        found = find_source(self.data, self.kind, self.memo, self.workers, self.options)
        if isinstance(found, GenericTable):
            return replace(found, keep_names=self.keep_names, needs_labels=False, needs_volumes=False)
        return found

    @cached_property
    def _records(self) -> Mapping[str, Record]:
        source = self.source()
        return {} if source is None else {record.case_id: record for record in source.listing().records}

    @cached_property
    def _reports(self) -> Mapping[str, str]:
        from training.cohort.sources.texts import reports_of

        source = self.source()
        return {} if source is None else reports_of(source)

    def find(self, case: str) -> CaseSource:
        """Return where the CT of ``case`` is; raises ``InputError`` if the cohort cannot be read any more."""
        record = self._records.get(case)
        if record is None:
            return CaseSource(None)
        return CaseSource(str(record.path), record.details.get("series"), "XYSpacing" not in record.details)

    def volume(self, case: str) -> Volume | None:
        """Read the CT of ``case`` as its cohort reads it; None if it is not found; ``InputError`` if it is unusable."""
        source, record = self.source(), self._records.get(case)
        return None if source is None or record is None else source.read(record)

    def report(self, case: str) -> str | None:
        """Return the report of ``case``, None if there is none."""
        return self._reports.get(case)

    def write(self, store: Path, beside: Path) -> None:
        """Write ``data.json`` into ``store``, which will stand at ``beside``; paths are relative where they can be."""
        data = None if self.data is None else _relative(self.data, beside)
        about: dict[str, Any] = {"data": data, "kind": self.kind, "keep_names": self.keep_names}
        if self.options:
            places = {name: _relative(Path(self.options[name]), beside) for name in PATHS if name in self.options}
            about["source"] = {**self.options, **places}
        text = json.dumps(about, indent=1)
        (store / DATA_FILE).write_text(text + "\n", encoding="utf-8")


def read_origin(store: Path) -> Origin:
    """Return the cohort that ``store`` names; an empty one if its file is missing (it may be left out on sharing)."""
    try:
        kept: Any = json.loads((store / DATA_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Origin()
    data = None if kept["data"] is None else (store / kept["data"]).resolve()
    memo = store / LABELS_FOLDER
    options = {
        name: str((store / value).resolve()) if name in PATHS else tuple(value) if isinstance(value, list) else value
        for name, value in kept.get("source", {}).items()
    }
    return Origin(data, kept["kind"], bool(kept["keep_names"]), memo if memo.is_dir() else None, options=options)


def _relative(path: Path, start: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()
    except ValueError:  # another drive
        return str(path.resolve())
