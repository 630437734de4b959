"""``partition``: organ masks of one CT, or of every CT in a table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from training.commands.choices import RepairOption, SchedulerOption, SeriesOption, Stand, StandOption
from training.console import ERROR, AsJson, emit, progress_bars, reported, say, wrote
from training.issues import Issue, Severity, warning
from training.words import counted


class SegmentBackend(StrEnum):
    """What segments."""

    MORPHOLOGY = "morphology"
    FILE = "file"
    LUNGMASK = "lungmask"
    TOTALSEGMENTATOR = "totalsegmentator"


class SegmentVariant(StrEnum):
    """Which recipe of the morphology."""

    DEFAULT = "default"
    AERATED = "aerated"
    AUTHORS = "authors"


def partition(
    path: Annotated[Path, typer.Argument(help="A CT, or a CSV with the columns case and path for many.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for organs.nii.gz and qc.json (one a case).")],
    backend: Annotated[
        SegmentBackend,
        typer.Option(
            help="What segments: morphology (built in), lungmask or totalsegmentator (installed by you), or a mask you "
            "give (file)."
        ),
    ] = SegmentBackend.MORPHOLOGY,
    variant: Annotated[
        SegmentVariant,
        typer.Option(
            help="Recipe of the morphology; aerated: without fluid and airless lung along the ribs; authors: that of "
            "the paper's code."
        ),
    ] = SegmentVariant.DEFAULT,
    heuristic: StandOption = Stand.PAPER,
    mask: Annotated[
        Path | None,
        typer.Option(show_default="none", help="For --backend file: label map, or folder of masks."),
    ] = None,
    series: SeriesOption = None,
    repair: RepairOption = False,
    workers: Annotated[int, typer.Option(min=1, help="For a table: processes that segment.")] = 2,
    scheduler: SchedulerOption = None,
    as_json: AsJson = False,
) -> None:
    """Segment right lung, left lung and mediastinum; tell whether the masks can be believed. Not for clinical use.

    Masks that fail quality control are written too, with a warning and the reasons in qc.json; the exit code is 0.
    """
    with reported(as_json):
        from training.cohort.segmenting import SegmentSettings

        if (mask is None) is (backend is SegmentBackend.FILE):
            raise typer.BadParameter("--backend file and --mask go together: give both, or neither")
        settings = SegmentSettings(backend.value, variant.value, heuristic.value, mask, series, repair)
        if path.suffix.lower() == ".csv":
            _many(path, out, settings, workers, scheduler, as_json)
        else:
            _one(path, out, settings, as_json)


def _one(path: Path, out: Path, settings: Any, as_json: bool) -> None:
    from training.cohort.segmenting import SegmentTask, segment_case

    with progress_bars() as progress:
        report = segment_case(SegmentTask(path, out), settings, progress)
    if as_json:
        emit(report)
        return
    for issue in report["issues"]:
        say(_sentence(issue))
    for name, ml in report["volumes_ml"].items():
        typer.echo(f"{name}: {ml:.0f} ml")
    for reason in report["reasons"]:
        say(_sentence(reason))
    if report["passed"]:
        typer.echo("Passed quality control.")
    else:
        fact = "these masks failed quality control, for the reasons told and kept in qc.json"
        say(str(warning("failed-quality-control", fact, "Look at them before you use them.")))
    typer.echo("For research only, not for clinical use.")
    wrote(out)


def _sentence(issue: dict[str, Any]) -> str:
    return str(Issue(**{**issue, "severity": Severity(issue["severity"])}))


def _many(table: Path, out: Path, settings: Any, workers: int, scheduler: str | None, as_json: bool) -> None:
    from training.cohort.jobs import cluster
    from training.cohort.segmenting import is_done, passed, read_tasks, segment_many, write_failures
    from training.io.atomic import check_folder_place

    check_folder_place(out)
    tasks = read_tasks(table, out)
    earlier = sum(is_done(task.out) for task in tasks)
    failures: list[tuple[str, str]] = []
    with cluster(workers, scheduler) as client, progress_bars() as progress:
        for count, done in enumerate(segment_many(tasks, settings, client), earlier + 1):
            if done.failure is not None:
                failures.append((done.item.out.name, done.failure))
                say(f"{done.item.out.name}: {done.failure}")
            progress(count, len(tasks), "cases")
    out.mkdir(parents=True, exist_ok=True)
    write_failures(out, failures)
    doubtful = sum(not passed(task.out) for task in tasks if is_done(task.out))
    document = {
        "cases": len(tasks),
        "done_before": earlier,
        "failed": len(failures),
        "failed_quality_control": doubtful,
    }
    if as_json:
        emit(document)
    else:
        told = f"{earlier} done before, {len(failures)} failed{' (failures.csv)' if failures else ''}"
        typer.echo(
            f"{counted(len(tasks), 'case')}: {told}, {doubtful} failed quality control (qc.json).\n"
            "For research only, not for clinical use."
        )
        wrote(out)
    if failures:
        raise typer.Exit(ERROR)
