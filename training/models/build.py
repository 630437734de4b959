"""From a configuration to its network, for every architecture."""

from __future__ import annotations

from collections.abc import Mapping

from training.models.axialnet import AxialNet
from training.models.baselines import BodyCAM, BodyConv, Conv3D, CTNet, MaxPoolNet
from training.models.config import NetworkConfig
from training.models.network import Network, seeded

KINDS: tuple[type[Network], ...] = (AxialNet, MaxPoolNet, BodyCAM, CTNet, BodyConv, Conv3D)
NETWORKS: Mapping[str, type[Network]] = {name: kind for kind in KINDS for name in kind.architectures}
"""The class of every architecture."""


def new_network(config: NetworkConfig, seed: int | None = None) -> Network:
    """Return the network of ``config`` with random weights, in evaluation mode; the same for the same ``seed``.

    The global random state is left as it was where a seed is given.

    Raises
    ------
    ValueError
        If the input is too small for the architecture.
    """
    return seeded(NETWORKS[config.architecture], config, seed)
