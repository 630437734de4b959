"""``audit``: judge the wrong predictions of a cohort in a window, or write what was judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from training.console import AsJson, emit, print_table, progress_bars, reported, say, wrote
from training.issues import InputError, error
from training.labels import chosen_labels, display_name
from training.words import counted

if TYPE_CHECKING:
    from training.evaluate.audit.select import Filter
    from training.evaluate.audit.session import Audit


class Threshold(StrEnum):
    """Where thresholds come from."""

    CHECKPOINT = "checkpoint"
    MEDIAN = "median"

    @property
    def kind(self) -> Literal["checkpoint", "median"]:
        """The same for the audit."""
        return "median" if self is Threshold.MEDIAN else "checkpoint"


@dataclass(frozen=True)
class AuditRequest:
    """What a window is asked to show: the store, who judges, and at which thresholds."""

    store: Path
    reviewer: str | None
    threshold: Threshold
    by_hand: Mapping[str, float]


Window = Callable[[AuditRequest], None]


def audit_command(window: Window | None = None) -> Callable[..., None]:
    """Return the command; without ``window`` it prints the summary where it would open one."""

    def audit(
        store: Annotated[Path, typer.Argument(help="Cohort store made by `hirescam batch`.")],
        export: Annotated[
            Path | None,
            typer.Option(
                "--export", show_default="none", help="Write the report to this folder: CSV, JSON, HTML, PDF."
            ),
        ] = None,
        reviewer: Annotated[
            str | None, typer.Option(show_default="the name of your account", help="Who judges.")
        ] = None,
        threshold: Annotated[
            Threshold,
            typer.Option(
                help="From which probability an abnormality counts as predicted: the checkpoint's threshold, or the "
                "median of the cohort, as the paper's authors took it."
            ),
        ] = Threshold.CHECKPOINT,
        by_hand: Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="LABEL=PROBABILITY",
                show_default="none",
                help="A threshold by hand; repeatable.",
            ),
        ] = None,
        label: Annotated[
            list[str] | None,
            typer.Option(
                "--label", "-l", metavar="LABEL", show_default="all", help="Report on this abnormality; repeatable."
            ),
        ] = None,
        pictures: Annotated[int, typer.Option(min=0, help="How many predictions the report shows in pictures.")] = 40,
        as_json: AsJson = False,
    ) -> None:
        """Audit wrong predictions: a window to judge them, a summary, a report. Not for clinical use."""
        with reported(as_json):
            request = AuditRequest(store, reviewer, threshold, _thresholds(by_hand or ()))
            if window is not None and export is None and not as_json:
                window(request)
                return
            _report(request, export, label or (), pictures, as_json)

    return audit


def _thresholds(pairs: tuple[str, ...] | list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in pairs:
        name, sign, value = pair.rpartition("=")
        if name.strip() in found:
            raise typer.BadParameter(f"--set gives {name.strip()!r} twice")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise typer.BadParameter(f"--set takes LABEL=PROBABILITY, not {pair!r}")
    return found


def _report(request: AuditRequest, export: Path | None, labels: Any, pictures: int, as_json: bool) -> None:
    from training.evaluate.audit.select import Filter

    audit = open_audit(request)
    wanted = Filter(labels=_known(audit, labels))
    if export is None:
        _print(audit, wanted, as_json)
        return
    from training.evaluate.audit.report import findings, write_report

    with progress_bars() as progress:
        report = write_report(export, audit, wanted, pictures, progress)
    if as_json:
        emit(report.to_dict())
    else:
        typer.echo("\n".join([*findings(report.summary), report.about["intended_use"]]))
        wrote(export)


def open_audit(request: AuditRequest, judged_by: str | None = None) -> Audit:
    """Return the audit of a store, to look at, or to judge by ``judged_by``.

    Raises
    ------
    InputError
        Not a store, damaged, or its verdicts are; a threshold for a label that the model has not, or two for one.
    """
    from training.cohort.results import open_store
    from training.evaluate.audit.log import VerdictLog
    from training.evaluate.audit.session import Audit, audit_folder

    store = open_store(request.store)
    log = None if judged_by is None else VerdictLog(audit_folder(store), judged_by)
    labels = chosen_labels(request.by_hand, store.labels)
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        fact = f"two thresholds by hand are given for {', '.join(twice)}"
        raise InputError(error("bad-setting", fact, "Give one a label."))
    by_hand = dict(zip(labels, request.by_hand.values(), strict=True))
    return Audit(store, log, "hand" if by_hand else request.threshold.kind, by_hand)


def _known(audit: Audit, labels: Any) -> tuple[str, ...]:
    return tuple(chosen_labels(labels, audit.store.labels))


def _print(audit: Audit, wanted: Filter, as_json: bool) -> None:
    from training.evaluate.audit.report import about, findings
    from training.evaluate.rows import INTENDED_USE, plain

    summary = audit.summary(wanted)
    if as_json:
        tables = {name: [plain(row) for row in rows] for name, rows in summary.tables().items()}
        emit({**about(audit), "counts": dict(summary.counts), **tables})
        return
    counts = summary.counts
    wrong = counted(counts["wrong"], "wrong prediction")
    typer.echo(f"{counted(counts['cases'], 'case')}, {wrong}, {counts['judged']} of them judged.")
    rows = [(display_name(row["label"]), row["reviewer"], row["wrong"], row["judged"]) for row in summary.progress]
    print_table("Progress", ("abnormality", "reviewer", "wrong", "judged"), rows, numbers=("wrong", "judged"))
    typer.echo("\n".join([*findings(summary), INTENDED_USE]))
    say("The window opens with `hirescam audit` where napari is installed; --export OUT writes a report.")
