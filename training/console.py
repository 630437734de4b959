"""How commands speak: results on stdout, progress and messages on stderr, ``--json`` for machines, exit codes.

0: done. 2: the command as it was typed cannot run, or a choice is needed: an unknown option, model, label, layout,
preset or setting, options that do not go together, an empty path, several series. 1: anything else that went wrong:
files that are missing, damaged or in the way, a case that failed, a full disk. 130: stopped by the user. Mistakes of a
user never show a traceback; anything unexpected does.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from training.issues import Cancelled, InputError, Issue, Severity, error
from training.words import counted

ERROR, USAGE, STOPPED = 1, 2, 130

FOLDERS_NAMED = 6
"""Most folders that are named when a command says what it wrote; more are counted."""

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: nothing has to fit a window there."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

USAGE_CODES = frozenset(
    "bad-setting device-unknown map-variant model-unknown no-gpu no-preset no-such-label no-such-layout no-such-series "
    "options-clash precision-unknown source-option too-many-inputs unknown-setting".split()
)
"""Codes of issues that say that the command itself must be changed, not a file: exit code 2."""

_PATH_FAILURES = {
    errno.ELOOP: "cannot be used: its links lead back to themselves",
    errno.ENOENT: "there is no such file or folder, or it cannot be made there",
    errno.EISDIR: "is a folder, not a file",
    errno.EEXIST: "cannot be made: a file or a link of this name is there",
    errno.ENXIO: "is a device, a FIFO or a socket, not a file",
    errno.EINVAL: "cannot be used: the system takes no such path",
    errno.ESTALE: "cannot be reached any more: its disk is gone",
}
"""What is wrong with a path, beside the reasons for which nothing can be written."""

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]  # UsageError, which typer does not export


class Commands(TyperGroup):
    """The group of all commands: refuses an empty argument before any command sees it.

    An empty path means the current folder to the system, which is never what a script with an unset variable meant.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the arguments; raises ``typer.BadParameter`` if one is empty."""
        for before, argument in zip(["", *args], args, strict=False):
            if not argument.strip() or re.fullmatch(r"--[\w-]+=\s*", argument):
                name = argument.partition("=")[0].strip() or (before if before.startswith("-") else "an argument")
                dot = "where a folder is asked for, a dot is the current one"
                raise typer.BadParameter(f"{name} is empty: give a value ({dot})")
        return super().parse_args(ctx, args)


def emit(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    typer.echo(json.dumps(document, indent=1, allow_nan=False))


def say(text: str) -> None:
    """Print ``text`` on stderr."""
    typer.echo(text, err=True)


def wrote(*paths: Path) -> None:
    """Say on stderr which files or folders were written, a line each; not called for ``--json``, which lists them.

    Of a folder also what it holds; of a file also the report on the run that stands beside it.
    """
    from training.cohort.run_report import report_beside

    for path in paths:
        held, report = _held(path), report_beside(path)
        say(f"wrote {path}: {held}" if held else f"wrote {path}")
        if report.is_file() and report not in paths:
            say(f"wrote {report}")


def _held(path: Path) -> str:
    """Return in words what a folder holds, files by name, many folders by number; of zarr arrays nothing."""
    if not path.is_dir() or (path / "zarr.json").is_file():
        return ""
    items = sorted(path.iterdir())
    folders = [f"{item.name}/" for item in items if item.is_dir()]
    if len(folders) > FOLDERS_NAMED:
        folders = [counted(len(folders), "folder")]
    return ", ".join([*folders, *(item.name for item in items if not item.is_dir())])


def say_issues(issues: Iterable[Issue]) -> None:
    """Print each issue on a line of stderr."""
    for issue in issues:
        say(str(issue))


def print_table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[str] = ()
) -> None:
    """Print a table on stdout; the columns that are ``numbers`` end at the same place."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold", justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


@contextmanager
def progress_bars() -> Iterator[Callable[[int, int, str], None]]:
    """Yield ``progress(done, total, stage)``, which draws one bar per stage on stderr; each reaches its end on success.

    A stage that comes again, or begins again, gets a bar of its own: no bar ever goes back. One that comes again at its
    end, after its parts, has its bar already.
    """
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

    done_of = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())
    timed = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*done_of, *timed, console=Console(stderr=True)) as bars:
        now: tuple[str, int, TaskID] | None = None

        def finish() -> None:
            if now is not None:
                bars.update(now[2], completed=bars.tasks[-1].total or 0)

        def progress(done: int, total: int, stage: str) -> None:
            nonlocal now
            if (
                now is not None
                and stage != now[0]
                and done == total
                and any(bar.description == stage for bar in bars.tasks)
            ):
                finish()
                return
            if now is None or stage != now[0] or done < now[1]:  # another stage begins when the one before it is done
                finish()
                now = (stage, done, bars.add_task(stage))
            now = (stage, done, now[2])
            bars.update(now[2], completed=done, total=total)

        yield progress
        finish()  # what ended well is done, also where an early end was found


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Say ``text`` on stderr, with a moving bar and the time, while work runs whose length is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        say(text)
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(text, total=None)
        yield
        bars.update(task, completed=1, total=1)


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
        raise typer.Exit(exit_code(failure)) from None
    except (OSError, RuntimeError) as failure:
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


def exit_code(failure: InputError) -> int:
    """Return 2 if every error says that the command itself must be changed, else 1."""
    errors = [issue for issue in failure.issues if issue.severity is Severity.ERROR]
    return USAGE if errors and all(issue.code in USAGE_CODES for issue in errors) else ERROR


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


def _disk_issue(failure: OSError | RuntimeError) -> Issue | None:
    """Return what a failure of the file system means, None if it is of another kind."""
    from training.io.atomic import write_issue

    if not isinstance(failure, OSError):
        return _loop_issue(failure)
    if not failure.filename:
        return None
    path = Path(os.fsdecode(failure.filename))
    return write_issue(path, failure) or _path_issue(path, failure)


def _path_issue(path: Path, failure: OSError) -> Issue | None:
    """Return what is wrong with a path that leads to no place; a link in it that leads nowhere gets named."""
    if failure.errno not in _PATH_FAILURES:
        return None
    around = (place for place in (path, *path.parents) if place.is_symlink() and not place.exists())
    named = next(around, path)
    return error("bad-path", _PATH_FAILURES[failure.errno], "Check the path.", named.name or str(named))


def _loop_issue(failure: RuntimeError) -> Issue | None:
    """Return the issue of a link that leads back to itself, which `Path.resolve` tells by a RuntimeError."""
    found = re.fullmatch(r"Symlink loop from '(.+)'", str(failure))
    return found and error("bad-path", _PATH_FAILURES[errno.ELOOP], "Check the path.", Path(found[1]).name)


def _refuse(failure: InputError, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    if as_json:
        emit({"error": _headline(failure), "issues": [issue.to_dict() for issue in failure.issues], **(more or {})})
    else:
        say_issues(failure.issues)
        errors = [issue for issue in failure.issues if issue.severity is Severity.ERROR]
        if errors and all(issue.repairable for issue in errors):
            say("This can be mended: run the command again with --repair.")


def _headline(failure: InputError) -> str:
    """Return the first fact with the file it is about."""
    if not failure.issues:
        return str(failure)
    first = failure.issues[0]
    return f"{first.file}: {first.message}" if first.file else first.message


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
