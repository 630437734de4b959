"""The training loop: epochs over cases with Lightning Fabric, everything on disk after each epoch, resumable.

All that is random is drawn from (seed, epoch, case), never from a running generator, and the learning rate is a
function of the step. A resumed run therefore does exactly what the uninterrupted run would have done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from training.fit.augment import Variation, augmented, draw_variation
from training.fit.cases import Cases, batches, split
from training.fit.config import OptimizerSettings, TrainConfig
from training.fit.losses import balanced_weights, classification_loss
from training.fit.network import CaseBatch, input_spec, make_network, network_input, write_checkpoint
from training.fit.places import place_loss, rarity_of
from training.fit.state import EpochRecord, Place, load_state, save_state
from training.issues import Cancelled, InputError, error

STATE_FILE = "last-state.safetensors"
LAST_FILE = "last.safetensors"
BEST_FILE = "best.safetensors"

Progress = Callable[[int, int, str], None]
Stop = Callable[[], bool]

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Trained:
    """What a run left: the checkpoint of the last epoch, that of the best (by validation loss), and the records."""

    last: Path
    best: Path
    place: Place


@dataclass(frozen=True, eq=False)
class _Run:
    """The fixed parts of a run."""

    config: TrainConfig
    fabric: Fabric
    batch: CaseBatch
    model: nn.Module
    optimizer: torch.optim.Optimizer
    training: Cases
    validation: Cases | None
    positive_weight: Tensor
    rarity: Tensor | None
    output: Path
    progress: Progress
    cancelled: Stop

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.training.case_ids) / self.config.run.batch_size)

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.config.run.epochs

    @property
    def recipe(self) -> dict[str, Any]:
        """What must agree when the run is resumed."""
        held = self.validation.case_ids if self.validation else ()
        ids = {"training_cases": list(self.training.case_ids), "validation_cases": list(held)}
        return {**self.config.to_dict(), "labels": list(self.training.labels), **ids}


def train(
    config: TrainConfig,
    cases: Cases,
    output: Path,
    validation: Cases | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
) -> Trained:
    """Train a network; after each epoch its state and checkpoints are written into ``output``.

    Files: ``last-state.safetensors`` (what ``resume`` needs), ``last.safetensors`` and ``best.safetensors`` (models).

    Parameters
    ----------
    config
        The settings.
    cases
        Cases to train on, CTs on the grid of ``config.input``.
    output
        Folder of the run; made if missing.
    validation
        Cases to choose the best epoch by; ``config.run.validation_share`` of ``cases`` if None.
    resume
        Go on from the state in ``output``.
    progress
        Called with (steps done, steps in all, what is being done).
    cancelled
        Asked before each step.

    Raises
    ------
    InputError
        For a loss that is not finite (naming the case), cases that do not fit, or a state that cannot be resumed.
    Cancelled
        If ``cancelled`` said so; what the last whole epoch wrote stays.
    """
    with _threads(config.run.threads):
        run = _prepare(config, cases, output, validation, progress, cancelled)
        place = load_state(output / STATE_FILE, run.batch, run.optimizer, run.recipe) if resume else Place()
        while place.epochs_done < config.run.epochs and not _out_of_patience(place, config.run.patience):
            place = _epoch(run, place)
            _store(run, place)
    return Trained(output / LAST_FILE, output / BEST_FILE, place)


def _prepare(
    config: TrainConfig,
    cases: Cases,
    output: Path,
    validation: Cases | None,
    progress: Progress | None,
    cancelled: Stop | None,
) -> _Run:
    training, held = cases, validation
    if validation is None:
        training, held = split(cases, config.run.validation_share, config.run.seed)
    fabric = Fabric(accelerator=config.run.device, devices=1, precision=_PRECISIONS[config.run.precision])
    network = make_network(config, len(cases.labels))
    batch = CaseBatch(network, config.optimizer.conditioned_head, with_places=config.loss.places > 0)
    model, optimizer = fabric.setup(batch, make_optimizer(batch, config.optimizer))
    weights = balanced_weights(torch.from_numpy(training.targets), config.loss.positive_weight_limit)
    report, stop = progress or _no_progress, cancelled or (lambda: False)
    weights, rarity = fabric.to_device(weights), None
    if config.loss.places:
        rarity = fabric.to_device(rarity_of(_known_places(training, case) for case in range(len(training.case_ids))))
    return _Run(config, fabric, batch, model, optimizer, training, held, weights, rarity, output, report, stop)


def _no_progress(_done: int, _total: int, _stage: str) -> None:
    """Report nothing."""


def make_optimizer(batch: CaseBatch, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return the optimizer over two groups: the last layer (step size times ``head_factor``) and everything else."""
    head = {"params": batch.head_parameters(), "factor": settings.head_factor}
    groups = [{"params": batch.body_parameters(), "factor": 1.0}, head]
    if settings.name == "adamw":
        betas = (settings.momentum, 0.999)
        return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, weight_decay=settings.weight_decay)
    momentum, decay = settings.momentum, settings.weight_decay
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=momentum, weight_decay=decay)


