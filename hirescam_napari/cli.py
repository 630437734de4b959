"""``hirescam``: every command of ``training.cli``, two more that open a window, and the window of ``audit``.

napari and Qt are imported by these alone, when they run.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from training.cli import create_app
from training.commands.audit import AuditRequest
from training.commands.choices import ModelOption
from training.console import AsJson, emit, reported, run
from training.issues import InputError, error

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def view(
    paths: Annotated[list[Path], typer.Argument(help="A CT, a folder made by explain, both, or a saved session.")],
    model: ModelOption = "demo",
    report: Annotated[
        Path | None,
        typer.Option(show_default="none", help="The CT's report: a text file, or a CSV of case and report."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open a CT in the viewer and explain it there. Not for clinical use."""
    with reported(as_json):
        _check_paths([*paths, *([] if report is None else [report])])
        _check_window("`hirescam export CT --out DIR`")
        from hirescam_napari._session import open_viewer

        open_viewer(paths, model, None, report)


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Leave pictures. Default: open a window.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", show_default="none", help="With --headless: folder of the pictures.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open the viewer on phantoms with the demo model (trained on phantoms; not for clinical use)."""
    with reported(as_json):
        if headless and out is None:
            raise typer.BadParameter("--headless leaves pictures: say where with --out DIR")
        _check_window(None if headless else "`hirescam demo --headless --out DIR`")
        from hirescam_napari._demo import run_demo

        run_demo(headless, out)
        if as_json:
            emit({"out": str(out) if out else None, "headless": headless})


def audit_window(request: AuditRequest) -> None:
    """Open the window of ``hirescam audit``."""
    from training.cohort.results import open_store

    open_store(request.store)  # a wrong path is told before a window is opened
    _check_window("`hirescam audit STORE --export DIR`")
    from hirescam_napari._audit_dock import open_window

    open_window(request)


def _check_paths(paths: list[Path]) -> None:
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise InputError(error("not-found", "there is no such file or folder", "Check the path.", n) for n in missing)


def _check_window(otherwise: str | None) -> None:
    """Refuse to open a window where there can be none; ``otherwise`` does the same job without, None needs none."""
    if not any(find_spec(name) for name in _BINDINGS):
        way_out = 'Install one: pip install "hirescam-napari[all]".'
        raise InputError(error("no-qt", "no Qt binding is installed, so no window can be opened", way_out))
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if otherwise and sys.platform == "linux" and not any(os.environ.get(name) for name in displays):
        way_out = f"Use a desktop session, `xvfb-run`, or {otherwise}, which needs none."
        raise InputError(error("no-display", "there is no display to open a window on", way_out))


def create() -> typer.Typer:
    """Return the whole command line."""
    whole = create_app(audit_window)
    for command in (view, demo):
        whole.command()(command)
    return whole


app = create()


def main() -> None:
    """Run the command line and exit."""
    run(app)


if __name__ == "__main__":
    main()
