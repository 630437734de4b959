"""The training loop: epochs over cases with Lightning Fabric, on one device or many; resumable at any step.

All that is random is drawn from (seed, epoch, case) or (seed, step), never from a running generator, and the learning
rate is a function of the step. A resumed run therefore does exactly what the uninterrupted run would have done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.fit.cases import Cases, batches
from training.fit.config import TrainConfig
from training.fit.feed import Batch, Pass, fed, passes_of
from training.fit.log import Clock, RunLog, StepRecord, epoch_words
from training.fit.objective import require_finite
from training.fit.optimizer import learning_rate, set_learning_rate
from training.fit.processes import any_of, asked_to_stop, share_buffers, summed
from training.fit.run import Progress, Run, Stop, Tell, prepare
from training.fit.saving import BEST_FILE, LAST_FILE, Keeper
from training.fit.state import EpochRecord, Partial, Place
from training.issues import Cancelled


@dataclass(frozen=True)
class Trained:
    """What a run left: the checkpoint of the last epoch, that of the best (by validation loss), and the records."""

    last: Path
    best: Path
    place: Place


def train(
    config: TrainConfig,
    cases: Cases,
    output: Path,
    validation: Cases | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
    tell: Tell | None = None,
    ready: Callable[[], None] | None = None,
) -> Trained:
    """Train a network; its state and checkpoints are written into ``output`` as it goes.

    Files: ``last-state.safetensors`` (what ``resume`` needs), ``last.safetensors`` and ``best.safetensors`` (models),
    ``steps.csv``, ``epochs.csv`` and the folder ``tensorboard``. They are written after every epoch, every
    ``run.save_minutes`` within one, and when the run is stopped by ``cancelled``, Ctrl-C or SIGTERM.

    Under torchrun all processes call this with the same arguments; the main one writes.

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
    tell
        Called with one line after every epoch.
    ready
        Called once nothing was refused and before the first step.

    Raises
    ------
    InputError
        For a loss that is not finite (naming the case), cases that do not fit, or a state that cannot be resumed.
    Cancelled
        If the run was stopped; what was done is on disk.
    """
    with _threads(config.run.threads), asked_to_stop() as asked:
        stop = cancelled or (lambda: False)
        run = prepare(config, cases, output, validation, progress, lambda: asked() or stop(), tell)
        keeper = Keeper(run)
        place = keeper.resume() if resume else Place()
        if ready is not None:
            ready()
        with closing(_Trainer(run, keeper, place)) as trainer:
            while place.epochs_done < config.run.epochs and not _out_of_patience(place, config.run.patience):
                place = trainer.epoch(place)
    return Trained(output / LAST_FILE, output / BEST_FILE, place)


class _Trainer:
    """Takes the steps of a run."""

    def __init__(self, run: Run, keeper: Keeper, place: Place) -> None:
        folder = run.output if run.fabric.is_global_zero else None
        self._run, self._keeper = run, keeper
        self._log = RunLog(folder, place, run.config.run.tensorboard, run.tell)
        self._clock = Clock(time.monotonic, place.steps_done)

    def close(self) -> None:
        """Finish the logs."""
        self._log.close()

    def epoch(self, place: Place) -> Place:
        """Train and validate one epoch, or what is left of it, keep it and return the place after it."""
        place = self._training(place)
        started, cpu_started = time.perf_counter(), time.process_time()
        loss = self._validation(place)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        place = _advanced(place, _record(self._run, place, loss, seconds, cpu_seconds))
        self._keeper.keep(place)
        self._log.epoch(place)
        left = self._clock.left_seconds(place.steps_done, self._run.steps)
        self._run.tell(epoch_words(place, self._run.config.run.epochs, left))
        return place

    def _training(self, place: Place) -> Place:
        run, epoch, settings = self._run, place.epochs_done, self._run.config.run
        _training_mode(run, epoch)
        every = batches(run.n_training, run.step_size, settings.seed, epoch)
        plan = [self._passes(cases) for cases in every[place.partial.steps :]]
        items = [one.cases for passes in plan for one in passes]
        with closing(fed(lambda rows: run.training.load(rows, epoch), items, settings.workers)) as feed:
            for passes, cases in zip(plan, every[place.partial.steps :], strict=True):
                run.progress(place.steps_done, run.steps, "training")
                self._stop_if_asked(place)
                place = self._step(place, passes, len(cases), feed)
                if self._keeper.due:
                    self._keeper.keep(place)
        return place

    def _passes(self, cases: tuple[int, ...]) -> tuple[Pass, ...]:
        fabric = self._run.fabric
        return passes_of(cases, self._run.config.run.batch_size, fabric.global_rank, fabric.world_size)

    def _step(self, place: Place, passes: tuple[Pass, ...], n_cases: int, feed: Iterator[tuple[Batch, float]]) -> Place:
        """Take one step of the weights over ``n_cases`` cases, of which ``passes`` are this process's."""
        run, settings = self._run, self._run.config.optimizer
        started, cpu_started = time.perf_counter(), time.process_time()
        rate = learning_rate(settings, place.steps_done, run.steps)
        set_learning_rate(run.optimizer, rate)
        sums, waited = self._gradient(place, passes, n_cases, feed)
        if settings.clip_norm:
            run.fabric.clip_gradients(run.model, run.optimizer, max_norm=settings.clip_norm)
        run.optimizer.step()
        loss, masked = summed(run.fabric, sums)
        done = Partial(1, loss, masked, time.perf_counter() - started, time.process_time() - cpu_started, waited)
        self._log.step(_step_record(place, done, n_cases, rate, run.objective.mask is not None))
        return replace(place, steps_done=place.steps_done + 1, partial=place.partial + done)

    def _gradient(
        self, place: Place, passes: tuple[Pass, ...], n_cases: int, feed: Iterator[tuple[Batch, float]]
    ) -> tuple[list[float], float]:
        """Work out the gradient of a step; return this process's summed losses, and the seconds it waited for data."""
        run, sums, waited = self._run, [0.0, 0.0], 0.0
        run.optimizer.zero_grad()
        for number, one in enumerate(passes):
            batch, seconds = next(feed)
            waited += seconds
            with run.fabric.no_backward_sync(run.model, enabled=number + 1 < len(passes)):
                loss, masked = self._pass(place, number, one, batch, n_cases)
            sums = [sums[0] + loss, sums[1] + masked]
        return sums, waited

    def _pass(self, place: Place, number: int, one: Pass, batch: Batch, n_cases: int) -> tuple[float, float]:
        """Add the gradient of one pass; return its summed loss and mask loss.

        Processes' gradients are averaged, so each gives its own sum over the step's cases times their number.
        """
        run, loss = self._run, self._run.config.loss
        batch = run.fabric.to_device(batch)
        teaching = place.epochs_done < loss.places_until * run.config.run.epochs
        with self._randomness(place.steps_done, number):
            losses = run.objective.losses(run.outputs(run.model, batch), batch, teaching)
        require_finite(losses, batch, run.training.cases)
        summed_up = losses.total.sum() * (run.fabric.world_size * one.counted)
        run.fabric.backward(summed_up / n_cases)
        if not one.counted:
            return 0.0, 0.0
        return float(losses.total.detach().sum()), 0.0 if losses.mask is None else float(losses.mask.detach().sum())

    @contextmanager
    def _randomness(self, step: int, number: int) -> Iterator[None]:
        """Draw what the network draws (dropout) from seed, step, pass and process."""
        run = self._run
        if not run.has_dropout:
            yield
            return
        entropy = np.random.SeedSequence([run.config.run.seed, 4, step, number, run.fabric.global_rank])
        with torch.random.fork_rng(devices=[run.fabric.device] if run.fabric.device.type == "cuda" else []):
            torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
            yield

    def _validation(self, place: Place) -> float | None:
        """Return the mean loss over the validation cases in evaluation mode, without augmentation; None without any."""
        run, loader = self._run, self._run.validation
        if loader is None:
            return None
        run.batch.eval()
        share_buffers(run.fabric, run.batch)
        n, rank, count = len(loader.cases.case_ids), run.fabric.global_rank, run.fabric.world_size
        losses, own = [0.0] * n, [(case,) for case in range(rank, n, count)]
        with torch.no_grad(), closing(fed(loader.load, own, run.config.run.workers)) as feed:
            for number in range(math.ceil(n / count)):
                run.progress(place.steps_done, run.steps, "training")
                self._stop_if_asked(place)
                if number < len(own):
                    losses[own[number][0]] = self._held_loss(next(feed)[0], loader.cases)
        return sum(summed(run.fabric, losses)) / n

    def _held_loss(self, batch: Batch, cases: Cases) -> float:
        """Return the loss of one validation case."""
        run, batch = self._run, self._run.fabric.to_device(batch)
        with run.fabric.autocast():
            found = run.objective.losses(run.outputs(run.batch, batch), batch)
        require_finite(found, batch, cases)
        return float(found.total[0])

    def _stop_if_asked(self, place: Place) -> None:
        if any_of(self._run.fabric, self._run.cancelled()):
            self._keeper.keep(place)
            raise Cancelled("The run was stopped; it can be resumed.")


