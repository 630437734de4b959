"""``reproduce``: the paper's comparisons on phantoms, from seeds to a page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.commands.choices import Device
from training.console import AsJson, emit, progress_bars, reported, say, wrote


class ReproductionSize(StrEnum):
    """How large a reproduction is."""

    SMALL = "small"
    TINY = "tiny"
    FULL = "full"


def reproduce(
    out: Annotated[Path, typer.Argument(help="Folder for phantoms, models, stores and results; it is kept.")],
    size: Annotated[
        ReproductionSize,
        typer.Option(
            help="small: up to an hour on two cores; tiny: shows that it runs; full: the paper's input, on a GPU."
        ),
    ] = ReproductionSize.SMALL,
    device: Annotated[
        Device,
        typer.Option(help="Where networks run; auto: a GPU if there is one, else, but for size full, the CPU."),
    ] = Device.AUTO,
    page: Annotated[
        Path | None, typer.Option(show_default="OUT/reproduction.md", help="Where the page is written.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train and compare the paper's networks on phantoms and write the tables; goes on where it was stopped."""
    with reported(as_json):
        from training.evaluate.reproduce import ENTRIES, SIZES, check_disk, needs, on_device
        from training.evaluate.reproduce import reproduce as run

        for line in needs(SIZES[size.value], ENTRIES, out, device.value):
            say(line)
        chosen = on_device(SIZES[size.value], device.value)
        check_disk(chosen, out)
        command = f"hirescam reproduce OUT --size {size.value}"
        with progress_bars() as progress:
            place = run(out, chosen, page, command, progress=progress, tell=say)
        if as_json:
            emit({"page": place.name, "size": size.value})
        else:
            typer.echo("For research only, not for clinical use.")
            wrote(place)
