"""``evaluate``: what a model is worth on a cohort, from its store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.console import AsJson, emit, progress_bars, reported, say, say_issues, wrote
from training.words import NOT_AVAILABLE, counted


class JudgedSplit(StrEnum):
    """Which cases are judged."""

    TEST = "test"
    VALID = "valid"
    TRAIN = "train"
    ALL = "all"


def evaluate(
    store: Annotated[Path, typer.Argument(help="Store made by `hirescam batch`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; must not exist.")],
    against: Annotated[
        Path | None, typer.Option(show_default="none", help="Store of another model, compared case by case.")
    ] = None,
    random: Annotated[
        Path | None, typer.Option(show_default="none", help="Store of the same cases by ARCHITECTURE:random.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(show_default="the store's own", help="Table of the truth (case, labels).")
    ] = None,
    on: Annotated[
        JudgedSplit | None,
        typer.Option(show_default="test, else valid, else all", help="Split whose cases are judged."),
    ] = None,
    lesions: Annotated[
        Path | None,
        typer.Option(show_default="none", help="Table of lesions: case,label and mask, or x,y,z,diameter_mm."),
    ] = None,
    lesion_label: Annotated[
        str | None,
        typer.Option(metavar="LABEL", show_default="as the table says", help="Label of every lesion of the table."),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'FIRST minus SECOND'",
            show_default="the usual pairs",
            help="Two maps to compare as well, such as 'A: Grad-CAM minus B: uniform map'; repeat it, or 'all'.",
        ),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(show_default="chosen on split valid", help="Earlier evaluation whose thresholds are used."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="How often cases are drawn again for the 95 % intervals; 0: no intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of these draws; the same seed gives the same intervals.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on a cohort: predictions, organs, lesions, comparisons. Not for clinical use."""
    with reported(as_json):
        from training.evaluate.bootstrap import Resampling
        from training.evaluate.cohort import EvaluateSettings, evaluate_stores
        from training.evaluate.cohort.comparisons import split_pair
        from training.evaluate.tables import PAGE_FILE, check_free, write_evaluation

        if lesion_label is not None and lesions is None:
            raise typer.BadParameter("--lesion-label needs --lesions")
        try:
            for pair in compare or ():
                split_pair(pair)
        except ValueError as failure:
            raise typer.BadParameter(f"--compare: {failure}") from failure
        check_free(out)
        settings = EvaluateSettings(
            against,
            random,
            truth,
            None if on is None else on.value,
            lesions,
            lesion_label,
            thresholds,
            Resampling(resamples, seed),
            tuple(compare or ()),
        )
        with progress_bars() as progress:
            found = evaluate_stores(store, settings, progress)
        say("Writing tables and pictures.")
        write_evaluation(out, found)
        if not as_json:
            say_issues(found.issues)
        if as_json:
            emit({key: value for key, value in found.to_dict().items() if key not in ("calibration", "slice_scores")})
            return
        for name, one in found.classification.items():
            median = one.over_labels("auroc", "median").value
            auroc = NOT_AVAILABLE if median is None else f"{median:.3f}"
            n = len(one.labels) - len(one.not_applicable)
            over = f"{n} of {counted(len(one.labels), 'label')} ({counted(one.n_cases, 'case')})"
            typer.echo(f"{name}: median AUROC {auroc} over {over}")
        for note in found.in_short:
            typer.echo(note)
        typer.echo(f"Open {PAGE_FILE} first.\nFor research only, not for clinical use.")
        wrote(out)
