"""``train``: train a network on a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.console import AsJson, emit, progress_bars, reported, say

if TYPE_CHECKING:
    from training.fit import TrainConfig


def train(
    output: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder or table of a cohort. Preset demo needs none.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="phantoms, table, rad-chestct or ct-rate; found out if left out.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings to start from: paper (if left out), paper-mask, tiny or demo.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings over the preset.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="section.name=value; repeatable.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the cases at most.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Everything random follows from it.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of prepared CTs; OUTPUT/prepared if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUTPUT, by its settings.")] = False,
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

        chosen = settings(preset, config, change or (), epochs, seed, output if resume else None)
        if print_settings:
            _print_settings(chosen, as_json)
            return
        if output is None or (data is None and preset != "demo"):
            raise typer.BadParameter("--output DIR and --data DIR are needed; preset demo needs --output only")
        check_run_folder(output, resume)
        made = _demo(chosen, output, resume) if data is None else _trained(chosen, data, output, resume, kind, cache)
        _print_result(made, as_json)


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


def _print_result(document: dict[str, Any], as_json: bool) -> None:
    from training.fit.processes import is_main

    if not is_main():
        return
    if as_json:
        emit(document)
    else:
        typer.echo("\n".join(f"{key}: {value}" for key, value in document.items() if key != "epochs"))
