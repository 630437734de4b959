"""The steps of a reproduction; each leaves files that the next one takes and that a later run does not make again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch
from training.cohort.jobs import cluster
from training.cohort.output import check_own_folder
from training.cohort.phantom import PLANTABLE, write_cohort
from training.cohort.phantom_cases import grid_of, phantom_cases
from training.cohort.sources import PhantomCohort, open_cohort
from training.evaluate.bootstrap import Resampling
from training.evaluate.cohort import EvaluateSettings, evaluate_stores
from training.evaluate.reproduce.plan import (
    BASE,
    COHORT_SEED,
    ENTRIES,
    LABELS,
    MASK,
    PRETRAINING_LABELS,
    PRETRAINING_SEED,
    RANDOM_SEED,
    Entry,
    Size,
)
from training.evaluate.reproduce.report import page
from training.evaluate.reproduce.throughput import MACHINE_FILE, gpu_memory_noted, note_machine, read_notes, speed_of
from training.fit import ArrayCases, TrainConfig, train
from training.fit.network import input_spec, make_network
from training.fit.saving import STATE_FILE
from training.io.atomic import atomic_path
from training.models import CheckpointMetadata, Model, load_model
from training.models.checkpoint import save_checkpoint

Progress = Callable[[int, int, str], None]
Tell = Callable[[str], None]

EVALUATION_FILE, SECONDS_FILE = "evaluation.json", "seconds.json"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """One run in ``folder``: cohort, pretrained trunk, and a folder for every entry."""

    folder: Path
    size: Size
    entries: tuple[Entry, ...]
    progress: Progress
    tell: Tell

    @property
    def cohort(self) -> Path:
        """The phantoms."""
        return self.folder / "cohort"

    @property
    def trunk(self) -> Path:
        """The checkpoint whose trunk the networks start from."""
        return self.folder / "pretraining" / "last.safetensors"

    def model(self, name: str) -> Path:
        """Return the trained checkpoint of an entry; its file name is what tables call it."""
        return self.folder / name / f"{name}.safetensors"

    def store(self, name: str) -> Path:
        """Return the store of an entry, or of its untrained network (``random-NAME``)."""
        return self.folder / "stores" / name

    def config(self, entry: Entry) -> TrainConfig:
        """Return the settings of an entry."""
        return self.size.training(entry, str(self.trunk))


def reproduce(
    folder: Path,
    size: Size,
    target: Path | None = None,
    command: str = "hirescam reproduce",
    entries: Sequence[Entry] = ENTRIES,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> Path:
    """Train, explain and evaluate everything in ``folder`` and write the page; return where it is.

    Started again, it goes on where it stopped.

    Parameters
    ----------
    folder
        Kept: cohort, checkpoints, stores, evaluations.
    size
        How much of everything.
    target
        The page; ``folder/reproduction.md`` by default.
    command
        What the page says made it.
    entries
        What is compared; ``axialnet`` and ``axialnet-mask`` must be among them.
    progress
        Called with (done, total, what).
    tell
        Called with a line at every step.

    Raises
    ------
    InputError
        If the disk is full, or the folder holds other things.
    """
    run = Reproduction(folder, size, tuple(entries), progress or _silent, tell or _mute)
    check_own_folder(folder, _is_reproduction, "reproduction")
    folder.mkdir(parents=True, exist_ok=True)
    note_machine(folder)
    _timed(run, "phantoms", partial(_make_cohort, run))
    _timed(run, "pretraining", partial(_pretrain, run))
    for entry in run.entries:
        _timed(run, f"training {entry.name}", partial(_train, run, entry))
    for entry in run.entries:
        _timed(run, f"explaining {entry.name}", partial(_explain, run, entry))
    for entry in run.entries:
        _timed(run, f"evaluating {entry.name}", partial(_evaluate, run, entry))
    place = target or folder / "reproduction.md"
    text = page(_results(run), size, command, _seconds(run), note_machine(folder))
    with atomic_path(place) as partial_path:
        partial_path.write_text(text, encoding="utf-8")
    return place


def _is_reproduction(folder: Path) -> bool:
    return (folder / MACHINE_FILE).is_file() or (folder / SECONDS_FILE).is_file()


def _timed(run: Reproduction, name: str, work: Callable[[], bool]) -> None:
    """Do a step; if it had anything to do, note how long it took."""
    started = time.perf_counter()
    if work():
        seconds = _seconds(run)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
        with atomic_path(run.folder / SECONDS_FILE) as partial_path:
            partial_path.write_text(json.dumps(seconds, indent=1), encoding="utf-8")
        run.tell(f"{name}: {seconds[name]:.0f} s")


def _seconds(run: Reproduction) -> dict[str, float]:
    path = run.folder / SECONDS_FILE
    return read_notes(path) if path.is_file() else {}


def _make_cohort(run: Reproduction) -> bool:
    done = (run.cohort / "labels.csv").is_file()
    if not done:
        grid = grid_of(input_spec(run.size.pretraining()))
        write_cohort(run.cohort, run.size.cases, COHORT_SEED, grid, run.progress, processes=run.size.workers)
    return not done


def _pretrain(run: Reproduction) -> bool:
    """Teach a trunk other findings in other phantoms, and where they are."""
    if run.trunk.is_file() and _is_finished(run.trunk, run.size.pretraining_epochs):
        return False
    config, folder = run.size.pretraining(), run.trunk.parent
    seeds = range(PRETRAINING_SEED, PRETRAINING_SEED + run.size.pretraining_cases)
    cases = phantom_cases(folder / "phantoms", seeds, input_spec(config), run.size.workers, run.progress)
    columns = [PLANTABLE.index(name) for name in PRETRAINING_LABELS]
    blocks = None if cases.blocks is None else cases.blocks[:, columns]
    chosen = ArrayCases(cases.volumes, cases.targets[:, columns], PRETRAINING_LABELS, cases.case_ids, blocks)
    train(config, chosen, folder, None, (folder / STATE_FILE).is_file(), run.progress, tell=run.tell)
    return True


def _is_finished(checkpoint: Path, epochs: int) -> bool:
    return load_model(checkpoint).metadata.training.get("epochs_done") == epochs


def _train(run: Reproduction, entry: Entry) -> bool:
    if run.model(entry.name).is_file():
        return False
    config, folder = run.config(entry), run.model(entry.name).parent
    found = open_cohort(PhantomCohort(run.cohort), input_spec(config), run.folder / "prepared")
    splits = {name: cases.with_labels(LABELS) for name, cases in found.items()}
    resume = (folder / STATE_FILE).is_file()
    with gpu_memory_noted(folder):
        trained = train(config, splits["train"], folder, splits["valid"], resume, run.progress, tell=run.tell)
    save_checkpoint(run.model(entry.name), load_model(trained.best))
    return True


def _explain(run: Reproduction, entry: Entry) -> bool:
    made = _fill(run, run.model(entry.name), run.store(entry.name))
    if entry.baseline != entry.name:
        return made
    random = run.folder / entry.name / "random.safetensors"
    if not random.is_file():
        untrained = run.config(replace(entry, settings={**entry.settings, **_untrained(entry)}))
        network = make_network(untrained, len(LABELS)).eval()
        about = CheckpointMetadata(training={"weights": "random", "seed": RANDOM_SEED})
        save_checkpoint(random, Model(network, LABELS, input_spec(untrained), "random", metadata=about))
    return _fill(run, random, run.store(f"random-{entry.name}")) or made


def _untrained(entry: Entry) -> dict[str, Any]:
    model = dict(entry.settings["model"])
    return {"model": {**model, "trunk_weights": ""}, "run": {"seed": RANDOM_SEED}}


def _fill(run: Reproduction, model: Path, store: Path) -> bool:
    """Explain validation and test cases by ``model`` unless that is done; organs are found once for all models."""
    organs = run.folder / "organs"
    settings = BatchSettings(str(model), splits=("valid", "test"), device=run.size.device, organ_cache=organs)
    prepared = prepare_batch(run.cohort, store, settings)
    open_for_filling(store, prepared.plan)
    several = cluster(run.size.workers) if run.size.workers > 1 else nullcontext()
    with several as client:
        return run_batch(prepared, client, run.progress).done > 0


def _evaluate(run: Reproduction, entry: Entry) -> bool:
    path = run.folder / entry.name / EVALUATION_FILE
    if path.is_file():
        return False
    against = run.store(BASE) if entry.name != BASE else None
    plan = EvaluateSettings(
        against=against,
        random=run.store(f"random-{entry.baseline}"),
        resampling=Resampling(run.size.resamples, 0),
    )
    text = json.dumps(evaluate_stores(run.store(entry.name), plan).to_dict(), allow_nan=False)
    with atomic_path(path) as partial_path:
        partial_path.write_text(text, encoding="utf-8")
    return True


def _results(run: Reproduction) -> dict[str, dict[str, Any]]:
    """Return the evaluation of every entry, with facts about its network."""
    found = {}
    for entry in run.entries:
        evaluation = json.loads((run.folder / entry.name / EVALUATION_FILE).read_text(encoding="utf-8"))
        model = load_model(run.model(entry.name))
        spacing = model.input_spec.spacing_mm
        evaluation["about"] = {
            "words": entry.words,
            "cells": list(model.cells.n_cells),
            "field_px": model.cells.fields[1].size_px,
            "field_mm": round(model.cells.fields[1].size_px * spacing[1]),
            "slice_px": model.input_spec.shape[1],
            "guarantee": model.guarantee.value,
            "validation_loss": float(np.nanmin(_losses(model))),
        }
        evaluation["speed"] = speed_of(run.model(entry.name).parent, run.store(entry.name))
        found[entry.name] = evaluation
    return found


def _losses(model: Model) -> list[float]:
    return [loss for loss in model.metadata.training["validation_loss"] if loss is not None]


def _silent(_done: int, _total: int, _stage: str) -> None:
    """Report nothing."""


def _mute(_text: str) -> None:
    """Say nothing."""


__all__ = ["MASK", "Reproduction", "reproduce"]
