"""What is trained and compared: the networks of Table 1, the mask loss of Tables 2 and 6, and the sizes of the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training.fit import TrainConfig
from training.fit.config import merge

COHORT_SEED, PRETRAINING_SEED, RANDOM_SEED = 400_000, 500_000, 99
"""First phantom of the cohort and of the pretraining; of the networks that are never trained."""

LABELS = (
    "atelectasis",
    "consolidation",
    "groundglass",
    "pneumothorax",
    "honeycombing",
    "lung mass",
    "chest tube",
    "cardiomegaly",
    "sternotomy",
    "mediastinum lymphadenopathy",
    "great vessel catheter or port",
    "heart stent",
)
"""What the networks are trained to find: seven labels of the lungs, five of the mediastinum."""

PRETRAINING_LABELS = (
    "bronchiectasis",
    "emphysema",
    "pleural effusion",
    "bandlike or linear",
    "lung nodule",
    "lung nodulegr1cm",
    "pericardial effusion",
    "coronary artery disease",
    "great vessel calcification",
    "pacemaker or defib",
)
"""What the trunk is pretrained on, in other phantoms: it plays the part of ImageNet. None of it is in ``LABELS``."""

BASE = "axialnet"
MASK = "axialnet-mask"


@dataclass(frozen=True)
class Entry:
    """One network that is trained.

    Parameters
    ----------
    name
        Of its folders and in the tables.
    words
        What it is, for the page.
    settings
        Over the common ones.
    random
        The entry whose untrained network is its baseline; its own if empty.
    """

    name: str
    words: str
    settings: Mapping[str, Any]
    random: str = ""

    @property
    def baseline(self) -> str:
        """The entry whose untrained network is the baseline."""
        return self.random or self.name


def _axialnet(**loss: Any) -> dict[str, Any]:
    return {"model": {"architecture": "axialnet"}, "loss": loss}


def _variant(downsampling: str, dilation: bool) -> Entry:
    settings = _axialnet(mask="authors", mask_downsampling=downsampling, mask_dilation=dilation)
    name = f"mask-{downsampling}{'-dilated' if dilation else ''}"
    words = f"AxialNet with mask loss, organs by {downsampling}{', dilated' if dilation else ''}"
    return Entry(name, words, settings, BASE)


ENTRIES: tuple[Entry, ...] = (
    Entry(BASE, "AxialNet, classification loss", _axialnet()),
    Entry(MASK, "AxialNet with mask loss", _axialnet(mask="authors"), BASE),
    Entry("axialnet-same", "padded custom convolution", {"model": {"architecture": "axialnet-same"}}),
    Entry(
        "axialnet-local-3",
        "trunk cut after stage 3, 1 x 1 custom convolution",
        {"model": {"architecture": "axialnet-local", "cut_stage": 3}},
    ),
    Entry(
        "axialnet-local-2",
        "trunk cut after stage 2, 1 x 1 custom convolution",
        {"model": {"architecture": "axialnet-local", "cut_stage": 2}},
    ),
    Entry("bodycam", "global average pooling", {"model": {"architecture": "bodycam"}}),
    Entry("maxpool", "maximum over slice groups", {"model": {"architecture": "maxpool"}}),
    Entry(
        "nocustomconv",
        "no custom convolution",
        {"model": {"architecture": "nocustomconv", "custom_channels": []}},
    ),
    Entry(
        "randinit",
        "trunk from random weights",
        {"model": {"architecture": "randinit", "trunk_weights": ""}},
        BASE,
    ),
    _variant("area", False),
    _variant("area", True),
    _variant("nearest", True),
)
"""Everything that is trained; ``axialnet-mask`` is Table 6's nearest neighbour without dilation.

