"""What a network costs: parameters, operations, shapes; counted from the modules."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.models.axialnet import AxialNet
from training.models.model import Model


def count_parameters(network: torch.nn.Module) -> int:
    """Return the number of trainable numbers."""
    return sum(p.numel() for p in network.parameters())


def count_operations(network: AxialNet) -> int:
    """Return the floating-point operations of one CT without skipping padding; a multiply-add counts as two.

    Counted on shapes alone for one slice group, times the slice groups.
    """
    config = network.config
    shapes = copy.deepcopy(network).to("meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        shapes(torch.empty((1, config.group, *config.in_plane), device="meta"))
    return int(counter.get_total_flops()) * config.n_groups


def describe(model: Model) -> dict[str, Any]:
    """Return a model's facts as plain JSON types."""
    cells = model.cells
    return {
        "name": model.name,
        "architecture": model.architecture,
        "sha256": model.sha256,
        "labels": len(model.labels),
        "parameters": count_parameters(model.network),
        "operations": count_operations(model.network),
        "input_shape": list(model.input_spec.shape),
        "z_shape": list(model.z_shape),
        "receptive_field_px": [f.size_px for f in cells.fields],
        "receptive_field_mm": [f.size_px * s for f, s in zip(cells.fields, model.input_spec.spacing_mm, strict=True)],
        "guarantee": str(model.guarantee),
        "guarantee_words": model.guarantee.words,
    }
