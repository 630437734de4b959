"""What the mask loss adds to a training step: ``python benchmarks/mask_loss.py [--size small|full]`` prints JSON.

A step of AxialNet is one CT forward, the classification loss, backward, and SGD. The mask loss shares the forward pass;
what it adds is the allowed regions from organ cells, attention from Z and the last layer's weights, the loss, and its
own backward to Z and these weights.
That addition is timed by itself (forward and backward from Z and weights on) and divided by the step's time without
it, for every variant; and once, for comparison, the whole step is timed with and without the authors' variant, in turn.

``--size full`` is 135 slice groups of 3 x 420 x 420 and 80 labels; its step needs about 10 GB. ``--groups N`` times the
step on N slice groups only and scales it to all of them (labelled so), while the mask loss always has all of them.
Times are CPU seconds of this process, which other work on the machine changes less than wall seconds; on a GPU, wall
seconds. Weights and input are random: speed does not depend on them. The claim is a share of at most 3 %.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from training.fit.losses import classification_loss
from training.fit.mask_loss import Attention, MaskLossSettings, Variant, mask_loss
from training.fit.regions import allowed_cells
from training.models import AxialNet, NetworkConfig, build_network
from training.models.execute import find_device
from training.preprocess import InputSpec

MAX_SHARE = 0.03
N_LABELS = 80
PRESENT = 10
SIZES: dict[str, dict[str, Any]] = {
    "full": {"n_groups": 135, "in_plane": (420, 420)},
    "small": {"n_groups": 27, "in_plane": (288, 288), "width": 16},
}


def timed(work: Callable[[], None], repeats: int, device: torch.device) -> list[float]:
    """Return the seconds of each repeat after one warm-up: of the CPU, or on a GPU of the clock."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds = []
    for _ in range(repeats + 1):
        _wait(device)
        start = clock()
        work()
        _wait(device)
        seconds.append(clock() - start)
    return seconds[1:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def step_of(network: AxialNet, n_groups: int, allowed: Tensor, device: torch.device) -> Callable[[bool], None]:
    """Return a function that does one step of training, with or without the mask loss."""
    config = network.config
    x = torch.randn((n_groups, config.group, *config.in_plane), device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    targets = torch.zeros((1, config.n_labels), device=device)
    targets[0, :PRESENT] = 1
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.99, weight_decay=1e-7)
    settings = MaskLossSettings()

    def step(with_mask: bool) -> None:
        optimizer.zero_grad(set_to_none=True)
        z = network.features(x)
        loss = classification_loss(network.head(z)[None], targets).mean()
        if with_mask:
            part = allowed[:, :n_groups]
            loss = loss + settings.weight * mask_loss(z, network.head.weights, part, settings=settings)
        loss.backward()
        optimizer.step()

    return step


def addition_of(
    z: Tensor, weights: Tensor, organs: Tensor, choice: Tensor, settings: MaskLossSettings
) -> Callable[[], None]:
    """Return a function that does what a mask loss adds to a step, making the allowed regions included."""

    def work() -> None:
        z.grad = weights.grad = None
        mask_loss(z, weights, allowed_cells(organs, choice), settings=settings).backward()

    return work


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the report."""
    device, _ = find_device(options.device)
    config = config_of(options)
    network = build_network(config, 0).train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = options.groups or config.n_groups
    organs = (torch.rand((3, *network.cells.n_cells), device=device) > 0.5).float()
    choice = torch.zeros((N_LABELS, 3), device=device)
    choice[:PRESENT, :2] = 1
    step = step_of(network, groups, allowed_cells(organs, choice), device)
    scale = config.n_groups / groups
    plain, with_mask = [], []
    for _ in range(options.repeats):
        plain += timed(lambda: step(False), 1, device)
        with_mask += timed(lambda: step(True), 1, device)
    base = statistics.median(plain) * scale
    z = torch.rand((config.n_groups, *network.z_shape), device=device, requires_grad=True)
    weights = network.head.weights.detach().clone().requires_grad_()
    shares = {}
    for variant in get_args(Variant):
        for on in get_args(Attention):
            work = addition_of(z, weights, organs, choice, MaskLossSettings(variant, on))
            seconds = statistics.median(timed(work, options.mask_repeats, device))
            shares[f"{variant} on {on}"] = {"milliseconds": round(1e3 * seconds, 3), "share": seconds / base}
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
        "clock": "CPU seconds" if device.type == "cpu" else "wall seconds",
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "torch": torch.__version__,
        "architecture": config.architecture,
        "n_groups": config.n_groups,
        "in_plane": list(config.in_plane),
        "width": config.width,
        "z_shape": [config.n_groups, *network.z_shape],
        "labels": N_LABELS,
        "step_groups": groups,
        "step_seconds": base,
        "step_is_scaled": groups != config.n_groups,
        "step_ratio_with_mask": statistics.median(with_mask) / statistics.median(plain),
        "mask_loss": shares,
        "largest_share": max(one["share"] for one in shares.values()),
        "limit": MAX_SHARE,
        "holds": max(one["share"] for one in shares.values()) <= MAX_SHARE,
    }


def config_of(options: argparse.Namespace) -> NetworkConfig:
    """Return the network that was asked for."""
    size = dict(SIZES[options.size])
    spec = InputSpec(shape=(3 * size.pop("n_groups"), *size.pop("in_plane")))
    return NetworkConfig.from_spec(options.architecture, spec, N_LABELS, **size)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(SIZES), default="small")
    parser.add_argument("--architecture", choices=AxialNet.architectures, default="axialnet")
    parser.add_argument("--groups", type=int, default=0, help="slice groups of the timed step; 0 for all")
    parser.add_argument("--repeats", type=int, default=5, help="steps of either kind")
    parser.add_argument("--mask-repeats", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
