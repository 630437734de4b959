"""From settings to a network that can be trained, and from a trained network to a checkpoint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from training.fit.conditioned import ConditionedHead
from training.fit.config import TrainConfig
from training.fit.places import log_odds_of
from training.issues import InputError, error
from training.models import CheckpointMetadata, Guarantee, Model, Network, NetworkConfig, new_network
from training.models.checkpoint import save_checkpoint
from training.models.heads import AxialHead, PooledHead
from training.preprocess import InputSpec

LICENCE = "MIT"


class Outputs(NamedTuple):
    """What B CTs gave.

    ``scores`` float32 [B, M]; ``log_odds`` of the places [B, M, H, D1, D2], if asked for; ``z`` [H, F, D1, D2] of every
    CT; ``weights`` [M, F, D1, D2] of the one fully connected layer, if asked for.
    """

    scores: Tensor
    log_odds: Tensor | None
    z: tuple[Tensor, ...]
    weights: Tensor | None


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
    with_weights
        Give the last layer's weights too.

    Raises
    ------
    ValueError
        If the network cannot be trained so.
    """

    def __init__(
        self, network: Network, conditioned: bool = False, with_places: bool = False, with_weights: bool = False
    ) -> None:
        super().__init__()
        _check_training(network, conditioned, with_places)
        self.network = network
        self.with_places = with_places
        self.with_weights = with_weights
        self.conditioned = ConditionedHead(network.z_shape, network.config.n_labels) if conditioned else None
        network.head.requires_grad_(not conditioned)

    def forward(self, groups: Tensor, n_cases: int) -> Outputs:
        """Return what B CTs give, whose slice groups follow each other in ``groups`` [B * H, group, row, column]."""
        parts, log_odds = self._features(groups, n_cases)
        z = tuple(self.network.combine(case).float() for case in parts.chunk(n_cases))
        if self.conditioned is not None:
            scores = self.conditioned(parts.float().reshape(n_cases, -1, *parts.shape[1:]).mean(dim=1))
        else:
            with torch.autocast(groups.device.type, enabled=False):
                scores = torch.stack([self.network.head(case) for case in z])
        return Outputs(scores, log_odds, z, self.weights() if self.with_weights else None)

    def _features(self, groups: Tensor, n_cases: int) -> tuple[Tensor, Tensor | None]:
        """Return what every slice group gives, and the log odds of the places, which the last ReLU would cut off."""
        if not self.with_places:
            return self.network.features(groups), None
        features = self.network.custom[:-1](self.network.trunk(groups)).float()
        per_case = features.reshape(n_cases, -1, *features.shape[1:])
        return features.relu(), log_odds_of(per_case, self.network.config.n_labels)

    def weights(self) -> Tensor | None:
        """Return the one fully connected layer's weights [M, F, D1, D2] as they stand; None where there are more."""
        if self.conditioned is not None:
            return self.conditioned.folded()[0]
        head = self.network.head
        if isinstance(head, AxialHead):
            return head.weights
        if isinstance(head, PooledHead):
            rows, columns = self.network.z_shape[1:]
            pooled = cast(nn.Linear, head.fc).weight[:, :, None, None] / (rows * columns)
            return pooled.expand(-1, -1, rows, columns)
        return None

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last layer (or layers) that are trained."""
        return list((self.network.head if self.conditioned is None else self.conditioned).parameters())

    def body_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of trunk and custom convolutions."""
        return [*self.network.trunk.parameters(), *self.network.custom.parameters()]

    @torch.no_grad()
    def finished(self) -> Network:
        """Return a copy of the network as it stands, in evaluation mode, with its one fully connected layer."""
        network = copy.deepcopy(self.network).eval().requires_grad_(True)
        if self.conditioned is not None and isinstance(network.head, AxialHead):
            weights, bias = self.conditioned.folded()
            network.head.weights.copy_(weights)
            network.head.bias.copy_(bias)
        return network


