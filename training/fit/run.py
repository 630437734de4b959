"""The fixed parts of a training run, put together from its settings and its cases."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.wrappers import _FabricModule
from torch import nn

from training.fit.cases import Cases, split
from training.fit.config import TrainConfig
from training.fit.feed import Batch, Loader
from training.fit.network import CaseBatch, Outputs, input_spec, make_batch, network_input
from training.fit.objective import Objective, make_objective
from training.fit.optimizer import make_optimizer
from training.fit.processes import make_fabric
from training.fit.regions import region_request
from training.issues import InputError, error
from training.models.weights import NOT_PRETRAINED

Progress = Callable[[int, int, str], None]
Tell = Callable[[str], None]
Stop = Callable[[], bool]


@dataclass(frozen=True, eq=False)
class Run:
    """What does not change while a run goes.

    ``model`` is ``batch`` as Fabric wraps it: training goes through the one, everything else through the other.
    """

    config: TrainConfig
    fabric: Fabric
    batch: CaseBatch
    model: _FabricModule
    optimizer: torch.optim.Optimizer
    training: Loader
    validation: Loader | None
    objective: Objective
    output: Path
    progress: Progress
    tell: Tell
    cancelled: Stop

    @property
    def name(self) -> str:
        """What the run is called: as the settings say, or as its folder."""
        return self.config.run.name or self.output.resolve().name

    @property
    def step_size(self) -> int:
        """Cases in a step of the weights, over all processes."""
        return self.config.run.batch_size * self.config.run.accumulate * self.fabric.world_size

    @property
    def n_training(self) -> int:
        """Training cases."""
        return len(self.training.cases.case_ids)

    @property
    def steps(self) -> int:
        """Steps in all epochs."""
        return math.ceil(self.n_training / self.step_size) * self.config.run.epochs

    @cached_property
    def has_dropout(self) -> bool:
        """True if the network draws random numbers while it is trained."""
        return any(isinstance(module, nn.Dropout) for module in self.batch.modules())

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What must agree when the run is resumed; how it is watched may change.

        How the cohort was read shows in its cases and labels; where its files are may change.
        """
        settings = self.config.to_dict()
        del settings["source"]
        for name in ("name", "workers", "save_minutes", "tensorboard"):
            del settings["run"][name]
        held = self.validation.cases.case_ids if self.validation else ()
        names = {"training_cases": self.training.cases.case_ids, "validation_cases": held}
        return {
            **settings,
            "labels": list(self.training.cases.labels),
            "processes": self.fabric.world_size,
            **{name: hashlib.sha256("\n".join(ids).encode()).hexdigest() for name, ids in names.items()},
        }

    def outputs(self, module: nn.Module, batch: Batch) -> Outputs:
        """Return what ``module`` (``model`` or ``batch``) gives for a batch that is on the device."""
        found: Outputs = module(network_input(batch.hu, input_spec(self.config)), len(batch.cases))
        return found


def prepare(
    config: TrainConfig,
    cases: Cases,
    output: Path,
    validation: Cases | None,
    progress: Progress | None,
    cancelled: Stop | None,
    tell: Tell | None,
) -> Run:
    """Return a run; parameters and errors as for :func:`training.fit.loop.train`."""
    training, held = cases, validation
    if validation is None:
        training, held = split(cases, config.run.validation_share, config.run.seed)
    if np.isnan(training.targets).all():
        fact = "no training case says of any abnormality whether it is there, so there is nothing to learn"
        raise InputError(error("no-labels", fact, "Give labels of 0 and 1, or reports."))
    fabric = make_fabric(config.run)
    batch = make_batch(config, len(cases.labels))
    model, optimizer = fabric.setup(batch, make_optimizer(batch, config.optimizer))
    loader, held_loader = _loaders(config, batch, training, held, fabric.device.type == "cuda")
    objective = make_objective(config.loss, training, batch.network, fabric.device)
    return Run(
        config, fabric, batch, model, optimizer, loader, held_loader, objective, output,
        progress or _no_progress, tell or _no_words, cancelled or _never,
    )  # fmt: skip


def _loaders(
    config: TrainConfig, batch: CaseBatch, training: Cases, held: Cases | None, pinned: bool
) -> tuple[Loader, Loader | None]:
    request = None
    if config.loss.mask != "none":
        request = region_request(config.loss, input_spec(config), batch.network.cells)
    places, seed = config.loss.places > 0, config.run.seed
    varied = Loader(training, config.augment, seed, request, places, pinned)
    return varied, None if held is None else Loader(held, None, seed, request, False, pinned)


def notices(config: TrainConfig) -> tuple[str, ...]:
    """Return what a user should know about a run before it starts."""
    name = config.model.architecture
    if config.model.trunk_weights or name in NOT_PRETRAINED or config.model.width != 64:
        return ()
    fact = f"The trunk of {name} starts from random weights; the paper's starts from ResNet-18 weights of ImageNet."
    return (f"{fact} Give their file as model.trunk_weights.",)


def _no_progress(_done: int, _total: int, _stage: str) -> None:
    """Report nothing."""


def _no_words(_text: str) -> None:
    """Say nothing."""


def _never() -> bool:
    return False
