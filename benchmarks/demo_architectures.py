"""Which architecture should the demo model have: all are trained by one recipe on the same phantoms and judged alike.

    python benchmarks/demo_architectures.py OUT [--training 1600 --epochs 3 --test 200] [--only NAME ...]

OUT keeps phantoms and runs, so that the comparison can go on where it stopped. Prints a table and writes
``OUT/comparison.json`` and, in short, ``OUT/demo_architectures.json`` (kept in ``training/data``).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from training.cohort.phantom_cases import phantom_cases
from training.evaluate.demo import COMPARISON_FILE, TEST_SEEDS, TRAINING_SEEDS, VALIDATION_SEEDS, outcomes
from training.evaluate.metrics import mean_applicable
from training.evaluate.phantoms import classification_report, pointing_report
from training.fit import TrainConfig, train
from training.fit.config import merge
from training.fit.network import input_spec
from training.fit.presets import preset
from training.models import Model, load_model
from training.models.registry import build_model

CANDIDATES: dict[str, dict[str, Any]] = {
    "axialnet": {"architecture": "axialnet", "cut_stage": 4, "custom_channels": [32]},
    "axialnet-same": {"architecture": "axialnet-same", "cut_stage": 4, "custom_channels": [64, 32]},
    "axialnet-local, cut after stage 3": {"architecture": "axialnet-local", "cut_stage": 3},
    "axialnet-local, cut after stage 2": {"architecture": "axialnet-local", "cut_stage": 2},
}
"""128 px leave 4 x 4 cells after the whole trunk: of axialnet's four unpadded convolutions only one fits."""


def main() -> None:
    """Train and judge every candidate."""
    options = arguments()
    path = options.out / "comparison.json"
    rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in options.only or CANDIDATES:
        settings = {"model": CANDIDATES[name], "run": {"epochs": options.epochs}}
        rows[name] = compare(merge(preset("demo"), settings), options)
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        print_row(name, rows[name])
    (options.out / COMPARISON_FILE).write_text(json.dumps(table(rows), indent=1), encoding="utf-8")


def table(rows: dict[str, Any]) -> dict[str, Any]:
    """Return what the demo checkpoint tells of the comparison: one line for a candidate, the best pointer chosen.

    Chosen is the candidate with the smallest pointing error among those within 0.05 of the best mean AUROC.
    """
    lines = [{"name": name, **line(row)} for name, row in rows.items()]
    best = max(entry["mean_auroc"] for entry in lines)
    close = [entry for entry in lines if entry["mean_auroc"] >= best - 0.05]
    chosen = min(close, key=lambda entry: entry["median_pointing_mm"])
    rule = "the smallest focal pointing error among those within 0.05 of the best mean AUROC"
    return {"chosen": chosen["architecture"], "chosen_candidate": chosen["name"], "rule": rule, "rows": lines}


def line(row: dict[str, Any]) -> dict[str, Any]:
    """Return the line of one candidate."""
    kept = (
        "architecture",
        "n_training",
        "epochs",
        "parameters",
        "cells",
        "receptive_field_mm",
        "seconds",
        "cpu_seconds",
    )
    trained, untrained = row["trained"], row["untrained"]
    return {
        **{key: row[key] for key in kept},
        "n_test": trained["n_phantoms"],
        "mean_auroc": round(trained["mean_auroc"], 4),
        "median_pointing_mm": trained["focal"]["model"]["median_mm"],
        "untrained_mean_auroc": round(untrained["mean_auroc"], 4),
        "untrained_median_pointing_mm": untrained["focal"]["model"]["median_mm"],
        "uniform_median_pointing_mm": trained["focal"]["uniform"]["median_mm"],
        "centre_prior_median_pointing_mm": trained["focal"]["centre_prior"]["median_mm"],
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--training", type=int, default=1600)
    parser.add_argument("--validation", type=int, default=120)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(CANDIDATES))
    return parser.parse_args()


def compare(config: TrainConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Train by ``config`` and return what it costs and what it is worth, beside the same network untrained."""
    spec = input_spec(config)
    folder = options.out / "phantoms"
    cases = phantom_cases(
        folder / "training", range(TRAINING_SEEDS, TRAINING_SEEDS + options.training), spec, options.processes
    )
    held = phantom_cases(
        folder / "validation", range(VALIDATION_SEEDS, VALIDATION_SEEDS + options.validation), spec, options.processes
    )
    started, cpu = time.perf_counter(), time.process_time()
    run = options.out / f"{config.model.architecture}-{config.model.cut_stage}"
    trained = load_model(train(config, cases, run, held).last)
    cost = {"seconds": round(time.perf_counter() - started), "cpu_seconds": round(time.process_time() - cpu)}
    untrained = build_model(
        config.model.architecture,
        trained.labels,
        spec,
        seed=1,
        width=config.model.width,
        cut_stage=config.model.cut_stage,
        custom_channels=config.model.custom_channels,
    )
    parameters = sum(p.numel() for p in trained.network.parameters())
    fields = [round(f.size_px * mm) for f, mm in zip(trained.cells.fields, spec.spacing_mm, strict=True)]
    recipe = {
        "architecture": config.model.architecture,
        "n_training": options.training,
        "epochs": config.run.epochs,
    }
    layout = {"parameters": parameters, "cells": list(trained.cells.n_cells), "receptive_field_mm": fields}
    worth = {"trained": judge(trained, options), "untrained": judge(untrained, options)}
    return {**recipe, **layout, **cost, **worth}


def judge(model: Model, options: argparse.Namespace) -> dict[str, Any]:
    """Return mean AUROC and pointing errors over focal labels on the test phantoms."""
    found = outcomes(model, range(TEST_SEEDS, TEST_SEEDS + options.test), options.processes)
    classes, pointing = classification_report(found, model.labels), pointing_report(found, model.labels)
    per_label = {k: v["median_mm"] if v else None for k, v in pointing["per_label"].items()}
    focal = {k: per_label[k] for k in pointing["focal_labels"]}
    return {
        "n_phantoms": options.test,
        "mean_auroc": classes["mean_auroc"],
        "focal": pointing["focal"],
        "mean_of_focal_medians_mm": mean_applicable(focal),
        "median_mm": per_label,
        "auroc": classes["auroc"],
    }


def print_row(name: str, row: dict[str, Any]) -> None:
    """Print one candidate."""
    trained, untrained = row["trained"], row["untrained"]
    numbers = np.array(
        [trained["mean_auroc"], trained["focal"]["model"]["median_mm"], untrained["focal"]["model"]["median_mm"]]
    )
    print(
        f"{name:36} {row['cells']} AUROC {numbers[0]:.3f}  pointing {numbers[1]:.1f} mm  untrained {numbers[2]:.1f} mm"
    )


if __name__ == "__main__":
    main()