def _check_training(network: Network, conditioned: bool, with_places: bool) -> None:
    name, n_labels = network.config.architecture, network.config.n_labels
    if conditioned and network.guarantee() is not Guarantee.ONE_FULLY_CONNECTED:
        raise ValueError(f"optimizer.conditioned_head needs one fully connected layer and a mean; {name} has not")
    if with_places and (network.joins_slices or not len(network.custom)):
        raise ValueError(f"loss.places needs custom convolutions that see one slice group each; {name} has none")
    if with_places and network.n_features < n_labels:
        raise ValueError(f"loss.places needs at least {n_labels} features of Z, one for each label")


def input_spec(config: TrainConfig) -> InputSpec:
    """Return the input specification of ``config``; raises ``InputError`` if its values do not fit together."""
    try:
        return InputSpec(**config.to_dict()["input"])
    except ValueError as fault:
        raise InputError(error("bad-setting", f"input: {fault}.", "Change the settings under [input].")) from fault


def make_network(config: TrainConfig, n_labels: int) -> Network:
    """Return the network of ``config`` with random weights of its seed, and given ones in the trunk if asked for.

    Raises
    ------
    InputError
        If architecture, cut stage and input do not fit together, or the weights' file cannot be used.
    """
    settings, spec = config.model, input_spec(config)
    own = {"cut_stage": settings.cut_stage, "custom_channels": settings.custom_channels}
    options = {"width": settings.width, **{name: value for name, value in own.items() if value}}
    try:
        network = new_network(
            NetworkConfig.from_spec(settings.architecture, spec, n_labels, **options), config.run.seed
        )
        _check_turns(config)
    except ValueError as fault:
        raise InputError(error("bad-setting", f"model: {fault}.", "Change the settings under [model].")) from fault
    if settings.trunk_weights:
        from training.models.weights import load_trunk_weights

        load_trunk_weights(network, Path(settings.trunk_weights))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = config.optimizer.norm_momentum
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    return network


def make_batch(config: TrainConfig, n_labels: int) -> CaseBatch:
    """Return the network of ``config``, ready to be trained as it asks; errors as :func:`make_network`."""
    network, with_mask = make_network(config, n_labels), config.loss.mask != "none"
    try:
        batch = CaseBatch(network, config.optimizer.conditioned_head, config.loss.places > 0, with_mask)
        if with_mask and batch.weights() is None:
            name = network.config.architecture
            raise ValueError(f"loss.mask needs one fully connected layer, whose weights make the map; {name} has more")
    except ValueError as fault:
        raise InputError(error("bad-setting", f"{fault}.", "Change the setting, or the architecture.")) from fault
    return batch


def _check_turns(config: TrainConfig) -> None:
    _, rows, columns = config.input.shape
    if rows != columns and config.augment.rotate_probability:
        raise ValueError(f"slices of {rows} x {columns} px cannot be turned (augment.rotate_probability = 0)")


def network_input(hu: Tensor, spec: InputSpec) -> Tensor:
    """Return what the network sees of CTs on its grid: float32 [B * H, group, row, column], channels last.

    ``hu`` is int16 [B, slice, row, column], on any device; computed there, as :class:`training.preprocess.ModelInput`
    does.
    """
    low, high = spec.clip_hu
    values = hu.to(torch.float32).clamp_(low, high).sub_(low).div_(high - low).add_(spec.offset)
    groups = values.reshape(-1, spec.group, *spec.shape[1:])
    return groups.contiguous(memory_format=torch.channels_last)


def write_checkpoint(
    path: Path, network: Network, config: TrainConfig, labels: tuple[str, ...], training: dict[str, Any]
) -> None:
    """Write ``network`` as a model that knows how it was trained; what it is worth is not known yet."""
    metadata = CheckpointMetadata(training=training, licence=LICENCE)
    save_checkpoint(path, Model(network, labels, input_spec(config), path.stem, metadata=metadata))
