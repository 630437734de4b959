"""The command line without a window: ``python -m training.cli``; ``hirescam`` mounts it and adds ``view`` and ``demo``.

Every command is a few lines over the packages beside this file, which are imported when the command runs.
"""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training import __version__
from training.commands.audit import Window, audit_command
from training.commands.batch import batch
from training.commands.check import check
from training.commands.compare import compare
from training.commands.evaluate import evaluate
from training.commands.export import export
from training.commands.partition import partition
from training.commands.reports import label_reports
from training.commands.reproduce import reproduce
from training.commands.train import train
from training.console import AsJson, emit, print_table, progress_bars, reported, run, say, say_issues
from training.labels import chosen_labels
from training.words import caution_words

if TYPE_CHECKING:
    from training.explain.result import Explanation
    from training.models import Model
    from training.volume import Volume


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Precision(StrEnum):
    """How the network computes."""

    FP32 = "fp32"
    BF16 = "bf16"


class Place(StrEnum):
    """Where map cells stand."""

    RECEPTIVE_FIELD = "receptive_field"
    STRETCH = "stretch"


class Size(StrEnum):
    """Size of phantoms."""

    FULL = "full"
    SMALL = "small"


def explain(
    path: Annotated[Path, typer.Argument(help="DICOM folder, zip or enhanced file, NIfTI, NRRD, MetaImage or npz.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.json and case.zarr.")],
    model: Annotated[str, typer.Option(help="Checkpoint file, demo, or ARCHITECTURE:random.")] = "demo",
    series: Annotated[int | None, typer.Option(help="Number of the series, where there are several.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    precision: Annotated[Precision, typer.Option(help="How the network computes.")] = Precision.FP32,
    placement: Annotated[Place, typer.Option(help="Where the cells of written maps stand.")] = Place.RECEPTIVE_FIELD,
    maps: Annotated[list[str] | None, typer.Option(help="Label whose maps are written as NIfTI; repeatable.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended; recorded.")] = False,
    keep_names: Annotated[bool, typer.Option("--keep-names", help="Name the case as the input is named.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain one CT: scores of all abnormalities, and Z, from which every map follows. Not for clinical use."""
    with reported(as_json):
        from training.cohort.output import check_same_case, check_target, write_result
        from training.io.read import find_kind

        check_target(out)
        find_kind(path)  # a wrong path is told before anything heavy is loaded
        say("Loading the model and reading the CT.")
        from training.models import load_model

        chosen = load_model(model)
        labels = chosen_labels(maps or (), chosen.labels)
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
            _print_case(case, out)


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the cohort.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many phantoms.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first; the same seed gives the same phantom.")] = 0,
    size: Annotated[Size, typer.Option(help="full is 405 x 420 x 420 voxels of 0.8 mm.")] = Size.FULL,
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
            typer.echo(f"{n} phantom(s) of size {size.value} in {out} ({document['seconds']:.1f} s)")


def models(
    labels: Annotated[bool, typer.Option("--labels", help="List the 80 abnormalities instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models, their size, and what their maps are worth."""
    with reported(as_json):
        if labels:
            _list_labels(as_json)
        else:
            _list_models(as_json)


def create_app(audit_window: Window | None = None) -> typer.Typer:
    """Return a new command line with every command that needs no window; ``audit`` opens one where it is given."""
    app = typer.Typer(
        name="hirescam",
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


def _print_case(case: Explanation, out: Path, longest: int = 10) -> None:
    best = case.scores.argsort()[::-1][:longest]
    rows = [
        (case.labels[i], f"{case.probabilities[i]:.3f}", f"{case.scores[i]:+.3f}", _top_slice(case, int(i)))
        for i in best
    ]
    print_table(f"Case {case.case_id}, model {case.model.name}", ("abnormality", "probability", "score", "group"), rows)
    typer.echo(case.model.guarantee_words)
    if case.has_maps:
        typer.echo(f"Largest completeness residual: {case.residual.max():.1e}\n{case.where_words}")
    typer.echo(f"Results: {out}")
    typer.echo(f"{len(rows)} of {len(case.labels)} abnormalities shown; the rest are in report.json.")
    caution = caution_words(case.model.training)
    typer.echo(f"For research only. Model {case.model.name}: {caution}.")


def _top_slice(case: Explanation, label: int) -> int | str:
    return case.top_slice(label) if case.has_maps else "-"


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
    print_table("Models", ("name", "input", "Z", "parameters", "operations", "guarantee"), rows)
    words = {one["guarantee"]: one["guarantee_words"] for one in found}
    typer.echo("\n" + "\n".join(f"{kind}: {text}" for kind, text in words.items()))
    say("A checkpoint file (.safetensors) can be given instead of a name.")


def _list_labels(as_json: bool) -> None:
    from training.labels import all_labels

    if as_json:
        emit({"labels": [{"name": one.name, "region": one.region, "kind": one.kind} for one in all_labels()]})
        return
    rows = [(one.name, one.display, one.region, one.kind) for one in all_labels()]
    print_table("Abnormalities", ("name", "display", "region", "kind"), rows)


app = create_app()


def main() -> None:
    """Run the command line and exit."""
    run(app)


if __name__ == "__main__":
    main()
