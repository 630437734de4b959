"""Named settings to start from: the paper's without and with mask loss, a tiny one to try, and the demo model's."""

from __future__ import annotations

from typing import Any

from training.fit.config import TrainConfig, merge
from training.issues import InputError, error

_SMALL_INPUT: dict[str, Any] = {"spacing_mm": [3.4, 2.6, 2.6], "shape": [96, 128, 128], "average": True}

_AS_IT_IS: dict[str, Any] = {"flip_probability": 0.0, "rotate_probability": 0.0}
"""CTs are not flipped or turned: phantoms lie the same way, and small networks need that."""

_TINY: dict[str, Any] = {
    "model": {"architecture": "axialnet-local", "width": 8, "cut_stage": 2, "custom_channels": [16, 8]},
    "input": _SMALL_INPUT,
    "optimizer": {"name": "adamw", "learning_rate": 3e-3, "momentum": 0.9, "schedule": "one-cycle", "clip_norm": 1.0},
    "augment": _AS_IT_IS,
    "run": {"epochs": 2, "batch_size": 2, "device": "cpu"},
}

_DEMO: dict[str, Any] = {
    "model": {"architecture": "axialnet-local", "width": 16, "cut_stage": 2, "custom_channels": [64, 32]},
    "input": _SMALL_INPUT,
    "optimizer": {
        "name": "adamw",
        "learning_rate": 3e-3,
        "head_factor": 3.0,
        "conditioned_head": True,
        "momentum": 0.9,
        "weight_decay": 0.02,
        "schedule": "one-cycle",
        "norm_momentum": 0.03,
        "norm_frozen_after": 0.8,
        "clip_norm": 1.0,
    },
    "loss": {"positive_weight_limit": 3.0, "places": 20.0},
    "augment": {**_AS_IT_IS, "shift_px": [3, 8, 8], "shift_step_px": [3, 8, 8]},
    "run": {"epochs": 12, "patience": 0, "batch_size": 2, "device": "cpu", "precision": "bf16", "threads": 2},
}

_PAPER_MASK: dict[str, Any] = {"loss": {"mask": "authors"}}

_PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "paper-mask": _PAPER_MASK, "tiny": _TINY, "demo": _DEMO}
PRESETS = tuple(_PRESETS)
"""Names of the presets."""


def preset(name: str) -> TrainConfig:
    """Return the settings called ``name``: ``paper`` (the defaults), ``paper-mask``, ``tiny`` or ``demo``.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    if name not in _PRESETS:
        raise InputError(error("no-preset", f"there is no preset {name!r}.", f"Known: {', '.join(PRESETS)}."))
    return merge(TrainConfig(), _PRESETS[name])
