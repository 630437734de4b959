"""What all networks have in common: from the slice groups of a CT to Z, and from Z through the head to the scores."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from training.geometry import CellLayout, output_size, receptive_field
from training.models.config import NetworkConfig
from training.models.heads import Guarantee, find_guarantee
from training.models.layers import AxisLayers, SlicesAsChannels, layers_of


class Network(nn.Module):
    """From slice groups x [H, group, row, column] of one CT to M scores (before the sigmoid).

    ``features`` sees each slice group by itself, so that a CT can run in chunks; ``combine`` makes Z of what all slice
    groups gave; ``head`` takes Z [H', F, D1, D2], where H' is H or, for networks that convolve over slices, fewer.

    Parameters
    ----------
    config
        What to build; its architecture must be one of ``architectures``.
    trunk, custom
        Convolutions up to Z.

    Raises
    ------
    ValueError
        If the architecture is another class's, or the input is too small to leave a cell.

    Notes
    -----
    In training mode batch normalisation sees the slice groups of the CT as its batch; in evaluation mode slice groups
    do not depend on each other.
    """

    architectures: ClassVar[tuple[str, ...]] = ()
    joins_slices: ClassVar[bool] = False
    """True if ``combine`` computes something."""

    head: nn.Module

    def __init__(self, config: NetworkConfig, trunk: nn.Sequential, custom: nn.Sequential) -> None:
        super().__init__()
        if config.architecture not in self.architectures:
            raise ValueError(f"architecture {config.architecture} is not one of {', '.join(self.architectures)}")
        self.config = config
        self.trunk = trunk
        self.custom = custom
        if min(self.cells.n_cells) < 1 or self.n_features < 1:
            size = " x ".join(map(str, config.shape))
            raise ValueError(f"an input of {size} px is too small for {config.architecture}: no cell is left")

    @property
    def n_features(self) -> int:
        """Features of Z, F."""
        config = self.config
        return config.custom_channels[-1] if config.custom_channels else trunk_channels(config)

    @property
    def z_shape(self) -> tuple[int, int, int]:
        """Shape of Z without its first axis: (F, D1, D2)."""
        _, rows, columns = self.cells.n_cells
        return (self.n_features, rows, columns)

    @property
    def cells(self) -> CellLayout:
        """How many cells Z has and what each sees of the model input, from the modules and the input size."""
        layers = self.layers()
        n_cells = [output_size(n, along) for n, along in zip(self.config.shape, layers, strict=True)]
        slices, rows, columns = (receptive_field(along) for along in layers)
        return CellLayout((n_cells[0], n_cells[1], n_cells[2]), (slices, rows, columns))

    def layers(self) -> AxisLayers:
        """Return the layers before Z along (slice, row, column)."""
        return layers_of(nn.Sequential(self.trunk, self.custom), self.config.group)

    def guarantee(self) -> Guarantee:
        """Return what this network's maps are worth, found from its modules and checked by numbers."""
        if any(isinstance(module, SlicesAsChannels) for module in self.modules()):
            return Guarantee.NO_MAP
        return find_guarantee(self.head, self.z_shape)

    def features(self, x: Tensor) -> Tensor:
        """Return what each slice group gives, [n, ...], for x [n, group, row, column]: here Z itself."""
        z: Tensor = self.custom(self.trunk(x))
        return z

    def combine(self, parts: Tensor) -> Tensor:
        """Return Z [H', F, D1, D2], not negative, for what :meth:`features` gave for all slice groups of one CT."""
        return parts

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores [M] of the CT whose slice groups are x [H, group, row, column]."""
        scores: Tensor = self.head(self.combine(self.features(x)))
        return scores

    def case_scores(self, x: Tensor, n_cases: int) -> Tensor:
        """Return the scores [B, M] of B CTs whose slice groups follow each other in x [B * H, group, row, column].

        All of them go through the trunk together, so that batch normalisation sees them as one batch.
        """
        parts = self.features(x)
        return torch.stack([self.head(self.combine(case)) for case in parts.chunk(n_cases)])


def trunk_channels(config: NetworkConfig) -> int:
    """Return how many channels leave the trunk."""
    return config.width << (config.cut_stage - 1)


AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def seeded(kind: type[AnyNetwork], config: NetworkConfig, seed: int | None) -> AnyNetwork:
    """Return a network with random weights, in evaluation mode; the same for the same ``seed``.

    The global random state is left as it was where a seed is given.
    """
    if seed is None:
        return kind(config).eval()  # type: ignore[call-arg]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config).eval()  # type: ignore[call-arg]
