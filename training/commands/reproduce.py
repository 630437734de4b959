"""``reproduce``: the paper's comparisons on phantoms, from seeds to a page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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
    page: Annotated[
        Path | None, typer.Option(show_default="OUT/reproduction.md", help="Where the page is written.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train and compare the paper's networks on phantoms and write the tables; goes on where it was stopped."""
    with reported(as_json):
        from training.evaluate.reproduce import SIZES
        from training.evaluate.reproduce import reproduce as run

        command = f"hirescam reproduce OUT --size {size.value}"
        with progress_bars() as progress:
            place = run(out, SIZES[size.value], page, command, progress=progress, tell=say)
        if as_json:
            emit({"page": place.name, "size": size.value})
        else:
            typer.echo("For research only, not for clinical use.")
            wrote(place)
