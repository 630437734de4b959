"""What a step minimises: classification loss, mask loss and place loss of a batch, case by case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from training.fit.cases import Cases
from training.fit.feed import Batch, Regions, known_places
from training.fit.losses import balanced_weights, classification_loss
from training.fit.mask_loss import MaskLossSettings, mask_loss
from training.fit.network import Outputs
from training.fit.places import Nearest, nearest_blocks, place_loss, rarity_of
from training.fit.regions import allowed_cells, mask_loss_settings
from training.fit.settings import LossSettings
from training.issues import InputError, error
from training.models import Network


class Losses(NamedTuple):
    """Losses of B cases, each (B,): what is minimised, and the mask loss in it before its weight (None without)."""

    total: Tensor
    mask: Tensor | None


class Taught(NamedTuple):
    """What the place loss needs: which blocks belong to which cells, and how rare each abnormality is, (M,)."""

    nearest: Nearest
    rarity: Tensor


@dataclass(frozen=True, eq=False)
class Objective:
    """The losses of a run.

    Parameters
    ----------
    settings
        Which.
    positive_weight
        Shape (M,), for the classification loss.
    taught
        For the place loss; None without.
    """

    settings: LossSettings
    positive_weight: Tensor
    taught: Taught | None = None

    @property
    def mask(self) -> MaskLossSettings | None:
        """Which mask loss, if any."""
        return mask_loss_settings(self.settings)

    def losses(self, outputs: Outputs, batch: Batch, with_places: bool = False) -> Losses:
        """Return the losses of every case; ``batch`` is where the outputs are. The place loss is for training alone."""
        total = classification_loss(outputs.scores.float(), batch.targets, self.positive_weight)
        masked = self._mask(outputs, batch.regions)
        if masked is not None and self.mask is not None:
            total = total + self.mask.weight * masked
        if with_places and outputs.log_odds is not None and batch.places is not None and self.taught is not None:
            cells = self.taught.nearest.cells(batch.places)
            total = total + self.settings.places * place_loss(outputs.log_odds, cells, self.taught.rarity)
        return Losses(total, masked)

    def _mask(self, outputs: Outputs, regions: Regions | None) -> Tensor | None:
        if self.mask is None or regions is None or outputs.weights is None:
            return None
        found = [
            mask_loss(z, outputs.weights, allowed_cells(cells, choice), considered, self.mask)
            for z, cells, choice, considered in zip(outputs.z, *regions, strict=True)
        ]
        return torch.stack(found)


def make_objective(settings: LossSettings, training: Cases, network: Network, device: torch.device) -> Objective:
    """Return the losses of a run of ``network`` over the cases ``training``.

    Raises
    ------
    InputError
        If places are to be taught and are not known, naming the case.
    """
    weights = balanced_weights(torch.from_numpy(training.targets), settings.positive_weight_limit).to(device)
    if not settings.places:
        return Objective(settings, weights)
    _, rows, columns = known_places(training, 0).shape[1:]
    nearest = nearest_blocks(network.cells, network.config.shape[1:], (rows, columns))
    rarity = rarity_of((known_places(training, case) for case in range(len(training.case_ids))), nearest)
    return Objective(settings, weights, Taught(nearest.to(device), rarity.to(device)))


def require_finite(losses: Losses, batch: Batch, cases: Cases) -> None:
    """Refuse losses that are not finite.

    Raises
    ------
    InputError
        Naming the first such case.
    """
    finite = torch.isfinite(losses.total)
    if not bool(finite.all()):
        case = cases.case_ids[batch.cases[int(torch.argmin(finite.int()))]]
        way_out = "Look at this case, or lower optimizer.learning_rate or set optimizer.clip_norm."
        raise InputError(error("non-finite-loss", f"the loss of case {case} is not finite.", way_out))
