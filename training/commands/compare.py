"""``compare``: where the two methods disagree most over a cohort, and a contact sheet of one label."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.choices import OverwriteOption
from training.console import AsJson, emit, print_table, progress_bars, reported, say_issues, wrote
from training.labels import chosen_labels, display_name
from training.words import counted_of, percent, signed_share

if TYPE_CHECKING:
    from training.cohort.results import CohortStore
    from training.evaluate.compare import Disagreement
    from training.issues import Issue


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
    out: Annotated[
        Path | None, typer.Option("--out", "-o", show_default="none", help="CSV file of the ranked pairs.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", "-l", metavar="LABEL", show_default="all", help="One abnormality only."),
    ] = None,
    pairs: Annotated[
        Pairs,
        typer.Option(
            help="Which pairs of case and abnormality: predicted (probability from the threshold up), present (in "
            "truth), or all. A sheet by probability holds all cases, but for --pairs present."
        ),
    ] = Pairs.PREDICTED,
    most: Annotated[int, typer.Option(min=1, help="How many pairs are ranked at most.")] = 100,
    sheet: Annotated[
        Path | None,
        typer.Option(
            show_default="none", help="With --label: picture of the cases beside each other, .png, .pdf or .svg."
        ),
    ] = None,
    cases: Annotated[int, typer.Option(min=1, max=200, help="How many cases are on the sheet.")] = 12,
    order: Annotated[SheetOrder, typer.Option(help="Which cases come first on the sheet.")] = SheetOrder.PROBABILITY,
    cts: Annotated[
        bool, typer.Option("--cts/--no-cts", help="Draw the sheet over the CTs; takes seconds a case.")
    ] = True,
    overwrite: OverwriteOption = False,
    as_json: AsJson = False,
) -> None:
    """Rank where Grad-CAM shows the wrong organ and HiResCAM the right one, over a cohort. Not for clinical use."""
    with reported(as_json):
        from training.cohort.output import check_free_files
        from training.cohort.results import open_store
        from training.cohort.run_report import with_reports
        from training.evaluate.compare import cohort_disagreements, disagreement_rows

        opened = open_store(store)
        name = None if label is None else _label_of(opened, label)
        if sheet is not None and (name is None or not _can_be_sheet(sheet)):
            raise typer.BadParameter("--sheet needs --label and a .png, .pdf or .svg file")
        files = [path for path in (sheet, out) if path is not None]
        check_free_files(with_reports(files), overwrite)
        start = time.perf_counter()
        with progress_bars() as progress:
            chosen = None if name is None else [name]
            found = cohort_disagreements(opened, pairs.value, chosen, most, progress)
            ranked = time.perf_counter() - start
            issues: list[Issue] = []
            if sheet is not None and name is not None:
                which = "all" if order is SheetOrder.PROBABILITY and pairs is Pairs.PREDICTED else pairs.value
                issues = _write_sheet(opened, name, sheet, cases, order.value, which, cts, progress)
        rows = [dict(row) for row in disagreement_rows(found)]
        if out is not None:
            request = {"label": name, "pairs": pairs.value, "most": most}
            _write_csv(out, opened, rows, request, ranked)
        if as_json:
            about = {"store_sha256": opened.sha256, "model": opened.model.name}
            told = [issue.to_dict() for issue in issues]
            emit({"pairs": rows, **about, "files": [path.name for path in with_reports(files)], "issues": told})
        else:
            _print(found)
            say_issues(issues)
            wrote(*files)


def _label_of(store: CohortStore, name: str) -> str:
    return chosen_labels([name], store.labels)[0]


def _can_be_sheet(path: Path) -> bool:
    from training.evaluate.sheet_file import is_sheet_name

    return is_sheet_name(path)


def _staged(progress: Any, stage: str) -> Any:
    """Return ``progress`` under the name of ``stage``, whatever its parts are called."""
    return lambda done, total, _: progress(done, total, stage)


def _write_sheet(
    store: CohortStore, label: str, path: Path, cases: int, order: Any, pairs: Any, with_cts: bool, progress: Any
) -> list[Issue]:
    """Write the sheet and its report; return what whoever passes it on has to know."""
    from training.evaluate.compare import sheet_entries
    from training.evaluate.sheet_file import sheet_issues, write_sheet
    from training.evaluate.sheet_tiles import read_tiles

    start = time.perf_counter()
    entries = sheet_entries(store, label, order, cases, _staged(progress, "ordering cases"), pairs=pairs)
    tiles = read_tiles(store, label, entries, with_cts=with_cts, progress=progress)
    spent = {"reading": time.perf_counter() - start}
    write_sheet(path, store, label, tiles, seconds=spent, order=order, pairs=pairs)
    return sheet_issues(store, tiles)


def _write_csv(
    path: Path, store: CohortStore, rows: list[dict[str, object]], request: dict[str, Any], seconds: float
) -> None:
    from training.cohort.run_report import store_facts, write_beside
    from training.evaluate.rows import to_csv
    from training.io.atomic import atomic_path

    with atomic_path(path) as partial:
        partial.write_text(to_csv(rows, ("case", "label", "disagreement", "probability")), encoding="utf-8")
    facts = store_facts(store, [str(row["case"]) for row in rows])
    write_beside(path, "ranked disagreement of methods", facts, request, {"ranking": seconds})


def _print(found: list[Disagreement], longest: int = 20) -> None:
    """List the pairs that show what is asked for; the reverse is counted, and stands in the file."""
    from training.evaluate.compare import DISAGREEMENT_WORDS

    shown = [one for one in found if one.value > 0]
    rows = [
        (
            one.case,
            display_name(one.label),
            signed_share(one.value),
            percent(one.hirescam.allowed),
            percent(one.gradcam.other_organs),
        )
        for one in shown[:longest]
    ]
    head = ("case", "abnormality", "disagreement", "HiResCAM in the right organ", "Grad-CAM in the wrong one")
    if rows:
        title = f"Grad-CAM in the wrong organ, HiResCAM in the right one: the first {len(rows)} of {len(shown):,}"
        print_table(title, head, rows, head[2:])
        typer.echo(f"Shares are of each map's positive evidence in the CT. {DISAGREEMENT_WORDS}")
    if len(shown) < len(found):
        pairs = counted_of(len(found) - len(shown), len(found), "pair has")
        typer.echo(f"{pairs} a disagreement of 0 or below, and are not listed; --out writes all.")
    typer.echo("For research only, not for clinical use.")
