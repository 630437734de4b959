"""The demo model: trained on phantoms, judged on other phantoms, written with everything that is known about it.

One command makes it from nothing but seeds: ``hirescam train --preset demo --output DIR``. Phantoms of three ranges of
seeds are used: to train, to choose thresholds, and to judge. Not for clinical use.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

import training
from training.cohort.phantom import make_phantom
from training.cohort.phantom_cases import grid_of, one_thread, phantom_cases, seconds_to_make
from training.cohort.processes import in_processes
from training.evaluate.metrics import youden_point
from training.evaluate.phantoms import Outcome, classification_report, outcome, pointing_report
from training.fit import TrainConfig, train
from training.fit.network import LICENCE, input_spec
from training.fit.presets import preset
from training.models import CheckpointMetadata, Model, load_model
from training.models.checkpoint import save_checkpoint
from training.preprocess import InputSpec
from training.words import counted

TRAINING_SEEDS, VALIDATION_SEEDS, TEST_SEEDS = 100_000, 200_000, 300_000
"""First phantom seed of each set; the ranges never meet."""

MODEL_FILE = "demo.safetensors"
COMPARISON_FILE = "demo_architectures.json"
WORDS = "Trained on synthetic phantoms; not for clinical use."
TAUGHT = (
    "The features of Z learned from where the findings were planted and from the labels of whole phantoms; "
    "the last layer from the labels alone."
)
COMMAND = "hirescam train --preset demo --output DIR"

Progress = Callable[[int, int, str], None]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class DemoSize:
    """How many phantoms are used to train, to choose thresholds, and to judge."""

    training: int = 1600
    validation: int = 120
    test: int = 250


def train_demo(
    output: Path,
    seed: int = 0,
    config: TrainConfig | None = None,
    size: DemoSize | None = None,
    processes: int = 2,
    resume: bool = False,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
) -> Path:
    """Make phantoms, train on them, judge the result and write ``demo.safetensors`` into ``output``; return its path.

    Parameters
    ----------
    output
        Folder of the run; phantoms are kept in it, so that a run can be resumed.
    seed
        Of the network and of the order of the cases. The phantoms are always the same.
    config, size
        Other settings or counts than the demo's.
    processes
        How many processes make and judge phantoms; the result does not depend on it.
    resume, progress, cancelled
        As for :func:`training.fit.train`.
    """
    chosen = config or preset("demo")
    chosen = replace(chosen, run=replace(chosen.run, seed=seed))
    size, spec = size or DemoSize(), input_spec(chosen)
    folder = output / "phantoms"
    making = partial(phantom_cases, spec=spec, processes=processes, progress=progress, cancelled=cancelled)
    cases = making(folder / "training", range(TRAINING_SEEDS, TRAINING_SEEDS + size.training))
    validation = making(folder / "validation", range(VALIDATION_SEEDS, VALIDATION_SEEDS + size.validation))
    trained = train(chosen, cases, output, validation, resume, progress, cancelled)
    started = time.perf_counter()
    model = judged(load_model(trained.last), size, processes, progress, cancelled)
    parts = {
        "phantoms": sum(seconds_to_make(folder / name) for name in ("training", "validation")),
        "training": model.metadata.training["seconds"],
        "judging": time.perf_counter() - started,
    }
    model.metadata.training["seconds_by_part"] = {name: round(value, 1) for name, value in parts.items()}
    model.metadata.training["seconds_in_all"] = round(sum(parts.values()), 1)
    model.metadata.training["processes"] = processes
    model.metadata.training["cores"] = os.cpu_count()
    save_checkpoint(output / MODEL_FILE, model)
    return output / MODEL_FILE


def judged(
    model: Model, size: DemoSize, processes: int, progress: Progress | None = None, cancelled: Stop | None = None
) -> Model:
    """Return ``model`` with thresholds from the validation phantoms and results from the test phantoms."""
    chosen_on = outcomes(
        model, range(VALIDATION_SEEDS, VALIDATION_SEEDS + size.validation), processes, progress, cancelled
    )
    judged_on = outcomes(model, range(TEST_SEEDS, TEST_SEEDS + size.test), processes, progress, cancelled)
    means, thresholds = operating_points(chosen_on, model.labels)
    metadata = CheckpointMetadata(
        mean_probability=means,
        threshold=thresholds,
        training={**provenance(size), **model.metadata.training},
        evaluation={**evaluation(judged_on, model.labels, thresholds), "architectures": architectures()},
        licence=LICENCE,
    )
    return replace(model, name="demo", metadata=metadata, sha256="")


def outcomes(
    model: Model,
    seeds: Sequence[int],
    processes: int = 1,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
) -> list[Outcome]:
    """Return what ``model`` makes of the phantoms of ``seeds``, on its own grid, in their order."""
    found: list[Outcome] = []
    for result in in_processes(partial(_outcome, model), seeds, processes, cancelled, one_thread):
        found.append(result)
        if progress is not None:
            progress(len(found), len(seeds), "judging")
    return found


def _outcome(model: Model, seed: int) -> Outcome:
    return outcome(model, make_phantom(seed, grid_of(model.input_spec)))


def operating_points(found: Sequence[Outcome], labels: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return mean probability and Youden threshold per label; labels where the latter does not apply are left out."""
    probabilities, truth = np.stack([o.probabilities for o in found]), np.stack([o.truth for o in found])
    means = {name: float(probabilities[:, m].mean()) for m, name in enumerate(labels)}
    points = {name: youden_point(probabilities[:, m], truth[:, m]) for m, name in enumerate(labels)}
    return means, {name: point.threshold for name, point in points.items() if point is not None}


