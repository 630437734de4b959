"""Keeping a run on disk: after every epoch, every few minutes within one, and when it is stopped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from training.fit.network import write_checkpoint
from training.fit.run import Run
from training.fit.state import Place, load_state, save_state
from training.models.checkpoint import BEST_STEM, LAST_STEM

STATE_FILE = "last-state.safetensors"
LAST_FILE = f"{LAST_STEM}.safetensors"
BEST_FILE = f"{BEST_STEM}.safetensors"


class Keeper:
    """Writes a run's checkpoints and state, in the main process alone.

    A checkpoint is written before the state that counts it as done; what was killed in between is done again.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """True if the run was not kept for ``run.save_minutes``."""
        minutes = self._run.config.run.save_minutes
        return bool(minutes) and time.monotonic() - self._last > 60 * minutes

    def resume(self) -> Place:
        """Put the run's state back and return its place; errors as :func:`training.fit.state.load_state`."""
        run = self._run
        return load_state(run.output / STATE_FILE, run.batch, run.optimizer, run.recipe)

    def keep(self, place: Place) -> None:
        """Write everything that ``place`` says is done."""
        run = self._run
        self._last = time.monotonic()
        if not run.fabric.is_global_zero:
            return
        run.output.mkdir(parents=True, exist_ok=True)
        network = run.batch.finished()
        labels, about = run.training.cases.labels, provenance(run, place)
        is_best = place.partial.steps == 0 and place.best_epoch == place.epochs_done - 1
        for name in (LAST_FILE, BEST_FILE) if is_best else (LAST_FILE,):
            write_checkpoint(run.output / name, network, run.config, labels, about)
        save_state(run.output / STATE_FILE, run.batch, run.optimizer, place, run.recipe)
        self._last = time.monotonic()


def provenance(run: Run, place: Place) -> dict[str, Any]:
    """Return what a checkpoint tells of its training: the run's name first; no paths, no case names."""
    config = run.config.to_dict()
    config["model"]["trunk_weights"] = Path(run.config.model.trunk_weights).name
    config["source"] |= {name: Path(config["source"][name]).name for name in ("subset", "volumes")}
    return {
        "name": run.name,
        "config": config,
        "n_training_cases": run.n_training,
        "n_validation_cases": len(run.validation.cases.case_ids) if run.validation else 0,
        "epochs_done": place.epochs_done,
        "steps_done": place.steps_done,
        "best_epoch_index": place.best_epoch,
        "training_loss": [round(r.training_loss, 6) for r in place.history],
        "validation_loss": [r.validation_loss and round(r.validation_loss, 6) for r in place.history],
        "seconds": round(sum(r.seconds for r in place.history), 3),
        "cpu_seconds": round(sum(r.cpu_seconds for r in place.history), 3),
        "threads": torch.get_num_threads(),
        "processes": run.fabric.world_size,
    }
