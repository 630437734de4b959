"""Time the full-size trunk: ``python benchmarks/trunk.py [--device auto] [--repeats 3]`` prints one JSON object.

The work is AxialNet on one CT: 135 slice groups of 3 x 420 x 420, 1.817e12 operations (a multiply-add counts as two),
run by the function that explanations use, transfers to and from the device included. Needs torch, torchvision and
scipy; no napari and no Qt. The weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from training.geometry import Geometry
from training.models.describe import count_operations
from training.models.execute import find_device, run
from training.models.model import Model
from training.models.registry import load_model
from training.preprocess import InputSpec, ModelInput


def random_input(spec: InputSpec) -> ModelInput:
    """Return noise without padding, so that no slice group is skipped."""
    hu = np.random.default_rng(0).integers(-1000, 1000, spec.shape, dtype=np.int16)
    return ModelInput(hu, Geometry.canonical(spec.shape, spec.spacing_mm), spec)


def time_runs(model: Model, model_input: ModelInput, options: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return seconds a CT after one warm-up, and the rate they mean."""
    output = run(model, model_input, **options)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(model, model_input, **options)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    operations = count_operations(model.network)
    return {
        "precision": output.precision,
        "chunk": output.chunk,
        "seconds": [round(s, 4) for s in seconds],
        "seconds_median": round(median, 4),
        "operations": operations,
        "tera_operations_per_s": round(operations / median / 1e12, 3),
        "notices": [str(n) for n in output.notices],
    }


def time_resident(model: Model, device: torch.device, precision: str, chunk: int, repeats: int) -> dict[str, Any]:
    """Return seconds a CT of the network alone, input and weights being on the device already."""
    network = model.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    config = network.config
    n_chunks = config.n_groups // chunk
    x = torch.randn((chunk, config.group, *config.in_plane), device=device).contiguous(
        memory_format=torch.channels_last
    )
    seconds = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        for _ in range(repeats + 1):
            _wait(device)
            start = time.perf_counter()
            for _ in range(n_chunks):
                network.features(x)
            _wait(device)
            seconds.append((time.perf_counter() - start) * config.n_groups / (n_chunks * chunk))
    network.cpu()
    median = statistics.median(seconds[1:])
    rate = count_operations(network) / median / 1e12
    return {"precision": precision, "chunk": chunk, "seconds_median": median, "tera_operations_per_s": round(rate, 3)}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Time fp32 and bf16 on one device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "bf16", "both"), default="both")
    options = parser.parse_args()
    model = load_model("axialnet:random")
    model_input = random_input(model.input_spec)
    device, _ = find_device(options.device)
    precisions = ("fp32", "bf16") if options.precision == "both" else (options.precision,)
    runs = [
        time_runs(model, model_input, {"device": options.device, "precision": p}, options.repeats) for p in precisions
    ]
    report = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine(),
        "kind": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "runs": runs,
        "resident": [time_resident(model, device, p, runs[0]["chunk"], options.repeats) for p in precisions],
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
