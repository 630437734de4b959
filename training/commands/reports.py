"""``label-reports``: report text, or labels made elsewhere, to the 80 labels, with places and evidence."""

from __future__ import annotations

import time
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.choices import SchedulerOption
from training.console import ERROR, AsJson, emit, progress_bars, reported, say, wrote
from training.issues import Issue, warning
from training.words import counted

if TYPE_CHECKING:
    from training.cohort.labelling import Labelled


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
    vocabulary: Annotated[
        list[Path] | None,
        typer.Option(show_default="the shipped one", help="TOML file that extends the vocabulary; repeatable."),
    ] = None,
    variant: Annotated[
        ReportVariant, typer.Option(help="authors: sides of lung diseases are dropped, as the paper's authors did.")
    ] = ReportVariant.DEFAULT,
    uncertain: Annotated[
        Uncertain, typer.Option(help='What an uncertain finding ("possible nodule") counts as.')
    ] = Uncertain.PRESENT,
    lymph_node_mm: Annotated[
        float, typer.Option(help="Short axis, in mm, from which a lymph node is enlarged.")
    ] = 10.0,
    given: Annotated[
        bool,
        typer.Option(
            "--given", help="IN.csv holds labels made elsewhere: bring them into this form. Default: it holds reports."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that label.")] = 2,
    scheduler: SchedulerOption = None,
    as_json: AsJson = False,
) -> None:
    """Label chest-CT reports: 80 labels, abnormality*location columns, and the words behind each.

    Reports that fail are told, one line each, and listed in OUT.failures.csv. A run that was stopped goes on where it
    was when it is started again.
    """
    with reported(as_json):
        from training.cohort.labelling import check_outputs, read_reports

        check_outputs(out, [table, *(vocabulary or ())])
        if given:
            _import(table, out, uncertain, as_json)
            return
        from training.partition.reports import load_vocabulary
        from training.partition.reports.table import LabelSettings

        start = time.perf_counter()
        settings = LabelSettings(variant.value, uncertain.value, lymph_node_mm, tuple(vocabulary or ()))
        load_vocabulary(settings.vocabulary)
        done = _label(read_reports(table), settings, out, workers, scheduler)
        seconds = time.perf_counter() - start
        if done.overlong and not as_json:
            say(str(_overlong(done)))
        if as_json:
            emit({**_summary(done), "seconds": seconds})
        else:
            typer.echo(f"{_words(done)} in {seconds:.1f} s.")
            wrote(*done.files)
        if done.failures:
            raise typer.Exit(ERROR)


def _label(rows: Any, settings: Any, out: Path, workers: int, scheduler: str | None) -> Labelled:
    from training.cohort.jobs import cluster
    from training.cohort.labelling import PART_REPORTS, label_table

    here = scheduler is None and (workers == 1 or len(rows) <= PART_REPORTS)
    with nullcontext() if here else cluster(workers, scheduler) as client, progress_bars() as progress:
        return label_table(rows, settings, out, client, progress, lambda one: say(f"{one.case}: {one.reason}"))


def _summary(done: Labelled) -> dict[str, Any]:
    names = [path.name for path in done.files]
    return {
        "reports": done.reports,
        "done_before": done.done_before,
        "failed": len(done.failures),
        "overlong": len(done.overlong),
        "files": names,
    }


def _overlong(done: Labelled) -> Issue:
    from training.partition.reports.tokens import MAX_WORDS

    fact = f"{counted(len(done.overlong), 'report')} with a sentence of more than {MAX_WORDS} words, read in parts"
    return warning("long-sentence", fact, "See that full stops are not lost in the table, and look at the evidence.")


def _words(done: Labelled) -> str:
    before = f", {done.done_before} of them by an earlier run" if done.done_before else ""
    failed = f", {len(done.failures)} failed" if done.failures else ""
    return f"{counted(done.reports, 'report')}{before}{failed}: labelled"


def _import(table: Path, out: Path, uncertain: Uncertain, as_json: bool) -> None:
    from training.cohort.importing import read_given, write_given

    labels = read_given(table)
    files = write_given(labels, out, uncertain.value)
    if as_json:
        emit({"cases": len(labels.cases), "form": labels.form, "files": [path.name for path in files]})
    else:
        typer.echo(f"{counted(len(labels.cases), 'case')} ({labels.form}).")
        wrote(*files)
