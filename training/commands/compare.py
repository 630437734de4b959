"""``compare``: where the two methods disagree most over a cohort, and a contact sheet of one label."""

from __future__ import annotations

import csv
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.console import AsJson, emit, print_table, progress_bars, reported
from training.labels import chosen_labels

if TYPE_CHECKING:
    from training.cohort.results import CohortStore
    from training.evaluate.compare import Disagreement


class Pairs(StrEnum):
    """Which pairs of case and label are ranked."""

    PREDICTED = "predicted"
    PRESENT = "present"
    ALL = "all"


class SheetOrder(StrEnum):
    """In which order the cases of a sheet stand."""

    PROBABILITY = "probability"
    DISAGREEMENT = "disagreement"


def compare(
    store: Annotated[Path, typer.Argument(help="Cohort store made by `hirescam batch`.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV of the ranked pairs.")] = None,
    label: Annotated[str | None, typer.Option("--label", "-l", help="One abnormality only.")] = None,
    pairs: Annotated[Pairs, typer.Option(help="predicted from the threshold up, present in truth, or all.")] = (
        Pairs.PREDICTED
    ),
    most: Annotated[int, typer.Option(min=1, help="How many pairs.")] = 100,
    sheet: Annotated[Path | None, typer.Option(help="With --label: contact sheet, .png, .pdf or .svg.")] = None,
    cases: Annotated[int, typer.Option(min=1, max=200, help="Cases on the sheet.")] = 12,
    order: Annotated[SheetOrder, typer.Option(help="Order of the sheet.")] = SheetOrder.PROBABILITY,
    cts: Annotated[bool, typer.Option("--cts/--no-cts", help="Draw the sheet over the CTs; seconds a case.")] = True,
    as_json: AsJson = False,
) -> None:
    """Rank where Grad-CAM shows the wrong organ and HiResCAM the right one, over a cohort. Not for clinical use."""
    with reported(as_json):
        from training.cohort.results import open_store
        from training.evaluate.compare import cohort_disagreements, disagreement_rows

        opened = open_store(store)
        name = None if label is None else _label_of(opened, label)
        if sheet is not None and (name is None or sheet.suffix.lower() not in (".png", ".pdf", ".svg")):
            raise typer.BadParameter("--sheet needs --label and a .png, .pdf or .svg file")
        with progress_bars() as progress:
            chosen = None if name is None else [name]
            found = cohort_disagreements(opened, pairs.value, chosen, most, progress)
            if sheet is not None and name is not None:
                _write_sheet(opened, name, sheet, cases, order.value, cts, progress)
        rows = [dict(row) for row in disagreement_rows(found)]
        if out is not None:
            _write_csv(out, rows)
        if as_json:
            emit({"pairs": rows, "store_sha256": opened.sha256, "model": opened.model.name})
        else:
            _print(found)


def _label_of(store: CohortStore, name: str) -> str:
    return chosen_labels([name], store.labels)[0]


def _write_sheet(
    store: CohortStore, label: str, path: Path, cases: int, order: Any, with_cts: bool, progress: Any
) -> None:
    from training.evaluate.compare import sheet_entries
    from training.evaluate.contact_sheet import draw_sheet, read_tiles
    from training.io.atomic import atomic_path

    entries = sheet_entries(store, label, order, cases, progress)
    tiles = read_tiles(store, label, entries, with_cts=with_cts, progress=progress)
    kind: Any = path.suffix.lower().removeprefix(".")
    with atomic_path(path) as partial:
        partial.write_bytes(draw_sheet(tiles, label, store.model.name, kind))


def _write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    from training.io.atomic import atomic_path

    names = list(rows[0]) if rows else ["case", "label", "disagreement", "probability"]
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _print(found: list[Disagreement], longest: int = 20) -> None:
    rows = [
        (one.case, one.label, f"{one.value:+.3f}", f"{one.hirescam.allowed:.0%}", f"{one.gradcam.other_organs:.0%}")
        for one in found[:longest]
    ]
    head = ("case", "abnormality", "disagreement", "HiResCAM in the right organ", "Grad-CAM in the wrong one")
    print_table(f"The first {len(rows)} of {len(found)}", head, rows)
    typer.echo("For research only, not for clinical use.")
