"""``train``: train a network on a cohort."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.choices import LayoutOption, SourceOption
from training.console import AsJson, emit, progress_bars, reported, say, wrote

if TYPE_CHECKING:
    from training.fit import TrainConfig


class Preset(StrEnum):
    """Settings to start from."""

    PAPER = "paper"
    PAPER_MASK = "paper-mask"
    TINY = "tiny"
    DEMO = "demo"


def train(
    output: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", show_default="needed", help="Folder of the run.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(show_default="needed", help="Folder or table of a cohort. Preset demo makes its own without."),
    ] = None,
    kind: LayoutOption = None,
    source: SourceOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            show_default="the name of the folder", help="What tables, figures and windows call the model (run.name)."
        ),
    ] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(show_default="paper", help="Settings to start from; tiny: a small network, to see that it runs."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(show_default="none", help="TOML file with settings over the preset.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.NAME=VALUE", show_default="none", help="One setting over all these; repeatable."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, show_default="the preset's", help="Passes over the cases at most (run.epochs)."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, show_default="the preset's", help="Everything random follows from it (run.seed)."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(show_default="OUTPUT/prepared", help="Folder in which prepared CTs are kept.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in OUTPUT, by its settings. Default: a new run.")
    ] = False,
    print_settings: Annotated[
        bool, typer.Option("--print-settings", help="Print all settings with their meaning as TOML, and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network on a cohort; preset demo makes its own phantoms and judges the model on others.

    On several GPUs or machines: torchrun --nproc-per-node GPUS -m training.cli train ... with the same options.
    """
    with reported(as_json):
        from training.cohort.fitting import check_run_folder, settings
        from training.cohort.sources.options import as_texts

        named = {"run.epochs": epochs, "run.seed": seed, "run.name": name}
        own = {key: value for key, value in named.items() if value is not None}
        chosen = settings(preset and preset.value, config, change or (), own, output if resume else None, source or ())
        if print_settings:
            _print_settings(chosen, as_json)
            return
        if output is None or (data is None and preset is not Preset.DEMO):
            raise typer.BadParameter("--output DIR and --data DIR are needed; preset demo needs --output only")
        if data is None and chosen.source.given():
            raise typer.BadParameter("--source needs --data: preset demo makes its own phantoms")
        check_run_folder(output, resume)
        layout = None if kind is None else kind.value
        made = _demo(chosen, output, resume) if data is None else _trained(chosen, data, output, resume, layout, cache)
        _print_result(made, output, data, as_json, as_texts(chosen.source.given()))


def _trained(
    config: TrainConfig, data: Path, output: Path, resume: bool, kind: str | None, cache: Path | None
) -> dict[str, Any]:
    """Train on a cohort and return what came of it; of many processes the main one speaks."""
    from training.cohort.fitting import summary, train_on_folder
    from training.fit.processes import is_main
    from training.fit.run import notices
    from training.issues import Cancelled

    if not is_main():
        return summary(train_on_folder(data, output, config, resume, kind=kind, cache=cache))
    for text in notices(config):
        say(text)
    try:
        with progress_bars() as progress:
            return summary(train_on_folder(data, output, config, resume, progress, say, kind, cache))
    except Cancelled:
        say("What was done is kept; --resume goes on from here.")
        raise


def _demo(config: TrainConfig, output: Path, resume: bool) -> dict[str, Any]:
    """Make the demo model and return its file's name."""
    from training.evaluate.demo import train_demo
    from training.fit.processes import n_processes

    if n_processes() > 1:
        raise typer.BadParameter("preset demo is made by one process, without torchrun")
    with progress_bars() as progress:
        return {"model": train_demo(output, config.run.seed, config, resume=resume, progress=progress).name}


def _print_settings(config: TrainConfig, as_json: bool) -> None:
    from training.fit import to_toml

    if as_json:
        emit(config.to_dict())
    else:
        typer.echo(to_toml(config))


def _print_result(
    document: dict[str, Any], output: Path, data: Path | None, as_json: bool, source: Sequence[str] = ()
) -> None:
    from training.fit.processes import is_main

    if not is_main():
        return
    if as_json:
        emit(document)
        return
    model = output / str(document["best" if "best" in document else "model"])
    if "epochs_done" in document:
        typer.echo(f"{best_words(document)}: {model}")
    given = " ".join(["DATA" if data is None else str(data), *(f"--source {shlex.quote(text)}" for text in source)])
    typer.echo(
        f"For research only, not for clinical use. Next: hirescam view CT --model {model}, or for the cohort\n"
        f"hirescam batch {given} --model {model} -o STORE, then hirescam evaluate STORE -o RESULTS."
    )
    wrote(output)


def best_words(document: Mapping[str, Any]) -> str:
    """Return in words which epoch was the best, counted from 1, and by what."""
    best, done = document["best_epoch_index"], document["epochs_done"]
    record = document["epochs"][best]
    kind = "training" if record["validation_loss"] is None else "validation"
    return f"best epoch {best + 1} of {done} ({kind} loss {record[f'{kind}_loss']:.3g})"
