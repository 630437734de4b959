"""How commands speak: results on stdout, progress and messages on stderr, ``--json`` for machines, exit codes.

0 done, 1 an error, 2 wrong usage or a choice is needed, 130 stopped by the user. Mistakes of the user never show a
traceback; anything unexpected does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from training.issues import Cancelled, InputError, Issue, Severity

ERROR, USAGE, STOPPED = 1, 2, 130

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: nothing has to fit a window there."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]  # UsageError, which typer does not export


def emit(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    typer.echo(json.dumps(document, indent=1, allow_nan=False))


def say(text: str) -> None:
    """Print ``text`` on stderr."""
    typer.echo(text, err=True)


def wrote(*paths: Path) -> None:
    """Say on stderr which files or folders were written, a line each; not called for ``--json``, which lists them."""
    for path in paths:
        say(f"wrote {path}")


def say_issues(issues: Iterable[Issue]) -> None:
    """Print each issue on a line of stderr."""
    for issue in issues:
        say(str(issue))


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


@contextmanager
def progress_bars() -> Iterator[Callable[[int, int, str], None]]:
    """Yield ``progress(done, total, stage)``, which draws one bar per stage on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    counted = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())
    timed = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*counted, *timed, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(done: int, total: int, stage: str) -> None:
            if stage not in tasks:
                for earlier in bars.tasks:  # a new stage begins when all before it are done
                    bars.update(earlier.id, completed=earlier.total or 0)
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn what goes wrong inside into words (or JSON) and an exit code.

    Raises
    ------
    typer.Exit
        For everything that is not a fault of the program.
    """
    from training.io.series import SeriesChoiceNeeded

    try:
        yield
    except SeriesChoiceNeeded as choice:
        _refuse(choice, as_json, {"series": [one.to_dict() for one in choice.series]})
        if not as_json:
            _print_series(choice)
        raise typer.Exit(USAGE) from None
    except InputError as failure:
        _refuse(failure, as_json)
        raise typer.Exit(ERROR) from None
    except OSError as failure:
        issue = _disk_issue(failure)
        if issue is None:
            raise
        _refuse(InputError(issue), as_json)
        raise typer.Exit(ERROR) from None
    except (KeyboardInterrupt, Cancelled):
        if as_json:
            emit({"error": "stopped", "issues": []})
        say("Stopped; nothing is half-written.")
        raise typer.Exit(STOPPED) from None


def run(app: typer.Typer) -> None:
    """Run ``app`` on the command line and exit; with ``--json``, wrong usage is JSON too."""
    if "--json" not in sys.argv:
        app()
        return
    try:
        code = app(standalone_mode=False)
    except _USAGE_ERROR as mistake:
        emit({"error": mistake.format_message(), "issues": []})  # type: ignore[attr-defined]
        sys.exit(USAGE)
    sys.exit(code if isinstance(code, int) else 0)


def _disk_issue(failure: OSError) -> Issue | None:
    """Return what a failure of the file system means, None if it is of another kind."""
    from training.io.atomic import write_issue

    return write_issue(Path(str(failure.filename)), failure) if failure.filename else None


def _refuse(failure: InputError, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    if as_json:
        first = failure.issues[0].message if failure.issues else str(failure)
        emit({"error": first, "issues": [issue.to_dict() for issue in failure.issues], **(more or {})})
    else:
        say_issues(failure.issues)
        errors = [issue for issue in failure.issues if issue.severity is Severity.ERROR]
        if errors and all(issue.repairable for issue in errors):
            say("This can be mended: run the command again with --repair.")


def _print_series(choice: Any) -> None:
    rows = [
        (
            one.number,
            one.description,
            one.n_slices,
            " x ".join(f"{mm:.3g}" for mm in one.spacing_mm) if one.spacing_mm else "?",
            one.kernel,
            "yes" if one.loadable else "no",
            "; ".join(issue.message for issue in one.issues),
        )
        for one in choice.series
    ]
    print_table("", ("series", "description", "slices", "spacing (mm)", "kernel", "loadable", "issues"), rows)
