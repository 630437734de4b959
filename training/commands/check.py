"""``check``: read a whole cohort's tables first and list what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.choices import LayoutOption, SourceOption
from training.console import ERROR, AsJson, emit, print_table, progress_bars, reported, say_issues
from training.labels import display_name
from training.words import agreed, counted

if TYPE_CHECKING:
    from training.cohort.check import CheckReport

SHOWN = 10
"""Labels whose counts are printed unless all are asked for."""


def check(
    data: Annotated[Path, typer.Argument(help="Folder or table of a cohort.")],
    kind: LayoutOption = None,
    source: SourceOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every CT completely. Default: its header.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Print the counts of all labels. Default: of those with most cases.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a cohort before training on it: columns, duplicate cases, values, missing volumes."""
    with reported(as_json):
        from training.cohort.check import run
        from training.cohort.sources.options import source_options

        options = source_options(source or ())
        with progress_bars() as progress:
            found = run(data, None if kind is None else kind.value, deep, progress, options=options)
        if as_json:
            emit(found.to_dict())
        else:
            say_issues(found.issues)
            counts = [f"{split or 'without a split'} {count}" for split, count in found.cases.items()]
            typer.echo("cases: " + (", ".join(counts) or "none"))
            _print_labels(found, None if every else SHOWN)
            typer.echo(
                "The cohort can be used." if found.usable else "The cohort cannot be used; see the errors above."
            )
        if not found.usable:
            raise typer.Exit(ERROR)


def _print_labels(found: CheckReport, longest: int | None) -> None:
    """Print how many cases have each label: the first ``longest`` of those with most, or all."""
    ranked = sorted(found.labels.items(), key=lambda item: -item[1][0])
    present = sum(counts[0] > 0 for _, counts in ranked)
    rows = [(display_name(name), *counts) for name, counts in ranked[:longest]]
    head = ("abnormality", "present", "absent", "unknown")
    print_table(f"Layout {found.layout}", head, rows, numbers=head[1:])
    typer.echo(
        f"{counted(len(ranked), 'label')}, of which {present} {agreed(present, 'is', 'are')} present in some case"
        + (f"; {len(rows)} shown, --all shows all." if len(rows) < len(ranked) else ".")
    )
