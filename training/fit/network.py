"""From settings to a network that can be trained, and from a trained network to a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.fit.conditioned import ConditionedHead
from training.fit.config import TrainConfig
from training.fit.places import log_odds_of
from training.geometry import Geometry
from training.issues import InputError, error
from training.models import AxialNet, AxialNetConfig, CheckpointMetadata, Model, build_network
from training.models.checkpoint import save_checkpoint
from training.preprocess import InputSpec, ModelInput

LICENCE = "MIT"


class CaseBatch(nn.Module):
    """Several CTs through one network in one pass, so that batch normalisation sees all their slice groups at once.

    Parameters
    ----------
    network
        Sees the slice groups of one CT as its batch.
    conditioned
        Train the last layer as a :class:`ConditionedHead` in place of the network's own.
    with_places
        Give the log odds of the places too.
    """

    def __init__(self, network: AxialNet, conditioned: bool = False, with_places: bool = False) -> None:
        super().__init__()
        self.network = network
        self.with_places = with_places
        self.conditioned = ConditionedHead(network.z_shape, network.config.n_labels) if conditioned else None

    def forward(self, groups: Tensor, n_cases: int) -> tuple[Tensor, Tensor | None]:
        """Return scores [B, M] of B CTs, and the log odds of the places [B, M, H, D1, D2] if asked for.

        The CTs' slice groups follow each other in ``groups`` [B * H, group, row, column].
        """
        features = self.network.custom[:-1](self.network.trunk(groups)).float()
        features = features.reshape(n_cases, -1, *features.shape[1:])
        log_odds = log_odds_of(features, self.network.config.n_labels) if self.with_places else None
        z = features.relu()
        if self.conditioned is not None:
            return self.conditioned(z.mean(dim=1)), log_odds
        return self.network.head.slice_scores(z.flatten(0, 1)).reshape(n_cases, z.shape[1], -1).mean(dim=1), log_odds

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last layer that is trained."""
        return list((self.network.head if self.conditioned is None else self.conditioned).parameters())

    def body_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of trunk and custom convolutions."""
        return [*self.network.trunk.parameters(), *self.network.custom.parameters()]

    @torch.no_grad()
    def finished(self) -> AxialNet:
        """Return a copy of the network as it stands, in evaluation mode, with its one fully connected layer."""
        network = copy.deepcopy(self.network).eval()
        if self.conditioned is not None:
            weights, bias = self.conditioned.folded()
            network.head.weights.copy_(weights)
            network.head.bias.copy_(bias)
        return network


def input_spec(config: TrainConfig) -> InputSpec:
    """Return the input specification of ``config``; raises ``InputError`` if its values do not fit together."""
    try:
        return InputSpec(**config.to_dict()["input"])
    except ValueError as fault:
        raise InputError(error("bad-setting", f"input: {fault}.", "Change the settings under [input].")) from fault


def make_network(config: TrainConfig, n_labels: int) -> AxialNet:
    """Return the network of ``config`` with random weights of its seed, and published ones in the trunk if asked for.

    Raises
    ------
    InputError
        If architecture, cut stage and input do not fit together, or the weights' file cannot be used.
    """
    settings, spec = config.model, input_spec(config)
    options = {"width": settings.width, "cut_stage": settings.cut_stage, "custom_channels": settings.custom_channels}
    try:
        if config.loss.places and settings.custom_channels[-1] < n_labels:
            raise ValueError(f"loss.places needs at least {n_labels} features of Z, one for each label")
        axial = AxialNetConfig.from_spec(settings.architecture, spec, n_labels, **options)
        network = build_network(axial, config.run.seed)
    except ValueError as fault:
        raise InputError(error("bad-setting", f"model: {fault}.", "Change the settings under [model].")) from fault
    if settings.trunk_weights:
        from training.models.weights import load_trunk_weights

        load_trunk_weights(network, Path(settings.trunk_weights))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = config.optimizer.norm_momentum
    return network.to(memory_format=torch.channels_last)


def network_input(volumes: Sequence[npt.NDArray[np.int16]], spec: InputSpec) -> Tensor:
    """Return what the network sees of CTs on its grid: float32 [B * H, group, row, column], channels last."""
    geometry = Geometry.canonical(spec.shape, spec.spacing_mm)
    groups = [ModelInput(hu, geometry, spec).group(0, spec.n_groups) for hu in volumes]
    return torch.from_numpy(np.concatenate(groups)).contiguous(memory_format=torch.channels_last)


def write_checkpoint(
    path: Path, network: AxialNet, config: TrainConfig, labels: tuple[str, ...], training: dict[str, Any]
) -> None:
    """Write ``network`` as a model that knows how it was trained; what it is worth is not known yet."""
    metadata = CheckpointMetadata(training=training, licence=LICENCE)
    save_checkpoint(path, Model(network, labels, input_spec(config), path.stem, metadata=metadata))
