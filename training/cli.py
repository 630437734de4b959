"""The command line without a window: ``python -m training.cli``; ``hirescam`` mounts it and adds ``view`` and ``demo``.

Every command is a few lines over the packages beside this file, which are imported when the command runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training import __version__
from training.commands.audit import Window, audit_command
from training.commands.batch import batch
from training.commands.check import check
from training.commands.choices import (
    Device,
    DeviceOption,
    ModelOption,
    Placement,
    PlacementOption,
    Precision,
    PrecisionOption,
    RepairOption,
    SeriesOption,
)
from training.commands.compare import compare
from training.commands.evaluate import evaluate
from training.commands.export import export
from training.commands.partition import partition
from training.commands.reports import label_reports
from training.commands.reproduce import reproduce
from training.commands.train import train
from training.console import AsJson, Commands, emit, print_table, progress_bars, reported, run, say, say_issues, wrote
from training.labels import chosen_labels, display_name
from training.words import caution_words, counted, percent

if TYPE_CHECKING:
    from training.explain.result import Explanation
    from training.labels import Label
    from training.models import Model
    from training.volume import Volume


class Size(StrEnum):
    """Size of phantoms."""

    FULL = "full"
    SMALL = "small"


def explain(
    path: Annotated[Path, typer.Argument(help="DICOM folder, zip or enhanced file, NIfTI, NRRD, MetaImage or npz.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.json and case.zarr.")],
    model: ModelOption = "demo",
    series: SeriesOption = None,
    device: DeviceOption = Device.AUTO,
    precision: PrecisionOption = Precision.FP32,
    placement: PlacementOption = Placement.RECEPTIVE_FIELD,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--maps",
            "--label",
            "-l",
            metavar="LABEL",
            show_default="none",
            help="Abnormality whose maps are written as NIfTI too; repeatable.",
        ),
    ] = None,
    repair: RepairOption = False,
    keep_names: Annotated[
        bool,
        typer.Option("--keep-names", help="Name the case as the input is named. Default: by a hash, as names tell."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Explain one CT: the score of every abnormality, and what all its maps follow from. Not for clinical use."""
    with reported(as_json):
        from training.cohort.output import check_same_case, check_target, write_result
        from training.io.read import find_kind

        check_target(out)
        find_kind(path)  # a wrong path is told before anything heavy is loaded
        say("Loading the model and reading the CT.")
        from training.models import load_model

        chosen = load_model(model)
        labels = chosen_labels(maps or (), chosen.labels)
        if labels:
            from training.cohort.exporting import check_maps

            check_maps(chosen.guarantee.has_maps, chosen.name)
        volume, read_seconds = _read(path, series, repair, keep_names)
        check_same_case(out, volume.case_id)
        if not as_json:
            say_issues(volume.issues)
        case = _explained(chosen, volume, device, precision)
        report = write_result(out, case, {"read": read_seconds}, labels, placement.value)
        if as_json:
            emit(report)
        else:
            say_issues(case.issues[len(volume.issues) :])
            _print_case(case, labels)
            wrote(out)


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the cohort.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many phantoms.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first; the same seed gives the same phantom.")] = 0,
    size: Annotated[
        Size,
        typer.Option(
            help="full: 405 x 420 x 420 voxels of 0.8 mm, about a minute each; small: 96 x 128 x 128 voxels of "
            "3.4 x 2.6 x 2.6 mm, about a second each."
        ),
    ] = Size.FULL,
    as_json: AsJson = False,
) -> None:
    """Make a cohort of synthetic chest CTs with reports, labels and truth masks."""
    with reported(as_json):
        from training.cohort.phantom import write_cohort

        start = time.perf_counter()
        with progress_bars() as progress:
            write_cohort(out, n, seed, size.value, progress=progress)
        document = {"phantoms": n, "seed": seed, "size": size.value, "seconds": time.perf_counter() - start}
        if as_json:
            emit(document)
        else:
            typer.echo(f"{counted(n, 'phantom')} of size {size.value} ({document['seconds']:.1f} s)")
            wrote(out)


