"""Which layout a folder or a table is in."""

from __future__ import annotations

from pathlib import Path

from training.cohort.sources.base import SPLITS, Source
from training.cohort.sources.ct_rate import VOLUME_FOLDERS, CtRate
from training.cohort.sources.options import KNOWN, Options, check_options
from training.cohort.sources.phantoms import PhantomCohort, is_phantom_cohort
from training.cohort.sources.rad_chestct import TABLE_PATTERN, RadChestCT
from training.cohort.sources.table import LABELS_FILE, GenericTable
from training.issues import InputError, error

KINDS = tuple(KNOWN)
"""Names of the layouts."""


def find_source(
    data: Path,
    kind: str | None = None,
    memo: Path | None = None,
    workers: int = 1,
    options: Options | None = None,
) -> Source:
    """Return the source for ``data`` (a folder, or a table), of the layout ``kind`` or of the one it is seen to be in.

    Labels that are worked out from reports are kept in the folder ``memo`` and worked out by ``workers`` processes.
    ``options`` are those of the layout (:mod:`training.cohort.sources.options`).

    Raises
    ------
    InputError
        No layout is recognised, ``kind`` is none, or the layout does not know one of the options.
    """
    if not data.exists():
        way_out = "Check the path: a cohort is a folder or a table, see docs/data-formats.md."
        raise InputError(error("no-cohort", "there is no such folder or table", way_out, data.name))
    chosen = kind or _kind_of(data)
    if chosen not in KINDS:
        raise InputError(error("no-such-layout", f"there is no layout {kind!r}", f"Choose one of {', '.join(KINDS)}."))
    own = dict(options or {})
    check_options(chosen, own)
    if chosen == "phantoms":
        return PhantomCohort(data)
    if chosen == "table":
        return GenericTable(data, **own)
    if chosen == "rad-chestct":
        return RadChestCT(data, **{name: Path(path) for name, path in own.items()})
    return CtRate(data, memo=memo, workers=workers, **own)


def _kind_of(data: Path) -> str:
    if data.is_file():
        return "table"
    if is_phantom_cohort(data):
        return "phantoms"
    if (data / LABELS_FILE).is_file():
        return "table"
    if any(next(data.glob(TABLE_PATTERN.format(split=split)), None) for split in SPLITS):
        return "rad-chestct"
    if any((base / folder).is_dir() for base in (data, data / "dataset") for folder in VOLUME_FOLDERS):
        return "ct-rate"
    fact = "is no cohort: neither labels.csv, nor RAD-ChestCT's tables, nor CT-RATE's folders are in it"
    raise InputError(error("no-cohort", fact, "Give the folder of a cohort, or its table.", data.name))
