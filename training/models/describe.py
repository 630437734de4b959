"""What a network costs: parameters, operations, shapes; counted from the modules."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.models.model import Model
from training.models.network import Network


def count_parameters(network: torch.nn.Module) -> int:
    """Return the number of trainable numbers."""
    return sum(p.numel() for p in network.parameters())


def count_operations(network: Network) -> int:
    """Return the floating-point operations of one CT without skipping padding; a multiply-add counts as two.

    Counted on shapes alone: one slice group, times the slice groups, then what is done once a CT.
    """
    config = network.config
    shapes = copy.deepcopy(network).to("meta")
    with torch.inference_mode():
        with FlopCounterMode(display=False) as per_group:
            part = shapes.features(torch.empty((1, config.group, *config.in_plane), device="meta"))
        with FlopCounterMode(display=False) as per_case:
            shapes.head(shapes.combine(part.new_empty((config.n_groups, *part.shape[1:]))))
    return int(per_group.get_total_flops()) * config.n_groups + int(per_case.get_total_flops())


def describe(model: Model) -> dict[str, Any]:
    """Return a model's facts as plain JSON types."""
    cells, network = model.cells, model.network
    parts = {"trunk": network.trunk, "custom": network.custom, "head": network.head}
    return {
        "name": model.name,
        "architecture": model.architecture,
        "sha256": model.sha256,
        "labels": len(model.labels),
        "parameters": count_parameters(network),
        "parameters_of": {name: count_parameters(part) for name, part in parts.items()},
        "operations": count_operations(network),
        "input_shape": list(model.input_spec.shape),
        "z_shape": list(model.z_shape),
        "receptive_field_px": [f.size_px for f in cells.fields],
        "receptive_field_mm": [f.size_px * s for f, s in zip(cells.fields, model.input_spec.spacing_mm, strict=True)],
        "has_maps": model.guarantee.has_maps,
        "guarantee": str(model.guarantee),
        "guarantee_words": model.guarantee.words,
    }