def models(
    labels: Annotated[bool, typer.Option("--labels", help="List the 80 abnormalities instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models that can be named, their size, and what their maps are worth."""
    with reported(as_json):
        if labels:
            _list_labels(as_json)
        else:
            _list_models(as_json)


def create_app(audit_window: Window | None = None) -> typer.Typer:
    """Return a new command line with every command that needs no window; ``audit`` opens one where it is given."""
    app = typer.Typer(
        name="hirescam",
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for command in (
        explain,
        export,
        compare,
        batch,
        evaluate,
        check,
        label_reports,
        partition,
        phantom,
        train,
        reproduce,
        models,
    ):
        app.command()(command)
    app.command()(audit_command(audit_window))
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hirescam {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See where a chest-CT classifier looked. For research only, not for clinical use."""


def _read(path: Path, series: int | None, repair: bool, keep_names: bool) -> tuple[Volume, float]:
    """Return the CT and the seconds it took."""
    from training.io import read_ct
    from training.io.privacy import case_id_for, original_name
    from training.partition.segment import chest_check

    start = time.perf_counter()
    with progress_bars() as progress:
        volume = read_ct(path, series, repair, progress)
    if keep_names:
        volume = replace(volume, case_id=case_id_for(volume.case_id, original_name(path)))
    volume = volume.with_issues(*chest_check(volume))
    return volume, time.perf_counter() - start


def _explained(model: Model, volume: Volume, device: Device, precision: Precision) -> Explanation:
    from training.explain import explain as explain_ct

    with progress_bars() as progress:
        return explain_ct(model, volume, device.value, precision.value, progress=progress)


def _print_case(case: Explanation, asked: Sequence[str] = (), longest: int = 10) -> None:
    """Print the most likely abnormalities, and below them those that were asked for and are not among them."""
    from training.explain.checks import ZERO_WORDS, is_zero

    best = case.scores.argsort()[::-1][:longest].tolist()
    rows = [
        (display_name(case.labels[i]), percent(case.probabilities[i]), f"{case.scores[i]:+.3f}", *_places(case, i))
        for i in dict.fromkeys((*best, *map(case.labels.index, asked)))
    ]
    head = ("abnormality", "probability", "score", "slice", "group")
    print_table(f"Case {case.case_id}, model {case.model.name}", head, rows, numbers=head[1:])
    typer.echo(ZERO_WORDS if is_zero(case) else case.model.guarantee_words)
    if case.has_maps:
        typer.echo(f"{_sum_words(case)}\n{case.where_words}")
        n, groups = counted(case.image_geometry.shape[0], "slice"), counted(case.cells.n_cells[0], "slice group")
        typer.echo(
            f"slice: the slice of the CT ({n}) with the highest score; group: the same among the model's {groups}. "
            "Both count from 1 at the head."
        )
    typer.echo("score: what the network computes, before the sigmoid that makes a probability of it; no unit.")
    typer.echo(f"{len(rows)} of {counted(len(case.labels), 'abnormality')} shown; all are in report.json.")
    caution = caution_words(case.model.training)
    typer.echo(f"For research only. Model {case.model.name}: {caution}.")


def _sum_words(case: Explanation) -> str:
    """Return by how much the maps miss the score; only some models promise that they do not."""
    most = f"{case.residual.max():.0e}"
    if case.model.guarantee_holds:
        return f"Maps and bias add up to the scores, to {most} of their size."
    return f"Maps and bias need not add up to the scores; they miss them by {most} of their size at most."


def _places(case: Explanation, label: int) -> tuple[int | str, int | str]:
    """Return the CT slice and the slice group with the highest score, both counted from 1."""
    if not case.has_maps:
        return "-", "-"
    group = case.top_slice(label)
    return case.image_slice(group) + 1, group + 1


def _list_models(as_json: bool) -> None:
    from training.models import load_model
    from training.models.describe import describe
    from training.models.registry import DEMO, NAMED, demo_path

    names = [*([DEMO] if demo_path().is_file() else []), *(f"{name}:random" for name in NAMED)]
    found: list[dict[str, Any]] = [describe(load_model(name)) for name in names]
    if as_json:
        emit({"models": found})
        return
    rows = [
        (
            one["name"],
            "x".join(map(str, one["input_shape"])),
            "x".join(map(str, one["z_shape"])),
            f"{one['parameters']:,}",
            f"{one['operations'] / 1e9:,.0f} G",
            one["guarantee"],
        )
        for one in found
    ]
    head = ("name", "input", "Z", "parameters", "operations", "guarantee")
    print_table("Models", head, rows, numbers=("parameters", "operations"))
    words = {one["guarantee"]: one["guarantee_words"] for one in found}
    typer.echo("\n" + "\n".join(f"{kind}: {text}" for kind, text in words.items()))
    say("A checkpoint file (.safetensors) can be given instead of a name.")


def _list_labels(as_json: bool) -> None:
    from training.labels import all_labels

    if as_json:
        emit({"labels": [_label_entry(one) for one in all_labels()]})
        return
    rows = [(one.display, one.name, one.region, one.kind) for one in all_labels()]
    print_table("Abnormalities", ("abnormality", "name in files", "region", "kind"), rows)
    say("Options such as --label take either name; upper case, hyphens and underscores do not matter.")


def _label_entry(one: Label) -> dict[str, str]:
    return {"name": one.name, "display_name": one.display, "region": one.region, "kind": one.kind}


app = create_app()


def main() -> None:
    """Run the command line and exit."""
    run(app)


if __name__ == "__main__":
    main()
