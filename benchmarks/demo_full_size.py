"""What the demo model is worth on full-size phantoms, made at 0.8 mm and brought to its grid as a patient's CT is.

    python benchmarks/demo_full_size.py [--model demo] [--phantoms 24] [--json]

The model's own held-out numbers are of phantoms made on its grid. Here each phantom goes through ``prepare``: once with
the average over the model's larger voxels, once with the values at their centres (the paper's way). Thresholds are the
model's own. Seeds 900,000 and up are used for nothing else.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np

from training.cohort.phantom import make_phantom
from training.evaluate.phantoms import Outcome, classification_report, outcome, pointing_report
from training.models import Model, load_model

FIRST_SEED = 900_000


def rates(found: list[Outcome], model: Model) -> dict[str, Any]:
    """Return AUROC, pointing error of the focal labels, and the share of wrong calls at the model's thresholds."""
    truth = np.stack([one.truth for one in found]).astype(bool)
    limits = np.array([model.metadata.threshold.get(name, 1.0) for name in model.labels])
    called = np.stack([one.probabilities for one in found]) >= limits
    pointing = pointing_report(found, model.labels)["focal"]["model"]
    wrong = {
        name: f"{int((called & ~truth)[:, m].sum())}/{int((~truth)[:, m].sum())}" for m, name in enumerate(model.labels)
    }
    return {
        "mean_auroc": round(classification_report(found, model.labels)["mean_auroc"], 3),
        "median_pointing_mm": None if pointing is None else round(pointing["median_mm"], 1),
        "false_positive_rate": round(float(called[~truth].mean()), 3),
        "false_negative_rate": round(float((~called)[truth].mean()), 3),
        "false_positives_of_negatives": wrong,
    }


def main() -> None:
    """Judge the model both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--phantoms", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = load_model(options.model)
    ways = {
        name: replace(model, input_spec=replace(model.input_spec, average=average))
        for name, average in (("averages", True), ("centres", False))
    }
    found: dict[str, list[Outcome]] = {name: [] for name in ways}
    for seed in range(FIRST_SEED, FIRST_SEED + options.phantoms):
        phantom = make_phantom(seed, "full")
        for name, way in ways.items():
            found[name].append(outcome(way, phantom))
    results = {name: rates(outcomes, model) for name, outcomes in found.items()}
    for name, result in results.items():
        print(name, {key: value for key, value in result.items() if key != "false_positives_of_negatives"})
    if options.json:
        print(json.dumps({"phantoms": options.phantoms, **results}))


if __name__ == "__main__":
    main()
