"""``batch``: explain a whole cohort into one store."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.console import ERROR, AsJson, emit, progress_bars, reported, say, say_issues, wrote

if TYPE_CHECKING:
    from training.cohort.batch import Batch


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


class Heuristic(StrEnum):
    """The mask that stands in when a segmentation fails."""

    PAPER = "paper"
    AUTHORS = "authors"


class Maps(StrEnum):
    """Which maps are kept."""

    OWN = "own"
    AVERAGE = "average"


class TrunkPrecision(StrEnum):
    """How the network computes."""

    FP32 = "fp32"
    BF16 = "bf16"


class TrunkDevice(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


def batch(
    data: Annotated[Path, typer.Argument(help="Folder or table of a cohort; see `hirescam check`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the store; one that is there is continued.")],
    model: Annotated[str, typer.Option(help="Checkpoint file, demo, or ARCHITECTURE:random.")] = "demo",
    kind: Annotated[str | None, typer.Option(help="phantoms, table, rad-chestct or ct-rate; found out.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="train, valid or test; repeatable; all if left out.")] = None,
    device: Annotated[TrunkDevice, typer.Option(help="Where the network runs.")] = TrunkDevice.AUTO,
    precision: Annotated[TrunkPrecision, typer.Option(help="How the network computes.")] = TrunkPrecision.FP32,
    keep: Annotated[Kept, typer.Option(help="How Z is kept; float16 takes half the space.")] = Kept.FLOAT32,
    maps: Annotated[Maps, typer.Option(help="average: MaxPool's maps as the paper's authors made them.")] = Maps.OWN,
    organs: Annotated[OrganBackend, typer.Option(help="How organs are found.")] = OrganBackend.MORPHOLOGY,
    heuristic: Annotated[Heuristic, typer.Option(help="Mask that stands in for a failure.")] = Heuristic.PAPER,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; 0: this one. Default: one a GPU.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler, for many machines.")] = None,
    keep_names: Annotated[bool, typer.Option("--keep-names", help="Name the cases as the table does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain every CT of a cohort into one store, from which all maps follow. Not for clinical use."""
    with reported(as_json):
        from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch

        settings = BatchSettings(
            model,
            kind,
            tuple(split or ()),
            device.value,
            precision.value,
            keep.value,
            maps.value,
            organs.value,
            heuristic.value,
            keep_names,
        )
        say("Reading the cohort's tables and the model.")
        with TemporaryDirectory() as memo:
            prepared = prepare_batch(data, out, settings, Path(memo))
            if not as_json:
                say_issues(prepared.issues)
            _say_size(prepared)
            open_for_filling(out, prepared.plan, Path(memo))
        with _client(workers, scheduler, device.value) as client, progress_bars() as progress:
            found = run_batch(prepared, client, progress, lambda case, reason: say(f"{case}: {reason}"))
        if as_json:
            emit({**found.to_dict(), "store": out.name, "issues": [issue.to_dict() for issue in prepared.issues]})
        else:
            typer.echo(
                f"{found.cases} cases: {found.done_before} done before, {found.done} now, {len(found.failures)} failed"
                f"{' (failures.csv)' if found.failures else ''}.\nFor research only, not for clinical use."
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
    total = layout.case_bytes * layout.n_cases
    say(
        f"{layout.n_cases} cases, at most {layout.case_bytes / 1e3:,.0f} KB each and {total / 1e9:,.2f} GB in all "
        f"before compression (Z {' x '.join(map(str, layout.z_row))} {layout.z_dtype}); {free / 1e9:,.1f} GB are free."
    )
    if total > free and find_store(prepared.work.store) is None:
        fact = f"the store can become {total / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise InputError(error("disk-full", fact, "Free some space, choose another disk, or use --keep float16."))


def _client(workers: int | None, scheduler: str | None, device: str) -> AbstractContextManager[Any]:
    from training.cohort.jobs import cluster, default_workers

    count = default_workers(device) if workers is None else workers
    return nullcontext() if count == 0 and scheduler is None else cluster(count, scheduler)
