"""``partition``: organ masks of one CT, or of every CT in a table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from training.console import ERROR, AsJson, emit, progress_bars, reported, say, wrote
from training.issues import Issue, Severity


class SegmentBackend(StrEnum):
    """What segments."""

    MORPHOLOGY = "morphology"
    FILE = "file"
    LUNGMASK = "lungmask"
    TOTALSEGMENTATOR = "totalsegmentator"


class SegmentVariant(StrEnum):
    """Which recipe of the morphology."""

    DEFAULT = "default"
    AUTHORS = "authors"


class HeuristicMask(StrEnum):
    """The mask that stands in when a segmentation fails."""

    PAPER = "paper"
    AUTHORS = "authors"


def partition(
    path: Annotated[Path, typer.Argument(help="A CT, or a CSV with the columns case and path for many.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for organs.nii.gz and qc.json (one a case).")],
    backend: Annotated[SegmentBackend, typer.Option(help="What segments.")] = SegmentBackend.MORPHOLOGY,
    variant: Annotated[SegmentVariant, typer.Option(help="authors: the recipe of the paper's code.")] = (
        SegmentVariant.DEFAULT
    ),
    heuristic: Annotated[HeuristicMask, typer.Option(help="Mask that stands in for a failure.")] = HeuristicMask.PAPER,
    mask: Annotated[Path | None, typer.Option(help="For --backend file: label map, or folder of masks.")] = None,
    series: Annotated[int | None, typer.Option(help="Number of the series, where there are several.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended; recorded.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, for a table.")] = 2,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler, for a table.")] = None,
    as_json: AsJson = False,
) -> None:
    """Segment right lung, left lung and mediastinum; tell whether the masks can be believed. Not for clinical use."""
    with reported(as_json):
        from training.cohort.segmenting import SegmentSettings

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
    failed = "Failed quality control, for the reasons told and kept in qc.json."
    typer.echo("Passed quality control." if report["passed"] else failed)
    wrote(out)


def _sentence(issue: dict[str, Any]) -> str:
    return str(Issue(**{**issue, "severity": Severity(issue["severity"])}))


def _many(table: Path, out: Path, settings: Any, workers: int, scheduler: str | None, as_json: bool) -> None:
    from training.cohort.jobs import cluster
    from training.cohort.segmenting import is_done, read_tasks, segment_many, write_failures

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
    document = {"cases": len(tasks), "done_before": earlier, "failed": len(failures)}
    if as_json:
        emit(document)
    else:
        typer.echo(f"{len(tasks)} cases, {earlier} done before, {len(failures)} failed (failures.csv).")
        wrote(out)
    if failures:
        raise typer.Exit(ERROR)