def evaluation(found: Sequence[Outcome], labels: Sequence[str], threshold: dict[str, float]) -> dict[str, Any]:
    """Return the held-out results as plain JSON types."""
    called = np.stack([o.probabilities for o in found]) >= np.array([threshold.get(name, 1.0) for name in labels])
    truth = np.stack([o.truth for o in found]).astype(bool)
    rates = {
        name: {"sensitivity": _share(called[truth[:, m], m]), "specificity": _share(~called[~truth[:, m], m])}
        for m, name in enumerate(labels)
    }
    return {
        "data": f"{counted(len(found), 'phantom')}, seeds {found[0].seed} to {found[-1].seed}, used for nothing else",
        "classification": classification_report(found, labels),
        "at_threshold": rates,
        "pointing_mm": pointing_report(found, labels),
        "pointing_definition": (
            "Distance from the peak cell of the signed HiResCAM map, placed by receptive field, to the label's nearest "
            "planted lesion: to its centre if it is at most 60 mm long, else to its mask; positives only."
        ),
    }


def _share(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> float | None:
    return round(float(flags.mean()), 3) if flags.size else None


def provenance(size: DemoSize) -> dict[str, Any]:
    """Return what the model is and how it can be made again, as plain JSON types."""
    return {
        "words": WORDS,
        "taught": TAUGHT,
        "command": COMMAND,
        "package": f"hirescam-napari {training.__version__}",
        "torch": torch.__version__,
        "phantom_generator": phantom_fingerprint(),
        "training_seeds": [TRAINING_SEEDS, TRAINING_SEEDS + size.training - 1],
        "validation_seeds": [VALIDATION_SEEDS, VALIDATION_SEEDS + size.validation - 1],
        "test_seeds": [TEST_SEEDS, TEST_SEEDS + size.test - 1],
        "mean_probability": f"over the {size.validation} validation phantoms",
        "threshold": f"greatest Youden index on the {size.validation} validation phantoms",
    }


def architectures() -> dict[str, Any]:
    """Return what is known of how the architectures compare (written by ``benchmarks/demo_architectures.py``)."""
    text = files("training.data").joinpath(COMPARISON_FILE).read_text(encoding="utf-8")
    comparison: dict[str, Any] = json.loads(text)
    return comparison


def phantom_fingerprint() -> dict[str, str]:
    """Return what identifies the phantom generator: its version, and the hash of a phantom it makes."""
    volume = make_phantom(0, grid_of(InputSpec((12.0, 12.0, 12.0), (27, 28, 28)))).volume
    return {"software": volume.provenance.software, "phantom_0_at_12_mm_sha256": volume.provenance.pixels_sha256}