def learning_rate(settings: OptimizerSettings, step: int, steps: int) -> float:
    """Return the step size of 0-based ``step`` of ``steps``: constant, or linear warm-up then half a cosine to 0."""
    if settings.schedule == "constant":
        return settings.learning_rate
    warm = settings.warmup * steps
    if step < warm:
        return settings.learning_rate * (step + 1) / (warm + 1)
    share = (step - warm) / max(1.0, steps - warm)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _epoch(run: _Run, place: Place) -> Place:
    started, cpu_started = time.perf_counter(), time.process_time()
    training_loss, steps_done = _train_epoch(run, place)
    validation_loss = mean_loss(run, run.validation) if run.validation else None
    record = EpochRecord(
        epoch=place.epochs_done,
        training_loss=training_loss,
        validation_loss=validation_loss,
        learning_rate=learning_rate(run.config.optimizer, steps_done - 1, run.steps),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
    )
    return _advanced(place, record, steps_done)


def _advanced(place: Place, record: EpochRecord, steps_done: int) -> Place:
    """Return the place after an epoch; without validation every epoch counts as the best so far."""
    loss = record.validation_loss
    better = loss is None or place.best_loss is None or loss < place.best_loss
    best = (record.epoch, loss) if better else (place.best_epoch, place.best_loss)
    return replace(
        place,
        epochs_done=place.epochs_done + 1,
        steps_done=steps_done,
        best_epoch=best[0],
        best_loss=best[1],
        history=(*place.history, record),
    )


def _train_epoch(run: _Run, place: Place) -> tuple[float, int]:
    _training_mode(run, place.epochs_done)
    total, step = 0.0, place.steps_done
    settings = run.config.run
    count = len(run.training.case_ids)
    for batch in batches(count, settings.batch_size, settings.seed, place.epochs_done):
        run.progress(step, run.steps, f"epoch {place.epochs_done + 1} of {settings.epochs}")
        if run.cancelled():
            raise Cancelled
        total += _step(run, batch, place.epochs_done, step)
        step += 1
    return total / len(run.training.case_ids), step


def _training_mode(run: _Run, epoch: int) -> None:
    """Put the network in training mode; late in the run batch normalisation stays as it will be used."""
    run.model.train()
    if epoch >= run.config.optimizer.norm_frozen_after * run.config.run.epochs:
        for module in run.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _step(run: _Run, batch: tuple[int, ...], epoch: int, step: int) -> float:
    """Take one optimizer step and return the summed loss of its cases."""
    settings = run.config.optimizer
    rate = learning_rate(settings, step, run.steps)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    losses = _training_losses(run, batch, epoch)
    run.optimizer.zero_grad()
    run.fabric.backward(losses.mean())
    if settings.clip_norm:
        run.fabric.clip_gradients(run.model, run.optimizer, max_norm=settings.clip_norm)
    run.optimizer.step()
    return float(losses.detach().sum())


def _training_losses(run: _Run, batch: tuple[int, ...], epoch: int) -> Tensor:
    """Return the loss of every case of a batch, each varied by its own draw."""
    draws = [np.random.default_rng([run.config.run.seed, 3, epoch, case]) for case in batch]
    variations = [draw_variation(run.config.augment, rng) for rng in draws]
    volumes = [
        augmented(run.training.hu(case), variation, rng)
        for case, variation, rng in zip(batch, variations, draws, strict=True)
    ]
    losses, log_odds = _losses(run, run.training, batch, volumes)
    settings = run.config.loss
    if log_odds is None or run.rarity is None or epoch >= settings.places_until * run.config.run.epochs:
        return losses
    places = run.fabric.to_device(_places(run.training, batch, variations))
    return losses + settings.places * place_loss(log_odds, places, run.rarity)


