"""``batch``: explain a whole cohort into one store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.choices import (
    Device,
    DeviceOption,
    LayoutOption,
    ModelOption,
    Precision,
    PrecisionOption,
    SchedulerOption,
    SourceOption,
    Stand,
    StandOption,
)
from training.console import ERROR, AsJson, emit, progress_bars, reported, say, say_issues, waiting, wrote
from training.words import counted

if TYPE_CHECKING:
    from training.cohort.batch import Batch, Outcome


class OrganBackend(StrEnum):
    """How organs are found where the cohort has no masks."""

    MORPHOLOGY = "morphology"
    LUNGMASK = "lungmask"
    TOTALSEGMENTATOR = "totalsegmentator"
    NONE = "none"


class Kept(StrEnum):
    """How Z is kept."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


class Maps(StrEnum):
    """Which maps are kept."""

    OWN = "own"
    AVERAGE = "average"


class Split(StrEnum):
    """Which cases."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


def batch(
    data: Annotated[Path, typer.Argument(help="Folder or table of a cohort; see `hirescam check`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the store; one that is there is continued.")],
    model: ModelOption = "demo",
    kind: LayoutOption = None,
    source: SourceOption = None,
    split: Annotated[
        list[Split] | None, typer.Option("--split", show_default="all", help="Which cases; repeatable.")
    ] = None,
    device: DeviceOption = Device.AUTO,
    precision: PrecisionOption = Precision.FP32,
    keep: Annotated[
        Kept, typer.Option(help="How Z, from which all maps follow, is kept; float16 takes half the space.")
    ] = Kept.FLOAT32,
    maps: Annotated[
        Maps,
        typer.Option(help="The model's own maps; or, for MaxPool alone, average, as the paper's authors made them."),
    ] = Maps.OWN,
    organs: Annotated[
        OrganBackend, typer.Option(help="How organs are found where the cohort has no masks; none: not at all.")
    ] = OrganBackend.MORPHOLOGY,
    heuristic: StandOption = Stand.PAPER,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            show_default="one a GPU, else one a core as memory allows",
            help="Processes that explain; 0: this one alone.",
        ),
    ] = None,
    scheduler: SchedulerOption = None,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Name the cases as the table does. Default: by a hash, as names tell.")
    ] = False,
    organ_cache: Annotated[
        Path | None,
        typer.Option(
            "--organ-cache",
            show_default="none",
            help="Folder in which organs are kept, so that another model over the same CTs need not find them again.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Read all that is kept before going on; what is damaged is made again. Default: a quick look, "
            "which finds files that are missing, empty or cut off.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Explain every CT of a cohort into one store, from which all maps follow. Not for clinical use."""
    with reported(as_json):
        from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch
        from training.cohort.sources.options import source_options

        settings = BatchSettings(
            model,
            None if kind is None else kind.value,
            tuple(one.value for one in split or ()),
            device.value,
            precision.value,
            keep.value,
            maps.value,
            organs.value,
            heuristic.value,
            keep_names,
            organ_cache,
            source_options(source or ()),
        )
        with TemporaryDirectory() as memo:
            with waiting("Reading the cohort's tables and the model."):
                prepared = prepare_batch(data, out, settings, Path(memo))
            if not as_json:
                say_issues(prepared.issues)
            _say_size(prepared)
            open_for_filling(out, prepared.plan, Path(memo))
        with _client(workers, scheduler, device.value) as client, progress_bars() as progress:
            found = run_batch(prepared, client, progress, _say_failure, verify=verify, found_damage=say)
        _print_outcome(found, prepared, out, as_json, verify)


def _say_failure(case: str, reason: str) -> None:
    say(f"{case}: {reason}")


def _print_outcome(found: Outcome, prepared: Batch, out: Path, as_json: bool, verify: bool) -> None:
    """Tell what the run came to; raises ``typer.Exit`` if a case failed."""
    if as_json:
        emit({**found.to_dict(), "store": out.name, "issues": [issue.to_dict() for issue in prepared.issues]})
    else:
        if found.done_before and not verify:
            say("Cases done before had a quick look; --verify reads all of them and makes again what is damaged.")
        again = f" ({found.damaged} again)" if found.damaged else ""
        failed = f"{len(found.failures)} failed{' (failures.csv)' if found.failures else ''}"
        typer.echo(
            f"{counted(found.cases, 'case')}: {found.done_before} done before, {found.done} now{again}, {failed}.\n"
            "For research only, not for clinical use."
        )
        wrote(out)
    if found.failures:
        raise typer.Exit(ERROR)


def _say_size(prepared: Batch) -> None:
    """Tell how large the store can become before anything is worked out; refuse a disk that cannot hold it."""
    from training.cohort.batch import free_bytes
    from training.cohort.results import find_store
    from training.issues import InputError, error

    layout, free = prepared.plan.layout, free_bytes(prepared.work.store)
    total, usual = layout.case_bytes * layout.n_cases, layout.usual_bytes
    say(
        f"{counted(layout.n_cases, 'case')}, usually {_range(usual, 1e3, 0)} KB each and "
        f"{_total([one * layout.n_cases for one in usual])} in all, compressed (Z "
        f"{' x '.join(map(str, layout.z_row))} {layout.z_dtype}); never more than their uncompressed "
        f"{layout.case_bytes / 1e3:,.0f} KB and {_total([total])}. {free / 1e9:,.1f} GB are free."
    )
    if total > free and find_store(prepared.work.store) is None:
        fact = f"the store can become {total / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise InputError(error("disk-full", fact, "Free some space, choose another disk, or use --keep float16."))


def _range(ends: Sequence[float], unit: float, digits: int) -> str:
    """Return a range of bytes in words, in ``unit``; one number if both ends look alike."""
    return " to ".join(dict.fromkeys(f"{end / unit:,.{digits}f}" for end in ends))


def _total(ends: Sequence[float]) -> str:
    """Return a range of bytes in words, in GB, or in MB where that would begin with zeros alone."""
    return f"{_range(ends, 1e9, 2)} GB" if min(ends) >= 1e8 else f"{_range(ends, 1e6, 1)} MB"


def _client(workers: int | None, scheduler: str | None, device: str) -> AbstractContextManager[Any]:
    from training.cohort.jobs import cluster, default_workers

    count = default_workers(device) if workers is None else workers
    return nullcontext() if count == 0 and scheduler is None else cluster(count, scheduler)
