"""Training of the networks: settings, losses, the loop."""

from training.fit.cases import ArrayCases, Cases, Subset
from training.fit.config import TrainConfig, load_config, override, to_toml
from training.fit.loop import Trained, train

__all__ = ["ArrayCases", "Cases", "Subset", "TrainConfig", "Trained", "load_config", "override", "to_toml", "train"]
