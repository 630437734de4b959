"""``label-reports``: report text, or labels made elsewhere, to the 80 labels, with places and evidence."""

from __future__ import annotations

import time
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.choices import OverwriteOption, SchedulerOption
from training.console import ERROR, AsJson, emit, progress_bars, reported, say, say_issues, wrote
from training.words import counted

if TYPE_CHECKING:
    from training.cohort.labelling import Labelled
    from training.partition.reports.table import LabelSettings


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
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV of the 80 labels; others are written beside it.")],
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
    overwrite: OverwriteOption = False,
    as_json: AsJson = False,
) -> None:
    """Label chest-CT reports: 80 labels, abnormality*location columns, and the words behind each.

    Reports that fail are told, one line each, and listed in OUT.failures.csv; those that mention nothing, in
    OUT.unmentioned.csv. A run that was stopped goes on where it was when it is started again.
    """
    with reported(as_json):
        from training.cohort.labelling import check_outputs
        from training.partition.reports import load_vocabulary
        from training.partition.reports.table import LabelSettings

        check_outputs(out, [table, *(vocabulary or ())], overwrite)
        settings = LabelSettings(variant.value, uncertain.value, lymph_node_mm, tuple(vocabulary or ()))
        if given:
            _import(table, out, settings, as_json)
            return
        load_vocabulary(settings.vocabulary)
        failed = _reports(table, out, settings, workers, scheduler, as_json)
        if failed:
            raise typer.Exit(ERROR)


def _reports(
    table: Path, out: Path, settings: LabelSettings, workers: int, scheduler: str | None, as_json: bool
) -> int:
    """Label the reports of ``table``, tell what came of it, and return how many failed."""
    from training.cohort.label_record import label_issues, summary, write_label_record
    from training.cohort.labelling import companions, read_reports
    from training.cohort.run_report import report_beside

    start = time.perf_counter()
    done = _label(read_reports(table), settings, out, workers, scheduler)
    seconds = time.perf_counter() - start
    beside = companions(out)
    facts, issues = summary(done, settings.uncertain), label_issues(done, beside.unmentioned.name, beside.evidence.name)
    write_label_record(out, table, done.files, settings, facts, seconds, issues)
    files = (*done.files, report_beside(out))
    if as_json:
        told = {"files": [path.name for path in files], "issues": [issue.to_dict() for issue in issues]}
        emit({**facts, **told, "seconds": seconds})
    else:
        say_issues(issues)
        typer.echo(f"{_words(done)} in {seconds:.1f} s.")
        wrote(*files)
    return len(done.failures)


def _label(rows: Any, settings: Any, out: Path, workers: int, scheduler: str | None) -> Labelled:
    from training.cohort.jobs import cluster
    from training.cohort.labelling import PART_REPORTS, label_table

    here = scheduler is None and (workers == 1 or len(rows) <= PART_REPORTS)
    with nullcontext() if here else cluster(workers, scheduler) as client, progress_bars() as progress:
        return label_table(rows, settings, out, client, progress, lambda one: say(f"{one.case}: {one.reason}"))


def _words(done: Labelled) -> str:
    before = f", {done.done_before} of them by an earlier run" if done.done_before else ""
    failed = f", {len(done.failures)} failed" if done.failures else ""
    return f"{counted(done.reports, 'report')}{before}{failed}: labelled"


def _import(table: Path, out: Path, settings: LabelSettings, as_json: bool) -> None:
    from training.cohort.importing import read_given, write_given
    from training.cohort.label_record import write_label_record
    from training.cohort.run_report import report_beside

    start = time.perf_counter()
    labels = read_given(table)
    written = write_given(labels, out, settings.uncertain)
    facts = {"cases": len(labels.cases), "form": labels.form}
    write_label_record(out, table, written, settings, {**facts, "given": True}, time.perf_counter() - start)
    files = (*written, report_beside(out))
    if as_json:
        emit({**facts, "files": [path.name for path in files]})
    else:
        typer.echo(f"{counted(len(labels.cases), 'case')} ({labels.form}).")
        wrote(*files)
