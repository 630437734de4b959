"""``label-reports``: report text to the 80 labels, with places and evidence."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.console import AsJson, emit, progress_bars, reported


class ReportVariant(StrEnum):
    """How sides are kept."""

    DEFAULT = "default"
    AUTHORS = "authors"


class Uncertain(StrEnum):
    """What an uncertain finding counts as."""

    PRESENT = "present"
    ABSENT = "absent"


def label_reports(
    table: Annotated[Path, typer.Argument(metavar="IN.csv", help="A case column and a report column.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV of the 80 labels; two more are written beside it.")],
    vocabulary: Annotated[list[Path] | None, typer.Option(help="TOML file that extends the vocabulary.")] = None,
    variant: Annotated[ReportVariant, typer.Option(help="authors: sides of lung diseases are dropped.")] = (
        ReportVariant.DEFAULT
    ),
    uncertain: Annotated[Uncertain, typer.Option(help="What an uncertain finding counts as.")] = Uncertain.PRESENT,
    lymph_node_mm: Annotated[float, typer.Option(help="Short axis from which a lymph node is enlarged.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Label chest-CT reports: 80 labels, abnormality*location columns, and the words behind each."""
    with reported(as_json):
        from training.partition.reports import load_vocabulary
        from training.partition.reports.table import LabelSettings, label_rows, read_reports, write_labels

        start = time.perf_counter()
        settings = LabelSettings(variant.value, uncertain.value, lymph_node_mm, tuple(vocabulary or ()))
        load_vocabulary(settings.vocabulary)
        rows = read_reports(table)
        with progress_bars() as progress:
            results = label_rows(rows, settings, workers, lambda done, total: progress(done, total, "reports"))
            paths = write_labels(results, out, settings)
        seconds = time.perf_counter() - start
        if as_json:
            emit({"reports": len(rows), "seconds": seconds, "files": [path.name for path in paths]})
        else:
            typer.echo(f"{len(rows)} reports labelled in {seconds:.1f} s: " + ", ".join(path.name for path in paths))
