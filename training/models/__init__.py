"""Networks, their heads and guarantees, checkpoints, and how they are run."""

from training.models.axialnet import AxialNet, AxialNetConfig, build_network
from training.models.build import new_network
from training.models.config import NetworkConfig
from training.models.execute import TrunkOutput, run
from training.models.heads import Guarantee, closed_form, find_guarantee
from training.models.model import CheckpointMetadata, Model
from training.models.network import Network
from training.models.registry import ARCHITECTURES, build_model, load_model

__all__ = [
    "ARCHITECTURES",
    "AxialNet",
    "AxialNetConfig",
    "CheckpointMetadata",
    "Guarantee",
    "Model",
    "Network",
    "NetworkConfig",
    "TrunkOutput",
    "build_model",
    "build_network",
    "closed_form",
    "find_guarantee",
    "load_model",
    "new_network",
    "run",
]