Table 6's trilinear rows are not trained apart: the centres of these networks' cells fall on voxels, where trilinear
interpolation and the nearest neighbour are the same.
"""

_REDUCED: dict[str, Any] = {
    "model": {"width": 16, "custom_channels": [32]},
    "input": {"spacing_mm": [6.8, 2.1, 2.1], "shape": [48, 160, 160], "average": True},
    "run": {"batch_size": 2},
}
"""A quarter of the channels, one custom convolution, and voxels that two cores get through."""

_COMMON: dict[str, Any] = {
    "optimizer": {
        "name": "adamw",
        "learning_rate": 5e-4,
        "head_factor": 10.0,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "one-cycle",
        "norm_momentum": 0.03,
        "norm_frozen_after": 0.8,
        "clip_norm": 1.0,
    },
    "loss": {"positive_weight_limit": 3.0},
    "augment": {
        "flip_probability": 0.0,
        "rotate_probability": 0.0,
        "shift_px": [3, 8, 8],
        "shift_step_px": [3, 8, 8],
    },
    "run": {"patience": 0, "precision": "bf16", "tensorboard": False},
}
"""The step size is small for the body: at 3e-3 every feature of Z died (its last ReLU gave 0 everywhere)."""

_PRETRAINING: dict[str, Any] = {
    "model": {"architecture": "axialnet-same"},
    "optimizer": {"learning_rate": 3e-3, "weight_decay": 0.02, "conditioned_head": True, "head_factor": 3.0},
    "loss": {"places": 20.0},
}


@dataclass(frozen=True)
class Size:
    """How large a reproduction is.

    Parameters
    ----------
    cases
        Phantoms of the cohort; of seven in a row five train, one validates, one tests.
    epochs
        For every network.
    pretraining_cases, pretraining_epochs
        The same for the trunk.
    resamples
        For the intervals.
    processes
        That make phantoms and explain cases, as many as there are cores at most; the results do not depend on it.
    networks
        Width, input and batch of all networks; the paper's own if empty.
    settings
        Over everything else.
    device
        Where networks run.
    needs_gpu
        Whether it takes weeks without a GPU.
    """

    cases: int
    epochs: int
    pretraining_cases: int
    pretraining_epochs: int
    resamples: int = 1000
    processes: int = 2
    networks: Mapping[str, Any] = field(default_factory=lambda: _REDUCED)
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    needs_gpu: bool = False

    @property
    def workers(self) -> int:
        """Processes on this machine."""
        return min(self.processes, os.cpu_count() or 1)

    def pretraining(self) -> TrainConfig:
        """Return the settings of the trunk's own training."""
        run = {"run": {"epochs": self.pretraining_epochs, "validation_share": 0.0, "device": self.device}}
        return _merged(_COMMON, self.networks, self.settings, _PRETRAINING, run)

    def training(self, entry: Entry, trunk: str) -> TrainConfig:
        """Return the settings of ``entry``; its trunk starts from the checkpoint ``trunk`` unless it says otherwise."""
        own = {"model": {"trunk_weights": trunk}, "run": {"epochs": self.epochs, "device": self.device}}
        return _merged(_COMMON, self.networks, own, entry.settings, self.settings)


def _merged(*layers: Mapping[str, Any]) -> TrainConfig:
    config = TrainConfig()
    for layer in layers:
        config = merge(config, layer)
    return config


SIZES: Mapping[str, Size] = {
    "small": Size(cases=840, epochs=8, pretraining_cases=600, pretraining_epochs=10),
    "tiny": Size(
        cases=14,
        epochs=1,
        pretraining_cases=4,
        pretraining_epochs=1,
        resamples=50,
        processes=1,
        settings={
            "model": {"width": 4},
            "input": {"spacing_mm": [27.0, 3.0, 3.0], "shape": [12, 112, 112]},
            "run": {"threads": 1},
        },
    ),
    "full": Size(
        cases=420, epochs=10, pretraining_cases=150, pretraining_epochs=8, processes=8, networks={}, needs_gpu=True
    ),
}
"""``small`` takes up to an hour on two cores; ``tiny`` shows in a minute that everything runs, and nothing else.
``full`` has the paper's networks and input (405 x 420 x 420 voxels of 0.8 mm) and needs a GPU and 150 GB of disk."""
