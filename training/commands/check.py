"""``check``: read a whole cohort's tables first and list what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.console import ERROR, AsJson, emit, print_table, progress_bars, reported, say_issues


def check(
    data: Annotated[Path, typer.Argument(help="Folder or table of a cohort.")],
    kind: Annotated[
        str | None, typer.Option(help="phantoms, table, rad-chestct or ct-rate; found out if left out.")
    ] = (None),
    deep: Annotated[bool, typer.Option("--deep", help="Read every CT completely, not only its header.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a cohort before training on it: columns, duplicate cases, values, missing volumes."""
    with reported(as_json):
        from training.cohort.check import run

        with progress_bars() as progress:
            found = run(data, kind, deep, progress)
        if as_json:
            emit(found.to_dict())
        else:
            say_issues(found.issues)
            typer.echo("cases: " + ", ".join(f"{split} {count}" for split, count in found.cases.items()))
            rows = [(name, *counts) for name, counts in found.labels.items() if any(counts[:2])]
            print_table(f"Layout {found.layout}", ("label", "present", "absent", "unknown"), rows)
            typer.echo(
                "The cohort can be used." if found.usable else "The cohort cannot be used; see the errors above."
            )
        if not found.usable:
            raise typer.Exit(ERROR)
