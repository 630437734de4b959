"""``evaluate``: what a model is worth on a cohort, from its store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.console import AsJson, emit, progress_bars, reported, say, wrote


class JudgedSplit(StrEnum):
    """Which cases are judged."""

    TEST = "test"
    VALID = "valid"
    TRAIN = "train"
    ALL = "all"


def evaluate(
    store: Annotated[Path, typer.Argument(help="Store made by `hirescam batch`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; must not exist.")],
    against: Annotated[Path | None, typer.Option(help="Store of another model, compared case by case.")] = None,
    random: Annotated[Path | None, typer.Option(help="Store of the same cases by ARCHITECTURE:random.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Table of the truth (case, labels); else the store's own.")] = None,
    on: Annotated[JudgedSplit | None, typer.Option(help="Split that is judged; test if there is one.")] = None,
    lesions: Annotated[Path | None, typer.Option(help="Table of lesions: case,label,x,y,z,diameter_mm.")] = None,
    lesion_label: Annotated[str | None, typer.Option(help="Label of every lesion of the table.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="Earlier evaluation whose thresholds are used.")] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Resamples for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on a cohort: predictions, organs, lesions, comparisons. Not for clinical use."""
    with reported(as_json):
        from training.evaluate.bootstrap import Resampling
        from training.evaluate.cohort import EvaluateSettings, evaluate_stores
        from training.evaluate.tables import PAGE_FILE, check_free, write_evaluation

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
        )
        with progress_bars() as progress:
            found = evaluate_stores(store, settings, progress)
        say("Writing tables and pictures.")
        write_evaluation(out, found)
        if as_json:
            emit({key: value for key, value in found.to_dict().items() if key not in ("calibration", "slice_scores")})
            return
        for name, one in found.classification.items():
            median = one.over_labels("auroc", "median").value
            typer.echo(f"{name}: median AUROC {'n/a' if median is None else f'{median:.3f}'} over {one.n_cases} cases")
        typer.echo(f"Open {PAGE_FILE} first.\nFor research only, not for clinical use.")
        wrote(out)
