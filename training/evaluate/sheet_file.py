"""A contact sheet as a file, with the report on how it was made beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from training.cohort.run_report import burned_in_warning, store_facts, write_beside
from training.evaluate.case_figures import FORMATS, FigureFormat
from training.evaluate.compare import Order, Which
from training.evaluate.contact_sheet import draw_sheet
from training.evaluate.sheet_tiles import Tile, shared_limit
from training.explain.placement import Placement
from training.explain.result import Method
from training.io.atomic import atomic_path
from training.issues import Issue, note
from training.picture import WINDOWS
from training.words import counted_of

if TYPE_CHECKING:
    from training.cohort.results import CohortStore


def is_sheet_name(path: Path) -> bool:
    """Say whether a sheet can be written under this name: it ends as a picture of :data:`FORMATS`."""
    return _kind(path) in FORMATS


def write_sheet(
    path: Path,
    store: CohortStore,
    label: str,
    tiles: Sequence[Tile],
    method: Method = "hirescam",
    placement: Placement = "receptive_field",
    window_hu: tuple[float, float] = WINDOWS["lung"].limits_hu,
    seconds: Mapping[str, float] | None = None,
    order: Order | None = None,
    pairs: Which = "all",
) -> dict[str, Any]:
    """Write the sheet of ``tiles`` to ``path`` (kind by its ending), its report beside it, and return the report.

    Parameters
    ----------
    placement
        That of the tiles.
    seconds
        What it took to come by the tiles, by stage.
    order, pairs
        By what the tiles are sorted and of which cases they are, as for ``sheet_entries``; to be said.

    Raises
    ------
    ValueError
        If there are no tiles, or the name ends otherwise.
    InputError
        If the place is not writable, the disk is full, or the store is damaged.
    """
    if not is_sheet_name(path):
        raise ValueError(f"a contact sheet ends in one of {', '.join(FORMATS)}, not as {path.name!r}")
    start = time.perf_counter()
    with atomic_path(path) as partial:
        partial.write_bytes(
            draw_sheet(tiles, label, store.model, cast(FigureFormat, _kind(path)), method, window_hu, order)
        )
    facts = store_facts(store, [tile.entry.case for tile in tiles])
    spent = {**(seconds or {}), "drawing": time.perf_counter() - start}
    request: dict[str, Any] = {"label": label, "method": method, "placement": placement, "window_hu": list(window_hu)}
    request |= {"order": order, "pairs": pairs}
    facts["scale"] = {"end": shared_limit(tiles), "unit": tiles[0].unit, "shared_by": "all cases"}
    facts["cases"] = [_facts(tile) for tile in tiles]
    return write_beside(path, "contact sheet", facts, request, spent, sheet_issues(store, tiles))


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _facts(tile: Tile) -> dict[str, Any]:
    entry = tile.entry
    return {
        "case": entry.case,
        "probability": entry.probability,
        "outcome": tile.outcome,
        "where": tile.where,
        "ct_shown": tile.has_ct,
    }


def sheet_issues(store: CohortStore, tiles: Sequence[Tile]) -> list[Issue]:
    """Return what whoever passes a sheet on has to know: burned-in text that it shows, and CTs that were not at hand.

    Raises
    ------
    InputError
        If the store is damaged.
    """
    with_ct = [tile.entry.case for tile in tiles if tile.has_ct]
    found = burned_in_warning(issue["code"] for issue in store_facts(store, with_ct)["issues"])
    missing = len(tiles) - len(with_ct)
    said = f"{counted_of(missing, len(tiles), 'case is')} drawn without CT"
    return [*found, note("no-ct", said)] if missing else found