def _places(cases: Cases, batch: tuple[int, ...], variations: list[Variation]) -> Tensor:
    """Return where the abnormalities of a batch are once its cases are varied: float32 [B, M, H, R, C]."""
    moved = []
    for case, variation in zip(batch, variations, strict=True):
        places = _known_places(cases, case)
        sizes = zip(cases.hu(case).shape, places.shape[1:], strict=True)
        slices, rows, columns = (round(n / blocks) for n, blocks in sizes)
        moved.append(variation.moved(places, 0, (slices, rows, columns)))
    return torch.from_numpy(np.stack(moved).astype(np.float32))


def _known_places(cases: Cases, case: int) -> npt.NDArray[np.uint8]:
    places = cases.places(case)
    if places is None:
        way_out = "Set loss.places = 0, or train on phantoms."
        raise InputError(error("no-places", f"case {cases.case_ids[case]} has no known places.", way_out))
    return places


def _losses(run: _Run, cases: Cases, batch: tuple[int, ...], volumes: list[Any]) -> tuple[Tensor, Tensor | None]:
    """Return the classification loss of every case, and the log odds of the places if the network gives them."""
    inputs = run.fabric.to_device(network_input(volumes, input_spec(run.config)))
    targets = run.fabric.to_device(torch.from_numpy(cases.targets[list(batch)]))
    scores, log_odds = run.model(inputs, len(batch))
    losses = classification_loss(scores.float(), targets, run.positive_weight)
    finite = torch.isfinite(losses)
    if not bool(finite.all()):
        case = cases.case_ids[batch[int(torch.argmin(finite.int()))]]
        way_out = "Look at this case, or lower optimizer.learning_rate or set optimizer.clip_norm."
        raise InputError(error("non-finite-loss", f"the loss of case {case} is not finite.", way_out))
    return losses, log_odds


@torch.no_grad()
def mean_loss(run: _Run, cases: Cases) -> float:
    """Return the mean loss over ``cases`` in evaluation mode, without augmentation."""
    run.model.eval()
    total = 0.0
    for case in range(len(cases.case_ids)):
        if run.cancelled():
            raise Cancelled
        total += float(_losses(run, cases, (case,), [cases.hu(case)])[0])
    return total / len(cases.case_ids)


def _out_of_patience(place: Place, patience: int) -> bool:
    return bool(patience) and place.best_epoch is not None and place.epochs_done - place.best_epoch > patience


def _store(run: _Run, place: Place) -> None:
    """Write checkpoints, then the state: what the state says is done is on disk."""
    run.output.mkdir(parents=True, exist_ok=True)
    kinds = [LAST_FILE, BEST_FILE] if place.best_epoch == place.epochs_done - 1 else [LAST_FILE]
    network = run.batch.finished()
    for name in kinds:
        write_checkpoint(run.output / name, network, run.config, run.training.labels, _provenance(run, place))
    save_state(run.output / STATE_FILE, run.batch, run.optimizer, place, run.recipe)


def _provenance(run: _Run, place: Place) -> dict[str, Any]:
    """Return what a checkpoint tells of its training; no paths, no case names."""
    return {
        "config": run.config.to_dict(),
        "n_training_cases": len(run.training.case_ids),
        "n_validation_cases": len(run.validation.case_ids) if run.validation else 0,
        "epochs_done": place.epochs_done,
        "best_epoch": place.best_epoch,
        "training_loss": [round(r.training_loss, 6) for r in place.history],
        "validation_loss": [r.validation_loss and round(r.validation_loss, 6) for r in place.history],
        "seconds": round(sum(r.seconds for r in place.history), 3),
        "cpu_seconds": round(sum(r.cpu_seconds for r in place.history), 3),
        "threads": torch.get_num_threads(),
    }


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with ``count`` CPU threads inside the block; 0 leaves the number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