def _step_record(place: Place, done: Partial, n_cases: int, rate: float, with_mask: bool) -> StepRecord:
    """Return the log's row of a step that ``done`` sums up."""
    return StepRecord(
        epoch=place.epochs_done,
        step=place.steps_done,
        cases=n_cases,
        loss=done.loss / n_cases,
        mask_loss=done.mask_loss / n_cases if with_mask else None,
        learning_rate=rate,
        seconds=done.seconds,
        data_wait_seconds=done.data_wait_seconds,
    )


def _training_mode(run: Run, epoch: int) -> None:
    """Put the network in training mode; late in the run batch normalisation stays as it will be used."""
    run.model.train()
    run.batch.train()
    if epoch >= run.config.optimizer.norm_frozen_after * run.config.run.epochs:
        for module in run.batch.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _record(run: Run, place: Place, validation: float | None, seconds: float, cpu_seconds: float) -> EpochRecord:
    """Return what an epoch came to, whose validation took so long."""
    partial, n = place.partial, run.n_training
    return EpochRecord(
        epoch=place.epochs_done,
        training_loss=partial.loss / n,
        training_mask_loss=partial.mask_loss / n if run.objective.mask else None,
        validation_loss=validation,
        learning_rate=learning_rate(run.config.optimizer, place.steps_done - 1, run.steps),
        seconds=partial.seconds + seconds,
        cpu_seconds=partial.cpu_seconds + cpu_seconds,
        cases_per_second=n / max(partial.seconds, 1e-9),
        data_wait_share=partial.data_wait_seconds / max(partial.seconds, 1e-9),
    )


def _advanced(place: Place, record: EpochRecord) -> Place:
    """Return the place after an epoch; without validation every epoch counts as the best so far."""
    loss = record.validation_loss
    better = loss is None or place.best_loss is None or loss < place.best_loss
    best = (record.epoch, loss) if better else (place.best_epoch, place.best_loss)
    return replace(
        place,
        epochs_done=place.epochs_done + 1,
        best_epoch=best[0],
        best_loss=best[1],
        history=(*place.history, record),
        partial=Partial(),
    )


def _out_of_patience(place: Place, patience: int) -> bool:
    return bool(patience) and place.best_epoch is not None and place.epochs_done - place.best_epoch > patience


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with ``count`` CPU threads inside the block; 0 leaves the number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
